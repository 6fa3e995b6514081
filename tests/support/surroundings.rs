//! Surroundings that are hidden or dead: processes, a file system.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::builder::Foster;
use super::parts::present_or_skipped;

/// A file system in an outage: whatever looks into it waits until this is dropped.
///
/// The kernel side of FUSE, and no server behind it: to wait for one is interrupted by a deadly signal alone, as with
/// NFS and a server that is gone (fuse(4), mount option `hard` of nfs(5)).
pub(crate) struct DeadFileSystem(OwnedFd);

impl DeadFileSystem {
    /// `None`: this machine has no FUSE.
    pub(crate) fn new() -> Option<DeadFileSystem> {
        let device = File::options().read(true).write(true).open("/dev/fuse").ok();
        present_or_skipped(device, "/dev/fuse").map(|device| DeadFileSystem(device.into()))
    }
}

impl Foster {
    /// This folder of the working directory is a dead file system.
    pub(crate) fn dead_folder(self, name: &str, dead: &DeadFileSystem) -> Foster {
        let place = self.folder().join(name).display().to_string();
        self.surroundings(&["--hanging", &place]).stdin(dead.0.try_clone().expect("a descriptor"))
    }

    /// A process sees those of its own user alone.
    pub(crate) fn hidepid(self) -> Foster {
        self.surroundings(&["--hidepid"])
    }
}
