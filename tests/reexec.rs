//! `on_fault = "reexec"`: after a fault another foster takes the place of the one that had it, and keeps the programs running.
//!
//! FOSTER_TEST_FAULT, which only debug builds have, causes a fault at SIGUSR2.
#![cfg(debug_assertions)]

use std::fs;
use std::io::Read;
use std::net::TcpStream;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Running, free_port, get};

fn foster(config: &str) -> Foster {
    let settings = "[foster]\ntermination_log = 'termination-log'\non_fault = 'reexec'\n";
    let foster = Foster::new().config(&format!("{settings}{config}")).file("termination-log", "");
    foster.env("FOSTER_TEST_FAULT", "1")
}

/// Causes the fault, and waits for the foster that continues.
fn fail(foster: &Running) {
    foster.signal(Signal::SIGUSR2);
    foster.wait_for_line("continues after a fault in foster itself");
    foster.wait_for("an answer", || foster.verb(&["status"]).code != 4);
}

const PROGRAMS: &str = "
[task.once]
command = 'puppet append:once:x exit:0'
[program.web]
command = 'puppet trap:USR1:print:still_heard trap:TERM:print:ends trap:TERM:exit:0 append:web:x print:up pause'
ready = { log = 'up' }
[program.crashed]
command = 'puppet fail-first:crashed:1:3 print:up pause'
min_uptime = '10ms'
[program.stopped]
command = 'puppet append:stopped:x pause'
[program.byhand]
command = 'puppet pause'
autostart = false
[program.ended]
command = 'puppet append:ended:x exit:0'
restart = 'never'
[program.failed]
command = 'puppet append:failed:x exit:4'
start_limit = 1
on_failure = 'ignore'
[job.later]
command = 'puppet append:later:x exit:0'
schedule = 'every 6h'
run_at_start = true
";

#[test]
fn after_a_fault_programs_keep_running_and_nothing_is_started_or_stopped() {
    for is_first in [true, false] {
        let foster = foster(PROGRAMS);
        let mut foster = if is_first { foster } else { foster.not_pid_1() }.start();
        for name in ["web", "crashed", "stopped"] {
            foster.wait_for_state(name, "running");
        }
        foster.verb(&["stop", "stopped"]).expect(0);
        foster.verb(&["start", "byhand"]).expect(0);
        foster.wait_for_state("ended", "exited");
        foster.wait_for_state("failed", "fatal");
        foster.wait_for_file("later");
        foster.wait_for_state("later", "idle");
        let what = ["name", "state", "pid", "restarts", "ready"];
        let rows = || -> Vec<Vec<serde_json::Value>> {
            foster.rows().iter().map(|row| what.map(|key| row[key].clone()).to_vec()).collect()
        };
        let (before, uptime) = (rows(), foster.row("web").expect("a row")["uptime_ms"].as_u64());
        fail(&foster);
        assert_eq!(rows(), before, "{}", foster.output().shown());
        assert!(foster.row("web").expect("a row")["uptime_ms"].as_u64() >= uptime);
        for file in ["once", "web", "stopped", "ended", "failed", "later"] {
            assert_eq!(foster.content(file), "x\n", "{file}");
        }
        assert!(foster.content("termination-log").contains("asked for by FOSTER_TEST_FAULT"));
        foster.verb(&["signal", "USR1", "web"]).expect(0);
        foster.wait_for_line("web +. still_heard");
        let crashed = foster.pid_of("crashed");
        kill(Pid::from_raw(crashed), Signal::SIGKILL).expect("a signal");
        foster.wait_for("the restart", || foster.row("crashed").is_some_and(|row| row["restarts"] == 2));
        foster.verb(&["start", "stopped"]).expect(0);
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
        assert!(foster.output().has_line("ends"));
    }
}

#[test]
fn a_second_fault_within_a_minute_stops_the_programs_in_order() {
    let mut foster = foster("[program.web]\ncommand = 'puppet trap:TERM:print:ends trap:TERM:exit:0 print:up pause'\nready = { log = 'up' }\n").start();
    foster.wait_for_state("web", "running");
    fail(&foster);
    foster.signal(Signal::SIGUSR2);
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    let stderr = foster.output().stderr();
    for line in ["stops everything after a fault in foster itself", "web: stopping", "exit status 1: "] {
        assert!(stderr.contains(line), "{line}: {stderr}");
    }
    assert!(foster.output().has_line("ends"));
}

