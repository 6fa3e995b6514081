//! supervisord's configurations under supervisord itself and under foster: the same scripted session of supervisorctl
//! gives the same lines, states and exit statuses.
//!
//! `tests/fixtures/supervisord` has the configurations; a line `;= …` has the states that it reaches, and a line `;> verb` is a step. What differs on purpose is in
//! `docs/from-supervisord.md`.

mod images;
mod listeners;
mod prompt;
mod remote;
mod tools;
mod updates;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{binary, python_with, repository};

/// How long a state may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A supervisor that runs a configuration, and its client.
struct Session {
    supervisor: Child,
    client: PathBuf,
    config: PathBuf,
    folder: tempfile::TempDir,
    /// Whether the client is foster's, and the supervisor supervisord.
    is_mixed: bool,
}

impl Session {
    /// `supervisor` and `client` are the paths of `supervisord` and `supervisorctl`.
    fn start(config: &Path, supervisor: &Path, client: &Path) -> Session {
        let folder = tempfile::tempdir().expect("a folder");
        let output = fs::File::create(folder.path().join("output")).expect("a file");
        let supervisor = Command::new(supervisor)
            .args(["-n", "-c"])
            .arg(config)
            .env("DIR", folder.path())
            .env("OUTER", "from outside")
            .env("FOSTER_SOCKET", folder.path().join("foster.sock"))
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a copy"))
            .stderr(output)
            .spawn()
            .expect("supervisord");
        let (client, config) = (client.to_owned(), config.to_owned());
        Session { supervisor, client, config, folder, is_mixed: false }
    }

    /// `supervisorctl` with these arguments.
    fn client(&self, words: &[&str]) -> Command {
        let mut client = Command::new(&self.client);
        client.arg("-c").arg(&self.config);
        if self.is_mixed {
            client.arg("-s").arg(format!("unix://{}/s.sock", self.folder.path().display()));
        }
        client.args(words).env("DIR", self.folder.path());
        client.env("FOSTER_SOCKET", self.folder.path().join("foster.sock")).stdin(Stdio::null());
        client
    }

    /// The output of `supervisorctl`, and its exit status.
    fn ask(&self, words: &str) -> (String, i32) {
        let words: Vec<&str> = words.split(' ').filter(|word| !word.is_empty()).collect();
        let output = self.client(&words).output().expect("supervisorctl");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text, output.status.code().expect("an exit status"))
    }

    /// The states, once none is on its way to another.
    fn settled(&self) -> Vec<(String, String)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (text, _) = self.ask("status");
            let rows: Vec<(String, String)> = text
                .lines()
                .filter_map(|line| {
                    let mut words = line.split_whitespace().map(str::to_owned);
                    Some((words.next()?, words.next()?))
                })
                .collect();
            const LASTING: [&str; 4] = ["RUNNING", "STOPPED", "EXITED", "FATAL"];
            if !rows.is_empty() && rows.iter().all(|(_, state)| LASTING.contains(&state.as_str())) {
                return rows;
            }
            assert!(Instant::now() < deadline, "{text}\n{}", self.output());
            std::thread::yield_now();
        }
    }

    fn wait_for(&self, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "{}", self.output());
            std::thread::yield_now();
        }
    }

    fn output(&self) -> String {
        fs::read_to_string(self.folder.path().join("output")).unwrap_or_default()
    }

    /// What a person sees: each step, its lines, its exit status and the states after it.
    fn transcript(&mut self, first: &str, steps: &[&str]) -> String {
        let mut text = String::new();
        let deadline = Instant::now() + PATIENCE;
        let mut states = self.settled();
        while shown(&states) != first {
            assert!(Instant::now() < deadline, "{first} expected: {states:?}\n{}", self.output());
            states = self.settled();
        }
        for step in steps {
            let (lines, status) = self.ask(step);
            let now = self.settled();
            text.push_str(&format!("$ supervisorctl {step}\n{}[{status}]\n", plain(&lines)));
            if now != states {
                text.push_str(&format!("{}\n", shown(&now)));
            }
            states = now;
        }
        text
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.supervisor.id().try_into().expect("a pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.supervisor.wait();
    }
}

fn shown(states: &[(String, String)]) -> String {
    let states: Vec<String> = states.iter().map(|(name, state)| format!("{name} {state}")).collect();
    states.join(", ")
}

/// The lines without what differs from run to run: process IDs, uptimes, times; nor the reason of a failure, which foster
/// gives in its own words.
fn plain(lines: &str) -> String {
    let mut plain: Vec<String> = Vec::new();
    for line in lines.lines() {
        let mut words = line.split_whitespace();
        let line = match (words.next(), words.next()) {
            (Some(name), Some(state @ ("RUNNING" | "STOPPED" | "EXITED" | "FATAL"))) => {
                format!("{name} {state}")
            }
            (Some(number), None) if number.parse::<u32>().is_ok_and(|pid| pid > 0) => "PID".to_owned(),
            _ => line.to_owned(),
        };
        plain.push(line);
    }
    // The members of a group come in the order of the file there, and of their names here.
    for verb in [": stopped", ": started", ": signalled"] {
        for lines in plain.chunk_by_mut(|one, other| one.ends_with(verb) && other.ends_with(verb)) {
            lines.sort();
        }
    }
    plain.iter().map(|line| format!("{line}\n")).collect()
}

