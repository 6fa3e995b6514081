//! Real processes, made by [`Spawner`] and looked at from outside through /proc.
//!
//! Each test waits for its own children by number, since others run beside it. What concerns all of foster's
//! process (its user, its limits) is tested in a process of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process;

use foster_core::event::StartFailure;
use foster_core::ids::Signal;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal as Number};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{self, Gid, Pid, Uid};
use rlimit::Resource;

use super::*;
use crate::plan::{Account, Inherit, Limit, Unprivileged, User};
use crate::sys::alone::{alone, is_root};
use crate::sys::{pidfd, procfs};

/// The number of CAP_NET_BIND_SERVICE, as a bit.
const NET_BIND_SERVICE: u64 = 1 << 10;
/// A user that is in no /etc/passwd.
const STRANGER: u32 = 54321;

/// A process that ends with the test.
struct Running(Child);

impl Running {
    /// Stops it at its first instruction, or soon after: the kernel lets the parent of a vfork go on when it
    /// has replaced the memory, and then still closes descriptors and puts the arguments in place.
    fn settled(self) -> Running {
        pidfd::send(&self.0.pidfd, Signal::STOP).unwrap();
        self.stopped()
    }

    /// Waits until it is stopped.
    fn stopped(self) -> Running {
        let status = waitpid(self.0.pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(status, WaitStatus::Stopped(self.0.pid, Number::SIGSTOP));
        self
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.0.pid)).unwrap()
    }

    /// A line of /proc/PID/status.
    fn status(&self, key: &str) -> String {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn descriptors(&self) -> BTreeMap<String, PathBuf> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.0.pid)).unwrap().map(Result::unwrap);
        entries
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_link(entry.path()).unwrap()))
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        pidfd::send(&self.0.pidfd, Signal::KILL).unwrap();
        waitpid(self.0.pid, None).unwrap();
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
    Request { command: &launch.command, stdout: None, stderr: None, extra: &[] }
}

fn start(launch: &Launch) -> Result<Running, StartFailure> {
    Spawner::new().unwrap().spawn(launch, &request(launch)).map(Running)
}

/// A `sleep`, launched so.
fn sleeping(launch: Launch) -> Running {
    start(&Launch { command: words(&["sleep", "1000"]), ..launch }).unwrap().settled()
}

/// What it writes to standard output until it ends with status 0.
fn output(launch: &Launch) -> String {
    output_of(launch, &[])
}

fn output_of(launch: &Launch, extra: &[(String, String)]) -> String {
    let (mut reader, writer) = io::pipe().unwrap();
    let request = Request { stdout: Some(writer.as_fd()), extra, ..request(launch) };
    let child = Spawner::new().unwrap().spawn(launch, &request).unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(waitpid(child.pid, None).unwrap(), WaitStatus::Exited(child.pid, 0));
    text
}

/// Both ways by which a child comes by its descriptors.
fn spawners() -> [Spawner; 2] {
    let (mut copying, sharing) = (Spawner::new().unwrap(), Spawner::new().unwrap());
    assert!(copying.stage.take().is_some(), "this kernel has close_range(2) with CLOSE_RANGE_UNSHARE");
    [copying, sharing]
}

fn failed(launch: &Launch) -> (&'static str, String) {
    let Err(failure) = start(launch) else { panic!("it was started: {launch:?}") };
    (failure.stage, failure.message)
}

/// Made by another process: a file that this one has open for writing, and so another test's child for a
/// moment, could not be executed (ETXTBSY).
fn script(directory: &Path, text: &str) -> String {
    let path = directory.join("script").into_os_string().into_string().unwrap();
    let make = r#"printf "$1" > "$0" && chmod 755 "$0""#;
    assert!(process::Command::new("sh").args(["-c", make, &path, text]).status().unwrap().success());
    path
}

/// Gives up root, for all of this process.
fn become_stranger() {
    unistd::setgroups(&[]).unwrap();
    unistd::setgid(Gid::from_raw(STRANGER)).unwrap();
    unistd::setuid(Uid::from_raw(STRANGER)).unwrap();
    // The change has made /proc/self root's; a foster that was started as this user has it.
    prctl::set_dumpable(true).unwrap();
}

