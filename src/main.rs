//! The binary: hands the command line to the library and its exit status to the system.
//!
//! Its entry point is C's `main` in `src/sys/entry.rs`: the setup of Rust's runtime would cost a bare init a twentieth of
//! its start, and would change signal dispositions that the command inherits. The test harness has its own `main`.
#![cfg_attr(not(test), no_main)]

#[cfg(not(test))]
#[path = "sys/entry.rs"]
mod entry;

#[cfg(target_env = "gnu")]
#[cfg_attr(test, allow(dead_code, reason = "the C library calls them"))]
#[path = "sys/replaced.rs"]
mod replaced;

#[cfg_attr(test, allow(dead_code, reason = "the entry point uses it"))]
#[path = "sys/unbuffered.rs"]
mod unbuffered;
