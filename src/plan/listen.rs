//! The listening sockets of a program: where each listens, and with which options.
//!
//! Plain data. foster opens them (`sockets.rs`); a program gets them as descriptors.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Account, HttpProbe, Probe};

/// A listening socket of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSocket {
    /// Where it listens. Programs that name the same address share the socket, with the same options.
    pub address: ListenAddress,
    /// Its options.
    pub options: ListenOptions,
    /// Its name in `LISTEN_FDNAMES`.
    pub name: String,
}

impl ListenSocket {
    /// The descriptor of a program's first socket; the others follow it (sd_listen_fds(3)).
    pub const FIRST_DESCRIPTOR: i32 = 3;

    /// The first descriptor after those of these sockets.
    pub fn first_descriptor_after(sockets: &[ListenSocket]) -> i32 {
        (Self::FIRST_DESCRIPTOR..).nth(sockets.len()).unwrap_or(Self::FIRST_DESCRIPTOR)
    }

    /// Whether this probe asks at this socket: any process that has it may answer.
    pub fn is_asked_by(&self, probe: &Probe) -> bool {
        match (probe, &self.address) {
            (
                Probe::Tcp(asked) | Probe::Http(HttpProbe { address: asked, .. }),
                ListenAddress::Tcp(address),
            ) => asked.port() == address.port(),
            (Probe::Unix(asked), ListenAddress::Unix(path)) => asked == path,
            (
                Probe::Tcp(_)
                | Probe::Http(_)
                | Probe::Unix(_)
                | Probe::Exec(_)
                | Probe::File(_)
                | Probe::Log(_)
                | Probe::Notify
                | Probe::Fd(_)
                | Probe::Ipc,
                ListenAddress::Tcp(_) | ListenAddress::Unix(_),
            ) => false,
        }
    }
}

/// The address of a listening socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ListenAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// A Unix socket: an absolute path, or `@` and an abstract name (unix(7)).
    Unix(PathBuf),
}

/// The options of a listening socket. Those of another kind of address have their default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenOptions {
    /// How many connections can wait (listen(2)); `None`: as many as the kernel permits.
    pub backlog: Option<u32>,
    /// Whether other processes can listen at the same address (`SO_REUSEPORT`, socket(7)).
    pub reuseport: bool,
    /// Whether an IPv6 socket refuses IPv4 (`IPV6_V6ONLY`, ipv6(7)).
    pub v6only: bool,
    /// The mode of a Unix socket's file.
    pub mode: u32,
    /// Its owner; `None`: foster's user.
    pub user: Option<Account>,
    /// Its group; `None`: the owner's primary group, or foster's group.
    pub group: Option<Account>,
}

impl Default for ListenOptions {
    fn default() -> ListenOptions {
        ListenOptions { backlog: None, reuseport: false, v6only: false, mode: 0o666, user: None, group: None }
    }
}

/// As in a configuration, without options.
impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => write!(f, "tcp://{address}"),
            ListenAddress::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}
