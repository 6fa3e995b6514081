//! How failures are counted, and how long the next start waits.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use std::time::Duration;

use expect_test::expect;

use crate::check;
use crate::sim::World;

#[test]
fn a_crash_loop_slower_than_min_uptime_is_fatal_after_ten_runs() {
    check(
        "backend: life=1200ms/3",
        "",
        expect![[r#"
        0.000   spawn backend #1
        0.000   backend: stopped -> starting (started)
        1.000   backend: starting -> running (ready after 1s)
        1.000   everything is ready
        1.200   backend: running -> waiting (exited with status 3 after 1.2s; restart now)
        1.200   spawn backend #2
        1.200   backend: waiting -> starting (started)
        2.200   backend: starting -> running (ready after 1s)
        2.400   backend: running -> backoff (exited with status 3 after 1.2s; restart in 200ms, 2 of 10 failed)
        2.600   spawn backend #3
        2.600   backend: backoff -> starting (started)
        3.600   backend: starting -> running (ready after 1s)
        3.800   backend: running -> backoff (exited with status 3 after 1.2s; restart in 400ms, 3 of 10 failed)
        4.200   spawn backend #4
        4.200   backend: backoff -> starting (started)
        5.200   backend: starting -> running (ready after 1s)
        5.400   backend: running -> backoff (exited with status 3 after 1.2s; restart in 800ms, 4 of 10 failed)
        6.200   spawn backend #5
        6.200   backend: backoff -> starting (started)
        7.200   backend: starting -> running (ready after 1s)
        7.400   backend: running -> backoff (exited with status 3 after 1.2s; restart in 1.6s, 5 of 10 failed)
        9.000   spawn backend #6
        9.000   backend: backoff -> starting (started)
        10.000  backend: starting -> running (ready after 1s)
        10.200  backend: running -> backoff (exited with status 3 after 1.2s; restart in 3.2s, 6 of 10 failed)
        13.400  spawn backend #7
        13.400  backend: backoff -> starting (started)
        14.400  backend: starting -> running (ready after 1s)
        14.600  backend: running -> backoff (exited with status 3 after 1.2s; restart in 6.4s, 7 of 10 failed)
        21.000  spawn backend #8
        21.000  backend: backoff -> starting (started)
        22.000  backend: starting -> running (ready after 1s)
        22.200  backend: running -> backoff (exited with status 3 after 1.2s; restart in 12.8s, 8 of 10 failed)
        35.000  spawn backend #9
        35.000  backend: backoff -> starting (started)
        36.000  backend: starting -> running (ready after 1s)
        36.200  backend: running -> backoff (exited with status 3 after 1.2s; restart in 25.6s, 9 of 10 failed)
        61.800  spawn backend #10
        61.800  backend: backoff -> starting (started)
        62.800  backend: starting -> running (ready after 1s)
        63.000  backend: running -> fatal (exited with status 3 after 1.2s; gave up after 10)
        63.000  shutdown: backend failed 10 times, exited with status 3
        63.000  sweep with SIGTERM
        63.000  exit 3: backend failed 10 times, exited with status 3
    "#]],
    );
}

#[test]
fn a_run_as_long_as_reset_sets_the_count_of_failures_back() {
    check(
        "backend: life=1200ms/3 reset=1s start_limit=2",
        "4s signal TERM",
        expect![[r#"
        0.000   spawn backend #1
        0.000   backend: stopped -> starting (started)
        1.000   backend: starting -> running (ready after 1s)
        1.000   everything is ready
        1.200   backend: running -> waiting (exited with status 3 after 1.2s; restart now)
        1.200   spawn backend #2
        1.200   backend: waiting -> starting (started)
        2.200   backend: starting -> running (ready after 1s)
        2.400   backend: running -> waiting (exited with status 3 after 1.2s; restart now)
        2.400   spawn backend #3
        2.400   backend: waiting -> starting (started)
        3.400   backend: starting -> running (ready after 1s)
        3.600   backend: running -> waiting (exited with status 3 after 1.2s; restart now)
        3.600   spawn backend #4
        3.600   backend: waiting -> starting (started)
        4.000   shutdown: SIGTERM
        4.000   backend: starting -> stopping (shutdown)
        4.000   SIGTERM to the main process of backend
        4.010   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
        4.010   sweep with SIGTERM
        4.010   exit 0: SIGTERM
    "#]],
    );
}

#[test]
fn linear_waits_grow_by_the_initial_one() {
    check(
        "backend: life=5ms/1 initial=300ms growth=linear start_limit=5",
        "",
        expect![[r#"
        0.000   spawn backend #1
        0.000   backend: stopped -> starting (started)
        0.005   backend: starting -> backoff (exited with status 1 after 5ms; restart in 300ms, 1 of 5 failed)
        0.305   spawn backend #2
        0.305   backend: backoff -> starting (started)
        0.310   backend: starting -> backoff (exited with status 1 after 5ms; restart in 600ms, 2 of 5 failed)
        0.910   spawn backend #3
        0.910   backend: backoff -> starting (started)
        0.915   backend: starting -> backoff (exited with status 1 after 5ms; restart in 900ms, 3 of 5 failed)
        1.815   spawn backend #4
        1.815   backend: backoff -> starting (started)
        1.820   backend: starting -> backoff (exited with status 1 after 5ms; restart in 1.2s, 4 of 5 failed)
        3.020   spawn backend #5
        3.020   backend: backoff -> starting (started)
        3.025   backend: starting -> fatal (exited with status 1 after 5ms; gave up after 5)
        3.025   shutdown: backend failed 5 times, exited with status 1
        3.025   sweep with SIGTERM
        3.025   exit 1: backend failed 5 times, exited with status 1
    "#]],
    );
}

#[test]
fn a_program_that_ends_at_once_is_started_ten_times_a_second_at_most_whatever_is_configured() {
    let mut world = World::new("web: life=0ms/0 min_uptime=0ms reset=0ms start_limit=none");
    world.script("0s boot");
    world.run(Duration::from_secs(10));
    assert_eq!(world.starts.len(), 101, "{}", world.trace.join("\n"));
}

#[test]
fn when_all_ended_stay_keeps_the_container_and_a_start_is_obeyed() {
    check(
        "when_all_ended=stay\n job: restart=never life=2s/0 on_exit=ignore",
        "60s start job\n 100s signal TERM",
        expect![[r#"
            0.000   spawn job #1
            0.000   job: stopped -> starting (started)
            1.000   job: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   job: running -> exited (exited with status 0 after 2s; stays down)
            60.000  spawn job #2
            60.000  job: stopped -> starting (started)
            61.000  job: starting -> running (ready after 1s)
            62.000  job: running -> exited (exited with status 0 after 2s; stays down)
            100.000 shutdown: SIGTERM
            100.000 sweep with SIGTERM
            100.000 exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn when_all_ended_fail_ends_the_container_with_the_status_of_one_that_failed() {
    check(
        "when_all_ended=fail\n a: restart=never life=1s/0\n b: restart=never life=3s/7 on_failure=ignore\n\
         c: restart=never life=5s/0",
        "",
        expect![[r#"
            0.000   spawn a #1
            0.000   spawn b #1
            0.000   spawn c #1
            0.000   a: stopped -> starting (started)
            0.000   b: stopped -> starting (started)
            0.000   c: stopped -> starting (started)
            1.000   a: starting -> exited (exited with status 0 after 1s; stays down)
            1.000   b: starting -> running (ready after 1s)
            1.000   c: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   b: running -> fatal (exited with status 7 after 3s; failed)
            5.000   c: running -> exited (exited with status 0 after 5s; stays down)
            5.000   shutdown: b failed 1 times, exited with status 7
            5.000   sweep with SIGTERM
            5.000   exit 7: b failed 1 times, exited with status 7
        "#]],
    );
    check(
        "when_all_ended=fail\n a: restart=never life=1s/0",
        "",
        expect![[r#"
        0.000   spawn a #1
        0.000   a: stopped -> starting (started)
        1.000   a: starting -> exited (exited with status 0 after 1s; stays down)
        1.000   everything is ready
        1.000   shutdown: all ended
        1.000   sweep with SIGTERM
        1.000   exit 0: all ended
    "#]],
    );
}
