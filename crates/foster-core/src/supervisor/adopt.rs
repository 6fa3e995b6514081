//! Runs that an earlier foster of this process has started: an instance gets the process that is there.
//!
//! The definition is that of the plan. Of two runs of an instance, which were a rolling restart, the second one to come is
//! beside it, and is only to be stopped. Next: `end.rs`, since after a fault the container ends.

use alloc::rc::Rc;
use alloc::vec::Vec;

use super::Supervisor;
use crate::action::Action;
use crate::event::Adoption;
use crate::ids::Run;
use crate::time::Instant;

impl Supervisor {
    pub(super) fn adopt(&mut self, now: Instant, run: Run, reached: Adoption, out: &mut Vec<Action>) {
        let program = run.instance.program;
        let (Some(at), Some(spec)) = (self.position(run.instance), self.plan.program(program).map(Rc::clone))
        else {
            return;
        };
        let last = self.last_runs.get(program).copied().unwrap_or(0);
        self.last_runs.insert(program, last.max(run.number));
        let Some(instance) = self.instances.get_mut(at) else { return };
        if instance.run().is_none() {
            instance.adopt(now, run.number, reached, out);
        } else {
            let mut spare = instance.former(&spec);
            spare.adopt(now, run.number, reached, out);
            self.spares.push(spare);
        }
        self.live += 1;
        self.dirty = true;
    }
}
