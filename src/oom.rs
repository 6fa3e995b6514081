//! Detects kills by the kernel's out-of-memory killer: the `oom_kill` counter of foster's cgroup.
//!
//! Such a process dies of SIGKILL; only the counter distinguishes it (cgroups(7); `memory.events` of version 2,
//! `memory.oom_control` of version 1). The counter does not identify the process. Without a counter no kill is ever
//! reported, because a wrong "out of memory" is worse than a missing one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::sys::cgroup::{self, OwnPlace, Version};

/// More bytes than either file has.
const READ_SIZE: usize = 1024;

/// The counter, and its value at the last check.
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
    /// Opens the counter of this process's cgroup, which is also that of its children.
    pub fn open(place: &OwnPlace) -> OomCounter {
        let candidates = candidates(&place.membership, &place.mounts);
        OomCounter { source: candidates.iter().find_map(|path| Source::open(path)) }
    }

    /// Whether a process was killed since the last check, or since `open`. The kernel counts before it kills, so a check
    /// after the exit sees it. Check once for all processes reaped together: the check resets the answer for all.
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

/// The number in the line `oom_kill N` of either version.
pub fn oom_kills(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// The files that may have the counter, best first.
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
