//! What clients ask for: orders become events, questions are answered from state, and those who wait are
//! answered when it is done.
//!
//! A request that waits is looked at after every turn of the loop; nothing polls. Answers go out when they are
//! known. Next: `orders.rs` (who waits for programs), `following.rs` (who reads output and events), `launching.rs`
//! (who becomes a program), and beside this folder `update.rs`.

mod following;
mod launching;
mod orders;

use std::collections::BTreeMap;
use std::time::Duration;

use foster_core::event::{Event, Order, ShutdownCause};
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::time::Instant;

use super::Init;
use super::status::Asked;
use super::update::Waiting;
use crate::control::names::resolve;
use crate::control::protocol::{Refusal, Reply, Request};
use crate::control::server::{ConnectionId, Incident, Pace};
use crate::sys::epoll::Ready;
use following::Stream;
use orders::Before;

/// The requests that are not fully answered yet.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pending: BTreeMap<ConnectionId, Pending>,
    /// Who was answered last: when not everybody can be in one turn, the next one begins there.
    last: Option<ConnectionId>,
}

/// How many bytes are said to all readers together in one turn, more or less: a crowd of them holds up nobody.
const ONE_TURN: usize = 64 * 1024;

/// A request that waits for something.
#[derive(Debug)]
enum Pending {
    /// For an order to be fulfilled.
    Order { order: Order, open: Vec<(InstanceId, Before)> },
    /// For instances to be ready.
    Ready { open: Vec<InstanceId>, until: Option<Instant> },
    /// For output or events.
    Stream(Stream),
    /// For an update to be done.
    Update(Waiting),
}

impl Requests {
    /// When the first of those who wait has waited long enough. A reader that has not had everything goes on in
    /// the next turn, after whoever else is there.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let until = |pending: &Pending| match pending {
            Pending::Ready { open: _, until } => *until,
            Pending::Stream(stream) => stream.is_behind().then_some(now),
            Pending::Order { .. } | Pending::Update(_) => None,
        };
        self.pending.values().filter_map(until).min()
    }

    /// Whether a reader that takes what it is told has not had everything.
    fn is_anybody_behind(&self) -> bool {
        self.pending.values().any(|pending| matches!(pending, Pending::Stream(stream) if stream.is_behind()))
    }

    fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.pending.values_mut().filter_map(|pending| match pending {
            Pending::Stream(stream) => Some(stream),
            Pending::Order { .. } | Pending::Ready { .. } | Pending::Update(_) => None,
        })
    }

    fn wait_for(&mut self, client: ConnectionId, pending: Pending) {
        self.pending.insert(client, pending);
    }
}

impl Init {
    /// Something happened at the control socket.
    pub(super) fn serve(&mut self, ready: Ready) {
        let Some(server) = &mut self.server else { return };
        for incident in server.on_ready(self.now, ready) {
            match incident {
                Incident::Requested(client, request) => {
                    if let Err(refusal) = self.take(client, request) {
                        self.reply(client, &Reply::Error(refusal));
                    }
                }
                Incident::Drained(client) => {
                    if let Some(Pending::Stream(stream)) = self.requests.pending.get_mut(&client) {
                        stream.go_on();
                    }
                }
                Incident::Abandoned(client) => {
                    self.requests.pending.remove(&client);
                }
            }
        }
    }

