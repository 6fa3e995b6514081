//! Everything that the core can ask of the shell, in the imperative.
//!
//! The shell performs actions in the order given and decides nothing. What an action brings about comes
//! back as an [`crate::event::Event`]; an action about a run that is gone already does nothing.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ending::{Closing, Ending};
use crate::event::StartFailure;
use crate::ids::{Exit, InstanceId, OrderId, Run, Signal};
use crate::probe::Which;
use crate::restart::AfterExit;

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the process of this run. Answered by `Spawned` or `SpawnFailed`.
    Spawn(Run),
    /// Send a signal. Answered by `SignalRefused` where it cannot be sent, and otherwise not.
    Signal {
        /// To which run.
        run: Run,
        /// Which.
        signal: Signal,
        /// To which of its processes.
        scope: Scope,
        /// What for.
        purpose: Purpose,
    },
    /// Send KILL to every process of every run, in one pass.
    KillAll,
    /// Run the `pre_stop` command. Answered by `PreStopEnded`.
    RunPreStop(Run),
    /// End the `pre_stop` command if it still runs; no answer.
    CancelPreStop(Run),
    /// Make one attempt of a probe. Answered by `Probed`.
    Probe(Run, Which),
    /// Give up the attempt being made; no answer.
    CancelProbe(Run, Which),
    /// Send a signal to everything that is left after the programs: orphans, daemons. Answered by `SweepDone`
    /// as soon as nothing is left.
    Sweep(Signal),
    /// Reopen the log files.
    ReopenLogs,
    /// Write the status of every program to foster's own log.
    WriteStatus,
    /// Read the configuration again. Done after the actions at hand.
    Update,
    /// A signal came that has no effect: report it once.
    ReportIgnored(Signal),
    /// Nothing is left of an instance that an update removed. It is never mentioned again.
    Forget(InstanceId),
    /// Report what changed: one line of the log, one event.
    Report(Change),
    /// Report that the shutdown starts, and why.
    ReportShutdown(Ending),
    /// Everything that was autostarted is ready for the first time.
    ReportReady,
    /// Write what is unwritten, until the deadline, and exit.
    Exit(Closing),
}

/// Which processes of a run a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The main process.
    Main,
    /// Its process group.
    Group,
    /// Every process of the program, according to its `kill_mode`.
    All,
}

/// What a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To end the program: a process that was stopped (SIGSTOP) has to continue to obey.
    Stop,
    /// What an operator or another process asked for.
    Deliver,
}

/// A change of one instance's state, with its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub instance: InstanceId,
    /// Which execution it is about, where there is one.
    pub run: Option<Run>,
    /// What it was.
    pub from: StateName,
    /// What it is.
    pub to: StateName,
    /// Why.
    pub cause: Cause,
}

/// A state without its data, as users see it (spec, section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// Not running, and not wanted.
    Stopped,
    /// Wanted, and waiting for what it is after.
    Waiting,
    /// Its process exists and is not ready yet.
    Starting,
    /// Ready.
    Running,
    /// Ready once, and its health probe fails.
    Unhealthy,
    /// On its way down.
    Stopping,
    /// Between a failed start and the next.
    Backoff,
    /// Ended for good, with success.
    Exited,
    /// Gave up.
    Fatal,
}

impl StateName {
    /// Every state, in the order of a program's life.
    pub const ALL: [StateName; 9] = [
        StateName::Stopped,
        StateName::Waiting,
        StateName::Starting,
        StateName::Running,
        StateName::Unhealthy,
        StateName::Stopping,
        StateName::Backoff,
        StateName::Exited,
        StateName::Fatal,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            StateName::Stopped => "stopped",
            StateName::Waiting => "waiting",
            StateName::Starting => "starting",
            StateName::Running => "running",
            StateName::Unhealthy => "unhealthy",
            StateName::Stopping => "stopping",
            StateName::Backoff => "backoff",
            StateName::Exited => "exited",
            StateName::Fatal => "fatal",
        }
    }

    /// The state of this name.
    pub fn parse(text: &str) -> Option<StateName> {
        StateName::ALL.into_iter().find(|state| state.name() == text)
    }
}

