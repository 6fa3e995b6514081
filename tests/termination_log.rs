//! The reason of an end, as Kubernetes shows it: the termination log names the cause and the remedy.
//!
//! The same text is the last thing on stderr (`output.rs`), so one look at either is enough.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Running, found, free_port, may_make_namespaces};

/// Three attempts, one right after the other.
const QUICK: &str = "start_limit = 3\nbackoff = { initial = '1ms', max = '1ms' }\n";

fn started(foster: Foster, program: &str, settings: &str) -> Running {
    let config = format!("[program.web]\n{program}\n{QUICK}[foster]\ntermination_log = 'log'\n{settings}");
    foster.config(&config).file("log", "").start()
}

/// The first line of the termination log, once foster has ended with this status.
#[track_caller]
fn reason(mut foster: Running, status: i32) -> String {
    assert_eq!(foster.wait_exit(), End::Code(status), "{}", foster.output().shown());
    let log = foster.content("log");
    let reason = log.lines().next().unwrap_or_default().to_owned();
    assert!(reason.starts_with(&format!("exit status {status}: ")), "{log}");
    let seen = foster.output().stderr();
    assert!(
        seen.contains(&format!("foster | error: {reason}")) || seen.contains(&format!("foster | {reason}")),
        "{seen}"
    );
    reason
}

#[track_caller]
fn assert_names(reason: &str, parts: &[&str]) {
    for part in parts {
        assert!(reason.contains(part), "no `{part}` in: {reason}");
    }
}

#[test]
fn what_is_missing_in_the_image_is_named_with_the_remedy() {
    let correct = ": add it to the image, or correct the command; gave up after 3 failures in a row";
    for (program, cause, remedy) in [
        ("command = 'gunicornn'", "web could not be started: `gunicornn` is not in PATH (", correct),
        ("command = '/app/start'", "running `/app/start`: No such file or directory", correct),
        (
            "command = 'puppet'\nuser = 'appp'",
            "web could not be started: user `appp` is not in /etc/passwd",
            ": add it to the image, or use its number; gave up after 3 failures in a row",
        ),
        (
            "command = 'puppet'\nuser = '0:appp'",
            "group `appp` is not in /etc/group",
            ": add it to the image, or use its number; ",
        ),
        (
            "command = 'puppet'\ndirectory = '/app'",
            "entering directory `/app`: No such file or directory",
            ": create it, or correct `directory`; ",
        ),
    ] {
        assert_names(&reason(started(Foster::new(), program, ""), 1), &[cause, remedy]);
    }
}

#[test]
fn a_probe_that_is_answered_with_404_is_named_with_the_answer_and_the_remedy() {
    let port = free_port();
    let program = format!(
        "command = 'puppet http:{port}:404 pause'\nready = {{ http = 'http://127.0.0.1:{port}/healthz', interval = '20ms', timeout = '500ms' }}"
    );
    let reason = reason(started(Foster::new(), &program, ""), 1);
    let cause = "web was not ready within 500ms: GET /healthz answered 404; gave up after 3 failures";
    assert_names(&reason, &[cause, "; correct `ready`, or raise its `timeout`"]);
}

#[test]
fn a_program_that_is_killed_for_memory_is_named_with_the_remedy() {
    let Some(counter) = counter_of_memory_kills() else { return };
    let foster = Foster::new().file("oom", "oom_kill 0\n").instead_of(&counter, "oom");
    let program = "command = 'puppet touch:up pause'\nrestart = 'never'";
    let foster = started(foster, program, "");
    foster.wait_for_file("up");
    // The kernel counts before it kills.
    fs::write(foster.path("oom"), "oom_kill 1\n").expect("a file");
    kill(Pid::from_raw(foster.pid_of("web")), Signal::SIGKILL).expect("a kill");
    let reason = reason(foster, 137);
    let cause = "web was killed by the kernel: out of memory (SIGKILL) after ";
    assert_names(&reason, &[cause, "; raise the memory limit of the container, or let the program use less"]);
}

/// The file in which the kernel counts them, as foster finds it; `None`: this machine has none.
fn counter_of_memory_kills() -> Option<String> {
    if !may_make_namespaces() {
        return None;
    }
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let path = |line: &str| line.splitn(3, ':').nth(2).unwrap_or_default().to_owned();
    let one = groups.lines().find(|line| line.split(':').nth(1) == Some("memory")).map(path);
    let one = one.map(|path| format!("/sys/fs/cgroup/memory{path}/memory.oom_control"));
    let two = groups.lines().find(|line| line.starts_with("0::")).map(path);
    let two = two.map(|path| format!("/sys/fs/cgroup{path}/memory.events"));
    let found = one.into_iter().chain(two).find(|path| fs::exists(path).unwrap_or(false));
    if found.is_none() {
        eprintln!("skipped: no counter of out-of-memory kills here");
    }
    found
}

