//! Rolling restarts: the instances of a program are replaced one at a time, by new runs or by a new definition.
//!
//! Where two runs of an instance may stand beside each other ([`Overlap`]), the new one starts as a **spare**, an
//! [`Instance`] of the same id outside the list of instances. When it is ready the two change places, and the old one is
//! stopped; when it is not, it is dropped, and the instance never noticed. Elsewhere the instance is replaced **in place**:
//! stopped, then started. Either way the new run is on trial ([`Desired::Trial`]), and at its failure the rolling restart
//! ends: the old runs stay. After an update the former definition is kept until then. It comes back where the new one has
//! failed, also for the instances that were replaced already.
//!
//! Orders, updates, requirements and the shutdown change the desired state of instances as always. A rolling restart looks
//! at it in each step, and gives up a trial that is not wanted any longer. Dependencies, tiers and requirements see the
//! instances only. Next: `roll/trial.rs`, the steps with one instance.

mod trial;

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use super::Supervisor;
use super::order::{STARTS_PER_STEP, is_ready_or_done};
use super::update::runs_once;
use crate::action::{Action, Cause, Change, Definition, NotReplaced, Part, StateName};
use crate::graph::dependencies;
use crate::ids::{InstanceId, ProgramId, Run};
use crate::probe::{ProbeResult, Which};
use crate::program::{CycleCause, Desired, Input, Instance, RollCause, State};
use crate::program_map::ProgramMap;
use crate::spec::{Autostart, Overlap, ProgramSpec};
use crate::time::Instant;

/// Whether it is the turn of an instance in a rolling restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is not in one, or was replaced.
    None,
    /// It will be.
    Later,
    /// It is.
    Now,
}

/// A rolling restart of one program.
#[derive(Debug, Clone)]
pub(super) struct Roll {
    why: RollCause,
    /// The instances that are to be replaced, by their indices.
    queue: Vec<u16>,
    /// Those that were.
    done: Vec<u16>,
    step: Step,
    /// The definition before the update; `None`: the definition is the same.
    former: Option<Rc<ProgramSpec>>,
}

/// How far a rolling restart has come with one instance.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The next one begins when nothing delays it.
    Next {
        /// When that has taken too long; `None`: nothing delays it, or another rolling restart does.
        give_up: Option<Instant>,
    },
    /// The new run starts beside the old one.
    Rising(u16),
    /// The new run has taken its place, the old one is being stopped.
    Retiring(u16),
    /// The new run is not wanted any longer, and is being stopped.
    Discarding(u16),
    /// The old run is being stopped, then the new one starts.
    InPlace {
        index: u16,
        /// The number of its last run before.
        before: u32,
        /// When the new run has waited for others too long; `None`: it does not wait.
        give_up: Option<Instant>,
    },
}

/// What follows a look at a step.
enum Next {
    Wait,
    Go(Step),
    Fail(InstanceId, NotReplaced),
    End,
}

/// Whether a rolling restart continues.
#[derive(PartialEq, Eq)]
enum Course {
    On,
    Over,
}

impl Roll {
    /// When it gives up what delays it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.step {
            Step::Next { give_up } | Step::InPlace { index: _, before: _, give_up } => give_up,
            Step::Rising(_) | Step::Retiring(_) | Step::Discarding(_) => None,
        }
    }

    /// Whether it is one to another definition.
    pub(super) fn has_former(&self) -> bool {
        self.former.is_some()
    }

    fn current(&self) -> Option<u16> {
        match self.step {
            Step::Next { give_up: _ } => None,
            Step::Rising(index) | Step::Retiring(index) | Step::Discarding(index) => Some(index),
            Step::InPlace { index, before: _, give_up: _ } => Some(index),
        }
    }

    /// Whether a run of this instance that starts now is made from the former definition.
    fn is_before(&self, index: u16) -> bool {
        let is_beside = match self.step {
            Step::Rising(current) | Step::Discarding(current) => current == index,
            Step::Next { .. } | Step::Retiring(_) | Step::InPlace { .. } => false,
        };
        is_beside || self.queue.contains(&index)
    }

    fn put_back(&mut self, index: u16) {
        if !self.queue.contains(&index) {
            self.queue.insert(0, index);
        }
    }
}

