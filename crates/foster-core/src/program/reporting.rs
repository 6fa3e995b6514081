//! What a program reports about itself, state by state.
//!
//! A report never does more than foster would do by itself: a program can be ready, ask for time, or fail. One that has
//! no meaning in a state changes nothing. Whose reports are believed is the shell's matter.

use core::time::Duration;

use super::transition::Transition;
use super::{Gate, LONGEST_EXTENSION, Live, Phase, RELOAD_BEGINS, Reload, State, Stop, StopReason, Watch};
use crate::action::{Cause, StateName};
use crate::event::Notice;
use crate::ids::Run;
use crate::spec::Readiness;
use crate::time::Instant;

/// What is seen of a program that gives itself up.
const GAVE_UP: &str = "it reported WATCHDOG=trigger";

impl Transition<'_> {
    pub(super) fn notified_starting(&mut self, live: Live, gate: Gate, notice: Notice) -> State {
        let gate = match (notice, gate) {
            (Notice::Ready, Gate::Notify { .. }) => return self.ready(live),
            // It has spoken, so it was executed. The report of that may come later: a child that is made at the same time
            // holds its pipe, too.
            (Notice::Ready, Gate::Spawning { .. }) if self.waits_for_word() => return self.ready(live),
            (Notice::NotReady(seen), Gate::Notify { give_up, last: _ }) => {
                Gate::Notify { give_up, last: Some(seen) }
            }
            (Notice::Extend(time), gate) => self.extend_gate(gate, time),
            (Notice::Watchdog(time), gate) => {
                return State::Starting { live: live.with_watchdog(time), gate };
            }
            (Notice::Stopping, gate) => {
                self.cancel_ready_probe(live.run, &gate);
                return self.announced(live, StateName::Starting, self.needs_no_word());
            }
            (Notice::Failing, gate) => {
                self.cancel_ready_probe(live.run, &gate);
                let within = self.now.since(live.since);
                return self.not_ready(live, within, Some(GAVE_UP.into()));
            }
            (Notice::Ready | Notice::NotReady(_) | Notice::Reloading | Notice::Alive, gate) => gate,
        };
        State::Starting { live, gate }
    }

    fn waits_for_word(&self) -> bool {
        matches!(self.spec.readiness, Readiness::Notify { .. })
    }

    pub(super) fn notified_running(
        &mut self,
        live: Live,
        from: StateName,
        watch: Watch,
        notice: Notice,
    ) -> State {
        match notice {
            Notice::Alive => {
                State::Running { live, watch: Watch { alive_until: self.alive_until(live), ..watch } }
            }
            Notice::Watchdog(time) => {
                let live = live.with_watchdog(time);
                State::Running { live, watch: Watch { alive_until: self.alive_until(live), ..watch } }
            }
            Notice::Failing => self.not_alive(live, from, &watch, GAVE_UP.into()),
            Notice::Stopping => {
                self.cancel_health_probe(live.run, &watch);
                self.announced(live, from, true)
            }
            Notice::Reloading => {
                let give_up = self.now.plus(self.spec.readiness.start_timeout());
                let reload = Reload::UnderWay { began: self.now, give_up };
                State::Running { live, watch: Watch { reload, ..watch } }
            }
            Notice::Ready => {
                let reload = if watch.reload == Reload::Unreported { watch.reload } else { Reload::Done };
                State::Running { live, watch: Watch { reload, ..watch } }
            }
            Notice::Extend(time) => {
                let reload = match watch.reload {
                    Reload::UnderWay { began, give_up } => {
                        Reload::UnderWay { began, give_up: self.extended(give_up, time) }
                    }
                    reload @ (Reload::Unreported | Reload::Asked { .. } | Reload::Done | Reload::Late) => {
                        reload
                    }
                };
                State::Running { live, watch: Watch { reload, ..watch } }
            }
            Notice::NotReady(_) => State::Running { live, watch },
        }
    }

    /// An order has sent the signal. One that comes during a reload ends with that.
    pub(super) fn reload_asked(&self, watch: Watch) -> Watch {
        let reload = match watch.reload {
            Reload::UnderWay { .. } => watch.reload,
            Reload::Unreported | Reload::Asked { .. } | Reload::Done | Reload::Late
                if self.waits_for_word() =>
            {
                Reload::Asked { until: self.now.plus(RELOAD_BEGINS) }
            }
            Reload::Unreported | Reload::Asked { .. } | Reload::Done | Reload::Late => watch.reload,
        };
        Watch { reload, ..watch }
    }

    /// What time has made of a reload. One that is late is reported: the program runs on with what it had before.
    pub(super) fn tick_reload(&mut self, run: Run, from: StateName, reload: Reload) -> Reload {
        match reload {
            Reload::Asked { until } if until <= self.now => Reload::Unreported,
            Reload::UnderWay { began, give_up } if give_up <= self.now => {
                let within = give_up.since(began);
                self.report(Some(run), from, from, Cause::NotReloaded { within });
                Reload::Late
            }
            reload @ (Reload::Unreported
            | Reload::Asked { .. }
            | Reload::UnderWay { .. }
            | Reload::Done
            | Reload::Late) => reload,
        }
    }

    pub(super) fn notified_stopping(&mut self, stop: Stop, notice: Notice) -> State {
        let Notice::Extend(time) = notice else { return State::Stopping(stop) };
        let phase = match stop.phase {
            Phase::PreStop { until } => Phase::PreStop { until: self.extended(until, time) },
            Phase::Signalled { step, until } => Phase::Signalled { step, until: self.extended(until, time) },
            // What has lost its main process, or got KILL, has no more time to ask for.
            phase @ (Phase::Killed { .. }
            | Phase::Kept { .. }
            | Phase::Draining { .. }
            | Phase::DrainKilled { .. }) => phase,
        };
        State::Stopping(Stop { phase, ..stop })
    }

    /// It ends by itself, in the time that a stop has; what follows is decided when it has ended.
    fn announced(&mut self, live: Live, from: StateName, was_ready: bool) -> State {
        let start = self.achieved(live, was_ready);
        self.report(Some(live.run), from, StateName::Stopping, Cause::Announced);
        let phase = Phase::Signalled { step: 0, until: self.now.plus(self.spec.stop.timeout) };
        State::Stopping(Stop { live, began: self.now, phase, reason: StopReason::Exited { start } })
    }

    fn extend_gate(&self, gate: Gate, time: Duration) -> Gate {
        match gate {
            Gate::Spawning { give_up } => Gate::Spawning { give_up: self.extended(give_up, time) },
            Gate::Notify { give_up, last } => Gate::Notify { give_up: self.extended(give_up, time), last },
            Gate::Probe { give_up, prober } => Gate::Probe { give_up: self.extended(give_up, time), prober },
            Gate::Completion { give_up, memory } => {
                Gate::Completion { give_up: give_up.map(|give_up| self.extended(give_up, time)), memory }
            }
            Gate::Uptime { until } => Gate::Uptime { until },
        }
    }

    fn extended(&self, until: Instant, time: Duration) -> Instant {
        until.max(self.now.plus(time.min(LONGEST_EXTENSION)))
    }
}

impl Live {
    fn with_watchdog(self, time: Duration) -> Live {
        Live { watchdog: (!time.is_zero()).then_some(time), ..self }
    }
}
