//! Rolling restarts and crashes under load: wrk against a program behind a foster socket.
//!
//! `FOSTER_TEST_LOAD=60` is the long form: 50 connections for 60 s in each test, with as many changes as
//! SPECIFICATION.md names, evenly spread. The short one has fewer of both and ends with the last change.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{program, rewrite, start, up};
use crate::support::{Foster, Running, found, free_port, python_with};

/// How much is done to the program, and for how long.
#[derive(Clone, Copy)]
struct Form {
    connections: usize,
    changes: u32,
    /// At least.
    time: Duration,
}

impl Form {
    /// With so many changes in the short form, and in the long one.
    fn new(short: u32, long: u32) -> Form {
        match std::env::var("FOSTER_TEST_LOAD") {
            Ok(seconds) => {
                let time = Duration::from_secs(seconds.parse().expect("FOSTER_TEST_LOAD: seconds"));
                Form { connections: 50, changes: long, time }
            }
            Err(_) => Form { connections: 20, changes: short, time: Duration::ZERO },
        }
    }

    /// Does each of the changes when its time has come, and waits until the whole is over.
    fn run(self, foster: &Running, mut change: impl FnMut(u32)) {
        let since = Instant::now();
        let until = |time: Duration| foster.wait_for("the time of a change", || since.elapsed() >= time);
        for count in 0..self.changes {
            until(self.time * count / self.changes);
            change(count);
        }
        until(self.time);
    }
}

/// A load that runs beside the test.
struct Load(Child);

impl Load {
    fn start(wrk: &Path, port: u16, form: Form) -> Load {
        let mut command = Command::new(wrk);
        // A connection for each request: one that is kept open may be closed while the next request is on its way.
        command.args(["-t2", &format!("-c{}", form.connections), "-d1h", "-H", "Connection: close"]);
        command.arg(format!("http://127.0.0.1:{port}/")).stdout(Stdio::piped());
        Load(command.spawn().expect("wrk"))
    }

    /// Ends it; returns what wrk says.
    #[expect(clippy::print_stdout, reason = "figures for a person, shown with `--nocapture`")]
    fn finish(mut self, what: &str) -> Report {
        assert_eq!(self.0.try_wait().expect("wrk"), None);
        kill(Pid::from_raw(self.0.id().try_into().expect("a pid")), Signal::SIGINT).expect("wrk");
        let output = self.0.wait_with_output().expect("wrk");
        let report = String::from_utf8(output.stdout).expect("text");
        println!("{what}\n{report}");
        assert!(report.contains("requests in ") && !report.contains(" 0 requests in "), "{report}");
        Report(report)
    }
}

/// The report of wrk. It mentions errors only where there are any.
struct Report(String);

impl Report {
    fn assert_no_errors(&self) {
        assert!(!self.0.contains("Socket errors") && !self.0.contains("Non-2xx"), "{}", self.0);
    }

    /// No connection was refused, and each death failed no more requests than there were connections: those that the dead
    /// process held.
    fn assert_only_held_requests_failed(&self, form: Form) {
        assert!(!self.0.contains("Non-2xx"), "{}", self.0);
        let Some(line) = self.0.lines().find_map(|line| line.trim().strip_prefix("Socket errors: ")) else {
            return;
        };
        let errors: BTreeMap<&str, usize> = line
            .split(", ")
            .filter_map(|kind| kind.split_once(' '))
            .map(|(kind, count)| (kind, count.parse().expect("a count")))
            .collect();
        let held = form.connections * usize::try_from(form.changes).expect("a number");
        assert!(errors["connect"] == 0 && errors["timeout"] == 0, "{line}");
        assert!(errors.values().sum::<usize>() <= held, "{line}");
    }
}

/// The program, with these keys, in which `PORT` stands for its port.
fn web(python: &Path, port: u16, keys: &str) -> String {
    web_that_starts_within("0", python, port, keys)
}

/// The same, with a server that needs so many seconds to start.
fn web_that_starts_within(seconds: &str, python: &Path, port: u16, keys: &str) -> String {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rolling/server.py");
    let command = format!("command = ['{}', '{server}', '{seconds}']", python.display());
    let sockets = format!("sockets = ['tcp://127.0.0.1:{port}?backlog=1024']");
    let ready = if keys.contains("ready = ") { "" } else { "ready = { log = 'ready' }; " };
    let keys = keys.replace("PORT", &port.to_string());
    program("web", &format!("{command}; {sockets}; {ready}{keys}"))
}

