//! foster's end of the control socket.
//!
//! Driven by the one loop in `init/`: each report of epoll in the server's space goes to [`Server::on_ready`], which
//! returns events; answers go out through [`Server::reply`]. Nothing waits, each call does a bounded amount of work,
//! and each client costs a bounded amount of memory. What a request means is not known here. Next: `connection.rs`.
//!
//! New clients are always accepted; when the limit is reached the least useful connection is closed. So silent
//! clients, incomplete requests and readers that do not read lock no other client out.

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
use super::socket_file::{BindError, SocketFile};
use crate::sys::epoll::{Epoll, Interest, Owner, Ready, Token};
use crate::sys::socket::{self, Peer};

/// The most clients at once, where there are enough descriptors.
pub const MOST_CLIENTS: usize = 256;

/// The part of all descriptors that clients may take: programs need the others.
const SHARE_OF_DESCRIPTORS: u64 = 4;

/// How many clients are accepted in one turn, so that a crowd delays nothing else.
const ADMITTED_AT_ONCE: usize = 64;

/// How long a request may be incomplete.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long no client is accepted when even the spare descriptor did not help: the kernel has no memory, or the whole
/// system no descriptor. Otherwise it would be tried without end.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The listener's key; a client's is its number.
const LISTENER: u32 = 0;

/// A connection. Its number is not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u32);

/// Whether lines finish an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// They do: the last of them is [`Reply::End`] or [`Reply::Error`].
    ToTheEnd,
    /// More lines follow.
    Part,
}

/// An event at the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A client has a request. Its next one comes after the last line of the answer was given to
    /// [`Server::reply`].
    Requested(ConnectionId, Request),
    /// A client has read everything sent so far of its unfinished answer: go on.
    Drained(ConnectionId),
    /// A client is gone before its answer was finished: drop it.
    Abandoned(ConnectionId),
}

/// The listening socket and all connections.
#[derive(Debug)]
pub struct Server {
    listening: ListenerState,
    owner: Uid,
    epoll: Rc<Epoll>,
    space: Owner,
    clients: SortedMap<u32, Connection>,
    most: usize,
    latest: u32,
    /// A descriptor to give up when there are none left, so that a client can be accepted and sent away. Otherwise
    /// it would wait in the backlog and be reported without end.
    reserve: Option<OwnedFd>,
}

/// Whether clients are accepted.
#[derive(Debug)]
enum ListenerState {
    Open(SocketFile, UnixListener),
    /// None before this time.
    Paused(SocketFile, UnixListener, Instant),
    /// No client is accepted any longer.
    Closed,
}

impl Server {
    /// Listens at `path`, with mode 0700 from the first moment. A stale socket is replaced. The listener and all
    /// clients are watched in `space`, whose keys are the server's.
    ///
    /// # Errors
    /// Only [`BindError::AnotherListens`] has to end foster.
    pub fn bind(path: &Path, epoll: Rc<Epoll>, space: Owner) -> Result<Server, BindError> {
        let (file, listener) = SocketFile::take(path)?;
        epoll
            .add(&listener, Token { owner: space, key: LISTENER }, Interest::Read)
            .map_err(|error| BindError::Unavailable(path.to_owned(), error))?;
        let reserve = spare(&listener);
        let (owner, clients, listening) =
            (Uid::effective(), SortedMap::new(), ListenerState::Open(file, listener));
        Ok(Server {
            listening,
            owner,
            epoll,
            space,
            clients,
            most: most_clients(),
            latest: LISTENER,
            reserve,
        })
    }

