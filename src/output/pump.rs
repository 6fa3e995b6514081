//! The flow of lines: sources are read, writers are written, own lines find their place.
//!
//! An writer that is full stops the reading of its sources; the kernel's pipes fill, and the programs wait.
//! foster does not. The order that is promised: the last words of a process come before any own line that
//! is said after [`Output::ended`].

use std::ops::RangeInclusive;

use foster_core::ids::Run;
use log::Level;
use nix::errno::Errno;

use super::file::FileEvent;
use super::lines::End;
use super::log::{Body, Entry};
use super::writer::WriterEvent;
use super::{Output, OwnLine, Phase, STDOUT, Scratch, Stream, WRITER};
use crate::sys::epoll::{Interest, Ready};
use crate::sys::stream;

/// How much is read from one source before the others have their turn: what a pipe holds (pipe(7)).
const TURN: usize = 64 * 1024;
/// How large the buffer for dressed lines may stay.
const BATCH: usize = 512 * 1024;
/// How many dead runs of an instance may have words waiting for a blocked reader; each holds a descriptor.
const DEAD_RUNS: usize = 16;
/// How many barriers may wait; more would only come while nothing is written for days.
const BARRIERS: usize = 4096;
/// The source of foster's own lines.
const OWN: u32 = u32::MAX;

/// What came from a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// So many bytes, in the shared buffer.
    Bytes(usize),
    /// Nothing more of its main process, or of anybody.
    End,
}

/// Whether a source may have more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    /// It may.
    Some,
    /// Its last writer is gone.
    End,
}

impl Output {
    /// Reads or writes what epoll has reported.
    pub fn on_ready(&mut self, ready: Ready) {
        let key = ready.token.key;
        if key & WRITER != 0 {
            self.write(key & !WRITER);
        } else if ready.readable {
            self.read_turn(key);
        }
        self.settle();
    }

    /// Puts foster's own lines in their place and tries again what had no room. To be called before each
    /// wait: own lines are written here.
    pub fn flush(&mut self) {
        let waiting = |(key, writer): (&u32, &super::Writer)| (writer.waiting() > 0).then_some(*key);
        let waiting: Vec<u32> = self.writers.iter().filter_map(waiting).collect();
        for key in waiting {
            self.write(key);
        }
        self.settle();
    }

    /// The main process of this run is dead. What it wrote is read now, as far as there is room, and own
    /// lines that are said from here on come after it. Its descendants may go on writing.
    pub fn ended(&mut self, run: Run) {
        self.take_backlog();
        let Some(record) = self.runs.get_mut(&run) else { return };
        record.phase = Phase::Ended;
        for (source, writer) in record.streams.clone() {
            self.read_last_words(source);
            if self.own.waiting.len() < BARRIERS {
                self.own.waiting.push_back(OwnLine::Read { source, writer });
            }
        }
        self.forget(run);
        self.bound_dead_runs(run);
        self.settle();
    }

    /// Every process is gone, or is to be waited for no longer: what is there is read, unfinished lines are
    /// ended, losses are told. To be followed by turns of the loop as long as there is something
    /// [`Output::pending`].
    pub fn finish(&mut self) {
        let keys: Vec<u32> = self.sources.keys().copied().collect();
        for key in keys {
            self.read_last_words(key);
        }
        let writers: Vec<u32> = self.writers.keys().copied().collect();
        for writer in writers {
            self.deliver(writer, OWN, &mut Vec::new());
        }
        self.settle();
    }

    /// Passes on events of an writer to foster's own log.
    pub(super) fn tell(&mut self, writer: u32, events: Vec<WriterEvent>) {
        for events in events {
            match events {
                WriterEvent::Gone(error) => self.tell_gone(writer, error),
                // About its own stderr there is nobody to tell but the file itself.
                WriterEvent::File(_) if writer == self.stderr => {}
                WriterEvent::File(event) => {
                    let path = self.name(writer);
                    let (level, message) = match event {
                        FileEvent::Failing(error) => {
                            let why = error.desc();
                            (Level::Warn, format!("cannot write {path}: {why}; lines for it are dropped"))
                        }
                        FileEvent::Recovered(gap) => {
                            let (lines, why) = (gap.lines, gap.error.desc());
                            (Level::Warn, format!("{path} is written again, {lines} lines dropped: {why}"))
                        }
                        FileEvent::CannotRotate(error) => {
                            let why = error.desc();
                            (Level::Warn, format!("cannot rotate {path}: {why}; it grows on"))
                        }
                    };
                    self.say(level, &message);
                }
            }
        }
    }

    /// OwnLine lines as far as they may go, then sources whose writer has room again.
    fn settle(&mut self) {
        self.take_backlog();
        self.write_own();
        if self.paused.is_empty() {
            return;
        }
        for key in self.paused.clone() {
            let Some(source) = self.sources.get(&key) else {
                self.paused.remove(&key);
                continue;
            };
            let roomy = self.writers.get(&source.writer).is_none_or(super::Writer::roomy);
            if roomy && self.epoll.add(&source.fd, self.token(key), Interest::Read).is_ok() {
                self.paused.remove(&key);
            }
        }
    }

