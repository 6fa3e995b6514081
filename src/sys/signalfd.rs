//! Reads blocked signals from a descriptor: signalfd(2).
//!
//! No handler runs, so no system call is interrupted: a thousand exits at once are one report of epoll, one read, and one
//! wait4(2) for each child. Real-time signals are read like any other.
#![allow(unsafe_code, reason = "nix's wrapper does not support real-time signals")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use foster_core::ids::Signal;
use nix::errno::Errno;

use crate::sys::sigwait::SignalSet;

/// The descriptor that blocked signals are read from.
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

/// The most signals of one read. Of each signal at most one is pending, except for real-time signals.
const BATCH: usize = 16;

impl SignalFd {
    /// For these signals, which must be blocked.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENODEV, ENOMEM.
    pub fn new(signals: SignalSet) -> nix::Result<SignalFd> {
        let number = signalfd(-1, signals)?;
        // SAFETY: the kernel created this descriptor for this call, and nothing else owns it.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(number) }))
    }

    /// Changes the set of signals.
    ///
    /// # Errors
    /// None for a signalfd.
    pub fn set(&self, signals: SignalSet) -> nix::Result<()> {
        signalfd(self.0.as_raw_fd(), signals).map(drop)
    }

    /// Returns the pending signals, at most those of one read; if more are pending, epoll reports again.
    pub fn take(&self) -> Vec<Signal> {
        // SAFETY: a signalfd_siginfo of zeros is valid.
        let mut arrived: [libc::signalfd_siginfo; BATCH] = unsafe { std::mem::zeroed() };
        let size = size_of_val(&arrived);
        // SAFETY: the array is valid for writes of its size.
        let read = unsafe { libc::read(self.0.as_raw_fd(), arrived.as_mut_ptr().cast(), size) };
        let count = usize::try_from(read).unwrap_or_default() / size_of::<libc::signalfd_siginfo>();
        let number = |info: &libc::signalfd_siginfo| i32::try_from(info.ssi_signo).ok();
        arrived.iter().take(count).filter_map(number).filter_map(Signal::new).collect()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn signalfd(descriptor: i32, signals: SignalSet) -> nix::Result<i32> {
    let bits = signals.bits();
    let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
    // SAFETY: the set has the size that is passed.
    let result = unsafe {
        libc::syscall(libc::SYS_signalfd4, descriptor, ptr::from_ref(&bits), size_of::<u64>(), flags)
    };
    Errno::result(result).map(|number| i32::try_from(number).unwrap_or(descriptor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::sigwait;

    #[test]
    fn blocked_signals_are_read_real_time_ones_too_and_others_can_be_added() {
        let (first, second) = (Signal::new(41).unwrap(), Signal::new(42).unwrap());
        let before = sigwait::block(SignalSet::of(&[first, second]));
        let signals = SignalFd::new(SignalSet::of(&[first])).unwrap();
        assert_eq!(signals.take(), []);
        for signal in [second, first] {
            // SAFETY: raise takes a number, and sends the signal to this thread, which blocks it.
            unsafe { libc::raise(signal.number()) };
        }
        assert_eq!(signals.take(), [first]);
        signals.set(SignalSet::of(&[first, second])).unwrap();
        assert_eq!(signals.take(), [second]);
        assert_eq!(signals.take(), []);
        sigwait::block(before);
    }
}
