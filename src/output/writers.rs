//! All writers by their keys, and the time of another try of those that failed.
//!
//! foster's stdout and stderr always have a writer, closed or not: one for both if they are the same file. `attach.rs`
//! selects a program's writers; `writer.rs` has a writer itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use foster_core::ids::Run;
use foster_core::sorted::{SortedMap, SortedSet};
use foster_core::time::Instant;

use super::file::{self, Gap, LogFile, Opened};
use super::log_path::FileError;
use super::writer::{Registration, Writer, WriterEvent};
use super::{ColourMode, Output, OutputEnv, STDERR, STDOUT, WRITER};
use crate::plan::{FileSink, Sink};
use crate::sys::stream;
use crate::sys::target::Target;

/// The delay after an error of a writer, and after a descriptor could not be registered with epoll.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// All writers.
#[derive(Debug)]
pub(super) struct Writers {
    by_key: SortedMap<u32, Writer>,
    /// The paths of sinks that are not files.
    pub(super) devices: SortedMap<u32, PathBuf>,
    /// The writer of foster's stderr: that of stdout if both are the same file.
    pub(super) stderr: u32,
    /// Writers to a terminal.
    pub(super) terminals: SortedSet<u32>,
    /// The terminals that may be coloured.
    pub(super) coloured: SortedSet<u32>,
    /// When what failed is tried again; `None`: nothing has failed.
    retry: Option<Instant>,
    /// The lines that each has dropped and reported.
    dropped: SortedMap<u32, u64>,
}

impl Writers {
    /// The writers of foster's own streams.
    pub(super) fn new(env: &OutputEnv) -> Writers {
        let is_same = match (&env.stdout, &env.stderr) {
            (Some(one), Some(two)) => stream::identity(one).is_ok_and(|one| stream::identity(two) == Ok(one)),
            (_, _) => false,
        };
        let mut writers = Writers {
            by_key: SortedMap::new(),
            devices: SortedMap::new(),
            stderr: if is_same { STDOUT } else { STDERR },
            terminals: SortedSet::new(),
            coloured: SortedSet::new(),
            retry: None,
            dropped: SortedMap::new(),
        };
        for (key, descriptor) in [(STDOUT, &env.stdout), (STDERR, &env.stderr)] {
            if key == STDERR && is_same {
                continue;
            }
            let copy = descriptor.as_ref().and_then(|descriptor| descriptor.copy().ok());
            let Some(target) = copy.map(Target::shared) else {
                writers.by_key.insert(key, Writer::Closed);
                continue;
            };
            if target.is_terminal() {
                writers.terminals.insert(key);
                if env.colour == ColourMode::Terminal {
                    writers.coloured.insert(key);
                }
            }
            writers.by_key.insert(key, Writer::new(target));
        }
        writers
    }

    pub(super) fn get(&self, key: u32) -> Option<&Writer> {
        self.by_key.get(&key)
    }

    pub(super) fn insert(&mut self, key: u32, writer: Writer) {
        self.by_key.insert(key, writer);
    }

    pub(super) fn contains(&self, key: u32) -> bool {
        self.by_key.contains_key(&key)
    }

    pub(super) fn is_full(&self, key: u32) -> bool {
        self.get(key).is_some_and(Writer::is_full)
    }

    pub(super) fn any_failed(&self) -> bool {
        self.by_key.values().any(Writer::has_failed)
    }

    pub(super) fn any_unwritten(&self) -> bool {
        self.by_key.values().any(|writer| writer.unwritten() > 0)
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.by_key.len()
    }

    /// Whether the key is that of foster's stdout or stderr.
    pub(super) fn is_standard(&self, key: u32) -> bool {
        key == STDOUT || key == self.stderr
    }

    /// The open file of this sink, with its size and number of files to keep. The log has its own.
    pub(super) fn shared_file(&mut self, sink: &FileSink) -> Option<u32> {
        let (key, file) = self.file_mut(&sink.path)?;
        file.update(sink);
        file.end_delay();
        Some(key)
    }

    /// The open file with this path.
    pub(super) fn file_mut(&mut self, path: &Path) -> Option<(u32, &mut LogFile)> {
        self.by_key.iter_mut().find_map(|(key, writer)| match writer {
            Writer::File(file) if file.path() == Some(path) => Some((*key, file)),
            Writer::File(_) | Writer::Queue(_) | Writer::Closed => None,
        })
    }

    /// Applies a changed size or number of files to the open file.
    pub(super) fn update_file(&mut self, sink: &Sink) {
        if let Sink::File(sink) = sink
            && let Some((_, file)) = self.file_mut(&sink.path)
        {
            file.update(sink);
        }
    }

    /// Applies the size and the number of files to keep of the log of `run --detach`.
    pub(super) fn limit_log(&mut self, max_size: Option<u64>, keep: u32) {
        if let Some(Writer::File(file)) = self.by_key.get_mut(&STDOUT) {
            file.limit_log(max_size, keep);
        }
    }

