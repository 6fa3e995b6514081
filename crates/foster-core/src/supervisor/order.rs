//! Which instance may start or stop now: tiers and dependencies, upwards for starting and downwards for stopping.
//!
//! One rule each way. **Up:** an instance starts when everything it is `after` is ready (or has ended with success)
//! and, on its first way up, when nothing of a lower tier is still starting. **Down:** an instance stops when
//! nothing above it is stopping too: no dependant, directly or by others (a task that has ended), no higher tier. A process that cannot be killed delays nothing. The
//! same rule orders a shutdown, `stop all`, `restart all` and the stop of a requirement.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::Supervisor;
use crate::action::{Action, Cause, Definition};
use crate::graph::dependencies;
use crate::ids::{InstanceId, ProgramId};
use crate::plan::StartOrder;
use crate::program::{CycleCause, Desired, DownReason, Input, Instance, State};
use crate::program_map::ProgramMap;
use crate::spec::ProgramSpec;
use crate::time::Instant;

/// How many programs one step starts. The shell handles signals and the clock between two steps, so that a thousand starts
/// do not delay a TERM, and each start has its own instant.
pub(super) const STARTS_PER_STEP: usize = 16;

impl Supervisor {
    /// Starts and stops every instance that nothing holds back.
    pub(super) fn follow_order(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.end_the_kept(now, out);
        let started = self.follow_rolls(now, out);
        self.enforce_requirements();
        if self.instances.iter().any(|instance| cause_to_stop(instance).is_some()) {
            self.stop_the_free(now, out);
        }
        if self.instances.iter().any(|instance| is_to_start(instance, now).is_some()) {
            self.start_the_free(now, started, out);
        }
    }

    /// Stops the programs that require one that stays down. They start again with it.
    fn enforce_requirements(&mut self) {
        if self.plan.graph().requiring().is_empty() || self.phase.has_begun() {
            return;
        }
        let mut fallen: Vec<ProgramId> = Vec::new();
        for program in self.plan.graph().requiring().to_vec() {
            let Some(spec) = self.spec(program) else { continue };
            let missing = spec.requires.iter().copied();
            let Some(missing) = missing.into_iter().find(|id| self.stays_down(*id) || fallen.contains(id))
            else {
                continue;
            };
            // One without instances and a task that has succeeded are as they should be, whatever they require: what
            // requires them may start, so it must not be stopped.
            if self.kept(program).all(|instance| instance.state().has_ended()) {
                continue;
            }
            fallen.push(program);
            let cause = CycleCause::Requirement(InstanceId { program: missing, index: 0 });
            for at in self.positions_of(program) {
                let is_up = self.instances.get(at).is_some_and(|instance| {
                    let is_wanted =
                        matches!(instance.desired(), Desired::Rising | Desired::Trial | Desired::Up);
                    instance.run().is_some() && is_wanted
                });
                if is_up {
                    self.set_desired(at, Desired::Cycle(cause));
                }
            }
        }
    }

    fn stop_the_free(&mut self, now: Instant, out: &mut Vec<Action>) {
        let all = self.instances.iter().chain(self.spares.iter());
        let highest = all.filter(|instance| self.delays_stops(instance));
        let highest =
            highest.filter_map(|instance| self.spec(instance.id().program)).map(|spec| spec.priority).max();
        // What is after these, directly or by others that are down already, is stopping.
        let mut blocked: ProgramMap<()> = ProgramMap::new();
        for program in self.plan.graph().order().to_vec().into_iter().rev() {
            let Some(spec) = self.spec(program) else { continue };
            if highest.is_some_and(|highest| spec.priority < highest) {
                return; // and so have all that follow
            }
            let dependants = self.plan.graph().dependants(program);
            let delays = |one: &Instance| self.delays_stops(one);
            let holds = |other: &ProgramId| blocked.contains(*other) || self.runs_of(*other).any(delays);
            if dependants.iter().any(holds) {
                blocked.insert(program, ());
                continue;
            }
            for at in self.positions_of(program) {
                if let Some(cause) = self.instances.get(at).and_then(cause_to_stop) {
                    self.apply(now, at, Input::Stop(cause), out);
                }
            }
        }
    }

    /// Whether what is below it does not stop before it has. What a run has left counts where its instance is to go down.
    fn delays_stops(&self, one: &Instance) -> bool {
        let is_ordered = one.desired() != Desired::Down(DownReason::Leftovers)
            || self
                .find(one.id())
                .is_none_or(|one| matches!(one.desired(), Desired::Down(_) | Desired::Cycle(_)));
        is_ordered && is_going_down(one)
    }

