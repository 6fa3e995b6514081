//! Scenarios: a plan, what happens, and the whole trace of what foster does about it.

#[allow(dead_code, reason = "each of the two test files uses its part of the fake kernel")]
mod sim;

use std::time::Duration;

use expect_test::{Expect, expect};
use sim::World;

/// Plays a script against a plan and compares the trace. Boot is at 0.
fn check(plan: &str, script: &str, expected: Expect) {
    let mut world = World::new(plan);
    world.script("0s boot");
    for line in script.lines().filter(|line| !line.trim().is_empty()) {
        world.script(line);
    }
    world.run(Duration::from_secs(3600));
    expected.assert_eq(&(world.trace.join("\n") + "\n"));
}

#[test]
fn tiers_start_in_order_and_stop_in_reverse() {
    check(
        "backend: priority=10 answers=250ms
         nginx: priority=999 after=backend stop_signal=QUIT",
        "5s signal TERM",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (its turn)
            0.000   nginx: stopped -> waiting (waits for backend)
            0.304   backend: starting -> running (ready after 304ms)
            0.304   spawn nginx #1
            0.304   nginx: waiting -> starting (its turn)
            1.304   nginx: starting -> running (ready after 1s)
            1.304   everything is ready
            5.000   shutdown: SIGTERM
            5.000   nginx: running -> stopping (shutdown)
            5.000   SIGQUIT to the main of nginx
            5.010   nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   backend: running -> stopping (shutdown)
            5.010   SIGTERM to the main of backend
            5.020   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.020   SIGTERM to the rest
            5.020   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_had_been_up_is_restarted_at_once() {
    check(
        "backend: priority=10",
        "5s kill backend KILL\n 10s signal TERM",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (its turn)
            1.000   backend: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   backend: running -> waiting (was killed by SIGKILL after 5s; restart now)
            5.000   spawn backend #2
            5.000   backend: waiting -> starting (its turn)
            6.000   backend: starting -> running (ready after 1s)
            10.000  shutdown: SIGTERM
            10.000  backend: running -> stopping (shutdown)
            10.000  SIGTERM to the main of backend
            10.010  backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  SIGTERM to the rest
            10.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_crash_in_a_lower_tier_holds_nobody_up_but_its_dependants() {
    check(
        "backend: priority=10 answers=200ms
         nginx: after=backend
         worker: priority=20",
        "5s kill backend KILL\n 5s kill nginx SEGV\n 5s kill worker SEGV\n 10s signal TERM",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (its turn)
            0.000   worker: stopped -> waiting (waits for backend)
            0.000   nginx: stopped -> waiting (waits for backend)
            0.203   backend: starting -> running (ready after 203ms)
            0.203   spawn worker #1
            0.203   worker: waiting -> starting (its turn)
            1.203   worker: starting -> running (ready after 1s)
            1.203   spawn nginx #1
            1.203   nginx: waiting -> starting (its turn)
            2.203   nginx: starting -> running (ready after 1s)
            2.203   everything is ready
            5.000   backend: running -> waiting (was killed by SIGKILL after 5s; restart now)
            5.000   spawn backend #2
            5.000   backend: waiting -> starting (its turn)
            5.000   nginx: running -> waiting (was killed by SIGSEGV after 3.797s; restart now)
            5.000   worker: running -> waiting (was killed by SIGSEGV after 4.797s; restart now)
            5.000   spawn worker #2
            5.000   worker: waiting -> starting (its turn)
            5.203   backend: starting -> running (ready after 203ms)
            5.203   spawn nginx #2
            5.203   nginx: waiting -> starting (its turn)
            6.000   worker: starting -> running (ready after 1s)
            6.203   nginx: starting -> running (ready after 1s)
            10.000  shutdown: SIGTERM
            10.000  nginx: running -> stopping (shutdown)
            10.000  SIGTERM to the main of nginx
            10.010  nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  worker: running -> stopping (shutdown)
            10.010  SIGTERM to the main of worker
            10.020  worker: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.020  backend: running -> stopping (shutdown)
            10.020  SIGTERM to the main of backend
            10.030  backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.030  SIGTERM to the rest
            10.030  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn ten_failed_starts_are_fatal_and_end_the_container_with_the_programs_status() {
    check(
        "backend: life=5ms/3",
        "",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (its turn)
            0.005   backend: starting -> backoff (exited with status 3 after 5ms; restart in 100ms, 1 of 10 failed)
            0.105   spawn backend #2
            0.105   backend: backoff -> starting (its turn)
            0.110   backend: starting -> backoff (exited with status 3 after 5ms; restart in 200ms, 2 of 10 failed)
            0.310   spawn backend #3
            0.310   backend: backoff -> starting (its turn)
            0.315   backend: starting -> backoff (exited with status 3 after 5ms; restart in 400ms, 3 of 10 failed)
            0.715   spawn backend #4
            0.715   backend: backoff -> starting (its turn)
            0.720   backend: starting -> backoff (exited with status 3 after 5ms; restart in 800ms, 4 of 10 failed)
            1.520   spawn backend #5
            1.520   backend: backoff -> starting (its turn)
            1.525   backend: starting -> backoff (exited with status 3 after 5ms; restart in 1.6s, 5 of 10 failed)
            3.125   spawn backend #6
            3.125   backend: backoff -> starting (its turn)
            3.130   backend: starting -> backoff (exited with status 3 after 5ms; restart in 3.2s, 6 of 10 failed)
            6.330   spawn backend #7
            6.330   backend: backoff -> starting (its turn)
            6.335   backend: starting -> backoff (exited with status 3 after 5ms; restart in 6.4s, 7 of 10 failed)
            12.735  spawn backend #8
            12.735  backend: backoff -> starting (its turn)
            12.740  backend: starting -> backoff (exited with status 3 after 5ms; restart in 12.8s, 8 of 10 failed)
            25.540  spawn backend #9
            25.540  backend: backoff -> starting (its turn)
            25.545  backend: starting -> backoff (exited with status 3 after 5ms; restart in 25.6s, 9 of 10 failed)
            51.145  spawn backend #10
            51.145  backend: backoff -> starting (its turn)
            51.150  backend: starting -> fatal (exited with status 3 after 5ms; gave up after 10)
            51.150  shutdown: backend failed 10 times, exited with status 3
            51.150  SIGTERM to the rest
            51.150  exit 3: backend failed 10 times, exited with status 3
        "#]],
    );
}

#[test]
fn a_program_that_cannot_be_started_ends_the_container_with_1() {
    check(
        "backend: cannot_start start_limit=2",
        "",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> backoff (running "x": not found; restart in 100ms, 1 of 2 failed)
            0.100   spawn backend #2
            0.100   backend: backoff -> fatal (running "x": not found; gave up after 2)
            0.100   shutdown: backend failed 2 times, never came up
            0.100   SIGTERM to the rest
            0.100   exit 1: backend failed 2 times, never came up
        "#]],
    );
}

#[test]
fn an_early_success_is_just_an_end_where_not_every_end_is_followed_by_a_restart() {
    check(
        "migrate: priority=1 restart=never life=300ms/0
         backend: after=migrate life=2s/0 restart=on-failure",
        "",
        expect![[r#"
            0.000   spawn migrate #1
            0.000   migrate: stopped -> starting (its turn)
            0.000   backend: stopped -> waiting (waits for migrate)
            0.300   migrate: starting -> exited (exited with status 0 after 300ms; stays down)
            0.300   spawn backend #1
            0.300   backend: waiting -> starting (its turn)
            1.300   backend: starting -> running (ready after 1s)
            1.300   everything is ready
            2.300   backend: running -> exited (exited with status 0 after 2s; stays down)
            2.300   shutdown: all ended
            2.300   SIGTERM to the rest
            2.300   exit 0: all ended
        "#]],
    );
}

#[test]
fn what_is_not_ready_in_time_is_stopped_and_counts_as_a_failed_start() {
    check(
        "backend: answers=never ready_timeout=1s start_limit=2",
        "",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (its turn)
            1.000   backend: starting -> stopping (not ready within 1s: None)
            1.000   SIGTERM to the main of backend
            1.010   backend: stopping -> backoff (was killed by SIGTERM; restart in 100ms, 1 of 2 failed)
            1.110   spawn backend #2
            1.110   backend: backoff -> starting (its turn)
            2.110   backend: starting -> stopping (not ready within 1s: None)
            2.110   SIGTERM to the main of backend
            2.120   backend: stopping -> fatal (was killed by SIGTERM; gave up after 2)
            2.120   shutdown: backend failed 2 times, never came up
            2.120   SIGTERM to the rest
            2.120   exit 1: backend failed 2 times, never came up
        "#]],
    );
}

#[test]
fn a_line_of_output_makes_ready() {
    check(
        "backend: tells=70ms",
        "1s shutdown",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (its turn)
            0.070   backend: starting -> running (ready after 70ms)
            0.070   everything is ready
            1.000   shutdown: operator
            1.000   backend: running -> stopping (shutdown)
            1.000   SIGTERM to the main of backend
            1.010   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            1.010   SIGTERM to the rest
            1.010   exit 0: operator
        "#]],
    );
}

#[test]
fn the_session_of_a_dead_main_process_goes_before_the_restart() {
    check(
        "gunicorn: others=40ms",
        "5s kill gunicorn KILL\n 8s signal TERM",
        expect![[r#"
            0.000   spawn gunicorn #1
            0.000   gunicorn: stopped -> starting (its turn)
            1.000   gunicorn: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   gunicorn: running -> stopping (was killed by SIGKILL after 5s, left others)
            5.000   SIGTERM to the session of gunicorn
            5.040   gunicorn: stopping -> waiting (was killed by SIGKILL after 5s; restart now)
            5.040   spawn gunicorn #2
            5.040   gunicorn: waiting -> starting (its turn)
            6.040   gunicorn: starting -> running (ready after 1s)
            8.000   shutdown: SIGTERM
            8.000   gunicorn: running -> stopping (shutdown)
            8.000   SIGTERM to the main of gunicorn
            8.010   SIGTERM to the session of gunicorn
            8.050   gunicorn: stopping -> stopped (was killed by SIGTERM within 50ms)
            8.050   SIGTERM to the rest
            8.050   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn what_ignores_term_is_killed_after_its_timeout_and_so_are_the_others_of_its_session() {
    check(
        "stubborn: stops=never others=never stop_timeout=2s",
        "3s signal TERM",
        expect![[r#"
            0.000   spawn stubborn #1
            0.000   stubborn: stopped -> starting (its turn)
            1.000   stubborn: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   shutdown: SIGTERM
            3.000   stubborn: running -> stopping (shutdown)
            3.000   SIGTERM to the main of stubborn
            5.000   SIGKILL to the session of stubborn
            5.000   SIGKILL to the session of stubborn
            5.000   stubborn: stopping -> stopped (was killed by SIGKILL within 2s)
            5.000   SIGTERM to the rest
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
            0.000   server: stopped -> starting (its turn)
            1.000   server: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   server: running -> stopping (ordered)
            3.000   SIGQUIT to the main of server
            4.000   SIGTERM to the main of server
            4.010   server: stopping -> stopped (was killed by SIGTERM within 1.01s)
            9.000   shutdown: SIGTERM
            9.000   SIGTERM to the rest
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
            0.000   server: stopped -> starting (its turn)
            1.000   server: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   shutdown: SIGTERM
            3.000   server: running -> stopping (shutdown)
            3.000   pre_stop of server
            3.300   SIGTERM to the main of server
            3.310   server: stopping -> stopped (was killed by SIGTERM within 310ms)
            3.310   SIGTERM to the rest
            3.310   exit 0: SIGTERM
        "#]],
    );
    check(
        "server: pre_stop=never stop_timeout=1s",
        "3s signal TERM",
        expect![[r#"
            0.000   spawn server #1
            0.000   server: stopped -> starting (its turn)
            1.000   server: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   shutdown: SIGTERM
            3.000   server: running -> stopping (shutdown)
            3.000   pre_stop of server
            4.000   cancel pre_stop of server
            4.000   SIGKILL to the session of server
            4.000   server: stopping -> stopped (was killed by SIGKILL within 1s)
            4.000   SIGTERM to the rest
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
            0.000   one: stopped -> starting (its turn)
            0.000   two: stopped -> waiting (waits for one)
            0.000   three: stopped -> waiting (waits for one)
            1.000   one: starting -> running (ready after 1s)
            1.000   spawn two #1
            1.000   two: waiting -> starting (its turn)
            2.000   two: starting -> running (ready after 1s)
            2.000   spawn three #1
            2.000   three: waiting -> starting (its turn)
            3.000   three: starting -> running (ready after 1s)
            3.000   everything is ready
            5.000   shutdown: SIGTERM
            5.000   three: running -> stopping (shutdown)
            5.000   SIGTERM to the main of three
            5.010   three: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   two: running -> stopping (shutdown)
            5.010   SIGTERM to the main of two
            7.010   SIGKILL to the session of two
            7.010   two: stopping -> stopped (was killed by SIGKILL within 2s)
            7.010   one: running -> stopping (shutdown)
            7.010   SIGTERM to the main of one
            8.000   SIGKILL to the session of one
            8.000   one: stopping -> stopped (was killed by SIGKILL within 990ms)
            8.000   SIGKILL to the rest
            8.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_second_signal_kills_what_is_left_at_once() {
    check(
        "stubborn: stops=never",
        "2s signal TERM\n 3s signal TERM",
        expect![[r#"
            0.000   spawn stubborn #1
            0.000   stubborn: stopped -> starting (its turn)
            1.000   stubborn: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   shutdown: SIGTERM
            2.000   stubborn: running -> stopping (shutdown)
            2.000   SIGTERM to the main of stubborn
            3.000   SIGKILL to the session of stubborn
            3.000   stubborn: stopping -> stopped (was killed by SIGKILL within 1s)
            3.000   SIGKILL to the rest
            3.000   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_stop_while_starting_is_obeyed_at_once_and_a_start_begins_afresh() {
    check(
        "backend: answers=2s",
        "1s stop backend\n 3s start backend\n 3s start backend\n 8s stop backend\n 9s shutdown",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (its turn)
            1.000   backend: starting -> stopping (ordered)
            1.000   SIGTERM to the main of backend
            1.000   everything is ready
            1.010   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.000   spawn backend #2
            3.000   backend: stopped -> starting (its turn)
            5.021   backend: starting -> running (ready after 2.021s)
            8.000   backend: running -> stopping (ordered)
            8.000   SIGTERM to the main of backend
            8.010   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.000   shutdown: operator
            9.000   SIGTERM to the rest
            9.000   exit 0: operator
        "#]],
    );
}

#[test]
fn a_stop_in_backoff_is_immediate_and_a_start_of_the_fatal_has_a_fresh_count() {
    check(
        "flaky: life=5ms/1 start_limit=2 on_failure=ignore
         other:",
        "1s start flaky\n 1s stop flaky\n 3s shutdown",
        expect![[r#"
            0.000   spawn flaky #1
            0.000   flaky: stopped -> starting (its turn)
            0.000   spawn other #1
            0.000   other: stopped -> starting (its turn)
            0.005   flaky: starting -> backoff (exited with status 1 after 5ms; restart in 100ms, 1 of 2 failed)
            0.105   spawn flaky #2
            0.105   flaky: backoff -> starting (its turn)
            0.110   flaky: starting -> fatal (exited with status 1 after 5ms; gave up after 2)
            1.000   spawn flaky #3
            1.000   flaky: stopped -> starting (its turn)
            1.000   flaky: starting -> stopping (ordered)
            1.000   SIGTERM to the main of flaky
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            1.005   flaky: stopping -> stopped (exited with status 1 within 5ms)
            3.000   shutdown: operator
            3.000   other: running -> stopping (shutdown)
            3.000   SIGTERM to the main of other
            3.010   other: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   SIGTERM to the rest
            3.010   exit 0: operator
        "#]],
    );
}

#[test]
fn what_requires_a_program_goes_down_before_it_and_comes_back_with_it() {
    check(
        "db: priority=1
         web: requires=db
         proxy: requires=web",
        "5s stop db\n 10s start db\n 20s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (its turn)
            0.000   web: stopped -> waiting (waits for db)
            0.000   proxy: stopped -> waiting (waits for web)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (its turn)
            2.000   web: starting -> running (ready after 1s)
            2.000   spawn proxy #1
            2.000   proxy: waiting -> starting (its turn)
            3.000   proxy: starting -> running (ready after 1s)
            3.000   everything is ready
            5.000   proxy: running -> stopping (web is down)
            5.000   SIGTERM to the main of proxy
            5.010   proxy: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   web: running -> stopping (db is down)
            5.010   SIGTERM to the main of web
            5.020   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.020   db: running -> stopping (ordered)
            5.020   SIGTERM to the main of db
            5.030   db: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.000  spawn db #2
            10.000  db: stopped -> starting (its turn)
            11.000  db: starting -> running (ready after 1s)
            11.000  spawn web #2
            11.000  web: waiting -> starting (its turn)
            12.000  web: starting -> running (ready after 1s)
            12.000  spawn proxy #2
            12.000  proxy: waiting -> starting (its turn)
            13.000  proxy: starting -> running (ready after 1s)
            20.000  shutdown: SIGTERM
            20.000  proxy: running -> stopping (shutdown)
            20.000  SIGTERM to the main of proxy
            20.010  proxy: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  web: running -> stopping (shutdown)
            20.010  SIGTERM to the main of web
            20.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  db: running -> stopping (shutdown)
            20.020  SIGTERM to the main of db
            20.030  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.030  SIGTERM to the rest
            20.030  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_restart_of_all_goes_down_and_up_in_order() {
    check(
        "db: priority=1
         web: priority=2 after=db",
        "5s restart all\n 20s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   db: stopped -> starting (its turn)
            0.000   web: stopped -> waiting (waits for db)
            1.000   db: starting -> running (ready after 1s)
            1.000   spawn web #1
            1.000   web: waiting -> starting (its turn)
            2.000   web: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   web: running -> stopping (ordered)
            5.000   SIGTERM to the main of web
            5.010   web: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.010   db: running -> stopping (ordered)
            5.010   SIGTERM to the main of db
            5.020   db: stopping -> waiting (was killed by SIGTERM within 10ms)
            5.020   spawn db #2
            5.020   db: waiting -> starting (its turn)
            6.020   db: starting -> running (ready after 1s)
            6.020   spawn web #2
            6.020   web: waiting -> starting (its turn)
            7.020   web: starting -> running (ready after 1s)
            20.000  shutdown: SIGTERM
            20.000  web: running -> stopping (shutdown)
            20.000  SIGTERM to the main of web
            20.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.010  db: running -> stopping (shutdown)
            20.010  SIGTERM to the main of db
            20.020  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            20.020  SIGTERM to the rest
            20.020  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn what_is_after_something_not_autostarted_waits_and_holds_nobody_up() {
    check(
        "debug: priority=1 autostart=false
         probe: priority=2 after=debug
         web: priority=3",
        "5s start debug\n 9s signal TERM",
        expect![[r#"
            0.000   probe: stopped -> waiting (waits for debug)
            0.000   spawn web #1
            0.000   web: stopped -> starting (its turn)
            1.000   web: starting -> running (ready after 1s)
            5.000   spawn debug #1
            5.000   debug: stopped -> starting (its turn)
            6.000   debug: starting -> running (ready after 1s)
            6.000   spawn probe #1
            6.000   probe: waiting -> starting (its turn)
            7.000   probe: starting -> running (ready after 1s)
            7.000   everything is ready
            9.000   shutdown: SIGTERM
            9.000   web: running -> stopping (shutdown)
            9.000   SIGTERM to the main of web
            9.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   probe: running -> stopping (shutdown)
            9.010   SIGTERM to the main of probe
            9.020   probe: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.020   debug: running -> stopping (shutdown)
            9.020   SIGTERM to the main of debug
            9.030   debug: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.030   SIGTERM to the rest
            9.030   exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn the_container_ends_when_everything_has_ended_by_itself_but_not_what_was_stopped() {
    check(
        "one: restart=never life=2s/0\n two: restart=never life=3s/7 on_failure=ignore",
        "",
        expect![[r#"
            0.000   spawn one #1
            0.000   one: stopped -> starting (its turn)
            0.000   spawn two #1
            0.000   two: stopped -> starting (its turn)
            1.000   one: starting -> running (ready after 1s)
            1.000   two: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   one: running -> exited (exited with status 0 after 2s; stays down)
            3.000   two: running -> fatal (exited with status 7 after 3s; failed)
            3.000   shutdown: all ended
            3.000   SIGTERM to the rest
            3.000   exit 0: all ended
        "#]],
    );
    check(
        "one: restart=never life=2s/0\n two:",
        "1s stop two\n 60s signal TERM",
        expect![[r#"
            0.000   spawn one #1
            0.000   one: stopped -> starting (its turn)
            0.000   spawn two #1
            0.000   two: stopped -> starting (its turn)
            1.000   two: starting -> stopping (ordered)
            1.000   SIGTERM to the main of two
            1.000   one: starting -> running (ready after 1s)
            1.000   everything is ready
            1.010   two: stopping -> stopped (was killed by SIGTERM within 10ms)
            2.000   one: running -> exited (exited with status 0 after 2s; stays down)
            60.000  shutdown: SIGTERM
            60.000  SIGTERM to the rest
            60.000  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn on_exit_shutdown_ends_the_container_with_the_programs_status() {
    check(
        "job: restart=on-failure life=2s/0 on_exit=shutdown\n other:",
        "",
        expect![[r#"
            0.000   spawn job #1
            0.000   job: stopped -> starting (its turn)
            0.000   spawn other #1
            0.000   other: stopped -> starting (its turn)
            1.000   job: starting -> running (ready after 1s)
            1.000   other: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   job: running -> exited (exited with status 0 after 2s; stays down)
            2.000   shutdown: job exited with status 0
            2.000   other: running -> stopping (shutdown)
            2.000   SIGTERM to the main of other
            2.010   other: stopping -> stopped (was killed by SIGTERM within 10ms)
            2.010   SIGTERM to the rest
            2.010   exit 0: job exited with status 0
        "#]],
    );
}

#[test]
fn the_failure_of_one_instance_is_not_the_failure_of_the_program() {
    check(
        "web: instances=2 restart=never",
        "2s signal WINCH\n 3s exit web 1",
        expect![[r#"
            0.000   spawn web.0 #1
            0.000   web.0: stopped -> starting (its turn)
            0.000   spawn web.1 #1
            0.000   web.1: stopped -> starting (its turn)
            1.000   web.0: starting -> running (ready after 1s)
            1.000   web.1: starting -> running (ready after 1s)
            1.000   everything is ready
            3.000   web.0: running -> fatal (exited with status 1 after 3s; failed)
        "#]],
    );
}

#[test]
fn signals_are_forwarded_and_rewritten_as_the_table_says() {
    check(
        "nginx: \n USR1=nginx HUP\n PWR=shutdown",
        "2s signal USR1\n 2s signal USR2\n 2s signal HUP\n 2s signal WINCH\n 3s signal PWR",
        expect![[r#"
            0.000   spawn nginx #1
            0.000   nginx: stopped -> starting (its turn)
            1.000   nginx: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   SIGHUP to the main of nginx
            2.000   write status
            2.000   update
            3.000   shutdown: SIGPWR
            3.000   nginx: running -> stopping (shutdown)
            3.000   SIGTERM to the main of nginx
            3.010   nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
            3.010   SIGTERM to the rest
            3.010   exit 0: SIGPWR
        "#]],
    );
}

#[test]
fn a_daemon_that_ignores_term_is_swept_with_kill() {
    let mut world = World::new("web:");
    world.script("0s boot");
    world.orphans = Some(sim::Stubbornness::Ignores);
    world.script("2s signal TERM");
    world.run(Duration::from_secs(60));
    expect![[r#"
        0.000   spawn web #1
        0.000   web: stopped -> starting (its turn)
        1.000   web: starting -> running (ready after 1s)
        1.000   everything is ready
        2.000   shutdown: SIGTERM
        2.000   web: running -> stopping (shutdown)
        2.000   SIGTERM to the main of web
        2.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
        2.010   SIGTERM to the rest
        2.510   SIGKILL to the rest
        2.510   exit 0: SIGTERM
    "#]]
    .assert_eq(&(world.trace.join("\n") + "\n"));
}
