//! Each system call of a scenario fails once: foster continues, loses no program, and reports the failure.
//!
//! The scenario starts programs, restarts a killed one, answers verbs, rotates a log, applies an update and stops by TERM.
//! It runs once to count its calls, and then once for each fault. By default a sample of the faults is tried, spread over
//! all calls; `FOSTER_TEST_FAULTS=all` tries every occurrence of every call with every error, `=openat` those of one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    Caller, Calls, EXCEPTED, End, FAILING, Fault, Finished, Foster, Injector, Running, cpu_time,
    may_make_namespaces,
};

/// The number of faults of the sample: each call up to five times.
const SAMPLE: usize = 200;

/// The limit for the CPU time of a scenario: many times what it takes, and far less than a busy loop.
const CPU: Duration = Duration::from_secs(2);

const CONFIG: &str = "[defaults]
min_uptime = '1ms'
stop_timeout = '1s'
backoff = { initial = '10ms', max = '20ms' }
start_limit = 'unlimited'
on_failure = 'ignore'
[program.writes]
command = 'puppet trap:USR1:lines:1500 print:up append:starts-writes:x pause'
stdout = { file = 'writes.log', max_size = '4K', keep = 2 }
[program.works]
command = 'puppet trap:TERM:print:last_words trap:TERM:exit:0 append:starts-works:x pause'
[foster]
shutdown_timeout = '3s'
";

const ADDED: &str = "[program.added]\ncommand = 'puppet append:starts-added:x pause'\n";

/// Runs the scenario with a fault; an error is a broken promise.
fn run_scenario(injector: &Injector) -> Result<(), String> {
    let mut foster = Foster::new().config(CONFIG).injected(injector).start();
    let is_up = |foster: &Running| {
        !foster.content("starts-works").is_empty() && !foster.content("starts-writes").is_empty()
    };
    foster.wait_for("the programs or the end of foster", || is_up(&foster) || foster.output().is_over());
    if !is_up(&foster) {
        // A fault during the startup may end foster, with a reason.
        let end = foster.wait_exit();
        return match end {
            End::Code(code) if code != 0 && !foster.output().stderr().trim().is_empty() => Ok(()),
            End::Code(_) | End::Killed(_) => {
                Err(format!("the startup ended with {end:?} and without a reason"))
            }
        };
    }
    restart(&foster);
    // Without a socket foster continues and reports that; verbs cannot be tried.
    let has_no_socket = foster.output().has_line("cannot listen");
    if !has_no_socket {
        run_verbs(&foster);
    }
    let stops = if has_no_socket { 1 } else { 2 };
    let used = cpu_time(foster.pid());
    if used > CPU {
        return Err(format!("foster has used {used:?} of CPU time"));
    }
    let end = foster.terminate();
    let (stdout, stderr) = (foster.output().stdout(), foster.output().stderr());
    if end != End::Code(0) {
        return Err(format!("TERM ended it with {end:?}"));
    }
    // A program that could not get TERM was killed, and wrote no last line.
    let killed = stderr.matches("works: cannot send SIGTERM").count();
    // One error closes neither stream: both have the last lines.
    if stdout.matches("last_words").count() != stops - killed || !stderr.contains("exit status 0") {
        return Err(format!("a stream has no last line\n{}", foster.output().shown()));
    }
    Ok(())
}

/// Kills a program and waits for its restart.
fn restart(foster: &Running) {
    let is_works = |pid: i32| {
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.contains("starts-works")
    };
    let starts = foster.content("starts-works").len();
    for works in foster.processes().iter().filter(|process| is_works(process.pid)) {
        kill(Pid::from_raw(works.pid), Signal::SIGKILL).expect("a kill");
    }
    foster.wait_for("the restart", || foster.content("starts-works").len() > starts);
}

