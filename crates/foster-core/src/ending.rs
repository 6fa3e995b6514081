//! How things end: a run, a program that failed for good, the container.
//!
//! Plain data, shared by actions, states and the shutdown. foster's exit status is decided here and
//! nowhere else. Next: `shutdown.rs`, which carries an ending out.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::event::{ShutdownCause, StartFailure};
use crate::ids::{Exit, InstanceId, OrderId, Signal};
use crate::time::Instant;

/// Why a run failed, with what was seen: the text of every message about it comes from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Its process could not be made.
    NotStarted(StartFailure),
    /// It was not ready in time, and was stopped.
    NotReady {
        /// The time it had.
        within: Duration,
        /// What the readiness probe saw last.
        last: Option<String>,
        /// How its main process ended.
        exit: Exit,
    },
    /// Its health probe failed, and it was stopped.
    Unhealthy {
        /// What the probe saw, the newest last.
        seen: Vec<String>,
        /// How its main process ended.
        exit: Exit,
    },
    /// Its main process ended by itself.
    Exited {
        /// How.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
    },
}

impl Failure {
    /// How its main process ended, unless foster's own stop signal ended it.
    pub fn exit(&self) -> Option<Exit> {
        match self {
            Failure::Exited { exit, uptime: _ } => Some(*exit),
            Failure::NotStarted(_) | Failure::NotReady { .. } | Failure::Unhealthy { .. } => None,
        }
    }
}

/// Why foster ends, and with what status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What ended it.
    pub reason: Reason,
    /// foster's own exit status.
    pub status: u8,
}

/// What ended the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A signal to foster.
    Signal(Signal),
    /// An operator's order.
    Operator(OrderId),
    /// Every program ended by itself, and none will be restarted.
    AllEnded,
    /// This one ended with success, and its `on_exit` ends the container.
    Exited {
        /// Which.
        instance: InstanceId,
        /// How.
        exit: Exit,
    },
    /// This one failed for good, and its `on_failure` ends the container.
    Failed {
        /// Which.
        instance: InstanceId,
        /// Its last failure.
        failure: Failure,
        /// How many starts in a row failed.
        failures: u32,
    },
    /// This one is unhealthy, and the `action` of its `health` ends the container.
    Unhealthy {
        /// Which.
        instance: InstanceId,
        /// What the probe saw, the newest last.
        seen: Vec<String>,
    },
    /// A fault in foster.
    Fault,
}

/// An end that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// When it began.
    pub began: Instant,
    /// When everything that is left is killed.
    pub deadline: Instant,
    /// Why it ends.
    pub ending: Ending,
}

impl Ending {
    /// Requested by a signal: that is success.
    pub fn by_signal(signal: Signal) -> Ending {
        Ending { reason: Reason::Signal(signal), status: 0 }
    }

    /// Requested by an operator, or by a fault.
    pub fn by_order(cause: ShutdownCause) -> Ending {
        match cause {
            ShutdownCause::Operator(order) => Ending { reason: Reason::Operator(order), status: 0 },
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

    /// A program failed for good, and that ends the container. Never 0: a failure with an exit code that would read
    /// as success (`restart = "always"`, a program that exits with 0 too early) is a 1.
    pub fn failed(instance: InstanceId, failure: Failure, failures: u32) -> Ending {
        let status = failure.exit().map_or(1, |exit| exit.status().max(1));
        Ending { reason: Reason::Failed { instance, failure, failures }, status }
    }

    /// A program is unhealthy, and that ends the container.
    pub fn unhealthy(instance: InstanceId, seen: Vec<String>) -> Ending {
        Ending { reason: Reason::Unhealthy { instance, seen }, status: 1 }
    }
}
