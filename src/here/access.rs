//! The permissions of a user for a file, from its mode (path_resolution(7)), without becoming that user.
//!
//! Access control lists and security modules are not checked: a start may still fail.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::sys::process::Credentials;

/// A user that accesses files.
#[derive(Debug)]
pub(super) struct UserAccess(Credentials);

/// A permission for a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// Execute a file, or enter a folder.
    Execute,
    /// Write to it.
    Write,
}

impl UserAccess {
    /// A user with these credentials.
    pub(super) fn new(credentials: Credentials) -> UserAccess {
        UserAccess(credentials)
    }

    /// The metadata of a file that the user can reach.
    ///
    /// # Errors
    /// It does not exist; `PermissionDenied` if the user cannot enter a folder above it.
    pub(super) fn find(&self, path: &Path) -> io::Result<Metadata> {
        let metadata = std::fs::metadata(path)?;
        match self.closed_folder(path)? {
            Some(_) => Err(io::ErrorKind::PermissionDenied.into()),
            None => Ok(metadata),
        }
    }

    /// The folder above a file, the nearest to the root, that the user cannot enter.
    ///
    /// # Errors
    /// It does not exist.
    pub(super) fn closed_folder(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        // The kernel follows the links in the path; this checks the folders of the real path.
        let real = std::fs::canonicalize(path)?;
        let mut closed = None;
        for folder in real.ancestors().skip(1) {
            if !self.may(&std::fs::metadata(folder)?, Permission::Execute) {
                closed = Some(folder.to_owned());
            }
        }
        Ok(closed)
    }

    /// Whether the user has this permission for a file that it can reach.
    pub(super) fn may(&self, file: &Metadata, permission: Permission) -> bool {
        let Credentials { user, group, groups } = &self.0;
        let bit = match permission {
            Permission::Execute => 0o1,
            Permission::Write => 0o2,
        };
        if user.is_root() {
            // Root can write all files and enter all folders, but executes only files with an execute bit.
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
    fn the_owner_the_group_and_others_have_separate_bits() {
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
