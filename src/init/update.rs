//! A configuration read anew under running programs (`foster update`, SIGHUP).
//!
//! It is read whole and checked first: a mistake anywhere changes nothing and is reported as at the start. Then the
//! new plan takes the old one's place in one step, and the core says who starts and who stops. Whoever asked is
//! answered for each program when it is as it is to be. Files are read in the loop, so only regular ones of a bounded
//! size are (`config/document.rs`). Who is the same program, and what is different: `succession.rs`, `difference.rs`.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;

use foster_core::action::{EventName, StateName};
use foster_core::event::{Event, Order, SpecChange, Update};
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::program::{Desired, DownReason};
use foster_core::supervisor::{InstanceView, Progress, progress};
use log::Level;

use super::difference::Keys;
use super::history::Subject;
use super::succession::{Succession, succeed};
use super::teardown::contain_fault;
use super::update_texts::{LONGEST_PROBLEM, because, bounded, counted, listed, remarks, unchanged};
use super::{Init, pid1, report};
use crate::config::{self, Report};
use crate::control::protocol::{Outcome, Problem, Reason, Refusal, Reply, Verdict};
use crate::control::server::ConnectionId;
use crate::output::log as own_log;
use crate::plan::{Limit, Plan};

/// What is needed from one update to the next.
#[derive(Debug)]
pub(super) struct Updates {
    /// The file that was named at the start, whatever the working directory is.
    source: PathBuf,
    /// `FOSTER_LOG`, which wins over `log_level`.
    filter: Option<String>,
    /// The limit of open files that programs get where they set none.
    limit: Option<Limit>,
    /// No program ever had this id, or one above it.
    next: ProgramId,
    /// Programs the core has forgotten, to be buried when everybody who waits for them was told.
    forgotten: Vec<ProgramId>,
}

/// An update that a client waits for.
#[derive(Debug)]
pub(super) struct Waiting(Vec<Expected>);

/// What is to become of an instance.
#[derive(Debug)]
struct Expected {
    before: Before,
    end: End,
    /// The keys that are different, as the end of a sentence.
    why: String,
}

/// What an update does to an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It runs, in a run of its own.
    Up,
    /// It is gone.
    Gone,
    /// Nothing, and why not.
    Stays(&'static str),
}

/// How an instance stood before.
#[derive(Debug, Clone, Copy)]
struct Before {
    id: InstanceId,
    runs: u32,
    /// `None`: it was not there.
    state: Option<StateName>,
    live: bool,
}

impl Updates {
    /// Nothing was updated yet.
    pub(super) fn new(plan: &Plan, filter: Option<String>, limit: Option<Limit>) -> Updates {
        Updates {
            source: std::path::absolute(&plan.source).unwrap_or_else(|_| plan.source.clone()),
            filter,
            limit,
            next: after_all(plan, ProgramId(0)),
            forgotten: Vec::new(),
        }
    }
}

impl Init {
    /// A client wants an update.
    pub(super) fn update_for(
        &mut self,
        client: ConnectionId,
        wait: bool,
    ) -> Result<Option<Waiting>, Refusal> {
        if self.core.supervisor.is_shutting_down() {
            return Err(Refusal::new(Reason::ShuttingDown, "foster is shutting down"));
        }
        let (succession, before) = match self.update() {
            Ok(done) => done,
            Err(report) => {
                for line in bounded(&report).iter().flat_map(|error| error.lines()) {
                    let text = line.chars().take(LONGEST_PROBLEM).collect();
                    self.reply(client, &Reply::Problem(Problem { text }));
                }
                let message = format!("{}; nothing was changed", report.summary());
                return Err(Refusal::new(Reason::Failed, message));
            }
        };
        let mut open = Vec::new();
        for expected in self.expected(&succession, &before) {
            match self.at_once(&expected, wait) {
                Some(message) => self.answer_for(client, expected.before.id, Verdict::Ok, message),
                None => open.push(expected),
            }
        }
        for warning in &self.plan.warnings.clone() {
            self.remark(client, "warning", warning.to_string());
        }
        for line in unchanged(&succession).into_iter().chain(remarks(&succession)) {
            self.remark(client, "foster", line);
        }
        Ok((!open.is_empty()).then_some(Waiting(open)))
    }

