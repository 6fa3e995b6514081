//! Log files: lines are appended, files are rotated by size, and errors never stop a program.
//!
//! Rotation happens between lines: before one that would exceed the file's size; only a line longer than a file is
//! split. On a full disk whole lines are dropped and counted; a line that was partly written is completed first when
//! there is room again. All programs with the same path share a [`LogFile`]. foster's own stdout is one if it is a file:
//! that of `run --detach --log` is rotated, an inherited one is not. A file that cannot be opened is opened again at a later
//! line. `log_path.rs` resolves the path.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use foster_lines::lines::boundary;
use memchr::{memchr, memchr_iter, memrchr};
use nix::errno::Errno;

use super::log_path::{FileError, LogPath};
use crate::plan::FileSink;
use crate::sys::stream;
use crate::sys::target::Target;

/// How many files one call renames at most, because the loop waits meanwhile. Further lines exceed the file's size.
const RENAMES: u32 = 512;

/// An event for foster's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEvent {
    /// Lines are dropped from now on.
    Failing(FileError),
    /// Lines are written again; some were dropped.
    Recovered(Gap),
    /// The file could not be renamed and exceeds its size.
    CannotRotate(FileError),
}

/// Lines that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Their number.
    pub lines: u64,
    /// The reason.
    pub error: FileError,
}

/// A log file.
#[derive(Debug)]
pub struct LogFile {
    origin: Origin,
    target: Option<Target>,
    /// Device and inode of the open file.
    identity: (u64, u64),
    size: u64,
    /// The source that wrote last, if its line is unfinished.
    unfinished: Option<u32>,
    /// The rest of a partly written line.
    partial: Vec<u8>,
    gap: Option<Gap>,
    opening: Opening,
}

/// Which file it is.
#[derive(Debug)]
enum Origin {
    /// foster's own stdout or stderr, inherited: its path is not known.
    Inherited,
    /// The file of a sink.
    Sink(FileSink),
    /// The log of `run --detach`: each file that is opened becomes foster's stdout and stderr.
    Log(FileSink),
}

/// When a file that is not open is opened again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// With the next line.
    Allowed,
    /// Not before [`LogFile::end_delay`].
    Delayed,
}

/// The file at a sink's path.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, or one that could not be opened yet.
    File(LogFile),
    /// A FIFO or a device, which may have a slow reader and is not rotated.
    Other(Target),
}

/// Opens a sink. A file that cannot be opened drops its lines until it can.
pub fn open(sink: &FileSink) -> (Opened, Option<FileEvent>) {
    let mut file = LogFile::new(Origin::Sink(sink.clone()), None);
    match file.open() {
        Ok(None) => (Opened::File(file), None),
        Ok(Some(other)) => (Opened::Other(other), None),
        Err(error) => {
            file.opening = Opening::Delayed;
            let event = file.fail(0, error);
            (Opened::File(file), event)
        }
    }
}

/// Opens the log of `run --detach`; it becomes foster's stdout and stderr.
///
/// # Errors
/// It cannot be opened. Nothing has changed then.
pub fn open_log(sink: FileSink) -> Result<Opened, FileError> {
    let mut file = LogFile::new(Origin::Log(sink), None);
    Ok(match file.open()? {
        None => Opened::File(file),
        Some(other) => Opened::Other(other),
    })
}

impl Origin {
    fn sink(&self) -> Option<&FileSink> {
        match self {
            Origin::Inherited => None,
            Origin::Sink(sink) | Origin::Log(sink) => Some(sink),
        }
    }
}

impl LogFile {
    /// foster's own stdout or stderr, if it is a file.
    pub fn standard(target: Target) -> LogFile {
        LogFile::new(Origin::Inherited, Some(target))
    }

    fn new(origin: Origin, target: Option<Target>) -> LogFile {
        LogFile {
            origin,
            target,
            identity: (0, 0),
            size: 0,
            unfinished: None,
            partial: Vec::new(),
            gap: None,
            opening: Opening::Allowed,
        }
    }

    /// Its path; `None` if it was inherited.
    pub fn path(&self) -> Option<&Path> {
        self.origin.sink().map(|sink| sink.path.as_path())
    }

    /// Its size limit.
    pub fn max_size(&self) -> Option<u64> {
        self.origin.sink().and_then(|sink| sink.max_size)
    }

