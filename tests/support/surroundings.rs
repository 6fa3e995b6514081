//! Special mounts: hidden processes, and a file system that hangs.

use std::fs::File;
use std::os::fd::OwnedFd;

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

    /// Mounts /proc with `hidepid`: a process sees only those of its user.
    pub(crate) fn hidepid(self) -> Foster {
        self.container_options(&["--hidepid"])
    }
}
