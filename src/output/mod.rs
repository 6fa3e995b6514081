//! The programs' output, from their pipes to where it is to go, and foster's own lines among it.
//!
//! Driven by the loop in `init/`: nothing here waits, and nothing here fails a program. The way of a line:
//! a `Source` (the reading end of a pipe) is read in `pump.rs`, split by `lines.rs`, dressed by `format.rs`,
//! and taken by an [`writer::Writer`]: a queue before a reader, or a `file.rs`. A copy stays in a `ring.rs`.
//! foster's own lines come from `log.rs`; a barrier holds them back until a dead program's last words are
//! out. `attach.rs` says which stream of which program goes where.

mod attach;
pub mod file;
pub mod format;
pub mod json;
pub mod lines;
pub mod log;
mod pump;
pub mod ring;
pub mod writer;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use ::log::Level;
use foster_core::ids::{ProgramId, Run};
use foster_core::program_map::ProgramMap;

use self::format::{Colour, LinePrefix, Timestamps};
use self::lines::Lines;
use self::log::{Backlog, Body, Entry};
use self::ring::Ring;
use self::writer::Writer;
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

/// Whether names may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourMode {
    /// On a terminal.
    Terminal,
    /// Never: `NO_COLOR` is set.
    Never,
}

/// What of foster's own process the output goes to, and its time.
#[derive(Debug)]
pub struct OutputEnv {
    /// foster's stdout; `None`: it is closed.
    pub stdout: Option<OwnedFd>,
    /// foster's stderr; `None`: it is closed.
    pub stderr: Option<OwnedFd>,
    /// Whether names may be coloured.
    pub colour: ColourMode,
    /// The time of day.
    pub clock: fn() -> SystemTime,
    /// Where foster's own lines come from.
    pub backlog: Arc<Backlog>,
}

impl OutputEnv {
    /// Those of this process.
    pub fn of_process(colour: ColourMode) -> OutputEnv {
        OutputEnv {
            stdout: stream::stdout(),
            stderr: stream::stderr(),
            colour,
            clock: SystemTime::now,
            backlog: log::backlog(),
        }
    }
}

/// All output of all programs, and foster's own.
#[derive(Debug)]
pub struct Output {
    epoll: Rc<Epoll>,
    space: Space,
    env: OutputEnv,
    format: LogFormat,
    timestamps: Timestamps,
    width: usize,
    programs: ProgramMap<ProgramOutput>,
    writers: BTreeMap<u32, Writer>,
    /// What sinks that are no files are called.
    devices: BTreeMap<u32, PathBuf>,
    /// The writer of foster's stderr: the same as that of stdout where both are one file.
    stderr: u32,
    /// Outlets whose names are coloured.
    coloured: BTreeSet<u32>,
    sources: BTreeMap<u32, Source>,
    /// Sources that are left unread until their writer has room.
    paused: BTreeSet<u32>,
    runs: BTreeMap<Run, RunOutput>,
    next_key: u32,
    next_line: u64,
    matches: Vec<Run>,
    own: OwnLines,
    scratch: Scratch,
}

/// What is known of a program.
#[derive(Debug)]
struct ProgramOutput {
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
    writer: u32,
    prefix: LinePrefix,
    format: LineFormat,
    lines: Lines,
    pattern: Option<Rc<Pattern>>,
    /// How many bytes of a dead main process lie in the pipe still.
    unread: usize,
}

/// How lines are dressed on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineFormat {
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
struct RunOutput {
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
    waiting: VecDeque<OwnLine>,
    size: usize,
    dropped: u64,
}

