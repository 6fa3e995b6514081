//! Rolling restarts: `foster reload` of programs without a `reload_signal`, and `foster update`.

mod load;

use std::fs;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{End, Following, Foster, Running, free_port, get};

fn program(name: &str, keys: &str) -> String {
    format!("[program.{name}]\nmin_uptime = '1ms'\n{}\n", keys.replace("; ", "\n"))
}

/// Started, with everything that is autostarted up.
fn start(text: &str) -> Running {
    up(Foster::new(), text)
}

fn up(foster: Foster, text: &str) -> Running {
    let foster = foster.config(text).start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    foster
}

/// Writes the whole file again, with the same socket.
fn rewrite(foster: &Running, text: &str) {
    let socket = foster.path("foster.sock");
    let text = format!("{text}\n[foster]\nsocket = '{}'\n", socket.display());
    fs::write(foster.path("foster.toml"), text).expect("foster.toml");
}

/// The number of its main process, as foster sees it.
fn pid(foster: &Running, name: &str) -> i64 {
    foster.wait_for_state(name, "running");
    foster.row(name).and_then(|row| row["pid"].as_i64()).expect("a pid")
}

fn note(foster: &Running, name: &str) -> Option<String> {
    foster.row(name).and_then(|row| row["note"].as_str().map(str::to_owned))
}

const GOOD: &str = "command = 'puppet print:good touch:up pause'; ready = { log = 'good' }";

#[test]
fn reload_restarts_a_program_without_a_signal_for_it_and_returns_when_it_is_ready() {
    let foster = start(&program("web", GOOD));
    let before = pid(&foster, "web");
    let printed = foster.verb(&["reload", "web"]).expect(0).stdout;
    let after = pid(&foster, "web");
    assert_ne!(before, after);
    assert_eq!(printed, format!("web: restarted (pid {after})\n"));
    let json = foster.verb(&["reload", "--json", "web"]).expect(0).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["done"], &json["outcomes"][0]["verdict"]), (&true.into(), &"ok".into()));
    foster.verb(&["reload", "--no-wait", "web"]).expect(0);
    foster.wait_for("another process", || {
        foster.row("web").is_some_and(|row| row["state"] == "running" && row["pid"] != after)
    });
}

#[test]
fn reload_sends_the_signal_where_there_is_one_and_restarts_the_others() {
    let nginx = "command = 'puppet trap:HUP:touch:hup pause'; reload_signal = 'HUP'";
    let down = "command = 'puppet pause'; autostart = false";
    let foster = start(&[program("web", GOOD), program("nginx", nginx), program("down", down)].concat());
    let before = [pid(&foster, "nginx"), pid(&foster, "web")];
    let printed = foster.verb(&["reload", "all"]).expect(1).stdout;
    foster.wait_for_file("hup");
    let after = [pid(&foster, "nginx"), pid(&foster, "web")];
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    assert!(printed.contains(&format!("nginx: sent SIGHUP (pid {})\n", after[0])), "{printed}");
    assert!(printed.contains(&format!("web: restarted (pid {})\n", after[1])), "{printed}");
    assert!(printed.contains("down: is not running\n"), "{printed}");
}

