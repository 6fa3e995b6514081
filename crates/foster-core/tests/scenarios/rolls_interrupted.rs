//! Scenarios: what comes between in a rolling restart: an end, an order, an update, a requirement, a shutdown, a process that cannot be
//! killed.
//!
//! Those that nothing interrupts are in `rolling.rs`.

use expect_test::expect;

use crate::{check, check_updates};

#[test]
fn the_end_of_the_old_run_while_the_new_one_rises_puts_that_into_its_place() {
    check(
        "web: instances=2 overlap ready=500ms",
        "5s reload web\n5200ms kill web SEGV\n20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.501   web.0: starting -> running (ready after 501ms)
            0.501   web.1: starting -> running (ready after 501ms)
            0.501   everything is ready
            5.000   spawn web.0 #3
            5.000   replacement of web.0: stopped -> starting (started)
            5.200   web.0: running -> waiting (was killed by SIGSEGV after 5.2s; restart now)
            5.200   web.0: waiting -> starting (started)
            5.501   web.0: starting -> running (ready after 501ms)
            5.501   spawn web.1 #4
            5.501   replacement of web.1: stopped -> starting (started)
            6.101   replacement of web.1: starting -> running (ready after 600ms)
            6.101   web.1: running -> running (replaced)
            6.101   former web.1: running -> stopping (requested)
            6.101   SIGTERM to the main process of web.1 #2
            6.111   former web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
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

#[test]
fn the_former_definition_comes_back_when_the_old_run_ends_and_the_new_one_fails() {
    check_updates(
        "web: overlap ready=500ms",
        &[("5s", "web: overlap ready=never ready_timeout=2s v=2")],
        "6s kill web SEGV\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.501   web: starting -> running (ready after 501ms)
            0.501   everything is ready
            5.000   updated
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            6.000   web: running -> waiting (was killed by SIGSEGV after 6s; restart now)
            6.000   web: waiting -> starting (started)
            7.000   web: starting -> stopping (not ready within 2s: None)
            7.000   SIGTERM to the main process of web
            7.010   web: stopping -> stopped (was killed by SIGTERM; withdrawn)
            7.010   web: stopped -> stopped (not replaced)
            7.010   keep the former definition of web
            7.010   spawn web #3
            7.010   web: stopped -> starting (started)
            7.601   web: starting -> running (ready after 591ms)
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
fn a_stop_gives_up_the_new_run_and_the_others_are_replaced() {
    check(
        "web: instances=2 overlap ready=500ms\nother:",
        "5s reload web\n5200ms stop web\n20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   spawn other #1
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.501   web.0: starting -> running (ready after 501ms)
            0.501   web.1: starting -> running (ready after 501ms)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   spawn web.0 #3
            5.000   replacement of web.0: stopped -> starting (started)
            5.200   replacement of web.0: starting -> stopping (not needed)
            5.200   SIGTERM to the main process of web.0 #3
            5.200   web.0: running -> stopping (requested)
            5.200   SIGTERM to the main process of web.0 #1
            5.200   web.1: running -> stopping (requested)
            5.200   SIGTERM to the main process of web.1
            5.210   replacement of web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.210   web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.210   web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.000  shutdown: operator
            20.000  other: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of other
            20.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_restart_gives_up_the_new_run_and_replaces_the_instance_in_place() {
    check(
        "web: overlap ready=500ms",
        "5s reload web\n5200ms restart web\n20s shutdown",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.501   web: starting -> running (ready after 501ms)
        0.501   everything is ready
        5.000   spawn web #2
        5.000   replacement of web: stopped -> starting (started)
        5.200   replacement of web: starting -> stopping (not needed)
        5.200   SIGTERM to the main process of web #2
        5.200   web: running -> stopping (requested)
        5.200   SIGTERM to the main process of web #1
        5.210   replacement of web: stopping -> stopped (was killed by SIGTERM within 10ms)
        5.210   web: stopping -> waiting (was killed by SIGTERM within 10ms)
        5.210   spawn web #3
        5.210   web: waiting -> starting (started)
        5.801   web: starting -> running (ready after 591ms)
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
fn a_restart_of_an_instance_that_is_being_replaced_in_place_starts_it_once_more() {
    check(
        "web: ready=500ms",
        "5s reload web\n5200ms restart web\n20s shutdown",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.501   web: starting -> running (ready after 501ms)
        0.501   everything is ready
        5.000   web: running -> stopping (requested)
        5.000   SIGTERM to the main process of web
        5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
        5.010   spawn web #2
        5.010   web: waiting -> starting (started)
        5.200   web: starting -> stopping (requested)
        5.200   SIGTERM to the main process of web
        5.210   web: stopping -> waiting (was killed by SIGTERM within 10ms)
        5.210   spawn web #3
        5.210   web: waiting -> starting (started)
        5.801   web: starting -> running (ready after 591ms)
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
fn an_update_that_comes_while_another_one_is_rolled_out_takes_its_place() {
    check_updates(
        "web: instances=2 overlap ready=500ms",
        &[
            ("5s", "web: instances=2 overlap ready=500ms v=2"),
            ("5200ms", "web: instances=2 overlap ready=500ms v=3"),
        ],
        "20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.501   web.0: starting -> running (ready after 501ms)
            0.501   web.1: starting -> running (ready after 501ms)
            0.501   everything is ready
            5.000   updated
            5.000   spawn web.0 #3
            5.000   replacement of web.0: stopped -> starting (started)
            5.200   updated
            5.200   replacement of web.0: starting -> stopping (not needed)
            5.200   SIGTERM to the main process of web.0 #3
            5.210   replacement of web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.210   spawn web.1 #4
            5.210   replacement of web.1: stopped -> starting (started)
            5.801   replacement of web.1: starting -> running (ready after 591ms)
            5.801   web.1: running -> running (replaced)
            5.801   former web.1: running -> stopping (changed)
            5.801   SIGTERM to the main process of web.1 #2
            5.811   former web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.811   spawn web.0 #5
            5.811   replacement of web.0: stopped -> starting (started)
            6.401   replacement of web.0: starting -> running (ready after 590ms)
            6.401   web.0: running -> running (replaced)
            6.401   former web.0: running -> stopping (changed)
            6.401   SIGTERM to the main process of web.0 #1
            6.411   former web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            6.411   keep the new definition of web
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

#[test]
fn an_update_that_removes_a_program_ends_its_rolling_restart() {
    check_updates(
        "web: instances=2 overlap ready=500ms\nother:",
        &[("5s", "web: instances=2 overlap ready=500ms v=2\nother:"), ("5200ms", "other:")],
        "20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   spawn other #1
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.501   web.0: starting -> running (ready after 501ms)
            0.501   web.1: starting -> running (ready after 501ms)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            5.000   spawn web.0 #3
            5.000   replacement of web.0: stopped -> starting (started)
            5.200   updated
            5.200   replacement of web.0: starting -> stopping (not needed)
            5.200   SIGTERM to the main process of web.0 #3
            5.200   web.0: running -> stopping (removed)
            5.200   SIGTERM to the main process of web.0 #1
            5.200   web.1: running -> stopping (removed)
            5.200   SIGTERM to the main process of web.1
            5.210   replacement of web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.210   keep the new definition of web
            5.210   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.210   forget web
            5.210   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.210   forget web
            20.000  shutdown: operator
            20.000  other: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of other
            20.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_shutdown_stops_the_new_run_and_the_old_one() {
    check(
        "db:\nweb: after=db overlap ready=500ms stops=100ms/0",
        "5s reload web\n5200ms shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            1.501   web: starting -> running (ready after 501ms)
            1.501   everything is ready
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.200   shutdown: operator
            5.200   replacement of web: starting -> stopping (shutdown)
            5.200   SIGTERM to the main process of web #2
            5.200   web: running -> stopping (shutdown)
            5.200   SIGTERM to the main process of web #1
            5.300   replacement of web: stopping -> stopped (exited with status 0 within 100ms)
            5.300   web: stopping -> stopped (exited with status 0 within 100ms)
            5.300   db: running -> stopping (shutdown)
            5.300   SIGTERM to the main process of db
            5.310   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.310   sweep with SIGTERM
            5.310   exit 0: operator
        "#]],
    );
}

#[test]
fn a_shutdown_while_the_old_run_is_stopping_waits_for_it_before_what_it_is_after() {
    check(
        "db:\nweb: after=db overlap ready=500ms stops=2s/0",
        "5s reload web\n5600ms shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            1.501   web: starting -> running (ready after 501ms)
            1.501   everything is ready
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.501   replacement of web: starting -> running (ready after 501ms)
            5.501   web: running -> running (replaced)
            5.501   former web: running -> stopping (requested)
            5.501   SIGTERM to the main process of web #1
            5.600   shutdown: operator
            5.600   web: running -> stopping (shutdown)
            5.600   SIGTERM to the main process of web #2
            7.501   former web: stopping -> stopped (exited with status 0 within 2s)
            7.600   web: stopping -> stopped (exited with status 0 within 2s)
            7.600   db: running -> stopping (shutdown)
            7.600   SIGTERM to the main process of db
            7.610   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            7.610   sweep with SIGTERM
            7.610   exit 0: operator
        "#]],
    );
}

#[test]
fn a_rolling_restart_waits_for_what_the_program_is_after_and_gives_up() {
    check(
        "db: ready=100ms\nweb: after=db overlap ready=200ms ready_timeout=3s",
        "4s stop db\n5s reload web\n20s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.101   db: starting -> running (ready after 101ms)
            0.101   spawn web #1
            0.101   web: waiting -> starting (started)
            0.401   web: starting -> running (ready after 300ms)
            0.401   everything is ready
            4.000   db: running -> stopping (requested)
            4.000   SIGTERM to the main process of db
            4.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            8.000   web: running -> running (not replaced: waits for db)
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
fn a_requirement_that_falls_gives_up_the_new_run() {
    check(
        "db: ready=100ms\nweb: requires=db overlap ready=500ms ready_timeout=3s",
        "5s reload web\n5200ms stop db\n20s start db\n30s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.101   db: starting -> running (ready after 101ms)
            0.101   spawn web #1
            0.101   web: waiting -> starting (started)
            0.701   web: starting -> running (ready after 600ms)
            0.701   everything is ready
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.200   web: running -> stopping (db is down)
            5.200   SIGTERM to the main process of web #1
            5.210   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.210   replacement of web: starting -> stopping (not needed)
            5.210   SIGTERM to the main process of web
            5.220   replacement of web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.220   db: running -> stopping (requested)
            5.220   SIGTERM to the main process of db
            5.230   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            8.220   web: waiting -> waiting (not replaced: waits for db)
            20.000  spawn db #2
            20.000  db: stopped -> starting (started)
            20.101  db: starting -> running (ready after 101ms)
            20.101  spawn web #3
            20.101  web: waiting -> starting (started)
            20.701  web: starting -> running (ready after 600ms)
            30.000  shutdown: operator
            30.000  web: running -> stopping (shutdown)
            30.000  SIGTERM to the main process of web
            30.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            30.010  db: running -> stopping (shutdown)
            30.010  SIGTERM to the main process of db
            30.020  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            30.020  sweep with SIGTERM
            30.020  exit 0: operator
        "#]],
    );
}

#[test]
fn a_fatal_end_of_the_old_run_does_not_end_the_container_while_the_new_one_rises() {
    check(
        "web: overlap restart=never ready=500ms",
        "5s reload web\n5200ms exit web 3\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.501   web: starting -> running (ready after 501ms)
            0.501   everything is ready
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.200   web: running -> fatal (exited with status 3 after 5.2s; failed)
            5.200   web: fatal -> starting (started)
            5.501   web: starting -> running (ready after 501ms)
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
fn a_new_run_that_cannot_be_killed_holds_up_no_later_one() {
    check_updates(
        "web: overlap ready=200ms",
        &[("5s", "web: overlap ready=never ready_timeout=1s stops=never unkillable stop_timeout=1s v=2")],
        "30s reload web\n60s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   updated
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            6.000   replacement of web: starting -> stopping (not ready within 1s: None)
            6.000   SIGTERM to the main process of web #2
            7.000   SIGKILL to all processes of web #2
            12.000  replacement of web: stopping -> stopping (not killed)
            12.000  web: running -> running (not replaced)
            12.000  keep the former definition of web
            30.000  web: running -> stopping (requested)
            30.000  SIGTERM to the main process of web #1
            30.010  web: stopping -> waiting (was killed by SIGTERM within 10ms)
            30.010  spawn web #3
            30.010  web: waiting -> starting (started)
            30.301  web: starting -> running (ready after 291ms)
            60.000  shutdown: operator
            60.000  web: running -> stopping (shutdown)
            60.000  SIGTERM to the main process of web #3
            60.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            60.010  sweep with SIGTERM
            60.010  exit 0: operator
        "#]],
    );
}

#[test]
fn an_old_run_that_cannot_be_killed_is_not_replaced_in_place() {
    check(
        "web: ready=200ms stops=never unkillable stop_timeout=1s",
        "5s reload web\n30s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   web: running -> stopping (requested)
            5.000   SIGTERM to the main process of web
            6.000   SIGKILL to all processes of web
            11.000  web: stopping -> stopping (not killed)
            11.000  web: stopping -> stopping (not replaced: not killed)
            30.000  shutdown: operator
            30.000  sweep with SIGTERM
            30.000  exit 0: operator
        "#]],
    );
}

#[test]
fn what_ends_by_its_former_definition_while_the_update_waits_starts_by_the_new_one() {
    check_updates(
        "db: stop_timeout=5s stops=never\nweb: life=4s/1 restart=never on_failure=ignore after=db",
        &[("2s", "db: v=2\nweb: restart=never after=db v=2")],
        "20s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   updated
            2.000   db: running -> stopping (changed)
            2.000   SIGTERM to the main process of db
            2.000   web: starting -> running (ready after 1s)
            5.000   web: running -> fatal (exited with status 1 after 4s; failed)
            7.000   SIGKILL to all processes of db
            7.000   db: stopping -> waiting (was killed by SIGKILL within 5s)
            7.000   spawn db #2
            7.000   db: waiting -> starting (started)
            8.000   db: starting -> running (ready after 1s)
            8.000   keep the new definition of db
            8.000   spawn web #2
            8.000   web: stopped -> starting (started)
            9.000   web: starting -> running (ready after 1s)
            9.000   keep the new definition of web
            9.000   everything is ready
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
fn a_new_run_starts_when_the_former_one_has_ended_unless_both_may_stand_beside_each_other() {
    check_updates(
        "web: overlap stops=never stop_timeout=1s",
        &[("5s", "web: overlap v=2 notify=100ms"), ("5200ms", "web: v=3 task"), ("5300ms", "web: v=4")],
        "20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.100   replacement of web: starting -> running (ready after 100ms)
            5.100   web: running -> running (replaced)
            5.100   former web: running -> stopping (changed)
            5.100   SIGTERM to the main process of web #1
            5.200   updated
            5.200   keep the new definition of web
            5.200   web: running -> stopping (changed)
            5.200   SIGTERM to the main process of web #2
            5.210   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.300   updated
            6.100   SIGKILL to all processes of web
            6.100   former web: stopping -> stopped (was killed by SIGKILL within 1s)
            6.100   spawn web #3
            6.100   web: waiting -> starting (started)
            7.100   web: starting -> running (ready after 1s)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}
