//! Process trees: the processes of each run, also after the exit of its main process.
//!
//! All processes of a run descend from its main process, and foster adopts every process that loses its parent, as an init
//! or a subreaper. So the remaining processes of a run are the adopted ones and their descendants: the tree is empty when
//! the last adopted one is reaped. An adopted process is a child of foster: its pid is not reused until it is reaped, so
//! foster needs neither a descriptor nor /proc to signal it or to notice its exit.
//!
//! foster lists its children when a process of a run has exited and while a run is being stopped, and not while no process
//! exits. The run of a new child is determined once: by its control group, if it has one, by its session, otherwise by the
//! process that has just exited. Next: `groups.rs`; `reap.rs`, which calls it, and `sweep.rs`, for processes without a run.

mod run_tree;

use std::iter;

use foster_core::ids::{InstanceId, Run, Signal};
use foster_core::sorted::{SortedMap, SortedSet};
use foster_core::spec::KillMode;
use log::warn;
use nix::unistd::Pid;

use super::children::{Children, Role};
use super::groups::{Groups, Left};
use super::proc_reader::ProcReader;
use crate::errno;
use crate::sys::process;
use crate::sys::procfs::{self, Life, Process};
use run_tree::{Adopted, Targets, Tree};

/// The processes of all runs that foster did not start itself.
#[derive(Debug)]
pub(super) struct Trees {
    proc: ProcReader,
    pub(super) groups: Groups,
    /// The known children that foster did not start and has not reaped.
    adopted: SortedMap<i32, Adopted>,
    /// Boxed, because a removal moves the entries after it.
    trees: SortedMap<Run, Box<Tree>>,
    /// The run of each session.
    sessions: SortedMap<i32, Run>,
    /// The runs whose main process has exited and of which other processes are left.
    draining: SortedSet<Run>,
    /// The instances whose last run went into the background and was reported.
    in_background: SortedSet<InstanceId>,
}

/// The most rounds of reaping and listing children in one turn, for processes that fork and exit.
pub(super) const ROUNDS: u32 = 64;

impl Trees {
    /// No runs.
    pub(super) fn new(groups: Groups) -> Trees {
        Trees {
            proc: ProcReader::open(),
            groups,
            adopted: SortedMap::new(),
            trees: SortedMap::new(),
            sessions: SortedMap::new(),
            draining: SortedSet::new(),
            in_background: SortedSet::new(),
        }
    }

    /// Adds a process that leads a session of this run.
    pub(super) fn begin(&mut self, run: Run, leader: Pid, kill_mode: KillMode) {
        match self.trees.get_mut(&run) {
            // The program after `pre_start` belongs to the same run.
            Some(tree) => {
                tree.session = leader;
                tree.has_more_sessions = true;
            }
            None => {
                let (started, reached) = (procfs::now(), SortedMap::new());
                let tree = Tree {
                    kill_mode,
                    session: leader,
                    has_more_sessions: false,
                    started,
                    sent: None,
                    reached,
                };
                self.trees.insert(run, Box::new(tree));
            }
        }
        self.sessions.insert(leader.as_raw(), run);
    }

    /// Adds a process of an earlier foster that leads a session of this run.
    pub(super) fn adopt(&mut self, run: Run, leader: Pid, kill_mode: KillMode) {
        self.groups.adopt(run, leader);
        self.begin(run, leader, kill_mode);
        if let (Some(tree), Ok(Some(process))) = (self.trees.get_mut(&run), procfs::process(leader)) {
            tree.started = process.started;
        }
    }

    /// Adds a run of an earlier foster whose main process has ended: what it has left is known by the session that this led.
    pub(super) fn adopt_leftovers(&mut self, run: Run, leader: Pid, kill_mode: KillMode) {
        self.begin(run, leader, kill_mode);
        self.draining.insert(run);
        if let Some(tree) = self.trees.get_mut(&run) {
            tree.started = 0;
        }
    }

    /// Changes the `kill_mode` of a run.
    pub(super) fn set_kill_mode(&mut self, run: Run, kill_mode: KillMode) {
        if let Some(tree) = self.trees.get_mut(&run) {
            tree.kill_mode = kill_mode;
        }
    }

    /// Forgets a run.
    pub(super) fn end(&mut self, run: Run) {
        self.draining.remove(&run);
        self.groups.end(run);
        let Some(tree) = self.trees.remove(&run) else { return };
        self.sessions.remove(&tree.session.as_raw());
        if tree.has_more_sessions {
            self.sessions.retain(|_, of| *of != run);
        }
        for adopted in self.adopted.values_mut().filter(|adopted| adopted.run == Some(run)) {
            adopted.run = None;
        }
    }