/// An event without its fields, as users see it: its name in a line of the log and in `foster events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventName {
    /// It has to wait for another one.
    Waiting,
    /// Its process is being made.
    Starting,
    /// It is ready.
    Ready,
    /// It was not ready in time.
    NotReady,
    /// Its process could not be made.
    StartFailed,
    /// Its health probe fails.
    Unhealthy,
    /// Its health probe passes again.
    Recovered,
    /// Its main process ended by itself.
    Exited,
    /// Its main process ended by itself, and other processes of it have to end first.
    ProcessesLeft,
    /// It is being stopped.
    Stopping,
    /// It could not be killed.
    NotKilled,
    /// It ended as requested, or will not be started.
    Stopped,
    /// Its definition has changed.
    Changed,
    /// It was removed from the configuration.
    Removed,
    /// The configuration was read again, and applied.
    Updated,
    /// The configuration was read again, and has a mistake.
    UpdateFailed,
    /// The shutdown starts.
    Shutdown,
    /// The container ends.
    Exit,
}

impl EventName {
    /// Every event, in the order of a program's life.
    pub const ALL: [EventName; 18] = [
        EventName::Waiting,
        EventName::Starting,
        EventName::Ready,
        EventName::NotReady,
        EventName::StartFailed,
        EventName::Unhealthy,
        EventName::Recovered,
        EventName::Exited,
        EventName::ProcessesLeft,
        EventName::Stopping,
        EventName::NotKilled,
        EventName::Stopped,
        EventName::Changed,
        EventName::Removed,
        EventName::Updated,
        EventName::UpdateFailed,
        EventName::Shutdown,
        EventName::Exit,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            EventName::Waiting => "waiting",
            EventName::Starting => "starting",
            EventName::Ready => "ready",
            EventName::NotReady => "not_ready",
            EventName::StartFailed => "start_failed",
            EventName::Exited => "exited",
            EventName::Unhealthy => "unhealthy",
            EventName::Recovered => "recovered",
            EventName::ProcessesLeft => "processes_left",
            EventName::Stopping => "stopping",
            EventName::NotKilled => "not_killed",
            EventName::Stopped => "stopped",
            EventName::Changed => "changed",
            EventName::Removed => "removed",
            EventName::Updated => "updated",
            EventName::UpdateFailed => "update_failed",
            EventName::Shutdown => "shutdown",
            EventName::Exit => "exit",
        }
    }

    /// The event of this name.
    pub fn parse(text: &str) -> Option<EventName> {
        EventName::ALL.into_iter().find(|event| event.name() == text)
    }
}

/// Why a state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Its process is being made: nothing held it back.
    Started,
    /// It has to wait for this one.
    WaitsFor(InstanceId),
    /// It has passed its readiness probe, or was up for `min_uptime`.
    BecameReady {
        /// How long after its start.
        after: Duration,
    },
    /// It was not ready within its time, and is being stopped.
    NotReady {
        /// The time it had.
        within: Duration,
        /// What the probe saw last.
        last: Option<String>,
    },
    /// Its health probe failed often enough.
    Unhealthy {
        /// What the probe saw, the newest last.
        seen: Vec<String>,
    },
    /// Its health probe passes again.
    Recovered,
    /// Its process could not be made.
    CannotStart {
        /// Why.
        failure: StartFailure,
        /// What follows.
        next: AfterExit,
    },
    /// Its main process ended by itself, and nothing of it is left.
    Ended {
        /// How.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
        /// What follows.
        next: AfterExit,
    },
    /// Its main process ended by itself, and other processes of it have to end before anything follows.
    ProcessesLeft {
        /// How it ended.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
    },
    /// It was stopped because it was not ready in time.
    StoppedNotReady {
        /// The time it had.
        within: Duration,
        /// What the probe saw last.
        last: Option<String>,
        /// How it ended.
        exit: Exit,
        /// What follows.
        next: AfterExit,
    },
    /// It was stopped because it was unhealthy.
    StoppedUnhealthy {
        /// How it ended.
        exit: Exit,
        /// What follows.
        next: AfterExit,
    },
    /// KILL was sent, or refused, and processes of it are still there: foster does not wait for them.
    NotKilled,
    /// An operator's order.
    Requested(OrderId),
    /// Its definition has changed: it starts again with the new one.
    Changed,
    /// It was removed from the plan.
    Removed,
    /// What it requires stays down.
    RequirementDown(InstanceId),
    /// The container ends.
    Shutdown,
    /// It ended as requested.
    Stopped {
        /// How.
        exit: Exit,
        /// How long that took.
        took: Duration,
    },
}
