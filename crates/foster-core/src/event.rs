//! Everything that can happen to us, in the past tense.
//!
//! An event carries facts, never wishes of the shell. Each is handed to [`crate::Supervisor::step`]
//! with the instant at which it was seen; answers come back as [`crate::action::Action`].

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::{Exit, InstanceId, Run, Signal};
use crate::plan::CorePlan;
use crate::program_map::ProgramMap;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Bring-up is over: the plan may begin.
    Booted,
    /// The instant given by [`crate::Supervisor::deadline`] has come.
    Ticked,
    /// The process of this run exists: its `exec` succeeded.
    Spawned(Run),
    /// The process of this run could not be made.
    SpawnFailed(Run, StartFailure),
    /// The main process of this run has ended and was reaped.
    Exited {
        /// Whose.
        run: Run,
        /// How.
        exit: Exit,
        /// Whether others of its session live on.
        session: Session,
    },
    /// The last process of this run's session is gone.
    SessionEmptied(Run),
    /// A readiness probe of this run gave an answer.
    Probed(Run, ProbeResult),
    /// The `pre_stop` command of this run has ended, or could not be run.
    PreStopEnded(Run),
    /// A signal came for foster.
    Signalled(Signal),
    /// An operator gave an order.
    Ordered {
        /// Which.
        order: Order,
        /// To whom.
        targets: Vec<InstanceId>,
    },
    /// An operator told foster to end, or foster itself cannot go on.
    ShutdownOrdered(ShutdownCause),
    /// Nothing is left that has to be ended before foster may.
    SweepDone,
    /// The configuration was read anew, without a mistake.
    Updated(Box<Update>),
}

/// What is to be from now on. A program that stays has the id it had, a new one an id that nobody had; one that
/// is not in the plan any more is stopped, and forgotten when nothing of it is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The new plan.
    pub plan: Rc<CorePlan>,
    /// The programs of both plans that are not what they were.
    pub changed: ProgramMap<SpecChange>,
}

/// How much of a program's definition is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecChange {
    /// Only what is decided about it: that holds from the next decision on, also for a process that runs.
    Policy,
    /// What its process is made from: a process that runs has to be replaced.
    Process,
}

/// Whether a session outlived its main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Nobody is left in it.
    Empty,
    /// Others of it live on.
    Lives,
}

/// What a probe answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// The program is ready.
    Passed,
    /// Not yet, with what was seen instead.
    Failed(String),
}

/// An operator's order to instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Be up.
    Start,
    /// Be down.
    Stop,
    /// Be down, then up.
    Restart,
    /// Read your configuration again: `reload_signal`.
    Reload,
    /// Get this signal.
    Signal(Signal),
}

/// Why foster was told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownCause {
    /// `foster shutdown`.
    Operator,
    /// A fault in foster: the exit status is not 0.
    Fault,
}

/// Why a process could not be made: what was being done, and the system's word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// The step, as a word for machines: `user`, `directory`, `exec` …
    pub stage: &'static str,
    /// Whether a later attempt can go better.
    pub persistence: Persistence,
    /// The whole sentence for people, with path and errno.
    pub message: String,
}

/// Whether the cause of a failed start can go away without a change of the image or the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It can: no memory, too many processes, a busy file.
    Transient,
    /// It cannot mend itself: no such file, user or directory; not permitted; not executable.
    Permanent,
}
