//! The programs' output, from their pipes to its destinations, and foster's own lines among it.
//!
//! Driven by the loop in `init/`: nothing here waits, and no error here fails a program. A line's way: a [`Source`] (the
//! read end of a pipe) is read by `pump.rs`, split and formatted by `crates/foster-lines`, and passed to a
//! [`writer::Writer`]: a queue for a reader, or a file (`file.rs`). A copy stays in a `Ring`, for `tail.rs`. foster's
//! own lines come from `log.rs`, and `own_lines.rs` orders them. `attach.rs` selects the writer of each stream.

mod attach;
pub mod file;
pub mod log;
pub mod log_path;
mod own_lines;
mod pump;
mod tail;
pub mod writer;
mod writers;

use std::cell::Cell;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use foster_core::ids::{InstanceId, ProgramId, Run};
use foster_core::program_map::ProgramMap;
use foster_core::sorted::{SortedMap, SortedSet};
pub use foster_lines::Stream;
use foster_lines::capture::Capture;
use foster_lines::format::{Colour, LinePrefix, Timestamps};
use foster_lines::lines::Lines;
use foster_lines::ring::Ring;

use self::log::Backlog;
use self::own_lines::OwnLines;
use self::writers::Writers;
use crate::plan::{InstanceDef, LinePattern, LogFormat, Plan};
use crate::sys::descriptors;
use crate::sys::epoll::{Epoll, Owner, Token};
use crate::sys::stream::{self, Descriptor};

pub use self::tail::Unfinished;

/// The descriptor that a program gets as a stream.
#[derive(Debug)]
pub enum ChildStream {
    /// The write end of a pipe: its owner becomes the program's user, and foster closes it after the spawn.
    Pipe(OwnedFd),
    /// A copy of foster's own stream; its owner is not changed.
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

/// The descriptors of foster's process that output goes to, its clock and its settings.
#[derive(Debug)]
pub struct OutputEnv {
    /// foster's stdout; `None` if it is closed.
    pub stdout: Option<Descriptor>,
    /// foster's stderr; `None` if it is closed.
    pub stderr: Option<Descriptor>,
    /// Whether names may be coloured.
    pub colour: ColourMode,
    /// The time of day.
    pub clock: fn() -> SystemTime,
    /// The lines of the `log` macros.
    pub backlog: Arc<Backlog>,
}

impl OutputEnv {
    /// The environment of this process.
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

/// The output of all programs and of foster.
#[derive(Debug)]
pub struct Output {
    watch: Watch,
    env: OutputEnv,
    style: Style,
    attached: Attached,
    sources: Sources,
    writers: Writers,
    own: OwnLines,
    scratch: Scratch,
}

/// The epoll instance that watches the descriptors, and the owner of their reports.
#[derive(Debug)]
struct Watch {
    epoll: Rc<Epoll>,
    owner: Owner,
}

/// The programs and their runs.
#[derive(Debug)]
struct Attached {
    /// The kept output of each program.
    rings: ProgramMap<Ring>,
    /// The instances of the plan: how each is called, and where its output goes.
    instances: SortedMap<InstanceId, Rc<InstanceDef>>,
    runs: SortedMap<Run, Box<RunOutput>>,
    /// The most exited runs of all instances with open pipes.
    most_dead_runs: usize,
    /// The number of the next line in any ring.
    next_line: u64,
    /// The runs of which a line has matched `ready.log`.
    matches: Vec<Run>,
}

/// The format of lines.
#[derive(Debug, Clone, Copy)]
struct Style {
    format: LogFormat,
    timestamps: Timestamps,
    /// The width of the names before lines.
    width: usize,
}

/// The read ends of pipes.
#[derive(Debug, Default)]
struct Sources {
    /// Boxed, as others here: a removal moves those behind it, and with a thousand programs that is most of them.
    by_key: SortedMap<u32, Box<Source>>,
    /// The sources that are not read until their writer has room.
    paused: SortedSet<u32>,
    last_key: u32,
}

/// The read end of a pipe.
#[derive(Debug)]
struct Source {
    run: Run,
    stream: Stream,
    fd: OwnedFd,
    writer: u32,
    line_style: LineStyle,
    lines: Lines,
    pattern: Option<Rc<PendingPattern>>,
    /// The bytes of an exited main process that are still in the pipe.
    unread: usize,
}

/// The format of the lines of a pipe.
#[derive(Debug)]
struct LineStyle {
    prefix: LinePrefix,
    format: LineFormat,
    /// Takes text for event listeners out.
    capture: Option<Box<Capture>>,
}

/// The format of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineFormat {
    /// The format of the log, from `[foster]`.
    Log,
    /// Unchanged: for a file.
    Plain,
}

/// The pattern that a line of a run has to match for the run to be ready.
#[derive(Debug)]
struct PendingPattern {
    pattern: LinePattern,
    is_matched: Cell<bool>,
}

/// The captured streams of a run.
#[derive(Debug)]
struct RunOutput {
    main: MainProcess,
    label: String,
    /// The name of its program. The program may be removed before its last line is read.
    name: String,
    log_prefix: bool,
    pid: Option<u32>,
    /// The keys of its sources and of their writers.
    streams: Vec<(u32, u32)>,
}

/// Whether the main process of a run is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MainProcess {
    Alive,
    Ended,
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
/// The writer of foster's stderr, if it is not the same file.
const STDERR: u32 = 1;
/// A bit that the keys of writers have and those of sources do not.
const WRITER: u32 = 1 << 31;
/// The name before foster's own lines.
const FOSTER: &str = "foster";
/// A longer name shifts only its own lines: one of 38 characters must not indent all others.
const WIDEST_NAME: usize = 20;
/// Without red, which is for errors; the others are legible on dark and on light (SGR 32 to 36).
const COLOURS: [Colour; 5] = [Colour(36), Colour(33), Colour(32), Colour(35), Colour(34)];

impl Output {
    /// Output to this environment. Descriptors are registered with `epoll` for `owner`.
    pub fn new(epoll: Rc<Epoll>, owner: Owner, plan: &Plan, env: OutputEnv) -> Output {
        let style = Style { format: plan.settings.log_format, timestamps: Timestamps::Off, width: 0 };
        let mut output = Output {
            watch: Watch { epoll, owner },
            style,
            attached: Attached {
                rings: ProgramMap::new(),
                instances: SortedMap::new(),
                runs: SortedMap::new(),
                most_dead_runs: descriptors::limit() / 8,
                next_line: 1,
                matches: Vec::new(),
            },
            sources: Sources::default(),
            writers: Writers::new(&env),
            env,
            own: OwnLines::default(),
            scratch: Scratch::default(),
        };
        output.configure(plan);
        output
    }

