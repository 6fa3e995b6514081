//! The programs' output, from their pipes to where it is to go, and foster's own lines among it.
//!
//! Driven by the loop in `init/`: nothing here waits, and nothing here fails a program. The way of a line:
//! a `Source` (the reading end of a pipe) is read in `flow.rs`, split by `lines.rs`, dressed by `form.rs`,
//! and taken by an [`outlet::Outlet`]: a queue before a reader, or a `file.rs`. A copy stays in a `ring.rs`.
//! foster's own lines come from `own.rs`; a barrier holds them back until a dead program's last words are
//! out. `attach.rs` says which stream of which program goes where.

mod attach;
pub mod file;
mod flow;
pub mod form;
pub mod json;
pub mod lines;
pub mod outlet;
pub mod own;
pub mod ring;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use foster_core::ids::{ProgramId, Run};
use foster_core::program_map::ProgramMap;
use log::Level;

use self::form::{Envelope, Paint, Stamps};
use self::lines::Lines;
use self::outlet::Outlet;
use self::own::{Backlog, Body, Entry};
use self::ring::Ring;
use crate::plan::{LogFormat, Program, Settings, Sink};
use crate::sys::epoll::{Epoll, Space, Token};
use crate::sys::stream::{self, Target};

/// Which stream of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Stream {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// What a program is given as a stream.
#[derive(Debug)]
pub enum ChildStream {
    /// The writing end of a pipe, to be given to the program's user, and closed here after the spawn.
    Pipe(OwnedFd),
    /// A copy of foster's own stream: nobody's to give away.
    Inherited(OwnedFd),
    /// `/dev/null`.
    Null,
}

/// Both streams of a program.
#[derive(Debug)]
pub struct ChildStreams {
    /// Its descriptor 1.
    pub stdout: ChildStream,
    /// Its descriptor 2.
    pub stderr: ChildStream,
}

/// Whether names may be painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal.
    Terminal,
    /// Never: `NO_COLOR` is set.
    Never,
}

/// What of foster's own process the output goes to, and its time.
#[derive(Debug)]
pub struct Surroundings {
    /// foster's stdout; `None`: it is closed.
    pub stdout: Option<OwnedFd>,
    /// foster's stderr; `None`: it is closed.
    pub stderr: Option<OwnedFd>,
    /// Whether names may be painted.
    pub colour: Colour,
    /// The time of day.
    pub clock: fn() -> SystemTime,
    /// Where foster's own lines come from.
    pub backlog: Arc<Backlog>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process(colour: Colour) -> Surroundings {
        Surroundings {
            stdout: stream::stdout(),
            stderr: stream::stderr(),
            colour,
            clock: SystemTime::now,
            backlog: own::backlog(),
        }
    }
}

/// All output of all programs, and foster's own.
#[derive(Debug)]
pub struct Output {
    epoll: Rc<Epoll>,
    space: Space,
    surroundings: Surroundings,
    format: LogFormat,
    stamps: Stamps,
    width: usize,
    programs: ProgramMap<Facts>,
    outlets: BTreeMap<u32, Outlet>,
    /// What sinks that are no files are called.
    devices: BTreeMap<u32, PathBuf>,
    /// The outlet of foster's stderr: the same as that of stdout where both are one file.
    stderr: u32,
    /// Outlets whose names are painted.
    painted: BTreeSet<u32>,
    sources: BTreeMap<u32, Source>,
    /// Sources that are left unread until their outlet has room.
    paused: BTreeSet<u32>,
    runs: BTreeMap<Run, Record>,
    next_key: u32,
    next_line: u64,
    matches: Vec<Run>,
    own: OwnLines,
    scratch: Scratch,
}

/// What is known of a program.
#[derive(Debug)]
struct Facts {
    name: String,
    stdout: Sink,
    stderr: Sink,
    log_prefix: bool,
    pattern: Option<regex_lite::Regex>,
    ring: Ring,
}

/// The reading end of a pipe.
#[derive(Debug)]
struct Source {
    run: Run,
    stream: Stream,
    fd: OwnedFd,
    outlet: u32,
    envelope: Envelope,
    dress: Dress,
    lines: Lines,
    pattern: Option<Rc<Pattern>>,
    /// How many bytes of a dead main process lie in the pipe still.
    owed: usize,
}

/// How lines are dressed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dress {
    /// As `[foster]` says.
    Log,
    /// As they are: for a file.
    Plain,
}

