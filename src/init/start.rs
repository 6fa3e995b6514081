//! Creates the processes of a run: `pre_start`, the program, `pre_stop`, attempts of an `exec` probe.
//!
//! foster does not wait for their start. The child reports the outcome, which becomes an event ([`Init::take_start`]).
//! Nothing here decides.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use foster_core::action::Definition;
use foster_core::event::{Event, Persistence, StartFailure};
use foster_core::ids::{InstanceId, Run};
use foster_core::probe::{ProbeResult, Which};
use foster_core::spec::KillMode;
use log::warn;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchown};

use super::Init;
use super::children::Role;
use super::listening;
use super::reports::Channels;
use crate::errno;
use crate::output::{ChildStream, ChildStreams};
use crate::plan::{ListenSocket, Program};
use crate::probes::{LocalTarget, ProbeProcess, ProbeTarget};
use crate::spawn::{Prepared, Request, RunAs, Spawner, Starting, Stdin};

/// A process that is about to be made.
struct Due {
    role: Role,
    /// The run under which its output is known.
    output: Run,
    program: Rc<Program>,
    run_as: RunAs,
    streams: ChildStreams,
    extra: Vec<(String, String)>,
    /// The group that it starts in.
    group: Option<OwnedFd>,
    /// What else it is given.
    channels: Channels,
}

impl Init {
    /// Begins these runs: with the `pre_start` where there is one. All are prepared, then all are forked, then what is
    /// known of them is noted: each page that is written to between two forks has to be copied.
    pub(super) fn start(&mut self, runs: &[(Run, Definition)]) {
        let mut due = Vec::with_capacity(runs.len());
        for (run, definition) in runs {
            match self.first_process(*run, *definition) {
                Ok(first) => due.push((*run, first)),
                Err(failure) => self.start_failed(*run, failure),
            }
        }
        let (runs, due): (Vec<Run>, Vec<Due>) = due.into_iter().unzip();
        for (run, made) in runs.into_iter().zip(self.make(due)) {
            if let Err(failure) = made {
                self.start_failed(run, failure);
            }
        }
    }

    fn first_process(&mut self, run: Run, definition: Definition) -> Result<Due, StartFailure> {
        let plan = match definition {
            Definition::Current => Some(&self.plan),
            Definition::Former => self.processes.formers.get(run.instance.program),
        };
        let instance = plan.and_then(|plan| plan.instance(run.instance)).ok_or_else(unknown)?;
        let program = Rc::clone(&instance.program);
        self.processes.children.define(run, Rc::clone(&program));
        match program.pre_start {
            Some(_) => self.helper(Role::PreStart(run), run),
            None => self.program(run),
        }
    }

    /// Starts the program of a run, after its `pre_start`.
    pub(super) fn start_program(&mut self, run: Run) -> Result<(), StartFailure> {
        let due = self.program(run)?;
        self.make_one(due)
    }

    /// Prepares the start of the program itself.
    fn program(&mut self, run: Run) -> Result<Due, StartFailure> {
        let program = self.processes.children.definition(run).map(Rc::clone).ok_or_else(unknown)?;
        let run_as = Spawner::resolve(&program.launch)?;
        if run_as.owner().is_none() && program.launch.user.is_some() {
            let label = self.plan.label(run.instance);
            warn!("{label}: runs as foster's own user, because foster may not change users");
        }
        let mut extra = variables(&program, run.instance).to_vec();
        let mut channels = self.open_channels(run, &program, &mut extra).map_err(no_channel)?;
        let sockets = self.sockets_for(run, &program)?;
        if !sockets.is_empty() {
            extra.extend(listening::variables(&program));
            channels.pid_variables.push(listening::PID_VARIABLE);
        }
        channels.descriptors.extend(sockets.into_iter().zip(ListenSocket::FIRST_DESCRIPTOR..));
        let due = self.due(Role::Main(run), run, program, run_as, extra)?;
        Ok(Due { channels, ..due })
    }

