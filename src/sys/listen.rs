//! Listening sockets that are passed to programs: socket(7), ip(7), ipv6(7), unix(7).
//!
//! They block, as servers expect a descriptor that they did not make (sd_listen_fds(3)); foster itself never accepts.
//! Which are opened, and when, is decided in `sockets.rs`.
#![allow(unsafe_code, reason = "nix caps the backlog below what the kernel permits")]

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, setsockopt, socket, sockopt,
};
use nix::sys::stat::{Mode, umask};

use super::socket::address;

/// The options of a TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpOptions {
    /// `SO_REUSEPORT`.
    pub reuseport: bool,
    /// `IPV6_V6ONLY`; an IPv4 socket has no such option.
    pub v6only: bool,
}

/// Binds a TCP socket. A port that only closed connections still use (TIME_WAIT) is free.
///
/// # Errors
/// bind(2): EADDRINUSE, EACCES for a privileged port, EADDRNOTAVAIL; EAFNOSUPPORT without IPv6.
pub fn bind_tcp(at: SocketAddr, options: TcpOptions) -> nix::Result<OwnedFd> {
    let family = if at.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet };
    let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&socket, sockopt::ReuseAddr, &true)?;
    if options.reuseport {
        setsockopt(&socket, sockopt::ReusePort, &true)?;
    }
    if at.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &options.v6only)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(at))?;
    Ok(socket)
}

/// Binds a Unix socket at a path or abstract name; a file has exactly this mode from its first moment.
///
/// # Errors
/// bind(2): EADDRINUSE where something is at the path already, ENOENT, EACCES, EROFS, ENAMETOOLONG.
pub fn bind_unix(at: &Path, mode: Mode) -> nix::Result<OwnedFd> {
    let address = address(at)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // foster has one thread: no other file is made meanwhile.
    let own = umask(mode.complement());
    let bound = bind(socket.as_raw_fd(), &address);
    umask(own);
    bound.map(|()| socket)
}

/// Listens, with this many connections that can wait, or changes that number of a socket that listens already. The
/// kernel reduces it to `net.core.somaxconn`.
///
/// # Errors
/// listen(2): EADDRINUSE where another socket at the address listens.
pub fn listen(socket: BorrowedFd<'_>, backlog: Option<u32>) -> nix::Result<()> {
    let backlog = backlog.and_then(|backlog| i32::try_from(backlog).ok()).unwrap_or(i32::MAX);
    // SAFETY: listen takes two numbers.
    Errno::result(unsafe { libc::listen(socket.as_raw_fd(), backlog) }).map(drop)
}

/// Makes accept(2) block again where a program has changed that: the flag belongs to the socket, not to the process.
///
/// # Errors
/// None for a socket that is open.
pub fn set_blocking(socket: BorrowedFd<'_>) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL)?);
    if flags.contains(OFlag::O_NONBLOCK) {
        fcntl(socket, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    }
    Ok(())
}
