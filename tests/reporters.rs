//! Programs that report for real: what `docs/readiness.md` shows, with the tools it names.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{End, Foster, Running, found, python_with, repository, run};

/// The blocks of the document below this heading, each with its language.
fn blocks(heading: &str) -> Vec<(String, String)> {
    let document = fs::read_to_string(repository().join("docs/readiness.md")).expect("the document");
    let section = document.split(&format!("\n### {heading}\n")).nth(1).expect("a section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let section = section.split("\n### ").next().unwrap_or_default();
    let fenced = section.split("```").skip(1).step_by(2);
    let block = |text: &str| text.split_once('\n').map(|(kind, text)| (kind.to_owned(), text.to_owned()));
    fenced.filter_map(block).collect()
}

/// The example below a heading as it stands there, with its program in the file `name`.
fn example(heading: &str, name: &str) -> (Foster, String) {
    let blocks = blocks(heading);
    let [(_, program), (kind, config)] = blocks.as_slice() else { panic!("{blocks:?}") };
    assert_eq!(kind, "toml");
    (Foster::new().file(name, program), config.clone())
}

fn status(foster: &Running) -> String {
    let row = foster.row("app").expect("a row");
    format!("{} {}", row["state"].as_str().unwrap_or_default(), row["status"].as_str().unwrap_or_default())
}

/// A Python that has `sdnotify`: the one of the tests, or the system's.
fn python() -> Option<PathBuf> {
    python_with("sdnotify").map(PathBuf::from)
}

#[test]
fn a_python_program_reports_by_sdnotify_and_is_restarted_when_it_hangs() {
    let Some(python) = python() else { return };
    let (foster, config) = example("Python", "app.py");
    let config = config.replace("\"python3\"", &format!("\"{}\"", python.display())).replace("30s", "2s");
    let mut foster = foster.config(&config).start();
    foster.wait_for_state("app", "running");
    assert_eq!(status(&foster), "running Serving");
    foster.verb(&["signal", "STOP", "app"]).expect(0);
    foster.wait_for_line("app: unhealthy: no WATCHDOG=1 within 2s; stopping it");
    foster.wait_for("a restart", || {
        foster.row("app").is_some_and(|row| row["restarts"] == 1 && row["state"] == "running")
    });
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}

#[test]
fn a_shell_script_reports_by_systemd_notify() {
    if found("systemd-notify").is_none() {
        return;
    }
    let (foster, config) = example("Shell", "app.sh");
    let foster = foster.config(&config).start();
    foster.wait_for_state("app", "running");
    assert_eq!(status(&foster), "running Serving");
    assert!(!foster.output().shown().contains("ignored"), "{}", foster.output().shown());
}

/// As a user without privileges `systemd-notify` sends for itself, not for its parent.
#[test]
fn systemd_notify_is_believed_also_without_privileges() {
    if found("systemd-notify").is_none() || !crate::support::may_make_namespaces() {
        return;
    }
    let (foster, config) = example("Shell", "app.sh");
    let foster = foster.config(&format!("{config}user = '12345'\n")).start();
    foster.wait_for_state("app", "running");
    assert_eq!(status(&foster), "running Serving");
}

#[test]
fn systemd_notify_names_the_process_that_takes_the_place_of_the_script() {
    if found("systemd-notify").is_none() {
        return;
    }
    let script = "puppet pause & systemd-notify --ready --pid=$!; exec puppet wait-file:go";
    let config = format!("[program.app]\ncommand = ['sh', '-c', '{script}']\nready = {{ notify = true }}\n");
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("app", "running");
    fs::write(foster.path("go"), "").expect("a file");
    foster
        .wait_for_line(r"app: exited with status 0 \(pid \d+\); its main process is now pid \d+ \(MAINPID\)");
    assert_eq!(foster.row("app").expect("a row")["state"], "running");
}

#[test]
fn a_node_program_writes_a_newline_to_its_descriptor() {
    if found("node").is_none() {
        return;
    }
    let (foster, config) = example("Node", "app.js");
    let foster = foster.config(&config).start();
    foster.wait_for_state("app", "running");
}

#[test]
fn tools_of_s6_report_on_their_notification_descriptor() {
    if found("s6-log").is_none() || found("s6-svscan").is_none() {
        return;
    }
    let blocks = blocks("s6");
    let [(_, config)] = blocks.as_slice() else { panic!("{blocks:?}") };
    let foster = Foster::new().config(config).file("services/none", "").start();
    for name in ["log", "services"] {
        foster.wait_for_state(name, "running");
    }
}

#[test]
fn a_go_program_reports_without_a_module() {
    // Not a part that CI has: the image of the tests would be as large again.
    if !PathBuf::from("/usr/local/go/bin/go").is_file() {
        return;
    }
    let (foster, config) = example("Go", "app.go");
    let mut command = Command::new("/usr/local/go/bin/go");
    command.args(["build", "-o", "server", "app.go"]).current_dir(foster.folder());
    assert_eq!(run(command).code, 0);
    let foster = foster.config(&config.replace("/app/server", "./server")).start();
    foster.wait_for_state("app", "running");
    assert_eq!(status(&foster), "running Serving");
}
