//! Starting and running: readiness, then health.
//!
//! A gate is passed, or its time is over. One [`Prober`] asks whether a program is ready, and later whether it is
//! healthy; only the meaning of its verdict differs. A watchdog is a health probe the other way round: the program
//! reports by itself. Next: `reporting.rs`, `stopping.rs`.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::transition::Transition;
use super::{
    ANSWER_TIMEOUT, Desired, Gate, Health, HealthVerdict, Input, Live, MEMORY_INTERVAL, Reload, State,
    StopReason, Watch,
};
use crate::action::{Action, Cause, StateName};
use crate::ending::Failure;
use crate::event::Adoption;
use crate::ids::Run;
use crate::probe::{ProbeResult, ProbeTiming, Prober, Step, Verdict, Which};
use crate::restart::End;
use crate::spec::{HealthAction, HealthPlan, LateStart, Readiness};
use crate::time::Instant;

/// The state that `starting` leaves.
const STARTING: StateName = StateName::Starting;

impl Transition<'_> {
    pub(super) fn starting(&mut self, live: Live, gate: Gate, input: Input) -> State {
        match input {
            Input::Spawned => match gate {
                Gate::Spawning { give_up } => self.open_gate(live, give_up),
                Gate::Uptime { .. } | Gate::Notify { .. } | Gate::Completion { .. } | Gate::Probe { .. } => {
                    State::Starting { live, gate }
                }
            },
            Input::SpawnFailed(failure) => {
                let end = End::NotStarted { persistence: failure.persistence };
                self.conclude(end, Failure::NotStarted(failure.clone()), live.run, STARTING, |_, next| {
                    Cause::CannotStart { failure, next }
                })
            }
            Input::Exited(exit, left) => {
                self.cancel_ready_probe(live.run, &gate);
                self.ended_by_itself(live, STARTING, exit, left, self.needs_no_word())
            }
            Input::Stop(cause) => {
                self.cancel_ready_probe(live.run, &gate);
                self.stop(live, STARTING, StopReason::Requested, cause)
            }
            Input::Kill => {
                self.cancel_ready_probe(live.run, &gate);
                self.kill(live, STARTING)
            }
            Input::Ticked => self.tick_gate(live, gate),
            Input::Notified(notice) => self.notified_starting(live, gate, notice),
            Input::Probed(Which::Ready, result) => match gate {
                Gate::Probe { give_up, prober } => self.ready_answered(live, give_up, prober, result),
                Gate::Spawning { .. }
                | Gate::Uptime { .. }
                | Gate::Notify { .. }
                | Gate::Completion { .. } => State::Starting { live, gate },
            },
            Input::Probed(Which::Memory, result) => match gate {
                Gate::Completion { give_up, mut memory } => match self.over_memory(memory.as_mut(), result) {
                    Some(seen) => self.outgrown(live, STARTING, seen),
                    None => State::Starting { live, gate: Gate::Completion { give_up, memory } },
                },
                Gate::Spawning { .. } | Gate::Uptime { .. } | Gate::Notify { .. } | Gate::Probe { .. } => {
                    State::Starting { live, gate }
                }
            },
            Input::Start(..)
            | Input::Block(_)
            | Input::Reset
            | Input::TreeEmptied
            | Input::Parted
            | Input::ReloadAsked
            | Input::Probed(Which::Health, _)
            | Input::PreStopEnded
            | Input::SignalRefused(_) => State::Starting { live, gate },
        }
    }

    pub(super) fn running(&mut self, live: Live, watch: Watch, input: Input) -> State {
        let state = State::Running { live, watch };
        let from = state.name();
        let State::Running { live: _, mut watch } = state else { return state };
        match input {
            Input::Exited(exit, left) => {
                self.cancel_health_probe(live.run, &watch);
                self.ended_by_itself(live, from, exit, left, true)
            }
            Input::Stop(cause) => {
                self.cancel_health_probe(live.run, &watch);
                self.stop(live, from, StopReason::Requested, cause)
            }
            Input::Kill => {
                self.cancel_health_probe(live.run, &watch);
                self.kill(live, from)
            }
            Input::Ticked => match (watch.alive_until, live.watchdog) {
                (Some(until), Some(timeout)) if until <= self.now => {
                    self.not_alive(live, from, &watch, format!("no WATCHDOG=1 within {timeout:?}"))
                }
                (Some(_) | None, _) => {
                    watch.reload = self.tick_reload(live.run, from, watch.reload);
                    self.ask_for_memory(live.run, watch.memory.as_mut());
                    self.tick_health(live, watch)
                }
            },
            Input::Notified(notice) => self.notified_running(live, from, watch, notice),
            Input::Parted => self.parted(live, from),
            Input::ReloadAsked => State::Running { live, watch: self.reload_asked(watch) },
            Input::Probed(Which::Health, result) => self.health_answered(live, watch, result),
            Input::Probed(Which::Memory, result) => self.memory_answered(live, from, watch, result),
            Input::Start(..)
            | Input::Block(_)
            | Input::Reset
            | Input::Spawned
            | Input::SpawnFailed(_)
            | Input::TreeEmptied
            | Input::Probed(Which::Ready, _)
            | Input::PreStopEnded
            | Input::SignalRefused(_) => State::Running { live, watch },
        }
    }

    /// Whether it is ready by its uptime alone.
    pub(super) fn needs_no_word(&self) -> bool {
        self.spec.readiness == Readiness::Uptime
    }

    /// The state of a run that is there already. What was awaited of it is awaited again.
    pub(super) fn adopted(&mut self, live: Live, reached: Adoption) -> State {
        let give_up = self.now.plus(self.spec.readiness.start_timeout());
        match reached {
            Adoption::Preparing => State::Starting { live, gate: Gate::Spawning { give_up } },
            Adoption::Starting => self.open_gate(live, give_up),
            Adoption::Ready => State::Running { live, watch: self.watch(live) },
            Adoption::Stopping | Adoption::Restarting => self.stopping_already(live, StopReason::Requested),
            Adoption::NotReady => {
                let within = self.spec.readiness.start_timeout();
                self.stopping_already(live, StopReason::NotReady { within, last: None })
            }
            Adoption::Unhealthy => self.stopping_already(live, StopReason::Unhealthy { seen: Vec::new() }),
        }
    }

    /// The program was executed: decides what has to happen before it is ready. Its uptime counts from now, its
    /// `ready.timeout` from the request.
    fn open_gate(&mut self, live: Live, give_up: Instant) -> State {
        let gate = match self.spec.readiness {
            Readiness::Uptime => Gate::Uptime { until: self.now.plus(self.spec.restart.min_uptime) },
            Readiness::Notify { .. } => Gate::Notify { give_up, last: None },
            Readiness::Completion { timeout } => {
                Gate::Completion { give_up: timeout.map(|_| give_up), memory: self.memory_prober() }
            }
            Readiness::Probe { interval, .. } => {
                let timing = ProbeTiming { interval, timeout: ANSWER_TIMEOUT, failures: None };
                Gate::Probe { give_up, prober: Prober::new(timing, self.now) }
            }
        };
        self.tick_gate(Live { since: self.now, ..live }, gate)
    }

    fn tick_gate(&mut self, live: Live, gate: Gate) -> State {
        match gate {
            Gate::Uptime { until } if until <= self.now => self.ready(live),
            Gate::Spawning { give_up } if give_up <= self.now => {
                let last = Some("its process did not reach the exec of its program".into());
                self.late(live, give_up, last)
            }
            Gate::Notify { give_up, last } if give_up <= self.now => self.not_in_time(live, give_up, last),
            Gate::Completion { give_up: Some(give_up), memory: _ } if give_up <= self.now => {
                self.late(live, give_up, None)
            }
            Gate::Completion { give_up, mut memory } => {
                self.ask_for_memory(live.run, memory.as_mut());
                State::Starting { live, gate: Gate::Completion { give_up, memory } }
            }
            Gate::Probe { give_up, prober } if give_up <= self.now => {
                let last = prober.last().map(Into::into);
                self.cancel_ready_probe(live.run, &Gate::Probe { give_up, prober });
                self.not_in_time(live, give_up, last)
            }
            Gate::Probe { give_up, mut prober } => {
                match prober.tick(self.now) {
                    Step::Wait => {}
                    Step::Ask => self.out.push(Action::Probe(live.run, Which::Ready)),
                    Step::GiveUp => {
                        self.out.push(Action::CancelProbe(live.run, Which::Ready));
                        let result = prober.no_answer();
                        prober.answered(self.now, result);
                        // The next attempt may be due already.
                        return self.tick_gate(live, Gate::Probe { give_up, prober });
                    }
                }
                State::Starting { live, gate: Gate::Probe { give_up, prober } }
            }
            Gate::Spawning { .. } | Gate::Uptime { .. } | Gate::Notify { .. } => {
                State::Starting { live, gate }
            }
        }
    }

    fn ready_answered(
        &mut self,
        live: Live,
        give_up: Instant,
        mut prober: Prober,
        result: ProbeResult,
    ) -> State {
        match prober.answered(self.now, result) {
            Verdict::Passed => self.ready(live),
            Verdict::Undecided | Verdict::Failed => {
                State::Starting { live, gate: Gate::Probe { give_up, prober } }
            }
        }
    }

    pub(super) fn cancel_ready_probe(&mut self, run: Run, gate: &Gate) {
        if let Gate::Probe { give_up: _, prober } = gate
            && prober.is_asking()
        {
            self.out.push(Action::CancelProbe(run, Which::Ready));
        }
    }

    pub(super) fn ready(&mut self, live: Live) -> State {
        let after = self.now.since(live.since);
        self.report(Some(live.run), StateName::Starting, StateName::Running, Cause::BecameReady { after });
        if matches!(self.instance.desired, Desired::Rising | Desired::Trial) {
            self.instance.desired = Desired::Up;
        }
        State::Running { live, watch: self.watch(live) }
    }

    /// What is looked at from now on.
    fn watch(&self, live: Live) -> Watch {
        let health = self.spec.health.map(|plan| {
            let timing = timing(plan);
            let first = timing.next(self.now.plus(plan.start_period));
            Health { prober: Prober::new(timing, first), verdict: HealthVerdict::Healthy }
        });
        let memory = self.memory_prober();
        let (alive_until, reload) = (self.alive_until(live), Reload::Unreported);
        Watch { health, alive_until, memory, reload }
    }

    fn memory_prober(&self) -> Option<Prober> {
        self.spec.memory_max.map(|_| Prober::new(MEMORY, MEMORY.next(self.now)))
    }

    /// When the watchdog's time is over, counted from now.
    pub(super) fn alive_until(&self, live: Live) -> Option<Instant> {
        live.watchdog.map(|timeout| self.now.plus(timeout))
    }

    /// It has not become ready in time, which can be good enough.
    fn not_in_time(&mut self, live: Live, give_up: Instant, last: Option<String>) -> State {
        match self.spec.readiness.late() {
            LateStart::IsReady => self.ready(live),
            LateStart::Fails => self.late(live, give_up, last),
        }
    }

    /// Its time to become ready is over: the time it was given, or what it has extended that to.
    fn late(&mut self, live: Live, give_up: Instant, last: Option<String>) -> State {
        let within = self.spec.readiness.start_timeout().max(give_up.since(live.since));
        self.not_ready(live, within, last)
    }

    pub(super) fn not_ready(&mut self, live: Live, within: Duration, last: Option<String>) -> State {
        let cause = Cause::NotReady { within, last: last.clone() };
        self.stop(live, STARTING, StopReason::NotReady { within, last }, cause)
    }

    /// Looks at its memory, if that is due.
    fn ask_for_memory(&mut self, run: Run, prober: Option<&mut Prober>) {
        // It is answered at once.
        if prober.map(|prober| prober.tick(self.now)) == Some(Step::Ask) {
            self.out.push(Action::Probe(run, Which::Memory));
        }
    }

    fn memory_answered(
        &mut self,
        live: Live,
        from: StateName,
        mut watch: Watch,
        result: ProbeResult,
    ) -> State {
        match self.over_memory(watch.memory.as_mut(), result) {
            Some(seen) => {
                self.cancel_health_probe(live.run, &watch);
                self.outgrown(live, from, seen)
            }
            None => State::Running { live, watch },
        }
    }

    /// What was seen of a run that is over its memory.
    fn over_memory(&self, prober: Option<&mut Prober>, result: ProbeResult) -> Option<String> {
        let prober = prober?;
        let verdict = prober.answered(self.now, result);
        prober.last().filter(|_| verdict == Verdict::Failed).map(String::from)
    }

    fn outgrown(&mut self, live: Live, from: StateName, seen: String) -> State {
        let cause = Cause::OverMemory { seen: seen.clone() };
        self.stop(live, from, StopReason::Unhealthy { seen: vec![seen] }, cause)
    }

    fn tick_health(&mut self, live: Live, watch: Watch) -> State {
        let Watch { health: Some(Health { mut prober, verdict }), alive_until, memory, reload } = watch
        else {
            return State::Running { live, watch };
        };
        match prober.tick(self.now) {
            Step::Wait => {}
            Step::Ask => self.out.push(Action::Probe(live.run, Which::Health)),
            Step::GiveUp => {
                self.out.push(Action::CancelProbe(live.run, Which::Health));
                let result = prober.no_answer();
                let watch = Watch { health: Some(Health { prober, verdict }), alive_until, memory, reload };
                let state = self.health_answered(live, watch, result);
                // The next attempt may be due already.
                return match state {
                    State::Running { live, watch } => self.tick_health(live, watch),
                    State::Stopped
                    | State::Waiting { .. }
                    | State::Starting { .. }
                    | State::Stopping(_)
                    | State::Backoff { .. }
                    | State::Exited { .. }
                    | State::Fatal { .. } => state,
                };
            }
        }
        State::Running {
            live,
            watch: Watch { health: Some(Health { prober, verdict }), alive_until, memory, reload },
        }
    }

    fn health_answered(&mut self, live: Live, watch: Watch, result: ProbeResult) -> State {
        let Watch { health: Some(Health { mut prober, verdict }), alive_until, memory, reload } = watch
        else {
            return State::Running { live, watch };
        };
        let answer = prober.answered(self.now, result);
        let verdict = match (verdict, answer) {
            (HealthVerdict::Unhealthy, Verdict::Passed) => {
                self.report(Some(live.run), StateName::Unhealthy, StateName::Running, Cause::Recovered);
                HealthVerdict::Healthy
            }
            (HealthVerdict::Healthy, Verdict::Failed) => {
                let seen = prober.seen().to_vec();
                let cause = Cause::Unhealthy { seen: seen.clone() };
                match self.spec.health.map(|plan| plan.action) {
                    Some(HealthAction::Restart) => {
                        return self.stop(live, StateName::Running, StopReason::Unhealthy { seen }, cause);
                    }
                    Some(HealthAction::Shutdown | HealthAction::Report) | None => {
                        self.report(Some(live.run), StateName::Running, StateName::Unhealthy, cause);
                        HealthVerdict::Unhealthy
                    }
                }
            }
            (same, _) => same,
        };
        State::Running {
            live,
            watch: Watch { health: Some(Health { prober, verdict }), alive_until, memory, reload },
        }
    }

    /// Its watchdog's time is over, or it has found itself that it does not work.
    pub(super) fn not_alive(&mut self, live: Live, from: StateName, watch: &Watch, seen: String) -> State {
        self.cancel_health_probe(live.run, watch);
        let seen = vec![seen];
        let cause = Cause::Unhealthy { seen: seen.clone() };
        self.stop(live, from, StopReason::Unhealthy { seen }, cause)
    }

    pub(super) fn cancel_health_probe(&mut self, run: Run, watch: &Watch) {
        if watch.health.as_ref().is_some_and(|health| health.prober.is_asking()) {
            self.out.push(Action::CancelProbe(run, Which::Health));
        }
    }
}

/// One look over the limit is enough: memory that a program has taken it seldom gives back.
const MEMORY: ProbeTiming =
    ProbeTiming { interval: MEMORY_INTERVAL, timeout: Duration::MAX, failures: Some(1) };

fn timing(plan: HealthPlan) -> ProbeTiming {
    ProbeTiming { interval: plan.interval, timeout: plan.timeout, failures: Some(plan.failures) }
}
