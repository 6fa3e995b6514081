//! A thousand programs at once: the duration of a shutdown, and the delay of a signal while all of them start.
//!
//! The cost of a thousand processes depends on the machine. It is measured in the same run, by killing a namespace with
//! as many processes, and no bound is tighter than that.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{End, Foster, Running, age_of, may_make_namespaces};

const PROGRAMS: usize = 1000;

fn programs(keys: &str, foster: &str) -> Foster {
    let program = |n: usize| format!("[program.app{n}]\n{keys}\n");
    let config: String = (0..PROGRAMS).map(program).chain([format!("[foster]\n{foster}\n")]).collect();
    Foster::new().config(&config).alone()
}

/// Starts programs that ignore TERM and waits until all are up.
fn stubborn() -> Running {
    let foster =
        programs("command = 'puppet ignore:TERM append:up:x pause'", "shutdown_timeout = '1s'").start();
    foster.wait_for("all to be up", || foster.content("up").len() == 2 * PROGRAMS);
    foster
}

/// The time that the kernel takes to kill that many processes with their namespace.
fn time_to_kill_them() -> Duration {
    let mut foster = stubborn();
    let before = Instant::now();
    foster.signal(Signal::SIGKILL);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Killed(Signal::SIGKILL));
    at - before
}

/// The bound, or four times the machine's own time if that is more.
fn at_least(bound: Duration, limit: Duration) -> Duration {
    bound.max(4 * limit)
}

#[test]
fn a_thousand_programs_that_ignore_term_are_killed_at_the_shutdown_timeout() {
    if !may_make_namespaces() {
        return;
    }
    let bound = Duration::from_secs(1) + at_least(Duration::from_millis(300), time_to_kill_them());
    let mut foster = stubborn();
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    assert!(at - before < bound, "{:?}, at most {bound:?}", at - before);
}

#[test]
fn a_second_term_kills_a_thousand_programs_at_once() {
    if !may_make_namespaces() {
        return;
    }
    // Each with the time of the kernel right before it, because other processes of the machine use CPU time too.
    let rounds = (0..3)
        .map(|_| (at_least(Duration::from_millis(300), time_to_kill_them()), time_to_obey_a_second_term()));
    let rounds: Vec<(Duration, Duration)> = rounds.collect();
    assert!(rounds.iter().any(|(bound, took)| took < bound), "(at most, took): {rounds:?}");
}

/// The time from a second TERM to the end, while a thousand programs ignore the first.
fn time_to_obey_a_second_term() -> Duration {
    let mut foster = stubborn();
    foster.signal(Signal::SIGTERM);
    // It is the last program of its tier: the others have got their signal before.
    foster.wait_for_line(r"app0: stopping");
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    at - before
}

#[test]
fn a_signal_is_obeyed_while_a_thousand_programs_start() {
    if !may_make_namespaces() {
        return;
    }
    // Each with the time that all the starts take right before it, because the machine's load slows down both.
    let rounds: Vec<(Duration, Duration)> = (0..3).map(|_| (time_to_start(), time_to_obey())).collect();
    assert!(rounds.iter().any(|(all, took)| *took < *all / 4), "(all starts, took): {rounds:?}");
}

/// The time from the first start to the last.
fn time_to_start() -> Duration {
    let foster = programs("command = 'puppet pause'", "").start();
    foster.wait_for_line("app0: starting");
    let before = Instant::now();
    foster.wait_for_line("app999: starting");
    before.elapsed()
}

/// The time from a TERM after the first starts to the line that foster is shutting down.
fn time_to_obey() -> Duration {
    let mut foster = programs("command = 'puppet pause'", "").start();
    foster.wait_for_line("app0: starting");
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    foster.wait_for_line("shutting down");
    let took = before.elapsed();
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    took
}

#[test]
fn min_uptime_counts_from_the_start_of_each_program() {
    if !may_make_namespaces() {
        return;
    }
    let foster = programs("command = 'puppet pause'\nmin_uptime = '500ms'", "log_format = 'json'").start();
    let is_ready = |line: &Value| line["event"] == "running" || line["to"] == "running";
    let ready = || -> Vec<Value> { json_lines(&foster).into_iter().filter(is_ready).collect() };
    foster.wait_for("all to be ready", || ready().len() == PROGRAMS);
    // The kernel's start times have hundredths of a second.
    let now = SystemTime::now();
    let born: HashMap<i64, SystemTime> = foster
        .processes()
        .iter()
        .filter_map(|process| Some((i64::from(process.inner_pid), now - age_of(process.pid)?)))
        .collect();
    for line in ready() {
        let born = born[&line["pid"].as_i64().expect("a pid")];
        let ready: SystemTime =
            humantime::parse_rfc3339(line["ts"].as_str().expect("a time")).expect("RFC 3339");
        let uptime = ready.duration_since(born).unwrap_or_default();
        assert!(uptime >= Duration::from_millis(480), "ready after {uptime:?}: {line}");
    }
}

fn json_lines(foster: &Running) -> Vec<Value> {
    let text = foster.output().stderr();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
