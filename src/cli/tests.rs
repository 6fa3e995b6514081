use super::*;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::commands;
use super::verb::Verb;
use crate::exit::ExitStatus;

fn read(line: &str) -> Result<Invocation, UsageError> {
    parse(shell_words::split(line).unwrap().into_iter().map(OsString::from))
}

/// What a command line means, without the verb's row.
fn meaning(line: &str) -> String {
    match read(line).unwrap().command {
        Command::Client(ClientCommand { request, endpoint, output, timestamps, watch, until_end, exec }) => {
            let Endpoint { socket, config } = endpoint;
            let mut text = format!("{request:?} {output:?} {socket:?} {config:?}");
            for (is_set, name) in
                [(timestamps, " timestamps"), (watch, " watch"), (until_end, " until its end")]
            {
                text += if is_set { name } else { "" };
            }
            if exec.is_empty() { text } else { format!("{text} {exec:?}") }
        }
        command @ (Command::Run { .. }
        | Command::Check { .. }
        | Command::Init { .. }
        | Command::Migrate { .. }
        | Command::Doctor { .. }
        | Command::Schema
        | Command::Completions { .. }
        | Command::Version { .. }
        | Command::Help { .. }) => format!("{command:?}"),
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
    means("", expect!["Run { config: None, detach: None }"]);
    means("-c a.toml", expect![[r#"Run { config: Some("a.toml"), detach: None }"#]]);
    means("run --config=a.toml", expect![[r#"Run { config: Some("a.toml"), detach: None }"#]]);
    means("check", expect!["Check { config: None, scope: File, output: Text }"]);
    means(
        "check --json -ca.toml",
        expect![[r#"Check { config: Some("a.toml"), scope: File, output: Json }"#]],
    );
    means("init", expect!["Init { file: None }"]);
    means("migrate a.conf", expect![[r#"Migrate { file: "a.conf", from: None }"#]]);
    means("migrate --from systemd a", expect![[r#"Migrate { file: "a", from: Some(Systemd) }"#]]);
    means("init -", expect![[r#"Init { file: Some("-") }"#]]);
    means("init /etc/foster.toml", expect![[r#"Init { file: Some("/etc/foster.toml") }"#]]);
    means("status", expect!["Status(Names { names: [] }) Text None None"]);
    means(
        "status --json --socket /s 'web*' backend.0",
        expect![[r#"Status(Names { names: ["web*", "backend.0"] }) Json Some("/s") None"#]],
    );
    means("start backend", expect![[r#"Start(Order { names: ["backend"], wait: true }) Text None None"#]]);
    means("stop --no-wait all", expect![[r#"Stop(Order { names: ["all"], wait: false }) Text None None"#]]);
    means("restart a b", expect![[r#"Restart(Order { names: ["a", "b"], wait: true }) Text None None"#]]);
    means("reload a -c f", expect![[r#"Reload(Order { names: ["a"], wait: true }) Text None Some("f")"#]]);
    means("update --json", expect!["Update(Update { names: [], mode: Apply, wait: true }) Json None None"]);
    means(
        "update --no-wait",
        expect!["Update(Update { names: [], mode: Apply, wait: false }) Text None None"],
    );
    means(
        "signal HUP a",
        expect![[r#"Signal(SignalOrder { names: ["a"], signal: Signal(1) }) Text None None"#]],
    );
    means(
        "signal sigrtmin+3 a b",
        expect![[r#"Signal(SignalOrder { names: ["a", "b"], signal: Signal(37) }) Text None None"#]],
    );
    means(
        "logs -fn 20 a",
        expect![[
            r#"Logs(Logs { names: ["a"], lines: Some(20), since_ms: None, follow: true }) Text None None"#
        ]],
    );
    means(
        "logs --lines=3 --json",
        expect!["Logs(Logs { names: [], lines: Some(3), since_ms: None, follow: false }) Json None None"],
    );
    means(
        "wait a",
        expect![[r#"Wait(Wait { names: ["a"], timeout_ms: None, startup: false }) Text None None"#]],
    );
    means(
        "wait --timeout '1m 30s' a",
        expect![[r#"Wait(Wait { names: ["a"], timeout_ms: Some(90000), startup: false }) Text None None"#]],
    );
    means("health", expect!["Health(HealthCheck { names: [], all: false }) Text None None"]);
    means("health --json a", expect![[r#"Health(HealthCheck { names: ["a"], all: false }) Json None None"#]]);
    means("shutdown", expect!["Shutdown Text None None"]);
    means("shutdown --wait", expect!["Shutdown Text None None until its end"]);
    means(
        "doctor --json --socket /s",
        expect![[r#"Doctor { endpoint: Endpoint { socket: Some("/s"), config: None }, output: Json }"#]],
    );
    means("schema", expect!["Schema"]);
    means("completions zsh", expect!["Completions { shell: Zsh, words: [] }"]);
    means(
        "completions fish -- --socket /s stop ''",
        expect![[r#"Completions { shell: Fish, words: ["--socket", "/s", "stop", ""] }"#]],
    );
    means("version --json", expect!["Version { output: Json }"]);
    means("help", expect!["Help { verb: None }"]);
}

#[test]
fn help_and_version_are_a_verb_and_a_flag_anywhere() {
    for line in ["help", "-h", "--help", "-c x --help"] {
        assert_eq!(meaning(line), "Help { verb: None }", "{line}");
    }
    for line in ["help status", "status --help", "status -h", "-h status", "status --json -h x y"] {
        assert_eq!(meaning(line), "Help { verb: Some(\"status\") }", "{line}");
    }
    // Other errors do not prevent help.
    assert_eq!(meaning("start -h"), "Help { verb: Some(\"start\") }");
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
fn a_usage_error_names_the_nearest_valid_word() {
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
    refused("run a.toml b.toml", expect!["2: run: unexpected argument `b.toml` (see `foster help run`)"]);
    refused(
        "run a.toml -c b.toml",
        expect!["2: run: the configuration is given twice: as FILE and with `-c` (see `foster help run`)"],
    );
    refused("start", expect!["2: start: needs a NAME; `all` means every program (see `foster help start`)"]);
    refused(
        "start --no-wat a",
        expect!["2: start: unknown flag `--no-wat`; did you mean `--no-wait`? (see `foster help start`)"],
    );
    refused("signal", expect!["2: signal: needs a SIGNAL (see `foster help signal`)"]);
    refused(
        "signal HUP",
        expect!["2: signal: needs a NAME; `all` means every program (see `foster help signal`)"],
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
        expect![
            "2: logs: invalid value `many` for `--lines`: expected a number of lines (see `foster help logs`)"
        ],
    );
    refused(
        "logs -n -1",
        expect![
            "2: logs: invalid value `-1` for `--lines`: expected a number of lines (see `foster help logs`)"
        ],
    );
    refused(
        "logs -n 4294967296",
        expect![
            "2: logs: invalid value `4294967296` for `--lines`: expected a number of lines (see `foster help logs`)"
        ],
    );
    refused("wait", expect!["2: wait: needs a NAME; `all` means every program (see `foster help wait`)"]);
    refused(
        "wait --timeout soon a",
        expect![
            "2: wait: invalid value `soon` for `--timeout`: expected a duration such as `30s` or `1m 30s` (see `foster help wait`)"
        ],
    );
    refused("shutdown now", expect!["2: shutdown: unexpected argument `now` (see `foster help shutdown`)"]);
    refused(
        "completions",
        expect!["2: completions: needs a SHELL: `bash`, `zsh` or `fish` (see `foster help completions`)"],
    );
    refused(
        "completions ksh",
        expect![
            "2: completions: no completions for `ksh`: expected `bash`, `zsh` or `fish` (see `foster help completions`)"
        ],
    );
    refused("schema x", expect!["2: schema: unexpected argument `x` (see `foster help schema`)"]);
    refused("doctor app", expect!["2: doctor: unexpected argument `app` (see `foster help doctor`)"]);
    refused("version 2", expect!["2: version: unexpected argument `2` (see `foster help version`)"]);
    refused("help stauts", expect!["2: unknown verb `stauts`; did you mean `status`? (see `foster help`)"]);
    refused("help status start", expect!["2: help: unexpected argument `start` (see `foster help help`)"]);
    refused(
        "status --socket",
        expect!["2: status: `--socket` needs a value: `--socket PATH` (see `foster help status`)"],
    );
    refused("''", expect!["2: unknown verb `` (see `foster help`)"]);
}

#[test]
fn an_empty_value_is_a_missing_value() {
    for line in ["--socket= status", "status --socket ''", "check -c ''", "logs -n ''", "wait --timeout= a"] {
        let error = read(line).unwrap_err();
        assert!(matches!(error.problem, Problem::MissingValue(_)), "{line}: {error}");
    }
}

#[test]
fn the_help_of_an_alias_is_that_of_its_verb() {
    for (alias, verb) in [("ps", "status"), ("sh", "exec"), ("tail", "logs")] {
        let Command::Help { verb: Some(name) } = read(&format!("help {alias}")).unwrap().command else {
            panic!("not help")
        };
        assert_eq!(Verb::by_name(&name).map(|found| found.name), Some(verb), "{alias}");
    }
}

#[test]
fn health_only_exits_with_0_or_1() {
    for line in ["health --bogus", "health --socket", "health --json=1", "--no-wait health"] {
        assert_eq!(read(line).unwrap_err().status(), ExitStatus::FAILED, "{line}");
    }
    let health = Verb::by_name("health").unwrap();
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
    let line = ["status".into(), "--socket".into(), bytes()];
    let Command::Client(command) = parse(line).unwrap().command else { panic!("not a request") };
    assert_eq!(command.endpoint.socket, Some(PathBuf::from(bytes())));
}

#[test]
fn the_table_has_each_verb_once_and_each_row_is_complete() {
    for (index, verb) in commands::all().enumerate() {
        assert!(commands::all().skip(index + 1).all(|other| other.name != verb.name), "{}", verb.name);
        assert!(verb.statuses.iter().is_sorted_by_key(|(status, _)| status.0), "{}", verb.name);
        for (line, _) in verb.examples {
            assert!(read(line).is_ok(), "{line}");
            // man(7) puts the text after a short tag on the same line.
            assert!(!line.is_empty(), "{}", verb.name);
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
fn the_words_after_the_name_in_exec_belong_to_the_command() {
    let expected = r#"Exec(Exec { name: "backend" }) Text None None ["ls", "-la", "--json", "-h"]"#;
    for line in ["exec backend -- ls -la --json -h", "exec backend ls -la --json -h"] {
        assert_eq!(meaning(line), expected);
    }
    means(
        "exec --socket /s backend -- -- --help",
        expect![[r#"Exec(Exec { name: "backend" }) Text Some("/s") None ["--", "--help"]"#]],
    );
    refused(
        "exec",
        expect!["2: exec: needs a NAME: a program or one of its instances (see `foster help exec`)"],
    );
    refused("exec backend", expect!["2: exec: needs a COMMAND (see `foster help exec`)"]);
    refused("exec backend --", expect!["2: exec: needs a COMMAND (see `foster help exec`)"]);
    let bytes = OsString::from_vec(vec![0xff]);
    let line = ["exec".into(), "backend".into(), "--".into(), "printf".into(), bytes.clone()];
    let Command::Client(command) = parse(line).unwrap().command else { panic!("not a request") };
    assert_eq!(command.exec, [OsString::from("printf"), bytes]);
}

#[test]
fn verbs_of_other_tools_are_aliases() {
    for (alias, verb) in [
        ("ps", "status"),
        ("list", "status"),
        ("ls", "status"),
        ("monit", "top"),
        ("log -n 3 a", "logs -n 3 a"),
        ("tail -f a", "logs -f a"),
        ("logs --tail 5", "logs -n 5"),
        ("validate", "check"),
        ("config", "check"),
        ("test app.toml", "check -c app.toml"),
        ("sh backend", "exec backend -- sh"),
        ("sh backend -- -c id", "exec backend -- sh -c id"),
        ("app.toml", "run -c app.toml"),
        ("./conf/app.toml", "run ./conf/app.toml"),
    ] {
        assert_eq!(meaning(alias), meaning(verb), "{alias}");
    }
    assert_eq!(meaning("./conf/app.toml"), r#"Run { config: Some("./conf/app.toml"), detach: None }"#);
    assert_eq!(meaning("run app.toml"), r#"Run { config: Some("app.toml"), detach: None }"#);
}

#[test]
fn a_foreign_verb_that_would_stop_something_is_answered_and_never_executed() {
    let line = |line: &str| read(line).unwrap_err().to_string();
    let all: String =
        ["kill web", "quit", "exit", "down", "reread", "delete web", "stat", "sto", "signal web HUP"]
            .map(|words| format!("{}\n", line(words)))
            .concat();
    expect![[r#"
        unknown verb `kill`: `foster stop NAME` stops a program, `foster signal KILL NAME` sends SIGKILL, `foster shutdown` ends all (see `foster help`)
        unknown verb `quit`: `foster shutdown` stops everything and ends the container (see `foster help`)
        unknown verb `exit`: `foster shutdown` stops everything and ends the container (see `foster help`)
        unknown verb `down`: `foster shutdown` stops everything and ends the container (see `foster help`)
        unknown verb `reread`: `foster update --dry-run` prints what would change, `foster update` applies it (see `foster help`)
        unknown verb `delete`: edit the configuration, then `foster update` applies it (see `foster help`)
        unknown verb `stat`; did you mean `status`? (see `foster help`)
        unknown verb `sto`; did you mean `stop`? (see `foster help`)
        signal: SIGNAL comes first: `foster signal HUP web` (see `foster help signal`)
    "#]].assert_eq(&all);
    // A word that starts like a harmless verb never suggests one that stops something.
    for word in ["top", "st", "stat", "statu", "res", "rea"] {
        let message = read(word).map_or_else(|error| error.to_string(), |_| String::new());
        assert!(!message.contains("`stop`") && !message.contains("`shutdown`"), "{word}: {message}");
    }
}

#[test]
fn every_alias_belongs_to_one_verb_that_changes_nothing() {
    let aliases: Vec<&str> = commands::all().flat_map(|verb| verb.aliases.iter().copied()).collect();
    for (index, alias) in aliases.iter().enumerate() {
        assert!(commands::all().all(|verb| verb.name != *alias), "{alias}");
        assert!(!aliases.iter().skip(index + 1).any(|other| other == alias), "{alias}");
        let names = ["start", "stop", "restart", "reload", "signal", "update", "shutdown", "exec", "run"];
        assert!(!names.contains(&Verb::by_name(alias).unwrap().name), "{alias}");
    }
}

#[test]
fn events_are_filtered_by_name_event_and_state() {
    means(
        "events -f -n 0 --event exited,start_failed --state fatal 'web*'",
        expect![[
            r#"Events(Events { names: ["web*"], events: [Exited, StartFailed], states: [Fatal], lines: Some(0), follow: true }) Text None None"#
        ]],
    );
    refused(
        "events --event exitd",
        expect!["2: events: there is no event `exitd`; did you mean `exited`? (see `foster help events`)"],
    );
    refused(
        "events --state dead,fatal",
        expect!["2: events: there is no state `dead` (see `foster help events`)"],
    );
    refused(
        "events --event ''",
        expect!["2: events: `--event` needs a value: `--event NAMES` (see `foster help events`)"],
    );
    refused(
        "events -n x",
        expect![
            "2: events: invalid value `x` for `--lines`: expected a number of events (see `foster help events`)"
        ],
    );
}