#[test]
fn an_update_to_a_definition_that_does_not_come_up_is_taken_back_with_the_reason() {
    let foster = start(&program("web", GOOD));
    let bad = [
        (
            "command = 'puppet print:first print:last exit:3'; start_limit = 1; ready = { log = 'good' }",
            "exited with status 3 after ",
            "its last output: first / last: command and start_limit changed\n",
        ),
        (
            "command = 'puppet print:bad pause'; ready = { log = 'good', timeout = '300ms' }",
            "not ready within 300ms",
            "its last output: bad: ",
        ),
        (
            "command = './not-there'; start_limit = 1; ready = { log = 'good' }",
            "not-there",
            ": command and start_limit changed\n",
        ),
    ];
    for (keys, reason, end) in bad {
        rewrite(&foster, &program("web", keys));
        let printed = foster.verb(&["update"]).expect(1).stdout;
        assert!(
            printed.contains("web: not replaced: ") && printed.contains(reason) && printed.contains(end),
            "{printed}"
        );
        foster.wait_for_state("web", "running");
        foster.wait_for_line(&format!("error: web: not replaced: .*{}", regex_lite::escape(reason)));
        let note = note(&foster, "web").expect("a note");
        assert!(note.contains("not replaced: ") && note.contains(reason), "{note}");
        let context = foster.verb(&["exec", "web", "--", "puppet", "print:here"]).expect(0).stdout;
        assert_eq!(context, "here\n");
    }
    // Its next start uses the definition that was taken back to, too.
    let before = pid(&foster, "web");
    foster.verb(&["signal", "KILL", "web"]).expect(0);
    foster.wait_for("a restart", || {
        foster.row("web").is_some_and(|row| row["state"] == "running" && row["pid"] != before)
    });
    // The file differs still: each update tries it again, and one that comes up stays.
    rewrite(&foster, &program("web", &GOOD.replace("touch:up", "touch:second")));
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("web: restarted (pid ") && printed.contains("command changed\n"), "{printed}");
    foster.wait_for_file("second");
    assert_eq!(note(&foster, "web").filter(|note| note.contains("replaced")), None);
    let events = foster.verb(&["events", "--json", "--event", "not_replaced", "web"]).expect(0).stdout;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events.iter().all(|event| event["level"] == "error" && event["program"] == "web"), "{events:?}");
}

#[test]
fn a_change_of_several_programs_is_made_in_their_order_one_after_the_other() {
    let text = |version: &str| {
        let keys = |more: &str| {
            format!(
                "command = 'puppet print:good pause'; environment = {{ V = '{version}' }}; ready = {{ log = 'good' }}{more}"
            )
        };
        let worker = keys("; after = ['web']");
        [program("worker", &worker), program("web", &keys("; after = ['db']")), program("db", &keys(""))]
            .concat()
    };
    let foster = start(&text("1"));
    rewrite(&foster, &text("2"));
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert_eq!(printed.matches(": restarted (pid ").count(), 3, "{printed}");
    let events = foster.verb(&["events", "--event", "ready", "-n", "3"]).expect(0).stdout;
    let at = |name: &str| events.find(&format!(" {name} ")).unwrap_or_else(|| panic!("{name}: {events}"));
    assert!(at("db") < at("web") && at("web") < at("worker"), "{events}");
}

#[test]
fn a_stop_and_a_removal_in_the_middle_end_a_rolling_restart() {
    let slow = |path: &str| {
        format!("command = 'puppet wait-file:{path} print:good pause'; ready = {{ log = 'good' }}")
    };
    let foster = Foster::new().config(&program("web", &slow("go"))).start();
    fs::write(foster.path("go"), "").expect("go");
    foster.wait_for_state("web", "running");
    fs::remove_file(foster.path("go")).expect("go");
    let reload = Following::start(&foster, &["reload", "web"]);
    foster.wait_for_state("web", "starting");
    assert!(note(&foster, "web").is_some_and(|note| note.contains("being replaced")));
    foster.verb(&["stop", "web"]).expect(0);
    let printed = reload.finish().expect(1).stdout;
    assert_eq!(printed, "web: not replaced: another order came\n");
    fs::write(foster.path("go"), "").expect("go");
    foster.verb(&["start", "web"]).expect(0);
    rewrite(&foster, &program("web", &slow("never")));
    let update = Following::start(&foster, &["update"]);
    foster.wait_for_state("web", "starting");
    rewrite(&foster, &program("other", "command = 'puppet pause'"));
    foster.verb(&["update"]).expect(0);
    let printed = update.finish().expect(1).stdout;
    assert!(printed.contains("web: removed by a later update\n"), "{printed}");
    assert!(foster.row("web").is_none());
}

