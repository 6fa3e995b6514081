//! Requests of clients: orders become events, queries are answered from the current state, and a client that waits is
//! answered when its order is done.
//!
//! Long answers are sent in bounded parts, the next one when the client has read the last. Pending requests are checked
//! after every turn of the loop; nothing polls. Next: `orders.rs` (clients that wait for programs), `answers.rs` (long
//! answers), `following.rs` (output and events), `exec.rs`, and `../update.rs`.

mod answers;
mod exec;
mod following;
mod input;
mod orders;

use std::collections::VecDeque;
use std::time::Duration;

use foster_core::event::{Event, Order, ShutdownCause};
use foster_core::ids::{InstanceId, OrderId, ProgramId, Run, Signal};
use foster_core::sorted::{SortedMap, sort_by_key};
use foster_core::supervisor::InstanceView;
use foster_core::time::Instant;
use nix::errno::Errno;

use super::Init;
use super::outcomes::Waiting;
use super::status::Counted;
use crate::control::names::{NameError, resolve};
use crate::control::protocol::{Note, Piece, Reason, Refusal, Reply, Request};
use crate::control::server::{ConnectionId, ServerEvent, WriteState};
use crate::sys::epoll::Ready;
use answers::Answer;
use following::{CHUNK, Stream};
use orders::{InstanceBefore, SentSignal, Until};

/// The requests without a complete answer.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pending: SortedMap<ConnectionId, Waiter>,
    /// The client that was answered last; the next turn continues with it.
    last: Option<ConnectionId>,
    /// The reader that was served last; the next turn continues after it.
    last_reader: Option<ConnectionId>,
    /// The signals of this turn that could not be sent.
    unsent: Vec<(Run, Signal, Errno)>,
    /// The clients of the last orders, newest last, and the number of the newest order.
    orders: (VecDeque<String>, u32),
}

/// The most orders whose client is stored, until the order takes effect.
const REMEMBERED_ORDERS: usize = 256;

/// After how long a client that waits is reminded of what it waits for, and how often again.
const FIRST_REMINDER: Duration = Duration::from_secs(2);
const REMINDERS: Duration = Duration::from_secs(10);

/// How many instances a reminder names.
const REMINDED_OF: usize = 5;

/// The approximate number of bytes for all clients together in one turn, so that many clients do not delay the loop.
const TURN_BUDGET: usize = 64 * 1024;

/// A client with an incomplete answer.
#[derive(Debug)]
struct Waiter {
    pending: Pending,
    /// Replies that are not sent yet.
    queue: VecDeque<Reply>,
    /// Whether it has read the sent replies.
    state: WriteState,
    /// When it is reminded of what it waits for, as long as that is instances.
    reminder: Option<Instant>,
}

/// The pending part of an answer.
#[derive(Debug)]
enum Pending {
    /// None: only the queue is to be sent.
    Nothing,
    /// The state of instances.
    Answer(Answer),
    /// Signals that are sent in this turn; then reloads that programs report, and rolling restarts.
    Signals { open: VecDeque<SentSignal>, replaced: Vec<(InstanceId, InstanceBefore)> },
    /// An order.
    Order { order: Order, open: Vec<(InstanceId, InstanceBefore)> },
    /// Instances that must become ready.
    Ready { open: Vec<InstanceId>, until: Option<Instant>, patience: Patience },
    /// Output or events.
    Stream(Stream),
    /// An update.
    Update(Waiting),
    /// The configuration, which is being read.
    Reading,
}

/// How long a client waits for an instance that is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Until it is, or has failed and is not started again.
    UntilReady,
    /// Until a start has failed: `foster run --detach`.
    FirstFailure,
}