#[test]
fn the_environment_is_what_was_put_together_and_nothing_else() {
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
fn arguments_are_passed_as_they_are() {
    assert_eq!(output(&launch(&["printf", "[%s]", "a b", "", "$HOME", "*"])), "[a b][][$HOME][*]");
}

#[test]
fn another_command_runs_as_the_program_would() {
    let launch = Launch { directory: Some("/usr".into()), ..launch(&["/no/such/file"]) };
    let other = words(&["pwd"]);
    let (mut reader, writer) = io::pipe().unwrap();
    let request = Request { command: &other, stdout: Some(writer.as_fd()), ..request(&launch) };
    let child = Spawner::new().unwrap().spawn(&launch, &request).unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    waitpid(child.pid, None).unwrap();
    assert_eq!(text, "/usr\n");
}

#[test]
fn it_has_three_descriptors_and_none_that_foster_was_started_with() {
    // Without CLOEXEC, as one that foster's own parent left open.
    let inherited = unistd::dup(File::open("/dev/zero").unwrap()).unwrap();
    let launch = launch(&["sh", "-c", "kill -STOP $$"]);
    let (reader, writer) = io::pipe().unwrap();
    let request = Request { stdout: Some(writer.as_fd()), ..request(&launch) };
    let running = Running(Spawner::new().unwrap().spawn(&launch, &request).unwrap()).stopped();
    drop(inherited);
    let pipe = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader))).unwrap();
    let null = PathBuf::from("/dev/null");
    let expected =
        [("0", null.clone()), ("1", pipe), ("2", null)].map(|(name, path)| (name.to_owned(), path));
    assert_eq!(running.descriptors(), BTreeMap::from(expected));
}

#[test]
fn foster_s_own_output_and_error_can_be_exchanged() {
    let launch = launch(&["sh", "-c", "echo to-output; echo to-error >&2"]);
    let Some(seen) = alone("spawn::tests::foster_s_own_output_and_error_can_be_exchanged") else {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let exchanged =
            Request { stdout: Some(stderr.as_fd()), stderr: Some(stdout.as_fd()), ..request(&launch) };
        let child = Spawner::new().unwrap().spawn(&launch, &exchanged).unwrap();
        assert_eq!(waitpid(child.pid, None).unwrap(), WaitStatus::Exited(child.pid, 0));
        return;
    };
    assert_eq!(String::from_utf8(seen.stderr).unwrap(), "to-output\n");
    assert!(String::from_utf8(seen.stdout).unwrap().contains("to-error\n"));
}

#[test]
fn signals_are_as_a_new_process_has_them_and_foster_s_stay_as_they_were() {
    let blocked = SigSet::from(Number::SIGUSR1);
    blocked.thread_block().unwrap();
    let own = |key: &str| {
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        status.lines().find(|line| line.starts_with(key)).unwrap().to_owned()
    };
    let before = ["SigBlk", "SigIgn", "SigCgt"].map(own);
    assert!(!before[1].ends_with("0000"), "the standard library ignores SIGPIPE: {before:?}");
    let running = sleeping(Launch::default());
    for key in ["SigBlk", "SigIgn", "SigCgt"] {
        assert_eq!(running.status(key), "0000000000000000", "{key}");
    }
    assert_eq!(["SigBlk", "SigIgn", "SigCgt"].map(own), before);
    blocked.thread_unblock().unwrap();
}

#[test]
fn it_leads_a_session_of_its_own() {
    let running = sleeping(Launch::default());
    let pid = running.0.pid;
    assert_eq!((unistd::getsid(Some(pid)).unwrap(), unistd::getpgid(Some(pid)).unwrap()), (pid, pid));
    let members: Vec<Pid> = procfs::session_members(pid).unwrap().iter().map(|member| member.pid).collect();
    assert_eq!(members, [pid]);
}

