//! The number of CPUs that foster and its programs may use: the affinity mask and the quotas of cgroups, versions 1
//! and 2.
//!
//! `nproc` and most runtimes count only the mask and start too many workers under a quota; a configuration can pass
//! them this number.

use std::thread;

/// Whole CPUs, at least one: sched_getaffinity(2), `cpu.max` and `cpu.cfs_quota_us` of every cgroup above.
pub fn allowed() -> usize {
    // If neither can be read, at least one CPU exists.
    thread::available_parallelism().map_or(1, usize::from)
}
