//! Small files read at each start: account databases, env files, secrets.
//!
//! A configuration names them, so they may be anything: a FIFO, /dev/zero, a directory. Reading never waits for a writer
//! and never takes more than a limit. Next: `environment.rs` and `identity.rs`, which read.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;

use crate::sys::errno;

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    /// The system's error.
    System(Errno),
    /// It is a FIFO: what it holds is there once, for one reader.
    Fifo,
    /// It has more than this many bytes.
    TooLarge(usize),
}

impl Unread {
    /// The system's error, where it is about one.
    pub(super) fn errno(self) -> Option<Errno> {
        match self {
            Unread::System(errno) => Some(errno),
            Unread::Fifo | Unread::TooLarge(_) => None,
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::System(errno) => f.write_str(&errno::text(*errno)),
            Unread::Fifo => f.write_str("it is a FIFO, and has to be a file"),
            Unread::TooLarge(limit) => write!(f, "larger than {limit} bytes"),
        }
    }
}

/// The whole content of a file of at most `limit` bytes.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Unread> {
    let system = |error: io::Error| Unread::System(errno::of(&error));
    // O_NONBLOCK: opening a FIFO would otherwise wait for its writer.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(system)?;
    if file.metadata().map_err(system)?.file_type().is_fifo() {
        return Err(Unread::Fifo);
    }
    let mut content = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(one_more).read_to_end(&mut content).map_err(system)?;
    if content.len() > limit {
        return Err(Unread::TooLarge(limit));
    }
    Ok(content)
}

/// The same, and nothing where the file is missing.
pub(super) fn read_if_present(path: &Path, limit: usize) -> Result<Vec<u8>, Unread> {
    match read(path, limit) {
        Err(Unread::System(Errno::ENOENT | Errno::ENOTDIR)) => Ok(Vec::new()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    #[test]
    fn a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        assert_eq!(read(&path, 4), Err(Unread::TooLarge(4)));
    }

    #[test]
    fn a_fifo_a_device_and_a_directory_are_errors_that_neither_wait_nor_fill_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        assert_eq!(read(&pipe, 10), Err(Unread::Fifo));
        assert_eq!(read(Path::new("/dev/null"), 10).unwrap(), b"");
        assert_eq!(read(Path::new("/dev/zero"), 10), Err(Unread::TooLarge(10)));
        assert_eq!(read(directory.path(), 10), Err(Unread::System(Errno::EISDIR)));
    }

    #[test]
    fn an_optional_file_may_be_missing_and_not_unreadable() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_if_present(&directory.path().join("no/such"), 10).unwrap(), b"");
        assert_eq!(read_if_present(directory.path(), 10), Err(Unread::System(Errno::EISDIR)));
    }
}
