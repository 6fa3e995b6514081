//! The processes of the programs.
//!
//! The parts that know something about processes, and what takes several of them. Next: `children.rs`, `tree.rs`.

use std::rc::Rc;

use foster_core::ids::{Run, Signal};
use foster_core::program_map::ProgramMap;
use foster_core::spec::KillMode;
use nix::unistd::Pid;

use super::children::{Children, Role};
use super::pid1::InitRole;
use super::sweep::Sweep;
use super::tree::Trees;
use crate::notify::inbound::{Inbound, Stranger};
use crate::oom::OomCounter;
use crate::plan::Plan;
use crate::sockets::Sockets;
use crate::spawn::Spawner;
use crate::sys::fork::ChildProcess;
use crate::sys::process;
use crate::sys::procfs;

/// The state of all processes.
#[derive(Debug)]
pub(super) struct Processes {
    pub(super) spawner: Spawner,
    pub(super) children: Children,
    /// The plan with the definition before, of the programs that are restarted to another one instance by instance.
    pub(super) formers: ProgramMap<Rc<Plan>>,
    pub(super) trees: Trees,
    pub(super) sweep: Sweep,
    pub(super) oom: OomCounter,
    pub(super) sockets: Sockets,
    /// What programs report about themselves.
    pub(super) inbound: Inbound,
}

/// Where one of so many children is concerned, looking at all processes costs less than looking at each.
const MANY: usize = 8;
/// How many generations a process is looked for below a main process.
const GENERATIONS: u32 = 32;

impl Processes {
    /// The role of a run's process: its program, or `pre_start` until the program has been started.
    pub(super) fn role(&self, run: Run) -> Role {
        match self.children.pid(Role::PreStart(run)) {
            Some(_) => Role::PreStart(run),
            None => Role::Main(run),
        }
    }

    /// The run that a process belongs to for certain: it is its main process, or descends from that. One that has lost a
    /// parent on the way is foster's child now, and could be another program's.
    pub(super) fn run_of(&self, pid: Option<Pid>) -> Result<Run, Stranger> {
        let (mut pid, own) = (pid.ok_or(Stranger::Outside)?, Pid::this());
        for _ in 0..GENERATIONS {
            match self.children.role(pid) {
                Some(Role::Main(run)) if self.inbound.is_registered(run) => return Ok(run),
                Some(_) => return Err(Stranger::Unrelated),
                None if pid == own => return Err(Stranger::Unrelated),
                None => {}
            }
            let seen = procfs::process(pid).ok().flatten().ok_or(Stranger::Ended)?;
            pid = seen.parent;
        }
        Err(Stranger::Unrelated)
    }

    /// Replaces the main process of a run, which has ended, by the one that the run has named: it must be alive, and have
    /// come to foster. Returns its pid.
    pub(super) fn succeed(&mut self, run: Run, ended: ChildProcess) -> Option<Pid> {
        let named = self.inbound.successor(run)?;
        self.inbound.set_successor(run, None);
        let pid = self.trees.promote(run, &named)?;
        self.children.insert_process(Role::Main(run), ended.succeeded_by(pid));
        Some(pid)
    }

    /// Whether the main process of a run is a zombie.
    pub(super) fn has_ended(&self, run: Run) -> bool {
        self.children.pid(Role::Main(run)).is_some_and(process::has_ended)
    }

    /// Signals every process of a run.
    ///
    /// # Errors
    /// EPERM if they run as another user and CAP_KILL is missing.
    pub(super) fn signal_all(&mut self, run: Run, mode: KillMode, signal: Signal) -> nix::Result<()> {
        let role = self.role(run);
        self.trees.set_kill_mode(run, mode);
        // Found before the signal, because after the exit of the main process foster has adopted its children.
        let targets = self.trees.find(run, self.children.pid(role), &self.children);
        let is_killed = signal == Signal::KILL && self.trees.kill_group(run);
        // The main process first, so that its exit is attributed to foster.
        let main = self.children.signal(role, signal);
        let others = self.trees.signal(run, &targets, signal);
        // Who may kill by the group needs no right to signal.
        if is_killed { Ok(()) } else { main.and(others) }
    }

    /// Records the sessions of the main processes' descendants before they get a stop signal.
    pub(super) fn prepare_stops(&mut self, runs: &[Run]) {
        // A group knows it without.
        let runs: Vec<Run> = runs.iter().copied().filter(|run| !self.trees.groups.has(*run)).collect();
        if self.are_most(runs.len()) && self.trees.note_all_sessions(&self.children) {
            return;
        }
        for run in runs {
            if let Some(main) = self.children.pid(self.role(run)) {
                self.trees.note_sessions(run, main);
            }
        }
    }

    /// Where the processes of a run begin: its main process, and what was adopted of it.
    pub(super) fn roots(&self, run: Run) -> impl Iterator<Item = Pid> + '_ {
        self.children.pid(Role::Main(run)).into_iter().chain(self.trees.adopted_of(run))
    }

    /// Whether so many of foster's children are concerned that one look at all processes costs less than one at each.
    pub(super) fn are_most(&self, count: usize) -> bool {
        // Under another init there may be any number of processes that are not foster's.
        let is_init = self.sweep.role() == InitRole::Init;
        is_init && count > 1 && count.saturating_mul(MANY) >= self.children.count()
    }

    /// Forgets a run.
    pub(super) fn forget_run(&mut self, run: Run) {
        self.trees.end(run);
        self.children.detach(Role::Taker(run));
        self.children.forget_run(run);
        self.inbound.forget(run);
    }

    /// Kills all processes of all runs.
    pub(super) fn kill_all(&mut self) {
        if self.sweep.role() == InitRole::Init && process::kill_all(Signal::KILL).is_ok() {
            return self.children.mark_all_killed();
        }
        let with_main = |run| (run, self.children.pid(Role::Main(run)));
        let runs: Vec<_> = self.children.runs().map(with_main).collect();
        self.trees.kill(&runs, &self.children);
        self.children.kill_all();
    }
}
