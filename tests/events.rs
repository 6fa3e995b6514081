//! `foster events`: state changes and their causes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use crate::steadiness::{flickering, restarts_of_all};
use crate::support::{End, Following, Foster, Running};
use regex_lite::Regex;

const FLAPPY: &str = "[program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n[program.flappy]\ncommand = 'puppet exit:3'\nstart_limit = 2\nbackoff = { initial = '1ms' }\non_failure = 'ignore'\n";

fn flappy() -> Running {
    let foster = Foster::new().config(FLAPPY).start();
    foster.wait_for_state("web", "running");
    foster.wait_for_state("flappy", "fatal");
    foster
}

fn events(foster: &Running, arguments: &[&str]) -> Vec<Value> {
    let output = foster.verb(&[&["events", "--json"], arguments].concat()).expect(0).stdout;
    output.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"].as_str().expect("a name")).collect()
}

#[test]
fn every_state_change_is_an_event_with_its_cause_and_the_fields_of_the_log() {
    let foster = Foster::new().config(&format!("{FLAPPY}[foster]\nlog_format = 'json'\n")).start();
    foster.wait_for_state("web", "running");
    foster.wait_for_state("flappy", "fatal");
    let all = events(&foster, &["flappy"]);
    assert_eq!(names(&all), ["starting", "exited", "starting", "exited"]);
    let last = &all[3];
    assert_eq!((&last["from"], &last["to"]), (&Value::from("starting"), &Value::from("fatal")));
    assert_eq!((&last["exit_code"], &last["failures"]), (&Value::from(3), &Value::from(2)));
    // The line of the log has the same fields, except for the time.
    let log = foster.output().stderr();
    let in_the_log = |event: &Value| {
        let mut event = event.clone();
        event["ts"] = Value::Null;
        log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|mut line| {
            line["ts"] = Value::Null;
            line == event
        })
    };
    foster.wait_for_line("\"event\":\"exited\".*\"to\":\"fatal\"");
    assert!(all.iter().all(in_the_log), "{all:?}\n{log}");
}

#[test]
fn events_are_filtered_by_program_event_and_state_and_counted_from_the_end() {
    let foster = flappy();
    assert_eq!(names(&events(&foster, &["web"])), ["starting", "ready"]);
    assert_eq!(names(&events(&foster, &["w*", "--event", "ready,exited"])), ["ready"]);
    assert_eq!(names(&events(&foster, &["--state", "fatal"])), ["exited"]);
    assert_eq!(names(&events(&foster, &["-n", "1", "flappy"])), ["exited"]);
    assert_eq!(events(&foster, &["-n", "0"]), Vec::<Value>::new());
    let text = foster.verb(&["events", "--state", "fatal"]).expect(0).stdout;
    assert!(
        Regex::new("Z  flappy  exited +exited with status 3").expect("a pattern").is_match(&text),
        "{text}"
    );
    let output = foster.verb(&["events", "wbe"]).expect(1).text();
    assert!(output.contains("did you mean `web`?"), "{output}");
    foster.verb(&["events", "--event", "exitd"]).expect(2);
}

#[test]
fn a_follower_gets_all_events_until_shutdown_and_exits_with_0() {
    let mut foster = flappy();
    let follower = Following::start(&foster, &["events", "-f", "--json", "-n", "0"]);
    follower.wait_until_asked(&foster);
    foster.verb(&["restart", "web"]).expect(0);
    assert_eq!(foster.terminate(), End::Code(0));
    let finished = follower.finish().expect(0);
    let seen: Vec<Value> =
        finished.stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let expected = ["stopping", "stopped", "starting", "ready", "shutdown", "stopping", "stopped", "exit"];
    assert_eq!(names(&seen), expected);
    assert_eq!(seen[4]["program"], "foster");
    assert_eq!(seen[7]["exit_status"], 0);
}

#[test]
fn a_follower_that_does_not_read_delays_no_client_and_gets_the_number_of_missed_events() {
    let foster = Foster::new().config(&flickering(100, "error")).start();
    foster.wait_for("the socket", || foster.row("flicker0").is_some());
    let mut stuck = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    stuck.write_all(b"{\"verb\":\"events\",\"follow\":true}\n").expect("a request");
    // More events than the socket, foster's queue and its history hold together.
    foster.wait_for("2500 restarts", || restarts_of_all(&foster) > 2_500);
    foster.verb(&["stop", "all"]).expect(0);
    stuck.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let missed = BufReader::new(&stuck)
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.expect("a line")).expect("an object"))
        .find(|reply| reply["reply"] == "missed")
        .expect("a reply about the gap");
    assert!(missed["count"].as_u64().is_some_and(|count| count > 100), "{missed}");
}

#[test]
fn a_half_closed_client_is_answered_and_keeps_following() {
    let foster = flappy();
    let mut client = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    client.write_all(b"{\"verb\":\"events\",\"follow\":true,\"names\":[\"web\"]}\n").expect("a request");
    client.shutdown(Shutdown::Write).expect("a half-closed connection");
    client.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut lines = BufReader::new(&client).lines().map(|line| line.expect("a line"));
    assert!(lines.any(|line| line.contains("\"ready\"")));
    foster.verb(&["stop", "web"]).expect(0);
    assert!(lines.any(|line| line.contains("\"stopped\"")));
    let mut status = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    status.write_all(b"{\"verb\":\"status\"}\n").expect("a request");
    status.shutdown(Shutdown::Write).expect("a half-closed connection");
    let mut answer = String::new();
    status.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with("{\"reply\":\"end\"}\n"), "{answer}");
}
