//! Real processes started by [`Spawner`], and inspected through /proc.
//!
//! Each test waits for its own children by pid, because tests run in parallel. Tests that change the whole process (its
//! user, its limits) run in a separate one.

mod descriptors;
mod failures;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process;

use super::*;
use crate::plan::{Account, Inherit, Limit, Unprivileged, User};
use crate::sys::isolated::{alone, is_root, release_lease, take_lease};
use crate::sys::{procfs, signal};
use foster_core::event::StartFailure;
use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal as Number;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{self, Gid, Uid};
use rlimit::Resource;

/// The bit of CAP_NET_BIND_SERVICE.
const NET_BIND_SERVICE: u64 = 1 << 10;
/// A uid without an entry in /etc/passwd.
const STRANGER: u32 = 54321;

/// A process that is killed when this is dropped.
struct Running(ChildProcess);

impl Running {
    /// Stops the process at or soon after its first instruction. The kernel sets up the arguments after it has closed the
    /// report's pipe, so they are not readable at once.
    fn settled(self) -> Running {
        self.0.signal(Signal::STOP).unwrap();
        self.stopped()
    }

    /// Waits until it is stopped.
    fn stopped(self) -> Running {
        let status = waitpid(self.0.pid(), Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(self.0.pid(), Number::SIGSTOP));
        self
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.pid())).unwrap()
    }

    /// A line of /proc/PID/status.
    fn status(&self, key: &str) -> String {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn descriptors(&self) -> BTreeMap<String, PathBuf> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.0.pid())).unwrap().map(Result::unwrap);
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_link(entry.path()).unwrap()))
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL).unwrap();
        waitpid(self.0.pid(), None).unwrap();
    }
}

fn words(command: &[&str]) -> Vec<String> {
    command.iter().map(|word| (*word).to_owned()).collect()
}

fn launch(command: &[&str]) -> Launch {
    Launch { command: words(command), ..Launch::default() }
}

fn user(id: u32) -> Option<User> {
    Some(User { user: Account::Id(id), group: None, unprivileged: Unprivileged::Refused })
}

fn request(launch: &Launch) -> Request<'_> {
    Request { command: &launch.command, ..Request::default() }
}

impl Starting {
    /// Waits for the outcome of the start, which foster's loop reads when epoll reports it.
    fn wait(self) -> Result<ChildProcess, StartFailure> {
        loop {
            match self.report.read() {
                Some(Ok(())) => return Ok(self.process),
                Some(Err(failure)) => {
                    waitpid(self.process.pid(), Some(WaitPidFlag::__WALL)).expect("our child");
                    return Err(failure);
                }
                None => {
                    let mut watched = [PollFd::new(self.report.as_fd(), PollFlags::POLLIN)];
                    poll(&mut watched, PollTimeout::NONE).expect("the report");
                }
            }
        }
    }
}

/// Starts a process and waits for the outcome.
fn spawn(launch: &Launch, request: &Request<'_>) -> Result<ChildProcess, StartFailure> {
    Spawner::new(None).unwrap().spawn(launch, &Spawner::resolve(launch)?, request)?.wait()
}

fn start(launch: &Launch) -> Result<Running, StartFailure> {
    spawn(launch, &request(launch)).map(Running)
}

/// Starts `sleep` with these settings.
fn sleeping(launch: Launch) -> Running {
    start(&Launch { command: words(&["sleep", "1000"]), ..launch }).unwrap().settled()
}

/// Runs the command, which must exit with 0; returns its standard output.
fn output(launch: &Launch) -> String {
    output_of(launch, &[])
}

fn output_of(launch: &Launch, extra: &[(String, String)]) -> String {
    let (mut reader, writer) = io::pipe().unwrap();
    let request = Request { stdout: Some(writer.as_fd()), extra, ..request(launch) };
    let child = spawn(launch, &request).unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(waitpid(child.pid(), None).unwrap(), WaitStatus::Exited(child.pid(), 0));
    text
}