#[test]
fn a_program_that_does_not_stop_in_time_is_named_with_the_remedy() {
    let program = "command = 'puppet ignore:TERM touch:up pause'\nstop_timeout = '100ms'";
    let foster = started(Foster::new(), program, "");
    foster.wait_for_file("up");
    foster.signal(Signal::SIGTERM);
    let cause = "got SIGTERM; web did not stop within 100ms of SIGTERM, and foster killed it";
    let remedy = ": raise `stop_timeout`, or set the `stop_signal` it obeys";
    assert_names(&reason(foster, 0), &[cause, remedy]);
}

#[test]
fn a_program_that_outlasts_the_shutdown_is_named_with_the_remedy() {
    let program = "command = 'puppet ignore:TERM touch:up pause'\nstop_timeout = '1h'";
    let foster = started(Foster::new(), program, "shutdown_timeout = '300ms'\n");
    foster.wait_for_file("up");
    foster.signal(Signal::SIGTERM);
    let remedy = "and foster killed it at the end of the shutdown: raise `shutdown_timeout`, ";
    assert_names(&reason(foster, 0), &["got SIGTERM; web did not stop within ", remedy]);
}

#[test]
fn a_kill_long_before_the_end_is_no_part_of_its_reason() {
    let program = "command = 'puppet ignore:TERM touch:up pause'\nstop_timeout = '10ms'";
    let foster = started(Foster::new(), program, "");
    foster.wait_for_file("up");
    foster.verb(&["stop", "web"]).expect(0);
    foster.wait_for_line("web: did not stop within 10ms of SIGTERM");
    foster.verb(&["shutdown"]).expect(0);
    assert!(!reason(foster, 0).contains("did not stop"));
}

#[test]
fn a_program_that_goes_into_the_background_is_named_with_the_remedy_in_the_reason() {
    if !may_make_namespaces() {
        return;
    }
    let program = "command = \"puppet 'child:setsid touch:daemon pause' wait-file:daemon exit:0\"";
    let reason = reason(started(Foster::new(), program, ""), 1);
    let remedy = "; it went into the background: foster needs it in the foreground; for nginx `daemon off;`";
    assert_names(
        &reason,
        &["web exited with status 0 after ", "; gave up after 3 failures in a row", remedy],
    );
}

#[test]
fn nginx_without_daemon_off_is_named_with_the_remedy_in_the_reason() {
    if !may_make_namespaces() || found("nginx").is_none() {
        return;
    }
    let (foster, port) = (Foster::new(), free_port());
    let here = foster.folder().display().to_string();
    let nginx = format!(
        "pid {here}/nginx.pid;\nerror_log {here}/error.log;\nevents {{}}\nhttp {{\n  access_log off;\n  client_body_temp_path {here}/1;\n  proxy_temp_path {here}/2;\n  fastcgi_temp_path {here}/3;\n  uwsgi_temp_path {here}/4;\n  scgi_temp_path {here}/5;\n  server {{ listen 127.0.0.1:{port}; }}\n}}\n"
    );
    let program = format!("command = ['nginx', '-c', '{here}/nginx.conf']");
    let reason = reason(started(foster.file("nginx.conf", &nginx), &program, ""), 1);
    assert_names(
        &reason,
        &["web exited with status 0 after ", "it went into the background", "`daemon off;`"],
    );
}

#[test]
fn a_program_that_ends_with_success_too_early_is_named_with_the_remedy() {
    let reason = reason(started(Foster::new(), "command = 'puppet exit:0'", ""), 1);
    assert_names(&reason, &["web exited with status 0 after ", "`restart = \"on-failure\"` lets it end"]);
}

#[test]
fn a_program_that_finds_its_standard_input_at_its_end_is_named_with_the_remedy_and_runs_with_that() {
    let remedy = "if it reads its standard input, which is at its end: `stdin = \"open\"` keeps that open";
    let without = reason(started(Foster::new(), "command = 'cat'", ""), 1);
    assert_names(&without, &["web exited with status 0 after ", remedy]);
    let open = started(Foster::new(), "command = 'cat'\nmin_uptime = '50ms'\nstdin = 'open'", "");
    open.wait_for_state("web", "running");
    // One that ends with its input open does not end for that.
    let other = reason(started(Foster::new(), "command = 'puppet exit:0'\nstdin = 'open'", ""), 1);
    assert!(!other.contains("standard input"), "{other}");
}
