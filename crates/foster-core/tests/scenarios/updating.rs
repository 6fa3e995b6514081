//! What a new plan does to programs that run, wait, have failed or ended, and to new ones.
//!
//! Each test is a scenario in virtual time; see `main.rs`. `v=2` is another command, other keys are another policy.

use expect_test::expect;

use crate::check_updates;

#[test]
fn only_what_changed_is_restarted_in_order_and_what_is_new_is_started() {
    check_updates(
        "db: priority=1\n web: after=db\n other:",
        &[("5s", "db: priority=1 v=2\n web: after=db v=2\n other:\n worker: after=web")],
        "20s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.000   other: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   spawn other #1
            1.000   web: waiting -> starting (started)
            1.000   other: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   other: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   updated
            5.000   db: running -> stopping (changed)
            5.000   SIGTERM to the main process of db
            5.000   worker: stopped -> waiting (waits for db)
            5.010   db: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   spawn db #2
            5.010   db: waiting -> starting (started)
            6.010   db: starting -> running (ready after 1s)
            6.010   keep the new definition of db
            6.010   web: running -> stopping (changed)
            6.010   SIGTERM to the main process of web
            6.020   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            6.020   spawn web #2
            6.020   web: waiting -> starting (started)
            7.020   web: starting -> running (ready after 1s)
            7.020   keep the new definition of web
            7.020   spawn worker #1
            7.020   worker: waiting -> starting (started)
            8.020   worker: starting -> running (ready after 1s)
            20.000  shutdown: operator
            20.000  worker: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of worker
            20.000  other: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of other
            20.010  worker: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web: running -> stopping (shutdown)
            20.010  SIGTERM to the main process of web
            20.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  db: running -> stopping (shutdown)
            20.020  SIGTERM to the main process of db
            20.030  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.030  sweep with SIGTERM
            20.030  exit 0: operator
        "#]],
    );
}

