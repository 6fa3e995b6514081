//! Orders, and clients that wait for programs. An order becomes an event at once; each instance is answered when its
//! result is known.
//!
//! The core decides whether an order is done ([`foster_core::supervisor::progress`]), in the same way for every verb. A
//! signal is answered with the result of sending it. Next: `mod.rs`.

use std::collections::VecDeque;

use foster_core::action::StateName;
use foster_core::event::{Event, Order};
use foster_core::ids::{InstanceId, Run, Signal};
use foster_core::program::Reload;
use foster_core::spec::Kind;
use foster_core::supervisor::{InstanceView, Progress, progress, reload_progress};
use foster_core::time::Instant;
use nix::errno::Errno;

use super::super::Init;
use super::super::outcomes::Waiting;
use super::super::waits::Holders;
use super::{Patience, Pending, Requests, Waiter};
use crate::control::protocol::{self, Outcome, Reason, Refusal, Reply, RunJob, Verdict};
use crate::control::server::ConnectionId;
use crate::errno;
use crate::plan::Probe;

/// The state of an instance before an order.
#[derive(Debug, Clone, Copy)]
pub(super) struct InstanceBefore {
    last_run: u32,
    state: StateName,
}

/// An ordered signal for an instance; without a run or a signal, nothing is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentSignal {
    id: InstanceId,
    run: Option<Run>,
    signal: Option<Signal>,
    /// Whether the client waits for the end of a reload.
    until: Until,
}

/// When an ordered signal is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// When it was sent.
    Sent,
    /// When the program has reloaded, if it reports that.
    Reloaded,
}

impl Requests {
    /// The configuration was read for a client; whether that still waits for it.
    pub(in crate::init) fn has_been_read_for(&mut self, client: ConnectionId) -> bool {
        let waiter = self.pending.remove(&client);
        matches!(waiter, Some(Waiter { pending: Pending::Reading, .. }))
    }
}

impl Init {
    pub(in crate::init) fn wait_for_update(&mut self, client: ConnectionId, waiting: Option<Waiting>) {
        match waiting {
            Some(waiting) => self.operators.requests.wait_for(client, Pending::Update(waiting)),
            None => self.end(client),
        }
    }

    pub(super) fn order(
        &mut self,
        client: ConnectionId,
        order: Order,
        asked: &protocol::Order,
    ) -> Result<(), Refusal> {
        let targets = self.named_or_all(&asked.names)?;
        self.refuse_during_shutdown()?;
        let open = self.give(client, order, &targets);
        if asked.wait {
            self.operators.requests.wait_for(client, Pending::Order { order, open });
        } else {
            let replies = self.ordered(&targets);
            self.operators.requests.send_all(client, replies);
        }
        Ok(())
    }

    /// Runs one job.
    pub(super) fn run_job(&mut self, client: ConnectionId, asked: RunJob) -> Result<(), Refusal> {
        let RunJob { name, wait, follow } = asked;
        let targets = self.named_or_all(std::slice::from_ref(&name))?;
        let other = targets.iter().map(|id| self.plan.kind(id.program)).find(|kind| *kind != Kind::Job);
        let why = match (targets.len(), other) {
            (1, None) if follow && wait => {
                self.refuse_during_shutdown()?;
                let open = self.give(client, Order::Run, &targets);
                return self.follow_run(client, &name, open);
            }
            (1, None) => return self.order(client, Order::Run, &protocol::Order { names: vec![name], wait }),
            (1, Some(kind)) => {
                format!("`{name}` is a {}, not a job: `foster start {name}` runs it", kind.name())
            }
            (_, _) => format!("`{name}` means several: name one job"),
        };
        Err(Refusal::new(Reason::BadRequest, why))
    }

    fn refuse_during_shutdown(&self) -> Result<(), Refusal> {
        match self.core.supervisor.is_shutting_down() {
            true => Err(Refusal::new(Reason::ShuttingDown, "foster is shutting down")),
            false => Ok(()),
        }
    }