#[derive(Debug)]
enum OwnLine {
    Line(Entry),
    /// What follows has to wait until this source owes nothing.
    Read {
        source: u32,
        writer: u32,
    },
    /// What follows has to wait until this writer has written so much.
    Written {
        writer: u32,
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

/// The writer of foster's stdout.
const STDOUT: u32 = 0;
/// The writer of foster's stderr, where it is not the same.
const STDERR: u32 = 1;
/// Keys of writers have this bit, those of sources have not.
const WRITER: u32 = 1 << 31;
/// How foster's own lines are called.
const FOSTER: &str = "foster";
/// Red is left to what is wrong; the others are told apart well on dark and light (SGR 32 to 36).
const COLOURS: [Colour; 5] = [Colour(36), Colour(33), Colour(32), Colour(35), Colour(34)];

impl Output {
    /// Output to these env; descriptors are registered with `epoll` under `space`.
    pub fn new(
        epoll: Rc<Epoll>,
        space: Space,
        settings: &Settings,
        programs: &ProgramMap<Rc<Program>>,
        mut env: OutputEnv,
    ) -> Output {
        let mut writers = BTreeMap::new();
        let mut coloured = BTreeSet::new();
        let same = match (&env.stdout, &env.stderr) {
            (Some(one), Some(two)) => stream::identity(one).is_ok_and(|one| stream::identity(two) == Ok(one)),
            (_, _) => false,
        };
        let stderr = if same { STDOUT } else { STDERR };
        for (key, fd) in [(STDERR, &mut env.stderr), (STDOUT, &mut env.stdout)] {
            // The original stays for the programs that inherit it.
            let Some(copy) = fd.as_ref().and_then(|fd| fd.try_clone().ok()) else {
                writers.insert(key, Writer::Nowhere);
                continue;
            };
            let target = Target::shared(copy);
            if env.colour == ColourMode::Terminal && target.is_terminal() {
                coloured.insert(key);
            }
            if key == STDOUT || !same {
                writers.insert(key, Writer::new(target));
            }
        }
        let mut output = Output {
            epoll,
            space,
            env,
            format: settings.log_format,
            timestamps: Timestamps::Off,
            width: 0,
            programs: ProgramMap::new(),
            writers,
            devices: BTreeMap::new(),
            stderr,
            coloured,
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
        self.timestamps = if settings.log_timestamps { Timestamps::On } else { Timestamps::Off };
        self.width = programs.values().map(|program| program.name.len()).fold(FOSTER.len(), usize::max);
        let mut old = std::mem::take(&mut self.programs);
        for (id, program) in programs.iter() {
            let ring = old.remove(id).map(|old| old.ring).unwrap_or_default();
            self.programs.insert(id, ProgramOutput::new(program, ring));
        }
        self.reformat();
    }

    /// Drops the last lines of a program that is no more. What its descendants still write is passed on.
    pub fn forget_program(&mut self, program: ProgramId) {
        self.programs.remove(program);
    }

    /// The last `count` lines of a program, the oldest first.
    pub fn tail(&self, program: ProgramId, count: usize) -> Vec<ring::Line> {
        self.program(program).map(|program| program.ring.tail(count)).unwrap_or_default()
    }

    /// The lines of these programs after the one with this number, the oldest first, as far as they are kept: at
    /// least one, and no more when they have this many bytes. And whether there are more.
    pub fn lines_after(
        &self,
        programs: &[ProgramId],
        number: u64,
        most: usize,
    ) -> (Vec<(ProgramId, ring::Line)>, bool) {
        let rings = programs.iter().filter_map(|id| Some((*id, &self.program(*id)?.ring)));
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
        let rings = programs.iter().filter_map(|id| self.program(*id));
        let mut numbers: Vec<u64> = rings.flat_map(|program| program.ring.numbers().take(count)).collect();
        numbers.sort_unstable_by(|one, other| other.cmp(one));
        match count.checked_sub(1) {
            None => self.last_line(),
            Some(last) => numbers.get(last).map_or(0, |number| number - 1),
        }
    }

    /// The number of the last line of a program that is kept no more.
    pub fn dropped(&self, program: ProgramId) -> u64 {
        self.program(program).map_or(0, |program| program.ring.dropped())
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
            || !self.env.backlog.is_empty()
            || self.writers.values().any(|writer| writer.waiting() > 0)
            || self.sources.values().any(|source| stream::unread(&source.fd) > 0)
    }

    fn program(&self, program: ProgramId) -> Option<&ProgramOutput> {
        self.programs.get(program)
    }

    fn token(&self, key: u32) -> Token {
        Token { space: self.space, key }
    }

    /// A line of foster's own about output.
    fn say(&mut self, level: Level, message: &str) {
        let at = (self.env.clock)();
        let body = Body::plain(self.format, level, message);
        self.own.push(Entry { at, body });
    }

    /// One of foster's own lines as it is written to this writer.
    fn format_own(&self, writer: u32, entry: &Entry, out: &mut Vec<u8>) {
        let text = match &entry.body {
            Body::Text(text) => text,
            Body::Json(members) => {
                out.extend_from_slice(format!("{{\"ts\":\"{}\",", format::timestamp(entry.at)).as_bytes());
                out.extend_from_slice(members);
                out.push(b'\n');
                return;
            }
        };
        let colour = self.coloured.contains(&writer).then_some(Colour(1));
        let prefix = LinePrefix::text(self.timestamps, FOSTER, self.width, colour);
        let mut head = Vec::new();
        prefix.head(entry.at, &mut head);
        let mut lines = Lines::default();
        let mut emit = |piece: &[u8], end| prefix.write(&head, piece, end, out);
        lines.feed(text.strip_suffix(b"\n").unwrap_or(text), prefix.limit(&head), &mut emit);
        lines.feed(b"\n", prefix.limit(&head), &mut emit);
    }
}

impl OwnLines {
    fn push(&mut self, entry: Entry) {
        if self.size + entry.body.len() > log::LIMIT {
            self.dropped += 1;
            return;
        }
        self.size += entry.body.len();
        self.waiting.push_back(OwnLine::Line(entry));
    }
}

#[cfg(test)]
mod tests;