    /// Prepares another command of the program, with the same environment, user, directory and output.
    fn helper(&mut self, role: Role, run: Run) -> Result<Due, StartFailure> {
        let program = self.processes.children.definition(run).map(Rc::clone).ok_or_else(unknown)?;
        let run_as = Spawner::resolve(&program.launch)?;
        let mut extra = variables(&program, run.instance).to_vec();
        if let Some(pid) = self.processes.children.pid(Role::Main(run)) {
            extra.push(("FOSTER_MAIN_PID".to_string(), pid.to_string()));
        }
        self.due(role, helper_output(run), program, run_as, extra)
    }

    /// With the pipes for its output.
    fn due(
        &mut self,
        role: Role,
        output: Run,
        program: Rc<Program>,
        run_as: RunAs,
        extra: Vec<(String, String)>,
    ) -> Result<Due, StartFailure> {
        let streams = self.output.attach(output, &program).map_err(|error| no_pipes(&error))?;
        if let Some((user, group)) = run_as.owner() {
            for stream in [&streams.stdout, &streams.stderr] {
                chown_pipe(stream, user, group);
            }
        }
        let group = role.run().and_then(|run| self.enter_group(run));
        Ok(Due { role, output, program, run_as, streams, extra, group, channels: Channels::default() })
    }

    fn make_one(&mut self, due: Due) -> Result<(), StartFailure> {
        self.make(vec![due]).into_iter().collect()
    }

