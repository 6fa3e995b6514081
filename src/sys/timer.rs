//! A timer that interrupts a system call: timer_create(2). A watch over the wall clock: timerfd_create(2).
//!
//! The supervisor's deadlines do not use it, but the timeout of [`crate::sys::epoll`].
#![allow(unsafe_code, reason = "the C library's timer_create(3) links threads and the name resolver: 45 KB")]

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// The time of the wall clock, in milliseconds since 1970 (UTC); 0 before that.
pub fn unix_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Becomes readable whenever the wall clock is set: a timer far away that is cancelled by that.
#[derive(Debug)]
pub struct ClockWatch(TimerFd);

/// Beyond the life of any container.
const FAR: Duration = Duration::from_secs(1 << 40);

impl ClockWatch {
    /// Starts to watch.
    ///
    /// # Errors
    /// timerfd_create(2), timerfd_settime(2): EMFILE, ENFILE, ENOMEM.
    pub fn new() -> nix::Result<ClockWatch> {
        let timer =
            TimerFd::new(ClockId::CLOCK_REALTIME, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        let watch = ClockWatch(timer);
        watch.arm()?;
        Ok(watch)
    }

    /// Takes the report that the clock was set, and watches on.
    ///
    /// # Errors
    /// timerfd_settime(2): none for a valid timer.
    pub fn take(&self) -> nix::Result<()> {
        // ECANCELED is the report.
        let mut expirations = [0; 8];
        let _ = nix::unistd::read(&self.0, &mut expirations);
        self.arm()
    }

    fn arm(&self) -> nix::Result<()> {
        let flags = TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        self.0.set(Expiration::OneShot(FAR.into()), flags)
    }
}

impl AsFd for ClockWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A timer that sends a signal to the thread that created it, at each interval, until it is dropped.
#[derive(Debug)]
pub struct SignalTimer {
    /// The kernel's id. The C library's `timer_t` is a different value.
    id: libc::c_int,
}

impl SignalTimer {
    /// Sends `signal` at each `interval`, which is below a second.
    ///
    /// # Errors
    /// EAGAIN: the kernel has no memory for it, or the limit of pending signals is reached.
    pub fn every(interval: Duration, signal: Signal) -> nix::Result<SignalTimer> {
        // SAFETY: a sigevent of zeros is valid.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_THREAD_ID;
        event.sigev_signo = signal as libc::c_int;
        event.sigev_notify_thread_id = nix::unistd::gettid().as_raw();
        let (clock, mut id) = (libc::CLOCK_MONOTONIC, 0);
        // SAFETY: `event` is the kernel's struct sigevent, and `id` is valid for a write.
        let result = unsafe { libc::syscall(libc::SYS_timer_create, clock, &raw const event, &raw mut id) };
        Errno::result(result)?;
        let timer = SignalTimer { id };
        let interval = libc::timespec { tv_sec: 0, tv_nsec: interval.subsec_nanos().into() };
        let times = libc::itimerspec { it_interval: interval, it_value: interval };
        let old: *mut libc::itimerspec = std::ptr::null_mut();
        // SAFETY: `times` is valid for a read, and null requests no old value.
        let result = unsafe { libc::syscall(libc::SYS_timer_settime, id, 0, &raw const times, old) };
        Errno::result(result)?;
        Ok(timer)
    }
}

impl Drop for SignalTimer {
    fn drop(&mut self) {
        // SAFETY: the id is valid until this call.
        unsafe { libc::syscall(libc::SYS_timer_delete, self.id) };
    }
}
