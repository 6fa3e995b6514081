//! Unix stream sockets by path or by abstract name: unix(7).
//!
//! The standard library has no socket file that is private when it is created, no connect that cannot block, and no
//! credentials of the peer. `control/` decides which clients are answered.

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket as sys;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, sockopt};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid};

use crate::errno;

/// The longest path of a socket's address, in bytes: `sun_path` has 108, one of them for the final NUL (unix(7)).
pub const MAX_PATH: usize = 107;

/// Creates a listening socket at `path`: with mode 0700 from its creation, non-blocking, CLOEXEC.
///
/// # Errors
/// bind(2): EADDRINUSE if the path exists, ENOENT, EACCES, EROFS, ENAMETOOLONG.
pub fn listen(path: &Path) -> nix::Result<UnixListener> {
    let socket = new()?;
    // Linux's bind(2) creates the file with the mode of the socket (`unix_bind_bsd`), so other users can never connect,
    // and the process's umask is not changed.
    if !is_abstract(path) {
        fchmod(&socket, Mode::S_IRWXU)?;
    }
    sys::bind(socket.as_raw_fd(), &address(path)?)?;
    sys::listen(&socket, Backlog::MAXCONN)?;
    Ok(UnixListener::from(socket))
}

/// Creates a listening socket with an abstract name that the kernel chooses (unix(7), "Autobind feature"): non-blocking,
/// CLOEXEC.
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM; EPERM or EACCES where a sandbox forbids it.
pub fn listen_anywhere() -> nix::Result<(UnixListener, PathBuf)> {
    let socket = new()?;
    sys::bind(socket.as_raw_fd(), &UnixAddr::new_unnamed())?;
    sys::listen(&socket, Backlog::MAXCONN)?;
    let address: UnixAddr = sys::getsockname(socket.as_raw_fd())?;
    let name = address.as_abstract().ok_or(Errno::EADDRNOTAVAIL)?;
    let path = [b"@", name].concat();
    Ok((UnixListener::from(socket), PathBuf::from(OsString::from_vec(path))))
}

/// Connects to the socket at `path` without waiting. The connection is non-blocking, CLOEXEC.
///
/// # Errors
/// connect(2): ECONNREFUSED without a listener, EAGAIN if the listener's backlog is full,
/// ENOENT, EACCES, ENAMETOOLONG.
pub fn connect(path: &Path) -> nix::Result<UnixStream> {
    let socket = new()?;
    sys::connect(socket.as_raw_fd(), &address(path)?)?;
    Ok(UnixStream::from(socket))
}

/// The same, but waits at most this long for a place in a full backlog.
///
/// # Errors
/// As [`connect`]; EAGAIN if there was no place in time.
pub fn connect_within(path: &Path, patience: Duration) -> nix::Result<UnixStream> {
    let socket = UnixStream::from(unconnected()?);
    // The timeout also limits connect(2) (`unix_stream_connect`).
    socket.set_write_timeout(Some(patience)).map_err(|error| errno::of(&error))?;
    sys::connect(socket.as_raw_fd(), &address(path)?)?;
    Ok(socket)
}

/// A blocking socket that is not connected, CLOEXEC. Where a process and its child have it, a connection by one of them is
/// that of both: connect(2) acts on the open file.
///
/// # Errors
/// socket(2): EMFILE, ENFILE, ENOMEM.
pub fn unconnected() -> nix::Result<OwnedFd> {
    sys::socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)
}

/// Connects it to the socket at `path`.
///
/// # Errors
/// As [`connect`].
pub fn connect_it(socket: OwnedFd, path: &Path) -> nix::Result<UnixStream> {
    sys::connect(socket.as_raw_fd(), &address(path)?)?;
    Ok(UnixStream::from(socket))
}

fn new() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    sys::socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// Whether a path names an abstract socket (unix(7)): `@name`, as ss(8) and systemd write it. Without a file it has neither
/// an owner nor a mode: every process of the network namespace may connect.
pub fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_bytes().starts_with(b"@")
}

