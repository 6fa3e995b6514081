//! Signals to foster, read as events of the loop.
//!
//! Every signal except the fault signals is blocked from the first instruction on (`sys/signal.rs`) and read from a
//! descriptor ([`SignalFd`]), also if it has no effect: no signal is lost or ends foster, and one without an effect can be
//! logged. Fault signals such as SIGSEGV have a handler (`sys/fatal.rs`).

use foster_core::ids::Signal;
use foster_core::sorted::SortedSet;

use crate::sys::signal;
use crate::sys::signalfd::SignalFd;
use crate::sys::sigwait::SignalSet;

/// The source of signals.
#[derive(Debug)]
pub(super) struct Signals {
    arrived: SignalFd,
    /// The signals without an effect that were reported.
    ignored: SortedSet<Signal>,
}

impl Signals {
    /// Reads every signal except the fault signals and PIPE, because write(2) reports a pipe without a reader.
    ///
    /// # Errors
    /// signalfd(2): EMFILE, ENFILE, ENOMEM.
    pub(super) fn catch() -> nix::Result<Signals> {
        signal::block_all_but_faults();
        // After blocking, so that none is lost in between. Children would inherit ignored signals, and with CHLD ignored
        // foster could not read their exit status.
        signal::reset_dispositions();
        let wanted = SignalSet::ALL.without(SignalSet::of(&Signal::FAULTS));
        let arrived = SignalFd::new(wanted.without(SignalSet::of(&[Signal::PIPE])))?;
        Ok(Signals { arrived, ignored: SortedSet::new() })
    }

    /// Whether this signal without an effect must be reported, which happens once.
    pub(super) fn is_news(&mut self, signal: Signal) -> bool {
        self.ignored.insert(signal)
    }

    /// The descriptor to watch.
    pub(super) fn fd(&self) -> &SignalFd {
        &self.arrived
    }

    /// Returns the signals since the last call, each at most once.
    pub(super) fn take(&mut self) -> Vec<Signal> {
        self.arrived.take()
    }
}
