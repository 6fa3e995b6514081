//! The pump: reads sources, formats their lines, and passes them to writers.
//!
//! While a writer is full its sources are not read: the kernel's pipes fill, and the programs block, but foster does
//! not. `own_lines.rs` orders foster's own lines among them.

use ::log::Level;
use foster_core::ids::Run;
use foster_core::time::Instant;
use foster_lines::capture::{Capture, Part, Place};
use foster_lines::lines::Lines;
use foster_lines::ring::Origin;
use foster_lines::{Batch, Look, Tail, visible};
use nix::errno::Errno;

use super::writer::Writer;
use super::{LineStyle, MainProcess, Output, PendingPattern, Scratch, Source, WRITER};
use crate::plan::LinePattern;
use crate::sys::epoll::{Interest, Ready};
use crate::sys::stream;

/// The most bytes that are read from one source before the next: the capacity of a pipe (pipe(7)).
const READ_BUDGET: usize = 64 * 1024;
/// The same for a source of a small file, whose rotation costs more than writing to it.
const SMALL_READ_BUDGET: usize = 4 * 1024;
/// The capacity that the buffer for formatted lines may keep.
const BATCH: usize = 512 * 1024;
/// The most exited runs of an instance with open pipes; each holds two descriptors.
const DEAD_RUNS: usize = 16;

/// The input from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// This many bytes in the shared buffer.
    Bytes(usize),
    /// The end of the main process's output, or of the pipe.
    End,
}

/// Whether a source may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadResult {
    /// It may have more.
    More,
    /// Its last writer has closed it.
    End,
}

impl Output {
    /// Handles a report of epoll.
    pub fn on_ready(&mut self, ready: Ready) {
        let key = ready.token.key;
        if key & WRITER != 0 {
            self.write(key & !WRITER);
        } else if ready.readable {
            self.read_available(key);
        }
        self.settle();
    }

    /// Writes foster's own lines in order and retries full writers. Called before each wait, which ends at
    /// [`Output::deadline`].
    pub fn flush(&mut self, now: Instant) {
        self.end_delays(now);
        self.write_all();
        self.settle();
        self.begin_delay(now);
    }

    /// Handles the exit of this run's main process. Its output is read now, as far as there is room, and precedes
    /// foster's later lines. Its descendants may continue to write.
    pub fn ended(&mut self, run: Run) {
        self.take_backlog();
        let Some(record) = self.attached.runs.get_mut(&run) else { return };
        record.main = MainProcess::Ended;
        for (source, writer) in record.streams.clone() {
            // An exited process does not become ready.
            if let Some(source) = self.sources.by_key.get_mut(&source) {
                source.pattern = None;
            }
            self.read_last_output(source);
            self.own.push_barrier(source, writer);
        }
        self.forget(run);
        self.bound_dead_runs(run);
        self.settle();
    }

    /// Ends the output at the shutdown: remaining output is read, unfinished lines are completed, losses are reported. The
    /// loop continues while output is [`Output::pending`].
    pub fn finish(&mut self) {
        for key in self.sources.by_key.keys().copied().collect::<Vec<_>>() {
            self.read_last_output(key);
        }
        self.report_gaps();
        self.settle();
    }

    /// Writes foster's own lines, then reads sources whose writer has room again.
    fn settle(&mut self) {
        self.take_backlog();
        self.write_own();
        if self.sources.paused.is_empty() {
            return;
        }
        for key in self.sources.paused.iter().copied().collect::<Vec<_>>() {
            let Some(source) = self.sources.by_key.get(&key) else {
                self.sources.paused.remove(&key);
                continue;
            };
            // One that cannot be registered stays paused until the next try.
            if self.has_room(key) && self.watch.epoll.add(&source.fd, self.token(key), Interest::Read).is_ok()
            {
                self.sources.paused.remove(&key);
            }
        }
    }

    /// Whether the writer of this source has room again.
    pub(super) fn has_room(&self, key: u32) -> bool {
        let source = self.sources.by_key.get(&key);
        source.and_then(|source| self.writers.get(source.writer)).is_none_or(Writer::has_room)
    }

