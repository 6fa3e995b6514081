//! foster's end of the control socket.
//!
//! Driven by the one loop in `init/`: each report of epoll in the server's space goes to
//! [`Server::on_ready`], which gives back what happened; answers go out through [`Server::reply`]. Nothing
//! waits, each call does a bounded amount of work, and each client costs a bounded amount of memory. What a
//! request means is not known here. Read `connection` next.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::errno::Errno;
use nix::unistd::Uid;

pub use super::connection::Pace;
use super::connection::{Connection, Step};
use super::protocol::{Reason, Refusal, Reply, Request};
use crate::sys::epoll::{Epoll, Interest, Ready, Space, Token};
use crate::sys::socket;

/// How many clients there may be at once.
pub const MOST_CLIENTS: usize = 256;

/// How many are let in in one turn, so that a crowd holds up nobody.
const ADMITTED_AT_ONCE: usize = 64;

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

/// Why there is no control socket.
#[derive(Debug)]
pub enum BindError {
    /// Another foster answers there: this one must not go on (exit status 1).
    AnotherAnswers(PathBuf),
    /// Something that is no socket is there. It is left alone.
    NotASocket(PathBuf),
    /// The path does not fit a socket's address (unix(7)).
    TooLong(PathBuf),
    /// It cannot be made there: a read-only filesystem, no such directory, no permission. foster can do
    /// without it.
    Unavailable(PathBuf, Errno),
}

/// The listening socket and all who came.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    place: Place,
    owner: Uid,
    epoll: Rc<Epoll>,
    space: Space,
    clients: BTreeMap<u32, Connection>,
    latest: u32,
    /// A descriptor to give up when there are none left, so that a client can be let in and sent away.
    /// Else it would wait in the backlog and be reported without end.
    reserve: Option<OwnedFd>,
}

/// Which file the socket is.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Server {
    /// Listens at `path`, with mode 0700 from the first moment. What a foster that is gone has left there
    /// is replaced. The listener and all clients are watched in `space`, whose keys are the server's.
    ///
    /// # Errors
    /// Only [`BindError::AnotherAnswers`] has to end foster.
    pub fn bind(path: &Path, epoll: Rc<Epoll>, space: Space) -> Result<Server, BindError> {
        let listener = listen(path)?;
        let place = Place { path: path.to_owned(), file: file(path) };
        let unavailable = |error: Errno| BindError::Unavailable(path.to_owned(), error);
        epoll.add(&listener, Token { space, key: LISTENER }, Interest::Read).map_err(unavailable)?;
        let reserve = spare(&listener);
        let (owner, clients) = (Uid::effective(), BTreeMap::new());
        Ok(Server { listener, place, owner, epoll, space, clients, latest: LISTENER, reserve })
    }

    /// Takes a report of epoll in the server's space. One that is out of date is void.
    pub fn on_ready(&mut self, ready: Ready) -> Option<Incident> {
        if ready.token.key == LISTENER {
            self.admit_all();
            return None;
        }
        let key = ready.token.key;
        let id = ConnectionId(key);
        let incident = match self.clients.get_mut(&key)?.turn(ready) {
            Step::Nothing => None,
            Step::Asked(request) => Some(Incident::Requested(id, request)),
            Step::Drained => Some(Incident::Drained(id)),
            Step::Abandoned => {
                self.forget(key);
                return Some(Incident::Abandoned(id));
            }
            Step::Gone => {
                self.forget(key);
                return None;
            }
        };
        if self.watch(key) { incident } else { None }
    }

    /// Says a line of the answer to what this client asked last. [`Reply::End`] and [`Reply::Error`] finish
    /// it. Never waits. A client that lets too much gather is cut off.
    pub fn reply(&mut self, to: ConnectionId, reply: &Reply) -> Pace {
        let Some(client) = self.clients.get_mut(&to.0) else { return Pace::Gone };
        let pace = client.reply(reply);
        if self.watch(to.0) { pace } else { Pace::Gone }
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    fn admit_all(&mut self) {
        for _ in 0..ADMITTED_AT_ONCE {
            match self.listener.accept() {
                Ok((stream, _)) => self.admit(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_passing(&error) => {}
                Err(_) => return self.send_one_away(),
            }
        }
    }

    fn admit(&mut self, stream: UnixStream) {
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
        if self.clients.len() >= MOST_CLIENTS && !self.drop_a_silent_one() {
            return send_away(stream, crowded(&format!("there are {MOST_CLIENTS} clients already")));
        }
        let Some(key) = self.free_key() else { return };
        let client = Connection::new(stream);
        let token = Token { space: self.space, key };
        if self.epoll.add(&client, token, client.watched).is_ok() {
            self.latest = key;
            self.clients.insert(key, client);
        }
    }

    /// The one that has been connected for longest of those who ask nothing has to go: silence must not
    /// keep those out who have something to say.
    fn drop_a_silent_one(&mut self) -> bool {
        let silent = self.clients.iter().find(|(_, client)| client.is_silent()).map(|(&key, _)| key);
        silent.is_some_and(|key| self.forget(key))
    }

    /// Lets a client in at the cost of the spare descriptor, to tell it that there are none.
    fn send_one_away(&mut self) {
        self.reserve = None;
        if let Ok((stream, _)) = self.listener.accept() {
            send_away(stream, crowded("foster has no descriptors left"));
        }
        self.reserve = spare(&self.listener);
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
        let _ = self.epoll.remove(&self.listener);
        // The file may be another foster's by now.
        if self.place.file.is_some() && file(&self.place.path) == self.place.file {
            let _ = std::fs::remove_file(&self.place.path);
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = socket::LONGEST_PATH;
        match self {
            BindError::AnotherAnswers(path) => {
                write!(f, "another foster answers at `{}`", path.display())
            }
            BindError::NotASocket(path) => {
                write!(f, "cannot listen at `{}`: it is there already and is no socket", path.display())
            }
            BindError::TooLong(path) => {
                let length = path.as_os_str().len();
                let path = path.display();
                write!(f, "cannot listen at `{path}`: the path has {length} bytes, at most {longest} fit")
            }
            BindError::Unavailable(path, error) => {
                write!(f, "cannot listen at `{}`: {}", path.display(), error.desc())
            }
        }
    }
}

impl std::error::Error for BindError {}

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

/// Listens, once what is dead is out of the way. Whoever is quicker between two steps wins: after a second
/// try somebody else is there.
fn listen(path: &Path) -> Result<UnixListener, BindError> {
    if path.as_os_str().len() > socket::LONGEST_PATH {
        return Err(BindError::TooLong(path.to_owned()));
    }
    for _ in 0..2 {
        match socket::listen(path) {
            Err(Errno::EADDRINUSE) => clear(path)?,
            Err(error) => return Err(BindError::Unavailable(path.to_owned(), error)),
            Ok(listener) => return Ok(listener),
        }
    }
    Err(BindError::AnotherAnswers(path.to_owned()))
}

/// Removes a socket at which nobody answers, and nothing else.
fn clear(path: &Path) -> Result<(), BindError> {
    let unavailable = |error: Errno| BindError::Unavailable(path.to_owned(), error);
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unavailable(errno(&error))),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match socket::connect(path) {
        // EAGAIN: somebody listens, and does not keep up (connect(2)). EPROTOTYPE: not even a stream.
        Ok(_) | Err(Errno::EAGAIN | Errno::EPROTOTYPE) => Err(BindError::AnotherAnswers(path.to_owned())),
        Err(Errno::ECONNREFUSED) => std::fs::remove_file(path).map_err(|error| unavailable(errno(&error))),
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(unavailable(error)),
    }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

fn file(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
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
