//! The end of the container: one deadline for all of it.
//!
//! The order in which programs stop is the supervisor's (it is the order of starting, reversed). This file keeps
//! the deadline of the whole: when it is over all programs are killed at once; then the other processes of the PID
//! namespace are swept; then foster exits, whatever happens. Why it ends is `ending.rs`.

use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::action::Action;
use crate::ending::Closing;
use crate::ids::Signal;
use crate::time::Instant;

/// Processes that are left after the programs (orphans, daemons, jobs of a cron daemon) have this long between TERM and
/// KILL, as far as the deadline of the whole allows.
pub const SWEEP_TERM_TIMEOUT: Duration = Duration::from_secs(5);

/// A process that got KILL and is still there after this long hangs in the kernel (state D, ps(1)): foster does not
/// wait for it.
pub const KILL_WAIT: Duration = Duration::from_millis(500);

/// Two signals this close together come from one sender: timeout(1) signals its child and then the child's group.
pub const DUPLICATE_SIGNAL_WINDOW: Duration = Duration::from_micros(500);

/// How far the end has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It has not begun.
    Up,
    /// The programs are being stopped, in order, until the deadline.
    Stopping(Closing),
    /// The deadline is over: the programs got KILL.
    Killing {
        /// When foster stops waiting for the kernel.
        until: Instant,
        /// The end this is about.
        closing: Closing,
    },
    /// The programs have ended; other processes got TERM.
    Sweeping {
        /// When it is killed.
        kill: Instant,
        /// The end this is about.
        closing: Closing,
    },
    /// The other processes got KILL.
    Swept {
        /// When foster stops waiting for the kernel.
        until: Instant,
        /// The end this is about.
        closing: Closing,
    },
    /// foster exits.
    Over,
}

impl Phase {
    /// When [`Phase::advance`] has something to do because time has passed.
    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Phase::Stopping(closing) => Some(closing.deadline),
            Phase::Killing { until: at, closing: _ }
            | Phase::Sweeping { kill: at, closing: _ }
            | Phase::Swept { until: at, closing: _ } => Some(*at),
            Phase::Up | Phase::Over => None,
        }
    }

    /// Whether the end has begun.
    pub fn has_begun(&self) -> bool {
        match self {
            Phase::Up => false,
            Phase::Stopping(_)
            | Phase::Killing { .. }
            | Phase::Sweeping { .. }
            | Phase::Swept { .. }
            | Phase::Over => true,
        }
    }

    /// A second request to end: all remaining processes are killed at once. Returns whether that changes anything.
    pub fn escalate(&mut self, now: Instant) -> bool {
        match self {
            Phase::Stopping(closing) | Phase::Sweeping { kill: _, closing }
                if now.since(closing.began) < DUPLICATE_SIGNAL_WINDOW =>
            {
                false
            }
            Phase::Stopping(closing) => {
                closing.deadline = now;
                true
            }
            Phase::Sweeping { kill, closing } => {
                *kill = now;
                closing.deadline = now;
                true
            }
            Phase::Up | Phase::Killing { .. } | Phase::Swept { .. } | Phase::Over => false,
        }
    }

    /// Whether it was cut short: its deadline is earlier than this long after its start.
    pub fn is_cut_short(&self, timeout: Duration) -> bool {
        match self {
            Phase::Stopping(closing)
            | Phase::Killing { until: _, closing }
            | Phase::Sweeping { kill: _, closing }
            | Phase::Swept { until: _, closing } => closing.deadline < closing.began.plus(timeout),
            Phase::Up | Phase::Over => false,
        }
    }

    /// Moves on as far as time and the programs allow; `left` is how many runs foster still waits for.
    pub fn advance(&mut self, now: Instant, left: usize, out: &mut Vec<Action>) {
        let phase = mem::replace(self, Phase::Over);
        *self = match phase {
            Phase::Stopping(closing) if left == 0 => {
                out.push(Action::Sweep(Signal::TERM));
                let kill = now.plus(SWEEP_TERM_TIMEOUT).min(closing.deadline).max(now);
                Phase::Sweeping { kill, closing }
            }
            Phase::Stopping(closing) if closing.deadline <= now => {
                out.push(Action::KillAll);
                Phase::Killing { until: now.plus(KILL_WAIT), closing }
            }
            // The time for TERM is over for the rest, too.
            Phase::Killing { until, closing } if left == 0 => {
                out.push(Action::Sweep(Signal::KILL));
                Phase::Swept { until, closing }
            }
            Phase::Sweeping { kill, closing } if kill <= now => {
                out.push(Action::Sweep(Signal::KILL));
                Phase::Swept { until: now.plus(KILL_WAIT), closing }
            }
            Phase::Killing { until, closing } | Phase::Swept { until, closing } if until <= now => {
                out.push(Action::Exit(closing));
                Phase::Over
            }
            Phase::Up
            | Phase::Stopping(_)
            | Phase::Killing { .. }
            | Phase::Sweeping { .. }
            | Phase::Swept { .. }
            | Phase::Over => phase,
        };
    }

    /// No process is left that foster waits for.
    pub fn sweep_done(&mut self, out: &mut Vec<Action>) {
        let phase = mem::replace(self, Phase::Over);
        *self = match phase {
            Phase::Sweeping { kill: _, closing } | Phase::Swept { until: _, closing } => {
                out.push(Action::Exit(closing));
                Phase::Over
            }
            Phase::Up | Phase::Stopping(_) | Phase::Killing { .. } | Phase::Over => phase,
        };
    }
}