impl Supervisor {
    /// Has the run of an instance replaced, when it is its turn; `former`: by one of another definition than this.
    pub(super) fn replace_run(&mut self, at: usize, why: RollCause, former: Option<&Rc<ProgramSpec>>) {
        let Some(instance) = self.instances.get(at) else { return };
        let InstanceId { program, index } = instance.id();
        if matches!(instance.desired(), Desired::Down(_)) || instance.run().is_none() && former.is_none() {
            return;
        }
        let step = Step::Next { give_up: None };
        let new = Roll { why, queue: Vec::new(), done: Vec::new(), step, former: None };
        let mut roll = self.rolls.remove(program).unwrap_or(new);
        roll.why = why;
        roll.former = roll.former.or(former.map(Rc::clone));
        roll.done.retain(|done| *done != index);
        if !roll.queue.contains(&index) {
            roll.queue.push(index);
        }
        self.rolls.insert(program, roll);
        self.dirty = true;
    }

    /// A run is over its memory. Where one can stand beside it, that takes its place before it stops; otherwise, or where
    /// that was not possible, it is restarted.
    pub(super) fn outgrown(&mut self, now: Instant, run: Run, seen: String, out: &mut Vec<Action>) {
        let id = run.instance;
        let result = match self.position(id) {
            _ if self.phase.has_begun() => ProbeResult::Failed(seen),
            // It is being replaced.
            Some(at) if self.has_run(at, run) && self.turn_of(id) == Turn::Now => ProbeResult::Passed,
            Some(at) if self.has_run(at, run) && self.may_replace_outgrown(now, at) => {
                let state = self.instances.get(at).map_or(StateName::Running, |one| one.state().name());
                let (cause, part) = (Cause::OverMemory { seen }, Part::Serving);
                let change = Change { instance: id, run: Some(run), part, from: state, to: state, cause };
                out.push(Action::Report(change));
                self.replace_run(at, RollCause::OverMemory, None);
                ProbeResult::Passed
            }
            Some(_) | None => ProbeResult::Failed(seen),
        };
        self.route(now, run, Input::Probed(Which::Memory, result), out);
    }

    fn has_run(&self, at: usize, run: Run) -> bool {
        self.instances.get(at).and_then(Instance::run) == Some(run)
    }

    /// Whether the run of an instance may be replaced because it is over its memory. Takes note that it is.
    fn may_replace_outgrown(&mut self, now: Instant, at: usize) -> bool {
        let Some(program) = self.instances.get(at).map(|one| one.id().program) else { return false };
        let spec = self.plan.program(program).map(Rc::clone);
        let may_overlap = spec.is_some_and(|spec| self.may_overlap(at, &spec));
        let is_free = may_overlap && !self.rolls.contains(program);
        is_free && self.instances.get_mut(at).is_some_and(|one| one.note_outgrown(now))
    }

    /// The definition that the next run of this instance is made from, where it is not the plan's.
    pub(super) fn former_of(&self, id: InstanceId) -> Option<&Rc<ProgramSpec>> {
        let roll = self.rolls.get(id.program)?;
        roll.former.as_ref().filter(|_| roll.is_before(id.index))
    }

    /// Whether it is the turn of this instance.
    pub(super) fn turn_of(&self, id: InstanceId) -> Turn {
        match self.rolls.get(id.program) {
            Some(roll) if roll.current() == Some(id.index) => Turn::Now,
            Some(roll) if roll.queue.contains(&id.index) => Turn::Later,
            Some(_) | None => Turn::None,
        }
    }

