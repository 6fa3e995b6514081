//! Whose turn it is: tiers and dependencies, upwards for starting and downwards for stopping.
//!
//! One rule each way. **Up:** an instance begins when all that it is `after` is ready (or has ended with
//! success), and, on its first way up, when nothing of a lower tier is still on its way. **Down:** an
//! instance halts when nothing that is going down too stands above it: no dependant, no higher tier. The same
//! rule orders a shutdown, `stop all`, `restart all` and the fall of a requirement.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::Supervisor;
use crate::action::{Action, Cause};
use crate::graph::dependencies;
use crate::ids::{InstanceId, ProgramId};
use crate::program::{CycleCause, Desired, DownReason, Input, Instance, State};
use crate::program_map::ProgramMap;
use crate::spec::ProgramSpec;
use crate::time::Instant;

impl Supervisor {
    /// Lets every instance go on whose turn it has become.
    pub(super) fn look_at_order(&mut self, now: Instant, out: &mut Vec<Action>) {
        self.enforce_requirements();
        if self.tally.to_stop > 0 {
            self.halt_whose_turn_it_is(now, out);
        }
        if self.tally.to_start > 0 {
            self.begin_whose_turn_it_is(now, out);
        }
    }

    /// Brings down what requires something that stays down. It is to come up again with it.
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
            fallen.push(program);
            let cause = CycleCause::Requirement(InstanceId { program: missing, index: 0 });
            for at in self.positions_of(program) {
                let is_up = self.instances.get(at).is_some_and(|instance| {
                    instance.live().is_some() && matches!(instance.desired(), Desired::Rising | Desired::Up)
                });
                if is_up {
                    self.want(at, Desired::Cycle(cause));
                }
            }
        }
    }

    fn halt_whose_turn_it_is(&mut self, now: Instant, out: &mut Vec<Action>) {
        let highest = self.instances.iter().filter(|instance| is_going_down(instance));
        let highest =
            highest.filter_map(|instance| self.spec(instance.id().program)).map(|spec| spec.priority).max();
        for program in self.plan.graph().order().to_vec().into_iter().rev() {
            let Some(spec) = self.spec(program) else { continue };
            if highest.is_some_and(|highest| spec.priority < highest) {
                return; // and so are all that come now
            }
            let dependants = self.plan.graph().dependants(program);
            let held = dependants.iter().any(|other| self.instances_of(*other).iter().any(is_going_down));
            if held {
                continue;
            }
            for at in self.positions_of(program) {
                if let Some(cause) = self.instances.get(at).and_then(cause_to_halt) {
                    self.say(now, at, Input::Stop(cause), out);
                }
            }
        }
    }

    fn begin_whose_turn_it_is(&mut self, now: Instant, out: &mut Vec<Action>) {
        // The programs that will not be ready without somebody's order.
        let mut never: ProgramMap<()> = ProgramMap::new();
        // The lowest tier that is still on its way, and who is: nothing above it may begin its first way up.
        let mut holder: Option<(i32, InstanceId)> = None;
        for program in self.plan.graph().order().to_vec() {
            let Some(spec) = self.spec(program) else { continue };
            let priority = spec.priority;
            let missing = self.first_unready(spec);
            let blocked_for_good = dependencies(spec)
                .filter(|other| !self.is_satisfied(*other))
                .any(|other| never.contains(other));
            let mut will_be = true;
            for at in self.positions_of(program) {
                let Some(instance) = self.instances.get(at) else { continue };
                if let Some(first_way) = is_to_begin(instance, now) {
                    let tier = match (first_way, holder) {
                        (Way::First, Some((lower, holder))) if lower < priority => Some(holder),
                        (Way::First | Way::Again, _) => None,
                    };
                    match missing.or(tier) {
                        None => self.say(now, at, Input::Start, out),
                        Some(other) => self.say(now, at, Input::Block(other), out),
                    }
                }
                let Some(instance) = self.instances.get(at) else { continue };
                let comes = comes_by_itself(instance, blocked_for_good);
                will_be &= comes;
                let rising = matches!(instance.desired(), Desired::Rising | Desired::Cycle(_));
                let ready = matches!(
                    (instance.state(), instance.desired()),
                    (State::Running { .. }, Desired::Rising)
                );
                if comes && rising && !ready && holder.is_none() {
                    holder = Some((priority, instance.id()));
                }
            }
            if !will_be {
                never.insert(program, ());
            }
        }
    }

    /// The first instance that this program has to wait for, by `after` or `requires`.
    pub(super) fn first_unready(&self, spec: &ProgramSpec) -> Option<InstanceId> {
        let missing = dependencies(spec).find(|other| !self.is_satisfied(*other))?;
        let instances = self.instances_of(missing);
        let unready = instances.iter().find(|instance| !is_ready_or_done(instance)).map(Instance::id);
        unready.or(Some(InstanceId { program: missing, index: 0 }))
    }

    /// Whether those after this program may start: it is ready, or has ended with success.
    pub(super) fn is_satisfied(&self, program: ProgramId) -> bool {
        self.instances_of(program).iter().all(is_ready_or_done)
    }

    /// Whether this program is down and will not come up by itself.
    fn stays_down(&self, program: ProgramId) -> bool {
        self.instances_of(program).iter().all(|instance| {
            matches!(instance.desired(), Desired::Down(_)) || matches!(instance.state(), State::Fatal { .. })
        })
    }

    pub(super) fn spec(&self, program: ProgramId) -> Option<&ProgramSpec> {
        self.plan.program(program).map(Rc::as_ref)
    }
}

