//! Time as the core sees it: an instant is the time since the start of foster.
//!
//! There is no clock here. Every instant is handed in by the shell with the event that it belongs to,
//! so a recorded list of `(instant, event)` is a reproduction. Never add a way to ask for "now".

use core::time::Duration;

/// A point in time: how long after foster's start, on a clock that never jumps
/// (`CLOCK_MONOTONIC`, clock_gettime(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Instant(Duration);

impl Instant {
    /// When foster started.
    pub const START: Instant = Instant(Duration::ZERO);

    /// The instant that lies `elapsed` after foster's start.
    pub const fn after_start(elapsed: Duration) -> Instant {
        Instant(elapsed)
    }

    /// How long after foster's start this is.
    pub const fn elapsed(self) -> Duration {
        self.0
    }

    /// How long ago `earlier` was; zero when it is not earlier.
    pub const fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant `wait` from here; the end of time where that cannot be represented.
    pub const fn plus(self, wait: Duration) -> Instant {
        Instant(self.0.saturating_add(wait))
    }
}
