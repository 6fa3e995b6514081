//! What it takes to be the first process, or to stand in for it.
//!
//! Run once, at bring-up, before anything is spawned. Where foster is not PID 1 it becomes a subreaper, so that
//! orphans come to it all the same; it never refuses to run.

use std::rc::Rc;

use log::warn;
use rlimit::Resource;

use super::sweep::InitRole;
use crate::errno;
use crate::plan::{Limit, Plan};
use crate::sys::process;

/// Finds out what foster is here, and becomes a subreaper where it is not an init.
pub(super) fn take_role() -> InitRole {
    if process::is_init() {
        return InitRole::Init;
    }
    if let Err(errno) = process::become_subreaper() {
        warn!("cannot become a subreaper: {}; orphans of programs go to another init", errno::text(errno));
    }
    InitRole::Subreaper
}

/// Below this, foster itself may not have all the descriptors that it needs.
const FEW_DESCRIPTORS: u64 = 32;

/// Lets foster itself have as many descriptors as it may (two for each program). Returns what it had, where
/// that was less.
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

/// Sees to it that the programs get the limit foster had: a soft limit of 1024 is what select(2) relies on.
pub(super) fn pass_on(limit: Option<Limit>, plan: &mut Plan) {
    let Some(inherited) = limit else { return };
    for program in plan.programs.values_mut().filter_map(Rc::get_mut) {
        let limits = &mut program.launch.limits;
        if !limits.iter().any(|limit| limit.resource == Resource::NOFILE) {
            limits.reserve_exact(1); // a list that grows by itself begins with room for four
            limits.push(inherited);
        }
    }
}
