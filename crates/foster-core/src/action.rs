//! The actions of the shell.
//!
//! The shell performs actions in their order and decides nothing. It reports the result of an action as an
//! [`crate::event::Event`]. An action on a run that has ended has no effect.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ending::{Closing, Ending};
use crate::event::StartFailure;
use crate::ids::{Exit, InstanceId, OrderId, ProgramId, Run, Signal};
use crate::probe::Which;
use crate::restart::AfterExit;

pub use crate::names::{EventName, StateName};

/// One action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the process of this run, from this definition. Answered by `Spawned` or `SpawnFailed`.
    Spawn(Run, Definition),
    /// The rolling restart to a new definition is over: this one is the program's from now on, the other is dropped.
    Keep(ProgramId, Definition),
    /// Send a signal. Answered by `SignalRefused` where it cannot be sent, and otherwise not.
    Signal {
        /// The run that gets it.
        run: Run,
        /// The signal.
        signal: Signal,
        /// The processes that get it.
        scope: Scope,
        /// Its purpose.
        purpose: Purpose,
    },
    /// Send KILL to every process of every run, in one pass.
    KillAll,
    /// Start the `pre_stop` command. Answered by `PreStopEnded`.
    RunPreStop(Run),
    /// Kill the `pre_stop` command if it is running; no answer.
    CancelPreStop(Run),
    /// Start one attempt of a probe. Answered by `Probed`.
    Probe(Run, Which),
    /// Cancel the current attempt; no answer.
    CancelProbe(Run, Which),
    /// Send a signal to the processes that outlived the programs (orphans, daemons). Answered by `SweepDone` as soon as
    /// none is left.
    Sweep(Signal),
    /// Report that a job was due and does not run for that: a run is under way.
    ReportSkipped {
        /// The job.
        program: ProgramId,
        /// How often it was due.
        times: u32,
    },
    /// Reopen the log files.
    ReopenLogs,
    /// Write the status of every program to foster's log.
    WriteStatus,
    /// Read the configuration again, after the other actions of this step.
    Update,
    /// Report, once per signal, that foster got a signal without an effect.
    ReportIgnored(Signal),
    /// Drop a removed instance: none of its processes is left, and no later action concerns it.
    Forget(InstanceId),
    /// Report a change of state: one line of the log, one event.
    Report(Change),
    /// Report the start of the shutdown and its reason.
    ReportShutdown(Ending),
    /// Report that this ended a shutdown at once: what is left is killed.
    ReportCutShort(Ending),
    /// Report that every autostarted program was ready or has ended.
    ReportReady,
    /// Write the pending output, until the deadline, and exit.
    Exit(Closing),
}

/// One of the two definitions of a program during a rolling restart to a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Definition {
    /// That of the plan. Without such a rolling restart there is no other.
    Current,
    /// The one before the update.
    Former,
}

/// The processes of a run that get a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The main process.
    Main,
    /// Its process group.
    Group,
    /// Every process of the program, as far as `kill_mode` says.
    All,
}

/// The purpose of a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To stop the program: stopped processes (SIGSTOP) get CONT as well, so that they can handle it.
    Stop,
    /// To deliver a signal that an operator or another process sent.
    Deliver,
}

/// A change of one instance's state, with its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The instance.
    pub instance: InstanceId,
    /// The run that the change concerns, if there is one.
    pub run: Option<Run>,
    /// The part of that execution in a rolling restart.
    pub part: Part,
    /// The previous state.
    pub from: StateName,
    /// The new state.
    pub to: StateName,
    /// The cause.
    pub cause: Cause,
}

/// The part of an execution in a rolling restart that starts the new one beside the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It is the instance: the only part without a rolling restart.
    Serving,
    /// It is to become the instance when it is ready.
    Replacement,
    /// It was the instance, and is being stopped, or what it has left is.
    Replaced,
}

/// The cause of a change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its process is being started.
    Started,
    /// It waits for this instance.
    WaitsFor(InstanceId),
    /// Its readiness probe passed, or it was up for `min_uptime`.
    BecameReady {
        /// The time since its start.
        after: Duration,
    },
    /// It was not ready in time and is being stopped.
    NotReady {
        /// The limit.
        within: Duration,
        /// The last result of the probe.
        last: Option<String>,
    },
    /// Its health probe failed often enough, or its watchdog's time is over.
    Unhealthy {
        /// What was seen, the newest last.
        seen: Vec<String>,
    },
    /// A run that was over its memory was replaced, and is to stop.
    Outgrown,
    /// Its processes use more memory than its `memory_max`.
    OverMemory {
        /// How much, and the largest of them.
        seen: String,
    },
    /// Its health probe passes again.
    Recovered,
    /// It has reported the beginning of a reload and not its end in time. It runs on.
    NotReloaded {
        /// The time it had.
        within: Duration,
    },
    /// Its process could not be started.
    CannotStart {
        /// The failure.
        failure: StartFailure,
        /// What follows.
        next: AfterExit,
    },
    /// Its main process exited by itself, and none of its processes is left.
    Ended {
        /// The exit.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
        /// What follows.
        next: AfterExit,
    },
    /// Its main process exited by itself, and other processes of it are left. They end before its next start, or beside it.
    ProcessesLeft {
        /// The exit of the main process.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
        /// Whether they get TERM only when the next run is ready.
        serve_on: bool,
    },
    /// What a run has left that ended by itself has ended.
    LeftoversEnded {
        /// How long that took.
        took: Duration,
    },
    /// It was stopped because it was not ready in time.
    StoppedNotReady {
        /// The limit.
        within: Duration,
        /// The last result of the probe.
        last: Option<String>,
        /// The exit of its main process.
        exit: Exit,
        /// What follows.
        next: AfterExit,
    },
    /// It was stopped because it was unhealthy, or used too much memory.
    StoppedUnhealthy {
        /// The exit of its main process.
        exit: Exit,
        /// What follows.
        next: AfterExit,
    },
    /// KILL was sent or refused, and processes of it are left. foster does not wait for them.
    NotKilled,
    /// An operator ordered it.
    Requested(OrderId),
    /// Its definition changed; it starts again with the new one.
    Changed,
    /// Its new run is ready, and has taken the place of the old one, which is being stopped.
    Replaced,
    /// A rolling restart to its definition has failed, and is being taken back.
    TakenBack,
    /// The rolling restart that it was started for has ended without it.
    Unneeded,
    /// Its rolling restart has failed: it continues, or starts again, with the definition before.
    NotReplaced(NotReplaced),
    /// A job is due again, and its present run makes way.
    Due,
    /// It was removed from the plan.
    Removed,
    /// A program that it requires stays down.
    RequirementDown(InstanceId),
    /// It reported that it ends by itself.
    Announced,
    /// Its run has reported that it ends by itself, and the next one does not wait for that.
    NotAwaited {
        /// What follows.
        next: AfterExit,
    },
    /// The container shuts down.
    Shutdown,
    /// It was stopped as requested.
    Stopped {
        /// The exit of its main process.
        exit: Exit,
        /// How long the stop took.
        took: Duration,
    },
}

/// Why a rolling restart has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotReplaced {
    /// The new run did not become ready; the change before this one says why.
    NotReady,
    /// This one was not ready within the time of a start.
    WaitsFor(InstanceId),
    /// Processes of the old run are still there after KILL.
    NotKilled,
}
