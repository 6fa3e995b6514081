//! One instance of a program: its state, its desired state, and the one transition function.
//!
//! # The model
//!
//! Two things are kept apart. [`State`] says what *is*: there is a process or there is none, and what has to
//! happen next. [`Desired`] says what an operator, the plan or a requirement *wants*. Nearly every question ("is a
//! restart due?", "may its neighbour start?") is a question about the pair, so there are no flags beside them:
//! the data of a state lives in its variant and is dropped with it.
//!
//! A **run** is one execution. It is *live* from the moment its spawn is asked for until its main process was
//! reaped **and** none of its other processes is left. That second half is why a gunicorn master that was killed
//! does not come back into a port its orphaned workers still hold: the state is [`State::Stopping`] with
//! [`Phase::Draining`] until they are gone. (Where foster holds the sockets there is no port to wait for:
//! `supervisor/beside.rs`.) The **definition** that a run was started from belongs to the run: an
//! instance holds it, and an update replaces it only where no process was made from it.
//!
//! Four things can end a run, and [`StopReason`] remembers which, because what follows depends on it: a request
//! (the exit is never a failure), a readiness probe that never passed (a failed start, whatever the exit code), a
//! health probe or a watchdog that failed, or the end of the main process by itself (`restart.rs` decides what
//! follows). A program may announce its end ([`Notice::Stopping`]): that is the last of these.
//!
//! In a rolling restart a run is on [`Desired::Trial`]: its failure does not count, and `supervisor/roll.rs` decides what
//! follows. Where two runs of an instance may stand beside each other, the second one has an [`Instance`] too, with the
//! same id: the [`Part`] of each says which of them is the instance.
//!
//! A **timer** is a field of the state that waits for it. [`Instance::deadline`] reads it; leaving the state drops
//! it. There is nothing to cancel and nothing that can fire late.
//!
//! Which instance may start or stop *now* depends on the others: `supervisor.rs` decides, and sends
//! [`Input::Start`], [`Input::Block`] or [`Input::Stop`].
//!
//! The function is nested `match state { match input }` without a `_` arm: a new state or input does not compile
//! until every pair is decided. Next: `program/transition.rs`.

mod reporting;
mod starting;
mod state;
mod stopping;
mod transition;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::action::{Action, Cause, Definition, Part};
use crate::ending::Failure;
use crate::event::{Adopted, Adoption, Leftovers, Notice, Recalled, Rest, StartFailure};
use crate::ids::{Exit, InstanceId, OrderId, Run, Signal};
use crate::probe::{ProbeResult, Which};
use crate::restart::Streak;
use crate::spec::ProgramSpec;
use crate::time::Instant;
use transition::Transition;

pub use state::{Gate, Health, HealthVerdict, Live, Phase, Reload, State, Stop, StopReason, Watch};

/// How long one attempt of a readiness probe may take before the next attempt.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// How often the memory of a program is looked at, where it has a limit.
pub const MEMORY_INTERVAL: Duration = Duration::from_secs(2);

/// The most by which a program can extend its own time limits at once: a mistake in one report takes neither KILL nor
/// `ready.timeout` away.
pub const LONGEST_EXTENSION: Duration = Duration::from_secs(3600);

/// How long a program has to report that it reloads: one that has not is taken for one that reports no reload.
pub const RELOAD_BEGINS: Duration = Duration::from_secs(1);

/// A process that got KILL exits within this time, or hangs in the kernel (state D, ps(1)).
pub const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// One process of a program, through all its executions.
#[derive(Debug, Clone)]
pub struct Instance {
    id: InstanceId,
    spec: Rc<ProgramSpec>,
    state: State,
    desired: Desired,
    /// The number of its last run; 0: it had none.
    last_run: u32,
    streak: Streak,
    restarts: u32,
    last: Option<PastRun>,
    /// The number of the last run that a rolling restart has put into the place of another; 0: there was none.
    replacement: u32,
    /// The number of the last run that was to be replaced because it was over its memory; 0: there was none.
    outgrown: u32,
    part: Part,
}

