use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use foster_core::ids::InstanceId;
use nix::fcntl::OFlag;
use nix::unistd;

use ::log::Level;

use super::*;
use crate::plan::{FileSink, LinePattern, Probe};

const TURNS: usize = 20_000;

/// An output with pipes for foster's stdout and stderr.
struct Bench {
    epoll: Rc<Epoll>,
    output: Output,
    out: OwnedFd,
    err: OwnedFd,
}

fn settings(log_format: LogFormat) -> Settings {
    Settings {
        socket: None,
        log_format,
        log_level: ::log::LevelFilter::Info,
        log_timestamps: false,
        termination_log: "/dev/null".into(),
    }
}

fn program(name: &str) -> Program {
    Program {
        name: name.to_owned(),
        launch: crate::plan::Launch::default(),
        stdout: Sink::Log,
        stderr: Sink::Log,
        log_prefix: true,
        ready: None,
        pre_start: None,
        pre_stop: None,
    }
}

fn run(program: u32, number: u32) -> Run {
    Run { instance: InstanceId { program: ProgramId(program), index: 0 }, number }
}

fn pipe() -> (OwnedFd, OwnedFd) {
    unistd::pipe2(OFlag::O_CLOEXEC).unwrap()
}

fn env(stdout: Option<OwnedFd>, stderr: Option<OwnedFd>) -> OutputEnv {
    let (stdout, stderr) = (stdout.map(Descriptor::Own), stderr.map(Descriptor::Own));
    let clock = || UNIX_EPOCH;
    OutputEnv { stdout, stderr, colour: ColourMode::Terminal, clock, backlog: Arc::new(Backlog::new(clock)) }
}

fn output_to(
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    format: LogFormat,
    programs: &[Program],
) -> (Rc<Epoll>, Output) {
    let epoll = Rc::new(Epoll::new().unwrap());
    let around = env(stdout, stderr);
    let output = Output::new(Rc::clone(&epoll), Space(7), &settings(format), &by_id(programs), around);
    (epoll, output)
}

fn by_id(programs: &[Program]) -> ProgramMap<Rc<Program>> {
    (0..).map(ProgramId).zip(programs.iter().cloned().map(Rc::new)).collect()
}

/// Turns of the loop until this holds; every turn waits for a report.
fn turn_until(epoll: &Epoll, output: &mut Output, mut done: impl FnMut(&mut Output) -> bool) {
    let mut ready = Vec::new();
    for _ in 0..TURNS {
        output.flush();
        if done(output) {
            return;
        }
        epoll.wait(Some(Duration::from_millis(20)), &mut ready).unwrap();
        ready.iter().for_each(|ready| output.on_ready(*ready));
    }
    panic!("it never came to that");
}

fn set_nonblocking(fd: &OwnedFd) {
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

/// What can be read right now.
fn drain(fd: &OwnedFd) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 65536];
    while let Ok(count @ 1..) = stream::read(fd, &mut buffer) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

impl Bench {
    fn new(format: LogFormat, programs: &[Program]) -> Bench {
        let ((out, stdout), (err, stderr)) = (pipe(), pipe());
        set_nonblocking(&out);
        set_nonblocking(&err);
        let (epoll, output) = output_to(Some(stdout), Some(stderr), format, programs);
        Bench { epoll, output, out, err }
    }

    fn start(&mut self, run: Run, label: &str) -> (OwnedFd, OwnedFd) {
        let streams = self.output.attach(run, label).unwrap();
        self.output.started(run, 42);
        match (streams.stdout, streams.stderr) {
            (ChildStream::Pipe(stdout), ChildStream::Pipe(stderr)) => (stdout, stderr),
            other => panic!("not captured: {other:?}"),
        }
    }

    /// One turn of the loop, without waiting; how many reports it had.
    fn turn(&mut self) -> usize {
        let mut ready = Vec::new();
        self.epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        ready.iter().for_each(|ready| self.output.on_ready(*ready));
        ready.len()
    }

    fn turn_until_idle(&mut self) {
        turn_until(&self.epoll, &mut self.output, |output| !output.pending());
    }

    fn say(&mut self, message: &str) {
        self.output.say(Level::Info, message);
    }

    fn read_err(&self) -> String {
        String::from_utf8(drain(&self.err)).unwrap()
    }

