//! After an exit: restarts, growing delays, fatal programs, the exit status and the reason.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Injector, Running, may_make_namespaces};

fn kill_program(foster: &Running, program: &str) -> i32 {
    let pid = foster.pid_of(program);
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("a signal to the program");
    pid
}

#[test]
fn a_program_that_crashes_after_a_good_start_is_restarted_at_once() {
    let config = "[program.backend]\ncommand = 'puppet append:starts:x pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("backend", "running");
    let killed = kill_program(&foster, "backend");
    foster.wait_for("the second start", || foster.content("starts") == "x\nx\n");
    foster.wait_for_state("backend", "running");
    assert_ne!(foster.pid_of("backend"), killed);
    foster.wait_for_line(r"backend.*was killed by SIGKILL");
    assert_eq!(foster.row("backend").expect("a row")["restarts"], 1);
}

#[test]
fn a_backend_that_always_fails_ends_the_container_with_its_status_and_the_reason() {
    let config = "[program.backend]\ncommand = 'puppet print:connecting stderr:no_database exit:3'\nstart_limit = 4\nbackoff = { initial = '20ms', factor = 2, max = '1s' }\n[foster]\ntermination_log = 'termination-log'\n";
    let mut foster = Foster::new().config(config).file("termination-log", "").start();
    assert_eq!(foster.wait_exit(), End::Code(3), "{}", foster.output().shown());
    let stderr = foster.output().stderr();
    let waits: Vec<&str> = stderr.lines().filter(|line| line.contains("restart in")).collect();
    assert_eq!(waits.len(), 3, "{stderr}");
    let (attempts, summary) = stderr.split_once("exit status 3").expect("a summary");
    assert_eq!(attempts.matches("no_database").count(), 4, "{stderr}");
    assert!(summary.contains("no_database"), "{stderr}");
    let reason = foster.content("termination-log");
    assert!(reason.contains("backend") && reason.contains("status 3"), "{reason}");
    assert!(reason.contains("no_database") && reason.contains("connecting"), "{reason}");
    // The same summary is the last thing on stderr.
    let last = reason.lines().last().expect("a reason");
    assert!(stderr.trim_end().ends_with(last.trim_end()), "{reason}\n----\n{stderr}");
}

#[test]
fn delays_grow_and_the_failure_count_is_reset_after_a_long_run() {
    let config = "[program.app]\ncommand = 'puppet fail-first:count:2:7 pause'\nmin_uptime = '50ms'\nbackoff = { initial = '200ms', factor = 2, max = '1s', reset = '100ms' }\nstart_limit = 4\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "running");
    foster.wait_for_line(r"app.*exited with status 7.*restart in 200ms .failure 1 of 4");
    foster.wait_for_line(r"app.*exited with status 7.*restart in 400ms .failure 2 of 4");
    kill_program(&foster, "app");
    foster.wait_for("the restart after the kill", || foster.content("count").lines().count() == 4);
    foster.wait_for_state("app", "running");
}

#[test]
fn a_termination_log_has_at_most_4096_bytes_and_is_never_created() {
    let config = "[program.app]\ncommand = 'puppet line:9000 exit:1'\nrestart = 'never'\n[foster]\ntermination_log = 'termination-log'\n";
    let mut foster = Foster::new().config(config).file("termination-log", "").start();
    assert_eq!(foster.wait_exit(), End::Code(1));
    let length = foster.content("termination-log").len();
    assert!((1..=4096).contains(&length), "{length}");
    drop(foster);

    let mut without = Foster::new().config(config).start();
    assert_eq!(without.wait_exit(), End::Code(1));
    assert!(!without.path("termination-log").exists());
}

#[test]
fn a_program_killed_by_a_signal_ends_the_container_with_128_plus_its_number() {
    let config = "[program.app]\ncommand = 'puppet crash:SEGV'\nrestart = 'never'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(128 + 11));
    foster.wait_for_line("app.*was killed by SIGSEGV");
}

#[test]
fn on_exit_and_on_failure_decide_whether_an_exit_ends_the_container() {
    let ended = |keys: &str, code: u8| {
        let config = format!(
            "[program.app]\ncommand = 'puppet exit:{code}'\nrestart = 'never'\n{keys}\n[program.other]\ncommand = 'puppet touch:other pause'\npriority = 1\nready = {{ file = 'other' }}\n"
        );
        Foster::new().config(&config).start()
    };
    assert_eq!(ended("on_exit = 'shutdown'", 0).wait_exit(), End::Code(0));
    assert_eq!(ended("", 9).wait_exit(), End::Code(9));
    let ignored = ended("on_failure = 'ignore'", 9);
    ignored.wait_for("the end of app", || ignored.row("app").is_some_and(|row| row["exit"]["code"] == 9));
    assert!(ignored.is_alive());
    ignored.wait_for_state("other", "running");
}

