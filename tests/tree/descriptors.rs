//! A foster that has no descriptor left while it looks for what has left a program's session: it finds that otherwise, or
//! reports it, and never takes it for gone.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::pids;
use crate::support::{End, Foster, Running, descriptors, found, may_make_namespaces};

/// Processes of two more sessions, the inner one below the outer one, that do not end by SIGTERM.
const SERVER: &str = "setsid sh -c 'trap \"\" TERM; setsid puppet touch:inner pause & wait' &\n\
    exec puppet wait-file:inner touch:up pause\n";

const CONFIG: &str = "[program.app]\ncommand = 'sh server.sh'\nstop_timeout = '200ms'\nmin_uptime = '1ms'\n\
    start_limit = 'unlimited'\nbackoff = { max = '200ms' }\n[foster]\nshutdown_timeout = '5s'\n";

/// Runs a check where foster is the init and where it is not, and with and without the kernel's list of what belongs to a
/// program. The program runs.
fn everywhere(check: impl Fn(Running)) {
    if !may_make_namespaces() || found("setsid").is_none() || found("prlimit").is_none() {
        return;
    }
    let new = || Foster::new().file("server.sh", SERVER).config(CONFIG);
    for foster in [new(), new().without_groups(), new().not_pid_1(), new().not_pid_1().without_groups()] {
        let foster = foster.start();
        foster.wait_for_file("up");
        foster.wait_for_state("app", "running");
        check(foster);
    }
}

/// Lets foster open this many more descriptors; `None`: any number.
fn leave(foster: &Running, free: Option<usize>) {
    let open = descriptors(foster.pid());
    let numbers = open.iter().filter_map(|one| one.split(' ').next()?.parse::<usize>().ok());
    let most = free.map_or(1024, |free| numbers.max().expect("a descriptor") + 1 + free);
    let limit = format!("--nofile={most}:");
    let output = Command::new("prlimit").args(["--pid", &foster.pid().to_string(), &limit]).output();
    assert!(output.expect("prlimit").status.success());
}

fn is_there(pid: &i32) -> bool {
    kill(Pid::from_raw(*pid), None).is_ok()
}

#[test]
fn what_a_killed_main_process_has_left_ends_although_foster_has_no_descriptor() {
    everywhere(|mut foster| {
        let before = pids(&foster);
        assert_eq!(before.len(), 3, "{}", foster.output().shown());
        let main = foster.pid_of("app");
        fs::remove_file(foster.path("up")).expect("a file");
        leave(&foster, Some(0));
        kill(Pid::from_raw(main), Signal::SIGKILL).expect("a kill");
        foster.wait_for("the end of all three", || !before.iter().any(is_there));
        leave(&foster, None);
        // Only then does the next run start.
        foster.wait_for_file("up");
        foster.wait_for_state("app", "running");
        assert!(before.is_disjoint(&pids(&foster)), "{before:?} {}", foster.output().shown());
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    });
}

#[test]
fn a_stop_says_stopped_only_when_nothing_is_left_however_few_descriptors_foster_has() {
    for free in 0..6 {
        everywhere(|mut foster| {
            leave(&foster, Some(free));
            let stopped = foster.verb(&["stop", "app"]);
            let left = pids(&foster);
            match stopped.code {
                0 => assert_eq!(left, BTreeSet::new(), "{}", foster.output().shown()),
                _ => assert!(stopped.text().contains("still there") || free == 0, "{}", stopped.text()),
            }
            leave(&foster, None);
            assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
        });
    }
}

#[test]
fn a_shutdown_without_descriptors_leaves_nothing() {
    everywhere(|mut foster| {
        let before = pids(&foster);
        leave(&foster, Some(0));
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
        let left: Vec<&i32> = before.iter().filter(|pid| is_there(pid)).collect();
        assert!(left.is_empty(), "{left:?} {}", foster.output().shown());
    });
}
