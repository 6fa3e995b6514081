//! Signals to foster: they wake the loop and are then events like any other.
//!
//! Every signal but the faults is blocked from the first instruction on (`sys/signal.rs`) and read from a descriptor that
//! epoll watches ([`SignalFd`]), whether it means something or not: none is lost, none ends foster, and one that means
//! nothing can be logged. Faults (SIGSEGV and its like) keep their default: what follows a fault cannot be trusted.

use foster_core::ids::Signal;
use foster_core::sorted::SortedSet;

use crate::sys::signal;
use crate::sys::signalfd::SignalFd;
use crate::sys::sigwait::SignalSet;

/// The signals that have come.
#[derive(Debug)]
pub(super) struct Signals {
    arrived: SignalFd,
    /// Those that mean nothing here, and were reported.
    ignored: SortedSet<Signal>,
}

impl Signals {
    /// Catches every signal that can be caught, but the faults and PIPE: a write to a pipe without a reader says so
    /// itself.
    ///
    /// # Errors
    /// signalfd(2): EMFILE, ENFILE, ENOMEM.
    pub(super) fn catch() -> nix::Result<Signals> {
        signal::block_all_but_faults();
        // After the block, so that none is lost in between. What foster inherited as ignored would stay so in its
        // children, and an ignored CHLD takes their exit status away.
        signal::reset_dispositions();
        let wanted = SignalSet::ALL.without(SignalSet::of(&Signal::FAULTS));
        let arrived = SignalFd::new(wanted.without(SignalSet::of(&[Signal::PIPE])))?;
        Ok(Signals { arrived, ignored: SortedSet::new() })
    }

    /// Whether this signal, which means nothing here, has to be reported: once.
    pub(super) fn is_news(&mut self, signal: Signal) -> bool {
        self.ignored.insert(signal)
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
