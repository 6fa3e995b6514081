//! The children of foster that are not reaped: the only map from pids to the core's runs.
//!
//! A pid is in the map from the fork until it is reaped, and until then the kernel does not reuse it. A reaped pid that
//! is not in the map was an orphan. Signals go through [`ChildProcess`], which is dropped when the child is reaped. The
//! report about a child's start is read here as well. Next: `reap.rs`.

use std::os::fd::BorrowedFd;
use std::rc::Rc;

use foster_core::event::StartFailure;
use foster_core::ids::{InstanceId, KilledBy, Run, Signal};
use foster_core::probe::Which;
use foster_core::sorted::SortedMap;
use nix::unistd::Pid;

use super::ledger::Ledger;
use crate::plan::Program;
use crate::spawn::{ChildProcess, StartReport, Starting};
use crate::sys::epoll::{Epoll, Interest, Owner, Token};

/// The role of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// The main process of a run.
    Main(Run),
    /// The `pre_start` command of a run.
    PreStart(Run),
    /// The `pre_stop` command of a run.
    PreStop(Run),
    /// An attempt of a probe of a run.
    Probe(Run, Which),
    /// An attempt that was cancelled and got KILL. The next attempt starts only after its exit, so that processes in an
    /// uninterruptible sleep do not accumulate.
    CancelledProbe(InstanceId, Which),
    /// It takes a notification with its descriptors from the socket of a run.
    Taker(Run),
    /// It reads the configuration for an update.
    Trial,
    /// The web helper.
    Web,
    /// Nothing waits for it.
    Detached,
}

impl Role {
    /// The live run that it is a process of.
    pub(super) fn run(self) -> Option<Run> {
        match self {
            Role::Main(run) | Role::PreStart(run) | Role::PreStop(run) | Role::Probe(run, _) => Some(run),
            Role::CancelledProbe(..) | Role::Taker(_) | Role::Trial | Role::Web | Role::Detached => None,
        }
    }
}

/// A child that was reaped.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) role: Role,
    pub(super) process: ChildProcess,
    /// Whether foster sent it KILL.
    pub(super) killed_by: KilledBy,
    /// Whether foster has sent it a stop signal.
    pub(super) got_stop_signal: bool,
    /// The outcome of its start, if it was not read before.
    pub(super) start: Option<Result<(), StartFailure>>,
}

#[derive(Debug)]
struct Child {
    role: Role,
    process: ChildProcess,
    killed_by: KilledBy,
    got_stop_signal: bool,
    report: Option<StartReport>,
}

/// The children of foster that are not reaped.
#[derive(Debug)]
pub(super) struct Children {
    epoll: Rc<Epoll>,
    owner: Owner,
    /// Boxed: a removal moves those behind it, which are a thousand at the stop of a thousand.
    by_pid: SortedMap<i32, Box<Child>>,
    by_role: SortedMap<Role, i32>,
    /// The definition that each live run was started from. It belongs to the run, even if the plan changes.
    definitions: SortedMap<Run, Rc<Program>>,
    /// The pids of main processes: of live runs, and of the last run of each instance, for messages.
    mains: SortedMap<Run, i32>,
    pub(super) ledger: Ledger,
}

impl Children {
    /// No children. Reports of starts are registered with epoll for `owner`.
    pub(super) fn new(epoll: Rc<Epoll>, owner: Owner, ledger: Ledger) -> Children {
        Children {
            epoll,
            owner,
            by_pid: SortedMap::new(),
            by_role: SortedMap::new(),
            definitions: SortedMap::new(),
            mains: SortedMap::new(),
            ledger,
        }
    }

    /// Sets the definition of a new run.
    pub(super) fn define(&mut self, run: Run, program: Rc<Program>) {
        self.definitions.insert(run, program);
    }

    /// Replaces the definition of a run whose process stays.
    pub(super) fn redefine(&mut self, run: Run, program: Rc<Program>) {
        if let Some(definition) = self.definitions.get_mut(&run) {
            *definition = program;
        }
    }

    /// The definition of a live run.
    pub(super) fn definition(&self, run: Run) -> Option<&Rc<Program>> {
        self.definitions.get(&run)
    }

