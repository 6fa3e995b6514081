//! Those who read output or events: what is kept, and with `follow` what comes.
//!
//! A reader is somewhere in a sequence of numbers and gets a bounded piece of what comes after that in each turn,
//! the next one when it has taken the last: it costs that piece of memory, and time for it, however slow it is. What
//! meanwhile is kept no more it has missed, and is told so. Whom it reads about is kept as it was named, and looked up
//! again in every plan: programs that an update brings are among them, and where nobody is called so any more, it ends.

use std::ops::Range;
use std::rc::Rc;

use foster_core::ids::{InstanceId, ProgramId};
use foster_core::spec::ProgramSpec;

use super::super::history::EventRecord;
use super::super::{Init, report};
use super::Pending;
use crate::control::names::matches;
use crate::control::protocol::{self, Events, LogLine, Logs, Missed, Refusal, Reply, Width};
use crate::control::server::{ConnectionId, Pace};
use crate::output::Stream as OutputStream;
use crate::plan::{Plan, Program};

/// How many bytes are said to one reader in one turn, more or less.
const PIECE: usize = 16 * 1024;

/// A reader.
#[derive(Debug)]
pub(super) struct Stream {
    what: What,
    whose: Whose,
    /// The number of the last that it was told, or does not want.
    seen: u64,
    /// The number of the last when it came: what was kept no more by then, it has not missed.
    begun: u64,
    /// How wide the names are that it was told of.
    width: usize,
    /// The number of the last that it gets; `None`: there is no end.
    last: Option<u64>,
    pace: Pace,
    /// Whether there is more of it already.
    more: bool,
    /// Programs that are no more, and of whose lines it had not had all.
    lost: Vec<String>,
}

/// What is read.
#[derive(Debug)]
enum What {
    /// Lines of output.
    Output,
    /// Events that pass this filter, besides that they are about the right ones.
    Events(Events),
}

/// Whom it is about, as they were named, and who that is in the plan.
#[derive(Debug)]
struct Whose {
    names: Vec<String>,
    programs: Vec<ProgramId>,
}

impl Whose {
    fn called(names: Vec<String>, plan: &Plan) -> Whose {
        let mut whose = Whose { names, programs: Vec::new() };
        whose.look_up(plan);
        whose
    }

    fn look_up(&mut self, plan: &Plan) {
        let has = |program: &Program, spec: &ProgramSpec| self.has_any(&program.name, 0..spec.instances);
        let meant = |(id, program): (ProgramId, &Rc<Program>)| has(program, plan.spec(id)?).then_some(id);
        self.programs = plan.programs.iter().filter_map(meant).collect();
    }

    fn has(&self, name: &str, instance: u16) -> bool {
        self.names.is_empty() || self.names.iter().any(|pattern| matches(pattern, name, instance))
    }

    fn has_any(&self, name: &str, mut instances: Range<u16>) -> bool {
        instances.any(|instance| self.has(name, instance))
    }
}

impl Stream {
    /// Whether it can go on without waiting for anything.
    pub(super) fn is_behind(&self) -> bool {
        self.more && self.pace == Pace::Go
    }

    /// It is to go on in the next turn.
    pub(super) fn put_off(self) -> Stream {
        Stream { more: true, ..self }
    }

    /// It has taken what it was told.
    pub(super) fn go_on(&mut self) {
        self.pace = Pace::Go;
    }

    fn end_after(&mut self, newest: u64) {
        self.last.get_or_insert(newest);
        self.more = true;
    }
}

impl Init {
    pub(super) fn logs(&mut self, client: ConnectionId, asked: Logs) -> Result<(), Refusal> {
        self.named_or_all(&asked.names)?;
        let whose = Whose::called(asked.names, &self.plan);
        let newest = self.output.last_line();
        let seen = match asked.lines.and_then(|count| usize::try_from(count).ok()) {
            Some(count) => self.output.before_the_last(&whose.programs, count),
            None => 0,
        };
        let last = (!asked.follow).then_some(newest);
        self.begin(client, What::Output, whose, seen..newest, last);
        Ok(())
    }

    pub(super) fn events(&mut self, client: ConnectionId, mut asked: Events) -> Result<(), Refusal> {
        self.named_or_all(&asked.names)?;
        let whose = Whose::called(std::mem::take(&mut asked.names), &self.plan);
        let newest = self.history.last();
        let seen = match asked.lines.and_then(|count| usize::try_from(count).ok()) {
            Some(0) => newest,
            Some(count) => {
                let mut wanted =
                    self.history.after(0).rev().filter(|(_, event)| passes(&whose, &asked, event));
                wanted.nth(count - 1).map_or(0, |(number, _)| number - 1)
            }
            None => 0,
        };
        let last = (!asked.follow).then_some(newest);
        self.begin(client, What::Events(asked), whose, seen..newest, last);
        Ok(())
    }

    fn begin(
        &mut self,
        client: ConnectionId,
        what: What,
        whose: Whose,
        Range { start: seen, end: begun }: Range<u64>,
        last: Option<u64>,
    ) {
        let (pace, more, lost) = (Pace::Go, false, Vec::new());
        let stream = Stream { what, whose, seen, begun, width: 0, last, pace, more, lost };
        self.requests.wait_for(client, Pending::Stream(stream));
    }

