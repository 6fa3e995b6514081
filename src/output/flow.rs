//! The flow of lines: sources are read, outlets are written, own lines find their place.
//!
//! An outlet that is full stops the reading of its sources; the kernel's pipes fill, and the programs wait.
//! foster does not. The order that is promised: the last words of a process come before any own line that
//! is said after [`Output::ended`].

use std::ops::RangeInclusive;

use foster_core::ids::Run;
use log::Level;
use nix::errno::Errno;

use super::file::Trouble;
use super::lines::End;
use super::outlet::News;
use super::own::{Body, Entry};
use super::{OUTLET, Output, Own, Phase, STDOUT, Scratch, Stream};
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
        if key & OUTLET != 0 {
            self.write(key & !OUTLET);
        } else if ready.readable {
            self.read_turn(key);
        }
        self.settle();
    }

    /// Puts foster's own lines in their place and tries again what had no room. To be called before each
    /// wait: own lines are written here.
    pub fn flush(&mut self) {
        let waiting = |(key, outlet): (&u32, &super::Outlet)| (outlet.waiting() > 0).then_some(*key);
        let waiting: Vec<u32> = self.outlets.iter().filter_map(waiting).collect();
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
        for (source, outlet) in record.streams.clone() {
            self.read_last_words(source);
            if self.own.waiting.len() < BARRIERS {
                self.own.waiting.push_back(Own::Read { source, outlet });
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
        let outlets: Vec<u32> = self.outlets.keys().copied().collect();
        for outlet in outlets {
            self.deliver(outlet, OWN, &mut Vec::new());
        }
        self.settle();
    }

    /// Passes on news of an outlet to foster's own log.
    pub(super) fn tell(&mut self, outlet: u32, news: Vec<News>) {
        for news in news {
            match news {
                News::Gone(error) => self.tell_gone(outlet, error),
                // About its own stderr there is nobody to tell but the file itself.
                News::File(_) if outlet == self.stderr => {}
                News::File(trouble) => {
                    let path = self.name(outlet);
                    let (level, message) = match trouble {
                        Trouble::Failing(error) => {
                            let why = error.desc();
                            (Level::Warn, format!("cannot write {path}: {why}; lines for it are dropped"))
                        }
                        Trouble::Recovered(gap) => {
                            let (lines, why) = (gap.lines, gap.error.desc());
                            (Level::Warn, format!("{path} is written again, {lines} lines dropped: {why}"))
                        }
                        Trouble::CannotRotate(error) => {
                            let why = error.desc();
                            (Level::Warn, format!("cannot rotate {path}: {why}; it grows on"))
                        }
                    };
                    self.say(level, &message);
                }
            }
        }
    }

    /// Own lines as far as they may go, then sources whose outlet has room again.
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
            let roomy = self.outlets.get(&source.outlet).is_none_or(super::Outlet::roomy);
            if roomy && self.epoll.add(&source.fd, self.token(key), Interest::Read).is_ok() {
                self.paused.remove(&key);
            }
        }
    }

    fn write(&mut self, key: u32) {
        let token = self.token(key | OUTLET);
        let Some(outlet) = self.outlets.get_mut(&key) else { return };
        let mut news = Vec::new();
        outlet.write(&mut news);
        outlet.watch(&self.epoll, token);
        self.tell(key, news);
    }

    fn read_turn(&mut self, key: u32) {
        let Some(source) = self.sources.get(&key) else { return };
        if !self.outlets.get(&source.outlet).is_some_and(super::Outlet::full) {
            self.read(key);
        } else if self.paused.insert(key) {
            // Not only without interest: a hang-up would be reported again and again.
            let _ = self.epoll.remove(&source.fd);
        }
    }

    /// Reads what lies there now, and no more: a descendant may write for ever. Most pipes are at their end, which
    /// the first read tells; only where it does not, FIONREAD is asked.
    fn read_last_words(&mut self, key: u32) {
        let Some(outlet) = self.sources.get(&key).map(|source| source.outlet) else { return };
        let full = |output: &Output| output.outlets.get(&outlet).is_some_and(super::Outlet::full);
        if !full(self) && self.read(key) == Got::End {
            return;
        }
        let Some(source) = self.sources.get_mut(&key) else { return };
        source.owed = stream::unread(&source.fd);
        if source.owed == 0 {
            let mut scratch = std::mem::take(&mut self.scratch);
            self.pass_on(key, Input::End, &mut scratch);
            self.scratch = scratch;
        }
        while self.sources.get(&key).is_some_and(|source| source.owed > 0) && !full(self) {
            self.read(key);
        }
    }

    /// Reads once, and passes on what that gave.
    fn read(&mut self, key: u32) -> Got {
        let Some(source) = self.sources.get_mut(&key) else { return Got::End };
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.read.resize(TURN, 0);
        let most = if source.owed > 0 { source.owed.min(TURN) } else { TURN };
        let room = scratch.read.get_mut(..most).unwrap_or_default();
        let got = match stream::read(&source.fd, room) {
            Ok(count @ 1..) => {
                self.pass_on(key, Input::Bytes(count), &mut scratch);
                Got::Some
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {
                // Somebody else has read it.
                if source.owed > 0 {
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
        let super::Source { run, stream, envelope, lines, pattern, .. } = source;
        let mut ring = self.programs.get_mut(run.instance.program).map(|facts| &mut facts.ring);
        let (next_line, matches) = (&mut self.next_line, &mut self.matches);
        envelope.head((self.surroundings.clock)(), head);
        let mut emit = |piece: &[u8], end: End| {
            envelope.write(head, piece, end, batch);
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
                lines.feed(read.get(..count).unwrap_or_default(), envelope.limit(head), &mut emit);
                source.owed.saturating_sub(count)
            }
            Input::End => 0,
        };
        // An unfinished line is a line when its writer is gone.
        if left == 0 && (source.owed > 0 || input == Input::End) {
            lines.finish(&mut emit);
        }
        source.owed = left;
        let outlet = source.outlet;
        self.deliver(outlet, key, batch);
    }

    /// The last writer has closed the pipe.
    fn close(&mut self, key: u32) {
        let Some(source) = self.sources.remove(&key) else { return };
        self.paused.remove(&key);
        self.release(source.outlet);
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
        let owing = |(key, _): &&(u32, u32)| self.sources.get(key).is_some_and(|source| source.owed > 0);
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
        let token = self.token(key | OUTLET);
        let Some(outlet) = self.outlets.get_mut(&key) else {
            batch.clear();
            return;
        };
        let mut news = Vec::new();
        outlet.append(source, &notice, batch, &mut news);
        outlet.watch(&self.epoll, token);
        self.tell(key, news);
    }

    /// The words for what an outlet has dropped.
    fn notice(&self, key: u32) -> Vec<u8> {
        let Some(gap) = self.outlets.get(&key).and_then(super::Outlet::gap) else { return Vec::new() };
        let message = format!("{} lines dropped: {}", gap.lines, gap.error.desc());
        if key != STDOUT && key != self.stderr {
            return format!("foster: {message}\n").into_bytes();
        }
        let body = Body::plain(self.format, Level::Warn, &message);
        let mut notice = Vec::new();
        self.dress(key, &Entry { at: (self.surroundings.clock)(), body }, &mut notice);
        notice
    }

    /// The reader of an outlet is gone: said once, where there is another one.
    fn tell_gone(&mut self, key: u32, error: Errno) {
        let name = self.name(key);
        let message = format!("cannot write {name}: {}; lines for it are dropped", error.desc());
        if key != self.stderr {
            self.say(Level::Warn, &message);
            return;
        }
        let body = Body::plain(self.format, Level::Warn, &message);
        let mut line = Vec::new();
        self.dress(STDOUT, &Entry { at: (self.surroundings.clock)(), body }, &mut line);
        self.deliver(STDOUT, OWN, &mut line);
    }

    fn name(&self, key: u32) -> String {
        match self.outlets.get(&key) {
            Some(super::Outlet::File(file)) if file.path().is_some() => {
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
        if self.surroundings.backlog.is_empty() {
            return;
        }
        let (entries, dropped) = self.surroundings.backlog.take();
        self.own.dropped += dropped;
        entries.into_iter().for_each(|entry| self.own.push(entry));
    }

    fn write_own(&mut self) {
        let mut batch = Vec::new();
        while let Some(next) = self.own.waiting.front_mut() {
            match next {
                Own::Read { source, outlet } => {
                    if self.sources.get(source).is_some_and(|source| source.owed > 0) {
                        break;
                    }
                    let outlet = *outlet;
                    let position = self.outlets.get(&outlet).map_or(0, super::Outlet::position);
                    *next = Own::Written { outlet, position };
                }
                Own::Written { outlet, position } => {
                    // What comes after it in the same queue is written after it.
                    let written = self.outlets.get(outlet).is_none_or(|outlet| outlet.reached(*position));
                    if !written && *outlet != self.stderr {
                        break;
                    }
                    self.own.waiting.pop_front();
                }
                Own::Line(_) => {
                    if self.outlets.get(&self.stderr).is_some_and(super::Outlet::full) {
                        break;
                    }
                    let Some(Own::Line(entry)) = self.own.waiting.pop_front() else { break };
                    self.own.size = self.own.size.saturating_sub(entry.body.len());
                    self.dress(self.stderr, &entry, &mut batch);
                }
            }
        }
        if self.own.waiting.is_empty() && self.own.dropped > 0 {
            let message = format!("{} lines of foster's own dropped: nobody reads them", self.own.dropped);
            let body = Body::plain(self.format, Level::Warn, &message);
            self.dress(self.stderr, &Entry { at: (self.surroundings.clock)(), body }, &mut batch);
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
