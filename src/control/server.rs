//! foster's end of the control socket.
//!
//! Driven by the loop in `init/`: each report of epoll for the server goes to [`Server::on_ready`], which returns events;
//! answers go out through [`Server::reply`]. Nothing blocks, each call does a bounded amount of work, and each client
//! costs a bounded amount of memory. The meaning of requests is unknown here. Next: `connection.rs`.
//!
//! New clients are always accepted; when the limit is reached the least useful connection is closed. So silent
//! clients, incomplete requests and clients that do not read their answers cannot lock out another client.

mod web_clients;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use foster_core::sorted::SortedMap;
use foster_core::time::Instant;
use nix::unistd::Uid;

pub use super::connection::WriteState;
use super::connection::{Connection, EvictionRank, Step};
use super::protocol::{Reason, Refusal, Reply, Request};
use super::rights::Rights;
use crate::sys::epoll::{Epoll, Interest, Owner, Ready, Token};
use crate::sys::socket::{self, Peer};
use crate::sys::socket_file::{BindError, SocketFile};
use web_clients::Helper;

/// The most clients at once, if there are enough descriptors.
pub const MAX_CLIENTS: usize = 256;

/// Clients may use one in this many descriptors: programs need the rest.
const SHARE_OF_DESCRIPTORS: u64 = 4;

/// The most clients accepted in one turn of the loop, so that many of them delay nothing else.
const ADMITTED_AT_ONCE: usize = 64;

/// The time in which a request must be complete.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the server stops accepting when even the spare descriptor did not help: the kernel has no memory, or the
/// system no descriptor. Without the pause it would retry in a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The listeners' keys; a client's is its number.
const LISTENER: u32 = 0;
const HELPER: u32 = 1;

/// A connection. Its number is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u32);

/// Whether lines finish an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Yes: the last of them is [`Reply::End`] or [`Reply::Error`].
    ToTheEnd,
    /// More lines follow.
    Part,
}

/// An event at the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A client has a request. Its next one follows after the last line of the answer went to [`Server::reply`].
    Requested(ConnectionId, Request),
    /// A client has read all queued lines of its unfinished answer: continue.
    Drained(ConnectionId),
    /// A client disconnected before its answer was finished: drop the answer.
    Abandoned(ConnectionId),
}

/// The listening socket and all connections.
#[derive(Debug)]
pub struct Server {
    listening: ListenerState,
    helper: Option<Helper>,
    epoll: Rc<Epoll>,
    owner: Owner,
    clients: SortedMap<u32, Connection>,
    most: usize,
    latest: u32,
    /// A descriptor to close when there are none left, so that a client can be accepted and refused. Otherwise it would
    /// stay in the backlog and be reported in a busy loop.
    reserve: Option<OwnedFd>,
}

/// Whether clients are accepted.
#[derive(Debug)]
enum ListenerState {
    Open(SocketFile, UnixListener),
    /// Not before this time.
    Paused(SocketFile, UnixListener, Instant),
    /// No longer.
    Closed,
}

impl Server {
    /// Listens at `path`, with mode 0700 from the first moment. A stale socket is replaced. The listener and all
    /// clients are registered with epoll under `owner`, whose keys belong to the server.
    ///
    /// # Errors
    /// Only [`BindError::AnotherListens`] has to end foster.
    pub fn bind(path: &Path, epoll: Rc<Epoll>, owner: Owner) -> Result<Server, BindError> {
        let (file, listener) = SocketFile::take(path, socket::listen)?;
        epoll
            .add(&listener, Token { owner, key: LISTENER }, Interest::Read)
            .map_err(|error| BindError::Unavailable(path.to_owned(), error))?;
        let reserve = spare(&listener);
        let mut server = Server::without_socket(epoll, owner);
        (server.listening, server.reserve) = (ListenerState::Open(file, listener), reserve);
        Ok(server)
    }