/// What both supervisors answer; `None` without supervisord. `config` is called with the folder of each.
fn both<T: Send>(
    config: impl Fn(&str, &Path) -> PathBuf + Sync,
    session: impl Fn(&mut Session) -> T + Sync,
) -> Option<(T, T)> {
    let python = python_with("supervisor")?;
    let theirs = Path::new(&python).parent().map(Path::to_owned).unwrap_or_default();
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let configs = [config("supervisord", folders[0].path()), config("foster", folders[1].path())];
    Some(std::thread::scope(|scope| {
        let real = scope.spawn(|| {
            session(&mut Session::start(
                &configs[0],
                &theirs.join("supervisord"),
                &theirs.join("supervisorctl"),
            ))
        });
        let foster = session(&mut foster_session(&configs[1]));
        (real.join().expect("supervisord's session"), foster)
    }))
}

/// What foster's supervisorctl answers with supervisord itself; `None` without supervisord.
fn mixed<T>(config: impl Fn(&str, &Path) -> PathBuf, session: impl Fn(&mut Session) -> T) -> Option<T> {
    let python = python_with("supervisor")?;
    let folder = tempfile::tempdir().expect("a folder");
    let config = config("supervisord", folder.path());
    let supervisord = Path::new(&python).with_file_name("supervisord");
    let mut mixed = Session::start(&config, &supervisord, &foster_named("supervisorctl"));
    mixed.is_mixed = true;
    Some(session(&mut mixed))
}

/// A link to foster with this name.
fn foster_named(called: &str) -> PathBuf {
    let path = tempfile::tempdir().expect("a folder").keep().join(called);
    symlink(binary(), &path).expect("a link");
    path
}

/// foster, called supervisord, with this configuration.
fn foster_session(config: &Path) -> Session {
    Session::start(config, &foster_named("supervisord"), &foster_named("supervisorctl"))
}

/// supervisord's own session and foster's, with this configuration.
fn same_session(name: &str) {
    let config = repository().join("tests/fixtures/supervisord").join(name).with_extension("conf");
    if let Err(difference) = same_session_of(&config) {
        panic!("{name}: {difference}");
    }
}

fn same_session_of(config: &PathBuf) -> Result<(), String> {
    let script = fs::read_to_string(config).expect("a configuration");
    let steps: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix(";> ")).collect();
    let first = script.lines().find_map(|line| line.strip_prefix(";= ")).expect("the first states");
    assert!(!steps.is_empty(), "{}", config.display());
    let session = |session: &mut Session| session.transcript(first, &steps);
    match both(|_, _| config.clone(), session) {
        Some((real, foster)) if foster != real => Err(format!("foster:\n{foster}\nsupervisord:\n{real}")),
        Some((real, _)) => match mixed(|_, _| config.clone(), session) {
            Some(mixed) if mixed != real => Err(format!("foster's client:\n{mixed}\nsupervisord:\n{real}")),
            Some(_) | None => Ok(()),
        },
        None => Ok(()),
    }
}

#[test]
fn an_update_to_a_broken_configuration_prints_each_mistake_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("supervisord.conf");
    let good = "[supervisord]\nnodaemon=true\n[program:web]\ncommand=sleep 1000\nstartsecs=0\n";
    fs::write(&config, good).expect("a file");
    let session = foster_session(&config);
    let before = session.settled();
    fs::write(&config, format!("{good}[program:bad]\ncommand=date +%Y\nautostart=maybe\n")).expect("a file");
    let (printed, status) = session.ask("update");
    assert!(printed.contains("a `%` that starts no `%(name)s`"), "{printed}");
    assert!(printed.contains("`autostart` cannot be `maybe`"), "{printed}");
    assert!(printed.ends_with("nothing was changed\n") && status == 1, "{status}: {printed}");
    assert_eq!(session.settled(), before);
}

#[test]
fn the_configurations_of_the_document_pass_the_check() {
    let page = fs::read_to_string(repository().join("docs/from-supervisord.md")).expect("the document");
    let mut count = 0;
    for (kind, name) in [("ini", "supervisord.conf"), ("toml", "foster.toml")] {
        for block in page.split(&format!("```{kind}\n")).skip(1) {
            let text = block.split("```").next().expect("an end");
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join(name);
            fs::write(&path, text).expect("a file");
            let check = Command::new(binary()).args(["check", "-c"]).arg(&path).env("QUEUE", "mail").output();
            let check = check.expect("foster check");
            let shown = String::from_utf8_lossy(&check.stdout);
            assert!(check.status.success() && !shown.contains("warning"), "{shown}{check:?}");
            count += 1;
        }
    }
    assert_eq!(count, 2);
}

#[test]
fn daemons_in_the_foreground_behave_as_under_supervisord() {
    same_session("web");
}

#[test]
fn a_group_behaves_as_under_supervisord() {
    same_session("group");
}

#[test]
fn numbered_workers_behave_as_under_supervisord() {
    same_session("workers");
}

#[test]
fn programs_that_end_behave_as_under_supervisord() {
    same_session("ends");
}

#[test]
fn programs_that_never_come_up_behave_as_under_supervisord() {
    same_session("crash");
}

#[test]
fn variables_are_those_of_supervisord() {
    same_session("variables");
}

#[test]
fn included_files_behave_as_under_supervisord() {
    same_session("include");
}

#[test]
fn mistakes_are_answered_as_by_supervisorctl() {
    same_session("mistakes");
}

#[test]
fn a_program_that_ignores_its_signal_is_killed_as_by_supervisord() {
    same_session("stubborn");
}

#[test]
fn cron_and_a_log_file_behave_as_under_supervisord() {
    same_session("cron");
}

#[test]
fn every_configuration_has_its_session() {
    let own = fs::read_to_string(repository().join("tests/supervisord.rs")).expect("this file");
    let folder = repository().join("tests/fixtures/supervisord");
    for entry in fs::read_dir(folder).expect("a listing") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(path.is_dir() || own.contains(&format!("same_session(\"{name}\")")), "{name}");
    }
}
