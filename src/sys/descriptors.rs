//! Closes all descriptors except a few.
//!
//! Only for a process in which no other code owns a descriptor: a child before `exec`, and the bare init. close_range(2)
//! ignores Rust's ownership. Next: [`crate::sys::in_child`].
#![allow(
    unsafe_code,
    reason = "close_range(2) has no wrapper, and the closed numbers have no owner in this process"
)]

use std::ffi::{c_int, c_long};
use std::fs;
use std::os::fd::RawFd;

use foster_core::sorted::SortedSet;
use nix::errno::Errno;

/// The first descriptor that is not a standard stream.
const FIRST: RawFd = 3;
/// The first number that is not tried without close_range(2) and without /proc.
const HIGHEST_TRIED: RawFd = 65_536;

/// Closes every descriptor above 2 except these: close_range(2), or one by one if that is refused.
///
/// No other code of the process may own one.
pub fn close_all_except(kept: &[RawFd]) {
    let listed = kept.iter().copied();
    let kept: SortedSet<RawFd> = listed.filter(|number| *number >= FIRST).collect();
    let mut first = FIRST;
    let mut gaps = Vec::new();
    for number in kept.iter() {
        gaps.push((first, number - 1));
        first = number + 1;
    }
    gaps.push((first, RawFd::MAX));
    let closed = gaps.iter().filter(|(first, last)| first <= last).try_for_each(|gap| close_range(*gap));
    if closed.is_err() {
        open_numbers()
            .into_iter()
            .filter(|number| *number >= FIRST && !kept.contains(number))
            .for_each(close);
    }
}

/// The most descriptors that foster may have (getrlimit(2)).
pub fn limit() -> usize {
    let limit = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn close_range((first, last): (RawFd, RawFd)) -> nix::Result<()> {
    let no_flags: c_long = 0;
    // SAFETY: the call takes numbers only. No code of the process owns one of them: the caller guarantees it.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, c_long::from(first), c_long::from(last), no_flags) };
    Errno::result(result).map(drop)
}

/// The open descriptors, for Linux before 5.9 and sandboxes without close_range(2).
fn open_numbers() -> Vec<RawFd> {
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse().ok();
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        return entries.filter_map(Result::ok).filter_map(number).collect();
    }
    let end = c_int::try_from(limit()).map_or(HIGHEST_TRIED, |end| end.min(HIGHEST_TRIED));
    (FIRST..end).collect()
}

fn close(number: RawFd) {
    // SAFETY: not owned in this process, as above; EBADF for a number that is not open is harmless.
    unsafe { libc::close(number) };
}
