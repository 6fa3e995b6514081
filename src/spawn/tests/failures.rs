//! Failed starts: their messages, and that they leave nothing behind.
//!
//! In the log the messages follow "cannot start NAME: ". Next: `../failure.rs`.

use super::*;

#[test]
fn a_capability_that_does_not_exist_is_a_failed_start() {
    let launch = Launch { capabilities: Some(1 << 63), ..launch(&["true"]) };
    assert_eq!(failed(&launch).0, "capabilities");
}

#[test]
fn an_unprivileged_foster_starts_programs_and_names_missing_privileges() {
    let name = "spawn::tests::failures::an_unprivileged_foster_starts_programs_and_names_missing_privileges";
    if !is_root() || alone(name).is_some() {
        return;
    }
    become_stranger();
    let own = sleeping(Launch { user: user(STRANGER), capabilities: Some(0), ..Launch::default() });
    assert_eq!(own.status("Gid"), "54321 54321 54321 54321");
    assert_eq!(own.status("CapPrm"), "0000000000000000");
    assert_eq!(own.status("NoNewPrivs"), "1", "instead of the bounding set, which it may not reduce");
    drop(own);
    let elsewhere = User { user: Account::Id(1), group: None, unprivileged: Unprivileged::AsFoster };
    let stayed = Launch { user: Some(elsewhere), capabilities: Some(NET_BIND_SERVICE), ..Launch::default() };
    assert_eq!(Spawner::resolve(&stayed).unwrap().owner(), None);
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
            "changing to user `root`: Operation not permitted: foster is not root here; `user = \"-root\"` runs it \
             as foster's own user",
        ),
        (
            Launch { capabilities: Some(NET_BIND_SERVICE), ..launch(&["true"]) },
            "capabilities",
            "setting its capabilities: Operation not permitted: foster does not have all of `capabilities`",
        ),
        (
            Launch { nice: Some(-5), ..launch(&["true"]) },
            "nice",
            "setting `nice` to -5: Permission denied: lowering it needs CAP_SYS_NICE",
        ),
        (
            Launch { oom_score_adj: Some(-1000), ..launch(&["true"]) },
            "oom_score_adj",
            "setting `oom_score_adj` to -1000: Permission denied: lowering it needs CAP_SYS_RESOURCE",
        ),
    ];
    for (launch, stage, message) in refused {
        assert_eq!(failed(&launch), (stage, message.to_owned()));
    }
}

#[test]
fn a_start_above_the_process_limit_fails() {
    let name = "spawn::tests::failures::a_start_above_the_process_limit_fails";
    if !is_root() || alone(name).is_some() {
        return;
    }
    become_stranger();
    rlimit::setrlimit(Resource::NPROC, 0, 0).unwrap();
    let (stage, message) = failed(&launch(&["true"]));
    assert_eq!(stage, "process");
    assert!(message.starts_with("creating a process: Resource temporarily unavailable: "), "{message}");
}

#[test]
fn a_directory_is_entered_as_the_user() {
    let message =
        "entering directory `/no/such`: No such file or directory: create it, or correct `directory`"
            .to_owned();
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
    let message = format!(
        "entering directory `{}`: Permission denied: the program's user may not enter it",
        directory.path().display()
    );
    assert_eq!(failed(&launch), ("directory", message));
}

#[test]
fn a_limit_that_is_not_permitted_is_reported() {
    let limits = vec![
        Limit { resource: Resource::CORE, soft: 0, hard: 0 },
        Limit { resource: Resource::NOFILE, soft: 2_000_000_000, hard: 2_000_000_000 },
    ];
    let message =
        "setting the limit `nofile` to 2000000000: Operation not permitted: it exceeds the hard limit \
                   or fs.nr_open"
            .to_owned();
    assert_eq!(failed(&Launch { limits, ..launch(&["true"]) }), ("limits", message));
}

#[test]
fn an_unknown_user_is_reported() {
    let unknown = User {
        user: Account::Name("no-such-user".to_owned()),
        group: None,
        unprivileged: Unprivileged::Refused,
    };
    let message =
        "user `no-such-user` is not in /etc/passwd: add it to the image, or use its number".to_owned();
    let launch = Launch { user: Some(unknown), ..launch(&["true"]) };
    assert_eq!(failed(&launch), ("user", message));
}