    fn read(&self) -> (String, String) {
        let text = |fd| String::from_utf8(drain(fd)).unwrap();
        (text(&self.out), text(&self.err))
    }
}

fn write(fd: &OwnedFd, text: &str) {
    assert_eq!(unistd::write(fd, text.as_bytes()), Ok(text.len()));
}

#[test]
fn lines_stand_behind_their_programs_name_and_are_never_mixed() {
    let mut bench = Bench::new(LogFormat::Text, &[program("backend"), program("db")]);
    let (backend, backend_err) = bench.start(run(0, 1), "backend");
    let (db, _db_err) = bench.start(run(1, 1), "db");
    write(&backend, "half a ");
    bench.turn_until_idle();
    write(&db, "whole\r\n\n");
    bench.turn_until_idle();
    write(&backend, "line\n");
    write(&backend_err, "oh\n");
    bench.say("hello\nworld");
    bench.turn_until_idle();
    let (out, err) = bench.read();
    assert_eq!(out, "db      | whole\r\ndb      | \nbackend | half a line\n");
    assert_eq!(err.lines().filter(|line| line.starts_with("foster  | ")).count(), 2);
    assert!(err.contains("backend | oh\n"));
}

#[test]
fn stdout_and_stderr_that_are_one_file_are_written_as_one() {
    let (out, both) = pipe();
    set_nonblocking(&out);
    let copy = both.try_clone().unwrap();
    let (epoll, mut output) = output_to(Some(both), Some(copy), LogFormat::Text, &[program("web")]);
    assert_eq!(output.writers.count(), 1);
    let streams = output.attach(run(0, 1), "web").unwrap();
    let (ChildStream::Pipe(stdout), ChildStream::Pipe(stderr)) = (streams.stdout, streams.stderr) else {
        panic!("not captured")
    };
    write(&stdout, "out\n");
    output.say(Level::Warn, "own");
    output.ended(run(0, 1));
    write(&stderr, "err\n");
    drop((stdout, stderr));
    turn_until(&epoll, &mut output, |output| !output.pending());
    assert_eq!(drain(&out), b"web    | out\nfoster | warning: own\nweb    | err\n");
}

#[test]
fn json_lines_name_the_process() {
    let mut bench = Bench::new(LogFormat::Json, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1), "web");
    write(&stdout, "hi \"you\"\n");
    bench.say("own");
    bench.turn_until_idle();
    let (out, err) = bench.read();
    let ts = r#"{"ts":"1970-01-01T00:00:00.000000Z","#;
    let line = r#""program":"web","instance":0,"stream":"stdout","pid":42,"msg":"hi \"you\""}"#;
    assert_eq!(out, format!("{ts}{line}\n"));
    let line = r#""level":"info","program":"foster","event":"log","msg":"own"}"#;
    assert_eq!(err, format!("{ts}{line}\n"));
}

#[test]
fn last_words_come_before_what_is_said_about_the_end_even_across_streams() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _descendant) = bench.start(run(0, 1), "web");
    // A line that lies in foster's queue: nobody reads stdout.
    let line = format!("{}\n", "x".repeat(999));
    while bench.output.writers.get(STDOUT).unwrap().unwritten() == 0 {
        write(&stdout, &line);
        bench.turn();
    }
    write(&stdout, "last words");
    bench.output.ended(run(0, 1));
    bench.say("web ended");
    bench.output.flush();
    assert_eq!(bench.read_err(), "", "said before its last words were out");
    let mut out = String::new();
    turn_until(&bench.epoll, &mut bench.output, |output| {
        out += &String::from_utf8(drain(&bench.out)).unwrap();
        !output.pending()
    });
    out += &bench.read().0;
    assert!(out.ends_with("web    | last words\n"));
}

#[test]
fn a_descendant_that_goes_on_writing_holds_nothing_up_and_keeps_its_label() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1), "web");
    write(&stdout, "dying");
    bench.output.ended(run(0, 1));
    bench.say("web ended");
    bench.turn_until_idle();
    assert_eq!(bench.read(), ("web    | dying\n".to_owned(), "foster | web ended\n".to_owned()));
    write(&stdout, "orphan\n");
    bench.turn_until_idle();
    assert_eq!(bench.read().0, "web    | orphan\n");
    drop((stdout, _stderr));
    turn_until(&bench.epoll, &mut bench.output, |output| {
        output.sources.by_key.is_empty() && output.runs.is_empty()
    });
}

