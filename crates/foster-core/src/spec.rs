//! One program, as the core needs it: order, restarts, readiness, health, stopping. Plain data.
//!
//! How a process is made (its command, its user, its output) is not here: only the shell knows that. All programs
//! together, checked, are a [`crate::plan::CorePlan`].

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ids::{ProgramId, Signal};
use crate::schedule::Timing;

/// One program.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgramSpec {
    /// How many processes it has.
    pub instances: u16,
    /// Whether it starts with the container.
    pub autostart: Autostart,
    /// Its tier: lower starts first and stops last.
    pub priority: i32,
    /// Started only when each of these is ready.
    pub after: Vec<ProgramId>,
    /// Like `after`, and stopped when one of these stays down.
    pub requires: Vec<ProgramId>,
    /// What follows an end.
    pub restart: RestartPolicy,
    /// What follows for the container when it exits with success and is not restarted.
    pub on_exit: ExitAction,
    /// What follows for the container when it fails and is not restarted.
    pub on_failure: ExitAction,
    /// When it counts as ready.
    pub readiness: Readiness,
    /// How its health is watched; `None`: not at all.
    pub health: Option<HealthPlan>,
    /// The time within which it has to report that it works, again and again; `None`: it need not.
    pub watchdog: Option<Duration>,
    /// The memory, in bytes, above which it is restarted; `None`: its memory is not watched.
    pub memory_max: Option<u64>,
    /// When it is due; `None`: it is not a job.
    pub job: Option<JobPlan>,
    /// How it is stopped.
    pub stop: StopPlan,
    /// What `reload` sends it; `None`: a rolling restart.
    pub reload_signal: Option<Signal>,
    /// Whether a rolling restart starts the new instance beside the old one.
    pub overlap: Overlap,
}

/// Whether two runs of one instance can stand beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// They can: what they listen at belongs to foster.
    Allowed,
    /// The second one would find the port of the first one in use.
    Never,
}

/// When a job runs.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPlan {
    /// When it is due.
    pub timing: Rc<Timing>,
    /// What happens when it is due while a run is under way.
    pub overlap: JobOverlap,
    /// Whether it also runs when foster starts.
    pub at_start: Autostart,
}

/// What happens when a job is due while a run of it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobOverlap {
    /// This due time is left out.
    Skip,
    /// One more run follows the present one.
    Wait,
    /// The present run is stopped, and another one follows.
    Kill,
}

/// What a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It runs until it is stopped.
    Program,
    /// It runs once, to completion, while the container boots.
    Task,
    /// It runs to completion whenever it is due.
    Job,
}

impl Kind {
    /// Its name in a configuration and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Program => "program",
            Kind::Task => "task",
            Kind::Job => "job",
        }
    }
}

impl ProgramSpec {
    /// What it is for: a task is ready by its success, and nothing else is; a job has a timetable as well.
    pub fn kind(&self) -> Kind {
        match (self.readiness, &self.job) {
            (_, Some(_)) => Kind::Job,
            (Readiness::Completion { .. }, None) => Kind::Task,
            (Readiness::Uptime | Readiness::Probe { .. } | Readiness::Notify { .. }, None) => Kind::Program,
        }
    }
}

/// Whether a program starts with the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autostart {
    /// It does.
    Yes,
    /// It waits, stopped, for a `start`.
    No,
}

/// What the end of a program does to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitAction {
    /// Nothing.
    Ignore,
    /// It ends the container.
    Shutdown,
}

/// What follows an end.
#[derive(Debug, Clone, PartialEq)]
pub struct RestartPolicy {
    /// Which ends are followed by a restart.
    pub restart: Restart,
    /// Exit codes that are not a failure.
    pub success_exit_codes: Vec<u8>,
    /// What an end before `min_uptime` is.
    pub early_exit: EarlyExit,
    /// Up this long without a probe: it is ready. An end before that is a failed start.
    pub min_uptime: Duration,
    /// How long to wait before a restart.
    pub backoff: Backoff,
    /// Failed starts in a row that make the program fatal; `None`: never.
    pub start_limit: Option<u32>,
}

