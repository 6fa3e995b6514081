//! The descriptors of a program, and children that are slow to `exec`.
//!
//! A lease on the executable simulates a file system that hangs (`sys/isolated.rs`). Next: `../mod.rs`.

use super::*;

#[test]
fn a_program_has_three_descriptors_and_inherits_none_of_fosters() {
    // Without CLOEXEC, like a descriptor that foster's parent has left open.
    let inherited = unistd::dup(File::open("/dev/zero").unwrap()).unwrap();
    let launch = launch(&["sh", "-c", "kill -STOP $$"]);
    let (reader, writer) = io::pipe().unwrap();
    let request = Request { stdout: Some(writer.as_fd()), ..request(&launch) };
    let running = Running(spawn(&launch, &request).unwrap()).stopped();
    drop(inherited);
    let pipe = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader))).unwrap();
    let null = PathBuf::from("/dev/null");
    let expected =
        [("0", null.clone()), ("1", pipe), ("2", null)].map(|(name, path)| (name.to_owned(), path));
    assert_eq!(running.descriptors(), BTreeMap::from(expected));
}

#[test]
fn stdout_and_stderr_can_be_swapped() {
    let launch = launch(&["sh", "-c", "echo to-output; echo to-error >&2"]);
    let Some(seen) = alone("spawn::tests::descriptors::stdout_and_stderr_can_be_swapped") else {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let exchanged =
            Request { stdout: Some(stderr.as_fd()), stderr: Some(stdout.as_fd()), ..request(&launch) };
        let child = spawn(&launch, &exchanged).unwrap();
        assert_eq!(waitpid(child.pid(), None).unwrap(), WaitStatus::Exited(child.pid(), 0));
        return;
    };
    assert_eq!(String::from_utf8(seen.stderr).unwrap(), "to-output\n");
    assert!(String::from_utf8(seen.stdout).unwrap().contains("to-error\n"));
}

#[test]
fn without_dev_null_a_read_returns_end_of_file_and_a_write_fails() {
    let directory = tempfile::tempdir().unwrap();
    let no_device = directory.path().join("null");
    fs::write(&no_device, "written by mistake").unwrap();
    for path in [&no_device, &directory.path().join("missing")] {
        let mut null = File::from(null(path).unwrap());
        assert_eq!(null.read(&mut [0]).unwrap(), 0);
        assert_eq!(null.write(b"x").unwrap_err().raw_os_error(), Some(Errno::EBADF as i32));
    }
    assert_eq!(fs::read(no_device).unwrap(), b"written by mistake");
}

#[test]
fn a_start_leaves_fosters_descriptors_unchanged_and_no_pipe_open() {
    let of = |number: &dyn std::os::fd::AsRawFd| {
        fs::read_link(format!("/proc/self/fd/{}", number.as_raw_fd())).unwrap()
    };
    let before = [of(&io::stdin()), of(&io::stdout()), of(&io::stderr())];
    let (mut reader, writer) = io::pipe().unwrap();
    let launch = launch(&["sh", "-c", "echo out; echo err >&2; ls /proc/self/fd | wc -l"]);
    let request = Request { stdout: Some(writer.as_fd()), stderr: Some(writer.as_fd()), ..request(&launch) };
    let child = spawn(&launch, &request).unwrap();
    drop(writer);
    let mut text = String::new();
    // Ends only if no process except the child holds the write end.
    reader.read_to_string(&mut text).unwrap();
    waitpid(child.pid(), None).unwrap();
    // `ls` has 0, 1, 2 and the folder that it reads.
    assert_eq!(text, "out\nerr\n4\n");
    assert_eq!(before, [of(&io::stdin()), of(&io::stdout()), of(&io::stderr())]);
}

#[test]
fn descriptors_get_the_requested_numbers_in_any_order_and_no_other_is_inherited() {
    // The numbers overlap with those of the sources in foster, and two are swapped.
    let files: Vec<Rc<OwnedFd>> = ["/etc/passwd", "/etc/group", "/etc/hostname"]
        .into_iter()
        .map(|path| Rc::new(OwnedFd::from(File::open(path).unwrap())))
        .collect();
    let number = |file: &OwnedFd| std::os::fd::AsRawFd::as_raw_fd(file);
    let (first, second) = (number(&files[0]), number(&files[1]));
    for targets in [[first, second, 3], [second, first, 77], [5, 4, 3], [3, 4, 5], [100, 3, 50]] {
        let mut unique = targets.to_vec();
        unique.sort_unstable();
        unique.dedup();
        if unique.len() < targets.len() {
            continue;
        }
        let descriptors: Vec<_> = files.iter().map(Rc::clone).zip(targets).collect();
        let launch = launch(&["sh", "-c", "kill -STOP $$"]);
        let request = Request { descriptors: &descriptors, ..request(&launch) };
        let running = Running(spawn(&launch, &request).unwrap()).stopped();
        let null = PathBuf::from("/dev/null");
        let mut expected: BTreeMap<String, PathBuf> =
            ["0", "1", "2"].map(|name| (name.to_owned(), null.clone())).into();
        for (target, path) in targets.iter().zip(["/etc/passwd", "/etc/group", "/etc/hostname"]) {
            expected.insert(target.to_string(), fs::canonicalize(path).unwrap());
        }
        assert_eq!(running.descriptors(), expected, "{targets:?}");
    }
}

