//! `pre_start`: a command before each start, with the program's user, directory and environment.

use crate::support::{End, Foster};

#[test]
fn it_runs_before_each_start_and_the_program_starts_after_its_success() {
    let config = "[program.app]\ncommand = 'puppet append:order:app pause'\npre_start = 'puppet append:order:before env:FOSTER_PROGRAM'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "running");
    foster.verb(&["restart", "app"]).expect(0);
    assert_eq!(foster.content("order"), "before\napp\nbefore\napp\n");
    // Its output belongs to the program.
    foster.wait_for_line(r"app +\| .*app");
}

#[test]
fn its_failure_is_a_failed_start_that_names_it() {
    let config = "[program.app]\ncommand = 'puppet touch:never pause'\npre_start = 'puppet stderr:stale exit:3'\nstart_limit = 2\n[foster]\ntermination_log = 'termination-log'\n";
    let mut foster = Foster::new().config(config).file("termination-log", "").start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    let reason = foster.content("termination-log");
    assert!(reason.contains("its pre_start `puppet stderr:stale exit:3` exited with status 3"), "{reason}");
    assert!(reason.contains("stale"), "its last output is part of the reason: {reason}");
    assert!(!foster.path("never").exists());
    foster.wait_for_line("app.*its pre_start .*restart in 100ms .failure 1 of 2");
}

#[test]
fn a_missing_command_is_a_failed_start() {
    let config = "[program.app]\ncommand = 'puppet touch:never pause'\npre_start = 'no-such-command'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    foster.wait_for_line("cannot start app: pre_start: `no-such-command` is not in PATH");
    // A permanent error is tried three times.
    foster.wait_for_line("gave up after 3");
    assert!(!foster.path("never").exists());
}

#[test]
fn it_counts_towards_the_ready_timeout() {
    let config = "[program.app]\ncommand = 'puppet touch:never pause'\npre_start = 'puppet pause'\nready = { file = 'x', timeout = '300ms' }\nstart_limit = 1\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    foster.wait_for_line("app: not ready within 300ms");
    assert!(!foster.path("never").exists());
}

#[test]
fn a_stop_ends_it_and_the_program_does_not_start() {
    let config = "[program.app]\ncommand = 'puppet touch:never pause'\npre_start = 'puppet touch:before pause'\n[program.other]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("before");
    foster.verb(&["stop", "app"]).expect(0);
    foster.wait_for("foster and the other", || foster.processes().len() == 2);
    assert!(!foster.path("never").exists());
    assert_eq!(foster.row("app").expect("a row")["state"], "stopped");
}