    /// Makes processes: none of them is noted, and nothing is freed, before the last fork.
    fn make(&mut self, due: Vec<Due>) -> Vec<Result<(), StartFailure>> {
        let spawner = &self.processes.spawner;
        let mut prepared: Vec<_> = due.iter().map(|due| due.prepare(spawner)).collect();
        let fork = |prepared: &mut Result<Prepared<'_>, StartFailure>| match prepared {
            Ok(prepared) => prepared.fork(),
            Err(failure) => Err(failure.clone()),
        };
        let forked: Vec<_> = prepared.iter_mut().map(fork).collect();
        let started = prepared.into_iter().zip(forked);
        let started: Vec<_> =
            started.map(|(prepared, process)| Ok(prepared?.into_starting(process?))).collect();
        due.into_iter().zip(started).map(|(due, started)| self.made(due, started)).collect()
    }

    fn made(&mut self, due: Due, started: Result<Starting, StartFailure>) -> Result<(), StartFailure> {
        let Due { role, output, .. } = due;
        match started {
            Ok(starting) => {
                let (pid, is_in_group) = (starting.process.pid(), starting.process.is_in_group());
                if let Err(errno) = self.processes.children.insert(role, starting) {
                    self.output.abandon(output);
                    return Err(unwatched(errno));
                }
                self.output.started(output, pid.as_raw().unsigned_abs());
                if let Role::Main(run) | Role::PreStart(run) = role {
                    let kill_mode = self.kill_mode(run);
                    if !is_in_group {
                        self.processes.trees.groups.end(run);
                    }
                    self.processes.trees.begin(run, pid, kill_mode);
                    self.note_run(run);
                }
                Ok(())
            }
            Err(failure) => {
                self.output.abandon(output);
                Err(failure)
            }
        }
    }

    /// The group for a process of this run: where all of it is stopped with it.
    fn enter_group(&mut self, run: Run) -> Option<OwnedFd> {
        let is_tree = self.kill_mode(run) == KillMode::Tree;
        let (label, limit) = (self.plan.label(run.instance), self.memory_max(run));
        if is_tree { self.processes.trees.groups.enter(run, label, limit) } else { None }
    }

    /// Runs the `pre_stop` command.
    pub(super) fn pre_stop(&mut self, run: Run) {
        let made = self.helper(Role::PreStop(run), run).and_then(|due| self.make_one(due));
        if let Err(failure) = made {
            self.pre_stop_failed(run, &failure);
        }
    }

    fn pre_stop_failed(&mut self, run: Run, failure: &StartFailure) {
        let name = self.plan.label(run.instance);
        warn!("{name}: cannot run pre_stop: {}", failure.message);
        self.core.push(Event::PreStopEnded(run));
    }

    /// Starts one attempt of a probe.
    pub(super) fn probe(&mut self, run: Run, which: Which) {
        let Some(program) = self.processes.children.definition(run).map(Rc::clone) else { return };
        if self.processes.children.pid(Role::CancelledProbe(run.instance, which)).is_some() {
            return self.probes.wait((run, which));
        }
        let probe = match which {
            Which::Ready => program.ready.as_ref(),
            Which::Health => program.health.as_ref(),
            Which::Memory => return self.check_memory(run),
        };
        let started = match probe.map(ProbeTarget::of) {
            Some(ProbeTarget::Remote(target)) => {
                self.probes.start((run, which), target);
                // A connection that is refused at once has its result already; epoll will not report it.
                return self.take_answers();
            }
            Some(ProbeTarget::Local(target)) => self.start_local_probe(run, which, target),
            Some(ProbeTarget::Command(command)) => self.start_probe_command(run, which, &program, command),
            Some(ProbeTarget::Reported) | None => return,
        };
        if let Err(failure) = started {
            self.probe_failed(run, which, failure);
        }
    }

    /// A child checks the path, so that a file system that hangs blocks nothing else.
    fn start_local_probe(
        &mut self,
        run: Run,
        which: Which,
        target: LocalTarget<'_>,
    ) -> Result<(), StartFailure> {
        let note = self.probes.open_note((run, which), ProbeProcess::Check).map_err(no_process)?;
        let process = target.spawn(note).map_err(no_process)?;
        self.processes.children.insert_process(Role::Probe(run, which), process);
        Ok(())
    }

    fn start_probe_command(
        &mut self,
        run: Run,
        which: Which,
        program: &Program,
        command: &[String],
    ) -> Result<(), StartFailure> {
        let run_as = Spawner::resolve(&program.launch)?;
        let note = self.probes.open_note((run, which), ProbeProcess::Command).map_err(no_process)?;
        let extra = variables(program, run.instance);
        let group = self.enter_group(run);
        let group = group.as_ref().map(AsFd::as_fd);
        let stderr = Some(note.as_fd());
        let request = Request { command, stderr, extra: &extra, group, ..Request::default() };
        let starting = self.processes.spawner.spawn(&program.launch, &run_as, &request)?;
        self.processes.children.insert(Role::Probe(run, which), starting).map_err(unwatched)
    }

    fn probe_failed(&mut self, run: Run, which: Which, failure: StartFailure) {
        self.probes.cancel((run, which));
        self.core.push(Event::Probed(run, which, ProbeResult::Failed(failure.message)));
    }

    /// Reads a child's report about its start.
    pub(super) fn take_start(&mut self, key: u32) {
        if let Some((role, how)) = self.processes.children.read_report(key) {
            self.started(role, how);
        }
    }

    pub(super) fn started(&mut self, role: Role, how: Result<(), StartFailure>) {
        match (role, how) {
            (Role::Main(run), Ok(())) => {
                self.core.push(Event::Spawned(run));
                self.note_awaited_report(run);
            }
            (Role::Web, how) => self.web_started(how),
            (_, Ok(())) => {}
            (Role::Main(run), Err(failure)) => self.start_failed(run, failure),
            (Role::PreStart(run), Err(failure)) => {
                let message = format!("pre_start: {}", failure.message);
                self.output.abandon(helper_output(run));
                self.start_failed(run, StartFailure { message, ..failure });
            }
            (Role::PreStop(run), Err(failure)) => {
                self.output.abandon(helper_output(run));
                self.pre_stop_failed(run, &failure);
            }
            (Role::Probe(run, which), Err(failure)) => {
                self.probe_failed(run, which, failure);
            }
            (Role::CancelledProbe(..) | Role::Taker(_) | Role::Trial | Role::Detached, Err(_)) => {}
        }
    }

    /// Reports that the process of a run could not be created.
    pub(super) fn start_failed(&mut self, run: Run, failure: StartFailure) {
        self.output.abandon(run);
        self.forget_run(run);
        self.core.push(Event::SpawnFailed(run, failure));
    }
}

