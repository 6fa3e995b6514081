//! What an earlier foster of this process has left: runs that are there, and instances that are not to be started again.
//!
//! The definitions are those of the plan. Of two runs of an instance, which were a rolling restart, the second one to come
//! is beside it, and is only stopped; so is what an ended run has left. Next: `end.rs`, since after a fault the container may end.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::Supervisor;
use crate::action::{Action, Cause};
use crate::event::{Adopted, Adoption, Recalled, Rest};
use crate::ids::{InstanceId, ProgramId};
use crate::spec::{ExitAction, Kind};
use crate::time::Instant;

impl Supervisor {
    pub(super) fn adopt(&mut self, now: Instant, adopted: Adopted, out: &mut Vec<Action>) {
        let program = adopted.run.instance.program;
        let at = self.position(adopted.run.instance);
        let spec = self.plan.program(program).map(Rc::clone);
        let (Some((at, instance)), Some(spec)) =
            (at.and_then(|at| Some((at, self.instances.get(at)?))), spec)
        else {
            return;
        };
        self.live += 1;
        self.dirty = true;
        // What it was before its takeover is known, so that what a run has left is not its run, nor is one that was ending by
        // itself while the instance had none.
        let (is_up, is_known) = (instance.run().is_some(), instance.last_run() > 0);
        let is_ending = adopted.reached == Adoption::Stopping && !is_up && is_known;
        if adopted.exit.is_some() && (is_up || is_known) || is_ending {
            let mut rest = instance.left_before(&spec);
            rest.adopt(now, adopted, out);
            self.spares.push(rest);
        } else if instance.run().is_some() {
            let mut spare = instance.former(&spec);
            spare.adopt(now, adopted, out);
            self.spares.push(spare);
            self.drop_spare(now, self.spares.len() - 1, Cause::Unneeded, out);
        } else if let Some(instance) = self.instances.get_mut(at) {
            instance.adopt(now, adopted, out);
        }
        self.note_number(program, adopted.run.number);
    }

    pub(super) fn recall(&mut self, id: InstanceId, mut recalled: Recalled) {
        let at = self.position(id);
        let ends_all = self.spec(id.program).is_some_and(|spec| {
            spec.on_failure == ExitAction::Shutdown && spec.kind() == Kind::Program && spec.instances == 1
        });
        // By this definition its failure would have ended the container: it failed by one that an update has replaced, which
        // was about to start it again.
        if recalled.rest == Rest::Fatal && ends_all {
            recalled.rest = Rest::Due;
        }
        if let Some(instance) = at.and_then(|at| self.instances.get_mut(at)) {
            instance.recall(recalled);
            self.note_number(id.program, recalled.last_run);
        }
    }

    fn note_number(&mut self, program: ProgramId, number: u32) {
        let last = self.last_runs.get(program).copied().unwrap_or(0);
        if number > last {
            self.last_runs.insert(program, number);
        }
    }
}
