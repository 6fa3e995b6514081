//! What a user may do with a file, by its mode (path_resolution(7)): asked without becoming that user.
//!
//! Access control lists and security modules are left out: a start may still fail where this says yes.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::sys::process::Credentials;

/// A user who would use a file.
#[derive(Debug)]
pub(super) struct UserAccess(Credentials);

/// An access to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// To execute it, or to go through it where it is a folder.
    Execute,
    /// To write to it.
    Write,
}

impl UserAccess {
    /// This user.
    pub(super) fn new(credentials: Credentials) -> UserAccess {
        UserAccess(credentials)
    }

    /// What the file is, where the user may reach it.
    ///
    /// # Errors
    /// It does not exist, or a folder above it is closed to the user: `PermissionDenied`.
    pub(super) fn find(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = std::fs::metadata(path)?;
        // The links in a path are followed by the kernel; the folders of what they lead to are looked at here.
        let real = std::fs::canonicalize(path)?;
        for folder in real.ancestors().skip(1) {
            if !self.may(&std::fs::metadata(folder)?, Permission::Execute) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
        }
        Ok(metadata)
    }

    /// Whether the user may do this with a file it can reach.
    pub(super) fn may(&self, file: &Metadata, permission: Permission) -> bool {
        let Credentials { user, group, groups } = &self.0;
        let bit = match permission {
            Permission::Execute => 0o1,
            Permission::Write => 0o2,
        };
        if user.is_root() {
            // Root writes everywhere, but executes only what has any bit for it; folders are always open.
            return permission == Permission::Write || file.is_dir() || file.mode() & 0o111 != 0;
        }
        let belongs = |id: u32| group.as_raw() == id || groups.iter().any(|group| group.as_raw() == id);
        let shift = match () {
            () if file.uid() == user.as_raw() => 6,
            () if belongs(file.gid()) => 3,
            () => 0,
        };
        (file.mode() >> shift) & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use nix::unistd::{Gid, Uid};

    use super::*;

    fn user(id: u32, groups: &[u32]) -> UserAccess {
        let groups = groups.iter().map(|group| Gid::from_raw(*group)).collect();
        UserAccess::new(Credentials { user: Uid::from_raw(id), group: Gid::from_raw(60_000), groups })
    }

    #[test]
    fn the_owner_the_groups_and_others_have_their_own_bits() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        std::fs::write(&path, "").expect("a file");
        let own = std::fs::metadata(&path).expect("a file");
        let others = own.uid() + 1;
        let may = |mode: u32, user: &UserAccess, permission: Permission| {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("a mode");
            user.may(&std::fs::metadata(&path).expect("a file"), permission)
        };
        assert!(may(0o701, &user(others, &[]), Permission::Execute));
        assert!(!may(0o770, &user(others, &[]), Permission::Execute));
        assert!(may(0o770, &user(others, &[own.gid()]), Permission::Execute));
        assert!(!may(0o707, &user(others, &[own.gid()]), Permission::Execute));
        assert!(!may(0o644, &user(0, &[]), Permission::Execute));
        assert!(
            may(0o444, &user(0, &[]), Permission::Write)
                && !may(0o644, &user(others, &[]), Permission::Write)
        );
    }
}
