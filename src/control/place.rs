//! The place of the control socket: a path, where the socket of a foster that answers is never taken, that of a
//! dead one is, and what is no socket is left alone.
//!
//! The file may be removed or replaced by others while foster lives; it is known by its device and inode.

use std::fmt;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::sys::socket;

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

/// Which file the socket is.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Place {
    /// Listens there.
    pub(super) fn take(path: &Path) -> Result<(Place, UnixListener), BindError> {
        let listener = listen(path)?;
        Ok((Place { path: path.to_owned(), file: file(path) }, listener))
    }

    /// Whether what is at the path is still this socket.
    pub(super) fn is_held(&self) -> bool {
        self.file.is_some() && file(&self.path) == self.file
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The file may be another foster's by now.
        if self.is_held() {
            let _ = std::fs::remove_file(&self.path);
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
