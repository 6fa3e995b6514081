use super::*;

use std::os::unix::ffi::OsStringExt;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use crate::exit::ExitStatus;

fn read(line: &str) -> Result<Command, UsageError> {
    parse(shell_words::split(line).unwrap().into_iter().map(OsString::from))
}

/// What a command line means, without the verb's row.
fn meaning(line: &str) -> String {
    match read(line).unwrap() {
        Command::Ask(Ask { verb: _, question, place: Place { socket, config }, output }) => {
            format!("{question:?} {output:?} {socket:?} {config:?}")
        }
        Command::Help { verb } => format!("Help {:?}", verb.map(|verb| verb.name)),
        command @ (Command::Run { .. }
        | Command::Check { .. }
        | Command::Doctor { .. }
        | Command::Schema
        | Command::Completions { .. }
        | Command::Version { .. }) => format!("{command:?}"),
    }
}

fn means(line: &str, expected: Expect) {
    expected.assert_eq(&meaning(line));
}

fn refused(line: &str, expected: Expect) {
    let error = read(line).unwrap_err();
    expected.assert_eq(&format!("{}: {error}", error.status().0));
}

#[test]
fn every_verb_is_read_with_its_flags() {
    means("", expect!["Run { config: None }"]);
    means("-c a.toml", expect![[r#"Run { config: Some("a.toml") }"#]]);
    means("run --config=a.toml", expect![[r#"Run { config: Some("a.toml") }"#]]);
    means("check", expect!["Check { config: None, output: Text }"]);
    means("check --json -ca.toml", expect![[r#"Check { config: Some("a.toml"), output: Json }"#]]);
    means("status", expect!["Status { names: [] } Text None None"]);
    means(
        "status --json --socket /s 'web*' backend.0",
        expect![[r#"Status { names: ["web*", "backend.0"] } Json Some("/s") None"#]],
    );
    means(
        "start backend",
        expect![[r#"Order { order: Start, names: ["backend"], patience: UntilDone } Text None None"#]],
    );
    means(
        "stop --no-wait all",
        expect![[r#"Order { order: Stop, names: ["all"], patience: None } Text None None"#]],
    );
    means(
        "restart a b",
        expect![[r#"Order { order: Restart, names: ["a", "b"], patience: UntilDone } Text None None"#]],
    );
    means(
        "reload a -c f",
        expect![[r#"Order { order: Reload, names: ["a"], patience: UntilDone } Text None Some("f")"#]],
    );
    means("update --json", expect!["Update { patience: UntilDone } Json None None"]);
    means("update --no-wait", expect!["Update { patience: None } Text None None"]);
    means("signal HUP a", expect![[r#"Signal { signal: Signal(1), names: ["a"] } Text None None"#]]);
    means(
        "signal sigrtmin+3 a b",
        expect![[r#"Signal { signal: Signal(37), names: ["a", "b"] } Text None None"#]],
    );
    means(
        "logs -fn 20 a",
        expect![[r#"Logs { names: ["a"], lines: Some(20), follow: Yes } Text None None"#]],
    );
    means("logs --lines=3 --json", expect!["Logs { names: [], lines: Some(3), follow: No } Json None None"]);
    means("wait a", expect![[r#"Wait { names: ["a"], timeout: None } Text None None"#]]);
    means(
        "wait --timeout '1m 30s' a",
        expect![[r#"Wait { names: ["a"], timeout: Some(90s) } Text None None"#]],
    );
    means("health", expect!["Health { names: [] } Text None None"]);
    means("health --json a", expect![[r#"Health { names: ["a"] } Json None None"#]]);
    means("shutdown", expect!["Shutdown Text None None"]);
    means(
        "doctor --json --socket /s",
        expect![[r#"Doctor { place: Place { socket: Some("/s"), config: None }, output: Json }"#]],
    );
    means("schema", expect!["Schema"]);
    means("completions zsh", expect!["Completions { shell: Zsh, words: [] }"]);
    means(
        "completions fish -- --socket /s stop ''",
        expect![[r#"Completions { shell: Fish, words: ["--socket", "/s", "stop", ""] }"#]],
    );
    means("version --json", expect!["Version { output: Json }"]);
    means("help", expect!["Help None"]);
}

#[test]
fn help_and_version_are_found_wherever_one_looks_for_them() {
    for line in ["help", "-h", "--help", "-c x --help"] {
        assert_eq!(meaning(line), "Help None", "{line}");
    }
    for line in ["help status", "status --help", "status -h", "-h status", "status --json -h x y"] {
        assert_eq!(meaning(line), "Help Some(\"status\")", "{line}");
    }
    // What is wrong otherwise does not stand in the way of help.
    assert_eq!(meaning("start -h"), "Help Some(\"start\")");
    for line in ["version", "-V", "--version"] {
        assert_eq!(meaning(line), "Version { output: Text }", "{line}");
    }
}

#[test]
fn flags_may_stand_before_the_verb_and_the_last_of_several_counts() {
    assert_eq!(meaning("--socket /s --json status a"), meaning("status a --json --socket /s"));
    assert_eq!(meaning("--socket /a status --socket /s"), meaning("status --socket /s"));
    assert_eq!(meaning("status -- a"), meaning("status a"));
}

#[test]
fn what_is_wrong_is_said_with_the_nearest_right_thing() {
    refused("stauts", expect!["2: unknown verb `stauts`; did you mean `status`? (see `foster help`)"]);
    refused("deploy", expect!["2: unknown verb `deploy` (see `foster help`)"]);
    refused("--bogus", expect!["2: unknown flag `--bogus` (see `foster help`)"]);
    refused("-x", expect!["2: unknown flag `-x` (see `foster help`)"]);
    refused(
        "status --jsno",
        expect!["2: status: unknown flag `--jsno`; did you mean `--json`? (see `foster help status`)"],
    );
    refused("status --json=yes", expect!["2: status: `--json` takes no value (see `foster help status`)"]);
    refused("status -V", expect!["2: status: unknown flag `-V` (see `foster help status`)"]);
    refused("status --no-wait", expect!["2: status: unknown flag `--no-wait` (see `foster help status`)"]);
    refused("--no-wait status", expect!["2: status: unknown flag `--no-wait` (see `foster help status`)"]);
    refused("--socket /s run", expect!["2: run: unknown flag `--socket` (see `foster help run`)"]);
    refused("run backend", expect!["2: run: there is no use for `backend` (see `foster help run`)"]);
    refused("start", expect!["2: start: needs a NAME; `all` is all of them (see `foster help start`)"]);
    refused(
        "start --no-wat a",
        expect!["2: start: unknown flag `--no-wat`; did you mean `--no-wait`? (see `foster help start`)"],
    );
    refused("signal", expect!["2: signal: needs a SIGNAL (see `foster help signal`)"]);
    refused(
        "signal HUP",
        expect!["2: signal: needs a NAME; `all` is all of them (see `foster help signal`)"],
    );
    refused(
        "signal TREM a",
        expect!["2: signal: there is no signal `TREM`; did you mean `TERM`? (see `foster help signal`)"],
    );
    refused(
        "signal SIGTREM a",
        expect!["2: signal: there is no signal `SIGTREM`; did you mean `TERM`? (see `foster help signal`)"],
    );
    refused("signal 65 a", expect!["2: signal: there is no signal `65` (see `foster help signal`)"]);
    refused("logs -n", expect!["2: logs: `--lines` needs a value: `--lines N` (see `foster help logs`)"]);
    refused(
        "logs -n many",
        expect!["2: logs: `--lines` is `many`, and has to be a number of lines (see `foster help logs`)"],
    );
    refused(
        "logs -n -1",
        expect!["2: logs: `--lines` is `-1`, and has to be a number of lines (see `foster help logs`)"],
    );
    refused(
        "logs -n 4294967296",
        expect![
            "2: logs: `--lines` is `4294967296`, and has to be a number of lines (see `foster help logs`)"
        ],
    );
    refused("wait", expect!["2: wait: needs a NAME; `all` is all of them (see `foster help wait`)"]);
    refused(
        "wait --timeout soon a",
        expect![
            "2: wait: `--timeout` is `soon`, and has to be a duration such as `30s` or `1m 30s` (see `foster help wait`)"
        ],
    );
    refused("shutdown now", expect!["2: shutdown: there is no use for `now` (see `foster help shutdown`)"]);
    refused(
        "completions",
        expect!["2: completions: needs a SHELL: `bash`, `zsh` or `fish` (see `foster help completions`)"],
    );
    refused(
        "completions ksh",
        expect![
            "2: completions: cannot make `ksh` complete: expected `bash`, `zsh` or `fish` (see `foster help completions`)"
        ],
    );
    refused("schema x", expect!["2: schema: there is no use for `x` (see `foster help schema`)"]);
    refused("doctor app", expect!["2: doctor: there is no use for `app` (see `foster help doctor`)"]);
    refused("version 2", expect!["2: version: there is no use for `2` (see `foster help version`)"]);
    refused("help stauts", expect!["2: unknown verb `stauts`; did you mean `status`? (see `foster help`)"]);
    refused("help status start", expect!["2: help: there is no use for `start` (see `foster help help`)"]);
    refused(
        "status --socket",
        expect!["2: status: `--socket` needs a value: `--socket PATH` (see `foster help status`)"],
    );
    refused("''", expect!["2: unknown verb `` (see `foster help`)"]);
}

#[test]
fn health_never_ends_with_anything_but_0_and_1() {
    for line in ["health --bogus", "health --socket", "health --json=1", "--no-wait health"] {
        assert_eq!(read(line).unwrap_err().status(), ExitStatus::FAILED, "{line}");
    }
    let health = Verb::called("health").unwrap();
    for status in 0..=5 {
        assert!(health.status(ExitStatus(status)).0 <= 1);
    }
}

#[test]
fn names_must_be_text_and_paths_need_not_be() {
    let bytes = || OsString::from_vec(vec![0xff, b'x']);
    for verb in ["status", "start"] {
        let error = parse([OsString::from(verb), bytes()]).unwrap_err();
        assert!(matches!(error.problem, Problem::NotText(_)), "{error}");
    }
    assert!(parse([bytes()]).is_err());
    let Command::Ask(ask) = parse(["status".into(), "--socket".into(), bytes()]).unwrap() else {
        panic!("not a question")
    };
    assert_eq!(ask.place.socket, Some(PathBuf::from(bytes())));
}

#[test]
fn the_table_has_each_verb_once_and_each_row_is_whole() {
    for (index, verb) in COMMANDS.iter().enumerate() {
        assert!(COMMANDS.iter().skip(index + 1).all(|other| other.name != verb.name), "{}", verb.name);
        assert!(verb.statuses.iter().is_sorted_by_key(|(status, _)| status.0), "{}", verb.name);
        for (line, _) in verb.examples {
            assert!(read(line).is_ok(), "{line}");
        }
    }
}

proptest! {
    #[test]
    fn any_command_line_is_read_or_refused_with_a_status(
        words in proptest::collection::vec("(status|start|signal|logs|wait|help|health|HUP|-f|-n|--json|--timeout|--|-|--=|\\PC{0,6})", 0..6),
    ) {
        match parse(words.iter().map(OsString::from)) {
            Ok(_) => {}
            Err(error) => {
                prop_assert!([1, 2].contains(&error.status().0));
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(words in proptest::collection::vec(proptest::collection::vec(1..=255_u8, 0..6), 0..4)) {
        let _ = parse(words.into_iter().map(OsString::from_vec));
    }
}

#[test]
fn what_comes_behind_the_name_in_exec_is_the_commands_own() {
    let expected = r#"Exec { name: "backend", command: ["ls", "-la", "--json", "-h"] } Text None None"#;
    for line in ["exec backend -- ls -la --json -h", "exec backend ls -la --json -h"] {
        assert_eq!(meaning(line), expected);
    }
    means(
        "exec --socket /s backend -- -- --help",
        expect![[r#"Exec { name: "backend", command: ["--", "--help"] } Text Some("/s") None"#]],
    );
    refused("exec", expect!["2: exec: needs a NAME; `all` is all of them (see `foster help exec`)"]);
    refused("exec backend", expect!["2: exec: needs a COMMAND (see `foster help exec`)"]);
    refused("exec backend --", expect!["2: exec: needs a COMMAND (see `foster help exec`)"]);
    let bytes = OsString::from_vec(vec![0xff]);
    let command = parse(["exec".into(), "backend".into(), "--".into(), "printf".into(), bytes.clone()]);
    let Ok(Command::Ask(Ask { question: Question::Exec { name: _, command }, .. })) = command else {
        panic!("not read")
    };
    assert_eq!(command, [OsString::from("printf"), bytes]);
}

#[test]
fn events_are_filtered_by_name_event_and_state() {
    means(
        "events -f -n 0 --event exited,start_failed --state fatal 'web*'",
        expect![[
            r#"Events { names: ["web*"], events: [Exited, StartFailed], states: [Fatal], lines: Some(0), follow: Yes } Text None None"#
        ]],
    );
    refused(
        "events --event exitd",
        expect![
            "2: events: there is no event called `exitd`; did you mean `exited`? (see `foster help events`)"
        ],
    );
    refused(
        "events --state dead,fatal",
        expect!["2: events: there is no state called `dead` (see `foster help events`)"],
    );
    refused(
        "events --event ''",
        expect!["2: events: there is no event called `` (see `foster help events`)"],
    );
    refused(
        "events -n x",
        expect!["2: events: `--lines` is `x`, and has to be a number of events (see `foster help events`)"],
    );
}
