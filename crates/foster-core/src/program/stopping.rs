//! The way down: the stop sequence, KILL, and the processes of a program that outlive its main process.
//!
//! A signal that was refused never counts as sent: the next one follows at once, and after a refused KILL nothing
//! waits for the stop any longer, although processes are left ([`Phase::is_stuck`]). The data of a stop is passed whole
//! ([`Stop`]), so that each phase keeps its reason and its start.

use super::transition::Transition;
use super::{Desired, DownReason, Input, KILL_TIMEOUT, Live, Phase, State, Stop, StopReason};
use crate::action::{Action, Cause, Purpose, Scope, StateName};
use crate::ending::Failure;
use crate::event::{Adoption, Leftovers};
use crate::ids::{Exit, Run, Signal};
use crate::restart::{End, Start};
use crate::spec::{Kind, PreStop, StopScope};
use crate::time::Instant;

impl Transition<'_> {
    /// Starts to stop a run.
    pub(super) fn stop(&mut self, live: Live, from: StateName, reason: StopReason, cause: Cause) -> State {
        self.report(Some(live.run), from, StateName::Stopping, cause);
        let until = self.now.plus(self.spec.stop.timeout);
        let phase = match self.spec.stop.pre_stop {
            PreStop::Command => {
                self.out.push(Action::RunPreStop(live.run));
                Phase::PreStop { until }
            }
            PreStop::None => self.send(live.run, 0, until),
        };
        State::Stopping(Stop { live, began: self.now, phase, reason })
    }

    /// The stop of a run that has got its signals: its time begins again, then it gets KILL.
    pub(super) fn stopping_already(&mut self, live: Live, reason: StopReason) -> State {
        let step = self.spec.stop.signals.len().saturating_sub(1);
        let phase = Phase::Signalled { step, until: self.now.plus(self.spec.stop.timeout) };
        State::Stopping(Stop { live, began: self.now, phase, reason })
    }

    /// The same for a run of which only other processes are left. What follows is as at the end of its main process.
    pub(super) fn draining_already(&mut self, live: Live, reached: Adoption, exit: Exit) -> State {
        let reason = match (self.instance.desired, reached) {
            (Desired::Down(DownReason::Leftovers), _) => StopReason::Left,
            (_, Adoption::Stopping | Adoption::Restarting) => StopReason::Requested,
            (_, Adoption::Ready | Adoption::Unhealthy) => {
                StopReason::Exited { start: self.achieved(live, true) }
            }
            (_, Adoption::Preparing | Adoption::Starting | Adoption::NotReady) => {
                StopReason::Exited { start: Start::Failed }
            }
        };
        self.note_end(live, exit);
        let phase = match reason {
            // It may have been kept for the next run.
            StopReason::Left => self.term_leftovers(live.run, exit),
            StopReason::Requested
            | StopReason::Exited { .. }
            | StopReason::NotReady { .. }
            | StopReason::Unhealthy { .. } => {
                Phase::Draining { exit, kill: self.now.plus(self.spec.stop.timeout) }
            }
        };
        State::Stopping(Stop { live, began: self.now, phase, reason })
    }

    /// Every process got KILL, also those of this run.
    pub(super) fn kill(&mut self, live: Live, from: StateName) -> State {
        self.report(Some(live.run), from, StateName::Stopping, Cause::Shutdown);
        let phase = Phase::Killed { until: Some(self.now.plus(KILL_TIMEOUT)) };
        State::Stopping(Stop { live, began: self.now, phase, reason: StopReason::Requested })
    }

    /// The main process ended and left others, which get TERM.
    pub(super) fn drain(&mut self, live: Live, reason: StopReason, exit: Exit) -> State {
        let phase = self.term_leftovers(live.run, exit);
        State::Stopping(Stop { live, began: self.now, phase, reason })
    }

    /// The same, where the next run does not wait for their end. If this one was ready they serve until the next one is, for
    /// the time of a stop at most.
    pub(super) fn leave(&mut self, live: Live, from: StateName, exit: Exit) -> State {
        let uptime = self.now.since(live.since);
        let serve_on = from == StateName::Running;
        let cause = Cause::ProcessesLeft { exit, uptime, serve_on };
        self.report(Some(live.run), from, StateName::Stopping, cause);
        let phase = match serve_on {
            true => Phase::Kept { exit, until: self.now.plus(self.spec.stop.timeout) },
            false => self.term_leftovers(live.run, exit),
        };
        State::Stopping(Stop { live, began: self.now, phase, reason: StopReason::Left })
    }

    pub(super) fn stopping(&mut self, stop: Stop, input: Input) -> State {
        let run = stop.live.run;
        match input {
            Input::Exited(exit, left) => {
                self.cancel_pre_stop(run, stop.phase);
                self.note_end(stop.live, exit);
                match (left, stop.phase) {
                    (_, Phase::Kept { .. } | Phase::Draining { .. } | Phase::DrainKilled { .. }) => {
                        State::Stopping(stop)
                    }
                    (Leftovers::None, _) => self.stopped(stop, exit),
                    (Leftovers::Some, Phase::Killed { until }) => {
                        self.send_kill(run);
                        stop.with(Phase::DrainKilled { exit, until })
                    }
                    (Leftovers::Some, Phase::PreStop { .. } | Phase::Signalled { .. }) => {
                        let phase = self.term_leftovers(run, exit);
                        stop.with(phase)
                    }
                }
            }
            Input::TreeEmptied => match stop.phase {
                Phase::Kept { exit, until: _ }
                | Phase::Draining { exit, kill: _ }
                | Phase::DrainKilled { exit, until: _ } => self.stopped(stop, exit),
                Phase::PreStop { .. } | Phase::Signalled { .. } | Phase::Killed { .. } => {
                    State::Stopping(stop)
                }
            },
            Input::Ticked => self.escalate(stop),
            Input::PreStopEnded => match stop.phase {
                Phase::PreStop { until } => {
                    let phase = self.send(run, 0, until);
                    stop.with(phase)
                }
                Phase::Signalled { .. }
                | Phase::Killed { .. }
                | Phase::Kept { .. }
                | Phase::Draining { .. }
                | Phase::DrainKilled { .. } => State::Stopping(stop),
            },
            Input::Kill => {
                self.cancel_pre_stop(run, stop.phase);
                let until = Some(self.now.plus(KILL_TIMEOUT));
                match stop.phase {
                    // It got KILL before, without effect.
                    Phase::Killed { until: None } | Phase::DrainKilled { exit: _, until: None } => {
                        State::Stopping(stop)
                    }
                    Phase::Kept { exit, until: _ }
                    | Phase::Draining { exit, kill: _ }
                    | Phase::DrainKilled { exit, until: _ } => stop.with(Phase::DrainKilled { exit, until }),
                    Phase::PreStop { .. } | Phase::Signalled { .. } | Phase::Killed { .. } => {
                        stop.with(Phase::Killed { until })
                    }
                }
            }
            // The signal came before the `exec` and did not end the process: one that is ignored by default is lost
            // then. Any other has reached the program.
            Input::Spawned => match stop.phase {
                Phase::Signalled { step, until } if self.stop_signal(step).is_ignored_by_default() => {
                    let phase = self.send(run, step, until);
                    stop.with(phase)
                }
                Phase::PreStop { .. }
                | Phase::Signalled { .. }
                | Phase::Killed { .. }
                | Phase::Kept { .. }
                | Phase::Draining { .. }
                | Phase::DrainKilled { .. } => State::Stopping(stop),
            },
            Input::SpawnFailed(failure) => {
                self.cancel_pre_stop(run, stop.phase);
                let end = End::NotStarted { persistence: failure.persistence };
                self.conclude(
                    end,
                    Failure::NotStarted(failure.clone()),
                    run,
                    StateName::Stopping,
                    |_, next| Cause::CannotStart { failure, next },
                )
            }
            Input::SignalRefused(signal) => self.refused(stop, signal),
            Input::Stop(_) if let Phase::Kept { exit, until: _ } = stop.phase => {
                let phase = self.term_leftovers(run, exit);
                stop.with(phase)
            }
            // It is stopping for another reason already. Now the order decides what follows.
            Input::Stop(_) if stop.reason != StopReason::Left => {
                State::Stopping(Stop { reason: StopReason::Requested, ..stop })
            }
            Input::Notified(notice) => self.notified_stopping(stop, notice),
            Input::Start(..)
            | Input::Block(_)
            | Input::Stop(_)
            | Input::Reset
            | Input::Parted
            | Input::Probed(..)
            | Input::ReloadAsked => State::Stopping(stop),
        }
    }

    /// The last process of a run that was stopping has ended.
    fn stopped(&mut self, stop: Stop, exit: Exit) -> State {
        let Stop { live: Live { run, since, watchdog: _ }, began, phase: _, reason } = stop;
        let uptime = began.since(since);
        match reason {
            StopReason::Requested => {
                let state = self.at_rest();
                let took = self.now.since(began);
                self.report(Some(run), StateName::Stopping, state.name(), Cause::Stopped { exit, took });
                state
            }
            StopReason::NotReady { within, last } => {
                let failure = Failure::NotReady { within, last: last.clone(), exit };
                self.conclude(End::NeverUp { uptime }, failure, run, StateName::Stopping, |_, next| {
                    Cause::StoppedNotReady { within, last, exit, next }
                })
            }
            StopReason::Unhealthy { seen } => {
                let failure = Failure::Unhealthy { seen, exit };
                // A task has not done its work, however long it tried.
                let end = match self.spec.kind() {
                    Kind::Program => End::Unhealthy { uptime },
                    Kind::Task | Kind::Job => End::NeverUp { uptime },
                };
                self.conclude(end, failure, run, StateName::Stopping, |_, next| Cause::StoppedUnhealthy {
                    exit,
                    next,
                })
            }
            StopReason::Exited { start } => self.exited(run, StateName::Stopping, exit, uptime, start),
            StopReason::Left => {
                let state = self.at_rest();
                let cause = Cause::LeftoversEnded { took: self.now.since(began) };
                self.report(Some(run), StateName::Stopping, state.name(), cause);
                state
            }
        }
    }

    /// The next phase, when the time of this one is over.
    fn escalate(&mut self, stop: Stop) -> State {
        if stop.phase.deadline().is_none_or(|at| at > self.now) {
            return State::Stopping(stop);
        }
        let run = stop.live.run;
        let phase = match stop.phase {
            Phase::PreStop { until: _ } => {
                self.out.push(Action::CancelPreStop(run));
                self.after_signal(run, 0)
            }
            Phase::Signalled { step, until: _ } => self.after_signal(run, step),
            Phase::Kept { exit, until: _ } => self.term_leftovers(run, exit),
            Phase::Draining { exit, kill: _ } => self.kill_leftovers(run, exit),
            Phase::Killed { until: _ } => self.stuck(run, Phase::Killed { until: None }),
            Phase::DrainKilled { exit, until: _ } => {
                self.stuck(run, Phase::DrainKilled { exit, until: None })
            }
        };
        stop.with(phase)
    }

    /// A signal could not be sent: the next one may be, and after KILL there is none.
    fn refused(&mut self, stop: Stop, signal: Signal) -> State {
        let run = stop.live.run;
        let phase = match stop.phase {
            Phase::Signalled { step, until: _ } if self.stop_signal(step) == signal => {
                self.after_signal(run, step)
            }
            Phase::Draining { exit, kill: _ } if signal == Signal::TERM => self.kill_leftovers(run, exit),
            Phase::Killed { until: Some(_) } if signal == Signal::KILL => {
                self.stuck(run, Phase::Killed { until: None })
            }
            Phase::DrainKilled { exit, until: Some(_) } if signal == Signal::KILL => {
                self.stuck(run, Phase::DrainKilled { exit, until: None })
            }
            phase @ (Phase::PreStop { .. }
            | Phase::Signalled { .. }
            | Phase::Killed { .. }
            | Phase::Kept { .. }
            | Phase::Draining { .. }
            | Phase::DrainKilled { .. }) => phase,
        };
        stop.with(phase)
    }

    fn stuck(&mut self, run: Run, phase: Phase) -> Phase {
        self.report(Some(run), StateName::Stopping, StateName::Stopping, Cause::NotKilled);
        phase
    }

    /// The signal after this one, or KILL when it was the last.
    fn after_signal(&mut self, run: Run, step: usize) -> Phase {
        if step + 1 < self.spec.stop.signals.len() {
            self.send(run, step + 1, self.now.plus(self.spec.stop.timeout))
        } else {
            self.send_kill(run);
            Phase::Killed { until: Some(self.now.plus(KILL_TIMEOUT)) }
        }
    }

    fn stop_signal(&self, step: usize) -> Signal {
        self.spec.stop.signals.get(step).copied().unwrap_or(Signal::TERM)
    }

    fn send(&mut self, run: Run, step: usize, until: Instant) -> Phase {
        let scope = match self.spec.stop.scope {
            StopScope::Main => Scope::Main,
            StopScope::Group => Scope::Group,
        };
        let signal = self.stop_signal(step);
        self.out.push(Action::Signal { run, signal, scope, purpose: Purpose::Stop });
        Phase::Signalled { step, until }
    }

    fn send_kill(&mut self, run: Run) {
        let (signal, scope) = (Signal::KILL, Scope::All);
        self.out.push(Action::Signal { run, signal, scope, purpose: Purpose::Stop });
    }

    fn term_leftovers(&mut self, run: Run, exit: Exit) -> Phase {
        let (signal, scope) = (Signal::TERM, Scope::All);
        self.out.push(Action::Signal { run, signal, scope, purpose: Purpose::Stop });
        Phase::Draining { exit, kill: self.now.plus(self.spec.stop.timeout) }
    }

    fn kill_leftovers(&mut self, run: Run, exit: Exit) -> Phase {
        self.send_kill(run);
        Phase::DrainKilled { exit, until: Some(self.now.plus(KILL_TIMEOUT)) }
    }

    fn cancel_pre_stop(&mut self, run: Run, phase: Phase) {
        if let Phase::PreStop { until: _ } = phase {
            self.out.push(Action::CancelPreStop(run));
        }
    }
}

impl Stop {
    fn with(self, phase: Phase) -> State {
        State::Stopping(Stop { phase, ..self })
    }
}
