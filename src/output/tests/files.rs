//! Streams to files: one writer for each path, opened again after a failure, resized in place.
//!
//! Rotation and other behaviour of a file are tested in `file/tests.rs`.

use super::*;

fn file_program(name: &str, path: &Path) -> Program {
    let sink = Sink::File(FileSink { path: path.to_owned(), max_size: Some(100), keep: 50 });
    Program { stdout: sink.clone(), stderr: sink, ..program(name) }
}

#[test]
fn programs_with_the_same_path_share_the_file_and_its_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut bench = Bench::new(LogFormat::Json, &[file_program("a", &path), file_program("b", &path)]);
    let (a, a_err) = bench.start(run(0, 1));
    let (b, _b_err) = bench.start(run(1, 1));
    for number in 0..100 {
        [&a, &b, &a_err].into_iter().for_each(|fd| write(fd, &format!("line {number}\n")));
        bench.turn_until_idle();
    }
    let mut lines = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.len() <= 100 && text.lines().all(|line| line.starts_with("line ")), "{text:?}");
        lines += text.lines().count();
    }
    assert_eq!(lines, 300);
    assert_eq!(bench.read(), (String::new(), String::new()));
}

#[test]
fn a_file_that_cannot_be_opened_is_a_warning_and_is_opened_once_its_folder_exists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/log");
    let mut bench = Bench::new(LogFormat::Text, &[file_program("web", &path)]);
    let (stdout, _stderr) = bench.start(run(0, 1));
    write(&stdout, "lost\n");
    bench.turn_until_idle();
    assert!(
        bench
            .read_err()
            .contains("later/log`: No such file or directory; its lines are dropped until it can be opened")
    );
    std::fs::create_dir(folder.path().join("later")).unwrap();
    bench.output.reopen();
    write(&stdout, "kept\n");
    bench.turn_until_idle();
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written, "foster: 1 lines dropped: No such file or directory\nkept\n");
    assert!(bench.read_err().contains("can be written again; 1 lines were dropped"));
}

#[test]
fn a_path_of_fosters_own_stdout_is_that_stream_without_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("access.log");
    std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
    for path in [link.as_path(), Path::new("/dev/stdout"), Path::new("/proc/self/fd/1")] {
        let mut bench = Bench::new(LogFormat::Json, &[file_program("web", path)]);
        let (stdout, _stderr) = bench.start(run(0, 1));
        write(&stdout, "GET /\n");
        bench.turn_until_idle();
        assert_eq!(bench.read().0, "GET /\n");
    }
}

#[test]
fn a_failed_spawn_leaves_no_descriptor_and_no_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(LogFormat::Text, &[file_program("web", &folder.path().join("log"))]);
    let streams = bench.output.attach(run(0, 1), &bench.programs[0]).unwrap();
    bench.output.abandon(run(0, 1));
    drop(streams);
    assert!(bench.output.sources.by_key.is_empty() && bench.output.attached.runs.is_empty());
    assert_eq!(bench.output.writers.count(), 2);
    bench.output.ended(run(0, 1));
    bench.output.started(run(0, 1), 1);
}

#[test]
fn a_file_is_opened_again_without_a_new_line_once_its_folder_exists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/log");
    let mut bench = Bench::new(LogFormat::Text, &[file_program("web", &path)]);
    let (stdout, _stderr) = bench.start(run(0, 1));
    write(&stdout, "lost\n");
    bench.turn_until_idle();
    std::fs::create_dir(folder.path().join("later")).unwrap();
    let key = bench.output.writers.file_mut(&path).unwrap().0;
    assert!(bench.output.writers.get(key).unwrap().is_delayed());
    let rested = |output: &mut Output| !output.writers.get(key).unwrap().is_delayed();
    turn_until(&bench.epoll, &mut bench.output, rested);
    write(&stdout, "line\n");
    bench.turn_until_idle();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("foster: "));
    bench.turn_until_idle();
    assert_eq!(bench.turn(), 0, "nothing is polled");
}

#[test]
fn a_changed_size_applies_to_the_file_of_a_current_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut bench = Bench::new(LogFormat::Text, &[file_program("web", &path)]);
    let (stdout, _stderr) = bench.start(run(0, 1));
    let sink = Sink::File(FileSink { path: path.clone(), max_size: Some(10), keep: 50 });
    let changed = Program { stdout: sink.clone(), stderr: sink, ..file_program("web", &path) };
    bench.output.configure(&plan(LogFormat::Text, &[changed]));
    write(&stdout, "12345678\n12345678\n");
    bench.turn_until_idle();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "12345678\n");
}
