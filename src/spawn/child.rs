//! The child, between fork and exec: which steps, and in which order.
//!
//! First it leaves foster behind: a session of its own, and no descriptor of foster's but those it was given, so that a
//! child that is stopped or hangs holds nothing of foster's open. What can hang on a file system comes next and with
//! foster's rights: env files and secrets. Then the order is that of rights: what needs root's comes first, and the
//! working directory is entered as the user, so that a directory it must not enter is refused.
//!
//! `foster exec` takes the same steps in place, without a child. Next: `mod.rs`, which makes the child.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;

use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::unistd::Uid;

use crate::plan::Launch;
use crate::spawn::command::Command;
use crate::spawn::failure::Failure;
use crate::spawn::identity::Change;
use crate::spawn::run_as::RunAs;
use crate::sys::fork::InChild;

/// What the process is to become.
#[derive(Debug)]
pub(super) struct Become<'a> {
    /// Limits, umask, directory and what else is plain data.
    pub(super) launch: &'a Launch,
    /// Its user.
    pub(super) run_as: &'a RunAs,
    /// What it takes to become that user.
    pub(super) change: Change,
    /// Where the steps are taken.
    pub(super) mode: ExecMode,
}

/// Which process becomes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecMode {
    /// A child of foster: every signal is blocked, and has its default disposition.
    Child,
    /// The client of `foster exec`, whose terminal, session and descriptors are the command's.
    InPlace,
}

/// Whether the bounding set of capabilities could be lowered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounded {
    /// It is lowered, or is not to be.
    Done,
    /// CAP_SETPCAP is missing.
    NotPermitted,
}

const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// Takes every step up to and with exec. Returns only when one has failed.
pub(super) fn execute(
    child: &InChild,
    target: &Become<'_>,
    command: &Command<'_>,
) -> Result<Infallible, Failure> {
    let launch = target.launch;
    // Before the limits: with a low `nofile` nothing can be opened.
    if let Some(value) = launch.oom_score_adj
        && let Ok(text) = CString::new(value.to_string())
    {
        child.write_file(OOM_SCORE_ADJ, &text).map_err(|errno| Failure::OomScoreAdj(value, errno))?;
    }
    for limit in &launch.limits {
        let set = child.set_limit(limit.resource, limit.soft, limit.hard);
        set.map_err(|errno| Failure::Limit(*limit, errno))?;
    }
    // After the limits: a soft limit `nice` is what permits it without rights.
    if let Some(nice) = launch.nice {
        child.set_nice(nice).map_err(|errno| Failure::Nice(nice, errno))?;
    }
    if let Some(mask) = launch.umask {
        child.set_umask(mask);
    }

    let bounded = become_user(child, target)?;
    if launch.no_new_privileges || bounded == Bounded::NotPermitted {
        child.forbid_new_privileges().map_err(Failure::NoNewPrivileges)?;
    }
    if let Some(directory) = &launch.directory {
        let refused = |errno| Failure::Directory(directory.clone(), errno);
        let path = CString::new(directory.as_os_str().as_bytes()).map_err(|_| refused(Errno::EINVAL))?;
        child.change_directory(&path).map_err(refused)?;
    }

    match target.mode {
        ExecMode::Child => child.unblock_signals(),
        // What the caller ignores (nohup) stays ignored; this one foster has changed for itself.
        ExecMode::InPlace => child.reset_disposition(Signal::PIPE),
    }
    Err(command.execute(child))
}

/// Groups, then group, then user: each needs a right that the next takes away. The capabilities go around them:
/// the bounding set while CAP_SETPCAP is there, the others when the user is the one it will be.
///
/// Without CAP_SETPCAP the bounding set stays, and an exec of a privileged file could give back what was
/// given up. The caller then forbids new privileges, which has the same effect and is always permitted.
fn become_user(child: &InChild, target: &Become<'_>) -> Result<Bounded, Failure> {
    let (kept, change) = (target.run_as.capabilities(target.launch), &target.change);
    let refused = |errno| Failure::ChangeUser(target.run_as.written().to_owned(), Uid::effective(), errno);
    let bounded = match kept.map(|kept| child.bound_capabilities(kept)) {
        None | Some(Ok(())) => Bounded::Done,
        Some(Err(Errno::EPERM)) => Bounded::NotPermitted,
        Some(Err(errno)) => return Err(Failure::Capabilities(errno)),
    };
    if let Some(groups) = &change.groups {
        child.set_groups(groups).map_err(refused)?;
    }
    if let Some(group) = change.group {
        child.set_group(group).map_err(refused)?;
    }
    if let Some(user) = change.user {
        if kept.is_some() {
            child.keep_capabilities().map_err(Failure::Capabilities)?;
        }
        child.set_user(user).map_err(refused)?;
    }
    if let Some(kept) = kept {
        child.set_capabilities(kept).map_err(Failure::Capabilities)?;
        child.raise_ambient(kept).map_err(Failure::Capabilities)?;
    }
    Ok(bounded)
}
