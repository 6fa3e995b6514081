//! The last words: what ended the container, for the termination log (Kubernetes) and for stderr.
//!
//! [`Summary`] composes them; [`write`] leaves them in the file, if the file is there. The kubelet
//! reads 4096 bytes of it, so nothing here is longer. Who gets which words is decided elsewhere.

use std::borrow::Cow;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// More than this the kubelet does not read (Kubernetes, "Customizing the termination message").
pub const LIMIT: usize = 4096;

/// A piece of a cut line that is shorter than this (in bytes) says nothing.
const PIECE: usize = 512;

/// Stands where something was left out.
const GAP: &str = "\n[...]\n";

/// What ended the container, with all that is worth knowing about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The program, or its instance.
    pub name: &'a str,
    /// How it ended: the rest of a sentence that begins with the name.
    pub ending: &'a str,
    /// How often it was restarted.
    pub restarts: u32,
    /// Its last lines of output, without line ends, the oldest first.
    pub output: &'a [String],
}

impl Summary<'_> {
    /// The whole text, with a line end, in at most [`LIMIT`] bytes.
    pub fn text(&self) -> String {
        fitted(&self.to_string()).into_owned()
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { name, ending, restarts, output } = self;
        writeln!(f, "{name} {ending} (restarts: {restarts})")?;
        if !output.is_empty() {
            writeln!(f, "last output:")?;
        }
        output.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// Replaces the content of the termination log, if there is one. A file that is not there is not
/// wanted; nothing is created, and nothing is waited for: neither a reader of a FIFO nor a terminal.
///
/// # Errors
/// open(2): EACCES, EISDIR, EROFS, ENXIO for a FIFO that nobody reads. write(2): ENOSPC, EAGAIN.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let opened = OpenOptions::new()
        .write(true)
        .truncate(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    match opened {
        Ok(mut file) => file.write_all(fitted(text).as_bytes()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// At most [`LIMIT`] bytes of the text: its first line, which says what happened, and as much of its end
/// as there is room for. It is cut between characters; a small piece of a line is left out as a whole.
fn fitted(text: &str) -> Cow<'_, str> {
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
        Some((piece, whole)) if !before.ends_with('\n') && piece.len() < PIECE => whole,
        Some(_) | None => last,
    };
    Cow::Owned(format!("{first}{GAP}{last}"))
}

#[cfg(test)]
mod tests;
