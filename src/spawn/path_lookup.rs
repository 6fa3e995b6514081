//! Searches PATH for a command, like execvp(3).
//!
//! [`try_each`] executes through the function that it gets. The bare init uses it too.

use std::ffi::{CStr, CString, NulError, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

/// The search for the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// None: the name has a slash and is a path.
    None,
    /// In the directories of this PATH.
    Path(OsString),
}

/// Why no candidate was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The candidate that was refused; `None`: none of them exists.
    pub candidate: Option<usize>,
    /// The error of execve(2).
    pub errno: Errno,
}

/// The PATH of a program that has none: the usual one of images.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The errors of execve(2) for a file that is missing, or whose interpreter is missing.
const NOT_THERE: [Errno; 5] = [Errno::ENOENT, Errno::ENOTDIR, Errno::ESTALE, Errno::ENODEV, Errno::ETIMEDOUT];

impl Search {
    /// The search for this name in this PATH.
    pub fn of(name: &OsStr, path: Option<&OsStr>) -> Search {
        match name.as_bytes().contains(&b'/') || name.is_empty() {
            true => Search::None,
            false => Search::Path(path.unwrap_or(DEFAULT_PATH.as_ref()).to_owned()),
        }
    }

    /// The PATH that is searched; `None`: the name has a slash.
    pub fn path(&self) -> Option<&OsStr> {
        match self {
            Search::None => None,
            Search::Path(directories) => Some(directories),
        }
    }

    /// The files to try, in order.
    ///
    /// # Errors
    /// The name has a NUL byte.
    pub fn candidates(&self, name: &OsStr) -> Result<Vec<CString>, NulError> {
        let Search::Path(directories) = self else { return Ok(vec![CString::new(name.as_bytes())?]) };
        let within = |directory: &[u8]| {
            // An empty entry means the working directory (execvp(3)).
            let directory = if directory.is_empty() { b".".as_slice() } else { directory };
            CString::new([directory, b"/", name.as_bytes()].concat())
        };
        directories.as_bytes().split(|byte| *byte == b':').map(within).collect()
    }
}

/// Tries the candidates in order: after a missing file and one that may not be executed the search continues, any other
/// error ends it. Returns only if none was executed, with the first refusal. A file without `#!` is not run by a shell.
pub fn try_each(candidates: &[CString], execute: impl Fn(&CStr) -> Errno) -> Refusal {
    let mut best = Refusal { candidate: None, errno: Errno::ENOENT };
    for (index, file) in candidates.iter().enumerate() {
        let errno = execute(file);
        let this = Refusal { candidate: Some(index), errno };
        if NOT_THERE.contains(&errno) {
            best.errno = if best.candidate.is_none() { errno } else { best.errno };
        } else if errno != Errno::EACCES {
            return this;
        } else if best.candidate.is_none() {
            best = this;
        }
    }
    best
}
