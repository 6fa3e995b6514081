//! The end of a run, of a program and of the container.
//!
//! Plain data, shared by actions, states and the shutdown. Only this file decides foster's exit status. Next:
//! `shutdown.rs`, which ends the container.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::event::{ShutdownCause, StartFailure};
use crate::ids::{Exit, InstanceId, OrderId, Signal};
use crate::time::Instant;

/// The reason why a run failed; messages about the failure are built from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Its process could not be started.
    NotStarted(StartFailure),
    /// It was not ready in time and was stopped.
    NotReady {
        /// The limit.
        within: Duration,
        /// The last result of the readiness probe.
        last: Option<String>,
        /// The exit of its main process.
        exit: Exit,
    },
    /// Its health probe failed, or it used too much memory, and it was stopped.
    Unhealthy {
        /// What was seen, the newest last.
        seen: Vec<String>,
        /// The exit of its main process.
        exit: Exit,
    },
    /// Its main process exited by itself.
    Exited {
        /// The exit.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
    },
}

impl Failure {
    /// The exit of its main process, unless foster stopped it.
    pub fn exit(&self) -> Option<Exit> {
        match self {
            Failure::Exited { exit, uptime: _ } => Some(*exit),
            Failure::NotStarted(_) | Failure::NotReady { .. } | Failure::Unhealthy { .. } => None,
        }
    }
}

/// The reason why foster ends, and its exit status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// The reason.
    pub reason: Reason,
    /// foster's exit status.
    pub status: u8,
}

/// The reason why the container ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// foster got this signal.
    Signal(Signal),
    /// An operator ordered it.
    Operator(OrderId),
    /// Every program ended by itself and none is restarted.
    AllEnded,
    /// An instance exited with success, and its program has `on_exit = "shutdown"`.
    Exited {
        /// The instance.
        instance: InstanceId,
        /// Its exit.
        exit: Exit,
    },
    /// An instance failed and is not restarted, and its program has `on_failure = "shutdown"`.
    Failed {
        /// The instance.
        instance: InstanceId,
        /// Its last failure.
        failure: Failure,
        /// The number of failures in a row.
        failures: u32,
    },
    /// An instance is unhealthy, and its `health` has `action = "shutdown"`.
    Unhealthy {
        /// The instance.
        instance: InstanceId,
        /// The last results of the probe, the newest last.
        seen: Vec<String>,
    },
    /// A fault in foster.
    Fault,
}

/// A shutdown in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// When it began.
    pub began: Instant,
    /// When all remaining processes are killed.
    pub deadline: Instant,
    /// Its reason and foster's exit status.
    pub ending: Ending,
}

impl Ending {
    /// By a signal, with success.
    pub fn by_signal(signal: Signal) -> Ending {
        Ending { reason: Reason::Signal(signal), status: 0 }
    }

    /// By an operator's order, or by a fault.
    pub fn by_order(cause: ShutdownCause) -> Ending {
        match cause {
            ShutdownCause::Operator(order) => Ending { reason: Reason::Operator(order), status: 0 },
            ShutdownCause::Fault => Ending { reason: Reason::Fault, status: 1 },
        }
    }

    /// Every program ended by itself.
    pub fn all_ended() -> Ending {
        Ending { reason: Reason::AllEnded, status: 0 }
    }

    /// An instance exited with success.
    pub fn exited(instance: InstanceId, exit: Exit) -> Ending {
        Ending { reason: Reason::Exited { instance, exit }, status: exit.status() }
    }

    /// An instance failed. The status is never 0: a program that exits with 0 too early under `restart = "always"` gives 1.
    pub fn failed(instance: InstanceId, failure: Failure, failures: u32) -> Ending {
        let status = failure.exit().map_or(1, |exit| exit.status().max(1));
        Ending { reason: Reason::Failed { instance, failure, failures }, status }
    }

    /// An instance is unhealthy.
    pub fn unhealthy(instance: InstanceId, seen: Vec<String>) -> Ending {
        Ending { reason: Reason::Unhealthy { instance, seen }, status: 1 }
    }
}
