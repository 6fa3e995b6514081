//! Jobs: when they run, what happens when a run is under way, orders, clocks, updates and the shutdown.
//!
//! Each test is a scenario in virtual time; see `main.rs`. The wall clock starts in 1970.

use expect_test::expect;

use crate::{check, check_updates};

#[test]
fn a_job_runs_whenever_it_is_due_and_its_failure_changes_nothing() {
    check(
        "web: ready=100ms
         backup: every=10s life=2s/3",
        "25s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.101   web: starting -> running (ready after 101ms)
            0.101   everything is ready
            10.000  spawn backup #1
            10.000  backup: idle -> running (started)
            12.000  backup: running -> idle (exited with status 3 after 2s; failed)
            20.000  spawn backup #2
            20.000  backup: idle -> running (started)
            22.000  backup: running -> idle (exited with status 3 after 2s; failed)
            25.000  shutdown: SIGTERM
            25.000  web: running -> stopping (shutdown)
            25.000  SIGTERM to the main process of web
            25.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            25.010  sweep with SIGTERM
            25.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_job_neither_waits_for_tiers_nor_holds_them_up() {
    check(
        "db: priority=10 ready=12s
         web: ready=100ms
         backup: every=10s life=20s at_start",
        "33s signal TERM",
        expect![[r#"
            0.000   spawn db #1
            0.000   spawn backup #1
            0.000   db: stopped -> starting (started)
            0.000   web: stopped -> waiting (waits for db)
            0.000   backup: idle -> running (started)
            10.000  backup: skipped
            12.001  db: starting -> running (ready after 12.001s)
            12.001  spawn web #1
            12.001  web: waiting -> starting (started)
            12.201  web: starting -> running (ready after 200ms)
            12.201  everything is ready
            20.000  backup: running -> idle (exited with status 0 after 20s; stays down)
            20.000  spawn backup #2
            20.000  backup: idle -> running (started)
            30.000  backup: skipped
            33.000  shutdown: SIGTERM
            33.000  backup: running -> stopping (shutdown)
            33.000  SIGTERM to the main process of backup
            33.010  backup: stopping -> idle (was killed by SIGTERM within 10ms)
            33.010  web: running -> stopping (shutdown)
            33.010  SIGTERM to the main process of web
            33.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            33.020  db: running -> stopping (shutdown)
            33.020  SIGTERM to the main process of db
            33.030  db: stopping -> stopped (was killed by SIGTERM within 10ms)
            33.030  sweep with SIGTERM
            33.030  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_job_that_is_due_during_a_run_is_skipped_or_waits_or_kills() {
    for overlap in ["skip", "wait", "kill"] {
        let expected = match overlap {
            "skip" => expect![[r#"
                0.000   spawn web #1
                0.000   web: stopped -> starting (started)
                0.101   web: starting -> running (ready after 101ms)
                0.101   everything is ready
                10.000  spawn backup #1
                10.000  backup: idle -> running (started)
                20.000  backup: skipped
                30.000  backup: skipped
                35.000  backup: running -> idle (exited with status 0 after 25s; stays down)
                40.000  spawn backup #2
                40.000  backup: idle -> running (started)
                46.000  shutdown: SIGTERM
                46.000  backup: running -> stopping (shutdown)
                46.000  SIGTERM to the main process of backup
                46.010  backup: stopping -> idle (was killed by SIGTERM within 10ms)
                46.010  web: running -> stopping (shutdown)
                46.010  SIGTERM to the main process of web
                46.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
                46.020  sweep with SIGTERM
                46.020  exit 0: SIGTERM
            "#]],
            "wait" => expect![[r#"
                0.000   spawn web #1
                0.000   web: stopped -> starting (started)
                0.101   web: starting -> running (ready after 101ms)
                0.101   everything is ready
                10.000  spawn backup #1
                10.000  backup: idle -> running (started)
                30.000  backup: skipped
                35.000  backup: running -> idle (exited with status 0 after 25s; stays down)
                35.000  spawn backup #2
                35.000  backup: idle -> running (started)
                46.000  shutdown: SIGTERM
                46.000  backup: running -> stopping (shutdown)
                46.000  SIGTERM to the main process of backup
                46.010  backup: stopping -> idle (was killed by SIGTERM within 10ms)
                46.010  web: running -> stopping (shutdown)
                46.010  SIGTERM to the main process of web
                46.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
                46.020  sweep with SIGTERM
                46.020  exit 0: SIGTERM
            "#]],
            _ => expect![[r#"
                0.000   spawn web #1
                0.000   web: stopped -> starting (started)
                0.101   web: starting -> running (ready after 101ms)
                0.101   everything is ready
                10.000  spawn backup #1
                10.000  backup: idle -> running (started)
                20.000  backup: running -> stopping (due again)
                20.000  SIGTERM to the main process of backup
                20.010  backup: stopping -> waiting (was killed by SIGTERM within 10ms)
                20.010  spawn backup #2
                20.010  backup: waiting -> running (started)
                30.000  backup: running -> stopping (due again)
                30.000  SIGTERM to the main process of backup
                30.010  backup: stopping -> waiting (was killed by SIGTERM within 10ms)
                30.010  spawn backup #3
                30.010  backup: waiting -> running (started)
                40.000  backup: running -> stopping (due again)
                40.000  SIGTERM to the main process of backup
                40.010  backup: stopping -> waiting (was killed by SIGTERM within 10ms)
                40.010  spawn backup #4
                40.010  backup: waiting -> running (started)
                46.000  shutdown: SIGTERM
                46.000  backup: running -> stopping (shutdown)
                46.000  SIGTERM to the main process of backup
                46.010  backup: stopping -> idle (was killed by SIGTERM within 10ms)
                46.010  web: running -> stopping (shutdown)
                46.010  SIGTERM to the main process of web
                46.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
                46.020  sweep with SIGTERM
                46.020  exit 0: SIGTERM
            "#]],
        };
        check(
            &format!("web: ready=100ms\n backup: every=10s life=25s/0 job_overlap={overlap}"),
            "46s signal TERM",
            expected,
        );
    }
}

#[test]
fn stop_pauses_start_resumes_and_run_runs_it_now() {
    check(
        "web: ready=100ms
         backup: every=10s life=2s",
        "11s stop backup\n 35s run backup\n 45s start backup\n 51s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.101   web: starting -> running (ready after 101ms)
            0.101   everything is ready
            10.000  spawn backup #1
            10.000  backup: idle -> running (started)
            11.000  backup: running -> paused (requested)
            11.000  backup: running -> stopping (requested)
            11.000  SIGTERM to the main process of backup
            11.010  backup: stopping -> idle (was killed by SIGTERM within 10ms)
            35.000  spawn backup #2
            35.000  backup: idle -> running (started)
            37.000  backup: running -> idle (exited with status 0 after 2s; stays down)
            45.000  backup: paused -> idle (requested)
            50.000  spawn backup #3
            50.000  backup: idle -> running (started)
            51.000  shutdown: SIGTERM
            51.000  backup: running -> stopping (shutdown)
            51.000  SIGTERM to the main process of backup
            51.010  backup: stopping -> idle (was killed by SIGTERM within 10ms)
            51.010  web: running -> stopping (shutdown)
            51.010  SIGTERM to the main process of web
            51.020  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            51.020  sweep with SIGTERM
            51.020  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_clock_that_is_set_loses_no_run_and_repeats_none() {
    // The first hour, a jump of two hours and a half, and back.
    check(
        "web: ready=100ms
         report: cron=0_*_*_*_* life=2s",
        "0s clock 3590\n 20s clock 14400\n 30s clock 5000\n 40s clock 17999\n 50s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.101   web: starting -> running (ready after 101ms)
            0.101   everything is ready
            10.000  spawn report #1
            10.000  report: idle -> running (started)
            12.000  report: running -> idle (exited with status 0 after 2s; stays down)
            20.000  report: skipped 2 times
            20.000  spawn report #2
            20.000  report: idle -> running (started)
            22.000  report: running -> idle (exited with status 0 after 2s; stays down)
            41.000  spawn report #3
            41.000  report: idle -> running (started)
            43.000  report: running -> idle (exited with status 0 after 2s; stays down)
            50.000  shutdown: SIGTERM
            50.000  web: running -> stopping (shutdown)
            50.000  SIGTERM to the main process of web
            50.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            50.010  sweep with SIGTERM
            50.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn an_update_changes_the_times_of_a_job_and_interrupts_no_run() {
    check_updates(
        "web: ready=100ms
         backup: every=10s life=4s",
        &[
            ("11s", "web: ready=100ms\n backup: every=15s life=4s v=2\n clean: every=20s life=1s at_start"),
            ("32s", "web: ready=100ms"),
        ],
        "50s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   web: stopped -> starting (started)
            0.101   web: starting -> running (ready after 101ms)
            0.101   everything is ready
            10.000  spawn backup #1
            10.000  backup: idle -> running (started)
            11.000  updated
            11.000  spawn clean #1
            11.000  clean: idle -> running (started)
            12.000  clean: running -> idle (exited with status 0 after 1s; stays down)
            14.000  backup: running -> idle (exited with status 0 after 4s; stays down)
            15.000  spawn backup #2
            15.000  backup: idle -> running (started)
            19.000  backup: running -> idle (exited with status 0 after 4s; stays down)
            20.000  spawn clean #2
            20.000  clean: idle -> running (started)
            21.000  clean: running -> idle (exited with status 0 after 1s; stays down)
            30.000  spawn backup #3
            30.000  backup: idle -> running (started)
            32.000  updated
            32.000  forget clean
            32.000  backup: running -> stopping (removed)
            32.000  SIGTERM to the main process of backup
            32.010  backup: stopping -> idle (was killed by SIGTERM within 10ms)
            32.010  forget backup
            50.000  shutdown: SIGTERM
            50.000  web: running -> stopping (shutdown)
            50.000  SIGTERM to the main process of web
            50.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            50.010  sweep with SIGTERM
            50.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_program_that_becomes_a_job_is_stopped_and_does_not_run_before_it_is_due() {
    check_updates(
        "web: ready=100ms
         tick: ready=100ms",
        &[("2s", "web: ready=100ms\n tick: every=10s life=1s v=2")],
        "15s signal TERM",
        expect![[r#"
            0.000   spawn web #1
            0.000   spawn tick #1
            0.000   web: stopped -> starting (started)
            0.000   tick: stopped -> starting (started)
            0.101   web: starting -> running (ready after 101ms)
            0.101   tick: starting -> running (ready after 101ms)
            0.101   everything is ready
            2.000   updated
            2.000   tick: running -> stopping (changed)
            2.000   SIGTERM to the main process of tick
            2.010   tick: stopping -> stopped (was killed by SIGTERM within 10ms)
            10.000  spawn tick #2
            10.000  tick: idle -> running (started)
            11.000  tick: running -> idle (exited with status 0 after 1s; stays down)
            15.000  shutdown: SIGTERM
            15.000  web: running -> stopping (shutdown)
            15.000  SIGTERM to the main process of web
            15.010  web: stopping -> stopped (was killed by SIGTERM within 10ms)
            15.010  sweep with SIGTERM
            15.010  exit 0: SIGTERM
        "#]],
    );
}

#[test]
fn a_container_of_jobs_does_not_end_by_itself_and_none_starts_during_the_shutdown() {
    check(
        "backup: every=10s life=4s stops=8s/0",
        "21s signal TERM",
        expect![[r#"
        0.000   everything is ready
        10.000  spawn backup #1
        10.000  backup: idle -> running (started)
        14.000  backup: running -> idle (exited with status 0 after 4s; stays down)
        20.000  spawn backup #2
        20.000  backup: idle -> running (started)
        21.000  shutdown: SIGTERM
        21.000  backup: running -> stopping (shutdown)
        21.000  SIGTERM to the main process of backup
        24.000  backup: stopping -> idle (exited with status 0 within 3s)
        24.000  sweep with SIGTERM
        24.000  exit 0: SIGTERM
    "#]],
    );
}
