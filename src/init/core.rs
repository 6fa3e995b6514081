//! The core and its clock, as the loop drives them: events go in, actions come out.

use std::collections::VecDeque;
use std::mem;

use foster_core::Supervisor;
use foster_core::action::Action;
use foster_core::ending::Closing;
use foster_core::event::Event;
use foster_core::time::Instant;

use crate::plan::Plan;

/// The supervisor, the events it has not seen yet, and the instant of this turn.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) supervisor: Supervisor,
    /// The instant at which everything in this turn happens.
    pub(super) now: Instant,
    /// The end, once the core has decided it.
    pub(super) closing: Option<Closing>,
    /// The configuration is read again after the actions at hand.
    pub(super) update_requested: bool,
    events: VecDeque<Event>,
    /// Given back after each step, so that it is not allocated for every one.
    actions: Vec<Action>,
}

impl Core {
    /// A supervisor of this plan that is about to boot.
    pub(super) fn new(plan: &Plan) -> Core {
        Core {
            supervisor: Supervisor::new(plan.core.clone()),
            now: Instant::START,
            closing: None,
            update_requested: false,
            events: VecDeque::from([Event::Booted]),
            actions: Vec::new(),
        }
    }

    /// Takes an event for the next step.
    pub(super) fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Drops the events: after a fault no fact can be relied on.
    pub(super) fn clear(&mut self) {
        self.events.clear();
    }

    /// Whether there is anything to decide, or to read.
    pub(super) fn has_work(&self) -> bool {
        !self.events.is_empty() || self.update_requested
    }

    /// Decides about all events in one step.
    pub(super) fn decide(&mut self) -> Vec<Action> {
        let mut actions = mem::take(&mut self.actions);
        self.supervisor.step(self.now, self.events.drain(..), &mut actions);
        actions
    }

    /// Takes the list back.
    pub(super) fn give_back(&mut self, actions: Vec<Action>) {
        self.actions = actions;
    }
}