#[test]
fn a_policy_is_applied_without_a_restart_and_holds_from_the_next_decision_on() {
    check_updates(
        "web: stops=never\n other:",
        &[("5s", "web: stops=never stop_timeout=1s\n other:")],
        "6s stop web\n 10s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            6.000   web: running -> stopping (requested)
            6.000   SIGTERM to the main process of web
            7.000   SIGKILL to all processes of web
            7.000   web: stopping -> stopped (was killed by SIGKILL within 1s)
            10.000  shutdown: operator
            10.000  other: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of other
            10.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_replaced_process_is_stopped_by_the_definition_it_was_started_with() {
    check_updates(
        "web: stop_timeout=2s stops=never",
        &[
            ("5s", "web: stop_timeout=1s stop_signal=QUIT v=2"),
            ("6s", "web: stop_timeout=3s stop_signal=INT v=3"),
        ],
        "20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            5.000   web: running -> stopping (changed)
            5.000   SIGTERM to the main process of web
            6.000   updated
            7.000   SIGKILL to all processes of web
            7.000   web: stopping -> waiting (was killed by SIGKILL within 2s)
            7.000   spawn web #2
            7.000   web: waiting -> starting (started)
            8.000   web: starting -> running (ready after 1s)
            8.000   keep the new definition of web
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGINT to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_replaced_process_runs_the_pre_stop_it_was_started_with_and_the_next_one_has_the_new_definition() {
    check_updates(
        "web: pre_stop=200ms health=report unhealthy=0s..",
        &[("5s", "web: stop_signal=QUIT v=2")],
        "50s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            5.000   web: running -> stopping (changed)
            5.000   pre_stop of web
            5.200   SIGTERM to the main process of web
            5.210   web: stopping -> waiting (was killed by SIGTERM within 210ms)
            5.210   spawn web #2
            5.210   web: waiting -> starting (started)
            6.210   web: starting -> running (ready after 1s)
            6.210   keep the new definition of web
            50.000  shutdown: SIGTERM
            50.000  web: running -> stopping (shutdown)
            50.000  SIGQUIT to the main process of web
            50.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            50.010  sweep with SIGTERM
            50.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_stopped_program_stays_stopped_and_starts_with_the_new_definition() {
    check_updates(
        "web: life=10s/0\n other:",
        &[("5s", "web: life=3s/0 v=2\n other:")],
        "2s stop web\n 8s start web\n 10s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   web: running -> stopping (requested)
            2.000   SIGTERM to the main process of web
            2.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.000   updated
            8.000   spawn web #2
            8.000   web: stopped -> starting (started)
            9.000   web: starting -> running (ready after 1s)
            10.000  shutdown: operator
            10.000  other: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of other
            10.000  web: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of web
            10.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_fatal_program_and_one_in_backoff_start_with_a_count_of_0() {
    check_updates(
        "flaky: life=5ms/1 start_limit=2 on_failure=ignore\n slow: life=5ms/1 start_limit=3 on_failure=ignore\n other:",
        &[(
            "250ms",
            "flaky: life=5ms/1 start_limit=2 on_failure=ignore v=2\n slow: start_limit=3 on_failure=ignore v=2\n other:",
        )],
        "3s shutdown",
        expect![[r#"
            0.000   spawn flaky #1
            0.000   spawn slow #1
            0.000   spawn other #1
            0.000   flaky: stopped -> starting (started)
            0.000   slow: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.005   flaky: starting -> backoff (exited with status 1 after 5ms; restart in 100ms, 1 of 2 failed)
            0.005   slow: starting -> backoff (exited with status 1 after 5ms; restart in 100ms, 1 of 3 failed)
            0.105   spawn flaky #2
            0.105   spawn slow #2
            0.105   flaky: backoff -> starting (started)
            0.105   slow: backoff -> starting (started)
            0.110   flaky: starting -> fatal (exited with status 1 after 5ms; gave up after 2)
            0.110   slow: starting -> backoff (exited with status 1 after 5ms; restart in 200ms, 2 of 3 failed)
            0.250   updated
            0.250   spawn flaky #3
            0.250   spawn slow #3
            0.250   flaky: stopped -> starting (started)
            0.250   slow: stopped -> starting (started)
            0.255   flaky: starting -> backoff (exited with status 1 after 5ms; restart in 100ms, 1 of 2 failed)
            0.355   spawn flaky #4
            0.355   flaky: backoff -> starting (started)
            0.360   flaky: starting -> fatal (exited with status 1 after 5ms; gave up after 2)
            1.000   other: starting -> running (ready after 1s)
            1.250   slow: starting -> running (ready after 1s)
            1.250   everything is ready
            3.000   shutdown: operator
            3.000   other: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of other
            3.000   slow: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of slow
            3.010   other: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   slow: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   sweep with SIGTERM
            3.010   exit 0: operator
        "#]],
    );
}

#[test]
fn a_program_that_ended_with_success_runs_again_only_with_another_command() {
    let plan = |job: &str, by_hand: &str| {
        format!(
            "job: restart=on-failure life=1500ms/0 {job}\n by_hand: autostart=false restart=never life=1500ms/0 {by_hand}\n other:"
        )
    };
    check_updates(
        &plan("", ""),
        &[("5s", &plan("stop_timeout=1s", "stop_timeout=1s")), ("10s", &plan("v=2", "v=2"))],
        "1s start by_hand\n 20s shutdown",
        expect![[r#"
            0.000   spawn job #1
            0.000   spawn other #1
            0.000   job: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   spawn by_hand #1
            1.000   by_hand: stopped -> starting (started)
            1.000   job: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.500   job: running -> exited (exited with status 0 after 1.5s; stays down)
            2.000   by_hand: starting -> running (ready after 1s)
            2.000   everything is ready
            2.500   by_hand: running -> exited (exited with status 0 after 1.5s; stays down)
            5.000   updated
            10.000  updated
            10.000  spawn job #2
            10.000  job: stopped -> starting (started)
            11.000  job: starting -> running (ready after 1s)
            11.500  job: running -> exited (exited with status 0 after 1.5s; stays down)
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
fn turning_autostart_on_starts_a_program_unless_an_operator_stopped_it() {
    check_updates(
        "lazy: autostart=false\n halted: autostart=false\n other:",
        &[("5s", "lazy:\n halted:\n other: autostart=false")],
        "1s start halted\n 3s stop halted\n 10s shutdown",
        expect![[r#"
            0.000   spawn other #1
            0.000   other: stopped -> starting (started)
            1.000   spawn halted #1
            1.000   halted: stopped -> starting (started)
            1.000   other: starting -> running (ready after 1s)
            2.000   halted: starting -> running (ready after 1s)
            2.000   everything is ready
            3.000   halted: running -> stopping (requested)
            3.000   SIGTERM to the main process of halted
            3.010   halted: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.000   updated
            5.000   spawn lazy #1
            5.000   lazy: stopped -> starting (started)
            6.000   lazy: starting -> running (ready after 1s)
            10.000  shutdown: operator
            10.000  other: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of other
            10.000  lazy: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of lazy
            10.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  lazy: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_waiting_program_starts_when_its_dependency_is_removed_from_after() {
    check_updates(
        "db: ready=never\n web: after=db",
        &[("5s", "db: ready=never\n web:")],
        "10s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            5.000   updated
            5.000   spawn web #1
            5.000   web: waiting -> starting (started)
            6.000   web: starting -> running (ready after 1s)
            10.000  shutdown: operator
            10.000  web: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of web
            10.000  db: starting -> stopping (shutdown)
            10.000  SIGTERM to the main process of db
            10.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_requirement_that_is_added_is_enforced_at_once() {
    check_updates(
        "db:\n web:",
        &[("5s", "db:\n web: requires=db")],
        "3s stop db\n 8s start db\n 15s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   spawn web #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> starting (started)
            1.000   db: starting -> running (ready after 1s)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   db: running -> stopping (requested)
            3.000   SIGTERM to the main process of db
            3.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.000   updated
            5.000   web: running -> stopping (db is down)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            8.000   spawn db #2
            8.000   db: stopped -> starting (started)
            9.000   db: starting -> running (ready after 1s)
            9.000   spawn web #2
            9.000   web: waiting -> starting (started)
            10.000  web: starting -> running (ready after 1s)
            15.000  shutdown: operator
            15.000  web: running -> stopping (shutdown)
            15.000  SIGTERM to the main process of web
            15.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.010  db: running -> stopping (shutdown)
            15.010  SIGTERM to the main process of db
            15.020  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.020  sweep with SIGTERM
            15.020  exit 0: operator
        "#]],
    );
}

#[test]
fn signals_and_the_time_for_a_shutdown_are_those_of_the_new_plan() {
    check_updates(
        "web: stops=never\n USR1=web HUP",
        &[("5s", "web: stops=never\n PWR=shutdown\n shutdown_timeout=2s")],
        "4s signal USR1\n 6s signal USR1\n 7s signal PWR",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            4.000   SIGHUP to the main process of web
            5.000   updated
            6.000   reopen logs
            7.000   shutdown: SIGPWR
            7.000   web: running -> stopping (shutdown)
            7.000   SIGTERM to the main process of web
            9.000   kill all
            9.000   web: stopping -> stopped (was killed by SIGKILL within 2s)
            9.000   sweep with SIGKILL
            9.000   exit 0: SIGPWR
        "#]],
    );
}

#[test]
fn nothing_is_updated_during_a_shutdown() {
    check_updates(
        "web: stops=1s/0",
        &[("5s", "other:")],
        "4500ms shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            4.500   shutdown: operator
            4.500   web: running -> stopping (shutdown)
            4.500   SIGTERM to the main process of web
            5.000   updated
            5.500   web: stopping -> stopped (exited with status 0 within 1s)
            5.500   sweep with SIGTERM
            5.500   exit 0: operator
        "#]],
    );
}

#[test]
fn an_update_that_changes_nothing_does_nothing() {
    let plan = "db: priority=1\n web: after=db";
    check_updates(
        plan,
        &[("5s", plan)],
        "6s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   updated
            6.000   shutdown: operator
            6.000   web: running -> stopping (shutdown)
            6.000   SIGTERM to the main process of web
            6.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            6.010   db: running -> stopping (shutdown)
            6.010   SIGTERM to the main process of db
            6.020   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            6.020   sweep with SIGTERM
            6.020   exit 0: operator
        "#]],
    );
}

#[test]
fn an_update_that_comes_while_the_only_instance_is_replaced_keeps_the_old_run_until_the_newest_is_ready() {
    check_updates(
        "web: overlap ready=500ms",
        &[("5s", "web: overlap ready=500ms v=2"), ("5200ms", "web: overlap ready=500ms v=3")],
        "20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.501   web: starting -> running (ready after 501ms)
            0.501   everything is ready
            5.000   updated
            5.000   spawn web #2
            5.000   replacement of web: stopped -> starting (started)
            5.200   updated
            5.200   replacement of web: starting -> stopping (not needed)
            5.200   SIGTERM to the main process of web #2
            5.210   replacement of web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.210   spawn web #3
            5.210   replacement of web: stopped -> starting (started)
            5.801   replacement of web: starting -> running (ready after 591ms)
            5.801   web: running -> running (replaced)
            5.801   former web: running -> stopping (changed)
            5.801   SIGTERM to the main process of web #1
            5.811   former web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.811   keep the new definition of web
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}
