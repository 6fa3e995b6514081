//! Actions become system calls.
//!
//! One function per kind of action; each says what came of it as an event, or as a line of the log where
//! nothing follows from it. Decisions are not made here: what the core asked for is done, in its order.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;

use foster_core::action::{Action, Cause, Change, EventName, Scope, StateName};
use foster_core::event::{Event, Persistence, ProbeResult, StartFailure};
use foster_core::ids::{InstanceId, Run, Signal};
use log::{debug, warn};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, fchown};

use super::children::Role;
use super::history::{EventRecord, Subject};
use super::{Init, report};
use crate::control::protocol;
use crate::control::server::Server;
use crate::control::socket_file::BindError;
use crate::notify::Upward;
use crate::output::{ChildStream, format};
use crate::plan::Program;
use crate::probes::{Asker, LocalTarget, ProbeTarget};
use crate::spawn::{Request, Spawner, Stdin};
use crate::sys::errno;

impl Init {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn(run) => match self.spawn_main(run) {
                Ok(()) => self.events.push_back(Event::Spawned(run)),
                Err(failure) => {
                    self.output.abandon(run);
                    self.events.push_back(Event::SpawnFailed(run, failure));
                }
            },
            Action::Signal { run, signal, scope } => self.signal(run, signal, scope),
            Action::RunPreStop(run) => {
                if let Err(failure) = self.spawn_pre_stop(run) {
                    let name = report::label(&self.plan, run.instance);
                    warn!("cannot run pre_stop of {name}: {}", failure.message);
                    self.events.push_back(Event::PreStopEnded(run));
                }
            }
            Action::CancelPreStop(run) => self.children.forget(Role::PreStop(run)),
            Action::Probe(run) => self.ask(run),
            Action::CancelProbe(run) => {
                self.probes.cancel(run);
                self.children.forget(Role::Question(run));
            }
            Action::Sweep(signal) => {
                self.rest.signal(signal, &self.children);
                self.see_whether_rest_is_gone();
            }
            Action::ReopenLogs => {
                self.output.reopen();
                if let Some(Err(error)) = self.server.as_mut().map(Server::restore) {
                    match error {
                        BindError::AnotherListens { path, pid: _ } => {
                            let path = path.display();
                            warn!("another process listens at `{path}`: verbs cannot reach this foster");
                        }
                        error @ (BindError::NotASocket(_)
                        | BindError::TooLong(_)
                        | BindError::Unavailable(..)) => warn!("{error}: verbs cannot reach this foster"),
                    }
                }
            }
            Action::WriteStatus => self.write_status(),
            Action::Update => self.update_by_signal(),
            Action::Forget(instance) => self.forget(instance),
            Action::Report(change) => self.report(&change),
            Action::ReportShutdown(ending) => {
                self.tell_upward(Upward::stopping);
                let line = report::shutdown(&self.plan, &ending, self.requests.shutdown_by());
                self.tell(&line, None);
            }
            Action::ReportReady => {
                self.tell_upward(Upward::ready);
                debug!("everything that was autostarted is ready");
                self.thrift.done_with_work(self.now);
            }
            Action::Exit(closing) => self.closing = Some(closing),
        }
    }

    /// Tells whoever started foster, if they want to know.
    pub(super) fn tell_upward(&mut self, what: impl FnOnce(&mut Upward) -> Option<String>) {
        if let Some(trouble) = what(&mut self.upward) {
            debug!("{trouble}");
        }
    }

    fn spawn_main(&mut self, run: Run) -> Result<(), StartFailure> {
        self.updates.forget_former(run.instance);
        let Some(program) = self.plan.program(run.instance.program) else { return Err(unknown()) };
        let run_as = Spawner::resolve(&program.launch)?;
        let owner = run_as.owner();
        let label = report::label(&self.plan, run.instance);
        if owner.is_none() && program.launch.user.is_some() {
            warn!("{label}: runs as foster's own user, because foster may not change users");
        }
        let streams = self.output.attach(run, &label).map_err(|error| no_pipes(&error))?;
        let extra = variables(program, run.instance);
        if let Some((user, group)) = owner {
            for stream in [&streams.stdout, &streams.stderr] {
                give(stream, user, group);
            }
        }
        let request = Request {
            command: &program.launch.command,
            stdin: program.launch.stdin.into(),
            stdout: lent(&streams.stdout),
            stderr: lent(&streams.stderr),
            descriptors: &[],
            extra: &extra,
        };
        let child = self.spawner.spawn(&program.launch, &run_as, &request)?.wait()?;
        self.output.started(run, child.pid().as_raw().unsigned_abs());
        self.children.insert(Role::Main(run), child);
        Ok(())
    }

    /// The command gets the program's environment, user and directory, and its output.
    fn spawn_pre_stop(&mut self, run: Run) -> Result<(), StartFailure> {
        let Some(program) = self.definition(run) else { return Err(unknown()) };
        let Some(command) = &program.pre_stop else { return Err(unknown()) };
        let main = self.children.pid(Role::Main(run)).map_or(String::new(), |pid| pid.to_string());
        let extra =
            [("FOSTER_PROGRAM".to_string(), program.name.clone()), ("FOSTER_MAIN_PID".to_string(), main)];
        let label = report::label(&self.plan, run.instance);
        let streams = self.output.attach(voice(run), &label).map_err(|error| no_pipes(&error))?;
        let request = Request {
            command,
            stdin: Stdin::Null,
            stdout: lent(&streams.stdout),
            stderr: lent(&streams.stderr),
            descriptors: &[],
            extra: &extra,
        };
        let started = Spawner::resolve(&program.launch)
            .and_then(|run_as| self.spawner.spawn(&program.launch, &run_as, &request)?.wait());
        match started {
            Ok(child) => {
                self.output.started(voice(run), child.pid().as_raw().unsigned_abs());
                self.children.insert(Role::PreStop(run), child);
                Ok(())
            }
            Err(failure) => {
                self.output.abandon(voice(run));
                Err(failure)
            }
        }
    }

    /// What this run was made from.
    fn definition(&self, run: Run) -> Option<Rc<Program>> {
        self.updates.former(run).or_else(|| self.plan.programs.get(run.instance.program).map(Rc::clone))
    }

    fn ask(&mut self, run: Run) {
        let Some(program) = self.definition(run) else { return };
        let Some(probe) = &program.ready else { return };
        let started = match ProbeTarget::of(probe) {
            ProbeTarget::Remote(target) => {
                self.probes.start(run, target);
                // A connection that is refused at once is answered already: no report of epoll follows.
                return self.take_answers();
            }
            ProbeTarget::Local(target) => self.spawn_local_probe(run, target),
            ProbeTarget::Command(command) => self.spawn_question(run, command),
            ProbeTarget::Output => return,
        };
        if let Err(failure) = started {
            self.probes.cancel(run);
            self.events.push_back(Event::Probed(run, ProbeResult::Failed(failure.message)));
        }
    }

    fn spawn_local_probe(&mut self, run: Run, target: LocalTarget<'_>) -> Result<(), StartFailure> {
        let child = self.probes.open_note(run, Asker::Child).and_then(|note| target.spawn(note));
        let child = child.map_err(no_process)?;
        self.children.insert(Role::Question(run), child);
        Ok(())
    }

    fn spawn_question(&mut self, run: Run, command: &[String]) -> Result<(), StartFailure> {
        let Some(program) = self.definition(run) else { return Err(unknown()) };
        let note = self.probes.open_note(run, Asker::Command).map_err(no_process)?;
        let stderr = Some(note.as_fd());
        let request =
            Request { command, stdin: Stdin::Null, stdout: None, stderr, descriptors: &[], extra: &[] };
        let run_as = Spawner::resolve(&program.launch)?;
        let child = self.spawner.spawn(&program.launch, &run_as, &request)?.wait()?;
        self.children.insert(Role::Question(run), child);
        Ok(())
    }

    fn signal(&mut self, run: Run, signal: Signal, scope: Scope) {
        let role = Role::Main(run);
        let result = match scope {
            Scope::Main => self.children.signal(role, signal),
            Scope::Group => self.children.signal_group(role, signal),
            Scope::Session => match self.children.pid(role) {
                // The main process first, so that it is known who killed it; then all it leads.
                Some(session) => {
                    let result = self.children.signal(role, signal);
                    self.sessions.signal(session, signal);
                    result
                }
                None => {
                    if let Some(session) = self.sessions.session(run) {
                        self.sessions.signal(session, signal);
                        if self.sessions.is_empty_now(run) {
                            self.events.push_back(Event::SessionEmptied(run));
                        }
                    }
                    Ok(())
                }
            },
        };
        if let Err(errno) = result {
            let name = report::label(&self.plan, run.instance);
            warn!("cannot send {signal} to {name}: {}", errno::text(errno));
            self.requests.note_unsent(run, signal, errno);
        }
    }

    fn report(&mut self, change: &Change) {
        let pid = change.run.and_then(|run| self.children.last_pid(run));
        let is_ordered = matches!(change.cause, Cause::Ordered);
        let by = is_ordered.then(|| self.requests.take_stop_by(change.instance)).flatten();
        let line = report::change(&self.plan, change, pid, by.as_deref());
        let about = self.plan.program(change.instance.program).map(|program| {
            let index = change.instance.index;
            Subject {
                program: program.name.as_str().into(),
                instances: index..index + 1,
                state: Some(change.to),
            }
        });
        self.tell(&line, about);
        self.notes.note(change);
    }

    /// Logs something that happened, and passes it to those who follow events: one text, formatted once.
    pub(super) fn tell(&mut self, line: &report::Line, about: Option<Subject>) {
        let (at, members) = self.output.log(line);
        let Some(event) = EventName::parse(line.event) else { return };
        let mut timestamp = Vec::new();
        format::timestamp(at, &mut timestamp);
        let wire = protocol::Event::line(&String::from_utf8_lossy(&timestamp), &members);
        self.history.keep(EventRecord { about, event, line: wire.into() });
    }
}

