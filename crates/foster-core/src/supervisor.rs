//! All instances together: whose turn it is to start and to stop, and what an end does to the container.
//!
//! [`Supervisor::step`] is the only entry. Each event goes to the instances it concerns; then the order
//! is looked at once ([`order`]), because whatever changed may have let others go on. That pass costs time
//! proportional to the programs, so it is made only while somebody waits for his turn ([`Tally`]): the end of
//! each of a thousand stopping programs costs the same as that of one.

mod order;
mod snapshot;
mod update;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::action::{Action, Cause, Ending, Scope, StateName};
use crate::event::{Event, Order};
use crate::ids::{InstanceId, ProgramId, Run, Signal};
use crate::plan::{CorePlan, SignalAction};
use crate::program::{CycleCause, Desired, DownReason, Input, Instance, State};
use crate::program_map::ProgramMap;
use crate::shutdown::{Closing, Demand, Phase};
use crate::spec::{Autostart, ExitAction, ProgramSpec};
use crate::time::Instant;

pub use snapshot::{InstanceView, Progress, Snapshot, progress};

/// The supervisor: a plan, and where everything stands.
#[derive(Debug, Clone)]
pub struct Supervisor {
    plan: Rc<CorePlan>,
    /// The instances of all programs, by their ids.
    instances: Vec<Instance>,
    /// What the runs that an update ends were started by: they are stopped by that, too.
    former: Vec<(Run, ProgramSpec)>,
    /// The highest number of a run that any forgotten instance of a program had.
    spent: ProgramMap<u32>,
    phase: Phase,
    boot: Boot,
    tally: Tally,
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

/// How many instances are in the conditions that decide whether anything has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Tally {
    /// Have a process, or leftovers of one.
    live: usize,
    /// Are to go down and have not begun to.
    to_stop: usize,
    /// Are to come up and have not begun to.
    to_start: usize,
    /// Are wanted up and have never been ready since.
    rising: usize,
    /// Are down because an operator said so.
    ordered_down: usize,
    /// Wait for the next attempt.
    backoff: usize,
    /// Are to be forgotten.
    removed: usize,
}

impl Supervisor {
    /// A supervisor of this plan; nothing happens before [`Event::Booted`].
    pub fn new(plan: impl Into<Rc<CorePlan>>) -> Supervisor {
        let plan = plan.into();
        let mut instances = Vec::new();
        for (program, spec) in plan.programs().iter() {
            for index in 0..spec.instances {
                let id = InstanceId { program, index };
                instances.push(Instance::new(id, Desired::Down(DownReason::NotAutostarted)));
            }
        }
        Supervisor {
            plan,
            instances,
            former: Vec::new(),
            spent: ProgramMap::new(),
            phase: Phase::Up,
            boot: Boot::Before,
            tally: Tally::default(),
        }
    }

    /// The plan it keeps.
    pub fn plan(&self) -> &CorePlan {
        &self.plan
    }

