use super::*;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;

use expect_test::{Expect, expect};

use crate::cli::{self, Command, Invocation};
use crate::control::protocol::{
    Event, Exit, Health, Kind, LogLine, Missed, Note, Outcome, Problem, Refusal, Reply, State, StatusRow,
    Stream, Verdict, Width,
};

/// What a verb printed, and its exit status.
struct Done {
    status: u8,
    out: String,
    err: String,
}

impl Done {
    fn shows(&self, expected: Expect) {
        let err = if self.err.is_empty() { String::new() } else { format!("stderr: {}", self.err) };
        expected.assert_eq(&format!("{}{err}exit status {}\n", self.out, self.status));
    }
}

fn read(line: &str) -> (&'static Verb, ClientCommand) {
    let words = shell_words::split(line).unwrap().into_iter().map(OsString::from);
    let Invocation { verb, command } = cli::parse(words).unwrap();
    let Command::Client(command) = command else { panic!("not a request: {command:?}") };
    (verb, command)
}

fn client_io<'a>(socket: Option<OsString>, out: &'a mut dyn Write, err: &'a mut dyn Write) -> ClientIo<'a> {
    ClientIo {
        socket,
        colour: Colour::No,
        width: None,
        watch_interval: Duration::ZERO,
        before: Vec::new(),
        out,
        err,
    }
}

fn run_verb(line: &str, socket: Option<OsString>, configured: Option<PathBuf>) -> Done {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (verb, command) = read(line);
    let status = run(verb, &command, &mut client_io(socket, &mut out, &mut err), || configured).0;
    Done { status, out: String::from_utf8(out).unwrap(), err: String::from_utf8(err).unwrap() }
}

/// Runs a verb against a supervisor that answers any request with these bytes.
fn answered(line: &str, answer: &[u8]) -> (Request, Done) {
    with_supervisor(answer, |socket| run_verb(line, Some(socket), None))
}

/// Calls `ask` with the socket of such a supervisor.
fn with_supervisor<T>(answer: &[u8], ask: impl FnOnce(OsString) -> T) -> (Request, T) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::scope(|scope| {
        let supervisor = scope.spawn(|| {
            let (stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut stream = BufReader::new(stream);
            stream.read_until(b'\n', &mut request).unwrap();
            stream.get_mut().write_all(answer).unwrap();
            Request::parse(&request).unwrap()
        });
        let done = ask(path.clone().into_os_string());
        (supervisor.join().unwrap(), done)
    })
}

/// Runs a verb against a supervisor that answers with these items and an end.
fn run_with(line: &str, items: &[Reply]) -> Done {
    let mut answer: Vec<u8> = items.iter().flat_map(Reply::encode).collect();
    answer.extend(Reply::End {}.encode());
    answered(line, &answer).1
}

fn row(name: &str, state: State) -> StatusRow {
    StatusRow {
        name: name.into(),
        kind: Kind::Program,
        instance: Some(0),
        instances: 1,
        label: name.into(),
        state,
        pid: None,
        uptime_ms: None,
        restarts: 0,
        ready: false,
        health: None,
        exit: None,
        last_start: None,
        duration_ms: None,
        next_due: None,
        memory_bytes: None,
        cpu_ms: None,
        wanted: true,
        note: None,
        status: None,
        dropped_lines: 0,
        namespec: None,
    }
}

fn up(name: &str) -> StatusRow {
    StatusRow {
        pid: Some(17),
        uptime_ms: Some(725_000),
        ready: true,
        memory_bytes: Some(52 << 20),
        cpu_ms: Some(18_000),
        health: Some(Health::Healthy),
        ..row(name, State::Running)
    }
}

fn outcome(name: &str, verdict: Verdict, message: &str) -> Reply {
    Reply::Outcome(Outcome { name: name.into(), verdict, message: message.into(), exit_status: None })
}

fn piece(name: &str, text: &str, more: bool) -> Reply {
    Reply::Line(LogLine {
        ts: "2026-11-25T12:26:49.307585Z".into(),
        name: name.into(),
        stream: Stream::Stdout,
        text: text.into(),
        more,
        unfinished: false,
    })
}

