//! How programs and the container stop: order, signals, deadlines, what is left behind.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use std::time::Duration;

use expect_test::expect;

use crate::check;
use crate::sim::{Stubbornness, World};

#[test]
fn tiers_start_in_order_and_stop_in_reverse() {
    check(
        "backend: priority=10 ready=250ms
         nginx: priority=999 after=backend stop_signal=QUIT",
        "5s signal TERM",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (started)
            0.000   nginx: stopped -> waiting (waits for backend)
            0.301   backend: starting -> running (ready after 301ms)
            0.301   spawn nginx #1
            0.301   nginx: waiting -> starting (started)
            1.301   nginx: starting -> running (ready after 1s)
            1.301   everything is ready
            5.000   shutdown: SIGTERM
            5.000   nginx: running -> stopping (shutdown)
            5.000   SIGQUIT to the main process of nginx
            5.010   nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   backend: running -> stopping (shutdown)
            5.010   SIGTERM to the main process of backend
            5.020   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.020   sweep with SIGTERM
            5.020   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_is_not_ready_in_time_is_stopped_and_counts_as_a_failed_start() {
    check(
        "backend: ready=never ready_timeout=1s start_limit=2",
        "",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (started)
            1.000   backend: starting -> stopping (not ready within 1s: None)
            1.000   SIGTERM to the main process of backend
            1.010   backend: stopping -> backoff (was killed by SIGTERM; restart in 100ms, 1 of 2 failed)
            1.110   spawn backend #2
            1.110   backend: backoff -> starting (started)
            2.110   backend: starting -> stopping (not ready within 1s: None)
            2.110   SIGTERM to the main process of backend
            2.120   backend: stopping -> fatal (was killed by SIGTERM; gave up after 2)
            2.120   shutdown: backend failed 2 times, not ready: None, was killed by SIGTERM
            2.120   sweep with SIGTERM
            2.120   exit 1: backend failed 2 times, not ready: None, was killed by SIGTERM
        "#]],
    );
}

#[test]
fn the_session_of_a_dead_main_process_ends_before_the_restart() {
    check(
        "gunicorn: leftovers=40ms",
        "5s kill gunicorn KILL\n 8s signal TERM",
        expect![[r#"
            0.000   spawn gunicorn #1
            0.000   gunicorn: stopped -> starting (started)
            1.000   gunicorn: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   gunicorn: running -> stopping (was killed by SIGKILL after 5s; processes left)
            5.000   SIGTERM to all processes of gunicorn
            5.040   gunicorn: stopping -> waiting (was killed by SIGKILL after 5s; restart now)
            5.040   spawn gunicorn #2
            5.040   gunicorn: waiting -> starting (started)
            6.040   gunicorn: starting -> running (ready after 1s)
            8.000   shutdown: SIGTERM
            8.000   gunicorn: running -> stopping (shutdown)
            8.000   SIGTERM to the main process of gunicorn
            8.010   SIGTERM to all processes of gunicorn
            8.050   gunicorn: stopping -> stopped (was killed by SIGTERM within 50ms)
            8.050   sweep with SIGTERM
            8.050   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_ignores_term_is_killed_after_its_timeout_with_its_whole_session() {
    check(
        "stubborn: stops=never leftovers=never stop_timeout=2s",
        "3s signal TERM",
        expect![[r#"
            0.000   spawn stubborn #1
            0.000   stubborn: stopped -> starting (started)
            1.000   stubborn: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   shutdown: SIGTERM
            3.000   stubborn: running -> stopping (shutdown)
            3.000   SIGTERM to the main process of stubborn
            5.000   SIGKILL to all processes of stubborn
            5.000   SIGKILL to all processes of stubborn
            5.000   stubborn: stopping -> stopped (was killed by SIGKILL within 2s)
            5.000   sweep with SIGTERM
            5.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_sequence_of_stop_signals_gives_each_its_time() {
    check(
        "server: stop_signal=QUIT,TERM stop_timeout=1s",
        "3s stop server\n 9s signal TERM",
        expect![[r#"
            0.000   spawn server #1
            0.000   server: stopped -> starting (started)
            1.000   server: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   server: running -> stopping (requested)
            3.000   SIGQUIT to the main process of server
            4.000   SIGTERM to the main process of server
            4.010   server: stopping -> stopped (was killed by SIGTERM within 1.01s)
            9.000   shutdown: SIGTERM
            9.000   sweep with SIGTERM
            9.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn pre_stop_runs_first_and_inside_the_timeout() {
    check(
        "server: pre_stop=300ms",
        "3s signal TERM",
        expect![[r#"
            0.000   spawn server #1
            0.000   server: stopped -> starting (started)
            1.000   server: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   shutdown: SIGTERM
            3.000   server: running -> stopping (shutdown)
            3.000   pre_stop of server
            3.300   SIGTERM to the main process of server
            3.310   server: stopping -> stopped (was killed by SIGTERM within 310ms)
            3.310   sweep with SIGTERM
            3.310   exit 0: SIGTERM
        "#]],
    );
    check(
        "server: pre_stop=never stop_timeout=1s",
        "3s signal TERM",
        expect![[r#"
            0.000   spawn server #1
            0.000   server: stopped -> starting (started)
            1.000   server: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   shutdown: SIGTERM
            3.000   server: running -> stopping (shutdown)
            3.000   pre_stop of server
            4.000   cancel pre_stop of server
            4.000   SIGKILL to all processes of server
            4.000   server: stopping -> stopped (was killed by SIGKILL within 1s)
            4.000   sweep with SIGTERM
            4.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn the_deadline_of_the_shutdown_is_shared_by_all_tiers() {
    check(
        "shutdown_timeout=3s
         one: priority=1 stops=never
         two: priority=2 stops=never stop_timeout=2s
         three: priority=3",
        "5s signal TERM",
        expect![[r#"
            0.000   spawn one #1
            0.000   one: stopped -> starting (started)
            0.000   two: stopped -> waiting (waits for one)
            0.000   three: stopped -> waiting (waits for one)
            1.000   one: starting -> running (ready after 1s)
            1.000   spawn two #1
            1.000   two: waiting -> starting (started)
            2.000   two: starting -> running (ready after 1s)
            2.000   spawn three #1
            2.000   three: waiting -> starting (started)
            3.000   three: starting -> running (ready after 1s)
            3.000   everything is ready
            5.000   shutdown: SIGTERM
            5.000   three: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of three
            5.010   three: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   two: running -> stopping (shutdown)
            5.010   SIGTERM to the main process of two
            7.010   SIGKILL to all processes of two
            7.010   two: stopping -> stopped (was killed by SIGKILL within 2s)
            7.010   one: running -> stopping (shutdown)
            7.010   SIGTERM to the main process of one
            8.000   kill all
            8.000   one: stopping -> stopped (was killed by SIGKILL within 990ms)
            8.000   sweep with SIGKILL
            8.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_second_signal_kills_all_remaining_processes_at_once() {
    check(
        "stubborn: stops=never",
        "2s signal TERM\n 3s signal TERM",
        expect![[r#"
            0.000   spawn stubborn #1
            0.000   stubborn: stopped -> starting (started)
            1.000   stubborn: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   shutdown: SIGTERM
            2.000   stubborn: running -> stopping (shutdown)
            2.000   SIGTERM to the main process of stubborn
            3.000   cut short: SIGTERM
            3.000   kill all
            3.000   stubborn: stopping -> stopped (was killed by SIGKILL within 1s)
            3.000   sweep with SIGKILL
            3.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_second_order_to_shut_down_changes_nothing() {
    let trace = |script: &[&str]| {
        let mut world = World::new("slow: stops=2s");
        world.script("0s boot");
        for line in script {
            world.script(line);
        }
        world.run(Duration::from_secs(60));
        world.trace
    };
    assert_eq!(trace(&["2s shutdown", "3s shutdown"]), trace(&["2s shutdown"]));
}

#[test]
fn the_container_ends_when_every_program_has_ended_by_itself_and_a_stopped_one_has_not() {
    check(
        "one: restart=never life=2s/0\n two: restart=never life=3s/7 on_failure=ignore",
        "",
        expect![[r#"
            0.000   spawn one #1
            0.000   spawn two #1
            0.000   one: stopped -> starting (started)
            0.000   two: stopped -> starting (started)
            1.000   one: starting -> running (ready after 1s)
            1.000   two: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   one: running -> exited (exited with status 0 after 2s; stays down)
            3.000   two: running -> fatal (exited with status 7 after 3s; failed)
            3.000   shutdown: all ended
            3.000   sweep with SIGTERM
            3.000   exit 0: all ended
        "#]],
    );
    check(
        "one: restart=never life=2s/0\n two:",
        "1s stop two\n 60s signal TERM",
        expect![[r#"
            0.000   spawn one #1
            0.000   spawn two #1
            0.000   one: stopped -> starting (started)
            0.000   two: stopped -> starting (started)
            1.000   two: starting -> stopping (requested)
            1.000   SIGTERM to the main process of two
            1.000   one: starting -> running (ready after 1s)
            1.000   everything is ready
            1.010   two: stopping -> stopped (was killed by SIGTERM within 10ms)
            2.000   one: running -> exited (exited with status 0 after 2s; stays down)
            60.000  shutdown: SIGTERM
            60.000  sweep with SIGTERM
            60.000  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_daemon_that_ignores_term_is_swept_with_kill() {
    let mut world = World::new("web:");
    world.script("0s boot");
    world.orphans = Some(Stubbornness::Ignores);
    world.script("2s signal TERM");
    world.run(Duration::from_secs(60));
    expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        1.000   web: starting -> running (ready after 1s)
        1.000   everything is ready
        2.000   shutdown: SIGTERM
        2.000   web: running -> stopping (shutdown)
        2.000   SIGTERM to the main process of web
        2.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
        2.010   sweep with SIGTERM
        7.010   sweep with SIGKILL
        7.010   exit 0: SIGTERM
    "#]]
    .assert_eq(&(world.trace.join("\n") + "\n"));
}

#[test]
fn two_signals_at_the_same_instant_count_as_one() {
    check(
        "web:",
        "2s signal TERM\n 2s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   shutdown: SIGTERM
            2.000   web: running -> stopping (shutdown)
            2.000   SIGTERM to the main process of web
            2.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            2.010   sweep with SIGTERM
            2.010   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn orphans_are_killed_at_the_deadline_of_the_shutdown_at_the_latest() {
    let mut world = World::new("web: stops=2s/0\n shutdown_timeout=3s");
    world.script("0s boot");
    world.orphans = Some(Stubbornness::Ignores);
    world.script("2s signal TERM");
    world.run(Duration::from_secs(60));
    expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (started)
        1.000   web: starting -> running (ready after 1s)
        1.000   everything is ready
        2.000   shutdown: SIGTERM
        2.000   web: running -> stopping (shutdown)
        2.000   SIGTERM to the main process of web
        4.000   web: stopping -> stopped (exited with status 0 within 2s)
        4.000   sweep with SIGTERM
        5.000   sweep with SIGKILL
        5.000   exit 0: SIGTERM
    "#]]
    .assert_eq(&(world.trace.join("\n") + "\n"));
}
