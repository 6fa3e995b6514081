//! Scenarios: a fault in foster, after which another one continues with what is there, or stops it.
//!
//! `sim/takeover.rs` has what that one knows. Times that a run had are given to it again.

use expect_test::expect;

use crate::{check, check_updates};

#[test]
fn what_runs_goes_on_and_what_waits_for_a_restart_starts() {
    check(
        "web: ready=200ms\ncrashed: life=1500ms/1 initial=10s reset=1s",
        "2s fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn crashed #1
            0.000   web: stopped -> starting (started)
            0.000   crashed: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            1.000   crashed: starting -> running (ready after 1s)
            1.000   everything is ready
            1.500   crashed: running -> backoff (exited with status 1 after 1.5s; restart in 10s, 0 of 10 failed)
            2.000   a fault
            2.000   spawn crashed #2
            2.000   crashed: stopped -> starting (started)
            3.000   crashed: starting -> running (ready after 1s)
            3.000   everything is ready
            3.500   crashed: running -> backoff (exited with status 1 after 1.5s; restart in 10s, 0 of 10 failed)
            13.500  spawn crashed #3
            13.500  crashed: backoff -> starting (started)
            14.500  crashed: starting -> running (ready after 1s)
            15.000  crashed: running -> backoff (exited with status 1 after 1.5s; restart in 10s, 0 of 10 failed)
            20.000  shutdown: operator
            20.000  crashed: backoff -> stopped (shutdown)
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn what_was_stopped_has_exited_or_is_fatal_stays_so() {
    check(
        "web:\nstopped:\nended: life=2s/0 restart=never\nfailed: life=20ms/1 start_limit=1 on_failure=ignore",
        "3s stop stopped\n4s fault\n5s start stopped\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn stopped #1
            0.000   spawn ended #1
            0.000   spawn failed #1
            0.000   web: stopped -> starting (started)
            0.000   stopped: stopped -> starting (started)
            0.000   ended: stopped -> starting (started)
            0.000   failed: stopped -> starting (started)
            0.020   failed: starting -> fatal (exited with status 1 after 20ms; gave up after 1)
            1.000   web: starting -> running (ready after 1s)
            1.000   stopped: starting -> running (ready after 1s)
            1.000   ended: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   ended: running -> exited (exited with status 0 after 2s; stays down)
            3.000   stopped: running -> stopping (requested)
            3.000   SIGTERM to the main process of stopped
            3.010   stopped: stopping -> stopped (was killed by SIGTERM within 10ms)
            4.000   a fault
            4.000   everything is ready
            5.000   spawn stopped #2
            5.000   stopped: stopped -> starting (started)
            6.000   stopped: starting -> running (ready after 1s)
            20.000  shutdown: operator
            20.000  stopped: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of stopped
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  stopped: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_foster_that_does_not_continue_stops_everything_in_order() {
    check(
        "db: priority=1\nweb: after=db ready=200ms",
        "5s fault stop",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            1.201   web: starting -> running (ready after 201ms)
            1.201   everything is ready
            5.000   a fault
            5.000   shutdown: fault
            5.000   web: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   db: running -> stopping (shutdown)
            5.010   SIGTERM to the main process of db
            5.020   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.020   sweep with SIGTERM
            5.020   exit 1: fault
        "#]],
    );
}

#[test]
fn a_stop_and_a_restart_that_are_under_way_are_finished() {
    check(
        "one: stops=700ms/0\ntwo: stops=700ms/0",
        "5s stop one\n5s restart two\n5100ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn one #1
            0.000   spawn two #1
            0.000   one: stopped -> starting (started)
            0.000   two: stopped -> starting (started)
            1.000   one: starting -> running (ready after 1s)
            1.000   two: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   one: running -> stopping (requested)
            5.000   SIGTERM to the main process of one
            5.000   two: running -> stopping (requested)
            5.000   SIGTERM to the main process of two
            5.100   a fault
            5.700   one: stopping -> stopped (exited with status 0 within 600ms)
            5.700   two: stopping -> waiting (exited with status 0 within 600ms)
            5.700   spawn two #2
            5.700   two: waiting -> starting (started)
            6.700   two: starting -> running (ready after 1s)
            6.700   everything is ready
            20.000  shutdown: operator
            20.000  two: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of two
            20.700  two: stopping -> stopped (exited with status 0 within 700ms)
            20.700  sweep with SIGTERM
            20.700  exit 0: operator
        "#]],
    );
}

#[test]
fn a_start_that_was_not_ready_in_time_counts_as_failed() {
    check(
        "web: ready=never ready_timeout=1s stops=300ms/1 start_limit=2",
        "1100ms fault",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> stopping (not ready within 1s: None)
            1.000   SIGTERM to the main process of web
            1.100   a fault
            1.300   web: stopping -> backoff (exited with status 1; restart in 100ms, 1 of 2 failed)
            1.400   spawn web #2
            1.400   web: backoff -> starting (started)
            2.400   web: starting -> stopping (not ready within 1s: None)
            2.400   SIGTERM to the main process of web
            2.700   web: stopping -> fatal (exited with status 1; gave up after 2)
            2.700   shutdown: web failed 2 times, not ready: None, exited with status 1
            2.700   sweep with SIGTERM
            2.700   exit 1: web failed 2 times, not ready: None, exited with status 1
        "#]],
    );
}

#[test]
fn what_is_not_ready_yet_is_asked_again_with_its_whole_time() {
    check(
        "web: ready=900ms ready_timeout=1s",
        "500ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.500   a fault
            1.401   web: starting -> running (ready after 901ms)
            1.401   everything is ready
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
fn a_start_waits_for_what_the_run_before_has_left() {
    check(
        "web: ready=200ms leftovers=700ms",
        "5s exit web 1\n5100ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   web: running -> stopping (exited with status 1 after 5s; processes left)
            5.000   SIGTERM to all processes of web
            5.100   a fault
            5.100   everything is ready
            5.700   web: stopping -> waiting (exited with status 1 after 5.1s; restart now)
            5.700   spawn web #2
            5.700   web: waiting -> starting (started)
            5.901   web: starting -> running (ready after 201ms)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  SIGTERM to all processes of web
            20.710  web: stopping -> stopped (was killed by SIGTERM within 710ms)
            20.710  sweep with SIGTERM
            20.710  exit 0: operator
        "#]],
    );
}

#[test]
fn what_is_left_ends_beside_the_next_run() {
    check(
        "web: overlap ready=200ms leftovers=700ms",
        "5s exit web 1\n5300ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> waiting (exited with status 1 after 5s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.201   web: starting -> running (ready after 201ms)
            5.201   SIGTERM to all processes of web #1
            5.300   a fault
            5.300   SIGTERM to all processes of web #1
            5.300   everything is ready
            5.901   former web: stopping -> stopped (its last processes ended within 601ms)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  SIGTERM to all processes of web
            20.710  web: stopping -> stopped (was killed by SIGTERM within 710ms)
            20.710  sweep with SIGTERM
            20.710  exit 0: operator
        "#]],
    );
}

#[test]
fn leftovers_of_a_program_that_an_operator_has_stopped_start_nothing() {
    check(
        "web: overlap ready=200ms initial=10s leftovers=2s",
        "5s exit web 1\n5100ms stop web\n5300ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> backoff (exited with status 1 after 5s; restart in 10s, 1 of 10 failed)
            5.100   web: backoff -> stopped (requested)
            5.100   SIGTERM to all processes of web
            5.300   a fault
            5.300   SIGTERM to all processes of web
            5.300   everything is ready
            7.100   former web: stopping -> stopped (its last processes ended within 1.8s)
            20.000  shutdown: operator
            20.000  sweep with SIGTERM
            20.000  exit 0: operator
        "#]],
    );
}

#[test]
fn leftovers_that_ignore_term_get_kill_by_the_next_foster() {
    check(
        "web: ready=200ms leftovers=never stop_timeout=1s",
        "5s exit web 1\n5500ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   web: running -> stopping (exited with status 1 after 5s; processes left)
            5.000   SIGTERM to all processes of web
            5.500   a fault
            5.500   everything is ready
            6.500   SIGKILL to all processes of web
            6.500   web: stopping -> waiting (exited with status 1 after 5.5s; restart now)
            6.500   spawn web #2
            6.500   web: waiting -> starting (started)
            6.701   web: starting -> running (ready after 201ms)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  SIGTERM to all processes of web
            21.010  SIGKILL to all processes of web
            21.010  web: stopping -> stopped (was killed by SIGTERM within 1.01s)
            21.010  sweep with SIGTERM
            21.010  exit 0: operator
        "#]],
    );
}

#[test]
fn of_the_two_runs_of_a_rolling_restart_the_one_that_is_ready_stays() {
    check(
        "web: overlap ready=500ms",
        "5s reload web\n5200ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.501   web: starting -> running (ready after 501ms)
            0.501   everything is ready
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.200   a fault
            5.200   former web: starting -> stopping (not needed)
            5.200   SIGTERM to the main process of web #2
            5.200   everything is ready
            5.210   former web: stopping -> stopped (was killed by SIGTERM within 10ms)
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
fn of_two_runs_that_are_ready_the_later_one_stays() {
    check(
        "web: overlap ready=500ms stops=700ms/0",
        "5s reload web\n5700ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.501   web: starting -> running (ready after 501ms)
            0.501   everything is ready
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.501   replacement of web: starting -> running (ready after 501ms)
            5.501   web: running -> running (replaced)
            5.501   former web: running -> stopping (requested)
            5.501   SIGTERM to the main process of web #1
            5.700   a fault
            5.700   everything is ready
            6.201   former web: stopping -> stopped (exited with status 0 within 501ms)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.700  web: stopping -> stopped (exited with status 0 within 700ms)
            20.700  sweep with SIGTERM
            20.700  exit 0: operator
        "#]],
    );
}

#[test]
fn a_task_that_has_succeeded_and_one_that_runs_are_not_run_again() {
    check(
        "done: task life=100ms/0\nlong: task life=9s/0",
        "2s fault\n20s shutdown",
        expect![[r#"
            0.000   spawn done #1
            0.000   spawn long #1
            0.000   done: stopped -> running (started)
            0.000   long: stopped -> running (started)
            0.100   done: running -> succeeded (exited with status 0 after 100ms; stays down)
            2.000   a fault
            9.000   long: running -> succeeded (exited with status 0 after 7s; stays down)
            9.000   everything is ready
            9.000   shutdown: all ended
            9.000   sweep with SIGTERM
            9.000   exit 0: all ended
        "#]],
    );
}

#[test]
fn of_two_runs_that_have_both_left_processes_the_later_one_is_the_instances() {
    check(
        "web: overlap notify=200ms leftovers=3s",
        "5s exit web 1\n5500ms exit web 2\n5600ms fault\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.200   web: starting -> running (ready after 200ms)
            0.200   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> waiting (exited with status 1 after 5s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.200   web: starting -> running (ready after 200ms)
            5.200   SIGTERM to all processes of web #1
            5.500   web: running -> stopping (exited with status 2 after 500ms; processes left)
            5.500   SIGTERM to all processes of web #2
            5.600   a fault
            5.600   SIGTERM to all processes of web #1
            5.600   everything is ready
            8.200   former web: stopping -> stopped (its last processes ended within 2.6s)
            8.500   web: stopping -> backoff (exited with status 2 after 600ms; restart in 200ms, 2 of 10 failed)
            8.700   spawn web #3
            8.700   web: backoff -> starting (started)
            8.900   web: starting -> running (ready after 200ms)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  SIGTERM to all processes of web
            23.010  web: stopping -> stopped (was killed by SIGTERM within 3.01s)
            23.010  sweep with SIGTERM
            23.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_run_that_was_ending_by_itself_while_the_next_one_waited_ends_beside_that() {
    check(
        "web: overlap notify=200ms initial=4s",
        "5s notify web stopping\n6s fault\n7s exit web 0\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.200   web: starting -> running (ready after 200ms)
            0.200   everything is ready
            5.000   former web: running -> stopping (announced)
            5.000   web: running -> backoff (not awaited; restart in 4s, 1 of 10 failed)
            6.000   a fault
            6.000   spawn web #2
            6.000   web: stopped -> starting (started)
            6.200   web: starting -> running (ready after 200ms)
            6.200   everything is ready
            7.000   former web: stopping -> stopped (exited with status 0 within 1s)
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
fn a_program_that_failed_by_a_definition_that_was_being_replaced_starts_by_the_next_one() {
    check_updates(
        "stuck: unkillable\nweb: life=1500ms/7 restart=never on_failure=ignore",
        &[("1s", "stuck: unkillable v=2\nweb: restart=never requires=stuck v=2")],
        "2s fault\n20s shutdown",
        expect![[r#"
            0.000   spawn stuck #1
            0.000   spawn web #1
            0.000   stuck: stopped -> starting (started)
            0.000   web: stopped -> starting (started)
            1.000   updated
            1.000   stuck: starting -> stopping (changed)
            1.000   SIGTERM to the main process of stuck
            1.000   web: starting -> running (ready after 1s)
            1.010   stuck: stopping -> waiting (was killed by SIGTERM within 10ms)
            1.010   spawn stuck #2
            1.010   stuck: waiting -> starting (started)
            1.500   web: running -> fatal (exited with status 7 after 1.5s; failed)
            2.000   a fault
            2.000   web: stopped -> waiting (waits for stuck)
            3.000   stuck: starting -> running (ready after 1s)
            3.000   spawn web #2
            3.000   web: waiting -> starting (started)
            4.000   web: starting -> running (ready after 1s)
            4.000   everything is ready
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  stuck: running -> stopping (shutdown)
            20.010  SIGTERM to the main process of stuck
            20.020  stuck: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  sweep with SIGTERM
            20.020  exit 0: operator
        "#]],
    );
}
