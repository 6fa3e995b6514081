//! The output of programs and its destinations.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex_lite::Regex;
use serde_json::Value;

use crate::support::{End, Foster, Running};

/// Runs a program until it exits.
fn run(keys: &str) -> Running {
    let mut foster = Foster::new().config(&format!("[program.app]\nrestart = 'never'\n{keys}")).start();
    foster.wait_exit();
    foster
}

#[test]
fn a_line_follows_the_name_of_its_program() {
    let config = "[program.backend]\ncommand = 'puppet print:hello stderr:oops'\nrestart = 'never'\n[program.web]\ncommand = 'puppet print:hi'\nrestart = 'never'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(0));
    let (stdout, stderr) = (foster.output().stdout(), foster.output().stderr());
    assert!(stdout.lines().any(|line| line == "backend | hello"), "{stdout}");
    assert!(stdout.lines().any(|line| line == "web     | hi"), "{stdout}");
    assert!(stderr.lines().any(|line| line == "backend | oops"), "{stderr}");
    assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "no colour without a terminal");
}

#[test]
fn the_prefix_can_be_turned_off() {
    let foster = run("command = 'puppet print:bare'\nlog_prefix = false\n");
    assert_eq!(foster.output().stdout(), "bare\n");
}

#[test]
fn a_last_line_without_a_newline_gets_one() {
    let foster = run("command = 'puppet print:whole partial:part'\n");
    assert_eq!(foster.output().stdout(), "app    | whole\napp    | part\n");
}

#[test]
fn a_hundred_thousand_lines_are_complete_and_in_order() {
    let foster = run("command = 'puppet lines:100000'\nlog_prefix = false\n");
    let expected: String = (1..=100_000).map(|n| format!("line {n}\n")).collect();
    assert!(foster.output().stdout() == expected, "{}", foster.output().shown());
}

#[test]
fn a_long_line_is_written_in_pieces_without_a_loss() {
    let foster = run("command = 'puppet line:1000000 print:next'\nlog_prefix = false\n");
    let bytes = foster.output().stdout_bytes();
    assert_eq!(bytes.iter().filter(|&&byte| byte == b'x').count(), 1_000_000 + "next".matches('x').count());
    let longest = bytes.split(|&byte| byte == b'\n').map(<[u8]>::len).max().expect("a line");
    assert!(longest <= 16 * 1024, "{longest}");
    assert!(bytes.ends_with(b"\nnext\n"));
}

#[test]
fn lines_of_different_programs_are_never_mixed_within_a_line() {
    let program =
        |name: &str| format!("[program.{name}]\ncommand = 'puppet lines:20000'\nrestart = 'never'\n");
    let mut foster = Foster::new().config(&[program("a"), program("b"), program("c")].concat()).start();
    assert_eq!(foster.wait_exit(), End::Code(0));
    let whole = Regex::new(r"^[abc]      \| line \d+$").expect("a regular expression");
    let stdout = foster.output().stdout();
    assert_eq!(stdout.lines().count(), 60_000);
    assert_eq!(stdout.lines().find(|line| !whole.is_match(line)), None);
}

#[test]
fn json_is_one_object_per_line_with_the_promised_fields() {
    let config = "[program.app]\ncommand = 'puppet print:hello bytes stderr:oops exit:4'\nrestart = 'never'\n[foster]\nlog_format = 'json'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(4));
    let parse = |text: String| -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}")))
            .collect()
    };
    let stdout = parse(foster.output().stdout());
    assert_eq!(stdout.len(), 2);
    assert_eq!(stdout[0]["msg"], "hello");
    assert_eq!(stdout[0]["program"], "app");
    assert_eq!(stdout[0]["stream"], "stdout");
    assert_eq!(stdout[0]["instance"], 0);
    assert!(stdout[0]["pid"].is_u64());
    let stamp = Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$").expect("a regular expression");
    assert!(stamp.is_match(stdout[0]["ts"].as_str().expect("a time")), "{}", stdout[0]);
    assert_eq!(stdout[1]["msg"], "\u{fffd}\u{fffd}!");
    let stderr = parse(foster.output().stderr());
    assert!(stderr.iter().any(|line| line["msg"] == "oops" && line["stream"] == "stderr"), "{stderr:?}");
    assert!(stderr.iter().any(|line| line["exit_code"] == 4 && line["level"].is_string()), "{stderr:?}");
    let last = stderr.last().expect("a summary");
    assert_eq!(last["event"], "exit", "{last}");
}