    fn write(&mut self, key: u32) {
        let token = self.token(key | WRITER);
        let Some(writer) = self.writers.get_mut(&key) else { return };
        let mut events = Vec::new();
        writer.write(&mut events);
        writer.watch(&self.epoll, token);
        self.tell(key, events);
    }

    fn read_turn(&mut self, key: u32) {
        let Some(source) = self.sources.get(&key) else { return };
        if !self.writers.get(&source.writer).is_some_and(super::Writer::full) {
            self.read(key);
        } else if self.paused.insert(key) {
            // Not only without interest: a hang-up would be reported again and again.
            let _ = self.epoll.remove(&source.fd);
        }
    }

    /// Reads what lies there now, and no more: a descendant may write for ever. Most pipes are at their end, which
    /// the first read tells; only where it does not, FIONREAD is asked.
    fn read_last_words(&mut self, key: u32) {
        let Some(writer) = self.sources.get(&key).map(|source| source.writer) else { return };
        let full = |output: &Output| output.writers.get(&writer).is_some_and(super::Writer::full);
        if !full(self) && self.read(key) == Got::End {
            return;
        }
        let Some(source) = self.sources.get_mut(&key) else { return };
        source.unread = stream::unread(&source.fd);
        if source.unread == 0 {
            let mut scratch = std::mem::take(&mut self.scratch);
            self.pass_on(key, Input::End, &mut scratch);
            self.scratch = scratch;
        }
        while self.sources.get(&key).is_some_and(|source| source.unread > 0) && !full(self) {
            self.read(key);
        }
    }

