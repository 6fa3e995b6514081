//! The transition function: every pair of a state and an input.
//!
//! One [`Turn`] is one call: it takes the state by value, gives the next one back, and pushes what is to be
//! done. It looks at nothing but the instance itself and its spec; whose turn it is, the supervisor says.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::stopping::Stop;
use super::{ANSWER_TIMEOUT, Ask, CycleCause, Desired, Gate, Input, Instance, Phase, State, StopReason};
use crate::action::{Action, AfterExit, Cause, Change, StateName};
use crate::event::{ProbeResult, Session};
use crate::ids::{Exit, Run};
use crate::restart::{End, Start, after_end};
use crate::spec::{PreStop, ProgramSpec, Readiness};
use crate::time::Instant;

/// One transition under way: all that it may look at and change, besides the state itself.
pub(super) struct Turn<'a> {
    pub(super) now: Instant,
    pub(super) spec: &'a ProgramSpec,
    pub(super) out: &'a mut Vec<Action>,
    pub(super) instance: &'a mut Instance,
}

impl Turn<'_> {
    pub(super) fn next(mut self, state: State, input: Input) -> State {
        match state {
            State::Stopped | State::Waiting | State::Backoff { .. } => match input {
                Input::Start => self.begin(state.name()),
                Input::Block(_) if state == State::Waiting => state,
                Input::Block(holder) => {
                    self.report(None, state.name(), StateName::Waiting, Cause::WaitsFor(holder));
                    State::Waiting
                }
                Input::Stop(_) if state == State::Stopped => state,
                Input::Stop(cause) => {
                    self.report(None, state.name(), StateName::Stopped, cause);
                    State::Stopped
                }
                Input::Reset => {
                    self.instance.failures = 0;
                    if state == State::Waiting { State::Waiting } else { State::Stopped }
                }
                Input::Kill
                | Input::Ticked
                | Input::Spawned
                | Input::SpawnFailed(_)
                | Input::Exited(..)
                | Input::SessionEmptied
                | Input::Probed(_)
                | Input::PreStopEnded => state,
            },
            State::Exited { .. } | State::Fatal { .. } => match input {
                Input::Reset => {
                    self.instance.failures = 0;
                    State::Stopped
                }
                Input::Start
                | Input::Block(_)
                | Input::Stop(_)
                | Input::Kill
                | Input::Ticked
                | Input::Spawned
                | Input::SpawnFailed(_)
                | Input::Exited(..)
                | Input::SessionEmptied
                | Input::Probed(_)
                | Input::PreStopEnded => state,
            },
            State::Starting { run, spawned, gate } => self.starting(run, spawned, gate, input),
            State::Running { run, spawned } => match input {
                Input::Exited(exit, session) => {
                    self.ended_by_itself(run, spawned, StateName::Running, exit, session)
                }
                Input::Stop(cause) => {
                    self.halt(run, spawned, StateName::Running, StopReason::Requested, cause)
                }
                Input::Kill => self.kill(run, spawned, StateName::Running),
                Input::Start
                | Input::Block(_)
                | Input::Reset
                | Input::Ticked
                | Input::Spawned
                | Input::SpawnFailed(_)
                | Input::SessionEmptied
                | Input::Probed(_)
                | Input::PreStopEnded => state,
            },
            State::Stopping { run, spawned, began, phase, aim } => {
                self.stopping(Stop { run, spawned, began, phase, aim }, input)
            }
        }
    }

    fn begin(&mut self, from: StateName) -> State {
        self.instance.runs = self.instance.runs.saturating_add(1);
        let run = Run { instance: self.instance.id, number: self.instance.runs };
        self.out.push(Action::Spawn(run));
        State::Starting { run, spawned: self.now, gate: Gate::Spawning { from } }
    }

    fn starting(&mut self, run: Run, spawned: Instant, gate: Gate, input: Input) -> State {
        let same = |gate| State::Starting { run, spawned, gate };
        match input {
            Input::Spawned => match gate {
                Gate::Spawning { from } => self.open_gate(run, spawned, from),
                Gate::Uptime { .. } | Gate::Notify { .. } | Gate::Probe { .. } => same(gate),
            },
            Input::SpawnFailed(failure) => {
                let from = match gate {
                    Gate::Spawning { from } => from,
                    Gate::Uptime { .. } | Gate::Notify { .. } | Gate::Probe { .. } => StateName::Starting,
                };
                self.conclude(End::NeverUp, Some(run), from, |next| Cause::CannotStart { failure, next })
            }
            Input::Exited(exit, session) => {
                self.forget_question(run, &gate);
                self.ended_by_itself(run, spawned, StateName::Starting, exit, session)
            }
            Input::Stop(cause) => {
                self.forget_question(run, &gate);
                self.halt(run, spawned, StateName::Starting, StopReason::Requested, cause)
            }
            Input::Kill => {
                self.forget_question(run, &gate);
                self.kill(run, spawned, StateName::Starting)
            }
            Input::Ticked => self.tick_gate(run, spawned, gate),
            Input::Probed(ProbeResult::Passed) => match gate {
                Gate::Notify { .. } | Gate::Probe { .. } => self.ready(run, spawned),
                Gate::Spawning { .. } | Gate::Uptime { .. } => same(gate),
            },
            Input::Probed(ProbeResult::Failed(seen)) => match gate {
                Gate::Probe { give_up, ask: _, last: _ } => {
                    let ask = Ask::At(self.now.plus(self.interval()));
                    same(Gate::Probe { give_up, ask, last: Some(seen) })
                }
                Gate::Spawning { .. } | Gate::Uptime { .. } | Gate::Notify { .. } => same(gate),
            },
            Input::Start | Input::Block(_) | Input::Reset | Input::SessionEmptied | Input::PreStopEnded => {
                same(gate)
            }
        }
    }

    /// The process exists: what has to happen before it is ready?
    fn open_gate(&mut self, run: Run, spawned: Instant, from: StateName) -> State {
        self.report(Some(run), from, StateName::Starting, Cause::Started);
        let gate = match self.spec.readiness {
            Readiness::Uptime => Gate::Uptime { until: spawned.plus(self.spec.restart.min_uptime) },
            Readiness::Notify { timeout } => Gate::Notify { give_up: spawned.plus(timeout) },
            Readiness::Probe { interval: _, timeout } => {
                Gate::Probe { give_up: spawned.plus(timeout), ask: Ask::At(self.now), last: None }
            }
        };
        self.tick_gate(run, spawned, gate)
    }

    fn tick_gate(&mut self, run: Run, spawned: Instant, gate: Gate) -> State {
        match gate {
            Gate::Uptime { until } if until <= self.now => self.ready(run, spawned),
            Gate::Notify { give_up } if give_up <= self.now => self.unready(run, spawned, None),
            Gate::Probe { give_up, ask, last } if give_up <= self.now => {
                self.forget_question(run, &Gate::Probe { give_up, ask, last: None });
                self.unready(run, spawned, last)
            }
            Gate::Probe { give_up, ask: Ask::At(at), last } if at <= self.now => {
                self.out.push(Action::Probe(run));
                let ask = Ask::UnderWay(self.now.plus(ANSWER_TIMEOUT));
                State::Starting { run, spawned, gate: Gate::Probe { give_up, ask, last } }
            }
            Gate::Probe { give_up, ask: Ask::UnderWay(until), last: _ } if until <= self.now => {
                self.out.push(Action::CancelProbe(run));
                let last = Some(String::from("no answer in time"));
                let ask = Ask::At(self.now.plus(self.interval()));
                State::Starting { run, spawned, gate: Gate::Probe { give_up, ask, last } }
            }
            Gate::Spawning { .. } | Gate::Uptime { .. } | Gate::Notify { .. } | Gate::Probe { .. } => {
                State::Starting { run, spawned, gate }
            }
        }
    }

    fn interval(&self) -> Duration {
        match self.spec.readiness {
            Readiness::Probe { interval, timeout: _ } => interval,
            Readiness::Uptime | Readiness::Notify { .. } => Duration::ZERO,
        }
    }

    fn forget_question(&mut self, run: Run, gate: &Gate) {
        if let Gate::Probe { give_up: _, ask: Ask::UnderWay(_), last: _ } = gate {
            self.out.push(Action::CancelProbe(run));
        }
    }

    fn ready(&mut self, run: Run, spawned: Instant) -> State {
        let after = self.now.since(spawned);
        self.report(Some(run), StateName::Starting, StateName::Running, Cause::BecameReady { after });
        if self.instance.desired == Desired::Rising {
            self.instance.desired = Desired::Up;
        }
        State::Running { run, spawned }
    }

    fn unready(&mut self, run: Run, spawned: Instant, last: Option<String>) -> State {
        let timeout = self.now.since(spawned);
        self.halt(run, spawned, StateName::Starting, StopReason::NotReady, Cause::NotReady { timeout, last })
    }

    fn halt(&mut self, run: Run, spawned: Instant, from: StateName, aim: StopReason, cause: Cause) -> State {
        self.report(Some(run), from, StateName::Stopping, cause);
        let until = self.now.plus(self.spec.stop.timeout);
        let phase = match self.spec.stop.pre_stop {
            PreStop::Command => {
                self.out.push(Action::RunPreStop(run));
                Phase::PreStop { until }
            }
            PreStop::None => self.send(run, 0, until),
        };
        State::Stopping { run, spawned, began: self.now, phase, aim }
    }

    fn kill(&mut self, run: Run, spawned: Instant, from: StateName) -> State {
        self.report(Some(run), from, StateName::Stopping, Cause::Shutdown);
        let phase = self.send_kill(run);
        State::Stopping { run, spawned, began: self.now, phase, aim: StopReason::Requested }
    }

    /// The main process ended although nobody asked it to.
    fn ended_by_itself(
        &mut self,
        run: Run,
        spawned: Instant,
        from: StateName,
        exit: Exit,
        session: Session,
    ) -> State {
        let uptime = self.now.since(spawned);
        let long_enough = uptime >= self.spec.restart.min_uptime;
        let was_ready = from == StateName::Running || self.spec.readiness == Readiness::Uptime;
        let start = if long_enough && was_ready { Start::Good } else { Start::Failed };
        self.instance.last = Some(exit);
        match session {
            Session::Empty => {
                let end = End::ByItself { exit, start };
                self.conclude(end, Some(run), from, |next| Cause::Ended { exit, uptime, next })
            }
            Session::Lives => {
                self.report(Some(run), from, StateName::Stopping, Cause::LeftOthers { exit, uptime });
                let phase = self.term_others(run, exit);
                State::Stopping { run, spawned, began: self.now, phase, aim: StopReason::Exited { start } }
            }
        }
    }

    /// A run is over that nobody asked to end: the restart policy says what follows, unless something
    /// else is wanted by now.
    pub(super) fn conclude(
        &mut self,
        end: End,
        run: Option<Run>,
        from: StateName,
        cause: impl FnOnce(AfterExit) -> Cause,
    ) -> State {
        let exit = match end {
            End::ByItself { exit, start: _ } => Some(exit),
            End::NeverUp => None,
        };
        match self.instance.desired {
            Desired::Rising | Desired::Up => {}
            Desired::Down(_) | Desired::Cycle(_) => {
                let state = self.at_rest();
                let next = if state == State::Waiting { AfterExit::RestartNow } else { AfterExit::StaysDown };
                self.report(run, from, state.name(), cause(next));
                return state;
            }
        }
        let (next, failures) = after_end(&self.spec.restart, end, self.instance.failures);
        self.instance.failures = failures;
        let state = match next {
            AfterExit::RestartNow => State::Waiting,
            AfterExit::RestartIn { wait, failures: _, limit: _ } => {
                State::Backoff { until: self.now.plus(wait) }
            }
            AfterExit::StaysDown => exit.map_or(State::Stopped, |exit| State::Exited { exit }),
            AfterExit::Failed | AfterExit::GaveUp { failures: _ } => State::Fatal { exit },
        };
        if matches!(state, State::Waiting | State::Backoff { .. }) {
            self.instance.restarts = self.instance.restarts.saturating_add(1);
        }
        self.report(run, from, state.name(), cause(next));
        state
    }

    /// Where an instance rests when its run ended as asked.
    pub(super) fn at_rest(&mut self) -> State {
        match self.instance.desired {
            Desired::Down(_) => State::Stopped,
            Desired::Cycle(cause) => {
                if cause == CycleCause::Changed {
                    self.instance.failures = 0; // those of another definition
                }
                self.instance.desired = Desired::Rising;
                State::Waiting
            }
            Desired::Rising | Desired::Up => State::Waiting,
        }
    }

    pub(super) fn report(&mut self, run: Option<Run>, from: StateName, to: StateName, cause: Cause) {
        self.out.push(Action::Report(Change { instance: self.instance.id, run, from, to, cause }));
    }
}
