//! The way down: the stop sequence, KILL, and those of a session who outlive its main process.
//!
//! The other half of `transition.rs`, which begins a stop and decides what follows its end. The data of a stop
//! is handed around whole ([`Stop`]), so that no phase can forget what it was about.

use super::transition::Turn;
use super::{Input, Phase, State, StopReason};
use crate::action::{Action, Cause, Scope, StateName};
use crate::event::Session;
use crate::ids::{Exit, Run, Signal};
use crate::restart::End;
use crate::spec::StopScope;
use crate::time::Instant;

/// The data of [`State::Stopping`], to be handed around whole.
#[derive(Clone, Copy)]
pub(super) struct Stop {
    pub(super) run: Run,
    pub(super) spawned: Instant,
    pub(super) began: Instant,
    pub(super) phase: Phase,
    pub(super) aim: StopReason,
}

impl Turn<'_> {
    pub(super) fn stopping(&mut self, stop: Stop, input: Input) -> State {
        let Stop { run, spawned: _, began: _, phase, aim: _ } = stop;
        match input {
            Input::Exited(exit, session) => {
                self.forget_pre_stop(run, phase);
                self.instance.last = Some(exit);
                match (session, phase) {
                    (_, Phase::Others { .. }) => stop.state(),
                    (Session::Empty, _) => self.stopped(stop, exit),
                    (Session::Lives, Phase::Killed) => {
                        self.send_kill(run);
                        stop.with(Phase::Others { exit, kill: None })
                    }
                    (Session::Lives, Phase::PreStop { .. } | Phase::Signalled { .. }) => {
                        stop.with(self.term_others(run, exit))
                    }
                }
            }
            Input::SessionEmptied => match phase {
                Phase::Others { exit, kill: _ } => self.stopped(stop, exit),
                Phase::PreStop { .. } | Phase::Signalled { .. } | Phase::Killed => stop.state(),
            },
            Input::Ticked => stop.with(self.escalate(run, phase)),
            Input::PreStopEnded => match phase {
                Phase::PreStop { until } => stop.with(self.send(run, 0, until)),
                Phase::Signalled { .. } | Phase::Killed | Phase::Others { .. } => stop.state(),
            },
            Input::Kill => {
                self.forget_pre_stop(run, phase);
                self.send_kill(run);
                match phase {
                    Phase::Others { exit, kill: _ } => stop.with(Phase::Others { exit, kill: None }),
                    Phase::PreStop { .. } | Phase::Signalled { .. } | Phase::Killed => {
                        stop.with(Phase::Killed)
                    }
                }
            }
            // The order to stop overtook the news that there is a process: the signal was for nobody.
            Input::Spawned => match phase {
                Phase::Signalled { step, until } => stop.with(self.send(run, step, until)),
                Phase::Killed => stop.with(self.send_kill(run)),
                Phase::PreStop { .. } | Phase::Others { .. } => stop.state(),
            },
            Input::SpawnFailed(failure) => {
                self.forget_pre_stop(run, phase);
                self.conclude(End::NeverUp, Some(run), StateName::Stopping, |next| Cause::CannotStart {
                    failure,
                    next,
                })
            }
            // It ends for another reason already: now nothing is to follow, or another start.
            Input::Stop(_) => Stop { aim: StopReason::Requested, ..stop }.state(),
            Input::Start | Input::Block(_) | Input::Reset | Input::Probed(_) => stop.state(),
        }
    }

    /// Nothing of a run that was stopping is left.
    fn stopped(&mut self, stop: Stop, exit: Exit) -> State {
        let Stop { run, spawned, began, phase: _, aim } = stop;
        match aim {
            StopReason::Requested => {
                let state = self.at_rest();
                let took = self.now.since(began);
                self.report(Some(run), StateName::Stopping, state.name(), Cause::Stopped { exit, took });
                state
            }
            StopReason::NotReady => self.conclude(End::NeverUp, Some(run), StateName::Stopping, |next| {
                Cause::StoppedUnready { exit, next }
            }),
            StopReason::Exited { start } => {
                let uptime = began.since(spawned);
                let end = End::ByItself { exit, start };
                self.conclude(end, Some(run), StateName::Stopping, |next| Cause::Ended { exit, uptime, next })
            }
        }
    }

    /// What comes when a phase has had its time.
    fn escalate(&mut self, run: Run, phase: Phase) -> Phase {
        match phase {
            Phase::PreStop { until } if until <= self.now => {
                self.out.push(Action::CancelPreStop(run));
                self.after_signal(run, 0)
            }
            Phase::Signalled { step, until } if until <= self.now => self.after_signal(run, step),
            Phase::Others { exit, kill: Some(at) } if at <= self.now => {
                self.send_kill(run);
                Phase::Others { exit, kill: None }
            }
            Phase::PreStop { .. } | Phase::Signalled { .. } | Phase::Killed | Phase::Others { .. } => phase,
        }
    }

    /// The signal after this one, or KILL when it was the last.
    fn after_signal(&mut self, run: Run, step: usize) -> Phase {
        if step + 1 < self.spec.stop.signals.len() {
            self.send(run, step + 1, self.now.plus(self.spec.stop.timeout))
        } else {
            self.send_kill(run)
        }
    }

    pub(super) fn send(&mut self, run: Run, step: usize, until: Instant) -> Phase {
        let signal = self.spec.stop.signals.get(step).copied().unwrap_or(Signal::TERM);
        let scope = match self.spec.stop.scope {
            StopScope::Main => Scope::Main,
            StopScope::Group => Scope::Group,
        };
        self.out.push(Action::Signal { run, signal, scope });
        Phase::Signalled { step, until }
    }

    pub(super) fn send_kill(&mut self, run: Run) -> Phase {
        self.out.push(Action::Signal { run, signal: Signal::KILL, scope: Scope::Session });
        Phase::Killed
    }

    pub(super) fn term_others(&mut self, run: Run, exit: Exit) -> Phase {
        self.out.push(Action::Signal { run, signal: Signal::TERM, scope: Scope::Session });
        Phase::Others { exit, kill: Some(self.now.plus(self.spec.stop.timeout)) }
    }

    fn forget_pre_stop(&mut self, run: Run, phase: Phase) {
        if let Phase::PreStop { until: _ } = phase {
            self.out.push(Action::CancelPreStop(run));
        }
    }
}

impl Stop {
    fn with(self, phase: Phase) -> State {
        Stop { phase, ..self }.state()
    }

    fn state(self) -> State {
        let Stop { run, spawned, began, phase, aim } = self;
        State::Stopping { run, spawned, began, phase, aim }
    }
}