#[test]
fn umask_limits_nice_and_directory_are_as_asked() {
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
fn a_low_limit_on_descriptors_hinders_no_other_step() {
    let limits = vec![Limit { resource: Resource::NOFILE, soft: 3, hard: 3 }];
    let launch = Launch { limits, oom_score_adj: Some(500), ..launch(&["sleep", "1000"]) };
    // Its loader may then fail for want of a descriptor: it was executed, that is all.
    assert!(start(&launch).is_ok());
}

#[test]
fn the_preference_of_the_oom_killer_is_the_child_s_alone() {
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let running = sleeping(Launch { oom_score_adj: Some(700), ..Launch::default() });
    assert_eq!(running.proc("oom_score_adj"), "700\n");
    assert_eq!(fs::read_to_string("/proc/self/oom_score_adj").unwrap(), own);
}

#[test]
fn no_new_privileges_is_set_when_asked_for_only() {
    assert_eq!(sleeping(Launch::default()).status("NoNewPrivs"), "0");
    let running = sleeping(Launch { no_new_privileges: true, ..Launch::default() });
    assert_eq!(running.status("NoNewPrivs"), "1");
}

#[test]
fn a_user_is_taken_on_wholly() {
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
    let nobody = sleeping(Launch { user: Some(both.clone()), ..Launch::default() });
    assert_eq!(nobody.status("Uid"), "65534 65534 65534 65534");
    assert_eq!((nobody.status("Gid").as_str(), nobody.status("Groups").as_str()), ("77 77 77 77", "77"));
    let owner = owner(&Launch { user: Some(both), ..Launch::default() }).unwrap();
    assert_eq!(owner, Some((Uid::from_raw(65534), Gid::from_raw(77))));
    assert_eq!(super::owner(&Launch::default()).unwrap(), None);
}

#[test]
fn capabilities_are_kept_over_a_change_of_user_and_all_others_lost() {
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
fn a_capability_that_does_not_exist_is_a_failed_start() {
    let launch = Launch { capabilities: Some(1 << 63), ..launch(&["true"]) };
    assert_eq!(failed(&launch).0, "capabilities");
}

#[test]
fn foster_s_memory_stays_its_user_s_after_a_child_has_changed_its_user() {
    if !is_root()
        || alone("spawn::tests::foster_s_memory_stays_its_user_s_after_a_child_has_changed_its_user")
            .is_some()
    {
        return;
    }
    drop(sleeping(Launch { user: user(STRANGER), ..Launch::default() }));
    assert!(prctl::get_dumpable().unwrap());
}

#[test]
fn a_foster_without_rights_starts_what_needs_none_and_says_what_needs_some() {
    let name = "spawn::tests::a_foster_without_rights_starts_what_needs_none_and_says_what_needs_some";
    if !is_root() || alone(name).is_some() {
        return;
    }
    become_stranger();
    let own = sleeping(Launch { user: user(STRANGER), capabilities: Some(0), ..Launch::default() });
    assert_eq!(own.status("Gid"), "54321 54321 54321 54321");
    assert_eq!(own.status("CapPrm"), "0000000000000000");
    assert_eq!(own.status("NoNewPrivs"), "1", "instead of the bounding set, which it may not lower");
    drop(own);
    let elsewhere = User { user: Account::Id(1), group: None, unprivileged: Unprivileged::AsFoster };
    let stayed = Launch { user: Some(elsewhere), capabilities: Some(NET_BIND_SERVICE), ..Launch::default() };
    assert_eq!(owner(&stayed).unwrap(), None);
    let stayed = sleeping(stayed);
    assert_eq!(stayed.status("Uid"), "54321 54321 54321 54321");
    assert_eq!(stayed.status("CapPrm"), "0000000000000000");
    drop(stayed);

    let root =
        User { user: Account::Name("root".to_owned()), group: None, unprivileged: Unprivileged::Refused };
    let refused = [
        (
            Launch { user: Some(root), ..launch(&["true"]) },
            "user",
            r#"changing to user "root": Operation not permitted"#,
        ),
        (
            Launch { capabilities: Some(NET_BIND_SERVICE), ..launch(&["true"]) },
            "capabilities",
            "limiting its capabilities: Operation not permitted",
        ),
        (Launch { nice: Some(-5), ..launch(&["true"]) }, "nice", "setting nice to -5: Permission denied"),
        (
            Launch { oom_score_adj: Some(-1000), ..launch(&["true"]) },
            "oom_score_adj",
            "setting oom_score_adj to -1000: Permission denied",
        ),
    ];
    for (launch, stage, message) in refused {
        assert_eq!(failed(&launch), (stage, message.to_owned()));
    }
}

#[test]
fn a_process_more_than_is_allowed_is_a_failed_start() {
    let name = "spawn::tests::a_process_more_than_is_allowed_is_a_failed_start";
    if !is_root() || alone(name).is_some() {
        return;
    }
    become_stranger();
    rlimit::setrlimit(Resource::NPROC, 0, 0).unwrap();
    let message = "making a process: Resource temporarily unavailable".to_owned();
    assert_eq!(failed(&launch(&["true"])), ("process", message));
}

#[test]
fn a_directory_is_entered_as_the_user() {
    let message = r#"entering directory "/no/such": No such file or directory"#.to_owned();
    let missing = Launch { directory: Some("/no/such".into()), ..launch(&["true"]) };
    assert_eq!(failed(&missing), ("directory", message));
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut launch = Launch { directory: Some(directory.path().into()), ..launch(&["true"]) };
    drop(start(&launch).unwrap());
    launch.user = user(STRANGER);
    let message = format!("entering directory {:?}: Permission denied", directory.path());
    assert_eq!(failed(&launch), ("directory", message));
}

#[test]
fn a_limit_that_is_not_permitted_is_named() {
    let limits = vec![
        Limit { resource: Resource::CORE, soft: 0, hard: 0 },
        Limit { resource: Resource::NOFILE, soft: 2_000_000_000, hard: 2_000_000_000 },
    ];
    let message = "setting limit nofile to 2000000000: Operation not permitted".to_owned();
    assert_eq!(failed(&Launch { limits, ..launch(&["true"]) }), ("limits", message));
}

#[test]
fn a_user_that_does_not_exist_is_named() {
    let nobody = User {
        user: Account::Name("no-such-user".to_owned()),
        group: None,
        unprivileged: Unprivileged::Refused,
    };
    let message = r#"looking up user "no-such-user": not in /etc/passwd"#.to_owned();
    let launch = Launch { user: Some(nobody), ..launch(&["true"]) };
    assert_eq!(failed(&launch), ("user", message));
    assert_eq!(owner(&launch).unwrap_err().stage, "user");
}

#[test]
fn why_a_program_did_not_run_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let path = ("PATH".to_owned(), format!("/no/such:{}:/etc/passwd", directory.path().display()));
    let searching = |name: &str| Launch { environment: vec![path.clone()], ..launch(&[name]) };
    let missing = "No such file or directory";
    let lost = script(directory.path(), "#!/no/such/interpreter\n");
    let no_interpreter =
        format!("{lost:?}: {missing}: the interpreter in its first line, or its loader, is missing");
    let relative = Launch { directory: Some(directory.path().into()), ..launch(&["./script"]) };
    let relative_message = no_interpreter.replace(&lost, "./script");
    for (launch, command, why) in [
        (searching("no-such"), "no-such", format!("No such file or directory in PATH ({})", path.1)),
        (searching("file"), "file", format!("{file:?}: Permission denied")),
        (searching("script"), "script", no_interpreter.clone()),
        (launch(&[&lost]), &lost, no_interpreter),
        (relative, "./script", relative_message),
        (launch(&["/no/such/file"]), "/no/such/file", missing.to_owned()),
        (launch(&["/etc/passwd/x"]), "/etc/passwd/x", "Not a directory".to_owned()),
        (launch(&[file]), file, "Permission denied".to_owned()),
        (launch(&["/usr"]), "/usr", "Permission denied".to_owned()),
        (launch(&[""]), "", missing.to_owned()),
        (launch(&[]), "", missing.to_owned()),
    ] {
        assert_eq!(failed(&launch), ("exec", format!("running {command:?}: {why}")));
    }
}

#[test]
fn a_file_that_is_no_program_is_not_given_to_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), "exit 0\n");
    let (stage, message) = failed(&launch(&[&path]));
    assert_eq!(stage, "exec");
    let why = "Exec format error: not for this machine, or a script without `#!` in its first line";
    assert_eq!(message, format!("running {path:?}: {why}"));
}