fn failed(launch: &Launch) -> (&'static str, String) {
    let Err(failure) = start(launch) else { panic!("it was started: {launch:?}") };
    (failure.stage, failure.message)
}

/// Creates a script, by another process: if this process had it open for writing, a child of another test would inherit
/// the descriptor, and executing the script would fail (ETXTBSY).
fn script(directory: &Path, text: &str) -> String {
    let path = directory.join("script").into_os_string().into_string().unwrap();
    let make = r#"printf "$1" > "$0" && chmod 755 "$0""#;
    assert!(process::Command::new("sh").args(["-c", make, &path, text]).status().unwrap().success());
    path
}

/// Changes the user of this process.
fn become_stranger() {
    unistd::setgroups(&[]).unwrap();
    unistd::setgid(Gid::from_raw(STRANGER)).unwrap();
    unistd::setuid(Uid::from_raw(STRANGER)).unwrap();
    // After the change root owns /proc/self; a foster that was started as this user owns it.
    prctl::set_dumpable(true).unwrap();
}

#[test]
fn the_environment_has_exactly_the_configured_variables() {
    let own = |text: &str| text.to_owned();
    let launch = Launch {
        environment: vec![(own("A"), own("1 2")), (own("PATH"), own("/usr/bin:/bin"))],
        inherit_environment: Inherit::Basics,
        ..launch(&["/usr/bin/env", "-0"])
    };
    let basics = ["HOME", "USER", "LOGNAME", "SHELL", "TZ", "LANG"];
    let mut expected: Vec<String> = ["A=1 2", "B=3", "PATH=/usr/bin:/bin"].map(own).to_vec();
    expected.extend(basics.iter().filter_map(|name| Some(format!("{name}={}", env::var(name).ok()?))));
    expected.sort();
    let text = output_of(&launch, &[(own("B"), own("3"))]);
    let mut lines: Vec<&str> = text.split_terminator('\0').collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn arguments_are_passed_unchanged() {
    assert_eq!(output(&launch(&["printf", "[%s]", "a b", "", "$HOME", "*"])), "[a b][][$HOME][*]");
}

#[test]
fn another_command_runs_with_the_program_s_settings() {
    let launch = Launch { directory: Some("/usr".into()), ..launch(&["/no/such/file"]) };
    let other = words(&["pwd"]);
    let (mut reader, writer) = io::pipe().unwrap();
    let request = Request { command: &other, stdout: Some(writer.as_fd()), ..request(&launch) };
    let child = spawn(&launch, &request).unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    waitpid(child.pid(), None).unwrap();
    assert_eq!(text, "/usr\n");
}

#[test]
fn a_program_has_default_signals_even_if_foster_blocks_or_ignores_some() {
    if alone("spawn::tests::a_program_has_default_signals_even_if_foster_blocks_or_ignores_some").is_some() {
        return;
    }
    signal::ignore(Signal::HUP);
    signal::ignore(Signal::CHLD);
    signal::block_all_but_faults();
    signal::reset_dispositions();
    let own = |key: &str| {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find(|line| line.starts_with(key)).unwrap().to_owned()
    };
    let before = ["SigBlk", "SigIgn"].map(own);
    assert_eq!(before[1], "SigIgn:\t0000000000000000");
    let running = sleeping(Launch::default());
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(running.status(key), "0000000000000000", "{key}");
    }
    assert_eq!(["SigBlk", "SigIgn"].map(own), before);
}

#[test]
fn a_program_leads_its_session() {
    let running = sleeping(Launch::default());
    let pid = running.0.pid();
    assert_eq!((unistd::getsid(Some(pid)).unwrap(), unistd::getpgid(Some(pid)).unwrap()), (pid, pid));
    let process = procfs::process(pid).unwrap().unwrap();
    assert_eq!((process.session, process.group), (pid, pid));
}

