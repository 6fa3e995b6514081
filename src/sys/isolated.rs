//! For tests of attributes of the whole process: its children, user, limits and descriptors.
//!
//! Tests run in parallel in one process. A test that would reap another test's child or drop root runs in a separate
//! process.
#![allow(unsafe_code, reason = "fcntl(2) with F_SETLEASE has no wrapper")]

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Output};

use nix::unistd::Uid;

/// Set in the separate process.
const ALONE: &str = "FOSTER_TEST_ALONE";

/// Runs the test with this full name in a separate process and returns its output. `None`: this is that process, which
/// runs the test.
pub(crate) fn alone(test: &str) -> Option<Output> {
    run(test, Command::new(env::current_exe().unwrap()))
}

/// The same, as the init of a new PID namespace: unshare(1). Needs root.
pub(crate) fn alone_as_init(test: &str) -> Option<Output> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--kill-child"]).arg(env::current_exe().unwrap());
    run(test, unshare)
}

/// Whether this process is root; if not, the test is skipped with a line, and fails in CI.
pub(crate) fn is_root() -> bool {
    let root = Uid::effective().is_root();
    assert!(root || env::var_os("CI").is_none(), "CI runs these tests as root");
    if !root {
        eprintln!("skipped: needs root");
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

/// Blocks every other open of this file, also by execve(2), until the lease is released or 45 s have passed: F_SETLEASE
/// of fcntl(2). It simulates a file system that hangs. The holder gets SIGIO, which must be ignored.
pub(crate) fn take_lease(file: &File) {
    set_lease(file, libc::F_WRLCK);
}

/// Lets the blocked opens continue.
pub(crate) fn release_lease(file: &File) {
    set_lease(file, libc::F_UNLCK);
}

fn set_lease(file: &File, kind: i32) {
    // SAFETY: F_SETLEASE takes a number.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}
