//! `health`: foster detects programs that run but do not work, and the cost of that.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{DeadFileSystem, End, Foster, Running, cpu_time, free_port, may_make_namespaces};

/// The failures of a server, each with the reason that its probe reports.
const SERVER_FAILURES: [(&str, &str); 6] = [
    ("hangs", "no answer within 400ms"),
    ("silent", "no answer within 400ms"),
    ("error", "GET /health answered 500"),
    ("drips", "no answer within 400ms"),
    ("floods", "GET /health: the response's headers are longer than 16 KiB"),
    ("closes", "GET /health: the connection was closed without a response"),
];
const INTERVAL: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_millis(400);

/// Starts a server for each failure, which is healthy until the file `ill` exists.
fn servers(action: &str) -> Running {
    let program = |name: &str, steps: &str, port: u16| {
        format!(
            "[program.{name}]\ncommand = 'puppet {steps} pause'\nmin_uptime = '1ms'\nhealth = {{ http = 'http://127.0.0.1:{port}/health', interval = '1s', timeout = '400ms', action = '{action}' }}\nbackoff = {{ initial = '1ms' }}\n"
        )
    };
    let mut config = String::new();
    for (failure, _) in SERVER_FAILURES {
        let port = free_port();
        config += &program(failure, &format!("serve:{port}:{failure}:ill"), port);
    }
    let foster = Foster::new().config(&config).start();
    for (failure, _) in SERVER_FAILURES {
        foster.wait_for_state(failure, "running");
    }
    foster
}

#[test]
fn an_unhealthy_server_is_restarted_in_time_with_the_reason_at_little_cost() {
    let foster = servers("restart");
    let (cpu_before, ill_since) = (cpu_time(foster.pid()), Instant::now());
    fs::write(foster.path("ill"), "").expect("a file");
    let mut open = SERVER_FAILURES.to_vec();
    let mut times = Vec::new();
    foster.wait_for("every server to be unhealthy", || {
        let is_found = |(name, seen): &(&str, &str)| {
            let line =
                format!(r"{name}: unhealthy: {} \(3 times in a row\); stopping it", regex_lite::escape(seen));
            foster.output().has_line(&line)
        };
        let found: Vec<_> = open.iter().copied().filter(is_found).collect();
        open.retain(|one| !found.contains(one));
        times.extend(found.into_iter().map(|(name, _)| (name, ill_since.elapsed())));
        open.is_empty()
    });
    let (cpu, wall) = (cpu_time(foster.pid()) - cpu_before, ill_since.elapsed());
    fs::remove_file(foster.path("ill")).expect("a file");
    // Two to three intervals, and the timeout of the last attempt.
    let (least, most) = (2 * INTERVAL * 9 / 10, 3 * INTERVAL * 11 / 10 + TIMEOUT);
    for (name, time) in times {
        assert!(least <= time && time <= most, "{name} after {time:?}\n{}", foster.output().shown());
    }
    assert!(cpu * 50 < wall, "{cpu:?} of {wall:?}");
    for (failure, seen) in SERVER_FAILURES {
        foster.wait_for(&format!("{failure} to run again"), || {
            foster.row(failure).is_some_and(|row| row["restarts"] == 1 && row["health"] == "healthy")
        });
        let row = foster.row(failure).expect("a row");
        let expected = format!("last run was stopped: unhealthy: {seen} (3 times in a row)");
        assert_eq!(row["note"], expected.as_str());
    }
}

/// The times of the quickest of several `status` of both. They take turns, because the machine's load slows down single
/// ones, and both alike.
fn status_times(one: &Running, other: &Running) -> (Duration, Duration) {
    let times: (Vec<_>, Vec<_>) = (0..30).map(|_| (status_time(one), status_time(other))).unzip();
    (times.0.into_iter().min().expect("some"), times.1.into_iter().min().expect("some"))
}

fn status_time(foster: &Running) -> Duration {
    let before = Instant::now();
    foster.verb(&["status"]);
    before.elapsed()
}

