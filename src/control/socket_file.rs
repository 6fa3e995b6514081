//! The control socket's file. A live supervisor's socket is never replaced, a stale one is, and any other file is left
//! alone.
//!
//! Others may remove or replace the file while foster runs; foster recognises it by device and inode. If no file can be
//! created, foster uses the abstract socket of [`fallback`].

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::Uid;

use crate::errno;
use crate::sys::socket;

/// Why there is no control socket.
#[derive(Debug)]
pub enum BindError {
    /// Another foster listens there: this one must exit (with status 1).
    AnotherListens {
        /// The socket.
        path: PathBuf,
        /// Its pid; `None`: it is in another PID namespace.
        pid: Option<i32>,
    },
    /// The file there is not a socket. It is left alone.
    NotASocket(PathBuf),
    /// The path does not fit a socket's address (unix(7)).
    TooLong(PathBuf),
    /// It cannot be created there: a read-only file system, no such directory, no permission.
    Unavailable(PathBuf, Errno),
}

/// The file of the listening socket; an abstract one has none.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl SocketFile {
    /// Listens there.
    pub(super) fn take(path: &Path) -> Result<(SocketFile, UnixListener), BindError> {
        let listener = listen(path)?;
        Ok((SocketFile { path: path.to_owned(), file: file(path) }, listener))
    }

    /// Whether the path still refers to this socket.
    pub(super) fn is_held(&self) -> bool {
        socket::is_abstract(&self.path) || (self.file.is_some() && file(&self.path) == self.file)
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Meanwhile the file may belong to another foster.
        if self.file.is_some() && self.is_held() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = socket::MAX_PATH;
        match self {
            BindError::AnotherListens { path, pid } => {
                let pid = pid.map_or(String::new(), |pid| format!(" (PID {pid})"));
                write!(
                    f,
                    "already running here{pid}, at `{}`: `foster status` shows it, `foster help` has the verbs",
                    path.display()
                )
            }
            BindError::NotASocket(path) => {
                write!(f, "cannot listen at `{}`: the file there is not a socket", path.display())
            }
            BindError::TooLong(path) => {
                let length = path.as_os_str().len();
                let path = path.display();
                write!(f, "cannot listen at `{path}`: the path has {length} bytes, at most {longest} fit")
            }
            BindError::Unavailable(path, error) => {
                write!(f, "cannot listen at `{}`: {}", path.display(), errno::text(*error))
            }
        }
    }
}

impl std::error::Error for BindError {}

/// Listens, after removing a stale socket. Another foster may start between the two steps: if the second attempt fails
/// too, one is running.
fn listen(path: &Path) -> Result<UnixListener, BindError> {
    if path.as_os_str().len() > socket::MAX_PATH {
        return Err(BindError::TooLong(path.to_owned()));
    }
    for _ in 0..2 {
        match socket::listen(path) {
            Err(Errno::EADDRINUSE) => clear(path)?,
            Err(error) => return Err(BindError::Unavailable(path.to_owned(), error)),
            Ok(listener) => return Ok(listener),
        }
    }
    Err(BindError::AnotherListens { path: path.to_owned(), pid: None })
}

/// The abstract socket of a foster that cannot create a file. Its name has the user and the PID namespace, so that two
/// containers that share a network do not collide and clients can find it.
pub fn fallback(user: Uid) -> PathBuf {
    // Without /proc there is no inode, for the client neither.
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino());
    PathBuf::from(format!("@foster-{user}-{namespace}"))
}

/// Removes a socket at which no process listens, and nothing else.
fn clear(path: &Path) -> Result<(), BindError> {
    let unavailable = |error: Errno| BindError::Unavailable(path.to_owned(), error);
    match std::fs::symlink_metadata(path) {
        _ if socket::is_abstract(path) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unavailable(errno::of(&error))),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match socket::connect(path) {
        Ok(stream) => {
            let pid = socket::peer(&stream).ok().map(|peer| peer.pid).filter(|pid| *pid > 0);
            Err(BindError::AnotherListens { path: path.to_owned(), pid })
        }
        // EAGAIN: the listener's backlog is full (connect(2)). EPROTOTYPE: not a stream socket.
        Err(Errno::EAGAIN | Errno::EPROTOTYPE) => {
            Err(BindError::AnotherListens { path: path.to_owned(), pid: None })
        }
        Err(Errno::ECONNREFUSED) if socket::is_abstract(path) => Ok(()),
        Err(Errno::ECONNREFUSED) => {
            std::fs::remove_file(path).map_err(|error| unavailable(errno::of(&error)))
        }
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(unavailable(error)),
    }
}

fn file(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}
