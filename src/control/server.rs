//! foster's end of the control socket.
//!
//! Driven by the one loop in `init/`: each report of epoll in the server's space goes to
//! [`Server::on_ready`], which gives back what happened; answers go out through [`Server::reply`]. Nothing
//! waits, each call does a bounded amount of work, and each client costs a bounded amount of memory. What a
//! request means is not known here. Read `connection` next.
//!
//! There is always room for one more: whoever comes last is let in, and who is missed least has to go. So silence,
//! half requests and readers that do not read keep nobody out.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use foster_core::time::Instant;
use nix::unistd::Uid;

pub use super::connection::Pace;
use super::connection::{Connection, Step, Use};
pub use super::place::BindError;
use super::place::Place;
use super::protocol::{Reason, Refusal, Reply, Request};
use crate::sys::epoll::{Epoll, Interest, Ready, Space, Token};
use crate::sys::socket;

/// How many clients there may be at once, where there are descriptors enough.
pub const MOST_CLIENTS: usize = 256;

/// What part of all descriptors clients may take: the programs need theirs.
const SHARE_OF_DESCRIPTORS: u64 = 4;

/// How many are let in in one turn, so that a crowd holds up nobody.
const ADMITTED_AT_ONCE: usize = 64;

/// How long a request may be half said.
const HALF_SAID: Duration = Duration::from_secs(10);

/// How long nobody is let in when even the spare descriptor was of no use: the kernel has no memory, or the
/// whole system no descriptor. Else it would be tried without end.
const RESPITE: Duration = Duration::from_millis(100);

/// The listener's key; a client's is its number.
const LISTENER: u32 = 0;

/// A client, as long as it is connected. Not used again for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u32);

/// What happened at the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incident {
    /// A client asks. It asks nothing further until the last line of the answer was given to
    /// [`Server::reply`].
    Requested(ConnectionId, Request),
    /// A client has taken all that was said so far of its unfinished answer: go on.
    Drained(ConnectionId),
    /// A client is gone before its answer was finished: forget it.
    Abandoned(ConnectionId),
}

/// The listening socket and all who came.
#[derive(Debug)]
pub struct Server {
    door: Door,
    owner: Uid,
    epoll: Rc<Epoll>,
    space: Space,
    clients: BTreeMap<u32, Connection>,
    most: usize,
    latest: u32,
    /// A descriptor to give up when there are none left, so that a client can be let in and sent away.
    /// Else it would wait in the backlog and be reported without end.
    reserve: Option<OwnedFd>,
}

/// Where clients come in.
#[derive(Debug)]
enum Door {
    Open(Place, UnixListener),
    /// Nobody can be let in before this.
    Shut(Place, UnixListener, Instant),
    /// Nobody is let in any more.
    Gone,
}

impl Server {
    /// Listens at `path`, with mode 0700 from the first moment. What a foster that is gone has left there
    /// is replaced. The listener and all clients are watched in `space`, whose keys are the server's.
    ///
    /// # Errors
    /// Only [`BindError::AnotherAnswers`] has to end foster.
    pub fn bind(path: &Path, epoll: Rc<Epoll>, space: Space) -> Result<Server, BindError> {
        let (place, listener) = Place::take(path)?;
        epoll
            .add(&listener, Token { space, key: LISTENER }, Interest::Read)
            .map_err(|error| BindError::Unavailable(path.to_owned(), error))?;
        let reserve = spare(&listener);
        let (owner, clients, door) = (Uid::effective(), BTreeMap::new(), Door::Open(place, listener));
        Ok(Server { door, owner, epoll, space, clients, most: most_clients(), latest: LISTENER, reserve })
    }

    /// Takes a report of epoll in the server's space. One that is out of date is void.
    pub fn on_ready(&mut self, now: Instant, ready: Ready) -> Vec<Incident> {
        if ready.token.key == LISTENER {
            return self.admit_all(now);
        }
        let key = ready.token.key;
        let id = ConnectionId(key);
        let Some(client) = self.clients.get_mut(&key) else { return Vec::new() };
        let incident = match client.turn(now, ready) {
            Step::Nothing => None,
            Step::Asked(request) => Some(Incident::Requested(id, request)),
            Step::Drained => Some(Incident::Drained(id)),
            Step::Abandoned => {
                self.forget(key);
                return vec![Incident::Abandoned(id)];
            }
            Step::Gone => {
                self.forget(key);
                return Vec::new();
            }
        };
        if self.watch(key) { incident.into_iter().collect() } else { Vec::new() }
    }

