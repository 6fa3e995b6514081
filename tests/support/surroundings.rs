//! Special mounts: hidden processes, control groups that cannot be made, and a file system that hangs.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::builder::Foster;
use super::parts::present_or_skipped;

/// A file system on which every access blocks until this is dropped.
///
/// It is FUSE without a server: only a fatal signal interrupts the wait, as with NFS and an unreachable server (fuse(4),
/// mount option `hard` of nfs(5)).
pub(crate) struct DeadFileSystem(OwnedFd);

impl DeadFileSystem {
    /// `None`: the machine has no FUSE.
    pub(crate) fn new() -> Option<DeadFileSystem> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok();
        present_or_skipped(device, "/dev/fuse").map(|device| DeadFileSystem(device.into()))
    }
}

impl Foster {
    /// Mounts the dead file system on a folder of the working directory.
    pub(crate) fn dead_folder(self, name: &str, dead: &DeadFileSystem) -> Foster {
        let place = self.folder().join(name).display().to_string();
        self.container_options(&["--hanging", &place]).stdin(dead.0.try_clone().expect("a descriptor"))
    }

    /// Control groups of version 2 are read-only, as in most containers.
    pub(crate) fn without_groups(self) -> Foster {
        self.container_options(&["--without-groups"])
    }

    /// /proc is that of the machine: its numbers mean other processes than foster's own do.
    pub(crate) fn host_proc(self) -> Foster {
        self.container_options(&["--host-proc"])
    }

    /// This file of the working directory is at that path.
    pub(crate) fn instead_of(self, path: &str, file: &str) -> Foster {
        let file = self.folder().join(file).display().to_string();
        self.container_options(&["--instead-of", path, &file])
    }

    /// Mounts /proc with `hidepid`: a process sees only those of its user.
    pub(crate) fn hidepid(self) -> Foster {
        self.container_options(&["--hidepid"])
    }
}

/// The control groups of version 2 of this process; `None` where it may make none.
pub(crate) fn own_group() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc");
    let place = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"));
    let place =
        place.and_then(|line| Some(Path::new(line.split(' ').nth(1)?).join(group_of_process("self")?)));
    let place = place.filter(|place| {
        let trial = place.join(format!("trial-{}", std::process::id()));
        fs::create_dir(&trial).is_ok() && fs::remove_dir(&trial).is_ok()
    });
    present_or_skipped(place, "writable cgroup of version 2")
}

/// A control group with a limit on memory, for one test. It has to be empty when it is dropped.
pub(crate) struct MemoryGroup {
    /// Its directory.
    pub(crate) folder: PathBuf,
}

impl MemoryGroup {
    /// A group of version 2 without a limit, below the root group, which may have processes. `None`: not on this machine.
    pub(crate) fn without_limit() -> Option<MemoryGroup> {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc");
        let mount = mounts.lines().find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
        let root = Path::new(mount.split(' ').nth(1)?);
        let has_memory = fs::read_to_string(root.join("cgroup.subtree_control"));
        has_memory.ok()?.split_ascii_whitespace().find(|name| *name == "memory")?;
        MemoryGroup::below(root)
    }

    /// One of either version with this limit, in MiB.
    pub(crate) fn limited(mebibytes: u64) -> Option<MemoryGroup> {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let path = |line: &str| line.splitn(3, ':').nth(2).unwrap_or_default().to_owned();
        let one = groups.lines().find(|line| line.split(':').nth(1) == Some("memory")).map(path);
        let one = one.and_then(|path| MemoryGroup::below(Path::new(&format!("/sys/fs/cgroup/memory{path}"))));
        let (group, name, swap) = match one {
            Some(group) => (group, "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
            None => (MemoryGroup::without_limit()?, "memory.max", "memory.swap.max"),
        };
        fs::write(group.folder.join(name), format!("{mebibytes}M")).expect("a limit");
        // Where there is swap: together, or no swap at all.
        let most = if swap == "memory.swap.max" { 0 } else { mebibytes };
        let _ = fs::write(group.folder.join(swap), format!("{most}M"));
        Some(group)
    }

    fn below(parent: &Path) -> Option<MemoryGroup> {
        let own = fs::read_link("/proc/thread-self").expect("/proc").display().to_string();
        let folder = parent.join(format!("foster-test-{}", own.replace('/', "-")));
        fs::create_dir(&folder).ok()?;
        Some(MemoryGroup { folder })
    }

    /// The command of a shell that enters the group and becomes foster.
    pub(crate) fn enter(&self) -> String {
        let foster = super::builder::binary();
        format!(
            "echo 0 > {}/cgroup.procs && exec {} run -c foster.toml",
            self.folder.display(),
            foster.display()
        )
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// The path of a process's group of version 2, without the slash before it.
pub(crate) fn group_of_process(pid: &str) -> Option<String> {
    let membership = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let path = membership.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(path.to_owned())
}
