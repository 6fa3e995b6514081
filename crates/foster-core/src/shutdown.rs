//! The end of the container: one deadline for all of it, and the exit status.
//!
//! The order in which programs stop is the supervisor's (it is the order of starting, reversed). This
//! file keeps the clock over the whole: when it runs out, everything left is killed at once; then what
//! is left of the PID namespace is swept; then foster leaves, whatever happens.

use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::action::{Action, Ending, Reason};
use crate::event::ShutdownCause;
use crate::ids::{Exit, InstanceId, Signal};
use crate::time::Instant;

/// What is left after the programs (orphans, daemons) gets so long between TERM and KILL.
pub const SWEEP_TERM_TIMEOUT: Duration = Duration::from_millis(500);

/// What has got KILL and is still there after so long hangs in the kernel (state D, ps(1)): foster does not wait
/// for it.
pub const KILL_WAIT: Duration = Duration::from_millis(500);

/// Two signals so close together are one sender's: timeout(1) signals its child and then the child's group.
pub const DUPLICATE_SIGNAL_WINDOW: Duration = Duration::from_micros(500);

/// How far the end has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It has not begun.
    Up,
    /// The programs are being stopped, in order, until the deadline.
    Stopping(Closing),
    /// That time is over: they have got KILL.
    Killing {
        /// When foster stops waiting for the kernel.
        until: Instant,
        /// What this is about.
        closing: Closing,
    },
    /// The programs are gone; what else is left was told to go.
    Sweeping {
        /// When it is killed.
        kill: Instant,
        /// What this is about.
        closing: Closing,
    },
    /// What else was left has got KILL.
    Swept {
        /// When foster stops waiting for the kernel.
        until: Instant,
        /// What this is about.
        closing: Closing,
    },
    /// foster leaves.
    Over,
}

/// An end that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// When it began.
    pub began: Instant,
    /// When all that is left is killed.
    pub deadline: Instant,
    /// Why it ends.
    pub ending: Ending,
}

/// What a step of the shutdown asks of the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// Nothing.
    Nothing,
    /// Kill every program that is left.
    KillAll,
}

impl Phase {
    /// When it wants to be told that time has passed.
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

    /// Told to end while ending: what is left is killed at once.
    pub fn hurry(&mut self, now: Instant) {
        match self {
            Phase::Stopping(closing) | Phase::Sweeping { kill: _, closing }
                if now.since(closing.began) < DUPLICATE_SIGNAL_WINDOW => {}
            Phase::Stopping(closing) => closing.deadline = now,
            Phase::Sweeping { kill, closing } => {
                *kill = now;
                closing.deadline = now;
            }
            Phase::Up | Phase::Killing { .. } | Phase::Swept { .. } | Phase::Over => {}
        }
    }

    /// Moves on as far as time and the programs allow; `live` is how many of them are left.
    pub fn advance(&mut self, now: Instant, live: usize, out: &mut Vec<Action>) -> Demand {
        let phase = mem::replace(self, Phase::Over);
        let mut demand = Demand::Nothing;
        *self = match phase {
            Phase::Stopping(closing) if live == 0 => {
                out.push(Action::Sweep(Signal::TERM));
                let kill = now.plus(SWEEP_TERM_TIMEOUT).min(closing.deadline).max(now);
                Phase::Sweeping { kill, closing }
            }
            Phase::Stopping(closing) if closing.deadline <= now => {
                demand = Demand::KillAll;
                Phase::Killing { until: now.plus(KILL_WAIT), closing }
            }
            // The time for asking is over for the rest, too.
            Phase::Killing { until, closing } if live == 0 => {
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
        demand
    }

    /// Nothing is left that could be waited for.
    pub fn rest_gone(&mut self, out: &mut Vec<Action>) {
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

impl Ending {
    /// Told to stop: that is success.
    pub fn by_signal(signal: Signal) -> Ending {
        Ending { reason: Reason::Signal(signal), status: 0 }
    }

    /// Told to stop over the socket, or by a fault.
    pub fn by_order(cause: ShutdownCause) -> Ending {
        match cause {
            ShutdownCause::Operator => Ending { reason: Reason::Operator, status: 0 },
            ShutdownCause::Fault => Ending { reason: Reason::Fault, status: 1 },
        }
    }

    /// Everything ended by itself.
    pub fn all_ended() -> Ending {
        Ending { reason: Reason::AllEnded, status: 0 }
    }

    /// A program ended with success, and that ends the container.
    pub fn exited(instance: InstanceId, exit: Exit) -> Ending {
        Ending { reason: Reason::Exited { instance, exit }, status: exit.status() }
    }

    /// A program failed for good, and that ends the container. Never 0: a failure with an exit code that
    /// would read as success (`restart = "always"`, a program that leaves with 0 too early) is a 1.
    pub fn failed(instance: InstanceId, exit: Option<Exit>, failures: u32) -> Ending {
        let status = exit.map_or(1, |exit| exit.status().max(1));
        Ending { reason: Reason::Failed { instance, exit, failures }, status }
    }
}
