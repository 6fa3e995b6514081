//! What a run has left whose main process has ended, where the next run listens at the same sockets of foster's.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::inner_pid;
use crate::support::{End, Foster, Running, free_port, get, may_make_namespaces};

/// A server with a worker that does this at SIGTERM before it ends.
fn start(foster: Foster, at_term: &str) -> (Running, u16) {
    let port = free_port();
    let worker =
        format!("child:trap:TERM:touch:asked trap:TERM:{at_term} trap:TERM:exit:0 touch:worker pause");
    let config = format!(
        "[program.web]\ncommand = \"puppet '{worker}' wait-file:worker accept:3 pause\"\n\
         sockets = 'tcp://127.0.0.1:{port}'\nmin_uptime = '1ms'\nstop_timeout = '60s'\n"
    );
    let foster = foster.config(&config).start();
    foster.wait_for("an answer", || get(port, "/").is_some());
    (foster, port)
}

fn kill_main(foster: &Running) {
    kill(Pid::from_raw(foster.pid_of("web")), Signal::SIGKILL).expect("a kill");
}

fn note(foster: &Running) -> String {
    foster.row("web").map(|row| row["note"].to_string()).unwrap_or_default()
}

#[test]
fn the_next_run_starts_at_once_and_what_a_killed_one_has_left_ends_beside_it() {
    if !may_make_namespaces() {
        return;
    }
    for foster in [Foster::new(), Foster::new().without_groups()] {
        let (mut foster, port) = start(foster, "wait-file:go");
        let first = inner_pid(&foster, "web");
        kill_main(&foster);
        // The worker of the first run is asked to end, and the second run does not wait for that.
        foster.wait_for_file("asked");
        foster.wait_for("the second run", || foster.row("web").is_some_and(|row| row["restarts"] == 1));
        foster.wait_for_state("web", "running");
        let answer = get(port, "/").expect("an answer");
        assert!(!answer.1.contains(&first.to_string()), "{answer:?}");
        assert!(note(&foster).contains("processes of its former run are still ending"), "{}", note(&foster));
        assert_eq!(
            foster.processes().len(),
            4,
            "foster, the server, two workers: {}",
            foster.output().shown()
        );

        // A run that ends beside them is followed by one that waits for both.
        kill_main(&foster);
        foster.wait_for_state("web", "stopping");
        assert_eq!(foster.processes().len(), 3, "foster, two workers: {}", foster.output().shown());
        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for("the third run", || foster.row("web").is_some_and(|row| row["restarts"] == 2));
        foster.wait_for_state("web", "running");
        let ended = "web (replaced): its last processes ended after";
        foster.wait_for("the line about their end", || foster.output().stderr().contains(ended));
        foster.wait_for("the server and its worker", || foster.processes().len() == 3);
        assert!(get(port, "/").is_some());
        assert!(!note(&foster).contains("former run"), "{}", note(&foster));
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn a_stop_waits_for_what_a_killed_run_has_left() {
    if !may_make_namespaces() {
        return;
    }
    let (foster, _) = start(Foster::new(), "sleep:0.5");
    kill_main(&foster);
    foster.wait_for_file("asked");
    foster.verb(&["stop", "web"]).expect(0);
    assert_eq!(foster.processes().len(), 1, "{}", foster.output().shown());
}

#[test]
fn workers_of_a_killed_server_serve_until_the_next_one_is_ready() {
    if !may_make_namespaces() {
        return;
    }
    for foster in [Foster::new(), Foster::new().without_groups()] {
        let port = free_port();
        let worker = "child:trap:TERM:touch:asked trap:TERM:exit:0 accept:3:worker touch:worker pause";
        let config = format!(
            "[program.web]\ncommand = \"puppet wait-file:go '{worker}' wait-file:worker notify:READY=1 pause\"\n\
             sockets = 'tcp://127.0.0.1:{port}'\nready = {{ notify = true }}\nstop_timeout = '60s'\n"
        );
        let mut foster = foster.config(&config).file("go", "").start();
        foster.wait_for_state("web", "running");
        let answer = get(port, "/").expect("an answer");
        fs::remove_file(foster.path("go")).expect("a file");
        kill_main(&foster);
        foster.wait_for("the second run", || foster.row("web").is_some_and(|row| row["restarts"] == 1));
        foster.wait_for_state("web", "starting");
        assert_eq!(get(port, "/"), Some(answer.clone()), "the worker of the first run answers");
        assert!(
            note(&foster).contains("processes of its former run serve until it is ready"),
            "{}",
            note(&foster)
        );
        assert!(!foster.path("asked").exists());

        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for_state("web", "running");
        foster.wait_for_file("asked");
        foster.wait_for("another worker's answer", || get(port, "/").is_some_and(|other| other != answer));
        foster.wait_for_line(
            r"web \(replaced\): its main process ended .*: they serve until the next run is ready",
        );
        foster.wait_for_line(r"web \(replaced\): its last processes ended after");
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn a_stop_ends_the_workers_that_would_serve_until_the_next_run_is_ready() {
    if !may_make_namespaces() {
        return;
    }
    let (foster, _) = start(Foster::new().file("worker", ""), "exit:0");
    // Without the file the next run waits, and is not ready before `min_uptime`.
    fs::remove_file(foster.path("worker")).expect("a file");
    kill_main(&foster);
    foster.verb(&["stop", "web"]).expect(0);
    assert_eq!(foster.processes().len(), 1, "{}", foster.output().shown());
}

#[test]
fn a_server_that_announces_its_end_is_followed_at_once_by_one_beside_it() {
    if !may_make_namespaces() {
        return;
    }
    let port = free_port();
    let config = format!(
        "[program.web]\ncommand = 'puppet trap:USR1:notify:STOPPING=1 trap:USR1:wait-file:end trap:USR1:exit:3 accept:3 notify:READY=1 pause'\n\
         sockets = 'tcp://127.0.0.1:{port}'\nready = {{ notify = true }}\nstop_timeout = '60s'\n"
    );
    let mut foster = Foster::new().config(&config).start();
    foster.wait_for_state("web", "running");
    foster.verb(&["signal", "USR1", "web"]).expect(0);
    foster.wait_for("the second run", || foster.row("web").is_some_and(|row| row["restarts"] == 1));
    foster.wait_for_state("web", "running");
    assert!(get(port, "/").is_some());
    assert_eq!(foster.processes().len(), 3, "foster, two servers: {}", foster.output().shown());

    fs::write(foster.path("end"), "").expect("a file");
    foster.wait_for_line(r"web \(replaced\): exited with status 3 after");
    foster.wait_for("the exit status", || foster.row("web").is_some_and(|row| row["exit"]["code"] == 3));
    let output = foster.output().stderr();
    let announced = "web (replaced): stopping: it reports its end (STOPPING=1)";
    assert!(output.contains(announced), "{output}");
    assert!(output.contains("web: the next run does not wait for its end; restart"), "{output}");
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}