    /// The live runs.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.definitions.keys().copied()
    }

    /// Drops the definition of a run that has ended.
    pub(super) fn forget_run(&mut self, run: Run) {
        self.definitions.remove(&run);
        self.ledger.forget(run);
    }

    /// Adds a child and watches the report about its start. Where that is not possible it is killed: how its start
    /// went would be known at its end only.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOMEM, ENOSPC.
    pub(super) fn insert(&mut self, role: Role, starting: Starting) -> nix::Result<()> {
        let Starting { process, report } = starting;
        let token = Token { owner: self.owner, key: process.pid().as_raw().unsigned_abs() };
        let watched = self.epoll.add(&report, token, Interest::Read);
        let report = watched.is_ok().then_some(report);
        self.add(role, process, report);
        if watched.is_err() {
            self.detach(role);
        }
        watched
    }

    /// Adds a child whose start has no report.
    pub(super) fn insert_process(&mut self, role: Role, process: ChildProcess) {
        self.add(role, process, None);
    }

    fn add(&mut self, role: Role, process: ChildProcess, report: Option<StartReport>) {
        let pid = process.pid().as_raw();
        if let Role::Main(run) = role {
            let earlier: Vec<Run> =
                self.mains_of(run.instance).filter(|run| !self.definitions.contains_key(run)).collect();
            for ended in earlier {
                self.mains.remove(&ended);
            }
            self.mains.insert(run, pid);
        }
        if role != Role::Detached {
            self.by_role.insert(role, pid);
        }
        let (killed_by, got_stop_signal) = (KilledBy::Unknown, false);
        let child = Child { role, process, killed_by, got_stop_signal, report };
        self.by_pid.insert(pid, Box::new(child));
    }

    /// Reads the report of a child; returns its role and the outcome of its start, once.
    pub(super) fn read_report(&mut self, key: u32) -> Option<(Role, Result<(), StartFailure>)> {
        let pid = i32::try_from(key).ok()?;
        self.end_report(pid, StartReport::read)
    }

    /// The process with this role has shown that it executes its program, whatever its report: other children that are on
    /// their way to their programs may hold that open. Returns how its start went, unless that was read before.
    pub(super) fn confirm_start(&mut self, role: Role) -> Option<(Role, Result<(), StartFailure>)> {
        let pid = self.pid(role)?;
        self.end_report(pid.as_raw(), |report| Some(report.read().unwrap_or(Ok(()))))
    }

    fn end_report(
        &mut self,
        pid: i32,
        read: impl FnOnce(&StartReport) -> Option<Result<(), StartFailure>>,
    ) -> Option<(Role, Result<(), StartFailure>)> {
        let child = self.by_pid.get_mut(&pid)?;
        let how = read(child.report.as_ref()?)?;
        unwatch(&self.epoll, child.report.take());
        let role = child.role;
        if how.is_err() && !matches!(role, Role::CancelledProbe(..)) {
            // The child exits by itself; its exit status adds nothing.
            self.by_role.remove(&role);
            child.role = Role::Detached;
        }
        Some((role, how))
    }

    /// Removes a reaped child. `None`: it was an orphan.
    pub(super) fn remove(&mut self, pid: Pid) -> Option<Ended> {
        let child = self.by_pid.remove(&pid.as_raw())?;
        if self.by_role.get(&child.role) == Some(&pid.as_raw()) {
            self.by_role.remove(&child.role);
        }
        if let Role::Main(run) | Role::PreStart(run) = child.role {
            self.ledger.forget(run);
        }
        let start = child.report.as_ref().map(|report| report.read().unwrap_or(Ok(())));
        unwatch(&self.epoll, child.report);
        Some(Ended {
            role: child.role,
            process: child.process,
            killed_by: child.killed_by,
            got_stop_signal: child.got_stop_signal,
            start,
        })
    }

    /// The write end of the standard input of the child with this role.
    pub(super) fn stdin(&self, role: Role) -> Option<BorrowedFd<'_>> {
        self.by_pid.get(&self.pid(role)?.as_raw())?.process.stdin()
    }

    /// Whether this pid belongs to a child.
    pub(super) fn contains(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid.as_raw())
    }

    /// The role of the process with this number.
    pub(super) fn role(&self, pid: Pid) -> Option<Role> {
        self.by_pid.get(&pid.as_raw()).map(|child| child.role)
    }

    /// The run whose process this is: its program, or its `pre_start`.
    pub(super) fn main_run(&self, pid: Pid) -> Option<Run> {
        match self.role(pid)? {
            Role::Main(run) | Role::PreStart(run) => Some(run),
            Role::PreStop(_)
            | Role::Probe(..)
            | Role::CancelledProbe(..)
            | Role::Taker(_)
            | Role::Trial
            | Role::Web
            | Role::Detached => None,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.by_pid.len()
    }

    /// The pid of the child with this role.
    pub(super) fn pid(&self, role: Role) -> Option<Pid> {
        self.by_role.get(&role).copied().map(Pid::from_raw)
    }

    /// The pid of this run's main process, also after its exit, until the instance has a later run.
    pub(super) fn last_pid(&self, run: Run) -> Option<i32> {
        self.mains.get(&run).copied()
    }

    /// Forgets the last pid of a removed instance.
    pub(super) fn forget_instance(&mut self, instance: InstanceId) {
        for run in self.mains_of(instance).collect::<Vec<_>>() {
            self.mains.remove(&run);
        }
    }

    fn mains_of(&self, instance: InstanceId) -> impl Iterator<Item = Run> + '_ {
        let run = |number| Run { instance, number };
        self.mains.range(run(0)..=run(u32::MAX)).map(|(run, _)| *run)
    }

    /// Signals one child. For a zombie that has no effect and is not an error.
    ///
    /// # Errors
    /// EPERM if it runs as another user and CAP_KILL is missing.
    pub(super) fn signal(&mut self, role: Role, signal: Signal) -> nix::Result<()> {
        self.child(role).map_or(Ok(()), |child| child.process.signal(signal))
    }

    /// Signals the process group that one process leads.
    ///
    /// # Errors
    /// As [`Children::signal`].
    pub(super) fn signal_group(&mut self, role: Role, signal: Signal) -> nix::Result<()> {
        let Some(child) = self.child(role) else { return Ok(()) };
        match child.process.signal_group(signal) {
            // It does not lead a group yet: it is a child before its exec.
            Err(nix::Error::ESRCH) => child.process.signal(signal),
            result => result,
        }
    }

    /// Writes to the stdin of a child that foster holds open, as much as there is room for.
    ///
    /// # Errors
    /// EPIPE if it has closed it, or has none.
    pub(super) fn write_stdin(&mut self, role: Role, text: &[u8]) -> nix::Result<usize> {
        let written = self.child(role).and_then(|child| child.process.write_stdin(text));
        written.unwrap_or(Err(nix::Error::EPIPE))
    }

    /// Records that a child got this stop signal.
    pub(super) fn mark_stopping(&mut self, role: Role, signal: Signal) {
        if let Some(child) = self.child(role) {
            child.got_stop_signal = true;
            if signal == Signal::KILL {
                child.killed_by = KilledBy::Foster;
            }
        }
    }

    /// Records that every child got KILL by one call.
    pub(super) fn mark_all_killed(&mut self) {
        for child in self.by_pid.values_mut() {
            child.killed_by = KilledBy::Foster;
        }
    }

    /// Kills every child.
    pub(super) fn kill_all(&mut self) {
        self.mark_all_killed();
        for child in self.by_pid.values() {
            // It may have exited.
            let _ = child.process.signal(Signal::KILL);
        }
    }

    /// Kills a child and its group; its exit has no effect any longer.
    pub(super) fn detach(&mut self, role: Role) {
        let Some(pid) = self.pid(role) else { return };
        // A failure has no consequence: the child is reaped when it exits.
        let _ = self.signal_group(role, Signal::KILL);
        let _ = self.signal(role, Signal::KILL);
        self.by_role.remove(&role);
        let left = match role {
            Role::Probe(run, which) => Role::CancelledProbe(run.instance, which),
            Role::Main(_)
            | Role::PreStart(_)
            | Role::PreStop(_)
            | Role::CancelledProbe(..)
            | Role::Taker(_)
            | Role::Trial
            | Role::Web
            | Role::Detached => Role::Detached,
        };
        if let Some(child) = self.by_pid.get_mut(&pid.as_raw()) {
            child.role = left;
            if left != Role::Detached {
                self.by_role.insert(left, pid.as_raw());
            }
        }
    }

    fn child(&mut self, role: Role) -> Option<&mut Child> {
        self.by_role.get(&role).and_then(|pid| self.by_pid.get_mut(pid)).map(Box::as_mut)
    }
}

/// Removes a report from epoll. Closing it is not enough: another child before its exec may hold a copy, and the
/// registration lasts as long as any copy (epoll(7)).
fn unwatch(epoll: &Epoll, report: Option<StartReport>) {
    if let Some(report) = report {
        // ENOENT: it was not registered.
        let _ = epoll.remove(&report);
    }
}