    /// The plan is another one: everybody who reads is told of the right ones from now on, or ends with what there is.
    pub(in super::super) fn look_up_again(&mut self) {
        let (line, event) = (self.output.last_line(), self.history.last());
        for stream in self.requests.streams() {
            stream.whose.look_up(&self.plan);
            if stream.whose.programs.is_empty() {
                stream.end_after(match &stream.what {
                    What::Output => line,
                    What::Events(_) => event,
                });
            }
        }
    }

    /// The last lines of this program go: who has not had them has missed them.
    pub(in super::super) fn note_losses(&mut self, program: ProgramId) {
        let Some(name) = self.plan.program(program).map(|program| &program.name) else { return };
        for stream in self.requests.streams() {
            let reads = matches!(stream.what, What::Output) && stream.whose.programs.contains(&program);
            if reads && self.output.lines_after(&[program], stream.seen, 0).1 && !stream.lost.contains(name) {
                stream.lost.push(name.clone());
            }
        }
    }

    /// Says what there is, of which there may be so much `room` in this turn; `None`: that was all.
    pub(super) fn answer_stream(
        &mut self,
        client: ConnectionId,
        stream: Stream,
        room: &mut usize,
    ) -> Option<Stream> {
        match stream.pace {
            Pace::Go => {}
            Pace::Wait => return Some(stream),
            Pace::Gone => return None,
        }
        let newest = match &stream.what {
            What::Output => self.output.last_line(),
            What::Events(_) => self.history.last(),
        };
        let stream = match newest > stream.seen {
            true => self.say_next(client, stream, room),
            false => Stream { more: false, ..stream },
        };
        let over = self.is_over || stream.last.is_some_and(|last| stream.seen >= last);
        (stream.more || !over).then_some(stream)
    }

    /// Says the next piece.
    fn say_next(&mut self, client: ConnectionId, stream: Stream, room: &mut usize) -> Stream {
        let width = self.output.width();
        let mut said = Vec::new();
        if stream.width != width {
            said.extend(Reply::Width(Width { width }).encode());
        }
        for name in stream.lost {
            said.extend(Reply::Missed(Missed { name: Some(name), count: None }).encode());
        }
        let known = stream.seen.max(stream.begun);
        let (seen, more) = match &stream.what {
            What::Output => self.say_output(&stream.whose, stream.seen, known, &mut said),
            What::Events(filter) => self.say_events(&stream.whose, filter, stream.seen, known, &mut said),
        };
        *room = room.saturating_sub(said.len());
        let pace = self.server.as_mut().map_or(Pace::Gone, |server| server.say_lines(client, &said));
        Stream { seen, width, pace, more, lost: Vec::new(), ..stream }
    }

    /// Adds lines after `seen`; gives the number of the last of them, and whether there are more. Of what had to
    /// go a reader has missed what is newer than `known`.
    fn say_output(&self, whose: &Whose, seen: u64, known: u64, said: &mut Vec<u8>) -> (u64, bool) {
        let (lines, more) = self.output.lines_after(&whose.programs, seen, PIECE);
        let last = lines.last().map_or(seen, |(_, line)| line.number);
        let mut begun: Vec<ProgramId> = Vec::new();
        for (program, line) in lines {
            let id = InstanceId { program, index: line.origin.instance };
            let Some(name) = self.plan.program(program).map(|program| &program.name) else { continue };
            if !whose.has(name, id.index) {
                continue;
            }
            if !begun.contains(&program) {
                begun.push(program);
                if self.output.dropped(program) > known {
                    let name = Some(name.clone());
                    said.extend(Reply::Missed(Missed { name, count: None }).encode());
                }
            }
            let stream = match line.origin.stream {
                OutputStream::Stdout => protocol::Stream::Stdout,
                OutputStream::Stderr => protocol::Stream::Stderr,
            };
            let pieces = LogLine::pieces(&report::label(&self.plan, id), stream, &line.text);
            said.extend(pieces.iter().flat_map(Reply::encode));
        }
        (if more { last } else { self.output.last_line() }, more)
    }

    /// The same for events.
    fn say_events(
        &self,
        whose: &Whose,
        filter: &Events,
        seen: u64,
        known: u64,
        said: &mut Vec<u8>,
    ) -> (u64, bool) {
        let missed = self.history.missed(known);
        if missed > 0 {
            said.extend(Reply::Missed(Missed { name: None, count: Some(missed) }).encode());
        }
        for (number, event) in self.history.after(seen) {
            if said.len() > PIECE {
                return (number - 1, true);
            }
            if passes(whose, filter, event) {
                said.extend_from_slice(&event.line);
            }
        }
        (self.history.last(), false)
    }
}

fn passes(whose: &Whose, filter: &Events, event: &EventRecord) -> bool {
    let about = event.about.as_ref();
    let named = whose.names.is_empty()
        || about.is_some_and(|about| whose.has_any(&about.program, about.instances.clone()));
    let state = about.and_then(|about| about.state);
    let in_state = filter.states.is_empty() || state.is_some_and(|state| filter.states.contains(&state));
    named && in_state && (filter.events.is_empty() || filter.events.contains(&event.event))
}
