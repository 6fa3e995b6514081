//! `foster run --detach`: a supervisor in the background, without a container.
//!
//! Each foster is in a new session, so a test ends it by its verb, and waits until its process is gone. `detach/log.rs` has the
//! rotation of its log, `detach/ordinary_user.rs` a user without privileges, hang-ups and cron.

mod log;
mod ordinary_user;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{Finished, binary, run};

const WEB: &str = "[task.migrate]\ncommand = 'true'\n\
    [program.web]\ncommand = ['sh', '-c', 'echo up; exec sleep 1000']\nready = { log = 'up' }\n\
    [program.byhand]\ncommand = 'sleep 1000'\nautostart = false\n\
    [job.later]\ncommand = 'true'\nschedule = 'every 6h'\n";

/// The folder of a foster in the background, which ends with it.
struct Machine {
    folder: TempDir,
    /// The user that foster runs as, if it is not that of the test, with its copy of the binary.
    user: Option<u32>,
}

impl Machine {
    fn new(config: &str) -> Machine {
        let machine = Machine { folder: tempfile::tempdir().expect("a folder"), user: None };
        machine.write(config);
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, config: &str) {
        let socket = format!("[foster]\nsocket = '{}'\n", self.path("socket").display());
        fs::write(self.path("foster.toml"), socket + config).expect("a configuration");
    }

    fn foster(&self, arguments: &[&str]) -> Finished {
        let mut command = match self.user {
            None => Command::new(binary()),
            Some(user) => ordinary_user::command(user, &self.path("foster")),
        };
        command.args(arguments).current_dir(self.folder.path()).env_remove("FOSTER_SOCKET");
        command.env("FOSTER_CONFIG", self.path("foster.toml"));
        run(command)
    }

    fn detach(&self, arguments: &[&str]) -> Finished {
        self.foster(&[&["run", "--detach"], arguments].concat())
    }

    fn pid(&self) -> i32 {
        fs::read_to_string(self.path("pid")).expect("a pid file").trim().parse().expect("a number")
    }

    /// The names in the folder.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder").flatten();
        let mut names: Vec<String> =
            entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
        names.sort();
        names
    }

    /// Ends foster, and waits until its process has ended.
    fn shut_down(&self, pid: i32) {
        self.foster(&["shutdown"]).expect(0);
        wait_for("end of foster", || !is_running(pid));
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.foster(&["shutdown"]);
    }
}

#[track_caller]
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "no {what}");
        thread::yield_now();
    }
}

/// Whether a process exists and is not a zombie.
fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// The session of a process, and its terminal.
fn session_and_terminal(pid: i32) -> (String, String) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(") ").next().expect("fields").split(' ').collect();
    (fields[3].to_owned(), fields[4].to_owned())
}

fn target(pid: i32, fd: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("a descriptor")
}

#[test]
fn it_returns_when_everything_is_ready_and_runs_in_a_session_of_its_own() {
    let machine = Machine::new(WEB);
    let finished = machine.detach(&["--pid-file", "pid", "--log", "log"]).expect(0);
    let pid = machine.pid();
    assert!(finished.text().contains("web: ready"), "{}", finished.text());
    assert!(!finished.text().contains("byhand"), "{}", finished.text());
    assert!(finished.text().contains(&format!("(pid {pid})")), "{}", finished.text());
    machine.foster(&["health"]).expect(0);
    assert_eq!(session_and_terminal(pid), (pid.to_string(), "0".to_owned()));
    assert_eq!(target(pid, 0), Path::new("/dev/null"));
    assert_eq!(target(pid, 1), machine.path("log").canonicalize().expect("a log"));
    assert_eq!(target(pid, 2), target(pid, 1));
    let mode = fs::metadata(machine.path("log")).expect("a log").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert!(fs::read_to_string(machine.path("log")).expect("a log").contains("| up"));
    machine.shut_down(pid);
    assert!(!machine.path("pid").exists() && !machine.path("socket").exists());
}

