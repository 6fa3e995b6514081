//! The only blocking call of the supervisor, and the only place that reads the clock.
//!
//! [`Waiter::wait`] blocks until epoll reports something or the core's deadline is reached. The clock is read once per
//! turn, after the wait; all events of a turn have that instant.

use std::rc::Rc;
use std::time::Duration;

use foster_core::time::Instant;

use super::memory::MemoryTrimmer;
use crate::errno;
use crate::sys::epoll::{Epoll, Interest, Ready, Token};
use crate::sys::timer::ClockWatch;

/// The loop's clock and its one blocking call, and the trimming of memory before it.
#[derive(Debug)]
pub(super) struct Waiter {
    epoll: Rc<Epoll>,
    started: std::time::Instant,
    /// How long before that the first foster of this process has started.
    before: Duration,
    ready: Vec<Ready>,
    pub(super) trimmer: MemoryTrimmer,
    /// Reports that the wall clock was set, where a job needs that clock.
    clock: Option<ClockWatch>,
}

impl Waiter {
    /// Starts the clock. `before`: how long ago the first foster of this process has started.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the clock")]
    pub(super) fn new(epoll: Rc<Epoll>, before: Duration) -> Waiter {
        Waiter {
            epoll,
            started: std::time::Instant::now(),
            before,
            ready: Vec::new(),
            trimmer: MemoryTrimmer::default(),
            clock: None,
        }
    }

    /// The instance that it waits for.
    pub(super) fn epoll(&self) -> Rc<Epoll> {
        Rc::clone(&self.epoll)
    }

    /// The current time since foster's start.
    pub(super) fn now(&self) -> Instant {
        Instant::after_start(self.before + self.started.elapsed())
    }

    /// Watches the wall clock from now on.
    ///
    /// # Errors
    /// timerfd_create(2), epoll_ctl(2): no descriptor or memory is left.
    pub(super) fn watch_clock(&mut self, token: Token) -> nix::Result<()> {
        if self.clock.is_none() {
            let watch = ClockWatch::new()?;
            self.epoll.add(&watch, token, Interest::Read)?;
            self.clock = Some(watch);
        }
        Ok(())
    }

    /// Takes the report that the wall clock was set.
    pub(super) fn clock_was_set(&self) {
        if let Some(Err(errno)) = self.clock.as_ref().map(ClockWatch::take) {
            log::error!("cannot watch the clock: {}", errno::text(errno));
        }
    }

    /// Waits until a descriptor is ready or `deadline` is reached; `None`: without a limit.
    ///
    /// # Errors
    /// epoll_wait(2): none for a valid instance.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> nix::Result<()> {
        let timeout = deadline.map(|deadline| deadline.since(self.now()));
        self.epoll.wait(timeout, &mut self.ready)
    }

    /// Removes and returns the reports of the last wait.
    pub(super) fn take_ready(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.ready)
    }

    /// Takes the list back, so that it is not allocated in each turn.
    pub(super) fn give_back(&mut self, ready: Vec<Ready>) {
        self.ready = ready;
    }
}