impl Requests {
    /// The earliest timeout of a waiting client; now, if a reader has a backlog, which continues in the next turn.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let until = |waiter: &Waiter| match &waiter.pending {
            Pending::Ready { open: _, until, patience: _ } => *until,
            Pending::Stream(stream) => (waiter.is_writable() && stream.has_backlog()).then_some(now),
            Pending::Answer(_) | Pending::Nothing => waiter.is_writable().then_some(now),
            Pending::Order { .. } | Pending::Update(_) | Pending::Reading | Pending::Signals { .. } => {
                (waiter.is_writable() && !waiter.queue.is_empty()).then_some(now)
            }
        };
        let reminder = |waiter: &Waiter| waiter.reminder.filter(|_| waiter.is_writable());
        self.pending.values().flat_map(|waiter| [until(waiter), reminder(waiter)]).flatten().min()
    }

    /// A new order id for a client such as `` `foster shutdown` (uid 0, pid 77) ``.
    fn new_order(&mut self, by: String) -> OrderId {
        let (texts, newest) = &mut self.orders;
        if texts.len() == REMEMBERED_ORDERS {
            texts.pop_front();
        }
        texts.push_back(by);
        *newest = newest.wrapping_add(1);
        OrderId(*newest)
    }

    /// The client of an order, if it is still stored.
    pub(super) fn ordered_by(&self, OrderId(id): OrderId) -> Option<&str> {
        let (texts, newest) = &self.orders;
        let age = usize::try_from(newest.wrapping_sub(id)).ok()?;
        texts.iter().rev().nth(age).map(String::as_str)
    }

    /// Records a signal that could not be sent, for the answer to its client.
    pub(super) fn note_unsent(&mut self, run: Run, signal: Signal, errno: Errno) {
        self.unsent.push((run, signal, errno));
    }

    /// The error of this signal in this turn; `None`: it was sent.
    fn unsent(&self, run: Run, signal: Signal) -> Option<Errno> {
        self.unsent.iter().find(|(of, sent, _)| (*of, *sent) == (run, signal)).map(|(_, _, errno)| *errno)
    }

    /// Whether more can be sent to a reader at once.
    fn has_backlog(&self) -> bool {
        let is_behind = |waiter: &Waiter| match &waiter.pending {
            Pending::Stream(stream) => waiter.is_writable() && stream.has_backlog(),
            Pending::Nothing
            | Pending::Answer(_)
            | Pending::Signals { .. }
            | Pending::Order { .. }
            | Pending::Ready { .. }
            | Pending::Update(_)
            | Pending::Reading => false,
        };
        self.pending.values().any(is_behind)
    }

    fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.pending.values_mut().filter_map(Waiter::stream)
    }

    fn wait_for(&mut self, client: ConnectionId, pending: Pending) {
        let (queue, state) = (VecDeque::new(), WriteState::Go);
        self.pending.insert(client, Waiter { pending, queue, state, reminder: None });
    }

    /// A client that waits for signals has these replies, too, and waits for rolling restarts.
    fn wait_also(
        &mut self,
        client: ConnectionId,
        replies: VecDeque<Reply>,
        rolls: Vec<(InstanceId, InstanceBefore)>,
    ) {
        if let Some(waiter) = self.pending.get_mut(&client) {
            waiter.queue.extend(replies);
            if let Pending::Signals { open: _, replaced } = &mut waiter.pending {
                *replaced = rolls;
            }
        }
    }

    pub(super) fn send_all(&mut self, client: ConnectionId, queue: VecDeque<Reply>) {
        let (pending, state) = (Pending::Nothing, WriteState::Go);
        self.pending.insert(client, Waiter { pending, queue, state, reminder: None });
    }
}

impl Pending {
    /// The instances that the client waits for; `None`: it waits for none.
    fn instances(&self) -> Option<Box<dyn ExactSizeIterator<Item = InstanceId> + '_>> {
        match self {
            Pending::Order { order: _, open } => Some(Box::new(open.iter().map(|(id, _)| *id))),
            Pending::Ready { open, until: _, patience: _ } => Some(Box::new(open.iter().copied())),
            Pending::Update(waiting) => Some(Box::new(waiting.instances())),
            Pending::Nothing
            | Pending::Answer(_)
            | Pending::Signals { .. }
            | Pending::Reading
            | Pending::Stream(_) => None,
        }
    }
}

impl Waiter {
    fn is_writable(&self) -> bool {
        self.state == WriteState::Go
    }

    fn stream(&mut self) -> Option<&mut Stream> {
        match &mut self.pending {
            Pending::Stream(stream) => Some(stream),
            Pending::Nothing
            | Pending::Answer(_)
            | Pending::Signals { .. }
            | Pending::Order { .. }
            | Pending::Ready { .. }
            | Pending::Update(_)
            | Pending::Reading => None,
        }
    }
}

impl Init {
    /// Handles a report of epoll for the control socket.
    pub(super) fn serve(&mut self, ready: Ready) {
        let Some(server) = &mut self.operators.server else { return };
        for event in server.on_ready(self.core.now, ready) {
            match event {
                ServerEvent::Requested(client, request) => {
                    if let Err(refusal) = self.take(client, request) {
                        self.reply(client, &Reply::Error(refusal));
                    }
                }
                ServerEvent::Drained(client) => {
                    if let Some(waiter) = self.operators.requests.pending.get_mut(&client) {
                        waiter.state = WriteState::Go;
                    }
                }
                ServerEvent::Abandoned(client) => {
                    self.operators.requests.pending.remove(&client);
                }
            }
        }
    }