/// What a line of a run has to match for the run to be ready.
#[derive(Debug)]
struct Pattern {
    regex: regex_lite::Regex,
    seen: Cell<bool>,
}

/// The streams of a run that are captured, and where each goes.
#[derive(Debug)]
struct Record {
    phase: Phase,
    label: String,
    /// Of its program, which may be gone before its last line.
    name: String,
    log_prefix: bool,
    pid: Option<u32>,
    streams: Vec<(u32, u32)>,
}

/// Whether the main process of a run lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Alive,
    Ended,
}

/// foster's own lines that are not in their place yet.
#[derive(Debug, Default)]
struct OwnLines {
    waiting: VecDeque<Own>,
    size: usize,
    dropped: u64,
}

#[derive(Debug)]
enum Own {
    Line(Entry),
    /// What follows has to wait until this source owes nothing.
    Read {
        source: u32,
        outlet: u32,
    },
    /// What follows has to wait until this outlet has written so much.
    Written {
        outlet: u32,
        position: u64,
    },
}

/// Buffers that all sources share.
#[derive(Debug, Default)]
struct Scratch {
    read: Vec<u8>,
    head: Vec<u8>,
    batch: Vec<u8>,
}

/// The outlet of foster's stdout.
const STDOUT: u32 = 0;
/// The outlet of foster's stderr, where it is not the same.
const STDERR: u32 = 1;
/// Keys of outlets have this bit, those of sources have not.
const OUTLET: u32 = 1 << 31;
/// How foster's own lines are called.
const FOSTER: &str = "foster";
/// Red is left to what is wrong; the others are told apart well on dark and light (SGR 32 to 36).
const PAINTS: [Paint; 5] = [Paint(36), Paint(33), Paint(32), Paint(35), Paint(34)];

impl Output {
    /// Output to these surroundings; descriptors are registered with `epoll` under `space`.
    pub fn new(
        epoll: Rc<Epoll>,
        space: Space,
        settings: &Settings,
        programs: &ProgramMap<Rc<Program>>,
        mut surroundings: Surroundings,
    ) -> Output {
        let mut outlets = BTreeMap::new();
        let mut painted = BTreeSet::new();
        let same = match (&surroundings.stdout, &surroundings.stderr) {
            (Some(one), Some(two)) => stream::identity(one).is_ok_and(|one| stream::identity(two) == Ok(one)),
            (_, _) => false,
        };
        let stderr = if same { STDOUT } else { STDERR };
        for (key, fd) in [(STDERR, &mut surroundings.stderr), (STDOUT, &mut surroundings.stdout)] {
            // The original stays for the programs that inherit it.
            let Some(copy) = fd.as_ref().and_then(|fd| fd.try_clone().ok()) else {
                outlets.insert(key, Outlet::Nowhere);
                continue;
            };
            let target = Target::shared(copy);
            if surroundings.colour == Colour::Terminal && target.is_terminal() {
                painted.insert(key);
            }
            if key == STDOUT || !same {
                outlets.insert(key, Outlet::new(target));
            }
        }
        let mut output = Output {
            epoll,
            space,
            surroundings,
            format: settings.log_format,
            stamps: Stamps::Off,
            width: 0,
            programs: ProgramMap::new(),
            outlets,
            devices: BTreeMap::new(),
            stderr,
            painted,
            sources: BTreeMap::new(),
            paused: BTreeSet::new(),
            runs: BTreeMap::new(),
            next_key: 0,
            next_line: 1,
            matches: Vec::new(),
            own: OwnLines::default(),
            scratch: Scratch::default(),
        };
        output.configure(settings, programs);
        output
    }

    /// Takes over changed settings and programs. Lines look as they say from now on, also those of runs that
    /// are under way; where they go is settled for these. A program keeps its last lines; one that is not
    /// named any more loses them.
    pub fn configure(&mut self, settings: &Settings, programs: &ProgramMap<Rc<Program>>) {
        self.format = settings.log_format;
        self.stamps = if settings.log_timestamps { Stamps::On } else { Stamps::Off };
        self.width = programs.values().map(|program| program.name.len()).fold(FOSTER.len(), usize::max);
        let mut old = std::mem::take(&mut self.programs);
        for (id, program) in programs.iter() {
            let ring = old.remove(id).map(|old| old.ring).unwrap_or_default();
            self.programs.insert(id, Facts::new(program, ring));
        }
        self.dress_anew();
    }

    /// Drops the last lines of a program that is no more. What its descendants still write is passed on.
    pub fn forget_program(&mut self, program: ProgramId) {
        self.programs.remove(program);
    }

