//! The summary of why the container ended, for the termination log (Kubernetes) and for stderr.
//!
//! [`Summary`] formats it; [`write`] writes it to the file, if the file exists. It has at most the 4096 bytes that the
//! kubelet reads.

use std::borrow::Cow;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::cut;

/// How many bytes the kubelet reads (Kubernetes, "Customizing the termination message").
pub const LIMIT: usize = 4096;

/// The shortest part of a cut line that is kept, in bytes.
const SHORTEST_PIECE: usize = 512;

/// Marks omitted text.
const GAP: &str = "\n[...]\n";

/// Why the container ended, and the last output of the program that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary<'a> {
    /// The program, or its instance.
    pub name: &'a str,
    /// What happened to it, as a sentence.
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
        // Repeated lines are counted.
        for same in output.chunk_by(|one, next| one == next) {
            if let Some(line) = same.first() {
                writeln!(f, "{line}")?;
            }
            match same.len() - 1 {
                0 => {}
                1 => writeln!(f, "(the previous line, 1 more time)")?,
                more => writeln!(f, "(the previous line, {more} more times)")?,
            }
        }
        Ok(())
    }
}

/// Replaces the content of the termination log, if the file exists. It creates no file and never blocks, neither on a
/// FIFO nor on a terminal.
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

/// At most [`LIMIT`] bytes of the text: its first line, which says what happened, and as much of its end as fits. It is
/// cut between characters; a short part of a line is omitted.
fn fit_to_limit(text: &str) -> Cow<'_, str> {
    if text.len() <= LIMIT {
        return Cow::Borrowed(text);
    }
    let first = text.lines().next().unwrap_or_default();
    let first = cut::start(first, LIMIT / 2);
    let last = cut::end(text, LIMIT - GAP.len() - first.len());
    let is_cut = text.strip_suffix(last).is_some_and(|before| !before.ends_with('\n'));
    let last = match last.split_once('\n') {
        Some((piece, whole)) if is_cut && piece.len() < SHORTEST_PIECE => whole,
        Some(_) | None => last,
    };
    Cow::Owned(format!("{first}{GAP}{last}"))
}

#[cfg(test)]
mod tests;