#[test]
fn what_was_not_ready_at_a_fault_becomes_ready_by_its_probe() {
    let foster = foster(
        "[program.log]\ncommand = 'puppet trap:USR1:print:now_up touch:log pause'\nready = { log = 'now_up' }\n
        [program.file]\ncommand = 'puppet touch:file pause'\nready = { file = 'made' }\n
        [program.after]\ncommand = 'puppet pause'\nafter = ['log', 'file']\n",
    )
    .start();
    foster.wait_for_file("log");
    foster.wait_for_file("file");
    fail(&foster);
    assert_eq!(foster.row("after").expect("a row")["state"], "waiting");
    foster.verb(&["signal", "USR1", "log"]).expect(0);
    fs::write(foster.path("made"), "").expect("a file");
    foster.wait_for_state("after", "running");
}

#[test]
fn after_a_fault_a_program_is_heard_at_its_notify_socket_and_its_watchdog_is_kept() {
    let foster = foster(
        "[program.beats]\ncommand = 'puppet trap:USR1:notify:STATUS=heard notify:READY=1 touch:up pause'\nready = { notify = true }\n",
    )
    .start();
    foster.wait_for_state("beats", "running");
    fail(&foster);
    foster.verb(&["signal", "USR1", "beats"]).expect(0);
    foster.wait_for("the status", || foster.verb(&["status"]).text().contains("heard"));
}

#[test]
fn a_fault_refuses_no_connection_at_a_listening_socket() {
    let port = free_port();
    let foster = foster(&format!(
        "[program.web]\ncommand = ['python3', 'serve.py']\nsockets = ['tcp://127.0.0.1:{port}']\n"
    ))
    .file(
        "serve.py",
        "import socket, sys\ns = socket.socket(fileno=3)\nprint('up', flush=True)\nwhile True:\n    c, _ = s.accept()\n    c.sendall(b'hello')\n    c.close()\n",
    )
    .start();
    foster.wait_for_line("up");
    let web = foster.pid_of("web");
    // Connections wait while nothing accepts them, also over the exchange of fosters and the restart of the program.
    kill(Pid::from_raw(web), Signal::SIGSTOP).expect("a signal");
    foster.wait_for("the stop of the program", || {
        fs::read_to_string(format!("/proc/{web}/stat")).is_ok_and(|stat| stat.contains(") T "))
    });
    let waiting: Vec<TcpStream> =
        (0..20).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a connection")).collect();
    fail(&foster);
    kill(Pid::from_raw(web), Signal::SIGKILL).expect("a signal");
    for mut stream in waiting {
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        assert_eq!(text, "hello");
    }
    assert!(!foster.output().has_line("cannot open its socket"), "{}", foster.output().shown());
}

#[test]
fn a_hundred_programs_keep_running_over_a_fault() {
    let program = |number: i32| {
        format!("[program.p{number}]\ncommand = 'puppet append:starts:x pause'\nmin_uptime = '1ms'\n")
    };
    let mut foster = foster(&(0..100).map(program).collect::<String>()).start();
    for number in 0..100 {
        foster.wait_for_state(&format!("p{number}"), "running");
    }
    let pids = || foster.rows().iter().map(|row| row["pid"].as_i64()).collect::<Vec<_>>();
    let before = pids();
    fail(&foster);
    assert_eq!(pids(), before);
    assert_eq!(foster.content("starts").lines().count(), 100);
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn after_a_fault_there_is_one_web_helper_and_it_answers() {
    let port = free_port();
    let foster = foster(&format!(
        "[web]\nlisten = '127.0.0.1:{port}'\n[program.web]\ncommand = 'puppet print:up pause'\nready = {{ log = 'up' }}\n"
    ))
    .start();
    foster.wait_for_state("web", "running");
    let is_answered = || get(port, "/healthz").is_some_and(|(status, _)| status == 200);
    foster.wait_for("an answer", is_answered);
    let helpers = || -> Vec<i32> {
        let processes = foster.processes().into_iter().map(|process| process.pid);
        processes.filter(|pid| name_of(*pid).as_deref() == Some("foster-web")).collect()
    };
    let before = helpers();
    assert_eq!(before.len(), 1);
    fail(&foster);
    foster.wait_for("the next helper alone", || {
        let now = helpers();
        now.len() == 1 && now != before
    });
    foster.wait_for("an answer", is_answered);
    assert_eq!(foster.row("web").expect("a row")["restarts"], 0);
    // It ends with its supervisor, and the next one is not started a second time.
    let helper = helpers();
    kill(Pid::from_raw(helper[0]), Signal::SIGKILL).expect("a signal");
    foster.wait_for("the helper after that", || {
        let now = helpers();
        now.len() == 1 && now != helper
    });
}

fn name_of(pid: i32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim().to_owned())
}

/// A listener in shell: it writes the name of each event and its payload.
const LISTENER: &str = r#"
while :; do
    printf 'READY\n'
    read -r head || exit 0
    body=$(dd bs=1 count="${head##*len:}" 2>/dev/null)
    echo "${head##*eventname:} $body" >>heard
    printf 'RESULT 2\nOK'
