//! The plan: the validated configuration as plain, immutable data.
//!
//! Made by `config/`, read by every leaf, changed by nobody. What is here is known to be well-formed;
//! whether it also works (a user that exists, a directory that is there) shows at each start. Decisions
//! are made from its core part, [`foster_core::plan::CorePlan`]; the rest says how to do what was decided.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use foster_core::ids::ProgramId;
use foster_core::plan::CorePlan;
use foster_core::program_map::ProgramMap;
use foster_core::spec::ProgramSpec;
use serde::Serialize;

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file it was read from.
    pub source: PathBuf,
    /// The table `[foster]`.
    pub settings: Settings,
    /// What the core decides from; it has the same programs.
    pub core: Rc<CorePlan>,
    /// The programs; what one of them is does not change, a later plan has another.
    pub programs: ProgramMap<Rc<Program>>,
    /// Settings that are valid but probably not intended.
    pub warnings: Vec<Warning>,
}

/// A setting that is valid but probably not intended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The file; `None`: it concerns none in particular.
    pub file: Option<String>,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// The column in the line, from 1.
    pub column: Option<usize>,
    /// The sentence.
    pub message: String,
    /// The remedy, if there is one.
    pub hint: Option<String>,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line, self.column) {
            (Some(file), Some(line), Some(column)) => write!(f, "{file}:{line}:{column}: {}", self.message),
            (Some(file), _, _) => write!(f, "{file}: {}", self.message),
            (None, _, _) => f.write_str(&self.message),
        }
    }
}

impl Plan {
    /// The program with this id.
    pub fn program(&self, id: ProgramId) -> Option<&Program> {
        self.programs.get(id).map(Rc::as_ref)
    }

    /// What the core decides about the program with this id.
    pub fn spec(&self, id: ProgramId) -> Option<&ProgramSpec> {
        self.core.program(id).map(Rc::as_ref)
    }
}

/// The table `[foster]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the control socket is; `None`: there is none.
    pub socket: Option<PathBuf>,
    /// How lines are written.
    pub log_format: LogFormat,
    /// Which of foster's own lines are written.
    pub log_level: log::LevelFilter,
    /// Whether text lines begin with the time.
    pub log_timestamps: bool,
    /// Written at the end, if it exists.
    pub termination_log: PathBuf,
}

/// How lines are written to foster's stdout and stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// The line, behind its program's name.
    Text,
    /// One object a line.
    Json,
}

/// What the shell must know of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// How its process is made.
    pub launch: Launch,
    /// Where its standard output goes.
    pub stdout: Sink,
    /// Where its standard error goes.
    pub stderr: Sink,
    /// Whether its text lines are preceded by its name.
    pub log_prefix: bool,
    /// How its readiness is asked for; `None`: up for `min_uptime`.
    pub ready: Option<Probe>,
    /// How its health is asked for once it is ready; `None`: not at all.
    pub health: Option<Probe>,
    /// Run before each start: arguments of a command with the program's own environment and user.
    pub pre_start: Option<Vec<String>>,
    /// Run before the stop signal, like `pre_start`.
    pub pre_stop: Option<Vec<String>>,
}

/// How a process is made: everything between fork and exec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launch {
    /// The command and its arguments; never empty.
    pub command: Vec<String>,
    /// Working directory; `None`: foster's.
    pub directory: Option<PathBuf>,
    /// Wins over everything else.
    pub environment: Vec<(String, String)>,
    /// Read at each start, later ones win.
    pub env_files: Vec<EnvFile>,
    /// Variables whose value is a file's content, read at each start.
    pub secrets: Vec<(String, PathBuf)>,
    /// What of foster's environment is passed on.
    pub inherit_environment: Inherit,
    /// As whom; `None`: foster's.
    pub user: Option<User>,
    /// What it reads on its standard input.
    pub stdin: Stdin,
    /// File mode creation mask; `None`: foster's.
    pub umask: Option<u32>,
    /// The capabilities kept, as bits by number (capabilities(7)); `None`: left as they are.
    pub capabilities: Option<u64>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Resource limits (setrlimit(2)).
    pub limits: Vec<Limit>,
    /// Scheduling priority, -20 to 19; `None`: inherited.
    pub nice: Option<i8>,
    /// -1000 to 1000; `None`: inherited.
    pub oom_score_adj: Option<i16>,
}

