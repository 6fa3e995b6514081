//! The number of CPUs that foster and its programs may use: the affinity mask and the quotas of cgroups, versions 1
//! and 2.
//!
//! `nproc` and most runtimes count only the mask and start too many workers under a quota; a configuration can pass
//! them this number.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::thread;

/// The variable with this number, for configurations.
const VARIABLE: &str = "FOSTER_CPUS";

/// Whole CPUs, at least one: sched_getaffinity(2), `cpu.max` and `cpu.cfs_quota_us` of every cgroup above.
pub fn allowed() -> usize {
    // If neither can be read, at least one CPU exists.
    thread::available_parallelism().map_or(1, usize::from)
}

/// foster's environment as a configuration sees it: with the number of CPUs.
pub fn environment() -> BTreeMap<OsString, OsString> {
    let mut variables = BTreeMap::new();
    variables.extend(env::vars_os());
    variables.insert(VARIABLE.into(), allowed().to_string().into());
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_cpus_overrides_a_variable_of_the_environment() {
        let number = environment().remove(&OsString::from(VARIABLE)).and_then(|text| text.into_string().ok());
        let number: usize = number.and_then(|text| text.parse().ok()).unwrap();
        assert!(number >= 1 && number == allowed());
    }
}
