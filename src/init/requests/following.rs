//! Clients that read output or events: the stored ones, and with `follow` also new ones.
//!
//! A reader has a position in the sequence of numbers. It gets a bounded chunk in each turn, the next one when it has read
//! the last, so a slow reader costs only one chunk of memory. Lines that were dropped before it could read them are
//! reported as missed. Its names are matched against every new plan: programs of an update are added, and the answer ends
//! when no program matches any longer.

use std::collections::VecDeque;
use std::ops::{Range, RangeInclusive};
use std::time::{Duration, SystemTime};

use foster_core::event::Order;
use foster_core::ids::{InstanceId, ProgramId};
use foster_lines::format;

use super::super::Init;
use super::super::history::EventRecord;
use super::orders::InstanceBefore;
use super::{Pending, Waiter};
use crate::control::names::NameFilter;
use crate::control::protocol::{self, Events, LogLine, Logs, Missed, Note, Reason, Refusal, Reply, Width};
use crate::control::server::{ConnectionId, Extent, WriteState};
use crate::output::Stream as OutputStream;
use crate::plan::{Plan, Program, Sink};

/// The approximate number of bytes for one reader in one turn.
pub(super) const CHUNK: usize = 16 * 1024;

/// A reader.
#[derive(Debug)]
pub(super) struct Stream {
    kind: StreamKind,
    subject: Subject,
    /// The number of the last line or event that was sent or skipped.
    seen: u64,
    /// The number of the last one at the time of the request: earlier ones that were dropped do not count as missed.
    start: u64,
    /// The width of names that was sent.
    width: usize,
    end: End,
    /// Whether more can be sent at once.
    more: bool,
    /// Removed programs of which lines were not sent.
    lost: Vec<String>,
}

/// Where a stream ends.
#[derive(Debug)]
enum End {
    /// Nowhere.
    Open,
    /// After this number.
    After(u64),
    /// With the runs that were ordered.
    WithRun(Vec<(InstanceId, InstanceBefore)>),
    /// Those have ended: after this number, with these replies.
    AfterRun(u64, Box<[Reply]>),
}

/// The kind of stream.
#[derive(Debug)]
enum StreamKind {
    /// Lines of output since this time.
    Output { since: Option<SystemTime> },
    /// Events that pass this filter.
    Events(Events),
}

/// The programs of a stream: the given names, and the matching programs of the plan.
#[derive(Debug)]
struct Subject {
    names: NameFilter,
    programs: Vec<ProgramId>,
}

impl Subject {
    fn new(names: &[String], plan: &Plan) -> Result<Subject, Refusal> {
        let mut subject = Subject { names: NameFilter::new(names)?, programs: Vec::new() };
        subject.look_up(plan);
        Ok(subject)
    }

    fn look_up(&mut self, plan: &Plan) {
        let is_meant = |id: ProgramId, program: &Program| {
            // A removed instance keeps its name until it has stopped; a program without instances has its own.
            let known = plan.instances.range(instances_of(id)).next_back().map_or(0, |(id, _)| id.index);
            self.has_any(&program.name, 0..known.saturating_add(1))
        };
        let meant = plan.programs.iter().filter(|(id, program)| is_meant(*id, program));
        self.programs = meant.map(|(id, _)| id).collect();
    }

    fn has_any(&self, name: &str, mut instances: Range<u16>) -> bool {
        instances.any(|instance| self.names.matches(name, instance))
    }
}

fn instances_of(program: ProgramId) -> RangeInclusive<InstanceId> {
    InstanceId { program, index: 0 }..=InstanceId { program, index: u16::MAX }
}

impl Stream {
    /// Whether more can be sent at once.
    pub(super) fn has_backlog(&self) -> bool {
        self.more
    }

    /// Continues the stream in the next turn.
    pub(super) fn put_off(self) -> Stream {
        Stream { more: true, ..self }
    }

    fn end_after(&mut self, newest: u64) {
        if matches!(self.end, End::Open) {
            self.end = End::After(newest);
        }
        self.more = true;
    }

