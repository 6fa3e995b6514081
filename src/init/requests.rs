//! What clients ask for: orders become events, questions are answered from state, and those who wait are
//! answered when it is done.
//!
//! A request that waits is looked at after every turn of the loop, by asking the core how far its order has
//! come ([`foster_core::supervisor::progress`]); nothing polls. Answers go out line by line, each when it is known.

use std::collections::BTreeMap;
use std::time::Duration;

use foster_core::action::StateName;
use foster_core::event::{Event, Order, ShutdownCause};
use foster_core::ids::{InstanceId, ProgramId, Signal};
use foster_core::supervisor::{InstanceView, Progress, progress};
use foster_core::time::Instant;

use super::status::Asked;
use super::update::Waiting;
use super::{Init, report};
use crate::control::names::resolve;
use crate::control::protocol::{self, LogLine, Outcome, Reason, Refusal, Reply, Request, Verdict};
use crate::control::server::{ConnectionId, Incident, Pace};
use crate::output::{self, ring::Line};
use crate::sys::epoll::Ready;

/// The requests that are not fully answered yet.
#[derive(Debug, Default)]
pub(super) struct Requests(BTreeMap<ConnectionId, Pending>);

/// A request that waits for something.
#[derive(Debug)]
enum Pending {
    /// For an order to be fulfilled.
    Order { order: Order, open: Vec<(InstanceId, Before)> },
    /// For instances to be ready.
    Ready { open: Vec<InstanceId>, until: Option<Instant> },
    /// For output of whoever is called so, now or later.
    Output { names: Vec<String>, seen: u64, pace: Pace },
    /// For an update to be done.
    Update(Waiting),
}

/// How an instance stood when an order was given.
#[derive(Debug, Clone, Copy)]
struct Before {
    runs: u32,
    state: StateName,
}

impl Requests {
    /// When the first of those who wait has waited long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let until = |pending: &Pending| match pending {
            Pending::Ready { open: _, until } => *until,
            Pending::Order { .. } | Pending::Output { .. } | Pending::Update(_) => None,
        };
        self.0.values().filter_map(until).min()
    }
}

impl Init {
    /// Something happened at the control socket.
    pub(super) fn serve(&mut self, ready: Ready) {
        let incident = self.server.as_mut().and_then(|server| server.on_ready(ready));
        match incident {
            None => {}
            Some(Incident::Requested(client, request)) => {
                if let Err(refusal) = self.take(client, request) {
                    self.reply(client, &Reply::Error(refusal));
                }
            }
            Some(Incident::Drained(client)) => {
                if let Some(Pending::Output { pace, .. }) = self.requests.0.get_mut(&client) {
                    *pace = Pace::Go;
                }
            }
            Some(Incident::Abandoned(client)) => {
                self.requests.0.remove(&client);
            }
        }
    }

