//! The same ecosystem file under PM2's own `pm2-runtime` and under foster with that name: the same processes, variables, states,
//! restarts, ports and exit statuses.
//!
//! `tests/fixtures/pm2/run` has the files. A line `//= NAME STATUS RESTARTS, …` has the states that it reaches, `//> OPTIONS` are
//! options, `//: NAME` is what answers at the port, `//! THEIRS OURS` are the exit statuses of one that ends by itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::fixture;
use crate::support::{binary, found, free_port, get, present_or_skipped, repository};

/// How long a state may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// The folder of PM2's own programs, as `.ci/run` installs them.
fn pm2() -> Option<PathBuf> {
    let folder = repository().join("target/examples/pm2/node_modules/.bin");
    present_or_skipped(folder.join("pm2-runtime").exists().then_some(folder), "PM2 (`.ci/run` installs it)")
}

/// A runtime that runs a file, and its client.
pub(super) struct Session {
    runtime: Child,
    client: PathBuf,
    folder: tempfile::TempDir,
    pub(super) port: u16,
}

/// What a file says of its run.
pub(super) struct Script {
    pub(super) states: String,
    pub(super) options: Vec<String>,
    pub(super) answers: Option<String>,
    pub(super) ends: Option<(i32, i32)>,
}

impl Script {
    pub(super) fn of(file: &Path) -> Script {
        let text = fs::read_to_string(file).expect("a file");
        let line = |mark: &str| {
            let prefixes = [format!("//{mark} "), format!("#{mark} ")];
            text.lines()
                .find_map(|line| prefixes.iter().find_map(|prefix| line.strip_prefix(prefix.as_str())))
        };
        let ends = line("!").and_then(|line| line.split_once(' '));
        Script {
            states: line("=").unwrap_or_default().to_owned(),
            options: line(">").unwrap_or_default().split_whitespace().map(str::to_owned).collect(),
            answers: line(":").map(str::to_owned),
            ends: ends
                .map(|(theirs, ours)| (theirs.parse().expect("a number"), ours.parse().expect("a number"))),
        }
    }
}

impl Session {
    /// `programs`: the folder of `pm2-runtime` and `pm2`.
    pub(super) fn start(programs: &Path, arguments: &[&str], options: &[String]) -> Session {
        let mut command = Command::new(programs.join("pm2-runtime"));
        command.args(arguments).args(options);
        let (folder, port) = Session::place();
        Session::launch(command, programs, folder, port)
    }

    /// A folder for what a session writes, and its port.
    pub(super) fn place() -> (tempfile::TempDir, u16) {
        let folder = tempfile::tempdir().expect("a folder");
        // For the user of a process.
        fs::File::create(folder.path().join("report")).expect("a file");
        for (path, mode) in [("", 0o755), ("report", 0o666)] {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(folder.path().join(path), permissions).expect("a mode");
        }
        (folder, free_port())
    }

    /// Starts this supervisor in the folder of the files.
    pub(super) fn launch(
        mut command: Command,
        programs: &Path,
        folder: tempfile::TempDir,
        port: u16,
    ) -> Session {
        let output = fs::File::create(folder.path().join("output")).expect("a file");
        Session::surround(&mut command, folder.path(), port);
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a copy")).stderr(output);
        let runtime = command.spawn().expect("pm2-runtime");
        let mut session = Session { runtime, client: programs.join("pm2"), folder, port };
        session.wait_for_socket();
        session
    }

    /// PM2's client starts its daemon if there is none yet.
    fn wait_for_socket(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        let sockets = [["pm2/rpc.sock", "pm2/pub.sock"], ["foster.sock", "foster.sock"]];
        let are_there = |names: &[&str; 2]| names.iter().all(|name| self.folder.path().join(name).exists());
        while !sockets.iter().any(are_there) && self.runtime.try_wait().expect("a state").is_none() {
            assert!(Instant::now() < deadline, "{}", self.output());
            std::thread::yield_now();
        }
    }

    pub(super) fn surround(command: &mut Command, folder: &Path, port: u16) {
        command.current_dir(fixture("run")).env("TEST_PORT", port.to_string()).env("OUTER", "from outside");
        command.env("DIR", folder).env("PM2_HOME", folder.join("pm2"));
        // The ids are then in the order of the file.
        command.env("PM2_CONCURRENT_ACTIONS", "1");
        command.env("FOSTER_SOCKET", folder.join("foster.sock"));
    }