    /// SIGHUP came: there is nobody to be answered but the log.
    pub(super) fn update_by_signal(&mut self) {
        if self.core.supervisor.is_shutting_down() {
            log::info!("the configuration is not read again: foster is shutting down");
            return;
        }
        // What is wrong with it is in the log.
        let _ = self.update();
    }

    /// Reads the configuration and goes over to it. What was done, and how everything stood before.
    fn update(&mut self) -> Result<(Succession, Vec<Before>), Report> {
        // Names of what is gone by now must not be taken for those of what is new.
        self.answer_requests();
        self.bury();
        let environment = crate::sys::cpus::environment();
        let source = self.operators.updates.source.clone();
        // A fault of foster in the reading must not cost the programs that run.
        let read = contain_fault(|| config::load(&source, &environment));
        let read = read.unwrap_or_else(|fault| Err(Report::of_fault(&source, &fault)));
        let mut read = read.inspect_err(|report| self.tell_of_mistakes(report))?;
        pid1::pass_on(self.operators.updates.limit, &mut read);
        let (plan, succession) = succeed(&self.plan, read, self.operators.updates.next);
        self.operators.updates.next = after_all(&plan, self.operators.updates.next);
        self.tell_of_update(&plan, &succession);
        if succession.applied.iter().any(|key| key.starts_with("log_")) {
            own_log::install(&plan.settings, self.operators.updates.filter.as_deref());
        }
        self.output.configure(&plan.settings, &plan.programs);
        let before = self.core.supervisor.snapshot().instances().map(|view| Before::of(&view)).collect();
        let changed = succession.kept.iter().filter_map(|(id, keys)| Some((id, keys.difference()?)));
        let update = Update { plan: plan.core.clone(), changed: changed.collect() };
        self.plan = Rc::new(plan);
        self.redefine_runs(&succession);
        self.look_up_again();
        self.core.push(Event::Updated(Box::new(update)));
        self.handle_events();
        self.waiter.trimmer.done_with_work(self.core.now);
        Ok((succession, before))
    }

    /// A run that goes on takes the new definition; one that is to be replaced ends by the one it was made from.
    fn redefine_runs(&mut self, succession: &Succession) {
        for run in self.processes.children.runs().collect::<Vec<_>>() {
            let id = run.instance.program;
            let goes_on =
                succession.kept.get(id).is_some_and(|keys| keys.difference() != Some(SpecChange::Process));
            if let Some(program) = self.plan.programs.get(id).filter(|_| goes_on) {
                self.processes.children.redefine(run, Rc::clone(program));
            }
        }
    }

    /// What an update does to each instance, in the order of the programs.
    fn expected(&self, succession: &Succession, before: &[Before]) -> Vec<Expected> {
        let mut all = Vec::new();
        let unknown = Keys::default();
        for (id, _) in self.plan.programs.iter() {
            if succession.removed.contains(&id) {
                let gone = before.iter().filter(|before| before.id.program == id);
                all.extend(gone.map(|before| Expected {
                    before: *before,
                    end: End::Gone,
                    why: String::new(),
                }));
                continue;
            }
            let keys = match succession.kept.get(id) {
                Some(keys) if !keys.is_empty() => keys,
                None if succession.new.contains(&id) => &unknown,
                Some(_) | None => continue,
            };
            for view in self.core.supervisor.snapshot().of(id) {
                let before = before.iter().find(|before| before.id == view.id).copied();
                let before = before.unwrap_or(Before::absent(view.id));
                let end = outlook(&view, before, keys.difference());
                all.push(Expected { before, end, why: because(keys) });
            }
        }
        all
    }

