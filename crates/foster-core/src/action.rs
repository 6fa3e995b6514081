//! Everything we can ask of the shell, in the imperative.
//!
//! The shell performs actions in the order given and decides nothing. What an action brings about comes
//! back as an [`crate::event::Event`]; an action about a run that is gone already is simply void.

use alloc::string::String;
use core::time::Duration;

use crate::event::StartFailure;
use crate::ids::{Exit, InstanceId, Run, Signal};
use crate::shutdown::Closing;

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Make the process of this run. Answered by `Spawned` or `SpawnFailed`.
    Spawn(Run),
    /// Send a signal.
    Signal {
        /// To whose processes.
        run: Run,
        /// Which.
        signal: Signal,
        /// To which of them.
        scope: Scope,
    },
    /// Run the `pre_stop` command. Answered by `PreStopEnded`.
    RunPreStop(Run),
    /// End the `pre_stop` command if it still runs; no answer.
    CancelPreStop(Run),
    /// Ask once whether the program is ready. Answered by `Probed`.
    Probe(Run),
    /// Forget the question under way; no answer.
    CancelProbe(Run),
    /// Send a signal to all that is left after the programs: orphans, daemons. Answered by `SweepDone`
    /// as soon as nothing is left.
    Sweep(Signal),
    /// Reopen the log files.
    ReopenLogs,
    /// Write the status of every program to foster's own log.
    WriteStatus,
    /// Read the configuration again.
    Update,
    /// Nothing is left of an instance that an update removed. It will not be spoken of again.
    Forget(InstanceId),
    /// Say what changed: one line of the log, one event.
    Report(Change),
    /// Say that the shutdown begins, and why.
    ReportShutdown(Ending),
    /// Everything that was autostarted is ready for the first time.
    ReportReady,
    /// Write what is unwritten, until the deadline, and leave.
    Exit(Closing),
}

/// Which processes of a run a signal is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The main process.
    Main,
    /// Its process group.
    Group,
    /// Every process of its session.
    Session,
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
    /// Every state, in the order in which they are told.
    pub const ALL: [StateName; 8] = [
        StateName::Stopped,
        StateName::Waiting,
        StateName::Starting,
        StateName::Running,
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
            StateName::Stopping => "stopping",
            StateName::Backoff => "backoff",
            StateName::Exited => "exited",
            StateName::Fatal => "fatal",
        }
    }

    /// The state called so.
    pub fn parse(text: &str) -> Option<StateName> {
        StateName::ALL.into_iter().find(|state| state.name() == text)
    }
}

/// An event without its fields, as users see it: what a line of the log and `foster events` call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventName {
    /// It has to wait for another one.
    Waiting,
    /// Its process is made.
    Starting,
    /// It is ready.
    Ready,
    /// It was not ready in time.
    NotReady,
    /// Its process could not be made.
    StartFailed,
    /// Its main process ended by itself.
    Exited,
    /// Its main process ended by itself, and others of its session have to go first.
    LeftOthers,
    /// It is told to stop.
    Stopping,
    /// It ended as it was told to, or is not to start any more.
    Stopped,
    /// It is defined otherwise from now on.
    Changed,
    /// It is no more: the configuration does not have it.
    Removed,
    /// The configuration was read again, and holds.
    Updated,
    /// The configuration was read again, and has a mistake.
    UpdateFailed,
    /// The container begins to end.
    Shutdown,
    /// The container ends.
    Exit,
}

impl EventName {
    /// Every event, in the order of a program's life.
    pub const ALL: [EventName; 15] = [
        EventName::Waiting,
        EventName::Starting,
        EventName::Ready,
        EventName::NotReady,
        EventName::StartFailed,
        EventName::Exited,
        EventName::LeftOthers,
        EventName::Stopping,
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
            EventName::LeftOthers => "left_others",
            EventName::Stopping => "stopping",
            EventName::Stopped => "stopped",
            EventName::Changed => "changed",
            EventName::Removed => "removed",
            EventName::Updated => "updated",
            EventName::UpdateFailed => "update_failed",
            EventName::Shutdown => "shutdown",
            EventName::Exit => "exit",
        }
    }

    /// The event called so.
    pub fn parse(text: &str) -> Option<EventName> {
        EventName::ALL.into_iter().find(|event| event.name() == text)
    }
}

/// Why a state changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// It is its turn: nothing holds it back.
    Started,
    /// It has to wait for this one.
    WaitsFor(InstanceId),
    /// The probe passed, or it was up for long enough.
    BecameReady {
        /// So long after its spawn.
        after: Duration,
    },
    /// It was not ready within its time; with what the last probe saw.
    NotReady {
        /// The time it had.
        timeout: Duration,
        /// The last answer of the probe.
        last: Option<String>,
    },
    /// Its process could not be made.
    CannotStart {
        /// Why.
        failure: StartFailure,
        /// What follows.
        next: AfterExit,
    },
    /// Its main process ended by itself.
    Ended {
        /// How.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
        /// What follows.
        next: AfterExit,
    },
    /// Its main process ended by itself, and others of its session have to go before anything follows.
    LeftOthers {
        /// How it ended.
        exit: Exit,
        /// How long it was up.
        uptime: Duration,
    },
    /// It was stopped for not being ready in time, and is gone.
    StoppedUnready {
        /// How it ended.
        exit: Exit,
        /// What follows.
        next: AfterExit,
    },
    /// An operator ordered it.
    Ordered,
    /// Its definition is another one now: it comes up again as that.
    Changed,
    /// It is not in the plan any more.
    Removed,
    /// What it requires stays down.
    RequirementDown(InstanceId),
    /// The container ends.
    Shutdown,
    /// It ended as it was told to.
    Stopped {
        /// How.
        exit: Exit,
        /// How long that took.
        took: Duration,
    },
}

/// What follows an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExit {
    /// A restart, at once.
    RestartNow,
    /// A restart after a wait.
    RestartIn {
        /// How long.
        wait: Duration,
        /// How many starts in a row have failed.
        failures: u32,
        /// How many may; `None`: any number.
        limit: Option<u32>,
    },
    /// Nothing: it ended with success.
    StaysDown,
    /// Nothing: it failed, and is not to be restarted.
    Failed,
    /// Nothing: too many starts failed.
    GaveUp {
        /// How many.
        failures: u32,
    },
}

/// Why foster ends, and with what status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What ended it.
    pub reason: Reason,
    /// foster's own exit status (spec, section 5).
    pub status: u8,
}

/// What ended the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A signal told it to.
    Signal(Signal),
    /// An operator told it to.
    Operator,
    /// Every program ended by itself, and none will be restarted.
    AllEnded,
    /// This one ended with success, and its `on_exit` says so.
    Exited {
        /// Which.
        instance: InstanceId,
        /// How.
        exit: Exit,
    },
    /// This one failed for good, and its `on_failure` says so.
    Failed {
        /// Which.
        instance: InstanceId,
        /// How it ended last; `None`: it could not be started, or was never ready.
        exit: Option<Exit>,
        /// How many starts in a row failed.
        failures: u32,
    },
    /// A fault in foster.
    Fault,
}
