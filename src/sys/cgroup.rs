//! Finds the directories of a process's cgroup: cgroups(7), version 1, 2 and hybrid.
//!
//! They follow from the text of /proc/PID/cgroup and /proc/PID/mountinfo.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The two files of foster itself. Each is written by the kernel as it is read, so they are read once.
#[derive(Debug, Default)]
pub struct OwnPlace {
    /// /proc/self/cgroup.
    pub membership: Vec<u8>,
    /// /proc/self/mountinfo.
    pub mounts: Vec<u8>,
}

/// The name of the group that foster moves to where its own has to be empty. No program's is called that.
pub const SUPERVISOR: &str = ".supervisor";

/// The version of a hierarchy. A hybrid system has both; a controller is in version 1 if it is mounted there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or for a few of them.
    One,
    /// One hierarchy for all controllers.
    Two,
}

/// The directories that may have the files of a controller (`memory`, `cpu`, `pids`), best first: in each mounted
/// hierarchy the process's own cgroup, then its ancestors. Without the controller a cgroup is charged to the nearest
/// ancestor that has it (cgroup v2, "Enabling and Disabling"), whose limit applies to all descendants.
pub fn directories(membership: &[u8], mounts: &[u8], controller: &str) -> Vec<(Version, PathBuf)> {
    let controller = controller.as_bytes();
    let mut found = Vec::new();
    for version in [Version::One, Version::Two] {
        let Some(own) = lines(membership).find_map(|line| version.path(line, controller)) else { continue };
        let mounts = lines(mounts).filter_map(Mount::parse);
        for mount in mounts.filter(|mount| version.is_of(mount, controller)) {
            let Ok(below) = own.strip_prefix(&mount.root) else { continue };
            // The cgroup is outside of the part that the namespace shows (cgroup_namespaces(7)).
            if below.components().any(|component| component == Component::ParentDir) {
                continue;
            }
            found.extend(below.ancestors().map(|path| (version, mount.point.join(path))));
        }
    }
    found
}

/// Where the process's own cgroup of version 2 is to be seen, and the path by which /proc/PID/cgroup names it.
pub fn own(membership: &[u8], mounts: &[u8]) -> Option<(PathBuf, PathBuf)> {
    let path = path(membership)?;
    let mut mounts = lines(mounts).filter_map(Mount::parse).filter(|mount| Version::Two.is_of(mount, b""));
    let folder = mounts.find_map(|mount| {
        let below = path.strip_prefix(&mount.root).ok()?;
        let is_outside = below.components().any(|component| component == Component::ParentDir);
        (!is_outside).then(|| mount.point.join(below))
    });
    folder.map(|folder| (folder, path.to_path_buf()))
}

/// The path of a cgroup of version 2 in the text of /proc/PID/cgroup.
pub fn path(membership: &[u8]) -> Option<&Path> {
    lines(membership).find_map(|line| Version::Two.path(line, b""))
}

/// Why foster makes no groups below a cgroup, by its files as `read` has them, without white space at the end.
pub fn obstacle(read: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    // Below a threaded one a group is another thing, and the root has no such file.
    if read("cgroup.type").is_some_and(|kind| kind != "domain") {
        return Some("it is threaded");
    }
    // JVMs and Go size themselves by these files of their group, and many do not look above it.
    let is_set = |name| read(name).is_some_and(|limit| !limit.starts_with("max"));
    (is_set("memory.max") || is_set("cpu.max")).then_some("programs look for its limits in their own cgroup")
}

impl OwnPlace {
    /// Reads both with the /proc below `root`. A file that cannot be read is empty: then no cgroup is known.
    pub fn read(root: &Path) -> OwnPlace {
        let read = |name: &str| read(&root.join("proc/self").join(name)).unwrap_or_default();
        OwnPlace { membership: read("cgroup"), mounts: read("mountinfo") }
    }
}

/// Reads a file of the kernel's, which does not say its size: with room for most of them, in two calls.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    const ROOM: usize = 4096;
    let mut text = Vec::with_capacity(ROOM);
    File::open(path)?.take(u64::MAX).read_to_end(&mut text)?;
    Ok(text)
}

impl Version {
    /// The cgroup's path in a line of /proc/PID/cgroup, `id:controllers:path`, if the line is of this hierarchy.
    fn path<'line>(self, line: &'line [u8], controller: &[u8]) -> Option<&'line Path> {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let found = match self {
            Version::One => names(controllers, controller),
            Version::Two => id == b"0" && controllers.is_empty(),
        };
        found.then(|| Path::new(OsStr::from_bytes(path)))
    }

    fn is_of(self, mount: &Mount<'_>, controller: &[u8]) -> bool {
        match self {
            Version::One => mount.kind == b"cgroup" && names(mount.options, controller),
            Version::Two => mount.kind == b"cgroup2",
        }
    }
}

fn names(list: &[u8], controller: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|name| name == controller)
}

/// A line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
#[derive(Debug)]
struct Mount<'line> {
    /// The directory of the file system that is mounted.
    root: PathBuf,
    /// The mount point.
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
        // Optional fields end with a dash.
        fields.find(|field| *field == b"-")?;
        let (kind, _source, options) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Mount { root: unescape(root), point: unescape(point), kind, options })
    }
}

/// Spaces, tabs, newlines and backslashes are written as a backslash and three octal digits.
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
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_several_controllers_of_version_1_is_found_by_each() {
        let membership = b"9:cpu,cpuacct:/app\n8:memory:/app\n";
        let mounts = b"33 31 0:30 / /cg/cpu ro - cgroup cgroup rw,cpu,cpuacct\n\
                       35 31 0:32 / /cg/memory ro - cgroup cgroup rw,memory\n";
        let found = |controller| directories(membership, mounts, controller);
        let expected = |paths: [&str; 2]| paths.map(|path| (Version::One, PathBuf::from(path))).to_vec();
        assert_eq!(found("cpu"), expected(["/cg/cpu/app", "/cg/cpu/"]));
        assert_eq!(found("cpuacct"), expected(["/cg/cpu/app", "/cg/cpu/"]));
        assert_eq!(found("memory"), expected(["/cg/memory/app", "/cg/memory/"]));
        assert_eq!(found("pids"), []);
        assert_eq!(found("cp"), []);
    }

    #[test]
    fn a_backslash_without_a_number_is_literal() {
        assert_eq!(unescape(br"a\040b\011\134"), Path::new("a b\t\\"));
        assert_eq!(unescape(br"\04"), Path::new(r"\04"));
        assert_eq!(unescape(br"\777\"), Path::new(r"\777\"));
    }
}
