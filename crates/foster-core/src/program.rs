//! One instance of a program: what it is doing, what is wanted of it, and the one transition function.
//!
//! # The essay
//!
//! Two things are kept apart. [`State`] says what *is*: there is a process or there is none, and what
//! has to happen next. [`Desired`] says what an operator, the plan or a requirement *wants*. Nearly every
//! question ("is a restart due?", "may its neighbour start?") is a question about the pair, so there are
//! no flags beside them: what a state needs lives in its variant, and is gone with it.
//!
//! A **run** is one execution. It is *live* from the moment its spawn is asked for until its main process
//! was reaped **and** nobody of its session is left. That second half is why a gunicorn master that was
//! killed does not come back into a port its orphaned workers still hold: the state is
//! [`State::Stopping`] with [`Phase::Others`] until they are gone.
//!
//! Three things can end a run, and [`StopReason`] remembers which, because what follows depends on it: it was
//! asked to ([`StopReason::Requested`]: the exit is never a failure), it was not ready in time ([`StopReason::NotReady`]: a
//! failed start, whatever its exit code), or it ended by itself ([`StopReason::Exited`]: the restart policy decides,
//! in `restart.rs`).
//!
//! A **timer** is a field of the state that waits for it. [`Instance::deadline`] reads it; leaving the
//! state drops it. There is nothing to cancel and nothing that can fire late.
//!
//! Who may start or stop *now* depends on the others: `supervisor.rs` asks, and sends [`Input::Start`],
//! [`Input::Block`] or [`Input::Stop`]. Tasks and jobs fit in without a second machine: a task is a program
//! with `restart = never` whose end with success satisfies those after it; a job is one that is begun by a
//! schedule.
//!
//! The function is nested `match state { match input }` without a `_` arm: a new state or input does not
//! compile until every pair is decided.

mod stopping;
mod transition;

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use crate::action::{Action, Cause, StateName};
use crate::event::{ProbeResult, Session, StartFailure};
use crate::ids::{Exit, InstanceId, Run};
use crate::restart::Start;
use crate::spec::ProgramSpec;
use crate::time::Instant;
use transition::Turn;

/// How long one answer to a readiness question may take before it is asked again.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// One process of a program, through all its executions.
#[derive(Debug, Clone)]
pub struct Instance {
    id: InstanceId,
    state: State,
    desired: Desired,
    runs: u32,
    failures: u32,
    restarts: u32,
    last: Option<Exit>,
}

/// What an instance is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing runs, and nothing is about to.
    Stopped,
    /// Wanted, and held back by something that is not ready.
    Waiting,
    /// Its process exists, or is just being made, and is not ready yet.
    Starting {
        /// This execution.
        run: Run,
        /// When its spawn was asked for.
        spawned: Instant,
        /// What has to happen before it counts as ready.
        gate: Gate,
    },
    /// Ready.
    Running {
        /// This execution.
        run: Run,
        /// When its spawn was asked for.
        spawned: Instant,
    },
    /// Its processes are on their way out.
    Stopping {
        /// This execution.
        run: Run,
        /// When its spawn was asked for.
        spawned: Instant,
        /// Since when it is stopping.
        began: Instant,
        /// How far that has come.
        phase: Phase,
        /// Why, and so what follows.
        aim: StopReason,
    },
    /// Its last start failed; the next comes later.
    Backoff {
        /// When.
        until: Instant,
    },
    /// It ended with success and is not to be restarted.
    Exited {
        /// How.
        exit: Exit,
    },
    /// It failed and is not to be restarted.
    Fatal {
        /// How it ended last; `None`: it could not be started, or was never ready.
        exit: Option<Exit>,
    },
}

/// What a starting process has to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// The process has to exist first.
    Spawning {
        /// The state it is coming from.
        from: StateName,
    },
    /// It has to stay up until then.
    Uptime {
        /// When it counts as ready.
        until: Instant,
    },
    /// It has to say so.
    Notify {
        /// When that would be too late.
        give_up: Instant,
    },
    /// It has to answer.
    Probe {
        /// When that would be too late.
        give_up: Instant,
        /// The question.
        ask: Ask,
        /// The last answer, for the message if there is never a better one.
        last: Option<String>,
    },
}

/// Whether a question is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// The next one is due.
    At(Instant),
    /// One is; without an answer by then it is asked anew.
    UnderWay(Instant),
}

/// How far a stop has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its `pre_stop` command runs.
    PreStop {
        /// When that has used up the stop timeout.
        until: Instant,
    },
    /// A stop signal was sent.
    Signalled {
        /// Which of the sequence.
        step: usize,
        /// When the next one is due.
        until: Instant,
    },
    /// KILL was sent: nothing is left but to wait for the kernel.
    Killed,
    /// The main process is gone; others of its session are not.
    Others {
        /// How the main process ended.
        exit: Exit,
        /// When they get KILL; `None`: they have got it.
        kill: Option<Instant>,
    },
}

