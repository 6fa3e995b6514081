//! What an operator orders: start, stop, restart, reload, a signal.
//!
//! An order sets the desired state; `order.rs` decides when it is carried out. During a shutdown only signals are forwarded.
//! Next: `snapshot.rs`, which decides how far an order has come.

use alloc::vec::Vec;

use super::Supervisor;
use crate::action::{Action, Cause, Purpose, Scope};
use crate::event::Order;
use crate::ids::{InstanceId, OrderId, Signal};
use crate::program::{CycleCause, Desired, DownReason, Input, Instance, RollCause, State};
use crate::spec::Kind;
use crate::time::Instant;

impl Supervisor {
    pub(super) fn ordered(
        &mut self,
        now: Instant,
        order: Order,
        targets: &[InstanceId],
        id: OrderId,
        out: &mut Vec<Action>,
    ) {
        for at in targets.iter().filter_map(|id| self.position(*id)).collect::<Vec<_>>() {
            let is_removed = self.instances.get(at).is_some_and(Instance::is_removed);
            match order {
                Order::Start | Order::Stop | Order::Restart | Order::Run
                    if is_removed || self.phase.has_begun() => {}
                // It is on its way up already.
                Order::Start if self.is_on_trial(at) => {}
                Order::Start if self.is_job(at) => self.resume(now, at, id, out),
                Order::Start => self.start(now, at, out),
                Order::Run if self.instances.get(at).is_some_and(|instance| instance.run().is_some()) => {}
                Order::Run => self.start(now, at, out),
                Order::Restart => match self.instances.get(at).and_then(Instance::run) {
                    Some(_) => self.set_desired(at, Desired::Cycle(CycleCause::Requested(id))),
                    None if self.is_on_trial(at) => {}
                    None => self.start(now, at, out),
                },
                Order::Stop => {
                    self.pause(at, id, out);
                    self.stop(now, at, id, out);
                }
                Order::Signal(signal) => self.signal(at, signal, out),
                // It runs once: there is nothing to replace.
                Order::Reload if self.spec_at(at).is_some_and(|spec| spec.kind() != Kind::Program) => {}
                Order::Reload => {
                    let signal = self.instances.get(at).and_then(|instance| instance.spec().reload_signal);
                    match signal {
                        Some(signal) => {
                            self.signal(at, signal, out);
                            self.apply(now, at, Input::ReloadAsked, out);
                        }
                        None if is_removed || self.phase.has_begun() => {}
                        None => self.replace_run(at, RollCause::Requested(id), None),
                    }
                }
            }
        }
    }

    fn is_on_trial(&self, at: usize) -> bool {
        let desired = self.instances.get(at).map(Instance::desired);
        matches!(desired, Some(Desired::Trial | Desired::Cycle(CycleCause::Replacement(_))))
    }

    /// Wants an instance up, with a fresh count of failures.
    pub(super) fn start(&mut self, now: Instant, at: usize, out: &mut Vec<Action>) {
        let Some(instance) = self.instances.get(at) else { return };
        let desired = match instance.state() {
            State::Running { .. } => Desired::Up,
            State::Stopped
            | State::Waiting { .. }
            | State::Starting { .. }
            | State::Stopping(_)
            | State::Backoff { .. }
            | State::Exited { .. }
            | State::Fatal { .. } => Desired::Rising,
        };
        self.set_desired(at, desired);
        self.apply(now, at, Input::Reset, out);
        self.dirty = true;
    }

    /// Wants an instance down. One that has ended is down already, and stays down from now on.
    fn stop(&mut self, now: Instant, at: usize, id: OrderId, out: &mut Vec<Action>) {
        self.set_desired(at, Desired::Down(DownReason::Requested(id)));
        if self.instances.get(at).is_some_and(|instance| instance.run().is_none()) {
            self.apply(now, at, Input::Stop(Cause::Requested(id)), out);
        }
    }

    fn signal(&self, at: usize, signal: Signal, out: &mut Vec<Action>) {
        if let Some(run) = self.instances.get(at).and_then(Instance::run) {
            out.push(Action::Signal { run, signal, scope: Scope::Main, purpose: Purpose::Deliver });
        }
    }
}
