//! A new plan for running programs: which are started, which are stopped, which keep running.
//!
//! What stays as it was is not touched. A live process whose definition has changed is replaced by a rolling restart
//! (`roll.rs`): it goes down by the definition it was started from, which its run owns. What an operator
//! stopped stays stopped; a fatal program starts with a count of 0. Removed instances stop like others and are then
//! forgotten. During a shutdown nothing is updated.

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::mem;

use super::{Boot, Supervisor};
use crate::action::{Action, Cause};
use crate::event::{SpecChange, Update};
use crate::ids::{InstanceId, ProgramId};
use crate::plan::CorePlan;
use crate::program::{CycleCause, Desired, DownReason, Input, Instance, RollCause, State};
use crate::program_map::ProgramMap;
use crate::sorted::SortedSet;
use crate::spec::{Autostart, Kind, ProgramSpec, Restart};
use crate::time::Instant;

impl Supervisor {
    pub(super) fn update(&mut self, now: Instant, update: Update, out: &mut Vec<Action>) {
        if self.phase.has_begun() {
            return;
        }
        self.dirty = true;
        let Update { plan, changed } = update;
        // A program that has instances keeps its place in the plan until they are gone.
        let here = self.plan.programs().iter().filter(|(id, _)| !self.instances_of(*id).is_empty());
        let kept: Vec<_> = here.map(|(id, spec)| (id, Rc::clone(spec))).collect();
        // Shared with the shell, unless something is added that only the core knows.
        let complete = kept.iter().all(|(id, _)| plan.programs().contains(*id));
        let plan = if complete { plan } else { Rc::new(Rc::unwrap_or_clone(plan).with_leaving(kept)) };
        let old = mem::replace(&mut self.plan, plan);
        // What becomes a task, or was one, is not replaced bit by bit.
        let changes_kind = |(id, _): &(ProgramId, &SpecChange)| {
            self.spec(*id).map(ProgramSpec::kind) != old.program(*id).map(|spec| spec.kind())
        };
        for id in changed.iter().filter(changes_kind).map(|(id, _)| id).collect::<Vec<_>>() {
            self.drop_roll(now, id, out);
        }
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get(at) else { continue };
            let (id, desired) = (instance.id(), instance.desired());
            let Some(before) = old.program(id.program) else { continue };
            if !self.is_planned(id) {
                self.remove(now, at, out);
                continue;
            }
            let change = changed.get(id.program).copied();
            self.redefine(at, change, before);
            match change {
                _ if desired == Desired::Down(DownReason::Removed) => self.readmit(now, at, out),
                None => {}
                Some(SpecChange::Policy) => self.apply_policy(now, at, before, out),
                Some(SpecChange::Process) => self.replace(now, at, before, out),
            }
        }
        self.redefine_spares(&changed, &old);
        self.add_instances(now, out);
        if self.boot != Boot::Before {
            self.schedule_jobs(now, out);
        }
    }

    /// Drops the removed instances that have no process, and the removed programs that have no instance, all in one
    /// pass.
    pub(super) fn forget_the_removed(&mut self, out: &mut Vec<Action>) {
        let spares: Vec<InstanceId> =
            self.spares.iter().filter(|one| one.run().is_some()).map(Instance::id).collect();
        let is_gone = |one: &Instance| one.is_removed() && one.run().is_none() && !spares.contains(&one.id());
        if self.instances.iter().any(is_gone) {
            let all = mem::take(&mut self.instances).into_iter();
            let (gone, left) = all.partition::<Vec<Instance>, _>(is_gone);
            self.instances = left;
            out.extend(gone.iter().map(|instance| Action::Forget(instance.id())));
        }
        let leaving = self.plan.leaving().iter().copied();
        let programs: SortedSet<ProgramId> = leaving.filter(|id| self.instances_of(*id).is_empty()).collect();
        if !programs.is_empty() {
            for id in programs.iter() {
                self.last_runs.remove(*id);
                self.end_roll(*id, out);
            }
            self.plan = Rc::new(CorePlan::clone(&self.plan).without(&programs));
        }
    }

    /// Whether the plan has this instance.
    fn is_planned(&self, id: InstanceId) -> bool {
        !self.plan.is_leaving(id.program)
            && self.spec(id.program).is_some_and(|spec| id.index < spec.instances)
    }

    /// Takes the new definition, unless a live process was made from another one: also the one before that.
    fn redefine(&mut self, at: usize, change: Option<SpecChange>, before: &Rc<ProgramSpec>) {
        let Some(instance) = self.instances.get_mut(at) else { return };
        let goes_on = change != Some(SpecChange::Process) && Rc::ptr_eq(instance.spec(), before);
        if (goes_on || instance.run().is_none())
            && let Some(spec) = self.plan.program(instance.id().program)
        {
            instance.redefine(spec);
        }
    }

    /// The same for the runs beside instances.
    fn redefine_spares(&mut self, changed: &ProgramMap<SpecChange>, old: &CorePlan) {
        for spare in &mut self.spares {
            let program = spare.id().program;
            let is_process = changed.get(program) == Some(&SpecChange::Process);
            let goes_on = old.program(program).is_some_and(|before| Rc::ptr_eq(spare.spec(), before));
            if let Some(spec) = self.plan.program(program).filter(|_| goes_on && !is_process) {
                spare.redefine(spec);
            }
        }
    }

    fn remove(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        self.set_desired(at, Desired::Down(DownReason::Removed));
        if self.instances.get(at).is_some_and(|instance| instance.run().is_none()) {
            self.apply(now, at, Input::Stop(Cause::Removed), out);
        }
    }

    /// It was removed, is not gone yet, and is in the plan again: like a new one, once it is down.
    fn readmit(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let autostart = self.spec_at(at).is_some_and(|spec| spec.autostart == Autostart::Yes);
        match self.instances.get(at).and_then(Instance::run) {
            Some(_) if autostart => self.set_desired(at, Desired::Cycle(CycleCause::Changed)),
            // It is down, and only a run beside it is not gone yet.
            None if autostart && self.boot != Boot::Before => self.start(now, at, out),
            Some(_) | None => self.set_desired(at, Desired::Down(DownReason::NotAutostarted)),
        }
    }

    /// Applies new policy keys. A final end is decided again with them.
    fn apply_policy(&mut self, now: Instant, at: usize, before: &ProgramSpec, out: &mut Vec<Action>) {
        let Some((instance, spec)) = self.instances.get(at).zip(self.spec_at(at)) else { return };
        let again = match (instance.state(), instance.desired()) {
            (
                _,
                Desired::Down(
                    DownReason::Requested(_)
                    | DownReason::Removed
                    | DownReason::Spare
                    | DownReason::Leftovers
                    | DownReason::Shutdown,
                ),
            ) => false,
            // An update never runs an ended task again.
            (State::Fatal { .. }, _) => spec.kind() == Kind::Program,
            (State::Exited { .. }, _) => {
                spec.restart.restart == Restart::Always && before.restart.restart != Restart::Always
            }
            (_, Desired::Down(DownReason::NotAutostarted)) => self.is_autostarted_now(spec, before),
            (_, Desired::Cycle(_) | Desired::Trial | Desired::Rising | Desired::Up) => false,
        };
        if again {
            self.start(now, at, out);
        }
    }

    /// Its process has to be made from another definition.
    fn replace(&mut self, now: Instant, at: usize, before: &Rc<ProgramSpec>, out: &mut Vec<Action>) {
        let Some((instance, spec)) = self.instances.get(at).zip(self.spec_at(at)) else { return };
        let becomes_job = spec.kind() == Kind::Job && before.kind() != Kind::Job;
        let again = match (instance.state(), instance.desired()) {
            (
                _,
                Desired::Down(
                    DownReason::Requested(_)
                    | DownReason::Removed
                    | DownReason::Spare
                    | DownReason::Leftovers
                    | DownReason::Shutdown,
                ),
            ) => false,
            // It runs when it is due.
            _ if becomes_job => {
                self.set_desired(at, Desired::Down(DownReason::NotAutostarted));
                if self.instances.get(at).is_some_and(|instance| instance.run().is_none()) {
                    self.apply(now, at, Input::Stop(Cause::Changed), out);
                }
                return;
            }
            // An update neither runs an ended task again nor breaks one off.
            _ if runs_once(before, spec) && (instance.state().has_ended() || instance.run().is_some()) => {
                false
            }
            // What an operator ran to its end is not run again by itself.
            (State::Exited { .. }, _) => spec.autostart == Autostart::Yes,
            (_, Desired::Rising | Desired::Up) if instance.run().is_none() => true,
            (_, Desired::Rising | Desired::Trial | Desired::Up | Desired::Cycle(_))
                if before.kind() != spec.kind() =>
            {
                if instance.run().is_some() {
                    return self.set_desired(at, Desired::Cycle(CycleCause::Changed));
                }
                true
            }
            (_, Desired::Rising | Desired::Trial | Desired::Up | Desired::Cycle(_)) => {
                return self.replace_run(at, RollCause::Changed, Some(before));
            }
            (_, Desired::Down(DownReason::NotAutostarted)) => self.is_autostarted_now(spec, before),
        };
        if again {
            self.start(now, at, out);
        }
    }

    /// Whether it was never asked for and the plan does now. Before the boot, which asks for all, it does not matter.
    fn is_autostarted_now(&self, spec: &ProgramSpec, before: &ProgramSpec) -> bool {
        let turned_on = spec.autostart == Autostart::Yes && before.autostart == Autostart::No;
        turned_on && self.boot != Boot::Before
    }

    /// The instances that were not there before.
    fn add_instances(&mut self, now: Instant, out: &mut Vec<Action>) {
        let plan = Rc::clone(&self.plan);
        let mut new: Vec<InstanceId> = Vec::new();
        for (program, spec) in plan.programs().iter().filter(|(id, _)| !plan.is_leaving(*id)) {
            for index in 0..spec.instances {
                let id = InstanceId { program, index };
                if self.position(id).is_none() {
                    let desired = Desired::Down(DownReason::NotAutostarted);
                    let at = self.instances.partition_point(|other| other.id() < id);
                    self.instances.insert(at, Instance::new(id, Rc::clone(spec), desired));
                    new.push(id);
                }
            }
        }
        for at in new.into_iter().filter_map(|id| self.position(id)).collect::<Vec<_>>() {
            let autostart = self.spec_at(at).is_some_and(|spec| spec.autostart == Autostart::Yes);
            if autostart && self.boot != Boot::Before {
                self.start(now, at, out);
            }
        }
    }
}

/// Whether a definition and the one before it are both of a task, or of a job. What becomes one is a new one.
pub(super) fn runs_once(before: &ProgramSpec, now: &ProgramSpec) -> bool {
    before.kind() == now.kind() && now.kind() != Kind::Program
}
