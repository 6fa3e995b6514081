//! Reaps exited children, then reports them to the core.
//!
//! One SIGCHLD may stand for thousands of exits (signal(7)), so every call reaps until no zombie is left. A pid that is
//! not in the table of children was an orphan; it is not reported. `tree.rs` finds the remaining processes of a run.
use foster_core::action::StateName;
use foster_core::event::{Event, Leftovers, Persistence, StartFailure};
use foster_core::ids::{Exit, KilledBy, Run, Signal};
use foster_core::sorted::SortedSet;

use super::Init;
use super::children::{Ended, Role};
use super::groups::Left;
use super::processes::Processes;
use super::remedies::{AT_ONCE, FOREGROUND};
use super::start::helper_output;
use super::tree::ROUNDS;
use crate::sys::fork::ChildProcess;
use crate::sys::process;

/// The processes that were reaped in one call.
#[derive(Debug)]
struct Batch {
    mains: Vec<(Run, ChildProcess, Exit)>,
    /// The runs of which a process has exited.
    ended: SortedSet<Run>,
    has_orphans: bool,
    /// The end of the trial of an update.
    trial: Option<Exit>,
    /// The kernel's counter is read once for the whole batch, also if only an orphan was killed: otherwise an earlier
    /// out-of-memory kill would be blamed for a later SIGKILL.
    check: OomCheck,
}

impl Init {
    pub(super) fn reap(&mut self) {
        let (mains, ended) = (Vec::new(), SortedSet::new());
        let mut batch = Batch { mains, ended, has_orphans: false, trial: None, check: OomCheck::NotYet };
        for _ in 0..ROUNDS {
            self.reap_ended(&mut batch);
            // An orphan causes no search if no run waits for adopted processes.
            let must_look = !batch.ended.is_empty() || batch.has_orphans && self.processes.trees.is_waiting();
            if !must_look || !self.processes.trees.look(&self.processes.children, &batch.ended) {
                break;
            }
        }
        self.report_exits(batch.mains);
        self.report_emptied();
        self.check_sweep();
        if batch.trial.is_some() {
            self.end_trial(batch.trial);
        }
    }

    fn reap_ended(&mut self, batch: &mut Batch) {
        while let Some(reaped) = process::reap() {
            let Some(child) = self.processes.children.remove(reaped.pid) else {
                self.killed_by(None, reaped.exit, KilledBy::Unknown, &mut batch.check);
                log::trace!("reaped the orphan {}", reaped.pid);
                batch.has_orphans = true;
                batch.ended.extend(self.processes.trees.reaped(reaped.pid));
                continue;
            };
            // Who looks at the counter of a run's group takes its answer: that is for the process whose end is the run's.
            let run = match child.role {
                Role::Main(run) | Role::PreStart(run) => Some(run),
                Role::PreStop(_)
                | Role::Probe(..)
                | Role::CancelledProbe(..)
                | Role::Taker(_)
                | Role::Trial
                | Role::Web
                | Role::Detached => None,
            };
            let exit = self.killed_by(run, reaped.exit, child.killed_by, &mut batch.check);
            let Ended { role, process, got_stop_signal, start, .. } = child;
            if let Role::CancelledProbe(instance, which) = role {
                // In a rolling restart two runs of the instance may wait.
                while let Some((run, which)) = self.probes.take_waiting(instance, which) {
                    self.probe(run, which);
                }
                continue;
            }
            match start {
                // The start failed: the exit status adds nothing.
                Some(how @ Err(_)) => {
                    self.started(role, how);
                    continue;
                }
                Some(how @ Ok(())) => self.started(role, how),
                None => {}
            }
            match role {
                Role::Main(run) => {
                    if got_stop_signal {
                        self.processes.inbound.set_successor(run, None);
                    }
                    batch.ended.insert(run);
                    batch.mains.push((run, process, exit));
                }
                Role::PreStart(run) => {
                    batch.ended.insert(run);
                    self.pre_start_ended(run, exit, got_stop_signal);
                }
                Role::PreStop(run) => {
                    self.output.ended(helper_output(run));
                    if exit != Exit::Code(0) {
                        log::warn!("{}: its pre_stop {exit}", self.plan.label(run.instance));
                    }
                    self.core.push(Event::PreStopEnded(run));
                }
                Role::Probe(run, which) => {
                    let answer = self.probes.ended((run, which), reaped.exit);
                    self.core.push(Event::Probed(run, which, answer));
                }
                Role::Taker(run) => self.processes.inbound.unblock(run),
                Role::Trial => batch.trial = Some(exit),
                Role::Web => self.web_ended(exit),
                Role::CancelledProbe(..) | Role::Detached => {}
            }
        }
    }

