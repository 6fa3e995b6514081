//! Takes blocked signals one by one, without a handler: rt_sigtimedwait(2).
//!
//! Real-time signals are taken like any other, also the two that glibc hides. The kernel keeps a blocked signal even if it
//! is ignored, so an inherited disposition loses none. The bare init waits only here (`bare/mod.rs`); the supervisor waits
//! in [`crate::sys::epoll`].
#![allow(unsafe_code, reason = "nix's sigwait(3) supports neither real-time signals nor the sender")]

use std::ptr;

use foster_core::ids::Signal;
use nix::errno::Errno;

use crate::sys::process;

/// A set of signals in the kernel's form: bit n - 1 is signal n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalSet(u64);

/// A signal that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// The signal.
    pub signal: Signal,
    /// Its sender.
    pub origin: Origin,
}

/// The sender of a signal (`si_code` in sigaction(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The kernel, for example for a key on a terminal: it signals a whole process group.
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

    /// The signals of this set that are not in the other.
    pub fn without(self, other: SignalSet) -> SignalSet {
        SignalSet(self.0 & !other.0)
    }

    /// The kernel's mask.
    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

/// Blocks exactly these signals and returns the previous mask: rt_sigprocmask(2).
pub fn block(signals: SignalSet) -> SignalSet {
    let mut before = 0;
    process::set_mask(signals.0, &mut before);
    SignalSet(before)
}

/// Waits for one of these blocked signals and takes it; of several, the one with the lowest number.
pub fn take(signals: SignalSet) -> Arrived {
    loop {
        // EINTR follows a debugger, or a stop and a continuation. These arguments cause no other error.
        if let Ok(arrived) = wait(signals, ptr::null()) {
            return arrived;
        }
    }
}

/// Takes one of these signals if one is pending.
pub fn take_pending(signals: SignalSet) -> Option<Arrived> {
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    wait(signals, &raw const at_once).ok()
}

fn wait(signals: SignalSet, timeout: *const libc::timespec) -> nix::Result<Arrived> {
    // SAFETY: a siginfo_t of zeros is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let (set, size) = (&raw const signals.0, size_of::<u64>());
    // SAFETY: the set has the size that is passed, `info` is valid for a write, and the timeout is
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
    fn a_blocked_signal_is_taken_with_its_sender_and_only_once() {
        let real_time = Signal::new(40).unwrap();
        let wanted = SignalSet::of(&[real_time]);
        // The mask belongs to this thread, and the signal is sent to it.
        let before = block(wanted);
        assert_eq!(take_pending(wanted), None);
        // SAFETY: raise takes a number.
        unsafe { libc::raise(real_time.number()) };
        assert_eq!(take(wanted), Arrived { signal: real_time, origin: Origin::Process });
        assert_eq!(take_pending(wanted), None);
        assert_eq!(block(before), wanted);
    }
}