#[test]
fn more_arguments_than_the_kernel_takes_are_counted() {
    let launch = launch(&["true", &"x".repeat(200_000)]);
    let (stage, message) = failed(&launch);
    assert_eq!(stage, "exec");
    assert!(
        message.starts_with(r#"running "true": Argument list too long: arguments and environment have 2"#)
    );
}

#[test]
fn a_failed_start_leaves_no_process_and_no_descriptor_behind() {
    if alone("spawn::tests::a_failed_start_leaves_no_process_and_no_descriptor_behind").is_some() {
        return;
    }
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let mut spawner = Spawner::new().unwrap();
    let before = descriptors();
    let launch = launch(&["/no/such/file"]);
    for _ in 0..100 {
        spawner.spawn(&launch, &request(&launch)).unwrap_err();
    }
    assert_eq!(procfs::children().unwrap(), []);
    assert_eq!(descriptors(), before);
    assert_eq!(crate::sys::process::reap(), None);
}

#[test]
fn a_stack_is_used_again_while_the_process_before_still_runs() {
    let mut spawner = Spawner::new().unwrap();
    let launch = launch(&["sleep", "1000"]);
    let running: Vec<Running> =
        (0..20).map(|_| Running(spawner.spawn(&launch, &request(&launch)).unwrap()).settled()).collect();
    assert!(running.iter().all(|it| it.proc("cmdline") == "sleep\x001000\0"));
}

#[test]
fn a_path_with_a_nul_is_a_directory_that_cannot_be_entered() {
    let directory = Some(PathBuf::from(OsString::from("/a\0b")));
    assert_eq!(failed(&Launch { directory, ..launch(&["true"]) }).0, "directory");
}

#[test]
fn without_dev_null_reading_ends_at_once_and_writing_kills_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let no_device = directory.path().join("null");
    fs::write(&no_device, "made by a mistake").unwrap();
    for path in [&no_device, &directory.path().join("missing")] {
        let mut null = File::from(null(path).unwrap());
        assert_eq!(null.read(&mut [0]).unwrap(), 0);
        assert_eq!(null.write(b"x").unwrap_err().raw_os_error(), Some(Errno::EBADF as i32));
    }
    assert_eq!(fs::read(no_device).unwrap(), b"made by a mistake");
}

