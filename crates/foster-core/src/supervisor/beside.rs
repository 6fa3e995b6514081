//! The run beside that of an instance: what a run has left that ended by itself, and when the next one may start.
//!
//! Where two runs may stand beside each other ([`Overlap`]), the next run does not wait for what an ended one has left: that
//! is parted from the instance, as a run beside it, which gets TERM and then KILL. Only the very next run starts at once. If
//! that one ends as well, it may be for something that the leftovers hold, so a later one waits for them. An instance never
//! has more than two live runs. Rolling restarts have theirs in the same place: `roll.rs`.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::{Supervisor, Turn};
use crate::action::Action;
use crate::event::Leftovers;
use crate::ids::{Exit, InstanceId, Run};
use crate::program::{Desired, DownReason, Instance, State};
use crate::spec::Overlap;
use crate::time::Instant;

impl Supervisor {
    /// A main process has ended and has left others: parts them from its instance, if the next run may start beside them.
    /// Returns what is left for the instance.
    pub(super) fn part_from_leftovers(
        &mut self,
        now: Instant,
        run: Run,
        exit: Exit,
        left: Leftovers,
        out: &mut Vec<Action>,
    ) -> Leftovers {
        if left == Leftovers::None || self.phase.has_begun() || !self.has_room_beside(run.instance) {
            return left;
        }
        let Some(instance) = self.find(run.instance).filter(|one| one.run() == Some(run)) else {
            return left;
        };
        let is_wanted = matches!(instance.desired(), Desired::Rising | Desired::Up);
        let has_ended_by_itself = matches!(instance.state(), State::Starting { .. } | State::Running { .. });
        let may_overlap = self.may_stand_beside(instance);
        if !(is_wanted && has_ended_by_itself && may_overlap && instance.is_restarted_after(now, exit)) {
            return left;
        }
        let Some(rest) = instance.leftovers(now, exit, out) else { return left };
        self.spares.retain(|other| other.id() != run.instance || other.run().is_some());
        self.spares.push(rest);
        self.live += 1;
        Leftovers::None
    }

    /// Whether the former run of an instance, which is being stopped, has to end before the next one starts: the two may not
    /// stand beside each other, or what had them do so is over.
    pub(super) fn waits_for_former_run(&self, id: InstanceId) -> bool {
        self.spare(id).is_some_and(|spare| {
            let is_next = match spare.desired() {
                Desired::Down(DownReason::Leftovers) => {
                    self.find(id).is_some_and(|instance| instance.last_run() == spare.last_run())
                }
                Desired::Down(_) | Desired::Cycle(_) | Desired::Trial | Desired::Rising | Desired::Up => {
                    self.turn_of(id) == Turn::Now
                }
            };
            !is_next || !self.may_stand_beside(spare)
        })
    }

    /// Whether what a run has left is still being ended.
    pub(super) fn has_leftovers(&self, id: InstanceId) -> bool {
        self.spare(id).is_some_and(|spare| spare.desired() == Desired::Down(DownReason::Leftovers))
    }

    /// Whether an instance has no live run beside its own.
    pub(super) fn has_room_beside(&self, id: InstanceId) -> bool {
        self.spares.iter().all(|one| one.id() != id || one.run().is_none())
    }

    /// Whether the next run may stand beside this one.
    fn may_stand_beside(&self, one: &Instance) -> bool {
        let next = self.plan.program(one.id().program).map(Rc::as_ref);
        one.spec().overlap == Overlap::Allowed && next.is_some_and(|spec| spec.overlap == Overlap::Allowed)
    }
}
