//! Selects the init by the name in argv[0]: foster, tini or dumb-init.
//!
//! So an image changes one line, a copy or a symlink, and no script. Each program has a file here that reads its
//! command line and its environment variables, and describes how it behaves as a [`Bare`]; the one init in
//! [`crate::bare`] then behaves so. The only system calls here print. This is the first thing foster
//! does, before any allocation: any other command line is parsed as a verb in `lib.rs`.

mod dumb_init;
mod foster;
mod getopt;
pub mod pm2_runtime;
pub mod supervisord;
#[cfg(test)]
mod testing;
mod tini;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;

use crate::bare::{self, Bare};
use crate::cli::bare::is_bare_init;
use crate::exit::ExitStatus;

/// The result of reading a command line.
#[derive(Debug, PartialEq, Eq)]
enum Invocation {
    /// A command to run.
    Run(Box<Bare>),
    /// A text to print, and the exit status.
    Print(Text),
}

/// A text that is printed instead of running a command.
#[derive(Debug, PartialEq, Eq)]
struct Text {
    text: String,
    stream: Stream,
    status: ExitStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// The environment: the value of a variable.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Runs the bare init that this command line asks for, under any of its names; `None`: it is not one of a bare init.
pub fn run(arguments: &[OsString]) -> Option<ExitStatus> {
    let (name, rest) = arguments.split_first()?;
    let environment: Lookup<'_> = &|name| std::env::var_os(name);
    let invocation = match base_name(name) {
        "tini" | "tini-static" | "docker-init" => tini::read(rest, environment),
        "dumb-init" => dumb_init::read(rest, environment),
        _ if is_bare_init(rest) => foster::read(rest),
        _ => return None,
    };
    Some(match invocation {
        Invocation::Run(bare) => bare::run(&bare),
        Invocation::Print(text) => text.print(),
    })
}

/// The last part of the name; empty where that is not UTF-8.
pub(crate) fn base_name(name: &OsStr) -> &str {
    Path::new(name).file_name().and_then(OsStr::to_str).unwrap_or("")
}

impl Text {
    fn print(&self) -> ExitStatus {
        let written = match self.stream {
            Stream::Out => std::io::stdout().write_all(self.text.as_bytes()),
            Stream::Err => std::io::stderr().write_all(self.text.as_bytes()),
        };
        if written.is_ok() { self.status } else { ExitStatus::FAILED }
    }
}

impl Invocation {
    fn print(stream: Stream, status: ExitStatus, text: impl Into<String>) -> Invocation {
        Invocation::Print(Text { text: text.into(), stream, status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_part_of_the_name_decides() {
        for (name, last) in
            [("tini", "tini"), ("/sbin/tini", "tini"), ("./a/dumb-init", "dumb-init"), ("", "")]
        {
            assert_eq!(base_name(name.as_ref()), last);
        }
    }
}
