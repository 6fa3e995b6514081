//! Starts that take time, hang or fail, and many starts at once.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use std::time::Duration;

use expect_test::expect;
use foster_core::event::{Event, Notice};
use foster_core::ids::{InstanceId, ProgramId, Run, Signal};
use foster_core::time::Instant;

use crate::check;
use crate::sim::{Happening, World};

#[test]
fn a_start_that_hangs_fails_after_its_time_and_everything_else_goes_on() {
    check(
        "hangs: spawns=never ready=0ms ready_timeout=5s start_limit=2 on_failure=ignore
         db:
         web: after=db",
        "20s signal TERM",
        expect![[r#"
            0.000   spawn hangs #1
            0.000   spawn db #1
            0.000   hangs: stopped -> starting (started)
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            2.000   web: starting -> running (ready after 1s)
            5.000   hangs: starting -> stopping (not ready within 5s: Some("its process did not reach the exec of its program"))
            5.000   SIGTERM to the main process of hangs
            5.010   hangs: stopping -> backoff (was killed by SIGTERM; restart in 100ms, 1 of 2 failed)
            5.110   spawn hangs #2
            5.110   hangs: backoff -> starting (started)
            10.110  hangs: starting -> stopping (not ready within 5s: Some("its process did not reach the exec of its program"))
            10.110  SIGTERM to the main process of hangs
            10.120  hangs: stopping -> fatal (was killed by SIGTERM; gave up after 2)
            10.120  everything is ready
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
fn a_start_that_hangs_and_has_no_probe_fails_after_60_seconds() {
    check(
        "hangs: spawns=never start_limit=1",
        "",
        expect![[r#"
            0.000   spawn hangs #1
            0.000   hangs: stopped -> starting (started)
            60.000  hangs: starting -> stopping (not ready within 60s: Some("its process did not reach the exec of its program"))
            60.000  SIGTERM to the main process of hangs
            60.010  hangs: stopping -> fatal (was killed by SIGTERM; gave up after 1)
            60.010  shutdown: hangs failed 1 times, not ready: Some("its process did not reach the exec of its program"), was killed by SIGTERM
            60.010  sweep with SIGTERM
            60.010  exit 1: hangs failed 1 times, not ready: Some("its process did not reach the exec of its program"), was killed by SIGTERM
        "#]],
    );
}

#[test]
fn a_stop_during_a_start_is_obeyed_at_once_and_a_signal_lost_before_exec_is_sent_again() {
    check(
        "slow: spawns=2s\n winch: spawns=2s stop_signal=WINCH stop_timeout=9s",
        "1s stop slow\n 1s stop winch\n 5s signal TERM",
        expect![[r#"
            0.000   spawn slow #1
            0.000   spawn winch #1
            0.000   slow: stopped -> starting (started)
            0.000   winch: stopped -> starting (started)
            1.000   slow: starting -> stopping (requested)
            1.000   SIGTERM to the main process of slow
            1.000   winch: starting -> stopping (requested)
            1.000   SIGWINCH to the main process of winch
            1.000   everything is ready
            1.010   slow: stopping -> stopped (was killed by SIGTERM within 10ms)
            2.000   SIGWINCH to the main process of winch
            2.010   winch: stopping -> stopped (was killed by SIGTERM within 1.01s)
            5.000   shutdown: SIGTERM
            5.000   sweep with SIGTERM
            5.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn the_uptime_of_a_program_begins_when_it_was_executed() {
    check(
        "slow: spawns=3s life=900ms/1 start_limit=1 on_failure=ignore
         quick: spawns=10ms",
        "5s signal TERM",
        expect![[r#"
            0.000   spawn slow #1
            0.000   spawn quick #1
            0.000   slow: stopped -> starting (started)
            0.000   quick: stopped -> starting (started)
            1.010   quick: starting -> running (ready after 1s)
            3.900   slow: starting -> fatal (exited with status 1 after 900ms; gave up after 1)
            3.900   everything is ready
            5.000   shutdown: SIGTERM
            5.000   quick: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of quick
            5.010   quick: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   sweep with SIGTERM
            5.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_signal_between_two_batches_of_a_thousand_starts_is_obeyed_before_the_next() {
    let plan: String = (0..1000).map(|number| format!("p{number}: \n")).collect();
    let mut world = World::new(&plan);
    world.step(Event::Booted);
    let batch = world.starts.len();
    assert_eq!(batch, 16);
    assert_eq!(world.supervisor.deadline(), Some(Instant::START), "the next batch is due at once");
    world.step(Event::Ticked);
    assert_eq!(world.starts.len(), 2 * batch);
    world.step(Event::Signalled(Signal::TERM));
    world.push(Instant::START, Happening::Event(Event::Ticked));
    world.run(Duration::from_secs(20));
    assert_eq!(world.starts.len(), 2 * batch, "nothing starts after the signal");
    let (ended, ending) = world.ended.expect("foster has exited");
    assert_eq!((ended.elapsed(), ending.status), (Duration::from_millis(10), 0));
}

#[test]
fn a_thousand_programs_that_nothing_holds_up_start_without_a_wait() {
    let plan: String = (0..1000).map(|number| format!("p{number}: \n")).collect();
    let mut world = World::new(&plan);
    world.script("0s boot");
    world.run(Duration::ZERO);
    assert_eq!(world.starts.len(), 1000);
}

#[test]
fn a_start_that_cannot_succeed_later_is_given_up_after_three_whatever_the_limit() {
    check(
        "typo: cannot_start=permanent start_limit=none
         busy: cannot_start start_limit=4 on_failure=ignore",
        "",
        expect![[r#"
            0.000   spawn typo #1
            0.000   spawn busy #1
            0.000   typo: stopped -> starting (started)
            0.000   busy: stopped -> starting (started)
            0.000   typo: starting -> backoff (running `x`: not found; restart in 100ms, 1 of any failed)
            0.000   busy: starting -> backoff (running `x`: not found; restart in 100ms, 1 of 4 failed)
            0.100   spawn typo #2
            0.100   spawn busy #2
            0.100   typo: backoff -> starting (started)
            0.100   busy: backoff -> starting (started)
            0.100   typo: starting -> backoff (running `x`: not found; restart in 200ms, 2 of any failed)
            0.100   busy: starting -> backoff (running `x`: not found; restart in 200ms, 2 of 4 failed)
            0.300   spawn typo #3
            0.300   spawn busy #3
            0.300   typo: backoff -> starting (started)
            0.300   busy: backoff -> starting (started)
            0.300   typo: starting -> fatal (running `x`: not found; gave up after 3)
            0.300   shutdown: typo failed 3 times, running `x`: not found
            0.300   busy: starting -> stopping (shutdown)
            0.300   SIGTERM to the main process of busy
            0.300   busy: stopping -> stopped (running `x`: not found; stays down)
            0.300   sweep with SIGTERM
            0.300   exit 1: typo failed 3 times, running `x`: not found
        "#]],
    );
}

#[test]
fn run_numbers_count_per_program_and_never_repeat() {
    check(
        "web: instances=2 life=2s/0",
        "3s restart web\n 5s signal TERM",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            1.000   web.0: starting -> running (ready after 1s)
            1.000   web.1: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   web.0: running -> waiting (exited with status 0 after 2s; restart now)
            2.000   spawn web.0 #3
            2.000   web.0: waiting -> starting (started)
            2.000   web.1: running -> waiting (exited with status 0 after 2s; restart now)
            2.000   spawn web.1 #4
            2.000   web.1: waiting -> starting (started)
            3.000   web.0: starting -> stopping (requested)
            3.000   SIGTERM to the main process of web.0
            3.000   web.1: starting -> stopping (requested)
            3.000   SIGTERM to the main process of web.1
            3.010   web.0: stopping -> waiting (was killed by SIGTERM within 10ms)
            3.010   spawn web.0 #5
            3.010   web.0: waiting -> starting (started)
            3.010   web.1: stopping -> waiting (was killed by SIGTERM within 10ms)
            3.010   spawn web.1 #6
            3.010   web.1: waiting -> starting (started)
            4.010   web.0: starting -> running (ready after 1s)
            4.010   web.1: starting -> running (ready after 1s)
            5.000   shutdown: SIGTERM
            5.000   web.0: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of web.0
            5.000   web.1: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of web.1
            5.010   web.0: stopping -> stopped (exited with status 0 within 10ms)
            5.010   web.1: stopping -> stopped (exited with status 0 within 10ms)
            5.010   sweep with SIGTERM
            5.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_reports_that_it_is_ready_before_its_exec_was_seen_is_ready() {
    let mut world = World::new("web: notify=never spawns=100ms");
    world.script("0s boot");
    let run = Run { instance: InstanceId { program: ProgramId(0), index: 0 }, number: 1 };
    world.push(Instant::after_start(Duration::from_millis(50)), Happening::Notifies(run, Notice::Ready));
    world.script("5s shutdown");
    world.run(Duration::from_secs(60));
    expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        0.050   web: starting -> running (ready after 50ms)
        0.050   everything is ready
        5.000   shutdown: operator
        5.000   web: running -> stopping (shutdown)
        5.000   SIGTERM to the main process of web
        5.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
        5.010   sweep with SIGTERM
        5.010   exit 0: operator
    "#]]
    .assert_eq(&(world.trace.join("\n") + "\n"));
}
