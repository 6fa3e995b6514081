//! What happens to signals before they are read: sigprocmask(2), sigaction(2).
//!
//! foster has no handler. It blocks signals and reads them ([`crate::sys::signalfd`], [`crate::sys::sigwait`]).
#![allow(unsafe_code, reason = "sigaction(2) takes pointers")]

use foster_core::ids::Signal;

use crate::sys::sigwait::{self, SignalSet};

/// The last signal's number (signal(7)).
const LAST: i32 = 64;

/// Blocks every signal but the faults, which keep their default: the kernel ends foster by them, blocked or not. Returns what was blocked before. From here on no signal is lost: the kernel keeps a blocked one until it is
/// read, also one to PID 1 and one that is ignored.
pub fn block_all_but_faults() -> SignalSet {
    sigwait::block(SignalSet::ALL.without(SignalSet::of(&Signal::FAULTS)))
}

/// Gives every signal its default disposition: what was ignored when foster was started must not stay so, neither here
/// (a child whose CHLD is ignored cannot be waited for) nor in the programs, which inherit it.
pub fn reset_dispositions() {
    (1..=LAST).filter_map(Signal::new).for_each(|signal| {
        stop_ignoring(signal);
    });
}

/// Gives this signal its default disposition: sigaction(2). `true`: it was ignored until now.
pub fn stop_ignoring(signal: Signal) -> bool {
    set_disposition(signal, DEFAULT) == IGNORE
}

/// Ignores this signal: sigaction(2). That survives exec.
pub fn ignore(signal: Signal) {
    set_disposition(signal, IGNORE);
}

/// What stands in the first word of the kernel's `struct sigaction`.
const DEFAULT: u64 = 0;
const IGNORE: u64 = 1;
/// The kernel's mask of 64 signals, in bytes.
const MASK_SIZE: usize = 8;

/// Returns the disposition before. By the system call itself: the C library refuses the two signals that it keeps for
/// itself, and a program would inherit them as they were.
fn set_disposition(signal: Signal, disposition: u64) -> u64 {
    // The kernel's `struct sigaction` has four words at most on every architecture: no flags, no signal masked.
    let (new, mut old) = ([disposition, 0, 0, 0], [0_u64; 4]);
    // SAFETY: both are at least as large as what the kernel reads and writes; it is given the mask's size. Neither
    // disposition runs code of ours. EINVAL for KILL and STOP is harmless.
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
    fn every_signal_but_the_faults_is_kept_and_none_stays_ignored() {
        if alone("sys::signal::tests::every_signal_but_the_faults_is_kept_and_none_stays_ignored").is_some() {
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