/// Runs every verb once. A verb that the fault made fail is repeated, and must succeed then.
fn run_verbs(foster: &Running) {
    let config = foster.content("foster.toml");
    foster.wait_for_state("works", "running");
    foster.wait_for_state("writes", "running");
    ask(foster, &["stop", "works"]);
    assert_eq!(foster.row("works").or_else(|| foster.row("works")).expect("a row")["state"], "stopped");
    ask(foster, &["start", "works"]);
    foster.wait_for_state("works", "running");
    ask(foster, &["signal", "USR1", "writes"]);
    let pid = Pid::from_raw(foster.pid_of("writes"));
    foster.wait_for("a rotated log", || {
        // foster opens the file again at a new line, so the program has to write one.
        if foster.output().has_line("cannot open `writes.log`") {
            kill(pid, Signal::SIGUSR1).expect("a signal");
        }
        foster.path("writes.log.2").exists()
    });
    foster.signal(Signal::SIGUSR1);
    foster.signal(Signal::SIGUSR2);
    std::fs::write(foster.path("foster.toml"), format!("{config}\n{ADDED}")).expect("a file");
    ask(foster, &["update"]);
    foster.wait_for_state("added", "running");
    ask(foster, &["logs", "-n", "3"]);
    ask(foster, &["events"]);
    ask(foster, &["health"]);
}

/// Runs a verb; a failure must print a message, and a second attempt must succeed.
#[track_caller]
fn ask(foster: &Running, verb: &[&str]) -> Finished {
    let first = foster.verb(verb);
    if first.code == 0 {
        return first;
    }
    assert!(!first.text().trim().is_empty(), "{verb:?} failed with {} without a message", first.code);
    foster.verb(verb).expect(0)
}

/// The faults to try, in the order of the calls.
fn faults(calls: &Calls) -> Vec<Fault> {
    let which = std::env::var("FOSTER_TEST_FAULTS").unwrap_or_default();
    let known = |call: &i64| EXCEPTED.contains(call) || FAILING.iter().any(|row| row.1 == *call);
    let unknown: Vec<i64> = calls.keys().map(|(_, call)| *call).filter(|call| !known(call)).collect();
    assert!(unknown.is_empty(), "system calls {unknown:?} are in no table of tests/support/calls.rs");
    let mut all = Vec::new();
    for (&(caller, call), &count) in calls {
        let Some(&(name, _, errnos)) = FAILING.iter().find(|row| row.1 == call) else {
            assert!(EXCEPTED.contains(&call), "system call {call} is in no table of tests/support/calls.rs");
            continue;
        };
        if !["", "all", name].contains(&which.as_str()) {
            continue;
        }
        let of_this = (1..=count).flat_map(|occurrence| {
            errnos.iter().map(move |&errno| Fault { caller, call, occurrence, errno })
        });
        if which.is_empty() {
            // Spread from the first to the last occurrence: startup, operation and shutdown.
            let of_this: Vec<Fault> = of_this.collect();
            let last = of_this.len().saturating_sub(1);
            let mut chosen: Vec<usize> = (0..5).map(|part| last * part / 4).collect();
            chosen.dedup();
            all.extend(chosen.into_iter().filter_map(|index| of_this.get(index).copied()));
        } else {
            all.extend(of_this);
        }
    }
    if which.is_empty() {
        let step = all.len().div_ceil(SAMPLE).max(1);
        all = all.into_iter().step_by(step).collect();
    }
    all
}

fn named(fault: &Fault) -> String {
    let name = FAILING.iter().find(|row| row.1 == fault.call).map_or("?", |row| row.0);
    format!("{:?} {name} #{} {:?}", fault.caller, fault.occurrence, fault.errno)
}

#[test]
fn foster_survives_and_reports_the_failure_of_any_system_call_and_loses_no_program() {
    if !may_make_namespaces() {
        return;
    }
    let counting = Injector::counting();
    run_scenario(&counting).expect("a scenario without a fault");
    let faults = faults(&counting.finish());
    let (next, injected, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let injector = Injector::failing(*fault);
                    let result = catch_unwind(AssertUnwindSafe(|| run_scenario(&injector)));
                    let made = injector.finish().get(&(fault.caller, fault.call)).copied().unwrap_or(0);
                    injected.fetch_add(usize::from(made >= fault.occurrence), Ordering::Relaxed);
                    let reason = match result {
                        Ok(Ok(())) => continue,
                        Ok(Err(reason)) => reason,
                        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
                    };
                    wrong.lock().expect("no panic holds it").push(format!("{}: {reason}", named(fault)));
                }
            });
        }
    });
    // The number of calls varies between runs: reports and writes may be combined.
    let injected = injected.into_inner();
    assert!(injected * 10 >= faults.len() * 8, "only {injected} of {} faults injected", faults.len());
    let wrong = wrong.into_inner().expect("no panic holds it");
    assert!(wrong.is_empty(), "{} of {} faults:\n{}", wrong.len(), faults.len(), wrong.join("\n"));
}