/// Loads a program while `change` is done to it.
fn load(keys: &str, form: Form, change: impl Fn(&Running, &dyn Fn(&str) -> String, u32)) -> Option<Report> {
    let (wrk, python) = (found("wrk")?, found("python3")?);
    let port = free_port();
    let foster = start(&web(&python, port, keys));
    let load = Load::start(&wrk, port, form);
    form.run(&foster, |count| change(&foster, &|keys| web(&python, port, keys), count));
    Some(load.finish(&format!("{} changes of `{keys}`", form.changes)))
}

fn reload(instances: &str) {
    let report = load(instances, Form::new(5, 20), |foster, _, _| {
        foster.verb(&["reload", "web"]).expect(0);
    });
    if let Some(report) = report {
        report.assert_no_errors();
    }
}

#[test]
fn twenty_reloads_of_two_instances_fail_no_request() {
    reload("instances = 2");
}

#[test]
fn reloads_of_one_instance_fail_no_request() {
    reload("");
}

/// The old run would answer for the new one, so that one waits for the end of the other.
#[test]
fn reloads_in_place_of_one_instance_fail_no_request() {
    reload("ready = { http = 'http://127.0.0.1:PORT/' }");
}

/// Each to a definition that comes up, and then to one that does not.
fn update(instances: &str) {
    let report = load(instances, Form::new(2, 5), |foster, web, count| {
        let good = format!("{instances}; environment = {{ COUNT = '{count}' }}");
        rewrite(foster, &web(&good));
        foster.verb(&["update"]).expect(0);
        let bad = web(&good).replace("'ready'", "'never', timeout = '300ms'");
        rewrite(foster, &bad);
        foster.verb(&["update"]).expect(1);
    });
    if let Some(report) = report {
        report.assert_no_errors();
    }
}

#[test]
fn updates_of_two_instances_fail_no_request_whether_the_new_command_comes_up_or_not() {
    update("instances = 2");
}

#[test]
fn updates_of_one_instance_fail_no_request_whether_the_new_command_comes_up_or_not() {
    update("");
}

/// After a run of `reset` the restart is immediate: what a client waits for is the start-up of the server.
const BACKOFF: &str = "backoff = { reset = '1s' }; start_limit = 'unlimited'";

/// Kills the first process of the program, when it was up for `reset`, and waits until the next one serves. Returns when
/// that began and ended.
fn kill_the_first(foster: &Running) -> (Instant, Instant) {
    let up = |row: &Value| row["state"] == "running" && row["uptime_ms"].as_u64() >= Some(1000);
    let mut row = Value::Null;
    foster.wait_for("a run that is long enough", || {
        row = foster.row("web").expect("a row");
        up(&row)
    });
    // By the log: a verb is a process, which would take its time from the server that starts.
    let starts = || foster.output().stderr().matches(": ready after ").count();
    let (before, killed) = (starts(), Instant::now());
    foster.verb(&["signal", "KILL", row["label"].as_str().expect("a label")]).expect(0);
    foster.wait_for("the next run", || starts() > before);
    (killed, Instant::now())
}

#[test]
fn a_killed_instance_of_two_fails_its_own_requests_and_refuses_no_connection() {
    let form = Form::new(5, 20);
    let report = load(&format!("instances = 2; {BACKOFF}"), form, |foster, _, _| {
        kill_the_first(foster);
    });
    if let Some(report) = report {
        report.assert_only_held_requests_failed(form);
    }
}

/// A request that was answered: when it was sent, and how long it waited.
type Wait = (Instant, Duration);

/// Asks again and again until it is over. The requests that a killed process held are left out.
fn ask(port: u16, is_over: &AtomicBool) -> Vec<Wait> {
    let mut waits = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let since = Instant::now();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a place in the backlog");
        let mut answer = String::new();
        let sent = stream.write_all(b"GET / HTTP/1.0\r\n\r\n");
        if sent.and_then(|()| stream.read_to_string(&mut answer)).is_ok() && answer.ends_with("ok\n") {
            waits.push((since, since.elapsed()));
        }
    }
    waits
}

/// How long each start of the program took, in the order of the starts.
fn start_ups(foster: &Running) -> Vec<Duration> {
    let events = foster.verb(&["events", "--json", "--event", "ready", "web"]).expect(0).stdout;
    let events = events.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    let milliseconds = events.map(|event: Value| event["after_ms"].as_u64().expect("a duration"));
    milliseconds.map(Duration::from_millis).collect()
}

/// What a client waits for beside the start-up of the server.
const ALLOWANCE: Duration = Duration::from_millis(50);