#[test]
fn a_reader_that_stops_stops_the_writer_and_nothing_is_lost() {
    let mut file = program("file");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    file.stdout = Sink::File(FileSink { path: path.clone(), max_size: None, keep: 0 });
    let mut bench = Bench::new(LogFormat::Text, &[program("web"), file]);
    let (web, _e1) = bench.start(run(0, 1), "web");
    let (to_file, _e2) = bench.start(run(1, 1), "file");
    set_nonblocking(&web);
    let mut sent = Vec::new();
    let mut number = 0;
    loop {
        let line = format!("{number} {}\n", "x".repeat(1000));
        match unistd::write(&web, line.as_bytes()) {
            Ok(count) => {
                assert_eq!(count, line.len());
                sent.extend_from_slice(format!("web    | {line}").as_bytes());
                number += 1;
            }
            // The pipe is full: either foster reads it now, or it has stopped doing so.
            Err(_) if bench.turn() > 0 => {}
            Err(_) => break,
        }
    }
    assert!(bench.output.writers.get(STDOUT).unwrap().unwritten() < 1 << 20, "bounded");
    assert_eq!(bench.turn(), 0, "a blocked output leaves foster asleep");
    // A blocked stdout does not stop a file, or foster's own stderr.
    write(&to_file, "through\n");
    bench.say("alive");
    turn_until(&bench.epoll, &mut bench.output, |_| std::fs::read_to_string(&path).unwrap() == "through\n");
    assert_eq!(bench.read_err(), "foster | alive\n");
    let mut got = Vec::new();
    turn_until(&bench.epoll, &mut bench.output, |output| {
        got.extend(drain(&bench.out));
        !output.pending()
    });
    got.extend(drain(&bench.out));
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
}

#[test]
fn own_lines_that_wait_for_a_blocked_reader_are_bounded_and_the_loss_is_told() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let long = "x".repeat(10_000);
    for _ in 0..200 {
        bench.say(&long);
        bench.output.flush();
    }
    assert!(bench.output.own.size <= log::LIMIT && bench.output.own.dropped > 0);
    let mut err = String::new();
    turn_until(&bench.epoll, &mut bench.output, |output| {
        err += &String::from_utf8(drain(&bench.err)).unwrap();
        !output.pending()
    });
    err += &bench.read_err();
    assert!(err.ends_with("log lines dropped: stderr is blocked\n"));
}

#[test]
fn a_program_that_dies_again_and_again_before_a_blocked_reader_keeps_no_descriptors() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    for number in 1..200 {
        let (stdout, stderr) = bench.start(run(0, number), "web");
        let filler = vec![b'x'; 60_000];
        assert_eq!(unistd::write(&stdout, &filler), Ok(filler.len()));
        drop((stdout, stderr));
        bench.output.ended(run(0, number));
        bench.turn();
    }
    assert!(bench.output.sources.by_key.len() <= 40, "{}", bench.output.sources.by_key.len());
    turn_until(&bench.epoll, &mut bench.output, |output| {
        drain(&bench.out);
        !output.pending()
    });
    assert!(
        bench.read_err().contains("web: the last output of an earlier run is dropped: its reader is blocked")
    );
}

#[test]
fn a_reader_that_is_gone_is_said_on_the_other_stream_and_programs_run_on() {
    let Bench { epoll, mut output, out, err } = Bench::new(LogFormat::Text, &[program("web")]);
    drop(out);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), "web").unwrap().stdout else {
        panic!("not captured")
    };
    for _ in 0..3 {
        write(&stdout, "lost\n");
        turn_until(&epoll, &mut output, |output| !output.pending());
    }
    let expected = "foster | warning: cannot write stdout: Broken pipe; its lines are dropped from now on\n";
    assert_eq!(String::from_utf8(drain(&err)).unwrap(), expected);
    assert_eq!(output.lines_after(&[ProgramId(0)], 0, 9999).0.len(), 3);
    drop(err);
    output.say(Level::Info, "nobody hears this");
    turn_until(&epoll, &mut output, |output| !output.pending());
}

