//! What follows the end of a run: another start, at once or after a wait, or nothing.
//!
//! Pure arithmetic over [`RestartPolicy`] and a [`Streak`]. It does not know states; `program/transition.rs` turns
//! the verdict into one. Two times are kept apart: `min_uptime` decides whether one start was good, `backoff.reset`
//! when the failures before it no longer count.

use core::time::Duration;

use crate::event::Persistence;
use crate::ids::Exit;
use crate::spec::{Backoff, EarlyExit, Growth, Restart, RestartPolicy};

/// The end of a run, as the restart policy needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its main process ended by itself.
    ByItself {
        /// How.
        exit: Exit,
        /// What it had achieved before.
        start: Start,
        /// How long it was up.
        uptime: Duration,
    },
    /// foster ended it because it was ready once and is unhealthy now.
    Unhealthy {
        /// How long it was up.
        uptime: Duration,
    },
    /// It was not ready in time.
    NeverUp {
        /// How long it had been tried.
        uptime: Duration,
    },
    /// Its process could not be started.
    NotStarted {
        /// Whether a later attempt can succeed.
        persistence: Persistence,
    },
}

/// Whether a start was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The program was ready, and up for `min_uptime`.
    Good,
    /// It ended before that.
    Failed,
}

/// What follows an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterExit {
    /// A restart, at once.
    RestartNow,
    /// A restart after a wait.
    RestartIn {
        /// How long.
        wait: Duration,
        /// How many runs in a row have failed.
        failures: u32,
        /// How many may; `None`: any number.
        limit: Option<u32>,
    },
    /// Nothing: it ended with success.
    StaysDown,
    /// Nothing: it failed, and is not to be restarted.
    Failed,
    /// Nothing: it was the trial of a rolling restart, which decides what follows.
    Withdrawn,
    /// Nothing: too many runs in a row failed.
    GaveUp {
        /// How many.
        failures: u32,
    },
}

/// The failures of an instance since its last long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Streak {
    /// Runs in a row that ended before `backoff.reset`.
    pub failures: u32,
    /// Restarts in a row since the last run that was up for `backoff.reset`.
    restarts: u32,
    /// Starts in a row that failed and cannot succeed later.
    permanent: u32,
}

/// The first wait, where `initial` does not give one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The least time from one start to the next: ten restarts a second at most, whatever is configured.
const LEAST_PERIOD: Duration = Duration::from_millis(100);
/// The limit of starts in a row that cannot succeed later; `start_limit` does not raise it.
const PERMANENT_LIMIT: u32 = 3;

impl Streak {
    /// So many runs in a row have failed.
    pub fn of(failures: u32) -> Streak {
        Streak { failures, restarts: failures, permanent: 0 }
    }

    /// What follows this end. Counts it.
    pub fn after(&mut self, policy: &RestartPolicy, end: End) -> AfterExit {
        let (success, start, uptime) = match end {
            End::ByItself { exit, start, uptime } => (is_success(policy, exit), start, uptime),
            End::Unhealthy { uptime } => (false, Start::Good, uptime),
            End::NeverUp { uptime } => (false, Start::Failed, uptime),
            End::NotStarted { persistence: _ } => (false, Start::Failed, Duration::ZERO),
        };
        self.permanent = match end {
            End::NotStarted { persistence: Persistence::Permanent } => self.permanent.saturating_add(1),
            End::NotStarted { persistence: Persistence::Transient }
            | End::ByItself { .. }
            | End::Unhealthy { .. }
            | End::NeverUp { .. } => 0,
        };
        let is_long = start == Start::Good && uptime >= policy.backoff.reset;
        let is_tried_again = start == Start::Failed && policy.early_exit == EarlyExit::Failure;
        match (policy.restart, success) {
            _ if is_tried_again => {}
            (Restart::Never | Restart::OnFailure, true) => {
                *self = Streak::default();
                return AfterExit::StaysDown;
            }
            // Also after a failed start: `never` means never.
            (Restart::Never, false) => {
                self.failures = self.failures.saturating_add(1);
                return AfterExit::Failed;
            }
            (Restart::OnFailure, false) | (Restart::Always, true | false) => {}
        }
        if is_long {
            *self = Streak { failures: 0, restarts: 1, permanent: 0 };
        } else {
            self.failures = self.failures.saturating_add(1);
            self.restarts = self.restarts.saturating_add(1);
        }
        let failures = self.failures;
        if self.permanent >= PERMANENT_LIMIT || policy.start_limit.is_some_and(|limit| failures >= limit) {
            return AfterExit::GaveUp { failures };
        }
        let wait = match (start, self.restarts) {
            (Start::Good, 1) => first_wait(&policy.backoff),
            (Start::Good | Start::Failed, _) => wait(&policy.backoff, failures.max(1)),
        };
        match wait.max(LEAST_PERIOD.saturating_sub(uptime)) {
            Duration::ZERO => AfterExit::RestartNow,
            wait => AfterExit::RestartIn { wait, failures, limit: policy.start_limit },
        }
    }
}

