//! `foster check`, and errors of the configuration at the start.

use crate::support::{End, Foster, check};

#[test]
fn check_prints_the_start_order() {
    let printed = check("[program.web]\ncommand = 'nginx'\nafter = ['backend']\n[program.backend]\ncommand = 'uvicorn'\npriority = 10\n[program.admin]\ncommand = 'admin'\nautostart = false\n")
        .expect(0)
        .stdout;
    let (backend, web) = (printed.find("backend"), printed.find("web"));
    assert!(backend.is_some() && backend < web, "{printed}");
    assert!(printed.contains("admin"), "{printed}");
}

/// Twenty mistakes in three files, each with a word that its message must contain.
const MAIN: &str = "include = ['conf.d/*.toml']
[foster]
log_format = 'xml'
log_level = 'loud'
shutdown_timeout = 'soon'
socket = ''
[program.web]
comand = 'web'
priority = 'high'
restart = 'sometimes'
after = ['bakend']
";
const BACKEND: &str = "[program.backend]
command = ['backend'
]
min_uptime = '5 parsecs'
stop_signal = 'TREM'
success_exit_codes = [300]
start_limit = 0
umask = '999'
";
const WORKER: &str = "[program.worker]
command = '${NOT_SET_ANYWHERE}'
stdout = 'nowhere'
ready = { http = 'ftp://localhost/' }
limits = { nofiles = 10 }
nice = 99
capabilities = ['fly']
memory_max = '1K'
requires = ['worker']
";

#[test]
fn twenty_mistakes_in_three_files_are_twenty_messages_and_no_program_starts() {
    let foster = Foster::new()
        .config(MAIN)
        .file("conf.d/backend.toml", BACKEND)
        .file("conf.d/worker.toml", WORKER)
        .file("termination-log", "");
    let mut foster = foster.start();
    assert_eq!(foster.wait_exit(), End::Code(2), "{}", foster.output().shown());
    let printed = foster.output().stderr();
    let position = regex_lite::Regex::new(r"^\S+\.toml:\d+:\d+: error: ").expect("a regular expression");
    let messages: Vec<&str> = printed.lines().filter(|line| position.is_match(line)).collect();
    let expected = [
        ("foster.toml:3:", "log_format"),
        ("foster.toml:4:", "log_level"),
        ("foster.toml:5:", "shutdown_timeout"),
        ("foster.toml:8:", "comand"),
        ("foster.toml:9:", "priority"),
        ("foster.toml:10:", "restart"),
        ("foster.toml:11:", "bakend"),
        ("backend.toml:4:", "min_uptime"),
        ("backend.toml:5:", "TREM"),
        ("backend.toml:6:", "300"),
        ("backend.toml:7:", "start_limit"),
        ("backend.toml:8:", "umask"),
        ("worker.toml:2:", "NOT_SET_ANYWHERE"),
        ("worker.toml:3:", "stdout"),
        ("worker.toml:4:", "http"),
        ("worker.toml:5:", "nofiles"),
        ("worker.toml:6:", "nice"),
        ("worker.toml:7:", "fly"),
        ("worker.toml:8:", "cannot be 1024 bytes"),
        ("worker.toml:9:", "itself"),
    ];
    for (position, word) in expected {
        assert!(
            messages.iter().any(|line| line.contains(position) && line.contains(word)),
            "{position} {word}\n{printed}"
        );
    }
    assert_eq!(messages.len(), expected.len(), "{printed}");
    assert!(printed.contains("did you mean `command`?"), "{printed}");
    assert!(!foster.output().has_line("starting"), "{}", foster.output().shown());
}

#[test]
fn a_message_shows_the_line_with_a_caret_and_the_nearest_name() {
    let printed = check("[program.web]\ncomand = ['/usr/bin/web', '--port', '8080']\n").expect(2).stderr;
    let lines: Vec<&str> = printed.lines().collect();
    assert!(lines[0].ends_with("foster.toml:2:1: error: unknown key `comand` in program `web`"), "{printed}");
    assert_eq!(lines[1].trim_start(), "2 | comand = ['/usr/bin/web', '--port', '8080']", "{printed}");
    assert!(lines[2].ends_with("| ^^^^^^ did you mean `command`?"), "{printed}");
}

#[test]
fn the_report_goes_to_the_termination_log_too() {
    // The key `termination_log` is valid, although another key of the file is not.
    let config = "[foster]\ntermination_log = 'termination-log'\n[program.web]\ncomand = 'x'\n";
    let mut foster = Foster::new().config(config).file("termination-log", "").start();
    assert_eq!(foster.wait_exit(), End::Code(2));
    assert!(foster.content("termination-log").contains("comand"), "{}", foster.output().shown());
}

