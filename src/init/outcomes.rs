//! The results of an update for each instance: what is expected, and the answer when it is reached.
//!
//! An update changes the plan at once; the programs follow. A client waits until each instance has the state that the
//! update leads to, or cannot reach it. `foster scale` is an update too. Next: `update.rs`, `scale.rs`.

use std::collections::VecDeque;

use foster_core::action::StateName;
use foster_core::event::{Order, SpecChange};
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::program::{Desired, DownReason};
use foster_core::spec::Kind;
use foster_core::supervisor::{InstanceView, Progress, Turn, progress};

use super::Init;
use super::plan_diff::ChangedKeys;
use super::plan_merge::PlanMerge;
use super::update_texts::because;
use super::waits::Holders;
use crate::control::protocol::{Outcome, Reply, Verdict};
use crate::control::server::ConnectionId;

/// An update that a client waits for.
#[derive(Debug)]
pub(super) struct Waiting(Vec<Expected>);

/// The expected result for an instance.
#[derive(Debug)]
pub(super) struct Expected {
    before: InstanceBefore,
    outcome: Expectation,
    /// The changed keys, as the end of a sentence.
    why: String,
}

/// The state that an update leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expectation {
    /// A new run.
    Up,
    /// A new run, by a rolling restart.
    Replaced,
    /// It was removed.
    Gone,
    /// No new run, for this reason.
    Stays(&'static str),
}

/// The state of an instance before the update.
#[derive(Debug, Clone, Copy)]
pub(super) struct InstanceBefore {
    id: InstanceId,
    runs: u32,
    /// `None`: it did not exist.
    state: Option<StateName>,
    live: bool,
    /// Whether it was on its way out.
    removed: bool,
}

impl Waiting {
    /// The instances that the client waits for.
    pub(super) fn instances(&self) -> impl ExactSizeIterator<Item = InstanceId> {
        self.0.iter().map(|expected| expected.before.id)
    }
}

impl Init {
    /// The instances as they are before an update.
    pub(super) fn instances_before(&self) -> Vec<InstanceBefore> {
        self.core.supervisor.snapshot().instances().map(|view| InstanceBefore::of(&view)).collect()
    }

    /// The expected result for each instance, in the order of the programs.
    pub(super) fn expected(&self, merged: &PlanMerge, before: &[InstanceBefore]) -> Vec<Expected> {
        let mut all = Vec::new();
        let unknown = ChangedKeys::default();
        for (id, _) in self.plan.programs.iter() {
            all.extend(self.expected_gone(id, before));
            let keys = match merged.kept.get(id) {
                Some(keys) if !keys.is_empty() => keys,
                None if merged.new.binary_search(&id).is_ok() => &unknown,
                Some(_) | None => continue,
            };
            for view in self.core.supervisor.snapshot().of(id).filter(|view| !is_removed(view)) {
                let before = InstanceBefore::of_all(before, view.id);
                let outcome = match self.plan.kind(id) {
                    Kind::Job => outlook_of_job(keys.change()),
                    Kind::Program | Kind::Task => outlook(&view, before, keys.change()),
                };
                all.push(Expected { before, outcome, why: because(keys) });
            }
        }
        all
    }

