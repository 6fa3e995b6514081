//! What a bare init says, and with what it ends when there is no command.
//!
//! The words are foster's own, but for those that scripts look for in the output of tini and dumb-init. They go to
//! stderr: stdout is the command's. Where stderr is not read they are left out, so that nobody's reading holds the
//! init up.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use foster_core::ids::{Exit, Signal};
use nix::errno::Errno;
use nix::unistd::Pid;

use super::{Face, Verbosity};
use crate::exit::ExitStatus;
use crate::sys::process::Reaped;
use crate::sys::stream;

/// Who speaks, and how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) face: Face,
    pub(super) verbosity: Verbosity,
}

/// Why the command does not run.
#[derive(Debug)]
pub(super) enum Failure {
    /// The system takes no signal for the parent's death.
    ParentDeath(Errno),
    /// Orphans cannot be adopted.
    Subreaper(Errno),
    /// There is no process for it.
    Process(Errno),
    /// It cannot have its own group or session, or the terminal.
    Place(Errno),
    /// It cannot begin in the working directory.
    Directory(Errno),
    /// An argument has a NUL byte.
    Nul,
    /// The system does not execute it.
    Exec {
        /// The command, as it was given.
        name: OsString,
        /// Whether it was looked for along PATH.
        searched: bool,
        /// The system's word.
        errno: Errno,
    },
}

/// A file that exists, but not in a form that can be executed, or not for us.
const NOT_EXECUTABLE: ExitStatus = ExitStatus(126);
/// No such file.
const NOT_FOUND: ExitStatus = ExitStatus(127);
/// dumb-init's status for whatever exec says.
const DUMB_INIT_EXEC: ExitStatus = ExitStatus(2);

impl Words {
    /// Says why there is no command, and returns what the process is to end with.
    pub(super) fn fail(self, failure: &Failure) -> ExitStatus {
        self.tell(&failure.in_words(self.face));
        failure.status(self.face)
    }

    pub(super) fn warn_of_zombies(self) {
        self.say(Verbosity::Warnings, || {
            "not PID 1 and no subreaper, so zombie reaping won't work: orphans go to another init \
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
        self.say(Verbosity::Signals, || format!("{} {signal}", self.received_word()));
    }

    pub(super) fn passed_on(self, received: Signal, sent: Signal) {
        self.say(Verbosity::Signals, || match received == sent {
            true => format!("{} {received}, and passed it on", self.received_word()),
            false => format!("{} {received}, and passed it on as {sent}", self.received_word()),
        });
    }

    pub(super) fn dropped(self, signal: Signal) {
        self.say(Verbosity::Signals, || format!("{} {signal}, and dropped it", self.received_word()));
    }

    pub(super) fn not_passed_on(self, sent: Signal, errno: Errno) {
        self.say(Verbosity::Warnings, || format!("cannot send {sent} to the command: {}", errno.desc()));
    }

    /// Each that is reported is a warning: a program that leaves orphans may have a leak.
    pub(super) fn reaped(self, orphan: Reaped, is_reported: bool) {
        let Reaped { pid, exit } = orphan;
        match is_reported {
            true => self.say(Verbosity::Warnings, || format!("Reaped zombie process with pid={pid}")),
            false => self.say(Verbosity::Signals, || format!("reaped process {pid}, which {exit}")),
        }
    }

    fn received_word(self) -> &'static str {
        match self.face {
            Face::Foster | Face::DumbInit => "received",
            Face::Tini => "Received",
        }
    }

    fn say(self, from: Verbosity, words: impl FnOnce() -> String) {
        if self.verbosity >= from {
            self.tell(&words());
        }
    }

    fn tell(self, words: &str) {
        let name = match self.face {
            Face::Foster => "foster:",
            Face::Tini => "tini:",
            Face::DumbInit => "[dumb-init]",
        };
        stream::tell_stderr(format!("{name} {words}\n").as_bytes());
    }
}

impl Failure {
    fn status(&self, face: Face) -> ExitStatus {
        let Failure::Exec { errno, .. } = self else { return ExitStatus::FAILED };
        match (face, *errno) {
            (Face::DumbInit, _) => DUMB_INIT_EXEC,
            (Face::Foster | Face::Tini, Errno::ENOENT) => NOT_FOUND,
            (Face::Foster, Errno::ENOTDIR) => NOT_FOUND,
            (Face::Foster, _) | (Face::Tini, Errno::EACCES) => NOT_EXECUTABLE,
            (Face::Tini, _) => ExitStatus::FAILED,
        }
    }

    fn in_words(&self, face: Face) -> String {
        let attempt = |what: &str, errno: &Errno| format!("cannot {what}: {}", errno.desc());
        match self {
            Failure::ParentDeath(errno) => attempt("follow the parent", errno),
            Failure::Subreaper(errno) => attempt("become a subreaper", errno),
            Failure::Process(errno) => attempt("make a process", errno),
            Failure::Place(errno) => attempt("give the command its process group and terminal", errno),
            Failure::Directory(errno) => attempt("enter the working directory", errno),
            Failure::Nul => "cannot run a command with a NUL byte in it".to_owned(),
            Failure::Exec { name, searched, errno } => match face {
                Face::DumbInit => format!("{}: {}", name.display(), errno.desc()),
                Face::Foster | Face::Tini => {
                    format!("cannot run `{}`: {}", name.display(), why(name, *searched, *errno))
                }
            },
        }
    }
}

/// Why a command was not executed, with what the system does not say.
fn why(name: &OsStr, searched: bool, errno: Errno) -> String {
    let file = Path::new(name);
    let words = if errno == Errno::ENOENT && searched {
        "there is no such command in PATH"
    } else if errno == Errno::ENOENT && name.is_empty() {
        "its name is empty"
    } else if errno == Errno::ENOENT && file.exists() {
        "what it is to be run by is not there"
    } else if errno == Errno::EACCES && !searched && file.is_dir() {
        "it is a directory"
    } else if errno == Errno::ENOEXEC {
        "it is in no format that this machine can run"
    } else {
        errno.desc()
    };
    words.to_owned()
}
