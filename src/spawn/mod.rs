//! Making processes: from a [`Launch`] of the plan to a running program, or a sentence that says why not.
//!
//! foster looks up the user ([`Spawner::resolve`]), makes a child ([`Spawner::spawn`]) and goes on. The child takes the
//! steps of `child.rs` beside it and executes the program; whether it could is read from a pipe ([`StartReport`]), which
//! the loop watches. So neither a child that is stopped nor a file system that hangs can hold foster.
//!
//! Nothing here reaps or decides. Next: `child.rs`; below it, `sys/fork.rs`.

mod child;
mod command;
mod dotenv;
mod environment;
mod failure;
mod identity;
mod passwd;
pub mod path_lookup;
mod report;
mod run_as;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use foster_core::event::StartFailure;
use foster_core::sorted::SortedSet;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd;

pub use crate::spawn::report::StartReport;
pub use crate::spawn::run_as::RunAs;
pub use crate::sys::fork::ChildProcess;

use crate::plan::{self, Launch};
use crate::spawn::child::{Become, ExecMode};
use crate::spawn::command::Command;
use crate::spawn::environment::{Environment, Variables};
use crate::spawn::failure::Failure;
use crate::spawn::identity::Change;
use crate::sys::fork::{InChild, fork};
use crate::sys::process::{self, Credentials};

/// Makes processes. Holds what each of them needs.
#[derive(Debug)]
pub struct Spawner {
    null: OwnedFd,
    /// foster's environment.
    variables: Variables,
}

/// What to run of a program, and what of foster's goes with it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The program's own command, or another to be run as it would be: a probe, a `pre_stop`.
    pub command: &'a [String],
    /// Its standard input.
    pub stdin: Stdin<'a>,
    /// Its standard output; `None`: /dev/null.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Its standard error; `None`: /dev/null.
    pub stderr: Option<BorrowedFd<'a>>,
    /// What else it is given, each with the number it has in the program: above 2, and no number twice. The numbers may
    /// be those of other descriptors of foster's, in any order.
    pub descriptors: &'a [(BorrowedFd<'a>, RawFd)],
    /// Variables that foster adds; they win.
    pub extra: &'a [(String, String)],
}

/// A program's standard input.
#[derive(Debug, Clone, Copy, Default)]
pub enum Stdin<'a> {
    /// /dev/null: reading it ends at once.
    #[default]
    Null,
    /// A pipe whose other end foster keeps open until the program is reaped, and never writes to: reading it waits.
    Open,
    /// This descriptor.
    Given(BorrowedFd<'a>),
    /// foster's own.
    Inherit,
}

impl From<plan::Stdin> for Stdin<'_> {
    fn from(stdin: plan::Stdin) -> Self {
        match stdin {
            plan::Stdin::Null => Stdin::Null,
            plan::Stdin::Open => Stdin::Open,
            plan::Stdin::Inherit => Stdin::Inherit,
        }
    }
}

/// A child on its way to its program.
#[derive(Debug)]
pub struct Starting {
    /// The child; foster has to reap it, whether it executed its program or not.
    pub process: ChildProcess,
    /// How the start went, once that is known.
    pub report: StartReport,
}

impl Spawner {
    /// Gets what it needs, once.
    ///
    /// # Errors
    /// Stage `process`: no descriptors.
    pub fn new() -> Result<Spawner, StartFailure> {
        let null = null(Path::new("/dev/null")).map_err(Failure::Prepare)?;
        Ok(Spawner { null, variables: Variables::new(env::vars_os()) })
    }

    /// Looks up the user of a program in /etc/passwd and /etc/group, as they are now.
    ///
    /// # Errors
    /// Stage `user`: there is no such user or group, or the files cannot be read.
    pub fn resolve(launch: &Launch) -> Result<RunAs, StartFailure> {
        let own = process::credentials().map_err(Failure::Prepare)?;
        Ok(run_as::resolve(launch, &own)?)
    }

    /// Makes a child that executes the command, and does not wait for it: [`Starting::report`] says how that went.
    /// The caller has one thread.
    ///
    /// # Errors
    /// Stage `process`: no descriptors, no memory, or too many processes.
    pub fn spawn(
        &mut self,
        launch: &Launch,
        run_as: &RunAs,
        request: &Request<'_>,
    ) -> Result<Starting, StartFailure> {
        let identity = run_as.identity();
        let own = process::credentials().map_err(Failure::Prepare)?;
        let change = run_as.change(&own).unwrap_or_default();
        let target = Become { launch, run_as, change, mode: ExecMode::Child };
        let command = || -> Result<Command<'_>, Failure> {
            let environment = Environment::build(launch, &self.variables, identity, request.extra)?;
            Command::new(request.command, environment)
        };
        // A page that the child writes to is copied for it: what needs no file is made here.
        let prepared = if reads_files(launch) { None } else { Some(command()?) };
        let (report, writer) = report::pipe().map_err(Failure::Process)?;
        let (null, own_stdin) = (self.null.as_fd(), io::stdin());
        let open = match request.stdin {
            Stdin::Open => Some(unistd::pipe2(OFlag::O_CLOEXEC).map_err(Failure::Process)?),
            Stdin::Null | Stdin::Given(_) | Stdin::Inherit => None,
        };
        let stdin = match request.stdin {
            Stdin::Null => null,
            Stdin::Open => open.as_ref().map_or(null, |(reader, _)| reader.as_fd()),
            Stdin::Given(descriptor) => descriptor,
            Stdin::Inherit => own_stdin.as_fd(),
        };
        let mut wanted =
            vec![(stdin, 0), (request.stdout.unwrap_or(null), 1), (request.stderr.unwrap_or(null), 2)];
        wanted.extend_from_slice(request.descriptors);
        let mut writer = Some(writer);
        let process = fork(|child| {
            let Some(mut writer) = writer.take() else { return NOT_EXECUTED };
            let mut run = || -> Result<Infallible, Failure> {
                child.new_session().map_err(Failure::Session)?;
                child.place_descriptors(&wanted, &mut writer.0).map_err(Failure::Stdio)?;
                match &prepared {
                    Some(command) => child::execute(child, &target, command),
                    None => child::execute(child, &target, &command()?),
                }
            };
            let failure = match run() {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            writer.write(&failure.into());
            NOT_EXECUTED
        });
        // foster's copy of the child's end goes before anything else is made: no later child may hold it.
        drop(writer);
        let mut process = process.map_err(Failure::Process)?;
        if let Some((_reader, writer)) = open {
            process.keep_stdin(writer);
        }
        Ok(Starting { process, report })
    }
}

