//! The states of an instance and their data.
//!
//! A state has only the data that it needs; callers use accessors, so that they do not have to list the states. Next:
//! `transition.rs`.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::action::StateName;
use crate::ending::Failure;
use crate::ids::{Exit, InstanceId, Run};
use crate::probe::Prober;
use crate::restart::Start;
use crate::time::Instant;

/// What an instance is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing runs, and nothing is about to.
    Stopped,
    /// Wanted, and about to start.
    Waiting {
        /// What it waits for; `None`: nothing.
        on: Option<InstanceId>,
    },
    /// Its process exists, or is just being made, and is not ready yet.
    Starting {
        /// This execution.
        live: Live,
        /// What has to happen before it counts as ready.
        gate: Gate,
    },
    /// Ready.
    Running {
        /// This execution.
        live: Live,
        /// What shows whether it still works.
        watch: Watch,
    },
    /// Its processes are being ended.
    Stopping(Stop),
    /// Its last run failed; the next one comes later.
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
        /// Its last failure.
        failure: Failure,
    },
}

/// An execution that is live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// Which.
    pub run: Run,
    /// When its program was executed; before that, when its spawn was asked for.
    pub since: Instant,
    /// The time of its watchdog: that of its definition, or what it asked for since.
    pub watchdog: Option<Duration>,
}

/// What a starting process has to pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// The process has to execute its program.
    Spawning {
        /// When that has taken too long.
        give_up: Instant,
    },
    /// It has to stay up until then.
    Uptime {
        /// When it counts as ready.
        until: Instant,
    },
    /// It has to say that it is ready.
    Notify {
        /// When that is too late.
        give_up: Instant,
        /// What is missing, or why it cannot say so any longer.
        last: Option<String>,
    },
    /// It has to end with success.
    Completion {
        /// When that is too late; `None`: never.
        give_up: Option<Instant>,
        /// Its memory, where that has a limit.
        memory: Option<Prober>,
    },
    /// It has to give a good answer.
    Probe {
        /// When that is too late.
        give_up: Instant,
        /// The probe.
        prober: Prober,
    },
}

/// What shows whether a program that is ready still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Its health, where a probe asks for that.
    pub health: Option<Health>,
    /// When its watchdog's time is over; `None`: it has no watchdog.
    pub alive_until: Option<Instant>,
    /// Its memory, where that has a limit.
    pub memory: Option<Prober>,
    /// Its last reload.
    pub reload: Reload,
}

/// A reload that a program reports (`RELOADING=1`, then `READY=1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// None was reported.
    Unreported,
    /// It was asked for by an order.
    Asked {
        /// When the program does not report it any longer.
        until: Instant,
    },
    /// The program has reported its beginning.
    UnderWay {
        /// When it has.
        began: Instant,
        /// When its end is late.
        give_up: Instant,
    },
    /// The program has reported that it is ready again.
    Done,
    /// The program has not reported that in time.
    Late,
}

/// The health of a program that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The probe.
    pub prober: Prober,
    /// The result so far.
    pub verdict: HealthVerdict,
}

/// Whether a program is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthVerdict {
    /// It is, or too few answers in a row were bad.
    Healthy,
    /// It is not.
    Unhealthy,
}

/// A stop in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// This execution.
    pub live: Live,
    /// When the stop began.
    pub began: Instant,
    /// How far it has come.
    pub phase: Phase,
    /// Why, and so what follows.
    pub reason: StopReason,
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
    /// KILL was sent.
    Killed {
        /// When foster stops waiting for the kernel; `None`: it has.
        until: Option<Instant>,
    },
    /// The main process exited, the other processes of the program work on until the next run is ready.
    Kept {
        /// How the main process ended.
        exit: Exit,
        /// When they get TERM at the latest.
        until: Instant,
    },
    /// The main process exited, the other processes of the program got TERM.
    Draining {
        /// How the main process ended.
        exit: Exit,
        /// When they get KILL.
        kill: Instant,
    },
    /// The main process exited, the other processes of the program got KILL.
    DrainKilled {
        /// How the main process ended.
        exit: Exit,
        /// When foster stops waiting for the kernel; `None`: it has.
        until: Option<Instant>,
    },
}

/// Why a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It was asked to.
    Requested,
    /// It was not ready in time.
    NotReady {
        /// The time it had.
        within: Duration,
        /// What the probe saw last.
        last: Option<String>,
    },
    /// Its health probe failed, or its watchdog.
    Unhealthy {
        /// What was seen, the newest last.
        seen: Vec<String>,
    },
    /// Its main process ended by itself.
    Exited {
        /// What it had achieved before.
        start: Start,
    },
    /// Its main process ended by itself, and the next run does not wait for the other processes.
    Left,
}

