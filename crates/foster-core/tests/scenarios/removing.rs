//! What an update does to programs and instances that it removes, and to those that are added again.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use expect_test::expect;

use crate::check_updates;

#[test]
fn a_removed_program_stops_before_its_dependencies_and_is_forgotten() {
    check_updates(
        "db:\n web: after=db stops=700ms/0\n other:",
        &[("5s", "other:\n db: v=2")],
        "6s start web\n 20s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   spawn other #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.000   other: stopped -> starting (started)
            1.000   db: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   updated
            5.000   web: running -> stopping (removed)
            5.000   SIGTERM to the main process of web
            5.700   web: stopping -> stopped (exited with status 0 within 700ms)
            5.700   forget web
            5.700   db: running -> stopping (changed)
            5.700   SIGTERM to the main process of db
            5.710   db: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.710   spawn db #2
            5.710   db: waiting -> starting (started)
            6.710   db: starting -> running (ready after 1s)
            6.710   keep the new definition of db
            20.000  shutdown: operator
            20.000  other: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of other
            20.000  db: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of db
            20.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_removed_program_that_is_added_again_before_its_end_is_started_after_it() {
    check_updates(
        "web: stops=2s/0\n other:",
        &[("5s", "other:"), ("6s", "web:\n other:"), ("10s", "other:"), ("12s", "web:\n other:")],
        "20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            5.000   web: running -> stopping (removed)
            5.000   SIGTERM to the main process of web
            6.000   updated
            7.000   web: stopping -> waiting (exited with status 0 within 2s)
            7.000   spawn web #2
            7.000   web: waiting -> starting (started)
            8.000   web: starting -> running (ready after 1s)
            10.000  updated
            10.000  web: running -> stopping (removed)
            10.000  SIGTERM to the main process of web
            10.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  forget web
            12.000  updated
            12.000  spawn web #1
            12.000  web: stopped -> starting (started)
            13.000  web: starting -> running (ready after 1s)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.000  other: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of other
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn instances_are_added_and_removed_and_run_numbers_never_repeat() {
    check_updates(
        "web: instances=2",
        &[("5s", "web:"), ("10s", "web: instances=3")],
        "15s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            1.000   web.0: starting -> running (ready after 1s)
            1.000   web.1: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            5.000   web.1: running -> stopping (removed)
            5.000   SIGTERM to the main process of web.1
            5.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   forget web
            10.000  updated
            10.000  spawn web.1 #3
            10.000  spawn web.2 #4
            10.000  web.1: stopped -> starting (started)
            10.000  web.2: stopped -> starting (started)
            11.000  web.1: starting -> running (ready after 1s)
            11.000  web.2: starting -> running (ready after 1s)
            15.000  shutdown: operator
            15.000  web.0: running -> stopping (shutdown)
            15.000  SIGTERM to the main process of web.0
            15.000  web.1: running -> stopping (shutdown)
            15.000  SIGTERM to the main process of web.1
            15.000  web.2: running -> stopping (shutdown)
            15.000  SIGTERM to the main process of web.2
            15.010  web.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.010  web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.010  web.2: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.010  sweep with SIGTERM
            15.010  exit 0: operator
        "#]],
    );
}

#[test]
fn removing_the_last_running_program_ends_the_container_when_all_others_have_ended() {
    check_updates(
        "job: restart=never life=2s/0\n web:",
        &[("5s", "job: restart=never life=2s/0")],
        "",
        expect![[r#"
            0.000   spawn job #1
            0.000   spawn web #1
            0.000   job: stopped -> starting (started)
            0.000   web: stopped -> starting (started)
            1.000   job: starting -> running (ready after 1s)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   job: running -> exited (exited with status 0 after 2s; stays down)
            5.000   updated
            5.000   web: running -> stopping (removed)
            5.000   SIGTERM to the main process of web
            5.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   forget web
            5.010   shutdown: all ended
            5.010   sweep with SIGTERM
            5.010   exit 0: all ended
        "#]],
    );
}

#[test]
fn where_the_old_order_of_a_removed_program_contradicts_the_new_tiers_the_tiers_win() {
    check_updates(
        "db: priority=1\n web: priority=2 after=db\n last: priority=9",
        &[("5s", "db: priority=8 v=2\n last: priority=9 v=2")],
        "10s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.000   last: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   spawn last #1
            2.000   last: waiting -> starting (started)
            3.000   last: starting -> running (ready after 1s)
            3.000   everything is ready
            5.000   updated
            5.000   db: running -> stopping (changed)
            5.000   SIGTERM to the main process of db
            5.010   db: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   web: running -> stopping (removed)
            5.010   SIGTERM to the main process of web
            5.010   spawn db #2
            5.010   db: waiting -> starting (started)
            5.020   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.020   forget web
            6.010   db: starting -> running (ready after 1s)
            6.010   keep the new definition of db
            6.010   last: running -> stopping (changed)
            6.010   SIGTERM to the main process of last
            6.020   last: stopping -> waiting (was killed by SIGTERM within 10ms)
            6.020   spawn last #2
            6.020   last: waiting -> starting (started)
            7.020   last: starting -> running (ready after 1s)
            7.020   keep the new definition of last
            10.000  shutdown: operator
            10.000  last: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of last
            10.010  last: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  db: running -> stopping (shutdown)
            10.010  SIGTERM to the main process of db
            10.020  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.020  sweep with SIGTERM
            10.020  exit 0: operator
        "#]],
    );
}
