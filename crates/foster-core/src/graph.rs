//! Who waits for whom: tiers from `priority`, edges from `after` and `requires`.
//!
//! Built once, from the whole plan, and never changed. What is wrong with it (a name out of range, a
//! circle, an order that contradicts itself) is found here, all of it at once, and nowhere else.
//! Who may start or stop *now* is asked in `supervisor.rs`.

use alloc::vec;
use alloc::vec::Vec;

use crate::ids::ProgramId;
use crate::spec::ProgramSpec;

/// The order among programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    order: Vec<ProgramId>,
    waves: Vec<Vec<ProgramId>>,
    dependants: Vec<Vec<ProgramId>>,
    requiring: Vec<ProgramId>,
}

/// What is wrong with an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanError {
    /// A program waits for one that is not in the plan.
    Unknown {
        /// Who waits.
        program: ProgramId,
        /// For whom.
        dependency: ProgramId,
    },
    /// These wait for each other: each for the next one, the last for the first.
    Circle(Vec<ProgramId>),
    /// A program waits for one of a later tier: `after` and `priority` contradict each other.
    LaterTier {
        /// Who waits.
        program: ProgramId,
        /// For whom.
        dependency: ProgramId,
    },
}

impl Graph {
    /// The order among these programs.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(programs: &[ProgramSpec]) -> Result<Graph, Vec<PlanError>> {
        let mut errors = Vec::new();
        let mut dependants = vec![Vec::new(); programs.len()];
        for (program, spec) in numbered(programs) {
            for dependency in dependencies(spec) {
                let Some(other) = get(programs, dependency) else {
                    errors.push(PlanError::Unknown { program, dependency });
                    continue;
                };
                if other.priority > spec.priority {
                    errors.push(PlanError::LaterTier { program, dependency });
                }
                if let Some(list) = dependants.get_mut(dependency.0 as usize) {
                    list.push(program);
                }
            }
        }
        let mut walk = Walk {
            programs,
            marks: vec![Mark::New; programs.len()],
            path: Vec::new(),
            order: Vec::new(),
            circles: Vec::new(),
        };
        let mut roots: Vec<ProgramId> = numbered(programs).map(|(id, _)| id).collect();
        roots.sort_by_key(|id| (get(programs, *id).map_or(0, |spec| spec.priority), *id));
        for root in roots {
            walk.visit(root);
        }
        errors.extend(walk.circles.into_iter().map(PlanError::Circle));
        if !errors.is_empty() {
            return Err(errors);
        }
        let waves = waves(programs, &walk.order);
        let requires = |id: &ProgramId| get(programs, *id).is_some_and(|spec| !spec.requires.is_empty());
        let requiring = walk.order.iter().copied().filter(requires).collect();
        Ok(Graph { order: walk.order, waves, dependants, requiring })
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

    /// Who waits for this program, by `after` or `requires`.
    pub fn dependants(&self, program: ProgramId) -> &[ProgramId] {
        self.dependants.get(program.0 as usize).map_or(&[], Vec::as_slice)
    }
}

/// What a program waits for, by `after` and by `requires`.
pub fn dependencies(spec: &ProgramSpec) -> impl Iterator<Item = ProgramId> {
    spec.after.iter().chain(&spec.requires).copied()
}

fn numbered(programs: &[ProgramSpec]) -> impl Iterator<Item = (ProgramId, &ProgramSpec)> {
    (0u32..).map(ProgramId).zip(programs)
}

fn get(programs: &[ProgramSpec], id: ProgramId) -> Option<&ProgramSpec> {
    programs.get(id.0 as usize)
}

/// How far the depth-first walk has come with a program.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    OnPath,
    Done,
}

struct Walk<'a> {
    programs: &'a [ProgramSpec],
    marks: Vec<Mark>,
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
                match self.mark(program) {
                    Some(Mark::New) => self.set(program, Mark::OnPath),
                    Some(Mark::OnPath | Mark::Done) | None => continue,
                }
                self.path.push(program);
            }
            let dependency = get(self.programs, program).and_then(|spec| dependencies(spec).nth(next));
            match dependency {
                None => {
                    self.path.pop();
                    self.set(program, Mark::Done);
                    self.order.push(program);
                }
                Some(dependency) => {
                    stack.push((program, next + 1));
                    if self.mark(dependency) == Some(Mark::OnPath) {
                        let start = self.path.iter().position(|id| *id == dependency).unwrap_or(0);
                        self.circles.push(self.path.iter().skip(start).copied().collect());
                    } else {
                        stack.push((dependency, 0));
                    }
                }
            }
        }
    }

    fn mark(&self, id: ProgramId) -> Option<Mark> {
        self.marks.get(id.0 as usize).copied()
    }

    fn set(&mut self, id: ProgramId, mark: Mark) {
        if let Some(slot) = self.marks.get_mut(id.0 as usize) {
            *slot = mark;
        }
    }
}

/// Groups what can start together: by tier, and inside a tier by how long a chain leads to it.
fn waves(programs: &[ProgramSpec], order: &[ProgramId]) -> Vec<Vec<ProgramId>> {
    let mut depth = vec![0u32; programs.len()];
    let mut keyed = Vec::with_capacity(order.len());
    for id in order {
        let Some(spec) = get(programs, *id) else { continue };
        let same_tier =
            |other: &ProgramId| get(programs, *other).is_some_and(|o| o.priority == spec.priority);
        let own = dependencies(spec)
            .filter(same_tier)
            .filter_map(|other| depth.get(other.0 as usize))
            .map(|depth| depth + 1)
            .max()
            .unwrap_or(0);
        if let Some(slot) = depth.get_mut(id.0 as usize) {
            *slot = own;
        }
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
