//! The run beside that of an instance: what a run has left that ended by itself, a run that has announced its end, and when
//! the next one may start.
//!
//! Where two runs may stand beside each other ([`Overlap`]), the next run does not wait for what an ended one has left: that
//! is parted from the instance, as a run beside it. That serves until the next run is ready, then gets TERM and KILL: what
//! may stand beside a running one (in a rolling restart) may stand beside its workers. A run that announces its end
//! ([`Notice::Stopping`](crate::event::Notice::Stopping)) is parted as a whole, and has the time of a stop. Only the very next
//! run starts at once. If that one ends as well, it may be for something that the one before holds, so a later one waits for
//! that. An instance never has more than two live runs. Rolling restarts have theirs in the same place: `roll.rs`.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::{Supervisor, Turn};
use crate::action::{Action, Cause};
use crate::event::Leftovers;
use crate::ids::{Exit, InstanceId, Run};
use crate::program::{Desired, DownReason, Input, Instance, State};
use crate::spec::{Overlap, Restart};
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
        if left == Leftovers::None {
            return left;
        }
        let Some(instance) = self.find_partable(run) else { return left };
        let is_wanted = matches!(instance.desired(), Desired::Rising | Desired::Up);
        let has_ended_by_itself = matches!(instance.state(), State::Starting { .. } | State::Running { .. });
        if !(is_wanted && has_ended_by_itself && instance.is_restarted_after(now, exit)) {
            return left;
        }
        let Some(rest) = instance.leftovers(now, exit, out) else { return left };
        self.put_beside(rest);
        Leftovers::None
    }

    /// A run has announced its end: parts it from its instance, if the next run may start beside it. Returns whether it did.
    /// The next one can start only where the restart policy does not wait for the exit status.
    pub(super) fn part_from_ending(&mut self, now: Instant, run: Run, out: &mut Vec<Action>) -> bool {
        let (Some(instance), Some(at)) = (self.find_partable(run), self.position(run.instance)) else {
            return false;
        };
        let serves = matches!((instance.desired(), instance.state()), (Desired::Up, State::Running { .. }));
        let is_always_restarted = instance.spec().restart.restart == Restart::Always
            && instance.is_restarted_after(now, Exit::Code(0));
        if !(serves && is_always_restarted) {
            return false;
        }
        let ending = instance.ending(now, out);
        self.put_beside(ending);
        self.apply(now, at, Input::Parted, out);
        true
    }

    /// The main process of a run beside an instance has ended, which was its own: its exit is the last one, unless the next
    /// run has ended before.
    pub(super) fn note_exit_beside(&mut self, run: Run) {
        let is_parted = |one: &&Instance| one.desired() == Desired::Down(DownReason::Leftovers);
        let past =
            self.spares.iter().filter(is_parted).filter_map(Instance::last).find(|past| past.run == run);
        if let Some(instance) = self.position(run.instance).and_then(|at| self.instances.get_mut(at))
            && instance.last().is_none_or(|last| last.run.number < run.number)
        {
            instance.note_last(past);
        }
    }

    /// The instance that has this run, where another may stand beside it and there is none.
    fn find_partable(&self, run: Run) -> Option<&Instance> {
        let instance = self.find(run.instance).filter(|one| one.run() == Some(run))?;
        let is_free = !self.phase.has_begun() && self.has_room_beside(run.instance);
        (is_free && self.may_stand_beside(instance)).then_some(instance)
    }

    fn put_beside(&mut self, run: Instance) {
        self.spares.retain(|other| other.id() != run.id() || other.run().is_some());
        self.spares.push(run);
        self.live += 1;
    }

    /// Asks what ended runs have left to end, where the next one is ready, or does not come up at once.
    pub(super) fn end_the_kept(&mut self, now: Instant, out: &mut Vec<Action>) {
        for beside in 0..self.spares.len() {
            if self.spares.get(beside).is_some_and(|one| one.state().is_kept() && !self.is_bridged(one)) {
                self.apply_to_spare(now, beside, Input::Stop(Cause::Replaced), out);
            }
        }
    }

    /// Whether what a run has left serves until the next one is ready: that is on its way.
    fn is_bridged(&self, kept: &Instance) -> bool {
        self.find(kept.id()).is_some_and(|instance| {
            let is_wanted = matches!(instance.desired(), Desired::Rising | Desired::Up);
            let comes_up = match instance.state() {
                State::Waiting { .. } | State::Backoff { .. } => instance.last_run() == kept.last_run(),
                // The very next one: any other waits until they have ended.
                State::Starting { .. } => true,
                State::Stopped
                | State::Running { .. }
                | State::Stopping(_)
                | State::Exited { .. }
                | State::Fatal { .. } => false,
            };
            is_wanted && comes_up && self.may_stand_beside(kept)
        })
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