    /// When [`Server::tick`] has something to do; never, as long as nobody owes the rest of a request.
    pub fn deadline(&self) -> Option<Instant> {
        let door = match &self.door {
            Door::Shut(_, _, until) => Some(*until),
            Door::Open(..) | Door::Gone => None,
        };
        let half_said = self.clients.values().filter_map(Connection::half_said_since).min();
        door.into_iter().chain(half_said.map(|since| since.plus(HALF_SAID))).min()
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        let overdue =
            |client: &Connection| client.half_said_since().is_some_and(|since| since.plus(HALF_SAID) <= now);
        let late: Vec<u32> =
            self.clients.iter().filter(|(_, client)| overdue(client)).map(|(&key, _)| key).collect();
        for key in late {
            if let Some(client) = self.clients.get_mut(&key) {
                let message = format!("the request was not whole after {} s", HALF_SAID.as_secs());
                client.refuse(Refusal::new(Reason::TooSlow, message));
                self.watch(key);
            }
        }
        self.door = match std::mem::replace(&mut self.door, Door::Gone) {
            Door::Shut(place, listener, until) if until <= now => self.open(place, listener, now),
            door @ (Door::Shut(..) | Door::Open(..) | Door::Gone) => door,
        };
    }

    /// Says a line of the answer to what this client asked last. [`Reply::End`] and [`Reply::Error`] finish
    /// it. Never waits. A client that lets too much gather is cut off.
    pub fn reply(&mut self, to: ConnectionId, reply: &Reply) -> Pace {
        self.say(to, &reply.encode(), reply.is_last())
    }

    /// Says several lines at once: one write, and one awakening of the reader.
    pub fn reply_all(&mut self, to: ConnectionId, replies: &[Reply]) -> Pace {
        let lines: Vec<u8> = replies.iter().flat_map(Reply::encode).collect();
        self.say(to, &lines, replies.last().is_some_and(Reply::is_last))
    }

    /// Says whole lines that are encoded already, and none of which is the last of its answer.
    pub fn say_lines(&mut self, to: ConnectionId, lines: &[u8]) -> Pace {
        self.say(to, lines, false)
    }

    fn say(&mut self, to: ConnectionId, lines: &[u8], finished: bool) -> Pace {
        let Some(client) = self.clients.get_mut(&to.0) else { return Pace::Gone };
        let pace = client.say(lines, finished);
        if self.watch(to.0) { pace } else { Pace::Gone }
    }

    /// Lets nobody in any more, and lets go of those who wait for no answer. The end of foster is near.
    pub fn retire(&mut self) {
        if let Door::Open(_, listener) | Door::Shut(_, listener, _) = &self.door {
            let _ = self.epoll.remove(listener);
        }
        self.door = Door::Gone;
        self.clients.retain(|_, client| client.use_of_it() >= Use::Unread);
    }

    /// Whether somebody is still to take what was said.
    pub fn is_busy(&self) -> bool {
        self.clients.values().any(|client| client.use_of_it() >= Use::Unread)
    }