    fn report_exits(&mut self, mains: Vec<(Run, ChildProcess, Exit)>) {
        for (run, process, exit) in mains {
            let (pid, label) = (process.pid(), self.plan.label(run.instance));
            if let Some(successor) = self.processes.succeed(run, process) {
                log::info!("{label}: {exit} (pid {pid}); its main process is now pid {successor} (MAINPID)");
                self.note_run(run);
                continue;
            }
            // The last output is read now, so that it precedes the line about the exit.
            self.output.ended(run);
            let kill_mode = self.kill_mode(run);
            self.processes.trees.set_kill_mode(run, kill_mode);
            let left = self.processes.trees.left_by(run, &self.processes.children);
            self.report_background(run, exit, left);
            let left = match left {
                Left::Process(_) | Left::Unknown => {
                    self.note_left(run, exit);
                    Leftovers::Some
                }
                Left::Nothing => {
                    self.forget_run(run);
                    Leftovers::None
                }
            };
            self.core.push(Event::Exited { run, exit, left });
        }
    }

    /// Reports a program whose main process exited at once with success and left a process behind, with the remedy; only
    /// the first time in a row.
    fn report_background(&mut self, run: Run, exit: Exit, left: Left) {
        let at_once = self.core.supervisor.snapshot().run(run).is_some_and(|view| {
            matches!(view.state, StateName::Starting | StateName::Running)
                && view.live.is_some_and(|live| self.core.now.since(live.since) < AT_ONCE)
        });
        let is_in_background = left != Left::Nothing && exit == Exit::Code(0) && at_once;
        if self.processes.trees.note_background(run.instance, is_in_background)
            && let Left::Process(pid) = left
        {
            let name = self.plan.label(run.instance);
            log::warn!("{name}: went into the background (pid {pid} is still running): {FOREGROUND}");
        }
    }

    /// Reports the runs of which no process is left.
    pub(super) fn report_emptied(&mut self) {
        for run in self.processes.trees.take_emptied(&self.processes.children) {
            self.forget_run(run);
            self.core.push(Event::TreeEmptied(run));
        }
    }

    /// Handles the exit of a run's `pre_start`: starts the program, unless `pre_start` failed or the run is being stopped.
    fn pre_start_ended(&mut self, run: Run, exit: Exit, got_stop_signal: bool) {
        self.output.ended(helper_output(run));
        if got_stop_signal {
            self.output.abandon(run);
            self.forget_run(run);
            return self.core.push(Event::Exited { run, exit, left: Leftovers::None });
        }
        let result = match exit {
            Exit::Code(0) => self.start_program(run),
            Exit::Code(_) | Exit::Killed { .. } => {
                let command =
                    self.processes.children.definition(run).and_then(|program| program.pre_start.clone());
                let command = shell_words::join(command.unwrap_or_default());
                let message = format!("its pre_start `{command}` {exit}");
                Err(StartFailure { stage: "pre_start", persistence: Persistence::Transient, message })
            }
        };
        if let Err(failure) = result {
            self.start_failed(run, failure);
        }
    }

    /// Adds the sender of the signal to an exit: foster, the kernel's out-of-memory killer, or unknown.
    fn killed_by(&mut self, run: Option<Run>, exit: Exit, known: KilledBy, check: &mut OomCheck) -> Exit {
        let Exit::Killed { signal: Signal::KILL, by: _ } = exit else { return exit };
        if known != KilledBy::Unknown {
            return Exit::Killed { signal: Signal::KILL, by: known };
        }
        if *check == OomCheck::NotYet {
            *check = if self.processes.oom.has_increased() { OomCheck::OutOfMemory } else { OomCheck::Other };
        }
        // The counter of the program's group is exact.
        let is_own = run.and_then(|run| self.was_out_of_memory(run));
        match is_own.unwrap_or(*check == OomCheck::OutOfMemory) {
            true => Exit::Killed { signal: Signal::KILL, by: KilledBy::OutOfMemory },
            false => exit,
        }
    }

    pub(super) fn check_sweep(&mut self) {
        let Processes { sweep, trees, children, .. } = &mut self.processes;
        if sweep.is_done(trees, children) {
            self.core.push(Event::SweepDone);
        }
    }
}

/// Whether the out-of-memory killer was active, checked at most once per batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OomCheck {
    NotYet,
    OutOfMemory,
    Other,
}