/// A run whose main process has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PastRun {
    /// Which.
    pub run: Run,
    /// How its main process ended.
    pub exit: Exit,
    /// When it began.
    pub since: Instant,
    /// How long it was.
    pub took: Duration,
}

/// The desired state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// To be down.
    Down(DownReason),
    /// To go down and come up again.
    Cycle(CycleCause),
    /// To be up, for a rolling restart, which decides what follows if it does not become ready.
    Trial,
    /// To be up; it has not been ready since that was first wanted. Such an instance holds up later tiers.
    Rising,
    /// To be up; it has been ready. A crash now holds up only those that are `after` it.
    Up,
}

/// Why an instance is to be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownReason {
    /// It was never asked for.
    NotAutostarted,
    /// An operator stopped it.
    Requested(OrderId),
    /// A rolling restart has replaced it, or was given up: it was a run beside that of the instance.
    Spare,
    /// It ends by itself, or its main process has: that it ends, or what that has left, is beside the next run.
    Leftovers,
    /// It was removed from the plan: when it is down it is forgotten.
    Removed,
    /// The container ends.
    Shutdown,
}

/// Why an instance is to go down and come up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleCause {
    /// An operator ordered a restart.
    Requested(OrderId),
    /// Its definition has changed.
    Changed,
    /// It is a job that is due again.
    Due,
    /// It is the turn of this instance in a rolling restart; why there is one.
    Replacement(RollCause),
    /// What it requires stays down; it comes up again with it.
    Requirement(InstanceId),
}

/// Whether a replacement holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replacement {
    /// It does.
    Done,
    /// It was taken back.
    TakenBack,
}

/// Why there is a rolling restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollCause {
    /// An operator ordered it.
    Requested(OrderId),
    /// The definition has changed.
    Changed,
    /// A rolling restart to a new definition has failed, and this one takes it back.
    TakenBack,
    /// Its run is over its memory.
    OverMemory,
}

impl From<RollCause> for Cause {
    fn from(cause: RollCause) -> Cause {
        match cause {
            RollCause::Requested(id) => Cause::Requested(id),
            RollCause::Changed => Cause::Changed,
            RollCause::TakenBack => Cause::TakenBack,
            RollCause::OverMemory => Cause::Outgrown,
        }
    }
}

/// The inputs of an instance, from the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Start, as the run with this number, from this definition.
    Start(u32, Definition),
    /// Wait until this instance is ready.
    Block(InstanceId),
    /// Stop.
    Stop(Cause),
    /// Forget its end and its failures, because it is to run again.
    Reset,
    /// Every process got KILL.
    Kill,
    /// Time has passed.
    Ticked,
    /// The process has executed its program.
    Spawned,
    /// The process could not be started.
    SpawnFailed(StartFailure),
    /// The main process has ended.
    Exited(Exit, Leftovers),
    /// None of its processes is left.
    TreeEmptied,
    /// Its run, which ends by itself, is not its own any longer.
    Parted,
    /// A probe answered.
    Probed(Which, ProbeResult),
    /// The program has reported something about itself.
    Notified(Notice),
    /// An order has sent it its `reload_signal`.
    ReloadAsked,
    /// The `pre_stop` command has ended.
    PreStopEnded,
    /// A signal could not be sent.
    SignalRefused(Signal),
}

impl Instance {
    /// An instance that has not run yet.
    pub fn new(id: InstanceId, spec: Rc<ProgramSpec>, desired: Desired) -> Instance {
        Instance {
            id,
            spec,
            state: State::Stopped,
            desired,
            last_run: 0,
            streak: Streak::default(),
            restarts: 0,
            last: None,
            replacement: 0,
            outgrown: 0,
            part: Part::Serving,
        }
    }

