//! Updates of the configuration: `foster update` and SIGHUP.

mod partial;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::{End, Following, Foster, Running, binary, descriptors, matches, resident_kib};

/// Programs, one on each line: the name, then the keys, separated by `;`.
fn programs(text: &str) -> String {
    let table = |line: &str| {
        let (name, keys) = line.trim().split_once(' ').expect("a name and keys");
        let uptime = if keys.contains("min_uptime") { "" } else { "min_uptime = '1ms'\n" };
        format!("[program.{name}]\n{uptime}{}\n", keys.replace("; ", "\n"))
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(table).collect()
}

/// Starts foster and waits until all autostarted programs are ready.
fn start(text: &str) -> Running {
    let foster = Foster::new().config(&programs(text)).start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    foster
}

/// Replaces the configuration, with the same socket.
fn rewrite(foster: &Running, text: &str) {
    let socket = foster.path("foster.sock");
    let text = match text.contains("[foster]\n") {
        true => text.replace("[foster]\n", &format!("[foster]\nsocket = '{}'\n", socket.display())),
        false => format!("{text}\n[foster]\nsocket = '{}'\n", socket.display()),
    };
    fs::write(foster.path("foster.toml"), text).expect("foster.toml");
}

fn pids(foster: &Running, names: &[&str]) -> Vec<i32> {
    names.iter().map(|name| foster.pid_of(name)).collect()
}

fn state(foster: &Running, name: &str) -> Option<String> {
    foster.row(name).and_then(|row| row["state"].as_str().map(str::to_owned))
}

const FIVE: &str = "a command = 'puppet pause'
    b command = 'puppet pause'
    c command = 'puppet pause'
    d command = 'puppet pause'
    e command = 'puppet pause'";

#[test]
fn only_the_changed_one_of_five_programs_is_restarted() {
    let foster = start(FIVE);
    let before = pids(&foster, &["a", "b", "c", "d", "e"]);
    rewrite(
        &foster,
        &programs(&FIVE.replace(
            "c command = 'puppet pause'",
            "c command = 'puppet report-signals pause'; environment = { A = '1' }",
        )),
    );
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("foster: 4 programs unchanged\n"), "{printed}");
    assert!(
        printed.contains("c: restarted (pid ") && printed.contains("): command and environment changed\n"),
        "{printed}"
    );
    assert_eq!(printed.lines().count(), 2, "{printed}");
    let after = pids(&foster, &["a", "b", "c", "d", "e"]);
    let same: Vec<bool> = before.iter().zip(&after).map(|(before, after)| before == after).collect();
    assert_eq!(same, [true, true, false, true, true]);
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert_eq!(printed, "foster: 5 programs unchanged\n");
    assert_eq!(pids(&foster, &["a", "b", "c", "d", "e"]), after);
}

#[test]
fn new_programs_start_removed_ones_stop_and_a_change_of_policy_needs_no_restart() {
    let foster =
        start("a command = 'puppet pause'\n b command = 'puppet pause'\n old command = 'puppet pause'");
    let before = pids(&foster, &["a", "b"]);
    rewrite(
        &foster,
        &programs(
            "a command = 'puppet pause'; stop_timeout = '1s'; restart = 'never'\n b command = 'puppet pause'; after = ['a']\n worker command = 'puppet pause'; after = ['b']\n lazy command = 'puppet pause'; autostart = false",
        ),
    );
    let printed = foster.verb(&["update"]).expect(0).stdout;
    for line in [
        "a: applied without a restart: restart and stop_timeout changed",
        "b: applied without a restart: after changed",
        "old: stopped and removed",
        "lazy: added, and not autostarted",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "no `{line}` in\n{printed}");
    }
    assert!(printed.contains("worker: started (pid ") && !printed.contains("unchanged"), "{printed}");
    assert_eq!(pids(&foster, &["a", "b"]), before);
    let names: Vec<String> =
        foster.rows().iter().map(|row| row["name"].as_str().expect("a name").to_owned()).collect();
    assert_eq!(names, ["a", "b", "worker", "lazy"]);
    foster.verb(&["status", "old"]).expect(1);
    // The new policy of a program that was not restarted is in effect.
    foster.verb(&["signal", "KILL", "a"]).expect(0);
    foster.wait_for_line("a: was killed by SIGKILL");
}

