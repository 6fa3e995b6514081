//! An update: reads the configuration again while programs run (`foster update`, SIGHUP).
//!
//! It is read and checked completely first: an error anywhere changes nothing and is reported as at the start. Then the new
//! plan replaces the old one in one step, and the core decides which programs start and stop. A client that waits gets
//! an answer for each program when the program has reached its new state. Files are read in the loop, so only regular
//! files of a bounded size are accepted (`config/document.rs`). Matching programs and diffing them: `plan_merge.rs` and
//! `plan_diff.rs`.

use std::env;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use foster_core::action::EventName;
use foster_core::event::{self, Event, SpecChange};
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::sorted::SortedSet;
use log::Level;

use super::history::Subject;
use super::listening::Staged;
use super::outcomes::InstanceBefore;
use super::plan_merge::{PlanMerge, merge};
use super::plan_scope::UpdateScope;
use super::trial::Trial;
use super::update_texts::{LONGEST_PROBLEM, bounded, counted, listed, remarks, unchanged};
use super::{Init, InitEnv, report};
use crate::config::{self, Environment, Report};
use crate::control::names::NameError;
use crate::control::protocol::{Outcome, Problem, Reason, Refusal, Reply, Update, UpdateMode, Verdict};
use crate::control::server::ConnectionId;
use crate::output::log as own_log;
use crate::plan::Plan;
use crate::sys::cpus;

/// State that one update leaves for the next.
#[derive(Debug)]
pub(super) struct Updates {
    /// The absolute path of the configuration that foster was started with.
    source: PathBuf,
    /// `FOSTER_LOG`, which overrides `log_level`.
    filter: Option<String>,
    /// The next unused program id.
    next: ProgramId,
    /// The programs and instances that the core has forgotten. They are dropped once all clients have their answer.
    forgotten: Forgotten,
    pub(super) trial: Trial,
}

/// Removed instances of which nothing is left, and programs of which no instance is left.
#[derive(Debug, Default)]
struct Forgotten {
    instances: Vec<InstanceId>,
    programs: SortedSet<ProgramId>,
}

/// Why there is no update.
#[derive(Debug)]
pub(super) enum UpdateFailure {
    /// The configuration has mistakes.
    Mistakes(Report),
    /// A name is that of no program.
    Names(NameError),
}

impl Updates {
    /// The state before the first update.
    pub(super) fn new(plan: &Plan, env: &InitEnv) -> Updates {
        Updates {
            source: std::path::absolute(&plan.source).unwrap_or_else(|_| plan.source.clone()),
            filter: env.log.clone(),
            next: after_all(plan, ProgramId(0)),
            forgotten: Forgotten::default(),
            trial: Trial::new(env.evaluate),
        }
    }

    /// The configuration's file.
    pub(super) fn source(&self) -> &Path {
        &self.source
    }
}

impl Init {
    /// Updates for a client, or says what an update would do, if it was no fault to read the configuration.
    pub(super) fn update_for(&mut self, client: ConnectionId, asked: Update, fault: Option<Report>) {
        let is_here = self.operators.requests.has_been_read_for(client);
        let asked = Update { wait: asked.wait && is_here, ..asked };
        let done = match asked.mode {
            UpdateMode::DryRun => self.preview(client, &asked, fault),
            UpdateMode::Apply | UpdateMode::Remove => self.answered_update(client, &asked, fault),
        };
        if let Err(refusal) = done {
            self.reply(client, &Reply::Error(refusal));
        }
    }

    fn answered_update(
        &mut self,
        client: ConnectionId,
        asked: &Update,
        fault: Option<Report>,
    ) -> Result<(), Refusal> {
        if self.core.supervisor.is_shutting_down() {
            return Err(Refusal::new(Reason::ShuttingDown, "foster is shutting down"));
        }
        let scope = UpdateScope::new(asked)?;
        let (merged, before) = self.update(&scope, fault).map_err(|failure| self.refused(client, failure))?;
        let expected = self.expected(&merged, &before);
        let waiting = self.answer_or_wait(client, expected, asked.wait);
        for warning in &self.plan.warnings.clone() {
            self.remark(client, "warning", warning.to_string());
        }
        for line in unchanged(&merged).into_iter().chain(remarks(&merged)) {
            self.remark(client, "foster", line);
        }
        self.wait_for_update(client, waiting);
        Ok(())
    }

    /// Updates on SIGHUP; the result is logged.
    pub(super) fn update_by_signal(&mut self, fault: Option<Report>) {
        if self.core.supervisor.is_shutting_down() {
            log::info!("the configuration is not read again: foster is shutting down");
            return;
        }
        // `update` logs errors.
        let _ = self.update(&UpdateScope::all(), fault);
    }

