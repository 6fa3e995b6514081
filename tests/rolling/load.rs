//! Rolling restarts under load: wrk with 50 connections against a program behind a foster socket.
//!
//! `FOSTER_TEST_LOAD=60` loads it for 60 s in each test; without, for 10 s.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{program, rewrite, start};
use crate::support::{Foster, Running, found, free_port, python_with};

/// A load that runs beside the test.
struct Load(Child);

impl Load {
    fn start(wrk: &Path, port: u16) -> Load {
        let seconds = std::env::var("FOSTER_TEST_LOAD").unwrap_or("10".into());
        let mut command = Command::new(wrk);
        // A connection for each request: one that is kept open may be closed while the next request is on its way.
        command.args(["-t2", "-c50", &format!("-d{seconds}s"), "-H", "Connection: close"]);
        command.arg(format!("http://127.0.0.1:{port}/")).stdout(Stdio::piped());
        Load(command.spawn().expect("wrk"))
    }

    fn is_over(&mut self) -> bool {
        self.0.try_wait().expect("wrk").is_some()
    }

    /// What wrk says at its end.
    fn report(self) -> String {
        let output = self.0.wait_with_output().expect("wrk");
        String::from_utf8(output.stdout).expect("text")
    }
}

fn web(python: &Path, port: u16, keys: &str) -> String {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/rolling/server.py");
    let command = format!("command = ['{}', '{server}']", python.display());
    let sockets = format!("sockets = ['tcp://127.0.0.1:{port}?backlog=1024']");
    program("web", &format!("{command}; {sockets}; ready = {{ log = 'ready' }}; {keys}"))
}

/// Loads a program while `change` is done up to so many times; returns what wrk says, and how often it was done.
#[expect(clippy::print_stdout, reason = "figures for a person, shown with `--nocapture`")]
fn load(
    keys: &str,
    times: u32,
    mut change: impl FnMut(&Running, &dyn Fn(&str) -> String, u32),
) -> Option<String> {
    let (wrk, python) = (found("wrk")?, found("python3")?);
    let port = free_port();
    let foster = start(&web(&python, port, keys));
    let mut load = Load::start(&wrk, port);
    let mut done = 0;
    while done < times && !load.is_over() {
        change(&foster, &|keys| web(&python, port, keys), done);
        done += 1;
    }
    assert!(done > 0);
    let report = load.report();
    assert!(report.contains("requests in "), "{report}");
    println!("{done} changes of `{keys}`\n{report}");
    Some(report)
}

/// wrk mentions errors only where there are any.
fn assert_no_errors(report: &str) {
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
}

#[test]
fn twenty_reloads_of_two_instances_fail_no_request() {
    let report = load("instances = 2", 20, |foster, _, _| {
        foster.verb(&["reload", "web"]).expect(0);
    });
    if let Some(report) = report {
        assert_no_errors(&report);
    }
}

#[test]
fn reloads_of_one_instance_fail_no_request() {
    let report = load("", 20, |foster, _, _| {
        foster.verb(&["reload", "web"]).expect(0);
    });
    if let Some(report) = report {
        assert_no_errors(&report);
    }
}

/// Each to a definition that comes up, and then to one that does not.
fn update(instances: &str) {
    let report = load(instances, 6, |foster, web, count| {
        let good = format!("{instances}; environment = {{ COUNT = '{count}' }}");
        rewrite(foster, &web(&good));
        foster.verb(&["update"]).expect(0);
        let bad = web(&good).replace("'ready'", "'never', timeout = '300ms'");
        rewrite(foster, &bad);
        foster.verb(&["update"]).expect(1);
    });
    if let Some(report) = report {
        assert_no_errors(&report);
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

/// Kills the first process while the program is under load: no connection is refused.
fn kill_the_first(instances: &str) {
    let keys = format!("{instances}; backoff = {{ max = '100ms' }}; start_limit = 'unlimited'");
    let report = load(&keys, 20, |foster, _, _| {
        let (name, before) = {
            let row = foster.row("web").expect("a row");
            (row["label"].as_str().expect("a label").to_owned(), row["pid"].clone())
        };
        foster.verb(&["signal", "KILL", &name]).expect(0);
        foster.wait_for("the next run", || {
            foster.row("web").is_some_and(|row| row["state"] == "running" && row["pid"] != before)
        });
    });
    if let Some(report) = report {
        assert!(!report.contains("Non-2xx"), "{report}");
        let errors = report.lines().find(|line| line.contains("Socket errors"));
        assert!(errors.is_none_or(|line| line.contains("connect 0,")), "{report}");
    }
}

#[test]
fn a_killed_instance_of_two_fails_its_own_requests_and_refuses_no_connection() {
    kill_the_first("instances = 2");
}

#[test]
fn a_killed_program_fails_its_own_requests_and_refuses_no_connection() {
    kill_the_first("");
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
    let port = free_port();
    let command = format!("command = ['{python}', '-m', 'gunicorn', '--workers', '{WORKERS}', 'app:app']");
    let sockets = format!("sockets = ['tcp://127.0.0.1:{port}']; reload_signal = 'HUP'");
    let ready = format!("ready = {{ http = 'http://127.0.0.1:{port}/' }}");
    let config = program("web", &format!("{command}; {sockets}; {ready}"));
    let foster = Foster::new().config(&config).file("app.py", app).start();
    foster.wait_for_state("web", "running");
    let mut load = Load::start(&wrk, port);
    let mut done = 0;
    while done < 10 && !load.is_over() {
        let before = workers(&foster);
        foster.verb(&["reload", "web"]).expect(0);
        foster.wait_for("other workers", || {
            let now = workers(&foster);
            now.len() == WORKERS && now.iter().all(|worker| !before.contains(worker))
        });
        done += 1;
    }
    let report = load.report();
    assert!(done > 0 && report.contains("requests in "), "{report}");
    assert_no_errors(&report);
}