    fn take(&mut self, client: ConnectionId, request: Request) -> Result<(), Refusal> {
        match request {
            Request::Status(names) if self.asks_for_helper(&names.names) => {
                self.operators.requests.send_all(client, self.web_row().into_iter().collect());
            }
            Request::Status(names) => {
                let open = self.named_or_all(&names.names)?.into();
                self.operators.requests.wait_for(client, Pending::Answer(Answer::Rows(open)));
            }
            Request::Health(check) => {
                let counted = Counted::of(&check);
                let open = self.named_or_all(&check.names)?.into();
                self.operators.requests.wait_for(client, Pending::Answer(Answer::Verdicts(open, counted)));
            }
            Request::Start(order) => self.order(client, Order::Start, &order)?,
            Request::Stop(order) => self.order(client, Order::Stop, &order)?,
            Request::Restart(order) => self.order(client, Order::Restart, &order)?,
            Request::RunJob(job) => self.run_job(client, job)?,
            Request::Reload(order) => self.reload(client, &order)?,
            Request::Signal(order) => {
                let targets = self.named_or_all(&order.names)?;
                self.signal_each(client, &targets, Some(order.signal), Until::Sent);
            }
            Request::Logs(logs) => self.logs(client, logs)?,
            Request::Events(events) => self.events(client, events)?,
            Request::Exec(exec) => {
                let document = self.exec_context(&exec)?.render();
                let pieces = Piece::of(&document).map(Reply::Context).collect();
                self.operators.requests.send_all(client, pieces);
            }
            Request::Wait(wait) => {
                let mut open = self.named_or_all(&wait.names)?;
                let patience = if wait.startup { Patience::FirstFailure } else { Patience::UntilReady };
                if wait.startup {
                    open.retain(|id| self.view(*id).is_some_and(|view| view.belongs_to_the_startup()));
                }
                let until = wait.timeout_ms.map(|ms| self.core.now.plus(Duration::from_millis(ms)));
                self.operators.requests.wait_for(client, Pending::Ready { open, until, patience });
            }
            Request::Update(update) => {
                self.operators.requests.wait_for(client, Pending::Reading);
                self.begin_update(Some((client, update)));
            }
            Request::Clear(names) => self.clear_logs(client, &names.names)?,
            Request::Input(input) => self.write_input(client, &input)?,
            Request::Scale(scale) => {
                let id = self.order_id(client, "scale");
                let waiting = self.scale_for(client, &scale, id)?;
                self.wait_for_update(client, waiting);
            }
            Request::Shutdown {} => {
                let id = self.order_id(client, "shutdown");
                self.core.push(Event::ShutdownOrdered(ShutdownCause::Operator(id)));
                self.end(client);
            }
        }
        Ok(())
    }

    /// Sends the answers that are known. Called after every turn of the loop. Readers get what the others have left, so that
    /// any number of them delays no answer; that is enough for one of them at least.
    pub(super) fn answer_requests(&mut self) {
        let mut earlier = std::mem::take(&mut self.operators.requests.pending);
        let later = self.operators.requests.last.map(|last| earlier.split_off(&last)).unwrap_or_default();
        let mut budget = TURN_BUDGET;
        let mut readers = VecDeque::new();
        for (client, mut waiter) in later.into_iter().chain(earlier) {
            let queue = &mut waiter.queue;
            waiter.pending = match waiter.pending {
                Pending::Nothing => Pending::Nothing,
                Pending::Answer(answer) if waiter.state == WriteState::Go && budget > 0 => {
                    self.operators.requests.last = Some(client);
                    self.send_answer(client, answer, &mut budget);
                    continue;
                }
                Pending::Stream(stream) => {
                    readers.push_back((client, stream, waiter.state));
                    continue;
                }
                Pending::Answer(answer) => Pending::Answer(answer),
                Pending::Signals { open, mut replaced } => {
                    self.answer_signals(open, &mut replaced, queue);
                    self.answer_order(Order::Reload, replaced, queue)
                }
                Pending::Order { order, open } => self.answer_order(order, open, queue),
                Pending::Ready { open, until, patience } => self.answer_ready(open, until, patience, queue),
                Pending::Update(waiting) => {
                    self.answer_update(waiting, queue).map_or(Pending::Nothing, Pending::Update)
                }
                Pending::Reading => Pending::Reading,
            };
            self.remind(&mut waiter);
            // The end of the connection answers a client that waits for the startup.
            let is_finished = match &waiter.pending {
                Pending::Nothing | Pending::Answer(_) | Pending::Stream(_) => true,
                Pending::Ready { open: _, until: _, patience } => *patience == Patience::FirstFailure,
                Pending::Signals { .. } | Pending::Order { .. } | Pending::Update(_) | Pending::Reading => {
                    false
                }
            };
            if self.operators.is_over && !is_finished {
                let refusal = Refusal::new(Reason::ShuttingDown, "foster ended before it was done");
                waiter.queue.push_back(Reply::Error(refusal));
                waiter.pending = Pending::Nothing;
            }
            if waiter.state == WriteState::Go && budget > 0 {
                self.send_queue(client, waiter, &mut budget);
            } else {
                self.operators.requests.pending.insert(client, waiter);
            }
        }
        self.serve_readers(readers, budget.max(CHUNK));
        self.operators.requests.unsent.clear();
        if !self.operators.requests.has_backlog() {
            self.drop_removed();
        }
    }

