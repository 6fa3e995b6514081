//! The sweep at the shutdown: stops the processes that are left after the programs, such as orphans, daemons, and as PID 1
//! also processes of `docker exec`.
//!
//! As the init of a PID namespace foster signals every process of it; as a subreaper only the processes that it adopted.
//! Each process gets TERM once, because many servers take a second TERM as "stop at once". Next: `tree.rs`.

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

/// The sweep at the shutdown.
#[derive(Debug)]
pub(super) struct Sweep {
    epoll: Rc<Epoll>,
    owner: Owner,
    role: InitRole,
    signal: Option<Signal>,
    /// As a subreaper: the processes that got the signal.
    reached: SortedSet<i32>,
    /// A process that is not foster's child, whose exit is awaited.
    watched: Option<OwnedFd>,
}

/// The most processes in a message.
const NAMED: usize = 10;

impl Sweep {
    /// A sweep that has not started.
    pub(super) fn new(epoll: Rc<Epoll>, owner: Owner, role: InitRole) -> Sweep {
        Sweep { epoll, owner, role, signal: None, reached: SortedSet::new(), watched: None }
    }

    /// The role of foster in its PID namespace.
    pub(super) fn role(&self) -> InitRole {
        self.role
    }

    /// Signals all remaining processes.
    pub(super) fn signal(&mut self, signal: Signal, trees: &mut Trees, children: &Children) {
        self.signal = Some(signal);
        self.reached = SortedSet::new();
        if signal == Signal::KILL {
            report_killed(&self.left(trees, children));
        }
        match self.role {
            InitRole::Init => {
                // ESRCH: there is none. A stopped process (^Z) must continue to handle the signal.
                let _ = process::kill_all(signal);
                let _ = process::kill_all(Signal::CONT);
            }
            InitRole::Subreaper | InitRole::Parent => {
                self.signal_adopted(signal, trees, children);
            }
        }
    }

    /// Whether the sweep has started and no process is left.
    pub(super) fn is_done(&mut self, trees: &mut Trees, children: &Children) -> bool {
        let Some(signal) = self.signal else { return false };
        match self.role {
            InitRole::Subreaper | InitRole::Parent => {
                // Processes that the sweep has orphaned are adopted only now.
                self.signal_adopted(signal, trees, children) == 0
            }
            InitRole::Init => !process::has_children() && !self.watch(),
        }
    }

    /// Signals the adopted processes that have not got the signal; returns the number of adopted processes.
    fn signal_adopted(&mut self, signal: Signal, trees: &mut Trees, children: &Children) -> usize {
        let adopted = trees.adopted(children);
        let numbers = adopted.iter().map(|pid| pid.as_raw());
        self.reached = numbers.filter(|pid| self.reached.contains(pid)).collect();
        for pid in &adopted {
            if self.reached.insert(pid.as_raw()) {
                // It may have exited; EPERM is reported by the KILL that follows.
                let _ = process::signal_number(*pid, signal);
                let _ = process::signal_number(*pid, Signal::CONT);
            }
        }
        adopted.len()
    }

    /// Watches one process of the namespace that is not foster's child; returns whether there is one.
    fn watch(&mut self) -> bool {
        if let Some(ended) = self.watched.take() {
            // Closing the descriptor would remove the registration as well.
            let _ = self.epoll.remove(&ended);
        }
        if process::is_anything_left() != Some(true) {
            return false;
        }
        // Who cannot look knows only that something is left; it gets KILL at the deadline.
        let Ok(found) = procfs::others(|_| false) else { return true };
        let Some(pidfd) = found.iter().find_map(|process| pidfd::open(process.pid).ok()) else {
            // Zombies of a parent outside do not count. Processes that cannot be watched get KILL at the deadline.
            return !found.is_empty();
        };
        let token = Token { owner: self.owner, key: 0 };
        let is_watched = self.epoll.add(&pidfd, token, Interest::Read).is_ok();
        self.watched = is_watched.then_some(pidfd);
        true
    }

    /// The remaining running processes.
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
