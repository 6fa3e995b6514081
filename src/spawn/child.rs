//! The steps of a child between fork and exec, and their order.
//!
//! First it separates from foster: a new session, and no descriptors but those it was given, so that a child that is
//! stopped or hangs holds none of foster's open. Then env files and secrets are read with foster's privileges: that can
//! block on a file system. Then come the steps that need root, then the change of the user; the working directory is
//! entered as the user, so that its permissions apply.
//!
//! `foster exec` takes the same steps in its own process. Next: `mod.rs`, which makes the child.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;

use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::unistd::Uid;

use crate::plan::{Launch, Limit};
use crate::spawn::command::Command;
use crate::spawn::failure::Failure;
use crate::spawn::identity::Change;
use crate::spawn::run_as::RunAs;
use crate::sys::fork::InChild;

/// The program that the process becomes.
#[derive(Debug)]
pub(super) struct Become<'a> {
    /// Umask, directory and other plain data.
    pub(super) launch: &'a Launch,
    /// Its limits.
    pub(super) limits: Vec<Limit>,
    /// Its user.
    pub(super) run_as: &'a RunAs,
    /// The change to that user.
    pub(super) change: Change,
    /// The process that takes the steps.
    pub(super) mode: ExecMode,
}

/// The process that becomes the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExecMode {
    /// A child of foster: every signal is blocked, and has its default disposition.
    Child,
    /// The client of `foster exec`: the command keeps its terminal, session and descriptors.
    InPlace,
}

/// Whether the capability bounding set was reduced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bounded {
    /// It was reduced, or need not be.
    Done,
    /// CAP_SETPCAP is missing.
    NotPermitted,
}

const OOM_SCORE_ADJ: &CStr = c"/proc/self/oom_score_adj";

/// Takes every step up to and including exec. Returns only if one fails.
pub(super) fn execute(
    child: &InChild,
    target: &Become<'_>,
    command: &Command<'_>,
) -> Result<Infallible, Failure> {
    let launch = target.launch;
    // Before the limits: with a low `nofile` no file can be opened.
    if let Some(value) = launch.oom_score_adj
        && let Ok(text) = CString::new(value.to_string())
    {
        child.write_file(OOM_SCORE_ADJ, &text).map_err(|errno| Failure::OomScoreAdj(value, errno))?;
    }
    for limit in &target.limits {
        let set = child.set_limit(limit.resource, limit.soft, limit.hard);
        set.map_err(|errno| Failure::Limit(*limit, errno))?;
    }
    // After the limits: the limit `nice` can permit it without privileges.
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
        // Signals that the caller ignores (nohup) stay ignored; foster itself has changed this one.
        ExecMode::InPlace => child.reset_disposition(Signal::PIPE),
    }
    Err(command.execute(child))
}

/// Sets groups, then group, then user: each needs a privilege that the next step drops. The bounding set is reduced
/// before, while CAP_SETPCAP is held; the other capability sets are set after.
///
/// Without CAP_SETPCAP the bounding set is unchanged, and executing a privileged file could regain capabilities. The
/// caller then sets no_new_privs, which prevents that and needs no privilege.
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
