//! What foster asks of Linux: one file a subject, and the only place where `unsafe` may stand.
//!
//! Every descriptor is an `OwnedFd` with CLOEXEC; raw ones do not leave this folder. Each function says
//! which man page it follows. Nothing here decides anything, and nothing here blocks but [`epoll::Epoll::wait`].

pub mod epoll;
pub mod socket;
