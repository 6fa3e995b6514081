//! The names of states and events, as users see them: in the log, in `foster status` and in `foster events`.
//!
//! They are public: a script may compare them. `action.rs` has what they are about.

use crate::spec::Kind;

/// A state without its data, as users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
    /// It does not run and is not to start.
    Stopped,
    /// It is to start and waits for its dependencies.
    Waiting,
    /// It has a process and is not ready.
    Starting,
    /// It is ready.
    Running,
    /// It was ready, and its health probe fails.
    Unhealthy,
    /// Its processes are being stopped.
    Stopping,
    /// Its last run failed; it waits for the next start.
    Backoff,
    /// It exited with success and is not restarted.
    Exited,
    /// It failed and is not restarted.
    Fatal,
    /// A task that ended with success.
    Succeeded,
    /// A task that failed and is not started again.
    Failed,
    /// A job between two runs.
    Idle,
    /// A job that does not run when it is due.
    Paused,
}

impl StateName {
    /// Every state, in the order of a program's life.
    pub const ALL: [StateName; 13] = [
        StateName::Stopped,
        StateName::Waiting,
        StateName::Starting,
        StateName::Running,
        StateName::Unhealthy,
        StateName::Stopping,
        StateName::Backoff,
        StateName::Exited,
        StateName::Fatal,
        StateName::Succeeded,
        StateName::Failed,
        StateName::Idle,
        StateName::Paused,
    ];

    /// The name of this state where the program is of this kind. A task runs from its start on.
    #[must_use]
    pub const fn of(self, kind: Kind) -> StateName {
        match (kind, self) {
            (Kind::Task | Kind::Job, StateName::Starting) => StateName::Running,
            (Kind::Job, StateName::Stopped | StateName::Exited | StateName::Fatal) => StateName::Idle,
            (Kind::Task, StateName::Exited) => StateName::Succeeded,
            (Kind::Task, StateName::Fatal) => StateName::Failed,
            (Kind::Program | Kind::Task | Kind::Job, state) => state,
        }
    }

    /// Whether it has ended and does not start again without an order.
    pub const fn is_final(self) -> bool {
        match self {
            StateName::Exited | StateName::Fatal | StateName::Succeeded | StateName::Failed => true,
            StateName::Stopped
            | StateName::Waiting
            | StateName::Starting
            | StateName::Running
            | StateName::Unhealthy
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Idle
            | StateName::Paused => false,
        }
    }

    /// Its name in logs, `status` and events.
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
            StateName::Succeeded => "succeeded",
            StateName::Failed => "failed",
            StateName::Idle => "idle",
            StateName::Paused => "paused",
        }
    }

    /// The state of this name.
    pub fn parse(text: &str) -> Option<StateName> {
        StateName::ALL.into_iter().find(|state| state.name() == text)
    }
}

/// The name of an event in a line of the log and in `foster events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventName {
    /// It waits for another instance.
    Waiting,
    /// Its process is being started.
    Starting,
    /// It is ready.
    Ready,
    /// It was not ready in time.
    NotReady,
    /// Its process could not be started.
    StartFailed,
    /// Its health probe fails.
    Unhealthy,
    /// Its processes use more memory than its `memory_max`.
    OverMemory,
    /// Its health probe passes again.
    Recovered,
    /// Its main process exited by itself.
    Exited,
    /// Its main process exited by itself, and other processes of it are left.
    ProcessesLeft,
    /// It is being stopped.
    Stopping,
    /// It could not be killed.
    NotKilled,
    /// It was stopped as requested, or will not be started.
    Stopped,
    /// Its new run has taken the place of the old one.
    Replaced,
    /// Its rolling restart has failed.
    NotReplaced,
    /// It has not reported the end of a reload in time.
    NotReloaded,
    /// Its definition has changed.
    Changed,
    /// It was removed from the configuration.
    Removed,
    /// A run of a job starts.
    JobStarted,
    /// A run of a job has ended, or could not be started.
    JobFinished,
    /// A job was due and does not run for that.
    JobSkipped,
    /// A job does not run when it is due.
    JobPaused,
    /// A paused job runs when it is due.
    JobResumed,
    /// A new configuration was applied.
    Updated,
    /// A new configuration has an error and was not applied.
    UpdateFailed,
    /// The shutdown starts.
    Shutdown,
    /// The container ends.
    Exit,
}

impl EventName {
    /// Every event, in the order of a program's life.
    pub const ALL: [EventName; 27] = [
        EventName::Waiting,
        EventName::Starting,
        EventName::Ready,
        EventName::NotReady,
        EventName::StartFailed,
        EventName::Unhealthy,
        EventName::OverMemory,
        EventName::Recovered,
        EventName::Exited,
        EventName::ProcessesLeft,
        EventName::Stopping,
        EventName::NotKilled,
        EventName::Stopped,
        EventName::Replaced,
        EventName::NotReplaced,
        EventName::NotReloaded,
        EventName::Changed,
        EventName::Removed,
        EventName::JobStarted,
        EventName::JobFinished,
        EventName::JobSkipped,
        EventName::JobPaused,
        EventName::JobResumed,
        EventName::Updated,
        EventName::UpdateFailed,
        EventName::Shutdown,
        EventName::Exit,
    ];

    /// Its name in logs and events.
    pub const fn name(self) -> &'static str {
        match self {
            EventName::Waiting => "waiting",
            EventName::Starting => "starting",
            EventName::Ready => "ready",
            EventName::NotReady => "not_ready",
            EventName::StartFailed => "start_failed",
            EventName::Exited => "exited",
            EventName::Unhealthy => "unhealthy",
            EventName::OverMemory => "over_memory",
            EventName::Recovered => "recovered",
            EventName::ProcessesLeft => "processes_left",
            EventName::Stopping => "stopping",
            EventName::NotKilled => "not_killed",
            EventName::Stopped => "stopped",
            EventName::Replaced => "replaced",
            EventName::NotReplaced => "not_replaced",
            EventName::NotReloaded => "not_reloaded",
            EventName::Changed => "changed",
            EventName::Removed => "removed",
            EventName::JobStarted => "job_started",
            EventName::JobFinished => "job_finished",
            EventName::JobSkipped => "job_skipped",
            EventName::JobPaused => "job_paused",
            EventName::JobResumed => "job_resumed",
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