#[test]
fn a_child_changes_nothing_in_the_table_of_descriptors_and_leaves_no_pipe_open() {
    let of = |number: &dyn std::os::fd::AsRawFd| {
        fs::read_link(format!("/proc/self/fd/{}", number.as_raw_fd())).unwrap()
    };
    for mut spawner in spawners() {
        let before = [of(&io::stdin()), of(&io::stdout()), of(&io::stderr())];
        let (mut reader, writer) = io::pipe().unwrap();
        let launch = launch(&["sh", "-c", "echo out; echo err >&2; ls /proc/self/fd | wc -l"]);
        let request =
            Request { stdout: Some(writer.as_fd()), stderr: Some(writer.as_fd()), ..request(&launch) };
        let child = spawner.spawn(&launch, &request).unwrap();
        drop(writer);
        let mut text = String::new();
        // It ends only if nobody but the child holds the other end.
        reader.read_to_string(&mut text).unwrap();
        waitpid(child.pid, None).unwrap();
        // `ls` has 0, 1, 2 and the folder it reads.
        assert_eq!(text, "out\nerr\n4\n");
        assert_eq!(before, [of(&io::stdin()), of(&io::stdout()), of(&io::stderr())]);
    }
}

#[test]
fn a_start_that_fails_leaves_no_pipe_open() {
    for mut spawner in spawners() {
        let (mut reader, writer) = io::pipe().unwrap();
        let launch = launch(&["/not/there"]);
        let request = Request { stdout: Some(writer.as_fd()), ..request(&launch) };
        assert_eq!(spawner.spawn(&launch, &request).unwrap_err().stage, "exec");
        drop(writer);
        assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    }
}