    /// What can be said right after the update; `None`: its end is waited for.
    fn at_once(&self, expected: &Expected, wait: bool) -> Option<String> {
        let Expected { before, end, why } = expected;
        match end {
            End::Stays(how) => Some(format!("{how}{why}")),
            End::Gone if self.view(before.id).is_none() => Some("removed".into()),
            End::Up | End::Gone if wait => None,
            End::Up if before.live => Some(format!("restarting{why}")),
            End::Up => Some(format!("starting{why}")),
            End::Gone => Some("stopping, to be removed".into()),
        }
    }

    /// Answers for those that are as they are to be by now.
    pub(super) fn answer_update(&self, waiting: Waiting, queue: &mut VecDeque<Reply>) -> Option<Waiting> {
        let mut left = Vec::new();
        for expected in waiting.0 {
            match self.became(&expected) {
                Some((verdict, message)) => {
                    let name = report::label(&self.plan, expected.before.id);
                    queue.push_back(Reply::Outcome(Outcome { name, verdict, message }));
                }
                None => left.push(expected),
            }
        }
        (!left.is_empty()).then_some(Waiting(left))
    }

    fn became(&self, expected: &Expected) -> Option<(Verdict, String)> {
        let Expected { before, end, why } = expected;
        let Some(view) = self.view(before.id) else {
            return Some(match end {
                End::Gone => (Verdict::Ok, "stopped and removed".into()),
                End::Up | End::Stays(_) => (Verdict::Failed, "removed by a later update".into()),
            });
        };
        if *end == End::Gone {
            let removed = matches!(view.desired, Desired::Down(DownReason::Removed | DownReason::Shutdown));
            return (!removed).then(|| (Verdict::Failed, "brought back by a later update".into()));
        }
        match progress(Order::Restart, &view, before.runs) {
            Progress::UnderWay if self.is_blocked_for_good(&view) => {
                Some((Verdict::Failed, self.note(&view).unwrap_or_default()))
            }
            Progress::UnderWay => None,
            Progress::Failed => {
                Some((Verdict::Failed, format!("{}{why}", self.failure(Order::Restart, &view))))
            }
            Progress::Done if view.state == StateName::Exited => {
                Some((Verdict::Ok, format!("ended with success{why}")))
            }
            Progress::Done => {
                let done = if before.live { "restarted" } else { "started" };
                let pid = view.live.and_then(|live| self.processes.children.last_pid(live.run));
                let pid = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
                Some((Verdict::Ok, format!("{done}{pid}{why}")))
            }
        }
    }