/// Whether an exit is not a failure. Death by a signal that foster did not send always is one.
pub fn is_success(policy: &RestartPolicy, exit: Exit) -> bool {
    match exit {
        Exit::Code(code) => policy.success_exit_codes.contains(&code),
        Exit::Killed { signal: _, by: _ } => false,
    }
}

/// The wait before the first restart after a long run, which no failure precedes.
fn first_wait(backoff: &Backoff) -> Duration {
    match backoff.growth {
        // So many times the initial wait as runs have failed.
        Growth::Linear => Duration::ZERO,
        Growth::Exponential => backoff.initial.min(backoff.max),
    }
}

/// The wait before the next start when this many runs in a row have failed; `failures` is at least 1.
fn wait(backoff: &Backoff, failures: u32) -> Duration {
    let first = if backoff.initial.is_zero() { FIRST_WAIT } else { backoff.initial }.min(backoff.max);
    match backoff.growth {
        Growth::Linear => first.saturating_mul(failures).min(backoff.max),
        Growth::Exponential => {
            let mut wait = first;
            for _ in 1..failures {
                let longer = Duration::try_from_secs_f64(wait.as_secs_f64() * backoff.factor);
                let longer = longer.unwrap_or(backoff.max);
                // Once it no longer grows it never will: a factor of 1, or the maximum is reached.
                if longer <= wait || longer >= backoff.max {
                    return longer.clamp(wait, backoff.max.max(wait));
                }
                wait = longer;
            }
            wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use alloc::vec::Vec;

    const INSTANT: Duration = Duration::from_millis(1);

    fn policy(restart: Restart) -> RestartPolicy {
        RestartPolicy {
            restart,
            success_exit_codes: vec![0],
            early_exit: EarlyExit::ByStatus,
            min_uptime: Duration::from_secs(1),
            backoff: Backoff {
                initial: Duration::ZERO,
                factor: 2.0,
                max: Duration::from_secs(30),
                growth: Growth::Exponential,
                reset: Duration::from_secs(10),
            },
            start_limit: Some(10),
        }
    }

    fn failed(code: u8) -> End {
        End::ByItself { exit: Exit::Code(code), start: Start::Failed, uptime: Duration::from_millis(500) }
    }

    fn good(uptime: Duration) -> End {
        End::ByItself { exit: Exit::Code(1), start: Start::Good, uptime }
    }

    /// The waits until it gives up, in ms.
    fn waits(policy: &RestartPolicy, end: End) -> (Vec<u128>, u32) {
        let (mut streak, mut waits) = (Streak::default(), Vec::new());
        loop {
            match streak.after(policy, end) {
                AfterExit::RestartIn { wait, .. } => waits.push(wait.as_millis()),
                AfterExit::RestartNow => waits.push(0),
                AfterExit::GaveUp { failures } => return (waits, failures),
                next @ (AfterExit::StaysDown | AfterExit::Failed | AfterExit::Withdrawn) => {
                    panic!("{next:?}")
                }
            }
        }
    }

    #[test]
    fn waits_grow_from_100_ms_and_the_tenth_failure_is_the_last() {
        let (waits, failures) = waits(&policy(Restart::Always), failed(3));
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600]);
        assert_eq!(failures, 10);
    }

    #[test]
    fn a_crash_loop_that_is_slower_than_min_uptime_waits_too_and_ends() {
        let (waits, failures) = waits(&policy(Restart::Always), good(Duration::from_millis(1200)));
        assert_eq!(waits, [0, 200, 400, 800, 1600, 3200, 6400, 12800, 25600]);
        assert_eq!(failures, 10);
    }

    #[test]
    fn a_linear_wait_is_so_many_times_the_first() {
        let mut policy = policy(Restart::Always);
        policy.backoff =
            Backoff { growth: Growth::Linear, initial: Duration::from_secs(1), ..policy.backoff };
        policy.start_limit = Some(5);
        assert_eq!(waits(&policy, failed(1)).0, [1000, 2000, 3000, 4000]);
        // After a long run no failure counts.
        assert_eq!(Streak::default().after(&policy, good(Duration::from_secs(60))), AfterExit::RestartNow);
    }

    #[test]
    fn an_early_exit_that_is_a_failure_is_tried_again_whatever_its_status_and_the_policy_are() {
        for restart in [Restart::Never, Restart::OnFailure, Restart::Always] {
            let policy =
                RestartPolicy { early_exit: EarlyExit::Failure, start_limit: Some(3), ..policy(restart) };
            assert_eq!(waits(&policy, failed(0)), (vec![100, 200], 3), "{restart:?}");
            // Later its status and the policy decide.
            let later = Streak::default().after(&policy, good(Duration::from_secs(60)));
            let expected = if restart == Restart::Never { AfterExit::Failed } else { AfterExit::RestartNow };
            assert_eq!(later, expected, "{restart:?}");
        }
    }

    #[test]
    fn an_instant_end_that_counts_as_good_is_still_not_restarted_more_than_ten_times_a_second() {
        let mut policy = policy(Restart::Always);
        policy.backoff.initial = Duration::from_nanos(1);
        policy.backoff.factor = 1.0;
        policy.backoff.reset = Duration::ZERO;
        policy.start_limit = None;
        let mut streak = Streak::default();
        for _ in 0..1000 {
            let next = streak.after(&policy, good(INSTANT));
            let AfterExit::RestartIn { wait, .. } = next else { panic!("{next:?}") };
            assert!(wait + INSTANT >= LEAST_PERIOD, "{wait:?}");
        }
    }

    #[test]
    fn only_a_long_run_resets_the_count_and_only_the_first_restart_after_it_is_immediate() {
        let policy = policy(Restart::Always);
        let (long, short) = (good(Duration::from_secs(10)), good(Duration::from_secs(9)));
        let mut streak = Streak { failures: 9, restarts: 9, permanent: 0 };
        assert_eq!(streak.after(&policy, long), AfterExit::RestartNow);
        assert_eq!(streak.failures, 0);
        assert!(matches!(streak.after(&policy, short), AfterExit::RestartIn { failures: 1, .. }));
        assert!(matches!(streak.after(&policy, short), AfterExit::RestartIn { failures: 2, .. }));
        assert_eq!(streak.after(&policy, long), AfterExit::RestartNow);
    }

    #[test]
    fn starts_that_cannot_succeed_later_are_given_up_after_three_whatever_the_limit() {
        let mut policy = policy(Restart::Always);
        policy.start_limit = None;
        use Persistence::{Permanent, Transient};
        let permanent = End::NotStarted { persistence: Permanent };
        assert_eq!(waits(&policy, permanent), (vec![100, 200], 3));
        // A failure that may be temporary sets the count back.
        let mut streak = Streak::default();
        for persistence in [Permanent, Permanent, Transient, Permanent] {
            let next = streak.after(&policy, End::NotStarted { persistence });
            assert!(matches!(next, AfterExit::RestartIn { .. }), "{next:?}");
        }
    }

    #[test]
    fn a_wait_is_never_longer_than_max_however_many_failures() {
        for growth in [Growth::Exponential, Growth::Linear] {
            let mut policy = policy(Restart::Always);
            policy.start_limit = None;
            policy.backoff.growth = growth;
            for failures in [1_000, u32::MAX - 1, u32::MAX] {
                let mut streak = Streak { failures, restarts: failures, permanent: 0 };
                let next = streak.after(&policy, failed(3));
                let expected = Duration::from_secs(30);
                assert!(matches!(next, AfterExit::RestartIn { wait, .. } if wait == expected), "{next:?}");
            }
        }
    }

    #[test]
    fn a_factor_of_one_keeps_the_wait() {
        let mut policy = policy(Restart::Always);
        policy.backoff = Backoff { initial: Duration::from_secs(1), factor: 1.0, ..policy.backoff };
        policy.start_limit = None;
        for failures in [0, 5, 999_999] {
            let mut streak = Streak { failures, restarts: failures, permanent: 0 };
            let next = streak.after(&policy, failed(1));
            let expected = Duration::from_secs(1);
            assert!(matches!(next, AfterExit::RestartIn { wait, .. } if wait == expected), "{next:?}");
        }
    }

    #[test]
    fn an_early_end_with_success_is_a_failed_start_only_where_every_end_is_followed_by_a_restart() {
        let after = |restart, code| Streak::default().after(&policy(restart), failed(code));
        assert!(matches!(after(Restart::Always, 0), AfterExit::RestartIn { failures: 1, .. }));
        assert_eq!(after(Restart::OnFailure, 0), AfterExit::StaysDown);
        assert_eq!(after(Restart::Never, 0), AfterExit::StaysDown);
    }

    #[test]
    fn never_means_never_also_for_a_failed_start() {
        let policy = policy(Restart::Never);
        assert_eq!(Streak::default().after(&policy, failed(3)), AfterExit::Failed);
        let not_ready = End::NeverUp { uptime: Duration::from_secs(60) };
        assert_eq!(Streak::default().after(&policy, not_ready), AfterExit::Failed);
    }
}
