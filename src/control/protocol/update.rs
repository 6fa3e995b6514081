//! The types of an update: which programs, what is done, and what would be done.
//!
//! A dry run says the definition of each instance as well, for clients of supervisord that ask for it.

use serde::{Deserialize, Serialize};

use super::default_true;

/// An update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// The programs; none: all of them, and `[foster]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// What is done.
    #[serde(default)]
    pub mode: UpdateMode,
    /// Whether the answer comes when it is done (default), or at once.
    #[serde(default = "default_true")]
    pub wait: bool,
}

impl Update {
    /// Of everything, answered when it is done.
    pub fn everything() -> Update {
        Update { names: Vec::new(), mode: UpdateMode::Apply, wait: true }
    }
}

/// What an update does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateMode {
    /// It applies what the configuration says.
    #[default]
    Apply,
    /// It only says what would change.
    DryRun,
    /// It removes the programs that are named, until an update adds them again. The configuration is not read.
    Remove,
}

/// What an update would do to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Its program's name.
    pub name: String,
    /// The number of the instance, from 0; absent in the row of a program that has none.
    pub instance: Option<u16>,
    /// What happens to its program.
    pub change: ChangeKind,
    /// The keys of its program that differ.
    pub keys: Vec<String>,
    /// Whether a running process would be replaced.
    pub restarts: bool,
    /// Whether it starts with the container.
    pub autostart: bool,
    /// Its priority.
    pub priority: i32,
    /// Its name for supervisorctl, `group:process`, if the configuration is supervisord's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespec: Option<Box<str>>,
    /// The definition in the configuration, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Box<Definition>>,
}

/// The definition of an instance, as supervisord's clients ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Its command, quoted for a shell.
    pub command: String,
    /// Its working directory; absent: foster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The exit codes that are not a failure.
    pub success_exit_codes: Vec<u8>,
    /// How long it is up before it is ready, in milliseconds.
    pub min_uptime_ms: u64,
    /// Failed starts in a row that make it fatal; absent: no number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_limit: Option<u32>,
    /// The number of its first stop signal.
    pub stop_signal: i32,
    /// The time for each stop signal, in milliseconds.
    pub stop_timeout_ms: u64,
    /// Whether KILL goes to more than the main process.
    pub kills_group: bool,
    /// The log file of its standard output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<LogFile>,
    /// The log file of its standard error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<LogFile>,
}

/// A log file of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFile {
    /// Its path.
    pub path: String,
    /// The size in bytes before which it is rotated; absent: it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_size: Option<u64>,
    /// The number of rotated files.
    pub keep: u32,
}

/// What an update would do to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// The configuration has it, foster does not.
    Added,
    /// Its definition differs.
    Changed,
    /// The configuration no longer has it.
    Removed,
    /// Nothing.
    Unchanged,
}
