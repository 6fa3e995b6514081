//! What programs report about themselves: readiness, time limits, watchdogs, the end.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use expect_test::expect;

use std::time::Duration;

use foster_core::ids::{InstanceId, ProgramId};
use foster_core::supervisor::{Progress, reload_progress};

use crate::check;
use crate::sim::World;

#[test]
fn a_program_that_does_not_report_in_time_is_restarted_like_one_that_ended_by_itself() {
    check(
        "web: notify=200ms watchdog=2s beats=1s silent=4s",
        "8s signal TERM",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.200   web: starting -> running (ready after 200ms)
        0.200   everything is ready
        5.000   web: running -> stopping (unhealthy: ["no WATCHDOG=1 within 2s"])
        5.000   SIGTERM to the main process of web
        5.010   web: stopping -> waiting (was killed by SIGTERM; restart now)
        5.010   spawn web #2
        5.010   web: waiting -> starting (started)
        5.210   web: starting -> running (ready after 200ms)
        8.000   shutdown: SIGTERM
        8.000   web: running -> stopping (shutdown)
        8.000   SIGTERM to the main process of web
        8.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
        8.010   sweep with SIGTERM
        8.010   exit 0: SIGTERM
    "#]],
    );
}

#[test]
fn without_a_report_the_watchdogs_time_begins_when_the_program_is_ready() {
    check(
        "web: notify=5s watchdog=2s start_limit=1",
        "",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        5.000   web: starting -> running (ready after 5s)
        5.000   everything is ready
        7.000   web: running -> stopping (unhealthy: ["no WATCHDOG=1 within 2s"])
        7.000   SIGTERM to the main process of web
        7.010   web: stopping -> fatal (was killed by SIGTERM; gave up after 1)
        7.010   shutdown: web failed 1 times, unhealthy: ["no WATCHDOG=1 within 2s"], was killed by SIGTERM
        7.010   sweep with SIGTERM
        7.010   exit 1: web failed 1 times, unhealthy: ["no WATCHDOG=1 within 2s"], was killed by SIGTERM
    "#]],
    );
}

