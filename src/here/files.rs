//! Checks the files and folders of a program: its directory, env files, secrets and log files.
//!
//! Each is looked at as the program's user finds it. Nothing is written. Next: `access.rs`, what that user may do.

use std::io;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{FsType, statfs};

use super::ProgramRemarks;
use super::access::{Permission, UserAccess};
use crate::errno;
use crate::plan::{Presence, Program, Sink};

/// Checks the working directory and returns it for relative paths.
pub(super) fn directory(found: &mut ProgramRemarks<'_>, program: &Program, user: &UserAccess) -> PathBuf {
    let own = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let Some(path) = &program.launch.directory else { return own };
    let shown = path.display();
    match user.find(path) {
        Ok(metadata) if !metadata.is_dir() => {
            found.error("directory", format!("`{shown}` is not a directory"), "");
        }
        Ok(metadata) if !user.may(&metadata, Permission::Execute) => {
            found.error("directory", format!("the user of `{}` cannot enter `{shown}`", program.name), "");
        }
        Ok(_) => {}
        Err(error) => found.error("directory", format!("cannot enter `{shown}`: {}", reason(&error)), ""),
    }
    own.join(path)
}

/// Checks the env files and secrets, which foster reads at each start.
pub(super) fn variables(found: &mut ProgramRemarks<'_>, program: &Program) {
    for file in &program.launch.env_files {
        if let (Presence::Required, Err(error)) = (file.presence, std::fs::metadata(&file.path)) {
            let message = format!("cannot read `{}`: {}", file.path.display(), reason(&error));
            found.error("env_file", message, "a leading `-` makes it optional");
        }
    }
    for (name, path) in &program.launch.secrets {
        if let Err(error) = std::fs::metadata(path) {
            let message =
                format!("cannot read the secret `{name}` at `{}`: {}", path.display(), reason(&error));
            found.warn("secrets", message, "mount it when the container runs");
        }
    }
}

/// Checks the folders of log files, which foster opens.
pub(super) fn logs(found: &mut ProgramRemarks<'_>, program: &Program) {
    for (key, sink) in [("stdout", &program.stdout), ("stderr", &program.stderr)] {
        let Sink::File(file) = sink else { continue };
        let folder = match file.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let shown = folder.display();
        match std::fs::metadata(folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => found.error(key, format!("`{shown}` is not a directory"), ""),
            Err(error) => {
                let message = format!("cannot use the folder `{shown}` of the log file: {}", reason(&error));
                found.error(key, message, format!("`mkdir -p {shown}`"));
            }
        }
        if let Some(kind) = statfs(folder).ok().and_then(|found| network_file_system(found.filesystem_type()))
        {
            found.warn(
                key,
                format!("`{}` is on a network file system ({kind})", file.path.display()),
                "foster blocks if it hangs; use a local file or `\"log\"`",
            );
        }
    }
}

/// The name of a network file system (statfs(2)).
fn network_file_system(FsType(kind): FsType) -> Option<&'static str> {
    const KINDS: [(u32, &str); 7] = [
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB"),
        (0x00c3_6400, "Ceph"),
        (0x6573_5546, "FUSE"),
        (0x0102_1997, "9P"),
        (0x5346_414f, "AFS"),
    ];
    // Signed with glibc, unsigned with musl, and a `long` where that has 64 bits.
    let kind = u32::try_from(kind).ok()?;
    KINDS.into_iter().find(|(number, _)| *number == kind).map(|(_, name)| name)
}

fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::PermissionDenied {
        return "Permission denied".to_owned();
    }
    errno::words(error).into_owned()
}

#[cfg(test)]
mod tests {
    use nix::sys::statfs;

    use super::*;

    #[test]
    fn a_network_file_system_is_named_and_a_local_one_is_not() {
        for (kind, name) in [
            (statfs::NFS_SUPER_MAGIC, "NFS"),
            (FsType(0xff53_4d42), "CIFS"),
            (FsType(0xfe53_4d42), "SMB"),
            (FsType(0x00c3_6400), "Ceph"),
            (statfs::FUSE_SUPER_MAGIC, "FUSE"),
            (FsType(0x0102_1997), "9P"),
            (statfs::AFS_SUPER_MAGIC, "AFS"),
        ] {
            assert_eq!(network_file_system(kind), Some(name));
        }
        for local in [statfs::EXT4_SUPER_MAGIC, statfs::TMPFS_MAGIC, statfs::OVERLAYFS_SUPER_MAGIC] {
            assert_eq!(network_file_system(local), None);
        }
    }
}
