//! Starts the command: a child sets up its process group and terminal, and executes it or reports why it cannot.
//!
//! On a failure the child writes the message itself and exits with the status of that failure, which the init returns like
//! any other. So the init never waits for the child, and passes signals on from the first moment. A file without `#!` is
//! run by `/bin/sh`, as execvp(3) does. Next: `messages.rs`.

use std::borrow::Cow;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use foster_core::ids::Signal;
use nix::errno::Errno;

use super::Inheritance;
use super::messages::{Failure, Messages};
use super::terminal::Placement;
use crate::spawn::path_lookup::{self, Refusal, Search};
use crate::sys::fork::{ChildProcess, InChild, fork};
use crate::sys::in_child::StringList;
use crate::sys::sigwait::SignalSet;

/// The inherited state that the init has changed for itself.
#[derive(Debug)]
pub(super) struct Inherited {
    /// The signals that were blocked.
    pub(super) blocked: SignalSet,
    /// Whether CHLD was ignored.
    pub(super) ignores_children: bool,
    /// The working directory, if the init has left it.
    pub(super) directory: Option<OwnedFd>,
}

/// Runs a file that the kernel does not recognise, in case it is a script (execvp(3)).
const SHELL: &str = "/bin/sh";

/// Starts the command.
///
/// # Errors
/// fork(2) failed.
pub(super) fn start(
    command: &[OsString],
    signals: Inheritance,
    placement: &Placement,
    inherited: &Inherited,
    messages: Messages,
) -> Result<ChildProcess, Failure> {
    let process = fork(None, |child| {
        let failure = prepare(child, signals, placement, inherited).err();
        let failure = failure.unwrap_or_else(|| execute(child, command));
        // A SIGPIPE from stderr must not replace the exit status.
        child.set_blocked(SignalSet::ALL);
        messages.fail(&failure).0
    });
    process.map_err(Failure::Process)
}

/// The steps before the command. The order matters: signals are unblocked last.
fn prepare(
    child: &InChild,
    signals: Inheritance,
    placement: &Placement,
    inherited: &Inherited,
) -> Result<(), Failure> {
    placement.enter(child).map_err(Failure::Place)?;
    if let Some(directory) = &inherited.directory {
        child.enter_directory(directory.as_fd()).map_err(Failure::Directory)?;
    }
    match signals {
        Inheritance::Default => {
            child.reset_signal_dispositions();
            child.unblock_signals();
        }
        Inheritance::Keep => {
            if inherited.ignores_children {
                child.ignore_signal(Signal::CHLD);
            }
            child.set_blocked(inherited.blocked);
        }
    }
    Ok(())
}

/// Returns only if nothing could be executed.
fn execute(child: &InChild, command: &[OsString]) -> Failure {
    let name = command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let search = Search::of(name, std::env::var_os("PATH").as_deref());
    let Ok(candidates) = search.candidates(name) else { return Failure::Nul };
    let argument = |argument: &OsString| CString::new(argument.as_bytes()).map(Cow::Owned);
    let arguments: Result<Vec<_>, _> = command.iter().map(argument).collect();
    let Ok(arguments) = arguments else { return Failure::Nul };
    let Refusal { candidate, errno } = {
        let arguments = StringList::new(arguments.clone());
        path_lookup::try_each(&candidates, |file| child.execute_inheriting(file, &arguments))
    };
    if errno == Errno::ENOEXEC
        && let Some(script) = candidate.and_then(|index| candidates.into_iter().nth(index))
        && let Ok(shell) = CString::new(SHELL)
    {
        let rest = arguments.into_iter().skip(1);
        let arguments = [Cow::Owned(shell.clone()), Cow::Owned(script)].into_iter().chain(rest);
        // Without a shell the error of the file is reported.
        child.execute_inheriting(&shell, &StringList::new(arguments.collect()));
    }
    Failure::Exec { name: name.to_owned(), path: search.path().map(OsStr::to_owned), errno }
}