#[test]
fn without_an_action_a_server_is_unhealthy_until_it_recovers_and_every_verb_shows_it() {
    let foster = servers("none");
    assert_eq!(foster.row("error").expect("a row")["health"], "healthy");
    foster.verb(&["health"]).expect(0);
    fs::write(foster.path("ill"), "").expect("a file");
    for (failure, _) in SERVER_FAILURES {
        foster.wait_for_state(failure, "unhealthy");
    }
    let (ill, usual) = status_times(&foster, &servers("none"));
    assert!(ill < 2 * usual, "{ill:?}, usually {usual:?}");
    let said = foster.verb(&["health"]).expect(1).stdout;
    for (failure, seen) in SERVER_FAILURES {
        let line = format!("{failure}: unhealthy: {seen} (3 times in a row)");
        assert!(said.lines().any(|said| said == line), "{line}\n{said}");
    }
    assert_eq!(said.lines().count(), SERVER_FAILURES.len(), "{said}");
    let row = foster.row("error").expect("a row");
    assert_eq!((&row["health"], &row["ready"]), (&Value::from("unhealthy"), &Value::from(true)));
    let table = foster.verb(&["status", "error"]).expect(0).stdout;
    assert!(table.contains("unhealthy") && table.contains("GET /health answered 500"), "{table}");
    let events = foster.verb(&["events", "--state", "unhealthy", "error"]).expect(0).stdout;
    assert_eq!(events.lines().count(), 1, "{events}");
    assert!(events.contains("GET /health answered 500"), "{events}");
    fs::remove_file(foster.path("ill")).expect("a file");
    for (failure, _) in SERVER_FAILURES {
        foster.wait_for_state(failure, "running");
        foster.wait_for_line(&format!("{failure}: healthy again"));
        assert_eq!(foster.row(failure).expect("a row")["restarts"], 0);
    }
    foster.verb(&["health"]).expect(0);
}

#[test]
fn with_the_action_shutdown_an_unhealthy_program_ends_the_container_with_1_and_the_reason() {
    let config = "[foster]\ntermination_log = 'termination-log'\n[program.app]\ncommand = 'puppet print:hello pause'\nmin_uptime = '1ms'\nhealth = { file = 'well', interval = '20ms', failures = 2, action = 'shutdown' }\n";
    let mut foster = Foster::new().config(config).file("termination-log", "").start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    let reason = "app is unhealthy, and the action of its health is `shutdown`: well does not exist (2 times in a row)";
    let log = foster.content("termination-log");
    assert!(log.contains(reason) && log.contains("hello"), "{log}");
    let stderr = foster.output().stderr();
    assert!(stderr.lines().any(|line| line.contains("exit status 1") && line.contains(reason)), "{stderr}");
}

/// Every kind of probe passes until the test breaks its target.
#[test]
fn every_kind_of_probe_detects_a_program_that_does_not_work() {
    let port = free_port();
    let program = |name: &str, step: &str, probe: &str| {
        format!(
            "[program.{name}]\ncommand = ['puppet', '{step}', 'pause']\nmin_uptime = '1ms'\nhealth = {{ {probe}, interval = '20ms', failures = 2, action = 'none' }}\n"
        )
    };
    let exec = "exec = ['sh', '-c', 'test -e well || { echo it is ill >&2; false; }']";
    let config = [
        program("by_exec", "touch:well", exec),
        program("by_file", "touch:well", "file = 'well'"),
        program("by_unix", "listen:unix:app.sock", "unix = 'app.sock'"),
        program("by_tcp", &format!("child:listen:tcp:{port} pause"), &format!("tcp = '127.0.0.1:{port}'")),
    ]
    .concat();
    let foster = Foster::new().config(&config).start();
    let names = ["by_exec", "by_file", "by_unix", "by_tcp"];
    for name in names {
        foster.wait_for_state(name, "running");
    }
    let server = foster.pid_of("by_tcp");
    let child = foster.processes().into_iter().find(|process| process.parent == server);
    fs::remove_file(foster.path("well")).expect("a file");
    fs::remove_file(foster.path("app.sock")).expect("a socket");
    let child = nix::unistd::Pid::from_raw(child.expect("the child that listens").pid);
    nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL).expect("a kill");
    for name in names {
        foster.wait_for_state(name, "unhealthy");
    }
    for seen in [
        "by_exec: unhealthy: the command exited with status 1: it is ill",
        "by_file: unhealthy: well does not exist",
        "by_unix: unhealthy: app.sock does not exist",
        &format!("by_tcp: unhealthy: .*127.0.0.1:{port}.*Connection refused"),
    ] {
        foster.wait_for_line(seen);
    }
}

/// The number of running processes whose command line ends with this text.
fn running(foster: &Running, end: &str) -> usize {
    let is_it = |pid: i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ").ends_with(end)
    };
    foster.processes().iter().filter(|process| is_it(process.pid)).count()
}

#[test]
fn a_timeout_above_the_interval_is_allowed_and_attempts_never_overlap() {
    let config = "[program.app]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\nhealth = { exec = ['puppet', 'append:attempts:x', 'sleep:0.1', 'append:ends:x'], interval = '10ms', timeout = '5s', action = 'none' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for("ten attempts", || {
        // The ends are counted first: an attempt that starts in between only makes the difference larger.
        let ends = foster.content("ends").len();
        let attempts = foster.content("attempts").len();
        assert!(attempts <= ends + 4, "{attempts} {ends}");
        assert!(running(&foster, "append:ends:x") <= 1);
        ends >= 20
    });
    assert_eq!(foster.row("app").expect("a row")["health"], "healthy");
}