    /// One that is to replace this one: a trial of this definition.
    pub fn replacement(&self, spec: &Rc<ProgramSpec>) -> Instance {
        let trial = Instance::new(self.id, Rc::clone(spec), Desired::Trial);
        Instance { part: Part::Replacement, ..trial }
    }

    /// One that was replaced by this one, and is only to be stopped.
    pub fn former(&self, spec: &Rc<ProgramSpec>) -> Instance {
        let spare = Instance::new(self.id, Rc::clone(spec), Desired::Down(DownReason::Spare));
        Instance { part: Part::Replaced, ..spare }
    }

    /// Whether a run follows if its main process ends like this.
    pub fn is_restarted_after(&self, now: Instant, exit: Exit) -> bool {
        let mut ended = self.clone();
        ended.step(now, Input::Exited(exit, Leftovers::None), &mut Vec::new());
        matches!(ended.state, State::Waiting { .. } | State::Backoff { .. })
    }

    /// What its run has left, of which the main process has ended like this: it gets TERM, and nothing follows its end.
    pub fn leftovers(&self, now: Instant, exit: Exit, out: &mut Vec<Action>) -> Option<Instance> {
        let (live, from, spec) = (self.state.live()?, self.state.name(), Rc::clone(&self.spec));
        let desired = Desired::Down(DownReason::Leftovers);
        let rest = Instance::new(self.id, Rc::clone(&spec), desired);
        let past = PastRun { run: live.run, exit, since: live.since, took: now.since(live.since) };
        let mut rest = Instance { part: Part::Replaced, last_run: live.run.number, last: Some(past), ..rest };
        rest.state = Transition { now, spec: &spec, out, instance: &mut rest }.leave(live, from, exit);
        Some(rest)
    }

    /// Its run, which has announced its end: nothing follows that.
    pub fn ending(&self, now: Instant, out: &mut Vec<Action>) -> Instance {
        let desired = Desired::Down(DownReason::Leftovers);
        let mut ending = Instance { part: Part::Replaced, desired, ..self.clone() };
        ending.step(now, Input::Notified(Notice::Stopping), out);
        ending
    }

    /// What a run has left that this one does not wait for.
    pub fn left_before(&self, spec: &Rc<ProgramSpec>) -> Instance {
        Instance { desired: Desired::Down(DownReason::Leftovers), ..self.former(spec) }
    }

    /// Takes a run that is there.
    pub fn adopt(&mut self, now: Instant, adopted: Adopted, out: &mut Vec<Action>) {
        let Adopted { run, reached, since, watchdog, exit, counts } = adopted;
        (self.last_run, self.restarts, self.streak) =
            (run.number, counts.restarts, Streak::of(counts.failures));
        if self.part == Part::Serving {
            self.desired = match reached {
                Adoption::Preparing | Adoption::Starting | Adoption::NotReady => Desired::Rising,
                Adoption::Ready | Adoption::Unhealthy => Desired::Up,
                Adoption::Stopping => Desired::Down(DownReason::Requested(OrderId(0))),
                Adoption::Restarting => Desired::Cycle(CycleCause::Requested(OrderId(0))),
            };
        }
        let spec = Rc::clone(&self.spec);
        let live = Live { run, since, watchdog };
        let mut transition = Transition { now, spec: &spec, out, instance: self };
        self.state = match exit {
            Some(exit) => transition.draining_already(live, reached, exit),
            None => transition.adopted(live, reached),
        };
    }

    /// Takes what is known of it without a run.
    pub fn recall(&mut self, recalled: Recalled) {
        let Recalled { rest, last_run, exit, counts } = recalled;
        (self.last_run, self.restarts, self.streak) =
            (last_run, counts.restarts, Streak::of(counts.failures));
        match rest {
            Rest::Due => self.desired = Desired::Rising,
            Rest::Idle => {}
            Rest::Stopped => self.desired = Desired::Down(DownReason::Requested(OrderId(0))),
            Rest::Exited => (self.desired, self.state) = (Desired::Up, State::Exited { exit }),
            Rest::Fatal => {
                let failure = Failure::Exited { exit, uptime: Duration::ZERO };
                (self.desired, self.state) = (Desired::Up, State::Fatal { failure });
            }
        }
    }

