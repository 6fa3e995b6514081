//! Scenarios: a program reports that it ends by itself.
//!
//! Where the next run may stand beside it and follows whatever its exit status is, that is not awaited.

use expect_test::expect;

use crate::check;

#[test]
fn a_run_that_announces_its_end_is_followed_by_one_beside_it() {
    check(
        "web: overlap notify=200ms restart=always",
        "15s notify web stopping\n15500ms exit web 3\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.200   web: starting -> running (ready after 200ms)
            0.200   everything is ready
            15.000  former web: running -> stopping (announced)
            15.000  web: running -> waiting (not awaited; restart now)
            15.000  spawn web #2
            15.000  web: waiting -> starting (started)
            15.200  web: starting -> running (ready after 200ms)
            15.500  former web: stopping -> stopped (exited with status 3 after 15s; stays down)
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
fn a_run_whose_exit_decides_whether_it_is_restarted_is_awaited() {
    check(
        "web: overlap notify=200ms restart=on-failure",
        "15s notify web stopping\n15500ms exit web 3\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.200   web: starting -> running (ready after 200ms)
            0.200   everything is ready
            15.000  web: running -> stopping (announced)
            15.500  web: stopping -> waiting (exited with status 3 after 15s; restart now)
            15.500  spawn web #2
            15.500  web: waiting -> starting (started)
            15.700  web: starting -> running (ready after 200ms)
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
fn a_run_that_announces_its_end_and_does_not_end_gets_kill_and_the_one_beside_it_serves() {
    check(
        "web: overlap notify=200ms stop_timeout=2s",
        "15s notify web stopping\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.200   web: starting -> running (ready after 200ms)
            0.200   everything is ready
            15.000  former web: running -> stopping (announced)
            15.000  web: running -> waiting (not awaited; restart now)
            15.000  spawn web #2
            15.000  web: waiting -> starting (started)
            15.200  web: starting -> running (ready after 200ms)
            17.000  SIGKILL to all processes of web #1
            17.000  former web: stopping -> stopped (was killed by SIGKILL after 15s; stays down)
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
fn a_second_announcement_of_the_same_run_changes_nothing() {
    check(
        "web: overlap notify=200ms stop_timeout=10s",
        "1s notify web stopping\n1500ms notify web stopping\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.200   web: starting -> running (ready after 200ms)
            0.200   everything is ready
            1.000   former web: running -> stopping (announced)
            1.000   web: running -> waiting (not awaited; restart now)
            1.000   spawn web #2
            1.000   web: waiting -> starting (started)
            1.200   web: starting -> running (ready after 200ms)
            11.000  SIGKILL to all processes of web #1
            11.000  former web: stopping -> stopped (was killed by SIGKILL after 1s; stays down)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}
