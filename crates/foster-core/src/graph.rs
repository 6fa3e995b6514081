//! Which program waits for which: tiers from `priority`, edges from `after` and `requires`.
//!
//! Built from the whole plan, and never changed. Every mistake in it (an unknown program, a circle, a contradiction) is
//! found here, all at once, and nowhere else. Which program may start or stop *now* is decided in `supervisor/order.rs`.

use alloc::rc::Rc;
use alloc::vec;
use alloc::vec::Vec;

use crate::ids::ProgramId;
use crate::program_map::ProgramMap;
use crate::spec::ProgramSpec;

/// The order among programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    order: Vec<ProgramId>,
    waves: Vec<Vec<ProgramId>>,
    dependants: ProgramMap<Vec<ProgramId>>,
    requiring: Vec<ProgramId>,
}

/// A mistake in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// A program waits for one that is not in the plan.
    Unknown {
        /// The one that waits.
        program: ProgramId,
        /// The one it waits for.
        dependency: ProgramId,
    },
    /// These wait for each other: each for the next one, the last for the first.
    Circle(Vec<ProgramId>),
    /// A program waits for one of a later tier: `after` and `priority` contradict each other.
    LaterTier {
        /// The one that waits.
        program: ProgramId,
        /// The one it waits for.
        dependency: ProgramId,
    },
}

impl Graph {
    /// The order among these programs.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn new(programs: &Programs) -> Result<Graph, Vec<PlanError>> {
        let (graph, errors) = Graph::of(programs);
        if errors.is_empty() { Ok(graph) } else { Err(errors) }
    }

    /// The order among these programs, and every mistake in it. Every program has its place in it all the same.
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
            circles: Vec::new(),
        };
        // Keyed like the waves below, so that one kind of sorting is in the binary.
        let mut roots: Vec<(i32, u32, ProgramId)> =
            programs.iter().map(|(id, spec)| (spec.priority, 0, id)).collect();
        roots.sort();
        for (_, _, root) in roots {
            walk.visit(root);
        }
        errors.extend(walk.circles.into_iter().map(PlanError::Circle));
        let waves = waves(programs, &walk.order);
        let requires = |id: &ProgramId| programs.get(*id).is_some_and(|spec| !spec.requires.is_empty());
        let requiring = walk.order.iter().copied().filter(requires).collect();
        (Graph { order: walk.order, waves, dependants, requiring }, errors)
    }

    /// Every program, each behind all that it waits for.
    pub fn order(&self) -> &[ProgramId] {
        &self.order
    }

    /// The programs in the order in which they can start: those of one wave at the same time.
    pub fn waves(&self) -> &[Vec<ProgramId>] {
        &self.waves
    }

    /// The programs that require others, each behind those that it requires.
    pub fn requiring(&self) -> &[ProgramId] {
        &self.requiring
    }

    /// The programs that wait for this one, by `after` or `requires`.
    pub fn dependants(&self, program: ProgramId) -> &[ProgramId] {
        self.dependants.get(program).map_or(&[], Vec::as_slice)
    }
}

/// What a program waits for, by `after` and by `requires`.
pub fn dependencies(spec: &ProgramSpec) -> impl Iterator<Item = ProgramId> {
    spec.after.iter().chain(&spec.requires).copied()
}

type Programs = ProgramMap<Rc<ProgramSpec>>;

/// How far the depth-first walk has come with a program.
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
    circles: Vec<Vec<ProgramId>>,
}

impl Walk<'_> {
    /// Puts a program behind all that it waits for. Iterative: a chain of 10,000 programs must not
    /// overflow the stack of PID 1.
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
                        self.circles.push(self.path.iter().skip(start).copied().collect());
                    } else {
                        stack.push((dependency, 0));
                    }
                }
            }
        }
    }
}

/// Groups what can start together: by tier, and inside a tier by how long a chain leads to it.
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
    keyed.sort();
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
