//! The control groups of the programs, where foster may make them: cgroups(7), version 2.
//!
//! A process cannot leave its group by a fork, a session or the end of its parent, so the kernel has the list of what
//! belongs to a program, and ends all of it at once. `tree.rs` asks here first and finds the rest by itself: nothing
//! depends on a group, since each step may be refused (read-only, delegated in part, threaded, no version 2).
//!
//! One group for each instance, and one more for a run beside it in a rolling restart, below one directory that this foster
//! holds a lock on. A group outlives its run, because to make and remove one costs as much as a start; an update removes
//! those that are not used, and so does the next foster.
//! One in which `cgroup.kill` was used is not entered again: since Linux 6.14 a child that is cloned into a group dies at
//! once where that was killed more often than foster's own (`kill_seq` of the kernel's `cgroup_css_set_fork`). Next:
//! `groups/memory.rs`, the kernel's limit on the memory of a group.

mod memory;

pub(super) use memory::most;

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use foster_core::ids::{Exit, Run};
use foster_core::sorted::{SortedMap, SortedSet};
use nix::fcntl::OFlag;
use nix::unistd::Pid;

use memory::MemoryControl;

use super::children::Children;
use super::pid1::InitRole;
use crate::sys::cgroup::{self, OwnPlace};
use crate::sys::epoll::{Epoll, Interest, Owner, Token};
use crate::sys::{fork, process};

/// The groups of all instances.
#[derive(Debug)]
pub(super) struct Groups {
    epoll: Rc<Epoll>,
    owner: Owner,
    /// Whether orphans come to foster. Where they do not, only a group shows what an ended main process has left.
    role: InitRole,
    /// `None`: foster makes no groups.
    parent: Option<Parent>,
    /// The live runs that have a group, and its name.
    names: SortedMap<Run, String>,
    runs: SortedMap<String, Run>,
    /// The groups that this foster has made and not killed.
    fresh: SortedSet<String>,
    /// The `cgroup.events` of runs whose end only their group shows.
    watched: SortedMap<Run, File>,
}

/// What is left of a run whose main process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing.
    Nothing,
    /// This process, and others perhaps.
    Process(Pid),
    /// foster cannot look: EMFILE, ENFILE, EIO. It waits as for a process.
    Unknown,
}

/// The directory of all groups.
#[derive(Debug)]
struct Parent {
    folder: PathBuf,
    /// Its name in /proc/PID/cgroup.
    path: PathBuf,
    /// The group that it is in: foster's own at the start.
    own: PathBuf,
    /// This foster has made it, so nothing is in it.
    is_new: bool,
    /// Held as long as foster lives: what is left of an earlier one has none.
    lock: File,
    memory: MemoryControl,
}

/// How many fosters may share one group as their own.
const FOSTERS: u32 = 256;
/// The end of the name of a group that is used while another run has the group of the instance. No label has it.
const BESIDE: &str = ":2";

impl Groups {
    /// Groups below foster's own at `place`, with /sys below `root`. Changes are watched for `owner`.
    pub(super) fn open(
        root: &Path,
        place: &OwnPlace,
        role: InitRole,
        epoll: Rc<Epoll>,
        owner: Owner,
    ) -> Groups {
        let mut groups = Groups {
            epoll,
            owner,
            role,
            parent: Parent::open(root, place),
            names: SortedMap::new(),
            runs: SortedMap::new(),
            fresh: SortedSet::new(),
            watched: SortedMap::new(),
        };
        if groups.parent.as_ref().is_some_and(|parent| !parent.is_new) {
            groups.remove_unused();
        }
        groups
    }

    /// Uses no groups where a child cannot be made in one. Where foster's own was killed before foster was in it, the
    /// child is made and does not survive.
    pub(super) fn try_out(&mut self) {
        self.parent.take_if(|parent| !parent.is_usable());
    }

    /// The directory of the group for a process of this run, made where it is missing. `None`: it has none. `limit`: the
    /// most memory that the kernel lets all processes of the run have, in bytes.
    pub(super) fn enter(&mut self, run: Run, label: &str, limit: Option<u64>) -> Option<OwnedFd> {
        if !is_name(label) {
            return None;
        }
        let parent = self.parent.as_mut()?;
        let is_others = |name: &str| self.runs.get(name).is_some_and(|other| *other != run);
        let name = match self.names.get(&run) {
            Some(name) => name.clone(),
            None if is_others(label) => format!("{label}{BESIDE}"),
            None => label.to_owned(),
        };
        // A third run, beside two that have not ended.
        if is_others(&name) {
            return None;
        }
        if !self.fresh.contains(&name) {
            parent.make(&name).ok()?;
            parent.memory.forget(&name);
            self.fresh.insert(name.clone());
        }
        let folder = parent.folder.join(&name);
        let directory = directory(&folder).ok()?;
        parent.memory.limit(&folder, &name, limit);
        if !self.names.contains_key(&run) {
            parent.memory.begin(&folder, &name);
            self.names.insert(run, name.clone());
            self.runs.insert(name, run);
        }
        Some(directory)
    }