    /// The refusal of an update that failed; the mistakes of the configuration come before it.
    pub(super) fn refused(&mut self, client: ConnectionId, failure: UpdateFailure) -> Refusal {
        match failure {
            UpdateFailure::Names(error) => error.into(),
            UpdateFailure::Mistakes(report) => {
                for line in bounded(&report).iter().flat_map(|error| error.lines()) {
                    let text = line.chars().take(LONGEST_PROBLEM).collect();
                    self.reply(client, &Reply::Problem(Problem { text }));
                }
                Refusal::new(Reason::Failed, format!("{}; nothing was changed", report.summary()))
            }
        }
    }

    /// Reads the configuration and compares it with the plan. What the programs of this scope add to the sockets is
    /// opened, where it is to be staged.
    pub(super) fn read_update(
        &mut self,
        scope: &UpdateScope,
        staged: Option<&mut Staged>,
        fault: Option<Report>,
    ) -> Result<(Plan, PlanMerge), UpdateFailure> {
        self.forget_removed();
        let evaluated = self.operators.updates.trial.take_evaluated();
        let environment = Environment::new(env::vars_os(), cpus::allowed).evaluated(evaluated);
        let source = self.operators.updates.source.clone();
        let read = match fault {
            Some(fault) => Err(fault),
            None if scope.removes() => Ok(Plan::clone(&self.plan)),
            None => config::load_and_examine(&source, &environment, |plan| {
                staged.map_or(Vec::new(), |staged| self.stage_sockets(plan, scope, staged))
            }),
        };
        let read = read.map_err(UpdateFailure::Mistakes)?;
        scope.check_names(&self.plan, &read).map_err(UpdateFailure::Names)?;
        let merged = merge(&self.plan, read, self.operators.updates.next, scope);
        merged.map_err(|message| UpdateFailure::Mistakes(Report::of_file(&source, message)))
    }

    /// Reads the configuration and applies it. Returns the differences, and the state before.
    fn update(
        &mut self,
        scope: &UpdateScope,
        fault: Option<Report>,
    ) -> Result<(PlanMerge, Vec<InstanceBefore>), UpdateFailure> {
        let mut staged = Staged::default();
        let (plan, merged) = match self.read_update(scope, Some(&mut staged), fault) {
            Ok(merged) => merged,
            Err(failure) => {
                self.revert_sockets(staged);
                if let UpdateFailure::Mistakes(report) = &failure {
                    self.report_mistakes(report);
                }
                return Err(failure);
            }
        };
        self.commit_sockets(staged);
        self.operators.updates.next = after_all(&plan, self.operators.updates.next);
        self.report_update(&plan, &merged, scope);
        if merged.applied.iter().any(|key| key.starts_with("log_")) {
            own_log::install(&plan.settings, self.operators.updates.filter.as_deref());
        }
        self.output.configure(&plan);
        let before = self.instances_before();
        let changed = merged.kept.iter().filter_map(|(id, keys)| Some((id, keys.change()?)));
        let update = event::Update { plan: plan.core.clone(), changed: changed.collect() };
        let old = std::mem::replace(&mut self.plan, Rc::new(plan));
        self.watch_clock();
        self.keep_formers(&old, &merged);
        self.redefine_runs(&old, &merged);
        self.rematch_streams();
        self.hold_memory();
        self.core.push(Event::Updated(Box::new(update)));
        self.handle_events();
        self.limit_groups();
        for id in &merged.removed {
            self.forget_program(*id);
        }
        self.drop_formers();
        self.update_web(&old.web, scope);
        self.close_unused_sockets();
        self.waiter.trimmer.done_with_work(self.core.now);
        Ok((merged, before))
    }

    /// The name of a removed program must not match a new program.
    pub(super) fn forget_removed(&mut self) {
        self.answer_requests();
        self.drop_removed();
    }

    /// Gives continuing runs their new definition; runs that will be replaced keep their own.
    fn redefine_runs(&mut self, old: &Plan, merged: &PlanMerge) {
        for run in self.processes.children.runs().collect::<Vec<_>>() {
            let id = run.instance.program;
            let is_kept = merged.kept.get(id).is_some_and(|keys| keys.change() != Some(SpecChange::Process));
            let its = self.processes.children.definition(run).zip(old.instance(run.instance));
            let is_current = its.is_some_and(|(its, current)| Rc::ptr_eq(its, &current.program));
            if let Some(instance) = self.plan.instance(run.instance).filter(|_| is_kept && is_current) {
                self.processes.children.redefine(run, Rc::clone(&instance.program));
            }
        }
    }

