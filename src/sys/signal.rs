//! The mask and the dispositions of signals: sigprocmask(2), sigaction(2).
//!
//! foster has no handler. It blocks signals and reads them ([`crate::sys::signalfd`], [`crate::sys::sigwait`]).
#![allow(unsafe_code, reason = "sigaction(2) takes pointers")]

use foster_core::ids::Signal;

use crate::sys::sigwait::{self, SignalSet};

/// The last signal's number (signal(7)).
const LAST: i32 = 64;

/// Blocks every signal except the fault signals, with which the kernel ends foster, blocked or not. Returns the previous
/// mask. From here on no signal is lost: the kernel keeps a blocked signal until it is read, also for PID 1 and also if
/// it is ignored.
pub fn block_all_but_faults() -> SignalSet {
    sigwait::block(SignalSet::ALL.without(SignalSet::of(&Signal::FAULTS)))
}

/// Sets every signal to its default disposition. Signals that foster's parent ignored must not stay ignored: with CHLD
/// ignored foster cannot wait for children (wait(2)), and programs would inherit the others.
pub fn reset_dispositions() {
    (1..=LAST).filter_map(Signal::new).for_each(|signal| {
        stop_ignoring(signal);
    });
}

/// Sets this signal to its default disposition: sigaction(2). Returns whether it was ignored.
pub fn stop_ignoring(signal: Signal) -> bool {
    set_disposition(signal, DEFAULT) == IGNORE
}

/// Ignores this signal, also after exec: sigaction(2).
pub fn ignore(signal: Signal) {
    set_disposition(signal, IGNORE);
}

/// Values of the first word of the kernel's `struct sigaction`.
const DEFAULT: u64 = 0;
const IGNORE: u64 = 1;
/// The size of the kernel's mask of 64 signals, in bytes.
const MASK_SIZE: usize = 8;

/// Returns the previous disposition. A raw system call, because the C library refuses the two signals that it reserves,
/// and a program would inherit their disposition.
fn set_disposition(signal: Signal, disposition: u64) -> u64 {
    // The kernel's `struct sigaction` has at most four words on every architecture: no flags, an empty mask.
    let (new, mut old) = ([disposition, 0, 0, 0], [0_u64; 4]);
    // SAFETY: both arrays are at least as large as the kernel's structure, and the mask's size is passed. Neither
    // disposition runs code. EINVAL for KILL and STOP is harmless.
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signal.number(), new.as_ptr(), old.as_mut_ptr(), MASK_SIZE)
    };
    old.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::isolated::alone;
    use std::fs;

    #[test]
    fn every_signal_but_the_faults_is_blocked_and_none_stays_ignored() {
        if alone("sys::signal::tests::every_signal_but_the_faults_is_blocked_and_none_stays_ignored")
            .is_some()
        {
            return;
        }
        ignore(Signal::TERM);
        assert!(stop_ignoring(Signal::TERM) && !stop_ignoring(Signal::TERM));
        ignore(Signal::CHLD);
        assert_eq!(block_all_but_faults(), SignalSet::NONE);
        reset_dispositions();
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        let set =
            |key| status.lines().find_map(|line: &str| line.strip_prefix(key)).unwrap().trim().to_owned();
        // All 64 but KILL and STOP, which cannot be blocked, and ILL, TRAP, ABRT, BUS, FPE, SEGV and SYS.
        assert_eq!(set("SigBlk:"), "ffffffffbffbfa07");
        assert_eq!(set("SigIgn:"), "0000000000000000");
    }
}
