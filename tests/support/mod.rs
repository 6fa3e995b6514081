//! What every test of the real binary is written with.
//!
//! [`Foster`] describes a container and starts it; [`Running`] is what a test watches, signals and asks.
//! There is no sleep here: a test waits for a condition, with a deadline and a message that shows all
//! output so far. Nothing outlives a test: its namespace dies with its first process.

mod builder;
mod following;
mod network;
mod output;
mod parts;
mod processes;
mod running;
mod terminal;
mod verb;

pub(crate) use builder::{Foster, binary, check, puppet, repository};
pub(crate) use following::Following;
pub(crate) use network::{free_port, get};
pub(crate) use output::matches;
pub(crate) use parts::{found, may_make_namespaces, present_or_skipped};
pub(crate) use processes::{descriptors, group_of, resident_kib, state_of};
pub(crate) use running::{End, Running};
pub(crate) use terminal::Terminal;
pub(crate) use verb::{Finished, run};
