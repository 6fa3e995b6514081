//! The output of a probe's process: its last line is the note in messages about the probe.
//!
//! The loop drains the pipe so that the process never blocks on it, and keeps a bounded part. A process that writes
//! without end costs one read per turn of the loop until its attempt ends.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd;

/// How many bytes of a line are kept: enough for a sentence.
const LONGEST_NOTE: usize = 400;
/// How many bytes one read takes.
const READ_SIZE: usize = 4096;
/// How many reads are done after the process has exited: those of a full pipe.
const LAST_READS: usize = 16;

/// The pipe's end for the process: its standard error.
#[derive(Debug)]
pub struct NoteWriter(OwnedFd);

/// foster's end of the pipe, and the last line.
#[derive(Debug)]
pub(super) struct NoteReader {
    pipe: OwnedFd,
    line: LastLine,
}

/// The last line of a stream that is not empty.
#[derive(Debug, Default)]
struct LastLine {
    finished: Vec<u8>,
    open: Vec<u8>,
}

/// Makes the pipe. Only the reader's end is non-blocking: a process expects a blocking standard error.
///
/// # Errors
/// pipe(2): EMFILE, ENFILE.
pub(super) fn pipe() -> nix::Result<(NoteReader, NoteWriter)> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((NoteReader { pipe: reader, line: LastLine::default() }, NoteWriter(writer)))
}

impl NoteWriter {
    /// The descriptor as a file, for a child that writes to it.
    pub(super) fn into_file(self) -> File {
        File::from(self.0)
    }
}

impl AsFd for NoteWriter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsFd for NoteReader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

/// Whether a pipe may have more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// There may be more at once.
    Now,
    /// It is empty.
    Later,
    /// All writers have closed it.
    Never,
}

impl NoteReader {
    /// Reads once.
    pub(super) fn read(&mut self) -> More {
        let mut buffer = [0; READ_SIZE];
        match unistd::read(&self.pipe, &mut buffer) {
            Ok(0) => More::Never,
            Ok(count) => {
                self.line.push(buffer.get(..count).unwrap_or_default());
                More::Now
            }
            Err(Errno::EAGAIN | Errno::EINTR) => More::Later,
            Err(_) => More::Never,
        }
    }

    /// The last line after the process has exited, even if others still hold the pipe open.
    pub(super) fn finish(mut self) -> Option<String> {
        for _ in 0..LAST_READS {
            if self.read() != More::Now {
                break;
            }
        }
        self.line.text()
    }
}

impl LastLine {
    fn push(&mut self, bytes: &[u8]) {
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if index > 0 {
                let ended = std::mem::take(&mut self.open);
                if !ended.trim_ascii().is_empty() {
                    self.finished = ended;
                }
            }
            let room = LONGEST_NOTE.saturating_sub(self.open.len());
            self.open.extend_from_slice(line.get(..room).unwrap_or(line));
        }
    }

    /// The line without control characters, for foster's log.
    fn text(&self) -> Option<String> {
        let last = if self.open.trim_ascii().is_empty() { &self.finished } else { &self.open };
        let text = String::from_utf8_lossy(last.trim_ascii());
        let clean: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        (!clean.is_empty()).then_some(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn last(pieces: &[&[u8]]) -> Option<String> {
        let mut line = LastLine::default();
        pieces.iter().for_each(|piece| line.push(piece));
        assert!(line.open.len() <= LONGEST_NOTE && line.finished.len() <= LONGEST_NOTE);
        line.text()
    }

    #[test]
    fn the_last_line_that_is_not_empty_is_the_note() {
        for (text, note) in [
            ("", None),
            ("\n\n", None),
            ("one", Some("one")),
            ("one\ntwo\n", Some("two")),
            ("one\ntwo\n\n  \n", Some("two")),
            ("one\ntw", Some("tw")),
            ("\u{1b}[31mred\r\n", Some("[31mred")),
        ] {
            assert_eq!(last(&[text.as_bytes()]).as_deref().map(str::trim), note, "{text:?}");
        }
        assert_eq!(last(&[b"\xff\xfe"]).as_deref(), Some("\u{fffd}\u{fffd}"));
    }

    #[test]
    fn an_endless_line_is_kept_up_to_a_limit() {
        let pieces = vec![&[b'x'; 4096][..]; 1000];
        assert_eq!(last(&pieces).map(|text| text.len()), Some(LONGEST_NOTE));
    }

    #[test]
    fn a_pipe_that_others_hold_open_does_not_delay_the_note() {
        let (reader, writer) = pipe().unwrap();
        unistd::write(&writer, b"no route\nto host").unwrap();
        assert_eq!(reader.finish().as_deref(), Some("to host"));
    }

    proptest! {
        #[test]
        fn the_note_does_not_depend_on_how_the_bytes_are_split(bytes in "[a\n ]{0,40}", at in 0..40usize) {
            let (first, second) = bytes.as_bytes().split_at(at.min(bytes.len()));
            prop_assert_eq!(last(&[first, second]), last(&[bytes.as_bytes()]));
        }
    }
}
