//! What a command line requests: the supervisor, a client's request, or a local command.
//!
//! A client's request is a type of the protocol, which the command line builds. `parse.rs` reads a command line. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use super::shell::Shell;
use crate::config::Format;
use crate::control::protocol::Request;

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Run the supervisor.
    Run {
        /// `-c`, or FILE.
        config: Option<PathBuf>,
        /// `--detach`: it runs in the background.
        detach: Option<Box<Detach>>,
    },
    /// Check a configuration.
    Check {
        /// `-c`, or FILE.
        config: Option<PathBuf>,
        /// The scope of the check.
        scope: Scope,
        /// The output format.
        output: Output,
    },
    /// Write a first configuration.
    Init {
        /// The file to write; `-` for standard output, `None`: `foster.toml`.
        file: Option<PathBuf>,
    },
    /// Print another tool's configuration as TOML.
    Migrate {
        /// The file or folder.
        file: PathBuf,
        /// Its format; `None`: by its name and content.
        from: Option<Format>,
    },
    /// Send a request to the supervisor.
    Client(ClientCommand),
    /// Show what foster finds in its environment.
    Doctor {
        /// How to find the supervisor.
        endpoint: Endpoint,
        /// The output format.
        output: Output,
    },
    /// Print the schema of the configuration.
    Schema,
    /// Print a shell's script, or the completions of a command line.
    Completions {
        /// The shell.
        shell: Shell,
        /// The command line; empty: print the script.
        words: Vec<String>,
    },
    /// Print the version.
    Version {
        /// The output format.
        output: Output,
    },
    /// Print help.
    Help {
        /// About this verb; `None`: the overview.
        verb: Option<String>,
    },
}

/// How a supervisor runs in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detach {
    /// The file for its pid.
    pub pid_file: Option<PathBuf>,
    /// The file for its output.
    pub log: Option<PathBuf>,
    /// The request that is answered at the end of the startup.
    pub wait: ClientCommand,
}

/// What `check` checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The files of the configuration.
    File,
    /// Also what they refer to: `--here`.
    Here,
}

/// A request to the supervisor, and how the client shows the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCommand {
    /// The request.
    pub request: Request,
    /// How to find the supervisor.
    pub endpoint: Endpoint,
    /// The output format.
    pub output: Output,
    /// Whether lines of output are shown with their times.
    pub timestamps: bool,
    /// Whether the request is repeated until interrupted.
    pub watch: bool,
    /// Whether the client returns only when the supervisor has ended.
    pub until_end: bool,
    /// The command of `exec` with its arguments; empty for every other verb.
    pub exec: Vec<OsString>,
}

/// The options of a command line for finding the supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `-c`.
    pub config: Option<PathBuf>,
}

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}
