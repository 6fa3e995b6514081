//! `notify`, `fd` and `watchdog`: what programs report about themselves, and which reports are believed.

use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::{End, Following, Foster, Process, Running, descriptors, may_make_namespaces};

/// A program that is ready when it reports it.
fn reporting(steps: &str) -> String {
    format!("[program.app]\ncommand = \"puppet {steps} pause\"\nready = {{ notify = true }}\n")
}

/// Another program.
fn other(name: &str, steps: &str) -> String {
    format!("[program.{name}]\ncommand = \"puppet {steps} pause\"\nmin_uptime = '1ms'\n")
}

fn status(foster: &Running, name: &str) -> Value {
    foster.row(name).map_or(Value::Null, |row| row["status"].clone())
}

/// How many lines of foster's output contain this text.
fn lines(foster: &Running, text: &str) -> usize {
    foster.output().stderr().lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_program_is_ready_when_it_reports_it_and_its_status_is_shown() {
    let steps = "'notify:STATUS=Loading 40%' wait-file:go 'notify:READY=1~STATUS=Serving' wait-file:end notify:STATUS=";
    let web = "[program.web]\ncommand = 'puppet touch:web pause'\nafter = ['app']\n";
    let foster = Foster::new().config(&(reporting(steps) + web)).start();
    foster.wait_for("its status", || status(&foster, "app") == "Loading 40%");
    foster.wait_for_state("web", "waiting");
    let table = foster.verb(&["status", "app"]).stdout;
    assert!(table.contains("starting") && table.contains("\"Loading 40%\""), "{table}");
    let health = foster.verb(&["health", "app"]).expect(1).stdout;
    assert_eq!(health, "app: starting: \"Loading 40%\"; not ready yet: it has not sent READY=1\n");
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_file("web");
    foster.wait_for("its status", || status(&foster, "app") == "Serving");
    fs::write(foster.path("end"), "").expect("a file");
    foster.wait_for("no status", || status(&foster, "app").is_null());
    foster.verb(&["restart", "app"]).expect(0);
    assert!(status(&foster, "web").is_null());
}

#[test]
fn a_program_that_does_not_report_in_time_was_not_started() {
    let config = "[program.app]\ncommand = 'puppet pause'\nready = { notify = true, timeout = '50ms' }\nstart_limit = 1\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    foster.wait_for_line(r"app: not ready within 50ms \(it has not sent READY=1\); stopping it");
}

#[test]
fn a_descendant_of_the_main_process_is_believed_also_in_a_session_of_its_own() {
    let config = "[program.app]\ncommand = \"sh -c 'setsid sh -c \\\"puppet notify:READY=1~STATUS=grandchild pause\\\" & wait'\"\nready = { notify = true }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_state("app", "running");
    assert_eq!(status(&foster, "app"), "grandchild");
}

/// Waits until what a stranger has sent must have been read: the program's own report comes after it.
fn is_ignored(foster: &Running, why: &str) {
    foster.wait_for_file("sent");
    foster.wait_for_line(why);
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for("its own report", || status(foster, "app") == "own");
    assert_eq!(foster.row("app").expect("a row")["state"], "starting");
    assert_eq!(lines(foster, "ignored a notification"), 1, "{}", foster.output().shown());
}

/// Reports what is not READY=1, when the file is there.
const OWN: &str = "save-socket:notify-socket wait-file:go notify:STATUS=own";
const FORGED: &str = "notify:READY=1~STATUS=forged notify:STOPPING=1 touch:sent";

#[test]
fn another_programs_process_is_not_believed() {
    for more in ["", "ready = { notify = true }\n"] {
        let more = if more.is_empty() { "watchdog = '1h'\n" } else { more };
        let stranger = other("stranger", &format!("wait-file:notify-socket {FORGED}"));
        let foster = Foster::new().config(&(reporting(OWN) + &stranger)).start();
        is_ignored(&foster, r"ignored a notification from puppet \(pid \d+\): it does not descend");
        // One that reports for itself is believed for itself.
        let both = format!(
            "[program.both]\ncommand = \"puppet wait-file:go notify:READY=1~STATUS=mine pause\"\n{more}"
        );
        let foster = Foster::new().config(&(reporting("save-socket:notify-socket") + &both)).start();
        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for("its status", || status(&foster, "both") == "mine");
        assert!(status(&foster, "app").is_null());
        assert_eq!(foster.row("app").expect("a row")["state"], "starting");
    }
}

#[test]
fn a_process_that_has_lost_its_parent_is_not_believed() {
    // The shell in the middle ends, and foster adopts what it started: of the same session, and of another.
    for setsid in ["", "setsid "] {
        let steps = format!("wait-adopted wait-file:notify-socket {FORGED} pause");
        let config = format!(
            "[program.app]\ncommand = \"sh -c '({setsid}puppet {steps} &); exec puppet {OWN} pause'\"\nready = {{ notify = true }}\n"
        );
        let foster = Foster::new().config(&config).start();
        is_ignored(&foster, "ignored a notification from puppet .*: it does not descend");
    }
}

#[test]
fn a_process_of_another_pid_namespace_is_not_believed() {
    if !may_make_namespaces() {
        return;
    }
    let foster = Foster::new().config(&reporting(OWN)).start();
    let socket = sender(&foster);
    socket.send(b"READY=1").expect("a datagram");
    fs::write(foster.path("sent"), "").expect("a file");
    is_ignored(&foster, "ignored a notification from another PID namespace");
}

/// A socket of the test, which is in another PID namespace than foster and in the same network namespace.
fn sender(foster: &Running) -> UnixDatagram {
    foster.wait_for_file("notify-socket");
    let name = foster.content("notify-socket");
    let address = SocketAddr::from_abstract_name(name.strip_prefix('@').expect("an abstract name"));
    let socket = UnixDatagram::unbound().expect("a socket");
    socket.connect_addr(&address.expect("a name")).expect("foster's socket");
    socket
}

#[test]
fn a_flood_of_datagrams_is_not_believed_and_delays_nothing() {
    let beats = "[program.beats]\ncommand = 'puppet notify:READY=1 beat:0.1:silent pause'\nready = { notify = true }\nwatchdog = '5s'\n";
    let crashing = "[program.crashing]\ncommand = 'puppet append:starts:x sleep:0.05 exit:1'\nbackoff = { factor = 1 }\nstart_limit = 'unlimited'\n";
    let floods = other("flood", "wait-file:notify-socket notify-flood");
    let foster = Foster::new().config(&[&reporting(OWN), beats, crashing, &floods].concat()).start();
    foster.wait_for_file("notify-socket");
    let (stop, sent) = (AtomicBool::new(false), AtomicBool::new(false));
    // As PID 1 foster has the test in another PID namespace; without root, beside it.
    let socket = sender(&foster);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                sent.store(socket.send(b"READY=1\nSTOPPING=1\nSTATUS=flood").is_ok(), Ordering::Relaxed);
            }
        });
        foster.wait_for_line("ignored a notification from puppet");
        foster.wait_for("restarts in the flood", || foster.content("starts").lines().count() >= 5);
        let slowest = (0..20).map(|_| {
            let before = Instant::now();
            foster.verb(&["status"]);
            before.elapsed()
        });
        let slowest = slowest.max().expect("some");
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
        // A report gets through.
        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for("its own report", || status(&foster, "app") == "own");
        assert_eq!(foster.row("app").expect("a row")["state"], "starting");
        assert_eq!(foster.row("beats").expect("a row")["restarts"], 0);
        stop.store(true, Ordering::Relaxed);
        // It may wait in `send` until foster reads or ends.
        foster.verb(&["stop", "flood"]).expect(0);
    });
    assert!(sent.load(Ordering::Relaxed));
    // Of another program, of another PID namespace, and of one that has ended since.
    assert!(lines(&foster, "ignored a notification") <= 3, "{}", foster.output().shown());
}

