//! Signals to foster: they wake the loop and are then events like any other.
//!
//! Only signals that mean something are caught, and without a handler: they are blocked, and read from a descriptor
//! that epoll watches ([`SignalFd`]). All others are ignored, so that none can end foster and none wakes it; the
//! faults (SIGSEGV and its like) keep their default, since what follows a fault cannot be trusted.

use foster_core::ids::Signal;

use crate::sys::signal;
use crate::sys::signalfd::SignalFd;
use crate::sys::sigwait::{self, SignalSet};

/// What has to be caught whatever the configuration says.
const ALWAYS: [Signal; 8] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::RTMIN_PLUS_3,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::CHLD,
];

/// The signals that have come.
#[derive(Debug)]
pub(super) struct Signals {
    arrived: SignalFd,
    caught: Vec<Signal>,
}

impl Signals {
    /// Catches what always means something and what the configuration names; ignores the rest.
    ///
    /// # Errors
    /// signalfd(2): EMFILE, ENFILE, ENOMEM.
    pub(super) fn catch(configured: impl Iterator<Item = Signal>) -> nix::Result<Signals> {
        let caught: Vec<Signal> = ALWAYS.into_iter().chain(configured).collect();
        let set = SignalSet::of(&caught);
        // What was blocked when foster was started is let in; what means something is kept until it is read.
        sigwait::block(set);
        let arrived = SignalFd::new(set)?;
        signal::ignore_all_but(&caught);
        Ok(Signals { arrived, caught })
    }

    /// Catches these as well, from now on. What was caught once stays so: the core ignores what nobody names any
    /// more, and the wakeup is all it costs.
    ///
    /// # Errors
    /// signalfd(2): none that a valid descriptor can give.
    pub(super) fn catch_too(&mut self, configured: impl IntoIterator<Item = Signal>) -> nix::Result<()> {
        let known = self.caught.len();
        for signal in configured {
            if !self.caught.contains(&signal) {
                self.caught.push(signal);
            }
        }
        if self.caught.len() == known {
            return Ok(());
        }
        let set = SignalSet::of(&self.caught);
        // Blocked first: with its default disposition it would end foster.
        sigwait::block(set);
        signal::ignore_all_but(&self.caught);
        self.arrived.set(set)
    }

    /// What epoll has to watch.
    pub(super) fn fd(&self) -> &SignalFd {
        &self.arrived
    }

    /// The signals that came since the last call; one of a kind however often it came.
    pub(super) fn take(&mut self) -> Vec<Signal> {
        self.arrived.take()
    }
}
