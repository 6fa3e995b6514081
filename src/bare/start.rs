//! The start of the command: laid out here, done in the child, explained if it fails.
//!
//! The child shares the init's memory until it executes (`sys/vfork.rs` has the rules), so a start costs the same
//! however large the binary is, and the init knows at once why there is none. A file without `#!` is given to
//! `/bin/sh`, as execvp(3) does. Next: `words.rs`, what is said of a failure.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use foster_core::ids::Signal;
use nix::errno::Errno;

use super::Inheritance;
use super::terminal::Standing;
use super::words::Failure;
use crate::spawn::path_lookup::{self, Refusal, Search};
use crate::sys::child_stack::ChildStack;
use crate::sys::fork::InChild;
use crate::sys::in_child::StringList;
use crate::sys::sigwait::SignalSet;
use crate::sys::vfork::{self, Child, Descriptors, vfork};

/// What the init was started with, and has changed for itself since.
#[derive(Debug)]
pub(super) struct Inherited {
    /// The signals that were blocked.
    pub(super) blocked: SignalSet,
    /// Whether CHLD was ignored.
    pub(super) ignores_children: bool,
    /// The working directory, where it was left.
    pub(super) directory: Option<OwnedFd>,
}

/// At what the child failed.
#[derive(Debug, Clone, Copy)]
enum Failed {
    /// It could not take its place.
    Place(Errno),
    /// It could not go back to where we were.
    Directory(Errno),
    /// It executed nothing.
    Exec(Refusal),
}

/// What runs a file that the kernel cannot, in the hope that it is a script (execvp(3)).
const SHELL: &str = "/bin/sh";

/// Starts the command.
pub(super) fn start(
    command: &[OsString],
    signals: Inheritance,
    standing: &Standing,
    inherited: &Inherited,
) -> Result<Child, Failure> {
    let name = command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let search = Search::of(name, std::env::var_os("PATH").as_deref());
    let candidates = search.candidates(name).map_err(|_| Failure::Nul)?;
    let mut stack = ChildStack::new().map_err(Failure::Process)?;
    let mut run = |candidates: &[CString], arguments: &StringList| {
        vfork(&mut stack, Descriptors::Copied, &|child| {
            if let Err(errno) = standing.enter(child) {
                return Failed::Place(errno);
            }
            if let Some(directory) = &inherited.directory
                && let Err(errno) = child.enter_directory(directory.as_fd())
            {
                return Failed::Directory(errno);
            }
            prepare_signals(child, signals, inherited);
            Failed::Exec(path_lookup::try_each(candidates, |file| child.execute_inheriting(file, arguments)))
        })
    };
    let arguments: Vec<CString> = command.iter().map(|text| c_string(text)).collect::<Result<_, _>>()?;
    let mut result = run(&candidates, &StringList::new(arguments.clone()));
    if let Err(vfork::Failure::Child(Failed::Exec(Refusal {
        candidate: Some(index),
        errno: Errno::ENOEXEC,
    }))) = result
    {
        let script = candidates.get(index).cloned().into_iter();
        let shell = c_string(OsStr::new(SHELL))?;
        let arguments = [shell.clone()].into_iter().chain(script).chain(arguments.into_iter().skip(1));
        let by_shell = run(&[shell], &StringList::new(arguments.collect()));
        // Without a shell, what was wrong is the file.
        result = by_shell.or(result);
    }
    if let (Err(_), Some(directory)) = (&result, &inherited.directory) {
        // A relative name is explained from where it was meant.
        let _ = nix::unistd::fchdir(directory);
    }
    result.map_err(|failure| match failure {
        vfork::Failure::Clone(errno) => Failure::Process(errno),
        vfork::Failure::Child(Failed::Place(errno)) => Failure::Place(errno),
        vfork::Failure::Child(Failed::Directory(errno)) => Failure::Directory(errno),
        vfork::Failure::Child(Failed::Exec(Refusal { candidate: _, errno })) => {
            Failure::Exec { name: name.to_owned(), searched: search != Search::None, errno }
        }
    })
}

fn prepare_signals(child: &InChild, signals: Inheritance, inherited: &Inherited) {
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
}

fn c_string(text: &OsStr) -> Result<CString, Failure> {
    CString::new(text.as_bytes()).map_err(|_| Failure::Nul)
}