#[test]
fn inherit_is_fosters_descriptor_and_null_discards() {
    let foster = run("command = 'puppet print:direct stderr:gone'\nstdout = 'inherit'\nstderr = 'null'\n");
    assert_eq!(foster.output().stdout(), "direct\n");
    assert!(!foster.output().stderr().contains("gone"));
}

#[test]
fn a_file_rotates_by_size_without_losing_or_splitting_a_line() {
    let foster =
        run("command = 'puppet lines:2000'\nstdout = { file = 'app.log', max_size = '4K', keep = 20 }\n");
    let mut whole = String::new();
    for name in (1..=20).rev().map(|n| format!("app.log.{n}")).chain(["app.log".to_owned()]) {
        let part = foster.content(&name);
        assert!(part.len() <= 4096, "{name} has {} bytes", part.len());
        assert!(part.is_empty() || part.ends_with('\n'), "{name} ends within a line");
        whole.push_str(&part);
    }
    let expected: String = (1..=2000).map(|n| format!("line {n}\n")).collect();
    assert_eq!(whole, expected);
}

#[test]
fn only_the_configured_number_of_rotated_files_is_kept() {
    let foster =
        run("command = 'puppet lines:5000'\nstdout = { file = 'app.log', max_size = '4K', keep = 2 }\n");
    assert!(foster.path("app.log.2").exists());
    assert!(!foster.path("app.log.3").exists());
}

#[test]
fn the_output_of_a_program_comes_before_the_report_of_its_exit() {
    let config = "[program.app]\ncommand = 'puppet lines:5000 print:last_words exit:5'\nrestart = 'never'\n";
    let mut foster = Foster::new().config(config).one_stream().start();
    assert_eq!(foster.wait_exit(), End::Code(5));
    let seen = foster.output().stdout();
    let (words, death) = (seen.find("last_words"), seen.find("exited with status 5"));
    assert!(words.is_some() && words < death, "{}", foster.output().shown());
}

#[test]
fn a_descendant_that_holds_the_pipe_open_delays_nothing() {
    let config = "[program.app]\ncommand = \"puppet append:starts:x 'child:setsid pause' print:bye exit:1\"\nbackoff = { initial = '1ms' }\nstart_limit = 3\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1));
    assert_eq!(foster.content("starts").lines().count(), 3);
}

#[test]
fn a_program_may_open_its_streams_again_after_dropping_its_privileges() {
    if !crate::support::may_make_namespaces() {
        return;
    }
    let config = "[program.web]\ncommand = 'puppet reopen-stdout:out reopen-stderr:err'\nuser = '12345:12345'\nrestart = 'never'\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    assert!(foster.output().stdout().contains("web    | out"), "{}", foster.output().shown());
    assert!(foster.output().stderr().contains("web    | err"), "{}", foster.output().shown());
}

#[test]
fn a_stopped_reader_blocks_the_writer_and_never_foster() {
    let config = "[program.flooding]\ncommand = 'puppet flood'\n[program.crashing]\ncommand = 'puppet append:starts:x pause'\nmin_uptime = '1ms'\n[foster]\nshutdown_timeout = '1s'\n";
    let mut foster = Foster::new().config(config).start();
    foster.output().stop_reading_stdout();
    foster.wait_for_state("crashing", "running");
    let flooding = foster.pid_of("flooding");
    let (mut seen, mut looks) = (0, 0);
    foster.wait_for("the writer to be stopped", || {
        let now = written(flooding);
        looks = if now == seen { looks + 1 } else { 0 };
        seen = now;
        looks == 30
    });
    let victim = foster.pid_of("crashing");
    let before = Instant::now();
    kill(Pid::from_raw(victim), Signal::SIGKILL).expect("a signal");
    foster.wait_for("the restart", || foster.content("starts").lines().count() == 2);
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    foster.verb(&["status"]).expect(0);
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    // Without a reader the output is kept until `shutdown_timeout`.
    assert!(at - before < Duration::from_secs(3), "{:?}", at - before);
}

