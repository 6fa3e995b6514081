//! What is left after the programs: orphans and daemons, and as PID 1 also what `docker exec` brought in.
//!
//! As the init of a PID namespace foster is alone responsible for it: everything in it is told to go. As a
//! subreaper only what it adopted is its own, and nothing else is ever signalled.

use std::rc::Rc;

use foster_core::ids::Signal;
use nix::unistd::Pid;

use super::children::Children;
use crate::sys::epoll::{Epoll, Interest, Owner, Token};
use crate::sys::procfs::{self, Member};
use crate::sys::{pidfd, process};

/// Who foster is to the processes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// The init of its PID namespace.
    Init,
    /// A subreaper under another init.
    Subreaper,
}

/// The last sweep.
#[derive(Debug)]
pub(super) struct Rest {
    epoll: Rc<Epoll>,
    owner: Owner,
    standing: Standing,
    watched: Vec<Member>,
    begun: Option<Signal>,
}

impl Rest {
    /// Nothing is swept yet.
    pub(super) fn new(epoll: Rc<Epoll>, owner: Owner, standing: Standing) -> Rest {
        Rest { epoll, owner, standing, watched: Vec::new(), begun: None }
    }

    /// What foster is to the processes around it.
    pub(super) fn standing(&self) -> Standing {
        self.standing
    }

    /// Signals all that is left.
    pub(super) fn signal(&mut self, signal: Signal, children: &Children) {
        self.begun = Some(signal);
        match self.standing {
            Standing::Init => {
                // ESRCH: there is nobody. A process that stopped itself (^Z) has to wake up to obey.
                let _ = process::kill_all(signal);
                if let Some(wake) = Signal::new(libc::SIGCONT) {
                    let _ = process::kill_all(wake);
                }
            }
            Standing::Subreaper => {
                for pid in procfs::children().unwrap_or_default() {
                    if !children.contains(pid) {
                        signal_adopted(pid, signal);
                    }
                }
            }
        }
    }

    /// Whether the sweep has begun and nothing is left of what it is for. Whatever is left that is not
    /// foster's child, and so cannot be reaped, is watched from now on.
    pub(super) fn is_gone(&mut self, children: &Children) -> bool {
        let Some(signal) = self.begun else { return false };
        match self.standing {
            Standing::Subreaper => {
                let adopted: Vec<Pid> = procfs::children()
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|pid| !children.contains(*pid))
                    .collect();
                // Who lost its parent by this sweep has come to foster only now, and has not been told.
                for pid in &adopted {
                    signal_adopted(*pid, signal);
                }
                adopted.is_empty()
            }
            Standing::Init => {
                if process::has_children() {
                    return false;
                }
                for member in self.watched.drain(..) {
                    let _ = self.epoll.remove(&member.pidfd);
                }
                self.watched = procfs::others().unwrap_or_default();
                for member in &self.watched {
                    let token = Token { owner: self.owner, key: 0 };
                    let _ = self.epoll.add(&member.pidfd, token, Interest::Read);
                }
                self.watched.is_empty()
            }
        }
    }
}

/// Signals a process that is foster's child: its number cannot be another's until foster reaps it.
fn signal_adopted(pid: Pid, signal: Signal) {
    if let Ok(pidfd) = pidfd::open(pid) {
        // It may have ended: then it is a zombie, and the signal is for nobody.
        let _ = pidfd::send(&pidfd, signal);
    }
}