#[test]
fn a_look_at_the_own_streams_that_fails_makes_none_of_them_silent() {
    if !may_make_namespaces() {
        return;
    }
    for (call, errno) in
        [(libc::SYS_fcntl, Errno::EMFILE), (libc::SYS_fstat, Errno::EIO), (libc::SYS_newfstatat, Errno::EIO)]
    {
        for occurrence in 1..=3 {
            let fault = Fault { caller: Caller::Foster, call, occurrence, errno };
            let injector = Injector::failing(fault);
            let lived = run_scenario(&injector);
            injector.finish();
            assert_eq!(lived, Ok(()), "{}", named(&fault));
        }
    }
}

#[test]
fn a_start_that_cannot_be_watched_is_a_failed_start_that_is_tried_again() {
    if !may_make_namespaces() {
        return;
    }
    // Among the first calls are those for the reports of both programs.
    let counting = Injector::counting();
    let mut foster = Foster::new().config(CONFIG).injected(&counting).start();
    foster.wait_for_line("works: ready");
    foster.wait_for_line("writes: ready");
    let calls = counting.so_far().get(&(Caller::Foster, libc::SYS_epoll_ctl)).copied().unwrap_or(0);
    assert_eq!(foster.terminate(), End::Code(0));
    counting.finish();
    let mut failed_starts = 0;
    for occurrence in 1..=calls {
        let fault =
            Fault { caller: Caller::Foster, call: libc::SYS_epoll_ctl, occurrence, errno: Errno::ENOSPC };
        let injector = Injector::failing(fault);
        let mut foster = Foster::new().config(CONFIG).injected(&injector).start();
        foster.wait_for("both programs, or an end with a reason", || {
            let said = foster.output().stderr();
            said.contains("works: ready") && said.contains("writes: ready") || foster.output().is_over()
        });
        failed_starts +=
            usize::from(foster.output().has_line("cannot start .*: watching its start: No space left"));
        if !foster.output().is_over() {
            assert_eq!(foster.terminate(), End::Code(0), "{}", named(&fault));
        }
        injector.finish();
    }
    assert!(failed_starts > 0, "no start was hit by {calls} faults");
}

#[test]
fn a_call_of_epoll_that_fails_while_output_is_blocked_costs_no_line_and_no_cpu_time() {
    if !may_make_namespaces() {
        return;
    }
    const WATCH: i64 = libc::SYS_epoll_ctl;
    let calls = |injector: &Injector| injector.so_far().get(&(Caller::Foster, WATCH)).copied().unwrap_or(0);
    let config = "[program.app]\ncommand = 'puppet wait-file:go lines:100000 touch:done pause'\nmin_uptime = '1ms'\nstop_timeout = '1s'\n";
    let run = |injector: Injector| {
        let mut foster = Foster::new().config(config).injected(&injector).start();
        foster.wait_for_line("app: ready");
        foster.wait_for("foster to wait", || is_asleep(foster.pid()));
        let before = calls(&injector);
        foster.output().stop_reading_stdout();
        std::fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for("a full queue and a paused source", || calls(&injector) >= before + 2);
        foster.wait_for("foster to wait", || is_asleep(foster.pid()));
        foster.output().read_stdout_again();
        foster.wait_for_file("done");
        assert!(cpu_time(foster.pid()) < CPU);
        assert_eq!(foster.terminate(), End::Code(0));
        let (stdout, lines) = (foster.output().stdout(), 100_000);
        assert_eq!(stdout.lines().count(), lines, "lines are lost");
        let after = injector.finish().get(&(Caller::Foster, WATCH)).copied().unwrap_or(0);
        (before, after)
    };
    let (before, after) = run(Injector::counting());
    for occurrence in before + 1..=after.min(before + 6) {
        run(Injector::failing(Fault {
            caller: Caller::Foster,
            call: WATCH,
            occurrence,
            errno: Errno::ENOSPC,
        }));
    }
}

/// Whether a process sleeps in a system call (proc_pid_stat(5)).
fn is_asleep(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('S'))
}
