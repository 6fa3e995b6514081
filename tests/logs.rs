//! `foster logs`: the last lines of programs, and new lines as they arrive.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::support::{End, Following, Foster};

#[test]
fn the_output_of_several_programs_is_followed_with_aligned_names_until_the_end() {
    let program = |name: &str, more: &str| {
        format!(
            "[program.{name}]\ncommand = 'puppet trap:TERM:print:{name}-ends trap:TERM:exit:0 print:{name}-begins pause'\nready = {{ log = 'begins' }}\n{more}"
        )
    };
    let config = [program("a", ""), program("backend", "autostart = false\n")].concat();
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_line("a-begins");
    let follower = Following::start(&foster, &["logs", "-f"]);
    follower.wait_until_asked(&foster);
    // A program that starts later.
    foster.verb(&["start", "backend"]).expect(0);
    foster.verb(&["restart", "a"]).expect(0);
    assert_eq!(foster.terminate(), End::Code(0));
    let seen = follower.finish().expect(0).stdout;
    let of = |name: &str| -> Vec<String> {
        seen.lines().filter(|line| line.starts_with(name)).map(str::to_owned).collect()
    };
    let a = "a       | a";
    assert_eq!(of("a "), ["begins", "ends", "begins", "ends"].map(|word| format!("{a}-{word}")), "{seen}");
    assert_eq!(of("backend "), ["backend | backend-begins", "backend | backend-ends"], "{seen}");
    assert_eq!(seen.lines().count(), 6, "{seen}");
}

#[test]
fn a_glob_and_a_number_of_lines_select_lines() {
    let program = |name: &str| {
        format!("[program.{name}]\ncommand = 'puppet lines:5 touch:{name}.up pause'\nmin_uptime = '1ms'\n")
    };
    let foster = Foster::new().config(&[program("web1"), program("web2"), program("db")].concat()).start();
    for name in ["web1", "web2", "db"] {
        foster.wait_for_file(&format!("{name}.up"));
    }
    let count = |arguments: &[&str]| {
        let mut lines = 0;
        foster.wait_for("the lines", || {
            lines = foster.verb(arguments).expect(0).stdout.lines().count();
            lines >= 5
        });
        lines
    };
    assert_eq!(count(&["logs", "db"]), 5);
    foster.wait_for("all lines of both", || count(&["logs", "web*"]) == 10);
    assert_eq!(count(&["logs", "-n", "7", "web*"]), 7);
    assert_eq!(foster.verb(&["logs", "-n", "0"]).expect(0).stdout, "");
    foster.verb(&["logs", "wbe1"]).expect(1);
    foster.verb(&["logs", "-n", "many"]).expect(2);
}

#[test]
fn all_lines_in_memory_of_many_programs_are_shown() {
    let programs: String = (0..30)
        .map(|n| {
            format!("[program.p{n}]\ncommand = 'puppet lines:3000 touch:up.{n} pause'\nmin_uptime = '1ms'\n")
        })
        .collect();
    let foster = Foster::new().config(&format!("{programs}[foster]\nlog_level = 'error'\n")).start();
    (0..30).for_each(|n| foster.wait_for_file(&format!("up.{n}")));
    let mut last = 0;
    foster.wait_for("the last line of each", || {
        let seen = foster.verb(&["logs"]).expect(0).stdout;
        last = seen.lines().filter(|line| line.ends_with(" | line 3000")).count();
        last == 30
    });
    let seen = foster.verb(&["logs", "p7"]).expect(0).stdout;
    let numbers: Vec<u32> =
        seen.lines().filter_map(|line| line.strip_prefix("line ")?.parse().ok()).collect();
    assert!(numbers.len() > 500 && numbers.is_sorted_by(|one, next| one + 1 == *next), "{}", numbers.len());
}

#[test]
fn a_follower_that_reads_nothing_blocks_no_program_and_gets_a_note_about_missed_lines() {
    let config = "[program.app]\ncommand = 'puppet wait-file:go lines:200000 touch:done pause'\nstdout = { file = '/dev/null' }\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "running");
    let mut stuck = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    stuck.write_all(b"{\"verb\":\"logs\",\"follow\":true}\n").expect("a request");
    foster.verb(&["status"]).expect(0);
    std::fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_file("done");
    stuck.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let replies = BufReader::new(&stuck)
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("an object"));
    let mut missed = false;
    for reply in replies {
        missed |= reply["reply"] == "missed" && reply["name"] == "app";
        if reply["text"] == "line 200000" {
            break;
        }
    }
    assert!(missed, "no reply about the gap");
}

#[test]
fn lines_have_their_time_and_since_omits_old_ones() {
    let config =
        "[program.web]\ncommand = 'puppet print:hello partial:password: pause'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_line("hello");
    foster.wait_for("the unfinished line", || foster.verb(&["logs", "web"]).stdout.contains("password"));
    let said = foster.verb(&["logs", "-t", "web"]).expect(0).stdout;
    let mut lines = said.lines();
    let line = lines.next().expect("a line");
    assert!(line.starts_with("20") && line.ends_with("Z  hello"), "{said}");
    assert!(lines.next().expect("a line").ends_with("password: [line not ended]"), "{said}");
    let json = foster.verb(&["logs", "--json", "--since", "1h", "web"]).expect(0).stdout;
    let lines: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["text"], &lines[1]["unfinished"]), (&"hello".into(), &true.into()), "{json}");
    assert!(lines[0]["ts"].as_str().expect("a time").ends_with('Z'), "{json}");
    let said = foster.verb(&["logs", "--since", "0s", "web"]).expect(0).stdout;
    assert!(!said.contains("hello"), "{said}");
}

#[test]
fn a_stream_that_foster_does_not_keep_is_reported_and_its_own_log_is_in_the_events() {
    let config = "[program.web]\ncommand = 'puppet print:hello pause'\nstdout = 'inherit'\nstderr = 'null'\nmin_uptime = '1ms'\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("web", "running");
    let said = foster.verb(&["logs", "web"]).expect(0);
    assert_eq!(said.stdout, "");
    assert!(said.stderr.contains("web: its stdout is not kept: it is set to `inherit`"), "{}", said.stderr);
    assert!(said.stderr.contains("web: its stderr is not kept: it is set to `null`"), "{}", said.stderr);
    let said = foster.verb(&["logs", "foster"]).expect(1).stderr;
    assert!(said.contains("`foster events`"), "{said}");
}

#[test]
fn an_unfinished_line_is_shown_with_a_mark() {
    let config = "[program.app]\ncommand = 'puppet print:whole partial:Password: touch:up pause'\nmin_uptime = '1ms'\nready = { log = 'Password' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for("both lines", || {
        foster.verb(&["logs", "app"]).expect(0).stdout == "whole\nPassword: [line not ended]\n"
    });
    assert!(!foster.output().stdout().contains("Password"), "an unfinished line is not written");
    assert_ne!(foster.row("app").expect("its row")["ready"], true, "a line is matched once it has ended");
    let seen = foster.verb(&["logs", "app", "--json"]).expect(0).stdout;
    let lines: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert!(lines[0]["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')), "{seen}");
    assert_eq!(
        (&lines[1]["unfinished"], &lines[1]["text"]),
        (&Value::Bool(true), &"Password:".into()),
        "{seen}"
    );
}