/// What the end of a run is that came before `min_uptime`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EarlyExit {
    /// A success or a failure, by its status, as at any other time.
    ByStatus,
    /// A failed start, which is tried again whatever its status and the policy are.
    Failure,
}

/// Which ends are followed by a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Every one.
    Always,
    /// A failure.
    OnFailure,
    /// None.
    Never,
}

/// The wait before a restart: it grows with every failed start in a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// The first wait; zero: none for the first restart after a good run, then 100 ms.
    pub initial: Duration,
    /// Each further wait is this many times the one before; at least 1.
    pub factor: f64,
    /// No wait is longer.
    pub max: Duration,
    /// How the wait grows.
    pub growth: Growth,
    /// Up this long, the count of failures in a row is 0 again.
    pub reset: Duration,
}

/// How the wait before a restart grows with the number of failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// The wait before restart n is `initial` × `factor`^n.
    Exponential,
    /// The wait before restart n is `initial` × n.
    Linear,
}

/// When a program counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// When it has been up for `min_uptime`.
    Uptime,
    /// When a probe has passed: http, tcp, unix, exec, file.
    Probe {
        /// Between two attempts.
        interval: Duration,
        /// The time limit.
        timeout: Duration,
        /// What it is when its time is over.
        late: LateStart,
    },
    /// When the program reports it: by a line of its output, a datagram or a descriptor.
    Notify {
        /// The time limit.
        timeout: Duration,
        /// What it is when its time is over.
        late: LateStart,
    },
    /// When it has ended with success: a task.
    Completion {
        /// Not ended by then is a failure; `None`: it has any time.
        timeout: Option<Duration>,
    },
}

/// What a start is whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateStart {
    /// A failed start.
    Fails,
    /// A good one: the program is taken to be ready.
    IsReady,
}

/// How long a start may take where `ready` gives no time: from the request to the `exec` of the program.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

impl Readiness {
    /// The time that a start may take as a whole.
    pub fn start_timeout(self) -> Duration {
        match self {
            Readiness::Uptime => START_TIMEOUT,
            Readiness::Probe { interval: _, timeout, late: _ } | Readiness::Notify { timeout, late: _ } => {
                timeout
            }
            Readiness::Completion { timeout } => timeout.unwrap_or(START_TIMEOUT),
        }
    }

    /// What a start is whose time is over.
    pub fn late(self) -> LateStart {
        match self {
            Readiness::Probe { late, .. } | Readiness::Notify { late, .. } => late,
            Readiness::Uptime | Readiness::Completion { .. } => LateStart::Fails,
        }
    }
}

/// How the health of a program that is ready is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPlan {
    /// From one attempt to the next.
    pub interval: Duration,
    /// An attempt without an answer by then has failed.
    pub timeout: Duration,
    /// Failed attempts in a row that make the program unhealthy.
    pub failures: u32,
    /// The time after the program is ready before the first interval.
    pub start_period: Duration,
    /// What happens then.
    pub action: HealthAction,
}

/// What happens to a program that is unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthAction {
    /// It is restarted, as if it had ended by itself.
    Restart,
    /// It ends the container.
    Shutdown,
    /// Nothing: its state shows it.
    Report,
}

/// How a program is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopPlan {
    /// Sent in this order, each given `timeout`; at least one.
    pub signals: Vec<Signal>,
    /// After the last of them: KILL, to every process of the program (`kill_mode`).
    pub timeout: Duration,
    /// Which processes get the signals.
    pub scope: StopScope,
    /// A command to be run first.
    pub pre_stop: PreStop,
    /// Which processes belong to the program.
    pub kill_mode: KillMode,
}

/// Which processes belong to a program: they are stopped with it, and the next start waits until they are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KillMode {
    /// The session of the main process, and what left that session: daemons, sessions of workers.
    Tree,
    /// The session of the main process.
    Session,
    /// The main process alone.
    Process,
}

/// Which processes get the stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopScope {
    /// The main process.
    Main,
    /// Its process group.
    Group,
}

/// Whether a command runs before the stop signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreStop {
    /// No.
    None,
    /// Yes; the shell knows which.
    Command,
}