/// How many datagrams a hostile process tries to send in a second of its CPU time, at least.
const FLOOD_RATE: f64 = 100_000.0;

/// A program that is started again and again.
const LATE: &str = "[program.late]\ncommand = 'puppet save-socket:late-socket notify:READY=1 pause'\nautostart = false\nready = { notify = true }\n";

/// Starts `late` many times, each until it has reported that it is ready. Returns how long the slowest start took.
fn slowest_start(foster: &Running) -> Duration {
    let times = (0..30).map(|_| {
        let before = Instant::now();
        foster.verb(&["start", "late"]).expect(0);
        let time = before.elapsed();
        foster.verb(&["stop", "late"]).expect(0);
        time
    });
    times.max().expect("some")
}

/// The CPU time of this thread.
fn own_time() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().expect("a clock").into()
}

#[test]
fn a_hundred_thousand_datagrams_a_second_at_one_socket_delay_no_report_at_another() {
    let foster = Foster::new().config(&(reporting(OWN) + LATE)).start();
    let socket = sender(&foster);
    // It never waits for its turn, and so takes all room there is.
    socket.set_nonblocking(true).expect("a socket");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let (mut tried, before) = (0.0, own_time());
            while !stop.load(Ordering::Relaxed) {
                drop(socket.send(b"READY=1\nSTOPPING=1\nSTATUS=flood"));
                tried += 1.0;
            }
            tried / (own_time() - before).as_secs_f64()
        });
        foster.wait_for_line("ignored a notification from another PID namespace");
        let slowest = slowest_start(&foster);
        assert_ne!(foster.content("late-socket"), foster.content("notify-socket"));
        // Also that of the program whose socket is flooded comes through.
        let before = Instant::now();
        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for("its own report", || status(&foster, "app") == "own");
        let own = before.elapsed();
        stop.store(true, Ordering::Relaxed);
        let rate = flood.join().expect("a rate");
        println!(
            "{rate:.0} datagrams/s; slowest start {slowest:?}; the report at the flooded socket {own:?}"
        );
        assert!(rate >= FLOOD_RATE, "{rate} datagrams a second");
        assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    });
    assert_eq!(foster.row("app").expect("a row")["state"], "starting");
    assert_eq!(lines(&foster, "ignored a notification"), 1, "{}", foster.output().shown());
}

