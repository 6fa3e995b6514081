//! The binary: hands the command line to the library and its exit status to the system.
//!
//! It begins where C begins, in `src/sys/entry.rs`: what Rust's library does before a `main` of its own costs a bare
//! init a twentieth of its start, and would change the signal dispositions that a command is to inherit. A test
//! harness has a `main` of its own.
#![cfg_attr(not(test), no_main)]

#[cfg(not(test))]
#[path = "sys/entry.rs"]
mod entry;
