//! Log files: appended to, rotated by size, and never a reason to stop a program.
//!
//! Rotation happens between lines: before one that would push the file beyond its size. On a full disk lines
//! are dropped whole and counted; one that was already begun is completed first when there is room again.
//! One [`LogFile`] serves every program that writes to its path, so that rotation is not partial. foster's own
//! stdout is one too where it is a file, without rotation. Writing to a disk waits for nobody's reading.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use memchr::{memchr, memchr_iter, memrchr};
use nix::errno::Errno;

use crate::plan::FileSink;
use crate::sys::stream::Target;

/// What is worth a line in foster's own log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileEvent {
    /// Lines are dropped from now on.
    Failing(Errno),
    /// Lines are written again; so many were dropped.
    Recovered(Gap),
    /// It could not be renamed, and grows on.
    CannotRotate(Errno),
}

/// Lines that were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// How many.
    pub lines: u64,
    /// Why.
    pub error: Errno,
}

/// A file that lines are appended to.
#[derive(Debug)]
pub struct LogFile {
    place: Option<Place>,
    target: Option<Target>,
    size: u64,
    /// Who wrote last, and left the line unfinished.
    unfinished: Option<u32>,
    /// The rest of a line that the disk took only in part.
    partial: Vec<u8>,
    gap: Option<Gap>,
}

#[derive(Debug)]
struct Place {
    sink: FileSink,
    /// Where it really is, links followed: what rotation renames.
    real: PathBuf,
}

/// What was found at a sink's path.
#[derive(Debug)]
pub enum Opened {
    /// A regular file, or nothing that could be opened: that is retried.
    File(LogFile),
    /// A FIFO or a device: there is a reader to wait for, and nothing to rotate.
    Other(Target),
}

/// Opens a sink. What cannot be opened is a file that drops its lines until it can.
pub fn open(sink: &FileSink) -> (Opened, Option<FileEvent>) {
    let mut file = LogFile {
        place: Some(Place { sink: sink.clone(), real: sink.path.clone() }),
        target: None,
        size: 0,
        unfinished: None,
        partial: Vec::new(),
        gap: None,
    };
    match file.open() {
        Ok(None) => (Opened::File(file), None),
        Ok(Some(other)) => (Opened::Other(other), None),
        Err(error) => {
            file.gap = Some(Gap { lines: 0, error });
            (Opened::File(file), Some(FileEvent::Failing(error)))
        }
    }
}

impl LogFile {
    /// foster's own stdout or stderr, where that is a file.
    pub fn standard(target: Target) -> LogFile {
        LogFile {
            place: None,
            target: Some(target),
            size: 0,
            unfinished: None,
            partial: Vec::new(),
            gap: None,
        }
    }