    /// Takes every rolling restart as far as it can go now. Returns how many runs were started.
    pub(super) fn follow_rolls(&mut self, now: Instant, out: &mut Vec<Action>) -> usize {
        let mut started = 0;
        if self.rolls.is_empty() && self.spares.is_empty() {
            return started;
        }
        for program in self.plan.graph().order().to_vec() {
            let Some(mut roll) = self.rolls.remove(program) else { continue };
            if self.advance(now, program, &mut roll, &mut started, out) == Course::On {
                self.rolls.insert(program, roll);
            }
        }
        self.spares.retain(|spare| spare.run().is_some());
        started
    }

    /// The program is gone.
    pub(super) fn end_roll(&mut self, program: ProgramId, out: &mut Vec<Action>) {
        if self.rolls.remove(program).is_some_and(|roll| roll.has_former()) {
            out.push(Action::Keep(program, Definition::Current));
        }
    }

    /// The program has become another: no rolling restart of it continues.
    pub(super) fn drop_roll(&mut self, now: Instant, program: ProgramId, out: &mut Vec<Action>) {
        self.end_roll(program, out);
        for beside in 0..self.spares.len() {
            if self.spares.get(beside).is_some_and(|spare| spare.id().program == program) {
                self.drop_spare(now, beside, Cause::Unneeded, out);
            }
        }
    }

    /// The shutdown begins: no rolling restart continues.
    pub(super) fn end_rolls(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.rolls = ProgramMap::new();
        for at in 0..self.spares.len() {
            self.drop_spare(now, at, Cause::Shutdown, out);
        }
    }

    fn advance(
        &mut self,
        now: Instant,
        program: ProgramId,
        roll: &mut Roll,
        started: &mut usize,
        out: &mut Vec<Action>,
    ) -> Course {
        let id = |index| InstanceId { program, index };
        loop {
            let next = match roll.step {
                Step::Next { give_up } => self.begin(now, program, roll, give_up, started, out),
                Step::Rising(index) => self.watch_trial(now, id(index), roll, out),
                Step::Retiring(index) => self.retire(id(index), roll),
                Step::Discarding(index) => match self.spare(id(index)) {
                    Some(_) => Next::Wait,
                    None => Next::Go(Step::Next { give_up: None }),
                },
                Step::InPlace { index, before, give_up } => {
                    self.watch_in_place(now, id(index), (before, give_up), roll)
                }
            };
            match next {
                Next::Wait => return Course::On,
                Next::Go(step) => roll.step = step,
                Next::Fail(id, why) => {
                    self.report_failure(now, id, why, roll, out);
                    if self.take_back(program, roll, out) == Course::Over {
                        return Course::Over;
                    }
                }
                Next::End => {
                    if roll.has_former() {
                        out.push(Action::Keep(program, Definition::Current));
                    }
                    return Course::Over;
                }
            }
        }
    }

