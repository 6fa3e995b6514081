//! Whether the kernel has killed for memory: the `oom_kill` counter of foster's own cgroup.
//!
//! A process that the kernel kills when memory is short dies of SIGKILL like any other; only the counter
//! tells the difference (cgroups(7); `memory.events` of version 2, `memory.oom_control` of version 1).
//! It says nothing about *which* process. Where the counter cannot be found, the answer is always no:
//! a wrong "out of memory" misleads more than a missing one.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Component, Path, PathBuf};

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
    pub fn moved(&mut self) -> bool {
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
fn oom_kills(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Where the counter may be, best first: for each memory hierarchy that is mounted, in foster's own
/// cgroup, then in those above it. The memory of a cgroup without the controller is accounted to the
/// nearest one above that has it (cgroup v2, "Enabling and Disabling").
fn candidates(membership: &[u8], mounts: &[u8]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for version in [Version::One, Version::Two] {
        let Some(own) = lines(membership).find_map(|line| version.path(line)) else { continue };
        for mount in lines(mounts).filter_map(Mount::parse).filter(|mount| version.is_of(mount)) {
            let Ok(below) = own.strip_prefix(&mount.root) else { continue };
            // It was moved out of the part that its namespace shows (cgroup_namespaces(7)).
            if below.components().any(|component| component == Component::ParentDir) {
                continue;
            }
            paths.extend(below.ancestors().map(|path| mount.point.join(path).join(version.file())));
        }
    }
    paths
}

/// The two kinds of hierarchy. In a hybrid system both are there, and version 1 has the memory
/// controller whenever it is mounted.
#[derive(Debug, Clone, Copy)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The cgroup's path in a line of /proc/self/cgroup, `id:controllers:path`, if it is about this one.
    fn path(self, line: &[u8]) -> Option<&Path> {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let found = match self {
            Version::One => names_memory(controllers),
            Version::Two => id == b"0" && controllers.is_empty(),
        };
        found.then(|| Path::new(OsStr::from_bytes(path)))
    }

    fn is_of(self, mount: &Mount<'_>) -> bool {
        match self {
            Version::One => mount.kind == b"cgroup" && names_memory(mount.options),
            Version::Two => mount.kind == b"cgroup2",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        }
    }
}

fn names_memory(list: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|name| name == b"memory")
}

/// A line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
#[derive(Debug)]
struct Mount<'line> {
    /// Which directory of the file system is to be seen there.
    root: PathBuf,
    /// Where.
    point: PathBuf,
    /// The file system's type.
    kind: &'line [u8],
    /// The file system's own options.
    options: &'line [u8],
}

impl Mount<'_> {
    fn parse(line: &[u8]) -> Option<Mount<'_>> {
        let mut fields = line.split(|byte| *byte == b' ');
        let (root, point) = (fields.nth(3)?, fields.next()?);
        // Any number of optional fields, then a dash.
        fields.find(|field| *field == b"-")?;
        let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Mount { root: unescape(root), point: unescape(point), kind, options })
    }
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (_, _) => bytes.push(*first),
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests;
