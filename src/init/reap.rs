//! Children that have ended: reaped all at once, then told to whom it concerns.
//!
//! One SIGCHLD may stand for thousands (signal(7)), so every call reaps until nothing is left. What is not in
//! the table of children was an orphan: it is reaped and not mentioned.

use foster_core::event::{Event, ProbeResult, Session};
use foster_core::ids::{Exit, Killer, Run, Signal};
use nix::unistd::Pid;

use super::Init;
use super::children::{KilledBy, Role};
use crate::sys::process;

impl Init {
    pub(super) fn reap(&mut self) {
        let mut mains: Vec<(Run, Pid, Exit)> = Vec::new();
        while let Some(reaped) = process::reap() {
            match self.children.remove(reaped.pid) {
                Some((Role::Main(run), killed_by)) => {
                    mains.push((run, reaped.pid, self.killer(reaped.exit, killed_by)));
                }
                Some((Role::PreStop(run), _)) => self.events.push_back(Event::PreStopEnded(run)),
                Some((Role::Question(run), _)) => self.events.push_back(Event::Probed(run, verdict(reaped.exit))),
                Some((Role::Forgotten, _)) => {}
                None => log::trace!("reaped the orphan {}", reaped.pid),
            }
        }
        if !mains.is_empty() {
            self.tell_of(&mains);
        }
        self.see_whether_rest_is_gone();
    }

    fn tell_of(&mut self, mains: &[(Run, Pid, Exit)]) {
        let sessions: Vec<(Run, Pid)> = mains.iter().map(|(run, pid, _)| (*run, *pid)).collect();
        let left = self.sessions.left_behind(&sessions, &self.children);
        for (run, _, exit) in mains {
            // Its last words are read now, so that they stand before what is said about its end.
            self.output.ended(*run);
            let session = if left.contains(run) { Session::Lives } else { Session::Empty };
            self.events.push_back(Event::Exited { run: *run, exit: *exit, session });
        }
    }

    /// Whether a KILL that foster did not send was the kernel's, for want of memory.
    fn killer(&mut self, exit: Exit, killed_by: KilledBy) -> Exit {
        match (exit, killed_by) {
            (Exit::Killed { signal: Signal::KILL, by: _ }, KilledBy::Others) if self.oom.moved() => {
                Exit::Killed { signal: Signal::KILL, by: Killer::OutOfMemory }
            }
            (Exit::Code(_) | Exit::Killed { .. }, KilledBy::Others | KilledBy::Foster) => exit,
        }
    }

    pub(super) fn see_whether_rest_is_gone(&mut self) {
        if self.rest.is_gone(&self.children) {
            self.events.push_back(Event::RestGone);
        }
    }
}

fn verdict(exit: Exit) -> ProbeResult {
    match exit {
        Exit::Code(0) => ProbeResult::Passed,
        Exit::Code(_) | Exit::Killed { .. } => ProbeResult::Failed(format!("the command {exit}")),
    }
}
