//! The quickstart of README.md.

use crate::support::{End, Foster, binary, found, repository};

#[test]
fn the_quickstart_shows_order_readiness_a_crash_and_a_clean_stop() {
    let foster = Foster::new();
    assert_shows_what_it_promises(foster.arguments(&["run", "-c", &config()]));
}

#[test]
fn under_qemu_user_the_quickstart_shows_the_same() {
    if found("qemu-x86_64").is_none() {
        return;
    }
    let foster = binary().display().to_string();
    let arguments = [&foster, "run", "-c", &config()];
    assert_shows_what_it_promises(Foster::new().program("qemu-x86_64", &arguments));
}

fn config() -> String {
    repository().join("examples/quickstart/foster.toml").display().to_string()
}

fn assert_shows_what_it_promises(foster: Foster) {
    let socket = foster.folder().join("foster.sock").display().to_string();
    let mut foster = foster.env("QUICKSTART_SOCKET", &socket).start();
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
