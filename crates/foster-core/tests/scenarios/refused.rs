//! Signals that cannot be sent, and processes that do not end at KILL.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use std::time::Duration;

use expect_test::expect;
use foster_core::event::Order;
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::supervisor::{Progress, progress};

use crate::check;
use crate::sim::World;

#[test]
fn a_stop_signal_that_is_refused_is_followed_by_the_next_at_once() {
    check(
        "web: refuses=TERM\n other: stop_signal=QUIT,TERM refuses=QUIT",
        "3s stop web\n 4s stop other\n 5s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   web: running -> stopping (requested)
            3.000   SIGTERM to the main process of web
            3.000   SIGKILL to all processes of web
            3.000   web: stopping -> stopped (was killed by SIGKILL within 0ns)
            4.000   other: running -> stopping (requested)
            4.000   SIGQUIT to the main process of other
            4.000   SIGTERM to the main process of other
            4.010   other: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.000   shutdown: SIGTERM
            5.000   sweep with SIGTERM
            5.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_refused_term_to_leftovers_is_followed_by_kill_at_once() {
    check(
        "web: leftovers=never refuses=TERM",
        "3s kill web SEGV\n 8s signal TERM",
        expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        1.000   web: starting -> running (ready after 1s)
        1.000   everything is ready
        3.000   web: running -> stopping (was killed by SIGSEGV after 3s; processes left)
        3.000   SIGTERM to all processes of web
        3.000   SIGKILL to all processes of web
        3.000   web: stopping -> waiting (was killed by SIGSEGV after 3s; restart now)
        3.000   spawn web #2
        3.000   web: waiting -> starting (started)
        4.000   web: starting -> running (ready after 1s)
        8.000   shutdown: SIGTERM
        8.000   web: running -> stopping (shutdown)
        8.000   SIGTERM to the main process of web
        8.000   SIGKILL to all processes of web
        8.000   SIGKILL to all processes of web
        8.000   web: stopping -> stopped (was killed by SIGKILL within 0ns)
        8.000   sweep with SIGTERM
        8.000   exit 0: SIGTERM
    "#]],
    );
}

#[test]
fn a_program_that_refuses_every_signal_is_reported_and_a_shutdown_does_not_wait_for_it() {
    check(
        "web: priority=2 refuses=TERM,KILL\n db: priority=1",
        "3s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   everything is ready
            3.000   shutdown: SIGTERM
            3.000   web: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of web
            3.000   SIGKILL to all processes of web
            3.000   web: stopping -> stopping (not killed)
            3.000   db: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of db
            3.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   sweep with SIGTERM
            3.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_process_that_outlives_kill_is_reported_after_5_seconds_and_may_end_later() {
    check(
        "web: unkillable stops=never stop_timeout=1s\n other:",
        "3s stop web\n 20s exit web 7\n 30s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   web: running -> stopping (requested)
            3.000   SIGTERM to the main process of web
            4.000   SIGKILL to all processes of web
            9.000   web: stopping -> stopping (not killed)
            20.000  web: stopping -> stopped (exited with status 7 within 17s)
            30.000  shutdown: SIGTERM
            30.000  other: running -> stopping (shutdown)
            30.000  SIGTERM to the main process of other
            30.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            30.010  sweep with SIGTERM
            30.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_stop_fails_once_its_process_outlived_kill() {
    let mut world = World::new("web: unkillable stops=never stop_timeout=1s\n other:");
    world.script("0s boot");
    world.script("3s stop web");
    let web = InstanceId { program: ProgramId(0), index: 0 };
    let at = |world: &mut World, seconds| {
        world.run(Duration::from_secs(seconds));
        let view = world.supervisor.snapshot().instance(web).expect("an instance");
        progress(Order::Stop, &view, 1)
    };
    assert_eq!(at(&mut world, 8), Progress::UnderWay);
    assert_eq!(at(&mut world, 9), Progress::Failed);
    world.script("10s exit web 7");
    assert_eq!(at(&mut world, 11), Progress::Done);
}

#[test]
fn a_process_that_outlives_kill_does_not_hold_up_the_stop_of_those_below_it() {
    check(
        "web: priority=2 unkillable stops=never stop_timeout=1s\n db: priority=1",
        "3s stop all\n 20s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            2.000   everything is ready
            3.000   web: running -> stopping (requested)
            3.000   SIGTERM to the main process of web
            4.000   SIGKILL to all processes of web
            9.000   web: stopping -> stopping (not killed)
            9.000   db: running -> stopping (requested)
            9.000   SIGTERM to the main process of db
            9.010   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.000  shutdown: SIGTERM
            20.000  sweep with SIGTERM
            20.000  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_start_that_fails_and_leaves_a_process_that_cannot_be_killed_holds_up_no_higher_tier() {
    check(
        "db: priority=1 ready=never ready_timeout=2s refuses=TERM,KILL\n web: priority=2",
        "10s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            2.000   db: starting -> stopping (not ready within 2s: None)
            2.000   SIGTERM to the main process of db
            2.000   SIGKILL to all processes of db
            2.000   db: stopping -> stopping (not killed)
            2.000   spawn web #1
            2.000   web: waiting -> starting (started)
            3.000   web: starting -> running (ready after 1s)
            3.000   everything is ready
            10.000  shutdown: SIGTERM
            10.000  web: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of web
            10.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: SIGTERM
        "#]],
    );
}