    /// Gives an order. Returns the instances as they were before.
    fn give(
        &mut self,
        client: ConnectionId,
        order: Order,
        targets: &[InstanceId],
    ) -> Vec<(InstanceId, InstanceBefore)> {
        let before = |id: &InstanceId| {
            let view = self.view(*id).map(|view| (view.last_run, view.state));
            let (last_run, state) = view.unwrap_or((0, StateName::Stopped));
            (*id, InstanceBefore { last_run, state })
        };
        let open: Vec<_> = targets.iter().map(before).collect();
        let verb = match order {
            Order::Start => "start",
            Order::Stop => "stop",
            Order::Restart => "restart",
            Order::Run => "run-job",
            Order::Reload => "reload",
            Order::Signal(_) => "signal",
        };
        let id = self.order_id(client, verb);
        self.core.push(Event::Ordered { order, targets: targets.to_vec(), id });
        open
    }

    fn ordered(&self, targets: &[InstanceId]) -> VecDeque<Reply> {
        let label = |id: &InstanceId| outcome(self.plan.label(*id), Verdict::Ok, "ordered".into());
        targets.iter().map(label).collect()
    }

    /// Orders each program's `reload_signal`, or where it has none a rolling restart.
    pub(super) fn reload(&mut self, client: ConnectionId, asked: &protocol::Order) -> Result<(), Refusal> {
        let has_signal = |id: &InstanceId| self.view(*id).is_some_and(|view| view.reload_signal.is_some());
        let targets = self.named_or_all(&asked.names)?;
        let (signalled, replaced): (Vec<_>, Vec<_>) = targets.into_iter().partition(has_signal);
        let until = if asked.wait { Until::Reloaded } else { Until::Sent };
        if replaced.is_empty() {
            self.signal_each(client, &signalled, None, until);
            return Ok(());
        }
        self.refuse_during_shutdown()?;
        self.signal_each(client, &signalled, None, until);
        for id in &replaced {
            self.operators.failures.forget_roll(id.program);
        }
        let open = self.give(client, Order::Reload, &replaced);
        let replies = if asked.wait { VecDeque::new() } else { self.ordered(&replaced) };
        self.operators.requests.wait_also(client, replies, if asked.wait { open } else { Vec::new() });
        Ok(())
    }

    /// Orders this signal, or each program's `reload_signal`.
    pub(super) fn signal_each(
        &mut self,
        client: ConnectionId,
        ids: &[InstanceId],
        signal: Option<Signal>,
        until: Until,
    ) {
        let mut open = VecDeque::new();
        for id in ids.iter().copied() {
            let view = self.view(id);
            let reload = view.and_then(|view| view.reload_signal);
            let run = view.and_then(|view| view.live).map(|live| live.run);
            let sent = signal.or(reload);
            if run.is_some() && sent.is_some() {
                let order = signal.map_or(Order::Reload, Order::Signal);
                let number = self.order_id(client, if signal.is_some() { "signal" } else { "reload" });
                self.core.push(Event::Ordered { order, targets: vec![id], id: number });
            }
            open.push_back(SentSignal { id, run, signal: sent, until });
        }
        self.operators.requests.wait_for(client, Pending::Signals { open, replaced: Vec::new() });
    }

    /// Answers the signals that were ordered in this turn, except those whose program reloads now.
    pub(super) fn answer_signals(
        &self,
        open: VecDeque<SentSignal>,
        reloading: &mut Vec<(InstanceId, InstanceBefore)>,
        queue: &mut VecDeque<Reply>,
    ) {
        for sent in open {
            match self.view(sent.id).filter(|view| self.is_waited_for(sent, view)) {
                Some(InstanceView { id, last_run, state, .. }) => {
                    reloading.push((id, InstanceBefore { last_run, state }));
                }
                None => queue.push_back(self.signal_outcome(sent)),
            }
        }
    }

    fn is_waited_for(&self, sent: SentSignal, view: &InstanceView) -> bool {
        let SentSignal { id: _, run: Some(run), signal: Some(signal), until: Until::Reloaded } = sent else {
            return false;
        };
        let definition = self.processes.children.definition(run);
        definition.is_some_and(|program| program.ready == Some(Probe::Notify))
            && view.reload.is_open()
            && self.operators.requests.unsent(run, signal).is_none()
    }