    /// The output of `pm2`, and its exit status.
    pub(super) fn ask(&self, words: &str) -> (String, i32) {
        let mut command = Command::new(&self.client);
        command.args(words.split_whitespace()).stdin(Stdio::null());
        Session::surround(&mut command, self.folder.path(), self.port);
        let output = command.output().expect("pm2");
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().expect("an exit status"))
    }

    /// The processes of `pm2 jlist`.
    pub(super) fn processes(&self) -> Vec<Value> {
        let (text, _) = self.ask("jlist");
        let line = text.lines().find(|line| line.starts_with('[') && line.ends_with(']'));
        line.and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default()
    }

    pub(super) fn states(&self) -> String {
        let shown = |process: &Value| {
            let (name, own) = (process["name"].as_str().unwrap_or("?"), &process["pm2_env"]);
            let status = own["status"].as_str().unwrap_or("?");
            format!("{name} {status} {}", own["restart_time"])
        };
        self.processes().iter().map(shown).collect::<Vec<_>>().join(", ")
    }

    /// Waits for these states.
    pub(super) fn reach(&self, wanted: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let states = self.states();
            if states == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{wanted}: {states}\n{}", self.output());
        }
    }

    /// Waits until each process that is online has reported its start: it is online before its script runs.
    pub(super) fn wait_for_reports(&self, states: &str) {
        let deadline = Instant::now() + PATIENCE;
        let mut wanted: BTreeMap<&str, usize> = BTreeMap::new();
        for state in states.split(", ") {
            if let [name, "online", restarts] = state.split(' ').collect::<Vec<_>>()[..]
                && name != "binary"
            {
                *wanted.entry(name).or_default() += 1 + restarts.parse::<usize>().expect("a number");
            }
        }
        let is_of = |line: &str, name: &str| {
            line == name
                || line.starts_with(&format!("{name} "))
                || line.contains(&format!("\"name\":\"{name}\""))
                || line.contains(&format!("\"name\": \"{name}\""))
        };
        let starts = |name: &str| self.report().iter().filter(|line| is_of(line, name)).count();
        while wanted.iter().any(|(name, count)| starts(name) < *count) {
            assert!(Instant::now() < deadline, "{wanted:?}: {:?}\n{}", self.report(), self.output());
            std::thread::yield_now();
        }
    }

    pub(super) fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    pub(super) fn report(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("report")).unwrap_or_default();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Fields of `jlist` that do not differ from run to run.
    fn details(&self) -> Vec<String> {
        let all = self.processes();
        let plain = |one: &Value| {
            let own = &one["pm2_env"];
            let uptime = own["pm_uptime"].as_i64().is_some_and(|since| since > 1_000_000_000_000);
            let has_pid = one["pid"].as_i64().is_some_and(|pid| pid > 0);
            let memory = one["monit"]["memory"].is_u64();
            let is_up = own["status"] == "online";
            format!(
                "{} {} {} {} {} pid {has_pid} memory {memory} up {}",
                one["pm_id"],
                one["name"],
                own["exec_mode"],
                own["pm_id"],
                own["namespace"],
                uptime == is_up || !is_up
            )
        };
        all.iter().map(plain).collect()
    }

    /// The exit status of the runtime.
    pub(super) fn end(&mut self) -> Option<i32> {
        self.runtime.wait().expect("an end").code()
    }

    pub(super) fn stop(&mut self) -> Option<i32> {
        kill(Pid::from_raw(self.runtime.id().try_into().expect("a pid")), Signal::SIGTERM).expect("a signal");
        self.end()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.runtime.id().try_into().expect("a pid")), Signal::SIGTERM);
        let _ = self.runtime.wait();
    }
}

/// Links to foster under PM2's names.
pub(super) fn links() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["pm2-runtime", "pm2"] {
        symlink(binary(), folder.path().join(name)).expect("a link");
    }
    folder
}

/// Runs `play` under PM2 and under foster at once, and compares what it returns.
#[track_caller]
pub(super) fn both(what: &str, play: impl Fn(&Path, bool) -> Vec<String> + Sync) {
    let (Some(theirs), Some(_)) = (pm2(), found("node")) else { return };
    let ours = links();
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| play(&theirs, false));
        let ours = play(ours.path(), true);
        (theirs.join().expect("PM2's session"), ours)
    });
    assert_eq!(ours, theirs, "{what}");
}

