//! Children that have ended: reaped all at once, then reported.
//!
//! One SIGCHLD may stand for thousands (signal(7)), so every call reaps until nothing is left. What is not in the table
//! of children was an orphan: it is reaped and not mentioned.

use foster_core::event::{Event, Leftovers, Persistence, StartFailure};
use foster_core::ids::{Exit, KilledBy, Run, Signal};
use foster_core::spec::KillMode;
use nix::unistd::Pid;

use super::children::{Ended, Role};
use super::start::helper_output;
use super::{Init, report};
use crate::sys::process;

impl Init {
    pub(super) fn reap(&mut self) {
        let mut mains: Vec<(Run, Pid, Exit)> = Vec::new();
        // The kernel's counter is looked at once for the whole batch, also where only an orphan was killed: else an
        // old kill of a worker would be blamed for a later signal 9.
        let mut check = OomCheck::NotYet;
        while let Some(reaped) = process::reap() {
            let Some(child) = self.processes.children.remove(reaped.pid) else {
                self.killed_by(reaped.exit, KilledBy::Unknown, &mut check);
                log::trace!("reaped the orphan {}", reaped.pid);
                continue;
            };
            let exit = self.killed_by(reaped.exit, child.killed_by, &mut check);
            let Ended { role, was_told_to_stop, start, .. } = child;
            match start {
                // It could not be started: its exit status says nothing more.
                Some(how @ Err(_)) => {
                    self.started(role, how);
                    continue;
                }
                Some(how @ Ok(())) => self.started(role, how),
                None => {}
            }
            match role {
                Role::Main(run) => mains.push((run, reaped.pid, exit)),
                Role::PreStart(run) => self.pre_start_ended(run, exit, was_told_to_stop),
                Role::PreStop(run) => {
                    self.output.ended(helper_output(run));
                    if exit != Exit::Code(0) {
                        log::warn!("{}: its pre_stop {exit}", report::label(&self.plan, run.instance));
                    }
                    self.core.push(Event::PreStopEnded(run));
                }
                Role::Probe(run, which) => {
                    let answer = self.probes.ended((run, which), reaped.exit);
                    self.core.push(Event::Probed(run, which, answer));
                }
                Role::Detached => {}
            }
        }
        if !mains.is_empty() {
            self.report_exits(&mains);
        }
        self.see_whether_rest_is_gone();
    }

    fn report_exits(&mut self, mains: &[(Run, Pid, Exit)]) {
        let sessions = mains.iter().filter(|(run, ..)| self.kill_mode(*run) != KillMode::Process);
        let sessions: Vec<(Run, Pid)> = sessions.map(|(run, pid, _)| (*run, *pid)).collect();
        let left = self.processes.sessions.left_behind(&sessions, &self.processes.children);
        for (run, _, exit) in mains {
            // Its last output is read now, so that it stands before the line about its end.
            self.output.ended(*run);
            let left = if left.contains(run) { Leftovers::Some } else { Leftovers::None };
            if left == Leftovers::None {
                self.processes.children.forget_run(*run);
            }
            self.core.push(Event::Exited { run: *run, exit: *exit, left });
        }
    }

    /// The `pre_start` of a run has ended: the program follows, unless that failed or the run is being stopped.
    fn pre_start_ended(&mut self, run: Run, exit: Exit, was_told_to_stop: bool) {
        self.output.ended(helper_output(run));
        if was_told_to_stop {
            self.output.abandon(run);
            self.processes.children.forget_run(run);
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

    /// Completes an exit by what sent the signal: foster, the kernel for want of memory, or something unknown.
    fn killed_by(&mut self, exit: Exit, known: KilledBy, check: &mut OomCheck) -> Exit {
        let Exit::Killed { signal: Signal::KILL, by: _ } = exit else { return exit };
        if known != KilledBy::Unknown {
            return Exit::Killed { signal: Signal::KILL, by: known };
        }
        if *check == OomCheck::NotYet {
            *check = if self.processes.oom.has_increased() { OomCheck::OutOfMemory } else { OomCheck::Other };
        }
        match check {
            OomCheck::OutOfMemory => Exit::Killed { signal: Signal::KILL, by: KilledBy::OutOfMemory },
            OomCheck::Other | OomCheck::NotYet => exit,
        }
    }

    pub(super) fn see_whether_rest_is_gone(&mut self) {
        if self.processes.rest.is_gone(&self.processes.children) {
            self.core.push(Event::SweepDone);
        }
    }
}

/// Whether the kernel has killed for want of memory, looked up at most once a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OomCheck {
    NotYet,
    OutOfMemory,
    Other,
}
