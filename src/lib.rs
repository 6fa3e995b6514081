//! foster: the first process of a container.
//!
//! The shell around `foster-core`: it does what the core decides. Modules stand in layer order, and
//! imports go one way: plan, exit <- sys <- the leaves <- init <- this file. `ARCHITECTURE.md` is the map.

pub mod exit;
pub mod nearest;
pub mod plan;

pub mod sys;

pub mod cli;
pub mod config;
pub mod control;
pub mod notify;
pub mod output;
pub mod probes;
pub mod spawn;

pub mod init;
pub mod verbs;

use std::ffi::OsString;

use exit::ExitStatus;

/// Runs foster with this command line and returns what the process is to end with.
pub fn main(arguments: Vec<OsString>) -> ExitStatus {
    let _ = arguments;
    ExitStatus::USAGE
}