/// Why instances are not as they should be, for `status`: the last failure that nothing has made good since.
#[derive(Debug, Default)]
pub(super) struct Notes(HashMap<InstanceId, String>);

impl Notes {
    fn note(&mut self, change: &Change) {
        let text = match &change.cause {
            Cause::CannotStart { failure, next: _ } => Some(failure.message.clone()),
            Cause::NotReady { timeout, last } => {
                let seen = last.as_ref().map_or(String::new(), |last| format!(": {last}"));
                Some(format!("not ready within {}{seen}", report::short(*timeout)))
            }
            Cause::Ended { exit, uptime, next: _ } | Cause::LeftOthers { exit, uptime } => {
                Some(format!("{exit} after {}", report::short(*uptime)))
            }
            Cause::BecameReady { after: _ } | Cause::Ordered | Cause::Stopped { .. } => {
                self.0.remove(&change.instance);
                None
            }
            Cause::Started
            | Cause::WaitsFor(_)
            | Cause::Changed
            | Cause::Removed
            | Cause::StoppedUnready { .. }
            | Cause::RequirementDown(_)
            | Cause::Shutdown => None,
        };
        if let Some(text) = text {
            self.0.insert(change.instance, text);
        }
    }

    /// The instance is no more.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.0.remove(&instance);
    }

    /// The note about an instance.
    pub(super) fn of(&self, instance: InstanceId, state: StateName) -> Option<&str> {
        match state {
            StateName::Running | StateName::Stopped => None,
            StateName::Waiting
            | StateName::Starting
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Exited
            | StateName::Fatal => self.0.get(&instance).map(String::as_str),
        }
    }
}