/// What a child ends with that has executed nothing, as a shell does.
const NOT_EXECUTED: u8 = 127;

impl Starting {
    /// Waits until it is known how the start went, and reaps the child where it failed.
    ///
    /// # Errors
    /// What was attempted, on what, and the system's words for it.
    pub fn wait(self) -> Result<ChildProcess, StartFailure> {
        loop {
            match self.report.read() {
                Some(Ok(())) => return Ok(self.process),
                Some(Err(failure)) => {
                    process::reap_this(self.process.pid());
                    return Err(failure);
                }
                None => {
                    let mut watched = [PollFd::new(self.report.as_fd(), PollFlags::POLLIN)];
                    // EINTR: it is looked at again.
                    let _ = poll(&mut watched, PollTimeout::NONE);
                }
            }
        }
    }
}

/// Whether files are read at each start: they may be on a file system that hangs, so the child does that.
fn reads_files(launch: &Launch) -> bool {
    !launch.env_files.is_empty() || !launch.secrets.is_empty()
}

/// What a process that is not a child of foster inherits from foster all the same.
#[derive(Debug, Clone, Copy)]
pub struct Inherited<'a> {
    /// foster's environment.
    pub environment: &'a [(OsString, OsString)],
    /// The user foster runs as: where the program has no `user`, so does it.
    pub credentials: &'a Credentials,
}

/// Why this process did not become the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotExecuted {
    /// There is no such command.
    NotFound(String),
    /// It is there and cannot be run.
    NotExecutable(String),
    /// A step before its execution failed.
    Failed(String),
}

/// Becomes this command, as the program would: with its environment, user, limits and directory, and with
/// everything else as it is. Returns only when that has failed, perhaps half done.
pub fn execute_in_place(launch: &Launch, command: &[OsString], inherited: Inherited<'_>) -> NotExecuted {
    let failure = match become_command(launch, command, inherited) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let message = failure.to_string();
    match failure {
        Failure::Exec(_, problem) if problem.is_absence() => NotExecuted::NotFound(message),
        Failure::Exec(..) => NotExecuted::NotExecutable(message),
        Failure::Prepare(_)
        | Failure::User(_)
        | Failure::Environment(_)
        | Failure::Process(_)
        | Failure::Session(_)
        | Failure::Stdio(_)
        | Failure::OomScoreAdj(..)
        | Failure::Limit(..)
        | Failure::Nice(..)
        | Failure::ChangeUser(..)
        | Failure::Capabilities(_)
        | Failure::NoNewPrivileges(_)
        | Failure::Directory(..) => NotExecuted::Failed(message),
    }
}

fn become_command(
    launch: &Launch,
    command: &[OsString],
    inherited: Inherited<'_>,
) -> Result<Infallible, Failure> {
    let own = process::credentials().map_err(Failure::Prepare)?;
    let foster = inherited.credentials;
    let run_as = run_as::resolve(launch, foster)?;
    let identity = run_as.identity();
    let variables = Variables::new(inherited.environment.iter().cloned());
    let environment = Environment::build(launch, &variables, identity, &[])?;
    let change = run_as.change(&own).unwrap_or_else(|| {
        let groups: SortedSet<u32> = foster.groups.iter().map(|group| group.as_raw()).collect();
        Change::to(foster.user.as_raw(), foster.group.as_raw(), &groups, &own, run_as::groups())
    });
    let target = Become { launch, run_as: &run_as, change, mode: ExecMode::InPlace };
    child::execute(&InChild::in_place(), &target, &Command::new(command, environment)?)
}

/// /dev/null. An image without it gets the end of a pipe without a writer: reading it ends at once, and writing to it
/// is an error that kills no program.
fn null(path: &Path) -> nix::Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let is_device = |file: &std::fs::File| file.metadata().is_ok_and(|it| it.file_type().is_char_device());
    match file.ok().filter(is_device) {
        Some(file) => Ok(file.into()),
        None => unistd::pipe2(OFlag::O_CLOEXEC).map(|(end, _closed)| end),
    }
}
