//! A program that exits soon after each start is restarted with growing delays, and is fatal in the end.

use std::time::{Duration, Instant};

use crate::support::{Foster, Running};

fn starts(foster: &Running) -> usize {
    foster.content("starts").lines().count()
}

#[test]
fn a_program_that_is_up_for_a_while_and_crashes_is_fatal_after_ten_starts() {
    // Ready after each start, but with the default `reset` every exit counts as a failure.
    let config = "[program.app]\ncommand = 'puppet append:starts:x sleep:0.15 exit:1'\nmin_uptime = '100ms'\nbackoff = { initial = '10ms', max = '20ms' }\non_failure = 'ignore'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_line("app: .*gave up after 10 failures");
    assert_eq!(starts(&foster), 10, "{}", foster.output().shown());
}

#[test]
fn a_program_that_crashes_1200_ms_after_each_start_is_fatal_after_ten_starts() {
    let config = "[program.app]\ncommand = 'puppet append:starts:x sleep:1.2 exit:1'\nbackoff = { initial = '10ms', max = '20ms' }\non_failure = 'ignore'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_line("app: .*gave up after 10 failures");
    assert_eq!(starts(&foster), 10, "{}", foster.output().shown());
}

#[test]
fn an_uptime_of_reset_clears_the_failures_before_it() {
    let config = "[program.app]\ncommand = 'puppet append:starts:x sleep:0.3 exit:1'\nmin_uptime = '10ms'\nstart_limit = 3\nbackoff = { initial = '10ms', max = '20ms', reset = '200ms' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("more starts than its limit", || starts(&foster) > 5);
}

#[test]
fn instant_exits_with_success_are_fatal_after_ten_starts_at_most_ten_a_second() {
    let config = "[program.app]\ncommand = 'puppet append:starts:x exit:0'\nmin_uptime = '0s'\nbackoff = { initial = '1ms', factor = 1, max = '1ms' }\non_failure = 'ignore'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("its first start", || starts(&foster) > 0);
    let before = Instant::now();
    foster.wait_for_line("app: .*gave up after 10 failures");
    assert_eq!(starts(&foster), 10, "{}", foster.output().shown());
    // Nine restarts, the first one without a delay.
    assert!(before.elapsed() >= Duration::from_millis(700), "{:?}", before.elapsed());
}

#[test]
fn no_configuration_restarts_more_than_ten_times_a_second() {
    let config = "[program.app]\ncommand = 'puppet append:starts:x exit:0'\nmin_uptime = '0s'\nstart_limit = 'unlimited'\nbackoff = { initial = '1ms', factor = 1, max = '1ms', reset = '0s' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("its first start", || starts(&foster) > 0);
    let (first, before) = (starts(&foster), Instant::now());
    foster.wait_for("two seconds of restarts", || before.elapsed() >= Duration::from_secs(2));
    let (restarts, took) = (starts(&foster) - first, before.elapsed());
    assert!(restarts >= 5, "only {restarts} restarts\n{}", foster.output().shown());
    let most = took.as_millis() / 100 + 2;
    assert!(u128::try_from(restarts).expect("few") <= most, "{restarts} restarts in {took:?}");
}
