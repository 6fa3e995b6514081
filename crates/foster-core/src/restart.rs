//! What follows an end: another start, at once or after a wait, or nothing more.
//!
//! Pure arithmetic over [`RestartPolicy`]. It does not know states; `program.rs` turns the verdict into one.

use core::time::Duration;

use crate::action::AfterExit;
use crate::ids::Exit;
use crate::spec::{Backoff, Restart, RestartPolicy};

/// How a run came to its end, as far as the restart policy cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its main process ended by itself.
    ByItself {
        /// How.
        exit: Exit,
        /// What it had achieved by then.
        start: Start,
    },
    /// Its process could not be made, or it was never ready in time.
    NeverUp,
}

/// Whether a start was good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Ready, and up for `min_uptime`: the count of failures begins anew.
    Good,
    /// It ended before that.
    Failed,
}

/// The first wait after a failed start, where `initial` does not give one.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// What follows this end, and how many starts in a row have failed with it.
pub fn after_end(policy: &RestartPolicy, end: End, failures: u32) -> (AfterExit, u32) {
    let (success, start) = match end {
        End::ByItself { exit, start } => (is_success(policy, exit), start),
        End::NeverUp => (false, Start::Failed),
    };
    match (policy.restart, success) {
        (Restart::Never | Restart::OnFailure, true) => return (AfterExit::StaysDown, 0),
        // Also where it was a start that failed: `never` means never.
        (Restart::Never, false) => return (AfterExit::Failed, failures.saturating_add(1)),
        (Restart::OnFailure, false) | (Restart::Always, true | false) => {}
    }
    match start {
        Start::Good => match policy.backoff.initial {
            Duration::ZERO => (AfterExit::RestartNow, 0),
            wait => (
                AfterExit::RestartIn {
                    wait: wait.min(policy.backoff.max),
                    failures: 0,
                    limit: policy.start_limit,
                },
                0,
            ),
        },
        Start::Failed => {
            let failures = failures.saturating_add(1);
            match policy.start_limit {
                Some(limit) if failures >= limit => (AfterExit::GaveUp { failures }, failures),
                Some(_) | None => {
                    let wait = wait(&policy.backoff, failures);
                    (AfterExit::RestartIn { wait, failures, limit: policy.start_limit }, failures)
                }
            }
        }
    }
}

/// Whether an exit is no failure. Death by a signal that foster did not send always is one.
pub fn is_success(policy: &RestartPolicy, exit: Exit) -> bool {
    match exit {
        Exit::Code(code) => policy.success_exit_codes.contains(&code),
        Exit::Killed { signal: _, by: _ } => false,
    }
}

/// The wait before the next start when this many in a row have failed; `failures` is at least 1.
fn wait(backoff: &Backoff, failures: u32) -> Duration {
    let first = if backoff.initial.is_zero() { FIRST_WAIT } else { backoff.initial };
    let mut wait = first.min(backoff.max);
    for _ in 1..failures {
        let longer = Duration::try_from_secs_f64(wait.as_secs_f64() * backoff.factor).unwrap_or(backoff.max);
        // Once it no longer grows it never will: a factor of 1, or the maximum is reached.
        if longer <= wait || longer >= backoff.max {
            return longer.clamp(wait, backoff.max.max(wait));
        }
        wait = longer;
    }
    wait
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Growth;
    use alloc::vec;
    use alloc::vec::Vec;

    fn policy(restart: Restart) -> RestartPolicy {
        RestartPolicy {
            restart,
            success_exit_codes: vec![0],
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
        End::ByItself { exit: Exit::Code(code), start: Start::Failed }
    }

    #[test]
    fn waits_grow_from_100_ms_and_the_tenth_failure_is_the_last() {
        let policy = policy(Restart::Always);
        let mut failures = 0;
        let mut waits = Vec::new();
        loop {
            let (next, count) = after_end(&policy, failed(3), failures);
            failures = count;
            match next {
                AfterExit::RestartIn { wait, .. } => waits.push(wait.as_millis()),
                AfterExit::GaveUp { failures } => break assert_eq!(failures, 10),
                AfterExit::RestartNow | AfterExit::StaysDown | AfterExit::Failed => panic!("{next:?}"),
            }
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600]);
    }

    #[test]
    fn a_wait_is_never_longer_than_max_however_many_failures() {
        let mut policy = policy(Restart::Always);
        policy.start_limit = None;
        for failures in [10, 1_000, u32::MAX - 1, u32::MAX] {
            let (next, _) = after_end(&policy, failed(3), failures);
            assert!(
                matches!(next, AfterExit::RestartIn { wait, .. } if wait == Duration::from_secs(30)),
                "{next:?}"
            );
        }
    }

    #[test]
    fn a_factor_of_one_keeps_the_wait() {
        let mut policy = policy(Restart::Always);
        policy.backoff = Backoff { initial: Duration::from_secs(1), factor: 1.0, ..policy.backoff };
        policy.start_limit = None;
        for failures in [0, 5, 999_999] {
            let (next, _) = after_end(&policy, failed(1), failures);
            assert!(
                matches!(next, AfterExit::RestartIn { wait, .. } if wait == Duration::from_secs(1)),
                "{next:?}"
            );
        }
    }

    #[test]
    fn a_program_that_had_been_up_well_is_restarted_at_once() {
        let end = End::ByItself { exit: Exit::Code(1), start: Start::Good };
        assert_eq!(after_end(&policy(Restart::Always), end, 9), (AfterExit::RestartNow, 0));
    }

    #[test]
    fn an_early_end_with_success_is_a_failed_start_only_where_every_end_is_followed_by_a_restart() {
        assert!(matches!(
            after_end(&policy(Restart::Always), failed(0), 0),
            (AfterExit::RestartIn { .. }, 1)
        ));
        assert_eq!(after_end(&policy(Restart::OnFailure), failed(0), 3), (AfterExit::StaysDown, 0));
        assert_eq!(after_end(&policy(Restart::Never), failed(0), 0), (AfterExit::StaysDown, 0));
    }

    #[test]
    fn never_means_never_also_for_a_failed_start() {
        assert_eq!(after_end(&policy(Restart::Never), failed(3), 0), (AfterExit::Failed, 1));
        assert_eq!(after_end(&policy(Restart::Never), End::NeverUp, 0), (AfterExit::Failed, 1));
    }
}
