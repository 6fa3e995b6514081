//! Descriptors that a process was started with, above its standard streams.
#![allow(unsafe_code, reason = "a number becomes an owned descriptor")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use std::os::fd::BorrowedFd;

/// Takes these descriptors; `None`: one of them is not open. Only once, and before anything else is opened.
pub fn take(first: RawFd, count: usize) -> Option<Vec<OwnedFd>> {
    let numbers = (first..).take(count);
    let is_open = |number: &RawFd| {
        // SAFETY: fcntl says so where it is not open; nothing is closed.
        let fd = unsafe { BorrowedFd::borrow_raw(*number) };
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).is_ok()
    };
    if !numbers.clone().all(|number| is_open(&number)) {
        return None;
    }
    // SAFETY: each is open, and the caller guarantees that nothing else owns it.
    Some(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
}