    /// Makes the socket again where its file was removed. One that is another's by now is left to them.
    ///
    /// # Errors
    /// As [`Server::bind`]; the old socket stays, without a name.
    pub fn restore(&mut self) -> Result<(), BindError> {
        let (Door::Open(place, _) | Door::Shut(place, _, _)) = &self.door else { return Ok(()) };
        if place.is_held() {
            return Ok(());
        }
        let path = place.path().to_owned();
        let (place, listener) = Place::take(&path)?;
        self.epoll
            .add(&listener, Token { space: self.space, key: LISTENER }, Interest::Read)
            .map_err(|error| BindError::Unavailable(path, error))?;
        self.reserve = spare(&listener);
        // Closing the old one ends its registration, but for the spare copy that was just replaced.
        self.door = Door::Open(place, listener);
        Ok(())
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    fn admit_all(&mut self, now: Instant) -> Vec<Incident> {
        let mut incidents = Vec::new();
        for _ in 0..ADMITTED_AT_ONCE {
            let Door::Open(_, listener) = &self.door else { break };
            match listener.accept() {
                Ok((stream, _)) => self.admit(stream, &mut incidents),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if is_passing(&error) => {}
                // There are no descriptors left: one that nobody makes use of will do.
                Err(_) if self.make_room(Use::Unread, &mut incidents) => {}
                Err(_) => {
                    self.send_one_away(now);
                    break;
                }
            }
        }
        incidents
    }

    fn admit(&mut self, stream: UnixStream, incidents: &mut Vec<Incident>) {
        if stream.set_nonblocking(true).is_err() {
            return;
        }
        let permitted = match socket::peer(&stream) {
            Ok(uid) => permitted(uid, self.owner),
            Err(_) => Permitted::No,
        };
        if permitted == Permitted::No {
            let message = format!("not permitted: only root and uid {} may use this foster", self.owner);
            return send_away(stream, Refusal::new(Reason::NotPermitted, message));
        }
        if self.clients.len() >= self.most {
            self.make_room(Use::Waiting, incidents);
        }
        let Some(key) = self.free_key() else { return };
        let client = Connection::new(stream);
        let token = Token { space: self.space, key };
        if self.epoll.add(&client, token, client.watched).is_ok() {
            self.latest = key;
            self.clients.insert(key, client);
        }
    }

    /// Closes the connection that is missed least, and of several the oldest, unless it is of more use than this.
    /// Whether there was one.
    fn make_room(&mut self, at_most: Use, incidents: &mut Vec<Incident>) -> bool {
        let least = self.clients.iter().min_by_key(|(_, client)| client.use_of_it());
        let Some((&key, client)) = least.filter(|(_, client)| client.use_of_it() <= at_most) else {
            return false;
        };
        if client.is_being_answered() {
            incidents.push(Incident::Abandoned(ConnectionId(key)));
        }
        if let Some(client) = self.clients.get_mut(&key) {
            client.dismiss(crowded(&format!("there are {} clients, and another one came", self.most)));
        }
        self.forget(key)
    }

    /// Lets a client in at the cost of the spare descriptor, to tell it that there are none.
    fn send_one_away(&mut self, now: Instant) {
        let Door::Open(place, listener) = std::mem::replace(&mut self.door, Door::Gone) else { return };
        self.reserve = None;
        let accepted = listener.accept();
        let is_stuck = accepted.is_err();
        if let Ok((stream, _)) = accepted {
            send_away(stream, crowded("foster has no descriptors left"));
        }
        self.reserve = spare(&listener);
        self.door = if is_stuck || self.reserve.is_none() {
            // Watched, it would be reported without end.
            let _ = self.epoll.remove(&listener);
            Door::Shut(place, listener, now.plus(RESPITE))
        } else {
            Door::Open(place, listener)
        };
    }

    fn open(&mut self, place: Place, listener: UnixListener, now: Instant) -> Door {
        if self.reserve.is_none() {
            self.reserve = spare(&listener);
        }
        let token = Token { space: self.space, key: LISTENER };
        match self.epoll.add(&listener, token, Interest::Read) {
            Ok(()) => Door::Open(place, listener),
            Err(_) => Door::Shut(place, listener, now.plus(RESPITE)),
        }
    }

    /// The next number, none in use: four thousand million come and go before one is used again.
    fn free_key(&self) -> Option<u32> {
        let later = self.latest.wrapping_add(1)..=u32::MAX;
        let earlier = LISTENER + 1..=self.latest;
        later.chain(earlier).find(|key| *key != LISTENER && !self.clients.contains_key(key))
    }

    /// Tells epoll what to tell of. A client of whom it cannot be told is of no use.
    fn watch(&mut self, key: u32) -> bool {
        let Some(client) = self.clients.get_mut(&key) else { return false };
        let interest = client.interest();
        if interest == client.watched {
            return true;
        }
        let told = self.epoll.modify(&*client, Token { space: self.space, key }, interest);
        client.watched = interest;
        told.is_ok() || !self.forget(key)
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

/// Whether a client may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permitted {
    Yes,
    No,
}

/// The file's mode keeps most others out already; not one that has CAP_DAC_OVERRIDE, or a changed mode.
fn permitted(peer: Uid, owner: Uid) -> Permitted {
    if peer.is_root() || peer == owner { Permitted::Yes } else { Permitted::No }
}

fn most_clients() -> usize {
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    usize::try_from(descriptors / SHARE_OF_DESCRIPTORS)
        .map_or(MOST_CLIENTS, |most| most.clamp(1, MOST_CLIENTS))
}

fn spare(listener: &UnixListener) -> Option<OwnedFd> {
    listener.try_clone().ok().map(OwnedFd::from)
}

/// The error of one client, who is gone already: the next one is not concerned (accept(2)).
fn is_passing(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::Interrupted || kind == io::ErrorKind::ConnectionAborted
}

fn crowded(message: &str) -> Refusal {
    Refusal::new(Reason::TooManyClients, message)
}

/// Says why, as far as it can be said at once, and closes.
fn send_away(mut stream: UnixStream, refusal: Refusal) {
    if stream.set_nonblocking(true).is_ok() {
        let _ = io::Write::write(&mut stream, &Reply::Error(refusal).encode());
    }
}

#[cfg(test)]
mod tests;
