//! The events that the core handles.
//!
//! An event states a fact and never asks for a decision. [`crate::Supervisor::step`] takes it with the instant at which
//! the shell saw it, and answers with [`crate::action::Action`]s.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::ids::{Exit, InstanceId, OrderId, Run, Signal};
use crate::plan::CorePlan;
use crate::probe::{ProbeResult, Which};
use crate::program_map::ProgramMap;
use crate::time::Instant;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// foster has started: programs may start.
    Booted,
    /// The instant of [`crate::Supervisor::deadline`] is reached.
    Ticked,
    /// The process of this run has executed its program.
    Spawned(Run),
    /// The process of this run could not be created, or could not execute its program.
    SpawnFailed(Run, StartFailure),
    /// The main process of this run exited and was reaped.
    Exited {
        /// The run.
        run: Run,
        /// The exit.
        exit: Exit,
        /// Whether other processes of the program are left.
        left: Leftovers,
    },
    /// No process of this run is left.
    TreeEmptied(Run),
    /// An attempt of a probe has a result.
    Probed(Run, Which, ProbeResult),
    /// The program of this run reported something about itself.
    Notified(Run, Notice),
    /// The `pre_stop` command of this run exited, or could not be started.
    PreStopEnded(Run),
    /// A signal to this run failed with EPERM (kill(2)).
    SignalRefused(Run, Signal),
    /// foster got a signal.
    Signalled(Signal),
    /// An operator gave an order.
    Ordered {
        /// The order.
        order: Order,
        /// The instances that it concerns.
        targets: Vec<InstanceId>,
        /// Its id.
        id: OrderId,
    },
    /// An operator ordered the shutdown, or a fault requires it.
    ShutdownOrdered(ShutdownCause),
    /// The processes that outlived the programs are gone.
    SweepDone,
    /// The wall clock shows this many milliseconds since 1970 (UTC): at the start, and whenever it was set.
    ClockSet(i64),
    /// The configuration was read again and is valid.
    Updated(Box<Update>),
    /// Before the boot: this run is from an earlier foster of this process, and continues.
    Adopted(Adopted),
    /// Before the boot: an earlier foster of this process has left this instance without a run.
    Recalled(InstanceId, Recalled),
}

/// What a program reports about itself (sd_notify(3)), or writes to the same effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It is ready; after a reload, ready again.
    Ready,
    /// It is not ready: what it has not reported yet, or why it can no longer do so.
    NotReady(String),
    /// It has started to read its configuration again.
    Reloading,
    /// It has started to end by itself.
    Stopping,
    /// It works: the time of its watchdog starts again.
    Alive,
    /// It has found that it does not work: as if the time of its watchdog were over.
    Failing,
    /// Its watchdog has this time from now on; zero: it has no watchdog.
    Watchdog(Duration),
    /// It needs more time to start or to stop: its time limit ends no sooner than this from now.
    Extend(Duration),
}

/// A new plan. A program in both plans keeps its id; a new program gets an unused id. A program that the new plan does
/// not have is stopped, and forgotten once none of its processes is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The new plan.
    pub plan: Rc<CorePlan>,
    /// The programs in both plans whose definition changed.
    pub changed: ProgramMap<SpecChange>,
}

/// The extent of a change of a program's definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecChange {
    /// Only keys that the core reads later: the change applies to a running process.
    Policy,
    /// Keys that a process is started with: a running process has to be replaced.
    Process,
}

/// A run that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// Which.
    pub run: Run,
    /// How far it has come.
    pub reached: Adoption,
    /// When it began.
    pub since: Instant,
    /// The time of its watchdog.
    pub watchdog: Option<Duration>,
    /// How its main process has ended, where only other processes of it are left; they got TERM before.
    pub exit: Option<Exit>,
    /// What is counted of its instance.
    pub counts: Counts,
}

/// How far a run has come that is adopted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// Its `pre_start` runs.
    Preparing,
    /// Its program runs, and was not ready.
    Starting,
    /// Its program was ready.
    Ready,
    /// It was being stopped.
    Stopping,
    /// It was being stopped, and its instance is then started again.
    Restarting,
    /// It was being stopped, because it was not ready in time.
    NotReady,
    /// It was being stopped, because it was unhealthy.
    Unhealthy,
}

/// An instance without a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recalled {
    /// Why it has none.
    pub rest: Rest,
    /// The number of its last run; 0: it had none.
    pub last_run: u32,
    /// The exit of that.
    pub exit: Exit,
    /// What is counted of it.
    pub counts: Counts,
}

/// Why an instance has no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// It was about to start.
    Due,
    /// It is a job that is not due.
    Idle,
    /// An operator stopped it.
    Stopped,
    /// It ended with success.
    Exited,
    /// It failed, and is not to be restarted.
    Fatal,
}

/// What is counted of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// How often it was restarted after an end by itself.
    pub restarts: u32,
    /// How many runs in a row have failed.
    pub failures: u32,
}

/// Whether processes of a program outlived its main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// None is left.
    None,
    /// Some are left, or foster cannot tell.
    Some,
}

/// An operator's order to instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Start.
    Start,
    /// Stop.
    Stop,
    /// Stop, then start.
    Restart,
    /// Run a job now.
    Run,
    /// Send `reload_signal`.
    Reload,
    /// Send this signal.
    Signal(Signal),
}

/// The cause of a shutdown that no signal and no program caused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownCause {
    /// `foster shutdown`.
    Operator(OrderId),
    /// A fault in foster: the exit status is not 0.
    Fault,
}

/// The failure to start a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// The failed step, for machines: `user`, `directory`, `exec` …
    pub stage: &'static str,
    /// Whether a later attempt can succeed.
    pub persistence: Persistence,
    /// The message, with path and errno.
    pub message: String,
}

/// Whether a failed start can succeed later without a change of the image or the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It can: out of memory, too many processes, a busy file.
    Transient,
    /// It cannot: no such file, user or directory; not permitted; not executable.
    Permanent,
}