    /// A server without a socket for operators: only the web helper connects.
    pub fn without_socket(epoll: Rc<Epoll>, owner: Owner) -> Server {
        let (listening, clients, most) = (ListenerState::Closed, SortedMap::new(), most_clients());
        Server { listening, helper: None, epoll, owner, clients, most, latest: HELPER, reserve: None }
    }

    /// Handles a report of epoll for the server. An outdated one has no effect.
    pub fn on_ready(&mut self, now: Instant, ready: Ready) -> Vec<ServerEvent> {
        if ready.token.key == LISTENER {
            return self.admit_all(now);
        }
        if ready.token.key == HELPER {
            return self.admit_helper(now);
        }
        let key = ready.token.key;
        let id = ConnectionId(key);
        let Some(client) = self.clients.get_mut(&key) else { return Vec::new() };
        let event = match client.turn(now, ready) {
            Step::Nothing => None,
            Step::Requested(request) => Some(ServerEvent::Requested(id, request)),
            Step::Drained => Some(ServerEvent::Drained(id)),
            Step::Abandoned => {
                self.forget(key);
                return vec![ServerEvent::Abandoned(id)];
            }
            Step::Gone => {
                self.forget(key);
                return Vec::new();
            }
        };
        if self.watch(key) { event.into_iter().collect() } else { Vec::new() }
    }

    /// When [`Server::tick`] has something to do; `None` while no request is incomplete.
    pub fn deadline(&self) -> Option<Instant> {
        let listening = match &self.listening {
            ListenerState::Paused(_, _, until) => Some(*until),
            ListenerState::Open(..) | ListenerState::Closed => None,
        };
        let incomplete = self.clients.values().filter_map(Connection::incomplete_since).min();
        let helper = self.helper.as_ref().and_then(|helper| helper.paused);
        listening.into_iter().chain(helper).chain(incomplete.map(|since| since.plus(REQUEST_TIMEOUT))).min()
    }

    /// Does the work that is due.
    pub fn tick(&mut self, now: Instant) {
        let overdue = |client: &Connection| {
            client.incomplete_since().is_some_and(|since| since.plus(REQUEST_TIMEOUT) <= now)
        };
        let late: Vec<u32> =
            self.clients.iter().filter(|(_, client)| overdue(client)).map(|(&key, _)| key).collect();
        for key in late {
            if let Some(client) = self.clients.get_mut(&key) {
                let message = format!("the request was not complete after {} s", REQUEST_TIMEOUT.as_secs());
                client.refuse(Refusal::new(Reason::TooSlow, message));
                self.watch(key);
            }
        }
        self.resume_helper(now);
        self.listening = match std::mem::replace(&mut self.listening, ListenerState::Closed) {
            ListenerState::Paused(file, listener, until) if until <= now => self.open(file, listener, now),
            listening @ (ListenerState::Paused(..) | ListenerState::Open(..) | ListenerState::Closed) => {
                listening
            }
        };
    }

    /// Sends a line of the answer to this client's request. [`Reply::End`] and [`Reply::Error`] finish it. Never waits.
    pub fn reply(&mut self, to: ConnectionId, reply: &Reply) -> WriteState {
        self.send(to, &reply.encode(), reply.is_last())
    }

    /// Sends several lines at once: one write, and one wakeup of the reader.
    pub fn reply_all(&mut self, to: ConnectionId, replies: &[Reply]) -> WriteState {
        let lines: Vec<u8> = replies.iter().flat_map(Reply::encode).collect();
        self.send(to, &lines, replies.last().is_some_and(Reply::is_last))
    }

    /// Sends whole lines that are encoded already.
    pub fn send_lines(&mut self, to: ConnectionId, lines: &[u8], extent: Extent) -> WriteState {
        self.send(to, lines, extent == Extent::ToTheEnd)
    }

    /// Whether this connection is the web helper's.
    pub fn is_helper(&self, of: ConnectionId) -> bool {
        self.clients.get(&of.0).is_some_and(|client| client.rights() != Rights::Operator)
    }

