//! Those who read output or events: what is kept, and with `follow` what comes.
//!
//! A reader is somewhere in a sequence of numbers and gets a bounded piece of what comes after that in each turn,
//! the next one when it has taken the last: it costs that piece of memory, and time for it, however slow it is. What
//! meanwhile is kept no more it has missed, and is told so. Whose output it wants is kept as it was named, so that
//! programs that appear later are among them.

use std::rc::Rc;

use foster_core::ids::{InstanceId, ProgramId};

use super::super::history::Kept;
use super::super::{Init, report};
use super::Pending;
use crate::control::names::matches;
use crate::control::protocol::{self, Events, LogLine, Logs, Missed, Refusal, Reply, Width};
use crate::control::server::{ConnectionId, Pace};
use crate::output::Stream as OutputStream;
use crate::plan::Plan;

/// How many bytes are said to one reader in one turn, more or less.
const PIECE: usize = 16 * 1024;

/// A reader.
#[derive(Debug)]
pub(super) struct Stream {
    what: What,
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
}

/// What is read.
#[derive(Debug)]
enum What {
    /// Lines of output of these.
    Output(Whose),
    /// Events that pass this filter.
    Events(Events),
}

/// Whose output is wanted, as it was named, and who that is in a plan.
#[derive(Debug)]
struct Whose {
    names: Vec<String>,
    plan: Rc<Plan>,
    programs: Vec<ProgramId>,
}

impl Whose {
    fn called(names: Vec<String>, plan: &Rc<Plan>) -> Whose {
        let ids = (0u32..).map(ProgramId).zip(plan.core.programs());
        let mut whose = Whose { names, plan: Rc::clone(plan), programs: Vec::new() };
        let meant = |id, instances| (0..instances).any(|index| whose.has(InstanceId { program: id, index }));
        whose.programs = ids.filter(|(id, spec)| meant(*id, spec.instances)).map(|(id, _)| id).collect();
        whose
    }

    /// The same in this plan, which may have programs that were not there before.
    fn in_plan(self, plan: &Rc<Plan>) -> Whose {
        if Rc::ptr_eq(&self.plan, plan) { self } else { Whose::called(self.names, plan) }
    }

    fn has(&self, id: InstanceId) -> bool {
        let program = self.plan.program(id.program);
        let called = |name: &str| self.names.iter().any(|pattern| matches(pattern, name, id.index));
        self.names.is_empty() || program.is_some_and(|program| called(&program.name))
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
        self.begin(client, What::Output(whose), seen, newest, asked.follow);
        Ok(())
    }

    pub(super) fn events(&mut self, client: ConnectionId, asked: Events) -> Result<(), Refusal> {
        self.named_or_all(&asked.names)?;
        let newest = self.history.last();
        let seen = match asked.lines.and_then(|count| usize::try_from(count).ok()) {
            Some(0) => newest,
            Some(count) => {
                let mut wanted = self.history.after(0).rev().filter(|(_, event)| passes(&asked, event));
                wanted.nth(count - 1).map_or(0, |(number, _)| number - 1)
            }
            None => 0,
        };
        let follow = asked.follow;
        self.begin(client, What::Events(asked), seen, newest, follow);
        Ok(())
    }

    fn begin(&mut self, client: ConnectionId, what: What, seen: u64, newest: u64, follow: bool) {
        let last = (!follow).then_some(newest);
        let stream = Stream { what, seen, begun: newest, width: 0, last, pace: Pace::Go, more: false };
        self.requests.wait_for(client, Pending::Stream(stream));
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
            What::Output(_) => self.output.last_line(),
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
        let known = stream.seen.max(stream.begun);
        let (what, seen, more) = match stream.what {
            What::Output(whose) => {
                let whose = whose.in_plan(&self.plan);
                let (seen, more) = self.say_output(&whose, stream.seen, known, &mut said);
                (What::Output(whose), seen, more)
            }
            What::Events(filter) => {
                let (seen, more) = self.say_events(&filter, stream.seen, known, &mut said);
                (What::Events(filter), seen, more)
            }
        };
        *room = room.saturating_sub(said.len());
        let pace = self.server.as_mut().map_or(Pace::Gone, |server| server.say_lines(client, &said));
        Stream { what, seen, width, pace, more, ..stream }
    }

    /// Adds lines after `seen`; gives the number of the last of them, and whether there are more. Of what had to
    /// go a reader has missed what is newer than `known`.
    fn say_output(&self, whose: &Whose, seen: u64, known: u64, said: &mut Vec<u8>) -> (u64, bool) {
        let (lines, more) = self.output.lines_after(&whose.programs, seen, PIECE);
        let last = lines.last().map_or(seen, |(_, line)| line.number);
        let mut begun: Vec<ProgramId> = Vec::new();
        for (program, line) in lines {
            let id = InstanceId { program, index: line.instance };
            if !whose.has(id) {
                continue;
            }
            if !begun.contains(&program) {
                begun.push(program);
                if self.output.dropped(program) > known {
                    let name = self.plan.program(program).map(|program| program.name.clone());
                    said.extend(Reply::Missed(Missed { name, count: None }).encode());
                }
            }
            let stream = match line.stream {
                OutputStream::Stdout => protocol::Stream::Stdout,
                OutputStream::Stderr => protocol::Stream::Stderr,
            };
            let pieces = LogLine::pieces(&report::label(&self.plan, id), stream, &line.text);
            said.extend(pieces.iter().flat_map(Reply::encode));
        }
        (if more { last } else { self.output.last_line() }, more)
    }

    /// The same for events.
    fn say_events(&self, filter: &Events, seen: u64, known: u64, said: &mut Vec<u8>) -> (u64, bool) {
        let missed = self.history.missed(known);
        if missed > 0 {
            said.extend(Reply::Missed(Missed { name: None, count: Some(missed) }).encode());
        }
        for (number, event) in self.history.after(seen) {
            if said.len() > PIECE {
                return (number - 1, true);
            }
            if passes(filter, event) {
                said.extend_from_slice(&event.line);
            }
        }
        (self.history.last(), false)
    }
}

fn passes(filter: &Events, event: &Kept) -> bool {
    let named = filter.names.is_empty()
        || event.about.as_ref().is_some_and(|about| {
            filter.names.iter().any(|name| matches(name, &about.program, about.instance))
        });
    let in_state = filter.states.is_empty()
        || event.about.as_ref().is_some_and(|about| filter.states.contains(&about.state));
    named && in_state && (filter.events.is_empty() || filter.events.contains(&event.event))
}
