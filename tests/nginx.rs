//! `examples/nginx-backend`: a real nginx in front of a real backend.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Running, found, free_port, get, repository};

/// The example with other ports and paths, so that two tests do not collide.
fn start() -> Option<(Running, u16)> {
    found("nginx")?;
    found("python3")?;
    let folder = repository().join("examples/nginx-backend");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).expect("a file of the example");
    let (web, backend) = (free_port(), free_port());
    let foster = Foster::new();
    let here = foster.folder().display().to_string();
    let moved = |text: String| {
        text.replace(":8080", &format!(":{web}"))
            .replace("listen 8080", &format!("listen 127.0.0.1:{web}"))
            .replace(":8000", &format!(":{backend}"))
            .replace("\"8000\"", &format!("\"{backend}\""))
            .replace("/tmp/", &format!("{here}/"))
            .replace("/app/", &format!("{here}/"))
    };
    let foster = foster
        .config(&moved(read("foster.toml")))
        .file("nginx.conf", &moved(read("nginx.conf")))
        .file("backend.py", &read("backend.py"))
        .one_stream()
        .start();
    Some((foster, web))
}

#[test]
fn nginx_forwards_to_the_backend_and_never_answers_502_during_the_start() {
    let Some((mut foster, port)) = start() else { return };
    let mut first = None;
    foster.wait_for("an answer of nginx", || {
        first = get(port, "/api/health");
        first.is_some()
    });
    assert_eq!(first.map(|(status, _)| status), Some(200), "{}", foster.output().shown());
    foster.wait_for_line(r"nginx.*GET /api/health");
    let start = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0), "{}", foster.output().shown());
    assert!(at - start < Duration::from_secs(2), "{:?}", at - start);
}

#[test]
fn a_killed_backend_is_restarted_and_the_log_has_the_events_in_order() {
    let Some((foster, port)) = start() else { return };
    foster.wait_for("an answer of the backend through nginx", || {
        get(port, "/").is_some_and(|(status, _)| status == 200)
    });
    // A start is successful after `min_uptime`.
    foster.wait_for("a backend that has been up for a second", || {
        foster.row("backend").is_some_and(|row| row["uptime_ms"].as_u64() > Some(1000))
    });
    let killed = foster.pid_of("backend");
    kill(Pid::from_raw(killed), Signal::SIGKILL).expect("a signal");
    foster.wait_for("another backend", || foster.row("backend").is_some_and(|row| row["restarts"] == 1));
    foster.wait_for_state("backend", "running");
    assert_ne!(foster.pid_of("backend"), killed);
    foster
        .wait_for("an answer of the new backend", || get(port, "/").is_some_and(|(status, _)| status == 200));
    let seen = foster.output().stdout();
    let exit = seen.find("was killed by SIGKILL").expect("the exit of the backend");
    assert!(seen[exit..].contains("restart"), "no restart after it\n{seen}");
    assert!(!Path::new(&format!("/proc/{killed}")).exists());
}
