//! Scenarios: processes that outlive their main process.
//!
//! Where the next run may stand beside them it starts at once, elsewhere after their end. A shutdown, a stop and a rolling
//! restart wait for them.

use std::time::Duration;

use expect_test::{Expect, expect};
use foster_core::event::Order;
use foster_core::supervisor::{Progress, progress};

use crate::sim::World;
use crate::{check, check_updates};

/// One update at 5.1 s.
fn update(plan: &str, new: &str, script: &str, expected: Expect) {
    check_updates(plan, &[("5100ms", new)], script, expected);
}

#[test]
fn the_next_run_starts_at_once_beside_what_an_ended_one_has_left() {
    check(
        "web: overlap ready=200ms leftovers=700ms",
        "5s exit web 1\n20s shutdown",
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
            5.901   former web: stopping -> stopped (its last processes ended within 901ms)
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
fn without_overlap_the_next_run_waits_for_what_is_left() {
    check(
        "web: ready=200ms leftovers=700ms",
        "5s exit web 1\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   web: running -> stopping (exited with status 1 after 5s; processes left)
            5.000   SIGTERM to all processes of web
            5.700   web: stopping -> waiting (exited with status 1 after 5s; restart now)
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
fn leftovers_that_ignore_term_get_kill_after_stop_timeout_and_serve_no_longer() {
    check(
        "web: overlap ready=200ms leftovers=never stop_timeout=2s",
        "5s exit web 1\n20s shutdown",
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
            7.201   SIGKILL to all processes of web #1
            7.201   former web: stopping -> stopped (its last processes ended within 2.201s)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  SIGTERM to all processes of web
            22.010  SIGKILL to all processes of web
            22.010  web: stopping -> stopped (was killed by SIGTERM within 2.01s)
            22.010  sweep with SIGTERM
            22.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_run_that_ends_beside_leftovers_is_followed_by_one_that_waits_for_them() {
    check(
        "web: overlap ready=200ms leftovers=3s",
        "5s exit web 1\n5500ms exit web 1\n20s shutdown",
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
            5.500   web: running -> stopping (exited with status 1 after 500ms; processes left)
            5.500   SIGTERM to all processes of web #2
            8.201   former web: stopping -> stopped (its last processes ended within 3.201s)
            8.500   web: stopping -> backoff (exited with status 1 after 500ms; restart in 200ms, 2 of 10 failed)
            8.700   spawn web #3
            8.700   web: backoff -> starting (started)
            8.901   web: starting -> running (ready after 201ms)
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
fn a_backoff_that_is_over_before_the_leftovers_have_ended_waits_for_them() {
    update(
        "web: overlap ready=200ms initial=500ms leftovers=3s",
        "web: overlap ready=200ms initial=500ms life=20ms/1",
        "5s exit web 1\n9s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> backoff (exited with status 1 after 5s; restart in 500ms, 1 of 10 failed)
            5.100   updated
            5.100   SIGTERM to all processes of web
            5.100   spawn web #2
            5.100   web: stopped -> starting (started)
            5.120   web: starting -> backoff (exited with status 1 after 20ms; restart in 500ms, 1 of 10 failed)
            5.620   web: backoff -> waiting (waits for web)
            8.100   former web: stopping -> stopped (its last processes ended within 3.1s)
            8.100   spawn web #3
            8.100   web: waiting -> starting (started)
            8.120   web: starting -> backoff (exited with status 1 after 20ms; restart in 1s, 2 of 10 failed)
            9.000   shutdown: operator
            9.000   web: backoff -> stopped (shutdown)
            9.000   sweep with SIGTERM
            9.000   exit 0: operator
        "#]],
    );
}

#[test]
fn processes_that_outlive_kill_do_not_hold_up_the_next_run() {
    check(
        "web: overlap ready=200ms leftovers=never unkillable stop_timeout=1s",
        "5s exit web 1\n15s exit web 1\n30s shutdown",
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
            6.201   SIGKILL to all processes of web #1
            11.201  former web: stopping -> stopping (not killed)
            15.000  web: running -> stopping (exited with status 1 after 10s; processes left)
            15.000  SIGTERM to all processes of web #2
            16.000  SIGKILL to all processes of web #2
            21.000  web: stopping -> stopping (not killed)
            30.000  shutdown: operator
            30.000  sweep with SIGTERM
            30.000  exit 0: operator
        "#]],
    );
}

#[test]
fn a_shutdown_waits_for_leftovers_and_stops_what_is_below_them_afterwards() {
    check(
        "db: priority=1\nweb: overlap ready=200ms leftovers=2s after=db",
        "5s exit web 1\n5500ms shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            1.201   web: starting -> running (ready after 201ms)
            1.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 4s; processes left, they serve on)
            5.000   web: running -> waiting (exited with status 1 after 4s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.201   web: starting -> running (ready after 201ms)
            5.201   SIGTERM to all processes of web #1
            5.500   shutdown: operator
            5.500   web: running -> stopping (shutdown)
            5.500   SIGTERM to the main process of web #2
            5.510   SIGTERM to all processes of web #2
            7.201   former web: stopping -> stopped (its last processes ended within 2.201s)
            7.510   web: stopping -> stopped (was killed by SIGTERM within 2.01s)
            7.510   db: running -> stopping (shutdown)
            7.510   SIGTERM to the main process of db
            7.520   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            7.520   sweep with SIGTERM
            7.520   exit 0: operator
        "#]],
    );
}

#[test]
fn an_order_to_stop_what_is_below_does_not_wait_for_leftovers_of_a_program_that_goes_on() {
    check(
        "db: priority=1\nweb: overlap ready=200ms leftovers=2s",
        "5s exit web 1\n5500ms stop db\n20s shutdown",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (started)
            1.201   web: starting -> running (ready after 201ms)
            1.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 4s; processes left, they serve on)
            5.000   web: running -> waiting (exited with status 1 after 4s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.201   web: starting -> running (ready after 201ms)
            5.201   SIGTERM to all processes of web #1
            5.500   db: running -> stopping (requested)
            5.500   SIGTERM to the main process of db
            5.510   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            7.201   former web: stopping -> stopped (its last processes ended within 2.201s)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  SIGTERM to all processes of web
            22.010  web: stopping -> stopped (was killed by SIGTERM within 2.01s)
            22.010  sweep with SIGTERM
            22.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_rolling_restart_waits_for_the_leftovers_and_keeps_the_run_that_serves() {
    check(
        "web: overlap ready=200ms leftovers=2s",
        "5s exit web 1\n5500ms reload web\n20s shutdown",
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
            7.201   former web: stopping -> stopped (its last processes ended within 2.201s)
            7.201   spawn web #3
            7.201   replacement of web: stopped -> starting (started)
            7.501   replacement of web: starting -> running (ready after 300ms)
            7.501   web: running -> running (replaced)
            7.501   former web: running -> stopping (requested)
            7.501   SIGTERM to the main process of web #2
            7.511   SIGTERM to all processes of web #2
            9.511   former web: stopping -> stopped (was killed by SIGTERM within 2.01s)
            20.000  shutdown: operator
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  SIGTERM to all processes of web
            22.010  web: stopping -> stopped (was killed by SIGTERM within 2.01s)
            22.010  sweep with SIGTERM
            22.010  exit 0: operator
        "#]],
    );
}

#[test]
fn an_end_that_is_not_restarted_is_final_only_without_leftovers() {
    check(
        "web: overlap ready=200ms leftovers=2s restart=never on_exit=shutdown",
        "5s exit web 0",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   web: running -> stopping (exited with status 0 after 5s; processes left)
            5.000   SIGTERM to all processes of web
            7.000   web: stopping -> exited (exited with status 0 after 5s; stays down)
            7.000   shutdown: web exited with status 0
            7.000   sweep with SIGTERM
            7.000   exit 0: web exited with status 0
        "#]],
    );
}

#[test]
fn after_an_update_without_the_sockets_the_next_run_waits() {
    update(
        "web: overlap ready=200ms leftovers=700ms",
        "web: ready=200ms v=2",
        "5s exit web 1\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> waiting (exited with status 1 after 5s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.100   updated
            5.100   SIGTERM to all processes of web #1
            5.100   web: starting -> stopping (changed)
            5.100   SIGTERM to the main process of web #2
            5.110   SIGTERM to all processes of web #2
            5.800   former web: stopping -> stopped (its last processes ended within 800ms)
            5.810   web: stopping -> waiting (was killed by SIGTERM within 710ms)
            5.810   spawn web #3
            5.810   web: waiting -> starting (started)
            6.101   web: starting -> running (ready after 291ms)
            6.101   keep the new definition of web
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
fn a_program_that_is_removed_is_forgotten_when_its_leftovers_have_ended() {
    update(
        "web: overlap ready=200ms leftovers=700ms\nother:",
        "other:",
        "5s exit web 1\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> waiting (exited with status 1 after 5s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.100   updated
            5.100   SIGTERM to all processes of web #1
            5.100   web: starting -> stopping (removed)
            5.100   SIGTERM to the main process of web #2
            5.110   SIGTERM to all processes of web #2
            5.800   former web: stopping -> stopped (its last processes ended within 800ms)
            5.810   web: stopping -> stopped (was killed by SIGTERM within 710ms)
            5.810   forget web
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
fn a_program_that_comes_back_while_its_leftovers_end_starts_again() {
    check_updates(
        "web: overlap ready=200ms leftovers=2s initial=10s\nother:",
        &[("5100ms", "other:"), ("5500ms", "other:\nweb: overlap ready=200ms")],
        "5s exit web 1\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn other #1
            0.000   web: stopped -> starting (started)
            0.000   other: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> backoff (exited with status 1 after 5s; restart in 10s, 1 of 10 failed)
            5.100   updated
            5.100   web: backoff -> stopped (removed)
            5.100   SIGTERM to all processes of web
            5.500   updated
            5.500   spawn web #2
            5.500   web: stopped -> starting (started)
            5.701   web: starting -> running (ready after 201ms)
            7.100   former web: stopping -> stopped (its last processes ended within 2.1s)
            20.000  shutdown: operator
            20.000  other: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of other
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main process of web
            20.010  other: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  sweep with SIGTERM
            20.010  exit 0: operator
        "#]],
    );
}

#[test]
fn a_stop_is_done_when_the_leftovers_have_ended_and_has_failed_when_they_cannot_be_killed() {
    let stop = |behaviour: &str, until: &[u64]| {
        let mut world =
            World::new(&format!("web: overlap ready=200ms initial=10s stop_timeout=1s {behaviour}"));
        for line in ["0s boot", "5s exit web 1", "5100ms stop web"] {
            world.script(line);
        }
        let mut seen = Vec::new();
        for at in until {
            world.run(Duration::from_millis(*at));
            let view = world.supervisor.snapshot().instances().next().unwrap();
            seen.push(progress(Order::Stop, &view, 1));
        }
        seen
    };
    use Progress::{Done, Failed, UnderWay};
    assert_eq!(stop("leftovers=700ms", &[5_200, 5_750, 5_900]), [UnderWay, UnderWay, Done]);
    assert_eq!(stop("leftovers=never", &[5_200, 6_090, 6_110]), [UnderWay, UnderWay, Done]);
    assert_eq!(stop("leftovers=never unkillable", &[6_090, 11_000, 11_200]), [UnderWay, UnderWay, Failed]);
}

#[test]
fn what_is_kept_gets_term_after_stop_timeout_where_the_next_run_is_not_ready() {
    check(
        "web: overlap ready=200ms leftovers=700ms stop_timeout=2s initial=10s",
        "5s exit web 1\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> backoff (exited with status 1 after 5s; restart in 10s, 1 of 10 failed)
            7.000   SIGTERM to all processes of web
            7.700   former web: stopping -> stopped (its last processes ended within 2.7s)
            15.000  spawn web #2
            15.000  web: backoff -> starting (started)
            15.201  web: starting -> running (ready after 201ms)
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
fn what_is_kept_gets_term_when_the_next_run_ends() {
    check(
        "web: overlap ready=200ms leftovers=700ms",
        "5s exit web 1\n5100ms exit web 1\n20s shutdown",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.201   web: starting -> running (ready after 201ms)
            0.201   everything is ready
            5.000   former web: running -> stopping (exited with status 1 after 5s; processes left, they serve on)
            5.000   web: running -> waiting (exited with status 1 after 5s; restart now)
            5.000   spawn web #2
            5.000   web: waiting -> starting (started)
            5.100   web: starting -> stopping (exited with status 1 after 100ms; processes left)
            5.100   SIGTERM to all processes of web #2
            5.100   SIGTERM to all processes of web #1
            5.800   web: stopping -> backoff (exited with status 1 after 100ms; restart in 200ms, 2 of 10 failed)
            5.800   former web: stopping -> stopped (its last processes ended within 800ms)
            6.000   spawn web #3
            6.000   web: backoff -> starting (started)
            6.201   web: starting -> running (ready after 201ms)
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
