use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use foster_core::plan::{CorePlan, PlanSettings, StartOrder, WhenAllEnded};
use foster_core::time::Instant;
use nix::fcntl::OFlag;
use nix::unistd;

use ::log::Level;

use super::*;
use crate::plan::{FileSink, InstanceCount, LinePattern, Probe, Program, Settings, Sink};

const TURNS: usize = 20_000;

/// An output with pipes for foster's stdout and stderr.
struct Bench {
    epoll: Rc<Epoll>,
    programs: Vec<Program>,
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
        log_max_size: None,
        log_keep: 0,
        termination_log: "/dev/null".into(),
        on_fault: crate::plan::OnFault::Shutdown,
    }
}

fn program(name: &str) -> Program {
    Program {
        name: name.to_owned(),
        namespec: None,
        captures: [false; 2],
        instances: InstanceCount::fixed(1),
        launch: crate::plan::Launch::default(),
        sockets: Vec::new(),
        stdout: Sink::Log,
        stderr: Sink::Log,
        log_prefix: true,
        health: None,
        ready: None,
        pre_start: None,
        pre_stop: None,
        schedule: None,
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
    let output = Output::new(Rc::clone(&epoll), Owner(7), &plan(format, programs), around);
    (epoll, output)
}

fn plan(format: LogFormat, programs: &[Program]) -> Plan {
    let core = PlanSettings {
        shutdown_timeout: Duration::from_secs(9),
        when_all_ended: WhenAllEnded::Exit,
        start: StartOrder::Ready,
        signals: Vec::new(),
    };
    let mut plan = Plan {
        source: "foster.toml".into(),
        settings: settings(format),
        core: Rc::new(CorePlan::new([], core).unwrap()),
        programs: ProgramMap::new(),
        instances: SortedMap::new(),
        templates: ProgramMap::new(),
        web: crate::plan::Web::default(),
        warnings: Vec::new(),
    };
    for (id, program) in (0..).map(ProgramId).zip(programs) {
        plan.add(id, program.clone(), Vec::new(), None);
    }
    plan
}

/// The time of a turn, in which each takes 20 ms.
fn at(turn: usize) -> Instant {
    Instant::after_start(Duration::from_millis(20 * turn as u64))
}

/// Runs turns of the loop until this holds; every turn waits for a report.
fn turn_until(epoll: &Epoll, output: &mut Output, mut done: impl FnMut(&mut Output) -> bool) {
    let mut ready = Vec::new();
    for turn in 0..TURNS {
        output.flush(at(turn));
        if done(output) {
            return;
        }
        epoll.wait(Some(Duration::from_millis(20)), &mut ready).unwrap();
        ready.iter().for_each(|ready| output.on_ready(*ready));
    }
    panic!("the condition never held");
}

fn set_nonblocking(fd: &OwnedFd) {
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

/// Reads everything that is available.
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
        Bench { epoll, programs: programs.to_vec(), output, out, err }
    }

    fn start(&mut self, run: Run) -> (OwnedFd, OwnedFd) {
        let program = &self.programs[run.instance.program.0 as usize];
        let streams = self.output.attach(run, program).unwrap();
        self.output.started(run, 42);
        match (streams.stdout, streams.stderr) {
            (ChildStream::Pipe(stdout), ChildStream::Pipe(stderr)) => (stdout, stderr),
            other => panic!("not captured: {other:?}"),
        }
    }

    /// Runs one turn of the loop without waiting; returns the number of reports.
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
fn lines_follow_their_programs_name_and_are_never_mixed() {
    let mut bench = Bench::new(LogFormat::Text, &[program("backend"), program("db")]);
    let (backend, backend_err) = bench.start(run(0, 1));
    let (db, _db_err) = bench.start(run(1, 1));
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
fn stdout_and_stderr_of_one_file_share_a_writer() {
    let (out, both) = pipe();
    set_nonblocking(&out);
    let copy = both.try_clone().unwrap();
    let (epoll, mut output) = output_to(Some(both), Some(copy), LogFormat::Text, &[program("web")]);
    assert_eq!(output.writers.count(), 1);
    let streams = output.attach(run(0, 1), &program("web")).unwrap();
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
fn json_lines_have_the_pid() {
    let mut bench = Bench::new(LogFormat::Json, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1));
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
fn the_last_output_comes_before_the_line_about_the_exit_even_across_streams() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _descendant) = bench.start(run(0, 1));
    // A line that stays in foster's queue, because stdout is not read.
    let line = format!("{}\n", "x".repeat(999));
    while bench.output.writers.get(STDOUT).unwrap().unwritten() == 0 {
        write(&stdout, &line);
        bench.turn();
    }
    write(&stdout, "last output");
    bench.output.ended(run(0, 1));
    bench.say("web ended");
    bench.output.flush(Instant::START);
    assert_eq!(bench.read_err(), "", "logged before its last output was written");
    let mut out = String::new();
    turn_until(&bench.epoll, &mut bench.output, |output| {
        out += &String::from_utf8(drain(&bench.out)).unwrap();
        !output.pending()
    });
    out += &bench.read().0;
    assert!(out.ends_with("web    | last output\n"));
}

#[test]
fn a_descendant_that_continues_to_write_delays_nothing_and_keeps_its_label() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1));
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
        output.sources.by_key.is_empty() && output.attached.runs.is_empty()
    });
}

#[test]
fn readiness_is_the_first_line_that_matches_on_either_stream() {
    let mut web = program("web");
    web.ready = Some(Probe::Log(LinePattern::new("^listening on [0-9]+$").unwrap()));
    let mut bench = Bench::new(LogFormat::Text, &[web]);
    let (stdout, stderr) = bench.start(run(0, 1));
    write(&stdout, "not listening on 80\nlistening on 8");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), []);
    write(&stderr, "listening on 8080\r\n");
    write(&stdout, "1\n");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), [run(0, 1)]);
    let (again, _stderr) = bench.start(run(0, 2));
    write(&again, "listening on 1\n");
    bench.turn_until_idle();
    assert_eq!(bench.output.take_matches(), [run(0, 2)]);
}

#[test]
fn unfinished_lines_are_written_at_the_end() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _held) = bench.start(run(0, 1));
    write(&stdout, "no newline");
    bench.output.finish();
    assert!(!bench.output.pending());
    assert_eq!(bench.read().0, "web    | no newline\n");
}

#[test]
fn a_changed_format_applies_to_current_runs() {
    let mut bench = Bench::new(LogFormat::Text, &[program("web")]);
    let (stdout, _stderr) = bench.start(run(0, 1));
    write(&stdout, "one\nhalf of ");
    bench.turn_until_idle();
    let changed = Program { log_prefix: false, ..program("web") };
    bench.output.configure(&plan(LogFormat::Text, &[changed, program("a-longer-name")]));
    write(&stdout, "two\n");
    bench.turn_until_idle();
    bench.output.configure(&plan(LogFormat::Json, &[program("web")]));
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

mod files;
mod formats;
mod readers;
mod tail;
