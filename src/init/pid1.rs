//! What it takes to be the first process, or to stand in for it.
//!
//! Run once, at bring-up, before anything is spawned. Where foster is not PID 1 it becomes a subreaper, so that
//! orphans come to it all the same; it never refuses to run.

use log::warn;
use rlimit::Resource;

use crate::errno;
use crate::plan::Limit;
use crate::sys::process;

/// What foster is to the processes around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InitRole {
    /// The init of its PID namespace.
    Init,
    /// A subreaper under another init.
    Subreaper,
    /// Neither, where the kernel refuses that: orphans go to another init.
    Parent,
}

/// Finds out what foster is here, and becomes a subreaper where it is not an init.
pub(super) fn take_role() -> InitRole {
    if process::is_init() {
        return InitRole::Init;
    }
    if let Err(errno) = process::become_subreaper() {
        warn!("cannot become a subreaper: {}; orphans of programs go to another init", errno::text(errno));
        return InitRole::Parent;
    }
    InitRole::Subreaper
}

/// Below this, foster itself may not have all the descriptors that it needs.
const FEW_DESCRIPTORS: u64 = 32;

/// Lets foster itself have as many descriptors as it may (two for each program). Returns what it had, where
/// that was less: the programs get that ([`crate::spawn::Spawner`]).
pub(super) fn raise_limit() -> Option<Limit> {
    let (soft, hard) = Resource::NOFILE.get().ok()?;
    if hard < FEW_DESCRIPTORS {
        warn!(
            "the limit on open files (`nofile`) is {hard}: foster needs about {FEW_DESCRIPTORS}, and 2 more for \
             each program"
        );
    }
    if soft >= hard || Resource::NOFILE.set(hard, hard).is_err() {
        return None;
    }
    Some(Limit { resource: Resource::NOFILE, soft, hard })
}