    fn start_the_free(&mut self, now: Instant, mut started: usize, out: &mut Vec<Action>) {
        let first = out.len();
        // The programs that do not become ready without an order.
        let mut never: ProgramMap<()> = ProgramMap::new();
        // The lowest tier that is still starting, with one of its instances: no higher tier may start for the first time.
        let mut holder: Option<(i32, InstanceId)> = None;
        for program in self.plan.graph().order().to_vec() {
            let Some(spec) = self.spec(program) else { continue };
            // A job does not wait for tiers, and as one of the last tier it holds up none.
            let (priority, is_job) = (spec.priority, spec.job.is_some());
            let missing = self.first_unready(spec);
            let blocked_for_good = dependencies(spec)
                .filter(|other| !self.is_satisfied(*other))
                .any(|other| never.contains(other));
            let mut will_be = true;
            for at in self.positions_of(program) {
                let Some(instance) = self.instances.get(at) else { continue };
                if let Some(first_way) = is_to_start(instance, now) {
                    let former_runs = self.waits_for_former_run(instance.id());
                    let tier = match (first_way, holder) {
                        (Way::First, Some((lower, holder))) if lower < priority && !is_job => Some(holder),
                        (Way::First | Way::Again, _) => None,
                    };
                    match missing.or(tier) {
                        // Its time is over, so that it has no deadline any longer.
                        None if former_runs && instance.state().backoff_until().is_some() => {
                            self.apply(now, at, Input::Block(instance.id()), out);
                        }
                        None if former_runs => {}
                        None if started == STARTS_PER_STEP => self.more_to_start = Some(now),
                        None => {
                            started += 1;
                            self.start_run(now, at, out);
                        }
                        Some(other) => self.apply(now, at, Input::Block(other), out),
                    }
                }
                let Some(instance) = self.instances.get(at).filter(|instance| !instance.is_removed()) else {
                    continue;
                };
                let comes = comes_by_itself(instance, blocked_for_good);
                will_be &= comes;
                let rising =
                    matches!(instance.desired(), Desired::Rising | Desired::Trial | Desired::Cycle(_));
                let ready = matches!(
                    (instance.state(), instance.desired()),
                    (State::Running { .. }, Desired::Rising)
                );
                let holds = self.plan.settings().start == StartOrder::Ready;
                if holds && comes && rising && !ready && holder.is_none() {
                    holder = Some((priority, instance.id()));
                }
            }
            if !will_be {
                never.insert(program, ());
            }
        }
        // The processes first, then the reports about them: the shell makes those that follow one another together.
        let (spawns, reports): (Vec<_>, Vec<_>) =
            out.drain(first..).partition(|action| matches!(action, Action::Spawn(..)));
        out.extend(spawns);
        out.extend(reports);
    }

    /// A new run of an instance, from its definition in the plan, or before its turn in a rolling restart the former one.
    fn start_run(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(id) = self.instances.get(at).map(Instance::id) else { return };
        let (spec, definition) = match self.former_of(id) {
            Some(former) => (Some(Rc::clone(former)), Definition::Former),
            None => (self.plan.program(id.program).map(Rc::clone), Definition::Current),
        };
        if let Some((instance, spec)) = self.instances.get_mut(at).zip(spec) {
            instance.redefine(&spec);
            let number = self.next_run(id.program);
            self.apply(now, at, Input::Start(number, definition), out);
        }
    }

    /// The number of the next run of this program.
    pub(super) fn next_run(&mut self, program: ProgramId) -> u32 {
        let number = self.last_runs.get(program).copied().unwrap_or(0).saturating_add(1);
        self.last_runs.insert(program, number);
        number
    }

    /// The first instance that this program has to wait for, by `after` or `requires`.
    pub(super) fn first_unready(&self, spec: &ProgramSpec) -> Option<InstanceId> {
        let missing = dependencies(spec).find(|other| !self.is_satisfied(*other))?;
        let unready = self.kept(missing).find(|instance| !is_ready_or_done(instance)).map(Instance::id);
        unready.or(Some(InstanceId { program: missing, index: 0 }))
    }

    /// Whether those after this program may start: all its instances are ready, or have ended with success. One without
    /// instances delays nothing.
    fn is_satisfied(&self, program: ProgramId) -> bool {
        self.kept(program).all(is_ready_or_done)
    }

