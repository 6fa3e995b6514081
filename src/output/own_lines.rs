//! foster's own lines, written to stderr in order with the programs' lines.
//!
//! The promise: the last output of a process comes before any own line that is logged after [`Output::ended`]. So the
//! queue has barriers between lines: the lines after one wait until a source has no unread output, then until a writer
//! has written it. The queue is bounded; lines that do not fit are dropped and counted.

use std::collections::VecDeque;
use std::time::SystemTime;

use ::log::Level;
use foster_lines::format::{self, Colour, LinePrefix};
use foster_lines::lines::Lines;

use super::file::FileEvent;
use super::log::{self, Body, Entry, Line};
use super::writer::{Writer, WriterEvent};
use super::{FOSTER, Output, STDOUT, Stream};
use crate::errno;
use crate::plan::LogFormat;

/// The most barriers in the queue; it fills only if nothing can be written for a long time.
const BARRIERS: usize = 4096;
/// The source of foster's own lines.
pub(super) const OWN: u32 = u32::MAX;

/// The own lines that are not written yet.
#[derive(Debug, Default)]
pub(super) struct OwnLines {
    waiting: VecDeque<OwnLine>,
    pub(super) size: usize,
    pub(super) dropped: u64,
}

#[derive(Debug)]
enum OwnLine {
    Line(Entry),
    /// The lines after it wait until this source has no unread output.
    Read {
        source: u32,
        writer: u32,
    },
    /// The lines after it wait until this writer has written up to this position.
    Written {
        writer: u32,
        position: u64,
    },
}

impl OwnLines {
    fn push(&mut self, entry: Entry) {
        if self.size + entry.body.size() > log::LIMIT {
            self.dropped += 1;
            return;
        }
        self.size += entry.body.size();
        self.waiting.push_back(OwnLine::Line(entry));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Makes the lines after it wait for the unread output of this source.
    pub(super) fn push_barrier(&mut self, source: u32, writer: u32) {
        if self.waiting.len() < BARRIERS {
            self.waiting.push_back(OwnLine::Read { source, writer });
        }
    }
}

impl Output {
    /// Logs a line; returns its time and the members of its JSON object, which the event has as well.
    pub fn log(&mut self, line: &Line) -> (SystemTime, Vec<u8>) {
        let (at, members) = ((self.env.clock)(), line.members());
        if line.is_enabled() {
            let body = match self.style.format {
                LogFormat::Text => Body::Text(line.level, line.message.clone()),
                LogFormat::Json => Body::Json(members.clone()),
            };
            self.take_backlog();
            self.own.push(Entry { at, body });
        }
        (at, members)
    }

    /// Logs a message without an event.
    pub fn say(&mut self, level: Level, message: &str) {
        let line = Line::plain(level, message.to_owned());
        if line.is_enabled() {
            let entry = self.entry(&line);
            self.take_backlog();
            self.own.push(entry);
        }
    }

    fn entry(&self, line: &Line) -> Entry {
        Entry { at: (self.env.clock)(), body: Body::of(self.style.format, line) }
    }

    pub(super) fn take_backlog(&mut self) {
        if self.env.backlog.is_empty() {
            return;
        }
        let (entries, dropped) = self.env.backlog.take();
        self.own.dropped += dropped;
        entries.into_iter().for_each(|entry| self.own.push(entry));
    }

    /// Writes own lines as far as barriers and the writer of stderr allow.
    pub(super) fn write_own(&mut self) {
        let mut batch = Vec::new();
        let stderr = self.writers.stderr;
        while let Some(next) = self.own.waiting.front_mut() {
            match next {
                OwnLine::Read { source, writer } => {
                    if self.sources.has_unread(*source) {
                        break;
                    }
                    let writer = *writer;
                    let position = self.writers.get(writer).map_or(0, Writer::position);
                    *next = OwnLine::Written { writer, position };
                }
                OwnLine::Written { writer, position } => {
                    // The same queue keeps the order by itself.
                    let is_written =
                        self.writers.get(*writer).is_none_or(|writer| writer.has_reached(*position));
                    if !is_written && *writer != stderr {
                        break;
                    }
                    self.own.waiting.pop_front();
                }
                OwnLine::Line(_) => {
                    if self.writers.get(stderr).is_some_and(Writer::is_full) {
                        break;
                    }
                    let Some(OwnLine::Line(entry)) = self.own.waiting.pop_front() else { break };
                    self.own.size = self.own.size.saturating_sub(entry.body.size());
                    self.format_own(stderr, &entry, &mut batch);
                }
            }
        }
        if self.own.waiting.is_empty() && self.own.dropped > 0 {
            let message = format!("{} log lines dropped: stderr is blocked", self.own.dropped);
            let entry = self.entry(&Line::plain(Level::Warn, message));
            self.format_own(stderr, &entry, &mut batch);
            self.own.dropped = 0;
        }
        if !batch.is_empty() {
            self.deliver(stderr, OWN, &mut batch);
        }
    }

