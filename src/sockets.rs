//! The listening sockets of programs. foster opens them and keeps them open while programs crash, restart and change, so
//! that a connection waits in the backlog and is not refused.
//!
//! A socket is known by its address, and programs that name the same address share it. Who needs one, and when it is
//! opened and closed, is decided in `init/listening.rs`. foster never accepts a connection. Next: `sys/listen.rs`.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use foster_core::sorted::SortedMap;
use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid};

use crate::errno;
use crate::plan::{ListenAddress, ListenOptions};
use crate::sys::listen::{self, TcpOptions};
use crate::sys::socket_file::{BindError, SocketFile};

/// The sockets that are open, by address.
#[derive(Debug, Default)]
pub struct Sockets {
    open: SortedMap<ListenAddress, Listener>,
    /// Whether others are open than at the last [`Sockets::take_change`].
    has_changed: bool,
}

/// A socket that listens.
#[derive(Debug)]
struct Listener {
    /// Shared with a start under way.
    socket: Rc<OwnedFd>,
    options: ListenOptions,
    owner: FileOwner,
    /// `None`: TCP.
    file: Option<SocketFile>,
}

/// The owner of a Unix socket's file; `None`: foster's user or group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileOwner {
    /// The user.
    pub user: Option<Uid>,
    /// The group.
    pub group: Option<Gid>,
}

/// Why a socket cannot be opened, or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenError {
    /// The socket.
    pub address: ListenAddress,
    /// The reason.
    pub reason: Reason,
}

/// The reason why a socket cannot be opened, or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Its file cannot be created.
    File(BindError),
    /// A system error.
    System(Errno),
    /// Its file cannot be given to its user or group.
    Owner(Errno),
    /// This option of a socket that is open cannot change.
    Fixed(&'static str),
}

impl Sockets {
    /// The socket at this address, if it is open. One whose file was removed or replaced is not: connections do not reach
    /// it.
    pub fn get(&self, address: &ListenAddress) -> Option<&Rc<OwnedFd>> {
        let listener = self.open.get(address)?;
        listener.file.as_ref().is_none_or(SocketFile::is_held).then_some(&listener.socket)
    }

    /// The options of the socket at this address, if it is open.
    pub fn options(&self, address: &ListenAddress) -> Option<&ListenOptions> {
        self.open.get(address).map(|listener| &listener.options)
    }

    /// The owner of the file of the socket at this address.
    pub fn owner(&self, address: &ListenAddress) -> FileOwner {
        self.open.get(address).map(|listener| listener.owner).unwrap_or_default()
    }

    /// The addresses of all that are open.
    pub fn addresses(&self) -> impl Iterator<Item = &ListenAddress> {
        self.open.keys()
    }

    /// Opens the socket at this address, in place of one whose file is gone.
    ///
    /// # Errors
    /// Why it cannot be opened; then nothing has changed.
    pub fn open(
        &mut self,
        address: &ListenAddress,
        options: &ListenOptions,
        owner: FileOwner,
    ) -> Result<Rc<OwnedFd>, ListenError> {
        let refused = |reason| ListenError { address: address.clone(), reason };
        let (socket, file) = match address {
            ListenAddress::Tcp(at) => {
                let ListenOptions { reuseport, v6only, .. } = *options;
                let socket = listen::bind_tcp(*at, TcpOptions { reuseport, v6only });
                (socket.map_err(|errno| refused(Reason::System(errno)))?, None)
            }
            ListenAddress::Unix(path) => {
                let bind = |path: &Path| listen::bind_unix(path, Mode::from_bits_truncate(options.mode));
                let (file, socket) =
                    SocketFile::take(path, bind).map_err(|error| refused(Reason::File(error)))?;
                if owner != FileOwner::default() {
                    let changed = file.change_owner(owner.user, owner.group);
                    changed.map_err(|errno| refused(Reason::Owner(errno)))?;
                }
                (socket, Some(file))
            }
        };
        listen::listen(socket.as_fd(), options.backlog).map_err(|errno| refused(Reason::System(errno)))?;
        let socket = Rc::new(socket);
        let listener = Listener { socket: Rc::clone(&socket), options: options.clone(), owner, file };
        self.insert(address.clone(), listener);
        Ok(socket)
    }

    /// Takes a socket at this address that is open already.
    pub fn adopt(
        &mut self,
        address: &ListenAddress,
        options: &ListenOptions,
        owner: FileOwner,
        socket: OwnedFd,
    ) {
        let file = match address {
            ListenAddress::Tcp(_) => None,
            ListenAddress::Unix(path) => Some(SocketFile::there(path)),
        };
        let listener = Listener { socket: Rc::new(socket), options: options.clone(), owner, file };
        self.insert(address.clone(), listener);
    }

    fn insert(&mut self, address: ListenAddress, listener: Listener) {
        self.open.insert(address, listener);
        self.has_changed = true;
    }

