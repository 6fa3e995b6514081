//! Which process is what: the one map between the kernel's numbers and the core's runs.
//!
//! A number is in here from its spawn until it is reaped, and until then the kernel gives it to nobody else. What is
//! reaped and not in here was an orphan. Signals go through [`ChildProcess`], which is dropped when it was reaped.

use std::collections::HashMap;

use foster_core::ids::{InstanceId, Run, Signal};
use nix::unistd::Pid;

use crate::spawn::ChildProcess;

/// What a child of foster's is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The main process of a run.
    Main(Run),
    /// The `pre_stop` command of a run.
    PreStop(Run),
    /// A readiness question of a run.
    Question(Run),
    /// Nobody waits for it any more.
    Forgotten,
}

/// Who sent the KILL that may have ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KilledBy {
    /// Not foster.
    Others,
    /// foster.
    Foster,
}

#[derive(Debug)]
struct Child {
    role: Role,
    process: ChildProcess,
    killed_by: KilledBy,
}

/// The children foster has made and not reaped.
#[derive(Debug, Default)]
pub(super) struct Children {
    by_pid: HashMap<i32, Child>,
    by_role: HashMap<Role, i32>,
    /// The number each instance's main process has or had last, for messages.
    last: HashMap<InstanceId, (Run, i32)>,
}

impl std::hash::Hash for Role {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let (kind, run) = match self {
            Role::Main(run) => (0u8, Some(run)),
            Role::PreStop(run) => (1, Some(run)),
            Role::Question(run) => (2, Some(run)),
            Role::Forgotten => (3, None),
        };
        kind.hash(state);
        run.hash(state);
    }
}

impl Children {
    /// A process was made.
    pub(super) fn insert(&mut self, role: Role, process: ChildProcess) {
        let pid = process.pid().as_raw();
        if let Role::Main(run) = role {
            self.last.insert(run.instance, (run, pid));
        }
        self.by_role.insert(role, pid);
        self.by_pid.insert(pid, Child { role, process, killed_by: KilledBy::Others });
    }

    /// A process was reaped. `None`: it was none of these, but an orphan.
    pub(super) fn remove(&mut self, pid: Pid) -> Option<(Role, KilledBy)> {
        let child = self.by_pid.remove(&pid.as_raw())?;
        if self.by_role.get(&child.role) == Some(&pid.as_raw()) {
            self.by_role.remove(&child.role);
        }
        Some((child.role, child.killed_by))
    }

    /// Whether this number is one of these.
    pub(super) fn contains(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid.as_raw())
    }

    /// The number of the process with this role.
    pub(super) fn pid(&self, role: Role) -> Option<Pid> {
        self.by_role.get(&role).copied().map(Pid::from_raw)
    }

    /// The number the main process of this run has or had, as long as there was no later one.
    pub(super) fn last_pid(&self, run: Run) -> Option<i32> {
        self.last.get(&run.instance).filter(|(last, _)| *last == run).map(|(_, pid)| *pid)
    }

    /// The instance is no more: nobody will ask for its number.
    pub(super) fn forget_instance(&mut self, instance: InstanceId) {
        self.last.remove(&instance);
    }

    /// Signals one process. It may have ended and not been reaped: that is no error (ESRCH).
    pub(super) fn signal(&mut self, role: Role, signal: Signal) -> nix::Result<()> {
        let Some(child) = self.by_role.get(&role).and_then(|pid| self.by_pid.get_mut(pid)) else {
            return Ok(());
        };
        if signal == Signal::KILL {
            child.killed_by = KilledBy::Foster;
        }
        child.process.signal(signal)
    }

    /// Signals the process group that one process leads. Its number is safe: it was not reaped.
    pub(super) fn signal_group(&self, role: Role, signal: Signal) -> nix::Result<()> {
        let Some(child) = self.by_role.get(&role).and_then(|pid| self.by_pid.get(pid)) else {
            return Ok(());
        };
        match child.process.signal_group(signal) {
            Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Kills every process there is, when nothing can be relied on any more.
    pub(super) fn kill_all(&mut self) {
        for child in self.by_pid.values() {
            // It may have ended.
            let _ = child.process.signal(Signal::KILL);
        }
    }

    /// Kills a process that nobody waits for any more, with its group.
    pub(super) fn forget(&mut self, role: Role) {
        let Some(pid) = self.pid(role) else { return };
        // Nothing follows from either failing: it is reaped whenever it ends.
        let _ = self.signal_group(role, Signal::KILL);
        let _ = self.signal(role, Signal::KILL);
        self.by_role.remove(&role);
        if let Some(child) = self.by_pid.get_mut(&pid.as_raw()) {
            child.role = Role::Forgotten;
        }
    }
}