#[test]
fn a_mistake_changes_nothing_and_the_whole_report_is_printed() {
    let foster = start("a command = 'puppet pause'\n b command = 'puppet pause'");
    let before = pids(&foster, &["a", "b"]);
    let wrong = programs(
        "a command = 'puppet report-signals pause'; stop_timeuot = '1s'\n new command = 'puppet touch:new'; after = ['missing']",
    );
    rewrite(&foster, &wrong);
    let update = foster.verb(&["update"]).expect(1);
    let path = foster.path("foster.toml");
    let check = foster.verb(&["check", "-c", path.to_str().expect("a path")]).expect(2);
    let report =
        check.stderr.strip_suffix("foster: cannot load the configuration: 2 errors\n").expect("a report");
    assert_eq!(
        update.stderr,
        format!("{report}foster: cannot load the configuration: 2 errors; nothing was changed\n")
    );
    let json = foster.verb(&["update", "--json"]).expect(1).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["updated"], json["problems"][0].as_str()), (&false.into(), report.lines().next()));
    // A signal has the same effect, and the report is in the log.
    foster.signal(Signal::SIGHUP);
    foster.wait_for_line(r"foster \| error: .*foster.toml:4:1: unknown key `stop_timeuot` in program `a`");
    foster.wait_for_line(r"foster \| +\| \^+ did you mean `stop_timeout`\?");
    foster.wait_for_line("cannot load the configuration: 2 errors; nothing was changed");
    assert_eq!(pids(&foster, &["a", "b"]), before);
    assert_eq!(foster.rows().len(), 2);
    assert!(!foster.path("new").exists());
}

#[test]
fn the_supervisor_is_found_while_its_configuration_has_mistakes() {
    let foster = start("a command = 'puppet pause'");
    // A mistake in a program, and a syntax error.
    rewrite(&foster, &format!("{}[program.b\n", programs("a comand = 'puppet pause'")));
    let client = |verb: &str| {
        let mut command = Command::new(binary());
        command.args([verb, "-c"]).arg(foster.path("foster.toml")).env_remove("FOSTER_SOCKET");
        let output = command.output().expect("a client");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, printed) = client("update");
    assert!(code == Some(1) && printed.contains("did you mean `command`?"), "{printed}");
    assert_eq!(client("status").0, Some(0));
}

#[test]
fn hup_updates_and_reports_in_the_log() {
    let foster = start("a command = 'puppet pause'\n old command = 'puppet pause'");
    let before = foster.pid_of("a");
    rewrite(
        &foster,
        &programs("a command = 'puppet report-signals pause'\n new command = 'puppet touch:new pause'"),
    );
    foster.signal(Signal::SIGHUP);
    foster.wait_for_line(r"foster \| a: changed: command$");
    foster.wait_for_line(r"foster \| updated from `.*/foster.toml`: 1 new, 1 changed, 1 removed$");
    foster.wait_for_line(r"foster \| old: stopping, because it was removed from the configuration");
    foster.wait_for_line(r"foster \| old: removed$");
    foster.wait_for_file("new");
    foster.wait_for("another a", || foster.pid_of("a") != before);
}

#[test]
fn a_stopped_program_stays_stopped_and_a_fatal_one_is_started_again() {
    let foster = Foster::new()
        .config(&programs("a command = 'puppet pause'\n b command = 'puppet exit:1'; min_uptime = '60s'; start_limit = 1; on_failure = 'ignore'"))
        .start();
    foster.wait_for_state("b", "fatal");
    foster.verb(&["stop", "a"]).expect(0);
    rewrite(
        &foster,
        &programs("a command = 'puppet touch:a pause'\n b command = 'puppet pause'; start_limit = 1"),
    );
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("a: stays stopped; applies at its next start: command changed\n"), "{printed}");
    assert!(printed.contains("b: started (pid "), "{printed}");
    assert_eq!(state(&foster, "a").as_deref(), Some("stopped"));
    foster.verb(&["start", "a"]).expect(0);
    foster.wait_for_file("a");
}

#[test]
fn a_replaced_process_is_stopped_with_its_own_definition() {
    let foster = start(
        "a command = 'puppet trap:INT:touch:int trap:INT:exit:0 touch:up pause'; stop_signal = 'INT'; pre_stop = 'puppet touch:old-way'; environment = { A = 'old' }",
    );
    foster.wait_for_file("up");
    rewrite(
        &foster,
        &programs(
            "a command = 'puppet pause'; stop_signal = 'USR1'; stop_timeout = '20s'; pre_stop = 'puppet touch:new-way'",
        ),
    );
    foster.verb(&["update"]).expect(0);
    assert!(foster.path("old-way").exists() && foster.path("int").exists());
    assert!(!foster.path("new-way").exists());
    foster.verb(&["restart", "a"]).expect(0);
    assert!(foster.path("new-way").exists());
}

