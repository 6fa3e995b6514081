//! Rolling restarts, as far as the shell takes part: the definition before an update is kept until the core has decided
//! which one stays, and the reason of a failure is put together from what the failed run has shown.
//!
//! Which run is made from which definition is decided in the core (`supervisor/roll.rs`).

use std::rc::Rc;

use foster_core::action::{Definition, NotReplaced};
use foster_core::event::SpecChange;
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::supervisor::{InstanceView, Turn};

use super::Init;
use super::plan_merge::PlanMerge;
use crate::plan::Plan;

/// How much of the output of a run that has failed is part of the reason.
const LAST_OUTPUT: usize = 400;

impl Init {
    /// An update comes: the plan before it is kept for the programs whose processes have to be made from another
    /// definition.
    pub(super) fn keep_formers(&mut self, old: &Rc<Plan>, merged: &PlanMerge) {
        for (id, keys) in merged.kept.iter() {
            if keys.change() == Some(SpecChange::Process) {
                self.operators.failures.forget_roll(id);
                if !self.processes.formers.contains(id) {
                    self.processes.formers.insert(id, Rc::clone(old));
                }
            }
        }
    }

    /// The update is decided: without a rolling restart there is one definition.
    pub(super) fn drop_formers(&mut self) {
        let snapshot = self.core.supervisor.snapshot();
        let decided: Vec<ProgramId> =
            self.processes.formers.ids().filter(|id| !snapshot.has_former(*id)).collect();
        for id in decided {
            self.processes.formers.remove(id);
        }
    }

    /// The rolling restart to a new definition is over.
    pub(super) fn keep(&mut self, program: ProgramId, definition: Definition) {
        let former = self.processes.formers.remove(program);
        if let (Definition::Former, Some(former)) = (definition, former) {
            let plan = Rc::make_mut(&mut self.plan);
            plan.core = Rc::clone(self.core.supervisor.plan());
            plan.take_back(program, &former);
            self.output.configure(&self.plan);
        }
        self.close_unused_sockets();
    }

    /// A rolling restart has failed with this instance: why, with the last output of the run that failed.
    pub(super) fn note_not_replaced(&mut self, id: InstanceId, why: NotReplaced) -> String {
        let reason = match why {
            NotReplaced::NotReady => {
                let failure = self.operators.failures.take_trial(id);
                let lines = failure.as_ref().and_then(|failure| failure.run);
                let lines = lines.map(|run| self.output.output_of(run, LAST_OUTPUT)).unwrap_or_default();
                let lines: Vec<String> =
                    lines.iter().map(|line| String::from_utf8_lossy(&line.text).trim().to_owned()).collect();
                let text = failure.map_or("its new process was not ready".into(), |failure| failure.text);
                if lines.is_empty() {
                    text
                } else {
                    format!("{text}; its last output: {}", lines.join(" / "))
                }
            }
            NotReplaced::WaitsFor(other) => {
                format!("{} was not ready in time", self.plan.label(other))
            }
            NotReplaced::NotKilled => "some of its processes are still there after SIGKILL".into(),
        };
        self.operators.failures.note_roll(id, reason.clone());
        reason
    }

    /// Why an instance was not replaced.
    pub(super) fn not_replaced(&self, view: &InstanceView) -> String {
        match self.operators.failures.roll(view.id.program) {
            Some((id, reason)) if id == view.id => format!("not replaced: {reason}"),
            Some((id, _)) => format!("not replaced: {} could not be", self.plan.label(id)),
            None if view.live.is_none() => "is not running".into(),
            None => "not replaced: another order came".into(),
        }
    }

    /// What there is to know of the run beside that of an instance, for `status`.
    pub(super) fn roll_note(&self, view: &InstanceView) -> Option<String> {
        match (view.turn, view.beside) {
            (_, Some(beside)) if beside.kept => {
                Some("processes of its former run serve until it is ready".into())
            }
            (_, Some(beside)) if beside.leftovers => Some(match beside.stuck {
                true => "processes of its former run are still there after SIGKILL".into(),
                false => "processes of its former run are still ending".into(),
            }),
            (Turn::Now, Some(beside)) => {
                let pid = self.processes.children.last_pid(beside.live.run);
                let pid = pid.map_or(String::new(), |pid| format!(" (beside pid {pid})"));
                Some(format!("being replaced{pid}"))
            }
            (Turn::Now, None) => Some("being replaced".into()),
            (Turn::Later, _) => Some("to be replaced".into()),
            (Turn::None, _) => {
                let (id, reason) = self.operators.failures.roll(view.id.program)?;
                (id == view.id).then(|| format!("not replaced: {reason}"))
            }
        }
    }
}
