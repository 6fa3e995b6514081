//! What happens to signals nobody waits for: sigaction(2), sigprocmask(2).
#![allow(unsafe_code, reason = "sigaction(2) and sigprocmask(2) take pointers")]

use std::ptr;

use foster_core::ids::Signal;

/// Ignores every signal that can be ignored but these and the faults, and unblocks all: what was blocked or ignored
/// when foster was started must not stay so.
pub fn ignore_all_but(caught: &[Signal]) {
    for number in 1..=libc::SIGRTMAX() {
        let among = |signals: &[Signal]| signals.iter().any(|signal| signal.number() == number);
        // Faults of foster itself: ignoring them would only hide what cannot go on.
        if !among(caught) && !among(&Signal::FAULTS) {
            // SAFETY: SIG_IGN is a valid disposition for any number; EINVAL for KILL, STOP and glibc's own is harmless.
            unsafe { libc::signal(number, libc::SIG_IGN) };
        }
    }
    let none = 0u64;
    let how = libc::SIG_SETMASK;
    // SAFETY: the new mask is of the 8 bytes the kernel is told of, and the old one is not asked for.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const none, ptr::null_mut::<u64>(), 8usize) };
}

/// Gives this signal its default disposition: sigaction(2). `true`: it was ignored until now.
pub fn stop_ignoring(signal: Signal) -> bool {
    // SAFETY: SIG_DFL is a valid disposition for any number, and runs no code of ours.
    let before = unsafe { libc::signal(signal.number(), libc::SIG_DFL) };
    before == libc::SIG_IGN
}

/// Ignores this signal: sigaction(2).
pub fn ignore(signal: Signal) {
    // SAFETY: SIG_IGN is a valid disposition for any number, and runs no code of ours.
    unsafe { libc::signal(signal.number(), libc::SIG_IGN) };
}
