//! A timer as something to read: timerfd_create(2).

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// A timer that becomes readable once.
#[derive(Debug)]
pub struct Timer(TimerFd);

impl Timer {
    /// Readable after this time.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn after(time: Duration) -> nix::Result<Timer> {
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        timer.set(Expiration::OneShot(time.into()), TimerSetTimeFlags::empty())?;
        Ok(Timer(timer))
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