    /// Takes note of what happened and says what to do about it. Cannot fail.
    pub fn step(&mut self, now: Instant, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Booted => self.boot(),
            Event::Ticked => self.tick(now, out),
            Event::Spawned(run) => self.tell(now, run, Input::Spawned, out),
            Event::SpawnFailed(run, failure) => self.tell(now, run, Input::SpawnFailed(failure), out),
            Event::Exited { run, exit, session } => self.tell(now, run, Input::Exited(exit, session), out),
            Event::SessionEmptied(run) => self.tell(now, run, Input::SessionEmptied, out),
            Event::Probed(run, result) => self.tell(now, run, Input::Probed(result), out),
            Event::PreStopEnded(run) => self.tell(now, run, Input::PreStopEnded, out),
            Event::Signalled(signal) => self.signalled(now, signal, out),
            Event::Ordered { order, targets } => self.ordered(now, order, &targets, out),
            Event::ShutdownOrdered(cause) => self.shut_down(now, Ending::by_order(cause), out),
            Event::SweepDone => self.phase.rest_gone(out),
            Event::Updated(update) => self.update(now, *update, out),
        }
        self.settle(now, out);
    }

    /// When the shell has to send [`Event::Ticked`].
    pub fn deadline(&self) -> Option<Instant> {
        self.instances.iter().filter_map(Instance::deadline).chain(self.phase.deadline()).min()
    }

    /// Whether the end has begun.
    pub fn is_shutting_down(&self) -> bool {
        self.phase.has_begun()
    }

    fn boot(&mut self) {
        if self.boot != Boot::Before {
            return;
        }
        self.boot = Boot::Rising;
        for at in 0..self.instances.len() {
            let autostart = self.spec_at(at).is_some_and(|spec| spec.autostart == Autostart::Yes);
            if autostart && !self.phase.has_begun() {
                self.want(at, Desired::Rising);
            }
        }
    }

    fn tick(&mut self, now: Instant, out: &mut Vec<Action>) {
        for at in 0..self.instances.len() {
            if self.instances.get(at).and_then(Instance::deadline).is_some_and(|deadline| deadline <= now) {
                self.say(now, at, Input::Ticked, out);
            }
        }
    }

    /// Passes something on to the instance whose run it is about, if that run is the one it is in.
    fn tell(&mut self, now: Instant, run: Run, input: Input, out: &mut Vec<Action>) {
        if let Some(at) = self.position(run.instance)
            && self.instances.get(at).and_then(Instance::run) == Some(run)
        {
            self.say(now, at, input, out);
        }
    }

    /// The one place where an instance is told something: the tally is kept, and an end for good is noticed.
    fn say(&mut self, now: Instant, at: usize, input: Input, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get_mut(at) else { return };
        let run = instance.run();
        let former = self.former.iter().find(|(of, _)| Some(*of) == run).map(|(_, spec)| spec);
        let Some(spec) = former.or_else(|| self.plan.program(instance.id().program).map(Rc::as_ref)) else {
            return;
        };
        let before = instance.state().name();
        self.tally.remove(instance);
        instance.step(now, input, spec, out);
        self.tally.add(instance);
        if let Some(run) = run
            && instance.run() != Some(run)
        {
            self.former.retain(|(of, _)| *of != run);
        }
        let after = instance.state().name();
        if before != after && matches!(after, StateName::Exited | StateName::Fatal) {
            self.ended_for_good(now, at, out);
        }
    }

    fn want(&mut self, at: usize, desired: Desired) {
        if let Some(instance) = self.instances.get_mut(at) {
            self.tally.remove(instance);
            instance.want(desired);
            self.tally.add(instance);
        }
    }

    fn signalled(&mut self, now: Instant, signal: Signal, out: &mut Vec<Action>) {
        let configured = self
            .plan
            .settings()
            .signals
            .iter()
            .find(|(known, _)| *known == signal)
            .map(|(_, action)| *action);
        match configured {
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
                _ => {}
            },
        }
    }

    fn forward(&self, program: ProgramId, signal: Signal, out: &mut Vec<Action>) {
        for run in self.instances_of(program).iter().filter_map(Instance::run) {
            out.push(Action::Signal { run, signal, scope: Scope::Main });
        }
    }

    fn ordered(&mut self, now: Instant, order: Order, targets: &[InstanceId], out: &mut Vec<Action>) {
        for at in targets.iter().filter_map(|id| self.position(*id)).collect::<Vec<_>>() {
            let removed =
                self.instances.get(at).map(Instance::desired) == Some(Desired::Down(DownReason::Removed));
            match order {
                Order::Start | Order::Stop | Order::Restart if removed => {}
                Order::Start if !self.phase.has_begun() => self.start(now, at, out),
                Order::Restart if !self.phase.has_begun() => {
                    match self.instances.get(at).and_then(Instance::run) {
                        Some(_) => self.want(at, Desired::Cycle(CycleCause::Ordered)),
                        None => self.start(now, at, out),
                    }
                }
                Order::Stop if !self.phase.has_begun() => self.stop(now, at, out),
                Order::Start | Order::Restart | Order::Stop => {}
                Order::Signal(signal) => self.signal(at, signal, out),
                Order::Reload => {
                    if let Some(signal) = self.spec_at(at).and_then(|spec| spec.reload_signal) {
                        self.signal(at, signal, out);
                    }
                }
            }
        }
    }

    fn start(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get(at) else { return };
        let desired = match instance.state() {
            State::Running { .. } => Desired::Up,
            State::Stopped
            | State::Waiting
            | State::Starting { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => Desired::Rising,
        };
        self.want(at, desired);
        self.say(now, at, Input::Reset, out);
    }

    fn stop(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let ended = self
            .instances
            .get(at)
            .is_some_and(|instance| matches!(instance.state(), State::Exited { .. } | State::Fatal { .. }));
        if ended {
            return; // as it is down already, the order is fulfilled
        }
        self.want(at, Desired::Down(DownReason::Ordered));
        if self.instances.get(at).is_some_and(|instance| instance.live().is_none()) {
            self.say(now, at, Input::Stop(Cause::Ordered), out);
        }
    }

    fn signal(&self, at: usize, signal: Signal, out: &mut Vec<Action>) {
        if let Some(run) = self.instances.get(at).and_then(Instance::run) {
            out.push(Action::Signal { run, signal, scope: Scope::Main });
        }
    }

    /// The end begins; where it has begun already, what is left is killed at once.
    fn shut_down(&mut self, now: Instant, ending: Ending, out: &mut Vec<Action>) {
        if self.phase.has_begun() {
            return self.phase.hurry(now);
        }
        out.push(Action::ReportShutdown(ending.clone()));
        let deadline = now.plus(self.plan.settings().shutdown_timeout);
        self.phase = Phase::Stopping(Closing { began: now, deadline, ending });
        for at in 0..self.instances.len() {
            self.want(at, Desired::Down(DownReason::Shutdown));
            if self.instances.get(at).is_some_and(|instance| instance.live().is_none()) {
                self.say(now, at, Input::Stop(Cause::Shutdown), out);
            }
        }
    }

    /// An instance ended for good. What that does to the container, its program says, once none of
    /// its instances runs or will.
    fn ended_for_good(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get(at) else { return };
        let id = instance.id();
        let others = self.instances_of(id.program).iter().filter(|other| other.id() != id);
        if others.clone().any(runs_or_will) {
            return;
        }
        let Some(spec) = self.spec_at(at) else { return };
        let failed = others.chain([instance]).find_map(|one| match one.state() {
            State::Fatal { exit } => Some(Ending::failed(one.id(), *exit, one.failures())),
            State::Stopped
            | State::Waiting
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Exited { .. } => None,
        });
        let exited = match instance.state() {
            State::Exited { exit } => Some(Ending::exited(id, *exit)),
            State::Stopped
            | State::Waiting
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping { .. }
            | State::Backoff { .. }
            | State::Fatal { .. } => None,
        };
        let (fate, ending) = match failed {
            Some(ending) => (spec.on_failure, Some(ending)),
            None => (spec.on_exit, exited),
        };
        if let (ExitAction::Shutdown, Some(ending), false) = (fate, ending, self.phase.has_begun()) {
            self.shut_down(now, ending, out);
        }
    }

    /// After every event: let others go on whose turn it has become, and see whether it is all over.
    fn settle(&mut self, now: Instant, out: &mut Vec<Action>) {
        if self.tally.removed > 0 {
            self.forget_the_removed(out);
        }
        self.look_at_order(now, out);
        if self.phase.advance(now, self.tally.live, out) == Demand::KillAll {
            for at in 0..self.instances.len() {
                if self.instances.get(at).is_some_and(|instance| instance.live().is_some()) {
                    self.say(now, at, Input::Kill, out);
                }
            }
        }
        if self.boot == Boot::Rising && self.tally.rising == 0 && !self.phase.has_begun() {
            self.boot = Boot::Complete;
            out.push(Action::ReportReady);
        }
        if self.boot == Boot::Before || self.phase.has_begun() {
            return;
        }
        if self.nothing_will_happen() {
            self.shut_down(now, Ending::all_ended(), out);
            self.settle(now, out);
        }
    }

    /// Whether everything ended by itself and nothing will be started again. What an operator stopped has
    /// not ended by itself, and what nobody has ever started does not count, but does not suffice either.
    fn nothing_will_happen(&self) -> bool {
        if self.tally.live + self.tally.ordered_down + self.tally.backoff > 0 {
            return false;
        }
        let ended =
            |instance: &Instance| matches!(instance.state(), State::Exited { .. } | State::Fatal { .. });
        self.instances.iter().any(ended)
    }

    fn spec_at(&self, at: usize) -> Option<&ProgramSpec> {
        self.plan.program(self.instances.get(at)?.id().program).map(Rc::as_ref)
    }

    fn instances_of(&self, program: ProgramId) -> &[Instance] {
        self.instances.get(self.positions_of(program)).unwrap_or(&[])
    }

    fn positions_of(&self, program: ProgramId) -> Range<usize> {
        let before = |instance: &Instance| instance.id().program < program;
        let first = self.instances.partition_point(before);
        let rest = self.instances.get(first..).unwrap_or(&[]);
        first..first + rest.partition_point(|instance| instance.id().program == program)
    }

    fn position(&self, id: InstanceId) -> Option<usize> {
        self.instances.binary_search_by_key(&id, Instance::id).ok()
    }
}