#[test]
fn a_program_that_reports_without_end_delays_no_other() {
    let flood = "[program.flood]\ncommand = 'puppet notify-flood'\nready = { notify = true }\n";
    let foster = Foster::new().config(&(flood.to_owned() + LATE)).start();
    foster.wait_for_state("flood", "running");
    foster.wait_for("its status", || status(&foster, "flood") == "flood");
    let slowest = slowest_start(&foster);
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    assert_eq!(foster.row("flood").expect("a row")["restarts"], 0);
}

#[test]
fn descriptors_in_a_datagram_are_closed_and_hold_foster_at_no_time() {
    // The last copy of a connection whose close(2) takes an hour.
    let foster = Foster::new()
        .config(&reporting(
            "notify-descriptor:FDSTORE=1~STATUS=stored notify-descriptor:X=1 wait-file:go notify:READY=1",
        ))
        .start();
    foster.wait_for("its status", || status(&foster, "app") == "stored");
    foster.wait_for_line(r"app: wants descriptors to be kept \(FDSTORE=1\)");
    let before = descriptors(foster.pid()).len();
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_state("app", "running");
    // Clients of the test come and go.
    foster.wait_for("no more descriptors", || descriptors(foster.pid()).len() <= before);
    foster.wait_for("foster and the program", || foster.processes().len() == 2);
}

#[test]
fn what_cannot_be_read_is_ignored_with_one_line() {
    let foster = Foster::new()
        .config(&reporting(
            "notify-junk notify-junk notify:STATUS=junk wait-file:go notify:READY=1~STATUS=good",
        ))
        .start();
    foster.wait_for("its status", || status(&foster, "app") == "junk");
    assert_eq!(foster.row("app").expect("a row")["state"], "starting");
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for("its status", || status(&foster, "app") == "good");
    assert_eq!(lines(&foster, "app: sent a notification"), 1, "{}", foster.output().shown());
}

