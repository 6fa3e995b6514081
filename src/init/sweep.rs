//! The last sweep: what is left after the programs. Orphans and daemons, and as PID 1 also what `docker exec` brought in.
//!
//! As the init of a PID namespace foster answers for all of it. As a subreaper only what it adopted is its own, and
//! nothing else is ever signalled. TERM comes once: a second one means "at once" to many servers. Next: `tree.rs`.

use std::fmt::Write;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use foster_core::ids::Signal;
use foster_core::sorted::SortedSet;
use log::warn;
use nix::unistd::Pid;

use super::children::Children;
use super::pid1::InitRole;
use super::tree::{Trees, named};
use crate::sys::epoll::{Epoll, Interest, Owner, Token};
use crate::sys::procfs::{self, Life};
use crate::sys::{pidfd, process};

/// The last sweep.
#[derive(Debug)]
pub(super) struct Sweep {
    epoll: Rc<Epoll>,
    owner: Owner,
    role: InitRole,
    signal: Option<Signal>,
    /// What got the signal, under a subreaper.
    reached: SortedSet<i32>,
    /// A process that is not foster's child, whose end is waited for.
    watched: Option<OwnedFd>,
}

/// How many processes a message names.
const NAMED: usize = 10;

impl Sweep {
    /// Nothing is swept yet.
    pub(super) fn new(epoll: Rc<Epoll>, owner: Owner, role: InitRole) -> Sweep {
        Sweep { epoll, owner, role, signal: None, reached: SortedSet::new(), watched: None }
    }

    /// What foster is to the processes around it.
    pub(super) fn role(&self) -> InitRole {
        self.role
    }

    /// Signals all that is left.
    pub(super) fn signal(&mut self, signal: Signal, trees: &mut Trees, children: &Children) {
        self.signal = Some(signal);
        self.reached = SortedSet::new();
        if signal == Signal::KILL {
            report_killed(&self.left(trees, children));
        }
        match self.role {
            InitRole::Init => {
                // ESRCH: there is nothing. A process that was stopped (^Z) has to continue to obey.
                let _ = process::kill_all(signal);
                let _ = process::kill_all(Signal::CONT);
            }
            InitRole::Subreaper | InitRole::Parent => {
                self.signal_adopted(signal, trees, children);
            }
        }
    }

    /// Whether the sweep has begun and nothing is left of what it is for.
    pub(super) fn is_done(&mut self, trees: &mut Trees, children: &Children) -> bool {
        let Some(signal) = self.signal else { return false };
        match self.role {
            InitRole::Subreaper | InitRole::Parent => {
                // What lost its parent by this sweep has come to foster only now.
                self.signal_adopted(signal, trees, children) == 0
            }
            InitRole::Init => !process::has_children() && !self.watch(),
        }
    }

    /// Signals what was adopted and has not got it. How many there are.
    fn signal_adopted(&mut self, signal: Signal, trees: &mut Trees, children: &Children) -> usize {
        let adopted = trees.adopted(children);
        let numbers = adopted.iter().map(|pid| pid.as_raw());
        self.reached = numbers.filter(|pid| self.reached.contains(pid)).collect();
        for pid in &adopted {
            if self.reached.insert(pid.as_raw()) {
                // It may have ended; EPERM is met by the kill that follows, and named.
                let _ = process::signal_number(*pid, signal);
                let _ = process::signal_number(*pid, Signal::CONT);
            }
        }
        adopted.len()
    }

    /// Watches one process of the namespace that is not foster's child. Whether there is one.
    fn watch(&mut self) -> bool {
        if let Some(ended) = self.watched.take() {
            // It was watched until now; closing it would do the same.
            let _ = self.epoll.remove(&ended);
        }
        if process::is_anything_left() != Some(true) {
            return false;
        }
        let found = procfs::others(|_| false).unwrap_or_default();
        let Some(pidfd) = found.iter().find_map(|process| pidfd::open(process.pid).ok()) else {
            // Zombies of a parent outside are nothing. What cannot be seen or watched has its time, and KILL.
            return !found.is_empty() || !procfs::shows_own_namespace();
        };
        let token = Token { owner: self.owner, key: 0 };
        let is_watched = self.epoll.add(&pidfd, token, Interest::Read).is_ok();
        self.watched = is_watched.then_some(pidfd);
        true
    }

    /// What is left and lives.
    fn left(&self, trees: &mut Trees, children: &Children) -> Vec<Pid> {
        if self.role == InitRole::Init
            && let Ok(others) = procfs::others(|_| false)
        {
            return others.iter().map(|process| process.pid).collect();
        }
        let is_alive = |pid: &Pid| {
            procfs::process(*pid).ok().flatten().is_none_or(|process| process.life == Life::Alive)
        };
        trees.adopted(children).into_iter().filter(is_alive).collect()
    }
}

fn report_killed(left: &[Pid]) {
    if left.is_empty() {
        return;
    }
    let named: Vec<String> = left.iter().take(NAMED).map(|pid| named(*pid)).collect();
    let mut text = format!("killed at the end: {}", named.join(", "));
    if left.len() > NAMED {
        // Writing to a string cannot fail.
        let _ = write!(text, " and {} more", left.len() - NAMED);
    }
    warn!("{text}");
}