    /// The result of a signal that was ordered.
    fn signal_outcome(&self, sent: SentSignal) -> Reply {
        let SentSignal { id, run, signal, until: _ } = sent;
        if self.view(id).is_none() {
            return self.absent(id, Verdict::Failed);
        }
        let name = self.plan.label(id);
        let failed = |why: String| outcome(name, Verdict::Failed, why);
        let (Some(signal), Some(run)) = (signal, run) else { return failed("is not running".into()) };
        if let Some(errno) = self.operators.requests.unsent(run, signal) {
            let hint = if errno == Errno::EPERM { " (CAP_KILL is missing)" } else { "" };
            return failed(format!("cannot send {signal}: {}{hint}", errno::text(errno)));
        }
        let pid = self.processes.children.last_pid(run).map_or(String::new(), |pid| format!(" (pid {pid})"));
        outcome(name, Verdict::Ok, format!("sent {signal}{pid}"))
    }

    pub(super) fn answer_order(
        &self,
        order: Order,
        open: Vec<(InstanceId, InstanceBefore)>,
        queue: &mut VecDeque<Reply>,
    ) -> Pending {
        let (mut left, mut holders) = (Vec::new(), Holders::default());
        for (id, before) in open {
            let Some(view) = self.view(id) else {
                let verdict = if order == Order::Stop { Verdict::Ok } else { Verdict::Failed };
                queue.push_back(self.absent(id, verdict));
                continue;
            };
            if let (Order::Reload, Some(signal)) = (order, view.reload_signal) {
                match self.reload_outcome(&view, signal, before) {
                    Some(reply) => queue.push_back(reply),
                    None => left.push((id, before)),
                }
                continue;
            }
            let (verdict, message) = match progress(order, &view, before.last_run) {
                // A rolling restart gives up by itself.
                Progress::UnderWay if order != Order::Reload && self.is_blocked(&view, &mut holders) => {
                    (Verdict::Failed, self.standing(&view))
                }
                Progress::UnderWay => {
                    left.push((id, before));
                    continue;
                }
                Progress::Done => (Verdict::Ok, self.success(order, &view, before)),
                Progress::Failed => (Verdict::Failed, self.failure(order, &view)),
            };
            let exit_status = (order == Order::Run).then(|| match verdict {
                Verdict::Ok => 0,
                Verdict::Failed => self.operators.failures.exit_status(id),
            });
            let name = self.plan.label(id).to_owned();
            queue.push_back(Reply::Outcome(Outcome { name, verdict, message, exit_status }));
        }
        if left.is_empty() { Pending::Nothing } else { Pending::Order { order, open: left } }
    }

    /// The result of a reload by this signal; `None`: it is not over.
    fn reload_outcome(&self, view: &InstanceView, signal: Signal, before: InstanceBefore) -> Option<Reply> {
        let pid = view.live.and_then(|live| self.processes.children.last_pid(live.run));
        let pid = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        let (verdict, message) = match (reload_progress(view, before.last_run), view.reload) {
            (Progress::UnderWay, _) => return None,
            (Progress::Done, Reload::Done) => (Verdict::Ok, format!("reloaded{pid}")),
            (Progress::Done, _) => (Verdict::Ok, format!("sent {signal}{pid}")),
            (Progress::Failed, _) => (Verdict::Failed, format!("not reloaded: {}", self.standing(view))),
        };
        Some(outcome(self.plan.label(view.id), verdict, message))
    }

