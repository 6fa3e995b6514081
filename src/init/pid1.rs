//! What it takes to be the first process, or to stand in for it.
//!
//! Run once, at bring-up, before anything is spawned. Where foster is not PID 1 it becomes a subreaper, so that
//! orphans come to it all the same; it never refuses to run.

use log::warn;
use rlimit::Resource;

use super::rest::Standing;
use crate::plan::{Limit, Plan};
use crate::sys::process;

/// Finds out who foster is here, and takes that place.
pub(super) fn take_place() -> Standing {
    if process::is_init() {
        return Standing::Init;
    }
    if let Err(errno) = process::become_subreaper() {
        warn!("cannot become a subreaper: {}; orphans of programs go to another init", errno.desc());
    }
    Standing::Subreaper
}

/// Lets foster itself have as many descriptors as it may (three for each program), and sees to it that the
/// programs do not inherit that: a soft limit of 1024 is what select(2) relies on.
pub(super) fn prepare(mut plan: Plan) -> Plan {
    let Ok((soft, hard)) = Resource::NOFILE.get() else { return plan };
    if soft >= hard || Resource::NOFILE.set(hard, hard).is_err() {
        return plan;
    }
    let inherited = Limit { resource: Resource::NOFILE, soft, hard };
    for program in &mut plan.programs {
        let limits = &mut program.launch.limits;
        if !limits.iter().any(|limit| limit.resource == Resource::NOFILE) {
            limits.push(inherited);
        }
    }
    plan
}
