//! Decides when freed memory is returned to the system.
//!
//! A supervisor waits nearly all the time, and its memory counts against the container's limit. So the free parts of the
//! heap are returned just before a wait (`sys/memory.rs`): when everything is up, and then at most once a minute. There is
//! no timer that would cause a wakeup.

use std::time::Duration;

use foster_core::time::Instant;

use crate::sys::memory;

/// The least time between two returns: each costs some microseconds, and so do the page faults after it.
const PAUSE: Duration = Duration::from_secs(60);

/// Returns unused memory before a wait.
#[derive(Debug, Default)]
pub(super) struct MemoryTrimmer {
    next: Option<Instant>,
}

impl MemoryTrimmer {
    /// Requests a return after the startup or an update.
    pub(super) fn done_with_work(&mut self, now: Instant) {
        self.next = Some(now);
    }

    /// Returns memory if it is due; called before each wait.
    pub(super) fn about_to_wait(&mut self, now: Instant) {
        if self.next.is_some_and(|next| next <= now) {
            memory::release_unused();
            self.next = Some(now.plus(PAUSE));
        }
    }
}
