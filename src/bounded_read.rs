//! Whole files of a bounded size: configurations, account databases, env files, secrets.
//!
//! A configuration names them, so they may be anything: a FIFO, /dev/zero, a directory. Reading never waits for a writer
//! and never takes more than a limit. Next: `config/document.rs` and `spawn/environment.rs`, which read.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;

use crate::errno;

/// Which kinds of files are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// Regular files only.
    Regular,
    /// Devices as well: `/dev/null` is an empty file. A FIFO has its content once, for one reader.
    AllButFifos,
}

/// Why a file was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The system's error.
    System(Errno),
    /// It is a FIFO.
    Fifo,
    /// It is a device or a socket.
    NotRegular,
    /// It has more than this many bytes.
    TooLarge(usize),
}

impl Unread {
    /// The system error, if it is one.
    pub fn errno(self) -> Option<Errno> {
        match self {
            Unread::System(errno) => Some(errno),
            Unread::Fifo | Unread::NotRegular | Unread::TooLarge(_) => None,
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unread::System(errno) => f.write_str(&errno::text(*errno)),
            Unread::Fifo => f.write_str("it is a FIFO, not a regular file"),
            Unread::NotRegular => f.write_str("it is not a regular file"),
            Unread::TooLarge(limit) if *limit >= MIB && limit % MIB == 0 => {
                write!(f, "it is larger than {} MiB", limit / MIB)
            }
            Unread::TooLarge(limit) => write!(f, "it is larger than {limit} bytes"),
        }
    }
}

const MIB: usize = 1 << 20;

/// Reads the whole content of a file of at most `limit` bytes.
///
/// # Errors
/// [`Unread`]; a directory is EISDIR (read(2)).
pub fn read(path: &Path, limit: usize, accept: Accept) -> Result<Vec<u8>, Unread> {
    let system = |error: io::Error| Unread::System(errno::of(&error));
    // O_NONBLOCK: opening a FIFO would otherwise wait for its writer (fifo(7)).
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(system)?;
    let kind = file.metadata().map_err(system)?.file_type();
    if kind.is_fifo() {
        return Err(Unread::Fifo);
    }
    // Reading a directory fails below.
    if accept == Accept::Regular && !kind.is_file() && !kind.is_dir() {
        return Err(Unread::NotRegular);
    }
    let mut content = Vec::new();
    let one_more = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(one_more).read_to_end(&mut content).map_err(system)?;
    if content.len() > limit {
        return Err(Unread::TooLarge(limit));
    }
    Ok(content)
}

/// Reads a file that may be missing: its content is empty then.
///
/// # Errors
/// Those of [`read`], except ENOENT and ENOTDIR.
pub fn read_if_present(path: &Path, limit: usize, accept: Accept) -> Result<Vec<u8>, Unread> {
    match read(path, limit, accept) {
        Err(Unread::System(Errno::ENOENT | Errno::ENOTDIR)) => Ok(Vec::new()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    const BOTH: [Accept; 2] = [Accept::Regular, Accept::AllButFifos];

    #[test]
    fn a_file_of_exactly_the_limit_is_read_and_one_byte_more_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        for accept in BOTH {
            assert_eq!(read(&path, 5, accept).unwrap(), b"12345");
            assert_eq!(read(&path, 4, accept), Err(Unread::TooLarge(4)));
        }
    }

    #[test]
    fn a_fifo_a_device_and_a_directory_are_errors_that_neither_wait_nor_fill_the_memory() {
        let directory = tempfile::tempdir().unwrap();
        let pipe = directory.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        for accept in BOTH {
            assert_eq!(read(&pipe, 10, accept), Err(Unread::Fifo));
            assert_eq!(read(directory.path(), 10, accept), Err(Unread::System(Errno::EISDIR)));
        }
        assert_eq!(read(Path::new("/dev/null"), 10, Accept::AllButFifos).unwrap(), b"");
        assert_eq!(read(Path::new("/dev/zero"), 10, Accept::AllButFifos), Err(Unread::TooLarge(10)));
        assert_eq!(read(Path::new("/dev/null"), 10, Accept::Regular), Err(Unread::NotRegular));
    }

    #[test]
    fn an_optional_file_may_be_missing_and_not_unreadable() {
        let directory = tempfile::tempdir().unwrap();
        for accept in BOTH {
            assert_eq!(read_if_present(&directory.path().join("no/such"), 10, accept).unwrap(), b"");
            let unreadable = read_if_present(directory.path(), 10, accept);
            assert_eq!(unreadable, Err(Unread::System(Errno::EISDIR)));
        }
    }

    #[test]
    fn a_limit_is_named_in_its_largest_unit() {
        assert_eq!(Unread::TooLarge(4 << 20).to_string(), "it is larger than 4 MiB");
        assert_eq!(Unread::TooLarge(1_500_000).to_string(), "it is larger than 1500000 bytes");
    }
}
