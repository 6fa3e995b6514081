//! The binary: hands the command line to the library and its exit status to the system.
//!
//! It begins where C begins, in `src/sys/entry.rs`: what Rust's library does before a `main` of its own takes as
//! long as a bare init, and would change the signal dispositions that a command is to inherit.
#![no_main]

#[path = "sys/entry.rs"]
mod entry;
