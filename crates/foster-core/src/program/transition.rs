//! The transition function: every pair of a state and an input.
//!
//! One [`Transition`] is one call: it takes the state by value, returns the next one, and pushes what is to be done.
//! It looks only at the instance and its definition; the supervisor decides which instance may start or stop. Starting is
//! in `starting.rs`, stopping in `stopping.rs`, and what follows an end in this file.

use alloc::vec::Vec;
use core::time::Duration;

use super::{CycleCause, Desired, Gate, Input, Instance, Live, PastRun, State, StopReason};
use crate::action::{Action, Cause, Change, Definition, Part, StateName};
use crate::ending::Failure;
use crate::event::Leftovers;
use crate::ids::{Exit, Run};
use crate::restart::{AfterExit, End, Start, is_success};
use crate::spec::{ProgramSpec, Restart};
use crate::time::Instant;

/// One transition: all that it may look at and change beside the state itself.
pub(super) struct Transition<'a> {
    pub(super) now: Instant,
    pub(super) spec: &'a ProgramSpec,
    pub(super) out: &'a mut Vec<Action>,
    pub(super) instance: &'a mut Instance,
}

impl Transition<'_> {
    pub(super) fn next(mut self, state: State, input: Input) -> State {
        match state {
            State::Stopped | State::Waiting { .. } | State::Backoff { .. } => self.down(state, input),
            State::Exited { .. } | State::Fatal { .. } => match input {
                Input::Reset => {
                    self.instance.streak = Default::default();
                    State::Stopped
                }
                Input::Start(..)
                | Input::Block(_)
                | Input::Stop(_)
                | Input::Kill
                | Input::Ticked
                | Input::Spawned
                | Input::SpawnFailed(_)
                | Input::Exited(..)
                | Input::TreeEmptied
                | Input::Parted
                | Input::Probed(..)
                | Input::Notified(_)
                | Input::ReloadAsked
                | Input::PreStopEnded
                | Input::SignalRefused(_) => state,
            },
            State::Starting { live, gate } => self.starting(live, gate, input),
            State::Running { live, watch } => self.running(live, watch, input),
            State::Stopping(stop) => self.stopping(stop, input),
        }
    }

    /// Nothing runs, and a start may follow.
    fn down(&mut self, state: State, input: Input) -> State {
        match input {
            Input::Start(number, definition) => self.spawn(state.name(), number, definition),
            Input::Block(holder) => {
                if state.name() != StateName::Waiting {
                    self.report(None, state.name(), StateName::Waiting, Cause::WaitsFor(holder));
                }
                State::Waiting { on: Some(holder) }
            }
            Input::Stop(_) if state == State::Stopped => state,
            Input::Stop(cause) => {
                self.report(None, state.name(), StateName::Stopped, cause);
                State::Stopped
            }
            Input::Reset => {
                self.instance.streak = Default::default();
                match state {
                    State::Waiting { on } => State::Waiting { on },
                    State::Stopped
                    | State::Backoff { .. }
                    | State::Starting { .. }
                    | State::Running { .. }
                    | State::Stopping(_)
                    | State::Exited { .. }
                    | State::Fatal { .. } => State::Stopped,
                }
            }
            Input::Kill
            | Input::Ticked
            | Input::Spawned
            | Input::SpawnFailed(_)
            | Input::Exited(..)
            | Input::TreeEmptied
            | Input::Parted
            | Input::Probed(..)
            | Input::Notified(_)
            | Input::ReloadAsked
            | Input::PreStopEnded
            | Input::SignalRefused(_) => state,
        }
    }

    fn spawn(&mut self, from: StateName, number: u32, definition: Definition) -> State {
        self.instance.last_run = number;
        let run = Run { instance: self.instance.id, number };
        self.out.push(Action::Spawn(run, definition));
        self.report(Some(run), from, StateName::Starting, Cause::Started);
        let give_up = self.now.plus(self.spec.readiness.start_timeout());
        let live = Live { run, since: self.now, watchdog: self.spec.watchdog };
        State::Starting { live, gate: Gate::Spawning { give_up } }
    }

    /// The main process ended by itself.
    pub(super) fn ended_by_itself(
        &mut self,
        live: Live,
        from: StateName,
        exit: Exit,
        left: Leftovers,
        was_ready: bool,
    ) -> State {
        let uptime = self.now.since(live.since);
        let start = self.achieved(live, was_ready);
        self.note_end(live, exit);
        match left {
            Leftovers::None => self.exited(live.run, from, exit, uptime, start),
            Leftovers::Some => {
                let cause = Cause::ProcessesLeft { exit, uptime, serve_on: false };
                self.report(Some(live.run), from, StateName::Stopping, cause);
                self.drain(live, StopReason::Exited { start }, exit)
            }
        }
    }

    /// The main process of a run has ended.
    pub(super) fn note_end(&mut self, live: Live, exit: Exit) {
        let took = self.now.since(live.since);
        self.instance.last = Some(PastRun { run: live.run, exit, since: live.since, took });
    }

    /// What a run has achieved that ends by itself.
    pub(super) fn achieved(&self, live: Live, was_ready: bool) -> Start {
        let long_enough = self.now.since(live.since) >= self.spec.restart.min_uptime;
        if long_enough && was_ready { Start::Good } else { Start::Failed }
    }

    /// A run ended by itself.
    pub(super) fn exited(
        &mut self,
        run: Run,
        from: StateName,
        exit: Exit,
        uptime: Duration,
        start: Start,
    ) -> State {
        let end = End::ByItself { exit, start, uptime };
        self.conclude(end, Failure::Exited { exit, uptime }, run, from, |_, next| Cause::Ended {
            exit,
            uptime,
            next,
        })
    }

    /// A run ends by itself, and what follows does not wait for that. Only one that is restarted however it ends is not
    /// awaited, so its exit does not matter.
    pub(super) fn parted(&mut self, live: Live, from: StateName) -> State {
        let (exit, uptime) = (Exit::Code(0), self.now.since(live.since));
        let end = End::ByItself { exit, start: self.achieved(live, true), uptime };
        let failure = Failure::Exited { exit, uptime };
        self.conclude(end, failure, live.run, from, |_, next| Cause::NotAwaited { next })
    }

    /// A run ended without a request: the restart policy decides what follows, unless the instance is to be down.
    pub(super) fn conclude(
        &mut self,
        end: End,
        failure: Failure,
        run: Run,
        from: StateName,
        cause: impl FnOnce(&Failure, AfterExit) -> Cause,
    ) -> State {
        match self.instance.desired {
            Desired::Rising | Desired::Up => {}
            // Nothing more is expected of it.
            Desired::Trial if self.is_done(end) => self.instance.desired = Desired::Up,
            Desired::Trial => {
                self.report(Some(run), from, StateName::Stopped, cause(&failure, AfterExit::Withdrawn));
                return State::Stopped;
            }
            Desired::Down(_) | Desired::Cycle(_) => {
                let state = self.at_rest();
                let next = match state {
                    State::Waiting { .. } => AfterExit::RestartNow,
                    State::Stopped
                    | State::Starting { .. }
                    | State::Running { .. }
                    | State::Stopping(_)
                    | State::Backoff { .. }
                    | State::Exited { .. }
                    | State::Fatal { .. } => AfterExit::StaysDown,
                };
                self.report(Some(run), from, state.name(), cause(&failure, next));
                return state;
            }
        }
        let next = self.instance.streak.after(&self.spec.restart, end);
        let cause = cause(&failure, next);
        let state = match next {
            AfterExit::RestartNow => State::Waiting { on: None },
            AfterExit::RestartIn { wait, failures: _, limit: _ } => {
                State::Backoff { until: self.now.plus(wait) }
            }
            AfterExit::StaysDown => match failure.exit() {
                Some(exit) => State::Exited { exit },
                None => State::Stopped,
            },
            AfterExit::Failed | AfterExit::Withdrawn | AfterExit::GaveUp { failures: _ } => {
                State::Fatal { failure }
            }
        };
        match next {
            AfterExit::RestartNow | AfterExit::RestartIn { .. } => {
                self.instance.restarts = self.instance.restarts.saturating_add(1);
            }
            AfterExit::StaysDown | AfterExit::Failed | AfterExit::Withdrawn | AfterExit::GaveUp { .. } => {}
        }
        self.report(Some(run), from, state.name(), cause);
        state
    }

    /// Where an instance rests when its run ended as requested.
    pub(super) fn at_rest(&mut self) -> State {
        match self.instance.desired {
            Desired::Down(_) => State::Stopped,
            Desired::Cycle(cause) => {
                self.instance.desired = match cause {
                    CycleCause::Changed => {
                        self.instance.streak = Default::default(); // that of another definition
                        Desired::Rising
                    }
                    CycleCause::Replacement(_) => {
                        self.instance.streak = Default::default();
                        Desired::Trial
                    }
                    CycleCause::Requested(_) | CycleCause::Requirement(_) | CycleCause::Due => {
                        Desired::Rising
                    }
                };
                State::Waiting { on: None }
            }
            Desired::Rising | Desired::Up | Desired::Trial => State::Waiting { on: None },
        }
    }

    /// Whether the end of a trial is a success of its program: it is one that ends by itself.
    fn is_done(&self, end: End) -> bool {
        let End::ByItself { exit, .. } = end else { return false };
        let may_end = self.spec.restart.restart != Restart::Always && is_success(&self.spec.restart, exit);
        may_end && self.instance.part == Part::Serving
    }

    pub(super) fn report(&mut self, run: Option<Run>, from: StateName, to: StateName, cause: Cause) {
        let kind = self.spec.kind();
        let (from, to) = (from.of(kind), to.of(kind));
        let (instance, part) = (self.instance.id, self.instance.part);
        self.out.push(Action::Report(Change { instance, run, part, from, to, cause }));
    }
}