    /// A run of an earlier foster has the group that its main process is in, if it is one of these.
    pub(super) fn adopt(&mut self, run: Run, main: Pid) {
        let name = self.parent.as_ref().and_then(|parent| parent.group_of(main));
        let Some(name) = name.filter(|name| !self.runs.contains_key(name)) else { return };
        self.fresh.insert(name.clone());
        self.names.insert(run, name.clone());
        self.runs.insert(name, run);
    }

    /// Has the kernel hold programs to their limits of memory.
    ///
    /// # Errors
    /// Why it does not: a part of a sentence.
    pub(super) fn hold_memory(&mut self) -> Result<(), String> {
        let Some(parent) = &mut self.parent else { return Err("foster makes no cgroups here".into()) };
        parent.memory.hold(&parent.own, &parent.folder)
    }

    /// Another limit for a run, as for [`Groups::enter`].
    pub(super) fn limit(&mut self, run: Run, limit: Option<u64>) {
        if let (Some(parent), Some(name)) = (&mut self.parent, self.names.get(&run)) {
            parent.memory.limit(&parent.folder.join(name), name, limit);
        }
    }

    /// Whether the kernel has killed processes of a run for memory since its start, or since the last look. `None`: its
    /// group has no counter.
    pub(super) fn was_out_of_memory(&mut self, run: Run) -> Option<bool> {
        let (parent, name) = (self.parent.as_mut()?, self.names.get(&run)?);
        parent.memory.has_killed(&parent.folder.join(name), name)
    }

    /// The live run whose group this process is in. Also after it has ended, until it is reaped.
    pub(super) fn run_of(&self, pid: Pid) -> Option<Run> {
        self.runs.get(&self.parent.as_ref()?.group_of(pid)?).copied()
    }

    /// The living processes in the group of a run that foster can see (cgroups(7), `cgroup.procs`).
    pub(super) fn members(&self, run: Run) -> Vec<Pid> {
        self.list(run).unwrap_or_default()
    }

    /// The same, with the error of a look that has failed: that shows nothing.
    fn list(&self, run: Run) -> io::Result<Vec<Pid>> {
        let Some(path) = self.file(run, "cgroup.procs") else { return Ok(Vec::new()) };
        let text = match read(&path) {
            // It was removed, and only an empty one can be.
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => String::new(),
            text => text?,
        };
        let numbers = text.split_ascii_whitespace().filter_map(|line| line.parse().ok());
        // 0: a process outside foster's PID namespace.
        Ok(numbers.filter(|number| *number > 0).map(Pid::from_raw).collect())
    }

    /// What is left in the group of a run whose main process has ended, where that does not come to foster.
    pub(super) fn left(&mut self, run: Run, children: &Children) -> Left {
        if self.role != InitRole::Parent || !self.names.contains_key(&run) {
            return Left::Nothing;
        }
        // Watched and acknowledged before the look: what changes after it is reported.
        self.watch(run);
        match self.list(run) {
            Ok(list) => match list.into_iter().find(|pid| !children.contains(*pid)) {
                Some(pid) => Left::Process(pid),
                None => Left::Nothing,
            },
            Err(_) => Left::Unknown,
        }
    }

    /// Kills all of a run at once (cgroups(7), `cgroup.kill`: since Linux 5.14). Whether that was done.
    pub(super) fn kill(&mut self, run: Run) -> bool {
        let is_killed = self.file(run, "cgroup.kill").is_some_and(|path| write(&path, "1").is_ok());
        if is_killed && let Some(name) = self.names.get(&run) {
            self.fresh.remove(name);
        }
        is_killed
    }

    /// Whether a run has a group.
    pub(super) fn has(&self, run: Run) -> bool {
        self.names.contains_key(&run)
    }

    /// A run is over.
    pub(super) fn end(&mut self, run: Run) {
        if let Some(events) = self.watched.remove(&run) {
            // Closing it would do the same.
            let _ = self.epoll.remove(&events);
        }
        if let Some(name) = self.names.remove(&run)
            && self.runs.get(&name) == Some(&run)
        {
            self.runs.remove(&name);
        }
    }