#[test]
fn a_program_that_falls_silent_is_restarted_with_that_cause_and_has_its_time_in_its_environment() {
    let config = "[program.app]\ncommand = \"sh -c 'test $WATCHDOG_PID = $$$$ && exec puppet env notify:READY=1 beat:0.05:silent append:silences:x pause'\"\nready = { notify = true }\nwatchdog = '500ms'\nbackoff = { initial = '1ms' }\n";
    let foster = Foster::new().config(config).env("WATCHDOG_USEC", "7").env("WATCHDOG_PID", "7").start();
    foster.wait_for_state("app", "running");
    foster.wait_for_line(r"WATCHDOG_USEC=500000$");
    assert!(!foster.output().shown().contains("WATCHDOG_USEC=7"));
    fs::write(foster.path("silent"), "").expect("a file");
    foster.wait_for_line(r"app: unhealthy: no WATCHDOG=1 within 500ms; stopping it \(pid \d+\)");
    fs::remove_file(foster.path("silent")).expect("a file");
    foster.wait_for("a restart", || {
        foster.row("app").is_some_and(|row| row["state"] == "running" && row["restarts"] == 1)
    });
    let events = foster.verb(&["events", "--event", "unhealthy", "app"]).expect(0).stdout;
    assert!(events.contains("no WATCHDOG=1 within 500ms"), "{events}");
    assert_eq!(note(&foster), "last run was stopped: unhealthy: no WATCHDOG=1 within 500ms");
    // Not of a run that ends by itself.
    foster.verb(&["signal", "KILL", "app"]).expect(0);
    foster.wait_for("another restart", || {
        foster.row("app").is_some_and(|row| row["state"] == "running" && row["restarts"] == 2)
    });
    assert_eq!(note(&foster), "last run was killed by SIGKILL");
}

#[test]
fn a_program_sets_its_watchdog_gives_itself_up_and_announces_its_end() {
    let foster = Foster::new()
        .config(&format!(
            "{}{}{}",
            "[program.usec]\ncommand = 'puppet notify:READY=1~WATCHDOG_USEC=50000 pause'\nready = { notify = true }\n",
            "[program.trigger]\ncommand = 'puppet notify:READY=1 wait-file:go notify:WATCHDOG=trigger pause'\nready = { notify = true }\n",
            "[program.ending]\ncommand = 'puppet notify:READY=1 wait-file:go notify:STOPPING=1 wait-file:end exit:0'\nready = { notify = true }\nrestart = 'on-failure'\n",
        ))
        .start();
    foster.wait_for_line("usec: unhealthy: no WATCHDOG=1 within 50ms; stopping it");
    for name in ["trigger", "ending"] {
        foster.wait_for_state(name, "running");
    }
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_line("trigger: unhealthy: it reported WATCHDOG=trigger; stopping it");
    foster.wait_for_state("ending", "stopping");
    fs::write(foster.path("end"), "").expect("a file");
    foster.wait_for_state("ending", "exited");
    foster.wait_for_line("ending: exited with status 0 after .*; done");
}

#[test]
fn a_program_that_needs_more_time_to_start_or_to_stop_has_it() {
    let config = "[program.app]\ncommand = 'puppet trap:TERM:notify:EXTEND_TIMEOUT_USEC=60000000 trap:TERM:wait-file:stop trap:TERM:exit:0 notify:EXTEND_TIMEOUT_USEC=60000000 wait-file:go notify:READY=1 pause'\nready = { notify = true, timeout = '2s' }\nstop_timeout = '2s'\nstart_limit = 1\n";
    let mut foster = Foster::new().config(config).start();
    let passed =
        |since: Instant| foster.wait_for("three seconds", || since.elapsed() > Duration::from_secs(3));
    passed(Instant::now());
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for_state("app", "running");
    foster.signal(Signal::SIGTERM);
    passed(Instant::now());
    fs::write(foster.path("stop"), "").expect("a file");
    assert_eq!(foster.wait_exit(), End::Code(0), "{}", foster.output().shown());
    foster.wait_for_line("app: stopped after");
}