    /// Removes a reaped process that foster did not start; returns its run, if known.
    pub(super) fn reaped(&mut self, pid: Pid) -> Option<Run> {
        self.adopted.remove(&pid.as_raw())?.run
    }

    /// Whether a run waits for adopted processes: then each orphan is examined.
    pub(super) fn is_waiting(&self) -> bool {
        !self.draining.is_empty()
    }

    /// Examines new children after processes of these runs have exited. Returns whether one of them has exited as well:
    /// then it must be reaped, and its children must be examined.
    pub(super) fn look(&mut self, children: &Children, ended: &SortedSet<Run>) -> bool {
        let mut has_ended = false;
        for pid in self.proc.own_children() {
            if children.contains(pid) || self.adopted.contains_key(&pid.as_raw()) {
                continue;
            }
            let process = self.proc.see(pid);
            let run = self.run_of(&process, ended, children);
            has_ended |= process.life == Life::Zombie;
            self.adopted.insert(pid.as_raw(), Adopted { process, run });
            if let Some(run) = run {
                self.arrived(run, &process);
            }
        }
        has_ended
    }

    /// Makes an adopted process of a run its main process, if it is alive; returns its pid.
    pub(super) fn promote(&mut self, run: Run, named: &Process) -> Option<Pid> {
        let number = named.pid.as_raw();
        let adopted = self.adopted.get(&number).filter(|adopted| adopted.run == Some(run))?;
        let process = adopted.process;
        if process.started != named.started || process::has_ended(process.pid) {
            return None;
        }
        self.adopted.remove(&number);
        let tree = self.trees.get_mut(&run)?;
        tree.session = process.session;
        tree.has_more_sessions = true;
        Some(process.pid)
    }

    /// Handles the exit of a run's main process; returns what is left. The run waits for that.
    pub(super) fn left_by(&mut self, run: Run, children: &Children) -> Left {
        let first = self.members(run).next().map(|process| Left::Process(process.pid));
        let left = first.unwrap_or_else(|| self.left_in_group(run, children));
        if left != Left::Nothing {
            self.draining.insert(run);
        }
        left
    }

    /// Records whether the ended run of this instance went into the background; returns whether that is new.
    pub(super) fn note_background(&mut self, instance: InstanceId, is_in_background: bool) -> bool {
        match is_in_background {
            true => self.in_background.insert(instance),
            false => {
                self.in_background.remove(&instance);
                false
            }
        }
    }

    /// Whether the last run of this instance went into the background.
    pub(super) fn is_in_background(&self, instance: InstanceId) -> bool {
        self.in_background.contains(&instance)
    }

    /// Returns the runs of which no process is left.
    pub(super) fn take_emptied(&mut self, children: &Children) -> Vec<Run> {
        let is_empty = |run: &Run| self.members(*run).next().is_none();
        let mut emptied: Vec<Run> = self.draining.iter().copied().filter(is_empty).collect();
        emptied.retain(|run| self.left_in_group(*run, children) == Left::Nothing);
        for run in &emptied {
            self.end(*run);
        }
        emptied
    }

    /// Records the sessions that descendants of this main process lead, so that their orphans are assigned to this run.
    pub(super) fn note_sessions(&mut self, run: Run, main: Pid) {
        if self.is_tree(run) && procfs::has_children(main) {
            for process in self.proc.below(main) {
                self.note_session(run, &process);
            }
        }
    }

    /// The same for all runs, by one look at every process. For each file of /proc/PID that is looked at, the kernel keeps
    /// memory that it has to free when that process ends; here none is that of a main process. Whether it succeeded.
    pub(super) fn note_all_sessions(&mut self, children: &Children) -> bool {
        if !procfs::shows_own_namespace() {
            return false;
        }
        let Ok(others) = procfs::others(|pid| children.contains(pid)) else { return false };
        let parents: SortedMap<Pid, Pid> =
            others.iter().map(|process| (process.pid, process.parent)).collect();
        for process in &others {
            // As many at most as there are: a number may have changed hands meanwhile, which can make a circle.
            let ancestors = iter::successors(Some(process.parent), |pid| parents.get(pid).copied());
            let run = ancestors.take(others.len()).find_map(|pid| children.main_run(pid));
            if let Some(run) = run.filter(|run| self.is_tree(*run)) {
                self.note_session(run, process);
            }
        }
        true
    }