impl Due {
    fn prepare<'a>(&'a self, spawner: &'a Spawner) -> Result<Prepared<'a>, StartFailure> {
        let Program { launch, pre_start, pre_stop, .. } = &*self.program;
        let command = match self.role {
            Role::PreStart(_) => pre_start.as_deref().unwrap_or_default(),
            Role::PreStop(_) => pre_stop.as_deref().unwrap_or_default(),
            Role::Main(_)
            | Role::Probe(..)
            | Role::CancelledProbe(..)
            | Role::Taker(_)
            | Role::Trial
            | Role::Web
            | Role::Detached => &launch.command,
        };
        let first = ListenSocket::FIRST_DESCRIPTOR;
        let sockets = self.channels.descriptors.iter().filter(|(_, number)| *number == first);
        let sockets = sockets.map(|(socket, _)| socket.as_fd());
        let stdin =
            if let Role::Main(_) = self.role { Stdin::of(launch.stdin, sockets) } else { Stdin::Null };
        let (stdout, stderr) = (borrow_fd(&self.streams.stdout), borrow_fd(&self.streams.stderr));
        let (extra, group) = (self.extra.as_slice(), self.group.as_ref().map(AsFd::as_fd));
        let Channels { descriptors, pid_variables } = &self.channels;
        let request = Request { command, stdin, stdout, stderr, descriptors, extra, pid_variables, group };
        spawner.prepare(launch, &self.run_as, &request)
    }
}

/// Makes a program's user the owner of its pipe, because programs such as nginx open /dev/stderr again as that user.
/// Without CAP_CHOWN every user gets permission on the pipe instead; other users still cannot reach it, because they may
/// not enter /proc/PID/fd. An inherited stream is unchanged.
fn chown_pipe(stream: &ChildStream, user: Uid, group: Gid) {
    if let ChildStream::Pipe(pipe) = stream
        && fchown(pipe, Some(user), Some(group)).is_err()
    {
        let _ = fchmod(pipe, Mode::from_bits_truncate(0o666));
    }
}

fn borrow_fd(stream: &ChildStream) -> Option<BorrowedFd<'_>> {
    match stream {
        ChildStream::Pipe(fd) | ChildStream::Inherited(fd) => Some(fd.as_fd()),
        ChildStream::Null => None,
    }
}

/// The variables that foster adds to the environment of an instance.
pub(super) fn variables(program: &Program, id: InstanceId) -> [(String, String); 2] {
    [
        ("FOSTER_PROGRAM".to_string(), program.name.clone()),
        ("FOSTER_INSTANCE".to_string(), id.index.to_string()),
    ]
}

fn unknown() -> StartFailure {
    let message = "it is not in the plan".into();
    StartFailure { stage: "plan", persistence: Persistence::Permanent, message }
}

fn no_process(errno: nix::errno::Errno) -> StartFailure {
    let message = format!("creating a process: {}", errno::text(errno));
    StartFailure { stage: "process", persistence: Persistence::Transient, message }
}

fn unwatched(errno: nix::errno::Errno) -> StartFailure {
    let message = format!("watching its start: {}", errno::text(errno));
    StartFailure { stage: "process", persistence: Persistence::Transient, message }
}

fn no_channel(errno: nix::errno::Errno) -> StartFailure {
    let message = format!("opening the descriptor by which it reports: {}", errno::text(errno));
    StartFailure { stage: "notify", persistence: Persistence::Transient, message }
}

fn no_pipes(error: &std::io::Error) -> StartFailure {
    let message = format!("creating its pipes: {}", errno::words(error));
    StartFailure { stage: "output", persistence: Persistence::Transient, message }
}

/// The run number of the output of `pre_start` and `pre_stop`, which no run has.
pub(super) fn helper_output(run: Run) -> Run {
    const HELPER: u32 = 1 << 31;
    Run { number: run.number | HELPER, ..run }
}
