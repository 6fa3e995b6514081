//! `ready`: each kind of probe, and its timeout.

use std::io::{Read, Write};
use std::time::Duration;

use crate::support::{End, Foster, Running, free_port};

/// Starts a backend that is ready only once `go` exists, and a program after it.
fn gated(backend: &str, ready: &str) -> Running {
    let config = format!(
        "[program.backend]\ncommand = \"{backend}\"\nready = {ready}\n[program.web]\ncommand = 'puppet touch:web pause'\nafter = ['backend']\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("backend", "starting");
    foster.wait_for_state("web", "waiting");
    assert!(!foster.path("web").exists());
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_file("web");
    foster.wait_for_state("backend", "running");
    foster
}

#[test]
fn http_is_ready_at_a_good_status() {
    let port = free_port();
    let ready = format!("{{ http = 'http://127.0.0.1:{port}/health', interval = '10ms' }}");
    let foster = gated(&format!("puppet http:{port}:503:go pause"), &ready);
    foster.wait_for("an answer of 200", || {
        crate::support::get(port, "/health").is_some_and(|(status, _)| status == 200)
    });
}

#[test]
fn http_may_accept_other_statuses() {
    let port = free_port();
    let config = format!(
        "[program.backend]\ncommand = 'puppet http:{port}:401 pause'\nready = {{ http = 'http://localhost:{port}/', status = [401] }}\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("backend", "running");
}

#[test]
fn tcp_is_ready_when_a_connection_is_accepted() {
    let port = free_port();
    let ready = format!("{{ tcp = '127.0.0.1:{port}', interval = '10ms' }}");
    drop(gated(&format!("puppet wait-file:go listen:tcp:{port} pause"), &ready));
}

#[test]
fn unix_is_ready_when_a_connection_is_accepted() {
    drop(gated("puppet wait-file:go listen:unix:app.sock pause", "{ unix = 'app.sock', interval = '10ms' }"));
}

#[test]
fn exec_is_ready_when_the_command_succeeds() {
    drop(gated("puppet pause", "{ exec = ['test', '-e', 'go'], interval = '10ms' }"));
}

#[test]
fn file_is_ready_when_the_file_exists() {
    drop(gated("puppet pause", "{ file = 'go', interval = '10ms' }"));
}

#[test]
fn log_is_ready_when_a_line_matches() {
    let ready = "{ log = '^Listening on .*:\\d+$' }";
    drop(gated("puppet print:Listening wait-file:go 'print:Listening on 127.0.0.1:80' pause", ready));
}

#[test]
fn without_a_probe_a_program_is_ready_after_min_uptime() {
    let config = "[program.a]\ncommand = 'puppet pause'\nmin_uptime = '1h'\n[program.b]\ncommand = 'puppet pause'\nmin_uptime = '10ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("b", "running");
    foster.wait_for_state("a", "starting");
}

#[test]
fn not_ready_in_time_is_a_failed_start() {
    let config = "[program.app]\ncommand = 'puppet append:starts:x pause'\nready = { file = 'never', timeout = '50ms', interval = '10ms' }\nstart_limit = 2\nbackoff = { initial = '1ms' }\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    assert_eq!(foster.content("starts"), "x\nx\n");
    foster.wait_for_line("app.*not ready");
}

#[test]
fn a_report_that_does_not_come_is_named_in_the_log_the_status_and_the_reason() {
    for (ready, missing) in [
        ("log = '^Listening on \\d+$'", "no line of its output matches `^Listening on \\d+$`"),
        ("notify = true", "it has not sent READY=1"),
        ("fd = 3", "it has not written a newline to descriptor 3"),
    ] {
        let start = |timeout: &str| {
            let config = format!(
                "[program.app]\ncommand = 'puppet print:Listening pause'\nready = {{ {ready}, timeout = '{timeout}' }}\nstart_limit = 1\n"
            );
            Foster::new().config(&config).start()
        };
        let waits = start("1h");
        waits.wait_for(&format!("a status with `{missing}`"), || {
            waits.verb(&["status"]).stdout.contains(&format!("not ready yet: {missing}\n"))
        });
        let mut late = start("50ms");
        assert_eq!(late.wait_exit(), End::Code(1), "{}", late.output().shown());
        let log = late.output().stderr();
        for line in [
            format!("app: not ready within 50ms ({missing}); stopping it"),
            format!("exit status 1: app was not ready within 50ms: {missing}; it is not restarted; "),
        ] {
            assert!(log.contains(&line), "no `{line}` in: {log}");
        }
    }
}

#[test]
fn a_server_that_hangs_delays_no_other_program() {
    // It accepts connections and sends nothing.
    let port = free_port();
    let config = format!(
        "[program.hanging]\ncommand = 'puppet listen:tcp:{port} pause'\nready = {{ http = 'http://127.0.0.1:{port}/', interval = '10ms' }}\n[program.crashing]\ncommand = 'puppet append:starts:x sleep:0.05 exit:1'\nbackoff = {{ factor = 1 }}\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for("restarts beside the hanging probe", || foster.content("starts").lines().count() >= 5);
    let before = std::time::Instant::now();
    foster.verb(&["status"]);
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
}

#[test]
fn a_stop_ends_a_probe_command() {
    let config = "[program.app]\ncommand = 'puppet touch:up pause'\nready = { exec = ['puppet', 'touch:probing', 'pause'] }\n[program.other]\ncommand = 'puppet pause'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("probing");
    foster.verb(&["stop", "app"]).expect(0);
    foster.wait_for("foster and the other", || foster.processes().len() == 2);
}

#[test]
fn the_last_line_of_a_probe_command_is_part_of_the_reason() {
    let config = "[program.app]\ncommand = 'puppet pause'\nready = { exec = ['sh', '-c', 'echo connecting >&2; echo no route to host >&2; exit 2'], timeout = '300ms', interval = '10ms' }\nstart_limit = 1\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    foster.wait_for_line("app.*not ready.*the command exited with status 2: no route to host");
}

#[test]
fn headers_and_method_are_sent_as_configured() {
    let port = free_port();
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a listener");
    let config = format!(
        "[program.app]\ncommand = 'puppet pause'\nready = {{ http = 'http://127.0.0.1:{port}/h', method = 'HEAD', headers = {{ Host = 'example.org', Authorization = 'Bearer x' }} }}\n"
    );
    let foster = Foster::new().config(&config).start();
    let (mut server, _) = listener.accept().expect("a connection");
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        server.read_exact(&mut byte).expect("a request");
        request.extend(byte);
    }
    let request = String::from_utf8(request).expect("text");
    assert!(request.starts_with("HEAD /h HTTP/1.1\r\nHost: example.org\r\n"), "{request}");
    assert!(request.contains("\r\nAuthorization: Bearer x\r\n"), "{request}");
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("a response");
    foster.wait_for_state("app", "running");
}

/// The next attempt follows after `interval`, not after the timeout of an attempt.
#[test]
fn a_file_that_is_created_later_is_found_at_the_next_attempt() {
    let config = "[program.backend]\ncommand = 'puppet sleep:0.2 touch:app.pid pause'\nready = { file = 'app.pid', interval = '10ms', timeout = '2s' }\nstart_limit = 1\n";
    let mut foster = Foster::new().config(config).start();
    // No verb is used, because a client would wake the loop.
    foster.wait_for_line("ready after|not ready");
    assert!(!foster.output().has_line("not ready"), "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0));
}
