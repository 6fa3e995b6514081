//! Making processes: from a [`Launch`] of the plan to a running program, or a sentence that says why not.
//!
//! Everything is prepared here, in foster: the environment, the user's numbers, every file the command might be.
//! Then a child goes through the steps of `child.rs` in foster's memory, and either executes or leaves behind at
//! what it failed. So a failed start is known at once, and costs the same however large foster is.
//!
//! Nothing here reaps, signals or decides. Next: `child.rs`; below it, `sys/vfork.rs`.

mod child;
mod command;
mod dotenv;
mod environment;
mod failure;
mod identity;
mod passwd;
pub mod search;
mod small_file;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::env;
use std::ffi::{CString, OsString};
use std::fs::OpenOptions;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use foster_core::event::StartFailure;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{self, Gid, Uid};

pub use crate::sys::vfork::Child;

use crate::plan::{Launch, Unprivileged, User};
use crate::spawn::child::{Failed, Place, Prepared, Step};
use crate::spawn::command::Command;
use crate::spawn::environment::Environment;
use crate::spawn::failure::Failure;
use crate::spawn::identity::{Change, Databases, Groups, Identity};
use crate::sys::child_stack::ChildStack;
use crate::sys::process::{self, Credentials};
use crate::sys::stage::Stage;
use crate::sys::vfork::{self, Descriptors, InChild, vfork};

/// Makes processes. Holds what each of them needs.
#[derive(Debug)]
pub struct Spawner {
    stack: ChildStack,
    null: OwnedFd,
    /// `None`: each child gets a copy of foster's table of descriptors.
    stage: Option<Stage>,
}

/// What to run of a program, and what of foster's goes with it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The program's own command, or another to be run as it would be: a probe, a `pre_stop`.
    pub command: &'a [String],
    /// Its standard output; `None`: /dev/null.
    pub stdout: Option<BorrowedFd<'a>>,
    /// Its standard error; `None`: /dev/null.
    pub stderr: Option<BorrowedFd<'a>>,
    /// Variables that foster adds; they win.
    pub extra: &'a [(String, String)],
}

impl Spawner {
    /// Gets what it needs, once.
    ///
    /// # Errors
    /// Stage `process`: no memory, no descriptors.
    pub fn new() -> Result<Spawner, StartFailure> {
        let stack = ChildStack::new().map_err(Failure::Prepare)?;
        let null = null(Path::new("/dev/null")).map_err(Failure::Prepare)?;
        let stage = Stage::new(null.as_fd()).map_err(Failure::Prepare)?;
        Ok(Spawner { stack, null, stage })
    }

    /// Makes a process that executes the command. When this returns one, its `exec` has succeeded; foster is
    /// its parent and has to reap it. The caller has one thread ([`process::threads`]).
    ///
    /// # Errors
    /// What was attempted, on what, and the system's word for it. Nothing is left behind then.
    pub fn spawn(&mut self, launch: &Launch, request: &Request<'_>) -> Result<Child, StartFailure> {
        self.start(launch, request).map_err(StartFailure::from)
    }

    fn start(&mut self, launch: &Launch, request: &Request<'_>) -> Result<Child, Failure> {
        let made = self.make(launch, request);
        if let Some(stage) = &mut self.stage {
            stage.clear();
        }
        made
    }

    fn make(&mut self, launch: &Launch, request: &Request<'_>) -> Result<Child, Failure> {
        let own = process::credentials().map_err(Failure::Prepare)?;
        let identity = find(launch, &own)?;
        let environment = Environment::build(launch, env::vars_os(), identity.as_ref(), request.extra)
            .map_err(Failure::Environment)?;
        let null = self.null.as_fd();
        let stdio = [null, request.stdout.unwrap_or(null), request.stderr.unwrap_or(null)];
        let (descriptors, stdio) = match &mut self.stage {
            None => (Descriptors::Copied, stdio),
            Some(stage) => {
                stage.set(stdio).map_err(Failure::Prepare)?;
                (stage.descriptors(), stage.slots())
            }
        };
        let change = identity.as_ref().map_or(Change::default(), |identity| identity.change(&own, groups()));
        let command = Command::new(request.command, environment)?;
        let prepared = prepare(launch, Place::Child { descriptors, stdio }, change, command)?;
        let made = vfork(&mut self.stack, descriptors, &|in_child| child::run(in_child, &prepared));
        made.map_err(|failure| match failure {
            vfork::Failure::Clone(errno) => Failure::Process(errno),
            vfork::Failure::Child(failed) => explain(failed, &prepared, identity.as_ref()),
        })
    }
}

/// What a process that is no child of foster's inherits from foster all the same.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// foster's environment.
    pub environment: &'a [(OsString, OsString)],
    /// As whom foster runs: where the program has no `user`, so does it.
    pub credentials: &'a Credentials,
}

/// Why this process did not become the command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotExecuted {
    /// There is no such command.
    NotFound(String),
    /// It is there and cannot be run.
    NotExecutable(String),
    /// It did not come to that.
    Failed(String),
}

/// Becomes this command, as the program would: with its environment, user, limits and directory, and with
/// everything else as it is. Returns only when that has failed, perhaps half done.
pub fn execute_here(launch: &Launch, command: &[OsString], origin: Origin<'_>) -> NotExecuted {
    let failure = match become_command(launch, command, origin) {
        Ok(never) => match never {},
        Err(failure) => failure,
    };
    let told = failure.to_string();
    match failure {
        Failure::Exec(_, problem) if problem.is_absence() => NotExecuted::NotFound(told),
        Failure::Exec(..) => NotExecuted::NotExecutable(told),
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
        | Failure::Directory(..) => NotExecuted::Failed(told),
    }
}