    /// Forgets a removed instance whose run has ended.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.operators.failures.forget(instance);
        self.processes.children.ledger.note_rest(instance, None);
        self.processes.children.forget_instance(instance);
        self.operators.updates.forgotten.instances.push(instance);
        self.forget_program(instance.program);
        if self.plan.templates.contains(instance.program) {
            self.close_unused_sockets();
        }
    }

    /// A program that was removed is gone with its last instance.
    fn forget_program(&mut self, id: ProgramId) {
        let is_left = self.core.supervisor.snapshot().of(id).next().is_some();
        let is_known = self.operators.updates.forgotten.programs.contains(&id);
        if is_left || is_known || !self.plan.core.is_leaving(id) {
            return;
        }
        let name = self.plan.program(id).map_or(String::new(), |program| program.name.clone());
        let about = about(&self.plan, id);
        let line = report::Line::new(Level::Info, EventName::Removed, format!("{name}: removed"));
        self.publish(&line.with("program", name), about);
        self.operators.updates.forgotten.programs.insert(id);
    }

    /// Drops the names and the last lines of removed programs and instances once all clients have their answer.
    pub(super) fn drop_removed(&mut self) {
        let Forgotten { instances, programs } = std::mem::take(&mut self.operators.updates.forgotten);
        if instances.is_empty() && programs.is_empty() {
            return;
        }
        self.processes.trees.groups.remove_unused();
        for program in programs.iter() {
            self.note_losses(*program);
        }
        let plan = Rc::make_mut(&mut self.plan);
        for instance in instances {
            // It may be back.
            if self.core.supervisor.snapshot().instance(instance).is_none() {
                plan.instances.remove(&instance);
                self.output.forget_instance(instance);
            }
        }
        for program in programs.iter() {
            plan.programs.remove(*program);
            self.output.forget_program(*program);
        }
        // The core has forgotten them: its plan is current.
        plan.core = Rc::clone(self.core.supervisor.plan());
        self.rematch_streams();
    }

    fn report_update(&mut self, plan: &Plan, merged: &PlanMerge, scope: &UpdateScope) {
        for (id, keys) in merged.kept.iter().filter(|(_, keys)| !keys.is_empty()) {
            let name = plan.program(id).map_or(String::new(), |program| program.name.clone());
            let how = match keys.change() {
                Some(SpecChange::Policy) => "changed without a restart",
                Some(SpecChange::Process) | None => "changed",
            };
            let message = format!("{name}: {how}: {}", listed(keys.names()));
            let keys = keys.names().collect::<Vec<_>>().join(",");
            let line = report::Line::new(Level::Info, EventName::Changed, message);
            self.publish(&line.with("program", name).with("keys", keys), about(plan, id));
        }
        for warning in &plan.warnings {
            log::warn!("{warning}");
        }
        let count = |number: usize| number as u64;
        let changed = merged.kept.values().filter(|keys| !keys.is_empty()).count();
        let from = match scope.removes() {
            true => "updated by an order to remove programs".to_owned(),
            false => format!("updated from `{}`", self.operators.updates.source.display()),
        };
        let what = [
            format!("{from}: {}", counted(merged)),
            remarks(merged).into_iter().map(|remark| format!("; {remark}")).collect(),
        ];
        let line = report::Line::new(Level::Info, EventName::Updated, what.concat())
            .with("new", count(merged.new.len()))
            .with("changed", count(changed))
            .with("removed", count(merged.removed.len()))
            .with("unchanged", count(merged.kept.len() - changed));
        self.publish(&line, None);
    }

    fn report_mistakes(&mut self, report: &Report) {
        for error in bounded(report) {
            // The log prints the level itself.
            log::error!("{}", error.replacen(": error: ", ": ", 1));
        }
        let message = format!("{}; nothing was changed", report.summary());
        let line = report::Line::new(Level::Error, EventName::UpdateFailed, message);
        self.publish(&line.with("errors", report.count() as u64), None);
    }

    pub(super) fn remark(&mut self, client: ConnectionId, name: &str, message: String) {
        let outcome = Outcome { name: name.into(), verdict: Verdict::Ok, message, exit_status: None };
        self.reply(client, &Reply::Outcome(outcome));
    }
}

/// A program as a whole, for clients that follow events.
fn about(plan: &Plan, id: ProgramId) -> Option<Subject> {
    let (program, spec) = plan.program(id).zip(plan.spec(id))?;
    Some(Subject { program: program.name.as_str().into(), instances: 0..spec.instances.max(1), state: None })
}

/// The first id above all ids of this plan, and at least `least`.
fn after_all(plan: &Plan, least: ProgramId) -> ProgramId {
    let last = plan.programs.ids().next_back().map_or(0, |id| id.0.saturating_add(1));
    least.max(ProgramId(last))
}