/// A run of this file: what its processes report, its states, what answers at its port, and its end.
#[track_caller]
fn same_run(name: &str) {
    let file = fixture("run").join(name);
    let script = Script::of(&file);
    both(name, |programs, is_foster| {
        let mut session = Session::start(programs, &["start", name], &script.options);
        if let Some((theirs, ours)) = script.ends {
            let status = session.end();
            let output = session.output();
            // In PM2 the daemon is in the same process, and its own exit, with 0, sometimes comes before that with the status. Its
            // decision to end with this status is in its output.
            let is_theirs = status == Some(theirs)
                || status == Some(0) && output.contains("0 application online, retry = 0");
            assert!(if is_foster { status == Some(ours) } else { is_theirs }, "{status:?} {output}");
            return session.report();
        }
        session.reach(&script.states);
        session.wait_for_reports(&script.states);
        let mut seen = session.details();
        if let Some(expected) = &script.answers {
            let (status, body) = get(session.port, "/").expect("an answer");
            assert_eq!((status, body.trim()), (200, expected.as_str()));
        }
        let status = session.stop();
        seen.extend(session.report());
        seen.push(format!("exit status {status:?}"));
        seen
    });
}

#[test]
fn apps_get_the_arguments_and_variables_of_pm2() {
    for name in ["fork.config.js", "production.config.cjs", "only.config.js", "comments.json", "workers.yaml"]
    {
        same_run(name);
    }
}

#[test]
fn apps_in_cluster_mode_listen_at_the_port_as_under_pm2() {
    same_run("cluster.config.js");
    same_run("implied.config.js");
}

#[test]
fn apps_that_end_are_restarted_as_by_pm2() {
    for name in ["crash.config.js", "flaky.config.js", "once.config.js", "codes.json"] {
        same_run(name);
    }
}

#[test]
fn programs_in_other_languages_run_as_under_pm2() {
    if found("python3").is_some() {
        same_run("languages.config.js");
    }
}

#[test]
fn apps_are_ready_and_stopped_as_under_pm2() {
    same_run("ready.config.js");
    same_run("stopping.config.js");
}

#[test]
fn an_app_has_the_user_of_its_file() {
    let is_root = nix::unistd::geteuid().is_root().then_some(());
    if present_or_skipped(is_root, "root, to change users").is_some() {
        same_run("users.config.js");
    }
}

#[test]
fn the_runtime_ends_when_all_apps_have_ended() {
    same_run("ends.config.js");
    same_run("fails.config.js");
}

#[test]
fn every_file_has_its_run() {
    let own = fs::read_to_string(repository().join("tests/pm2/sessions.rs")).expect("this file");
    let mut count = 0;
    for entry in fs::read_dir(fixture("run")).expect("a listing") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(own.contains(&format!("\"{name}\"")), "{name}");
        count += 1;
    }
    assert!(count >= 15, "{count}");
}

/// The states after each verb.
#[test]
fn the_verbs_of_pm2_have_its_effects() {
    both("verbs", |programs, _| {
        let mut session = Session::start(programs, &["cluster.config.js"], &[]);
        session.reach("web online 0, web online 0");
        let mut seen = Vec::new();
        for (verb, states) in [
            ("stop 1", "web online 0, web stopped 0"),
            ("restart 1", "web online 0, web online 0"),
            ("scale web 3", "web online 0, web online 0, web online 0"),
            ("ping", "web online 0, web online 0, web online 0"),
            ("stop unknown", "web online 0, web online 0, web online 0"),
            ("describe web", "web online 0, web online 0, web online 0"),
            ("stop web", "web stopped 0, web stopped 0, web stopped 0"),
        ] {
            let (text, status) = session.ask(verb);
            session.reach(states);
            let is_table = text.contains("\u{2502} id ");
            seen.push(format!("{verb}: {status}, table {is_table}, pong {}", text.contains("msg: 'pong'")));
        }
        let status = session.stop();
        seen.push(format!("exit status {status:?}"));
        seen
    });
}

/// A script by itself.
#[test]
fn a_script_is_run_as_by_pm2() {
    both("a script", |programs, _| {
        let script = fixture("apps/report.js").display().to_string();
        let options = ["--name", "one", "--no-autorestart", "--", "-x", "y z"].map(str::to_owned);
        let mut session = Session::start(programs, &["start", &script], &options);
        session.reach("one online 0");
        session.wait_for_reports("one online 0");
        let status = session.stop();
        let mut seen = session.report();
        seen.push(format!("exit status {status:?}"));
        seen
    });
}