    pub(super) fn answer_ready(
        &self,
        open: Vec<InstanceId>,
        until: Option<Instant>,
        patience: Patience,
        queue: &mut VecDeque<Reply>,
    ) -> Pending {
        let is_ending = self.core.supervisor.is_shutting_down();
        let is_late = until.is_some_and(|until| until <= self.core.now);
        let (mut left, mut holders) = (Vec::new(), Holders::default());
        for id in open {
            let Some(view) = self.view(id) else {
                queue.push_back(self.absent(id, Verdict::Failed));
                continue;
            };
            let (verdict, message) = match view.state {
                StateName::Running | StateName::Unhealthy if view.ready => (Verdict::Ok, "ready".into()),
                StateName::Exited => (Verdict::Ok, "exited with success".into()),
                StateName::Succeeded => (Verdict::Ok, self.standing(&view)),
                // It is not something that becomes ready.
                _ if view.kind == Kind::Job => (Verdict::Ok, self.standing(&view)),
                StateName::Fatal | StateName::Failed => (Verdict::Failed, self.standing(&view)),
                StateName::Stopped | StateName::Backoff if patience == Patience::FirstFailure => {
                    (Verdict::Failed, self.standing(&view))
                }
                _ if patience == Patience::FirstFailure && self.is_blocked(&view, &mut holders) => {
                    (Verdict::Failed, self.standing(&view))
                }
                _ if is_late => (Verdict::Failed, format!("not ready in time: {}", self.standing(&view))),
                _ if is_ending => (Verdict::Failed, "not ready: foster is shutting down".into()),
                StateName::Stopped
                | StateName::Waiting
                | StateName::Starting
                | StateName::Running
                | StateName::Unhealthy
                | StateName::Stopping
                | StateName::Idle
                | StateName::Paused
                | StateName::Backoff => {
                    left.push(id);
                    continue;
                }
            };
            let name = self.plan.label(id);
            queue.push_back(outcome(name, verdict, message));
        }
        // The end of foster answers a client that waits for the startup: its connection is closed.
        let is_done = left.is_empty() && !(is_ending && patience == Patience::FirstFailure);
        if is_done { Pending::Nothing } else { Pending::Ready { open: left, until, patience } }
    }

    /// The answer for an instance that does not exist; `removed`: the verdict if an update removed it. A program without
    /// instances is in order.
    fn absent(&self, id: InstanceId, removed: Verdict) -> Reply {
        let name = self.plan.label(id);
        match self.is_without_instances(id.program) {
            true => outcome(name, Verdict::Ok, format!("0 instances: `foster scale {name} 1` starts one")),
            false => outcome(name, removed, "removed by an update".into()),
        }
    }

    fn success(&self, order: Order, view: &InstanceView, before: InstanceBefore) -> String {
        let pid = view.live.and_then(|live| self.processes.children.last_pid(live.run));
        let pid = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        match (order, view.state) {
            (Order::Stop, StateName::Paused) if before.state == StateName::Paused => "already paused".into(),
            (Order::Stop, StateName::Paused) => "paused: `foster start` resumes it".into(),
            (Order::Stop, _) if before.last_run == 0 || is_down(before.state) => "already stopped".into(),
            (Order::Stop, _) => "stopped".into(),
            (Order::Start, _) if view.last_run == before.last_run && before.state == StateName::Running => {
                format!("already running{pid}")
            }
            (Order::Start | Order::Restart, StateName::Exited) => "exited with success".into(),
            (Order::Start | Order::Restart, StateName::Succeeded) => self.standing(view),
            (Order::Start, _) if view.kind == Kind::Job => self.standing(view),
            (Order::Run, _) => format!("finished{}", self.last_run(view)),
            (Order::Reload, _) if view.kind != Kind::Program => {
                format!("not reloaded: a {} has nothing to replace", view.kind.name())
            }
            (Order::Restart | Order::Reload, _) => format!("restarted{pid}"),
            (Order::Start | Order::Signal(_), _) => format!("started{pid}"),
        }
    }

    pub(in super::super) fn failure(&self, order: Order, view: &InstanceView) -> String {
        match order {
            Order::Stop if view.stuck => {
                let note = self.note(view).map_or(String::new(), |note| format!(": {note}"));
                format!("not stopped{note}")
            }
            Order::Stop => format!("not stopped: another order followed ({})", view.state.name()),
            Order::Reload => self.not_replaced(view),
            Order::Run => format!("failed{}", self.last_run(view)),
            Order::Start | Order::Restart | Order::Signal(_) => self.standing(view),
        }
    }

    /// How the last run of a job ended.
    fn last_run(&self, view: &InstanceView) -> String {
        let text = self.operators.failures.of(view.id, StateName::Idle);
        format!(": {}", text.unwrap_or("it was stopped"))
    }
}

fn is_down(state: StateName) -> bool {
    state == StateName::Stopped || state.is_final()
}

fn outcome(name: &str, verdict: Verdict, message: String) -> Reply {
    Reply::Outcome(Outcome { name: name.to_owned(), verdict, message, exit_status: None })
}