#[test]
fn a_newline_on_its_descriptor_makes_a_program_ready_and_a_closed_one_does_not() {
    let program = |name: &str, steps: &str, number: u32, timeout: &str| {
        format!(
            "[program.{name}]\ncommand = 'puppet {steps} pause'\nready = {{ fd = {number}, timeout = '{timeout}' }}\nstart_limit = 1\non_failure = 'ignore'\n"
        )
    };
    let config = [
        program("ready", "\"write-fd:3:almost~\"", 3, "60s"),
        program("high", "fds \"write-fd:1023:~\"", 1023, "60s"),
        program("closed", "\"write-fd:5:not yet\"", 5, "300ms"),
        program("silent", "", 7, "300ms"),
    ];
    let foster = Foster::new().config(&config.concat()).start();
    for name in ["ready", "high"] {
        foster.wait_for_state(name, "running");
    }
    foster.wait_for_line(r"high\s+\| fd 1023 pipe:");
    foster.wait_for_line(r"closed: not ready within 300ms \(it closed its descriptor without a newline\)");
    foster.wait_for_line(r"silent: not ready within 300ms \(it has not written a newline to descriptor 7\)");
    assert!(!foster.output().shown().contains("fd 3 "), "{}", foster.output().shown());
}

/// Ready, with a `reload_signal` that it obeys by these traps.
fn reloading(traps: &str, timeout: &str) -> Running {
    let config = format!(
        "[program.app]\ncommand = 'puppet {traps} notify:READY=1 pause'\nreload_signal = 'HUP'\nready = {{ notify = true, timeout = '{timeout}' }}\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("app", "running");
    foster
}

fn note(foster: &Running) -> String {
    foster.row("app").and_then(|row| row["note"].as_str().map(str::to_owned)).unwrap_or_default()
}

const SLOW: &str = "trap:HUP:notify:RELOADING=1 trap:HUP:wait-file:go trap:HUP:notify:READY=1";

#[test]
fn a_reload_returns_when_the_program_has_reported_that_it_is_ready_again() {
    let foster = reloading(SLOW, "60s");
    let pid = foster.row("app").expect("a row")["pid"].clone();
    let reload = Following::start(&foster, &["reload", "app"]);
    foster.wait_for("its reload", || note(&foster) == "reloading");
    let row = foster.row("app").expect("a row");
    assert_eq!((&row["state"], &row["ready"]), (&Value::from("running"), &Value::from(true)));
    let table = foster.verb(&["status", "app"]).expect(0).stdout;
    assert!(table.contains("running") && table.contains("reloading"), "{table}");
    let printed = foster.verb(&["reload", "--no-wait", "app"]).expect(0).stdout;
    assert_eq!(printed, format!("app: sent SIGHUP (pid {pid})\n"));
    fs::write(foster.path("go"), "").expect("a file");
    assert_eq!(reload.finish().expect(0).stdout, format!("app: reloaded (pid {pid})\n"));
    foster.wait_for("the end of the reload", || note(&foster).is_empty());
}

#[test]
fn a_reload_of_a_program_that_reports_none_is_done_when_the_signal_was_sent() {
    let foster = reloading("trap:HUP:touch:hup", "60s");
    let pid = foster.row("app").expect("a row")["pid"].clone();
    let printed = foster.verb(&["reload", "app"]).expect(0).stdout;
    assert_eq!(printed, format!("app: sent SIGHUP (pid {pid})\n"));
    foster.wait_for_file("hup");
}

#[test]
fn a_reload_that_does_not_end_or_kills_the_program_fails_with_the_reason() {
    let foster = reloading(SLOW, "1s");
    let printed = foster.verb(&["reload", "app"]).expect(1).stdout;
    assert_eq!(printed, "app: not reloaded: running: no READY=1 in time after RELOADING=1\n");
    assert_eq!(note(&foster), "no READY=1 in time after RELOADING=1");
    foster.wait_for_line(r"warning: app: not reloaded: no READY=1 within 1s after RELOADING=1 \(pid \d+\)$");
    let events = foster.verb(&["events", "--json", "--event", "not_reloaded"]).expect(0).stdout;
    let event: Value = serde_json::from_str(&events).expect("one event");
    assert_eq!((&event["program"], &event["timeout_ms"]), (&"app".into(), &1000.into()), "{event}");
    fs::write(foster.path("go"), "").expect("a file");
    foster.wait_for("the end of the reload", || note(&foster).is_empty());
    let foster = reloading("trap:HUP:notify:RELOADING=1 trap:HUP:exit:3", "60s");
    let printed = foster.verb(&["reload", "app"]).expect(1).stdout;
    assert!(printed.starts_with("app: not reloaded: "), "{printed}");
}

/// A shell that names a process as its main one, and ends when the file `go` is there.
fn handing_over(names: &str, more: &str) -> String {
    let script = format!("puppet append:starts:x pause & {names} wait-file:go exit:7");
    format!("[program.app]\ncommand = ['sh', '-c', '{script}']\nready = {{ notify = true }}\n{more}")
}

#[test]
fn a_named_main_process_takes_the_place_of_one_that_ends() {
    // In the session of the first one, and in another; a whole tree, and the main process alone.
    for (setsid, kill_mode) in [("", "tree"), ("setsid ", "tree"), ("", "session"), ("", "process")] {
        let script = format!(
            "{setsid}puppet append:starts:x pause & exec puppet notify:READY=1~MAINPID=$! wait-file:go exit:7"
        );
        let config = format!(
            "[program.app]\ncommand = ['sh', '-c', '{script}']\nready = {{ notify = true }}\nkill_mode = '{kill_mode}'\n"
        );
        let mut foster = Foster::new().config(&config).start();
        foster.wait_for_state("app", "running");
        foster.wait_for("both processes", || foster.processes().len() == 3);
        foster.wait_for("its first start", || foster.content("starts").lines().count() == 1);
        let first = foster.pid_of("app");
        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for_line(
            r"app: exited with status 7 \(pid \d+\); its main process is now pid \d+ \(MAINPID\)$",
        );
        foster.wait_for("the other process", || foster.pid_of("app") != first);
        let row = foster.row("app").expect("a row");
        assert_eq!((&row["state"], &row["restarts"]), (&"running".into(), &0.into()), "{kill_mode}");
        // Its end is that of the program, and signals reach it.
        let second = foster.pid_of("app");
        kill(Pid::from_raw(second), Signal::SIGKILL).expect("a signal");
        foster.wait_for_line("app: was killed by SIGKILL");
        foster.wait_for("another start", || foster.content("starts").lines().count() == 2);
        foster.verb(&["stop", "app"]).expect(0);
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn a_main_process_that_is_not_the_programs_own_or_has_ended_takes_no_place() {
    // foster, another program, a number without a process, one of its own that ends before.
    let other = other("other", "touch:other");
    for (name, is_own) in [("1", false), ("$(cat pid)", false), ("999999", false), ("$!", true)] {
        let config =
            handing_over(&format!("puppet wait-file:named; exec puppet notify:READY=1~MAINPID={name}"), "")
                + &other;
        let mut foster = Foster::new().config(&config).start();
        foster.wait_for_state("other", "running");
        let own = foster.row("other").expect("a row")["pid"].to_string();
        fs::write(foster.path("pid"), own).expect("a file");
        fs::write(foster.path("named"), "").expect("a file");
        foster.wait_for_state("app", "running");
        foster.wait_for("its first start", || foster.content("starts").lines().count() == 1);
        if is_own {
            let waits = |process: &Process| process.parent == foster.pid_of("app");
            let below = foster.processes().into_iter().find(waits).expect("its child");
            kill(Pid::from_raw(below.pid), Signal::SIGKILL).expect("a signal");
        } else {
            foster.wait_for_line(
                "app: names a main process that does not descend from its own .MAINPID.: ignored",
            );
        }
        fs::write(foster.path("go"), "").expect("a file");
        foster.wait_for_line("app: exited with status 7 after");
        foster.wait_for("another start", || foster.content("starts").lines().count() == 2);
        assert_eq!(foster.row("other").expect("a row")["restarts"], 0);
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn a_program_that_is_stopped_ends_with_its_first_main_process() {
    let config = handing_over("exec puppet notify:READY=1~MAINPID=$!", "kill_mode = 'process'\n");
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("app", "running");
    foster.verb(&["stop", "app"]).expect(0);
    assert_eq!(lines(&foster, "its main process is now"), 0, "{}", foster.output().shown());
}