    fn take(&mut self, client: ConnectionId, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Status(names) => {
                for id in self.named_or_all(&names.names)? {
                    if let Some(view) = self.view(id) {
                        let row = self.row(&view);
                        self.reply(client, &Reply::Row(row));
                    }
                }
                self.end(client);
            }
            Request::Health(names) => {
                let asked = if names.names.is_empty() { Asked::AsPartOfAll } else { Asked::ByName };
                for id in self.named_or_all(&names.names)? {
                    let outcome = self.view(id).and_then(|view| self.verdict(&view, asked));
                    if let Some(outcome) = outcome {
                        self.reply(client, &Reply::Outcome(outcome));
                    }
                }
                self.end(client);
            }
            Request::Start(order) => self.order(client, Order::Start, &order)?,
            Request::Stop(order) => self.order(client, Order::Stop, &order)?,
            Request::Restart(order) => self.order(client, Order::Restart, &order)?,
            Request::Reload(order) => self.signal_each(client, &order.names, None)?,
            Request::Signal(order) => self.signal_each(client, &order.names, Some(order.signal))?,
            Request::Logs(logs) => self.logs(client, &logs)?,
            Request::Wait(wait) => {
                let open = self.named_or_all(&wait.names)?;
                let until = wait.timeout_ms.map(|ms| self.now.plus(Duration::from_millis(ms)));
                self.requests.0.insert(client, Pending::Ready { open, until });
            }
            Request::Update(update) => match self.update_for(client, update.wait)? {
                Some(waiting) => {
                    self.requests.0.insert(client, Pending::Update(waiting));
                }
                None => self.end(client),
            },
            Request::Shutdown {} => {
                self.events.push_back(Event::ShutdownOrdered(ShutdownCause::Operator));
                self.end(client);
            }
        }
        Ok(())
    }

    fn order(&mut self, client: ConnectionId, order: Order, asked: &protocol::Order) -> Result<(), Refusal> {
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
            self.requests.0.insert(client, Pending::Order { order, open });
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
    fn signal_each(
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

    fn logs(&mut self, client: ConnectionId, asked: &protocol::Logs) -> Result<(), Refusal> {
        let programs = self.programs_named(&asked.names)?;
        let count = asked.lines.map_or(usize::MAX, |lines| usize::try_from(lines).unwrap_or(usize::MAX));
        let lines = self.last_lines(&programs, count);
        let seen = self.output.last_line();
        let pace = self.say_lines(client, lines);
        if asked.follow {
            self.requests.0.insert(client, Pending::Output { names: asked.names.clone(), seen, pace });
        } else {
            self.end(client);
        }
        Ok(())
    }

    fn say_lines(&mut self, client: ConnectionId, lines: Vec<(ProgramId, Line)>) -> Pace {
        let mut pace = Pace::Go;
        for (program, line) in lines {
            let name = report::label(&self.plan, InstanceId { program, index: line.instance });
            let stream = match line.stream {
                output::Stream::Stdout => protocol::Stream::Stdout,
                output::Stream::Stderr => protocol::Stream::Stderr,
            };
            for piece in LogLine::pieces(&name, stream, &line.text) {
                pace = self.reply(client, &piece);
            }
        }
        pace
    }

    /// The last lines of these programs together, the oldest first.
    pub(super) fn last_lines(&self, programs: &[ProgramId], count: usize) -> Vec<(ProgramId, Line)> {
        let mut lines: Vec<(ProgramId, Line)> = Vec::new();
        for program in programs {
            lines.extend(self.output.tail(*program, count).into_iter().map(|line| (*program, line)));
        }
        lines.sort_by_key(|(_, line)| line.number);
        lines.split_off(lines.len().saturating_sub(count))
    }

    /// Answers those whose turn it is. Called after every turn of the loop.
    pub(super) fn answer_requests(&mut self) {
        for (client, pending) in std::mem::take(&mut self.requests.0) {
            let pending = match pending {
                Pending::Order { order, open } => self.answer_order(client, order, open),
                Pending::Ready { open, until } => self.answer_ready(client, open, until),
                Pending::Output { names, seen, pace } => self.answer_output(client, names, seen, pace),
                Pending::Update(waiting) => self.answer_update(client, waiting).map(Pending::Update),
            };
            match pending {
                Some(pending) => {
                    self.requests.0.insert(client, pending);
                }
                None => self.end(client),
            }
        }
        self.bury();
    }

    fn answer_order(
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
                Progress::UnderWay if blocked => (Verdict::Failed, self.row(&view).note.unwrap_or_default()),
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

    fn answer_ready(
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
            let note = self.row(&view).note.map_or(String::new(), |note| format!(" ({note})"));
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

    fn answer_output(
        &mut self,
        client: ConnectionId,
        names: Vec<String>,
        seen: u64,
        pace: Pace,
    ) -> Option<Pending> {
        match pace {
            Pace::Go => {}
            Pace::Wait => return Some(Pending::Output { names, seen, pace }),
            Pace::Gone => return None,
        }
        let newest = self.output.last_line();
        if newest == seen {
            return Some(Pending::Output { names, seen, pace });
        }
        // Looked up anew: an update may have brought more of that name.
        let programs = self.programs_named(&names).unwrap_or_default();
        let mut lines: Vec<(ProgramId, Line)> = Vec::new();
        for program in &programs {
            lines.extend(self.output.lines_after(*program, seen).into_iter().map(|line| (*program, line)));
        }
        lines.sort_by_key(|(_, line)| line.number);
        let pace = self.say_lines(client, lines);
        Some(Pending::Output { names, seen: newest, pace })
    }

    /// An update has taken programs away: who follows the output of nobody any more has seen all of it.
    pub(super) fn end_followers_of_nobody(&mut self) {
        let nobody = |pending: &Pending| match pending {
            Pending::Output { names, .. } => self.programs_named(names).is_err(),
            Pending::Order { .. } | Pending::Ready { .. } | Pending::Update(_) => false,
        };
        let over = self.requests.0.iter().filter(|(_, pending)| nobody(pending));
        for client in over.map(|(client, _)| *client).collect::<Vec<_>>() {
            self.requests.0.remove(&client);
            self.end(client);
        }
    }

    fn programs_named(&self, names: &[String]) -> Result<Vec<ProgramId>, Refusal> {
        let mut programs: Vec<ProgramId> =
            self.named_or_all(names)?.into_iter().map(|id| id.program).collect();
        programs.dedup();
        Ok(programs)
    }

    /// Whether an instance waits for something that will not come by itself.
    pub(super) fn is_blocked_for_good(&self, view: &InstanceView) -> bool {
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

    pub(super) fn failure(&self, order: Order, view: &InstanceView) -> String {
        let note = self.row(view).note.map_or(String::new(), |note| format!(": {note}"));
        match order {
            Order::Stop => format!("not stopped, another order came ({})", view.state.name()),
            Order::Start | Order::Restart | Order::Reload | Order::Signal(_) => {
                format!("{}{note}", view.state.name())
            }
        }
    }

    /// The instances that are meant; nobody named is everybody.
    fn named_or_all(&self, names: &[String]) -> Result<Vec<InstanceId>, Refusal> {
        let there = self.plan.programs.iter().filter_map(|(id, program)| {
            self.plan.spec(id).map(|spec| (id, (program.name.as_str(), spec.instances)))
        });
        let (ids, known): (Vec<ProgramId>, Vec<(&str, u16)>) = there.unzip();
        let all = ["all".to_string()];
        let names = if names.is_empty() { &all } else { names };
        let meant = resolve(names, &known).map_err(Refusal::from)?;
        let id = |(program, index): (usize, u16)| {
            ids.get(program).map(|program| InstanceId { program: *program, index })
        };
        Ok(meant.into_iter().filter_map(id).collect())
    }

    pub(super) fn reply(&mut self, client: ConnectionId, reply: &Reply) -> Pace {
        self.server.as_mut().map_or(Pace::Gone, |server| server.reply(client, reply))
    }

    fn end(&mut self, client: ConnectionId) {
        self.reply(client, &Reply::End {});
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