done
"#;

#[test]
fn after_a_fault_event_listeners_go_on() {
    let broker = "['/proc/self/exe', 'listeners', 'listener=10=PROCESS_STATE']";
    let foster = foster(&format!(
        "[program.listener]\ncommand = ['sh', 'listener.sh']\nstdout = 'memory'\nstdin = 'open'\n\
         [program.event-listeners]\ncommand = {broker}\nstdin = 'open'\nrestart = 'always'\nstart_limit = 'unlimited'\npriority = -1\n\
         [program.web]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n"
    ))
    .file("listener.sh", LISTENER);
    let socket = foster.folder().join("foster.sock").display().to_string();
    let foster = foster.env("FOSTER_SOCKET", &socket).start();
    let heard = |state: &str| {
        let text = foster.content("heard");
        text.lines()
            .filter(|line| line.contains(&format!("_{state} ")) && line.contains("processname:web "))
            .count()
    };
    foster.wait_for("an event", || heard("RUNNING") == 1);
    let listener = foster.pid_of("listener");
    fail(&foster);
    foster.wait_for("the broker", || {
        foster.row("event-listeners").is_some_and(|row| row["state"] == "running" && row["restarts"] == 1)
    });
    foster.verb(&["restart", "web"]).expect(0);
    foster.wait_for("the events after it", || heard("STOPPED") == 1 && heard("RUNNING") == 2);
    assert_eq!(foster.pid_of("listener"), listener);
    // Each event came once, and the state before is that of the former broker.
    let text = foster.content("heard");
    assert_eq!(heard("STARTING"), 2, "{text}");
    assert!(text.contains("groupname:web from_state:RUNNING pid:"), "{text}");
    // Also where the broker alone ends.
    kill(Pid::from_raw(foster.pid_of("event-listeners")), Signal::SIGKILL).expect("a signal");
    foster.wait_for("the next broker", || {
        foster.row("event-listeners").is_some_and(|row| row["state"] == "running" && row["restarts"] == 2)
    });
    foster.verb(&["restart", "web"]).expect(0);
    foster.wait_for("the events after it", || heard("STOPPED") == 2 && heard("RUNNING") == 3);
    assert_eq!(heard("STARTING"), 3, "{}", foster.content("heard"));
}

/// A program whose main process ends at once by KILL, and leaves a worker that needs the file `go` to end.
fn with_a_worker(keys: &str) -> Foster {
    let worker = "child:trap:TERM:touch:asked trap:TERM:wait-file:go trap:TERM:exit:0 touch:worker pause";
    foster(&format!(
        "[program.app]\ncommand = \"puppet '{worker}' wait-file:worker append:mains:x pause\"\n\
         min_uptime = '1ms'\nstop_timeout = '60s'\n{keys}\n"
    ))
}

fn kill_main(foster: &Running) {
    foster.wait_for_state("app", "running");
    foster.wait_for_file("mains");
    kill(Pid::from_raw(foster.pid_of("app")), Signal::SIGKILL).expect("a kill");
    foster.wait_for_file("asked");
}

#[test]
fn a_start_waits_over_a_fault_for_what_the_run_before_has_left() {
    for is_first in [true, false] {
        let foster = with_a_worker("");
        let mut foster = if is_first { foster } else { foster.not_pid_1() }.start();
        kill_main(&foster);
        foster.wait_for_state("app", "stopping");
        fail(&foster);
        assert_eq!(foster.row("app").expect("a row")["state"], "stopping", "{}", foster.output().shown());
        assert_eq!(foster.content("mains"), "x\n", "{}", foster.output().shown());
        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for_state("app", "running");
        foster.wait_for("the second run", || foster.content("mains") == "x\nx\n");
        assert_eq!(foster.row("app").expect("a row")["restarts"], 1, "{}", foster.output().shown());
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn what_is_left_beside_the_next_run_ends_beside_it_after_a_fault() {
    let port = free_port();
    let mut foster = with_a_worker(&format!("sockets = 'tcp://127.0.0.1:{port}'")).start();
    kill_main(&foster);
    foster.wait_for("the second run", || foster.content("mains") == "x\nx\n");
    foster.wait_for_state("app", "running");
    let pid = foster.pid_of("app");
    fail(&foster);
    assert_eq!(foster.pid_of("app"), pid, "{}", foster.output().shown());
    let note = || foster.row("app").map(|row| row["note"].to_string()).unwrap_or_default();
    assert!(note().contains("processes of its former run are still ending"), "{}", note());
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for("its end", || !note().contains("former run"));
    assert_eq!(foster.pid_of("app"), pid, "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
}