/// Which way up an instance is about to begin.
#[derive(Clone, Copy)]
enum Way {
    /// It has not been ready since it was first wanted: tiers count.
    First,
    /// It was ready before: only what it is after counts.
    Again,
}

/// Whether an instance is at rest, wanted up, and not in the middle of a wait.
fn is_to_begin(instance: &Instance, now: Instant) -> Option<Way> {
    let way = match instance.desired() {
        Desired::Rising => Way::First,
        Desired::Up => Way::Again,
        Desired::Down(_) | Desired::Cycle(_) => return None,
    };
    match instance.state() {
        State::Stopped | State::Waiting => Some(way),
        State::Backoff { until } => (*until <= now).then_some(way),
        State::Starting { .. }
        | State::Running { .. }
        | State::Stopping { .. }
        | State::Exited { .. }
        | State::Fatal { .. } => None,
    }
}

/// Whether an instance is up, or will be without anybody's order.
fn comes_by_itself(instance: &Instance, blocked_for_good: bool) -> bool {
    if let Desired::Down(_) = instance.desired() {
        return false;
    }
    match instance.state() {
        State::Starting { .. } | State::Running { .. } | State::Stopping { .. } | State::Backoff { .. } => {
            true
        }
        State::Stopped | State::Waiting => !blocked_for_good,
        State::Exited { .. } | State::Fatal { .. } => false,
    }
}

fn is_ready_or_done(instance: &Instance) -> bool {
    match instance.state() {
        State::Running { .. } => matches!(instance.desired(), Desired::Rising | Desired::Up),
        State::Exited { .. } => true,
        State::Stopped
        | State::Waiting
        | State::Starting { .. }
        | State::Stopping { .. }
        | State::Backoff { .. }
        | State::Fatal { .. } => false,
    }
}

/// Whether an instance has a process and is to have none.
fn is_going_down(instance: &Instance) -> bool {
    instance.live().is_some() && matches!(instance.desired(), Desired::Down(_) | Desired::Cycle(_))
}

/// Why an instance is to begin to stop, if it is to and has not begun.
fn cause_to_halt(instance: &Instance) -> Option<Cause> {
    let cause = match instance.desired() {
        Desired::Down(DownReason::Shutdown) => Cause::Shutdown,
        Desired::Down(DownReason::Ordered | DownReason::NotAutostarted)
        | Desired::Cycle(CycleCause::Ordered) => Cause::Ordered,
        Desired::Down(DownReason::Removed) => Cause::Removed,
        Desired::Cycle(CycleCause::Changed) => Cause::Changed,
        Desired::Cycle(CycleCause::Requirement(missing)) => Cause::RequirementDown(missing),
        Desired::Rising | Desired::Up => return None,
    };
    match instance.state() {
        State::Starting { .. } | State::Running { .. } => Some(cause),
        State::Stopped
        | State::Waiting
        | State::Stopping { .. }
        | State::Backoff { .. }
        | State::Exited { .. }
        | State::Fatal { .. } => None,
    }
}
