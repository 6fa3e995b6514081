//! The children that foster has made and not reaped: the one map between the kernel's numbers and the core's runs.
//!
//! A number is in here from its spawn until it is reaped, and until then the kernel gives it to no other process. What
//! is reaped and not in here was an orphan. Signals go through [`ChildProcess`], which is dropped when it was reaped.
//! How a start went is read here too: the report of a child belongs to the child. Next: `reap.rs`.

use std::rc::Rc;

use foster_core::event::StartFailure;
use foster_core::ids::{InstanceId, KilledBy, Run, Signal};
use foster_core::probe::Which;
use foster_core::sorted::SortedMap;
use nix::unistd::Pid;

use crate::plan::Program;
use crate::spawn::{ChildProcess, StartReport, Starting};
use crate::sys::epoll::{Epoll, Interest, Owner, Token};

/// What a child of foster is for.
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
    /// An attempt that was cancelled and has got KILL. No other attempt starts before it has ended: in an
    /// uninterruptible sleep it lasts, and such processes must not accumulate.
    CancelledProbe(InstanceId, Which),
    /// Nothing waits for it.
    Detached,
}

impl Role {
    /// The live run that it is a process of.
    pub(super) fn run(self) -> Option<Run> {
        match self {
            Role::Main(run) | Role::PreStart(run) | Role::PreStop(run) | Role::Probe(run, _) => Some(run),
            Role::CancelledProbe(..) | Role::Detached => None,
        }
    }
}

/// A child that was reaped.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) role: Role,
    /// Whether foster sent it KILL.
    pub(super) killed_by: KilledBy,
    /// Whether foster has sent it a stop signal.
    pub(super) was_told_to_stop: bool,
    /// How its start went, where that had not been read.
    pub(super) start: Option<Result<(), StartFailure>>,
}

#[derive(Debug)]
struct Child {
    role: Role,
    process: ChildProcess,
    killed_by: KilledBy,
    was_told_to_stop: bool,
    report: Option<StartReport>,
}

/// The children that foster has made and not reaped.
#[derive(Debug)]
pub(super) struct Children {
    epoll: Rc<Epoll>,
    owner: Owner,
    /// Boxed: a removal moves those behind it, which are a thousand at the stop of a thousand.
    by_pid: SortedMap<i32, Box<Child>>,
    by_role: SortedMap<Role, i32>,
    /// What each live run was made from. It belongs to the run, whatever the plan says since.
    definitions: SortedMap<Run, Rc<Program>>,
    /// The number each instance's main process has or had last, for messages.
    last: SortedMap<InstanceId, (Run, i32)>,
}

impl Children {
    /// None yet. Reports of starts are watched for `owner`.
    pub(super) fn new(epoll: Rc<Epoll>, owner: Owner) -> Children {
        Children {
            epoll,
            owner,
            by_pid: SortedMap::new(),
            by_role: SortedMap::new(),
            definitions: SortedMap::new(),
            last: SortedMap::new(),
        }
    }

    /// A run begins: this is what it is made from.
    pub(super) fn define(&mut self, run: Run, program: Rc<Program>) {
        self.definitions.insert(run, program);
    }

    /// A run goes on with other decisions about it.
    pub(super) fn redefine(&mut self, run: Run, program: Rc<Program>) {
        if let Some(definition) = self.definitions.get_mut(&run) {
            *definition = program;
        }
    }

    /// What a live run was made from.
    pub(super) fn definition(&self, run: Run) -> Option<&Rc<Program>> {
        self.definitions.get(&run)
    }

