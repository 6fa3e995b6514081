//! The quickstart of README.md.

use crate::support::{End, Foster, repository};

#[test]
fn the_quickstart_shows_order_readiness_a_crash_and_a_clean_stop() {
    let config = repository().join("examples/quickstart/foster.toml");
    let foster = Foster::new();
    let socket = foster.folder().join("foster.sock").display().to_string();
    let mut foster = foster
        .env("QUICKSTART_SOCKET", &socket)
        .arguments(&["run", "-c", config.to_str().expect("a path in UTF-8")])
        .start();
    foster.wait_for_state("web", "running");
    // Its backend crashes every few seconds, which never counts towards `start_limit`.
    foster.wait_for_line(r"backend.*exited with status 1");
    foster.wait_for("the second restart", || {
        foster.row("backend").is_some_and(|row| row["restarts"].as_u64() >= Some(2))
    });
    let seen = foster.output().stderr();
    assert!(seen.contains("restarting now") && !seen.contains("failed start"), "{seen}");
    foster.wait_for_state("backend", "running");
    foster.signal(nix::sys::signal::Signal::SIGINT);
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    let seen = foster.output().stdout();
    let (ready, web) = (seen.find("backend | ready"), seen.find("web     | "));
    assert!(ready.is_some() && ready < web, "{seen}");
}

#[test]
fn the_quickstart_needs_nothing_but_foster_and_a_shell() {
    let text = std::fs::read_to_string(repository().join("examples/quickstart/foster.toml"))
        .expect("the quickstart");
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("command = ")).collect();
    assert!(!commands.is_empty());
    assert!(commands.iter().all(|line| line.contains("\"sh\"")), "{commands:?}");
}