    /// The dropped lines that are not reported yet: the caller formats the notice for [`LogFile::append`].
    pub fn gap(&self) -> Option<Gap> {
        self.gap.filter(|gap| gap.lines > 0)
    }

    /// Takes over the size and the number of files to keep from a sink with the same path.
    pub fn update(&mut self, changed: &FileSink) {
        if let Origin::Sink(sink) = &mut self.origin
            && sink.path == changed.path
        {
            *sink = changed.clone();
        }
    }

    /// Sets the size and the number of files to keep of the log of `run --detach`.
    pub fn limit_log(&mut self, new_size: Option<u64>, new_keep: u32) {
        if let Origin::Log(FileSink { path: _, max_size, keep }) = &mut self.origin {
            (*max_size, *keep) = (new_size, new_keep);
        }
    }

    /// Opens the path again, because the file may have been moved. An inherited stdout is unchanged.
    pub fn reopen(&mut self) -> Option<FileEvent> {
        self.origin.sink()?;
        let error = self.open().err()?;
        self.target = None;
        self.opening = Opening::Delayed;
        self.fail(0, error)
    }

    /// Truncates it. The next line is its first.
    ///
    /// # Errors
    /// It is not open, or ftruncate(2).
    pub fn clear(&mut self) -> Result<(), FileError> {
        let Some(target) = &self.target else {
            return Err(self.gap.map_or(Errno::EBADF.into(), |gap| gap.error));
        };
        nix::unistd::ftruncate(target, 0).map_err(FileError::System)?;
        self.size = 0;
        self.unfinished = None;
        self.partial.clear();
        Ok(())
    }

    /// Whether it could not be opened and is opened again only after a delay.
    pub fn is_delayed(&self) -> bool {
        self.target.is_none() && self.opening == Opening::Delayed
    }

    /// Ends the delay: the next line opens the file.
    pub fn end_delay(&mut self) {
        self.opening = Opening::Allowed;
    }

    /// Appends lines of one source; the last may be unfinished. `notice` is written before them: the text for
    /// [`LogFile::gap`].
    pub fn append(&mut self, source: u32, notice: &[u8], text: &[u8], events: &mut Vec<FileEvent>) {
        if text.is_empty() && notice.is_empty() {
            return;
        }
        self.try_to_open();
        let partial = std::mem::take(&mut self.partial);
        if let Err((written, error)) = self.write(&partial) {
            self.partial = partial.get(written..).unwrap_or(&[]).to_vec();
            events.extend(self.fail(lines(text), error));
            return;
        }
        if !notice.is_empty() {
            match self.write(notice) {
                Ok(()) => events.extend(self.gap.take().map(FileEvent::Recovered)),
                Err((0, error)) => {
                    events.extend(self.fail(lines(text), error));
                    return;
                }
                Err((written, error)) => {
                    self.partial = notice.get(written..).unwrap_or(&[]).to_vec();
                    self.gap = None;
                    events.extend(self.fail(lines(text), error));
                    return;
                }
            }
        } else if self.gap.is_some_and(|gap| gap.lines == 0) && self.target.is_some() {
            self.gap = None;
        }
        // Lines of two sources are never mixed, even if one is too long to be kept.
        if self.unfinished.is_some_and(|owner| owner != source) {
            self.write_or_drop(b"\n", events);
        }
        if !text.is_empty() {
            self.unfinished = (!text.ends_with(b"\n")).then_some(source);
        }
        self.append_rotating(text, events);
    }

    fn try_to_open(&mut self) {
        if self.target.is_none() && self.opening == Opening::Allowed && self.origin.sink().is_some() {
            match self.open() {
                Ok(_) => {}
                // The first failure was reported.
                Err(error) => {
                    self.opening = Opening::Delayed;
                    self.fail(0, error);
                }
            }
        }
    }

    fn append_rotating(&mut self, mut text: &[u8], events: &mut Vec<FileEvent>) {
        let mut renames = RENAMES;
        while !text.is_empty() {
            let fitting = if renames == 0 { text.len() } else { self.fitting(text) };
            if fitting == 0 {
                events.extend(self.rotate(&mut renames).err().map(FileEvent::CannotRotate));
                continue;
            }
            let (now, later) = text.split_at_checked(fitting).unwrap_or((text, &[]));
            self.write_or_drop(now, events);
            text = later;
        }
    }

