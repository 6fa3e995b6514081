//! Prepares foster to be PID 1, or a subreaper under another init.
//!
//! Runs once at the startup, before any process is created. If foster is not PID 1, it becomes a subreaper, so that it
//! adopts the orphans of its programs; it never refuses to run.

use log::warn;
use rlimit::Resource;

use crate::errno;
use crate::plan::Limit;
use crate::sys::{handover, process};

/// The role of foster in its PID namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InitRole {
    /// The init of its PID namespace.
    Init,
    /// A subreaper under another init.
    Subreaper,
    /// Neither, where the kernel refuses that: orphans go to another init.
    Parent,
}

/// Determines the role of foster; becomes a subreaper if foster is not an init.
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

/// Below this limit, foster itself may not get all its descriptors.
const FEW_DESCRIPTORS: u64 = 32;

/// Raises foster's soft limit on descriptors to the hard limit (each program needs two). Returns the previous limit if it
/// was lower: programs get that one ([`crate::spawn::Spawner`]).
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
    handover::note_open_files(soft);
    Some(Limit { resource: Resource::NOFILE, soft, hard })
}