    /// The process at the other end of this connection.
    pub fn peer(&self, of: ConnectionId) -> Option<Peer> {
        self.clients.get(&of.0).map(Connection::peer)
    }

    fn send(&mut self, to: ConnectionId, lines: &[u8], finished: bool) -> WriteState {
        let Some(client) = self.clients.get_mut(&to.0) else { return WriteState::Gone };
        let state = client.send(lines, finished);
        if self.watch(to.0) { state } else { WriteState::Gone }
    }

    /// Stops accepting, and closes the connections without a pending answer: foster exits soon.
    pub fn retire(&mut self) {
        if let ListenerState::Open(_, listener) | ListenerState::Paused(_, listener, _) = &self.listening {
            let _ = self.epoll.remove(listener);
        }
        self.listening = ListenerState::Closed;
        self.helper = None;
        self.clients.retain(|_, client| client.eviction_rank() >= EvictionRank::Unread);
    }

    /// Whether a client has not read its whole answer.
    pub fn is_busy(&self) -> bool {
        self.clients.values().any(|client| client.eviction_rank() >= EvictionRank::Unread)
    }

    /// Creates the socket again if its file was removed. A file of another process is left alone.
    ///
    /// # Errors
    /// As [`Server::bind`]; the old socket stays, without a name.
    pub fn restore(&mut self) -> Result<(), BindError> {
        let (ListenerState::Open(file, _) | ListenerState::Paused(file, _, _)) = &self.listening else {
            return Ok(());
        };
        if file.is_held() {
            return Ok(());
        }
        let path = file.path().to_owned();
        let (file, listener) = SocketFile::take(&path, socket::listen)?;
        self.epoll
            .add(&listener, Token { owner: self.owner, key: LISTENER }, Interest::Read)
            .map_err(|error| BindError::Unavailable(path, error))?;
        self.reserve = spare(&listener);
        // Closing the old one ends its registration, since its spare copy was just replaced.
        self.listening = ListenerState::Open(file, listener);
        Ok(())
    }

