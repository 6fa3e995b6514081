//! For tests of what belongs to a whole process: its children, its user, its limits, its descriptors.
//!
//! Tests share one process and run side by side in it; one that would reap another's child, or give up root for
//! all, runs once more in a separate process.
#![allow(unsafe_code, reason = "fcntl(2) with F_SETLEASE has no wrapper")]

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Output};

use nix::unistd::Uid;

/// Set in the separate process.
const ALONE: &str = "FOSTER_TEST_ALONE";

/// `None`: this is the separate process, go on. Otherwise the test, by its whole name, has passed there; with
/// its output.
pub(crate) fn alone(test: &str) -> Option<Output> {
    run(test, Command::new(env::current_exe().unwrap()))
}

/// The same, as the init of a new PID namespace: unshare(1). Needs root.
pub(crate) fn alone_as_init(test: &str) -> Option<Output> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]).arg(env::current_exe().unwrap());
    run(test, unshare)
}

/// Whether this process is root; elsewhere the test is skipped with a line, and in CI it fails.
pub(crate) fn is_root() -> bool {
    let root = Uid::effective().is_root();
    assert!(root || env::var_os("CI").is_none(), "CI runs these tests as root");
    if !root {
        eprintln!("left out: needs root");
    }
    root
}

fn run(test: &str, mut command: Command) -> Option<Output> {
    if env::var_os(ALONE).is_some() {
        return None;
    }
    let output = command.args(["--exact", test]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    Some(output)
}

/// Has every other open of this file, also by execve(2), wait until the lease is given back or 45 s have passed:
/// F_SETLEASE of fcntl(2). It stands for a file system that hangs. The holder gets IO, which has to be ignored.
pub(crate) fn take_lease(file: &File) {
    set_lease(file, libc::F_WRLCK);
}

/// Lets them go on.
pub(crate) fn give_lease_back(file: &File) {
    set_lease(file, libc::F_UNLCK);
}

fn set_lease(file: &File, kind: i32) {
    // SAFETY: F_SETLEASE takes a number.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