    /// Finds the processes of a run except its main process, which is `main` if it is not reaped.
    pub(super) fn find(&mut self, run: Run, main: Option<Pid>, children: &Children) -> Targets {
        if self.trees.get(&run).is_some_and(|tree| tree.kill_mode == KillMode::Session) {
            self.look_again(run);
        }
        let adopted: Vec<Process> = self.members(run).collect();
        let mut descendants = Vec::new();
        for root in main.into_iter().chain(adopted.iter().map(|process| process.pid)) {
            descendants.extend(self.proc.below(root));
        }
        self.add_group(run, children, &adopted, &mut descendants);
        let Some(tree) = self.trees.get(&run) else { return Targets::default() };
        match tree.kill_mode {
            KillMode::Tree => {}
            KillMode::Session => descendants.retain(|process| process.session == tree.session),
            KillMode::Process => descendants.clear(),
        }
        for process in &descendants {
            self.note_session(run, process);
        }
        Targets { adopted, descendants }
    }

    /// Signals the processes that were found. Processes that are found later get the same signal.
    ///
    /// # Errors
    /// EPERM if none of them may be signalled; with KILL, if one may not.
    pub(super) fn signal(&mut self, run: Run, targets: &Targets, signal: Signal) -> nix::Result<()> {
        if let Some(tree) = self.trees.get_mut(&run)
            && tree.sent != Some(signal)
        {
            tree.sent = Some(signal);
            tree.reached = SortedMap::new();
        }
        if signal == Signal::KILL {
            self.kill_groups(run, &targets.adopted);
        }
        let mut reached = 0u32;
        let mut refused = None;
        let adopted = targets.adopted.iter().map(|process| (process, true));
        for (process, is_child) in adopted.chain(targets.descendants.iter().map(|process| (process, false))) {
            match self.send(run, process, is_child, signal) {
                Ok(()) => reached += 1,
                Err(errno) => refused = Some(errno),
            }
        }
        match refused {
            Some(errno) if reached == 0 || signal == Signal::KILL => Err(errno),
            Some(_) | None => Ok(()),
        }
    }

    /// Kills all of a run by its group, where its group is all of it. Whether that was done.
    pub(super) fn kill_group(&mut self, run: Run) -> bool {
        self.is_tree(run) && self.groups.kill(run)
    }

    /// Kills all processes of these runs, if foster is not the init of their namespace.
    pub(super) fn kill(&mut self, runs: &[(Run, Option<Pid>)], children: &Children) {
        for (run, main) in runs {
            let targets = self.find(*run, *main, children);
            self.kill_group(*run);
            if let Some(main) = main {
                // ESRCH: it does not lead a group yet.
                let _ = process::signal_group(*main, Signal::KILL);
            }
            // EPERM is reported by the sweep.
            let _ = self.signal(*run, &targets, Signal::KILL);
        }
    }