/// Why a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// It was asked to.
    Requested,
    /// It was not ready in time.
    NotReady,
    /// It ended by itself.
    Exited {
        /// What it had achieved by then.
        start: Start,
    },
}

/// What is wanted of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Desired {
    /// To be down.
    Down(DownReason),
    /// To go down and come up again.
    Cycle(CycleCause),
    /// To be up; it has not been ready since that was first wanted. Such an instance holds up later tiers.
    Rising,
    /// To be up; it has been ready. A crash now holds up nobody but those that are `after` it.
    Up,
}

/// Why an instance is to be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownReason {
    /// Nobody has asked for it yet.
    NotAutostarted,
    /// An operator stopped it.
    Ordered,
    /// It is not in the plan any more: when it is down it is forgotten.
    Removed,
    /// The container ends.
    Shutdown,
}

/// Why an instance is to go down and come up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CycleCause {
    /// An operator ordered a restart.
    Ordered,
    /// Its definition is another one now.
    Changed,
    /// What it requires stays down; it comes up again with it.
    Requirement(InstanceId),
}

/// What can be said to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// It is your turn: start.
    Start,
    /// You are wanted, but this one has to be ready first.
    Block(InstanceId),
    /// It is your turn: stop.
    Stop(Cause),
    /// Forget how you ended, and that you failed: you are wanted anew.
    Reset,
    /// Be gone at once.
    Kill,
    /// Time has passed.
    Ticked,
    /// The process exists.
    Spawned,
    /// The process could not be made.
    SpawnFailed(StartFailure),
    /// The main process has ended.
    Exited(Exit, Session),
    /// Nobody of the session is left.
    SessionEmptied,
    /// The probe answered.
    Probed(ProbeResult),
    /// The `pre_stop` command is over.
    PreStopEnded,
}

impl Instance {
    /// An instance that has not run yet.
    pub fn new(id: InstanceId, desired: Desired) -> Instance {
        Instance { id, state: State::Stopped, desired, runs: 0, failures: 0, restarts: 0, last: None }
    }

    /// The same, where an earlier one of this id was forgotten: its runs are counted on, so that no [`Run`] ever
    /// means two executions.
    #[must_use]
    pub fn after_runs(self, runs: u32) -> Instance {
        Instance { runs, ..self }
    }

    /// Which one this is.
    pub fn id(&self) -> InstanceId {
        self.id
    }

    /// What it is doing.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What is wanted of it.
    pub fn desired(&self) -> Desired {
        self.desired
    }

    /// Wants something else of it. What follows is for the supervisor to find out.
    pub fn want(&mut self, desired: Desired) {
        self.desired = desired;
    }

    /// The number of its last run; 0: it had none.
    pub fn runs(&self) -> u32 {
        self.runs
    }

    /// How many starts in a row have failed.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// How often it was restarted after an end by itself.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// How its last run ended.
    pub fn last(&self) -> Option<Exit> {
        self.last
    }

    /// The run that is live, if one is.
    pub fn run(&self) -> Option<Run> {
        self.live().map(|(run, _)| run)
    }

    /// The run that is live, and since when.
    pub fn live(&self) -> Option<(Run, Instant)> {
        match self.state {
            State::Starting { run, spawned, gate: _ }
            | State::Running { run, spawned }
            | State::Stopping { run, spawned, began: _, phase: _, aim: _ } => Some((run, spawned)),
            State::Stopped
            | State::Waiting
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => None,
        }
    }

    /// When it wants to be told that time has passed.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Starting { run: _, spawned: _, gate } => match gate {
                Gate::Spawning { from: _ } => None,
                Gate::Uptime { until } => Some(*until),
                Gate::Notify { give_up } => Some(*give_up),
                Gate::Probe { give_up, ask: Ask::At(at) | Ask::UnderWay(at), last: _ } => {
                    Some(*at.min(give_up))
                }
            },
            State::Stopping { run: _, spawned: _, began: _, phase, aim: _ } => match phase {
                Phase::PreStop { until } | Phase::Signalled { step: _, until } => Some(*until),
                Phase::Others { exit: _, kill } => *kill,
                Phase::Killed => None,
            },
            State::Backoff { until } => Some(*until),
            State::Stopped
            | State::Waiting
            | State::Running { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => None,
        }
    }

    /// The one transition function. What has no meaning in a state changes nothing.
    pub fn step(&mut self, now: Instant, input: Input, spec: &ProgramSpec, out: &mut Vec<Action>) {
        let state = mem::replace(&mut self.state, State::Stopped);
        self.state = Turn { now, spec, out, instance: self }.next(state, input);
    }
}

impl State {
    /// The word for it.
    pub fn name(&self) -> StateName {
        match self {
            State::Stopped => StateName::Stopped,
            State::Waiting => StateName::Waiting,
            State::Starting { .. } => StateName::Starting,
            State::Running { .. } => StateName::Running,
            State::Stopping { .. } => StateName::Stopping,
            State::Backoff { .. } => StateName::Backoff,
            State::Exited { .. } => StateName::Exited,
            State::Fatal { .. } => StateName::Fatal,
        }
    }
}
