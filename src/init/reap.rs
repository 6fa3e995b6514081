//! Children that have ended: reaped all at once, then told to whom it concerns.
//!
//! One SIGCHLD may stand for thousands (signal(7)), so every call reaps until nothing is left. What is not in
//! the table of children was an orphan: it is reaped and not mentioned.

use foster_core::event::{Event, Session};
use foster_core::ids::{Exit, Killer, Run, Signal};
use nix::unistd::Pid;

use super::children::{KilledBy, Role};
use super::perform::voice;
use super::{Init, report};
use crate::sys::process;

impl Init {
    pub(super) fn reap(&mut self) {
        let mut mains: Vec<(Run, Pid, Exit)> = Vec::new();
        // The kernel's counter is looked at once for the whole batch, also where only an orphan was killed: else an
        // old kill of a worker would be blamed for a later signal 9.
        let mut memory = Lookup::NotYet;
        while let Some(reaped) = process::reap() {
            let child = self.children.remove(reaped.pid);
            let exit = match child {
                Some((_, KilledBy::Foster)) => reaped.exit,
                Some((_, KilledBy::Others)) | None => self.killer(reaped.exit, &mut memory),
            };
            match child {
                Some((Role::Main(run), _)) => mains.push((run, reaped.pid, exit)),
                Some((Role::PreStop(run), _)) => {
                    self.output.ended(voice(run));
                    if exit != Exit::Code(0) {
                        log::warn!("pre_stop of {} {exit}", report::label(&self.plan, run.instance));
                    }
                    self.events.push_back(Event::PreStopEnded(run));
                }
                Some((Role::Question(run), _)) => {
                    let answer = self.probes.ended(run, reaped.exit);
                    self.events.push_back(Event::Probed(run, answer));
                }
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
    fn killer(&mut self, exit: Exit, memory: &mut Lookup) -> Exit {
        let Exit::Killed { signal: Signal::KILL, by: _ } = exit else { return exit };
        if *memory == Lookup::NotYet {
            *memory = if self.oom.moved() { Lookup::Kernel } else { Lookup::Somebody };
        }
        match memory {
            Lookup::Kernel => Exit::Killed { signal: Signal::KILL, by: Killer::OutOfMemory },
            Lookup::Somebody | Lookup::NotYet => exit,
        }
    }

    pub(super) fn see_whether_rest_is_gone(&mut self) {
        if self.rest.is_gone(&self.children) {
            self.events.push_back(Event::SweepDone);
        }
    }
}

/// Who killed, according to the kernel's counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lookup {
    NotYet,
    Kernel,
    Somebody,
}