    /// The last `count` lines of a program, the oldest first.
    pub fn tail(&self, program: ProgramId, count: usize) -> Vec<ring::Line> {
        self.facts(program).map(|facts| facts.ring.tail(count)).unwrap_or_default()
    }

    /// The lines of these programs after the one with this number, the oldest first, as far as they are kept: at
    /// least one, and no more when they have this many bytes. And whether there are more.
    pub fn lines_after(
        &self,
        programs: &[ProgramId],
        number: u64,
        most: usize,
    ) -> (Vec<(ProgramId, ring::Line)>, bool) {
        let rings = programs.iter().filter_map(|id| Some((*id, &self.facts(*id)?.ring)));
        let mut rings: Vec<_> = rings.map(|(id, ring)| (id, ring.after(number).peekable())).collect();
        let (mut lines, mut size) = (Vec::new(), 0);
        loop {
            let oldest = rings.iter_mut().filter_map(|(id, ring)| Some((ring.peek()?.number, *id, ring)));
            let Some((_, id, ring)) = oldest.min_by_key(|(number, _, _)| *number) else {
                return (lines, false);
            };
            if size >= most {
                return (lines, true);
            }
            if let Some(line) = ring.next() {
                size += line.text.len() + ring::OVERHEAD;
                lines.push((id, line));
            }
        }
    }

    /// The number that the last `count` lines of these programs come after.
    pub fn before_the_last(&self, programs: &[ProgramId], count: usize) -> u64 {
        let rings = programs.iter().filter_map(|id| self.facts(*id));
        let mut numbers: Vec<u64> = rings.flat_map(|facts| facts.ring.numbers().take(count)).collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        match count.checked_sub(1) {
            None => self.last_line(),
            Some(last) => numbers.get(last).map_or(0, |number| number - 1),
        }
    }

    /// The number of the last line of a program that is kept no more.
    pub fn dropped(&self, program: ProgramId) -> u64 {
        self.facts(program).map_or(0, |facts| facts.ring.dropped())
    }

    /// How wide the names before lines are.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The number of the last line of any program: a follower begins after it.
    pub fn last_line(&self) -> u64 {
        self.next_line - 1
    }

    /// The runs of which a line has matched their readiness pattern since the last call.
    pub fn take_matches(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.matches)
    }

    /// Whether anything is still unread or unwritten that can be written.
    pub fn pending(&self) -> bool {
        !self.own.waiting.is_empty()
            || !self.surroundings.backlog.is_empty()
            || self.outlets.values().any(|outlet| outlet.waiting() > 0)
            || self.sources.values().any(|source| stream::unread(&source.fd) > 0)
    }

    fn facts(&self, program: ProgramId) -> Option<&Facts> {
        self.programs.get(program)
    }

    fn token(&self, key: u32) -> Token {
        Token { space: self.space, key }
    }

    /// A line of foster's own about output.
    fn say(&mut self, level: Level, message: &str) {
        let at = (self.surroundings.clock)();
        let body = Body::plain(self.format, level, message);
        self.own.push(Entry { at, body });
    }

    /// One of foster's own lines as it is written to this outlet.
    fn dress(&self, outlet: u32, entry: &Entry, out: &mut Vec<u8>) {
        let text = match &entry.body {
            Body::Text(text) => text,
            Body::Json(members) => {
                out.extend_from_slice(format!("{{\"ts\":\"{}\",", form::stamp(entry.at)).as_bytes());
                out.extend_from_slice(members);
                out.push(b'\n');
                return;
            }
        };
        let paint = self.painted.contains(&outlet).then_some(Paint(1));
        let envelope = Envelope::text(self.stamps, FOSTER, self.width, paint);
        let mut head = Vec::new();
        envelope.head(entry.at, &mut head);
        let mut lines = Lines::default();
        let mut emit = |piece: &[u8], end| envelope.write(&head, piece, end, out);
        lines.feed(text.strip_suffix(b"\n").unwrap_or(text), envelope.limit(&head), &mut emit);
        lines.feed(b"\n", envelope.limit(&head), &mut emit);
    }
}

impl OwnLines {
    fn push(&mut self, entry: Entry) {
        if self.size + entry.body.len() > own::LIMIT {
            self.dropped += 1;
            return;
        }
        self.size += entry.body.len();
        self.waiting.push_back(Own::Line(entry));
    }
}

#[cfg(test)]
mod tests;