    /// Begins with the next instance, unless something delays it. One that is not ready comes first.
    fn begin(
        &mut self,
        now: Instant,
        program: ProgramId,
        roll: &mut Roll,
        give_up: Option<Instant>,
        started: &mut usize,
        out: &mut Vec<Action>,
    ) -> Next {
        let id = |index| InstanceId { program, index };
        let former = roll.former.as_ref();
        roll.queue.retain(|index| self.find(id(*index)).is_some_and(|one| self.is_due(one, former)));
        let is_unready = |index: &u16| self.find(id(*index)).is_some_and(|one| !is_ready_or_done(one));
        let unready = roll.queue.iter().copied().find(is_unready);
        let Some(index) = unready.or(roll.queue.first().copied()) else { return Next::End };
        let (Some(spec), Some(at)) = (self.plan.program(program).map(Rc::clone), self.position(id(index)))
        else {
            return Next::End;
        };
        let leaves = unready.is_none() && self.has_leftovers(id(index)) && spec.overlap == Overlap::Allowed;
        if leaves || self.another_goes_first(program, &spec) {
            roll.step = Step::Next { give_up: None };
            return Next::Wait;
        }
        let overlaps = unready.is_none() && self.may_overlap(at, &spec);
        let missing = self.first_unready(&spec).or_else(|| {
            let mut others = self.instances_of(program).iter().filter(|one| one.id().index != index);
            let alone = others.find(|one| is_replaceable(one) && !is_ready_or_done(one)).map(Instance::id);
            alone.filter(|_| !overlaps && unready.is_none())
        });
        if let Some(other) = missing {
            let give_up = give_up.unwrap_or(now.plus(spec.readiness.start_timeout()));
            roll.step = Step::Next { give_up: Some(give_up) };
            return if give_up <= now {
                Next::Fail(id(index), NotReplaced::WaitsFor(other))
            } else {
                Next::Wait
            };
        }
        if overlaps && *started == STARTS_PER_STEP {
            self.more_to_start = Some(now);
            return Next::Wait;
        }
        roll.queue.retain(|other| *other != index);
        if overlaps {
            *started += 1;
            self.start_spare(now, at, &spec, out);
            return Next::Go(Step::Rising(index));
        }
        let Some(instance) = self.instances.get(at) else { return Next::End };
        let before = instance.last_run();
        match instance.run() {
            Some(_) => self.set_desired(at, Desired::Cycle(CycleCause::Replacement(roll.why))),
            None => {
                self.set_desired(at, Desired::Trial);
                self.apply(now, at, Input::Reset, out);
            }
        }
        Next::Go(Step::InPlace { index, before, give_up: None })
    }

    /// Whether a rolling restart of a lower tier, or of what this program is after, is under way.
    fn another_goes_first(&self, program: ProgramId, spec: &ProgramSpec) -> bool {
        self.rolls.ids().filter(|other| *other != program).any(|other| {
            let is_lower = self.spec(other).is_some_and(|other| other.priority < spec.priority);
            is_lower || dependencies(spec).any(|dependency| dependency == other)
        })
    }

    /// Whether another run of this instance may start beside the one that serves.
    fn may_overlap(&self, at: usize, spec: &ProgramSpec) -> bool {
        self.instances.get(at).is_some_and(|instance| {
            let allowed = [spec.overlap, instance.spec().overlap] == [Overlap::Allowed; 2];
            allowed && instance.desired() == Desired::Up && self.has_room_beside(instance.id())
        })
    }

    fn start_spare(&mut self, now: Instant, at: usize, spec: &Rc<ProgramSpec>, out: &mut Vec<Action>) {
        let Some(spare) = self.instances.get(at).map(|instance| instance.replacement(spec)) else { return };
        let (id, number) = (spare.id(), self.next_run(spare.id().program));
        self.spares.retain(|other| other.id() != id || other.run().is_some());
        self.spares.push(spare);
        let input = Input::Start(number, Definition::Current);
        self.apply_to_spare(now, self.spares.len() - 1, input, out);
    }

    /// The run beside an instance, as long as foster waits for its end.
    pub(super) fn spare(&self, id: InstanceId) -> Option<&Instance> {
        let is_there = |one: &&Instance| one.id() == id && one.run().is_some() && !one.state().is_stuck();
        self.spares.iter().find(is_there)
    }

    /// Whether an instance is still to be replaced. One that has ended by a former definition is started as an update would
    /// start it that finds it so: not a task, not a job, and not what an operator ran to its end.
    fn is_due(&self, instance: &Instance, former: Option<&Rc<ProgramSpec>>) -> bool {
        let spec = self.plan.program(instance.id().program);
        let starts_again = spec.zip(former).is_some_and(|(spec, former)| {
            let was_run_once =
                matches!(instance.state(), State::Exited { .. }) && spec.autostart == Autostart::No;
            !was_run_once && !runs_once(former, spec)
        });
        !matches!(instance.desired(), Desired::Down(_)) && (starts_again || !instance.state().has_ended())
    }
}

/// Whether an instance is wanted and has not ended finally.
fn is_replaceable(instance: &Instance) -> bool {
    !matches!(instance.desired(), Desired::Down(_)) && !instance.state().has_ended()
}
