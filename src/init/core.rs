//! The core with its clock and its queue of events.

use std::collections::VecDeque;
use std::mem;

use foster_core::Supervisor;
use foster_core::action::Action;
use foster_core::ending::Closing;
use foster_core::event::Event;
use foster_core::time::Instant;

use crate::plan::Plan;

/// The supervisor, its pending events, and the instant of the current turn.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) supervisor: Supervisor,
    /// The instant of everything that happens in this turn.
    pub(super) now: Instant,
    /// The end of foster, once the core has decided it.
    pub(super) closing: Option<Closing>,
    /// Whether the configuration is read again after the current actions.
    pub(super) update_requested: bool,
    events: VecDeque<Event>,
    /// The list of actions, reused so that it is not allocated in every step.
    actions: Vec<Action>,
}

impl Core {
    /// A supervisor of this plan before its boot, at this time of the wall clock.
    pub(super) fn new(plan: &Plan, unix_ms: i64) -> Core {
        Core {
            supervisor: Supervisor::new(plan.core.clone()),
            now: Instant::START,
            closing: None,
            update_requested: false,
            events: VecDeque::from([Event::ClockSet(unix_ms), Event::Booted]),
            actions: Vec::new(),
        }
    }

    /// Adds an event for the next step.
    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Drops the events, because after a fault they may be wrong.
    pub(super) fn clear(&mut self) {
        self.events.clear();
    }

    /// Whether an event or an update is pending.
    pub(super) fn has_work(&self) -> bool {
        !self.events.is_empty() || self.update_requested
    }

    /// Handles all events in one step; returns the actions.
    pub(super) fn decide(&mut self) -> Vec<Action> {
        let mut actions = mem::take(&mut self.actions);
        self.supervisor.step(self.now, self.events.drain(..), &mut actions);
        actions
    }

    /// Takes the list of actions back.
    pub(super) fn give_back(&mut self, actions: Vec<Action>) {
        self.actions = actions;
    }
}
