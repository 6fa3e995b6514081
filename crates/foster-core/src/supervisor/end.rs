//! The end of the container: what causes it, and which programs are killed when its time is over.
//!
//! Next: `shutdown.rs`, which keeps its deadline.

use alloc::vec::Vec;

use super::Supervisor;
use crate::action::{Action, Cause};
use crate::ending::{Closing, Ending, Reason};
use crate::plan::WhenAllEnded;
use crate::program::{Desired, DownReason, Input, Instance, State, Watch};
use crate::shutdown::Phase;
use crate::spec::{ExitAction, HealthAction};
use crate::time::Instant;

impl Supervisor {
    /// Starts the shutdown. During one a signal or a fault kills all remaining processes at once.
    pub(super) fn shut_down(&mut self, now: Instant, ending: Ending, out: &mut Vec<Action>) {
        if self.phase.has_begun() {
            // The order returns when the shutdown has started, so that it is easily given again: that must not kill a program
            // that still answers what it has accepted.
            if !matches!(ending.reason, Reason::Operator(_)) && self.phase.escalate(now) {
                out.push(Action::ReportCutShort(ending));
            }
            return;
        }
        out.push(Action::ReportShutdown(ending.clone()));
        let deadline = now.plus(self.plan.settings().shutdown_timeout);
        self.phase = Phase::Stopping(Closing { began: now, deadline, ending });
        self.dirty = true;
        self.more_to_start = None;
        for at in 0..self.instances.len() {
            self.set_desired(at, Desired::Down(DownReason::Shutdown));
            if self.instances.get(at).is_some_and(|instance| instance.run().is_none()) {
                self.apply(now, at, Input::Stop(Cause::Shutdown), out);
            }
        }
        self.end_rolls(now, out);
    }

    /// Handles the final end of an instance. Once no instance of its program runs or will run, `on_exit` or `on_failure`
    /// decides whether the container ends.
    pub(super) fn ended_for_good(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get(at) else { return };
        let (id, spec) = (instance.id(), instance.spec());
        let siblings = self.instances_of(id.program);
        // A trial beside an instance takes its place, or its end starts the instance again.
        let has_trial = self.spares_of(id.program).any(|spare| spare.desired() == Desired::Trial);
        if has_trial || siblings.iter().any(|other| other.id() != id && runs_or_will(other)) {
            return;
        }
        let others = siblings.iter().filter(|other| other.id() != id);
        let failed = [instance].into_iter().chain(others).find_map(|one| {
            let failure = one.state().failure()?;
            Some(Ending::failed(one.id(), failure.clone(), one.failures()))
        });
        let exited = instance.state().exit().map(|exit| Ending::exited(id, exit));
        let (action, ending) = match failed {
            Some(ending) => (spec.on_failure, Some(ending)),
            None => (spec.on_exit, exited),
        };
        if let (ExitAction::Shutdown, Some(ending), false) = (action, ending, self.phase.has_begun()) {
            self.shut_down(now, ending, out);
        }
    }

    pub(super) fn became_unhealthy(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get(at) else { return };
        let ends = instance.spec().health.is_some_and(|health| health.action == HealthAction::Shutdown);
        let State::Running { live: _, watch: Watch { health: Some(health), .. } } = instance.state() else {
            return;
        };
        let ending = Ending::unhealthy(instance.id(), health.prober.seen().to_vec());
        if ends && !self.phase.has_begun() {
            self.shut_down(now, ending, out);
        }
    }

    pub(super) fn advance_shutdown(&mut self, now: Instant, out: &mut Vec<Action>) {
        if !self.phase.has_begun() {
            return;
        }
        let was_killing = matches!(self.phase, Phase::Killing { .. });
        let all = self.instances.iter().chain(&self.spares);
        let stuck = all.filter(|instance| instance.state().is_stuck()).count();
        self.phase.advance(now, self.live - stuck, out);
        if !was_killing && matches!(self.phase, Phase::Killing { .. }) {
            for at in 0..self.instances.len() {
                if self.instances.get(at).is_some_and(|instance| instance.run().is_some()) {
                    self.apply(now, at, Input::Kill, out);
                }
            }
            for at in 0..self.spares.len() {
                if self.spares.get(at).is_some_and(|spare| spare.run().is_some()) {
                    self.apply_to_spare(now, at, Input::Kill, out);
                }
            }
        }
    }

    /// How the container ends when everything has ended.
    pub(super) fn ending_of_all(&self) -> Ending {
        let failed = match self.plan.settings().when_all_ended {
            WhenAllEnded::Fail => self.instances.iter().find_map(|one| {
                Some(Ending::failed(one.id(), one.state().failure()?.clone(), one.failures()))
            }),
            WhenAllEnded::Exit | WhenAllEnded::Stay => None,
        };
        failed.unwrap_or_else(Ending::all_ended)
    }

    /// Whether everything ended by itself and nothing will be started again. A program that an operator stopped has
    /// not ended by itself; one that was never started does not count, and at least one has to have ended.
    pub(super) fn nothing_will_happen(&self) -> bool {
        if self.live > 0 || self.more_to_start.is_some() {
            return false;
        }
        // It had instances, and an operator may want some again.
        let is_scaled_to_zero = |id| self.last_runs.contains(id) && self.instances_of(id).is_empty();
        if self.plan.programs().ids().any(is_scaled_to_zero) {
            return false;
        }
        let goes_on = |instance: &Instance| match instance.state() {
            State::Backoff { .. } => true,
            State::Stopped | State::Waiting { .. } => {
                matches!(instance.desired(), Desired::Down(DownReason::Requested(_)))
            }
            State::Starting { .. } | State::Running { .. } | State::Stopping(_) => true,
            State::Exited { .. } | State::Fatal { .. } => false,
        };
        self.jobs.is_empty()
            && !self.instances.iter().any(goes_on)
            && self.instances.iter().any(|one| one.state().has_ended())
    }
}

/// Whether an instance runs, or will run without an order. One that is removed does so only until its turn to stop.
fn runs_or_will(instance: &Instance) -> bool {
    match instance.state() {
        _ if instance.is_removed() => false,
        State::Starting { .. } | State::Running { .. } | State::Backoff { .. } | State::Waiting { .. } => {
            true
        }
        State::Stopping(_) | State::Stopped => !matches!(instance.desired(), Desired::Down(_)),
        State::Exited { .. } | State::Fatal { .. } => false,
    }
}
