//! `memory_max` as a limit of the kernel: `memory.max` and `memory.oom.group` of a program's group.
//!
//! The limit is above `memory_max`, so that foster sees a program that grows and restarts it gracefully
//! (`memory_limit.rs`). Only one that grows faster than foster looks reaches it: the kernel then kills all processes of the
//! group, and counts that in `memory.events`.
//!
//! A group has the files of memory only if each group above it passes the controller on, and a group that does may have no
//! processes (cgroups(7), "no internal processes"): foster moves into a group beside those of the programs. It moves no
//! other process, so it stays where it is if there is one. Each step may be refused; foster's own look at the memory remains.

use std::fs;
use std::io;
use std::path::Path;

use foster_core::sorted::SortedMap;
use nix::errno::Errno;
use nix::unistd;

use super::{read, text, write};
use crate::errno;
use crate::oom::oom_kills;
use crate::sys::cgroup::SUPERVISOR;

/// The limits that the kernel holds programs to.
#[derive(Debug, Default)]
pub(super) struct MemoryControl {
    control: Control,
    /// The limit of each group that was written to it.
    limits: SortedMap<String, Option<u64>>,
    /// How many processes the kernel had killed in each group at the last look.
    kills: SortedMap<String, u64>,
}

/// Whether groups have the files of memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Control {
    /// They have not.
    #[default]
    Off,
    /// They have. Foster's own group had passed the controller on before, or is the root, which may have processes.
    On,
    /// They have, and foster has left its own group.
    Moved,
}

const CONTROLLER: &str = "memory";
const PASSED_ON: &str = "cgroup.subtree_control";
/// A process is moved by its number. 0: the one that writes.
const PROCESSES: &str = "cgroup.procs";

/// How much more than `memory_max` the kernel allows: a quarter.
const MARGIN: u64 = 4;

impl MemoryControl {
    /// Passes the controller on from `own` to the groups in `folder`.
    pub(super) fn hold(&mut self, own: &Path, folder: &Path) -> Result<(), String> {
        if self.control != Control::Off {
            return Ok(());
        }
        let controllers = text(own, "cgroup.controllers").unwrap_or_default();
        if !controllers.split_ascii_whitespace().any(|name| name == CONTROLLER) {
            return Err(format!("{} does not have the memory controller", own.display()));
        }
        let refused = |error: io::Error| {
            format!("{} cannot pass the memory controller on: {}", own.display(), errno::words(&error))
        };
        let control = match pass_on(own) {
            Ok(()) => Control::On,
            Err(error) if error.raw_os_error() == Some(Errno::EBUSY as i32) => {
                if !is_alone(own) {
                    return Err(format!("other processes are in {}", own.display()));
                }
                let moved = move_to(&folder.join(SUPERVISOR));
                moved.and_then(|()| pass_on(own)).map_err(|error| {
                    leave(own, folder);
                    refused(error)
                })?;
                Control::Moved
            }
            Err(error) => return Err(refused(error)),
        };
        self.control = control;
        pass_on(folder).map_err(|error| {
            self.release(own, folder);
            refused(error)
        })
    }

    /// Undoes that. Foster's groups are removed afterwards.
    pub(super) fn release(&mut self, own: &Path, folder: &Path) {
        if self.control == Control::Moved {
            // In this order: a process cannot enter a group that passes a controller on.
            let _ = write(&folder.join(PASSED_ON), "-memory")
                .and_then(|()| write(&own.join(PASSED_ON), "-memory"));
            leave(own, folder);
        }
        self.control = Control::Off;
    }

    /// Sets the limit of a group, in bytes.
    pub(super) fn limit(&mut self, group: &Path, name: &str, limit: Option<u64>) {
        let known = self.limits.get(name).copied().flatten();
        if self.control == Control::Off || known == limit {
            return;
        }
        let most = limit.map_or("max".to_owned(), |limit| most(limit).to_string());
        let together = if limit.is_some() { "1" } else { "0" };
        // Without a limit nothing needs to be killed together. A limit that is refused is only looked at.
        let written = fs::write(group.join("memory.max"), most)
            .and_then(|()| fs::write(group.join("memory.oom.group"), together));
        match written {
            Ok(()) => drop(self.limits.insert(name.to_owned(), limit)),
            Err(error) => log::debug!("{}: no limit of memory: {}", group.display(), errno::words(&error)),
        }
    }

    /// A run begins in this group.
    pub(super) fn begin(&mut self, group: &Path, name: &str) {
        let _ = self.has_killed(group, name);
    }

    /// Whether the kernel has killed processes of the group since the last look.
    pub(super) fn has_killed(&mut self, group: &Path, name: &str) -> Option<bool> {
        if self.control == Control::Off {
            return None;
        }
        let count = oom_kills(read(&group.join("memory.events")).ok()?.as_bytes())?;
        let before = self.kills.insert(name.to_owned(), count);
        Some(count > before.unwrap_or(0))
    }

    /// The group was removed.
    pub(super) fn forget(&mut self, name: &str) {
        self.limits.remove(name);
        self.kills.remove(name);
    }
}

/// The limit of the kernel for this `memory_max`.
pub(in crate::init) fn most(memory_max: u64) -> u64 {
    memory_max.saturating_add(memory_max / MARGIN)
}

fn pass_on(group: &Path) -> io::Result<()> {
    write(&group.join(PASSED_ON), "+memory")
}

/// Whether foster is the only process in its group. 0: a process outside of foster's PID namespace.
fn is_alone(own: &Path) -> bool {
    let members = read(&own.join(PROCESSES)).unwrap_or_default();
    members.split_ascii_whitespace().all(|pid| pid == unistd::getpid().to_string())
}

fn move_to(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    write(&group.join(PROCESSES), "0")
}

/// Returns to foster's own group.
fn leave(own: &Path, folder: &Path) {
    let _ = write(&own.join(PROCESSES), "0");
    let _ = fs::remove_dir(folder.join(SUPERVISOR));
}
