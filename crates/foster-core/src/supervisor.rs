//! All instances together: which may start and stop now, and what the end of one does to the container.
//!
//! [`Supervisor::step`] is the only entry. Each event goes to the instances it concerns; then one pass over the order
//! (`supervisor/order.rs`) starts and stops what the change has freed. That pass costs time proportional to the number of
//! programs, so it runs only when something it depends on has changed, and once for a batch of events.

mod adopt;
mod beside;
mod end;
mod jobs;
mod order;
mod orders;
mod roll;
mod snapshot;
mod update;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::action::{Action, Purpose, Scope, StateName};
use crate::ending::Ending;
use crate::event::{Event, Notice};
use crate::ids::{InstanceId, ProgramId, Run, Signal};
use crate::plan::{CorePlan, SignalAction, WhenAllEnded};
use crate::probe::{ProbeResult, Which};
use crate::program::{Desired, DownReason, Input, Instance};
use crate::program_map::ProgramMap;
use crate::schedule::WallClock;
use crate::shutdown::Phase;
use crate::spec::{Autostart, ProgramSpec};
use crate::time::Instant;
use jobs::Job;
use roll::Roll;

pub use roll::Turn;
pub use snapshot::{Beside, InstanceView, Progress, Snapshot, Watched, progress, reload_progress};

/// The supervisor: a plan, and the state of everything in it.
#[derive(Debug, Clone)]
pub struct Supervisor {
    plan: Rc<CorePlan>,
    /// The instances of all programs, by their ids.
    instances: Vec<Instance>,
    /// Runs beside those of the instances, in rolling restarts and after ends that left processes: at most one for each.
    spares: Vec<Instance>,
    /// The rolling restarts.
    rolls: ProgramMap<Roll>,
    /// The jobs.
    jobs: ProgramMap<Job>,
    /// What the wall clock shows.
    clock: WallClock,
    /// The number of the last run of each program that had one: none is ever used again.
    last_runs: ProgramMap<u32>,
    phase: Phase,
    boot: Boot,
    /// How many instances have a process, or leftovers of one.
    live: usize,
    /// Whether anything has changed that the order looks at.
    dirty: bool,
    /// More programs may start than one step starts: the next step is due at once, after signals and the clock.
    more_to_start: Option<Instant>,
}

/// How far the first start of everything has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boot {
    /// Not begun.
    Before,
    /// Something autostarted has not been ready yet.
    Rising,
    /// Everything autostarted was ready, or has ended.
    Complete,
}

impl Supervisor {
    /// A supervisor of this plan; nothing happens before [`Event::Booted`].
    pub fn new(plan: impl Into<Rc<CorePlan>>) -> Supervisor {
        let plan = plan.into();
        let mut instances = Vec::new();
        for (program, spec) in plan.programs().iter() {
            for index in 0..spec.instances {
                let id = InstanceId { program, index };
                let desired = Desired::Down(DownReason::NotAutostarted);
                instances.push(Instance::new(id, Rc::clone(spec), desired));
            }
        }
        Supervisor {
            plan,
            instances,
            spares: Vec::new(),
            rolls: ProgramMap::new(),
            jobs: ProgramMap::new(),
            clock: WallClock { at: Instant::START, unix_ms: 0 },
            last_runs: ProgramMap::new(),
            phase: Phase::Up,
            boot: Boot::Before,
            live: 0,
            dirty: false,
            more_to_start: None,
        }
    }

    /// The plan it keeps.
    pub fn plan(&self) -> &Rc<CorePlan> {
        &self.plan
    }

    /// Handles events and pushes the actions that follow. Cannot fail.
    pub fn step(&mut self, now: Instant, events: impl IntoIterator<Item = Event>, out: &mut Vec<Action>) {
        for event in events {
            self.handle(now, event, out);
        }
        self.settle(now, out);
    }

    /// When the shell has to send [`Event::Ticked`].
    pub fn deadline(&self) -> Option<Instant> {
        let instances = self.instances.iter().chain(&self.spares).filter_map(Instance::deadline);
        let rolls = self.rolls.values().filter_map(Roll::deadline);
        instances
            .chain(rolls)
            .chain(self.next_due())
            .chain(self.phase.deadline())
            .chain(self.more_to_start)
            .min()
    }

    /// Whether the end has begun.
    pub fn is_shutting_down(&self) -> bool {
        self.phase.has_begun()
    }

    /// Whether a second signal or a fault has shortened the shutdown.
    pub fn is_cut_short(&self) -> bool {
        self.phase.is_cut_short(self.plan.settings().shutdown_timeout)
    }

