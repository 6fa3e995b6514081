//! Non-blocking connections: socket(2), connect(2).
//!
//! The socket of a TCP connection becomes writable when the attempt has ended, and [`finish`] returns the outcome. The
//! outcome of a Unix connection is known at once. Nothing here resolves names or blocks.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, UnixAddr, connect, getpeername, getsockname,
    getsockopt, setsockopt, socket, sockopt,
};

/// Starts a TCP connection. The stream is non-blocking; call [`finish`] when it is writable.
///
/// # Errors
/// socket(2): EMFILE, ENFILE, ENOBUFS, EAFNOSUPPORT. connect(2): errors that are known at once, such as
/// ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL.
pub fn start(address: SocketAddr) -> nix::Result<TcpStream> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let fd = stream_socket(family)?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(address)) {
        // The kernel continues even after EINTR: connect(2).
        Ok(()) | Err(Errno::EINPROGRESS | Errno::EINTR) => Ok(TcpStream::from(fd)),
        Err(error) => Err(error),
    }
}

/// Returns the outcome of a connection from [`start`] whose stream is writable.
///
/// # Errors
/// Those of connect(2), from `SO_ERROR` (socket(7)).
pub fn finish(stream: &TcpStream) -> nix::Result<()> {
    match getsockopt(stream, sockopt::SocketError)? {
        0 => refuse_self_connection(stream),
        number => Err(Errno::from_raw(number)),
    }
}

/// Connects to a listening Unix socket and closes the connection, without blocking.
///
/// # Errors
/// socket(2): EMFILE, ENFILE. ENAMETOOLONG beyond 107 bytes (unix(7)). connect(2): ENOENT, EACCES,
/// ECONNREFUSED, EPROTOTYPE; EAGAIN when the listener's queue is full.
pub fn try_unix(path: &Path) -> nix::Result<()> {
    let address = UnixAddr::new(path)?;
    let fd = stream_socket(AddressFamily::Unix)?;
    connect(fd.as_raw_fd(), &address)
}

fn stream_socket(family: AddressFamily) -> nix::Result<OwnedFd> {
    socket(family, SockType::Stream, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, None)
}

/// If no process listens at a port of the range for outgoing connections, the kernel may assign that port to the
/// connecting socket, and TCP's simultaneous open connects the socket to itself. This counts as refused. With a linger
/// of zero (socket(7)) closing resets the connection, so that no TIME_WAIT blocks the port for the program.
fn refuse_self_connection(stream: &TcpStream) -> nix::Result<()> {
    let own: SockaddrStorage = getsockname(stream.as_raw_fd())?;
    let peer: SockaddrStorage = getpeername(stream.as_raw_fd())?;
    if own != peer {
        return Ok(());
    }
    setsockopt(stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    Err(Errno::ECONNREFUSED)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use nix::sys::socket::bind;

    use super::*;

    #[test]
    fn a_connection_to_itself_is_refused_and_frees_the_port() {
        let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let any = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        bind(fd.as_raw_fd(), &any).unwrap();
        let own: SockaddrStorage = getsockname(fd.as_raw_fd()).unwrap();
        connect(fd.as_raw_fd(), &own).unwrap();
        let stream = TcpStream::from(fd);
        let address = stream.local_addr().unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);

        assert_eq!(finish(&stream), Err(Errno::ECONNREFUSED));
        drop(stream);
        let strict = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
        assert_eq!(bind(strict.as_raw_fd(), &SockaddrStorage::from(address)), Ok(()));
    }

    #[test]
    fn a_connection_to_a_listener_succeeds() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = start(listener.local_addr().unwrap()).unwrap();
        let _accepted = listener.accept().unwrap();
        assert_eq!(finish(&stream), Ok(()));
    }

    #[test]
    fn a_path_that_no_unix_address_can_hold_is_an_error() {
        assert_eq!(try_unix(Path::new(&"x".repeat(108))), Err(Errno::ENAMETOOLONG));
        assert_eq!(try_unix(Path::new("a\0b")), Err(Errno::EINVAL));
    }
}
