//! The files that the doctor reads: /proc, /sys and /etc, below any root directory.
//!
//! A file that cannot be read counts as missing: the doctor does not guess.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cli::format::harmless;

/// A root directory, and the process that is examined.
pub(super) struct RootFs {
    root: PathBuf,
    /// Its folder in /proc.
    process: &'static str,
}

impl RootFs {
    /// Examines PID 1 if that is foster, otherwise this process.
    pub(super) fn at(root: &Path) -> RootFs {
        let mut rootfs = RootFs { root: root.to_path_buf(), process: "self" };
        if rootfs.pid1_name().as_deref() == Some("foster") {
            rootfs.process = "1";
        }
        rootfs
    }

    /// The name of PID 1; `None` without /proc.
    pub(super) fn pid1_name(&self) -> Option<String> {
        Some(harmless(self.text("proc/1/comm")?.trim_end()))
    }

    /// Whether PID 1 is examined.
    pub(super) fn is_pid1(&self) -> bool {
        self.process == "1"
    }

    /// A path below the root directory.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The text of a file; bytes that are not UTF-8 become U+FFFD.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A file of the process, such as `limits`.
    pub(super) fn of_process(&self, name: &str) -> Option<String> {
        self.text(format!("proc/{}/{name}", self.process))
    }

    /// The target of a link of the process, such as `fd/1`.
    pub(super) fn link(&self, name: &str) -> io::Result<String> {
        let target = fs::read_link(self.path(format!("proc/{}/{name}", self.process)))?;
        Ok(harmless(&target.to_string_lossy()))
    }

    /// The value of a field in the process's `status` (proc_pid_status(5)).
    pub(super) fn status(&self, field: &str) -> Option<String> {
        let status = self.of_process("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
        Some(line.trim().to_owned())
    }
}

/// How many numbers are in a list such as `0-3,6`.
pub(super) fn count(list: &str) -> Option<u64> {
    let mut sum: u64 = 0;
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        sum = sum.checked_add(last.checked_sub(first)?.checked_add(1)?)?;
    }
    Some(sum)
}
