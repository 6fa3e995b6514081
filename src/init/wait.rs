//! Where foster waits, and where it reads the clock: the only place for either.
//!
//! One call blocks, [`Waiter::wait`], until something happens or the core's deadline has come. The clock is
//! read once per turn, after the wait; everything that happens in that turn happens at that instant.

use std::rc::Rc;

use foster_core::time::Instant;

use super::memory::MemoryTrimmer;
use crate::sys::epoll::{Epoll, Ready};

/// The loop's clock and its one blocking call, and the trimming of memory before it.
#[derive(Debug)]
pub(super) struct Waiter {
    epoll: Rc<Epoll>,
    started: std::time::Instant,
    ready: Vec<Ready>,
    pub(super) trimmer: MemoryTrimmer,
}

impl Waiter {
    /// Starts the clock.
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads the clock")]
    pub(super) fn new(epoll: Rc<Epoll>) -> Waiter {
        Waiter {
            epoll,
            started: std::time::Instant::now(),
            ready: Vec::new(),
            trimmer: MemoryTrimmer::default(),
        }
    }

    /// The time, since foster's start.
    pub(super) fn now(&self) -> Instant {
        Instant::after_start(self.started.elapsed())
    }

    /// Waits until something is ready or `deadline` has come; `None`: for as long as it takes.
    ///
    /// # Errors
    /// epoll_wait(2): none that a valid instance can give.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> nix::Result<()> {
        let timeout = deadline.map(|deadline| deadline.since(self.now()));
        self.epoll.wait(timeout, &mut self.ready)
    }

    /// The reports of the last wait, handed out once.
    pub(super) fn take_ready(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.ready)
    }

    /// Gives the list back, so that it is not allocated again in each turn.
    pub(super) fn give_back(&mut self, ready: Vec<Ready>) {
        self.ready = ready;
    }
}