    fn is_complete(&self) -> bool {
        match self.end {
            End::Open | End::WithRun(_) => false,
            End::After(last) | End::AfterRun(last, _) => self.seen >= last,
        }
    }
}

impl Init {
    pub(super) fn logs(&mut self, client: ConnectionId, asked: Logs) -> Result<(), Refusal> {
        self.named_or_all(&asked.names).map_err(|refusal| {
            let message = "foster's own lines are not among the programs' output: `foster events` shows them";
            let is_foster =
                refusal.error == Reason::NoSuchName && asked.names.iter().any(|name| name == "foster");
            if is_foster { Refusal::new(Reason::NoSuchName, message) } else { refusal }
        })?;
        let subject = Subject::new(&asked.names, &self.plan)?;
        if !asked.names.is_empty() {
            self.note_unkept(client, &subject);
        }
        let newest = self.output.last_line();
        let seen = match asked.lines.and_then(|count| usize::try_from(count).ok()) {
            Some(count) => self.output.before_the_last(&subject.programs, count),
            None => 0,
        };
        let end = if asked.follow { End::Open } else { End::After(newest) };
        let age = asked.since_ms.map(Duration::from_millis);
        let since = age.and_then(|age| SystemTime::now().checked_sub(age));
        self.start_stream(client, StreamKind::Output { since }, subject, seen..newest, end);
        Ok(())
    }

    pub(super) fn events(&mut self, client: ConnectionId, mut asked: Events) -> Result<(), Refusal> {
        self.named_or_all(&asked.names)?;
        let subject = Subject::new(&std::mem::take(&mut asked.names), &self.plan)?;
        let newest = self.operators.history.last();
        let seen = match asked.lines.and_then(|count| usize::try_from(count).ok()) {
            Some(0) => newest,
            Some(count) => {
                let mut wanted = self
                    .operators
                    .history
                    .after(0)
                    .rev()
                    .filter(|(_, event)| passes(&subject, &asked, event));
                wanted.nth(count - 1).map_or(0, |(number, _)| number - 1)
            }
            None => 0,
        };
        let end = if asked.follow { End::Open } else { End::After(newest) };
        self.start_stream(client, StreamKind::Events(asked), subject, seen..newest, end);
        Ok(())
    }

    fn start_stream(
        &mut self,
        client: ConnectionId,
        kind: StreamKind,
        subject: Subject,
        Range { start: seen, end: start }: Range<u64>,
        end: End,
    ) {
        let (more, lost) = (false, Vec::new());
        let stream = Stream { kind, subject, seen, start, width: 0, end, more, lost };
        self.operators.requests.wait_for(client, Pending::Stream(stream));
    }

    /// The client gets the output of a job from now on, and at the end of the run its result.
    pub(super) fn follow_run(
        &mut self,
        client: ConnectionId,
        name: &str,
        open: Vec<(InstanceId, InstanceBefore)>,
    ) -> Result<(), Refusal> {
        let subject = Subject::new(&[name.to_owned()], &self.plan)?;
        self.note_unkept(client, &subject);
        let (kind, newest) = (StreamKind::Output { since: None }, self.output.last_line());
        self.start_stream(client, kind, subject, newest..newest, End::WithRun(open));
        Ok(())
    }

    /// Ends a stream with the run that it follows.
    fn follow_to_the_end(&self, mut stream: Stream) -> Stream {
        if let End::WithRun(open) = &mut stream.end {
            let (open, mut replies) = (std::mem::take(open), VecDeque::new());
            let pending = self.answer_order(Order::Run, open, &mut replies);
            stream.end = if let Pending::Order { order: _, open } = pending {
                End::WithRun(open)
            } else {
                stream.more = true;
                End::AfterRun(self.output.last_line(), replies.into_iter().collect())
            };
        }
        stream
    }

    /// Matches every reader's names against a new plan, and ends streams without programs.
    pub(in super::super) fn rematch_streams(&mut self) {
        let (line, event) = (self.output.last_line(), self.operators.history.last());
        for stream in self.operators.requests.streams() {
            stream.subject.look_up(&self.plan);
            if stream.subject.programs.is_empty() {
                stream.end_after(match &stream.kind {
                    StreamKind::Output { .. } => line,
                    StreamKind::Events(_) => event,
                });
            }
        }
    }