    /// Empties a file; a device or FIFO has nothing to empty.
    pub(super) fn clear(&mut self, key: u32) -> Result<(), FileError> {
        match self.by_key.get_mut(&key) {
            Some(Writer::File(file)) => file.clear(),
            Some(Writer::Queue(_) | Writer::Closed) | None => Ok(()),
        }
    }

    /// Counts lines that a writer has dropped and reported.
    pub(super) fn count_dropped(&mut self, key: u32, gap: Gap) {
        let before = self.dropped.get(&key).copied().unwrap_or(0);
        self.dropped.insert(key, before + gap.lines);
    }

    /// Closes a file without sources, unless it has dropped lines to report.
    pub(super) fn release(&mut self, key: u32) {
        if self.get(key).is_some_and(|writer| writer.unwritten() == 0 && writer.gap().is_none()) {
            self.by_key.remove(&key);
            self.devices.remove(&key);
            self.dropped.remove(&key);
        }
    }
}

impl Output {
    /// Makes a file foster's stdout and stderr: the log of `run --detach`. For a process whose streams are `/dev/null`, before
    /// anything is written.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn log_to(&mut self, log: FileSink) -> Result<(), FileError> {
        match file::open_log(log)? {
            Opened::File(file) => self.writers.insert(STDOUT, Writer::File(file)),
            Opened::Other(target) => {
                stream::become_standard(&target)?;
                self.writers = Writers::new(&self.env);
            }
        }
        Ok(())
    }

    /// Opens every log file again (USR1).
    pub fn reopen(&mut self) {
        let mut events = Vec::new();
        for (key, writer) in &mut self.writers.by_key {
            if let Writer::File(file) = writer {
                events.extend(file.reopen().map(|event| (*key, WriterEvent::File(event))));
            }
        }
        for (key, event) in events {
            self.report_events(key, vec![event]);
        }
    }

    /// Adds lines of a source to a writer, which leaves `batch` empty.
    pub(super) fn deliver(&mut self, key: u32, source: u32, batch: &mut Vec<u8>) {
        let notice = self.notice(key);
        let place = Registration { epoll: &self.watch.epoll, token: self.token(key | WRITER) };
        let Some(writer) = self.writers.by_key.get_mut(&key) else {
            batch.clear();
            return;
        };
        let mut events = Vec::new();
        writer.append(source, &notice, batch, place, &mut events);
        self.report_events(key, events);
    }

    /// Writes queued bytes, as far as there is room.
    pub(super) fn write(&mut self, key: u32) {
        let place = Registration { epoll: &self.watch.epoll, token: self.token(key | WRITER) };
        let Some(writer) = self.writers.by_key.get_mut(&key) else { return };
        let mut events = Vec::new();
        writer.write(place, &mut events);
        self.report_events(key, events);
    }

    /// Writes the queued bytes of all writers.
    pub(super) fn write_all(&mut self) {
        let unwritten = |(key, writer): (&u32, &Writer)| (writer.unwritten() > 0).then_some(*key);
        let keys: Vec<u32> = self.writers.by_key.iter().filter_map(unwritten).collect();
        keys.into_iter().for_each(|key| self.write(key));
    }

    /// The lines that the files of a run have dropped since they were opened.
    pub fn dropped_lines(&self, run: Run) -> u64 {
        let Some(output) = self.attached.runs.get(&run) else { return 0 };
        let keys: SortedSet<u32> = output.streams.iter().map(|(_, writer)| *writer).collect();
        let of = |key: &u32| {
            let unreported = self.writers.get(*key).and_then(Writer::gap).map_or(0, |gap| gap.lines);
            self.writers.dropped.get(key).copied().unwrap_or(0) + unreported
        };
        keys.iter().map(of).sum()
    }

    /// Makes every writer report the lines it has dropped.
    pub(super) fn report_gaps(&mut self) {
        for key in self.writers.by_key.keys().copied().collect::<Vec<_>>() {
            self.deliver(key, super::own_lines::OWN, &mut Vec::new());
        }
    }

    /// When [`Output::flush`] has something to try again. It needs no descriptor, because that may be what is missing.
    pub fn deadline(&self) -> Option<Instant> {
        self.writers.retry
    }

    /// Ends the delays when they are over.
    pub(super) fn end_delays(&mut self, now: Instant) {
        if self.writers.retry.is_some_and(|retry| retry <= now) {
            self.writers.retry = None;
            self.writers.by_key.values_mut().for_each(Writer::end_delay);
        }
    }

    /// One delay serves everything that has failed since it began.
    pub(super) fn begin_delay(&mut self, now: Instant) {
        let has_failed =
            self.writers.any_failed() || self.sources.paused.iter().any(|key| self.has_room(*key));
        self.writers.retry = has_failed.then(|| self.writers.retry.unwrap_or(now.plus(RETRY_DELAY)));
    }
}
