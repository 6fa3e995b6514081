//! The state of everything, for callers that only look: status, health, the verbs that wait.
//!
//! A [`Snapshot`] borrows and copies nothing. [`progress`] decides how far an order has come, so that
//! "done" means the same to every verb.

use super::Supervisor;
use super::roll::{Roll, Turn};
use crate::action::StateName;
use crate::event::Order;
use crate::ids::{InstanceId, ProgramId, Run, Signal};
use crate::program::{Desired, DownReason, Instance, Live, PastRun, Reload, State};
use crate::spec::{Autostart, KillMode, Kind};
use crate::time::Instant;

/// The current state of everything.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a>(&'a Supervisor);

/// The current state of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InstanceView {
    /// Which.
    pub id: InstanceId,
    /// What its program is for.
    pub kind: Kind,
    /// What it is doing.
    pub state: StateName,
    /// Whether it is ready; a task: whether it has succeeded.
    pub ready: bool,
    /// Whether it starts with the container.
    pub autostart: Autostart,
    /// Its desired state.
    pub desired: Desired,
    /// The run that is live, and since when.
    pub live: Option<Live>,
    /// The number of its last run; 0: it had none.
    pub last_run: u32,
    /// How often it was restarted after an end by itself.
    pub restarts: u32,
    /// How many starts in a row have failed.
    pub failures: u32,
    /// Its last run that has ended.
    pub last: Option<PastRun>,
    /// When its next start is due, in backoff.
    pub next_start: Option<Instant>,
    /// When it is due next, if it is a job that is not paused.
    pub next_due: Option<Instant>,
    /// What it waits for, where it waits.
    pub waits_for: Option<InstanceId>,
    /// Whether processes of it are still there after KILL.
    pub stuck: bool,
    /// Whether its health is watched.
    pub health: Watched,
    /// Its part in a rolling restart.
    pub turn: Turn,
    /// The live run beside its own: the new one on trial, the old one on its way down, what one has left that has ended.
    pub beside: Option<Beside>,
    /// The number of the last run that a rolling restart has put into the place of another; 0: there was none.
    pub replaced_by: u32,
    /// Its last reload, as far as it reports them.
    pub reload: Reload,
    /// What `reload` sends it.
    pub reload_signal: Option<Signal>,
    /// Which processes belong to it.
    pub kill_mode: KillMode,
    /// The memory, in bytes, that its processes may have.
    pub memory_max: Option<u64>,
}

/// A run beside that of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beside {
    /// Which, and since when.
    pub live: Live,
    /// Whether it ends by itself, or its main process has, and only what that has left is there.
    pub leftovers: bool,
    /// Whether what is left serves until the next run is ready.
    pub kept: bool,
    /// Whether processes of it are still there after KILL.
    pub stuck: bool,
}

/// Whether the health of an instance is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watched {
    /// Its definition has a health probe.
    Yes,
    /// It has none.
    No,
}

/// How far an order has come with an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Under way.
    UnderWay,
    /// Fulfilled.
    Done,
    /// It will not be, or not now.
    Failed,
}

impl Supervisor {
    /// The state of everything.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot(self)
    }
}