    /// Formats one of foster's own lines for this writer.
    fn format_own(&self, writer: u32, entry: &Entry, out: &mut Vec<u8>) {
        let (level, text) = match &entry.body {
            Body::Text(level, text) => (*level, text),
            Body::Json(members) => return log::object(entry.at, members, out),
        };
        let is_coloured = self.writers.coloured.contains(&writer);
        let colour = is_coloured.then_some(Colour::BOLD);
        let mut prefix = LinePrefix::text(self.style.timestamps, FOSTER, self.style.width, colour);
        if self.writers.terminals.contains(&writer) {
            prefix = prefix.for_terminal();
        }
        let mut head = Vec::new();
        prefix.head(entry.at, &mut head);
        let word = match (log::level_word(level), is_coloured) {
            (None, _) => String::new(),
            (Some(word), false) => format!("{word}: "),
            (Some(word), true) => format!("{}: ", format::level_colour(level).around(word)),
        };
        let mut lines = Lines::default();
        let mut emit = |piece: &[u8], end| prefix.write(&head, piece, end, out);
        let limit = prefix.limit(&head);
        lines.feed(format!("{word}{}\n", text.trim_end_matches('\n')).as_bytes(), limit, &mut emit);
    }

    /// The line about the lines that a writer has dropped.
    pub(super) fn notice(&self, key: u32) -> Vec<u8> {
        let Some(gap) = self.writers.get(key).and_then(Writer::gap) else { return Vec::new() };
        let message = format!("{} lines dropped: {}", gap.lines, gap.error);
        if key != STDOUT && key != self.writers.stderr {
            return format!("foster: {message}\n").into_bytes();
        }
        let mut notice = Vec::new();
        self.format_own(key, &self.entry(&Line::plain(Level::Warn, message)), &mut notice);
        notice
    }

    /// Logs the events of a writer; those of a stderr that cannot be written go to stdout.
    pub(super) fn report_events(&mut self, key: u32, events: Vec<WriterEvent>) {
        for event in events {
            if let WriterEvent::File(FileEvent::Recovered(gap)) = &event {
                self.writers.count_dropped(key, *gap);
            }
            let Some((level, message)) = self.event_message(key, &event) else { continue };
            let is_written = matches!(event, WriterEvent::File(FileEvent::CannotRotate(_)));
            if key == self.writers.stderr && !is_written {
                self.log_to_stdout(level, message);
            } else {
                self.say(level, &message);
            }
        }
    }

    fn event_message(&self, key: u32, event: &WriterEvent) -> Option<(Level, String)> {
        let name = self.writer_name(key);
        Some(match event {
            WriterEvent::Gone(error) => (
                Level::Warn,
                format!("cannot write {name}: {}; its lines are dropped from now on", errno::text(*error)),
            ),
            WriterEvent::Failing(error) => (
                Level::Warn,
                format!("cannot write {name}: {}; trying again each second", errno::text(*error)),
            ),
            WriterEvent::Recovered => (Level::Info, format!("{name} can be written again")),
            WriterEvent::File(FileEvent::Failing(error)) => (
                Level::Warn,
                format!("cannot write {name}: {error}; its lines are dropped until it can be written"),
            ),
            // The notice before the next line reports it.
            WriterEvent::File(FileEvent::Recovered(_)) if key == self.writers.stderr => return None,
            WriterEvent::File(FileEvent::Recovered(gap)) => {
                let (lines, why) = (gap.lines, gap.error);
                (Level::Warn, format!("{name} can be written again; {lines} lines were dropped: {why}"))
            }
            WriterEvent::File(FileEvent::CannotRotate(error)) => {
                (Level::Warn, format!("cannot rotate {name}: {error}; the file will exceed its limit"))
            }
        })
    }

    fn log_to_stdout(&mut self, level: Level, message: String) {
        if self.writers.stderr == STDOUT {
            return;
        }
        let entry = self.entry(&Line::plain(level, message));
        let mut line = Vec::new();
        self.format_own(STDOUT, &entry, &mut line);
        self.deliver(STDOUT, OWN, &mut line);
    }

    fn writer_name(&self, key: u32) -> String {
        match self.writers.get(key) {
            Some(Writer::File(file)) if file.path().is_some() => {
                format!("`{}`", file.path().unwrap_or("".as_ref()).display())
            }
            Some(_) | None if key == self.writers.stderr => Stream::Stderr.name().to_owned(),
            Some(_) | None if key == STDOUT => Stream::Stdout.name().to_owned(),
            Some(_) | None => {
                let device = self.writers.devices.get(&key);
                device.map_or("an output".to_owned(), |path| format!("`{}`", path.display()))
            }
        }
    }
}
