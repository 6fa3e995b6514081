//! Starts processes: from a [`Launch`] of the plan to a running program, or an error message.
//!
//! foster looks up the user ([`Spawner::resolve`]), prepares the start ([`Spawner::prepare`]), forks a child
//! ([`Prepared::fork`]) and continues. The child takes the steps of `child.rs` and executes the program; a pipe, which the
//! loop watches, reports the outcome ([`StartReport`]).
//! So neither a stopped child nor a file system that hangs blocks foster.
//!
//! It neither reaps nor decides. Next: `prepared.rs`, `child.rs`; below them, `sys/fork.rs`.

mod child;
mod command;
mod dotenv;
mod environment;
mod failure;
mod identity;
mod passwd;
pub mod path_lookup;
mod prepared;
mod report;
mod run_as;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::rc::Rc;

use foster_core::event::StartFailure;
use foster_core::sorted::SortedSet;
use nix::fcntl::OFlag;
use nix::unistd::{self, Gid, Uid};

pub use crate::spawn::failure::persistence_of;
pub use crate::spawn::prepared::Prepared;
pub use crate::spawn::report::StartReport;
pub use crate::spawn::run_as::RunAs;
pub use crate::sys::fork::ChildProcess;

use crate::plan::{self, Account, Launch, Limit};
use crate::spawn::child::{Become, ExecMode};
use crate::spawn::command::Command;
use crate::spawn::environment::{Environment, Variables};
use crate::spawn::failure::Failure;
use crate::spawn::identity::Change;
use crate::sys::fork::InChild;
use crate::sys::process::{self, Credentials};

/// Starts processes. It holds the resources that every start needs.
#[derive(Debug)]
pub struct Spawner {
    null: OwnedFd,
    /// foster's environment.
    variables: Variables,
    /// The limit of open files for programs that set none: that which foster had before it raised its own. A soft
    /// limit of 1024 is what select(2) relies on.
    open_files: Option<Limit>,
}

/// A command to run for a program, and its descriptors and variables.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The program's command, or another one with the same settings: a probe, a `pre_stop`.
    pub command: &'a [String],
    /// Its standard input.
    pub stdin: Stdin<'a>,
    /// Its standard output; `None`: /dev/null.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Its standard error; `None`: /dev/null.
    pub stderr: Option<BorrowedFd<'a>>,
    /// Further descriptors, each with its number in the program: above 2, and unique. A number may be in use in foster.
    pub descriptors: &'a [(Rc<OwnedFd>, RawFd)],
    /// Variables that foster adds; they override all others.
    pub extra: &'a [(String, String)],
    /// The directory of the control group that it starts in; `None`, or where that is refused: foster's own.
    pub group: Option<BorrowedFd<'a>>,
    /// Variables with the pid of the process itself, which only it knows before its `exec` (sd_listen_fds(3)).
    pub pid_variables: &'a [&'a str],
}

/// A program's standard input.
#[derive(Debug, Clone, Copy, Default)]
pub enum Stdin<'a> {
    /// /dev/null: end of file at once.
    #[default]
    Null,
    /// A pipe that foster keeps open and never writes to until the program is reaped: reads block.
    Open,
    /// This descriptor.
    Given(BorrowedFd<'a>),
    /// foster's own.
    Inherit,
}

impl<'a> Stdin<'a> {
    /// What the definition says; `sockets` are the program's own.
    pub fn of(stdin: plan::Stdin, mut sockets: impl Iterator<Item = BorrowedFd<'a>>) -> Stdin<'a> {
        match stdin {
            plan::Stdin::Null => Stdin::Null,
            plan::Stdin::Open => Stdin::Open,
            plan::Stdin::Inherit => Stdin::Inherit,
            plan::Stdin::Socket => sockets.next().map_or(Stdin::Null, Stdin::Given),
        }
    }
}

/// A child that has not executed its program yet.
#[derive(Debug)]
pub struct Starting {
    /// The child, which foster must reap even if the start fails.
    pub process: ChildProcess,
    /// Reports the outcome of the start.
    pub report: StartReport,
}

impl Spawner {
    /// Opens the resources once.
    ///
    /// # Errors
    /// Stage `process`: no descriptors.
    pub fn new(open_files: Option<Limit>) -> Result<Spawner, StartFailure> {
        let null = null(Path::new("/dev/null")).map_err(Failure::Prepare)?;
        Ok(Spawner { null, variables: Variables::new(env::vars_os()), open_files })
    }