#[test]
fn umask_limits_nice_and_directory_are_set() {
    let launch = Launch {
        umask: Some(0o027),
        limits: vec![
            Limit { resource: Resource::NOFILE, soft: 100, hard: 200 },
            Limit { resource: Resource::CORE, soft: 0, hard: 0 },
        ],
        nice: Some(5),
        directory: Some("/usr/bin".into()),
        ..launch(&["sh", "-c", "umask; ulimit -Sn; ulimit -Hn; ulimit -c; nice; pwd"])
    };
    assert_eq!(output(&launch), "0027\n100\n200\n0\n5\n/usr/bin\n");
}

#[test]
fn a_low_descriptor_limit_fails_no_other_step() {
    let limits = vec![Limit { resource: Resource::NOFILE, soft: 3, hard: 3 }];
    let launch = Launch { limits, oom_score_adj: Some(500), ..launch(&["sleep", "1000"]) };
    // Its loader may fail without descriptors; the test only needs that the program was executed.
    assert!(start(&launch).is_ok());
}

#[test]
fn oom_score_adj_is_set_in_the_child_only() {
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let running = sleeping(Launch { oom_score_adj: Some(700), ..Launch::default() });
    assert_eq!(running.proc("oom_score_adj"), "700\n");
    assert_eq!(fs::read_to_string("/proc/self/oom_score_adj").unwrap(), own);
}

#[test]
fn no_new_privileges_is_set_only_if_configured() {
    assert_eq!(sleeping(Launch::default()).status("NoNewPrivs"), "0");
    let running = sleeping(Launch { no_new_privileges: true, ..Launch::default() });
    assert_eq!(running.status("NoNewPrivs"), "1");
}

#[test]
fn a_program_has_its_user_group_and_groups() {
    if !is_root() {
        return;
    }
    let stranger = sleeping(Launch { user: user(STRANGER), ..Launch::default() });
    assert_eq!(stranger.status("Uid"), "54321 54321 54321 54321");
    assert_eq!(stranger.status("Gid"), "0 0 0 0");
    assert_eq!(stranger.status("CapEff"), "0000000000000000");
    let both = User {
        user: Account::Name("nobody".to_owned()),
        group: Some(Account::Id(77)),
        unprivileged: Unprivileged::Refused,
    };
    let unprivileged = sleeping(Launch { user: Some(both.clone()), ..Launch::default() });
    assert_eq!(unprivileged.status("Uid"), "65534 65534 65534 65534");
    assert_eq!(
        (unprivileged.status("Gid").as_str(), unprivileged.status("Groups").as_str()),
        ("77 77 77 77", "77")
    );
    let owner = |launch: &Launch| Spawner::resolve(launch).unwrap().owner();
    let of_nobody = owner(&Launch { user: Some(both), ..Launch::default() });
    assert_eq!(of_nobody, Some((Uid::from_raw(65534), Gid::from_raw(77))));
    assert_eq!(owner(&Launch::default()), None);
}

#[test]
fn only_the_configured_capabilities_survive_a_change_of_user() {
    if !is_root() {
        return;
    }
    let sets = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let running =
        sleeping(Launch { user: user(STRANGER), capabilities: Some(NET_BIND_SERVICE), ..Launch::default() });
    assert_eq!(sets.map(|set| running.status(set)), ["0000000000000400"; 5]);
    assert_eq!(running.status("NoNewPrivs"), "0");
    for user in [None, user(STRANGER)] {
        let running = sleeping(Launch { user, capabilities: Some(0), ..Launch::default() });
        assert_eq!(sets.map(|set| running.status(set)), ["0000000000000000"; 5]);
    }
}

#[test]
fn foster_keeps_its_own_proc_files_after_a_child_has_changed_its_user() {
    if !is_root()
        || alone("spawn::tests::foster_keeps_its_own_proc_files_after_a_child_has_changed_its_user").is_some()
    {
        return;
    }
    drop(sleeping(Launch { user: user(STRANGER), ..Launch::default() }));
    assert!(prctl::get_dumpable().unwrap());
}