#[test]
fn closed_standard_streams_are_survived() {
    let (epoll, mut output) = output_to(None, None, LogFormat::Text, &[program("web")]);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), "web").unwrap().stdout else {
        panic!("not captured")
    };
    write(&stdout, "line\n");
    output.say(Level::Info, "line");
    turn_until(&epoll, &mut output, |output| !output.pending());
    assert_eq!(output.lines_after(&[ProgramId(0)], 0, 9999).0[0].1.text, b"line");
    let mut inherit = program("web");
    inherit.stdout = Sink::Inherit;
    output.configure(&settings(LogFormat::Text), &by_id(&[inherit]));
    assert!(matches!(output.attach(run(0, 2), "web").unwrap().stdout, ChildStream::Null));
}

#[test]
fn a_full_standard_output_counts_its_lines_and_says_so_on_stderr() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (err, stderr) = pipe();
    set_nonblocking(&err);
    let (epoll, mut output) = output_to(Some(full.into()), Some(stderr), LogFormat::Text, &[program("web")]);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), "web").unwrap().stdout else {
        panic!("not captured")
    };
    write(&stdout, "one\ntwo\n");
    turn_until(&epoll, &mut output, |output| !output.pending());
    assert_eq!(output.writers.get(STDOUT).unwrap().gap().unwrap().lines, 2);
    let expected = "foster | warning: cannot write stdout: No space left on device; its lines are dropped until it can be written\n";
    assert_eq!(String::from_utf8(drain(&err)).unwrap(), expected);
}

#[test]
fn a_socket_as_stdout_is_written_without_waiting() {
    let (mut reader, stdout) = UnixStream::pair().unwrap();
    reader.set_nonblocking(true).unwrap();
    let (epoll, mut output) = output_to(Some(stdout.into()), None, LogFormat::Text, &[program("web")]);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), "web").unwrap().stdout else {
        panic!("not captured")
    };
    let mut got = Vec::new();
    let mut sent = 0;
    while sent < 2_000_000 {
        write(&stdout, &"y\n".repeat(25_000));
        sent += 25_000 * 2;
        turn_until(&epoll, &mut output, |output| {
            let _ = reader.read_to_end(&mut got);
            !output.pending()
        });
    }
    let _ = reader.read_to_end(&mut got);
    assert_eq!(got.len(), sent / 2 * "web    | y\n".len());
}

#[test]
fn readiness_is_the_first_line_that_matches_on_either_stream() {
    let mut web = program("web");
    web.ready = Some(Probe::Log(LinePattern::new("^listening on [0-9]+$").unwrap()));
    let mut bench = Bench::new(LogFormat::Text, &[web]);
    let (stdout, stderr) = bench.start(run(0, 1), "web");
    write(&stdout, "not listening on 80\nlistening on 8");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), []);
    write(&stderr, "listening on 8080\r\n");
    write(&stdout, "1\n");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), [run(0, 1)]);
    let (again, _stderr) = bench.start(run(0, 2), "web");
    write(&again, "listening on 1\n");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), [run(0, 2)]);
}

fn file_program(name: &str, path: &Path) -> Program {
    let sink = Sink::File(FileSink { path: path.to_owned(), max_size: Some(100), keep: 50 });
    Program { stdout: sink.clone(), stderr: sink, ..program(name) }
}

#[test]
fn programs_with_the_same_path_share_the_file_and_its_rotation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut bench = Bench::new(LogFormat::Json, &[file_program("a", &path), file_program("b", &path)]);
    let (a, a_err) = bench.start(run(0, 1), "a");
    let (b, _b_err) = bench.start(run(1, 1), "b");
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
fn a_file_that_cannot_be_opened_is_a_warning_and_its_directory_may_come_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("later/log");
    let mut bench = Bench::new(LogFormat::Text, &[file_program("web", &path)]);
    let (stdout, _stderr) = bench.start(run(0, 1), "web");
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
fn a_path_that_means_fosters_own_stdout_is_that_without_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("access.log");
    std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
    for path in [link.as_path(), Path::new("/dev/stdout"), Path::new("/proc/self/fd/1")] {
        let mut bench = Bench::new(LogFormat::Json, &[file_program("web", path)]);
        let (stdout, _stderr) = bench.start(run(0, 1), "web");
        write(&stdout, "GET /\n");
        bench.turn_until_idle();
        assert_eq!(bench.read().0, "GET /\n");
    }
}

