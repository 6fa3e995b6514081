//! What happens to signals nobody waits for: sigaction(2).
#![allow(unsafe_code, reason = "sigaction(2) takes pointers")]

use foster_core::ids::Signal;

/// Gives these their default disposition, and ignores every other signal that can be ignored but the faults: what
/// was ignored when foster was started must not stay so. (A child whose SIGCHLD is ignored could not be waited for.)
pub fn ignore_all_but(caught: &[Signal]) {
    for number in 1..=libc::SIGRTMAX() {
        let among = |signals: &[Signal]| signals.iter().any(|signal| signal.number() == number);
        // Faults of foster itself: ignoring them would only hide what cannot go on.
        if among(&Signal::FAULTS) {
            continue;
        }
        let disposition = if among(caught) { libc::SIG_DFL } else { libc::SIG_IGN };
        // SAFETY: both are valid for any number; EINVAL for KILL, STOP and glibc's own is harmless.
        unsafe { libc::signal(number, disposition) };
    }
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
