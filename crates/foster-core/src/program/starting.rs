//! Starting and running: readiness, then health.
//!
//! A gate is passed, or its time is over. One [`Prober`] asks whether a program is ready, and later whether it is
//! healthy; only the meaning of its verdict differs. Next: `stopping.rs`.

use core::time::Duration;

use super::transition::Transition;
use super::{
    ANSWER_TIMEOUT, Desired, Gate, Health, HealthVerdict, Input, Live, START_TIMEOUT, State, StopReason,
};
use crate::action::{Action, Cause, StateName};
use crate::ending::Failure;
use crate::ids::Run;
use crate::probe::{ProbeResult, ProbeTiming, Prober, Step, Verdict, Which};
use crate::restart::End;
use crate::spec::{HealthAction, HealthPlan, Readiness};
use crate::time::Instant;

/// The state that `starting` leaves.
const STARTING: StateName = StateName::Starting;

impl Transition<'_> {
    pub(super) fn starting(&mut self, live: Live, gate: Gate, input: Input) -> State {
        match input {
            Input::Spawned => match gate {
                Gate::Spawning { give_up } => self.open_gate(live.run, give_up),
                Gate::Uptime { .. } | Gate::Notify { .. } | Gate::Probe { .. } => {
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
                let was_ready = self.spec.readiness == Readiness::Uptime;
                self.ended_by_itself(live, STARTING, exit, left, was_ready)
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
            Input::SaidReady => match gate {
                Gate::Notify { give_up: _ } => self.ready(live),
                Gate::Spawning { .. } | Gate::Uptime { .. } | Gate::Probe { .. } => {
                    State::Starting { live, gate }
                }
            },
            Input::Probed(Which::Ready, result) => match gate {
                Gate::Probe { give_up, prober } => self.ready_answered(live, give_up, prober, result),
                Gate::Spawning { .. } | Gate::Uptime { .. } | Gate::Notify { .. } => {
                    State::Starting { live, gate }
                }
            },
            Input::Start(_)
            | Input::Block(_)
            | Input::Reset
            | Input::TreeEmptied
            | Input::Probed(Which::Health, _)
            | Input::PreStopEnded
            | Input::SignalRefused(_) => State::Starting { live, gate },
        }
    }

    pub(super) fn running(&mut self, live: Live, health: Option<Health>, input: Input) -> State {
        let state = State::Running { live, health };
        let from = state.name();
        let State::Running { live: _, health } = state else { return state };
        match input {
            Input::Exited(exit, left) => {
                self.cancel_health_probe(live.run, health.as_ref());
                self.ended_by_itself(live, from, exit, left, true)
            }
            Input::Stop(cause) => {
                self.cancel_health_probe(live.run, health.as_ref());
                self.stop(live, from, StopReason::Requested, cause)
            }
            Input::Kill => {
                self.cancel_health_probe(live.run, health.as_ref());
                self.kill(live, from)
            }
            Input::Ticked => self.tick_health(live, health),
            Input::Probed(Which::Health, result) => self.health_answered(live, health, result),
            Input::Start(_)
            | Input::Block(_)
            | Input::Reset
            | Input::Spawned
            | Input::SpawnFailed(_)
            | Input::TreeEmptied
            | Input::Probed(Which::Ready, _)
            | Input::SaidReady
            | Input::PreStopEnded
            | Input::SignalRefused(_) => State::Running { live, health },
        }
    }

    /// The time a start may take as a whole.
    pub(super) fn start_timeout(&self) -> Duration {
        match self.spec.readiness {
            Readiness::Uptime => START_TIMEOUT,
            Readiness::Probe { interval: _, timeout } | Readiness::Notify { timeout } => timeout,
        }
    }

    /// The program was executed: decides what has to happen before it is ready. Its uptime counts from now, its
    /// `ready.timeout` from the request.
    fn open_gate(&mut self, run: Run, give_up: Instant) -> State {
        let gate = match self.spec.readiness {
            Readiness::Uptime => Gate::Uptime { until: self.now.plus(self.spec.restart.min_uptime) },
            Readiness::Notify { timeout: _ } => Gate::Notify { give_up },
            Readiness::Probe { interval, timeout: _ } => {
                let timing = ProbeTiming { interval, timeout: ANSWER_TIMEOUT, failures: None };
                Gate::Probe { give_up, prober: Prober::new(timing, self.now) }
            }
        };
        self.tick_gate(Live { run, since: self.now }, gate)
    }

    fn tick_gate(&mut self, live: Live, gate: Gate) -> State {
        match gate {
            Gate::Uptime { until } if until <= self.now => self.ready(live),
            Gate::Spawning { give_up } if give_up <= self.now => {
                let last = Some("its process did not reach the exec of its program".into());
                self.not_ready(live, last)
            }
            Gate::Notify { give_up } if give_up <= self.now => self.not_ready(live, None),
            Gate::Probe { give_up, prober } if give_up <= self.now => {
                let last = prober.last().map(Into::into);
                self.cancel_ready_probe(live.run, &Gate::Probe { give_up, prober });
                self.not_ready(live, last)
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

    fn cancel_ready_probe(&mut self, run: Run, gate: &Gate) {
        if let Gate::Probe { give_up: _, prober } = gate
            && prober.is_asking()
        {
            self.out.push(Action::CancelProbe(run, Which::Ready));
        }
    }

    fn ready(&mut self, live: Live) -> State {
        let after = self.now.since(live.since);
        self.report(Some(live.run), StateName::Starting, StateName::Running, Cause::BecameReady { after });
        if self.instance.desired == Desired::Rising {
            self.instance.desired = Desired::Up;
        }
        let health = self.spec.health.map(|plan| {
            let timing = timing(plan);
            let first = timing.next(self.now.plus(plan.start_period));
            Health { prober: Prober::new(timing, first), verdict: HealthVerdict::Healthy }
        });
        State::Running { live, health }
    }

    fn not_ready(&mut self, live: Live, last: Option<alloc::string::String>) -> State {
        let within = self.start_timeout();
        let cause = Cause::NotReady { within, last: last.clone() };
        self.stop(live, STARTING, StopReason::NotReady { within, last }, cause)
    }

    fn tick_health(&mut self, live: Live, health: Option<Health>) -> State {
        let Some(Health { mut prober, verdict }) = health else { return State::Running { live, health } };
        match prober.tick(self.now) {
            Step::Wait => {}
            Step::Ask => self.out.push(Action::Probe(live.run, Which::Health)),
            Step::GiveUp => {
                self.out.push(Action::CancelProbe(live.run, Which::Health));
                let result = prober.no_answer();
                let state = self.health_answered(live, Some(Health { prober, verdict }), result);
                // The next attempt may be due already.
                return match state {
                    State::Running { live, health } => self.tick_health(live, health),
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
        State::Running { live, health: Some(Health { prober, verdict }) }
    }

    fn health_answered(&mut self, live: Live, health: Option<Health>, result: ProbeResult) -> State {
        let Some(Health { mut prober, verdict }) = health else { return State::Running { live, health } };
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
        State::Running { live, health: Some(Health { prober, verdict }) }
    }

    fn cancel_health_probe(&mut self, run: Run, health: Option<&Health>) {
        if health.is_some_and(|health| health.prober.is_asking()) {
            self.out.push(Action::CancelProbe(run, Which::Health));
        }
    }
}

fn timing(plan: HealthPlan) -> ProbeTiming {
    ProbeTiming { interval: plan.interval, timeout: plan.timeout, failures: Some(plan.failures) }
}
