//! The steps of a rolling restart with one instance: a trial beside the old run or in its place, and what follows its failure.
//!
//! Each looks at what has become of the instance since, and says what follows. Which instance is next, and when, is
//! decided in `roll.rs`.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::mem;

use super::{Course, Next, Roll, Step};
use crate::action::{Action, Cause, Change, Definition, NotReplaced, Part};
use crate::ids::{InstanceId, ProgramId};
use crate::plan::CorePlan;
use crate::program::{CycleCause, Desired, DownReason, Input, Instance, Replacement, RollCause, State};
use crate::supervisor::Supervisor;
use crate::time::Instant;

impl Supervisor {
    /// A new run is on trial beside the old one.
    pub(super) fn watch_trial(
        &mut self,
        now: Instant,
        id: InstanceId,
        roll: &mut Roll,
        out: &mut Vec<Action>,
    ) -> Next {
        let failed = Next::Fail(id, NotReplaced::NotReady);
        let Some(beside) = self.spares.iter().position(|spare| spare.id() == id) else { return failed };
        let Some(spare) = self.spares.get(beside) else { return failed };
        let at = self.position(id);
        let desired = at.and_then(|at| self.instances.get(at)).map(Instance::desired);
        let is_stale = self.plan.program(id.program).is_none_or(|spec| !Rc::ptr_eq(spec, spare.spec()));
        let (Some(at), Some(Desired::Up), false) = (at, desired, is_stale) else {
            if desired.is_some_and(|desired| !matches!(desired, Desired::Down(_))) {
                roll.put_back(id.index);
            }
            self.drop_spare(now, beside, Cause::Unneeded, out);
            return Next::Go(Step::Discarding(id.index));
        };
        let is_alone = self.instances.get(at).is_some_and(|instance| instance.run().is_none());
        match spare.state() {
            State::Running { .. } => {
                self.change_places(at, beside, Cause::Replaced, out);
                self.note_replacement(at, roll);
                if let (RollCause::OverMemory, Some(instance)) = (roll.why, self.instances.get_mut(at)) {
                    instance.count_restart();
                }
                self.drop_spare(now, beside, roll.why.into(), out);
                Next::Go(Step::Retiring(id.index))
            }
            // The old run has ended meanwhile: this one takes its place as it is.
            State::Starting { live, .. } if is_alone => {
                let before = live.run.number.saturating_sub(1);
                self.change_places(at, beside, Cause::Started, out);
                Next::Go(Step::InPlace { index: id.index, before, give_up: None })
            }
            State::Starting { .. } => Next::Wait,
            State::Stopping(_) if !spare.state().is_stuck() => Next::Wait,
            State::Stopping(_)
            | State::Stopped
            | State::Waiting { .. }
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => failed,
        }
    }

    /// The new run has taken the place of the old one, which is being stopped.
    pub(super) fn retire(&mut self, id: InstanceId, roll: &mut Roll) -> Next {
        if self.spare(id).is_some() {
            return Next::Wait;
        }
        let last = self.spares.iter().find(|spare| spare.id() == id).and_then(Instance::last);
        if let Some(instance) = self.position(id).and_then(|at| self.instances.get_mut(at)) {
            instance.note_last(last);
        }
        roll.done.push(id.index);
        Next::Go(Step::Next { give_up: None })
    }

    /// The old run is being stopped, or the new one is on trial in its place.
    pub(super) fn watch_in_place(
        &mut self,
        now: Instant,
        id: InstanceId,
        (before, give_up): (u32, Option<Instant>),
        roll: &mut Roll,
    ) -> Next {
        let next = Next::Go(Step::Next { give_up: None });
        let Some(at) = self.position(id) else { return next };
        let Some(instance) = self.instances.get(at) else { return next };
        if roll.queue.contains(&id.index) {
            self.end_trial(at);
            return next;
        }
        let is_stuck = instance.state().is_stuck();
        match (instance.desired(), instance.state()) {
            (Desired::Up, _) => {
                self.note_replacement(at, roll);
                roll.done.push(id.index);
                next
            }
            (Desired::Down(_) | Desired::Rising, _) => next,
            (Desired::Cycle(CycleCause::Replacement(_)), _) => match is_stuck {
                true => Next::Fail(id, NotReplaced::NotKilled),
                false => Next::Wait,
            },
            (Desired::Cycle(_), _) => {
                roll.put_back(id.index);
                next
            }
            // What it waits for may not be known before the order of all has been followed.
            (Desired::Trial, State::Waiting { on }) => {
                let time = self.plan.program(id.program).map(|spec| spec.readiness.start_timeout());
                let give_up = give_up.filter(|at| on.is_some() || *at > now);
                let give_up = give_up.unwrap_or(now.plus(time.unwrap_or_default()));
                roll.step = Step::InPlace { index: id.index, before, give_up: Some(give_up) };
                match on {
                    Some(other) if give_up <= now => Next::Fail(id, NotReplaced::WaitsFor(*other)),
                    Some(_) | None => Next::Wait,
                }
            }
            (Desired::Trial, _) if is_stuck || instance.run().is_none() && instance.last_run() > before => {
                Next::Fail(id, NotReplaced::NotReady)
            }
            (Desired::Trial, _) => {
                roll.step = Step::InPlace { index: id.index, before, give_up: None };
                Next::Wait
            }
        }
    }