    /// The path that it listens at; `None`: it does not listen any longer.
    pub fn path(&self) -> Option<&Path> {
        match &self.listening {
            ListenerState::Open(file, _) | ListenerState::Paused(file, _, _) => Some(file.path()),
            ListenerState::Closed => None,
        }
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    fn admit_all(&mut self, now: Instant) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for _ in 0..ADMITTED_AT_ONCE {
            let ListenerState::Open(_, listener) = &self.listening else { break };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream, &mut events),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_passing(&error) => {}
                // No descriptor is left: closing a connection without use frees one.
                Err(_) if self.make_room(EvictionRank::Unread, &mut events) => {}
                Err(_) => {
                    self.refuse_one(now);
                    break;
                }
            }
        }
        events
    }

    fn admit(&mut self, stream: UnixStream, events: &mut Vec<ServerEvent>) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let user = Uid::effective();
        let peer = socket::peer(&stream).ok().filter(|peer| may_connect(peer.uid, user));
        let Some(peer) = peer else {
            let message = format!("not permitted: only root and uid {user} may use this socket");
            return refuse(stream, Refusal::new(Reason::NotPermitted, message));
        };
        self.add(stream, peer, Rights::Operator, events);
    }

    fn add(&mut self, stream: UnixStream, peer: Peer, rights: Rights, events: &mut Vec<ServerEvent>) {
        if self.clients.len() >= self.most {
            self.make_room(EvictionRank::Waiting, events);
        }
        let Some(key) = self.free_key() else { return };
        let client = Connection::new(stream, peer, rights);
        let token = Token { owner: self.owner, key };
        if self.epoll.add(&client, token, client.watched).is_ok() {
            self.latest = key;
            self.clients.insert(key, client);
        }
    }

    /// Closes the least useful connection, the oldest of several, unless it is more useful than `at_most`. Returns whether
    /// one was closed.
    fn make_room(&mut self, at_most: EvictionRank, events: &mut Vec<ServerEvent>) -> bool {
        let least = self.clients.iter().min_by_key(|(_, client)| client.eviction_rank());
        let Some((&key, client)) = least.filter(|(_, client)| client.eviction_rank() <= at_most) else {
            return false;
        };
        if client.is_being_answered() {
            events.push(ServerEvent::Abandoned(ConnectionId(key)));
        }
        if let Some(client) = self.clients.get_mut(&key) {
            client.dismiss(too_many(&format!("closed for a new client: there are already {}", self.most)));
        }
        self.forget(key)
    }

    /// Accepts a client with the spare descriptor, to refuse it.
    fn refuse_one(&mut self, now: Instant) {
        let ListenerState::Open(file, listener) =
            std::mem::replace(&mut self.listening, ListenerState::Closed)
        else {
            return;
        };
        self.reserve = None;
        let accepted = listener.accept();
        let is_stuck = accepted.is_err();
        if let Ok((stream, _)) = accepted {
            refuse(stream, too_many("foster has no descriptors left"));
        }
        self.reserve = spare(&listener);
        self.listening = if is_stuck || self.reserve.is_none() {
            // If it stayed in epoll, it would be reported in a busy loop.
            let _ = self.epoll.remove(&listener);
            ListenerState::Paused(file, listener, now.plus(ACCEPT_RETRY))
        } else {
            ListenerState::Open(file, listener)
        };
    }

    fn open(&mut self, file: SocketFile, listener: UnixListener, now: Instant) -> ListenerState {
        if self.reserve.is_none() {
            self.reserve = spare(&listener);
        }
        let token = Token { owner: self.owner, key: LISTENER };
        match self.epoll.add(&listener, token, Interest::Read) {
            Ok(()) => ListenerState::Open(file, listener),
            Err(_) => ListenerState::Paused(file, listener, now.plus(ACCEPT_RETRY)),
        }
    }

    /// The next unused number: one is used again after four thousand million clients.
    fn free_key(&self) -> Option<u32> {
        let later = self.latest.wrapping_add(1)..=u32::MAX;
        let earlier = HELPER + 1..=self.latest;
        later.chain(earlier).find(|key| *key > HELPER && !self.clients.contains_key(key))
    }

    /// Registers the client's interest with epoll. A client for which that fails is dropped.
    fn watch(&mut self, key: u32) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let interest = client.interest();
        if interest == client.watched {
            return true;
        }
        let modified = self.epoll.modify(&*client, Token { owner: self.owner, key }, interest);
        client.watched = interest;
        modified.is_ok() || !self.forget(key)
    }

    /// Closes the connection; returns whether there was one.
    fn forget(&mut self, key: u32) -> bool {
        let Some(client) = self.clients.remove(&key) else { return false };
        let _ = self.epoll.remove(&client);
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.retire();
    }
}

/// The file's mode does not stop a process with CAP_DAC_OVERRIDE, and an abstract socket has no mode.
fn may_connect(peer: Uid, user: Uid) -> bool {
    peer.is_root() || peer == user
}

fn most_clients() -> usize {
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    usize::try_from(descriptors / SHARE_OF_DESCRIPTORS).map_or(MAX_CLIENTS, |most| most.clamp(1, MAX_CLIENTS))
}

fn spare(listener: &UnixListener) -> Option<OwnedFd> {
    listener.try_clone().ok().map(OwnedFd::from)
}

/// An error of one client that has disconnected: the next accept(2) may succeed.
fn is_passing(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::Interrupted || kind == io::ErrorKind::ConnectionAborted
}

fn too_many(message: &str) -> Refusal {
    Refusal::new(Reason::TooManyClients, message)
}

/// Sends as much of the reason as can be written at once, and closes.
fn refuse(mut stream: UnixStream, refusal: Refusal) {
    if stream.set_nonblocking(true).is_ok() {
        let _ = io::Write::write(&mut stream, &Reply::Error(refusal).encode());
    }
}

#[cfg(test)]
mod tests;
