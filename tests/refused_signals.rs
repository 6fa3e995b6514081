//! A program that foster may not signal: every verb returns in bounded time and reports that.
//!
//! Without CAP_KILL root may not signal another user's processes (kill(2)), as with `--cap-drop KILL` and on OpenShift.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{End, Finished, Foster, Running, binary, may_make_namespaces, run};

const CONFIG: &str = "[program.web]
command = 'puppet pause'
user = 'nobody'
reload_signal = 'HUP'
stop_timeout = '300ms'
min_uptime = '1ms'
[foster]
shutdown_timeout = '1s'
";

/// Starts foster without CAP_KILL, with a running program of another user.
fn start() -> Running {
    let foster = Foster::new().config(CONFIG).without("CAP_KILL").without_groups().start();
    foster.wait_for_state("web", "running");
    foster
}

/// Runs a verb; the exit code is 124 if it takes longer than ten seconds (timeout(1)).
fn bounded(foster: &Running, arguments: &[&str]) -> Finished {
    let mut command = Command::new("timeout");
    command.arg("10").arg(binary()).args(arguments).env("FOSTER_SOCKET", foster.path("foster.sock"));
    run(command)
}

#[test]
fn a_signal_that_cannot_be_sent_fails_the_verb_with_the_reason() {
    if !may_make_namespaces() {
        return;
    }
    let foster = start();
    for verb in [&["reload", "web"][..], &["signal", "USR1", "web"]] {
        let failed = bounded(&foster, verb).expect(1);
        assert!(failed.text().contains("web"), "{verb:?}: {}", failed.text());
        assert!(failed.text().contains("Operation not permitted"), "{verb:?}: {}", failed.text());
    }
    bounded(&foster, &["status"]).expect(0);
}

#[test]
fn a_program_that_cannot_be_killed_fails_stop_and_restart_in_bounded_time() {
    if !may_make_namespaces() {
        return;
    }
    let mut foster = start();
    let pid = foster.pid_of("web");
    for verb in [&["stop", "web"][..], &["restart", "web"], &["stop", "all"]] {
        let failed = bounded(&foster, verb).expect(1);
        assert!(failed.text().contains("web: "), "{verb:?}: {}", failed.text());
        assert!(
            failed.text().contains("cannot send SIGKILL: Operation not permitted (CAP_KILL is missing)"),
            "{verb:?}: {}",
            failed.text()
        );
        assert!(foster.processes().iter().any(|process| process.pid == pid), "{verb:?}");
    }
    foster.wait_for_line("web: cannot send SIGKILL: Operation not permitted");
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0), "{}", foster.output().shown());
    assert!(at - before < Duration::from_secs(4), "{:?}\n{}", at - before, foster.output().shown());
}
