//! The last failure of each instance, for `status`; a later success clears it.

use std::collections::VecDeque;

use foster_core::action::{Cause, Change, StateName};
use foster_core::ids::InstanceId;
use foster_core::sorted::SortedMap;

use super::report::answers;
use crate::duration::rounded;

const UNHEALTHY: &str = "unhealthy: ";

/// The last failure of each instance that had one.
#[derive(Debug, Default)]
pub(super) struct LastFailures {
    of_instances: SortedMap<InstanceId, String>,
    /// What did not stop in time, the last ones.
    killed: VecDeque<String>,
}

/// How many of those are kept for the reason of the end.
const KEPT: usize = 3;

impl LastFailures {
    /// Records a change of state.
    pub(super) fn note(&mut self, change: &Change) {
        let text = match &change.cause {
            Cause::CannotStart { failure, next: _ } => failure.message.clone(),
            Cause::NotReady { within, last } => {
                let seen = last.as_ref().map_or(String::new(), |last| format!(": {last}"));
                format!("not ready within {}{seen}", rounded(*within))
            }
            Cause::Unhealthy { seen } => format!("{UNHEALTHY}{}", answers(seen)),
            Cause::OverMemory { seen } => seen.clone(),
            Cause::NotKilled => {
                // The reason of a refused signal is more helpful.
                if self.of_instances.contains_key(&change.instance) {
                    return;
                }
                "some of its processes are still there after SIGKILL".into()
            }
            Cause::Ended { exit, uptime, next: _ } | Cause::ProcessesLeft { exit, uptime } => {
                format!("{exit} after {}", rounded(*uptime))
            }
            Cause::BecameReady { .. } | Cause::Recovered | Cause::Requested(_) | Cause::Stopped { .. } => {
                self.of_instances.remove(&change.instance);
                return;
            }
            Cause::Started
            | Cause::WaitsFor(_)
            | Cause::Changed
            | Cause::Announced
            | Cause::Removed
            | Cause::StoppedNotReady { .. }
            | Cause::StoppedUnhealthy { .. }
            | Cause::RequirementDown(_)
            | Cause::Shutdown => return,
        };
        self.of_instances.insert(change.instance, text);
    }

    /// Records a signal that could not be sent.
    pub(super) fn refused(&mut self, instance: InstanceId, text: String) {
        self.of_instances.insert(instance, text);
    }

    /// Drops the record of a removed instance.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.of_instances.remove(&instance);
    }

    /// An instance did not stop in time and was killed.
    pub(super) fn note_killed(&mut self, text: String) {
        self.killed.truncate(KEPT - 1);
        self.killed.push_front(text);
    }

    /// The last instances that did not stop in time, the oldest first.
    pub(super) fn killed(&self) -> impl Iterator<Item = &String> {
        self.killed.iter().rev()
    }

    /// The last failure of an instance in this state.
    pub(super) fn of(&self, instance: InstanceId, state: StateName) -> Option<&str> {
        let failure = self.of_instances.get(&instance).map(String::as_str);
        match state {
            StateName::Running | StateName::Stopped => None,
            // The state has the word already.
            StateName::Unhealthy => failure.map(|text| text.strip_prefix(UNHEALTHY).unwrap_or(text)),
            StateName::Waiting
            | StateName::Starting
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Exited
            | StateName::Fatal => failure,
        }
    }
}
