//! Procfiles.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{make_executable, migrates, part, parts, printed, refused};
use crate::support::{binary, may_make_namespaces, python_with};

/// What a command of a Procfile reports instead of its work. One that migrates ends under foster, as a task has to; honcho would
/// end all others with it.
const STUB: &str = "#!/bin/sh\necho \"${0##*/} [$*] PORT=$PORT NODE_ENV=$NODE_ENV\" >>\"$REPORT\"\n\
                    case \"$FOSTER_PROGRAM $*\" in release*) exit 0;; esac\nexec sleep 1000\n";

/// A supervisor in a PID namespace, which ends with all its processes when this is dropped: honcho does not always end at a
/// signal that it gets at its start.
struct Supervisor(Child);

impl Drop for Supervisor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it in this folder; what so many processes report.
fn reported(words: &[&str], folder: &Path, count: usize) -> Vec<String> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child"]).args(words);
    let report = folder.join("report");
    fs::write(&report, "").expect("a file");
    let path = format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").expect("PATH"));
    command.current_dir(folder).env("PATH", path).env("REPORT", &report);
    command
        .env_remove("PORT")
        .env_remove("NODE_ENV")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _supervisor = Supervisor(command.spawn().expect("a supervisor"));
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let text = fs::read_to_string(&report).expect("a file");
        if text.lines().count() >= count {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            return lines;
        }
        assert!(Instant::now() < deadline, "{text}");
        std::thread::yield_now();
    }
}

/// honcho is foreman in Python.
#[test]
fn each_process_has_the_command_and_the_variables_that_honcho_gives_it() {
    let Some(python) = python_with("honcho") else { return };
    if !may_make_namespaces() {
        return;
    }
    for (name, commands) in [
        ("procfile_rails", &["bundle"][..]),
        ("procfile_node", &["node"]),
        ("procfile_python", &["python", "gunicorn", "celery"]),
        ("procfile_dev", &["env", "yarn", "puppet"]),
        ("procfile_shell", &["puppet"]),
    ] {
        let parts = parts(name);
        let folder = tempfile::tempdir().expect("a folder");
        let toml = printed(&parts, folder.path());
        for command in commands {
            fs::create_dir_all(folder.path().join("bin")).expect("a folder");
            let path = folder.path().join("bin").join(command);
            fs::write(&path, STUB).expect("a file");
            make_executable(&path);
        }
        let socket = format!("[foster]\nsocket = '{}'\n", folder.path().join("foster.sock").display());
        fs::write(folder.path().join("foster.toml"), socket + &toml).expect("a file");
        let file = parts.iter().map(|(path, _)| path.as_str()).find(|path| path.starts_with("Procfile"));
        let file = file.expect("a Procfile");
        let is_process = |line: &&str| !line.starts_with('#') && line.contains(": ");
        let count = part(&parts, file).lines().filter(is_process).count();
        let theirs = reported(&[&python, "-m", "honcho", "-f", file, "start"], folder.path(), count);
        let foster = binary().display().to_string();
        let ours = reported(&[&foster, "run", "-c", "foster.toml"], folder.path(), count);
        assert_eq!(ours, theirs, "{name}");
    }
}

#[test]
fn the_release_phase_is_a_task() {
    migrates("procfile_rails");
    migrates("procfile_python");
}

#[test]
fn the_port_is_that_of_the_env_file_and_each_process_has_100_more() {
    migrates("procfile_node");
}

#[test]
fn a_command_has_a_shell_where_it_needs_one() {
    migrates("procfile_dev");
    let running = migrates("procfile_shell");
    running.wait_for_line("port=5200");
}

#[test]
fn when_one_process_ends_all_end() {
    let mut running = migrates("procfile_node");
    running.verb(&["signal", "KILL", "worker"]).expect(0);
    assert_eq!(running.wait_exit(), crate::support::End::Code(137));
}

#[test]
fn a_line_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("Procfile"), "web: x\nno process\n").expect("a file");
    let text = refused(folder.path(), &["Procfile"]);
    assert!(text.contains("Procfile:2:1: error: not a line of a Procfile"), "{text}");
    fs::write(folder.path().join("list"), "web: x\n").expect("a file");
    let text = refused(folder.path(), &["list"]);
    assert!(text.contains("--from FORMAT"), "{text}");
}