    fn handle(&mut self, now: Instant, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Booted => self.boot(now, out),
            Event::ClockSet(unix_ms) => self.set_clock(now, unix_ms, out),
            Event::Ticked => self.tick(now, out),
            Event::Spawned(run) => self.route(now, run, Input::Spawned, out),
            Event::SpawnFailed(run, failure) => self.route(now, run, Input::SpawnFailed(failure), out),
            Event::Exited { run, exit, left } => {
                let left = self.part_from_leftovers(now, run, exit, left, out);
                self.route(now, run, Input::Exited(exit, left), out);
                self.note_exit_beside(run);
            }
            Event::TreeEmptied(run) => self.route(now, run, Input::TreeEmptied, out),
            Event::Probed(run, Which::Memory, ProbeResult::Failed(seen)) => {
                self.outgrown(now, run, seen, out);
            }
            Event::Probed(run, which, result) => self.route(now, run, Input::Probed(which, result), out),
            Event::Notified(run, Notice::Stopping) if self.part_from_ending(now, run, out) => {}
            Event::Notified(run, notice) => self.route(now, run, Input::Notified(notice), out),
            Event::PreStopEnded(run) => self.route(now, run, Input::PreStopEnded, out),
            Event::SignalRefused(run, signal) => self.route(now, run, Input::SignalRefused(signal), out),
            Event::Signalled(signal) => self.signalled(now, signal, out),
            Event::Ordered { order, targets, id } => self.ordered(now, order, &targets, id, out),
            Event::ShutdownOrdered(cause) => self.shut_down(now, Ending::by_order(cause), out),
            Event::SweepDone => self.phase.sweep_done(out),
            Event::Updated(update) => self.update(now, *update, out),
            Event::Adopted(adopted) => self.adopt(now, adopted, out),
            Event::Recalled(id, recalled) => self.recall(id, recalled),
        }
    }

    fn boot(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.boot != Boot::Before {
            return;
        }
        self.boot = Boot::Rising;
        self.dirty = true;
        for at in 0..self.instances.len() {
            let autostart = self.spec_at(at).is_some_and(|spec| spec.autostart == Autostart::Yes);
            // Not where an earlier foster has left something else.
            let is_new = self.instances.get(at).is_some_and(is_untouched);
            if autostart && is_new && !self.phase.has_begun() {
                self.set_desired(at, Desired::Rising);
            }
        }
        self.schedule_jobs(now, out);
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.more_to_start.take().is_some() {
            self.dirty = true;
        }
        self.follow_jobs(now, out);
        for at in 0..self.instances.len() {
            let Some(instance) = self.instances.get(at) else { continue };
            if instance.deadline().is_some_and(|deadline| deadline <= now) {
                self.dirty |= instance.state().backoff_until().is_some();
                self.apply(now, at, Input::Ticked, out);
            }
        }
        for at in 0..self.spares.len() {
            if self.spares.get(at).and_then(Instance::deadline).is_some_and(|deadline| deadline <= now) {
                self.apply_to_spare(now, at, Input::Ticked, out);
            }
        }
        let is_due = |roll: &Roll| roll.deadline().is_some_and(|deadline| deadline <= now);
        self.dirty |= self.rolls.values().any(is_due);
    }

    /// Passes an input on to the instance whose run it is about, if that run is the one it is in.
    fn route(&mut self, now: Instant, run: Run, input: Input, out: &mut Vec<Action>) {
        if let Some(at) = self.position(run.instance)
            && self.instances.get(at).and_then(Instance::run) == Some(run)
        {
            self.apply(now, at, input, out);
        } else if let Some(at) = self.spares.iter().position(|spare| spare.run() == Some(run)) {
            self.apply_to_spare(now, at, input, out);
        }
    }

    /// Passes an input to an instance; the only place that does. Counts the live runs and handles a final end.
    fn apply(&mut self, now: Instant, at: usize, input: Input, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get_mut(at) else { return };
        let Some(after) = Effect::of(instance, now, input, out).count(&mut self.live, &mut self.dirty) else {
            return;
        };
        match after {
            StateName::Exited | StateName::Fatal => {
                self.ended_for_good(now, at, out);
                self.follow_queue(now, at, out);
            }
            StateName::Unhealthy => self.became_unhealthy(now, at, out),
            StateName::Stopped
            | StateName::Waiting
            | StateName::Starting
            | StateName::Running
            | StateName::Stopping
            | StateName::Backoff
            // Only other names for a task's (`StateName::of`).
            | StateName::Succeeded
            | StateName::Failed
            | StateName::Idle
            | StateName::Paused => {}
        }
    }

    /// The same for a run beside an instance, whose end never counts for the program.
    fn apply_to_spare(&mut self, now: Instant, at: usize, input: Input, out: &mut Vec<Action>) {
        if let Some(spare) = self.spares.get_mut(at) {
            Effect::of(spare, now, input, out).count(&mut self.live, &mut self.dirty);
        }
    }

    fn set_desired(&mut self, at: usize, desired: Desired) {
        if let Some(instance) = self.instances.get_mut(at)
            && instance.desired() != desired
        {
            instance.set_desired(desired);
            self.dirty = true;
        }
    }

    fn signalled(&mut self, now: Instant, signal: Signal, out: &mut Vec<Action>) {
        let table = &self.plan.settings().signals;
        match table.iter().find(|(known, _)| *known == signal).map(|(_, action)| *action) {
            Some(SignalAction::Forward { program, signal }) => self.forward(program, signal, out),
            Some(SignalAction::Shutdown) => self.shut_down(now, Ending::by_signal(signal), out),
            Some(SignalAction::Ignore) => {}
            None => match signal {
                Signal::TERM | Signal::INT | Signal::QUIT | Signal::RTMIN_PLUS_3 => {
                    self.shut_down(now, Ending::by_signal(signal), out);
                }
                Signal::HUP => out.push(Action::Update),
                Signal::USR1 => out.push(Action::ReopenLogs),
                Signal::USR2 => out.push(Action::WriteStatus),
                _ => out.push(Action::ReportIgnored(signal)),
            },
        }
    }

    fn forward(&self, program: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        for run in self.runs_of(program).filter_map(Instance::run) {
            out.push(Action::Signal { run, signal, scope: Scope::Main, purpose: Purpose::Deliver });
        }
    }

    /// Handles the consequences of a batch of events: starts and stops instances, or ends the container.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        let changed = self.dirty;
        if changed {
            self.forget_the_removed(out);
            self.follow_order(now, out);
            self.dirty = false;
        }
        self.advance_shutdown(now, out);
        if !changed || self.boot == Boot::Before || self.phase.has_begun() {
            return;
        }
        if self.boot == Boot::Rising && !self.instances.iter().any(is_rising) {
            self.boot = Boot::Complete;
            out.push(Action::ReportReady);
        }
        if self.plan.settings().when_all_ended != WhenAllEnded::Stay && self.nothing_will_happen() {
            self.shut_down(now, self.ending_of_all(), out);
            self.settle(now, out);
        }
    }

    fn spec_at(&self, at: usize) -> Option<&ProgramSpec> {
        self.spec(self.instances.get(at)?.id().program)
    }

    fn spec(&self, program: ProgramId) -> Option<&ProgramSpec> {
        self.plan.program(program).map(Rc::as_ref)
    }

    fn instances_of(&self, program: ProgramId) -> &[Instance] {
        self.instances.get(self.positions_of(program)).unwrap_or(&[])
    }

    fn spares_of(&self, program: ProgramId) -> impl Iterator<Item = &Instance> {
        self.spares.iter().filter(move |spare| spare.id().program == program)
    }

    /// The instances of a program, and the runs beside them.
    fn runs_of(&self, program: ProgramId) -> impl Iterator<Item = &Instance> {
        self.instances_of(program).iter().chain(self.spares_of(program))
    }

    fn positions_of(&self, program: ProgramId) -> Range<usize> {
        let before = |instance: &Instance| instance.id().program < program;
        let first = self.instances.partition_point(before);
        let rest = self.instances.get(first..).unwrap_or(&[]);
        first..first + rest.partition_point(|instance| instance.id().program == program)
    }

    fn find(&self, id: InstanceId) -> Option<&Instance> {
        self.position(id).and_then(|at| self.instances.get(at))
    }

    fn position(&self, id: InstanceId) -> Option<usize> {
        self.instances.binary_search_by_key(&id, Instance::id).ok()
    }
}

