//! A foster that takes the place of one that had a fault, in the same process: the runs that it finds go on as its own.
//!
//! The programs' definitions are those of the configuration as it is now. A run whose program is no longer in it is an
//! orphan, and is ended last. Where the configuration cannot be read, what is known of the runs has to do: `abandon.rs`.
//! Next: `ledger.rs`, which the former foster has written.

use std::cmp::Reverse;
use std::os::fd::AsFd;
use std::time::Duration;

use foster_core::action::StateName;
use foster_core::event::{Adopted, Adoption, Counts, Event, Recalled, Rest, ShutdownCause};
use foster_core::ids::{Exit, InstanceId, Run, Signal};
use foster_core::program::{Desired, DownReason};
use foster_core::sorted::{SortedSet, sort_by_key};
use foster_core::spec::{Autostart, KillMode};
use foster_core::supervisor::InstanceView;
use foster_core::time::Instant;
use log::{error, warn};
use nix::unistd::Pid;

use super::children::Role;
use super::ledger::{self, Kept, MainEntry, RestEntry, RunEntry, StopEntry, Times};
use super::processes::Processes;
use super::start::helper_output;
use super::{Init, InitEnv};
use crate::errno;
use crate::notify::inbound::ReadyMessage;
use crate::plan::{OnFault, Plan, Probe};
use crate::spawn::ChildProcess;
use crate::sys::handover::{self, Entry, Inheritance};
use crate::sys::{process, timer};

/// Gives each program of the plan as many instances as have runs: `foster scale` may have added some.
pub(super) fn fit(plan: &mut Plan, env: &InitEnv) {
    let Some(inherited) = &env.inherited else { return };
    let programs = ledger::programs(plan);
    let run = |entry: &Entry| RunEntry::of(entry).map(|run| (run.program, run.index));
    let rest = |entry: &Entry| RestEntry::of(entry).map(|rest| (rest.program, rest.index));
    for (program, index) in inherited.entries.iter().filter_map(|entry| run(entry).or_else(|| rest(entry))) {
        if let Some(id) = programs.get(&program).copied()
            && index >= plan.count(id)
            && let Err(why) = plan.scale(id, index.saturating_add(1))
        {
            warn!("an instance that still runs is no longer known: {why}");
        }
    }
}

/// A fault that comes sooner after another one stops the programs, whatever `on_fault` says.
const SHORTEST: Duration = Duration::from_secs(60);
/// How many descriptors an entry may have.
const DESCRIPTORS: usize = 5;

impl Init {
    /// Takes the runs over, and ends them in order, or continues with them.
    pub(super) fn take_over(&mut self, inherited: &Inheritance) {
        self.core.now = self.waiter.now();
        self.core.clear();
        self.core.push(Event::ClockSet(timer::unix_ms()));
        let programs = ledger::programs(&self.plan);
        let id =
            |hash: u64, index| programs.get(&hash).map(|program| InstanceId { program: *program, index });
        for rest in inherited.entries.iter().filter_map(RestEntry::of) {
            if let Some(instance) = id(rest.program, rest.index) {
                self.core.push(Event::Recalled(instance, rest.recalled));
            }
        }
        let found = |entry: &Entry| RunEntry::of(entry).map(|run| (run, *entry));
        let mut runs: Vec<(RunEntry, Entry)> = inherited.entries.iter().filter_map(found).collect();
        // Of two runs of an instance the one that is ready stays, and of two such the later one. What is left of one that has
        // ended is never the instance's, unless the other one has ended as well, later.
        sort_by_key(&mut runs, |(run, _)| {
            let is_there = run.main.exit.is_none();
            Reverse((is_there, is_there && run.reached == Adoption::Ready, run.number))
        });
        let mut unknown = Vec::new();
        for (run, mut entry) in runs {
            let instance = id(run.program, run.index);
            let adopted = instance.and_then(|instance| match run.main.exit {
                Some(exit) => self.adopt_leftovers(instance, &run, exit, &mut entry),
                None => self.adopt(instance, &run, &mut entry),
            });
            if adopted.is_none() && run.main.exit.is_none() {
                unknown.push(run);
            }
            // Those that nothing reads are closed.
            (0..DESCRIPTORS).for_each(|which| drop(Inheritance::take(&mut entry, which)));
        }
        let Processes { trees, children, .. } = &mut self.processes;
        if trees.is_waiting() {
            trees.look(children, &SortedSet::new());
        }
        let taken = self.processes.children.count();
        let since = handover::monotonic().saturating_sub(inherited.last_fault);
        let is_first = inherited.last_fault.is_zero() || since >= SHORTEST;
        let continues = self.plan.settings.on_fault == OnFault::Reexec && is_first;
        let fault = &inherited.reason;
        if continues {
            error!(
                "continues after a fault in foster itself, with {taken} running processes of programs: {fault}"
            );
            self.core.push(Event::Booted);
            unknown.iter().for_each(stop_unknown);
        } else {
            error!("stops everything after a fault in foster itself: {taken} running processes of programs");
            self.core.push(Event::ShutdownOrdered(ShutdownCause::Fault));
        }
        self.handle_events();
        for run in self.processes.children.runs().collect::<Vec<_>>() {
            self.note_run(run);
        }
        // The former foster may have taken the signal of an exit without acting on it.
        self.reap();
        handover::set_last(!continues);
    }

