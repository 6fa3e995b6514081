//! A signal that comes while foster starts is obeyed: as PID 1 the kernel drops what is neither caught nor blocked.
//!
//! A signal before a program's first instructions is always lost; after them, foster loses none. One test sends a
//! signal before each system call of the startup, the others send it after a time.
//! `FOSTER_TEST_RUNS=400` sets the number of runs; the default takes seconds.

use std::fs;
use std::hint::spin_loop;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{Caller, End, Foster, Injector, Running, may_make_namespaces};

/// After this time the loop runs, even on a slow machine.
const LATEST: Duration = Duration::from_millis(30);

/// What the C library and the runtime call before foster's own code does.
const BEFORE_FOSTER: u64 = 20;

const ONE: &str = "[program.app]\ncommand = 'puppet pause'\n";

#[test]
fn a_signal_before_any_system_call_of_the_startup_ends_foster_in_order() {
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

/// Sends a signal at this time after foster's first instructions, and expects an orderly end.
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

/// Waits until the process that sets up the container has become foster and has set its signal mask, its first system
/// call. It spins: a pause would miss the first moments.
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

/// Sends each signal that ends a container, at times spread over the first 30 ms.
fn run_many(config: &str, by_default: u32) {
    let runs = std::env::var("FOSTER_TEST_RUNS").map_or(by_default, |runs| runs.parse().expect("a number"));
    let signals = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGRTMIN() + 3];
    for run in 0..runs {
        let signal = signals[usize::try_from(run).expect("a small number") % signals.len()];
        signal_after(config, signal, LATEST * run / runs);
    }
}

#[test]
fn a_signal_in_the_first_30_ms_ends_foster_in_order() {
    if !may_make_namespaces() {
        return;
    }
    run_many(ONE, 60);
}

#[test]
fn a_signal_while_two_thousand_programs_are_read_ends_foster_in_order() {
    if !may_make_namespaces() {
        return;
    }
    let program = |n: u32| format!("[program.app{n}]\ncommand = 'puppet pause'\n");
    let config: String = (0..2000).map(program).collect();
    run_many(&config, 12);
}