#[test]
fn a_killed_program_fails_its_own_requests_and_the_others_wait_for_its_start_alone() {
    let (Some(wrk), Some(python)) = (found("wrk"), found("python3")) else { return };
    let form = Form::new(5, 20);
    let port = free_port();
    // Other tests would take time from the server.
    let foster = up(Foster::new().alone(), &web(&python, port, BACKOFF));
    let load = Load::start(&wrk, port, form);
    let mut kills = Vec::new();
    let ((), waits) = ask_during(port, || form.run(&foster, |_| kills.push(kill_the_first(&foster))));
    load.finish("kills of one instance").assert_only_held_requests_failed(form);
    let restarts = foster.output().stderr().matches("web: was killed by SIGKILL").count();
    let immediate = foster.output().stderr().matches("; restarting now").count();
    assert_eq!((restarts, immediate), (kills.len(), kills.len()), "{}", foster.output().shown());
    // The first start is not one after a kill.
    let start_ups = start_ups(&foster).split_off(1);
    assert_eq!(start_ups.len(), kills.len());
    let beyond =
        |(kill, start): (&(Instant, Instant), &Duration)| longest(&waits, *kill).saturating_sub(*start);
    let mut beside: Vec<Duration> = kills.iter().zip(&start_ups).map(beyond).collect();
    beside.sort();
    println!("start-ups {start_ups:?}\nlongest waits beyond them, sorted {beside:?}");
    // One of them may be longer because the machine does something else: not half of them.
    assert!(beside[beside.len() / 2] <= ALLOWANCE, "{start_ups:?} {beside:?}");
}

/// Runs clients as long as `changes` takes; returns what that does, and how long each request waited.
fn ask_during<T>(port: u16, changes: impl FnOnce() -> T) -> (T, Vec<Wait>) {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| ask(port, &is_over))).collect();
        let made = changes();
        is_over.store(true, Ordering::Relaxed);
        (made, clients.into_iter().flat_map(|client| client.join().expect("a client")).collect())
    })
}

/// The longest wait of a request that was under way between these instants.
fn longest(waits: &[Wait], (from, to): (Instant, Instant)) -> Duration {
    let meanwhile = waits.iter().filter(|(since, wait)| *since < to && *since + *wait > from);
    meanwhile.map(|(_, wait)| *wait).max().expect("a request meanwhile")
}

/// What a loaded machine adds is far below this start-up.
#[test]
fn at_a_reload_of_one_instance_no_request_waits_for_the_start_of_the_new_run() {
    const START_UP: Duration = Duration::from_secs(2);
    let (Some(wrk), Some(python)) = (found("wrk"), found("python3")) else { return };
    let form = Form::new(3, 10);
    let port = free_port();
    let foster = start(&web_that_starts_within("2", &python, port, ""));
    let load = Load::start(&wrk, port, form);
    let mut reloads = Vec::new();
    let ((), waits) = ask_during(port, || {
        form.run(&foster, |_| {
            let began = Instant::now();
            foster.verb(&["reload", "web"]).expect(0);
            reloads.push((began, Instant::now()));
        });
    });
    load.finish("reloads of one instance that starts slowly").assert_no_errors();
    let mut longest: Vec<Duration> = reloads.iter().map(|reload| longest(&waits, *reload)).collect();
    longest.sort();
    println!("longest waits, sorted {longest:?}");
    assert!(longest[longest.len() / 2] < START_UP / 2, "{longest:?}");
    assert!(start_ups(&foster).iter().all(|start_up| *start_up >= START_UP));
}

/// The workers of gunicorn.
fn workers(foster: &Running) -> Vec<i32> {
    let master = foster.pid_of("web");
    let processes = foster.processes();
    processes.iter().filter(|one| one.parent == master).map(|one| one.pid).collect()
}

/// With the lines of `docs/sockets.md`.
#[test]
fn ten_reloads_of_gunicorn_by_its_signal_fail_no_request() {
    const WORKERS: usize = 4;
    let (Some(wrk), Some(python)) = (found("wrk"), python_with("gunicorn")) else { return };
    let app =
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'gunicorn']\n";
    let (port, form) = (free_port(), Form::new(3, 10));
    let command = format!("command = ['{python}', '-m', 'gunicorn', '--workers', '{WORKERS}', 'app:app']");
    let sockets = format!("sockets = ['tcp://127.0.0.1:{port}']; reload_signal = 'HUP'");
    let ready = format!("ready = {{ http = 'http://127.0.0.1:{port}/' }}");
    let config = program("web", &format!("{command}; {sockets}; {ready}"));
    let foster = Foster::new().config(&config).file("app.py", app).start();
    foster.wait_for_state("web", "running");
    foster.wait_for("all workers", || workers(&foster).len() == WORKERS);
    let load = Load::start(&wrk, port, form);
    form.run(&foster, |_| {
        let before = workers(&foster);
        foster.verb(&["reload", "web"]).expect(0);
        foster.wait_for("other workers", || {
            let now = workers(&foster);
            now.len() == WORKERS && now.iter().all(|worker| !before.contains(worker))
        });
    });
    load.finish("reloads of gunicorn by HUP").assert_no_errors();
}