#[test]
fn a_spawn_that_fails_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(LogFormat::Text, &[file_program("web", &folder.path().join("log"))]);
    let streams = bench.output.attach(run(0, 1), "web").unwrap();
    bench.output.abandon(run(0, 1));
    drop(streams);
    assert!(bench.output.sources.by_key.is_empty() && bench.output.runs.is_empty());
    assert_eq!(bench.output.writers.count(), 2);
    bench.output.ended(run(0, 1));
    bench.output.started(run(0, 1), 1);
}

#[test]
fn at_the_end_unfinished_lines_are_written() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _held) = bench.start(run(0, 1), "web");
    write(&stdout, "no newline");
    bench.output.finish();
    assert!(!bench.output.pending());
    assert_eq!(bench.read().0, "web    | no newline\n");
}

#[test]
fn a_follower_asks_for_the_lines_after_the_last_it_has_seen() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, stderr) = bench.start(run(0, 1), "web");
    write(&stdout, "one\n");
    bench.turn_until_idle();
    let seen = bench.output.last_line();
    write(&stderr, "two\n");
    bench.turn_until_idle();
    let (lines, more) = bench.output.lines_after(&[ProgramId(0)], seen, 1000);
    let texts: Vec<_> = lines.iter().map(|(_, line)| (line.origin.stream, line.text.as_slice())).collect();
    assert_eq!((texts, more), (vec![(Stream::Stderr, b"two".as_slice())], false));
    bench.output.configure(&settings(LogFormat::Text), &by_id(&[program("web"), program("more")]));
    assert_eq!(
        bench.output.lines_after(&[ProgramId(0)], 0, 9999).0.len(),
        2,
        "a changed plan keeps the tail"
    );
}

#[test]
fn lines_of_runs_under_way_look_as_a_changed_plan_says() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1), "web");
    write(&stdout, "one\nhalf of ");
    bench.turn_until_idle();
    let changed = Program { log_prefix: false, ..program("web") };
    bench.output.configure(&settings(LogFormat::Text), &by_id(&[changed, program("a-longer-name")]));
    write(&stdout, "two\n");
    bench.turn_until_idle();
    bench.output.configure(&settings(LogFormat::Json), &by_id(&[program("web")]));
    write(&stdout, "three\n");
    bench.turn_until_idle();
    bench.output.forget_program(ProgramId(0));
    write(&stdout, "four\n");
    bench.turn_until_idle();
    let seen = bench.read().0;
    let lines: Vec<&str> = seen.lines().collect();
    assert_eq!(lines[..2], ["web    | one", "half of two"]);
    assert!(lines[2].contains("\"program\":\"web\"") && lines[2].contains("\"pid\":42"), "{seen}");
    assert!(lines[3].contains("\"msg\":\"four\""), "{seen}");
}

#[test]
fn lines_of_several_programs_come_in_their_order_and_in_pieces() {
    let mut bench = Bench::new(LogFormat::Text, &[program("a"), program("b"), program("c")]);
    let (a, _a) = bench.start(run(0, 1), "a");
    let (b, _b) = bench.start(run(1, 1), "b");
    let (c, _c) = bench.start(run(2, 1), "c");
    for (stream, text) in [(&a, "1\n"), (&b, "2\n"), (&c, "hidden\n"), (&a, "3\n"), (&b, "4\n")] {
        write(stream, text);
        bench.turn_until_idle();
    }
    let wanted = [ProgramId(0), ProgramId(1)];
    let mut seen = 0;
    let mut texts = Vec::new();
    loop {
        let (lines, more) = bench.output.lines_after(&wanted, seen, 1);
        assert_eq!(lines.len(), 1, "a piece is never empty, and no longer than it must be");
        seen = lines[0].1.number;
        texts.extend(lines[0].1.text.clone());
        if !more {
            break;
        }
    }
    assert_eq!(texts, b"1234");
    let before = |count| bench.output.before_the_last(&wanted, count);
    let after = |number| bench.output.lines_after(&wanted, number, usize::MAX).0.len();
    assert_eq!([0, 1, 3, 4, 99].map(before).map(after), [0, 1, 3, 4, 4]);
}