    fn take(&mut self, client: ConnectionId, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Status(names) => {
                let replies = self.rows(self.named_or_all(&names.names)?);
                self.answer(client, replies);
            }
            Request::Health(names) => {
                let asked = if names.names.is_empty() { Asked::AsPartOfAll } else { Asked::ByName };
                let named = self.named_or_all(&names.names)?.into_iter();
                let outcomes = named.filter_map(|id| self.verdict(&self.view(id)?, asked));
                let replies = outcomes.map(Reply::Outcome).collect();
                self.answer(client, replies);
            }
            Request::Start(order) => self.order(client, Order::Start, &order)?,
            Request::Stop(order) => self.order(client, Order::Stop, &order)?,
            Request::Restart(order) => self.order(client, Order::Restart, &order)?,
            Request::Reload(order) => self.signal_each(client, &order.names, None)?,
            Request::Signal(order) => self.signal_each(client, &order.names, Some(order.signal))?,
            Request::Logs(logs) => self.logs(client, logs)?,
            Request::Events(events) => self.events(client, events)?,
            Request::Exec(exec) => {
                let replies = self.recipe(&exec)?;
                self.answer(client, replies);
            }
            Request::Wait(wait) => {
                let open = self.named_or_all(&wait.names)?;
                let until = wait.timeout_ms.map(|ms| self.now.plus(Duration::from_millis(ms)));
                self.requests.wait_for(client, Pending::Ready { open, until });
            }
            Request::Update(update) => match self.update_for(client, update.wait)? {
                Some(waiting) => self.requests.wait_for(client, Pending::Update(waiting)),
                None => self.end(client),
            },
            Request::Shutdown {} => {
                self.events.push_back(Event::ShutdownOrdered(ShutdownCause::Operator));
                self.end(client);
            }
        }
        Ok(())
    }

    /// Answers those whose turn it is. Called after every turn of the loop.
    pub(super) fn answer_requests(&mut self) {
        let mut earlier = std::mem::take(&mut self.requests.pending);
        let later = self.requests.last.map(|last| earlier.split_off(&last)).unwrap_or_default();
        let mut room = ONE_TURN;
        for (client, pending) in later.into_iter().chain(earlier) {
            let pending = match pending {
                Pending::Order { order, open } => self.answer_order(client, order, open),
                Pending::Ready { open, until } => self.answer_ready(client, open, until),
                Pending::Update(waiting) => self.answer_update(client, waiting).map(Pending::Update),
                Pending::Stream(stream) if room == 0 => Some(Pending::Stream(stream.put_off())),
                Pending::Stream(stream) => {
                    self.requests.last = Some(client);
                    self.answer_stream(client, stream, &mut room).map(Pending::Stream)
                }
            };
            match pending {
                Some(pending) => self.requests.wait_for(client, pending),
                None => self.end(client),
            }
        }
        if !self.requests.is_anybody_behind() {
            self.bury();
        }
    }

    /// The instances that are meant; nobody named is everybody.
    fn named_or_all(&self, names: &[String]) -> Result<Vec<InstanceId>, Refusal> {
        let snapshot = self.supervisor.snapshot();
        // What is removed and not buried yet is nobody's name any more.
        let there = self.plan.programs.iter().filter(|(id, _)| snapshot.of(*id).next().is_some());
        let called = there
            .filter_map(|(id, program)| Some((id, (program.name.as_str(), self.plan.spec(id)?.instances))));
        let (ids, known): (Vec<ProgramId>, Vec<(&str, u16)>) = called.unzip();
        let all = ["all".to_string()];
        let names = if names.is_empty() { &all } else { names };
        let meant = resolve(names, &known).map_err(Refusal::from)?;
        let id = |(program, index): (usize, u16)| {
            ids.get(program).map(|program| InstanceId { program: *program, index })
        };
        Ok(meant.into_iter().filter_map(id).collect())
    }

    /// Says a whole answer at once.
    fn answer(&mut self, client: ConnectionId, mut replies: Vec<Reply>) {
        replies.push(Reply::End {});
        if let Some(server) = &mut self.server {
            server.reply_all(client, &replies);
        }
    }

    pub(super) fn reply(&mut self, client: ConnectionId, reply: &Reply) -> Pace {
        self.server.as_mut().map_or(Pace::Gone, |server| server.reply(client, reply))
    }

    fn end(&mut self, client: ConnectionId) {
        self.reply(client, &Reply::End {});
    }
}
