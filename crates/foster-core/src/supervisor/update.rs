//! A new plan under running programs: who is started, who is stopped, who goes on.
//!
//! What stays as it was is not touched. A live process whose definition is another one goes down by the rules it
//! was started with (`former`) and comes up by the new ones, in order, like every restart. What an operator stopped
//! stays stopped; what is fatal begins afresh. Removed instances go down like stopped ones and are then forgotten.
//! After an end has begun nothing is updated any more.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::mem;

use super::{Boot, Supervisor};
use crate::action::{Action, Cause};
use crate::event::{SpecChange, Update};
use crate::ids::InstanceId;
use crate::plan::CorePlan;
use crate::program::{CycleCause, Desired, DownReason, Input, Instance, State};
use crate::spec::{Autostart, ProgramSpec, Restart};
use crate::time::Instant;

impl Supervisor {
    pub(super) fn update(&mut self, now: Instant, update: Update, out: &mut Vec<Action>) {
        if self.phase.has_begun() {
            return;
        }
        let Update { plan, changed } = update;
        // All that has instances keeps its place in the plan until they are gone.
        let there = self.plan.programs().iter().filter(|(id, _)| !self.instances_of(*id).is_empty());
        let kept: Vec<_> = there.map(|(id, spec)| (id, Rc::clone(spec))).collect();
        // Shared with whoever sent it, unless something is added that only those here know of.
        let complete = kept.iter().all(|(id, _)| plan.programs().contains(*id));
        let plan = if complete { plan } else { Rc::new(Rc::unwrap_or_clone(plan).with_leaving(kept)) };
        let old = mem::replace(&mut self.plan, plan);
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get(at) else { continue };
            let id = instance.id();
            let Some(before) = old.program(id.program) else { continue };
            if !self.is_there(id) {
                self.remove(now, at, before, out);
            } else if instance.desired() == Desired::Down(DownReason::Removed) {
                self.take_back(at, before);
            } else {
                match changed.get(id.program) {
                    None => {}
                    Some(SpecChange::Policy) => self.apply_rules(now, at, before, out),
                    Some(SpecChange::Process) => self.replace(now, at, before, out),
                }
            }
        }
        self.add_instances(now, out);
    }

    /// Drops what is to be forgotten and has nothing left.
    pub(super) fn forget_the_removed(&mut self, out: &mut Vec<Action>) {
        let (gone, left) = mem::take(&mut self.instances).into_iter().partition::<Vec<Instance>, _>(|one| {
            one.desired() == Desired::Down(DownReason::Removed) && one.live().is_none()
        });
        self.instances = left;
        for instance in gone {
            let id = instance.id();
            self.tally.remove(&instance);
            out.push(Action::Forget(id));
            let spent = self.spent.get(id.program).copied().unwrap_or(0);
            self.spent.insert(id.program, instance.runs().max(spent));
            if self.plan.is_leaving(id.program) && self.instances_of(id.program).is_empty() {
                self.spent.remove(id.program);
                let plan = CorePlan::clone(&self.plan).without(&[id.program]);
                self.plan = Rc::new(plan);
            }
        }
    }

    /// Whether the plan has this instance.
    fn is_there(&self, id: InstanceId) -> bool {
        !self.plan.is_leaving(id.program)
            && self.plan.program(id.program).is_some_and(|spec| id.index < spec.instances)
    }

    fn remove(&mut self, now: Instant, at: usize, before: &ProgramSpec, out: &mut Vec<Action>) {
        self.keep_rules(at, before);
        self.want(at, Desired::Down(DownReason::Removed));
        if self.instances.get(at).is_some_and(|instance| instance.live().is_none()) {
            self.say(now, at, Input::Stop(Cause::Removed), out);
        }
    }

    /// It was removed, is not gone yet, and is in the plan again: like a new one, once it is down.
    fn take_back(&mut self, at: usize, before: &ProgramSpec) {
        self.keep_rules(at, before);
        let autostart = self.spec_at(at).is_some_and(|spec| spec.autostart == Autostart::Yes);
        self.want(
            at,
            match autostart {
                true => Desired::Cycle(CycleCause::Changed),
                false => Desired::Down(DownReason::NotAutostarted),
            },
        );
    }

    /// Only decisions are other ones. What had ended for good is looked at again by them.
    fn apply_rules(&mut self, now: Instant, at: usize, before: &ProgramSpec, out: &mut Vec<Action>) {
        let Some((instance, spec)) = self.instances.get(at).zip(self.spec_at(at)) else { return };
        let again = match (instance.state(), instance.desired()) {
            (State::Fatal { .. }, _) => true,
            (State::Exited { .. }, _) => {
                spec.restart.restart == Restart::Always && before.restart.restart != Restart::Always
            }
            (_, Desired::Down(DownReason::NotAutostarted)) => self.is_autostarted_now(spec, before),
            (_, Desired::Down(_) | Desired::Cycle(_) | Desired::Rising | Desired::Up) => false,
        };
        if again {
            self.start(now, at, out);
        }
    }

    /// It is something else now.
    fn replace(&mut self, now: Instant, at: usize, before: &ProgramSpec, out: &mut Vec<Action>) {
        self.keep_rules(at, before);
        let Some((instance, spec)) = self.instances.get(at).zip(self.spec_at(at)) else { return };
        let again = match (instance.state(), instance.desired()) {
            // What an operator ran to its end is not run again by itself.
            (State::Exited { .. }, _) => spec.autostart == Autostart::Yes,
            (_, Desired::Rising | Desired::Up) if instance.live().is_some() => {
                return self.want(at, Desired::Cycle(CycleCause::Changed));
            }
            (_, Desired::Rising | Desired::Up) => true,
            (_, Desired::Cycle(_)) => return self.want(at, Desired::Cycle(CycleCause::Changed)),
            (_, Desired::Down(DownReason::NotAutostarted)) => self.is_autostarted_now(spec, before),
            (_, Desired::Down(DownReason::Ordered | DownReason::Removed | DownReason::Shutdown)) => false,
        };
        if again {
            self.start(now, at, out);
        }
    }

    /// Whether nobody has asked for it so far and the plan does now. Before the boot, that asks for all.
    fn is_autostarted_now(&self, spec: &ProgramSpec, before: &ProgramSpec) -> bool {
        let turned_on = spec.autostart == Autostart::Yes && before.autostart == Autostart::No;
        turned_on && self.boot != Boot::Before
    }

    /// A run that is live goes on to its end by what it was started with.
    fn keep_rules(&mut self, at: usize, before: &ProgramSpec) {
        if let Some(run) = self.instances.get(at).and_then(Instance::run)
            && self.former.iter().all(|(of, _)| *of != run)
        {
            self.former.push((run, before.clone()));
        }
    }

    /// The instances that were not there before.
    fn add_instances(&mut self, now: Instant, out: &mut Vec<Action>) {
        let there = self.plan.programs().iter().filter(|(id, _)| !self.plan.is_leaving(*id));
        let mut new: Vec<InstanceId> = Vec::new();
        for (program, spec) in there {
            let all = (0..spec.instances).map(|index| InstanceId { program, index });
            new.extend(all.filter(|id| self.position(*id).is_none()));
        }
        for id in &new {
            let runs = self.spent.get(id.program).copied().unwrap_or(0);
            let instance = Instance::new(*id, Desired::Down(DownReason::NotAutostarted)).after_runs(runs);
            self.tally.add(&instance);
            let at = self.instances.partition_point(|other| other.id() < *id);
            self.instances.insert(at, instance);
        }
        for at in new.into_iter().filter_map(|id| self.position(id)).collect::<Vec<_>>() {
            let autostart = self.spec_at(at).is_some_and(|spec| spec.autostart == Autostart::Yes);
            if autostart && self.boot != Boot::Before {
                self.start(now, at, out);
            }
        }
    }
}
