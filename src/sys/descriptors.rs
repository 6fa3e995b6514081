//! Descriptors that were inherited: what is to be held no longer.
//!
//! Only for an init that has none of its own but those it names: close_range(2) asks nobody whose a descriptor is.
#![allow(unsafe_code, reason = "close_range(2) has no wrapper")]

use std::ffi::c_long;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The first descriptor that is no standard stream.
const FIRST: i64 = 3;

/// Closes every descriptor above 2 but these: close_range(2). Without that call (Linux before 5.9) all stay open.
///
/// Nothing else in this process may own one.
pub fn close_all_but<const N: usize>(kept: [Option<BorrowedFd<'_>>; N]) {
    let mut numbers = kept.map(|fd| fd.map_or(-1, |fd| i64::from(fd.as_raw_fd())));
    numbers.sort_unstable();
    let mut first = FIRST;
    for number in numbers.into_iter().filter(|number| *number >= FIRST) {
        close(first, number - 1);
        first = number + 1;
    }
    close(first, i64::from(u32::MAX));
}

fn close(first: i64, last: i64) {
    if first > last {
        return;
    }
    let no_flags: c_long = 0;
    // SAFETY: the call takes numbers only. None of these descriptors is owned in this process: the caller keeps
    // those that are.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, no_flags) };
}
