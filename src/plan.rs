//! The plan: the validated configuration as plain, immutable data.
//!
//! `config/` makes it and every leaf reads it. Its values are valid, but users and files need not exist: they are looked
//! up at each start. The core decides from its part, [`foster_core::plan::CorePlan`]; the rest describes execution.
//! Next: `plan/instances.rs`.

mod instances;
mod listen;
mod web;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use foster_core::ids::{InstanceId, ProgramId};
use foster_core::plan::CorePlan;
use foster_core::program_map::ProgramMap;
use foster_core::sorted::SortedMap;
use foster_core::spec::{Kind, ProgramSpec};
use serde::Serialize;

pub use self::instances::{InstanceCount, InstanceDef, InstanceSetting, Template};
pub use self::listen::{ListenAddress, ListenOptions, ListenSocket};
pub use self::web::{Password, Reach, Web, WebServer};

/// A configuration that has been checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The file it was read from.
    pub source: PathBuf,
    /// The table `[foster]`.
    pub settings: Settings,
    /// The servers of the web helper.
    pub web: Web,
    /// The part for the core, with the same programs.
    pub core: Rc<CorePlan>,
    /// The programs, each as its instance 0 has it. Each is immutable; a later plan has new ones.
    pub programs: ProgramMap<Rc<Program>>,
    /// The instances, and those that are removed until the core has forgotten them.
    pub instances: SortedMap<InstanceId, Rc<InstanceDef>>,
    /// What makes further definitions of a program whose instances differ.
    pub templates: ProgramMap<Template>,
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
    /// The message.
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

    /// The core's part of the program with this id.
    pub fn spec(&self, id: ProgramId) -> Option<&ProgramSpec> {
        self.core.program(id).map(Rc::as_ref)
    }

    /// What the program with this id is for.
    pub fn kind(&self, id: ProgramId) -> Kind {
        self.spec(id).map_or(Kind::Program, ProgramSpec::kind)
    }
}

/// The table `[foster]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The path of the control socket; `None`: disabled.
    pub socket: Option<PathBuf>,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// The lowest level of foster's own lines that are logged.
    pub log_level: log::LevelFilter,
    /// Whether text lines start with a timestamp.
    pub log_timestamps: bool,
    /// The size in bytes before which the file of `run --detach --log` is rotated; `None`: it is never rotated.
    pub log_max_size: Option<u64>,
    /// The number of rotated files of it to keep.
    pub log_keep: u32,
    /// The file for the reason of the exit; written only if it exists.
    pub termination_log: PathBuf,
    /// What follows a fault in foster itself.
    pub on_fault: OnFault,
}

/// What follows a fault in foster itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFault {
    /// The programs are stopped in order.
    Shutdown,
    /// Another foster continues with them.
    Reexec,
}

/// The format of lines on foster's stdout and stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// The program's name, then the line.
    Text,
    /// One JSON object per line.
    Json,
}

/// The name of the program that stands between foster and supervisord's event listeners, where it is free.
pub const BROKER: &str = "event-listeners";

/// The shell's part of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// Its name.
    pub name: String,
    /// `group:process`, its name for supervisorctl, if a supervisord configuration gives it one.
    pub namespec: Option<String>,
    /// The number of instances that the configuration asks for.
    pub instances: InstanceCount,
    /// How its process is started.
    pub launch: Launch,
    /// Its listening sockets: descriptors 3, 4, …
    pub sockets: Vec<ListenSocket>,
    /// Where its standard output goes.
    pub stdout: Sink,
    /// Where its standard error goes.
    pub stderr: Sink,
    /// Whether text for event listeners is taken out of its standard output and its standard error.
    pub captures: [bool; 2],
    /// Whether its text lines start with its name.
    pub log_prefix: bool,
    /// Its readiness probe; `None`: ready after `min_uptime`.
    pub ready: Option<Probe>,
    /// Its health probe, for when it is ready; `None`: no probe.
    pub health: Option<Probe>,
    /// The command that runs before each start, with the program's environment and user.
    pub pre_start: Option<Vec<String>>,
    /// The command that runs before the stop signal, in the same way.
    pub pre_stop: Option<Vec<String>>,
    /// The schedule of a job in words: `30 2 * * * (Europe/Berlin)`; `None`: it is not a job.
    pub schedule: Option<String>,
}