/// A file of environment variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it may be missing.
    pub presence: Presence,
}

/// Whether a file may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must be there: a missing one is a failed start.
    Required,
    /// A missing one is like an empty one.
    Optional,
}

/// What of foster's own environment a program gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inherit {
    /// All but foster's own `NOTIFY_SOCKET` and `LISTEN_*`.
    #[default]
    All,
    /// `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `TZ` and `LANG`.
    Basics,
}

/// What a program reads on its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdin {
    /// `/dev/null`: the end of the input at once.
    #[default]
    Null,
    /// A pipe that foster keeps open and never writes to: the input neither arrives nor ends.
    Open,
    /// foster's own standard input; at most one program of a plan has it.
    Inherit,
}

/// As whom a program runs: looked up at each start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub user: Account,
    /// The group; `None`: the user's own and its supplementary ones.
    pub group: Option<Account>,
    /// What becomes of that where foster may not change users.
    pub unprivileged: Unprivileged,
}

/// What a program with a user does where foster has no right to change users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unprivileged {
    /// It is not started: a failed start.
    Refused,
    /// It runs as foster does, with what foster has of the capabilities to keep.
    AsFoster,
}

/// A user or group, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By name: must be in `/etc/passwd` or `/etc/group`.
    Name(String),
    /// By number: need not be anywhere.
    Id(u32),
}

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Which.
    pub resource: rlimit::Resource,
    /// Soft limit; `rlimit::INFINITY` for unlimited.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// Where a stream of a program goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// Line by line to foster's own stream of the same name.
    Log,
    /// foster's own descriptor, nothing between.
    Inherit,
    /// Nowhere.
    Null,
    /// To a file.
    File(FileSink),
}

/// A log file of a program's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSink {
    /// Where it is; its directory must exist.
    pub path: PathBuf,
    /// Rotated before it would grow beyond this many bytes; `None`: never.
    pub max_size: Option<u64>,
    /// How many rotated files are kept beside it, `path.1` being the newest.
    pub keep: u32,
}

/// How readiness is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// A request is answered with an accepted status.
    Http(HttpProbe),
    /// A connection is accepted.
    Tcp(SocketAddr),
    /// A connection is accepted.
    Unix(PathBuf),
    /// A command, as the program's user and with its environment, exits with 0.
    Exec(Vec<String>),
    /// A file exists.
    File(PathBuf),
    /// A line of the program's output matches.
    Log(LinePattern),
}

/// A request over HTTP/1.1. Every text in it can be sent as it is: none contains a line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// Where to connect.
    pub address: SocketAddr,
    /// The request's method: a token (RFC 9110, section 9.1), as `GET`.
    pub method: String,
    /// The URL's authority as it was written: the `Host` header, where `headers` has none.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Header fields added to the request, each name once whatever its case.
    pub headers: Vec<(String, String)>,
    /// Accepted statuses; empty: 200 to 399.
    pub status: Vec<u16>,
}

/// A regular expression over a line, without its line end.
#[derive(Debug, Clone)]
pub struct LinePattern(regex_lite::Regex);

impl LinePattern {
    /// How many bytes of a line are matched. The time that a match takes grows with them and with the pattern.
    pub const LONGEST_LINE: usize = 4096;

    /// How large the compiled pattern may be, in bytes: some hundreds of repetitions.
    const LARGEST: usize = 32 * 1024;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is not a regular expression, or it is too large once its repetitions are counted out.
    pub fn new(pattern: &str) -> Result<LinePattern, String> {
        let mut builder = regex_lite::RegexBuilder::new(pattern);
        builder.size_limit(LinePattern::LARGEST).build().map(LinePattern).map_err(|error| error.to_string())
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether a line matches.
    pub fn is_match(&self, line: &str) -> bool {
        self.0.is_match(line)
    }
}

impl PartialEq for LinePattern {
    fn eq(&self, other: &LinePattern) -> bool {
        self.as_str() == other.as_str()
    }
}
