//! Whether the kernel has killed for memory: the `oom_kill` counter of foster's own cgroup.
//!
//! A process that the kernel kills when memory is short dies of SIGKILL like any other; only the counter
//! tells the difference (cgroups(7); `memory.events` of version 2, `memory.oom_control` of version 1).
//! It says nothing about *which* process. Where the counter cannot be found, the answer is always no:
//! a wrong "out of memory" misleads more than a missing one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::sys::cgroup::{self, Version};

/// More than either file has ever held; the line is wanted, the rest may be cut.
const READ_SIZE: usize = 1024;

/// The counter, as it was when it was last looked at.
#[derive(Debug)]
pub struct OomCounter {
    source: Option<Source>,
}

#[derive(Debug)]
struct Source {
    file: File,
    seen: u64,
}

impl OomCounter {
    /// Finds the counter of the cgroup that this process is in, which is the one of its children.
    pub fn open() -> OomCounter {
        let membership = std::fs::read("/proc/self/cgroup").unwrap_or_default();
        let mounts = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        OomCounter { source: candidates(&membership, &mounts).iter().find_map(|path| Source::open(path)) }
    }

    /// Whether anybody was killed since the last look, or since `open`. The kernel counts before it
    /// kills, so a look after the death is not too early. Look once for all that were reaped at the same
    /// time, for every signal 9 among them: one look takes the news of all.
    pub fn has_increased(&mut self) -> bool {
        let Some(source) = &mut self.source else { return false };
        let Some(count) = count(&source.file) else { return false };
        let seen = std::mem::replace(&mut source.seen, count);
        count > seen
    }
}

impl Source {
    fn open(path: &Path) -> Option<Source> {
        let file = File::open(path).ok()?;
        let seen = count(&file)?;
        Some(Source { file, seen })
    }
}

fn count(file: &File) -> Option<u64> {
    let mut buffer = [0; READ_SIZE];
    let length = file.read_at(&mut buffer, 0).ok()?;
    oom_kills(buffer.get(..length)?)
}

/// The number in the line `oom_kill N`, which both versions have.
pub fn oom_kills(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Where the counter may be, best first.
fn candidates(membership: &[u8], mounts: &[u8]) -> Vec<PathBuf> {
    let file = |version| match version {
        Version::One => "memory.oom_control",
        Version::Two => "memory.events",
    };
    let found = cgroup::directories(membership, mounts, "memory");
    found.into_iter().map(|(version, folder)| folder.join(file(version))).collect()
}

#[cfg(test)]
mod tests;
