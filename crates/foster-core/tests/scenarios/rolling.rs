//! Scenarios: rolling restarts, by an order and by an update, with and without overlap; and their failures.
//!
//! What comes between is in `rolls_interrupted.rs`.

use expect_test::{Expect, expect};

use crate::{check, check_updates};

/// One update at 5 s.
fn update(plan: &str, new: &str, script: &str, expected: Expect) {
    check_updates(plan, &[("5s", new)], script, expected);
}

#[test]
fn a_rolling_restart_with_overlap_starts_each_new_run_beside_the_old_one_and_stops_that_when_it_is_ready() {
    check(
        "web: instances=3 overlap ready=200ms",
        "5s reload web\n20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   spawn web.2 #3
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.000   web.2: stopped -> starting (started)
            0.201   web.0: starting -> running (ready after 201ms)
            0.201   web.1: starting -> running (ready after 201ms)
            0.201   web.2: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   spawn web.0 #4
            5.000   replacement of web.0: stopped -> starting (started)
            5.201   replacement of web.0: starting -> running (ready after 201ms)
            5.201   web.0: running -> running (replaced)
            5.201   former web.0: running -> stopping (requested)
            5.201   SIGTERM to the main process of web.0 #1
            5.211   former web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.211   spawn web.1 #5
            5.211   replacement of web.1: stopped -> starting (started)
            5.501   replacement of web.1: starting -> running (ready after 290ms)
            5.501   web.1: running -> running (replaced)
            5.501   former web.1: running -> stopping (requested)
            5.501   SIGTERM to the main process of web.1 #2
            5.511   former web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.511   spawn web.2 #6
            5.511   replacement of web.2: stopped -> starting (started)
            5.801   replacement of web.2: starting -> running (ready after 290ms)
            5.801   web.2: running -> running (replaced)
            5.801   former web.2: running -> stopping (requested)
            5.801   SIGTERM to the main process of web.2 #3
            5.811   former web.2: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.000  shutdown: operator
            20.000  web.0: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.0
            20.000  web.1: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.1
            20.000  web.2: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.2
            20.010  web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.2: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_rolling_restart_without_overlap_replaces_one_instance_after_the_other() {
    check(
        "web: instances=3 ready=200ms",
        "5s reload web\n20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   spawn web.2 #3
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.000   web.2: stopped -> starting (started)
            0.201   web.0: starting -> running (ready after 201ms)
            0.201   web.1: starting -> running (ready after 201ms)
            0.201   web.2: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   web.0: running -> stopping (requested)
            5.000   SIGTERM to the main process of web.0
            5.010   web.0: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   spawn web.0 #4
            5.010   web.0: waiting -> starting (started)
            5.301   web.0: starting -> running (ready after 291ms)
            5.301   web.1: running -> stopping (requested)
            5.301   SIGTERM to the main process of web.1
            5.311   web.1: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.311   spawn web.1 #5
            5.311   web.1: waiting -> starting (started)
            5.601   web.1: starting -> running (ready after 290ms)
            5.601   web.2: running -> stopping (requested)
            5.601   SIGTERM to the main process of web.2
            5.611   web.2: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.611   spawn web.2 #6
            5.611   web.2: waiting -> starting (started)
            5.901   web.2: starting -> running (ready after 290ms)
            20.000  shutdown: operator
            20.000  web.0: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.0
            20.000  web.1: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.1
            20.000  web.2: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.2
            20.010  web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.2: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn one_instance_without_overlap_is_stopped_and_started_again() {
    check(
        "web: ready=200ms",
        "5s reload web\n20s shutdown",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.201   web: starting -> running (ready after 201ms)
        0.201   everything is ready
        5.000   web: running -> stopping (requested)
        5.000   SIGTERM to the main process of web
        5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
        5.010   spawn web #2
        5.010   web: waiting -> starting (started)
        5.301   web: starting -> running (ready after 291ms)
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
fn a_new_run_that_ends_at_once_is_dropped_and_the_old_ones_stay() {
    update(
        "web: instances=2 overlap ready=200ms",
        "web: instances=2 overlap ready=200ms life=50ms/1 v=2",
        "20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.201   web.0: starting -> running (ready after 201ms)
            0.201   web.1: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   updated
            5.000   spawn web.0 #3
            5.000   replacement of web.0: stopped -> starting (started)
            5.050   replacement of web.0: starting -> stopped (exited with status 1 after 50ms; withdrawn)
            5.050   web.0: running -> running (not replaced)
            5.050   keep the former definition of web
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
fn a_new_run_that_is_not_ready_in_time_is_stopped_and_the_old_ones_stay() {
    update(
        "web: instances=2 overlap ready=200ms",
        "web: instances=2 overlap ready=never ready_timeout=3s v=2",
        "20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.201   web.0: starting -> running (ready after 201ms)
            0.201   web.1: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   updated
            5.000   spawn web.0 #3
            5.000   replacement of web.0: stopped -> starting (started)
            8.000   replacement of web.0: starting -> stopping (not ready within 3s: None)
            8.000   SIGTERM to the main process of web.0 #3
            8.010   replacement of web.0: stopping -> stopped (was killed by SIGTERM; withdrawn)
            8.010   web.0: running -> running (not replaced)
            8.010   keep the former definition of web
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
fn a_new_run_that_cannot_start_costs_nothing() {
    update(
        "web: instances=2 overlap ready=200ms",
        "web: instances=2 overlap cannot_start=permanent start_limit=1 v=2",
        "20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.201   web.0: starting -> running (ready after 201ms)
            0.201   web.1: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   updated
            5.000   spawn web.0 #3
            5.000   replacement of web.0: stopped -> starting (started)
            5.000   replacement of web.0: starting -> stopped (running `x`: not found; withdrawn)
            5.000   web.0: running -> running (not replaced)
            5.000   keep the former definition of web
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
fn without_overlap_the_former_definition_comes_back_when_the_new_one_ends_at_once() {
    update(
        "web: ready=200ms",
        "web: ready=200ms life=50ms/1 start_limit=1 v=2",
        "20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   updated
            5.000   web: running -> stopping (changed)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   spawn web #2
            5.010   web: waiting -> starting (started)
            5.060   web: starting -> stopped (exited with status 1 after 50ms; withdrawn)
            5.060   web: stopped -> stopped (not replaced)
            5.060   keep the former definition of web
            5.060   spawn web #3
            5.060   web: stopped -> starting (started)
            5.331   web: starting -> running (ready after 271ms)
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
fn without_overlap_the_former_definition_comes_back_when_the_new_one_is_not_ready_in_time() {
    update(
        "web: ready=200ms",
        "web: ready=never ready_timeout=3s v=2",
        "20s shutdown",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.201   web: starting -> running (ready after 201ms)
        0.201   everything is ready
        5.000   updated
        5.000   web: running -> stopping (changed)
        5.000   SIGTERM to the main process of web
        5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
        5.010   spawn web #2
        5.010   web: waiting -> starting (started)
        8.010   web: starting -> stopping (not ready within 3s: None)
        8.010   SIGTERM to the main process of web
        8.020   web: stopping -> stopped (was killed by SIGTERM; withdrawn)
        8.020   web: stopped -> stopped (not replaced)
        8.020   keep the former definition of web
        8.020   spawn web #3
        8.020   web: stopped -> starting (started)
        8.301   web: starting -> running (ready after 281ms)
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
fn without_overlap_the_former_definition_comes_back_when_the_new_one_cannot_start() {
    update(
        "web: ready=200ms",
        "web: ready=200ms cannot_start=permanent start_limit=1 v=2",
        "20s kill web SEGV\n30s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   updated
            5.000   web: running -> stopping (changed)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   spawn web #2
            5.010   web: waiting -> starting (started)
            5.010   web: starting -> stopped (running `x`: not found; withdrawn)
            5.010   web: stopped -> stopped (not replaced)
            5.010   keep the former definition of web
            5.010   spawn web #3
            5.010   web: stopped -> starting (started)
            5.301   web: starting -> running (ready after 291ms)
            20.000  web: running -> waiting (was killed by SIGSEGV after 14.99s; restart now)
            20.000  spawn web #4
            20.000  web: waiting -> starting (started)
            20.201  web: starting -> running (ready after 201ms)
            30.000  shutdown: operator
            30.000  web: running -> stopping (shutdown)
            30.000  SIGTERM to the main process of web
            30.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            30.010  sweep with SIGTERM
            30.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_program_without_a_new_definition_that_does_not_come_up_again_goes_on_by_its_restart_policy() {
    check(
        "web: life=8s/0 restart=always min_uptime=2s\nslow: spawns=never ready=0ms ready_timeout=2s start_limit=2 on_failure=ignore",
        "1s reload slow\n5s reload web\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn slow #1
            0.000   web: stopped -> starting (started)
            0.000   slow: stopped -> starting (started)
            1.000   slow: starting -> stopping (requested)
            1.000   SIGTERM to the main process of slow
            1.010   slow: stopping -> waiting (was killed by SIGTERM within 10ms)
            1.010   spawn slow #2
            1.010   slow: waiting -> starting (started)
            2.000   web: starting -> running (ready after 2s)
            3.010   slow: starting -> stopping (not ready within 2s: Some("its process did not reach the exec of its program"))
            3.010   SIGTERM to the main process of slow
            3.020   slow: stopping -> stopped (was killed by SIGTERM; withdrawn)
            3.020   slow: stopped -> stopped (not replaced)
            3.020   spawn slow #3
            3.020   slow: stopped -> starting (started)
            5.000   web: running -> stopping (requested)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   spawn web #2
            5.010   web: waiting -> starting (started)
            5.020   slow: starting -> stopping (not ready within 2s: Some("its process did not reach the exec of its program"))
            5.020   SIGTERM to the main process of slow
            5.030   slow: stopping -> backoff (was killed by SIGTERM; restart in 100ms, 1 of 2 failed)
            5.130   spawn slow #4
            5.130   slow: backoff -> starting (started)
            7.010   web: starting -> running (ready after 2s)
            7.130   slow: starting -> stopping (not ready within 2s: Some("its process did not reach the exec of its program"))
            7.130   SIGTERM to the main process of slow
            7.140   slow: stopping -> fatal (was killed by SIGTERM; gave up after 2)
            7.140   everything is ready
            13.010  web: running -> waiting (exited with status 0 after 8s; restart now)
            13.010  spawn web #3
            13.010  web: waiting -> starting (started)
            15.010  web: starting -> running (ready after 2s)
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
fn a_change_of_several_programs_is_rolled_out_in_their_order() {
    update(
        "db: priority=1 ready=200ms\nweb: instances=2 overlap after=db ready=200ms\nworker: after=web ready=200ms\nother: priority=1 overlap",
        "db: priority=1 ready=200ms v=2\nweb: instances=2 overlap after=db ready=200ms v=2\nworker: after=web ready=200ms v=2\nother: priority=1 overlap v=2",
        "20s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   spawn other #1
            0.000   db: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.000   web.0: stopped -> waiting (waits for db)
            0.000   web.1: stopped -> waiting (waits for db)
            0.000   worker: stopped -> waiting (waits for web.0)
            0.201   db: starting -> running (ready after 201ms)
            1.000   other: starting -> running (ready after 1s)
            1.000   spawn web.0 #1
            1.000   spawn web.1 #2
            1.000   web.0: waiting -> starting (started)
            1.000   web.1: waiting -> starting (started)
            1.201   web.0: starting -> running (ready after 201ms)
            1.201   web.1: starting -> running (ready after 201ms)
            1.201   spawn worker #1
            1.201   worker: waiting -> starting (started)
            1.501   worker: starting -> running (ready after 300ms)
            1.501   everything is ready
            5.000   updated
            5.000   spawn other #2
            5.000   replacement of other: stopped -> starting (started)
            5.000   db: running -> stopping (changed)
            5.000   SIGTERM to the main process of db
            5.010   db: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   spawn db #2
            5.010   db: waiting -> starting (started)
            5.301   db: starting -> running (ready after 291ms)
            5.301   keep the new definition of db
            6.000   replacement of other: starting -> running (ready after 1s)
            6.000   other: running -> running (replaced)
            6.000   former other: running -> stopping (changed)
            6.000   SIGTERM to the main process of other #1
            6.010   former other: stopping -> stopped (was killed by SIGTERM within 10ms)
            6.010   keep the new definition of other
            6.010   spawn web.0 #3
            6.010   replacement of web.0: stopped -> starting (started)
            6.301   replacement of web.0: starting -> running (ready after 291ms)
            6.301   web.0: running -> running (replaced)
            6.301   former web.0: running -> stopping (changed)
            6.301   SIGTERM to the main process of web.0 #1
            6.311   former web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            6.311   spawn web.1 #4
            6.311   replacement of web.1: stopped -> starting (started)
            6.601   replacement of web.1: starting -> running (ready after 290ms)
            6.601   web.1: running -> running (replaced)
            6.601   former web.1: running -> stopping (changed)
            6.601   SIGTERM to the main process of web.1 #2
            6.611   former web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            6.611   keep the new definition of web
            6.611   worker: running -> stopping (changed)
            6.611   SIGTERM to the main process of worker
            6.621   worker: stopping -> waiting (was killed by SIGTERM within 10ms)
            6.621   spawn worker #2
            6.621   worker: waiting -> starting (started)
            6.901   worker: starting -> running (ready after 280ms)
            6.901   keep the new definition of worker
            20.000  shutdown: operator
            20.000  worker: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of worker
            20.010  worker: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.0: running -> stopping (shutdown)
            20.010  SIGTERM to the main process of web.0
            20.010  web.1: running -> stopping (shutdown)
            20.010  SIGTERM to the main process of web.1
            20.020  web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  other: running -> stopping (shutdown)
            20.020  SIGTERM to the main process of other
            20.020  db: running -> stopping (shutdown)
            20.020  SIGTERM to the main process of db
            20.030  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.030  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.030  sweep with SIGTERM
            20.030  exit 0: operator
        "#]],
    );
}

#[test]
fn instances_that_were_replaced_are_taken_back_when_a_later_one_fails() {
    check_updates(
        "web: instances=2 ready=200ms\nother:",
        &[("5s", "web: instances=2 ready=200ms v=2\nother:")],
        "5400ms exit web.1 0\n20s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   spawn other #1
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.201   web.0: starting -> running (ready after 201ms)
            0.201   web.1: starting -> running (ready after 201ms)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            5.000   web.0: running -> stopping (changed)
            5.000   SIGTERM to the main process of web.0
            5.010   web.0: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   spawn web.0 #3
            5.010   web.0: waiting -> starting (started)
            5.301   web.0: starting -> running (ready after 291ms)
            5.301   web.1: running -> stopping (changed)
            5.301   SIGTERM to the main process of web.1
            5.311   web.1: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.311   spawn web.1 #4
            5.311   web.1: waiting -> starting (started)
            5.400   web.1: starting -> stopped (exited with status 0 after 89ms; withdrawn)
            5.400   web.1: stopped -> stopped (not replaced)
            5.400   keep the former definition of web
            5.400   spawn web.1 #5
            5.400   web.1: stopped -> starting (started)
            5.601   web.1: starting -> running (ready after 201ms)
            5.601   web.0: running -> stopping (taken back)
            5.601   SIGTERM to the main process of web.0
            5.611   web.0: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.611   spawn web.0 #6
            5.611   web.0: waiting -> starting (started)
            5.901   web.0: starting -> running (ready after 290ms)
            20.000  shutdown: operator
            20.000  other: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of other
            20.000  web.0: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.0
            20.000  web.1: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web.1
            20.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn an_unhealthy_instance_is_replaced_like_any_other() {
    check(
        "web: overlap ready=200ms health=report unhealthy=10s..",
        "45s reload web\n50s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            30.001  web: running -> unhealthy (unhealthy: ["Connection refused", "Connection refused", "Connection refused"])
            45.000  spawn web #2
            45.000  replacement of web: stopped -> starting (started)
            45.201  replacement of web: starting -> running (ready after 201ms)
            45.201  web: unhealthy -> running (replaced)
            45.201  former web: unhealthy -> stopping (requested)
            45.201  SIGTERM to the main process of web #1
            45.211  former web: stopping -> stopped (was killed by SIGTERM within 10ms)
            50.000  shutdown: operator
            50.000  web: running -> stopping (shutdown)
            50.000  SIGTERM to the main process of web
            50.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            50.010  sweep with SIGTERM
            50.010  exit 0: operator
        "#]],
    );
}

#[test]
fn reload_does_nothing_to_what_does_not_run_and_sends_the_signal_where_there_is_one() {
    check(
        "web: autostart=false\nnginx: reload_signal=HUP",
        "5s reload all\n20s shutdown",
        expect![[r#"
        0.000   spawn nginx #1
        0.000   nginx: stopped -> starting (started)
        1.000   nginx: starting -> running (ready after 1s)
        1.000   everything is ready
        5.000   SIGHUP to the main process of nginx
        20.000  shutdown: operator
        20.000  nginx: running -> stopping (shutdown)
        20.000  SIGTERM to the main process of nginx
        20.010  nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
        20.010  sweep with SIGTERM
        20.010  exit 0: operator
    "#]],
    );
}