#[test]
fn a_key_that_is_not_known_is_rejected_at_each_level_and_never_ignored() {
    for (place, config) in [
        ("`later`", "[later]\nlisten = 1\n"),
        ("`later`", "[foster]\nlater = 1\n"),
        ("`later`", "[program.app]\nlater = 1\n"),
        ("`later`", "[program.app.health]\nlater = 1\n"),
    ] {
        let printed = check(&format!("{config}[program.other]\ncommand = 'x'\n")).expect(2).stderr;
        assert!(printed.contains("unknown") && printed.contains(place), "{config}: {printed}");
    }
}

#[test]
fn a_cycle_an_empty_plan_and_a_missing_file_are_errors() {
    let cycle =
        check("[program.a]\ncommand = 'x'\nafter = ['b']\n[program.b]\ncommand = 'x'\nafter = ['a']\n")
            .expect(2)
            .stderr;
    assert!(cycle.contains("`a`") && cycle.contains("`b`"), "{cycle}");
    check("[foster]\nlog_level = 'info'\n").expect(2);
    let missing = Foster::new().finish(&["check", "-c", "no-such.toml"]).expect(2).stderr;
    assert!(missing.contains("no-such.toml") && missing.contains("No such file"), "{missing}");
}

#[test]
fn an_include_adds_and_never_redefines() {
    let printed = Foster::new()
        .config("include = ['more.toml']\n[program.app]\ncommand = 'x'\n")
        .file("more.toml", "[program.app]\ncommand = 'y'\n")
        .finish(&["check", "-c", "foster.toml"])
        .expect(2)
        .stderr;
    assert!(printed.contains("more.toml:1:") && printed.contains("app"), "{printed}");
}

#[test]
fn a_dependency_that_is_not_autostarted_is_a_warning() {
    let printed =
        check("[program.a]\ncommand = 'x'\nautostart = false\n[program.b]\ncommand = 'x'\nafter = ['a']\n")
            .expect(0)
            .text();
    assert!(printed.contains("warning") && printed.contains("`a`"), "{printed}");
}

#[test]
fn values_from_the_environment_are_expanded_and_never_parsed_again() {
    let mut foster = Foster::new()
        .config("[program.app]\ncommand = ['puppet', 'print:${GREETING}', 'print:${NONE:-default}', 'print:$$5']\npriority = '${NUMBER}'\nrestart = 'never'\n")
        .env("GREETING", "a'b\"]\n[x")
        .env("NUMBER", "7")
        .start();
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    let seen = foster.output().stdout();
    for line in ["app    | a'b\"]", "app    | [x", "app    | default", "app    | $5"] {
        assert!(seen.lines().any(|seen| seen == line), "{line}\n{seen}");
    }
}

#[test]
fn check_json_has_an_object_for_each_error() {
    let config = "[program.web]\ncomand = 'x'\n";
    let printed = Foster::new().config(config).finish(&["check", "--json"]).expect(2).stdout;
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed["valid"], false);
    let error = &printed["errors"][0];
    assert!(error["file"].as_str().expect("a file").ends_with("foster.toml"), "{error}");
    assert_eq!((&error["line"], &error["column"]), (&2.into(), &1.into()), "{error}");
    assert!(error["message"].as_str().expect("a message").contains("unknown key `comand`"), "{error}");
    assert_eq!(error["hint"], "did you mean `command`?");
    assert_eq!(error["severity"], "error");
}

#[test]
fn check_json_has_the_same_fields_for_warnings() {
    let config =
        "[program.web]\ncommand = 'x'\nafter = ['idle']\n[program.idle]\ncommand = 'x'\nautostart = false\n";
    let answer = Foster::new().config(config).finish(&["check", "--json"]).expect(0).stdout;
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["valid"], true);
    let warning = &answer["warnings"][0];
    assert!(warning["file"].as_str().expect("a file").ends_with("foster.toml"), "{warning}");
    assert_eq!((&warning["line"], &warning["severity"]), (&3.into(), &"warning".into()), "{warning}");
    assert!(warning["message"].as_str().expect("a message").contains("idle"), "{warning}");
}

#[test]
fn check_here_finds_errors_of_a_start() {
    let config =
        "[program.web]\ncommand = ['no-such-command']\nstdout = { file = '/no/such/folder/web.log' }\n";
    check(config).expect(0);
    let here = Foster::new().config(config).finish(&["check", "--here", "-c", "foster.toml"]).expect(2);
    let printed = here.text();
    assert!(printed.contains("command = ['no-such-command']"), "{printed}");
    assert!(printed.contains("error: `no-such-command` is not in PATH"), "{printed}");
    assert!(
        printed.contains("error: cannot use the folder `/no/such/folder` of the log file: No such file"),
        "{printed}"
    );
    assert!(printed.contains("2 errors"), "{printed}");
}
