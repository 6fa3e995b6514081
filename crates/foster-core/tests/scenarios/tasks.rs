//! Tasks: run once, gate what comes after them, retry, end the container; orders and updates.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use std::time::Duration;

use expect_test::expect;

use crate::sim::World;
use crate::{check, check_updates};

#[test]
fn programs_wait_for_the_success_of_a_task_of_a_lower_tier() {
    check(
        "migrate: task priority=0 life=4s
         web: ready=100ms",
        "10s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            4.000   migrate: running -> succeeded (exited with status 0 after 4s; stays down)
            4.000   spawn web #1
            4.000   web: waiting -> starting (started)
            4.101   web: starting -> running (ready after 101ms)
            4.101   everything is ready
            10.000  shutdown: SIGTERM
            10.000  web: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of web
            10.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_task_that_fails_ends_the_container_with_its_exit_code_and_no_program_starts() {
    check(
        "migrate: task priority=0 life=4s/7
         web:
         worker: after=migrate priority=0",
        "",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   worker: stopped -> waiting (waits for migrate)
            0.000   web: stopped -> waiting (waits for migrate)
            4.000   migrate: running -> failed (exited with status 7 after 4s; gave up after 1)
            4.000   shutdown: migrate failed 1 times, exited with status 7
            4.000   web: waiting -> stopped (shutdown)
            4.000   worker: waiting -> stopped (shutdown)
            4.000   sweep with SIGTERM
            4.000   exit 7: migrate failed 1 times, exited with status 7
        "#]],
    );
}

#[test]
fn a_task_is_started_again_after_a_failure_as_often_as_its_retries_say() {
    check(
        "migrate: task retries=2 priority=0 life=20s/7 succeeds=3
         web: after=migrate",
        "70s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            20.000  migrate: running -> backoff (exited with status 7 after 20s; restart in 100ms, 1 of 3 failed)
            20.100  spawn migrate #2
            20.100  migrate: backoff -> running (started)
            40.100  migrate: running -> backoff (exited with status 7 after 20s; restart in 200ms, 2 of 3 failed)
            40.300  spawn migrate #3
            40.300  migrate: backoff -> running (started)
            60.300  migrate: running -> succeeded (exited with status 0 after 20s; stays down)
            60.300  spawn web #1
            60.300  web: waiting -> starting (started)
            61.300  web: starting -> running (ready after 1s)
            61.300  everything is ready
            70.000  shutdown: SIGTERM
            70.000  web: running -> stopping (shutdown)
            70.000  SIGTERM to the main process of web
            70.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            70.010  sweep with SIGTERM
            70.010  exit 0: SIGTERM
        "#]],
    );
    check(
        "migrate: task retries=1 priority=0 life=20s/7
         web: after=migrate",
        "",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            20.000  migrate: running -> backoff (exited with status 7 after 20s; restart in 100ms, 1 of 2 failed)
            20.100  spawn migrate #2
            20.100  migrate: backoff -> running (started)
            40.100  migrate: running -> failed (exited with status 7 after 20s; gave up after 2)
            40.100  shutdown: migrate failed 2 times, exited with status 7
            40.100  web: waiting -> stopped (shutdown)
            40.100  sweep with SIGTERM
            40.100  exit 7: migrate failed 2 times, exited with status 7
        "#]],
    );
}

#[test]
fn a_task_that_takes_too_long_is_stopped_and_has_failed() {
    check(
        "migrate: task=3s retries=1 priority=0
         web: after=migrate",
        "",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            3.000   migrate: running -> stopping (not ready within 3s: None)
            3.000   SIGTERM to the main process of migrate
            3.010   migrate: stopping -> backoff (was killed by SIGTERM; restart in 100ms, 1 of 2 failed)
            3.110   spawn migrate #2
            3.110   migrate: backoff -> running (started)
            6.110   migrate: running -> stopping (not ready within 3s: None)
            6.110   SIGTERM to the main process of migrate
            6.120   migrate: stopping -> failed (was killed by SIGTERM; gave up after 2)
            6.120   shutdown: migrate failed 2 times, not ready: None, was killed by SIGTERM
            6.120   web: waiting -> stopped (shutdown)
            6.120   sweep with SIGTERM
            6.120   exit 1: migrate failed 2 times, not ready: None, was killed by SIGTERM
        "#]],
    );
}

#[test]
fn an_ignored_failure_holds_up_only_what_is_after_it() {
    check(
        "migrate: task priority=0 life=1s/7 on_failure=ignore
         web: ready=100ms
         worker: after=migrate",
        "5s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            0.000   worker: stopped -> waiting (waits for migrate)
            1.000   migrate: running -> failed (exited with status 7 after 1s; gave up after 1)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            1.101   web: starting -> running (ready after 101ms)
            5.000   shutdown: SIGTERM
            5.000   worker: waiting -> stopped (shutdown)
            5.000   web: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   sweep with SIGTERM
            5.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_task_without_a_program_ends_the_container_with_success() {
    check(
        "migrate: task life=1s",
        "",
        expect![[r#"
        0.000   spawn migrate #1
        0.000   migrate: stopped -> running (started)
        1.000   migrate: running -> succeeded (exited with status 0 after 1s; stays down)
        1.000   everything is ready
        1.000   shutdown: all ended
        1.000   sweep with SIGTERM
        1.000   exit 0: all ended
    "#]],
    );
}

#[test]
fn an_ended_task_runs_again_by_an_order_only() {
    check(
        "migrate: task priority=0 life=1s
         web: after=migrate ready=100ms",
        "3s start migrate\n 5s kill web KILL\n 6s stop migrate\n 7s restart migrate\n 9s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            1.000   migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            1.101   web: starting -> running (ready after 101ms)
            1.101   everything is ready
            3.000   spawn migrate #2
            3.000   migrate: stopped -> running (started)
            4.000   migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            5.000   web: running -> waiting (was killed by SIGKILL after 4s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.101   web: starting -> running (ready after 101ms)
            7.000   spawn migrate #3
            7.000   migrate: stopped -> running (started)
            8.000   migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            9.000   shutdown: SIGTERM
            9.000   web: running -> stopping (shutdown)
            9.000   SIGTERM to the main process of web
            9.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   sweep with SIGTERM
            9.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_failed_task_runs_again_by_an_order_with_a_fresh_count() {
    check(
        "migrate: task retries=1 priority=0 life=1s/7 succeeds=3 on_failure=ignore
         cache: ready=100ms
         web: after=migrate ready=100ms",
        "10s start migrate\n 15s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   cache: stopped -> waiting (waits for migrate)
            0.000   web: stopped -> waiting (waits for migrate)
            1.000   migrate: running -> backoff (exited with status 7 after 1s; restart in 100ms, 1 of 2 failed)
            1.100   spawn migrate #2
            1.100   migrate: backoff -> running (started)
            2.100   migrate: running -> failed (exited with status 7 after 1s; gave up after 2)
            2.100   spawn cache #1
            2.100   cache: waiting -> starting (started)
            2.201   cache: starting -> running (ready after 101ms)
            10.000  spawn migrate #3
            10.000  migrate: stopped -> running (started)
            11.000  migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            11.000  spawn web #1
            11.000  web: waiting -> starting (started)
            11.101  web: starting -> running (ready after 101ms)
            11.101  everything is ready
            15.000  shutdown: SIGTERM
            15.000  web: running -> stopping (shutdown)
            15.000  SIGTERM to the main process of web
            15.000  cache: running -> stopping (shutdown)
            15.000  SIGTERM to the main process of cache
            15.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.010  cache: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.010  sweep with SIGTERM
            15.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_running_task_is_stopped_by_an_order_and_by_the_shutdown() {
    check(
        "migrate: task priority=0
         web: after=migrate",
        "1s stop migrate\n 2s start migrate\n 3s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            1.000   migrate: running -> stopping (requested)
            1.000   SIGTERM to the main process of migrate
            1.010   migrate: stopping -> stopped (was killed by SIGTERM within 10ms)
            2.000   spawn migrate #2
            2.000   migrate: stopped -> running (started)
            3.000   shutdown: SIGTERM
            3.000   web: waiting -> stopped (shutdown)
            3.000   migrate: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of migrate
            3.010   migrate: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   sweep with SIGTERM
            3.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn an_update_runs_new_tasks_and_no_task_again() {
    check_updates(
        "migrate: task priority=0 life=1s
         broken: task priority=0 life=1s/7 on_failure=ignore
         long: task priority=0 life=6s
         web: ready=100ms",
        &[
            (
                "5s",
                "migrate: task priority=0 life=1s v=2
                 broken: task retries=3 priority=0 life=1s/7 on_failure=ignore
                 long: task priority=0 life=6s v=2
                 extra: task priority=0 life=2s
                 web: ready=100ms after=extra",
            ),
            (
                "20s",
                "migrate: task priority=0 life=1s v=2
                 broken: task retries=3 priority=0 life=1s v=2
                 web: ready=100ms",
            ),
        ],
        "25s start migrate\n 30s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   spawn broken #1
            0.000   spawn long #1
            0.000   migrate: stopped -> running (started)
            0.000   broken: stopped -> running (started)
            0.000   long: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            1.000   migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            1.000   broken: running -> failed (exited with status 7 after 1s; gave up after 1)
            5.000   updated
            5.000   spawn extra #1
            5.000   extra: stopped -> running (started)
            6.000   long: running -> succeeded (exited with status 0 after 6s; stays down)
            7.000   extra: running -> succeeded (exited with status 0 after 2s; stays down)
            7.000   spawn web #1
            7.000   web: waiting -> starting (started)
            7.101   web: starting -> running (ready after 101ms)
            7.101   everything is ready
            20.000  updated
            20.000  forget long
            20.000  forget extra
            25.000  spawn migrate #2
            25.000  migrate: stopped -> running (started)
            26.000  migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            30.000  shutdown: SIGTERM
            30.000  web: running -> stopping (shutdown)
            30.000  SIGTERM to the main process of web
            30.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            30.010  sweep with SIGTERM
            30.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_task_without_a_timeout_needs_no_clock() {
    let mut world = World::new("migrate: task");
    world.script("0s boot");
    world.run(Duration::from_secs(1));
    assert_eq!(world.supervisor.deadline(), None);
}

#[test]
fn a_task_that_asks_for_more_time_gets_it() {
    check(
        "migrate: task=3s life=5s",
        "2s notify migrate extend=10s",
        expect![[r#"
        0.000   spawn migrate #1
        0.000   migrate: stopped -> running (started)
        5.000   migrate: running -> succeeded (exited with status 0 after 5s; stays down)
        5.000   everything is ready
        5.000   shutdown: all ended
        5.000   sweep with SIGTERM
        5.000   exit 0: all ended
    "#]],
    );
}

#[test]
fn the_processes_that_a_task_leaves_end_before_what_is_after_it_starts() {
    check(
        "migrate: task priority=0 life=1s leftovers=500ms
         web: ready=100ms",
        "4s signal TERM",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web: stopped -> waiting (waits for migrate)
            1.000   migrate: running -> stopping (exited with status 0 after 1s; processes left)
            1.000   SIGTERM to all processes of migrate
            1.500   migrate: stopping -> succeeded (exited with status 0 after 1s; stays down)
            1.500   spawn web #1
            1.500   web: waiting -> starting (started)
            1.601   web: starting -> running (ready after 101ms)
            1.601   everything is ready
            4.000   shutdown: SIGTERM
            4.000   web: running -> stopping (shutdown)
            4.000   SIGTERM to the main process of web
            4.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            4.010   sweep with SIGTERM
            4.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_task_over_its_memory_has_failed_however_long_it_ran() {
    check(
        "migrate: task retries=1 outgrows=15s",
        "",
        expect![[r#"
        0.000   spawn migrate #1
        0.000   migrate: stopped -> running (started)
        16.001  migrate: running -> stopping (over its memory: 120M)
        16.001  SIGTERM to the main process of migrate
        16.011  migrate: stopping -> backoff (was killed by SIGTERM; restart in 100ms, 1 of 2 failed)
        16.111  spawn migrate #2
        16.111  migrate: backoff -> running (started)
        32.001  migrate: running -> stopping (over its memory: 120M)
        32.001  SIGTERM to the main process of migrate
        32.011  migrate: stopping -> failed (was killed by SIGTERM; gave up after 2)
        32.011  shutdown: migrate failed 2 times, unhealthy: ["120M"], was killed by SIGTERM
        32.011  sweep with SIGTERM
        32.011  exit 1: migrate failed 2 times, unhealthy: ["120M"], was killed by SIGTERM
    "#]],
    );
}

#[test]
fn a_server_stops_after_the_programs_that_are_after_it_by_an_ended_task() {
    check(
        "db: priority=0 ready=100ms
         schema: task priority=0 life=1s after=db
         app: priority=0 ready=100ms after=schema",
        "5s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   schema: stopped -> waiting (waits for db)
            0.000   app: stopped -> waiting (waits for schema)
            0.101   db: starting -> running (ready after 101ms)
            0.101   spawn schema #1
            0.101   schema: waiting -> running (started)
            1.101   schema: running -> succeeded (exited with status 0 after 1s; stays down)
            1.101   spawn app #1
            1.101   app: waiting -> starting (started)
            1.301   app: starting -> running (ready after 200ms)
            1.301   everything is ready
            5.000   shutdown: SIGTERM
            5.000   app: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of app
            5.010   app: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   db: running -> stopping (shutdown)
            5.010   SIGTERM to the main process of db
            5.020   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.020   sweep with SIGTERM
            5.020   exit 0: SIGTERM
        "#]],
    );
}