impl<'a> Snapshot<'a> {
    /// Every instance, program by program.
    pub fn instances(self) -> impl Iterator<Item = InstanceView> + 'a {
        self.0.instances.iter().map(move |instance| self.view(instance))
    }

    /// One instance.
    pub fn instance(self, id: InstanceId) -> Option<InstanceView> {
        self.0.position(id).and_then(|at| self.0.instances.get(at)).map(|instance| self.view(instance))
    }

    /// The instances of one program.
    pub fn of(self, program: ProgramId) -> impl Iterator<Item = InstanceView> + 'a {
        self.0.instances_of(program).iter().map(move |instance| self.view(instance))
    }

    /// What the readiness probe of an instance saw last, as long as that has not passed.
    pub fn last_answer(self, id: InstanceId) -> Option<&'a str> {
        self.0.position(id).and_then(|at| self.0.instances.get(at)?.state().last_answer())
    }

    /// The instance that has this run, if that is live. In a rolling restart two of the same id may have one each.
    pub fn run(self, run: Run) -> Option<InstanceView> {
        let mut all = self.0.runs_of(run.instance.program);
        all.find(|instance| instance.run() == Some(run)).map(|instance| self.view(instance))
    }

    /// What the wall clock shows at this instant, in milliseconds since 1970 (UTC), as far as jobs follow it.
    pub fn unix_ms(self, at: Instant) -> i64 {
        self.0.clock.unix_ms(at)
    }

    /// Whether a rolling restart to another definition of this program is under way.
    pub fn has_former(self, program: ProgramId) -> bool {
        self.0.rolls.get(program).is_some_and(Roll::has_former)
    }

    fn beside(self, id: InstanceId) -> Option<Beside> {
        self.0.spares.iter().filter(|spare| spare.id() == id).find_map(|spare| {
            let leftovers = spare.desired() == Desired::Down(DownReason::Leftovers);
            let (kept, stuck) = (spare.state().is_kept(), spare.state().is_stuck());
            Some(Beside { live: spare.state().live()?, leftovers, kept, stuck })
        })
    }

    fn view(self, instance: &Instance) -> InstanceView {
        let state = instance.state();
        let (spec, job) =
            (self.0.plan.program(instance.id().program), self.0.jobs.get(instance.id().program));
        // A run is what it was started as, also after an update.
        let kind = match spec.filter(|_| state.live().is_none()) {
            Some(planned) => planned.kind(),
            None => instance.spec().kind(),
        };
        InstanceView {
            id: instance.id(),
            kind,
            state: match job {
                Some(job) if job.is_paused() && state.live().is_none() => StateName::Paused,
                Some(_) | None => state.name().of(kind),
            },
            next_due: job.filter(|job| !job.is_paused()).and_then(|job| job.table().deadline(&self.0.clock)),
            ready: match kind {
                Kind::Program => matches!(state, State::Running { .. }),
                Kind::Task | Kind::Job => matches!(state, State::Exited { .. }),
            },
            autostart: spec.map_or(Autostart::No, |spec| spec.autostart),
            desired: instance.desired(),
            live: state.live(),
            last_run: instance.last_run(),
            restarts: instance.restarts(),
            failures: instance.failures(),
            last: instance.last(),
            next_start: state.backoff_until(),
            // One that waits for its own former run has that beside it.
            waits_for: state.waits_on().filter(|on| *on != instance.id()),
            stuck: state.is_stuck(),
            health: if instance.spec().health.is_some() { Watched::Yes } else { Watched::No },
            turn: self.0.turn_of(instance.id()),
            beside: self.beside(instance.id()),
            replaced_by: instance.replaced_by(),
            reload: state.reload(),
            reload_signal: instance.spec().reload_signal,
            kill_mode: instance.spec().stop.kill_mode,
            memory_max: instance.spec().memory_max,
        }
    }
}