    /// The live runs.
    pub(super) fn runs(&self) -> impl Iterator<Item = Run> + '_ {
        self.definitions.keys().copied()
    }

    /// Nothing of a run is left.
    pub(super) fn forget_run(&mut self, run: Run) {
        self.definitions.remove(&run);
    }

    /// A process was made; what it reports of its start is watched. Where that is not possible it is killed: how its start
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

    /// A process was made that executes nothing.
    pub(super) fn insert_process(&mut self, role: Role, process: ChildProcess) {
        self.add(role, process, None);
    }

    fn add(&mut self, role: Role, process: ChildProcess, report: Option<StartReport>) {
        let pid = process.pid().as_raw();
        if let Role::Main(run) = role {
            self.last.insert(run.instance, (run, pid));
        }
        if role != Role::Detached {
            self.by_role.insert(role, pid);
        }
        let (killed_by, was_told_to_stop) = (KilledBy::Unknown, false);
        let child = Child { role, process, killed_by, was_told_to_stop, report };
        self.by_pid.insert(pid, Box::new(child));
    }

    /// The report of this child can be read. Returns its role and how its start went, once.
    pub(super) fn read_report(&mut self, key: u32) -> Option<(Role, Result<(), StartFailure>)> {
        let pid = i32::try_from(key).ok()?;
        let child = self.by_pid.get_mut(&pid)?;
        let how = child.report.as_ref()?.read()?;
        unwatch(&self.epoll, child.report.take());
        let role = child.role;
        if how.is_err() && !matches!(role, Role::CancelledProbe(..)) {
            // It ends by itself, and its exit status says nothing more.
            self.by_role.remove(&role);
            child.role = Role::Detached;
        }
        Some((role, how))
    }

    /// A process was reaped. `None`: it was none of these, but an orphan.
    pub(super) fn remove(&mut self, pid: Pid) -> Option<Ended> {
        let child = self.by_pid.remove(&pid.as_raw())?;
        if self.by_role.get(&child.role) == Some(&pid.as_raw()) {
            self.by_role.remove(&child.role);
        }
        let start = child.report.as_ref().map(|report| report.read().unwrap_or(Ok(())));
        unwatch(&self.epoll, child.report);
        Some(Ended {
            role: child.role,
            killed_by: child.killed_by,
            was_told_to_stop: child.was_told_to_stop,
            start,
        })
    }

    /// Whether this number is one of these.
    pub(super) fn contains(&self, pid: Pid) -> bool {
        self.by_pid.contains_key(&pid.as_raw())
    }

    /// The run whose process this is: its program, or its `pre_start`.
    pub(super) fn main_run(&self, pid: Pid) -> Option<Run> {
        match self.by_pid.get(&pid.as_raw())?.role {
            Role::Main(run) | Role::PreStart(run) => Some(run),
            Role::PreStop(_) | Role::Probe(..) | Role::CancelledProbe(..) | Role::Detached => None,
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.by_pid.len()
    }

    /// The number of the process with this role.
    pub(super) fn pid(&self, role: Role) -> Option<Pid> {
        self.by_role.get(&role).copied().map(Pid::from_raw)
    }

    /// The number the main process of this run has or had, as long as there was no later one.
    pub(super) fn last_pid(&self, run: Run) -> Option<i32> {
        self.last.get(&run.instance).filter(|(last, _)| *last == run).map(|(_, pid)| *pid)
    }

    /// An instance was removed: its number is not asked for again.
    pub(super) fn forget_instance(&mut self, instance: InstanceId) {
        self.last.remove(&instance);
    }

    /// Signals one process. One that has ended and is not reaped takes it without an error.
    ///
    /// # Errors
    /// EPERM: it runs as another user, and CAP_KILL is missing.
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
            // It leads none yet: it is on its way to its program.
            Err(nix::Error::ESRCH) => child.process.signal(signal),
            result => result,
        }
    }

    /// Remembers that a process got a stop signal, and which.
    pub(super) fn mark_stopping(&mut self, role: Role, signal: Signal) {
        if let Some(child) = self.child(role) {
            child.was_told_to_stop = true;
            if signal == Signal::KILL {
                child.killed_by = KilledBy::Foster;
            }
        }
    }

    /// Every child got KILL by one call for all.
    pub(super) fn mark_all_killed(&mut self) {
        for child in self.by_pid.values_mut() {
            child.killed_by = KilledBy::Foster;
        }
    }

    /// Kills every child, when nothing else can be relied on.
    pub(super) fn kill_all(&mut self) {
        self.mark_all_killed();
        for child in self.by_pid.values() {
            // It may have ended.
            let _ = child.process.signal(Signal::KILL);
        }
    }

    /// Kills a process that nothing waits for any longer, with its group.
    pub(super) fn detach(&mut self, role: Role) {
        let Some(pid) = self.pid(role) else { return };
        // Nothing follows from a failure: it is reaped whenever it ends.
        let _ = self.signal_group(role, Signal::KILL);
        let _ = self.signal(role, Signal::KILL);
        self.by_role.remove(&role);
        let left = match role {
            Role::Probe(run, which) => Role::CancelledProbe(run.instance, which),
            Role::Main(_)
            | Role::PreStart(_)
            | Role::PreStop(_)
            | Role::CancelledProbe(..)
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

/// Ends the watch of a report. Closing it would not suffice: another child that is on its way to its program holds a copy,
/// and epoll watches for as long as there is one (epoll(7)).
fn unwatch(epoll: &Epoll, report: Option<StartReport>) {
    if let Some(report) = report {
        // ENOENT: it could not be watched.
        let _ = epoll.remove(&report);
    }
}
