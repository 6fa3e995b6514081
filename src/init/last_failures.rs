//! Why instances are not as they should be, for `status`: the last failure that nothing has made good since.

use foster_core::action::{Cause, Change, StateName};
use foster_core::ids::InstanceId;
use foster_core::sorted::SortedMap;

use super::report::answers;
use crate::duration::rounded;

const UNHEALTHY: &str = "unhealthy: ";

/// The last failure of each instance that had one.
#[derive(Debug, Default)]
pub(super) struct LastFailures(SortedMap<InstanceId, String>);

impl LastFailures {
    /// Takes note of a change.
    pub(super) fn note(&mut self, change: &Change) {
        let text = match &change.cause {
            Cause::CannotStart { failure, next: _ } => failure.message.clone(),
            Cause::NotReady { within, last } => {
                let seen = last.as_ref().map_or(String::new(), |last| format!(": {last}"));
                format!("not ready within {}{seen}", rounded(*within))
            }
            Cause::Unhealthy { seen } => format!("{UNHEALTHY}{}", answers(seen)),
            Cause::NotKilled => {
                // A refused signal is the better reason.
                if self.0.contains_key(&change.instance) {
                    return;
                }
                "some of its processes are still there after SIGKILL".into()
            }
            Cause::Ended { exit, uptime, next: _ } | Cause::ProcessesLeft { exit, uptime } => {
                format!("{exit} after {}", rounded(*uptime))
            }
            Cause::BecameReady { .. } | Cause::Recovered | Cause::Requested(_) | Cause::Stopped { .. } => {
                self.0.remove(&change.instance);
                return;
            }
            Cause::Started
            | Cause::WaitsFor(_)
            | Cause::Changed
            | Cause::Removed
            | Cause::StoppedNotReady { .. }
            | Cause::StoppedUnhealthy { .. }
            | Cause::RequirementDown(_)
            | Cause::Shutdown => return,
        };
        self.0.insert(change.instance, text);
    }

    /// A signal could not be sent.
    pub(super) fn refused(&mut self, instance: InstanceId, text: String) {
        self.0.insert(instance, text);
    }

    /// The instance was removed.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.0.remove(&instance);
    }

    /// The last failure of an instance in this state.
    pub(super) fn of(&self, instance: InstanceId, state: StateName) -> Option<&str> {
        let failure = self.0.get(&instance).map(String::as_str);
        match state {
            StateName::Running | StateName::Stopped => None,
            // The state says it already.
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
