//! A start that is prepared down to the fork.
//!
//! fork(2) shares every page of foster's memory with the child until one of the two writes to it, and each page that foster
//! writes to before the child has executed its program is copied. So the work before a fork is apart from the fork: of
//! several starts all are prepared first and forked then, one after the other, and nothing is freed or noted in between.
//!
//! Next: `child.rs`, the steps of the child.

use std::convert::Infallible;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use foster_core::event::StartFailure;
use nix::fcntl::OFlag;
use nix::unistd;

use crate::plan::Launch;
use crate::spawn::child::{self, Become, ExecMode};
use crate::spawn::command::Command;
use crate::spawn::environment::Environment;
use crate::spawn::failure::Failure;
use crate::spawn::report::{self, ReportWriter, StartReport};
use crate::spawn::run_as::RunAs;
use crate::spawn::{Request, Spawner, Starting, Stdin};
use crate::sys::fork::{ChildProcess, fork};
use crate::sys::{process, stream};

/// A start that is prepared down to the fork.
#[derive(Debug)]
pub struct Prepared<'a> {
    spawner: &'a Spawner,
    request: Request<'a>,
    target: Become<'a>,
    /// `None`: the child makes it. Files are read for it, and a file system may hang; or it has the child's own pid.
    command: Option<Command<'a>>,
    /// The pipe of [`Stdin::Open`]: its reader and its writer.
    stdin: Option<(OwnedFd, OwnedFd)>,
    report: (StartReport, ReportWriter),
}

/// The exit status of a child that could not execute its program, as in a shell.
const NOT_EXECUTED: u8 = 127;

impl<'a> Prepared<'a> {
    pub(super) fn new(
        spawner: &'a Spawner,
        launch: &'a Launch,
        run_as: &'a RunAs,
        request: &Request<'a>,
    ) -> Result<Prepared<'a>, Failure> {
        let change = match run_as.identity() {
            Some(_) => run_as.change(&process::credentials().map_err(Failure::Prepare)?).unwrap_or_default(),
            None => Default::default(),
        };
        let target = Become { launch, limits: spawner.limits(launch), run_as, change, mode: ExecMode::Child };
        let reads_files = !launch.env_files.is_empty() || !launch.secrets.is_empty();
        let in_child = reads_files || !request.pid_variables.is_empty();
        let command = if in_child { None } else { Some(command(spawner, &target, request, request.extra)?) };
        let report = report::pipe().map_err(Failure::Process)?;
        let stdin = match request.stdin {
            Stdin::Open => Some(unistd::pipe2(OFlag::O_CLOEXEC).map_err(Failure::Process)?),
            Stdin::Null | Stdin::Given(_) | Stdin::Inherit => None,
        };
        Ok(Prepared { spawner, request: *request, target, command, stdin, report })
    }

    /// Forks a child that executes the command, without waiting for it. The process must have one thread.
    ///
    /// # Errors
    /// Stage `process`: no memory, or too many processes.
    pub fn fork(&mut self) -> Result<ChildProcess, StartFailure> {
        let Prepared { spawner, request, target, command: prepared, stdin, report: (_, writer) } = self;
        let forked = fork(request.group, |child| {
            let mut run = || -> Result<Infallible, Failure> {
                child.new_session().map_err(Failure::Session)?;
                let wanted = wanted(spawner, request, stdin.as_ref().map(|(reader, _)| reader));
                child.place_descriptors(&wanted, &mut [&mut writer.0]).map_err(Failure::Stdio)?;
                match prepared {
                    Some(command) => child::execute(child, target, command),
                    None => {
                        let command = command(spawner, target, request, &with_pid(request))?;
                        child::execute(child, target, &command)
                    }
                }
            };
            let failure = match run() {
                Ok(never) => match never {},
                Err(failure) => failure,
            };
            writer.write(&failure.into());
            NOT_EXECUTED
        });
        Ok(forked.map_err(Failure::Process)?)
    }

    /// The start of the child that was forked. foster's copies of the child's ends are closed.
    pub fn into_starting(self, mut process: ChildProcess) -> Starting {
        if let Some((_reader, writer)) = self.stdin {
            process.keep_stdin(writer);
        }
        let (report, _writer) = self.report;
        Starting { process, report }
    }
}

fn command<'a>(
    spawner: &'a Spawner,
    target: &Become<'a>,
    request: &Request<'a>,
    extra: &[(String, String)],
) -> Result<Command<'a>, Failure> {
    let Become { launch, run_as, .. } = target;
    let environment = Environment::build(launch, &spawner.variables, run_as.identity(), extra)?;
    Command::new(request.command, environment)
}

/// The variables that foster adds, in the child.
fn with_pid(request: &Request<'_>) -> Vec<(String, String)> {
    let pid = std::process::id().to_string();
    let own = request.pid_variables.iter().map(|name| ((*name).to_owned(), pid.clone()));
    request.extra.iter().cloned().chain(own).collect()
}

/// The descriptors of the program, each with its number there.
fn wanted<'a>(
    spawner: &'a Spawner,
    request: &Request<'a>,
    open_stdin: Option<&'a OwnedFd>,
) -> Vec<(BorrowedFd<'a>, RawFd)> {
    let null = spawner.null.as_fd();
    let stdin = match request.stdin {
        Stdin::Null => null,
        Stdin::Open => open_stdin.map_or(null, AsFd::as_fd),
        Stdin::Given(descriptor) => descriptor,
        Stdin::Inherit => stream::stdin(),
    };
    let mut wanted =
        vec![(stdin, 0), (request.stdout.unwrap_or(null), 1), (request.stderr.unwrap_or(null), 2)];
    wanted.extend(request.descriptors.iter().map(|(descriptor, number)| (descriptor.as_fd(), *number)));
    wanted
}