    /// Takes the place of `old`, which is only to be stopped from now on.
    pub fn succeed(&mut self, old: &mut Instance) {
        (self.restarts, self.last, self.replacement) = (old.restarts, old.last, old.replacement);
        (self.part, old.part) = (Part::Serving, Part::Replaced);
        old.desired = Desired::Down(DownReason::Spare);
    }

    /// Whether its run may be replaced for its memory, by one beside it: it has worked for long enough that this is no
    /// failed start, and that was not tried before. Takes note that it is.
    pub fn note_outgrown(&mut self, now: Instant) -> bool {
        let State::Running { live, .. } = &self.state else { return false };
        let has_worked = now.since(live.since) >= self.spec.restart.backoff.reset;
        let is_first = mem::replace(&mut self.outgrown, live.run.number) != live.run.number;
        has_worked && is_first
    }

    /// Takes note of a restart that is not by its own end.
    pub fn count_restart(&mut self) {
        self.restarts = self.restarts.saturating_add(1);
    }

    /// Takes note whether its run counts as that of a rolling restart.
    pub fn note_replacement(&mut self, is_one: Replacement) {
        self.replacement = match is_one {
            Replacement::Done => self.last_run,
            Replacement::TakenBack => 0,
        };
    }

    /// Takes note of how its last run ended, which had another [`Instance`].
    pub fn note_last(&mut self, past: Option<PastRun>) {
        self.last = past.or(self.last);
    }

    /// The number of the last run that a rolling restart has put into the place of another; 0: there was none.
    pub fn replaced_by(&self) -> u32 {
        self.replacement
    }

    /// Its id.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// The definition that its run was started from; without a run, the plan's.
    pub fn spec(&self) -> &Rc<ProgramSpec> {
        &self.spec
    }

    /// Gives it another definition: at once where only decisions change or nothing was made from the old one.
    pub fn redefine(&mut self, spec: &Rc<ProgramSpec>) {
        self.spec = Rc::clone(spec);
    }

    /// What it is doing.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its desired state.
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// Whether an update has removed it.
    pub fn is_removed(&self) -> bool {
        self.desired == Desired::Down(DownReason::Removed)
    }

    /// Sets its desired state. The supervisor decides what follows.
    pub fn set_desired(&mut self, desired: Desired) {
        self.desired = desired;
    }

    /// The number of its last run; 0: it had none.
    pub fn last_run(&self) -> u32 {
        self.last_run
    }

    /// How many runs in a row have failed.
    pub fn failures(&self) -> u32 {
        self.streak.failures
    }

    /// How often it was restarted after it ended by itself.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Its last run that has ended.
    pub fn last(&self) -> Option<PastRun> {
        self.last
    }

    /// The run that is live, if one is.
    pub fn run(&self) -> Option<Run> {
        self.state.live().map(|live| live.run)
    }

    /// When [`Input::Ticked`] means something to it.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Starting { live: _, gate } => gate.deadline(),
            State::Running { live: _, watch } => watch.deadline(),
            State::Stopping(stop) => stop.phase.deadline(),
            State::Backoff { until } => Some(*until),
            State::Stopped | State::Waiting { .. } | State::Exited { .. } | State::Fatal { .. } => None,
        }
    }

    /// The one transition function. What has no meaning in a state changes nothing.
    pub fn step(&mut self, now: Instant, input: Input, out: &mut Vec<Action>) {
        let state = mem::replace(&mut self.state, State::Stopped);
        let spec = Rc::clone(&self.spec);
        self.state = Transition { now, spec: &spec, out, instance: self }.next(state, input);
    }
}