    /// Serves readers in turns, as far as the budget goes.
    fn serve_readers(&mut self, readers: VecDeque<(ConnectionId, Stream, WriteState)>, mut budget: usize) {
        let mut readers = Vec::from(readers);
        sort_by_key(&mut readers, |(client, _, _)| *client);
        let served =
            readers.partition_point(|(client, _, _)| Some(*client) <= self.operators.requests.last_reader);
        readers.rotate_left(served);
        for (client, stream, state) in readers {
            if state == WriteState::Go && budget > 0 {
                self.operators.requests.last_reader = Some(client);
                self.answer_stream(client, stream, &mut budget);
            } else {
                let (pending, queue) = (Pending::Stream(stream.put_off()), VecDeque::new());
                let waiter = Waiter { pending, queue, state, reminder: None };
                self.operators.requests.pending.insert(client, waiter);
            }
        }
    }

    /// Tells a client that has waited for a while what it waits for, and why that takes so long.
    fn remind(&self, waiter: &mut Waiter) {
        let Some(open) = waiter.pending.instances() else {
            waiter.reminder = None;
            return;
        };
        let at = *waiter.reminder.get_or_insert(self.core.now.plus(FIRST_REMINDER));
        if at > self.core.now || waiter.state != WriteState::Go {
            return;
        }
        waiter.reminder = Some(self.core.now.plus(REMINDERS));
        let standing = |view: InstanceView| format!("{}: {}", self.plan.label(view.id), self.standing(&view));
        let more = open.len().saturating_sub(REMINDED_OF);
        let more = (more > 0).then(|| format!("and {more} more"));
        let texts = open.filter_map(|id| self.view(id)).take(REMINDED_OF).map(standing).chain(more);
        waiter.queue.extend(texts.map(|text| Reply::Note(Note { text })));
    }

    /// A new order id for this client.
    fn order_id(&mut self, client: ConnectionId, verb: &str) -> OrderId {
        let by = match self.operators.server.as_ref().and_then(|server| server.peer(client)) {
            Some(_) if self.is_web(client) => format!("`{verb}` by a client of foster-web"),
            Some(peer) => {
                // pid 0: the client is in a PID namespace that foster does not see (unix(7)).
                let pid = if peer.pid == 0 { "outside".to_owned() } else { format!("pid {}", peer.pid) };
                format!("`foster {verb}` (uid {}, {pid})", peer.uid)
            }
            None => format!("`foster {verb}`"),
        };
        self.operators.requests.new_order(by)
    }

    /// Resolves names to instances; no name means all. A program without instances is meant by its instance 0, which is
    /// not there.
    pub(super) fn named_or_all(&self, names: &[String]) -> Result<Vec<InstanceId>, Refusal> {
        let snapshot = self.core.supervisor.snapshot();
        // Removed ones have a name until they have stopped, and they are the last.
        let count = |id| snapshot.of(id).map(|view| view.id.index + 1).max();
        let named = self.plan.programs.iter().filter_map(|(id, program)| {
            let count = count(id).or_else(|| self.is_without_instances(id).then_some(1))?;
            Some((id, (program.name.as_str(), count)))
        });
        let (ids, known): (Vec<ProgramId>, Vec<(&str, u16)>) = named.unzip();
        let meant = resolve(names, &known).map_err(Refusal::from)?;
        let id = |(program, index): (usize, u16)| {
            ids.get(program).map(|program| InstanceId { program: *program, index })
        };
        let is_there = |id: &InstanceId| self.view(*id).is_some() || self.is_without_instances(id.program);
        let meant: Vec<InstanceId> = meant.into_iter().filter_map(id).filter(is_there).collect();
        match names.first().filter(|_| meant.is_empty()) {
            Some(name) => Err(NameError::not_found(name, None, &known).into()),
            None => Ok(meant),
        }
    }

    pub(super) fn reply(&mut self, client: ConnectionId, reply: &Reply) -> WriteState {
        self.operators.server.as_mut().map_or(WriteState::Gone, |server| server.reply(client, reply))
    }

    pub(super) fn end(&mut self, client: ConnectionId) {
        self.reply(client, &Reply::End {});
    }
}
