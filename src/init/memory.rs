//! When memory is given back: what bring-up, an update or a busy time has allocated and freed.
//!
//! A supervisor waits nearly all of its life, and its memory is counted against the container's limit. So when
//! everything is up, and from then on at most once a minute, the free parts of the heap are given back just before a
//! wait (`sys/memory.rs`). There is no timer: nothing wakes up for it.

use std::time::Duration;

use foster_core::time::Instant;

use crate::sys::memory;

/// Giving back costs some microseconds, and so does touching the pages again.
const PAUSE: Duration = Duration::from_secs(60);

/// When to give back next.
#[derive(Debug, Default)]
pub(super) struct MemoryTrimmer {
    next: Option<Instant>,
}

impl MemoryTrimmer {
    /// Bring-up, or another rare piece of work, is over.
    pub(super) fn done_with_work(&mut self, now: Instant) {
        self.next = Some(now);
    }

    /// To be called before each wait.
    pub(super) fn about_to_wait(&mut self, now: Instant) {
        if self.next.is_some_and(|next| next <= now) {
            memory::release_unused();
            self.next = Some(now.plus(PAUSE));
        }
    }
}
