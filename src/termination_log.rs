//! The summary of what ended the container, for the termination log (Kubernetes) and for stderr.
//!
//! [`Summary`] composes it; [`write`] puts it into the file, if the file is there. The kubelet reads 4096 bytes of it,
//! so nothing here is longer. What caused the end is decided elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// More than this the kubelet does not read (Kubernetes, "Customizing the termination message").
pub const LIMIT: usize = 4096;

/// A piece of a cut line that is shorter than this (in bytes) says nothing.
const SHORTEST_PIECE: usize = 512;

/// Stands where something was left out.
const GAP: &str = "\n[...]\n";

/// What ended the container, and the last output of the program it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The program, or its instance.
    pub name: &'a str,
    /// What happened to it: a sentence.
    pub cause: &'a str,
    /// The last lines of its last run, without line ends, the oldest first.
    pub output: &'a [String],
}

impl Summary<'_> {
    /// The whole text, with a line end, in at most [`LIMIT`] bytes.
    pub fn text(&self) -> String {
        fit_to_limit(&self.to_string()).into_owned()
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { name, cause, output } = self;
        writeln!(f, "{cause}")?;
        if !output.is_empty() {
            writeln!(f, "last output of {name}:")?;
        }
        // A line that is repeated says no more the tenth time.
        for same in output.chunk_by(|one, next| one == next) {
            if let Some(line) = same.first() {
                writeln!(f, "{line}")?;
            }
            match same.len() - 1 {
                0 => {}
                1 => writeln!(f, "(the line above once more)")?,
                more => writeln!(f, "(the line above {more} more times)")?,
            }
        }
        Ok(())
    }
}

/// Replaces the content of the termination log, if there is one. A file that is not there is not
/// wanted; nothing is created, and nothing is waited for: neither a reader of a FIFO nor a terminal.
///
/// # Errors
/// open(2): EACCES, EISDIR, EROFS, ENXIO for a FIFO without a reader. write(2): ENOSPC, EAGAIN.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let opened = OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    match opened {
        Ok(mut file) => file.write_all(fit_to_limit(text).as_bytes()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// At most [`LIMIT`] bytes of the text: its first line, which says what happened, and as much of its end
/// as there is room for. It is cut between characters; a small piece of a line is left out as a whole.
fn fit_to_limit(text: &str) -> Cow<'_, str> {
    if text.len() <= LIMIT {
        return Cow::Borrowed(text);
    }
    let first = text.lines().next().unwrap_or_default();
    let end = (0..=first.len().min(LIMIT / 2)).rev().find(|index| first.is_char_boundary(*index));
    let (first, _) = first.split_at(end.unwrap_or_default());
    let room = LIMIT - GAP.len() - first.len();
    let start = (text.len() - room..text.len()).find(|index| text.is_char_boundary(*index));
    let (before, last) = text.split_at(start.unwrap_or(text.len()));
    let last = match last.split_once('\n') {
        Some((piece, whole)) if !before.ends_with('\n') && piece.len() < SHORTEST_PIECE => whole,
        Some(_) | None => last,
    };
    Cow::Owned(format!("{first}{GAP}{last}"))
}

#[cfg(test)]
mod tests;