/// Hands a pipe to a program's user: nginx opens /dev/stderr again as whom its workers run. Not permitted
/// (no CAP_CHOWN): then it is opened to everybody, who still need a descriptor's entry in /proc to reach it, and
/// that is closed to other users. What is inherited is not foster's to give.
fn give(stream: &ChildStream, user: Uid, group: Gid) {
    if let ChildStream::Pipe(pipe) = stream
        && fchown(pipe, Some(user), Some(group)).is_err()
    {
        let _ = fchmod(pipe, Mode::from_bits_truncate(0o666));
    }
}

fn lent(stream: &ChildStream) -> Option<BorrowedFd<'_>> {
    match stream {
        ChildStream::Pipe(fd) | ChildStream::Inherited(fd) => Some(fd.as_fd()),
        ChildStream::Null => None,
    }
}

/// What foster adds to the environment of an instance.
pub(super) fn variables(program: &Program, id: InstanceId) -> [(String, String); 2] {
    [
        ("FOSTER_PROGRAM".to_string(), program.name.clone()),
        ("FOSTER_INSTANCE".to_string(), id.index.to_string()),
    ]
}

fn unknown() -> StartFailure {
    StartFailure {
        stage: "plan",
        persistence: Persistence::Permanent,
        message: "it is not in the plan".into(),
    }
}

fn no_process(errno: nix::errno::Errno) -> StartFailure {
    let message = format!("making a process: {}", errno::text(errno));
    StartFailure { stage: "process", persistence: Persistence::Transient, message }
}

fn no_pipes(error: &std::io::Error) -> StartFailure {
    let message = format!("making its pipes: {}", errno::words(error));
    StartFailure { stage: "output", persistence: Persistence::Transient, message }
}

/// The name under which output knows the `pre_stop` command of a run: the number 0, which no run has.
pub(super) fn voice(run: Run) -> Run {
    Run { number: 0, ..run }
}