    /// Applies changed settings and programs. The format applies to all further lines, also of current runs; their
    /// destinations stay. A program keeps its last lines; those of a removed program are dropped.
    pub fn configure(&mut self, plan: &Plan) {
        self.style.format = plan.settings.log_format;
        self.style.timestamps = if plan.settings.log_timestamps { Timestamps::On } else { Timestamps::Off };
        self.writers.limit_log(plan.settings.log_max_size, plan.settings.log_keep);
        self.style.width = FOSTER.len();
        for instance in plan.instances.values() {
            self.style.widen(&instance.label);
            for sink in [&instance.program.stdout, &instance.program.stderr] {
                self.writers.update_file(sink);
            }
        }
        self.attached.instances = plan.instances.clone();
        let mut old = std::mem::take(&mut self.attached.rings);
        let kept = plan.programs.ids().map(|id| (id, old.remove(id).unwrap_or_default()));
        self.attached.rings = kept.collect();
        self.reformat();
    }

    /// Drops what is known of a removed instance; its lines stay among those of its program.
    pub fn forget_instance(&mut self, instance: InstanceId) {
        self.attached.instances.remove(&instance);
    }

    /// Drops the last lines of a program that was removed. Further output of its descendants is still written.
    pub fn forget_program(&mut self, program: ProgramId) {
        self.attached.rings.remove(program);
    }

    /// The width of the names before lines.
    pub fn width(&self) -> usize {
        self.style.width
    }

    /// Removes and returns the runs of which a line has matched their readiness pattern.
    pub fn take_matches(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.attached.matches)
    }

    /// Whether some output is unread, or unwritten and can be written.
    pub fn pending(&self) -> bool {
        !self.own.is_empty()
            || !self.env.backlog.is_empty()
            || self.writers.any_unwritten()
            || self.sources.by_key.values().any(|source| stream::unread(&source.fd) > 0)
    }

    fn ring(&self, program: ProgramId) -> Option<&Ring> {
        self.attached.rings.get(program)
    }

    fn token(&self, key: u32) -> Token {
        Token { owner: self.watch.owner, key }
    }
}

impl Style {
    fn widen(&mut self, name: &str) {
        self.width = self.width.max(name.len().min(WIDEST_NAME));
    }
}

impl Sources {
    fn has_unread(&self, key: u32) -> bool {
        self.by_key.get(&key).is_some_and(|source| source.unread > 0)
    }
}

#[cfg(test)]
mod tests;