#[test]
fn a_failed_start_fails_the_update_but_the_other_changes_are_applied() {
    let foster = start("a command = 'puppet pause'");
    rewrite(
        &foster,
        &programs(
            "a command = 'puppet report-signals pause'\n bad command = 'no-such-command'; on_failure = 'ignore'",
        ),
    );
    let printed = foster.verb(&["update"]).expect(1).stdout;
    assert!(
        printed.contains("bad: backoff: `no-such-command` is not in PATH")
            || printed.contains("bad: backoff"),
        "{printed}"
    );
    assert!(printed.contains("a: restarted"), "{printed}");
    foster.verb(&["update", "--no-wait"]).expect(0);
}

#[test]
fn a_second_update_is_answered_while_the_first_waits_and_both_get_a_reply() {
    let stubborn = |more: &str| {
        programs(&format!("a command = 'puppet ignore:TERM touch:up pause'; stop_timeout = '60s'{more}"))
    };
    let foster = Foster::new().config(&stubborn("")).start();
    foster.wait_for_file("up");
    foster.wait_for_state("a", "running");
    rewrite(&foster, &stubborn("; environment = { A = '1' }"));
    let first = Following::start(&foster, &["update"]);
    foster.wait_for_state("a", "stopping");
    rewrite(&foster, &programs("b command = 'puppet pause'"));
    let second = Following::start(&foster, &["update"]);
    foster.wait_for_state("b", "running");
    let row = foster.row("a").expect("a row until it has ended");
    assert_eq!(
        (row["state"].as_str(), row["note"].as_str()),
        (Some("stopping"), Some("removed from the configuration"))
    );
    foster.verb(&["start", "a"]).expect(1);
    foster.verb(&["signal", "KILL", "a"]).expect(0);
    let first = first.finish().expect(1).stdout;
    assert!(first.contains("a: removed by a later update\n"), "{first}");
    let second = second.finish().expect(0).stdout;
    assert!(second.contains("a: stopped and removed\n"), "{second}");
    assert!(foster.row("a").is_none());
}

#[test]
fn a_removed_program_that_is_added_again_before_its_exit_is_started_after_it() {
    let one = "a command = 'puppet ignore:TERM touch:up pause'; stop_timeout = '60s'";
    let two = format!("{one}\n b command = 'puppet pause'");
    let foster = Foster::new().config(&programs(&two)).start();
    foster.wait_for_file("up");
    foster.wait_for_state("b", "running");
    let before = foster.pid_of("a");
    rewrite(&foster, &programs("b command = 'puppet pause'"));
    foster.verb(&["update", "--no-wait"]).expect(0);
    rewrite(&foster, &programs(&two));
    let back = Following::start(&foster, &["update"]);
    foster.wait_for("an order to start a again", || foster.row("a").is_some_and(|row| row["wanted"] == true));
    foster.verb(&["signal", "KILL", "a"]).expect(0);
    let printed = back.finish().expect(0).stdout;
    assert!(printed.contains("a: restarted (pid "), "{printed}");
    assert_ne!(foster.pid_of("a"), before);
}

#[test]
fn an_update_during_a_shutdown_is_refused() {
    let mut foster = start("a command = 'puppet ignore:TERM touch:up wait-file:go'; stop_timeout = '60s'");
    foster.wait_for_file("up");
    foster.signal(Signal::SIGTERM);
    foster.wait_for_state("a", "stopping");
    rewrite(&foster, &programs("b command = 'puppet touch:b pause'"));
    let printed = foster.verb(&["update"]).expect(1).text();
    assert!(printed.contains("shutting down"), "{printed}");
    foster.signal(Signal::SIGHUP);
    foster.wait_for_line("the configuration is not read again: foster is shutting down");
    fs::write(foster.path("go"), "").expect("a file");
    assert_eq!(foster.wait_exit(), End::Code(0));
    assert!(!foster.path("b").exists());
}

