//! The dependency graph: tiers from `priority`, edges from `after` and `requires`.
//!
//! It is built from the whole plan and does not change. Only this file finds unknown programs, cycles and
//! contradictions, and reports all of them. `supervisor/order.rs` decides which program may start or stop at an instant.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use crate::ids::ProgramId;
use crate::program_map::ProgramMap;
use crate::sorted::sort;
use crate::spec::ProgramSpec;

/// The dependency graph of all programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    order: Vec<ProgramId>,
    waves: Vec<Vec<ProgramId>>,
    dependants: ProgramMap<Vec<ProgramId>>,
    requiring: Vec<ProgramId>,
}

/// An error in the dependencies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// A program depends on one that is not in the plan.
    Unknown {
        /// The program that depends.
        program: ProgramId,
        /// The missing program.
        dependency: ProgramId,
    },
    /// These programs form a cycle: each depends on the next one, the last on the first.
    Cycle(Vec<ProgramId>),
    /// A program depends on one of a later tier: `after` and `priority` contradict each other.
    LaterTier {
        /// The program that depends.
        program: ProgramId,
        /// The program of the later tier.
        dependency: ProgramId,
    },
}

impl Graph {
    /// Builds the graph of these programs.
    ///
    /// # Errors
    /// All errors in the dependencies.
    pub fn new(programs: &Programs) -> Result<Graph, Vec<PlanError>> {
        let (graph, errors) = Graph::of(programs);
        if errors.is_empty() { Ok(graph) } else { Err(errors) }
    }

    /// The graph of these programs and all errors in it. It has every program, in spite of errors.
    pub(crate) fn of(programs: &Programs) -> (Graph, Vec<PlanError>) {
        let mut errors = Vec::new();
        let mut dependants: ProgramMap<Vec<ProgramId>> = programs.ids().map(|id| (id, Vec::new())).collect();
        for (program, spec) in programs.iter() {
            for dependency in dependencies(spec) {
                let Some(other) = programs.get(dependency) else {
                    errors.push(PlanError::Unknown { program, dependency });
                    continue;
                };
                if other.priority > spec.priority {
                    errors.push(PlanError::LaterTier { program, dependency });
                }
                if let Some(list) = dependants.get_mut(dependency) {
                    list.push(program);
                }
            }
        }
        let mut walk = Walk {
            programs,
            marks: programs.ids().map(|id| (id, Mark::New)).collect(),
            path: Vec::new(),
            order: Vec::new(),
            cycles: Vec::new(),
        };
        // The same type of key as for the waves below, so that the binary has one instance of the sort.
        let mut roots: Vec<(i32, u32, ProgramId)> =
            programs.iter().map(|(id, spec)| (spec.priority, 0, id)).collect();
        sort(&mut roots);
        for (_, _, root) in roots {
            walk.visit(root);
        }
        errors.extend(walk.cycles.into_iter().map(PlanError::Cycle));
        let waves = waves(programs, &walk.order);
        let requires = |id: &ProgramId| programs.get(*id).is_some_and(|spec| !spec.requires.is_empty());
        let requiring = walk.order.iter().copied().filter(requires).collect();
        (Graph { order: walk.order, waves, dependants, requiring }, errors)
    }

    /// All programs, each after its dependencies.
    pub fn order(&self) -> &[ProgramId] {
        &self.order
    }

    /// The programs in waves; those of one wave can start at the same time.
    pub fn waves(&self) -> &[Vec<ProgramId>] {
        &self.waves
    }

    /// The programs that require others, each after those that it requires.
    pub fn requiring(&self) -> &[ProgramId] {
        &self.requiring
    }

    /// The programs that depend on this one, by `after` or `requires`.
    pub fn dependants(&self, program: ProgramId) -> &[ProgramId] {
        self.dependants.get(program).map_or(&[], Vec::as_slice)
    }
}

/// The dependencies of a program, by `after` and `requires`.
pub fn dependencies(spec: &ProgramSpec) -> impl Iterator<Item = ProgramId> {
    spec.after.iter().chain(&spec.requires).copied()
}

type Programs = ProgramMap<Rc<ProgramSpec>>;

/// The mark of a program in the depth-first search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnPath,
    Done,
}

struct Walk<'a> {
    programs: &'a Programs,
    marks: ProgramMap<Mark>,
    path: Vec<ProgramId>,
    order: Vec<ProgramId>,
    cycles: Vec<Vec<ProgramId>>,
}

impl Walk<'_> {
    /// Appends a program after its dependencies. Iterative, so that a chain of 10,000 programs does not overflow the stack
    /// of PID 1.
    fn visit(&mut self, root: ProgramId) {
        let mut stack = vec![(root, 0usize)];
        while let Some((program, next)) = stack.pop() {
            if next == 0 {
                if self.marks.get(program) != Some(&Mark::New) {
                    continue;
                }
                self.marks.insert(program, Mark::OnPath);
                self.path.push(program);
            }
            let dependency = self.programs.get(program).and_then(|spec| dependencies(spec).nth(next));
            match dependency {
                None => {
                    self.path.pop();
                    self.marks.insert(program, Mark::Done);
                    self.order.push(program);
                }
                Some(dependency) => {
                    stack.push((program, next + 1));
                    if self.marks.get(dependency) == Some(&Mark::OnPath) {
                        let start = self.path.iter().position(|id| *id == dependency).unwrap_or(0);
                        self.cycles.push(self.path.iter().skip(start).copied().collect());
                    } else {
                        stack.push((dependency, 0));
                    }
                }
            }
        }
    }
}

/// Groups the programs that can start together: by tier, and in a tier by the length of the longest chain of dependencies.
fn waves(programs: &Programs, order: &[ProgramId]) -> Vec<Vec<ProgramId>> {
    let mut depth: ProgramMap<u32> = programs.ids().map(|id| (id, 0)).collect();
    let mut keyed = Vec::with_capacity(order.len());
    for id in order {
        let Some(spec) = programs.get(*id) else { continue };
        let same_tier =
            |other: &ProgramId| programs.get(*other).is_some_and(|other| other.priority == spec.priority);
        let own = dependencies(spec)
            .filter(same_tier)
            .filter_map(|other| depth.get(other))
            .map(|depth| depth + 1)
            .max()
            .unwrap_or(0);
        depth.insert(*id, own);
        keyed.push((spec.priority, own, *id));
    }
    sort(&mut keyed);
    let mut waves: Vec<Vec<ProgramId>> = Vec::new();
    let mut last = None;
    for (priority, depth, id) in keyed {
        match waves.last_mut() {
            Some(wave) if last == Some((priority, depth)) => wave.push(id),
            Some(_) | None => waves.push(vec![id]),
        }
        last = Some((priority, depth));
    }
    waves
}
