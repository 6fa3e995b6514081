//! How programs start, become ready, crash and come back.
//!
//! Each test is a scenario in virtual time; see `main.rs`.

use expect_test::expect;

use crate::check;

#[test]
fn a_program_that_had_been_up_is_restarted_at_once() {
    check(
        "backend: priority=10",
        "5s kill backend KILL\n 10s signal TERM",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (started)
            1.000   backend: starting -> running (ready after 1s)
            1.000   everything is ready
            5.000   backend: running -> waiting (was killed by SIGKILL after 5s; restart now)
            5.000   spawn backend #2
            5.000   backend: waiting -> starting (started)
            6.000   backend: starting -> running (ready after 1s)
            10.000  shutdown: SIGTERM
            10.000  backend: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of backend
            10.010  backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  sweep with SIGTERM
            10.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_crash_in_a_lower_tier_delays_only_its_dependants() {
    check(
        "backend: priority=10 ready=200ms
         nginx: after=backend
         worker: priority=20",
        "5s kill backend KILL\n 5s kill nginx SEGV\n 5s kill worker SEGV\n 10s signal TERM",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (started)
            0.000   worker: stopped -> waiting (waits for backend)
            0.000   nginx: stopped -> waiting (waits for backend)
            0.201   backend: starting -> running (ready after 201ms)
            0.201   spawn worker #1
            0.201   worker: waiting -> starting (started)
            1.201   worker: starting -> running (ready after 1s)
            1.201   spawn nginx #1
            1.201   nginx: waiting -> starting (started)
            2.201   nginx: starting -> running (ready after 1s)
            2.201   everything is ready
            5.000   backend: running -> waiting (was killed by SIGKILL after 5s; restart now)
            5.000   spawn backend #2
            5.000   backend: waiting -> starting (started)
            5.000   nginx: running -> waiting (was killed by SIGSEGV after 3.799s; restart now)
            5.000   worker: running -> waiting (was killed by SIGSEGV after 4.799s; restart now)
            5.000   spawn worker #2
            5.000   worker: waiting -> starting (started)
            5.201   backend: starting -> running (ready after 201ms)
            5.201   spawn nginx #2
            5.201   nginx: waiting -> starting (started)
            6.000   worker: starting -> running (ready after 1s)
            6.201   nginx: starting -> running (ready after 1s)
            10.000  shutdown: SIGTERM
            10.000  nginx: running -> stopping (shutdown)
            10.000  SIGTERM to the main process of nginx
            10.010  nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.010  worker: running -> stopping (shutdown)
            10.010  SIGTERM to the main process of worker
            10.020  worker: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.020  backend: running -> stopping (shutdown)
            10.020  SIGTERM to the main process of backend
            10.030  backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.030  sweep with SIGTERM
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
            0.000   backend: stopped -> starting (started)
            0.005   backend: starting -> backoff (exited with status 3 after 5ms; restart in 100ms, 1 of 10 failed)
            0.105   spawn backend #2
            0.105   backend: backoff -> starting (started)
            0.110   backend: starting -> backoff (exited with status 3 after 5ms; restart in 200ms, 2 of 10 failed)
            0.310   spawn backend #3
            0.310   backend: backoff -> starting (started)
            0.315   backend: starting -> backoff (exited with status 3 after 5ms; restart in 400ms, 3 of 10 failed)
            0.715   spawn backend #4
            0.715   backend: backoff -> starting (started)
            0.720   backend: starting -> backoff (exited with status 3 after 5ms; restart in 800ms, 4 of 10 failed)
            1.520   spawn backend #5
            1.520   backend: backoff -> starting (started)
            1.525   backend: starting -> backoff (exited with status 3 after 5ms; restart in 1.6s, 5 of 10 failed)
            3.125   spawn backend #6
            3.125   backend: backoff -> starting (started)
            3.130   backend: starting -> backoff (exited with status 3 after 5ms; restart in 3.2s, 6 of 10 failed)
            6.330   spawn backend #7
            6.330   backend: backoff -> starting (started)
            6.335   backend: starting -> backoff (exited with status 3 after 5ms; restart in 6.4s, 7 of 10 failed)
            12.735  spawn backend #8
            12.735  backend: backoff -> starting (started)
            12.740  backend: starting -> backoff (exited with status 3 after 5ms; restart in 12.8s, 8 of 10 failed)
            25.540  spawn backend #9
            25.540  backend: backoff -> starting (started)
            25.545  backend: starting -> backoff (exited with status 3 after 5ms; restart in 25.6s, 9 of 10 failed)
            51.145  spawn backend #10
            51.145  backend: backoff -> starting (started)
            51.150  backend: starting -> fatal (exited with status 3 after 5ms; gave up after 10)
            51.150  shutdown: backend failed 10 times, exited with status 3
            51.150  sweep with SIGTERM
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
            0.000   backend: stopped -> starting (started)
            0.000   backend: starting -> backoff (running `x`: not found; restart in 100ms, 1 of 2 failed)
            0.100   spawn backend #2
            0.100   backend: backoff -> starting (started)
            0.100   backend: starting -> fatal (running `x`: not found; gave up after 2)
            0.100   shutdown: backend failed 2 times, running `x`: not found
            0.100   sweep with SIGTERM
            0.100   exit 1: backend failed 2 times, running `x`: not found
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
            0.000   migrate: stopped -> starting (started)
            0.000   backend: stopped -> waiting (waits for migrate)
            0.300   migrate: starting -> exited (exited with status 0 after 300ms; stays down)
            0.300   spawn backend #1
            0.300   backend: waiting -> starting (started)
            1.300   backend: starting -> running (ready after 1s)
            1.300   everything is ready
            2.300   backend: running -> exited (exited with status 0 after 2s; stays down)
            2.300   shutdown: all ended
            2.300   sweep with SIGTERM
            2.300   exit 0: all ended
        "#]],
    );
}

#[test]
fn a_line_of_output_makes_a_program_ready() {
    check(
        "backend: notify=70ms",
        "1s shutdown",
        expect![[r#"
            0.000   spawn backend #1
            0.000   backend: stopped -> starting (started)
            0.070   backend: starting -> running (ready after 70ms)
            0.070   everything is ready
            1.000   shutdown: operator
            1.000   backend: running -> stopping (shutdown)
            1.000   SIGTERM to the main process of backend
            1.010   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            1.010   sweep with SIGTERM
            1.010   exit 0: operator
        "#]],
    );
}

#[test]
fn a_program_after_one_that_is_not_autostarted_waits_and_delays_no_higher_tier() {
    check(
        "debug: priority=1 autostart=false
         probe: priority=2 after=debug
         web: priority=3",
        "5s start debug\n 9s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   probe: stopped -> waiting (waits for debug)
            0.000   web: stopped -> starting (started)
            1.000   web: starting -> running (ready after 1s)
            5.000   spawn debug #1
            5.000   debug: stopped -> starting (started)
            6.000   debug: starting -> running (ready after 1s)
            6.000   spawn probe #1
            6.000   probe: waiting -> starting (started)
            7.000   probe: starting -> running (ready after 1s)
            7.000   everything is ready
            9.000   shutdown: SIGTERM
            9.000   web: running -> stopping (shutdown)
            9.000   SIGTERM to the main process of web
            9.010   web: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.010   probe: running -> stopping (shutdown)
            9.010   SIGTERM to the main process of probe
            9.020   probe: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.020   debug: running -> stopping (shutdown)
            9.020   SIGTERM to the main process of debug
            9.030   debug: stopping -> stopped (was killed by SIGTERM within 10ms)
            9.030   sweep with SIGTERM
            9.030   exit 0: SIGTERM
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
            0.000   spawn web.1 #2
            0.000   web.0: stopped -> starting (started)
            0.000   web.1: stopped -> starting (started)
            1.000   web.0: starting -> running (ready after 1s)
            1.000   web.1: starting -> running (ready after 1s)
            1.000   everything is ready
            2.000   SIGWINCH ignored
            3.000   web.0: running -> fatal (exited with status 1 after 3s; failed)
        "#]],
    );
}

#[test]
fn tiers_that_start_together_wait_for_nothing_and_stop_in_order() {
    check(
        "start=together
         nginx: priority=20
         backend: priority=10
         late: priority=30 after=backend",
        "5s signal TERM",
        expect![[r#"
            0.000   spawn backend #1
            0.000   spawn nginx #1
            0.000   backend: stopped -> starting (started)
            0.000   nginx: stopped -> starting (started)
            0.000   late: stopped -> waiting (waits for backend)
            1.000   nginx: starting -> running (ready after 1s)
            1.000   backend: starting -> running (ready after 1s)
            1.000   spawn late #1
            1.000   late: waiting -> starting (started)
            2.000   late: starting -> running (ready after 1s)
            2.000   everything is ready
            5.000   shutdown: SIGTERM
            5.000   late: running -> stopping (shutdown)
            5.000   SIGTERM to the main process of late
            5.010   late: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.010   nginx: running -> stopping (shutdown)
            5.010   SIGTERM to the main process of nginx
            5.020   nginx: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.020   backend: running -> stopping (shutdown)
            5.020   SIGTERM to the main process of backend
            5.030   backend: stopping -> stopped (was killed by SIGTERM within 10ms)
            5.030   sweep with SIGTERM
            5.030   exit 0: SIGTERM
        "#]],
    );
}
