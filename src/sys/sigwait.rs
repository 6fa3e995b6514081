//! Signals taken one by one, without a handler: rt_sigtimedwait(2), on signals that are blocked.
//!
//! Real-time signals come like any other, also the two that glibc hides. A blocked signal is kept even where its
//! disposition is to ignore it, so nothing that was inherited hides one. This is the one place where the bare
//! init waits (`bare/mod.rs`); the supervisor waits in [`crate::sys::epoll`] instead.
#![allow(unsafe_code, reason = "nix's sigwait(3) knows neither real-time signals nor the sender")]

use std::ptr;

use foster_core::ids::Signal;
use nix::errno::Errno;

use crate::sys::process;

/// A set of signals, as the kernel has it: bit n - 1 is signal n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalSet(u64);

/// A signal that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub signal: Signal,
    /// Its sender.
    pub origin: Origin,
}

/// The sender of a signal (`si_code` in sigaction(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The kernel: for a terminal it does so to a whole process group.
    Kernel,
    /// A process, with kill(2) or the like.
    Process,
}

impl SignalSet {
    /// No signal.
    pub const NONE: SignalSet = SignalSet(0);
    /// Every signal.
    pub const ALL: SignalSet = SignalSet(u64::MAX);

    /// These signals.
    pub fn of(signals: &[Signal]) -> SignalSet {
        SignalSet(signals.iter().fold(0, |set, signal| set | 1 << (signal.number() - 1)))
    }

    /// Those of this set that are not in the other.
    pub fn without(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & !other.0)
    }

    /// The kernel's mask.
    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

/// Blocks exactly these signals, and returns those that were blocked before: rt_sigprocmask(2).
pub fn block(signals: SignalSet) -> SignalSet {
    let mut before = 0;
    process::set_mask(signals.0, &mut before);
    SignalSet(before)
}

/// Waits for one of these signals, which are blocked, and takes it; of several the lowest number first.
pub fn take(signals: SignalSet) -> Arrived {
    loop {
        // EINTR: a debugger, or a stop and a continuation. Nothing else can be wrong with these arguments.
        if let Ok(arrived) = wait(signals, ptr::null()) {
            return arrived;
        }
    }
}

/// Takes one of these signals if one has come already.
pub fn take_pending(signals: SignalSet) -> Option<Arrived> {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    wait(signals, &raw const at_once).ok()
}

fn wait(signals: SignalSet, timeout: *const libc::timespec) -> nix::Result<Arrived> {
    // SAFETY: a siginfo_t of zeros is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (set, size) = (&raw const signals.0, size_of::<u64>());
    // SAFETY: the set has the size that is given, `info` is valid for a write, and the timeout is
    // null or valid for a read.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, set, &raw mut info, timeout, size) };
    let number = Errno::result(result)?;
    let signal = i32::try_from(number).ok().and_then(Signal::new).ok_or(Errno::EINVAL)?;
    let origin = if info.si_code == libc::SI_KERNEL { Origin::Kernel } else { Origin::Process };
    Ok(Arrived { signal, origin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_every_signal_from_the_first_to_the_last() {
        let last = Signal::new(64).unwrap();
        assert_eq!(SignalSet::of(&[Signal::HUP, last]).bits(), 1 | 1 << 63);
        let most = SignalSet::ALL.without(SignalSet::of(&[Signal::HUP, last]));
        assert_eq!(most.bits(), (u64::MAX >> 1) & !1);
        assert_eq!(SignalSet::of(&[]), SignalSet::NONE);
    }

    #[test]
    fn a_signal_that_is_blocked_is_taken_with_its_sender_and_only_once() {
        let real_time = Signal::new(40).unwrap();
        let wanted = SignalSet::of(&[real_time]);
        // The mask is this thread's own, and the signal is sent to this thread.
        let before = block(wanted);
        assert_eq!(take_pending(wanted), None);
        // SAFETY: raise takes a number.
        unsafe { libc::raise(real_time.number()) };
        assert_eq!(take(wanted), Arrived { signal: real_time, origin: Origin::Process });
        assert_eq!(take_pending(wanted), None);
        assert_eq!(block(before), wanted);
    }
}