#[test]
fn a_watchdog_can_be_set_changed_and_removed_by_the_program_for_this_run_alone() {
    check(
        "web: notify=100ms",
        "50ms notify web watchdog=1s\n 1s notify web watchdog=3s\n 10s notify web watchdog=0s\n 20s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.100   web: starting -> running (ready after 100ms)
            0.100   everything is ready
            4.000   web: running -> stopping (unhealthy: ["no WATCHDOG=1 within 3s"])
            4.000   SIGTERM to the main process of web
            4.010   web: stopping -> waiting (was killed by SIGTERM; restart now)
            4.010   spawn web #2
            4.010   web: waiting -> starting (started)
            4.110   web: starting -> running (ready after 100ms)
            20.000  shutdown: SIGTERM
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_gives_itself_up_is_restarted_when_ready_and_a_failed_start_before() {
    check(
        "web: notify=1s start_limit=2",
        "500ms notify web failing\n 3s notify web failing",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.500   web: starting -> stopping (not ready within 500ms: Some("it reported WATCHDOG=trigger"))
        0.500   SIGTERM to the main process of web
        0.510   web: stopping -> backoff (was killed by SIGTERM; restart in 100ms, 1 of 2 failed)
        0.610   spawn web #2
        0.610   web: backoff -> starting (started)
        1.610   web: starting -> running (ready after 1s)
        1.610   everything is ready
        3.000   web: running -> stopping (unhealthy: ["it reported WATCHDOG=trigger"])
        3.000   SIGTERM to the main process of web
        3.010   web: stopping -> fatal (was killed by SIGTERM; gave up after 2)
        3.010   shutdown: web failed 2 times, unhealthy: ["it reported WATCHDOG=trigger"], was killed by SIGTERM
        3.010   sweep with SIGTERM
        3.010   exit 1: web failed 2 times, unhealthy: ["it reported WATCHDOG=trigger"], was killed by SIGTERM
    "#]],
    );
}

#[test]
fn a_start_that_asks_for_time_has_it_and_is_not_ready_when_that_is_over_too() {
    check(
        "web: notify=never ready_timeout=2s restart=never",
        "1s notify web extend=500ms\n 1900ms notify web extend=3s\n 4s notify web not-ready",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            4.900   web: starting -> stopping (not ready within 4.9s: Some("it cannot"))
            4.900   SIGTERM to the main process of web
            4.910   web: stopping -> fatal (was killed by SIGTERM; failed)
            4.910   shutdown: web failed 1 times, not ready: Some("it cannot"), was killed by SIGTERM
            4.910   sweep with SIGTERM
            4.910   exit 1: web failed 1 times, not ready: Some("it cannot"), was killed by SIGTERM
        "#]],
    );
}

#[test]
fn a_stop_that_asks_for_time_has_it_within_the_shutdown() {
    check(
        "shutdown_timeout=9s\n slow: stops=never\n db: stops=7s",
        "2s signal TERM\n 6s notify db extend=4s\n 6s notify slow extend=3600s",
        expect![[r#"
            0.000   spawn slow #1
            0.000   spawn db #1
            0.000   slow: stopped -> starting (started)
            0.000   db: stopped -> starting (started)
            1.000   slow: starting -> running (ready after 1s)
            1.000   db: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   shutdown: SIGTERM
            2.000   db: running -> stopping (shutdown)
            2.000   SIGTERM to the main process of db
            2.000   slow: running -> stopping (shutdown)
            2.000   SIGTERM to the main process of slow
            9.000   db: stopping -> stopped (exited with status 0 within 7s)
            11.000  kill all
            11.000  slow: stopping -> stopped (was killed by SIGKILL within 9s)
            11.000  sweep with SIGKILL
            11.000  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_announces_its_end_is_judged_by_its_exit() {
    check(
        "web: notify=100ms restart=on-failure",
        "5s notify web stopping\n 6s exit web 0",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.100   web: starting -> running (ready after 100ms)
        0.100   everything is ready
        5.000   web: running -> stopping (announced)
        6.000   web: stopping -> exited (exited with status 0 after 5s; stays down)
        6.000   shutdown: all ended
        6.000   sweep with SIGTERM
        6.000   exit 0: all ended
    "#]],
    );
}

#[test]
fn an_announced_end_that_does_not_come_is_a_kill_and_a_restart() {
    check(
        "web: notify=100ms stops=never",
        "5s notify web stopping\n 15s signal TERM",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.100   web: starting -> running (ready after 100ms)
        0.100   everything is ready
        5.000   web: running -> stopping (announced)
        10.000  SIGKILL to all processes of web
        10.000  web: stopping -> waiting (was killed by SIGKILL after 5s; restart now)
        10.000  spawn web #2
        10.000  web: waiting -> starting (started)
        10.100  web: starting -> running (ready after 100ms)
        15.000  shutdown: SIGTERM
        15.000  web: running -> stopping (shutdown)
        15.000  SIGTERM to the main process of web
        20.000  SIGKILL to all processes of web
        20.000  web: stopping -> stopped (was killed by SIGKILL within 5s)
        20.000  sweep with SIGTERM
        20.000  exit 0: SIGTERM
    "#]],
    );
}

#[test]
fn what_has_no_meaning_changes_nothing() {
    check(
        "web:\n probed: ready=2s",
        "500ms notify web ready\n 500ms notify probed ready\n 3s notify web reloading\n 3s notify web ready\n 3s notify web extend=5s\n 3s notify web alive\n 4s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn probed #1
            0.000   web: stopped -> starting (started)
            0.000   probed: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            2.001   probed: starting -> running (ready after 2.001s)
            2.001   everything is ready
            4.000   shutdown: SIGTERM
            4.000   probed: running -> stopping (shutdown)
            4.000   SIGTERM to the main process of probed
            4.000   web: running -> stopping (shutdown)
            4.000   SIGTERM to the main process of web
            4.010   probed: stopping -> stopped (was killed by SIGTERM within 10ms)
            4.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            4.010   sweep with SIGTERM
            4.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_reload_that_is_late_is_reported_once_and_the_program_runs_on() {
    check(
        "web: notify=200ms ready_timeout=2s",
        "1s notify web reloading\n 2s notify web extend=1500ms\n 9s notify web ready\n 10s notify web reloading\n 11s notify web ready\n 20s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.200   web: starting -> running (ready after 200ms)
            0.200   everything is ready
            3.500   web: running -> running (not reloaded within 2.5s)
            20.000  shutdown: SIGTERM
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: SIGTERM
        "#]],
    );
}

/// How far a reload by HUP of a program that is ready after 200 ms has come at each of these times, in milliseconds.
fn reloads(script: &[&str], times: [u64; 4]) -> [Progress; 4] {
    let mut world = World::new(
        "web: notify=200ms reload_signal=HUP ready_timeout=5s\n probed: ready=1ms reload_signal=HUP",
    );
    world.script("0s boot");
    for line in script {
        world.script(line);
    }
    times.map(|at| {
        world.run(Duration::from_millis(at));
        let id = |program| InstanceId { program: ProgramId(program), index: 0 };
        let view = |program| world.supervisor.snapshot().instance(id(program)).expect("an instance");
        assert_eq!(reload_progress(&view(1), 1), Progress::Done);
        reload_progress(&view(0), 1)
    })
}

#[test]
fn a_reload_is_over_when_the_program_is_ready_again_or_reports_none() {
    use Progress::{Done, Failed, UnderWay};
    let begun = "1050ms notify web reloading";
    for (script, times, expected) in [
        // It reports none.
        (
            &["1s reload web", "1s reload probed"][..],
            [999, 1001, 1999, 2001],
            [Done, UnderWay, UnderWay, Done],
        ),
        (
            &["1s reload web", begun, "4s notify web ready"],
            [1001, 2500, 3999, 4001],
            [UnderWay, UnderWay, UnderWay, Done],
        ),
        // It is late, and comes after all.
        (
            &["1s reload web", begun, "8s notify web ready"],
            [6049, 6051, 7999, 8001],
            [UnderWay, Failed, Failed, Done],
        ),
        // It asks for time.
        (
            &["1s reload web", begun, "6s notify web extend=3s", "8s notify web ready"],
            [6051, 7999, 8001, 9001],
            [UnderWay, UnderWay, Done, Done],
        ),
        // Another one in the middle ends with the first.
        (
            &["1s reload web", begun, "2s reload web", "4s notify web ready"],
            [1999, 2001, 3999, 4001],
            [UnderWay, UnderWay, UnderWay, Done],
        ),
        // It ends.
        (
            &["1s reload web", begun, "2s kill web SEGV"],
            [1999, 2001, 2100, 3000],
            [UnderWay, Failed, Failed, Failed],
        ),
        // Without an order.
        (&[begun, "2s notify web ready"], [1049, 1051, 1999, 2001], [Done, UnderWay, UnderWay, Done]),
    ] {
        assert_eq!(reloads(script, times), expected, "{script:?}");
    }
}

#[test]
fn a_program_that_may_be_late_is_ready_when_its_time_is_over() {
    check(
        "web: notify=late ready_timeout=3s",
        "5s signal TERM",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        3.000   web: starting -> running (ready after 3s)
        3.000   everything is ready
        5.000   shutdown: SIGTERM
        5.000   web: running -> stopping (shutdown)
        5.000   SIGTERM to the main process of web
        5.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
        5.010   sweep with SIGTERM
        5.010   exit 0: SIGTERM
    "#]],
    );
}
