//! Probes of a path: a file that exists, a Unix socket that accepts.
//!
//! On a file system that hangs every system call with the path blocks. So the check runs in a child, like the command of
//! an `exec` probe: its exit status is the result, and the line that it writes is the note.

use std::io::{self, Write as _};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::errno::Errno;

use super::note::NoteWriter;
use crate::errno;
use crate::sys::connect;
use crate::sys::descriptors::close_all_except;
use crate::sys::fork::{ChildProcess, fork};

/// The target of a check in a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTarget<'plan> {
    /// A connection to this socket is accepted.
    Unix(&'plan Path),
    /// This file exists.
    File(&'plan Path),
}

impl LocalTarget<'_> {
    /// Starts the check. The child exits with 0 if it passed; otherwise it writes the reason to `note` and exits with 1.
    ///
    /// # Errors
    /// fork(2): EAGAIN, ENOMEM.
    pub fn spawn(self, note: NoteWriter) -> nix::Result<ChildProcess> {
        fork(None, |_| {
            let mut note = note.into_file();
            // A check that hangs must not hold foster's pipes, sockets and files open.
            close_all_except(&[note.as_raw_fd()]);
            match self.check() {
                Ok(()) => 0,
                Err(reason) => {
                    // The exit status is a result even without the reason.
                    let _ = note.write_all(reason.as_bytes());
                    1
                }
            }
        })
    }

    /// Checks in this process; it may block.
    fn check(self) -> Result<(), String> {
        match self {
            LocalTarget::Unix(path) => connect_unix(path),
            LocalTarget::File(path) => find(path),
        }
    }
}

fn connect_unix(path: &Path) -> Result<(), String> {
    match connect::try_unix(path) {
        Ok(()) => Ok(()),
        Err(Errno::ENOENT) => Err(missing(path)),
        Err(Errno::EAGAIN) => {
            Err(format!("cannot connect to {}: its connection queue is full", path.display()))
        }
        Err(error) => Err(format!("cannot connect to {}: {}", path.display(), errno::text(error))),
    }
}

fn find(path: &Path) -> Result<(), String> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing(path)),
        Err(error) => Err(format!("cannot check {}: {}", path.display(), errno::words(&error))),
    }
}

fn missing(path: &Path) -> String {
    format!("{} does not exist", path.display())
}