/// An empty path is refused: the kernel would choose an abstract name itself (unix(7)).
pub(super) fn address(path: &Path) -> nix::Result<UnixAddr> {
    match path.as_os_str().as_bytes() {
        [] => Err(Errno::ENOENT),
        [b'@', name @ ..] => UnixAddr::new_abstract(name),
        _ => UnixAddr::new(path),
    }
}

/// The peer's process at the time of its connect or listen (`SO_PEERCRED`, unix(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its effective uid.
    pub uid: Uid,
    /// Its effective gid.
    pub gid: Gid,
    /// Its pid; 0 if it is in a PID namespace that this process does not see.
    pub pid: i32,
}

/// Returns the peer's process.
///
/// # Errors
/// getsockopt(2).
pub fn peer(stream: &UnixStream) -> nix::Result<Peer> {
    let credentials = sys::getsockopt(stream, sockopt::PeerCredentials)?;
    let (uid, gid) = (Uid::from_raw(credentials.uid()), Gid::from_raw(credentials.gid()));
    Ok(Peer { uid, gid, pid: credentials.pid() })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_new_socket_is_private_to_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _listener = listen(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_connect_never_waits_even_if_no_process_accepts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _listener = listen(&path).unwrap();
        let _first = connect(&path).unwrap();
        assert_eq!(connect(&directory.path().join("none")).unwrap_err(), Errno::ENOENT);
    }

    #[test]
    fn connect_within_waits_for_a_full_backlog_until_its_timeout() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = new().unwrap();
        sys::bind(listener.as_raw_fd(), &address(&path).unwrap()).unwrap();
        sys::listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let _only = connect(&path).unwrap();
        assert_eq!(connect(&path).unwrap_err(), Errno::EAGAIN);
        let short = Duration::from_millis(10);
        assert_eq!(connect_within(&path, short).unwrap_err(), Errno::EAGAIN);
        let listener = UnixListener::from(listener);
        std::thread::scope(|scope| {
            let late = scope.spawn(|| connect_within(&path, Duration::from_secs(20)));
            while listener.accept().is_err() {}
            late.join().unwrap().unwrap();
        });
    }

    #[test]
    fn the_peer_has_a_uid_gid_and_pid() {
        let (one, _other) = UnixStream::pair().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(peer(&one).unwrap(), Peer { uid: Uid::effective(), gid: Gid::effective(), pid: own });
    }

    #[test]
    fn the_longest_path_is_that_of_the_kernel() {
        let directory = tempfile::tempdir().unwrap();
        let room = MAX_PATH - directory.path().as_os_str().len() - 1;
        assert!(listen(&directory.path().join("x".repeat(room))).is_ok());
        let longer = directory.path().join("x".repeat(room + 1));
        assert_eq!(listen(&longer).unwrap_err(), Errno::ENAMETOOLONG);
    }

    #[test]
    fn an_abstract_socket_has_no_file_and_ends_with_its_listener() {
        let path = Path::new("@foster-test-of-an-abstract-socket");
        let listener = listen(path).unwrap();
        assert!(connect(path).is_ok());
        assert!(!path.exists());
        assert_eq!(listen(path).unwrap_err(), Errno::EADDRINUSE);
        drop(listener);
        assert_eq!(connect(path).unwrap_err(), Errno::ECONNREFUSED);
    }

    #[test]
    fn an_empty_path_is_refused() {
        assert_eq!(listen(Path::new("")).unwrap_err(), Errno::ENOENT);
        assert_eq!(connect(Path::new("")).unwrap_err(), Errno::ENOENT);
    }

    #[test]
    fn a_path_with_a_nul_is_refused() {
        assert!(listen(Path::new("\0foster")).is_err());
        assert!(connect(Path::new("\0foster")).is_err());
    }
}
