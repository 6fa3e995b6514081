//! The last failure of each instance, for `status`; a later success clears it. Why foster itself stopped the last run of an
//! instance, which a success does not clear. And why a rolling restart failed.
//!
//! All come from the changes of state that the core reports; nothing here decides. Next: `rolling.rs`, which puts the
//! reason together.

use std::collections::VecDeque;

use foster_core::action::{Cause, Change, Part, StateName};
use foster_core::ids::{Exit, InstanceId, ProgramId, Run};
use foster_core::program_map::ProgramMap;
use foster_core::sorted::SortedMap;

use super::report::{answers, unready};
use crate::duration::rounded;

const UNHEALTHY: &str = "unhealthy: ";

/// The last failure of each instance that had one.
#[derive(Debug, Default)]
pub(super) struct LastFailures {
    of_instances: SortedMap<InstanceId, RunFailure>,
    /// Why foster itself stopped the last run of an instance: its exit says only the signal.
    stops: SortedMap<InstanceId, String>,
    /// Those of runs beside an instance.
    replacements: SortedMap<InstanceId, RunFailure>,
    /// Why the last rolling restart of a program has failed, and with which instance.
    rolls: ProgramMap<(InstanceId, String)>,
    /// What did not stop in time, the last ones.
    killed: VecDeque<String>,
}

/// How many of those are kept for the reason of the end.
const KEPT: usize = 3;

/// The failure of a run.
#[derive(Debug, Clone)]
pub(super) struct RunFailure {
    pub(super) run: Option<Run>,
    pub(super) text: String,
    /// How its main process ended by itself.
    exit: Option<Exit>,
}

impl LastFailures {
    /// Records a change of state.
    pub(super) fn note(&mut self, change: &Change) {
        self.note_stop(change);
        let list = match change.part {
            Part::Serving => &mut self.of_instances,
            Part::Replacement => &mut self.replacements,
            Part::Replaced => return,
        };
        let text = match &change.cause {
            Cause::CannotStart { failure, next: _ } => failure.message.clone(),
            Cause::NotReady { .. } | Cause::Unhealthy { .. } | Cause::OverMemory { .. } => {
                fault(change).unwrap_or_default()
            }
            Cause::NotKilled => {
                // The reason of a refused signal is more helpful.
                if list.contains_key(&change.instance) {
                    return;
                }
                "some of its processes are still there after SIGKILL".into()
            }
            Cause::Ended { exit: _, uptime, next: _ } if change.to == StateName::Succeeded => {
                format!("took {}", rounded(*uptime))
            }
            Cause::Ended { exit, uptime, next: _ } | Cause::ProcessesLeft { exit, uptime, serve_on: _ } => {
                format!("{exit} after {}", rounded(*uptime))
            }
            // The last run of a job stays known.
            Cause::Requested(_) if change.from == StateName::Paused || change.to == StateName::Paused => {
                return;
            }
            Cause::BecameReady { .. }
            | Cause::Recovered
            | Cause::Replaced
            | Cause::Requested(_)
            | Cause::TakenBack
            | Cause::Unneeded
            | Cause::Stopped { .. } => {
                list.remove(&change.instance);
                return;
            }
            Cause::Started
            | Cause::WaitsFor(_)
            | Cause::Changed
            | Cause::Outgrown
            | Cause::LeftoversEnded { .. }
            | Cause::Announced
            | Cause::NotAwaited { .. }
            | Cause::NotReplaced(_)
            | Cause::NotReloaded { .. }
            | Cause::Removed
            | Cause::Due
            | Cause::StoppedNotReady { .. }
            | Cause::StoppedUnhealthy { .. }
            | Cause::RequirementDown(_)
            | Cause::Shutdown => return,
        };
        let exit = if let Cause::Ended { exit, .. } | Cause::ProcessesLeft { exit, .. } = &change.cause {
            Some(*exit)
        } else {
            None
        };
        list.insert(change.instance, RunFailure { run: change.run, text, exit });
    }

    fn note_stop(&mut self, change: &Change) {
        let is_end = is_up(change.from) && !is_up(change.to);
        let is_by_order = matches!(change.cause, Cause::Stopped { .. } | Cause::Replaced);
        if change.part != Part::Serving || !is_end && !is_by_order {
            return;
        }
        match fault(change) {
            Some(why) => drop(self.stops.insert(change.instance, why)),
            None => drop(self.stops.remove(&change.instance)),
        }
    }

    /// Why foster itself stopped the last run of an instance, if it did.
    pub(super) fn stop(&self, instance: InstanceId) -> Option<&str> {
        self.stops.get(&instance).map(String::as_str)
    }

    /// The exit status of the last run of an instance, which has failed: its own, and 1 where foster stopped it or it
    /// could not be started.
    pub(super) fn exit_status(&self, instance: InstanceId) -> u8 {
        let exit = self.of_instances.get(&instance).and_then(|failure| failure.exit);
        exit.map_or(1, |exit| exit.status().max(1))
    }

    /// A signal could not be sent.
    pub(super) fn refused(&mut self, run: Run, text: String) {
        self.of_instances.insert(run.instance, RunFailure { run: Some(run), text, exit: None });
    }

    /// The failure of the run that was to replace that of an instance.
    pub(super) fn take_trial(&mut self, instance: InstanceId) -> Option<RunFailure> {
        self.replacements.remove(&instance).or_else(|| self.of_instances.get(&instance).cloned())
    }

    /// The rolling restart of its program has failed with this instance.
    pub(super) fn note_roll(&mut self, instance: InstanceId, text: String) {
        self.rolls.insert(instance.program, (instance, text));
    }

    /// Why the last rolling restart of a program has failed, and with which instance.
    pub(super) fn roll(&self, program: ProgramId) -> Option<(InstanceId, &str)> {
        self.rolls.get(program).map(|(instance, text)| (*instance, text.as_str()))
    }

    /// A rolling restart of this program is under way, or was successful.
    pub(super) fn forget_roll(&mut self, program: ProgramId) {
        self.rolls.remove(program);
    }

    /// Drops the record of a removed instance.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.of_instances.remove(&instance);
        self.stops.remove(&instance);
        self.replacements.remove(&instance);
        if self.roll(instance.program).is_some_and(|(of, _)| of == instance) {
            self.forget_roll(instance.program);
        }
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
        let failure = self.of_instances.get(&instance).map(|failure| failure.text.as_str());
        match state {
            StateName::Running | StateName::Stopped => None,
            // The state has the word already.
            StateName::Unhealthy => failure.map(|text| text.strip_prefix(UNHEALTHY).unwrap_or(text)),
            StateName::Waiting
            | StateName::Starting
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Exited
            | StateName::Fatal
            | StateName::Succeeded
            | StateName::Failed
            | StateName::Idle
            | StateName::Paused => failure,
        }
    }
}

/// What foster found wrong with a run that did not end by itself.
fn fault(change: &Change) -> Option<String> {
    if let Cause::NotReady { within, last } = &change.cause {
        let seen = last.as_ref().map_or(String::new(), |last| format!(": {last}"));
        Some(format!("{} within {}{seen}", unready(change.from), rounded(*within)))
    } else if let Cause::Unhealthy { seen } = &change.cause {
        Some(format!("{UNHEALTHY}{}", answers(seen)))
    } else if let Cause::OverMemory { seen } = &change.cause {
        Some(seen.clone())
    } else {
        None
    }
}

/// Whether it has a process that is not being stopped.
fn is_up(state: StateName) -> bool {
    matches!(state, StateName::Starting | StateName::Running | StateName::Unhealthy)
}