    /// Records the loss for readers that have not got the last lines of this program.
    pub(in super::super) fn note_losses(&mut self, program: ProgramId) {
        let Some(name) = self.plan.program(program).map(|program| &program.name) else { return };
        for stream in self.operators.requests.streams() {
            let reads = matches!(stream.kind, StreamKind::Output { .. })
                && stream.subject.programs.contains(&program);
            if reads && self.output.lines_after(&[program], stream.seen, 0).1 && !stream.lost.contains(name) {
                stream.lost.push(name.clone());
            }
        }
    }

    /// Sends as much as the budget allows, and keeps the stream unless it is complete.
    pub(super) fn answer_stream(&mut self, client: ConnectionId, stream: Stream, budget: &mut usize) {
        let stream = self.follow_to_the_end(stream);
        let newest = match &stream.kind {
            StreamKind::Output { .. } => self.output.last_line(),
            StreamKind::Events(_) => self.operators.history.last(),
        };
        let (stream, state) = match newest > stream.seen {
            true => self.send_chunk(client, stream, budget),
            false => (Stream { more: false, ..stream }, WriteState::Go),
        };
        let over = self.operators.is_over || stream.is_complete();
        if stream.more || !over {
            let (pending, queue) = (Pending::Stream(stream), VecDeque::new());
            let waiter = Waiter { pending, queue, state, reminder: None };
            self.operators.requests.pending.insert(client, waiter);
        } else {
            if matches!((&stream.kind, &stream.end), (StreamKind::Output { .. }, End::Open | End::After(_))) {
                let lines = self.unfinished(&stream.subject);
                if let Some(server) = &mut self.operators.server {
                    server.send_lines(client, &lines, Extent::Part);
                }
            }
            match stream.end {
                End::Open | End::After(_) => {}
                End::AfterRun(_, replies) => {
                    for reply in &replies {
                        self.reply(client, reply);
                    }
                }
                End::WithRun(_) => {
                    let refusal = Refusal::new(Reason::ShuttingDown, "foster ended before it was done");
                    self.reply(client, &Reply::Error(refusal));
                    return;
                }
            }
            self.end(client);
        }
    }

    /// Sends the next chunk.
    fn send_chunk(
        &mut self,
        client: ConnectionId,
        stream: Stream,
        budget: &mut usize,
    ) -> (Stream, WriteState) {
        let width = self.output.width();
        let mut lines = Vec::new();
        if stream.width != width {
            lines.extend(Reply::Width(Width { width }).encode());
        }
        for name in stream.lost {
            lines.extend(Reply::Missed(Missed { name: Some(name), count: None }).encode());
        }
        let known = stream.seen.max(stream.start);
        let (seen, more) = match &stream.kind {
            StreamKind::Output { since } => {
                self.add_output(&stream.subject, *since, stream.seen..known, &mut lines)
            }
            StreamKind::Events(filter) => {
                self.add_events(&stream.subject, filter, stream.seen, known, &mut lines)
            }
        };
        *budget = budget.saturating_sub(lines.len());
        let sent =
            self.operators.server.as_mut().map(|server| server.send_lines(client, &lines, Extent::Part));
        let state = sent.unwrap_or(WriteState::Gone);
        (Stream { seen, width, more, lost: Vec::new(), ..stream }, state)
    }

    /// Adds lines after `seen`; returns the number of the last one, and whether there are more. Of the dropped lines, those
    /// newer than `known` count as missed.
    fn add_output(
        &self,
        subject: &Subject,
        since: Option<SystemTime>,
        Range { start: seen, end: known }: Range<u64>,
        lines: &mut Vec<u8>,
    ) -> (u64, bool) {
        let (kept, more) = self.output.lines_after(&subject.programs, seen, CHUNK);
        let last = kept.last().map_or(seen, |(_, line)| line.number);
        let mut seen_programs: Vec<ProgramId> = Vec::new();
        for (program, line) in kept {
            let id = InstanceId { program, index: line.origin.instance };
            let Some(name) = self.plan.program(program).map(|program| &program.name) else { continue };
            if !subject.names.matches(name, id.index) || since.is_some_and(|since| line.at < since) {
                continue;
            }
            if !seen_programs.contains(&program) {
                seen_programs.push(program);
                if self.output.dropped(program) > known {
                    let name = Some(name.clone());
                    lines.extend(Reply::Missed(Missed { name, count: None }).encode());
                }
            }
            lines.extend(self.log_line(id, line.origin.stream, line.at, &line.text, false));
        }
        (if more { last } else { self.output.last_line() }, more)
    }

