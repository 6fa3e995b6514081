//! The system calls of foster: one file for each subject, and the only folder with `unsafe`.
//!
//! Every descriptor is an `OwnedFd` with CLOEXEC; raw ones do not leave this folder. Each function names its manual page.
//! Nothing here makes decisions, and nothing here blocks except
//! [`epoll::Epoll::wait`] for the supervisor and [`sigwait::take`] for the bare init.

pub mod cgroup;
pub mod connect;
pub mod cpus;
pub mod datagram;
pub mod descriptors;
pub mod epoll;
pub mod fatal;
pub mod fork;
pub mod handover;
pub mod in_child;
pub mod inherited;
#[cfg(test)]
pub(crate) mod isolated;
pub mod listen;
pub mod memory;
pub mod pidfd;
pub mod process;
pub mod procfs;
pub mod signal;
pub mod signalfd;
pub mod sigwait;
pub mod socket;
pub mod socket_file;
pub mod stream;
pub mod target;
pub mod terminal;
pub mod timer;
pub mod usage;
pub mod user_namespace;
