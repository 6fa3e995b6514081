//! The effects of orders, signals and final ends on programs and the container.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use expect_test::expect;

use crate::{check, check_updates};

#[test]
fn a_stop_while_starting_is_obeyed_at_once_and_a_start_makes_a_new_run() {
    check(
        "backend: ready=2s",
        "1s stop backend\n 3s start backend\n 3s start backend\n 8s stop backend\n 9s shutdown",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (started)
            1.000   backend: starting -> stopping (requested)
            1.000   SIGTERM to the main process of backend
            1.000   everything is ready
            1.010   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.000   spawn backend #2
            3.000   backend: stopped -> starting (started)
            5.001   backend: starting -> running (ready after 2.001s)
            8.000   backend: running -> stopping (requested)
            8.000   SIGTERM to the main process of backend
            8.010   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.000   shutdown: operator
            9.000   sweep with SIGTERM
            9.000   exit 0: operator
        "#]],
    );
}

#[test]
fn a_stop_in_backoff_is_immediate_and_a_start_of_a_fatal_program_has_a_count_of_0() {
    check(
        "flaky: life=5ms/1 start_limit=2 on_failure=ignore
         other:",
        "1s start flaky\n 1s stop flaky\n 3s shutdown",
        expect![[r#"
            0.000   spawn flaky #1
            0.000   spawn other #1
            0.000   flaky: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.005   flaky: starting -> backoff (exited with status 1 after 5ms; restart in 100ms, 1 of 2 failed)
            0.105   spawn flaky #2
            0.105   flaky: backoff -> starting (started)
            0.110   flaky: starting -> fatal (exited with status 1 after 5ms; gave up after 2)
            1.000   spawn flaky #3
            1.000   flaky: stopped -> starting (started)
            1.000   flaky: starting -> stopping (requested)
            1.000   SIGTERM to the main process of flaky
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            1.005   flaky: stopping -> stopped (exited with status 1 within 5ms)
            3.000   shutdown: operator
            3.000   other: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of other
            3.010   other: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   sweep with SIGTERM
            3.010   exit 0: operator
        "#]],
    );
}

#[test]
fn a_program_stops_before_the_one_it_requires_and_starts_again_after_it() {
    check(
        "db: priority=1
         web: requires=db
         proxy: requires=web",
        "5s stop db\n 10s start db\n 20s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.000   proxy: stopped -> waiting (waits for web)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   spawn proxy #1
            2.000   proxy: waiting -> starting (started)
            3.000   proxy: starting -> running (ready after 1s)
            3.000   everything is ready
            5.000   proxy: running -> stopping (web is down)
            5.000   SIGTERM to the main process of proxy
            5.010   proxy: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   web: running -> stopping (db is down)
            5.010   SIGTERM to the main process of web
            5.020   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.020   db: running -> stopping (requested)
            5.020   SIGTERM to the main process of db
            5.030   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.000  spawn db #2
            10.000  db: stopped -> starting (started)
            11.000  db: starting -> running (ready after 1s)
            11.000  spawn web #2
            11.000  web: waiting -> starting (started)
            12.000  web: starting -> running (ready after 1s)
            12.000  spawn proxy #2
            12.000  proxy: waiting -> starting (started)
            13.000  proxy: starting -> running (ready after 1s)
            20.000  shutdown: SIGTERM
            20.000  proxy: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of proxy
            20.010  proxy: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web: running -> stopping (shutdown)
            20.010  SIGTERM to the main process of web
            20.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  db: running -> stopping (shutdown)
            20.020  SIGTERM to the main process of db
            20.030  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.030  sweep with SIGTERM
            20.030  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_restart_of_all_goes_down_and_up_in_order() {
    check(
        "db: priority=1
         web: priority=2 after=db",
        "5s restart all\n 20s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   web: running -> stopping (requested)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   db: running -> stopping (requested)
            5.010   SIGTERM to the main process of db
            5.020   db: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.020   spawn db #2
            5.020   db: waiting -> starting (started)
            6.020   db: starting -> running (ready after 1s)
            6.020   spawn web #2
            6.020   web: waiting -> starting (started)
            7.020   web: starting -> running (ready after 1s)
            20.000  shutdown: SIGTERM
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  db: running -> stopping (shutdown)
            20.010  SIGTERM to the main process of db
            20.020  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  sweep with SIGTERM
            20.020  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn on_exit_shutdown_ends_the_container_with_the_programs_status() {
    check(
        "job: restart=on-failure life=2s/0 on_exit=shutdown\n other:",
        "",
        expect![[r#"
            0.000   spawn job #1
            0.000   spawn other #1
            0.000   job: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   job: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   job: running -> exited (exited with status 0 after 2s; stays down)
            2.000   shutdown: job exited with status 0
            2.000   other: running -> stopping (shutdown)
            2.000   SIGTERM to the main process of other
            2.010   other: stopping -> stopped (was killed by SIGTERM within 10ms)
            2.010   sweep with SIGTERM
            2.010   exit 0: job exited with status 0
        "#]],
    );
}

#[test]
fn signals_are_forwarded_and_rewritten_as_the_table_says() {
    check(
        "nginx: \n USR1=nginx HUP\n PWR=shutdown",
        "2s signal USR1\n 2s signal USR2\n 2s signal HUP\n 2s signal WINCH\n 3s signal PWR",
        expect![[r#"
            0.000   spawn nginx #1
            0.000   nginx: stopped -> starting (started)
            1.000   nginx: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   SIGHUP to the main process of nginx
            2.000   write status
            2.000   update
            2.000   SIGWINCH ignored
            3.000   shutdown: SIGPWR
            3.000   nginx: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of nginx
            3.010   nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   sweep with SIGTERM
            3.010   exit 0: SIGPWR
        "#]],
    );
}

#[test]
fn a_stop_of_a_program_that_has_ended_keeps_it_stopped_over_an_update() {
    let plan = |version: &str| {
        format!(
            "job: restart=on-failure life=1500ms/0 {version}
             flaky: restart=never life=5ms/1 on_failure=ignore {version}
             other:"
        )
    };
    check_updates(
        &plan(""),
        &[("5s", &plan("stop_timeout=1s")), ("6s", &plan("v=2"))],
        "3s stop job\n 3s stop flaky\n 9s start flaky\n 10s signal TERM",
        expect![[r#"
            0.000   spawn job #1
            0.000   spawn flaky #1
            0.000   spawn other #1
            0.000   job: stopped -> starting (started)
            0.000   flaky: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.005   flaky: starting -> fatal (exited with status 1 after 5ms; failed)
            1.000   job: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            1.500   job: running -> exited (exited with status 0 after 1.5s; stays down)
            5.000   updated
            6.000   updated
            9.000   spawn flaky #2
            9.000   flaky: stopped -> starting (started)
            9.005   flaky: starting -> fatal (exited with status 1 after 5ms; failed)
            10.000  shutdown: SIGTERM
            10.000  other: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of other
            10.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_task_that_has_succeeded_holds_what_requires_it_whatever_becomes_of_what_it_requires() {
    check(
        "db:\nmigrate: task requires=db life=1s/0\nweb: requires=migrate",
        "5s stop db\n9s start db\n20s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   migrate: stopped -> waiting (waits for db)
            0.000   web: stopped -> waiting (waits for migrate)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn migrate #1
            1.000   migrate: waiting -> running (started)
            2.000   migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            2.000   spawn web #1
            2.000   web: waiting -> starting (started)
            3.000   web: starting -> running (ready after 1s)
            3.000   everything is ready
            5.000   db: running -> stopping (requested)
            5.000   SIGTERM to the main process of db
            5.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.000   spawn db #2
            9.000   db: stopped -> starting (started)
            10.000  db: starting -> running (ready after 1s)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  db: running -> stopping (shutdown)
            20.010  SIGTERM to the main process of db
            20.020  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  sweep with SIGTERM
            20.020  exit 0: operator
        "#]],
    );
}

#[test]
fn a_requirement_without_instances_passes_nothing_on() {
    check(
        "db: autostart=false\npool: instances=0 requires=db\nweb: requires=pool",
        "20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_stop_of_a_task_that_has_succeeded_leaves_what_requires_it_alone() {
    check(
        "migrate: task life=1s/0\nweb: requires=migrate instances=2",
        "5s stop migrate\n20s shutdown",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> running (started)
            0.000   web.0: stopped -> waiting (waits for migrate)
            0.000   web.1: stopped -> waiting (waits for migrate)
            1.000   migrate: running -> succeeded (exited with status 0 after 1s; stays down)
            1.000   spawn web.0 #1
            1.000   spawn web.1 #2
            1.000   web.0: waiting -> starting (started)
            1.000   web.1: waiting -> starting (started)
            2.000   web.0: starting -> running (ready after 1s)
            2.000   web.1: starting -> running (ready after 1s)
            2.000   everything is ready
            20.000  shutdown: operator
            20.000  web.0: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.0
            20.000  web.1: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.1
            20.010  web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}
