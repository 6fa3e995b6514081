//! Support for the tests of the real binary.
//!
//! [`Foster`] describes a container and starts it; a test observes and signals a [`Running`] one. Nothing sleeps for a
//! fixed time: a test waits for a condition with a deadline, and a failure shows all output. No process survives its
//! test, because its namespace ends with its first process.

mod builder;
mod calls;
mod following;
mod injector;
mod network;
mod output;
mod parts;
mod processes;
mod running;
mod surroundings;
mod terminal;
mod verb;

pub(crate) use builder::{Foster, binary, check, puppet, repository};
pub(crate) use calls::{EXCEPTED, FAILING};
pub(crate) use following::Following;
pub(crate) use injector::{Caller, Calls, Fault, Injector};
pub(crate) use network::{free_port, get};
pub(crate) use output::matches;
pub(crate) use parts::{found, may_make_namespaces, present_or_skipped, python_with};
pub(crate) use processes::{
    Process, age_of, allocated_kib, cpu_time, descriptors, group_of, resident_kib, state_of, written_by,
};
pub(crate) use running::{End, Running};
pub(crate) use surroundings::{DeadFileSystem, MemoryGroup, group_of_process, own_group};
pub(crate) use terminal::{PtyPair, Terminal};
pub(crate) use verb::{Finished, rows, run};
