//! What a health probe does to a program that is ready: attempts every 10 s, three failures count.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use expect_test::expect;

use crate::check;

#[test]
fn three_failures_in_a_row_restart_the_program() {
    check(
        "web: health=restart unhealthy=15s..",
        "60s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            40.001  web: running -> stopping (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            40.001  SIGTERM to the main process of web
            40.011  web: stopping -> waiting (was killed by SIGTERM; restart now)
            40.011  spawn web #2
            40.011  web: waiting -> starting (started)
            41.011  web: starting -> running (ready after 1s)
            60.000  shutdown: SIGTERM
            60.000  web: running -> stopping (shutdown)
            60.000  SIGTERM to the main process of web
            60.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            60.010  sweep with SIGTERM
            60.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn two_failures_and_a_success_change_nothing() {
    check(
        "web: health=restart unhealthy=15s..35s",
        "60s signal TERM",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        1.000   web: starting -> running (ready after 1s)
        1.000   everything is ready
        60.000  shutdown: SIGTERM
        60.000  web: running -> stopping (shutdown)
        60.000  SIGTERM to the main process of web
        60.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
        60.010  sweep with SIGTERM
        60.010  exit 0: SIGTERM
    "#]],
    );
}

#[test]
fn an_unhealthy_program_may_end_the_container_with_1() {
    check(
        "web: health=shutdown unhealthy=15s..\n other:",
        "",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            40.001  web: running -> unhealthy (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            40.001  shutdown: web is unhealthy: ["Connection refused", "Connection refused", "Connection refused"]
            40.001  other: running -> stopping (shutdown)
            40.001  SIGTERM to the main process of other
            40.001  web: unhealthy -> stopping (shutdown)
            40.001  SIGTERM to the main process of web
            40.011  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            40.011  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            40.011  sweep with SIGTERM
            40.011  exit 1: web is unhealthy: ["Connection refused", "Connection refused", "Connection refused"]
        "#]],
    );
}

#[test]
fn an_unhealthy_program_that_is_only_reported_recovers() {
    check(
        "web: health=report unhealthy=15s..65s\n other: after=web",
        "90s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> waiting (waits for web)
            1.000   web: starting -> running (ready after 1s)
            1.000   spawn other #1
            1.000   other: waiting -> starting (started)
            2.000   other: starting -> running (ready after 1s)
            2.000   everything is ready
            40.001  web: running -> unhealthy (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            70.001  web: unhealthy -> running (recovered)
            90.000  shutdown: SIGTERM
            90.000  other: running -> stopping (shutdown)
            90.000  SIGTERM to the main process of other
            90.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            90.010  web: running -> stopping (shutdown)
            90.010  SIGTERM to the main process of web
            90.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            90.020  sweep with SIGTERM
            90.020  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_stop_of_an_unhealthy_program_is_a_stop_like_any_other() {
    check(
        "web: health=report unhealthy=5s..",
        "50s stop web\n 55s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            30.001  web: running -> unhealthy (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            50.000  web: unhealthy -> stopping (requested)
            50.000  SIGTERM to the main process of web
            50.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            55.000  shutdown: SIGTERM
            55.000  sweep with SIGTERM
            55.000  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn nothing_is_asked_before_start_period_is_over() {
    check(
        "web: health=restart start_period=30s unhealthy=0s..",
        "80s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            60.001  web: running -> stopping (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            60.001  SIGTERM to the main process of web
            60.011  web: stopping -> waiting (was killed by SIGTERM; restart now)
            60.011  spawn web #2
            60.011  web: waiting -> starting (started)
            61.011  web: starting -> running (ready after 1s)
            80.000  shutdown: SIGTERM
            80.000  web: running -> stopping (shutdown)
            80.000  SIGTERM to the main process of web
            80.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            80.010  sweep with SIGTERM
            80.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_is_unhealthy_again_and_again_is_given_up() {
    check(
        "web: health=restart unhealthy=0s.. reset=60s start_limit=2",
        "",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            30.001  web: running -> stopping (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            30.001  SIGTERM to the main process of web
            30.011  web: stopping -> waiting (was killed by SIGTERM; restart now)
            30.011  spawn web #2
            30.011  web: waiting -> starting (started)
            31.011  web: starting -> running (ready after 1s)
            60.001  web: running -> stopping (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            60.001  SIGTERM to the main process of web
            60.011  web: stopping -> fatal (was killed by SIGTERM; gave up after 2)
            60.011  shutdown: web failed 2 times, unhealthy: ["Connection refused", "Connection refused", "Connection refused"], was killed by SIGTERM
            60.011  sweep with SIGTERM
            60.011  exit 1: web failed 2 times, unhealthy: ["Connection refused", "Connection refused", "Connection refused"], was killed by SIGTERM
        "#]],
    );
}

#[test]
fn a_program_over_its_memory_is_replaced_first_where_another_run_can_stand_beside_it() {
    check(
        "web: overlap outgrows=15s stops=1s/0",
        "40s signal TERM",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        1.000   web: starting -> running (ready after 1s)
        1.000   everything is ready
        16.001  web: running -> running (over its memory: 120M)
        16.001  spawn web #2
        16.001  replacement of web: stopped -> starting (started)
        17.001  replacement of web: starting -> running (ready after 1s)
        17.001  web: running -> running (replaced)
        17.001  former web: running -> stopping (over its memory)
        17.001  SIGTERM to the main process of web #1
        18.001  former web: stopping -> stopped (exited with status 0 within 1s)
        32.001  web: running -> running (over its memory: 120M)
        32.001  spawn web #3
        32.001  replacement of web: stopped -> starting (started)
        33.001  replacement of web: starting -> running (ready after 1s)
        33.001  web: running -> running (replaced)
        33.001  former web: running -> stopping (over its memory)
        33.001  SIGTERM to the main process of web #2
        34.001  former web: stopping -> stopped (exited with status 0 within 1s)
        40.000  shutdown: SIGTERM
        40.000  web: running -> stopping (shutdown)
        40.000  SIGTERM to the main process of web
        41.000  web: stopping -> stopped (exited with status 0 within 1s)
        41.000  sweep with SIGTERM
        41.000  exit 0: SIGTERM
    "#]],
    );
}

#[test]
fn a_program_over_its_memory_is_restarted_where_a_run_beside_it_would_have_to_wait() {
    check(
        "db: ready=100ms
         web: overlap after=db outgrows=15s stops=1s/0",
        "12s stop db\n 22s start db\n 30s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.101   db: starting -> running (ready after 101ms)
            0.101   spawn web #1
            0.101   web: waiting -> starting (started)
            1.101   web: starting -> running (ready after 1s)
            1.101   everything is ready
            12.000  db: running -> stopping (requested)
            12.000  SIGTERM to the main process of db
            12.010  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            16.001  web: running -> running (over its memory: 120M)
            18.001  web: running -> stopping (over its memory: 120M)
            18.001  SIGTERM to the main process of web
            19.001  web: stopping -> waiting (exited with status 0; restart now)
            22.000  spawn db #2
            22.000  db: stopped -> starting (started)
            22.101  db: starting -> running (ready after 101ms)
            22.101  spawn web #2
            22.101  web: waiting -> starting (started)
            23.101  web: starting -> running (ready after 1s)
            30.000  shutdown: SIGTERM
            30.000  web: running -> stopping (shutdown)
            30.000  SIGTERM to the main process of web
            31.000  web: stopping -> stopped (exited with status 0 within 1s)
            31.000  db: running -> stopping (shutdown)
            31.000  SIGTERM to the main process of db
            31.010  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            31.010  sweep with SIGTERM
            31.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_over_its_memory_is_restarted_as_if_it_had_ended_by_itself() {
    check(
        "web: outgrows=7s stops=1s/0",
        "20s signal TERM",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        1.000   web: starting -> running (ready after 1s)
        1.000   everything is ready
        8.201   web: running -> stopping (over its memory: 120M)
        8.201   SIGTERM to the main process of web
        9.201   web: stopping -> waiting (exited with status 0; restart now)
        9.201   spawn web #2
        9.201   web: waiting -> starting (started)
        10.201  web: starting -> running (ready after 1s)
        18.001  web: running -> stopping (over its memory: 120M)
        18.001  SIGTERM to the main process of web
        19.001  web: stopping -> backoff (exited with status 0; restart in 200ms, 2 of 10 failed)
        19.201  spawn web #3
        19.201  web: backoff -> starting (started)
        20.000  shutdown: SIGTERM
        20.000  web: starting -> stopping (shutdown)
        20.000  SIGTERM to the main process of web
        21.000  web: stopping -> stopped (exited with status 0 within 1s)
        21.000  sweep with SIGTERM
        21.000  exit 0: SIGTERM
    "#]],
    );
}