    /// `None`: the process is no longer a child, or the instance is not in the plan.
    fn adopt(&mut self, instance: InstanceId, found: &RunEntry, entry: &mut Entry) -> Option<()> {
        let (pid, run) = (Pid::from_raw(found.main.pid), Run { instance, number: found.number });
        let program = self.plan.instance(instance).map(|instance| instance.program.clone())?;
        let kill_mode = self.plan.spec(instance.program).map_or(KillMode::Tree, |spec| spec.stop.kill_mode);
        if !process::is_child(pid) {
            return None;
        }
        let (role, output) = match found.reached {
            Adoption::Preparing => (Role::PreStart(run), helper_output(run)),
            Adoption::Starting
            | Adoption::Ready
            | Adoption::Stopping
            | Adoption::Restarting
            | Adoption::NotReady
            | Adoption::Unhealthy => (Role::Main(run), run),
        };
        let mut kept = |kept: Kept| Inheritance::take(entry, kept as usize);
        let pipes = [kept(Kept::Stdout), kept(Kept::Stderr)];
        let child = ChildProcess::adopted(pid, kept(Kept::Stdin));
        let (socket, pipe) = (kept(Kept::Notify), kept(Kept::ReadyPipe));
        let is_node = program.ready == Some(Probe::Ipc);
        let message = if is_node { ReadyMessage::Node } else { ReadyMessage::Newline };
        self.processes.children.define(run, program.clone());
        self.processes.children.insert_process(role, child);
        if let Err(error) = self.output.adopt(output, &program, pipes) {
            warn!("{}: its output is not read: {}", self.plan.label(instance), errno::words(&error));
        }
        self.output.started(output, pid.as_raw().unsigned_abs());
        if let Err(errno) = self.processes.inbound.adopt(run, socket, pipe.map(|pipe| (pipe, message))) {
            warn!("{}: its reports are not read: {}", self.plan.label(instance), errno::text(errno));
        }
        self.processes.trees.adopt(run, pid, kill_mode);
        let watchdog = Duration::from_millis(found.times.watchdog.into());
        self.core.push(Event::Adopted(Adopted {
            run,
            reached: found.reached,
            since: Instant::after_start(Duration::from_millis(found.times.since)),
            watchdog: Some(watchdog).filter(|watchdog| !watchdog.is_zero()),
            exit: None,
            counts: found.counts,
        }));
        Some(())
    }

    /// The same for a run of which only other processes are left than its main process, in the session that this led.
    fn adopt_leftovers(
        &mut self,
        instance: InstanceId,
        found: &RunEntry,
        exit: Exit,
        entry: &mut Entry,
    ) -> Option<()> {
        let run = Run { instance, number: found.number };
        let program = self.plan.instance(instance).map(|instance| instance.program.clone())?;
        let kill_mode = self.plan.spec(instance.program).map_or(KillMode::Tree, |spec| spec.stop.kill_mode);
        let pipes = [Kept::Stdout, Kept::Stderr].map(|kept| Inheritance::take(entry, kept as usize));
        self.processes.children.define(run, program.clone());
        if let Err(error) = self.output.adopt(run, &program, pipes) {
            warn!("{}: its output is not read: {}", self.plan.label(instance), errno::words(&error));
        }
        self.output.ended(run);
        self.processes.trees.adopt_leftovers(run, Pid::from_raw(found.main.pid), kill_mode);
        self.core.push(Event::Adopted(Adopted {
            run,
            reached: found.reached,
            since: Instant::after_start(Duration::from_millis(found.times.since)),
            watchdog: None,
            exit: Some(exit),
            counts: found.counts,
        }));
        Some(())
    }

    /// Writes what is known of a live run.
    pub(super) fn note_run(&mut self, run: Run) {
        self.write_run(run, None);
    }

    /// The same for one whose main process has ended like this, and has left others.
    pub(super) fn note_left(&mut self, run: Run, exit: Exit) {
        self.write_run(run, Some(exit));
    }

