//! The plan of the core: every program, the order among them, and what foster's own signals and end mean.
//!
//! [`CorePlan::new`] is the only way to a plan; no other part has to handle what it refuses. A plan does not
//! change; an update makes the next one from it. A definition is shared with the runs that were started from it
//! ([`crate::program::Instance`]), so replacing the plan under a run does not change how that run is stopped.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::graph::{Graph, PlanError};
use crate::ids::{ProgramId, Signal};
use crate::program_map::ProgramMap;
use crate::sorted::SortedSet;
use crate::spec::ProgramSpec;

/// The definitions of all programs.
pub type Specs = ProgramMap<Rc<ProgramSpec>>;

/// Everything the core decides from.
#[derive(Debug, Clone, PartialEq)]
pub struct CorePlan {
    programs: Specs,
    leaving: SortedSet<ProgramId>,
    settings: PlanSettings,
    graph: Graph,
}

/// What holds for all programs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanSettings {
    /// How long the whole shutdown may take.
    pub shutdown_timeout: Duration,
    /// What foster does when every program has ended by itself.
    pub when_all_ended: WhenAllEnded,
    /// What a tier waits for.
    pub start: StartOrder,
    /// The table `[signals]`.
    pub signals: Vec<(Signal, SignalAction)>,
}

/// What foster does when every program has ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenAllEnded {
    /// It exits with success.
    Exit,
    /// It exits, with the status of a program that failed, if one did.
    Fail,
    /// It waits for an order.
    Stay,
}

/// What a tier waits for on its first way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartOrder {
    /// That those before it are ready.
    Ready,
    /// Nothing: all tiers start at once, the lower ones first.
    Together,
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

impl CorePlan {
    /// Checks that every program named exists, that no program waits for itself, and that `after` and `priority` do
    /// not contradict each other.
    ///
    /// # Errors
    /// Every contradiction found, with the programs that make it.
    pub fn new(
        programs: impl IntoIterator<Item = (ProgramId, ProgramSpec)>,
        settings: PlanSettings,
    ) -> Result<CorePlan, Vec<PlanError>> {
        let programs: Specs = programs.into_iter().map(|(id, spec)| (id, Rc::new(spec))).collect();
        let graph = Graph::new(&programs)?;
        Ok(CorePlan { programs, leaving: SortedSet::new(), settings, graph })
    }

    /// The programs.
    pub fn programs(&self) -> &Specs {
        &self.programs
    }

    /// The definition of one program.
    pub fn program(&self, id: ProgramId) -> Option<&Rc<ProgramSpec>> {
        self.programs.get(id)
    }

    /// Whether an update has removed this program: it is in the plan only until nothing of it is left.
    pub fn is_leaving(&self, id: ProgramId) -> bool {
        self.leaving.contains(&id)
    }

    /// The same plan under other ids. A configuration that was read again counts its programs from 0, and a program
    /// that stays keeps its id. `ids` has to name each program, and no two by the same number.
    #[must_use]
    pub fn renumbered(self, ids: &ProgramMap<ProgramId>) -> CorePlan {
        let new = |id: ProgramId| ids.get(id).copied().unwrap_or(id);
        let all = |list: Vec<ProgramId>| list.into_iter().map(new).collect();
        let programs = self.programs.into_iter().map(|(id, spec)| {
            let spec = Rc::unwrap_or_clone(spec);
            let spec = ProgramSpec { after: all(spec.after), requires: all(spec.requires), ..spec };
            (new(id), Rc::new(spec))
        });
        let signals = self.settings.signals.into_iter().map(|(signal, action)| match action {
            SignalAction::Forward { program, signal: passed } => {
                (signal, SignalAction::Forward { program: new(program), signal: passed })
            }
            SignalAction::Shutdown | SignalAction::Ignore => (signal, action),
        });
        let settings = PlanSettings { signals: signals.collect(), ..self.settings };
        CorePlan::of(programs.collect(), self.leaving.iter().copied().map(new).collect(), settings)
    }

    /// The same plan, with programs of an earlier one until nothing of them is left. They stop before the programs
    /// they were after. Where the new plan puts such a program into a later tier the tiers win: no program is after
    /// one that leaves, so nothing else can contradict.
    #[must_use]
    pub fn with_leaving(self, leaving: impl IntoIterator<Item = (ProgramId, Rc<ProgramSpec>)>) -> CorePlan {
        let CorePlan { mut programs, leaving: mut gone, settings, graph: _ } = self;
        for (id, spec) in leaving {
            if !programs.contains(id) {
                programs.insert(id, spec);
                gone.insert(id);
            }
        }
        for id in gone.iter() {
            let Some(spec) = programs.get(*id) else { continue };
            let mut spec = ProgramSpec::clone(spec);
            let priority = spec.priority;
            let earlier =
                |other: &ProgramId| programs.get(*other).is_some_and(|other| other.priority <= priority);
            spec.after.append(&mut spec.requires);
            spec.after.retain(earlier);
            programs.insert(*id, Rc::new(spec));
        }
        CorePlan::of(programs, gone, settings)
    }

    /// The same plan, with another number of instances of a program.
    #[must_use]
    pub fn with_instances(mut self, id: ProgramId, instances: u16) -> CorePlan {
        if let Some(spec) = self.programs.get_mut(id) {
            *spec = Rc::new(ProgramSpec { instances, ..ProgramSpec::clone(spec) });
        }
        self
    }

    /// The programs that an update has removed and of which something is left.
    pub fn leaving(&self) -> &SortedSet<ProgramId> {
        &self.leaving
    }

    /// The same plan, without these of the programs that were leaving.
    #[must_use]
    pub fn without(self, gone: &SortedSet<ProgramId>) -> CorePlan {
        let CorePlan { programs, leaving, settings, graph: _ } = self;
        let left = leaving.iter().copied().filter(|id| !gone.contains(id)).collect();
        let programs = programs.into_iter().filter(|(id, _)| !gone.contains(id)).map(|(id, spec)| {
            if spec.after.iter().any(|other| gone.contains(other)) {
                let mut spec = Rc::unwrap_or_clone(spec);
                spec.after.retain(|other| !gone.contains(other));
                return (id, Rc::new(spec));
            }
            (id, spec)
        });
        CorePlan::of(programs.collect(), left, settings)
    }

    /// The same plan, with another definition of one program. Its place in the order stays.
    #[must_use]
    pub fn with_definition(mut self, id: ProgramId, spec: &ProgramSpec) -> CorePlan {
        if let Some(now) = self.programs.get_mut(id) {
            let ProgramSpec { instances, autostart, priority, .. } = **now;
            let (after, requires) = (now.after.clone(), now.requires.clone());
            *now = Rc::new(ProgramSpec { instances, autostart, priority, after, requires, ..spec.clone() });
        }
        self
    }

    /// A plan that is known to be without contradictions.
    fn of(programs: Specs, leaving: SortedSet<ProgramId>, settings: PlanSettings) -> CorePlan {
        let (graph, _) = Graph::of(&programs);
        CorePlan { programs, leaving, settings, graph }
    }

    /// What holds for all programs together.
    pub fn settings(&self) -> &PlanSettings {
        &self.settings
    }

    /// Which program waits for which.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}