#[test]
fn a_follower_of_output_continues_after_an_update() {
    let foster = start(
        "a command = 'puppet print:first pause'
        old command = 'puppet trap:TERM:lines:1000 trap:TERM:exit:0 print:last pause'",
    );
    foster.wait_for_line("first");
    foster.wait_for_line("last");
    let mut all = Following::start(&foster, &["logs", "-f"]);
    let mut removed = Following::start(&foster, &["logs", "-f", "old"]);
    // The followers have printed the earlier lines.
    let mut seen = all.next_lines(2);
    assert_eq!(removed.next_lines(1), "last\n");
    rewrite(
        &foster,
        &programs(
            "a command = 'puppet print:second pause'
            new command = 'puppet print:third pause'",
        ),
    );
    foster.verb(&["update"]).expect(0);
    // No program has the name any longer: the answer ends with the last lines.
    let rest = removed.finish().expect(0);
    assert_eq!(
        (rest.stdout.lines().count(), rest.stdout.lines().last()),
        (1000, Some("line 1000")),
        "{rest:?}"
    );
    foster.wait_for_line("second");
    foster.wait_for_line("third");
    seen += &all.next_lines(1002);
    for line in ["^a +. first$", "^a +. second$", "^new +. third$"] {
        assert!(matches(&seen, line), "no `{line}` in\n{seen}");
    }
}

#[test]
fn a_follower_that_does_not_read_gets_a_note_about_missed_lines_of_a_removed_program() {
    let old =
        "old command = 'puppet wait-file:go lines:100000 touch:done pause'; stdout = { file = '/dev/null' }";
    let a = "a command = 'puppet pause'";
    let foster = start(&format!("{a}\n{old}"));
    let mut stuck = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    stuck.write_all(b"{\"verb\":\"logs\",\"follow\":true,\"names\":[\"old\"]}\n").expect("a request");
    foster.verb(&["status"]).expect(0);
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_file("done");
    rewrite(&foster, &programs(a));
    foster.verb(&["update"]).expect(0);
    foster.verb(&["logs", "old"]).expect(1);
    stuck.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let replies: Vec<String> = BufReader::new(&stuck)
        .lines()
        .map(|line| line.expect("a line"))
        .take_while(|line| line != "{\"reply\":\"end\"}")
        .collect();
    assert_eq!(replies.last().map(String::as_str), Some("{\"reply\":\"missed\",\"name\":\"old\"}"));
}

#[test]
fn events_show_an_update_and_a_follower_of_a_removed_program_ends_with_its_removal() {
    let foster = start("a command = 'puppet pause'\n old command = 'puppet pause'");
    let mut all =
        Following::start(&foster, &["events", "-f", "--event", "changed,removed,updated,update_failed"]);
    all.wait_until_asked(&foster);
    let removed = Following::start(&foster, &["events", "-f", "-n", "0", "old"]);
    removed.wait_until_asked(&foster);
    rewrite(&foster, &programs("a comand = 'puppet pause'"));
    foster.verb(&["update"]).expect(1);
    rewrite(&foster, &programs("a command = 'puppet pause'; stop_timeout = '1s'"));
    foster.verb(&["update"]).expect(0);
    let seen = all.next_lines(4);
    let lines = seen.lines().zip([
        r"foster +update_failed +cannot load the configuration: 1 error; nothing was changed$",
        r"a +changed +changed without a restart: stop_timeout$",
        r"foster +updated +updated from `.*foster.toml`: 1 changed, 1 removed$",
        r"old +removed +removed$",
    ]);
    for (line, pattern) in lines {
        assert!(matches(line, pattern), "no `{pattern}` in\n{seen}");
    }
    let printed = removed.finish().expect(0).stdout;
    let names: Vec<&str> = printed.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(names, ["stopping", "stopped", "removed"], "{printed}");
    foster.verb(&["events", "old"]).expect(1);
}

#[test]
fn exec_uses_the_current_definition() {
    let foster = start("a command = 'puppet pause'; environment = { COLOUR = 'red' }");
    let colour = || foster.verb(&["exec", "a", "--", "sh", "-c", "echo $COLOUR"]).expect(0).stdout;
    assert_eq!(colour(), "red\n");
    // A stopped program uses the new definition from its next start on.
    foster.verb(&["stop", "a"]).expect(0);
    rewrite(
        &foster,
        &programs(
            "a command = 'puppet pause'; environment = { COLOUR = 'green' }\n new command = 'puppet pause'; environment = { COLOUR = 'blue' }",
        ),
    );
    foster.verb(&["update"]).expect(0);
    assert_eq!(colour(), "green\n");
    assert_eq!(foster.verb(&["exec", "new", "--", "sh", "-c", "echo $COLOUR"]).expect(0).stdout, "blue\n");
}