    /// Where it is; `None` for foster's own stdout and stderr.
    pub fn path(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| place.sink.path.as_path())
    }

    /// What was dropped and not told yet: the caller puts it into words for [`LogFile::append`].
    pub fn gap(&self) -> Option<Gap> {
        self.gap.filter(|gap| gap.lines > 0)
    }

    /// Opens the path anew: the file may have been moved, or may be possible now. Foster's own stdout stays.
    pub fn reopen(&mut self) -> Option<FileEvent> {
        self.place.as_ref()?;
        match self.open() {
            Ok(_) => None,
            Err(error) => {
                self.target = None;
                self.fail(0, error)
            }
        }
    }

    /// Opens it if it is not: at most once for each run of a program.
    pub fn retry(&mut self) {
        if self.target.is_none() {
            // That it fails has been told.
            let _ = self.open();
        }
    }

    /// Appends lines of one source; the last may be unfinished. `notice` stands before them: the words for
    /// [`LogFile::gap`], told once there is room.
    pub fn append(&mut self, source: u32, notice: &[u8], text: &[u8], file_events: &mut Vec<FileEvent>) {
        if text.is_empty() && notice.is_empty() {
            return;
        }
        let partial = std::mem::take(&mut self.partial);
        if let Err((written, error)) = self.write(&partial) {
            self.partial = partial.get(written..).unwrap_or(&[]).to_vec();
            file_events.extend(self.fail(lines(text), error));
            return;
        }
        if !notice.is_empty() {
            match self.write(notice) {
                Ok(()) => file_events.extend(self.gap.take().map(FileEvent::Recovered)),
                Err((0, error)) => {
                    file_events.extend(self.fail(lines(text), error));
                    return;
                }
                Err((written, error)) => {
                    self.partial = notice.get(written..).unwrap_or(&[]).to_vec();
                    self.gap = None;
                    file_events.extend(self.fail(lines(text), error));
                    return;
                }
            }
        }
        let begun = match self.unfinished {
            None => 0,
            // A line that is begun is completed where it is.
            Some(owner) if owner == source => memchr(b'\n', text).map_or(text.len(), |end| end + 1),
            // Lines are never mixed within a line, even where one is too long to be kept.
            Some(_) => {
                self.write_or_drop(b"\n", file_events);
                0
            }
        };
        let (rest_of_line, text) = text.split_at_checked(begun).unwrap_or((text, &[]));
        let last = if text.is_empty() { rest_of_line } else { text };
        if !last.is_empty() {
            self.unfinished = (!last.ends_with(b"\n")).then_some(source);
        }
        self.write_or_drop(rest_of_line, file_events);
        self.append_rotating(text, file_events);
    }

    fn append_rotating(&mut self, mut text: &[u8], file_events: &mut Vec<FileEvent>) {
        while !text.is_empty() {
            let fitting = self.fitting(text);
            if fitting == 0 {
                file_events.extend(self.rotate().err().map(FileEvent::CannotRotate));
                continue;
            }
            let (now, later) = text.split_at_checked(fitting).unwrap_or((text, &[]));
            self.write_or_drop(now, file_events);
            text = later;
        }
    }

    /// How many bytes of whole lines can be written before the file has to be rotated. A line that is
    /// too long for any file goes whole into a fresh one.
    fn fitting(&self, text: &[u8]) -> usize {
        let limit = self.place.as_ref().and_then(|place| place.sink.max_size);
        let Some(room) = limit.map(|limit| limit.saturating_sub(self.size)) else { return text.len() };
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        if text.len() <= room || self.target.is_none() {
            return text.len();
        }
        match text.get(..room).and_then(|fitting| memrchr(b'\n', fitting)) {
            Some(last) => last + 1,
            None if self.size == 0 => memchr(b'\n', text).map_or(text.len(), |first| first + 1),
            None => 0,
        }
    }

    fn write_or_drop(&mut self, text: &[u8], file_events: &mut Vec<FileEvent>) {
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
        file_events.extend(self.fail(lines(dropped), error));
    }

    fn fail(&mut self, lines: u64, error: Errno) -> Option<FileEvent> {
        let first = self.gap.is_none();
        let before = self.gap.map_or(0, |gap| gap.lines);
        self.gap = Some(Gap { lines: before + lines, error });
        first.then_some(FileEvent::Failing(error))
    }

    /// Writes all of it, or says how much and why no more.
    fn write(&mut self, text: &[u8]) -> Result<(), (usize, Errno)> {
        let Some(target) = &self.target else {
            return Err((0, self.gap.map_or(Errno::EBADF, |gap| gap.error)));
        };
        let mut written = 0;
        while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
            match target.write(rest) {
                Ok(0) => return Err((written, Errno::ENOSPC)),
                Ok(count) => {
                    written += count;
                    self.size = self.size.saturating_add(count as u64);
                }
                Err(error) => return Err((written, error)),
            }
        }
        Ok(())
    }

    /// `path.1` becomes `path.2` and so on, `path` becomes `path.1`; with nothing to keep it is emptied.
    fn rotate(&mut self) -> Result<(), Errno> {
        let Some(place) = &self.place else { return Ok(()) };
        // Somebody may have emptied it meanwhile.
        match fs::metadata(&place.real) {
            Ok(found) if found.len() < self.size => {
                self.size = found.len();
                return Ok(());
            }
            Ok(_) | Err(_) => {}
        }
        // Whatever comes of it, the next try is a whole file away: it must not be one for every line.
        self.size = 0;
        if place.sink.keep == 0 {
            return OpenOptions::new()
                .write(true)
                .open(&place.real)
                .and_then(|file| file.set_len(0))
                .map_err(errno);
        }
        for number in (1..place.sink.keep).rev() {
            // The ones that are not there yet.
            let _ = fs::rename(numbered(&place.real, number), numbered(&place.real, number + 1));
        }
        fs::rename(&place.real, numbered(&place.real, 1)).map_err(errno)?;
        let (file, _) = open_at(&place.real)?;
        self.target = Some(Target::owned(OwnedFd::from(file)));
        Ok(())
    }

    /// Opens its path; gives it back when it is something with a reader.
    fn open(&mut self) -> Result<Option<Target>, Errno> {
        let Some(place) = &mut self.place else { return Ok(None) };
        let (file, size) = open_at(&place.sink.path)?;
        let Some(size) = size else { return Ok(Some(Target::owned(OwnedFd::from(file)))) };
        place.real = fs::canonicalize(&place.sink.path).unwrap_or_else(|_| place.sink.path.clone());
        self.size = size;
        self.target = Some(Target::owned(OwnedFd::from(file)));
        Ok(None)
    }
}

/// Opens a file to append to, and says how large it is; `None`: it is none. A FIFO is opened for reading as
/// well: that does not wait for a reader, and outlives each (fifo(7)).
fn open_at(path: &Path) -> Result<(File, Option<u64>), Errno> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let fifo = fs::metadata(path).is_ok_and(|found| found.file_type().is_fifo());
    let file = OpenOptions::new()
        .append(true)
        .create(!fifo)
        .read(fifo)
        .mode(0o644)
        .custom_flags(flags)
        .open(path)
        .map_err(errno)?;
    let found = file.metadata().map_err(errno)?;
    Ok((file, found.is_file().then(|| found.size())))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

fn lines(text: &[u8]) -> u64 {
    let unfinished = u64::from(!text.is_empty() && !text.ends_with(b"\n"));
    memchr_iter(b'\n', text).count() as u64 + unfinished
}

fn errno(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests;
