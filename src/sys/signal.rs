//! What happens to signals nobody waits for: sigaction(2), sigprocmask(2).
#![allow(unsafe_code, reason = "sigaction(2) and sigprocmask(2) take pointers")]

use std::ffi::c_int;
use std::ptr;

use foster_core::ids::Signal;

/// Faults of the process itself: ignoring them would only hide what cannot go on.
const FAULTS: [c_int; 7] =
    [libc::SIGSEGV, libc::SIGILL, libc::SIGFPE, libc::SIGBUS, libc::SIGABRT, libc::SIGTRAP, libc::SIGSYS];

/// Ignores every signal that can be ignored but these and the faults, and unblocks all: what was blocked or ignored
/// when foster was started must not stay so.
pub fn ignore_all_but(caught: &[Signal]) {
    for number in 1..=libc::SIGRTMAX() {
        let is_caught = caught.iter().any(|signal| signal.number() == number);
        if !is_caught && !FAULTS.contains(&number) {
            // SAFETY: SIG_IGN is a valid disposition for any number; EINVAL for KILL, STOP and glibc's own is harmless.
            unsafe { libc::signal(number, libc::SIG_IGN) };
        }
    }
    let none = 0u64;
    let how = libc::SIG_SETMASK;
    // SAFETY: the new mask is of the 8 bytes the kernel is told of, and the old one is not asked for.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const none, ptr::null_mut::<u64>(), 8usize) };
}
