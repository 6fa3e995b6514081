//! What is known of the processes of one run: plain data. Next: `../tree.rs`.

use foster_core::ids::{Run, Signal};
use foster_core::sorted::SortedMap;
use foster_core::spec::KillMode;
use nix::unistd::Pid;

use crate::sys::procfs::Process;

/// A child that foster did not start.
#[derive(Debug, Clone, Copy)]
pub(in crate::init) struct Adopted {
    pub(super) process: Process,
    pub(super) run: Option<Run>,
}

/// What is known of a live run.
#[derive(Debug)]
pub(in crate::init) struct Tree {
    pub(super) kill_mode: KillMode,
    /// The session that its main process leads.
    pub(super) session: Pid,
    /// Whether other sessions are known as this run's.
    pub(super) has_more_sessions: bool,
    /// When its main process was made, in the time of [`Process::started`].
    pub(super) started: u64,
    /// What all of it was sent last: what comes later gets it too.
    pub(super) sent: Option<Signal>,
    /// What got that, by number, with when it started.
    pub(super) reached: SortedMap<i32, u64>,
}

/// Processes of a run, as they were found.
#[derive(Debug, Default)]
pub(in crate::init) struct Targets {
    /// Children of foster, whose numbers are their own until foster reaps them.
    pub(super) adopted: Vec<Process>,
    /// Others.
    pub(super) descendants: Vec<Process>,
}

impl Tree {
    /// Whether a process of this run counts as part of it.
    pub(super) fn counts(&self, process: &Process) -> bool {
        match self.kill_mode {
            KillMode::Tree => true,
            KillMode::Session => process.session == self.session,
            KillMode::Process => false,
        }
    }
}
