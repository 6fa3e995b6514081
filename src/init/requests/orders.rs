//! Orders and those who wait for programs: given at once, answered for each instance when it is known.
//!
//! How far an order has come the core says ([`foster_core::supervisor::progress`]), so that "done" means the same
//! to every verb. Next: `mod.rs`, who asks after every turn.

use foster_core::action::StateName;
use foster_core::event::{Event, Order};
use foster_core::ids::{InstanceId, Signal};
use foster_core::supervisor::{InstanceView, Progress, progress};
use foster_core::time::Instant;

use super::super::{Init, report};
use super::Pending;
use crate::control::protocol::{self, Outcome, Reason, Refusal, Reply, Verdict};
use crate::control::server::ConnectionId;

/// How an instance stood when an order was given.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    runs: u32,
    state: StateName,
}

impl Init {
    pub(super) fn order(
        &mut self,
        client: ConnectionId,
        order: Order,
        asked: &protocol::Order,
    ) -> Result<(), Refusal> {
        let targets = self.named_or_all(&asked.names)?;
        if self.supervisor.is_shutting_down() {
            return Err(Refusal::new(Reason::ShuttingDown, "foster is shutting down"));
        }
        let before = |id: &InstanceId| {
            let view = self.view(*id)?;
            Some((*id, Before { runs: view.runs, state: view.state }))
        };
        let open: Vec<_> = targets.iter().filter_map(before).collect();
        self.events.push_back(Event::Ordered { order, targets: targets.clone() });
        if asked.wait {
            self.requests.wait_for(client, Pending::Order { order, open });
            return Ok(());
        }
        for id in targets {
            let name = report::label(&self.plan, id);
            self.reply(client, &outcome(name, Verdict::Ok, "ordered".into()));
        }
        self.end(client);
        Ok(())
    }

    /// Sends a signal, or where none is given each program's `reload_signal`, and says who got it.
    pub(super) fn signal_each(
        &mut self,
        client: ConnectionId,
        names: &[String],
        signal: Option<Signal>,
    ) -> Result<(), Refusal> {
        for id in self.named_or_all(names)? {
            let reload = self.plan.spec(id.program).and_then(|spec| spec.reload_signal);
            let name = report::label(&self.plan, id);
            let pid =
                self.view(id).and_then(|view| view.live).and_then(|(run, _)| self.children.last_pid(run));
            let reply = match (signal.or(reload), pid) {
                (None, _) => {
                    let why = "has no reload_signal; a rolling restart is not supported yet, `restart` is";
                    outcome(name, Verdict::Failed, why.into())
                }
                (Some(_), None) => outcome(name, Verdict::Failed, "does not run".into()),
                (Some(sent), Some(pid)) => {
                    let order = signal.map_or(Order::Reload, Order::Signal);
                    self.events.push_back(Event::Ordered { order, targets: vec![id] });
                    outcome(name, Verdict::Ok, format!("got {sent} (pid {pid})"))
                }
            };
            self.reply(client, &reply);
        }
        self.end(client);
        Ok(())
    }

    pub(super) fn answer_order(
        &mut self,
        client: ConnectionId,
        order: Order,
        open: Vec<(InstanceId, Before)>,
    ) -> Option<Pending> {
        let mut left = Vec::new();
        for (id, before) in open {
            let Some(view) = self.view(id) else {
                let verdict = if order == Order::Stop { Verdict::Ok } else { Verdict::Failed };
                self.reply(client, &outcome(report::label(&self.plan, id), verdict, REMOVED.into()));
                continue;
            };
            let blocked = self.is_blocked_for_good(&view);
            let (verdict, message) = match progress(order, &view, before.runs) {
                Progress::UnderWay if blocked => (Verdict::Failed, self.note(&view).unwrap_or_default()),
                Progress::UnderWay => {
                    left.push((id, before));
                    continue;
                }
                Progress::Done => (Verdict::Ok, self.success(order, &view, before)),
                Progress::Failed => (Verdict::Failed, self.failure(order, &view)),
            };
            let name = report::label(&self.plan, id);
            self.reply(client, &outcome(name, verdict, message));
        }
        (!left.is_empty()).then_some(Pending::Order { order, open: left })
    }

    pub(super) fn answer_ready(
        &mut self,
        client: ConnectionId,
        open: Vec<InstanceId>,
        until: Option<Instant>,
    ) -> Option<Pending> {
        let over = until.is_some_and(|until| until <= self.now) || self.supervisor.is_shutting_down();
        let mut left = Vec::new();
        for id in open {
            let Some(view) = self.view(id) else {
                let name = report::label(&self.plan, id);
                self.reply(client, &outcome(name, Verdict::Failed, REMOVED.into()));
                continue;
            };
            let state = view.state.name();
            let note = self.note(&view).map_or(String::new(), |note| format!(" ({note})"));
            let (verdict, message) = match view.state {
                StateName::Running => (Verdict::Ok, "ready".into()),
                StateName::Exited => (Verdict::Ok, "ended with success".into()),
                StateName::Fatal => (Verdict::Failed, format!("{state}{note}")),
                _ if over => (Verdict::Failed, format!("not ready in time: {state}{note}")),
                StateName::Stopped
                | StateName::Waiting
                | StateName::Starting
                | StateName::Stopping
                | StateName::Backoff => {
                    left.push(id);
                    continue;
                }
            };
            let name = report::label(&self.plan, id);
            self.reply(client, &outcome(name, verdict, message));
        }
        (!left.is_empty()).then_some(Pending::Ready { open: left, until })
    }

    /// Whether an instance waits for something that will not come by itself.
    pub(in super::super) fn is_blocked_for_good(&self, view: &InstanceView) -> bool {
        let Some(other) = view.waits_for.and_then(|other| self.view(other)) else { return false };
        match other.state {
            StateName::Stopped | StateName::Fatal => true,
            StateName::Waiting => self.is_blocked_for_good(&other),
            StateName::Starting
            | StateName::Running
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Exited => false,
        }
    }

    fn success(&self, order: Order, view: &InstanceView, before: Before) -> String {
        let pid = view.live.and_then(|(run, _)| self.children.last_pid(run));
        let pid = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        match (order, view.state) {
            (Order::Stop, _) if before.runs == 0 || is_down(before.state) => "already stopped".into(),
            (Order::Stop, _) => "stopped".into(),
            (Order::Start, _) if view.runs == before.runs && before.state == StateName::Running => {
                format!("already running{pid}")
            }
            (Order::Start | Order::Restart, StateName::Exited) => "ended with success".into(),
            (Order::Restart, _) => format!("restarted{pid}"),
            (Order::Start | Order::Reload | Order::Signal(_), _) => format!("started{pid}"),
        }
    }

    pub(in super::super) fn failure(&self, order: Order, view: &InstanceView) -> String {
        let note = self.note(view).map_or(String::new(), |note| format!(": {note}"));
        match order {
            Order::Stop => format!("not stopped, another order came ({})", view.state.name()),
            Order::Start | Order::Restart | Order::Reload | Order::Signal(_) => {
                format!("{}{note}", view.state.name())
            }
        }
    }
}

/// What is said about an instance that an update has taken away from those who wait for it.
const REMOVED: &str = "removed by an update";

fn is_down(state: StateName) -> bool {
    matches!(state, StateName::Stopped | StateName::Exited | StateName::Fatal)
}

fn outcome(name: String, verdict: Verdict, message: String) -> Reply {
    Reply::Outcome(Outcome { name, verdict, message })
}