#[test]
fn each_verb_sends_its_request() {
    let asked = |line: &str| {
        let (request, _) = answered(line, &Reply::End {}.encode());
        String::from_utf8(request.encode().unwrap()).unwrap()
    };
    let all: String = [
        "status 'web*'",
        "start a",
        "stop --no-wait a",
        "restart a",
        "reload a",
        "signal SIGHUP a",
        "logs -f -n 5 a",
        "events -f -n 0 --event exited,ready --state fatal a",
        "exec a -- true",
        "wait --timeout '1s 500ms' a",
        "wait a",
        "health",
        "update",
        "update --no-wait",
        "shutdown",
    ]
    .iter()
    .map(|line| asked(line))
    .collect();
    expect![[r#"
        {"version":1,"verb":"status","names":["web*"]}
        {"version":1,"verb":"start","names":["a"],"wait":true}
        {"version":1,"verb":"stop","names":["a"],"wait":false}
        {"version":1,"verb":"restart","names":["a"],"wait":true}
        {"version":1,"verb":"reload","names":["a"],"wait":true}
        {"version":1,"verb":"signal","names":["a"],"signal":"HUP"}
        {"version":1,"verb":"logs","names":["a"],"lines":5,"follow":true}
        {"version":1,"verb":"events","names":["a"],"events":["exited","ready"],"states":["fatal"],"lines":0,"follow":true}
        {"version":1,"verb":"exec","name":"a"}
        {"version":1,"verb":"wait","names":["a"],"timeout_ms":1500,"startup":false}
        {"version":1,"verb":"wait","names":["a"],"timeout_ms":null,"startup":false}
        {"version":1,"verb":"health","names":[]}
        {"version":1,"verb":"update","mode":"apply","wait":true}
        {"version":1,"verb":"update","mode":"apply","wait":false}
        {"version":1,"verb":"shutdown"}
    "#]]
    .assert_eq(&all);
}

#[test]
fn an_update_prints_each_outcome_or_the_errors_of_the_configuration() {
    let done = [
        outcome("foster", Verdict::Ok, "4 programs unchanged"),
        outcome("web", Verdict::Ok, "restarted (pid 12): command changed"),
    ];
    run_with("update", &done).shows(expect![[r#"
        foster: 4 programs unchanged
        web: restarted (pid 12): command changed
        exit status 0
    "#]]);
    run_with("update --json", &done[1..]).shows(expect![[r#"
        {"updated":true,"outcomes":[{"name":"web","verdict":"ok","message":"restarted (pid 12): command changed"}],"problems":[]}
        exit status 0
    "#]]);
    run_with("update", &[outcome("web", Verdict::Failed, "backoff")]).shows(expect![[r#"
        web: backoff
        exit status 1
    "#]]);
    let refusal = Refusal::new(Reason::Failed, "cannot load the configuration: 1 error; nothing was changed");
    let mut report = Reply::Problem(Problem { text: "foster.toml:1:1: error: x".into() }).encode();
    report.extend(Reply::Error(refusal).encode());
    answered("update", &report).1.shows(expect![[r#"
        stderr: foster.toml:1:1: error: x
        foster: cannot load the configuration: 1 error; nothing was changed
        exit status 1
    "#]]);
    answered("update --json", &report).1.shows(expect![[r#"
        {"updated":false,"outcomes":[],"problems":["foster.toml:1:1: error: x"]}
        stderr: foster: cannot load the configuration: 1 error; nothing was changed
        exit status 1
    "#]]);
}

#[test]
fn status_is_a_table_and_exits_with_0_if_every_wanted_program_runs() {
    let second = StatusRow { instance: Some(1), instances: 2, label: "web.1".into(), ..up("web") };
    let stopped = StatusRow { wanted: false, ..row("spare", State::Stopped) };
    let rows = [up("backend"), second, row("setup", State::Succeeded), row("once", State::Exited), stopped];
    run_with("status", &rows.map(Reply::Row)).shows(expect![[r#"
        NAME     STATE      READY  PID  UPTIME  RESTARTS   CPU  MEMORY  NOTE
        backend  running    yes     17  12m 5s         0  2.4%     52M
        web.1    running    yes     17  12m 5s         0  2.4%     52M
        setup    succeeded  no       -       -         0     -       -
        once     exited     no       -       -         0     -       -
        spare    stopped    no       -       -         0     -       -
        exit status 0
    "#]]);
}

#[test]
fn status_exits_with_3_if_a_wanted_or_named_program_is_not_running() {
    let note = Some("exited with status 3; next start in 3.2s".into());
    let down = StatusRow { note, exit: Some(Exit::Code { code: 3 }), ..row("worker", State::Backoff) };
    run_with("status", &[Reply::Row(up("backend")), Reply::Row(down)]).shows(expect![[r#"
        NAME     STATE    READY  PID  UPTIME  RESTARTS   CPU  MEMORY  NOTE
        backend  running  yes     17  12m 5s         0  2.4%     52M
        worker   backoff  no       -       -         0     -       -  exited with status 3; next start in 3.2s
        exit status 3
    "#]]);
    for state in [State::Waiting, State::Stopped, State::Stopping, State::Fatal, State::Failed] {
        let unwanted = StatusRow { wanted: false, ..row("spare", state) };
        assert_eq!(run_with("status", &[Reply::Row(unwanted.clone())]).status, 0);
        assert_eq!(run_with("status all", &[Reply::Row(unwanted.clone())]).status, 0);
        assert_eq!(run_with("status spare", &[Reply::Row(unwanted)]).status, 3);
        assert_eq!(run_with("status", &[Reply::Row(row("spare", state))]).status, 3);
    }
}

#[test]
fn the_cpu_column_is_that_since_the_start_and_then_since_the_last_table() {
    let used = |cpu_ms, uptime_ms| StatusRow { cpu_ms: Some(cpu_ms), uptime_ms: Some(uptime_ms), ..up("a") };
    let column = |client: &mut ClientIo<'_>, row: StatusRow| {
        let answer = [Ok(Reply::Row(row)), Ok(Reply::End {})];
        let (verb, command) = read("status -w");
        let done = print::print(verb, &command, answer.into_iter(), client);
        assert_eq!(done.map_err(|failure| failure.render()), Ok(ExitStatus::DONE));
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut client = client_io(None, &mut out, &mut err);
    column(&mut client, used(500, 10_000));
    column(&mut client, used(2_500, 12_000));
    // Another process has another time.
    column(&mut client, StatusRow { pid: Some(18), ..used(10, 1_000) });
    // One of its processes has ended.
    column(&mut client, StatusRow { pid: Some(18), ..used(5, 3_000) });
    let text = String::from_utf8(out).unwrap();
    let shown: Vec<&str> = text.split_whitespace().filter(|word| word.ends_with('%')).collect();
    assert_eq!(shown, ["5.0%", "100%", "1.0%", "0.0%"], "{text}");
}

#[test]
fn status_as_json_is_an_array_of_rows() {
    run_with("status --json", &[]).shows(expect![[r#"
        []
        exit status 0
    "#]]);
    run_with("status --json", &[Reply::Row(up("a")), Reply::Row(row("b", State::Fatal))]).shows(expect![[r#"
        [
          {"name":"a","kind":"program","instance":0,"instances":1,"label":"a","state":"running","pid":17,"uptime_ms":725000,"restarts":0,"ready":true,"health":"healthy","exit":null,"last_start":null,"duration_ms":null,"next_due":null,"memory_bytes":54525952,"cpu_ms":18000,"wanted":true,"note":null,"status":null},
          {"name":"b","kind":"program","instance":0,"instances":1,"label":"b","state":"fatal","pid":null,"uptime_ms":null,"restarts":0,"ready":false,"health":null,"exit":null,"last_start":null,"duration_ms":null,"next_due":null,"memory_bytes":null,"cpu_ms":null,"wanted":true,"note":null,"status":null}
        ]
        exit status 3
    "#]]);
}

#[test]
fn an_order_prints_each_outcome_and_fails_if_one_failed() {
    let started = outcome("backend", Verdict::Ok, "started (pid 17, ready after 1.2s)");
    run_with("start backend", std::slice::from_ref(&started)).shows(expect![[r#"
        backend: started (pid 17, ready after 1.2s)
        exit status 0
    "#]]);
    let failed = outcome("worker", Verdict::Failed, "is fatal: 10 starts\x1b[2J in a row failed");
    run_with("start all", &[started, failed]).shows(expect![[r#"
        backend: started (pid 17, ready after 1.2s)
        worker: is fatal: 10 starts�[2J in a row failed
        exit status 1
    "#]]);
}

#[test]
fn an_unknown_name_is_refused_with_the_nearest_one() {
    let message = "there is no program `bakend`";
    let refusal = Refusal::new(Reason::NoSuchName, message).with_suggestion(Some("backend"));
    answered("stop bakend", &Reply::Error(refusal).encode()).1.shows(expect![[r#"
        stderr: foster: there is no program `bakend`; did you mean `backend`?
        exit status 1
    "#]]);
}

#[test]
fn health_prints_only_failures_and_exits_with_0_or_1() {
    let well = outcome("backend", Verdict::Ok, "ready");
    let ill = outcome("nginx", Verdict::Failed, "waiting for backend");
    run_with("health", std::slice::from_ref(&well)).shows(expect![[r#"
        exit status 0
    "#]]);
    run_with("health", &[well.clone(), ill.clone()]).shows(expect![[r#"
        nginx: waiting for backend
        exit status 1
    "#]]);
    run_with("health --json", &[well, ill]).shows(expect![[r#"
        {"healthy":false,"outcomes":[{"name":"backend","verdict":"ok","message":"ready"},{"name":"nginx","verdict":"failed","message":"waiting for backend"}]}
        exit status 1
    "#]]);
    let refusals = [Reason::NotPermitted, Reason::NoSuchName, Reason::OtherVersion, Reason::ShuttingDown];
    for reason in refusals {
        let refused = Reply::Error(Refusal::new(reason, "no")).encode();
        assert_eq!(answered("health", &refused).1.status, 1);
    }
    for garbage in [b"".as_slice(), b"garbage\n", b"{\"reply\":\"outcome\"}\n"] {
        assert_eq!(answered("health", garbage).1.status, 1);
    }
    assert_eq!(run_verb("health --socket /nowhere/s", None, None).status, 1);
    assert_eq!(run_verb("health", Some("/nowhere/s".into()), None).status, 1);
}

/// With `health.action = "none"` an unhealthy program keeps running.
#[test]
fn an_unhealthy_program_is_shown_by_status_health_and_events() {
    let note = Some("GET http://127.0.0.1:8000/: status 503".to_owned());
    let unhealthy =
        StatusRow { state: State::Unhealthy, health: Some(Health::Unhealthy), note, ..up("backend") };
    run_with("status", &[Reply::Row(unhealthy)]).shows(expect![[r#"
        NAME     STATE      READY  PID  UPTIME  RESTARTS   CPU  MEMORY  NOTE
        backend  unhealthy  yes     17  12m 5s         0  2.4%     52M  GET http://127.0.0.1:8000/: status 503
        exit status 0
    "#]]);
    let failed = outcome("backend", Verdict::Failed, "unhealthy (GET http://127.0.0.1:8000/: status 503)");
    run_with("health", &[failed]).shows(expect![[r#"
        backend: unhealthy (GET http://127.0.0.1:8000/: status 503)
        exit status 1
    "#]]);
    let changed = event("unhealthy", "warning", "backend", "backend: unhealthy: status 503");
    run_with("events --state unhealthy", &[changed]).shows(expect![[r#"
        2026-11-25T12:26:49.307Z  backend  unhealthy       unhealthy: status 503
        exit status 0
    "#]]);
}

#[test]
fn wait_as_json_is_one_object() {
    let ready = outcome("backend", Verdict::Ok, "ready after 1.2s");
    run_with("wait --json backend", std::slice::from_ref(&ready)).shows(expect![[r#"
        {"ready":true,"outcomes":[{"name":"backend","verdict":"ok","message":"ready after 1.2s"}]}
        exit status 0
    "#]]);
    run_with("wait backend", &[ready]).shows(expect![[r#"
        backend: ready after 1.2s
        exit status 0
    "#]]);
}

#[test]
fn pieces_of_a_line_are_joined_and_lines_of_several_programs_are_prefixed() {
    let lines = [piece("backend", "one ", true), piece("backend", "line", false), piece("web.0", "", false)];
    run_with("logs", &lines).shows(expect![[r#"
        backend | one line
        web.0   | 
        exit status 0
    "#]]);
    run_with("logs --json backend", &lines).shows(expect![[r#"
        {"ts":"2026-11-25T12:26:49.307585Z","name":"backend","stream":"stdout","text":"one line"}
        {"ts":"2026-11-25T12:26:49.307585Z","name":"web.0","stream":"stdout","text":""}
        exit status 0
    "#]]);
    run_with("logs backend", &lines[..2]).shows(expect![[r#"
        one line
        exit status 0
    "#]]);
}

#[test]
fn lines_have_times_with_the_flag_and_a_mark_while_unfinished() {
    let Reply::Line(prompt) = piece("backend", "password: ", false) else { panic!("not a line") };
    let lines = [piece("backend", "one", false), Reply::Line(LogLine { unfinished: true, ..prompt })];
    run_with("logs -t backend", &lines).shows(expect![[r#"
        2026-11-25T12:26:49.307Z  one
        2026-11-25T12:26:49.307Z  password:  [line not ended]
        exit status 0
    "#]]);
    let note = Reply::Note(Note { text: "web: its stdout is not kept: it is set to `inherit`".into() });
    run_with("logs web", &[note]).shows(expect![[r#"
        stderr: foster: web: its stdout is not kept: it is set to `inherit`
        exit status 0
    "#]]);
}

#[test]
fn following_succeeds_at_an_orderly_shutdown_and_fails_at_any_other_end() {
    let line = piece("backend", "goodbye", false).encode();
    run_with("logs -f backend", &[piece("backend", "goodbye", false)]).shows(expect![[r#"
        goodbye
        exit status 0
    "#]]);
    for verb in ["logs backend", "logs -f backend", "events -f"] {
        assert_eq!(answered(verb, &line).1.status, 4, "{verb}");
    }
    assert_eq!(answered("shutdown", b"").1.status, 0);
    assert_eq!(answered("stop a", b"").1.status, 4);
}

#[test]
fn without_a_supervisor_the_status_is_4_and_the_message_names_the_path() {
    run_verb("status --socket /nowhere/s", Some("/elsewhere".into()), None).shows(expect![[r#"
        stderr: foster: no supervisor answers: there is no socket at `/nowhere/s` (is `foster run` up? `--socket PATH` names another)
        exit status 4
    "#]]);
    run_verb("status", Some("/nowhere/s".into()), None).shows(expect![[r#"
        stderr: foster: no supervisor answers: there is no socket at `/nowhere/s` (is `foster run` up? `--socket PATH` names another); `$FOSTER_SOCKET` names this path
        exit status 4
    "#]]);
    let refused = Reply::Error(Refusal::new(Reason::NotPermitted, "not permitted")).encode();
    assert_eq!(answered("status", &refused).1.status, 4);
}

/// What takes nothing.
struct Closed(io::ErrorKind);

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_closed_pipe_ends_a_verb_silently_and_a_full_disk_is_reported() {
    for (kind, expected) in [
        (io::ErrorKind::BrokenPipe, ""),
        (io::ErrorKind::StorageFull, "foster: cannot write to standard output: no storage space\n"),
    ] {
        let answer = [Ok(piece("a", "x", false))].into_iter();
        let (mut out, mut err) = (Closed(kind), Vec::new());
        let mut client = client_io(None, &mut out, &mut err);
        let (verb, command) = read("logs");
        let Err(failure) = print::print(verb, &command, answer, &mut client) else {
            panic!("it was written")
        };
        assert_eq!(failure.status(), ExitStatus::FAILED);
        let words =
            if failure.is_broken_pipe() { String::new() } else { format!("foster: {}\n", failure.render()) };
        assert_eq!(words, expected);
        assert_eq!(print_help(None, &mut client), ExitStatus::FAILED);
        assert_eq!(print_version(Output::Json, &mut client), ExitStatus::FAILED);
    }
}

/// What a shell is answered for this line.
fn completed(line: &[&str], socket: Option<OsString>) -> String {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut client = client_io(socket, &mut out, &mut err);
    let words: Vec<String> = line.iter().map(|&word| word.to_owned()).collect();
    let status = print_completions(Shell::Fish, &words, &mut client, |_| None);
    assert_eq!((status, err.as_slice()), (ExitStatus::DONE, b"".as_slice()));
    String::from_utf8(out).unwrap()
}

#[test]
fn names_are_completed_with_their_instances() {
    let several = |instance| {
        let label = format!("web.{instance}");
        Reply::Row(StatusRow { instance: Some(instance), instances: 2, label, ..up("web") })
    };
    let rows = [Reply::Row(row("db", State::Fatal)), several(0), several(1), Reply::End {}];
    let answer: Vec<u8> = rows.iter().flat_map(Reply::encode).collect();
    let (request, page) = with_supervisor(&answer, |socket| completed(&["stop", ""], Some(socket)));
    assert!(matches!(request, Request::Status(_)));
    expect![[r#"
        db	fatal
        web	all instances
        web.0	running
        web.1	running
        all	every program
    "#]]
    .assert_eq(&page);
}

#[test]
fn completion_prints_nothing_without_a_supervisor() {
    assert_eq!(completed(&["stop", ""], Some("/nowhere".into())), "");
    let (_, page) = with_supervisor(b"{\"garbage\n", |socket| completed(&["stop", ""], Some(socket)));
    assert_eq!(page, "");
    assert_eq!(completed(&["run", "-c", ""], None), ":files\n");
    assert_eq!(completed(&[], None), Shell::Fish.script());
}

#[test]
fn help_version_and_usage_are_printed() {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut client = client_io(None, &mut out, &mut err);
    assert_eq!(print_help(Verb::by_name("status"), &mut client), ExitStatus::DONE);
    assert_eq!(print_version(Output::Text, &mut client), ExitStatus::DONE);
    let error = cli::parse(["stauts".into()]).unwrap_err();
    assert_eq!(print_usage_error(&error, &mut client), ExitStatus::USAGE);
    let out = String::from_utf8(out).unwrap();
    assert!(out.starts_with("foster status: ") && out.ends_with(&help::version()), "{out}");
    let err = String::from_utf8(err).unwrap();
    assert_eq!(err, "foster: unknown verb `stauts`; did you mean `status`? (see `foster help`)\n");
}

fn event(event: &str, level: &str, program: &str, msg: &str) -> Reply {
    let texts = [
        ("ts", "2026-11-25T12:26:49.307585Z"),
        ("level", level),
        ("program", program),
        ("event", event),
        ("msg", msg),
    ];
    let texts = texts.map(|(name, text)| (name.to_owned(), text.into()));
    let numbers = [("exit_code".to_owned(), 3.into()), ("instance".to_owned(), 1.into())];
    Reply::Event(Event(texts.into_iter().chain(numbers).collect()))
}

#[test]
fn events_are_in_columns_or_objects() {
    let events = [
        Reply::Width(Width { width: 9 }),
        event("ready", "info", "backend", "backend.1: ready after 85ms (pid 17)"),
        event("start_failed", "error", "web", "cannot start web: no\x1b[2J such file"),
        event("shutdown", "info", "foster", "shutting down: got SIGTERM"),
    ];
    run_with("events", &events).shows(expect![[r#"
        2026-11-25T12:26:49.307Z  backend.1  ready           ready after 85ms (pid 17)
        2026-11-25T12:26:49.307Z  web        start_failed    cannot start web: no�[2J such file
        2026-11-25T12:26:49.307Z  foster     shutdown        shutting down: got SIGTERM
        exit status 0
    "#]]);
    run_with("events --json", &events[..2]).shows(expect![[r#"
        {"ts":"2026-11-25T12:26:49.307585Z","level":"info","program":"backend","event":"ready","exit_code":3,"instance":1,"msg":"backend.1: ready after 85ms (pid 17)"}
        exit status 0
    "#]]);
}

#[test]
fn a_gap_is_reported_in_order_and_is_not_a_failure() {
    let of_events = Reply::Missed(Missed { name: None, count: Some(12) });
    run_with("events -f", std::slice::from_ref(&of_events)).shows(expect![[r#"
        stderr: foster: 12 events are missing here: the client read too slowly
        exit status 0
    "#]]);
    run_with("events -f --json", &[of_events]).shows(expect![[r#"
        {"count":12,"event":"missed","name":null}
        exit status 0
    "#]]);
    let of_lines = Reply::Missed(Missed { name: Some("web".into()), count: None });
    run_with("logs -f", std::slice::from_ref(&of_lines)).shows(expect![[r#"
        stderr: foster: lines of web are missing here: the client read too slowly
        exit status 0
    "#]]);
    run_with("logs -f --json", &[of_lines]).shows(expect![[r#"
        {"count":null,"event":"missed","name":"web"}
        exit status 0
    "#]]);
}

#[test]
fn exec_runs_nothing_if_the_answer_of_the_supervisor_is_incomplete() {
    let done = answered("exec web -- true", &Reply::End {}.encode()).1;
    assert_eq!(done.status, 1);
    assert!(done.err.contains("another version"), "{}", done.err);
}
