//! Each system call of a whole life fails once: foster goes on, loses no program, and says what failed.
//!
//! A life starts programs, restarts one that was killed, answers verbs, rotates a log, takes an update and ends by
//! TERM. It is lived once to count its calls, and then once for each fault. By default a part of the faults, spread over
//! all calls; `FOSTER_TEST_FAULTS=all` tries every occurrence of every call with every error, `=openat` those of one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{
    Calls, EXCEPTED, End, FAILING, Fault, Finished, Foster, Injector, Running, cpu_time, may_make_namespaces,
};

/// How many faults the short form tries: each call up to five times.
const SHORT: usize = 200;

/// What a life may cost in CPU time: many times what it takes, and far less than a loop that spins.
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

/// How a life with a fault ended that breaks a promise; `Ok` else.
fn live(injector: &Injector) -> Result<(), String> {
    let mut foster = Foster::new().config(CONFIG).injected(injector).start();
    let is_up = |foster: &Running| {
        !foster.content("starts-works").is_empty() && !foster.content("starts-writes").is_empty()
    };
    foster.wait_for("the programs or the end of foster", || is_up(&foster) || foster.output().is_over());
    if !is_up(&foster) {
        // A fault of the bring-up may end it, with a reason.
        let end = foster.wait_exit();
        return match end {
            End::Code(code) if code != 0 && !foster.output().stderr().trim().is_empty() => Ok(()),
            End::Code(_) | End::Killed(_) => {
                Err(format!("the bring-up ended with {end:?} and without a reason"))
            }
        };
    }
    restart(&foster);
    // Without a socket it goes on, and says so: there are no verbs to try.
    let is_deaf = foster.output().has_line("cannot listen");
    if !is_deaf {
        serve(&foster);
    }
    let stops = if is_deaf { 1 } else { 2 };
    let used = cpu_time(foster.pid());
    if used > CPU {
        return Err(format!("foster has used {used:?} of CPU time"));
    }
    let end = foster.terminate();
    let (stdout, stderr) = (foster.output().stdout(), foster.output().stderr());
    if end != End::Code(0) {
        return Err(format!("TERM ended it with {end:?}"));
    }
    // What got no TERM is killed, and had no time for words.
    let killed = stderr.matches("works: cannot send SIGTERM").count();
    // Neither stream is given up because of one error: what it said at its stop, and at its end.
    if stdout.matches("last_words").count() != stops - killed || !stderr.contains("exit status 0") {
        return Err(format!("a stream fell silent\n{}", foster.output().shown()));
    }
    Ok(())
}

/// A program that was killed is started again, whatever failed.
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

/// Every verb once; what the fault made fail is asked for again, and then it works.
fn serve(foster: &Running) {
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
        // While the file cannot be opened, its lines are dropped, as it says: there have to be more of them.
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

/// A verb that fails says so, and works when it is asked again: the fault is over.
#[track_caller]
fn ask(foster: &Running, verb: &[&str]) -> Finished {
    let first = foster.verb(verb);
    if first.code == 0 {
        return first;
    }
    assert!(!first.text().trim().is_empty(), "{verb:?} failed with {} and said nothing", first.code);
    foster.verb(verb).expect(0)
}

/// The faults to try, in the order of the calls.
fn faults(calls: &Calls) -> Vec<Fault> {
    let which = std::env::var("FOSTER_TEST_FAULTS").unwrap_or_default();
    let known = |call: &i64| EXCEPTED.contains(call) || FAILING.iter().any(|row| row.1 == *call);
    let unknown: Vec<i64> = calls.keys().map(|(_, call)| *call).filter(|call| !known(call)).collect();
    assert!(unknown.is_empty(), "system calls {unknown:?} stand in no table of tests/support/calls.rs");
    let mut all = Vec::new();
    for (&(caller, call), &count) in calls {
        let Some(&(name, _, errnos)) = FAILING.iter().find(|row| row.1 == call) else {
            assert!(
                EXCEPTED.contains(&call),
                "system call {call} stands in no table of tests/support/calls.rs"
            );
            continue;
        };
        if !["", "all", name].contains(&which.as_str()) {
            continue;
        }
        let of_this = (1..=count).flat_map(|occurrence| {
            errnos.iter().map(move |&errno| Fault { caller, call, occurrence, errno })
        });
        if which.is_empty() {
            // From the first to the last: bring-up, work, and end.
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
        let step = all.len().div_ceil(SHORT).max(1);
        all = all.into_iter().step_by(step).collect();
    }
    all
}

fn named(fault: &Fault) -> String {
    let name = FAILING.iter().find(|row| row.1 == fault.call).map_or("?", |row| row.0);
    format!("{:?} {name} #{} {:?}", fault.caller, fault.occurrence, fault.errno)
}

#[test]
fn foster_survives_the_failure_of_any_system_call_loses_no_program_and_says_so() {
    if !may_make_namespaces() {
        return;
    }
    let counting = Injector::counting();
    live(&counting).expect("a life without a fault");
    let faults = faults(&counting.finish());
    let (next, struck, wrong) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let injector = Injector::failing(*fault);
                    let lived = catch_unwind(AssertUnwindSafe(|| live(&injector)));
                    let made = injector.finish().get(&(fault.caller, fault.call)).copied().unwrap_or(0);
                    struck.fetch_add(usize::from(made >= fault.occurrence), Ordering::Relaxed);
                    let reason = match lived {
                        Ok(Ok(())) => continue,
                        Ok(Err(reason)) => reason,
                        Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
                    };
                    wrong.lock().expect("no panic holds it").push(format!("{}: {reason}", named(fault)));
                }
            });
        }
    });
    // Not each life makes just as many calls of a kind: polls and writes come together or not.
    let struck = struck.into_inner();
    assert!(struck * 10 >= faults.len() * 8, "only {struck} of {} faults struck", faults.len());
    let wrong = wrong.into_inner().expect("no panic holds it");
    assert!(wrong.is_empty(), "{} of {} faults:\n{}", wrong.len(), faults.len(), wrong.join("\n"));
}