/// The number of bytes that a process has written (proc_pid_io(5)).
fn written(pid: i32) -> u64 {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).expect("a live process");
    io.lines().find_map(|line| line.strip_prefix("wchar: ")?.parse().ok()).expect("wchar")
}

#[test]
fn all_output_is_written_before_the_exit_if_the_reader_continues() {
    let config = "[program.app]\ncommand = 'puppet lines:50000'\nrestart = 'never'\nlog_prefix = false\n[foster]\nshutdown_timeout = '1m'\n";
    let mut foster = Foster::new().config(config).start();
    foster.output().stop_reading_stdout();
    foster.wait_for_state("app", "running");
    foster.output().read_stdout_again();
    assert_eq!(foster.wait_exit(), End::Code(0));
    assert_eq!(foster.output().stdout().lines().last(), Some("line 50000"));
}

#[test]
fn a_full_disk_blocks_no_program_and_the_loss_is_counted() {
    let config =
        "[program.app]\ncommand = 'puppet lines:3000 touch:done pause'\nstdout = { file = '/dev/full' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("done");
    foster.wait_for_line(r"/dev/full.*No space left");
}

/// Runs a program until foster exits; returns the summary, which must be the same at the end of stderr and in the
/// termination log.
fn summary_of(program: &str) -> String {
    let config = format!(
        "[program.web]\n{program}\nstart_limit = 2\nbackoff = {{ initial = '1ms' }}\n[foster]\ntermination_log = 'log'\n"
    );
    let mut foster = Foster::new().config(&config).file("log", "").start();
    foster.wait_exit();
    let (summary, stderr) = (foster.content("log"), foster.output().stderr());
    let shown: String = summary.lines().map(|line| format!("foster | {line}\n")).collect();
    let shown = shown.replacen("foster | ", "foster | error: ", 1);
    assert!(stderr.ends_with(&shown), "{summary}\n{}", foster.output().shown());
    summary
}

#[test]
fn the_summary_has_the_last_output_of_the_last_run_with_repeated_lines_counted() {
    let summary = summary_of(
        "command = 'puppet append:starts:x print:one lines:2 print:same print:same print:same exit:3'",
    );
    let (head, rest) = summary.split_once('\n').expect("a line");
    let cause = head.strip_prefix("exit status 3: web exited with status 3 after ").expect("the cause");
    assert!(cause.ends_with("ms; gave up after 2 failures in a row"), "{cause}");
    let output = "one\nline 1\nline 2\nsame\n(the previous line, 2 more times)\n";
    assert_eq!(rest, format!("last output of web:\n{output}"));
}

#[test]
fn the_summary_has_the_reason_of_a_failed_start() {
    let summary = summary_of("command = ['/no/such/program']");
    let (head, rest) = summary.split_once('\n').expect("a line");
    assert!(head.starts_with("exit status 1: web could not be started: "), "{summary}");
    assert!(head.contains("/no/such/program") && head.contains("No such file or directory"), "{summary}");
    assert!(head.ends_with("; gave up after 2 failures in a row") && rest.is_empty(), "{summary}");
}

#[test]
fn the_summary_has_the_reason_of_a_failed_readiness_probe() {
    let summary =
        summary_of("command = 'puppet pause'\nready = { file = '/no/such/file', timeout = '50ms' }");
    let (head, _) = summary.split_once('\n').expect("a line");
    assert!(head.starts_with("exit status 1: web was not ready within "), "{summary}");
    assert!(head.contains(": /no/such/file does not exist; gave up after 2"), "{summary}");
}

