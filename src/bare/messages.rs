//! The messages of a bare init, and the exit status of each failure.
//!
//! The wording is foster's, except where scripts look for that of tini and dumb-init. Messages go to stderr, since stdout
//! belongs to the command. They are dropped while stderr is blocked, so that a full pipe never blocks the init.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use foster_core::ids::{Exit, Signal};
use nix::errno::Errno;
use nix::unistd::Pid;

use super::{Persona, Verbosity};
use crate::errno::text;
use crate::exit::ExitStatus;
use crate::sys::process::Reaped;
use crate::sys::target;

/// Writes the messages of a persona, up to a verbosity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Messages {
    pub(super) persona: Persona,
    pub(super) verbosity: Verbosity,
}

/// Why the command cannot be run.
#[derive(Debug)]
pub(super) enum Failure {
    /// prctl(2) refuses the signal for the parent's death.
    ParentDeath(Errno),
    /// fork(2) failed.
    Process(Errno),
    /// It cannot get a process group, a session or the terminal.
    Place(Errno),
    /// It cannot enter the working directory.
    Directory(Errno),
    /// An argument has a NUL byte.
    Nul,
    /// execve(2) failed.
    Exec {
        /// The command, as it was given.
        name: OsString,
        /// PATH, if it was searched.
        path: Option<OsString>,
        /// The system's error.
        errno: Errno,
    },
}

/// The file exists and cannot be executed.
const NOT_EXECUTABLE: ExitStatus = ExitStatus(126);
/// No such file.
const NOT_FOUND: ExitStatus = ExitStatus(127);
/// dumb-init's status for any error of execve(2).
const DUMB_INIT_EXEC: ExitStatus = ExitStatus(2);

impl Messages {
    /// Writes why the command cannot be run, and returns the exit status.
    pub(super) fn fail(self, failure: &Failure) -> ExitStatus {
        self.write(&failure.message(self.persona));
        failure.status(self.persona)
    }

    pub(super) fn warn_of_lost_orphans(self, errno: Errno) {
        self.say(Verbosity::Warnings, || {
            format!("cannot become a subreaper: {}; another init reaps orphans", text(errno))
        });
    }

    pub(super) fn warn_of_zombies(self) {
        self.say(Verbosity::Warnings, || {
            "not PID 1 and not a subreaper, so zombie reaping won't work: another init reaps orphans \
             (`-s` or TINI_SUBREAPER makes this one a subreaper)"
                .to_owned()
        });
    }

    pub(super) fn started(self, command: &[OsString], pid: Pid) {
        let name = command.first().map_or(OsStr::new(""), OsString::as_os_str);
        self.say(Verbosity::Steps, || format!("started `{}` as process {pid}", name.display()));
    }

    pub(super) fn ended(self, exit: Exit) {
        self.say(Verbosity::Steps, || format!("the command {exit}"));
    }

    pub(super) fn received(self, signal: Signal) {
        self.say(Verbosity::Signals, || format!("{} {signal}", self.received_verb()));
    }

    pub(super) fn passed_on(self, received: Signal, sent: Signal) {
        self.say(Verbosity::Signals, || match received == sent {
            true => format!("{} {received}, and passed it on", self.received_verb()),
            false => format!("{} {received}, and passed it on as {sent}", self.received_verb()),
        });
    }

    pub(super) fn dropped(self, signal: Signal) {
        self.say(Verbosity::Signals, || format!("{} {signal}, and dropped it", self.received_verb()));
    }

    pub(super) fn not_passed_on(self, sent: Signal, errno: Errno) {
        self.say(Verbosity::Warnings, || format!("cannot send {sent} to the command: {}", text(errno)));
    }

    /// A reported one is a warning: a program that leaves orphans may have a leak.
    pub(super) fn reaped(self, orphan: Reaped, is_reported: bool) {
        let Reaped { pid, exit } = orphan;
        match is_reported {
            true => self.say(Verbosity::Warnings, || format!("Reaped zombie process with pid={pid}")),
            false => self.say(Verbosity::Signals, || format!("reaped process {pid}, which {exit}")),
        }
    }

    fn received_verb(self) -> &'static str {
        match self.persona {
            Persona::Foster | Persona::DumbInit => "received",
            Persona::Tini => "Received",
        }
    }

    fn say(self, from: Verbosity, text: impl FnOnce() -> String) {
        if self.verbosity >= from {
            self.write(&text());
        }
    }

    fn write(self, text: &str) {
        let name = match self.persona {
            Persona::Foster => "foster:",
            Persona::Tini => "tini:",
            Persona::DumbInit => "[dumb-init]",
        };
        target::write_stderr(format!("{name} {text}\n").as_bytes());
    }
}

impl Failure {
    fn status(&self, persona: Persona) -> ExitStatus {
        let Failure::Exec { errno, .. } = self else { return ExitStatus::FAILED };
        match (persona, *errno) {
            (Persona::DumbInit, _) => DUMB_INIT_EXEC,
            (Persona::Foster | Persona::Tini, Errno::ENOENT) => NOT_FOUND,
            (Persona::Foster, Errno::ENOTDIR) => NOT_FOUND,
            (Persona::Foster, _) | (Persona::Tini, Errno::EACCES) => NOT_EXECUTABLE,
            (Persona::Tini, _) => ExitStatus::FAILED,
        }
    }

    fn message(&self, persona: Persona) -> String {
        let attempt = |what: &str, errno: &Errno| format!("cannot {what}: {}", text(*errno));
        match self {
            Failure::ParentDeath(errno) => attempt("set the signal for the parent's death", errno),
            Failure::Process(errno) => attempt("make a process", errno),
            Failure::Place(errno) => attempt("give the command its process group and terminal", errno),
            Failure::Directory(errno) => attempt("enter the working directory", errno),
            Failure::Nul => "cannot run a command with a NUL byte in it".to_owned(),
            Failure::Exec { name, path, errno } => match persona {
                Persona::DumbInit => format!("{}: {}", name.display(), text(*errno)),
                Persona::Foster | Persona::Tini => {
                    format!("cannot run `{}`: {}", name.display(), why(name, path.as_deref(), *errno))
                }
            },
        }
    }
}

/// Why execve(2) failed, in more detail than its errno.
fn why(name: &OsStr, path: Option<&OsStr>, errno: Errno) -> String {
    let file = Path::new(name);
    match (errno, path) {
        (Errno::ENOENT, Some(path)) => format!("not found in PATH ({})", path.display()),
        (Errno::ENOENT, None) if name.is_empty() => "the name is empty".to_owned(),
        (Errno::ENOENT, None) if file.exists() => {
            "the interpreter in its first line, or its dynamic loader, is missing".to_owned()
        }
        (Errno::EACCES, None) if file.is_dir() => "it is a directory".to_owned(),
        (Errno::EACCES, None) if is_without_execute_permission(file) => {
            "not executable: use chmod +x, or run it with its interpreter".to_owned()
        }
        (Errno::ENOEXEC, _) => format!("{}: not built for this machine", text(errno)),
        (errno, _) => text(errno),
    }
}

/// Whether no user may execute it. Otherwise the cause is another one, such as a mount with noexec.
fn is_without_execute_permission(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 == 0)
}
