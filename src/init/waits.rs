//! What instances wait for, and why that is not ready: one wording for every verb.
//!
//! An instance that waits names the first one it waits for. That one may wait as well; why nothing starts is known only
//! at the end of the chain.

use foster_core::action::StateName;
use foster_core::ids::InstanceId;
use foster_core::sorted::SortedMap;
use foster_core::supervisor::{InstanceView, Snapshot};

use super::Init;

/// The ends of chains, each looked up once: a look at all instances of a long chain costs no more than its length.
#[derive(Debug, Default)]
pub(super) struct Holders(SortedMap<InstanceId, InstanceId>);

impl Holders {
    /// What an instance waits for in the end; `None`: it waits for none.
    pub(super) fn of(&mut self, snapshot: Snapshot<'_>, view: &InstanceView) -> Option<InstanceView> {
        let first = view.waits_for?;
        let end = self.end_of(snapshot, first);
        snapshot.instance(end)
    }

    fn end_of(&mut self, snapshot: Snapshot<'_>, first: InstanceId) -> InstanceId {
        let (mut path, mut at) = (Vec::new(), first);
        let end = loop {
            if let Some(known) = self.0.get(&at) {
                break *known;
            }
            // Until the end is known. A configuration has no circle; one would end here.
            self.0.insert(at, at);
            path.push(at);
            match snapshot.instance(at).and_then(|view| view.waits_for) {
                Some(next) => at = next,
                None => break at,
            }
        };
        for passed in path {
            self.0.insert(passed, end);
        }
        end
    }
}

impl Init {
    /// What an instance is doing and why, in one line: `waiting for db (fatal: exited with status 1 after 3ms)`.
    pub(super) fn standing(&self, view: &InstanceView) -> String {
        match (self.holder(view), self.note(view)) {
            (Some(holder), _) => format!("waiting for {holder}"),
            (None, Some(note)) => format!("{}: {note}", view.state.name()),
            (None, None) => view.state.name().to_owned(),
        }
    }

    /// What an instance waits for, and why that is not ready.
    pub(super) fn holder(&self, view: &InstanceView) -> Option<String> {
        let first = view.waits_for?;
        let end = Holders::default().of(self.core.supervisor.snapshot(), view)?;
        let (first, last) = (self.plan.label(first), self.plan.label(end.id));
        let between = if first == last { String::new() } else { format!("{first}, which waits for ") };
        Some(format!("{between}{last} ({})", self.standing(&end)))
    }

    /// Whether an instance waits for one that will not become ready now: it needs an order, is fatal, or has
    /// to be started again after a failure.
    pub(super) fn is_blocked(&self, view: &InstanceView, holders: &mut Holders) -> bool {
        holders.of(self.core.supervisor.snapshot(), view).is_some_and(|holder| match holder.state {
            StateName::Stopped | StateName::Fatal | StateName::Failed | StateName::Backoff => true,
            StateName::Waiting
            | StateName::Starting
            | StateName::Running
            | StateName::Unhealthy
            | StateName::Stopping
            | StateName::Exited
            | StateName::Succeeded
            | StateName::Idle
            | StateName::Paused => false,
        })
    }
}