fn become_command(launch: &Launch, command: &[OsString], origin: Origin<'_>) -> Result<Infallible, Failure> {
    let own = process::credentials().map_err(Failure::Prepare)?;
    let foster = origin.credentials;
    let identity = find(launch, foster)?;
    let inherited = origin.environment.iter().cloned();
    let environment =
        Environment::build(launch, inherited, identity.as_ref(), &[]).map_err(Failure::Environment)?;
    let change = match &identity {
        Some(identity) => identity.change(&own, groups()),
        None => {
            let groups_of_foster: BTreeSet<u32> = foster.groups.iter().map(|group| group.as_raw()).collect();
            Change::to(foster.user.as_raw(), foster.group.as_raw(), &groups_of_foster, &own, groups())
        }
    };
    let prepared = prepare(launch, Place::Here, change, Command::new(command, environment)?)?;
    let failed = child::run(&InChild::in_place(), &prepared);
    Err(explain(failed, &prepared, identity.as_ref()))
}

fn prepare<'a>(
    launch: &'a Launch,
    place: Place<'a>,
    change: Change,
    command: Command,
) -> Result<Prepared<'a>, Failure> {
    // The one that the child could not refuse without allocating.
    if let Some(limit) = launch.limits.iter().find(|limit| !limit.resource.is_supported()) {
        return Err(Failure::Limit(*limit, Errno::EINVAL));
    }
    Ok(Prepared {
        launch,
        place,
        oom_score_adj: launch.oom_score_adj.and_then(|value| CString::new(value.to_string()).ok()),
        change,
        capabilities: capabilities(launch),
        directory: directory(launch)?,
        command,
    })
}

/// Whom a program's pipes must belong to, so that it can open /dev/stderr again after it has given up its
/// rights; `None`: they are foster's, and so is the program, whether it has no user or may not become it.
///
/// # Errors
/// Stage `user`: it is not known who that is.
pub fn owner(launch: &Launch) -> Result<Option<(Uid, Gid)>, StartFailure> {
    let own = process::credentials().map_err(Failure::Prepare)?;
    let identity = find(launch, &own)?;
    Ok(identity.map(|identity| (Uid::from_raw(identity.user), Gid::from_raw(identity.group))))
}

/// As whom it is to run; `None`: as foster does.
fn find(launch: &Launch, own: &Credentials) -> Result<Option<Identity>, Failure> {
    let Some(user) = &launch.user else { return Ok(None) };
    let files = Databases::read().map_err(Failure::User)?;
    let identity = Identity::find(user, &files, own).map_err(Failure::User)?;
    Ok((!stays_as_foster(user) || identity.user == own.user.as_raw()).then_some(identity))
}

/// What it keeps. Where it may do without its user, it does without what foster does not have either: also where
/// foster is that user already.
fn capabilities(launch: &Launch) -> Option<u64> {
    let kept = launch.capabilities?;
    match launch.user.as_ref().is_some_and(stays_as_foster) {
        true => Some(kept & process::permitted_capabilities()),
        false => Some(kept),
    }
}

fn stays_as_foster(user: &User) -> bool {
    match user.unprivileged {
        Unprivileged::Refused => false,
        Unprivileged::AsFoster => !process::may_change_users(),
    }
}

fn groups() -> Groups {
    match process::may_set_groups() {
        true => Groups::Settable,
        false => Groups::Fixed,
    }
}

fn directory(launch: &Launch) -> Result<Option<CString>, Failure> {
    let Some(path) = &launch.directory else { return Ok(None) };
    let text = CString::new(path.as_os_str().as_bytes());
    text.map(Some).map_err(|_| Failure::Directory(path.clone(), Errno::EINVAL))
}

/// What the child's few bytes mean. What a step was about is looked up where the child had it from.
fn explain(failed: Failed, prepared: &Prepared<'_>, identity: Option<&Identity>) -> Failure {
    let Failed { step, errno } = failed;
    let launch = prepared.launch;
    match step {
        Step::Session => Failure::Session(errno),
        Step::Stdio => Failure::Stdio(errno),
        Step::OomScoreAdj => Failure::OomScoreAdj(launch.oom_score_adj.unwrap_or_default(), errno),
        Step::Limit(index) => match launch.limits.get(index) {
            Some(limit) => Failure::Limit(*limit, errno),
            None => Failure::Process(errno),
        },
        Step::Nice => Failure::Nice(launch.nice.unwrap_or_default(), errno),
        Step::User => {
            let written = identity.map(|identity| identity.written.clone());
            Failure::ChangeUser(written.unwrap_or_default(), errno)
        }
        Step::Capabilities => Failure::Capabilities(errno),
        Step::NoNewPrivileges => Failure::NoNewPrivileges(errno),
        Step::Directory => Failure::Directory(launch.directory.clone().unwrap_or_default(), errno),
        Step::Exec(refused) => {
            let directory = match prepared.place {
                Place::Child { .. } => launch.directory.as_deref(),
                // This process has entered it.
                Place::Here => None,
            };
            prepared.command.explain(refused, errno, directory)
        }
    }
}

/// /dev/null. An image without it gets the end of a pipe that nobody writes to: reading it ends at once, and
/// writing to it is an error that kills nobody.
fn null(path: &Path) -> nix::Result<OwnedFd> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    let is_device = |file: &std::fs::File| file.metadata().is_ok_and(|it| it.file_type().is_char_device());
    match file.ok().filter(is_device) {
        Some(file) => Ok(file.into()),
        None => unistd::pipe2(OFlag::O_CLOEXEC).map(|(end, _closed)| end),
    }
}