    /// The rolling restart has failed with this instance, which continues as before.
    pub(super) fn report_failure(
        &mut self,
        now: Instant,
        id: InstanceId,
        why: NotReplaced,
        roll: &Roll,
        out: &mut Vec<Action>,
    ) {
        let Some(at) = self.position(id) else { return };
        let Some(instance) = self.instances.get(at) else { return };
        let state = instance.state().name();
        let cause = Cause::NotReplaced(why);
        let change =
            Change { instance: id, run: instance.run(), part: Part::Serving, from: state, to: state, cause };
        out.push(Action::Report(change));
        let has_begun = roll.current() == Some(id.index);
        if !has_begun || matches!(instance.desired(), Desired::Down(_)) {
            return;
        }
        let is_down = instance.run().is_none();
        self.end_trial(at);
        if is_down {
            self.start(now, at, out);
        }
    }

    /// The former definition is the plan's again, also for the instances that were replaced already.
    pub(super) fn take_back(&mut self, program: ProgramId, roll: &mut Roll, out: &mut Vec<Action>) -> Course {
        let Some(former) = roll.former.take() else { return Course::Over };
        self.plan = Rc::new(CorePlan::clone(&self.plan).with_definition(program, &former));
        out.push(Action::Keep(program, Definition::Former));
        for at in self.positions_of(program) {
            let Some((instance, spec)) = self.instances.get_mut(at).zip(self.plan.program(program)) else {
                continue;
            };
            if Rc::ptr_eq(instance.spec(), &former) || instance.run().is_none() {
                instance.redefine(spec);
            }
            if roll.done.contains(&instance.id().index) {
                instance.note_replacement(Replacement::TakenBack);
            }
        }
        roll.why = RollCause::TakenBack;
        roll.queue = mem::take(&mut roll.done);
        roll.step = Step::Next { give_up: None };
        Course::On
    }

    /// An instance is not on trial any longer.
    fn end_trial(&mut self, at: usize) {
        let desired = self.instances.get(at).map(Instance::desired);
        if let Some(Desired::Trial | Desired::Cycle(CycleCause::Replacement(_))) = desired {
            self.set_desired(at, Desired::Rising);
        }
    }

    fn note_replacement(&mut self, at: usize, roll: &Roll) {
        if let Some(instance) = self.instances.get_mut(at)
            && roll.why != RollCause::TakenBack
        {
            instance.note_replacement(Replacement::Done);
        }
    }

    /// The run beside an instance becomes the instance.
    fn change_places(&mut self, at: usize, beside: usize, cause: Cause, out: &mut Vec<Action>) {
        let Some((instance, spare)) = self.instances.get_mut(at).zip(self.spares.get_mut(beside)) else {
            return;
        };
        mem::swap(instance, spare);
        instance.succeed(spare);
        let (from, to) = (spare.state().name(), instance.state().name());
        let (id, run) = (instance.id(), instance.run());
        out.push(Action::Report(Change { instance: id, run, part: Part::Serving, from, to, cause }));
    }

    /// The run beside an instance is not wanted any longer.
    pub(in crate::supervisor) fn drop_spare(
        &mut self,
        now: Instant,
        beside: usize,
        cause: Cause,
        out: &mut Vec<Action>,
    ) {
        if let Some(spare) = self.spares.get_mut(beside)
            && spare.run().is_some()
        {
            spare.set_desired(Desired::Down(DownReason::Spare));
            self.apply_to_spare(now, beside, Input::Stop(cause), out);
        }
    }
}