impl State {
    /// The name of the state.
    pub fn name(&self) -> StateName {
        match self {
            State::Stopped => StateName::Stopped,
            State::Waiting { .. } => StateName::Waiting,
            State::Starting { .. } => StateName::Starting,
            State::Running {
                live: _,
                watch: Watch { health: Some(Health { prober: _, verdict: HealthVerdict::Unhealthy }), .. },
            } => StateName::Unhealthy,
            State::Running { .. } => StateName::Running,
            State::Stopping(_) => StateName::Stopping,
            State::Backoff { .. } => StateName::Backoff,
            State::Exited { .. } => StateName::Exited,
            State::Fatal { .. } => StateName::Fatal,
        }
    }

    /// The execution that is live, if one is.
    pub fn live(&self) -> Option<Live> {
        match self {
            State::Starting { live, gate: _ } | State::Running { live, watch: _ } => Some(*live),
            State::Stopping(stop) => Some(stop.live),
            State::Stopped
            | State::Waiting { .. }
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => None,
        }
    }

    /// The exit, if it exited with success and is not restarted.
    pub fn exit(&self) -> Option<Exit> {
        match self {
            State::Exited { exit } => Some(*exit),
            State::Stopped
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Fatal { .. } => None,
        }
    }

    /// The failure, if it failed and is not restarted.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            State::Fatal { failure } => Some(failure),
            State::Stopped
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Exited { .. } => None,
        }
    }

    /// Whether it has ended and is not restarted.
    pub fn has_ended(&self) -> bool {
        self.exit().is_some() || self.failure().is_some()
    }

    /// The instance that it waits for.
    pub fn waits_on(&self) -> Option<InstanceId> {
        match self {
            State::Waiting { on } => *on,
            State::Stopped
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => None,
        }
    }

    /// When its next start is due, in backoff.
    pub fn backoff_until(&self) -> Option<Instant> {
        match self {
            State::Backoff { until } => Some(*until),
            State::Stopped
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Stopping(_)
            | State::Exited { .. }
            | State::Fatal { .. } => None,
        }
    }

    /// What its readiness probe saw last, as long as that has not passed.
    pub fn last_answer(&self) -> Option<&str> {
        match self {
            State::Starting { live: _, gate: Gate::Probe { give_up: _, prober } } => prober.last(),
            State::Starting { live: _, gate: Gate::Notify { give_up: _, last } } => last.as_deref(),
            State::Starting { .. }
            | State::Stopped
            | State::Waiting { .. }
            | State::Running { .. }
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => None,
        }
    }

    /// Its last reload; that of a run that is not ready was not reported.
    pub fn reload(&self) -> Reload {
        match self {
            State::Running { live: _, watch } => watch.reload,
            State::Stopped
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => Reload::Unreported,
        }
    }

    /// Whether processes of it are still there after KILL, and foster no longer waits for them.
    pub fn is_stuck(&self) -> bool {
        self.phase().is_some_and(Phase::is_stuck)
    }

    /// Whether its main process has ended, and its other processes work on until the next run is ready.
    pub fn is_kept(&self) -> bool {
        matches!(self.phase(), Some(Phase::Kept { .. }))
    }

    fn phase(&self) -> Option<Phase> {
        match self {
            State::Stopping(stop) => Some(stop.phase),
            State::Stopped
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Running { .. }
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => None,
        }
    }
}

impl Gate {
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Gate::Spawning { give_up: at }
            | Gate::Uptime { until: at }
            | Gate::Notify { give_up: at, last: _ } => Some(*at),
            Gate::Completion { give_up, memory } => {
                give_up.iter().copied().chain(memory.as_ref().map(Prober::deadline)).min()
            }
            Gate::Probe { give_up, prober } => Some(prober.deadline().min(*give_up)),
        }
    }
}

impl Watch {
    pub(super) fn deadline(&self) -> Option<Instant> {
        let probe = self.health.as_ref().map(|health| health.prober.deadline());
        let memory = self.memory.as_ref().map(Prober::deadline);
        probe.into_iter().chain(self.alive_until).chain(memory).chain(self.reload.deadline()).min()
    }
}

impl Reload {
    fn deadline(self) -> Option<Instant> {
        match self {
            Reload::Asked { until: at } | Reload::UnderWay { began: _, give_up: at } => Some(at),
            Reload::Unreported | Reload::Done | Reload::Late => None,
        }
    }

    /// Whether its end is still to come, as far as is known.
    #[must_use]
    pub fn is_open(self) -> bool {
        self.deadline().is_some()
    }
}

impl Phase {
    pub(super) fn deadline(self) -> Option<Instant> {
        match self {
            Phase::PreStop { until: at }
            | Phase::Signalled { step: _, until: at }
            | Phase::Kept { exit: _, until: at }
            | Phase::Draining { exit: _, kill: at } => Some(at),
            Phase::Killed { until } | Phase::DrainKilled { exit: _, until } => until,
        }
    }

    fn is_stuck(self) -> bool {
        match self {
            Phase::Killed { until } | Phase::DrainKilled { exit: _, until } => until.is_none(),
            Phase::PreStop { .. } | Phase::Signalled { .. } | Phase::Kept { .. } | Phase::Draining { .. } => {
                false
            }
        }
    }
}
