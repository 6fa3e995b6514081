//! What is to be supervised, as the core needs it: order, restarts, readiness, stopping.
//!
//! Nothing here says what a program *is* (its command, its user, its output): the shell knows that.
//! [`CorePlan::new`] is the only way to a plan; what it refuses, no other part has to think of.

use alloc::vec::Vec;
use core::time::Duration;

use crate::by_program::ByProgram;
use crate::graph::{Graph, PlanError};
use crate::ids::{ProgramId, Signal};

/// Everything the core knows about the world it is to keep.
#[derive(Debug, Clone, PartialEq)]
pub struct CorePlan {
    programs: ByProgram<ProgramSpec>,
    leaving: Vec<ProgramId>,
    shutdown_timeout: Duration,
    signals: Vec<(Signal, SignalAction)>,
    graph: Graph,
}

impl CorePlan {
    /// Checks that every program named exists, that nothing waits for itself, and that `after` and
    /// `priority` do not contradict each other.
    ///
    /// # Errors
    /// Every contradiction found, with the programs that make it.
    pub fn new(
        programs: ByProgram<ProgramSpec>,
        shutdown_timeout: Duration,
        signals: Vec<(Signal, SignalAction)>,
    ) -> Result<CorePlan, Vec<PlanError>> {
        let graph = Graph::new(&programs)?;
        Ok(CorePlan { programs, leaving: Vec::new(), shutdown_timeout, signals, graph })
    }

    /// The programs.
    pub fn programs(&self) -> &ByProgram<ProgramSpec> {
        &self.programs
    }

    /// One program.
    pub fn program(&self, id: ProgramId) -> Option<&ProgramSpec> {
        self.programs.get(id)
    }

    /// Whether this program is on its way out: it is in the plan only until nothing of it is left.
    pub fn is_leaving(&self, id: ProgramId) -> bool {
        self.leaving.contains(&id)
    }

    /// The same plan under other numbers: what was read anew begins at 0, and a program that stays has to keep
    /// its id. `ids` has to name each program, and no two by the same number.
    #[must_use]
    pub fn renumbered(self, ids: &ByProgram<ProgramId>) -> CorePlan {
        let new = |id: ProgramId| ids.get(id).copied().unwrap_or(id);
        let all = |list: Vec<ProgramId>| list.into_iter().map(new).collect();
        let programs = self.programs.into_iter().map(|(id, spec)| {
            (new(id), ProgramSpec { after: all(spec.after), requires: all(spec.requires), ..spec })
        });
        let signals = self.signals.into_iter().map(|(signal, action)| match action {
            SignalAction::Forward { program, signal: passed } => {
                (signal, SignalAction::Forward { program: new(program), signal: passed })
            }
            SignalAction::Shutdown | SignalAction::Ignore => (signal, action),
        });
        let leaving = self.leaving.into_iter().map(new).collect();
        let shutdown_timeout = self.shutdown_timeout;
        CorePlan::of(programs.collect(), leaving, shutdown_timeout, signals.collect())
    }

    /// The same plan, with programs of an earlier one until nothing of them is left. They stop before what they
    /// were after. Where the new plan has put that into a later tier the tiers win: nobody is after one that
    /// leaves, so nothing else can contradict.
    #[must_use]
    pub fn with_leaving(self, leaving: impl IntoIterator<Item = (ProgramId, ProgramSpec)>) -> CorePlan {
        let CorePlan { mut programs, leaving: mut gone, shutdown_timeout, signals, graph: _ } = self;
        for (id, spec) in leaving {
            if !programs.contains(id) {
                programs.insert(id, spec);
                gone.push(id);
            }
        }
        for id in &gone {
            let Some(mut spec) = programs.remove(*id) else { continue };
            let priority = spec.priority;
            let earlier =
                |other: &ProgramId| programs.get(*other).is_some_and(|other| other.priority <= priority);
            spec.after.append(&mut spec.requires);
            spec.after.retain(earlier);
            programs.insert(*id, spec);
        }
        CorePlan::of(programs, gone, shutdown_timeout, signals)
    }

    /// The same plan, without a program that was leaving.
    #[must_use]
    pub fn without(self, id: ProgramId) -> CorePlan {
        let CorePlan { mut programs, mut leaving, shutdown_timeout, signals, graph } = self;
        if !leaving.contains(&id) {
            return CorePlan { programs, leaving, shutdown_timeout, signals, graph };
        }
        leaving.retain(|other| *other != id);
        programs.remove(id);
        let forget = |list: &mut Vec<ProgramId>| list.retain(|other| *other != id);
        programs.values_mut().for_each(|spec| forget(&mut spec.after));
        CorePlan::of(programs, leaving, shutdown_timeout, signals)
    }

    /// A plan that is known to be without contradictions.
    fn of(
        programs: ByProgram<ProgramSpec>,
        leaving: Vec<ProgramId>,
        shutdown_timeout: Duration,
        signals: Vec<(Signal, SignalAction)>,
    ) -> CorePlan {
        let (graph, _) = Graph::of(&programs);
        CorePlan { programs, leaving, shutdown_timeout, signals, graph }
    }

    /// How long the whole shutdown may take.
    pub fn shutdown_timeout(&self) -> Duration {
        self.shutdown_timeout
    }

    /// The table `[signals]`.
    pub fn signals(&self) -> &[(Signal, SignalAction)] {
        &self.signals
    }

    /// Who waits for whom.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

/// One program.
#[derive(Debug, Clone, PartialEq)]
pub struct ProgramSpec {
    /// How many processes it consists of; at least 1.
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
    /// What its end for good, with success, does to the container.
    pub on_exit: Fate,
    /// What its failure for good does to the container.
    pub on_failure: Fate,
    /// When it counts as ready.
    pub readiness: Readiness,
    /// How it is stopped.
    pub stop: StopPlan,
    /// What `reload` sends it.
    pub reload_signal: Option<Signal>,
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
pub enum Fate {
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
    /// Up this long, and ready: the start was good.
    pub min_uptime: Duration,
    /// How long to wait before a restart.
    pub backoff: Backoff,
    /// Failed starts in a row that make the program fatal; `None`: never.
    pub start_limit: Option<u32>,
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
    /// Before the first restart of a program that had been up well.
    pub initial: Duration,
    /// Each further wait is this many times the one before; at least 1.
    pub factor: f64,
    /// No wait is longer.
    pub max: Duration,
}

/// When a program counts as ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// When it has been up for `min_uptime`.
    Uptime,
    /// When a probe has said so.
    Probe {
        /// Who speaks first.
        asking: Asking,
        /// Between two attempts.
        interval: Duration,
        /// Not ready by then is a failed start.
        timeout: Duration,
    },
}

/// Who speaks first in a readiness probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking {
    /// foster asks again and again: http, tcp, unix, exec, file.
    Asked,
    /// The program tells: a line of its output.
    Told,
}

/// How a program is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StopPlan {
    /// Sent in turn, each given `timeout`; at least one.
    pub signals: Vec<Signal>,
    /// After the last of them: KILL, to the whole session.
    pub timeout: Duration,
    /// Who gets the signals.
    pub scope: StopScope,
    /// A command to be run first.
    pub pre_stop: PreStop,
}

/// Who gets the stop signal.
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

/// What a signal to foster does (the table `[signals]`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalAction {
    /// Passed on to a program, as another signal perhaps.
    Forward {
        /// Whose main processes get it.
        program: ProgramId,
        /// What they get.
        signal: Signal,
    },
    /// An ordered shutdown.
    Shutdown,
    /// Nothing.
    Ignore,
}