    /// Takes a report of epoll in the server's space. One that is out of date has no effect.
    pub fn on_ready(&mut self, now: Instant, ready: Ready) -> Vec<ServerEvent> {
        if ready.token.key == LISTENER {
            return self.admit_all(now);
        }
        let key = ready.token.key;
        let id = ConnectionId(key);
        let Some(client) = self.clients.get_mut(&key) else { return Vec::new() };
        let event = match client.turn(now, ready) {
            Step::Nothing => None,
            Step::Asked(request) => Some(ServerEvent::Requested(id, request)),
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

    /// When [`Server::tick`] has something to do; never, while no request is incomplete.
    pub fn deadline(&self) -> Option<Instant> {
        let listening = match &self.listening {
            ListenerState::Paused(_, _, until) => Some(*until),
            ListenerState::Open(..) | ListenerState::Closed => None,
        };
        let incomplete = self.clients.values().filter_map(Connection::incomplete_since).min();
        listening.into_iter().chain(incomplete.map(|since| since.plus(REQUEST_TIMEOUT))).min()
    }

    /// Does what is due.
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
        self.listening = match std::mem::replace(&mut self.listening, ListenerState::Closed) {
            ListenerState::Paused(file, listener, until) if until <= now => self.open(file, listener, now),
            listening @ (ListenerState::Paused(..) | ListenerState::Open(..) | ListenerState::Closed) => {
                listening
            }
        };
    }

    /// Sends a line of the answer to this client's request. [`Reply::End`] and [`Reply::Error`] finish it. Never waits.
    pub fn reply(&mut self, to: ConnectionId, reply: &Reply) -> WriteState {
        self.say(to, &reply.encode(), reply.is_last())
    }

    /// Sends several lines at once: one write, and one wakeup of the reader.
    pub fn reply_all(&mut self, to: ConnectionId, replies: &[Reply]) -> WriteState {
        let lines: Vec<u8> = replies.iter().flat_map(Reply::encode).collect();
        self.say(to, &lines, replies.last().is_some_and(Reply::is_last))
    }

    /// Sends whole lines that are encoded already.
    pub fn send_lines(&mut self, to: ConnectionId, lines: &[u8], extent: Extent) -> WriteState {
        self.say(to, lines, extent == Extent::ToTheEnd)
    }

    /// The process at the other end of this connection.
    pub fn peer(&self, of: ConnectionId) -> Option<Peer> {
        self.clients.get(&of.0).map(Connection::peer)
    }

    fn say(&mut self, to: ConnectionId, lines: &[u8], finished: bool) -> WriteState {
        let Some(client) = self.clients.get_mut(&to.0) else { return WriteState::Gone };
        let pace = client.say(lines, finished);
        if self.watch(to.0) { pace } else { WriteState::Gone }
    }

    /// Accepts no client any longer, and closes the connections that wait for no answer: foster ends soon.
    pub fn retire(&mut self) {
        if let ListenerState::Open(_, listener) | ListenerState::Paused(_, listener, _) = &self.listening {
            let _ = self.epoll.remove(listener);
        }
        self.listening = ListenerState::Closed;
        self.clients.retain(|_, client| client.eviction_rank() >= EvictionRank::Unread);
    }

    /// Whether a client has still to read its answer.
    pub fn is_busy(&self) -> bool {
        self.clients.values().any(|client| client.eviction_rank() >= EvictionRank::Unread)
    }

    /// Makes the socket again where its file was removed. A file that belongs to another process is left alone.
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
        let (file, listener) = SocketFile::take(&path)?;
        self.epoll
            .add(&listener, Token { owner: self.space, key: LISTENER }, Interest::Read)
            .map_err(|error| BindError::Unavailable(path, error))?;
        self.reserve = spare(&listener);
        // Closing the old one ends its registration, but for the spare copy that was just replaced.
        self.listening = ListenerState::Open(file, listener);
        Ok(())
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
                // There are no descriptors left: that of a connection without use serves.
                Err(_) if self.make_room(EvictionRank::Unread, &mut events) => {}
                Err(_) => {
                    self.send_one_away(now);
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
        let peer = socket::peer(&stream).ok().filter(|peer| may_connect(peer.uid, self.owner));
        let Some(peer) = peer else {
            let message = format!("not permitted: only root and uid {} may use this socket", self.owner);
            return send_away(stream, Refusal::new(Reason::NotPermitted, message));
        };
        if self.clients.len() >= self.most {
            self.make_room(EvictionRank::Waiting, events);
        }
        let Some(key) = self.free_key() else { return };
        let client = Connection::new(stream, peer);
        let token = Token { owner: self.space, key };
        if self.epoll.add(&client, token, client.watched).is_ok() {
            self.latest = key;
            self.clients.insert(key, client);
        }
    }

    /// Closes the least useful connection, the oldest of several, unless it is more useful than this. Whether there
    /// was one.
    fn make_room(&mut self, at_most: EvictionRank, events: &mut Vec<ServerEvent>) -> bool {
        let least = self.clients.iter().min_by_key(|(_, client)| client.eviction_rank());
        let Some((&key, client)) = least.filter(|(_, client)| client.eviction_rank() <= at_most) else {
            return false;
        };
        if client.is_being_answered() {
            events.push(ServerEvent::Abandoned(ConnectionId(key)));
        }
        if let Some(client) = self.clients.get_mut(&key) {
            client.dismiss(crowded(&format!("there are {} clients, and another one came", self.most)));
        }
        self.forget(key)
    }

    /// Accepts a client at the cost of the spare descriptor, to tell it that there are none.
    fn send_one_away(&mut self, now: Instant) {
        let ListenerState::Open(file, listener) =
            std::mem::replace(&mut self.listening, ListenerState::Closed)
        else {
            return;
        };
        self.reserve = None;
        let accepted = listener.accept();
        let is_stuck = accepted.is_err();
        if let Ok((stream, _)) = accepted {
            send_away(stream, crowded("foster has no descriptors left"));
        }
        self.reserve = spare(&listener);
        self.listening = if is_stuck || self.reserve.is_none() {
            // If it stayed in epoll, it would be reported without end.
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
        let token = Token { owner: self.space, key: LISTENER };
        match self.epoll.add(&listener, token, Interest::Read) {
            Ok(()) => ListenerState::Open(file, listener),
            Err(_) => ListenerState::Paused(file, listener, now.plus(ACCEPT_RETRY)),
        }
    }

    /// The next number that is not in use: four thousand million clients come before one is used again.
    fn free_key(&self) -> Option<u32> {
        let later = self.latest.wrapping_add(1)..=u32::MAX;
        let earlier = LISTENER + 1..=self.latest;
        later.chain(earlier).find(|key| *key != LISTENER && !self.clients.contains_key(key))
    }

    /// Tells epoll what to report. A client that it cannot report on is dropped.
    fn watch(&mut self, key: u32) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let interest = client.interest();
        if interest == client.watched {
            return true;
        }
        let modified = self.epoll.modify(&*client, Token { owner: self.space, key }, interest);
        client.watched = interest;
        modified.is_ok() || !self.forget(key)
    }

    /// Closes the connection; whether there was one.
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

/// The file's mode keeps most others out; not a process with CAP_DAC_OVERRIDE, and an abstract socket has no mode.
fn may_connect(peer: Uid, owner: Uid) -> bool {
    peer.is_root() || peer == owner
}

fn most_clients() -> usize {
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    usize::try_from(descriptors / SHARE_OF_DESCRIPTORS)
        .map_or(MOST_CLIENTS, |most| most.clamp(1, MOST_CLIENTS))
}

fn spare(listener: &UnixListener) -> Option<OwnedFd> {
    listener.try_clone().ok().map(OwnedFd::from)
}

/// An error of one client, which is gone already: the next one is not concerned (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::Interrupted || kind == io::ErrorKind::ConnectionAborted
}

fn crowded(message: &str) -> Refusal {
    Refusal::new(Reason::TooManyClients, message)
}

/// Sends why, as far as it can be written at once, and closes.
fn send_away(mut stream: UnixStream, refusal: Refusal) {
    if stream.set_nonblocking(true).is_ok() {
        let _ = io::Write::write(&mut stream, &Reply::Error(refusal).encode());
    }
}

#[cfg(test)]
mod tests;