    /// The limits that a program gets.
    pub fn limits(&self, launch: &Launch) -> Vec<Limit> {
        let own = launch.limits.iter().copied();
        let inherited = self.open_files.filter(|limit| own.clone().all(|own| own.resource != limit.resource));
        own.chain(inherited).collect()
    }

    /// Looks up the user of a program in the current /etc/passwd and /etc/group.
    ///
    /// # Errors
    /// Stage `user`: there is no such user or group, or the files cannot be read.
    pub fn resolve(launch: &Launch) -> Result<RunAs, StartFailure> {
        if launch.user.is_none() {
            return Ok(RunAs::foster());
        }
        let own = process::credentials().map_err(Failure::Prepare)?;
        Ok(run_as::resolve(launch, &own)?)
    }

    /// Prepares everything about a start that needs neither a file nor a process: what the child writes to is copied, and
    /// so is what foster writes to between two forks.
    ///
    /// # Errors
    /// Stage `process`: no descriptors. Stage `environment`, `exec`: text that cannot be passed on.
    pub fn prepare<'a>(
        &'a self,
        launch: &'a Launch,
        run_as: &'a RunAs,
        request: &Request<'a>,
    ) -> Result<Prepared<'a>, StartFailure> {
        Ok(Prepared::new(self, launch, run_as, request)?)
    }

    /// The same, and forks at once: a start on its own.
    ///
    /// # Errors
    /// As [`Spawner::prepare`] and [`Prepared::fork`].
    pub fn spawn(
        &self,
        launch: &Launch,
        run_as: &RunAs,
        request: &Request<'_>,
    ) -> Result<Starting, StartFailure> {
        let mut prepared = self.prepare(launch, run_as, request)?;
        let process = prepared.fork()?;
        Ok(prepared.into_starting(process))
    }
}

/// The owner of a file that belongs to a user, a group, or both: a user alone brings its primary group.
///
/// # Errors
/// Stage `user`: there is no such user or group, or the files cannot be read.
pub fn owner_of_file(
    user: Option<&Account>,
    group: Option<&Account>,
) -> Result<(Option<Uid>, Option<Gid>), StartFailure> {
    let own = process::credentials().map_err(Failure::Prepare)?;
    Ok(identity::owner(user, group, &own).map_err(Failure::User)?)
}

/// The environment and user of foster, for a process that is not its child.
#[derive(Debug, Clone, Copy)]
pub struct Inherited<'a> {
    /// foster's environment.
    pub environment: &'a [(OsString, OsString)],
    /// foster's user, for a program without `user`.
    pub credentials: &'a Credentials,
}

/// Why this process could not execute the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotExecuted {
    /// There is no such command.
    NotFound(String),
    /// The command exists but cannot be executed.
    NotExecutable(String),
    /// A step before its execution failed.
    Failed(String),
}

/// Executes a command in this process with the environment, user, limits and directory of the program; everything else
/// is unchanged. Returns only if a step failed; earlier steps remain in effect.
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
    let (limits, run_as) = (launch.limits.clone(), &run_as);
    let target = Become { launch, limits, run_as, change, mode: ExecMode::InPlace };
    child::execute(&InChild::in_place(), &target, &Command::new(command, environment)?)
}

/// Opens /dev/null. If it is missing, the read end of a pipe without a writer replaces it: reads return end of file,
/// and writes fail with EBADF, without SIGPIPE.
fn null(path: &Path) -> nix::Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let is_device = |file: &std::fs::File| file.metadata().is_ok_and(|it| it.file_type().is_char_device());
    match file.ok().filter(is_device) {
        Some(file) => Ok(file.into()),
        None => unistd::pipe2(OFlag::O_CLOEXEC).map(|(end, _closed)| end),
    }
}
