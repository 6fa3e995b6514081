//! The path of a log file, resolved without following a symbolic link that another user may have placed.
//!
//! foster often runs as root, and a program's user often owns the folder of its logs: a link in it would make foster
//! append to, or rename, any file of root. So the path is walked component by component, and each folder is held open
//! (O_PATH, open(2)). A link is followed only if no user but root and foster's own can have created it, and never as
//! the last component, which is opened with O_NOFOLLOW. Rotation walks the same way.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, Metadata};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};
use nix::unistd::{getegid, geteuid};

use crate::errno;

/// The kernel's limit (path_resolution(7)).
const LINKS: usize = 40;

/// Why a log file cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileError {
    /// A system call failed.
    System(Errno),
    /// The path has a symbolic link in a folder that another user can write to.
    UntrustedLink,
    /// The file has a second hard link, and another user can write to its folder.
    UntrustedHardLink,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::System(errno) => f.write_str(&errno::text(*errno)),
            FileError::UntrustedLink => f.write_str(
                "a symbolic link in a folder that another user can write to is not followed; name the real path",
            ),
            FileError::UntrustedHardLink => {
                f.write_str("the file has a second hard link, and another user can write to its folder")
            }
        }
    }
}

impl From<Errno> for FileError {
    fn from(errno: Errno) -> FileError {
        FileError::System(errno)
    }
}

/// A name in a folder that is held open.
#[derive(Debug)]
pub struct LogPath {
    folder: OwnedFd,
    name: OsString,
    trust: Trust,
    /// Whether it is an entry of /proc for an open file: only the kernel can follow it.
    is_magic: bool,
}

/// The users that can have created an entry of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Only root and foster's own user.
    Own,
    /// Any user, but each can replace only its own entries (the sticky bit, inode(7)).
    Sticky,
    /// Another user, which can also replace entries.
    Others,
}

impl LogPath {
    /// Walks to the folder of this path. The file itself need not exist.
    ///
    /// # Errors
    /// A link that is not followed; ENOENT, ENOTDIR, EACCES, ELOOP as in path_resolution(7).
    pub fn resolve(path: &Path) -> Result<LogPath, FileError> {
        let mut folder = start(path)?;
        let mut pending = components(path);
        let mut links = 0;
        while let Some(name) = pending.pop() {
            let is_last = pending.is_empty();
            let found = match fstatat(&folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) {
                Err(Errno::ENOENT) if is_last => return LogPath::new(folder, name, false),
                found => found?,
            };
            if !is(&found, SFlag::S_IFLNK) {
                if is_last {
                    return LogPath::new(folder, name, false);
                }
                folder = openat(&folder, name.as_os_str(), FOLDER | OFlag::O_NOFOLLOW, Mode::empty())?;
                continue;
            }
            links += 1;
            if links > LINKS {
                return Err(Errno::ELOOP.into());
            }
            if fstatfs(&folder)?.filesystem_type() == PROC_SUPER_MAGIC {
                if is_last {
                    return LogPath::new(folder, name, true);
                }
                folder = openat(&folder, name.as_os_str(), FOLDER, Mode::empty())?;
                continue;
            }
            if !may_follow(&fstat(&folder)?, &found) {
                return Err(FileError::UntrustedLink);
            }
            let target = PathBuf::from(readlinkat(&folder, name.as_os_str())?);
            if target.is_absolute() {
                folder = start(&target)?;
            }
            pending.extend(components(&target));
        }
        Err(Errno::EISDIR.into())
    }

    fn new(folder: OwnedFd, name: OsString, is_magic: bool) -> Result<LogPath, FileError> {
        let trust = trust(&fstat(&folder)?);
        Ok(LogPath { folder, name, trust, is_magic })
    }