    /// How many bytes can be written before the file has to be rotated: whole lines, or as much of one as fills an
    /// empty file.
    fn fitting(&self, text: &[u8]) -> usize {
        let Some(room) = self.max_size().map(|limit| limit.saturating_sub(self.size)) else {
            return text.len();
        };
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if text.len() <= room || self.target.is_none() {
            return text.len();
        }
        match text.get(..room).and_then(|fitting| memrchr(b'\n', fitting)) {
            Some(last) => last + 1,
            None if self.size == 0 => match boundary(text, room) {
                0 => room.max(1),
                cut => cut,
            },
            None => 0,
        }
    }

    fn write_or_drop(&mut self, text: &[u8], events: &mut Vec<FileEvent>) {
        let Err((written, error)) = self.write(text) else { return };
        let (done, rest) = text.split_at_checked(written).unwrap_or((text, &[]));
        let dropped = if done.is_empty() || done.ends_with(b"\n") {
            rest
        } else {
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            let (partial, dropped) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.partial = partial.to_vec();
            dropped
        };
        events.extend(self.fail(lines(dropped), error));
    }

    fn fail(&mut self, lines: u64, error: FileError) -> Option<FileEvent> {
        let first = self.gap.is_none();
        let before = self.gap.map_or(0, |gap| gap.lines);
        self.gap = Some(Gap { lines: before + lines, error });
        first.then_some(FileEvent::Failing(error))
    }

    /// Writes the text, or returns how much was written and the error.
    fn write(&mut self, text: &[u8]) -> Result<(), (usize, FileError)> {
        let Some(target) = &self.target else {
            return Err((0, self.gap.map_or(Errno::EBADF.into(), |gap| gap.error)));
        };
        let mut written = 0;
        while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
            match target.write(rest) {
                Ok(0) => return Err((written, Errno::ENOSPC.into())),
                Ok(count) => {
                    written += count;
                    self.size = self.size.saturating_add(count as u64);
                }
                Err(error) => return Err((written, error.into())),
            }
        }
        Ok(())
    }

    /// `path.1` becomes `path.2` and so on, `path` becomes `path.1`; with `keep` 0 the file is truncated.
    fn rotate(&mut self, renames: &mut u32) -> Result<(), FileError> {
        let (Some(sink), Some(target)) = (self.origin.sink(), &self.target) else { return Ok(()) };
        // Another process may have truncated it.
        let size = nix::sys::stat::fstat(target)
            .map_or(self.size, |found| u64::try_from(found.st_size).unwrap_or(0));
        if size < self.size {
            self.size = size;
            return Ok(());
        }
        // After a failure the next attempt is a whole file later, not at every line.
        self.size = 0;
        if sink.keep == 0 {
            *renames = renames.saturating_sub(1);
            return nix::unistd::ftruncate(target, 0).map_err(FileError::System);
        }
        let path = LogPath::resolve(&sink.path)?;
        // A file that was moved or replaced must not be renamed.
        if path.stat().is_ok_and(|found| (found.st_dev, found.st_ino) == self.identity) {
            let is_free = |number: &u32| path.is_free(*number);
            let free = (1..sink.keep).find(is_free).unwrap_or(sink.keep);
            *renames = renames.saturating_sub(free);
            // Continuing after a failure would overwrite the file that has not moved.
            (0..free).rev().try_for_each(|number| path.shift(number))?;
        }
        let (file, found) = path.open()?;
        self.take(file, &found)
    }

    /// Opens its path; returns the target if it is not a regular file.
    fn open(&mut self) -> Result<Option<Target>, FileError> {
        let Some(sink) = self.origin.sink() else { return Ok(None) };
        let (file, found) = LogPath::resolve(&sink.path)?.open()?;
        if !found.is_file() {
            return Ok(Some(Target::owned(OwnedFd::from(file))));
        }
        self.take(file, &found)?;
        Ok(None)
    }

    /// Writes to this file from now on. A program with `inherit` and a fault in foster write to foster's streams themselves.
    fn take(&mut self, file: File, found: &Metadata) -> Result<(), FileError> {
        if let Origin::Log(_) = self.origin {
            stream::become_standard(&file)?;
        }
        self.size = found.size();
        self.identity = (found.dev(), found.ino());
        self.target = Some(Target::owned(OwnedFd::from(file)));
        Ok(())
    }
}

fn lines(text: &[u8]) -> u64 {
    let unfinished = u64::from(!text.is_empty() && !text.ends_with(b"\n"));
    memchr_iter(b'\n', text).count() as u64 + unfinished
}

#[cfg(test)]
mod tests;