/// Without CAP_KILL foster cannot kill a process of another user, like a process in an uninterruptible sleep.
#[test]
fn an_attempt_that_cannot_be_killed_is_the_only_one_until_it_exits() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = 'puppet pause'\nuser = '12345'\nmin_uptime = '1ms'\nhealth = { exec = ['puppet', 'wait-file:go'], interval = '20ms', timeout = '20ms', failures = 5, action = 'none' }\n";
    let foster = Foster::new().config(config).without("CAP_KILL").start();
    foster.wait_for_line(r"app: unhealthy: no answer within 20ms \(3 times in a row\)");
    assert_eq!(running(&foster, "wait-file:go"), 1);
    fs::write(foster.path("go"), "").expect("a file");
    // The next attempt starts now, and passes.
    foster.wait_for_state("app", "running");
}

#[test]
fn a_file_system_that_hangs_makes_a_program_unhealthy_and_blocks_one_process_per_probe() {
    if !may_make_namespaces() {
        return;
    }
    let Some(dead) = DeadFileSystem::new() else { return };
    let program = |name: &str, probe: &str| {
        format!(
            "[program.{name}]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\nhealth = {{ {probe}, interval = '30ms', timeout = '30ms', action = 'none' }}\n"
        )
    };
    let names = ["by_file", "by_unix", "by_exec"];
    let config = [
        program("by_file", "file = 'dead/well'"),
        program("by_unix", "unix = 'dead/socket'"),
        program("by_exec", "exec = ['dead/check']"),
    ]
    .concat();
    let mut foster = Foster::new().config(&config).dead_folder("dead", &dead).start();
    for name in names {
        foster.wait_for_line(&format!("{name}: unhealthy: no answer within 30ms"));
    }
    let (held, usual) = status_times(&foster, &servers("none"));
    assert!(held < 2 * usual, "{held:?}, usually {usual:?}");
    let processes = foster.processes().len();
    assert!(processes <= 1 + 2 * names.len(), "{processes}");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn the_verb_health_answers_from_state_and_starts_no_probe() {
    let config = "[program.app]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\nhealth = { exec = ['puppet', 'append:attempts:x'], interval = '1h' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "running");
    for _ in 0..20 {
        foster.verb(&["health"]).expect(0);
    }
    assert_eq!(foster.content("attempts"), "");
}

#[test]
fn a_stop_cancels_the_attempt_in_flight_with_its_group() {
    let config = "[program.app]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\nhealth = { exec = ['sh', '-c', 'puppet touch:asking pause & wait'], interval = '10ms', timeout = '1h' }\n[program.other]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("asking");
    foster.verb(&["stop", "app"]).expect(0);
    foster.wait_for("foster and the other", || foster.processes().len() == 2);
}

/// The number of times that a process has slept and was woken (proc_pid_status(5)).
fn wakeups(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a live process");
    let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.and_then(|count| count.trim().parse().ok()).expect("a count")
}

/// With an interval of 10 s that is at most 72 wakeups a minute.
#[test]
fn ten_probes_with_one_interval_cost_at_most_twelve_wakeups_an_interval() {
    let mut config = String::new();
    for n in 0..10 {
        let port = free_port();
        // The programs become ready at different times, so their first attempts differ.
        config += &format!(
            "[program.app{n}]\ncommand = 'puppet serve:{port}:error:ill pause'\nmin_uptime = '{}ms'\nhealth = {{ http = 'http://127.0.0.1:{port}/', interval = '500ms' }}\n",
            1 + 49 * n
        );
    }
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("app9", "running");
    let (since, mut aligned, mut measured) = (Instant::now(), None, None);
    // No verb is used, because a client would wake the loop.
    foster.wait_for("attempts to be aligned, and ten intervals", || {
        let passed = since.elapsed();
        if passed > Duration::from_secs(7) && aligned.is_none() {
            aligned = Some((wakeups(foster.pid()), Instant::now()));
        }
        measured = aligned.and_then(|(count, since)| {
            (since.elapsed() >= Duration::from_secs(5))
                .then(|| (wakeups(foster.pid()) - count, since.elapsed()))
        });
        measured.is_some()
    });
    let (count, time) = measured.expect("just measured");
    let intervals = time.as_millis().div_ceil(500);
    assert!(u128::from(count) <= 12 * intervals, "{count} in {time:?}");
    foster.verb(&["health"]).expect(0);
}
