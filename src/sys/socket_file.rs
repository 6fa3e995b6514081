//! The file of a listening Unix socket. A live server's socket is never replaced, a stale one is, and any other file is
//! left alone.
//!
//! Others may remove or replace the file while foster runs; foster recognises it by device and inode. Each step looks at
//! the entry of one directory that is open meanwhile: a directory that a program's user exchanges for a link leads foster,
//! which may be root, to no other file. Next: `control/server.rs` and `sockets.rs`, which listen.

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag, fchmodat, fstat, fstatat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchownat, unlinkat};

use crate::errno;
use crate::sys::socket;

/// Why there is no socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindError {
    /// Another process listens there.
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
pub struct SocketFile {
    path: PathBuf,
    file: Option<(libc::dev_t, libc::ino_t)>,
}

/// The entry of a directory that is open.
struct Entry<'p> {
    directory: OwnedFd,
    name: &'p OsStr,
}

impl SocketFile {
    /// Binds a socket there, after removing a stale one. Another process may listen between the two steps: if the second
    /// attempt fails too, one does.
    ///
    /// # Errors
    /// Why `bind` cannot.
    pub fn take<T>(
        path: &Path,
        bind: impl Fn(&Path) -> nix::Result<T>,
    ) -> Result<(SocketFile, T), BindError> {
        if path.as_os_str().len() > socket::MAX_PATH {
            return Err(BindError::TooLong(path.to_owned()));
        }
        for _ in 0..2 {
            match bind(path) {
                Err(Errno::EADDRINUSE) => clear(path)?,
                Err(error) => return Err(BindError::Unavailable(path.to_owned(), error)),
                Ok(socket) => return Ok((SocketFile { path: path.to_owned(), file: file(path) }, socket)),
            }
        }
        Err(BindError::AnotherListens { path: path.to_owned(), pid: None })
    }

    /// The file of a socket that is there.
    pub fn there(path: &Path) -> SocketFile {
        SocketFile { path: path.to_owned(), file: file(path) }
    }

    /// Whether the path still refers to this socket.
    pub fn is_held(&self) -> bool {
        socket::is_abstract(&self.path) || (self.file.is_some() && file(&self.path) == self.file)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file to a user and a group.
    ///
    /// # Errors
    /// EPERM without CAP_CHOWN; ENOENT where the path refers to another file.
    pub fn change_owner(&self, user: Option<Uid>, group: Option<Gid>) -> nix::Result<()> {
        let entry = Entry::of(&self.path)?;
        // Of this descriptor it is certain which file it is.
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let socket = openat(&entry.directory, entry.name, flags, Mode::empty())?;
        if self.file != Some(identity(&fstat(&socket)?)) {
            return Err(Errno::ENOENT);
        }
        fchownat(&socket, "", user, group, AtFlags::AT_EMPTY_PATH)
    }

    /// Changes the mode of the file.
    ///
    /// # Errors
    /// EPERM where it is another user's; ENOENT where the path refers to another file; ENOTSUP without /proc.
    pub fn change_mode(&self, mode: Mode) -> nix::Result<()> {
        let entry = Entry::of(&self.path)?;
        if self.file != Some(identity(&entry.stat()?)) {
            return Err(Errno::ENOENT);
        }
        fchmodat(&entry.directory, entry.name, mode, FchmodatFlags::NoFollowSymlink)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Meanwhile the file may be of another process.
        if let (Some(own), Ok(entry)) = (self.file, Entry::of(&self.path))
            && entry.stat().is_ok_and(|stat| identity(&stat) == own)
        {
            let _ = entry.remove();
        }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (BindError::AnotherListens { path, .. }
        | BindError::NotASocket(path)
        | BindError::TooLong(path)
        | BindError::Unavailable(path, _)) = self;
        write!(f, "cannot listen at `{}`: {}", path.display(), self.reason())
    }
}

impl std::error::Error for BindError {}

impl BindError {
    /// The reason, for a sentence that names the path.
    pub fn reason(&self) -> String {
        match self {
            BindError::AnotherListens { pid: Some(pid), .. } => {
                format!("another process listens there (PID {pid})")
            }
            BindError::AnotherListens { pid: None, .. } => "another process listens there".to_owned(),
            BindError::NotASocket(_) => "the file there is not a socket".to_owned(),
            BindError::TooLong(path) => {
                let (length, longest) = (path.as_os_str().len(), socket::MAX_PATH);
                format!("the path has {length} bytes, at most {longest} fit")
            }
            BindError::Unavailable(_, error) => errno::text(*error),
        }
    }
}

impl<'p> Entry<'p> {
    fn of(path: &'p Path) -> nix::Result<Entry<'p>> {
        let name = path.file_name().ok_or(Errno::EISDIR)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            Some(_) | None => Path::new("."),
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Entry { directory: open(folder, flags, Mode::empty())?, name })
    }

    /// What the entry is; a link is not followed.
    fn stat(&self) -> nix::Result<FileStat> {
        fstatat(&self.directory, self.name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    fn remove(&self) -> nix::Result<()> {
        unlinkat(&self.directory, self.name, UnlinkatFlags::NoRemoveDir)
    }
}

/// Removes a socket at which no process listens, and nothing else.
fn clear(path: &Path) -> Result<(), BindError> {
    let unavailable = |error: Errno| BindError::Unavailable(path.to_owned(), error);
    let entry = match path.as_os_str().as_bytes() {
        [b'@', ..] => None,
        _ => Some(Entry::of(path).map_err(unavailable)?),
    };
    match entry.as_ref().map(Entry::stat) {
        None => {}
        Some(Err(Errno::ENOENT)) => return Ok(()),
        Some(Err(error)) => return Err(unavailable(error)),
        Some(Ok(stat)) if !is_socket(&stat) => return Err(BindError::NotASocket(path.to_owned())),
        Some(Ok(_)) => {}
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
        Err(Errno::ECONNREFUSED) => entry.map_or(Ok(()), |entry| entry.remove().map_err(unavailable)),
        Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(unavailable(error)),
    }
}

fn file(path: &Path) -> Option<(libc::dev_t, libc::ino_t)> {
    let stat = Entry::of(path).and_then(|entry| entry.stat()).ok()?;
    is_socket(&stat).then(|| identity(&stat))
}

fn identity(stat: &FileStat) -> (libc::dev_t, libc::ino_t) {
    (stat.st_dev, stat.st_ino)
}

fn is_socket(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFSOCK
}