#[test]
fn standard_input_is_as_requested() {
    let (input, mut writer) = io::pipe().unwrap();
    let (mut reader, output) = io::pipe().unwrap();
    let launch = launch(&["cat"]);
    let request =
        Request { stdin: Stdin::Given(input.as_fd()), stdout: Some(output.as_fd()), ..request(&launch) };
    let child = spawn(&launch, &request).unwrap();
    drop((input, output));
    writer.write_all(b"typed").unwrap();
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "typed");
    waitpid(child.pid(), None).unwrap();

    // Reads block until foster closes its end.
    let (mut reader, output) = io::pipe().unwrap();
    let request = Request { stdin: Stdin::Open, stdout: Some(output.as_fd()), ..self::request(&launch) };
    let child = spawn(&launch, &request).unwrap();
    drop(output);
    let pid = child.pid();
    assert_eq!(waitpid(pid, Some(WaitPidFlag::WNOHANG)).unwrap(), WaitStatus::StillAlive);
    drop(child);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0);
    assert_eq!(waitpid(pid, None).unwrap(), WaitStatus::Exited(pid, 0));

    let launch = self::launch(&["sh", "-c", "kill -STOP $$"]);
    let request = Request { stdin: Stdin::Inherit, ..self::request(&launch) };
    let running = Running(spawn(&launch, &request).unwrap()).stopped();
    assert_eq!(running.descriptors()["0"], fs::read_link("/proc/self/fd/0").unwrap());
}

#[test]
fn a_program_on_a_file_system_that_hangs_blocks_neither_foster_nor_the_next_start() {
    let name = "spawn::tests::descriptors::a_program_on_a_file_system_that_hangs_blocks_neither_foster_nor_the_next_start";
    if alone(name).is_some() {
        return;
    }
    signal::ignore(Signal::new(29).unwrap()); // IO
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), "#!/bin/true\n");
    let file = File::open(&path).unwrap();
    take_lease(&file);
    let (spawner, hanging, quick) = (Spawner::new(None).unwrap(), launch(&[&path]), launch(&["true"]));
    let (mut output, writer) = io::pipe().unwrap();
    let request = Request { stdout: Some(writer.as_fd()), ..request(&hanging) };
    let first = spawner.spawn(&hanging, &Spawner::resolve(&hanging).unwrap(), &request).unwrap();
    drop(writer);
    let quick_request = self::request(&quick);
    let next = spawner.spawn(&quick, &Spawner::resolve(&quick).unwrap(), &quick_request).unwrap();
    let next = next.wait().unwrap();
    assert_eq!(waitpid(next.pid(), None).unwrap(), WaitStatus::Exited(next.pid(), 0));
    assert_eq!(first.report.read(), None);
    release_lease(&file);
    let first = first.wait().unwrap();
    assert_eq!(waitpid(first.pid(), None).unwrap(), WaitStatus::Exited(first.pid(), 0));
    // No process except the first child held the write end of its output.
    assert_eq!(output.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_child_killed_before_exec_exits_by_the_signal() {
    let name = "spawn::tests::descriptors::a_child_killed_before_exec_exits_by_the_signal";
    if alone(name).is_some() {
        return;
    }
    signal::ignore(Signal::new(29).unwrap()); // IO
    let directory = tempfile::tempdir().unwrap();
    let path = script(directory.path(), "#!/bin/true\n");
    let file = File::open(&path).unwrap();
    take_lease(&file);
    let hanging = launch(&[&path]);
    let started =
        Spawner::new(None).unwrap().spawn(&hanging, &Spawner::resolve(&hanging).unwrap(), &request(&hanging));
    let started = started.unwrap();
    started.process.signal(Signal::KILL).unwrap();
    let child = started.wait().unwrap();
    assert_eq!(
        waitpid(child.pid(), None).unwrap(),
        WaitStatus::Signaled(child.pid(), Number::SIGKILL, false)
    );
}