/// How a process is started: everything between fork and exec.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Launch {
    /// The command and its arguments; never empty.
    pub command: Vec<String>,
    /// Working directory; `None`: foster's.
    pub directory: Option<PathBuf>,
    /// Its own variables, which override all others.
    pub environment: Vec<(String, String)>,
    /// Files of variables, read at each start; later files override earlier ones.
    pub env_files: Vec<EnvFile>,
    /// Variables whose values are the contents of files, read at each start.
    pub secrets: Vec<(String, PathBuf)>,
    /// The part of foster's environment that it inherits.
    pub inherit_environment: Inherit,
    /// Its user; `None`: foster's.
    pub user: Option<User>,
    /// Its standard input.
    pub stdin: Stdin,
    /// File mode creation mask; `None`: foster's.
    pub umask: Option<u32>,
    /// The capabilities kept, as bits by number (capabilities(7)); `None`: unchanged.
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
    /// Its path.
    pub path: PathBuf,
    /// Whether it may be missing.
    pub presence: Presence,
}

/// Whether a file may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It must exist; otherwise the start fails.
    Required,
    /// A missing file is treated as empty.
    Optional,
}

/// The part of foster's environment that a program inherits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inherit {
    /// All variables except foster's own `NOTIFY_SOCKET`, `LISTEN_*` and `WATCHDOG_*`.
    #[default]
    All,
    /// `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `TZ` and `LANG`.
    Basics,
}

/// The standard input of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdin {
    /// `/dev/null`: end of file at once.
    #[default]
    Null,
    /// A pipe that foster keeps open and never writes to: reads block.
    Open,
    /// foster's own standard input; at most one program of a plan has it.
    Inherit,
    /// The first of its listening sockets, as FastCGI has it.
    Socket,
}

/// The user of a program, looked up at each start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub user: Account,
    /// The group; `None`: the user's primary and supplementary groups.
    pub group: Option<Account>,
    /// What happens if foster has no permission to change users.
    pub unprivileged: Unprivileged,
}

/// What happens to a program with a user if foster has no permission to change users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unprivileged {
    /// The start fails.
    Refused,
    /// It runs as foster's user, with those of its `capabilities` that foster has.
    AsFoster,
}

/// A user or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// By name; it must be in `/etc/passwd` or `/etc/group`.
    Name(String),
    /// By number; it need not be in these files.
    Id(u32),
}

/// One resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// The resource.
    pub resource: rlimit::Resource,
    /// Soft limit; `rlimit::INFINITY` for unlimited.
    pub soft: u64,
    /// Hard limit.
    pub hard: u64,
}

/// The destination of a program's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// foster's stream of the same name, line by line.
    Log,
    /// foster's descriptor, passed to the program.
    Inherit,
    /// foster's memory alone: the last lines, for `foster logs`.
    Memory,
    /// `/dev/null`.
    Null,
    /// A file.
    File(FileSink),
}

/// A log file of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSink {
    /// Its path; the directory must exist.
    pub path: PathBuf,
    /// The size in bytes before which it is rotated; `None`: it is never rotated.
    pub max_size: Option<u64>,
    /// The number of rotated files to keep; `path.1` is the newest.
    pub keep: u32,
}

/// A readiness probe: the condition for ready.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// A request returns an accepted status.
    Http(HttpProbe),
    /// The address accepts a connection.
    Tcp(SocketAddr),
    /// The Unix socket accepts a connection.
    Unix(PathBuf),
    /// A command with the program's user and environment exits with 0.
    Exec(Vec<String>),
    /// The file exists.
    File(PathBuf),
    /// A line of the program's output matches.
    Log(LinePattern),
    /// The program reports it with sd_notify(3).
    Notify,
    /// The program writes a newline to this descriptor.
    Fd(i32),
    /// The program sends the message `ready` through the channel that Node has to its parent.
    Ipc,
}

/// An HTTP/1.1 request. Its texts contain no line ends and are sent unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProbe {
    /// The server's address.
    pub address: SocketAddr,
    /// The method, a token (RFC 9110, section 9.1) such as `GET`.
    pub method: String,
    /// The URL's authority: the `Host` header, unless `headers` has one.
    pub host: String,
    /// Path and query.
    pub target: String,
    /// Further header fields; no name is repeated, ignoring case.
    pub headers: Vec<(String, String)>,
    /// The accepted statuses; empty: 200 to 399.
    pub status: Vec<u16>,
}

/// A regular expression that is matched against a line without its line end.
#[derive(Debug, Clone)]
pub struct LinePattern(regex_lite::Regex);

impl LinePattern {
    /// How many bytes of a line are matched, which bounds the time of a match.
    pub const LONGEST_LINE: usize = 4096;

    /// The size limit of a compiled pattern in bytes: some hundreds of repetitions.
    const LARGEST: usize = 32 * 1024;

    /// Compiles a pattern.
    ///
    /// # Errors
    /// It is not a regular expression, or its repetitions expand to more than the limit.
    pub fn new(pattern: &str) -> Result<LinePattern, String> {
        let mut builder = regex_lite::RegexBuilder::new(pattern);
        builder.size_limit(LinePattern::LARGEST).build().map(LinePattern).map_err(|error| error.to_string())
    }

    /// The pattern as text.
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