#[test]
fn a_second_one_at_the_same_socket_is_refused_and_the_first_continues() {
    let machine = Machine::new(WEB);
    machine.detach(&["--pid-file", "pid"]).expect(0);
    let pid = machine.pid();
    let second = machine.detach(&["--pid-file", "pid"]).expect(1);
    assert!(second.text().contains(&format!("already running here (PID {pid})")), "{}", second.text());
    assert_eq!(machine.pid(), pid);
    machine.foster(&["health"]).expect(0);
    machine.shut_down(pid);
}

#[test]
fn a_start_that_is_refused_changes_no_file() {
    let machine = Machine::new(WEB);
    machine.detach(&["--pid-file", "pid", "--log", "log"]).expect(0);
    let pid = machine.pid();
    let log = || fs::read_to_string(machine.path("log")).expect("a log");
    let names = machine.names();
    // The last line of a startup.
    wait_for("line in the log", || log().contains("web: ready"));
    let before = log();
    for (pid_file, file) in [("pid", "log"), ("other-pid", "other-log")] {
        machine.detach(&["--pid-file", pid_file, "--log", file]).expect(1);
        assert_eq!(machine.names(), names);
        assert_eq!(log(), before);
        assert_eq!(machine.pid(), pid);
    }
    machine.shut_down(pid);
    let names = machine.names();
    machine.detach(&["--pid-file", "/missing/pid", "--log", "new-log"]).expect(1);
    machine.detach(&["--pid-file", "new-pid", "--log", "/missing/log"]).expect(1);
    assert_eq!(machine.names(), names);
}

#[test]
fn a_start_that_fails_is_reported_with_status_1_and_foster_continues() {
    let failing = "[program.web]\ncommand = ['sh', '-c', 'exit 3']\nstart_limit = 'unlimited'\n\
        [program.api]\ncommand = 'sleep 1000'\nafter = ['web']\n";
    let machine = Machine::new(failing);
    let finished = machine.detach(&["--pid-file", "pid"]).expect(1);
    assert!(finished.text().contains("web: backoff: exited with status 3"), "{}", finished.text());
    assert!(finished.text().contains("api: waiting for web"), "{}", finished.text());
    assert!(finished.text().contains("continues in the background"), "{}", finished.text());
    machine.foster(&["status"]).expect(3);
    machine.shut_down(machine.pid());
}

#[test]
fn a_startup_that_ends_foster_has_its_exit_status_and_names_the_log() {
    let machine = Machine::new("[program.web]\ncommand = ['sh', '-c', 'exit 3']\nstart_limit = 1\n");
    let finished = machine.detach(&["--log", "log", "--pid-file", "pid"]).expect(3);
    assert!(finished.text().contains("web: fatal: exited with status 3"), "{}", finished.text());
    assert!(finished.text().contains("exit status 3; `log` has the reason"), "{}", finished.text());
    assert!(fs::read_to_string(machine.path("log")).expect("a log").contains("exit status 3"));
    assert!(!machine.path("pid").exists());

    machine.write("[task.once]\ncommand = 'true'\n");
    machine.detach(&[]).expect(0);
}

#[test]
fn what_cannot_work_is_refused_before_anything_starts() {
    let machine = Machine::new(WEB);
    for (arguments, reason) in [
        (&["--log", "/missing/log"][..], "cannot open `/missing/log`: No such file or directory"),
        (&["--log", "."], "cannot open `.`: Is a directory"),
        (
            &["--pid-file", "/missing/pid"],
            "cannot write the pid file `/missing/pid`: No such file or directory",
        ),
        (&["--pid-file", "."], "cannot write the pid file `.`"),
    ] {
        let finished = machine.detach(arguments).expect(1);
        assert!(finished.text().contains(reason), "{}", finished.text());
        machine.foster(&["status"]).expect(4);
    }
    machine.foster(&["run", "--pid-file", "pid"]).expect(2);
    machine.foster(&["run", "--log", "log"]).expect(2);
    fs::write(machine.path("foster.toml"), format!("[foster]\nsocket = ''\n{WEB}")).expect("a file");
    let finished = machine.detach(&[]).expect(1);
    assert!(finished.text().contains("without a control socket"), "{}", finished.text());
    fs::write(machine.path("foster.toml"), "[program.web]\ncomand = 'x'\n").expect("a file");
    machine.detach(&[]).expect(2);
}