#[test]
fn a_shutdown_in_the_middle_of_a_rolling_restart_ends_it_and_answers_the_client() {
    let slow = "command = 'puppet wait-file:go print:good pause'; ready = { log = 'good' }";
    let mut foster = Foster::new().config(&program("web", slow)).start();
    fs::write(foster.path("go"), "").expect("go");
    foster.wait_for_state("web", "running");
    fs::remove_file(foster.path("go")).expect("go");
    let reload = Following::start(&foster, &["reload", "web"]);
    foster.wait_for_state("web", "starting");
    foster.signal(Signal::SIGTERM);
    reload.finish().expect(1);
    assert_eq!(foster.wait_exit(), End::Code(0));
}

/// The pids of the instances of a program, as foster sees them.
fn instances(foster: &Running, name: &str) -> Vec<i64> {
    let rows = foster.rows();
    let of_program = rows.iter().filter(|row| row["name"] == name);
    of_program.map(|row| row["pid"].as_i64().expect("a pid")).collect()
}

#[test]
fn instances_with_a_socket_are_replaced_beside_the_old_ones_and_stay_when_the_new_ones_fail() {
    let address = format!("tcp://127.0.0.1:{}", free_port());
    let web = |keys: &str| program("web", &format!("instances = 2; sockets = ['{address}']; {keys}"));
    let foster = start(&web(GOOD));
    let before = instances(&foster, "web");
    let printed = foster.verb(&["reload", "web"]).expect(0).stdout;
    let after = instances(&foster, "web");
    assert_eq!(
        printed,
        format!("web.0: restarted (pid {})\nweb.1: restarted (pid {})\n", after[0], after[1])
    );
    assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} {after:?}");
    let events = foster.verb(&["events", "--json", "web"]).expect(0).stdout;
    let events: Vec<Value> = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let at = |event: &str, pid: i64| {
        let is_it = |one: &Value| one["event"] == event && one["pid"] == pid;
        events.iter().position(is_it).unwrap_or_else(|| panic!("{event} of {pid}: {events:?}"))
    };
    for (old, new) in before.iter().zip(&after) {
        assert!(at("ready", *new) < at("replaced", *new) && at("replaced", *new) < at("stopping", *old));
        assert_eq!(events[at("ready", *new)]["part"], "replacement");
        assert_eq!(events[at("stopping", *old)]["part"], "replaced");
    }
    let bad = "command = 'puppet print:bad exit:3'; start_limit = 1; ready = { log = 'good' }";
    rewrite(&foster, &web(bad));
    let printed = foster.verb(&["update"]).expect(1).stdout;
    assert!(printed.contains("web.0: not replaced: exited with status 3 after "), "{printed}");
    assert!(printed.contains("web.1: not replaced: web.0 could not be: "), "{printed}");
    assert_eq!(instances(&foster, "web"), after);
}

#[test]
fn a_run_that_only_the_old_one_answers_for_is_not_ready() {
    let port = free_port();
    let web = |steps: &str| {
        let ready = format!("ready = {{ http = 'http://127.0.0.1:{port}/', timeout = '1s' }}");
        program("web", &format!("command = 'puppet {steps}'; sockets = ['tcp://127.0.0.1:{port}']; {ready}"))
    };
    let foster = start(&web("accept:3:first pause"));
    rewrite(&foster, &web("pause"));
    let printed = foster.verb(&["update"]).expect(1).stdout;
    assert!(printed.contains("web: not replaced: not ready within 1s: "), "{printed}");
    foster.wait_for_state("web", "running");
    assert!(get(port, "/").is_some_and(|(_, body)| body.starts_with("first ")));
    rewrite(&foster, &web("accept:3:second pause"));
    foster.verb(&["update"]).expect(0);
    assert!(get(port, "/").is_some_and(|(_, body)| body.starts_with("second ")));
}