    /// The instances of a program that are to go, and were not on their way already.
    fn expected_gone<'b>(
        &self,
        id: ProgramId,
        before: &'b [InstanceBefore],
    ) -> impl Iterator<Item = Expected> + use<'b> {
        let count = if self.plan.core.is_leaving(id) { 0 } else { self.plan.count(id) };
        let first = before.partition_point(|before| before.id.program < id);
        let its = before.iter().skip(first).take_while(move |before| before.id.program == id);
        let gone = its.filter(move |before| before.id.index >= count && !before.removed);
        gone.map(|before| Expected { before: *before, outcome: Expectation::Gone, why: String::new() })
    }

    /// The expected result for the instances of a program whose number has changed.
    pub(super) fn expected_of_scale(&self, id: ProgramId, before: &[InstanceBefore]) -> Vec<Expected> {
        let is_added = |view: &InstanceView| {
            let before = InstanceBefore::of_all(before, view.id);
            !is_removed(view) && (before.state.is_none() || before.removed)
        };
        let mut all: Vec<Expected> = self.expected_gone(id, before).collect();
        for view in self.core.supervisor.snapshot().of(id).filter(is_added) {
            let before = InstanceBefore::of_all(before, view.id);
            all.push(Expected { before, outcome: Expectation::Up, why: String::new() });
        }
        all
    }

    /// The answer right after the update; `None`: the client waits.
    fn at_once(&self, expected: &Expected, wait: bool) -> Option<String> {
        let Expected { before, outcome, why } = expected;
        match outcome {
            Expectation::Stays(how) => Some(format!("{how}{why}")),
            Expectation::Gone if self.view(before.id).is_none() => Some("removed".into()),
            Expectation::Up | Expectation::Replaced | Expectation::Gone if wait => None,
            Expectation::Up | Expectation::Replaced if before.live => Some(format!("restarting{why}")),
            Expectation::Up | Expectation::Replaced => Some(format!("starting{why}")),
            Expectation::Gone => Some("stopping, to be removed".into()),
        }
    }

    /// Answers for the instances that have reached their new state.
    pub(super) fn answer_update(&self, waiting: Waiting, queue: &mut VecDeque<Reply>) -> Option<Waiting> {
        let (mut left, mut holders) = (Vec::new(), Holders::default());
        for expected in waiting.0 {
            match self.became(&expected, &mut holders) {
                Some((verdict, message)) => {
                    let name = self.plan.label(expected.before.id).to_owned();
                    queue.push_back(Reply::Outcome(Outcome { name, verdict, message, exit_status: None }));
                }
                None => left.push(expected),
            }
        }
        (!left.is_empty()).then_some(Waiting(left))
    }

    fn became(&self, expected: &Expected, holders: &mut Holders) -> Option<(Verdict, String)> {
        let Expected { before, outcome, why } = expected;
        let Some(view) = self.view(before.id) else {
            return Some(match outcome {
                Expectation::Gone => (Verdict::Ok, "stopped and removed".into()),
                Expectation::Up | Expectation::Replaced | Expectation::Stays(_) => {
                    (Verdict::Failed, "removed by a later update".into())
                }
            });
        };
        if *outcome == Expectation::Gone {
            let removed = matches!(view.desired, Desired::Down(DownReason::Removed | DownReason::Shutdown));
            return (!removed).then(|| (Verdict::Failed, "brought back by a later update".into()));
        }
        let order = match outcome {
            Expectation::Replaced => Order::Reload,
            Expectation::Up | Expectation::Gone | Expectation::Stays(_) => Order::Restart,
        };
        match progress(order, &view, before.runs) {
            // A rolling restart gives up by itself.
            Progress::UnderWay if *outcome != Expectation::Replaced && self.is_blocked(&view, holders) => {
                Some((Verdict::Failed, self.standing(&view)))
            }
            Progress::UnderWay => None,
            Progress::Failed => Some((Verdict::Failed, format!("{}{why}", self.failure(order, &view)))),
            Progress::Done if matches!(view.state, StateName::Exited | StateName::Succeeded) => {
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

    /// Answers what is known right after the update; the client waits for the rest.
    pub(super) fn answer_or_wait(
        &mut self,
        client: ConnectionId,
        expected: Vec<Expected>,
        wait: bool,
    ) -> Option<Waiting> {
        let mut open = Vec::new();
        for expected in expected {
            match self.at_once(&expected, wait) {
                Some(message) => self.answer_for(client, expected.before.id, Verdict::Ok, message),
                None => open.push(expected),
            }
        }
        (!open.is_empty()).then_some(Waiting(open))
    }

    fn answer_for(&mut self, client: ConnectionId, id: InstanceId, verdict: Verdict, message: String) {
        let name = self.plan.label(id).to_owned();
        self.reply(client, &Reply::Outcome(Outcome { name, verdict, message, exit_status: None }));
    }
}

impl InstanceBefore {
    /// The state of an instance among those of all, which are in the order of their ids.
    fn of_all(all: &[InstanceBefore], id: InstanceId) -> InstanceBefore {
        let absent = InstanceBefore { id, runs: 0, state: None, live: false, removed: false };
        all.binary_search_by_key(&id, |before| before.id)
            .ok()
            .and_then(|at| all.get(at))
            .copied()
            .unwrap_or(absent)
    }

    fn of(view: &InstanceView) -> InstanceBefore {
        InstanceBefore {
            id: view.id,
            runs: view.last_run,
            state: Some(view.state),
            live: view.live.is_some(),
            removed: is_removed(view),
        }
    }
}

fn is_removed(view: &InstanceView) -> bool {
    view.desired == Desired::Down(DownReason::Removed)
}

/// The expected result for an instance of the new plan, judged right after the update.
fn outlook(view: &InstanceView, before: InstanceBefore, difference: Option<SpecChange>) -> Expectation {
    let wanted = matches!(view.desired, Desired::Rising | Desired::Trial | Desired::Up | Desired::Cycle(_));
    let is_down =
        |state: Option<StateName>| state.is_none_or(|state| state == StateName::Stopped || state.is_final());
    let (ended, was_down) = (view.state.is_final(), is_down(before.state));
    let is_running_task =
        view.kind == Kind::Task && before.live && !matches!(view.desired, Desired::Cycle(_));
    match difference {
        None if wanted => Expectation::Up,
        None => Expectation::Stays("added, and not autostarted"),
        Some(SpecChange::Policy) if wanted && !ended && was_down => Expectation::Up,
        Some(SpecChange::Policy) => Expectation::Stays("applied without a restart"),
        Some(SpecChange::Process) if ended => Expectation::Stays("has exited; applies at its next start"),
        Some(SpecChange::Process) if view.turn != Turn::None => Expectation::Replaced,
        Some(SpecChange::Process) if is_running_task => Expectation::Stays("applies at its next start"),
        Some(SpecChange::Process) if wanted => Expectation::Up,
        Some(SpecChange::Process) => Expectation::Stays("stays stopped; applies at its next start"),
    }
}

/// The same for a job: a run that is under way continues, and none starts before it is due.
fn outlook_of_job(difference: Option<SpecChange>) -> Expectation {
    Expectation::Stays(match difference {
        None => "added; it runs when it is due",
        Some(SpecChange::Policy) => "applied without a restart",
        Some(SpecChange::Process) => "applies at its next run",
    })
}