#[test]
fn settings_of_foster_are_applied_or_reported() {
    let app = programs("a command = 'puppet trap:USR1:print:hello touch:up pause'");
    let foster = Foster::new().config(&app).start();
    foster.wait_for_file("up");
    foster.wait_for_state("a", "running");
    let before = foster.pid_of("a");
    fs::write(
        foster.path("foster.toml"),
        format!("{app}[foster]\nlog_format = 'json'\nlog_level = 'debug'\nshutdown_timeout = '3s'\nsocket = '/elsewhere'\ntermination_log = '/nowhere'\n[signals]\nWINCH = 'forward:a:USR1'\n"),
    )
    .expect("foster.toml");
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(
        printed.contains("foster: log_format, log_level, shutdown_timeout and [signals] applied\n"),
        "{printed}"
    );
    assert!(
        printed.contains(
            "foster: a change of socket and termination_log takes effect when the container is recreated\n"
        ),
        "{printed}"
    );
    foster.signal(Signal::SIGWINCH);
    foster.wait_for("a line of a run under way as JSON", || {
        foster
            .output()
            .stdout()
            .lines()
            .any(|line| line.contains("\"program\":\"a\"") && line.contains("\"msg\":\"hello\""))
    });
    assert_eq!(foster.pid_of("a"), before);
    // After the change back, a signal that the table does not name has no effect.
    rewrite(&foster, &app);
    foster.verb(&["update"]).expect(0);
    foster.signal(Signal::SIGWINCH);
    foster.signal(Signal::SIGUSR2);
    foster.wait_for_line(r"^foster \| a: running, pid ");
    assert_eq!(foster.output().stdout().matches("hello").count(), 1);
}

#[test]
fn a_file_that_is_not_a_configuration_is_an_error_and_blocks_nothing() {
    let foster = start("a command = 'puppet pause'");
    let before = foster.pid_of("a");
    let path = foster.path("foster.toml");
    let good = fs::read_to_string(&path).expect("foster.toml");
    let update = |expected: &str| {
        let printed = foster.verb(&["update"]).expect(1).stderr;
        assert!(printed.contains(expected) && printed.contains("nothing was changed"), "{printed}");
    };
    fs::remove_file(&path).expect("a file");
    update("foster.toml: error: cannot read the file: No such file or directory");
    mkfifo(&path, Mode::S_IRWXU).expect("a pipe");
    update("not a regular file");
    fs::remove_file(&path).expect("a pipe");
    std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
    update("not a regular file");
    fs::remove_file(&path).expect("a link");
    fs::create_dir(&path).expect("a folder");
    update("cannot read the file: Is a directory");
    fs::remove_dir(&path).expect("a folder");
    fs::write(&path, "").expect("a file");
    update("no program is enabled");
    fs::write(&path, "#".repeat(5 << 20)).expect("a file");
    update("it is larger than 4 MiB");
    fs::write(&path, b"\xff\xfe").expect("a file");
    update("not UTF-8");
    fs::write(&path, programs("a command = 'x'; after = ['b']\n b command = 'x'; after = ['a']"))
        .expect("a file");
    update("wait for each other");
    fs::write(&path, format!("include = 'more.toml'\n{good}")).expect("a file");
    fs::write(foster.path("more.toml"), programs("a command = 'x'")).expect("a file");
    update("program `a` is defined twice");
    fs::write(foster.path("more.toml"), "include = 'foster.toml'").expect("a file");
    update("the files include each other in a cycle");
    let many: String = (0..30_000).map(|n| format!("key{n} = 1\n")).collect();
    fs::write(&path, many).expect("a file");
    update("more\n");
    fs::write(&path, good).expect("a file");
    assert_eq!(foster.verb(&["update"]).expect(0).stdout, "foster: 1 program unchanged\n");
    assert_eq!(foster.pid_of("a"), before);
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_with_its_reason() {
    let foster = Foster::new().config(&programs("a command = 'puppet pause'")).uid(12_345).start();
    foster.wait_for_line("a: starting");
    fs::write(foster.path("secret.toml"), "").expect("a file");
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(foster.path("secret.toml"), closed).expect("its mode");
    fs::write(
        foster.path("foster.toml"),
        format!("include = 'secret.toml'\n{}", programs("a command = 'x'")),
    )
    .expect("a file");
    foster.signal(Signal::SIGHUP);
    foster.wait_for_line("foster.toml:1:11: cannot read `.*secret.toml`: Permission denied");
}

#[test]
fn each_update_expands_includes_again() {
    let foster = Foster::new()
        .config(&format!("include = 'conf.d/*.toml'\n{}", programs("a command = 'puppet pause'")))
        .file("conf.d/one.toml", &programs("one command = 'puppet pause'"))
        .start();
    foster.wait_for_state("one", "running");
    fs::write(foster.path("conf.d/two.toml"), programs("two command = 'puppet pause'")).expect("a file");
    fs::remove_file(foster.path("conf.d/one.toml")).expect("a file");
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("one: stopped and removed") && printed.contains("two: started"), "{printed}");
}