#[test]
fn an_error_that_keeps_foster_from_starting_is_logged_once_in_the_configured_format() {
    for (format, expected) in [("text", "foster: error: already running here "), ("json", "{\"ts\":\"")] {
        let config = format!("[program.app]\ncommand = 'puppet pause'\n[foster]\nlog_format = '{format}'\n");
        let foster = Foster::new().config(&config).start();
        foster.wait_for_state("app", "running");
        let second =
            Foster::new().config(&format!("{config}socket = '{}'\n", foster.path("foster.sock").display()));
        let seen = second.finish(&["run", "-c", "foster.toml"]).stderr;
        assert!(seen.starts_with(expected) && seen.lines().count() == 1, "{seen}");
        assert!(!seen.contains("foster: foster:") && !seen.contains("\n\n"), "{seen}");
    }
}

#[test]
fn a_log_file_is_not_opened_through_a_link_of_the_programs_user() {
    if !crate::support::may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = 'puppet print:injected touch:up pause'\nuser = '12345:12345'\nstdout = { file = 'logs/app.log' }\n";
    let foster =
        Foster::new().config(&config.replace("touch:up ", "")).file("secret", "of root\n").file("logs/x", "");
    std::os::unix::fs::chown(foster.folder().join("logs"), Some(12345), Some(12345)).expect("an owner");
    std::os::unix::fs::symlink("../secret", foster.folder().join("logs/app.log")).expect("a link");
    let mut foster = foster.start();
    foster.wait_for_line(
        r"cannot open .*app\.log`: a symbolic link in a folder that another user can write to",
    );
    foster.wait_for("the line in memory", || foster.verb(&["logs", "app"]).stdout == "injected\n");
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!(foster.content("secret"), "of root\n");
}

#[test]
fn a_log_file_is_opened_again_once_its_folder_exists() {
    let config = "[program.app]\ncommand = 'puppet print:lost wait-file:go flood'\nmin_uptime = '1ms'\nstdout = { file = 'later/app.log', max_size = '4K', keep = 1 }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_line(r"cannot open .*app\.log`: No such file or directory");
    std::fs::create_dir(foster.path("later")).expect("a folder");
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_line(r"app\.log` can be written again; \d+ lines were dropped");
    foster.wait_for("lines in it", || foster.content("later/app.log").contains("flood"));
}

#[test]
fn with_log_timestamps_every_line_of_both_streams_starts_with_a_time_also_after_an_update() {
    let config =
        "[program.app]\ncommand = \"puppet trap:USR1:print:out trap:USR1:stderr:err touch:up pause\"\n";
    let with = format!("{config}[foster]\nlog_timestamps = true\n");
    let time = Regex::new(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z ").expect("a pattern");
    let mut first = Foster::new().config(&with).start();
    first.wait_for_file("up");
    first.verb(&["signal", "USR1", "app"]).expect(0);
    first.wait_for_line(r"Z +app +\| out$");
    first.wait_for_line(r"Z +app +\| err$");
    assert_eq!(first.terminate(), End::Code(0));
    let (stdout, stderr) = (first.output().stdout(), first.output().stderr());
    for line in stdout.lines().chain(stderr.lines()) {
        assert!(time.is_match(line), "{line}");
    }
    let later = Foster::new().config(config).start();
    later.wait_for_file("up");
    later.verb(&["signal", "USR1", "app"]).expect(0);
    later.wait_for_line(r"^app +\| out$");
    std::fs::write(later.path("foster.toml"), &with).expect("a file");
    later.verb(&["update"]).expect(0);
    later.verb(&["signal", "USR1", "app"]).expect(0);
    later.wait_for_line(r"^\d{4}-\S+Z +app +\| out$");
    later.wait_for_line(r"^\d{4}-\S+Z +app +\| err$");
}