    /// Removes the groups that no live run has. One that is not empty stays.
    pub(super) fn remove_unused(&mut self) {
        let Some(parent) = &self.parent else { return };
        let Ok(entries) = fs::read_dir(&parent.folder) else { return };
        // Every other entry is a file of the kernel's.
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if !self.runs.contains_key(name) {
                self.fresh.remove(name);
                // EBUSY: processes are left that nothing waits for.
                let _ = fs::remove_dir(parent.folder.join(name));
            }
        }
    }

    /// The end of foster, where its groups do not end with the container's.
    pub(super) fn close(&mut self) {
        if self.role == InitRole::Init {
            return;
        }
        self.remove_unused();
        if let Some(parent) = &mut self.parent {
            parent.memory.release(&parent.own, &parent.folder);
            let _ = fs::remove_dir(&parent.folder);
        }
    }

    fn file(&self, run: Run, name: &str) -> Option<PathBuf> {
        let (parent, group) = (self.parent.as_ref()?, self.names.get(&run)?);
        Some(parent.folder.join(group).join(name))
    }

    fn watch(&mut self, run: Run) {
        let Some(path) = self.file(run, "cgroup.events") else { return };
        if !self.watched.contains_key(&run)
            && let Ok(events) = File::open(path)
            && self.epoll.add(&events, Token { owner: self.owner, key: 0 }, Interest::Change).is_ok()
        {
            self.watched.insert(run, events);
        }
        if let Some(events) = self.watched.get(&run) {
            // Reading takes the report back. What it says is in the list, which also tells foster's own children.
            let _ = events.read_at(&mut [0; 128], 0);
        }
    }
}

impl Parent {
    fn open(root: &Path, place: &OwnPlace) -> Option<Parent> {
        let (own, path) = cgroup::own(&place.membership, &place.mounts)?;
        let own = root.join(own.strip_prefix("/").unwrap_or(&own));
        if cgroup::obstacle(|name| text(&own, name)).is_some() {
            return None;
        }
        let mut locked = (0..FOSTERS).map(|number| Parent::lock(&own, &path, number));
        locked.find_map(Result::transpose).and_then(Result::ok)
    }

    /// `None`: another foster has this directory.
    fn lock(own: &Path, path: &Path, number: u32) -> io::Result<Option<Parent>> {
        let name = if number == 0 { "foster".to_owned() } else { format!("foster.{number}") };
        let folder = own.join(&name);
        let is_new = match fs::create_dir(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            made => made.is_ok(),
        };
        let lock = File::open(&folder)?;
        match lock.try_lock() {
            // One that has just ended may have removed it.
            Ok(()) if lock.metadata()?.ino() != fs::metadata(&folder)?.ino() => Ok(None),
            Ok(()) => {
                let (path, own, memory) = (path.join(name), own.to_owned(), MemoryControl::default());
                Ok(Some(Parent { folder, path, own, is_new, lock, memory }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// The name of the group that a process is in. Also after it has ended, until it is reaped.
    fn group_of(&self, pid: Pid) -> Option<String> {
        let membership = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
        let name = cgroup::path(&membership)?.strip_prefix(&self.path).ok()?;
        name.to_str().map(str::to_owned)
    }

    fn make(&self, name: &str) -> io::Result<()> {
        let folder = self.folder.join(name);
        // ENOENT: it is new. One that cannot be removed is in use, and then it is not made either.
        let _ = fs::remove_dir(&folder);
        fs::create_dir(&folder)
    }

    /// Whether a child that is made in a new group survives. It does nothing and ends; nothing runs yet that could hold it.
    fn is_usable(&self) -> bool {
        const TRIAL: &str = "trial";
        if self.is_new {
            return survives(self.lock.as_fd());
        }
        let trial = self.make(TRIAL).and_then(|()| directory(&self.folder.join(TRIAL)));
        let is_usable = trial.is_ok_and(|trial| survives(trial.as_fd()));
        // It is empty again.
        let _ = fs::remove_dir(self.folder.join(TRIAL));
        is_usable
    }
}

fn survives(group: BorrowedFd<'_>) -> bool {
    fork::try_group(group).is_ok_and(|child| process::wait_for(child) == Some(Exit::Code(0)))
}

/// A directory as clone3(2) takes it.
fn directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = (OFlag::O_PATH | OFlag::O_DIRECTORY).bits();
    File::options().read(true).custom_flags(flags).open(path).map(OwnedFd::from)
}

/// Whether this can be the name of a group: not that of a file of the kernel's, nor of another directory.
fn is_name(label: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    label.bytes().all(is_plain) && label.starts_with(|first: char| first.is_ascii_alphanumeric())
}

fn text(folder: &Path, name: impl AsRef<OsStr>) -> Option<String> {
    fs::read_to_string(folder.join(name.as_ref())).ok().map(|text| text.trim().to_owned())
}

fn read(path: &Path) -> io::Result<String> {
    // Without asking for its size: a file of the kernel's has none.
    let mut text = String::with_capacity(1024);
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    File::options().write(true).open(path).and_then(|file| file.write_all_at(text.as_bytes(), 0))
}

#[cfg(test)]
mod tests;
