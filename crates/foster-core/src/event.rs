//! Everything that can happen to us, in the past tense.
//!
//! An event carries facts, never wishes of the shell. Each is handed to [`crate::Supervisor::step`]
//! with the instant at which it was seen; answers come back as [`crate::action::Action`].

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use crate::ids::{Exit, InstanceId, OrderId, Run, Signal};
use crate::plan::CorePlan;
use crate::probe::{ProbeResult, Which};
use crate::program_map::ProgramMap;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Bring-up is over: programs may start.
    Booted,
    /// The instant given by [`crate::Supervisor::deadline`] has come.
    Ticked,
    /// The process of this run has executed its program.
    Spawned(Run),
    /// The process of this run could not be made, or could not execute its program.
    SpawnFailed(Run, StartFailure),
    /// The main process of this run has ended and was reaped.
    Exited {
        /// Which run.
        run: Run,
        /// How.
        exit: Exit,
        /// Whether other processes of the program are left.
        left: Leftovers,
    },
    /// The last process of this run is gone.
    TreeEmptied(Run),
    /// A probe of this run gave an answer.
    Probed(Run, Which, ProbeResult),
    /// The program has said that it is ready.
    SaidReady(Run),
    /// The `pre_stop` command of this run has ended, or could not be run.
    PreStopEnded(Run),
    /// A signal could not be sent to this run: EPERM (kill(2)).
    SignalRefused(Run, Signal),
    /// A signal came for foster.
    Signalled(Signal),
    /// An operator gave an order.
    Ordered {
        /// What.
        order: Order,
        /// To which instances.
        targets: Vec<InstanceId>,
        /// Which order it is.
        id: OrderId,
    },
    /// An operator requested the shutdown, or foster itself cannot go on.
    ShutdownOrdered(ShutdownCause),
    /// No process is left that foster waits for before it exits.
    SweepDone,
    /// The configuration was read again, without a mistake.
    Updated(Box<Update>),
}

/// The plan from now on. A program that stays keeps its id, a new one gets an id that was never used. One that is
/// not in the plan any longer is stopped, and forgotten when nothing of it is left.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The new plan.
    pub plan: Rc<CorePlan>,
    /// The programs of both plans whose definition has changed.
    pub changed: ProgramMap<SpecChange>,
}

/// How much of a program's definition has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecChange {
    /// Only decisions about it: the change applies from the next decision on, also to a process that runs.
    Policy,
    /// What its process is made from: a process that runs has to be replaced.
    Process,
}

/// Whether other processes of a program outlived its main process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// None is left.
    None,
    /// Some are left, or it cannot be known that none is.
    Some,
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

/// What requested the shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutdownCause {
    /// `foster shutdown`.
    Operator(OrderId),
    /// A fault in foster: the exit status is not 0.
    Fault,
}

/// Why a process could not be made: what was attempted, and the system's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartFailure {
    /// The step, as a word for machines: `user`, `directory`, `exec` …
    pub stage: &'static str,
    /// Whether a later attempt can succeed.
    pub persistence: Persistence,
    /// The whole sentence for people, with path and errno.
    pub message: String,
}

/// Whether the cause of a failed start can go away without a change of the image or the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It can: no memory, too many processes, a busy file.
    Transient,
    /// It cannot: no such file, user or directory; not permitted; not executable.
    Permanent,
}