#[test]
fn the_reason_of_a_failed_exec_is_reported_with_its_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    let path = ("PATH".to_owned(), format!("/no/such:{}:/etc/passwd", directory.path().display()));
    let searching = |name: &str| Launch { environment: vec![path.clone()], ..launch(&[name]) };
    let missing = "No such file or directory";
    let remedy = "add it to the image, or correct the command";
    let lost = script(directory.path(), "#!/no/such/interpreter\n");
    let no_interpreter = |command: &str, file: &str| {
        format!(
            "running `{command}`: the interpreter in the first line of `{file}`, or its loader, is missing"
        )
    };
    let relative = Launch { directory: Some(directory.path().into()), ..launch(&["./script"]) };
    let not_executable =
        format!("`{file}` is not executable: use `chmod +x`, or run it with its interpreter");
    for (launch, message) in [
        (searching("no-such"), format!("`no-such` is not in PATH ({}): {remedy}", path.1)),
        (searching("file"), not_executable.clone()),
        (searching("script"), no_interpreter("script", &lost)),
        (launch(&[&lost]), no_interpreter(&lost, &lost)),
        (relative, no_interpreter("./script", "./script")),
        (launch(&["/no/such/file"]), format!("running `/no/such/file`: {missing}: {remedy}")),
        (launch(&["/etc/passwd/x"]), format!("running `/etc/passwd/x`: Not a directory: {remedy}")),
        (launch(&[file]), not_executable),
        (launch(&["/usr"]), "`/usr` is a directory".to_owned()),
        (launch(&[""]), format!("running ``: {missing}: {remedy}")),
        (launch(&[]), format!("running ``: {missing}: {remedy}")),
    ] {
        assert_eq!(failed(&launch), ("exec", message));
    }
}

#[test]
fn the_process_limit_of_a_user_is_reported_without_a_folder_of_path() {
    if !is_root() {
        return;
    }
    let _first = sleeping(Launch { user: user(STRANGER), ..Launch::default() });
    let limits = vec![Limit { resource: Resource::NPROC, soft: 0, hard: 0 }];
    let (stage, message) = failed(&Launch { limits, user: user(STRANGER), ..launch(&["true"]) });
    let expected = "running `true`: Resource temporarily unavailable: its user's limit `nproc` is reached";
    assert_eq!((stage, message.as_str()), ("exec", expected));
}

#[test]
fn a_file_of_an_unknown_format_is_not_run_by_a_shell() {
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), "exit 0\n");
    let (stage, message) = failed(&launch(&[&path]));
    assert_eq!(stage, "exec");
    let why = "Exec format error: it is for another architecture, or a script without `#!` in its first line";
    assert_eq!(message, format!("running `{path}`: {why}"));
}

#[test]
fn arguments_that_are_too_long_are_reported_with_their_size() {
    let launch = launch(&["true", &"x".repeat(200_000)]);
    let (stage, message) = failed(&launch);
    assert_eq!(stage, "exec");
    assert!(message.starts_with("running `true`: Argument list too long: arguments and environment have 2"));
}

#[test]
fn a_failed_start_leaves_no_process_and_no_descriptor_behind() {
    if alone("spawn::tests::failures::a_failed_start_leaves_no_process_and_no_descriptor_behind").is_some() {
        return;
    }
    let descriptors = || fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    let launch = launch(&["/no/such/file"]);
    for _ in 0..100 {
        spawn(&launch, &request(&launch)).unwrap_err();
    }
    assert_eq!(procfs::OwnChildren::open().read().unwrap(), []);
    assert_eq!(descriptors(), before);
    assert_eq!(crate::sys::process::reap(), None);
}

#[test]
fn a_path_with_a_nul_is_a_directory_that_cannot_be_entered() {
    let directory = Some(PathBuf::from(OsString::from("/a\0b")));
    assert_eq!(failed(&Launch { directory, ..launch(&["true"]) }).0, "directory");
}

#[test]
fn a_failed_start_leaves_no_pipe_open() {
    let (mut reader, writer) = io::pipe().unwrap();
    let launch = launch(&["/not/there"]);
    let request = Request { stdout: Some(writer.as_fd()), ..request(&launch) };
    assert_eq!(spawn(&launch, &request).unwrap_err().stage, "exec");
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
}