    /// Nothing is left of an instance that was removed.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.operators.failures.forget(instance);
        self.processes.children.forget_instance(instance);
        if self.core.supervisor.snapshot().of(instance.program).next().is_none() {
            let name = report::label(&self.plan, instance);
            let about = about(&self.plan, instance.program);
            let line = report::Line::new(Level::Info, EventName::Removed, format!("{name}: removed"));
            self.tell(&line.with("program", name), about);
            self.operators.updates.forgotten.push(instance.program);
        }
    }

    /// Everybody was told: the names and last lines of what is gone can go as well.
    pub(super) fn bury(&mut self) {
        let forgotten = std::mem::take(&mut self.operators.updates.forgotten);
        if forgotten.is_empty() {
            return;
        }
        for program in &forgotten {
            self.note_losses(*program);
            Rc::make_mut(&mut self.plan).programs.remove(*program);
            self.output.forget_program(*program);
        }
        // The core has forgotten them as well; its plan is the one.
        Rc::make_mut(&mut self.plan).core = Rc::clone(self.core.supervisor.plan());
        self.look_up_again();
    }

    fn tell_of_update(&mut self, plan: &Plan, succession: &Succession) {
        for (id, keys) in succession.kept.iter().filter(|(_, keys)| !keys.is_empty()) {
            let name = plan.program(id).map_or(String::new(), |program| program.name.clone());
            let how = match keys.difference() {
                Some(SpecChange::Policy) => "changed without a restart",
                Some(SpecChange::Process) | None => "changed",
            };
            let message = format!("{name}: {how}: {}", listed(keys.names()));
            let keys = keys.names().collect::<Vec<_>>().join(",");
            let line = report::Line::new(Level::Info, EventName::Changed, message);
            self.tell(&line.with("program", name).with("keys", keys), about(plan, id));
        }
        for warning in &plan.warnings {
            log::warn!("{warning}");
        }
        let count = |number: usize| number as u64;
        let changed = succession.kept.values().filter(|keys| !keys.is_empty()).count();
        let what = [
            format!("updated from `{}`: {}", self.operators.updates.source.display(), counted(succession)),
            remarks(succession).into_iter().map(|remark| format!("; {remark}")).collect(),
        ];
        let line = report::Line::new(Level::Info, EventName::Updated, what.concat())
            .with("new", count(succession.new.len()))
            .with("changed", count(changed))
            .with("removed", count(succession.removed.len()))
            .with("unchanged", count(succession.kept.len() - changed));
        self.tell(&line, None);
    }

    fn tell_of_mistakes(&mut self, report: &Report) {
        for error in bounded(report) {
            // The level says already that it is one.
            log::error!("{}", error.replacen(": error: ", ": ", 1));
        }
        let message = format!("{}; nothing was changed", report.summary());
        let line = report::Line::new(Level::Error, EventName::UpdateFailed, message);
        self.tell(&line.with("errors", report.count() as u64), None);
    }

    fn answer_for(&mut self, client: ConnectionId, id: InstanceId, verdict: Verdict, message: String) {
        let name = report::label(&self.plan, id);
        self.reply(client, &Reply::Outcome(Outcome { name, verdict, message }));
    }

    fn remark(&mut self, client: ConnectionId, name: &str, message: String) {
        let outcome = Outcome { name: name.into(), verdict: Verdict::Ok, message };
        self.reply(client, &Reply::Outcome(outcome));
    }
}

impl Before {
    fn absent(id: InstanceId) -> Before {
        Before { id, runs: 0, state: None, live: false }
    }

    fn of(view: &InstanceView) -> Before {
        Before { id: view.id, runs: view.last_run, state: Some(view.state), live: view.live.is_some() }
    }
}

/// What becomes of an instance that is in the new plan, as it stands right after the update.
fn outlook(view: &InstanceView, before: Before, difference: Option<SpecChange>) -> End {
    let wanted = matches!(view.desired, Desired::Rising | Desired::Up | Desired::Cycle(_));
    let ended = matches!(view.state, StateName::Exited | StateName::Fatal);
    let was_down =
        matches!(before.state, Some(StateName::Stopped | StateName::Exited | StateName::Fatal) | None);
    match difference {
        None if wanted => End::Up,
        None => End::Stays("added, and not autostarted"),
        Some(SpecChange::Policy) if wanted && !ended && was_down => End::Up,
        Some(SpecChange::Policy) => End::Stays("applied without a restart"),
        Some(SpecChange::Process) if ended => End::Stays("has ended, and takes it at its next start"),
        Some(SpecChange::Process) if wanted => End::Up,
        Some(SpecChange::Process) => End::Stays("stays stopped, and takes it at its next start"),
    }
}

/// A program as a whole, for those who read events.
fn about(plan: &Plan, id: ProgramId) -> Option<Subject> {
    let (program, spec) = plan.program(id).zip(plan.spec(id))?;
    Some(Subject { program: program.name.as_str().into(), instances: 0..spec.instances, state: None })
}

/// The first id above all of this plan, and not below `least`.
fn after_all(plan: &Plan, least: ProgramId) -> ProgramId {
    let last = plan.programs.ids().next_back().map_or(0, |id| id.0.saturating_add(1));
    least.max(ProgramId(last))
}
