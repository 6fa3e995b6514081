use super::*;

use expect_test::{Expect, expect};
use foster_core::action::StateName;
use foster_core::ids::{Exit as CoreExit, KilledBy};
use proptest::prelude::*;

fn refused(line: &[u8], expected: Expect) {
    let refusal = Request::parse(line).unwrap_err();
    expected.assert_eq(&format!("{:?}: {refusal}", refusal.error));
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn log_line(text: &str, more: bool) -> LogLine {
    let (ts, name) = ("2026-11-25T12:26:49.307585Z".into(), "backend".into());
    LogLine { ts, name, stream: Stream::Stderr, text: text.into(), more, unfinished: !more }
}

fn every_request() -> Vec<Request> {
    let order = Order { names: names(&["web*", "backend.0"]), wait: false };
    vec![
        Request::Status(Names { names: names(&[]) }),
        Request::Start(order.clone()),
        Request::Stop(order.clone()),
        Request::Restart(order.clone()),
        Request::Reload(order),
        Request::Signal(SignalOrder { names: names(&["all"]), signal: Signal::RTMIN_PLUS_3 }),
        Request::Logs(Logs { names: names(&["é\n\"\0"]), lines: Some(20), since_ms: Some(5), follow: true }),
        Request::Events(Events {
            names: names(&["a"]),
            events: EventName::ALL.to_vec(),
            states: StateName::ALL.to_vec(),
            lines: Some(3),
            follow: true,
        }),
        Request::Exec(Exec { name: "backend.1".into() }),
        Request::Wait(Wait { names: names(&["a"]), timeout_ms: Some(1_500), startup: true }),
        Request::Health(HealthCheck { names: names(&["a"]), all: true }),
        Request::Update(Update { wait: false, ..Update::everything() }),
        Request::Clear(Names { names: names(&["a"]) }),
        Request::Input(Input { name: "a".into(), text: "é\n\0".into() }),
        Request::Scale(Scale { name: "backend".into(), instances: 3, wait: false }),
        Request::RunJob(RunJob { name: "backup".into(), wait: false, follow: true }),
        Request::Shutdown {},
    ]
}

#[test]
fn an_update_is_of_everything_and_applied_unless_the_request_says_otherwise() {
    let read = |line: &str| Request::parse(line.as_bytes()).map_err(|refusal| refusal.message);
    assert_eq!(read(r#"{"verb":"update"}"#), Ok(Request::Update(Update::everything())));
    let names = names(&["a"]);
    for (word, mode) in [("dry-run", UpdateMode::DryRun), ("remove", UpdateMode::Remove)] {
        let line = format!(r#"{{"verb":"update","names":["a"],"mode":"{word}"}}"#);
        assert_eq!(read(&line), Ok(Request::Update(Update { names: names.clone(), mode, wait: true })));
    }
    assert!(read(r#"{"verb":"update","mode":"undo"}"#).unwrap_err().contains("unknown variant `undo`"));
}

#[test]
fn every_request_is_decoded_as_encoded_and_every_verb_is_known() {
    let mut verbs = Vec::new();
    for request in every_request() {
        let line = request.encode().unwrap();
        assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert_eq!(Request::parse(&line).unwrap(), request);
        let fields: Map<String, Value> = serde_json::from_slice(&line).unwrap();
        verbs.push(fields["verb"].as_str().unwrap().to_owned());
    }
    assert_eq!(verbs, Request::VERBS);
}

#[test]
fn optional_fields_of_a_request_have_defaults() {
    let status = Request::Status(Names { names: names(&[]) });
    assert_eq!(Request::parse(b"{\"verb\":\"status\"}").unwrap(), status);
    let stop = Request::Stop(Order { names: names(&["a"]), wait: true });
    assert_eq!(Request::parse(b" {\"names\":[\"a\"],\"verb\":\"stop\"}\r\n").unwrap(), stop);
}

#[test]
fn an_invalid_request_is_refused_with_the_reason() {
    refused(
        b"",
        expect!["BadRequest: cannot read the request: EOF while parsing a value at line 1 column 0"],
    );
    refused(b"status", expect!["BadRequest: cannot read the request: expected value at line 1 column 1"]);
    refused(
        b"[]",
        expect![
            "BadRequest: cannot read the request: invalid type: sequence, expected a JSON object at line 1 column 0"
        ],
    );
    refused(b"{}", expect!["BadRequest: the request has no `verb`"]);
    refused(b"{\"verb\":7}", expect!["BadRequest: the request has no `verb`"]);
    refused(
        b"{\"verb\":\"status\"} x",
        expect!["BadRequest: cannot read the request: trailing characters at line 1 column 19"],
    );
    refused(
        b"{\"verb\":\"stauts\"}",
        expect!["UnknownVerb: there is no verb `stauts`; did you mean `status`?"],
    );
    refused(
        b"{\"verb\":\"status\",\"nmaes\":[]}",
        expect!["BadRequest: cannot read the request `status`: unknown field `nmaes`, expected `names`"],
    );
    refused(
        b"{\"verb\":\"shutdown\",\"now\":true}",
        expect!["BadRequest: cannot read the request `shutdown`: unknown field `now`, there are no fields"],
    );
    refused(
        b"{\"verb\":\"start\"}",
        expect!["BadRequest: cannot read the request `start`: missing field `names`"],
    );
    refused(
        b"{\"verb\":\"start\",\"names\":[]}",
        expect!["BadRequest: cannot read the request `start`: no name is given; `all` means every program"],
    );
    refused(
        b"{\"verb\":\"start\",\"names\":[1]}",
        expect!["BadRequest: cannot read the request `start`: invalid type: integer `1`, expected a string"],
    );
    refused(
        b"{\"verb\":\"logs\",\"lines\":-1}",
        expect!["BadRequest: cannot read the request `logs`: invalid value: integer `-1`, expected u32"],
    );
    refused(
        b"{\"verb\":\"events\",\"events\":[\"exitd\"]}",
        expect!["BadRequest: cannot read the request `events`: there is no event `exitd`"],
    );
    refused(
        b"{\"verb\":\"events\",\"states\":[\"\\u0000\"]}",
        expect![[r#"BadRequest: cannot read the request `events`: there is no state `\0`"#]],
    );
    refused(
        b"{\"verb\":\"exec\",\"name\":[\"a\"]}",
        expect!["BadRequest: cannot read the request `exec`: invalid type: sequence, expected a string"],
    );
    refused(
        b"{\"verb\":\"signal\",\"names\":[\"a\"],\"signal\":\"TREM\"}",
        expect!["BadRequest: cannot read the request `signal`: there is no signal `TREM`"],
    );
}

#[test]
fn a_field_that_is_given_twice_is_refused() {
    for line in [
        br#"{"verb":"status","verb":"shutdown"}"#.as_slice(),
        br#"{"version":1,"version":1,"verb":"status"}"#,
        br#"{"verb":"stop","names":["a"],"names":["all"]}"#,
        br#"{"verb":"stop","names":["a"],"wait":true,"wait":true}"#,
    ] {
        let refusal = Request::parse(line).unwrap_err();
        assert_eq!(refusal.error, Reason::BadRequest);
        assert!(refusal.message.contains("is given twice"), "{}", refusal.message);
    }
}

#[test]
fn another_version_is_refused_before_any_other_error() {
    let line = b"{\"version\":2,\"verb\":\"teleport\"}";
    let refusal = Request::parse(line).unwrap_err();
    assert_eq!(refusal.error, Reason::OtherVersion);
    assert!(refusal.message.contains("version 2") && refusal.message.contains("version 1"), "{refusal}");
    for version in ["\"1\"", "null", "-1", "1.5", "[1]"] {
        let line = format!("{{\"version\":{version},\"verb\":\"status\"}}");
        assert_eq!(Request::parse(line.as_bytes()).unwrap_err().error, Reason::OtherVersion, "{version}");
    }
}

#[test]
fn a_refusal_never_repeats_a_long_request() {
    let long = "x".repeat(60_000);
    for line in [
        format!("{{\"verb\":\"{long}\"}}"),
        format!("{{\"verb\":\"status\",\"{long}\":1}}"),
        format!("{{\"verb\":\"status\",\"version\":\"{long}\"}}"),
        format!("{{\"verb\":\"signal\",\"names\":[\"a\"],\"signal\":\"{long}\"}}"),
        "[".repeat(60_000),
        "{\"a\":".repeat(10_000),
    ] {
        let refusal = Request::parse(line.as_bytes()).unwrap_err();
        assert!(refusal.to_string().len() < 1_000, "{refusal}");
    }
}

#[test]
fn a_request_longer_than_a_line_cannot_be_encoded() {
    let long = Request::Status(Names { names: vec!["x".repeat(LONGEST_LINE)] });
    assert_eq!(long.encode(), None);
}

fn row() -> StatusRow {
    StatusRow {
        name: "backend".into(),
        kind: Kind::Program,
        instance: Some(1),
        instances: 2,
        label: "backend.1".into(),
        state: State::Running,
        pid: Some(17),
        uptime_ms: Some(1_200),
        restarts: 3,
        ready: true,
        health: Some(Health::Healthy),
        exit: Some(Exit::Signal { signal: "KILL".into(), oom: true }),
        last_start: Some("2026-11-25T12:26:49.307000Z".into()),
        duration_ms: Some(1_500),
        next_due: None,
        memory_bytes: Some(4_096),
        cpu_ms: Some(70),
        wanted: true,
        note: None,
        status: Some("Half way".into()),
        dropped_lines: 0,
        namespec: None,
    }
}

fn event() -> Event {
    let fields = [
        ("ts", Value::from("2026-11-25T12:26:49.307585Z")),
        ("level", Value::from("error")),
        ("program", Value::from("web")),
        ("event", Value::from("exited")),
        ("exit_code", Value::from(3)),
        ("oom", Value::from(true)),
        ("msg", Value::from("web: exited")),
    ];
    Event(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[test]
fn an_event_has_the_members_of_the_log_line() {
    let members =
        br#""level":"error","program":"web","event":"exited","exit_code":3,"oom":true,"msg":"web: exited""#;
    let line = Event::line("2026-11-25T12:26:49.307585Z", members);
    assert_eq!(Reply::parse(&line).unwrap(), Reply::Event(event()));
    let object = event().object();
    let members = String::from_utf8_lossy(members);
    assert_eq!(object, format!("{{\"ts\":\"2026-11-25T12:26:49.307585Z\",{members}}}"));
}

#[test]
fn every_reply_is_decoded_as_encoded() {
    let code = StatusRow { exit: Some(Exit::Code { code: 1 }), note: Some("n".into()), ..row() };
    let replies = [
        Reply::Row(row()),
        Reply::Row(code),
        Reply::Outcome(Outcome {
            name: "a".into(),
            verdict: Verdict::Failed,
            message: "\n".into(),
            exit_status: None,
        }),
        Reply::Line(log_line("t", true)),
        Reply::Width(Width { width: 12 }),
        Reply::Event(event()),
        Reply::Missed(Missed { name: None, count: Some(7) }),
        Reply::Problem(Problem { text: "foster.toml:1:1: error: `x`\n".into() }),
        Reply::Missed(Missed { name: Some("a".into()), count: None }),
        Reply::Context(Piece { text: "é\n".into() }),
        Reply::End {},
        Reply::Error(Refusal::new(Reason::NoSuchName, "m").with_suggestion(Some("s"))),
    ];
    for reply in replies {
        assert_eq!(Reply::parse(&reply.encode()).unwrap(), reply);
    }
}

#[test]
fn a_row_has_the_fields_that_users_rely_on() {
    let line = String::from_utf8(Reply::Row(row()).encode()).unwrap();
    expect![[r#"
        {"reply":"row","name":"backend","kind":"program","instance":1,"instances":2,"label":"backend.1","state":"running","pid":17,"uptime_ms":1200,"restarts":3,"ready":true,"health":"healthy","exit":{"signal":"KILL","oom":true},"last_start":"2026-11-25T12:26:49.307000Z","duration_ms":1500,"next_due":null,"memory_bytes":4096,"cpu_ms":70,"wanted":true,"note":null,"status":"Half way"}
    "#]]
    .assert_eq(&line);
}

#[test]
fn an_exit_is_a_code_or_a_signal() {
    let killed = |signal, by| serde_json::to_string(&Exit::from(CoreExit::Killed { signal, by })).unwrap();
    assert_eq!(serde_json::to_string(&Exit::from(CoreExit::Code(3))).unwrap(), "{\"code\":3}");
    assert_eq!(killed(Signal::KILL, KilledBy::OutOfMemory), "{\"signal\":\"KILL\",\"oom\":true}");
    assert_eq!(killed(Signal::TERM, KilledBy::Unknown), "{\"signal\":\"TERM\",\"oom\":false}");
    assert_eq!(killed(Signal::new(32).unwrap(), KilledBy::Unknown), "{\"signal\":\"32\",\"oom\":false}");
}

#[test]
fn a_state_has_the_name_from_the_core() {
    for state in StateName::ALL {
        let word = serde_json::to_string(&State::from(state)).unwrap();
        assert_eq!(word, format!("\"{}\"", state.name()));
    }
}

#[test]
fn a_reply_that_does_not_fit_a_line_becomes_an_error() {
    let message = "x".repeat(LONGEST_LINE);
    let reply =
        Reply::Outcome(Outcome { name: "a".into(), verdict: Verdict::Ok, message, exit_status: None });
    let Reply::Error(refusal) = Reply::parse(&reply.encode()).unwrap() else { panic!("not an error") };
    assert_eq!(refusal, Refusal::new(Reason::Failed, "the reply does not fit a line"));
}

#[test]
fn a_line_of_output_of_any_length_is_split_without_a_loss() {
    for line in ["", "short", &"\0".repeat(20_000), &"é🦊".repeat(9_000), &"x".repeat(8 * 1024)] {
        let mut whole = String::new();
        let pieces = log_line(line, false).into_pieces();
        let count = pieces.len();
        for (index, piece) in pieces.into_iter().enumerate() {
            assert!(piece.encode().len() <= LONGEST_LINE);
            let Reply::Line(piece) = Reply::parse(&piece.encode()).unwrap() else { panic!("not a line") };
            assert_eq!(piece.more, index + 1 < count);
            whole.push_str(&piece.text);
        }
        assert_eq!(whole, line);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_request_or_a_refusal(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = Request::parse(&bytes);
        let _ = Reply::parse(&bytes);
    }

    #[test]
    fn any_object_is_a_request_or_a_short_refusal(
        verb in "(status|start|signal|logs|events|exec|wait|shutdown|\\PC{0,20})",
        key in "(names|name|wait|lines|follow|events|states|timeout_ms|signal|\\PC{0,9})",
        value in "(true|null|-1|1e99|\\[\\]|\\[\"a\"\\]|\\[\"exited\"\\]|\\[\"fatal\"\\]|\"[a-z]{0,5}\"|\\{\\})",
    ) {
        let key = serde_json::to_string(&key).unwrap();
        let line = format!("{{\"verb\":{},{key}:{value}}}", serde_json::to_string(&verb).unwrap());
        match Request::parse(line.as_bytes()) {
            Ok(request) => prop_assert_eq!(Request::parse(&request.encode().unwrap()).unwrap(), request),
            Err(refusal) => prop_assert!(Reply::Error(refusal).encode().len() < 2_000),
        }
    }

    #[test]
    fn a_document_of_any_length_is_split_without_a_loss(document in "\\PC{0,9000}") {
        let mut arrived = String::new();
        for piece in Piece::of(&document) {
            let line = Reply::Context(piece).encode();
            prop_assert!(line.len() <= LONGEST_LINE);
            let Reply::Context(piece) = Reply::parse(&line).unwrap() else { panic!("not a piece") };
            arrived += &piece.text;
        }
        prop_assert_eq!(arrived, document);
    }

    #[test]
    fn output_of_any_bytes_fits_its_replies(bytes in proptest::collection::vec(any::<u8>(), 0..40_000)) {
        for piece in log_line(&String::from_utf8_lossy(&bytes), false).into_pieces() {
            prop_assert!(!String::from_utf8(piece.encode()).unwrap().contains("does not fit"));
        }
    }
}
