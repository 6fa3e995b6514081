//! Signals during foster's startup are obeyed, although the kernel drops a signal to PID 1 that is neither caught nor
//! blocked.
//!
//! Only a signal before foster's first instructions is lost. One test sends a signal before each system call of the
//! startup, the others after a delay.
//! `FOSTER_TEST_RUNS=400` sets the number of runs; the default takes seconds.

use std::fs;
use std::hint::spin_loop;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{Caller, End, Foster, Injector, Running, may_make_namespaces};

/// The loop runs after this time, even on a slow machine.
const LATEST: Duration = Duration::from_millis(30);

/// The number of system calls of the C library and the runtime before foster's own code.
const BEFORE_FOSTER: u64 = 20;

const ONE: &str = "[program.app]\ncommand = 'puppet pause'\n";

#[test]
fn a_signal_before_any_system_call_of_the_startup_shuts_foster_down() {
    if !may_make_namespaces() {
        return;
    }
    let counting = Injector::counting();
    let mut foster = Foster::new().config(ONE).injected(&counting).start();
    foster.wait_for_line("app: starting");
    let calls = counting.so_far();
    assert_eq!(foster.terminate(), End::Code(0));
    counting.finish();
    let made: u64 = calls.iter().filter(|((by, _), _)| *by == Caller::Foster).map(|(_, count)| count).sum();
    assert!(made > BEFORE_FOSTER, "{calls:?}");
    for before in BEFORE_FOSTER..made {
        let injector = Injector::signalling(libc::SIGTERM, before);
        let mut foster = Foster::new().config(ONE).injected(&injector).start();
        let end = foster.wait_exit();
        assert_eq!(end, End::Code(0), "TERM before call {before}\n{}", foster.output().shown());
        injector.finish();
    }
}

/// Sends a signal after this delay from foster's first instructions, and expects an orderly shutdown.
#[track_caller]
fn signal_after(config: &str, number: i32, after: Duration) {
    let mut foster = Foster::new().config(config).start();
    wait_for_first_instructions(&foster);
    let start = Instant::now();
    while start.elapsed() < after {
        spin_loop();
    }
    foster.signal_number(number);
    let end = foster.wait_exit();
    assert_eq!(end, End::Code(0), "signal {number} after {after:?}\n{}", foster.output().shown());
}

/// Waits until foster has been executed and has set its signal mask, its first system call. It spins, because a pause
/// would be too long.
#[track_caller]
fn wait_for_first_instructions(foster: &Running) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = format!("/proc/{}/status", foster.pid());
    let has_started = |status: String| {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        field("Name:") == Some("foster") && field("SigBlk:") != Some("0000000000000000")
    };
    while !fs::read_to_string(&status).is_ok_and(has_started) {
        assert!(Instant::now() < deadline, "foster blocks no signal\n{}", foster.output().shown());
    }
}

/// Sends each signal that stops a container, at times spread over the first 30 ms.
fn run_many(config: &str, by_default: u32) {
    let runs = std::env::var("FOSTER_TEST_RUNS").map_or(by_default, |runs| runs.parse().expect("a number"));
    let signals = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGRTMIN() + 3];
    for run in 0..runs {
        let signal = signals[usize::try_from(run).expect("a small number") % signals.len()];
        signal_after(config, signal, LATEST * run / runs);
    }
}

#[test]
fn a_signal_in_the_first_30_ms_shuts_foster_down() {
    if !may_make_namespaces() {
        return;
    }
    run_many(ONE, 60);
}

#[test]
fn a_signal_while_two_thousand_programs_are_read_shuts_foster_down() {
    if !may_make_namespaces() {
        return;
    }
    let program = |n: u32| format!("[program.app{n}]\ncommand = 'puppet pause'\n");
    let config: String = (0..2000).map(program).collect();
    run_many(&config, 12);
}