/// How far `order` has come with this instance; `last_run` is that of the view when the order was given.
///
/// A first failed start is reported at once, not after the last of ten attempts: foster keeps trying, and the
/// operator knows.
pub fn progress(order: Order, view: &InstanceView, last_run: u32) -> Progress {
    match order {
        Order::Signal(_) => Progress::Done,
        Order::Reload if view.kind != Kind::Program => Progress::Done,
        // A job is resumed at once.
        Order::Start if view.kind == Kind::Job => Progress::Done,
        Order::Run => match view.state {
            _ if view.last_run == last_run && view.live.is_none() && is_wanted(view) => Progress::UnderWay,
            StateName::Running | StateName::Waiting | StateName::Starting | StateName::Stopping => {
                Progress::UnderWay
            }
            StateName::Idle | StateName::Paused | StateName::Succeeded if view.ready => Progress::Done,
            StateName::Backoff if view.kind == Kind::Task => Progress::UnderWay,
            StateName::Idle
            | StateName::Paused
            | StateName::Succeeded
            | StateName::Failed
            | StateName::Stopped
            | StateName::Exited
            | StateName::Fatal
            | StateName::Unhealthy
            | StateName::Backoff => Progress::Failed,
        },
        Order::Reload => match view.turn {
            Turn::Later | Turn::Now => Progress::UnderWay,
            Turn::None if view.replaced_by > last_run => Progress::Done,
            // It is removed; there is nothing to report about it after that.
            Turn::None if view.desired == Desired::Down(DownReason::Removed) => Progress::UnderWay,
            Turn::None => Progress::Failed,
        },
        Order::Stop => match view.state {
            StateName::Stopped
            | StateName::Exited
            | StateName::Fatal
            | StateName::Succeeded
            | StateName::Failed
            | StateName::Idle
            | StateName::Paused => match view.beside {
                None => Progress::Done,
                Some(beside) if beside.stuck => Progress::Failed,
                Some(_) => Progress::UnderWay,
            },
            StateName::Waiting | StateName::Backoff => Progress::Failed,
            StateName::Starting | StateName::Running | StateName::Unhealthy | StateName::Stopping => {
                match view.desired {
                    Desired::Down(_) if view.stuck => Progress::Failed,
                    Desired::Down(_) => Progress::UnderWay,
                    Desired::Cycle(_) | Desired::Trial | Desired::Rising | Desired::Up => Progress::Failed,
                }
            }
        },
        // It starts with one of the next steps: see `STARTS_PER_STEP`.
        Order::Start | Order::Restart if view.state == StateName::Stopped && is_wanted(view) => {
            Progress::UnderWay
        }
        Order::Restart if view.last_run == last_run => match view.state {
            StateName::Stopped
            | StateName::Exited
            | StateName::Fatal
            | StateName::Succeeded
            | StateName::Failed
            | StateName::Idle
            | StateName::Paused => Progress::Failed,
            StateName::Stopping if view.stuck => Progress::Failed,
            StateName::Waiting
            | StateName::Starting
            | StateName::Running
            | StateName::Unhealthy
            | StateName::Stopping
            | StateName::Backoff => Progress::UnderWay,
        },
        Order::Start | Order::Restart => match view.state {
            // A task is done when it has ended, and its retries belong to it.
            StateName::Running | StateName::Backoff if view.kind != Kind::Program => Progress::UnderWay,
            StateName::Idle | StateName::Paused if view.ready => Progress::Done,
            StateName::Idle | StateName::Paused => Progress::Failed,
            StateName::Running | StateName::Unhealthy | StateName::Exited | StateName::Succeeded => {
                Progress::Done
            }
            StateName::Waiting | StateName::Starting => Progress::UnderWay,
            StateName::Stopping if view.stuck => Progress::Failed,
            StateName::Stopping => match view.desired {
                Desired::Rising | Desired::Trial | Desired::Up | Desired::Cycle(_) => Progress::UnderWay,
                Desired::Down(_) => Progress::Failed,
            },
            StateName::Stopped | StateName::Backoff | StateName::Fatal | StateName::Failed => {
                Progress::Failed
            }
        },
    }
}

/// How far a reload by a signal has come with this instance, as far as its program reports that; `last_run` is that of the
/// view when the signal was ordered.
pub fn reload_progress(view: &InstanceView, last_run: u32) -> Progress {
    match view.reload {
        Reload::Asked { .. } | Reload::UnderWay { .. } => Progress::UnderWay,
        Reload::Done | Reload::Unreported if view.ready && view.last_run == last_run => Progress::Done,
        Reload::Done | Reload::Unreported | Reload::Late => Progress::Failed,
    }
}

impl InstanceView {
    /// Whether it is ready and healthy, or has ended with success.
    pub fn is_well(&self) -> bool {
        self.state == StateName::Exited || self.ready && self.state != StateName::Unhealthy
    }

    /// Whether it starts with foster: a job starts when it is due.
    pub fn belongs_to_the_startup(&self) -> bool {
        self.autostart == Autostart::Yes && self.kind != Kind::Job
    }
}

fn is_wanted(view: &InstanceView) -> bool {
    match view.desired {
        Desired::Rising | Desired::Trial | Desired::Up | Desired::Cycle(_) => true,
        Desired::Down(_) => false,
    }
}
