//! Output with a slow, stopped or absent reader: the programs wait, and foster does not.
//!
//! `tests/blocked_output.rs` tests the same with real terminals, sockets and users.

use super::*;
use crate::sys::epoll::Interest;

#[test]
fn a_reader_that_stops_stops_the_writer_and_nothing_is_lost() {
    let mut file = program("file");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    file.stdout = Sink::File(FileSink { path: path.clone(), max_size: None, keep: 0 });
    let mut bench = Bench::new(LogFormat::Text, &[program("web"), file]);
    let (web, _e1) = bench.start(run(0, 1));
    let (to_file, _e2) = bench.start(run(1, 1));
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
            // The pipe is full: either foster reads it now, or it does not read it any longer.
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
fn own_lines_for_a_blocked_reader_are_bounded_and_the_loss_is_reported() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let long = "x".repeat(10_000);
    for _ in 0..200 {
        bench.say(&long);
        bench.output.flush(Instant::START);
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
fn repeated_exits_with_a_blocked_reader_hold_a_bounded_number_of_descriptors() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    for number in 1..200 {
        let (stdout, stderr) = bench.start(run(0, number));
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
fn a_closed_reader_is_reported_on_the_other_stream_and_programs_continue() {
    let Bench { epoll, programs: _, mut output, out, err } = Bench::new(LogFormat::Text, &[program("web")]);
    drop(out);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), &program("web")).unwrap().stdout else {
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
    output.say(Level::Info, "no reader is left");
    turn_until(&epoll, &mut output, |output| !output.pending());
}

#[test]
fn closed_standard_streams_cause_no_error() {
    let (epoll, mut output) = output_to(None, None, LogFormat::Text, &[program("web")]);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), &program("web")).unwrap().stdout else {
        panic!("not captured")
    };
    write(&stdout, "line\n");
    output.say(Level::Info, "line");
    turn_until(&epoll, &mut output, |output| !output.pending());
    assert_eq!(output.lines_after(&[ProgramId(0)], 0, 9999).0[0].1.text, b"line");
    let mut inherit = program("web");
    inherit.stdout = Sink::Inherit;
    output.configure(&plan(LogFormat::Text, std::slice::from_ref(&inherit)));
    assert!(matches!(output.attach(run(0, 2), &inherit).unwrap().stdout, ChildStream::Null));
}

#[test]
fn a_full_disk_under_stdout_counts_its_lines_and_is_reported_on_stderr() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let (err, stderr) = pipe();
    set_nonblocking(&err);
    let (epoll, mut output) = output_to(Some(full.into()), Some(stderr), LogFormat::Text, &[program("web")]);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), &program("web")).unwrap().stdout else {
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
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), &program("web")).unwrap().stdout else {
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
fn a_source_that_cannot_be_watched_again_is_tried_again_at_a_deadline() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1));
    set_nonblocking(&stdout);
    while !bench.output.sources.paused.contains(&key_of(&bench)) {
        let _ = unistd::write(&stdout, &[b'\n'; 4096]);
        bench.turn();
    }
    // epoll(7) refuses a descriptor that it has; a full table of the kernel's refuses it like that.
    let refusing = Token { owner: Owner(8), key: 0 };
    bench
        .epoll
        .add(&bench.output.sources.by_key.get(&key_of(&bench)).unwrap().fd, refusing, Interest::None)
        .unwrap();
    bench.output.flush(Instant::START);
    assert_eq!(bench.output.deadline(), None, "its writer has no room");
    let mut turns = 0..TURNS;
    while bench.output.writers.any_unwritten() {
        drain(&bench.out);
        bench.turn();
        assert!(turns.next().is_some());
    }
    bench.output.flush(at(1));
    let retry = bench.output.deadline().unwrap();
    assert!(retry > at(1) && bench.turn() == 0);
    // It keeps failing: one try a second.
    bench.output.flush(retry);
    assert_eq!(bench.output.deadline(), Some(retry.plus(retry.since(at(1)))));
    bench.epoll.remove(&bench.output.sources.by_key.get(&key_of(&bench)).unwrap().fd).unwrap();
    bench.output.flush(retry.plus(Duration::from_secs(5)));
    assert_eq!(bench.output.deadline(), None);
    assert_eq!(bench.turn(), 1, "it is read again");
}

/// The key of the only program's stdout.
fn key_of(bench: &Bench) -> u32 {
    bench.output.attached.runs.get(&run(0, 1)).unwrap().streams[0].0
}

#[test]
fn a_stream_that_is_closed_with_unwritten_bytes_causes_no_wakeups() {
    let (reader, stdout) = UnixStream::pair().unwrap();
    // Like a program that has inherited it.
    let kept = stdout.try_clone().unwrap();
    let (epoll, mut output) = output_to(Some(stdout.into()), None, LogFormat::Text, &[program("web")]);
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), &program("web")).unwrap().stdout else {
        panic!("not captured")
    };
    let mut ready = Vec::new();
    while output.writers.get(STDOUT).unwrap().unwritten() == 0 {
        write(&stdout, &"y\n".repeat(25_000));
        epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        ready.iter().for_each(|ready| output.on_ready(*ready));
    }
    drop(reader);
    turn_until(&epoll, &mut output, |output| !output.pending());
    epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
    assert_eq!(ready, []);
    drop(kept);
}

#[test]
fn a_temporary_write_error_is_reported_and_the_write_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    let mode = nix::sys::stat::Mode::S_IRWXU;
    unistd::mkfifo(&path, mode).unwrap();
    let open = |flags| nix::fcntl::open(&path, flags | OFlag::O_NONBLOCK, mode).unwrap();
    let reader = open(OFlag::O_RDONLY);
    // Opened for writing only, like a FIFO that foster may not read.
    let target = crate::sys::target::Target::owned(open(OFlag::O_WRONLY));
    drop(reader);
    let (err, stderr) = pipe();
    set_nonblocking(&err);
    let (epoll, mut output) = output_to(None, Some(stderr), LogFormat::Text, &[program("web")]);
    output.writers.insert(STDOUT, writer::Writer::new(target));
    let ChildStream::Pipe(stdout) = output.attach(run(0, 1), &program("web")).unwrap().stdout else {
        panic!("not captured")
    };
    write(&stdout, "kept\n");
    let mut log = String::new();
    let mut has_logged = |words: &str| {
        log += &String::from_utf8(drain(&err)).unwrap();
        log.contains(words)
    };
    turn_until(&epoll, &mut output, |_| has_logged("Broken pipe; trying again each second"));
    let reader = open(OFlag::O_RDONLY);
    turn_until(&epoll, &mut output, |_| has_logged("stdout can be written again"));
    assert_eq!(drain(&reader), b"web    | kept\n");
}

#[test]
fn daemons_left_by_earlier_runs_hold_a_bounded_number_of_pipes() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let mut held = Vec::new();
    for number in 1..100 {
        held.push(bench.start(run(0, number)));
        bench.output.ended(run(0, number));
        bench.turn();
    }
    assert!(bench.output.sources.by_key.len() <= 40, "{}", bench.output.sources.by_key.len());
    bench.turn_until_idle();
    let words = "web: output of processes that an earlier run left behind is no longer read";
    assert!(bench.read_err().contains(words));
}