    /// Reads once, and passes on what that gave.
    fn read(&mut self, key: u32) -> Got {
        let Some(source) = self.sources.get_mut(&key) else { return Got::End };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.read.resize(TURN, 0);
        let most = if source.unread > 0 { source.unread.min(TURN) } else { TURN };
        let room = scratch.read.get_mut(..most).unwrap_or_default();
        let got = match stream::read(&source.fd, room) {
            Ok(count @ 1..) => {
                self.pass_on(key, Input::Bytes(count), &mut scratch);
                Got::Some
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {
                // Somebody else has read it.
                if source.unread > 0 {
                    self.pass_on(key, Input::End, &mut scratch);
                }
                Got::Some
            }
            Ok(0) | Err(_) => {
                self.pass_on(key, Input::End, &mut scratch);
                self.close(key);
                Got::End
            }
        };
        scratch.batch.shrink_to(BATCH);
        self.scratch = scratch;
        got
    }

    fn pass_on(&mut self, key: u32, input: Input, scratch: &mut Scratch) {
        let Some(source) = self.sources.get_mut(&key) else { return };
        let Scratch { read, head, batch } = scratch;
        let super::Source { run, stream, prefix, lines, pattern, .. } = source;
        let mut ring = self.programs.get_mut(run.instance.program).map(|program| &mut program.ring);
        let (next_line, matches) = (&mut self.next_line, &mut self.matches);
        prefix.head((self.env.clock)(), head);
        let mut emit = |piece: &[u8], end: End| {
            prefix.write(head, piece, end, batch);
            if let Some(ring) = &mut ring {
                ring.push(*next_line, run.instance.index, *stream, piece, end);
                *next_line += 1;
            }
            if let Some(pattern) = pattern
                && pattern.hit(piece)
            {
                matches.push(*run);
            }
        };
        let left = match input {
            Input::Bytes(count) => {
                lines.feed(read.get(..count).unwrap_or_default(), prefix.limit(head), &mut emit);
                source.unread.saturating_sub(count)
            }
            Input::End => 0,
        };
        // An unfinished line is a line when its writer is gone.
        if left == 0 && (source.unread > 0 || input == Input::End) {
            lines.finish(&mut emit);
        }
        source.unread = left;
        let writer = source.writer;
        self.deliver(writer, key, batch);
    }

    /// The last writer has closed the pipe.
    fn close(&mut self, key: u32) {
        let Some(source) = self.sources.remove(&key) else { return };
        self.paused.remove(&key);
        self.release(source.writer);
        self.forget(source.run);
    }

    /// Drops the record of a run that is over in every respect.
    fn forget(&mut self, run: Run) {
        let Some(record) = self.runs.get(&run) else { return };
        let open = record.streams.iter().any(|(key, _)| self.sources.contains_key(key));
        if record.phase == Phase::Ended && !open {
            self.runs.remove(&run);
        }
    }

    /// A program that ends again and again while nobody reads must not use up the descriptors.
    fn bound_dead_runs(&mut self, run: Run) {
        let owing = |(key, _): &&(u32, u32)| self.sources.get(key).is_some_and(|source| source.unread > 0);
        let dead: Vec<Run> = self
            .runs
            .range(all_runs(run))
            .filter(|(_, record)| record.phase == Phase::Ended && record.streams.iter().any(|s| owing(&s)))
            .map(|(run, _)| *run)
            .collect();
        if dead.len() > DEAD_RUNS
            && let Some(oldest) = dead.first()
        {
            let label = self.runs.get(oldest).map(|record| record.label.clone()).unwrap_or_default();
            self.abandon(*oldest);
            let message =
                format!("the last lines of an earlier run of {label} are dropped: nobody reads them");
            self.say(Level::Warn, &message);
        }
    }

    fn deliver(&mut self, key: u32, source: u32, batch: &mut Vec<u8>) {
        let notice = self.notice(key);
        let token = self.token(key | WRITER);
        let Some(writer) = self.writers.get_mut(&key) else {
            batch.clear();
            return;
        };
        let mut events = Vec::new();
        writer.append(source, &notice, batch, &mut events);
        writer.watch(&self.epoll, token);
        self.tell(key, events);
    }

    /// The words for what an writer has dropped.
    fn notice(&self, key: u32) -> Vec<u8> {
        let Some(gap) = self.writers.get(&key).and_then(super::Writer::gap) else { return Vec::new() };
        let message = format!("{} lines dropped: {}", gap.lines, gap.error.desc());
        if key != STDOUT && key != self.stderr {
            return format!("foster: {message}\n").into_bytes();
        }
        let body = Body::plain(self.format, Level::Warn, &message);
        let mut notice = Vec::new();
        self.format_own(key, &Entry { at: (self.env.clock)(), body }, &mut notice);
        notice
    }

    /// The reader of an writer is gone: said once, where there is another one.
    fn tell_gone(&mut self, key: u32, error: Errno) {
        let name = self.name(key);
        let message = format!("cannot write {name}: {}; lines for it are dropped", error.desc());
        if key != self.stderr {
            self.say(Level::Warn, &message);
            return;
        }
        let body = Body::plain(self.format, Level::Warn, &message);
        let mut line = Vec::new();
        self.format_own(STDOUT, &Entry { at: (self.env.clock)(), body }, &mut line);
        self.deliver(STDOUT, OWN, &mut line);
    }

    fn name(&self, key: u32) -> String {
        match self.writers.get(&key) {
            Some(super::Writer::File(file)) if file.path().is_some() => {
                format!("`{}`", file.path().unwrap_or("".as_ref()).display())
            }
            Some(_) | None if key == self.stderr => Stream::Stderr.name().to_owned(),
            Some(_) | None if key == STDOUT => Stream::Stdout.name().to_owned(),
            Some(_) | None => {
                self.devices.get(&key).map_or("an output".to_owned(), |path| format!("`{}`", path.display()))
            }
        }
    }

    fn take_backlog(&mut self) {
        if self.env.backlog.is_empty() {
            return;
        }
        let (entries, dropped) = self.env.backlog.take();
        self.own.dropped += dropped;
        entries.into_iter().for_each(|entry| self.own.push(entry));
    }

    fn write_own(&mut self) {
        let mut batch = Vec::new();
        while let Some(next) = self.own.waiting.front_mut() {
            match next {
                OwnLine::Read { source, writer } => {
                    if self.sources.get(source).is_some_and(|source| source.unread > 0) {
                        break;
                    }
                    let writer = *writer;
                    let position = self.writers.get(&writer).map_or(0, super::Writer::position);
                    *next = OwnLine::Written { writer, position };
                }
                OwnLine::Written { writer, position } => {
                    // What comes after it in the same queue is written after it.
                    let written = self.writers.get(writer).is_none_or(|writer| writer.reached(*position));
                    if !written && *writer != self.stderr {
                        break;
                    }
                    self.own.waiting.pop_front();
                }
                OwnLine::Line(_) => {
                    if self.writers.get(&self.stderr).is_some_and(super::Writer::full) {
                        break;
                    }
                    let Some(OwnLine::Line(entry)) = self.own.waiting.pop_front() else { break };
                    self.own.size = self.own.size.saturating_sub(entry.body.len());
                    self.format_own(self.stderr, &entry, &mut batch);
                }
            }
        }
        if self.own.waiting.is_empty() && self.own.dropped > 0 {
            let message = format!("{} lines of foster's own dropped: nobody reads them", self.own.dropped);
            let body = Body::plain(self.format, Level::Warn, &message);
            self.format_own(self.stderr, &Entry { at: (self.env.clock)(), body }, &mut batch);
            self.own.dropped = 0;
        }
        if !batch.is_empty() {
            self.deliver(self.stderr, OWN, &mut batch);
        }
    }
}

impl super::Pattern {
    /// Whether this is the first line that matches.
    fn hit(&self, line: &[u8]) -> bool {
        if self.seen.get() {
            return false;
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let hit = self.regex.is_match(&String::from_utf8_lossy(line));
        self.seen.set(hit);
        hit
    }
}

fn all_runs(run: Run) -> RangeInclusive<Run> {
    Run { number: 0, ..run }..=Run { number: u32::MAX, ..run }
}