#[test]
fn a_pid_file_replaces_a_stale_one_and_a_link_and_another_fosters_stays() {
    let machine = Machine::new(WEB);
    fs::write(machine.path("victim"), "untouched").expect("a file");
    symlink(machine.path("victim"), machine.path("pid")).expect("a link");
    machine.detach(&["--pid-file", "pid"]).expect(0);
    let pid = machine.pid();
    assert_eq!(fs::read_to_string(machine.path("victim")).expect("a file"), "untouched");
    assert!(machine.path("pid").symlink_metadata().expect("a file").is_file());
    fs::write(machine.path("pid"), "1\n").expect("a file");
    machine.shut_down(pid);
    assert_eq!(machine.pid(), 1);
}

#[test]
fn the_shells_descriptors_are_not_kept_open() {
    let machine = Machine::new(WEB);
    let mut command = Command::new("sh");
    // The reader of both pipes ends only when every writer has closed them.
    let script = format!(
        "{{ {{ '{}' run --detach --pid-file pid 2>&1; echo returned; }} 7>&1 | cat; }} 8>&1 | cat",
        binary().display()
    );
    command.args(["-c", &script]).current_dir(machine.folder.path());
    command.env("FOSTER_CONFIG", machine.path("foster.toml")).env_remove("FOSTER_SOCKET");
    let finished = run(command);
    assert!(finished.text().contains("returned"), "{}", finished.text());
    machine.shut_down(machine.pid());
}

/// FOSTER_TEST_FAULT, which only debug builds have, causes a fault at a request for the status.
#[test]
#[cfg(debug_assertions)]
fn a_fault_in_the_background_stops_the_programs_is_in_the_log_and_leaves_no_pid_file() {
    let machine = Machine::new(
        "[program.web]\ncommand = ['sh', '-c', 'trap \"echo ends; exit\" TERM; echo up; while :; do sleep 1000 & wait; done']\nready = { log = 'up' }\n",
    );
    let mut command = Command::new(binary());
    command.args(["run", "--detach", "--pid-file", "pid", "--log", "log"]).env("FOSTER_TEST_FAULT", "1");
    command.current_dir(machine.folder.path()).env("FOSTER_CONFIG", machine.path("foster.toml"));
    run(command).expect(0);
    let pid: i32 = fs::read_to_string(machine.path("pid")).expect("a pid").trim().parse().expect("a number");
    let pid = nix::unistd::Pid::from_raw(pid);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR2).expect("a signal");
    let deadline = Instant::now() + Duration::from_secs(30);
    while machine.path("pid").exists() {
        assert!(Instant::now() < deadline, "{:?}", fs::read_to_string(machine.path("log")));
        thread::yield_now();
    }
    let log = fs::read_to_string(machine.path("log")).expect("the log");
    for line in ["a fault in foster itself", "web: stopping", "| ends", "exit status 1"] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn after_a_shutdown_that_was_waited_for_another_foster_starts_at_once() {
    let slow = "[program.web]\nready = { log = 'up' }\n\
        command = ['sh', '-c', 'trap \"sleep 0.1; exit 0\" TERM; echo up; sleep 1000 & wait']\n";
    let machine = Machine::new(slow);
    for _ in 0..3 {
        machine.detach(&["--pid-file", "pid"]).expect(0);
        let pid = machine.pid();
        machine.foster(&["shutdown", "--wait"]).expect(0);
        assert!(!is_running(pid));
    }
    machine.foster(&["shutdown", "--wait"]).expect(4);
}
