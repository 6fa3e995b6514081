//! The child, between clone and exec: which steps, and in which order.
//!
//! It shares foster's memory (`sys/vfork.rs` has the rules): here is nothing but system calls through
//! [`InChild`] and reads of what was prepared. No allocation, no lock, no panic, no destructor that does anything.
//! The async-signal-safe calls made, and no others: setsid, fcntl, dup2, close_range, open, write, close,
//! setrlimit, getrlimit, setpriority, umask, setgroups, setresgid, setresuid, prctl, capset, chdir, sigaction,
//! sigprocmask, execve, exit. Next: `mod.rs`, who prepares.
//!
//! The order is that of rights: what needs root's comes first, and the working directory is entered as the user,
//! so that a directory it must not enter is refused.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::plan::Launch;
use crate::spawn::command::Command;
use crate::spawn::identity::Change;
use crate::spawn::search;
use crate::sys::vfork::{Descriptors, InChild};

/// Everything the child needs, in the form in which it needs it.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    /// Numbers that need no other form.
    pub(super) launch: &'a Launch,
    /// Who takes the steps.
    pub(super) place: Place<'a>,
    /// The text of `oom_score_adj`.
    pub(super) oom_score_adj: Option<CString>,
    /// As whom.
    pub(super) change: Change,
    /// The capabilities kept; `None`: left as they are.
    pub(super) capabilities: Option<u64>,
    /// Where.
    pub(super) directory: Option<CString>,
    /// What.
    pub(super) command: Command,
}

/// Who becomes the program.
#[derive(Debug)]
pub(super) enum Place<'a> {
    /// A child of foster's: with a session of its own, no signal of foster's, and these as 0, 1 and 2.
    Child {
        /// Whose table of descriptors it begins with.
        descriptors: Descriptors,
        /// Input, output and errors.
        stdio: [BorrowedFd<'a>; 3],
    },
    /// The client, as it is: its terminal, its session and its descriptors are the command's.
    Here,
}

/// What the child leaves behind when it has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    /// At what.
    pub(super) step: Step,
    /// The system's word.
    pub(super) errno: Errno,
}

/// One thing the child does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Begin a session.
    Session,
    /// Put 0, 1 and 2 in place.
    Stdio,
    /// Write the OOM killer's preference.
    OomScoreAdj,
    /// Set the limit at this place in the list.
    Limit(usize),
    /// Set the nice value.
    Nice,
    /// Become the user.
    User,
    /// Give up the other capabilities.
    Capabilities,
    /// Forbid new privileges.
    NoNewPrivileges,
    /// Enter the directory.
    Directory,
    /// Run the program; the errno is about the candidate at this place, or about none.
    Exec(Option<usize>),
}

/// Whether the bounding set of capabilities could be lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounded {
    /// It is lowered, or is not to be.
    Done,
    /// Only who has CAP_SETPCAP may.
    NotPermitted,
}

const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// Does it all. Returns only when something has failed.
pub(super) fn run(child: &InChild, prepared: &Prepared<'_>) -> Failed {
    match steps(child, prepared) {
        Ok(never) => match never {},
        Err(failed) => failed,
    }
}

fn steps(child: &InChild, prepared: &Prepared<'_>) -> Result<Infallible, Failed> {
    let launch = prepared.launch;
    if let Place::Child { descriptors, stdio } = prepared.place {
        child.new_session().map_err(at(Step::Session))?;
        if let Descriptors::Shared { above } = descriptors {
            child.leave_descriptors(above).map_err(at(Step::Stdio))?;
        }
        child.set_stdio(stdio).map_err(at(Step::Stdio))?;
        child.close_others_on_exec();
    }

    // Before the limits: with a low `nofile` nothing can be opened.
    if let Some(text) = &prepared.oom_score_adj {
        child.write_file(OOM_SCORE_ADJ, text).map_err(at(Step::OomScoreAdj))?;
    }
    for (index, limit) in launch.limits.iter().enumerate() {
        child.set_limit(limit.resource, limit.soft, limit.hard).map_err(at(Step::Limit(index)))?;
    }
    // After the limits: a soft limit `nice` is what permits it without rights.
    if let Some(nice) = launch.nice {
        child.set_nice(nice).map_err(at(Step::Nice))?;
    }
    if let Some(mask) = launch.umask {
        child.set_umask(mask);
    }

    let bounded = become_user(child, prepared.capabilities, &prepared.change)?;
    if launch.no_new_privileges || bounded == Bounded::NotPermitted {
        child.forbid_new_privileges().map_err(at(Step::NoNewPrivileges))?;
    }
    if let Some(directory) = &prepared.directory {
        child.change_directory(directory).map_err(at(Step::Directory))?;
    }

    match prepared.place {
        Place::Child { .. } => {
            child.reset_signal_dispositions();
            child.unblock_signals();
        }
        // What the caller ignores (nohup) stays ignored; this one Rust's runtime has changed.
        Place::Here => child.reset_disposition(libc::SIGPIPE),
    }
    Err(execute(child, &prepared.command))
}

/// Groups, then group, then user: each needs a right that the next takes away. The capabilities go around them:
/// the bounding set while CAP_SETPCAP is there, the others when the user is who it will be.
///
/// Without CAP_SETPCAP the bounding set stays, and an exec of a privileged file could give back what was
/// given up. The caller then forbids new privileges, which comes to the same and is permitted to everybody.
fn become_user(child: &InChild, kept: Option<u64>, change: &Change) -> Result<Bounded, Failed> {
    let bounded = match kept.map(|kept| child.bound_capabilities(kept)) {
        None | Some(Ok(())) => Bounded::Done,
        Some(Err(Errno::EPERM)) => Bounded::NotPermitted,
        Some(Err(errno)) => return Err(at(Step::Capabilities)(errno)),
    };
    if let Some(groups) = &change.groups {
        child.set_groups(groups).map_err(at(Step::User))?;
    }
    if let Some(group) = change.group {
        child.set_group(group).map_err(at(Step::User))?;
    }
    if let Some(user) = change.user {
        if kept.is_some() {
            child.keep_capabilities().map_err(at(Step::Capabilities))?;
        }
        child.set_user(user).map_err(at(Step::User))?;
    }
    if let Some(kept) = kept {
        child.set_capabilities(kept).map_err(at(Step::Capabilities))?;
        child.raise_ambient(kept).map_err(at(Step::Capabilities))?;
    }
    Ok(bounded)
}

fn execute(child: &InChild, command: &Command) -> Failed {
    let refusal = search::try_each(&command.candidates, |file| {
        child.execute(file, &command.arguments, &command.environment)
    });
    Failed { step: Step::Exec(refusal.candidate), errno: refusal.errno }
}

fn at(step: Step) -> impl Fn(Errno) -> Failed {
    move |errno| Failed { step, errno }
}