    /// Whether this program is down and will not come up by itself. One without instances is as it should be, and so is one
    /// that has ended with success, also if an operator stops it afterwards: what requires it may start, so it is not stopped.
    fn stays_down(&self, program: ProgramId) -> bool {
        let is_down = |instance: &Instance| {
            let is_given_up = instance.state().failure().is_some();
            !is_ready_or_done(instance) && (matches!(instance.desired(), Desired::Down(_)) || is_given_up)
        };
        self.kept(program).next().is_some() && self.kept(program).all(is_down)
    }

    /// The instances of a program without those that are removed.
    fn kept(&self, program: ProgramId) -> impl Iterator<Item = &Instance> {
        self.instances_of(program).iter().filter(|instance| !instance.is_removed())
    }
}

/// Whether an instance is about to start for the first time.
#[derive(Clone, Copy)]
enum Way {
    /// It has not been ready since it was first wanted: tiers count.
    First,
    /// It was ready before: only what it is after counts.
    Again,
}

/// Whether an instance is down, wanted up, and not in backoff.
fn is_to_start(instance: &Instance, now: Instant) -> Option<Way> {
    let way = match instance.desired() {
        Desired::Rising | Desired::Trial => Way::First,
        Desired::Up => Way::Again,
        Desired::Down(_) | Desired::Cycle(_) => return None,
    };
    match instance.state() {
        State::Stopped | State::Waiting { .. } => Some(way),
        State::Backoff { until } => (*until <= now).then_some(way),
        State::Starting { .. }
        | State::Running { .. }
        | State::Stopping(_)
        | State::Exited { .. }
        | State::Fatal { .. } => None,
    }
}

/// Whether an instance is up, or will be without an order.
fn comes_by_itself(instance: &Instance, blocked_for_good: bool) -> bool {
    if let Desired::Down(_) = instance.desired() {
        return false;
    }
    match instance.state() {
        State::Stopping(_) => !instance.state().is_stuck(),
        State::Starting { .. } | State::Running { .. } | State::Backoff { .. } => true,
        State::Stopped | State::Waiting { .. } => !blocked_for_good,
        State::Exited { .. } | State::Fatal { .. } => false,
    }
}

pub(super) fn is_ready_or_done(instance: &Instance) -> bool {
    match instance.state() {
        State::Running { .. } => matches!(instance.desired(), Desired::Rising | Desired::Up),
        State::Exited { .. } => true,
        State::Stopped
        | State::Waiting { .. }
        | State::Starting { .. }
        | State::Stopping(_)
        | State::Backoff { .. }
        | State::Fatal { .. } => false,
    }
}

/// Whether an instance has a process and is to have none. A stuck one delays nothing: no order can end it.
fn is_going_down(instance: &Instance) -> bool {
    let is_to_end = matches!(instance.desired(), Desired::Down(_) | Desired::Cycle(_));
    is_to_end && instance.run().is_some() && !instance.state().is_stuck()
}

/// Why an instance has to stop, if it has to and has not started to.
fn cause_to_stop(instance: &Instance) -> Option<Cause> {
    let cause = match instance.desired() {
        Desired::Down(DownReason::Shutdown) => Cause::Shutdown,
        Desired::Down(DownReason::Requested(id)) | Desired::Cycle(CycleCause::Requested(id)) => {
            Cause::Requested(id)
        }
        // An update turned its `autostart` off while it was stopping.
        Desired::Down(DownReason::NotAutostarted) => Cause::Changed,
        Desired::Down(DownReason::Removed) => Cause::Removed,
        Desired::Cycle(CycleCause::Changed) => Cause::Changed,
        Desired::Cycle(CycleCause::Due) => Cause::Due,
        Desired::Cycle(CycleCause::Replacement(why)) => why.into(),
        Desired::Cycle(CycleCause::Requirement(missing)) => Cause::RequirementDown(missing),
        // A run beside an instance is stopped when that is decided.
        Desired::Down(DownReason::Spare | DownReason::Leftovers)
        | Desired::Trial
        | Desired::Rising
        | Desired::Up => return None,
    };
    match instance.state() {
        State::Starting { .. } | State::Running { .. } => Some(cause),
        State::Stopped
        | State::Waiting { .. }
        | State::Stopping(_)
        | State::Backoff { .. }
        | State::Exited { .. }
        | State::Fatal { .. } => None,
    }
}