    /// Opens or creates the file for appending. A FIFO is opened for reading as well: then open(2) does not wait for a
    /// reader, and the FIFO survives each of its readers (fifo(7)).
    ///
    /// # Errors
    /// open(2).
    pub fn open(&self) -> Result<(File, Metadata), FileError> {
        let follow = if self.is_magic { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let is_fifo = self.stat().is_ok_and(|found| is(&found, SFlag::S_IFIFO));
        let access = if is_fifo { OFlag::O_RDWR } else { OFlag::O_WRONLY | OFlag::O_CREAT };
        let flags =
            access | follow | OFlag::O_APPEND | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let opened = match openat(&self.folder, self.name.as_os_str(), flags, Mode::from_bits_truncate(0o644))
        {
            Err(Errno::ELOOP) => return Err(FileError::UntrustedLink),
            opened => opened?,
        };
        let found = fstat(&opened)?;
        let (links, folder) = (found.st_nlink, fstat(&self.folder)?);
        if self.trust != Trust::Own
            && is(&found, SFlag::S_IFREG)
            && links > 1
            && found.st_uid != folder.st_uid
        {
            return Err(FileError::UntrustedHardLink);
        }
        let file = File::from(opened);
        let metadata = file.metadata().map_err(|error| errno::of(&error))?;
        Ok((file, metadata))
    }

    /// The status of the file.
    ///
    /// # Errors
    /// ENOENT and others of fstatat(2).
    pub fn stat(&self) -> nix::Result<FileStat> {
        let flags = if self.is_magic { AtFlags::empty() } else { AtFlags::AT_SYMLINK_NOFOLLOW };
        fstatat(&self.folder, self.name.as_os_str(), flags)
    }

    /// Whether no rotated file has this number.
    pub fn is_free(&self, number: u32) -> bool {
        let name = self.numbered(number);
        fstatat(&self.folder, name.as_os_str(), AtFlags::AT_SYMLINK_NOFOLLOW) == Err(Errno::ENOENT)
    }

    /// Renames the file with this number (0: the file itself) to the next number.
    ///
    /// # Errors
    /// rename(2).
    pub fn shift(&self, number: u32) -> nix::Result<()> {
        let folder = self.folder.as_fd();
        renameat(folder, self.numbered(number).as_os_str(), folder, self.numbered(number + 1).as_os_str())
    }

    fn numbered(&self, number: u32) -> OsString {
        let mut name = self.name.clone();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name
    }
}

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

fn start(path: &Path) -> nix::Result<OwnedFd> {
    open(if path.is_absolute() { "/" } else { "." }, FOLDER, Mode::empty())
}

/// The components of a path, in reverse order.
fn components(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        Component::ParentDir => Some(OsStr::from_bytes(b"..")),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<OsString> = names.map(OsStr::to_owned).collect();
    names.reverse();
    names
}

fn may_follow(folder: &FileStat, link: &FileStat) -> bool {
    match trust(folder) {
        Trust::Own => true,
        Trust::Sticky => is_own(link.st_uid),
        Trust::Others => false,
    }
}

fn trust(folder: &FileStat) -> Trust {
    let allows = |bits: Mode| folder.st_mode & bits.bits() != 0;
    let group = folder.st_gid != 0 && folder.st_gid != getegid().as_raw();
    let is_writable = allows(Mode::S_IWOTH) || allows(Mode::S_IWGRP) && group;
    match (is_own(folder.st_uid), is_writable) {
        (true, false) => Trust::Own,
        (true, true) if allows(Mode::S_ISVTX) => Trust::Sticky,
        (_, _) => Trust::Others,
    }
}

fn is_own(user: libc::uid_t) -> bool {
    user == 0 || user == geteuid().as_raw()
}

fn is(stat: &FileStat, kind: SFlag) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn write_mode(folder: &Path, mode: u32) {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn open_at(path: &Path) -> Result<(), FileError> {
        LogPath::resolve(path)?.open().map(drop)
    }

    #[test]
    fn a_link_is_followed_only_if_no_other_user_can_have_created_it() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().join("real");
        let logs = folder.path().join("logs");
        std::fs::create_dir(&logs).unwrap();
        symlink(&real, logs.join("log")).unwrap();
        symlink("log", logs.join("again")).unwrap();
        for (mode, is_followed) in [(0o755, true), (0o1777, true), (0o777, false), (0o757, false)] {
            write_mode(&logs, mode);
            for name in ["log", "again"] {
                let expected = if is_followed { Ok(()) } else { Err(FileError::UntrustedLink) };
                assert_eq!(open_at(&logs.join(name)), expected, "{mode:o} {name}");
            }
            assert_eq!(open_at(&logs.join("plain")), Ok(()));
        }
    }

    #[test]
    fn a_link_to_a_folder_counts_like_one_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (real, data) = (folder.path().join("real"), folder.path().join("data"));
        std::fs::create_dir(&real).unwrap();
        std::fs::create_dir(&data).unwrap();
        symlink("../real", data.join("logs")).unwrap();
        assert_eq!(open_at(&data.join("logs/log")), Ok(()));
        write_mode(&data, 0o777);
        assert_eq!(open_at(&data.join("logs/log")), Err(FileError::UntrustedLink));
        assert_eq!(open_at(&data.join("../real/./log")), Ok(()));
    }

    #[test]
    fn a_link_to_itself_and_a_folder_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loop");
        symlink(&path, &path).unwrap();
        assert_eq!(open_at(&path), Err(FileError::System(Errno::ELOOP)));
        assert_eq!(open_at(folder.path()), Err(FileError::System(Errno::EISDIR)));
        assert_eq!(open_at(Path::new("/")), Err(FileError::System(Errno::EISDIR)));
        assert_eq!(open_at(&folder.path().join("no/log")), Err(FileError::System(Errno::ENOENT)));
    }

    #[test]
    fn an_entry_of_proc_for_an_open_file_is_followed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file.as_file()));
        assert_eq!(open_at(Path::new(&path)), Ok(()));
    }
}