    fn write_run(&mut self, run: Run, exit: Option<Exit>) {
        let role = self.processes.role(run);
        let Some(program) = self.processes.children.definition(run) else { return };
        let Some(spec) = self.plan.spec(run.instance.program) else { return };
        let view = self.core.supervisor.snapshot().run(run);
        let live = view.and_then(|view| view.live);
        let main = self.processes.children.pid(role);
        let past = view.and_then(|view| view.last).filter(|past| past.run == run).map(|past| past.exit);
        let exit = exit.or(past).filter(|_| main.is_none());
        let reached = match view {
            _ if role == Role::PreStart(run) => Adoption::Preparing,
            Some(view) if exit.is_some() => match view.desired {
                // By the one that follows it.
                Desired::Down(DownReason::Leftovers) | Desired::Up => Adoption::Ready,
                Desired::Down(_) => Adoption::Stopping,
                Desired::Cycle(_) => Adoption::Restarting,
                Desired::Trial | Desired::Rising => Adoption::Starting,
            },
            Some(view) if view.state == StateName::Stopping => match view.desired {
                Desired::Down(_) => Adoption::Stopping,
                Desired::Cycle(_) => Adoption::Restarting,
                Desired::Trial | Desired::Rising => Adoption::NotReady,
                Desired::Up => Adoption::Unhealthy,
            },
            Some(view) if view.ready => Adoption::Ready,
            Some(_) | None => Adoption::Starting,
        };
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let watchdog = live.and_then(|live| live.watchdog).map(milliseconds).unwrap_or_default();
        let entry = RunEntry {
            program: ledger::hash(&program.name),
            index: run.instance.index,
            number: run.number,
            reached,
            main: MainEntry {
                pid: main.map(Pid::as_raw).or(self.processes.children.last_pid(run)).unwrap_or_default(),
                exit,
            },
            stop: StopEntry {
                priority: spec.priority,
                signal: spec.stop.signals.first().copied().unwrap_or(Signal::TERM),
            },
            times: Times {
                since: milliseconds(live.map_or(self.core.now, |live| live.since).elapsed()),
                watchdog: u32::try_from(watchdog).unwrap_or(u32::MAX),
            },
            counts: view.map(|view| counts(&view)).unwrap_or_default(),
        };
        let mut entry = entry.entry();
        let output = if reached == Adoption::Preparing { helper_output(run) } else { run };
        let [stdout, stderr] = self.output.pipes(output).map(|pipe| pipe.map(AsFd::as_fd));
        let (socket, pipe) = self.processes.inbound.descriptors(run);
        let stdin = self.processes.children.stdin(role);
        let all = [
            (Kept::Stdout, stdout),
            (Kept::Stderr, stderr),
            (Kept::Stdin, stdin),
            (Kept::Notify, socket),
            (Kept::ReadyPipe, pipe),
        ];
        for (kept, descriptor) in all {
            if let Some(descriptor) = descriptor {
                ledger::set_descriptor(&mut entry, kept as usize, descriptor);
            }
        }
        self.processes.children.ledger.note(run, &entry);
    }

    /// Writes why an instance has no run, if it has none.
    pub(super) fn note_rest(&mut self, instance: InstanceId) {
        let entry = self.view(instance).and_then(|view| {
            let rest = rest(&view)?;
            let without = Exit::Code(if rest == Rest::Fatal { 1 } else { 0 });
            let exit = view.last.map_or(without, |past| past.exit);
            let recalled = Recalled { rest, last_run: view.last_run, exit, counts: counts(&view) };
            let program = ledger::hash(&self.plan.program(instance.program)?.name);
            Some(RestEntry { program, index: instance.index, recalled })
        });
        self.processes.children.ledger.note_rest(instance, entry.as_ref());
    }
}

fn counts(view: &InstanceView) -> Counts {
    Counts { restarts: view.restarts, failures: view.failures }
}

/// Why an instance has no run; `None`: it has one, or a new one would not either.
fn rest(view: &InstanceView) -> Option<Rest> {
    if view.live.is_some() {
        return None;
    }
    let is_new = view.last_run == 0 && view.autostart == Autostart::Yes;
    match (view.state, view.desired) {
        (StateName::Paused, _) | (StateName::Stopped, Desired::Down(DownReason::Requested(_))) => {
            Some(Rest::Stopped)
        }
        (StateName::Stopped, Desired::Down(_)) => None,
        (StateName::Waiting | StateName::Backoff | StateName::Stopped, _) => (!is_new).then_some(Rest::Due),
        (StateName::Exited | StateName::Succeeded, _) => Some(Rest::Exited),
        (StateName::Fatal | StateName::Failed, _) => Some(Rest::Fatal),
        // Of a job: whether its last run has succeeded.
        (StateName::Idle, _) => Some(if view.ready { Rest::Exited } else { Rest::Idle }),
        (StateName::Starting | StateName::Running | StateName::Unhealthy | StateName::Stopping, _) => None,
    }
}

/// A run whose program the configuration has no longer.
fn stop_unknown(run: &RunEntry) {
    let pid = Pid::from_raw(run.main.pid);
    if process::is_child(pid) && process::signal_number(pid, run.stop.signal).is_ok() {
        let _ = process::signal_number(pid, Signal::CONT);
        warn!("a program that the configuration has no longer (pid {pid}) got {}", run.stop.signal);
    }
}