    /// The sockets that are open, if these are others than at the last call.
    pub fn take_change(&mut self) -> Option<impl Iterator<Item = (&ListenAddress, BorrowedFd<'_>)>> {
        let has_changed = std::mem::take(&mut self.has_changed);
        has_changed.then(|| self.open.iter().map(|(address, listener)| (address, listener.socket.as_fd())))
    }

    /// Changes the options of a socket that is open.
    ///
    /// # Errors
    /// Why they cannot change; those that could have changed.
    pub fn change(
        &mut self,
        address: &ListenAddress,
        options: &ListenOptions,
        owner: FileOwner,
    ) -> Result<(), ListenError> {
        let refused = |reason| ListenError { address: address.clone(), reason };
        let Some(listener) = self.open.get_mut(address) else { return Ok(()) };
        let before = &listener.options;
        if before.reuseport != options.reuseport {
            return Err(refused(Reason::Fixed("reuseport")));
        }
        if before.v6only != options.v6only {
            return Err(refused(Reason::Fixed("v6only")));
        }
        if before.backlog != options.backlog {
            let changed = listen::listen(listener.socket.as_fd(), options.backlog);
            changed.map_err(|errno| refused(Reason::System(errno)))?;
        }
        if let Some(file) = &listener.file {
            if before.mode != options.mode {
                let changed = file.change_mode(Mode::from_bits_truncate(options.mode));
                changed.map_err(|errno| refused(Reason::System(errno)))?;
            }
            if listener.owner != owner {
                let user = owner.user.unwrap_or_else(Uid::effective);
                let group = owner.group.unwrap_or_else(Gid::effective);
                let changed = file.change_owner(Some(user), Some(group));
                changed.map_err(|errno| refused(Reason::Owner(errno)))?;
            }
        }
        listener.owner = owner;
        options.clone_into(&mut listener.options);
        Ok(())
    }

    /// Takes these over.
    pub fn add(&mut self, others: Sockets) {
        for (address, listener) in others.open {
            self.insert(address, listener);
        }
    }

    /// Closes the others. The file of a Unix socket goes with it.
    pub fn retain(&mut self, is_needed: impl Fn(&ListenAddress) -> bool) {
        self.open.retain(|address, _| is_needed(address));
        self.has_changed = true;
    }
}

/// Makes accept(2) block again where an earlier program has changed that.
pub fn set_blocking(socket: BorrowedFd<'_>) {
    // It is open, so there is no error.
    let _ = listen::set_blocking(socket);
}

impl ListenError {
    /// The system error, if it is one.
    pub fn errno(&self) -> Option<Errno> {
        match &self.reason {
            Reason::System(errno) | Reason::Owner(errno) | Reason::File(BindError::Unavailable(_, errno)) => {
                Some(*errno)
            }
            Reason::File(BindError::AnotherListens { .. }) => Some(Errno::EADDRINUSE),
            Reason::File(BindError::NotASocket(_) | BindError::TooLong(_)) => Some(Errno::EINVAL),
            Reason::Fixed(_) => None,
        }
    }

    /// The remedy, if it is known.
    pub fn remedy(&self) -> &'static str {
        match (&self.reason, &self.address) {
            (Reason::Fixed(_), _) => "remove the socket by one update and add it by the next",
            (Reason::Owner(Errno::EPERM), _) => "CAP_CHOWN is missing",
            (Reason::System(Errno::EADDRINUSE), ListenAddress::Tcp(_)) => {
                "stop the other server, or use another port"
            }
            (Reason::System(Errno::EACCES), ListenAddress::Tcp(_)) => {
                "a port below `net.ipv4.ip_unprivileged_port_start` (1024) needs CAP_NET_BIND_SERVICE"
            }
            (Reason::System(Errno::EADDRNOTAVAIL | Errno::EAFNOSUPPORT), ListenAddress::Tcp(at)) => {
                match at.is_ipv6() {
                    true => "no interface has this address, or IPv6 is disabled here",
                    false => "no interface has this address",
                }
            }
            (Reason::System(Errno::EMFILE), _) => "foster's limit `nofile` is reached",
            (Reason::File(BindError::Unavailable(_, Errno::EROFS | Errno::EACCES | Errno::ENOENT)), _) => {
                "its directory must exist and be writable for foster; `unix://@name` needs none"
            }
            (Reason::File(BindError::NotASocket(_)), _) => {
                "foster does not replace it: remove it, or use another path"
            }
            (Reason::System(_) | Reason::Owner(_) | Reason::File(_), _) => "",
        }
    }
}

/// Without the remedy.
impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListenError { address, reason } = self;
        match reason {
            Reason::File(error) => write!(f, "listening at `{address}`: {}", error.reason()),
            Reason::System(errno) => write!(f, "listening at `{address}`: {}", errno::text(*errno)),
            Reason::Owner(errno) => {
                write!(f, "giving `{address}` to its user and group: {}", errno::text(*errno))
            }
            Reason::Fixed(option) => {
                write!(f, "changing `{option}` of `{address}`: it is fixed while the socket is open")
            }
        }
    }
}