    fn read_available(&mut self, key: u32) {
        let Some(source) = self.sources.by_key.get(&key) else { return };
        if !self.writers.is_full(source.writer) {
            self.read(key);
        } else if self.watch.epoll.remove(&source.fd).is_ok() {
            // Removed, not only without interest: epoll would report a hang-up again and again.
            self.sources.paused.insert(key);
        }
    }

    /// Reads only the bytes that are in the pipe, because a descendant may write forever. Most pipes are at their end,
    /// which the first read shows; otherwise FIONREAD returns the amount.
    fn read_last_output(&mut self, key: u32) {
        let Some(writer) = self.sources.by_key.get(&key).map(|source| source.writer) else { return };
        if !self.writers.is_full(writer) && self.read(key) == ReadResult::End {
            return;
        }
        let Some(source) = self.sources.by_key.get_mut(&key) else { return };
        source.unread = stream::unread(&source.fd);
        if source.unread == 0 {
            let mut scratch = std::mem::take(&mut self.scratch);
            self.deliver_input(key, Input::End, &mut scratch);
            self.scratch = scratch;
        }
        while self.sources.has_unread(key) && !self.writers.is_full(writer) {
            self.read(key);
        }
    }

    /// Reads once and passes the input on.
    fn read(&mut self, key: u32) -> ReadResult {
        let Some(source) = self.sources.by_key.get(&key) else { return ReadResult::End };
        let turn = if source.is_matching() { SMALL_READ_BUDGET } else { self.read_budget(source.writer) };
        let most = if source.unread > 0 { source.unread.min(turn) } else { turn };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.read.resize(READ_BUDGET, 0);
        let room = scratch.read.get_mut(..most).unwrap_or_default();
        let result = match stream::read(&source.fd, room) {
            Ok(count @ 1..) => {
                self.deliver_input(key, Input::Bytes(count), &mut scratch);
                ReadResult::More
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {
                // Another process has read the data.
                if source.unread > 0 {
                    self.deliver_input(key, Input::End, &mut scratch);
                }
                ReadResult::More
            }
            Ok(0) | Err(_) => {
                self.deliver_input(key, Input::End, &mut scratch);
                self.close(key);
                ReadResult::End
            }
        };
        scratch.batch.shrink_to(BATCH);
        self.scratch = scratch;
        result
    }

    /// The bytes to read at once for a writer: at most about the size of its file, so that a read causes few rotations.
    fn read_budget(&self, writer: u32) -> usize {
        let limit = match self.writers.get(writer) {
            Some(Writer::File(file)) => file.max_size(),
            Some(Writer::Queue(_) | Writer::Closed) | None => None,
        };
        limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(READ_BUDGET)
            .clamp(SMALL_READ_BUDGET, READ_BUDGET)
    }

    fn deliver_input(&mut self, key: u32, input: Input, scratch: &mut Scratch) {
        let Some(source) = self.sources.by_key.get_mut(&key).map(Box::as_mut) else { return };
        let Scratch { read, head, batch } = scratch;
        let Source { run, stream, line_style, lines, pattern, .. } = source;
        let LineStyle { prefix, capture, .. } = line_style;
        let (next, matches) = (&mut self.attached.next_line, &mut self.attached.matches);
        let origin = Origin { instance: run.instance.index, run: run.number, stream: *stream };
        let at = (self.env.clock)();
        prefix.head(at, head);
        let tail = self.attached.rings.get_mut(run.instance.program);
        let tail = tail.map(|ring| Tail { ring, next, at, origin });
        let mut look = pattern.as_ref().map(|pattern| {
            |piece: &[u8]| {
                if pattern.matches_first(piece) {
                    matches.push(*run);
                }
            }
        });
        let look = look.as_mut().map(|look| look as Look<'_>);
        let mut formatted = Batch { prefix, head, out: batch, tail, look };
        let (bytes, left) = match input {
            Input::Bytes(count) => {
                (read.get(..count).unwrap_or_default(), source.unread.saturating_sub(count))
            }
            Input::End => ([].as_slice(), 0),
        };
        // The main process has exited or the pipe is closed: an unfinished line is complete.
        let is_over = left == 0 && (source.unread > 0 || input == Input::End);
        match capture {
            None => formatted.feed(lines, bytes),
            Some(capture) => feed_captured(&mut formatted, lines, capture, bytes, is_over),
        }
        if is_over {
            formatted.finish(lines);
        }
        source.unread = left;
        let writer = source.writer;
        self.deliver(writer, key, batch);
    }

    /// Handles a pipe that its last process has closed.
    fn close(&mut self, key: u32) {
        let Some(source) = self.sources.by_key.remove(&key) else { return };
        self.sources.paused.remove(&key);
        self.release(source.writer);
        self.forget(source.run);
    }

    /// Drops the record of a finished run.
    fn forget(&mut self, run: Run) {
        let Some(record) = self.attached.runs.get(&run) else { return };
        let is_open = record.streams.iter().any(|(key, _)| self.sources.by_key.contains_key(key));
        if record.main == MainProcess::Ended && !is_open {
            self.attached.runs.remove(&run);
        }
    }

    /// Programs that exit repeatedly must not use up the descriptors, neither while their reader is blocked nor by leaving
    /// daemons that keep the pipes open. The pipes of the oldest exited run are closed: of this instance if it has many, of
    /// the one that has the most if all have too many together.
    fn bound_dead_runs(&mut self, run: Run) {
        let mut dead: Vec<Run> = Vec::new();
        let is_dead = |record: &super::RunOutput| record.main == MainProcess::Ended;
        dead.extend(self.attached.runs.iter().filter(|(_, record)| is_dead(record)).map(|(run, _)| *run));
        let same = |one: &Run, two: &Run| one.instance == two.instance;
        let of_this = dead.chunk_by(same).find(|runs| runs.first().is_some_and(|first| same(first, &run)));
        let is_over = |runs: &&[Run]| runs.len() > DEAD_RUNS;
        let most = dead.chunk_by(same).max_by_key(|runs| runs.len());
        let runs = of_this.filter(is_over).or(most.filter(|_| dead.len() > self.attached.most_dead_runs));
        let Some(oldest) = runs.and_then(<[Run]>::first).copied() else { return };
        let label = self.attached.runs.get(&oldest).map(|record| record.label.clone()).unwrap_or_default();
        let streams =
            self.attached.runs.get(&oldest).map(|record| record.streams.clone()).unwrap_or_default();
        let is_unread = streams.iter().any(|(key, _)| self.sources.has_unread(*key));
        self.abandon(oldest);
        let message = match is_unread {
            true => format!("{label}: the last output of an earlier run is dropped: its reader is blocked"),
            false => format!(
                "{label}: output of processes that an earlier run left behind is no longer read: too many runs have left some"
            ),
        };
        self.say(Level::Warn, &message);
    }
}

/// Text for event listeners is kept for them, and left out of what is written.
fn feed_captured(
    formatted: &mut Batch<'_>,
    lines: &mut Lines,
    capture: &mut Capture,
    bytes: &[u8],
    is_over: bool,
) {
    let mut add = |part: Part<'_>| {
        let written = formatted.out.len();
        formatted.feed(lines, part.bytes);
        if part.is_last {
            formatted.finish(lines);
        }
        if part.place == Place::Within {
            formatted.out.truncate(written);
        }
    };
    capture.feed(bytes, &mut add);
    if is_over {
        capture.finish(&mut add);
    }
}

impl Source {
    fn is_matching(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| !pattern.is_matched.get())
    }
}

impl PendingPattern {
    /// Whether this is the first line that matches. Only the beginning of a line is matched, without its colours.
    fn matches_first(&self, line: &[u8]) -> bool {
        if self.is_matched.get() {
            return false;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = line.get(..LinePattern::LONGEST_LINE).unwrap_or(line);
        let mut text = Vec::with_capacity(line.len());
        visible::without_colours(line, &mut text);
        let is_match = self.pattern.is_match(&String::from_utf8_lossy(&text));
        self.is_matched.set(is_match);
        is_match
    }
}
