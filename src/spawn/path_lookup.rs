//! The search for a command along PATH, as execvp(3) does it: which files it might be, and which of them counts.
//!
//! Nothing here executes: [`try_each`] is given what does. The bare init finds its command here, too.

use std::ffi::{CStr, CString, NulError, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

/// How the file is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// The name has a slash: it is the file.
    None,
    /// In these directories: PATH.
    Path(OsString),
}

/// Why no candidate was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The candidate that was refused; `None`: none of them exists.
    pub candidate: Option<usize>,
    /// The system's error.
    pub errno: Errno,
}

/// For programs without one: what images are built with.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The errors of execve(2) for a file that is missing, or whose interpreter is missing.
const NOT_THERE: [Errno; 5] = [Errno::ENOENT, Errno::ENOTDIR, Errno::ESTALE, Errno::ENODEV, Errno::ETIMEDOUT];

impl Search {
    /// The search for this name, along this PATH.
    pub fn of(name: &OsStr, path: Option<&OsStr>) -> Search {
        match name.as_bytes().contains(&b'/') || name.is_empty() {
            true => Search::None,
            false => Search::Path(path.unwrap_or(DEFAULT_PATH.as_ref()).to_owned()),
        }
    }

    /// The directories it is looked for in; `None`: the name has a slash.
    pub fn path(&self) -> Option<&OsStr> {
        match self {
            Search::None => None,
            Search::Path(directories) => Some(directories),
        }
    }

    /// The files it might be, in the order in which they are tried.
    ///
    /// # Errors
    /// A NUL byte in it.
    pub fn candidates(&self, name: &OsStr) -> Result<Vec<CString>, NulError> {
        let Search::Path(directories) = self else { return Ok(vec![CString::new(name.as_bytes())?]) };
        let within = |directory: &[u8]| {
            // An empty part is the working directory (execvp(3)).
            let directory = if directory.is_empty() { b".".as_slice() } else { directory };
            CString::new([directory, b"/", name.as_bytes()].concat())
        };
        directories.as_bytes().split(|byte| *byte == b':').map(within).collect()
    }
}

/// Tries every candidate: a file that is missing does not end the search, one that may not be run is
/// remembered, any other error is final. Returns only when none was executed. No shell is tried for a file
/// without `#!`.
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