#[test]
fn other_exit_codes_can_count_as_success() {
    let config =
        "[program.app]\ncommand = 'puppet exit:42'\nrestart = 'on-failure'\nsuccess_exit_codes = [0, 42]\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(0));
    assert_eq!(foster.output().stderr().matches("restart in").count(), 0, "{}", foster.output().shown());
}

#[test]
fn other_processes_of_the_session_are_stopped_before_the_restart() {
    // The worker of a killed master holds the port, so the next master could not listen.
    let port = crate::support::free_port();
    let config = format!(
        "[program.master]\ncommand = \"puppet append:starts:x 'child:ignore:TERM listen:tcp:{port} touch:worker pause' wait-file:worker pause\"\nstop_timeout = '200ms'\nmin_uptime = '1ms'\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_file("worker");
    foster.wait_for_state("master", "running");
    std::fs::remove_file(foster.path("worker")).expect("a file");
    kill_program(&foster, "master");
    // Without the KILL the port of the second worker would be in use.
    foster.wait_for_file("worker");
    foster.wait_for("foster, one master, one worker", || foster.processes().len() == 3);
    assert_eq!(foster.content("starts"), "x\nx\n");
}

#[test]
fn a_stopped_program_does_not_count_as_exited() {
    let foster = Foster::new().config("[program.app]\ncommand = 'puppet pause'\n").start();
    foster.wait_for_state("app", "running");
    foster.verb(&["stop", "app"]).expect(0);
    foster.wait_for_state("app", "stopped");
    assert!(foster.is_alive());
    foster.verb(&["start", "app"]).expect(0);
    foster.wait_for_state("app", "running");
}

#[test]
fn a_start_of_a_fatal_program_resets_its_failure_count() {
    let config = "[program.app]\ncommand = 'puppet fail-first:count:2:1 pause'\nstart_limit = 2\nbackoff = { initial = '1ms' }\nmin_uptime = '1s'\non_failure = 'ignore'\n[program.other]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "fatal");
    foster.verb(&["start", "app"]).expect(0);
    foster.wait_for_state("app", "running");
}

#[test]
fn an_update_in_the_same_turn_as_a_restart_that_is_due_starts_nothing_of_what_it_removes_or_changes() {
    if !may_make_namespaces() {
        return;
    }
    let failing = "backoff = { initial = '200ms', max = '200ms' }\nstart_limit = 'unlimited'\n";
    let before = format!(
        "[program.goes]\ncommand = 'puppet exit:1'\n{failing}[program.changes]\ncommand = 'puppet exit:1'\n{failing}"
    );
    let injector = Injector::holding();
    let foster = Foster::new().config(&before).injected(&injector).start();
    // Before the wait in which both restarts come due.
    let is_waiting = |name| foster.output().has_line(&format!("{name}: exited with status 1 .*; restart in"));
    loop {
        foster.wait_for("foster to be held", || injector.is_held());
        if is_waiting("goes") && is_waiting("changes") {
            break;
        }
        injector.let_wait();
    }
    let held = Instant::now();
    let after =
        format!("[program.changes]\ncommand = 'puppet append:new:x pause'\nmin_uptime = '1ms'\n{failing}");
    let socket = foster.path("foster.sock").display().to_string();
    std::fs::write(foster.path("foster.toml"), format!("{after}[foster]\nsocket = '{socket}'\n"))
        .expect("a file");
    foster.signal(Signal::SIGHUP);
    foster.wait_for("the restarts to be due", || held.elapsed() > Duration::from_millis(300));
    injector.let_go();
    foster.wait_for_state("changes", "running");
    foster.wait_for("the removal", || foster.row("goes").is_none());
    assert_eq!(foster.content("new"), "x\n", "{}", foster.output().shown());
    let others = foster.processes().iter().filter(|process| process.pid != foster.pid()).count();
    assert_eq!(others, 1, "{}", foster.output().shown());
    assert!(!foster.output().has_line("not in the plan"), "{}", foster.output().shown());
    assert_eq!(foster.rows().len(), 1);
}
