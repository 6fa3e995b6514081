//! Several instances: order, failures, and what a change of their number does to them and to others.
//!
//! Each test is a scenario in virtual time; see `main.rs`. `foster scale` is an update that changes the number alone.

use expect_test::expect;

use crate::{check, check_updates};

#[test]
fn a_program_waits_for_all_instances_of_another_and_a_tier_for_all_of_a_tier() {
    check(
        "db: priority=1 instances=2 ready=300ms\n web: priority=1 after=db\n last: priority=2",
        "100ms exit db.1 1\n 9s shutdown",
        expect![[r#"
            0.000   spawn db.0 #1
            0.000   spawn db.1 #2
            0.000   db.0: stopped -> starting (started)
            0.000   db.1: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db.0)
            0.000   last: stopped -> waiting (waits for db.0)
            0.100   db.1: starting -> backoff (exited with status 1 after 100ms; restart in 100ms, 1 of 10 failed)
            0.200   spawn db.1 #3
            0.200   db.1: backoff -> starting (started)
            0.301   db.0: starting -> running (ready after 301ms)
            0.501   db.1: starting -> running (ready after 301ms)
            0.501   spawn web #1
            0.501   web: waiting -> starting (started)
            1.501   web: starting -> running (ready after 1s)
            1.501   spawn last #1
            1.501   last: waiting -> starting (started)
            2.501   last: starting -> running (ready after 1s)
            2.501   everything is ready
            9.000   shutdown: operator
            9.000   last: running -> stopping (shutdown)
            9.000   SIGTERM to the main process of last
            9.010   last: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   web: running -> stopping (shutdown)
            9.010   SIGTERM to the main process of web
            9.020   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.020   db.0: running -> stopping (shutdown)
            9.020   SIGTERM to the main process of db.0
            9.020   db.1: running -> stopping (shutdown)
            9.020   SIGTERM to the main process of db.1
            9.030   db.0: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.030   db.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.030   sweep with SIGTERM
            9.030   exit 0: operator
        "#]],
    );
}

#[test]
fn an_instance_that_is_fatal_leaves_the_others_and_the_last_one_ends_the_container() {
    check(
        "web: instances=2 restart=never",
        "2s exit web.0 3\n 60s exit web.1 4",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            1.000   web.0: starting -> running (ready after 1s)
            1.000   web.1: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   web.0: running -> fatal (exited with status 3 after 2s; failed)
            60.000  web.1: running -> fatal (exited with status 4 after 60s; failed)
            60.000  shutdown: web.1 failed 1 times, exited with status 4
            60.000  sweep with SIGTERM
            60.000  exit 4: web.1 failed 1 times, exited with status 4
        "#]],
    );
}

#[test]
fn a_program_without_instances_holds_nothing_up_and_nothing_down() {
    check_updates(
        "db: instances=0\n web: after=db\n app: requires=db priority=1000",
        &[("5s", "db: instances=1\n web: after=db\n app: requires=db priority=1000")],
        "9s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.000   app: stopped -> waiting (waits for web)
            1.000   web: starting -> running (ready after 1s)
            1.000   spawn app #1
            1.000   app: waiting -> starting (started)
            2.000   app: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   updated
            5.000   spawn db #1
            5.000   db: stopped -> starting (started)
            6.000   db: starting -> running (ready after 1s)
            9.000   shutdown: operator
            9.000   app: running -> stopping (shutdown)
            9.000   SIGTERM to the main process of app
            9.010   app: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   web: running -> stopping (shutdown)
            9.010   SIGTERM to the main process of web
            9.020   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.020   db: running -> stopping (shutdown)
            9.020   SIGTERM to the main process of db
            9.030   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.030   sweep with SIGTERM
            9.030   exit 0: operator
        "#]],
    );
}

#[test]
fn scaling_to_none_leaves_what_requires_it_alone_and_the_container_waits_for_an_order() {
    check_updates(
        "db: instances=2\n app: requires=db\n once: life=2s/0 restart=never",
        &[
            ("5s", "db: instances=0\n app: requires=db\n once: life=2s/0 restart=never"),
            ("9s", "db: instances=0\n once: life=2s/0 restart=never"),
        ],
        "20s shutdown",
        expect![[r#"
            0.000   spawn db.0 #1
            0.000   spawn db.1 #2
            0.000   spawn once #1
            0.000   db.0: stopped -> starting (started)
            0.000   db.1: stopped -> starting (started)
            0.000   app: stopped -> waiting (waits for db.0)
            0.000   once: stopped -> starting (started)
            1.000   db.0: starting -> running (ready after 1s)
            1.000   db.1: starting -> running (ready after 1s)
            1.000   once: starting -> running (ready after 1s)
            1.000   spawn app #1
            1.000   app: waiting -> starting (started)
            2.000   once: running -> exited (exited with status 0 after 2s; stays down)
            2.000   app: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   updated
            5.000   db.0: running -> stopping (removed)
            5.000   SIGTERM to the main process of db.0
            5.000   db.1: running -> stopping (removed)
            5.000   SIGTERM to the main process of db.1
            5.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   forget db
            5.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   forget db
            9.000   updated
            9.000   app: running -> stopping (removed)
            9.000   SIGTERM to the main process of app
            9.010   app: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   forget app
            20.000  shutdown: operator
            20.000  sweep with SIGTERM
            20.000  exit 0: operator
        "#]],
    );
}

#[test]
fn scaling_down_stops_the_highest_and_does_not_hold_up_what_waits_for_the_others() {
    check_updates(
        "web: instances=3 stops=never stop_timeout=2s\n app: after=web",
        &[("5s", "web: instances=1 stops=never stop_timeout=2s\n app: after=web")],
        "5500ms restart app\n 9s shutdown",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   spawn web.2 #3
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.000   web.2: stopped -> starting (started)
            0.000   app: stopped -> waiting (waits for web.0)
            1.000   web.0: starting -> running (ready after 1s)
            1.000   web.1: starting -> running (ready after 1s)
            1.000   web.2: starting -> running (ready after 1s)
            1.000   spawn app #1
            1.000   app: waiting -> starting (started)
            2.000   app: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   updated
            5.000   web.1: running -> stopping (removed)
            5.000   SIGTERM to the main process of web.1
            5.000   web.2: running -> stopping (removed)
            5.000   SIGTERM to the main process of web.2
            5.500   app: running -> stopping (requested)
            5.500   SIGTERM to the main process of app
            5.510   app: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.510   spawn app #2
            5.510   app: waiting -> starting (started)
            6.510   app: starting -> running (ready after 1s)
            7.000   SIGKILL to all processes of web.1
            7.000   SIGKILL to all processes of web.2
            7.000   web.1: stopping -> stopped (was killed by SIGKILL within 2s)
            7.000   forget web.1
            7.000   web: stopping -> stopped (was killed by SIGKILL within 2s)
            7.000   forget web
            9.000   shutdown: operator
            9.000   app: running -> stopping (shutdown)
            9.000   SIGTERM to the main process of app
            9.010   app: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   web: running -> stopping (shutdown)
            9.010   SIGTERM to the main process of web
            11.010  SIGKILL to all processes of web
            11.010  web: stopping -> stopped (was killed by SIGKILL within 2s)
            11.010  sweep with SIGTERM
            11.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_removed_program_without_instances_is_forgotten() {
    check_updates(
        "db: instances=0\n web:",
        &[("5s", "web:"), ("6s", "db:\n web:")],
        "9s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   updated
            6.000   updated
            6.000   spawn db #1
            6.000   db: stopped -> starting (started)
            7.000   db: starting -> running (ready after 1s)
            9.000   shutdown: operator
            9.000   web: running -> stopping (shutdown)
            9.000   SIGTERM to the main process of web
            9.000   db: running -> stopping (shutdown)
            9.000   SIGTERM to the main process of db
            9.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   sweep with SIGTERM
            9.010   exit 0: operator
        "#]],
    );
}

#[test]
fn an_instance_that_is_only_waiting_to_be_removed_does_not_keep_the_container_alive() {
    check_updates(
        "web: instances=2 restart=never\nlate: after=web stops=3s/0 stop_timeout=9s",
        &[("5s", "web: restart=never\nlate: after=web stops=3s/0 stop_timeout=9s v=2")],
        "6s exit web.0 7",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            0.000   late: stopped -> waiting (waits for web.0)
            1.000   web.0: starting -> running (ready after 1s)
            1.000   web.1: starting -> running (ready after 1s)
            1.000   spawn late #1
            1.000   late: waiting -> starting (started)
            2.000   late: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   updated
            5.000   late: running -> stopping (changed)
            5.000   SIGTERM to the main process of late
            6.000   web.0: running -> fatal (exited with status 7 after 6s; failed)
            6.000   shutdown: web.0 failed 1 times, exited with status 7
            8.000   late: stopping -> stopped (exited with status 0 within 3s)
            8.000   web.1: running -> stopping (shutdown)
            8.000   SIGTERM to the main process of web.1
            8.010   web.1: stopping -> stopped (was killed by SIGTERM within 10ms)
            8.010   sweep with SIGTERM
            8.010   exit 7: web.0 failed 1 times, exited with status 7
        "#]],
    );
}