/// What an input has changed, as far as the supervisor counts it.
struct Effect {
    live: (bool, bool),
    stuck: (bool, bool),
    state: (StateName, StateName),
}

impl Effect {
    fn of(instance: &mut Instance, now: Instant, input: Input, out: &mut Vec<Action>) -> Effect {
        let look = |instance: &Instance| {
            let state = instance.state();
            (instance.run().is_some(), state.is_stuck(), state.name())
        };
        let before = look(instance);
        instance.step(now, input, out);
        let after = look(instance);
        Effect { live: (before.0, after.0), stuck: (before.1, after.1), state: (before.2, after.2) }
    }

    /// Counts the live runs. Returns the state, where it is another one.
    fn count(self, live: &mut usize, dirty: &mut bool) -> Option<StateName> {
        match self.live {
            (false, true) => *live += 1,
            (true, false) => *live -= 1,
            (true, true) | (false, false) => {}
        }
        *dirty |= self.stuck.0 != self.stuck.1 || self.state.0 != self.state.1;
        (self.state.0 != self.state.1).then_some(self.state.1)
    }
}

/// Whether nothing was ever asked of an instance.
fn is_untouched(instance: &Instance) -> bool {
    instance.desired() == Desired::Down(DownReason::NotAutostarted)
}

/// Whether an instance is on its way to be ready for the first time.
fn is_rising(instance: &Instance) -> bool {
    let rising = matches!(instance.desired(), Desired::Rising | Desired::Trial | Desired::Cycle(_));
    rising && instance.spec().job.is_none() && !instance.state().has_ended() && !instance.state().is_stuck()
}