    /// The replies for one line. Bytes that are not UTF-8 become U+FFFD.
    fn log_line(
        &self,
        id: InstanceId,
        stream: OutputStream,
        at: SystemTime,
        text: &[u8],
        unfinished: bool,
    ) -> Vec<u8> {
        let stream = match stream {
            OutputStream::Stdout => protocol::Stream::Stdout,
            OutputStream::Stderr => protocol::Stream::Stderr,
        };
        let mut ts = Vec::new();
        format::timestamp(at, &mut ts);
        let (ts, name) = (String::from_utf8_lossy(&ts).into_owned(), self.plan.label(id).to_owned());
        let text = String::from_utf8_lossy(text).into_owned();
        let line = LogLine { ts, name, stream, text, more: false, unfinished };
        line.into_pieces().iter().flat_map(Reply::encode).collect()
    }

    /// The unfinished lines, for a reader that does not follow.
    fn unfinished(&self, subject: &Subject) -> Vec<u8> {
        let unfinished = self.output.unfinished(&subject.programs).into_iter();
        let now = SystemTime::now();
        let meant = unfinished.filter(|line| {
            let name = self.plan.program(line.instance.program).map(|program| &program.name);
            name.is_some_and(|name| subject.names.matches(name, line.instance.index))
        });
        meant.flat_map(|line| self.log_line(line.instance, line.stream, now, &line.text, true)).collect()
    }

    /// Sends a note for each named program whose output foster does not store.
    fn note_unkept(&mut self, client: ConnectionId, subject: &Subject) {
        let unseen = |name: &str, stream: &str, sink: &Sink| {
            let word = match sink {
                Sink::Inherit => "inherit",
                Sink::Null => "null",
                Sink::Log | Sink::Memory | Sink::File(_) => return None,
            };
            let text = format!("{name}: its {stream} is not kept: it is set to `{word}`");
            Some(Reply::Note(Note { text }))
        };
        let programs = subject.programs.iter().filter_map(|id| self.plan.program(*id));
        let notes: Vec<Reply> = programs
            .flat_map(|program| {
                let name = program.name.as_str();
                [unseen(name, "stdout", &program.stdout), unseen(name, "stderr", &program.stderr)]
            })
            .flatten()
            .collect();
        for note in notes {
            self.reply(client, &note);
        }
    }

    /// The same for events.
    fn add_events(
        &self,
        subject: &Subject,
        filter: &Events,
        seen: u64,
        known: u64,
        lines: &mut Vec<u8>,
    ) -> (u64, bool) {
        let missed = self.operators.history.missed(known);
        if missed > 0 {
            lines.extend(Reply::Missed(Missed { name: None, count: Some(missed) }).encode());
        }
        for (number, event) in self.operators.history.after(seen) {
            if lines.len() > CHUNK {
                return (number - 1, true);
            }
            if passes(subject, filter, event) {
                lines.extend_from_slice(&event.line);
            }
        }
        (self.operators.history.last(), false)
    }
}

fn passes(subject: &Subject, filter: &Events, event: &EventRecord) -> bool {
    let about = event.about.as_ref();
    let named = subject.names.is_open()
        || about.is_some_and(|about| subject.has_any(&about.program, about.instances.clone()));
    let state = about.and_then(|about| about.state);
    let in_state = filter.states.is_empty() || state.is_some_and(|state| filter.states.contains(&state));
    named && in_state && (filter.events.is_empty() || filter.events.contains(&event.event))
}
