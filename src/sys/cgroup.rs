//! Where a process's cgroup is to be seen: cgroups(7), both versions and both at once.
//!
//! The directories are found from what /proc/PID/cgroup and /proc/PID/mountinfo say; what their files mean is the
//! reader's business. Nothing is read here: text in, paths out.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// The two kinds of hierarchy. In a hybrid system both are there, and version 1 has a controller whenever it
/// is mounted with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A hierarchy for each controller, or for a few of them.
    One,
    /// One for all.
    Two,
}

/// Where the files of a controller (`memory`, `cpu`, `pids`) may be, best first: in each hierarchy that is
/// mounted, the process's own cgroup, then those above it. What is charged to a cgroup without the controller is
/// charged to the nearest one above that has it (cgroup v2, "Enabling and Disabling"), and a limit there holds
/// for all below.
pub fn directories(membership: &[u8], mounts: &[u8], controller: &str) -> Vec<(Version, PathBuf)> {
    let controller = controller.as_bytes();
    let mut found = Vec::new();
    for version in [Version::One, Version::Two] {
        let Some(own) = lines(membership).find_map(|line| version.path(line, controller)) else { continue };
        let mounts = lines(mounts).filter_map(Mount::parse);
        for mount in mounts.filter(|mount| version.is_of(mount, controller)) {
            let Ok(below) = own.strip_prefix(&mount.root) else { continue };
            // It was moved out of the part that its namespace shows (cgroup_namespaces(7)).
            if below.components().any(|component| component == Component::ParentDir) {
                continue;
            }
            found.extend(below.ancestors().map(|path| (version, mount.point.join(path))));
        }
    }
    found
}

impl Version {
    /// The cgroup's path in a line of /proc/PID/cgroup, `id:controllers:path`, if it is about this one.
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

/// Owner, tab, newline and backslash are written as a backslash and three octal digits.
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
    fn a_backslash_that_begins_no_number_stands_for_itself() {
        assert_eq!(unescape(br"a\040b\011\134"), Path::new("a b\t\\"));
        assert_eq!(unescape(br"\04"), Path::new(r"\04"));
        assert_eq!(unescape(br"\777\"), Path::new(r"\777\"));
    }
}
