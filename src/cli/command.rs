//! What a command line asks for: the supervisor, a client's request, or something local.
//!
//! A client's request is the wire's own type: what the command line means and what travels are one thing. How a
//! line is read: `parse.rs`. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use super::shell::Shell;
use crate::control::protocol::Request;

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Be the supervisor.
    Run {
        /// `-c`, or FILE.
        config: Option<PathBuf>,
    },
    /// Check a configuration.
    Check {
        /// `-c`, or FILE.
        config: Option<PathBuf>,
        /// How far it looks.
        scope: Scope,
        /// The form of the answer.
        output: Output,
    },
    /// Send a request to the supervisor.
    Client(ClientCommand),
    /// Show what foster sees of its environment.
    Doctor {
        /// Where the supervisor is.
        endpoint: Endpoint,
        /// The form of the answer.
        output: Output,
    },
    /// Print the schema of the configuration.
    Schema,
    /// Print a shell's script, or what completes a command line.
    Completions {
        /// The shell.
        shell: Shell,
        /// The command line; empty: the script is wanted.
        words: Vec<String>,
    },
    /// Print the version.
    Version {
        /// The form of the answer.
        output: Output,
    },
    /// Print help.
    Help {
        /// About this verb; `None`: the overview.
        verb: Option<String>,
    },
}

/// How far `check` looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// At the files of the configuration.
    File,
    /// Also at what they need: `--here`.
    Here,
}

/// A request to the supervisor, and what the client does with the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCommand {
    /// What travels.
    pub request: Request,
    /// Where the supervisor is.
    pub endpoint: Endpoint,
    /// The form of the answer.
    pub output: Output,
    /// Whether lines of output are shown with their times.
    pub timestamps: bool,
    /// Whether the request is repeated until interrupted.
    pub watch: bool,
    /// The command that `exec` becomes, with its arguments; empty for every other verb.
    pub exec: Vec<OsString>,
}

/// Where the supervisor is, as far as the command line says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `-c`.
    pub config: Option<PathBuf>,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}