    /// What was adopted of a run.
    pub(super) fn adopted_of(&self, run: Run) -> impl Iterator<Item = Pid> + '_ {
        self.members(run).map(|process| process.pid)
    }

    /// The children that foster did not start.
    pub(super) fn adopted(&mut self, children: &Children) -> Vec<Pid> {
        self.proc.own_children().into_iter().filter(|pid| !children.contains(*pid)).collect()
    }

    /// The adopted processes that belong to a run according to its `kill_mode`.
    fn members(&self, run: Run) -> impl Iterator<Item = Process> + '_ {
        let tree = self.trees.get(&run);
        self.adopted
            .values()
            .filter(move |adopted| adopted.run == Some(run))
            .map(|adopted| adopted.process)
            .filter(move |process| tree.is_some_and(|tree| tree.counts(process)))
    }

    /// What is left in the group of a run and does not come to foster.
    fn left_in_group(&mut self, run: Run, children: &Children) -> Left {
        if self.is_tree(run) { self.groups.left(run, children) } else { Left::Nothing }
    }

    /// Adds what only the group of a run shows.
    fn add_group(
        &mut self,
        run: Run,
        children: &Children,
        adopted: &[Process],
        descendants: &mut Vec<Process>,
    ) {
        let found = adopted.iter().chain(descendants.iter()).map(|process| process.pid);
        let found: SortedSet<Pid> = found.collect();
        let members = self.groups.members(run).into_iter();
        for pid in members.filter(|pid| !found.contains(pid) && !children.contains(*pid)) {
            // One that has ended since is reaped, or seen by its parent.
            let process = procfs::process(pid).ok().flatten().filter(|process| process.life == Life::Alive);
            descendants.extend(process);
        }
    }

    /// Determines the run of a child that foster did not start.
    fn run_of(&mut self, process: &Process, ended: &SortedSet<Run>, children: &Children) -> Option<Run> {
        if let Some(run) = self.groups.run_of(process.pid) {
            return Some(run);
        }
        if let Some(run) = self.sessions.get(&process.session.as_raw()) {
            return Some(*run);
        }
        // A process is not older than its ancestors; two hundredths are tolerated, because both times are rounded.
        let started = process.started.saturating_add(2);
        let is_older = |run: &&Run| self.trees.get(run).is_some_and(|tree| tree.started <= started);
        let mut parents = ended.iter().filter(is_older);
        let run = *parents.next()?;
        // Where several have ended, it is stopped with one of them if it is stopped with each.
        let is_over = |run: &Run| self.is_tree(*run) && children.pid(Role::Main(*run)).is_none();
        if parents.clone().next().is_some() && !(is_over(&run) && parents.all(is_over)) {
            return None;
        }
        self.note_session(run, process);
        Some(run)
    }

    /// Examines the adopted processes of a run again, because a process may have changed its session.
    fn look_again(&mut self, run: Run) {
        let of_run = |(pid, adopted): (&i32, &Adopted)| (adopted.run == Some(run)).then_some(*pid);
        for number in self.adopted.iter().filter_map(of_run).collect::<Vec<i32>>() {
            let process = self.proc.see(Pid::from_raw(number));
            if let Some(adopted) = self.adopted.get_mut(&number) {
                adopted.process = process;
            }
        }
    }

    fn is_tree(&self, run: Run) -> bool {
        self.trees.get(&run).is_some_and(|tree| tree.kill_mode == KillMode::Tree)
    }

    fn note_session(&mut self, run: Run, process: &Process) {
        // 0: the session's leader is outside of foster's PID namespace.
        let session = process.session.as_raw();
        if session > 0 && !self.sessions.contains_key(&session) {
            self.sessions.insert(session, run);
            if let Some(tree) = self.trees.get_mut(&run) {
                tree.has_more_sessions = true;
            }
        }
    }

    /// Sends the last signal of a run's tree to a process that was found later.
    fn arrived(&mut self, run: Run, process: &Process) {
        let Some(tree) = self.trees.get(&run) else { return };
        let Some(signal) = tree.sent.filter(|_| tree.counts(process)) else { return };
        if signal == Signal::KILL {
            self.kill_groups(run, &[*process]);
        }
        if let Err(errno) = self.send(run, process, true, signal) {
            warn!("cannot send {signal} to {}: {}", named(process.pid), errno::text(errno));
        }
    }

    /// Kills whole process groups, so that processes that fork and exit cannot escape. Only groups in sessions of the run,
    /// which contain no other process.
    fn kill_groups(&self, run: Run, adopted: &[Process]) {
        let is_own = |process: &&Process| self.sessions.get(&process.session.as_raw()) == Some(&run);
        let groups: SortedSet<Pid> = adopted.iter().filter(is_own).map(|process| process.group).collect();
        for group in groups.iter() {
            // EPERM is returned again for each process.
            let _ = process::signal_group(*group, Signal::KILL);
        }
    }

    /// Signals one process, but not twice with the same signal: many servers take a second TERM as "stop at once".
    fn send(&mut self, run: Run, process: &Process, is_child: bool, signal: Signal) -> nix::Result<()> {
        let Some(tree) = self.trees.get_mut(&run) else { return Ok(()) };
        let known = tree.reached.insert(process.pid.as_raw(), process.started);
        if known == Some(process.started) && signal != Signal::KILL {
            return Ok(());
        }
        let send = |signal| match is_child {
            true => process::signal_number(process.pid, signal),
            false => procfs::signal(process, signal),
        };
        send(signal)?;
        if signal != Signal::KILL {
            // A stopped process (SIGSTOP, ^Z) must continue to handle the signal. It may have exited.
            let _ = send(Signal::CONT);
        }
        Ok(())
    }
}

/// The name and pid of a process, for messages.
pub(super) fn named(pid: Pid) -> String {
    let name = procfs::name(pid).unwrap_or_else(|| "?".into());
    format!("{name} (pid {pid})")
}