#[test]
fn a_client_that_waits_for_a_removed_program_is_answered() {
    let foster = start(
        "a command = 'puppet pause'
        slow command = 'puppet pause'; autostart = false; ready = { file = 'go' }",
    );
    let starting = Following::start(&foster, &["restart", "slow"]);
    foster.wait_for_state("slow", "starting");
    rewrite(&foster, &programs("a command = 'puppet pause'"));
    foster.verb(&["update"]).expect(0);
    let printed = starting.finish().expect(1).stdout;
    assert!(printed.starts_with("slow: "), "{printed}");
}

#[test]
fn three_hundred_updates_leak_no_memory_and_no_descriptor() {
    let plans: Vec<String> = (0..4)
        .map(|n| programs(&format!("keeper command = 'puppet pause'\n turn{n} command = 'puppet print:{n} pause'\n again command = 'puppet print:{n} pause'")))
        .collect();
    let foster = Foster::new().config(&plans[0]).alone().start();
    foster.wait_for_state("keeper", "running");
    let keeper = foster.pid_of("keeper");
    let update = |times: usize| {
        for n in 0..times {
            rewrite(&foster, &plans[n % plans.len()]);
            foster.verb(&["update"]).expect(0);
        }
        (resident_kib(foster.pid()), descriptors(foster.pid()).len())
    };
    let (kib, open) = update(80);
    let (after, _) = update(220);
    assert!(after <= kib + 256, "{kib} KiB before, {after} KiB after");
    // The last client's connection may still be open, before as well as after.
    foster.wait_for("as many descriptors as before", || descriptors(foster.pid()).len() <= open);
    assert_eq!(foster.pid_of("keeper"), keeper);
}

#[test]
fn a_client_that_waits_for_an_update_is_answered_at_a_shutdown() {
    let mut foster = start(
        "a command = 'puppet pause'
        stubborn command = 'puppet trap:TERM:print:ignoring touch:up pause'; stop_timeout = '1m'",
    );
    foster.wait_for_file("up");
    rewrite(&foster, &programs("a command = 'puppet pause'"));
    let updating = Following::start(&foster, &["update"]);
    foster.wait_for_line("ignoring");
    // Twice, so that the stubborn program is killed at once.
    foster.signal(Signal::SIGTERM);
    foster.wait_for_line("shutting down");
    foster.signal(Signal::SIGINT);
    foster.wait_exit();
    let printed = updating.finish();
    assert_ne!(printed.code, 4, "{}", printed.text());
    assert!(!printed.text().contains("ended before it answered"), "{}", printed.text());
}

/// FOSTER_TEST_FAULT, which only debug builds have, causes a fault in the first update.
#[test]
#[cfg(debug_assertions)]
fn a_fault_in_foster_while_it_reads_the_configuration_spares_the_programs() {
    let config = "[program.a]\ncommand = 'puppet pause'\n[program.b]\ncommand = 'puppet pause'\n";
    for by_signal in [false, true] {
        let foster = Foster::new().config(config).env("FOSTER_TEST_FAULT", "update").start();
        let pids = || ["a", "b"].map(|name| foster.pid_of(name));
        for name in ["a", "b"] {
            foster.wait_for_state(name, "running");
        }
        let before = pids();
        if by_signal {
            foster.signal(Signal::SIGHUP);
        } else {
            let said = foster.verb(&["update"]).expect(1).text();
            assert!(said.contains("asked for by FOSTER_TEST_FAULT"), "{said}");
        }
        foster.wait_for_line("asked for by FOSTER_TEST_FAULT");
        assert_eq!(pids(), before);
        fs::write(foster.path("foster.toml"), config.replace("[program.b]", "[program.c]")).expect("a file");
        foster.verb(&["update"]).expect(0);
        foster.wait_for_state("c", "running");
        assert_eq!(foster.pid_of("a"), before[0]);
    }
}