/// Whether an instance runs, or is going to without anybody's order.
fn runs_or_will(instance: &Instance) -> bool {
    match instance.state() {
        State::Starting { .. } | State::Running { .. } | State::Backoff { .. } | State::Waiting => true,
        State::Stopping { .. } | State::Stopped => !matches!(instance.desired(), Desired::Down(_)),
        State::Exited { .. } | State::Fatal { .. } => false,
    }
}

impl Tally {
    fn add(&mut self, instance: &Instance) {
        self.count(instance, |number| *number += 1);
    }

    fn remove(&mut self, instance: &Instance) {
        self.count(instance, |number| *number -= 1);
    }

    fn count(&mut self, instance: &Instance, change: impl Fn(&mut usize)) {
        let desired = instance.desired();
        if desired == Desired::Down(DownReason::Removed) {
            change(&mut self.removed);
        }
        let wanted_down = matches!(desired, Desired::Down(_) | Desired::Cycle(_));
        match instance.state() {
            State::Starting { .. } | State::Running { .. } => {
                change(&mut self.live);
                if wanted_down {
                    change(&mut self.to_stop);
                }
            }
            State::Stopping { .. } => change(&mut self.live),
            State::Backoff { .. } => {
                change(&mut self.backoff);
                change(&mut self.to_start);
            }
            State::Stopped | State::Waiting => {
                if !wanted_down {
                    change(&mut self.to_start);
                }
            }
            State::Exited { .. } | State::Fatal { .. } => return,
        }
        match desired {
            Desired::Rising | Desired::Cycle(_) => change(&mut self.rising),
            Desired::Down(DownReason::Ordered) => change(&mut self.ordered_down),
            Desired::Down(DownReason::NotAutostarted | DownReason::Removed | DownReason::Shutdown)
            | Desired::Up => {}
        }
    }
}
