//! A program is all its processes: its session, and descendants in other sessions.
//!
//! Wrappers put a server into another session: `su -c`, `dumb-init --` and setsid(1) create one for their child, and a
//! daemon forks twice. Behind each of them is the same server, which listens at a port.

mod descriptors;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Caller, End, Foster, Injector, Running, found, free_port, get, may_make_namespaces};

/// Commands that start a server in another session, as a descendant of the main process.
const WRAPPERS: [(&str, &str); 4] = [
    ("su", r#"["su", "nobody", "-s", "/bin/sh", "-c", "exec PUPPET http:PORT:200 pause"]"#),
    ("dumb-init", r#"["dumb-init", "--", "PUPPET", "http:PORT:200", "pause"]"#),
    ("setsid", r#"["setsid", "--wait", "PUPPET", "http:PORT:200", "pause"]"#),
    ("sh", r#"["sh", "-c", "setsid PUPPET http:PORT:200 pause & wait"]"#),
];

/// Where the kernel has a list of what belongs to a program, and where foster finds it by itself.
const SURROUNDINGS: [fn() -> Foster; 2] = [Foster::new, || Foster::new().without_groups()];

/// Starts a container with a wrapped server and waits until it is ready; returns also its port.
fn wrapped(foster: Foster, command: &str, keys: &str) -> (Running, u16) {
    let port = free_port();
    let puppet = foster.folder().join("bin/puppet").display().to_string();
    let command = command.replace("PUPPET", &puppet).replace("PORT", &port.to_string());
    let config = format!(
        "[program.api]\ncommand = {command}\nready = {{ tcp = '127.0.0.1:{port}' }}\nstop_timeout = '2s'\nmin_uptime = '1ms'\n{keys}\n"
    );
    let foster = foster.config(&config).start();
    foster.wait_for_state("api", "running");
    (foster, port)
}

/// Runs a check with each installed wrapper.
fn with_each_wrapper(check: impl Fn(Foster, &str)) {
    if !may_make_namespaces() {
        return;
    }
    for (name, command) in WRAPPERS {
        if found(name).is_some() {
            eprintln!("behind {name}");
            SURROUNDINGS.iter().for_each(|surroundings| check(surroundings(), command));
        }
    }
}

/// Every process except foster.
fn pids(foster: &Running) -> BTreeSet<i32> {
    foster.processes().iter().map(|process| process.pid).filter(|pid| *pid != foster.pid()).collect()
}

#[track_caller]
fn assert_nothing_left(foster: &Running, port: u16) {
    assert_eq!(pids(foster), BTreeSet::new(), "{}", foster.output().shown());
    assert_eq!(get(port, "/"), None, "the port is still served");
}

#[test]
fn a_stop_ends_descendants_in_other_sessions() {
    with_each_wrapper(|foster, command| {
        let (mut foster, port) = wrapped(foster, command, "");
        foster.verb(&["stop", "api"]).expect(0);
        assert_nothing_left(&foster, port);
        assert_eq!(foster.terminate(), End::Code(0));
    });
}

#[test]
fn a_stop_of_many_programs_ends_descendants_in_other_sessions() {
    if !may_make_namespaces() {
        return;
    }
    let program = |index: u32| {
        format!(
            "[program.p{index}]\ncommand = \"puppet 'child:setsid touch:daemon{index} child:pause pause' touch:up{index} pause\"\n"
        )
    };
    let mut foster = Foster::new().config(&(0..12).map(program).collect::<String>()).start();
    for index in 0..12 {
        foster.wait_for_file(&format!("daemon{index}"));
        foster.wait_for_file(&format!("up{index}"));
    }
    foster.verb(&["stop", "all"]).expect(0);
    assert_eq!(pids(&foster), BTreeSet::new(), "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn a_stop_of_many_programs_opens_no_file_of_each() {
    if !may_make_namespaces() {
        return;
    }
    let opened = |programs: u32| {
        let injector = Injector::counting();
        let program = |index: u32| format!("[program.p{index}]\ncommand = 'puppet touch:up{index} pause'\n");
        let config: String = (0..programs).map(program).collect();
        let mut foster = Foster::new().without_groups().config(&config).injected(&injector).start();
        (0..programs).for_each(|index| foster.wait_for_file(&format!("up{index}")));
        assert_eq!(foster.terminate(), End::Code(0));
        injector.finish().get(&(Caller::Foster, libc::SYS_openat)).copied().unwrap_or(0)
    };
    let (few, many) = (opened(2), opened(40));
    assert!(many <= few + 10, "{few} calls of openat with 2 programs, {many} with 40");
}

#[test]
fn descendants_in_other_sessions_are_stopped_when_the_main_process_is_killed() {
    with_each_wrapper(|foster, command| {
        let (mut foster, port) = wrapped(foster, command, "");
        let before = pids(&foster);
        kill(Pid::from_raw(foster.pid_of("api")), Signal::SIGKILL).expect("a kill");
        foster.wait_for("the restart", || foster.row("api").is_some_and(|row| row["restarts"] == 1));
        foster.wait_for_state("api", "running");
        // The port was free: the first start succeeded, and no process of the old run is left.
        let after = pids(&foster);
        assert!(before.is_disjoint(&after), "{before:?} {after:?}\n{}", foster.output().shown());
        assert_eq!(foster.row("api").expect("a row")["restarts"], 1, "{}", foster.output().shown());
        assert!(get(port, "/").is_some(), "{}", foster.output().shown());
        assert_eq!(foster.terminate(), End::Code(0));
    });
}

#[test]
fn a_restart_waits_for_descendants_in_other_sessions() {
    with_each_wrapper(|foster, command| {
        let (mut foster, port) = wrapped(foster, command, "");
        let before = pids(&foster);
        foster.verb(&["restart", "api"]).expect(0);
        let after = pids(&foster);
        assert!(before.is_disjoint(&after), "{before:?} {after:?}\n{}", foster.output().shown());
        assert!(get(port, "/").is_some(), "{}", foster.output().shown());
        foster.verb(&["stop", "api"]).expect(0);
        assert_nothing_left(&foster, port);
        assert_eq!(foster.terminate(), End::Code(0));
    });
}

#[test]
fn descendants_in_other_sessions_are_found_under_another_init_too() {
    for (name, command) in &WRAPPERS[2..] {
        if found(name).is_none() {
            return;
        }
        let (foster, port) = (Foster::new(), free_port());
        let puppet = foster.folder().join("bin/puppet").display().to_string();
        let command = command.replace("PUPPET", &puppet).replace("PORT", &port.to_string());
        let config = format!(
            "[program.api]\ncommand = {command}\nready = {{ tcp = '127.0.0.1:{port}' }}\nmin_uptime = '1ms'\n"
        );
        let mut foster = foster.config(&config).not_pid_1().start();
        foster.wait_for_state("api", "running");
        foster.verb(&["stop", "api"]).expect(0);
        assert_nothing_left(&foster, port);
        assert_eq!(foster.terminate(), End::Code(0));
    }
}

#[test]
fn kill_mode_process_signals_only_the_main_process() {
    if !may_make_namespaces() {
        return;
    }
    let (mut foster, port) = wrapped(Foster::new(), WRAPPERS[3].1, "kill_mode = 'process'");
    foster.verb(&["stop", "api"]).expect(0);
    foster.wait_for_state("api", "stopped");
    assert!(get(port, "/").is_some(), "the server is gone\n{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn kill_mode_session_leaves_other_sessions_alone() {
    if !may_make_namespaces() {
        return;
    }
    let port = free_port();
    let config = format!(
        "[program.app]\ncommand = \"puppet 'child:touch:child pause' 'child:setsid http:{port}:200 touch:daemon pause' touch:up pause\"\nkill_mode = 'session'\n"
    );
    let mut foster = Foster::new().config(&config).start();
    for file in ["child", "daemon", "up"] {
        foster.wait_for_file(file);
    }
    foster.verb(&["stop", "app"]).expect(0);
    assert_eq!(pids(&foster).len(), 1, "{}", foster.output().shown());
    assert!(get(port, "/").is_some(), "the daemon is gone\n{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn descendants_that_ignore_term_are_killed_after_the_stop_timeout() {
    if !may_make_namespaces() {
        return;
    }
    let config = "[program.app]\ncommand = \"puppet 'child:setsid ignore:TERM touch:daemon pause' touch:up pause\"\nstop_timeout = '300ms'\n";
    for surroundings in SURROUNDINGS {
        let foster = surroundings().config(config).start();
        foster.wait_for_file("daemon");
        foster.wait_for_file("up");
        let before = Instant::now();
        foster.verb(&["stop", "app"]).expect(0);
        assert!(before.elapsed() >= Duration::from_millis(300), "{:?}", before.elapsed());
        assert_eq!(pids(&foster), BTreeSet::new(), "{}", foster.output().shown());
    }
}

#[test]
fn a_session_with_more_processes_than_descriptors_is_stopped_completely() {
    let config =
        "[program.app]\ncommand = 'puppet ignore:TERM forks:1000 touch:up pause'\nstop_timeout = '200ms'\n";
    for foster in [Foster::new(), Foster::new().without_groups(), Foster::new().not_pid_1()] {
        let mut foster = foster.config(config).limited("nofile", 128).start();
        foster.wait_for_file("up");
        foster.verb(&["stop", "app"]).expect(0);
        assert_eq!(pids(&foster).len(), 0, "{}", foster.output().shown());
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn a_chain_of_forking_processes_is_stopped_or_reported() {
    if !may_make_namespaces() {
        return;
    }
    for steps in ["chain:links", "setsid chain:links"] {
        let config = format!(
            "[program.app]\ncommand = \"puppet 'child:{steps}' wait-file:links touch:up pause\"\nstop_timeout = '200ms'\n[foster]\nshutdown_timeout = '3s'\n"
        );
        let mut foster = Foster::new().without_groups().config(&config).start();
        foster.wait_for_file("up");
        let stopped = foster.verb(&["stop", "app"]);
        // No process lives long enough to be seen in /proc, but the file grows.
        let (links, since) = (foster.content("links").len(), Instant::now());
        foster.wait_for("100 ms", || since.elapsed() > Duration::from_millis(100));
        let goes_on = foster.content("links").len() > links;
        match stopped.code {
            0 => assert!(!goes_on, "{steps}: stopped, it says\n{}", foster.output().shown()),
            _ => assert!(stopped.text().contains("app"), "{}", stopped.text()),
        }
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn without_proc_leftover_processes_are_stopped_or_reported() {
    if !may_make_namespaces() {
        return;
    }
    let children = ["child:ignore:TERM touch:child pause", "child:setsid ignore:TERM touch:child pause"];
    for (child, surroundings) in
        children.iter().flat_map(|child| [(child, Foster::new()), (child, Foster::new().not_pid_1())])
    {
        let config = format!(
            "[program.app]\ncommand = ['puppet', '{child}', 'touch:up', 'pause']\nstop_timeout = '200ms'\n[foster]\nshutdown_timeout = '2s'\n"
        );
        let mut foster = surroundings.config(&config).without_proc().start();
        foster.wait_for_file("up");
        foster.wait_for_file("child");
        let stopped = foster.verb(&["stop", "app"]);
        let left = pids(&foster);
        match stopped.code {
            0 => assert_eq!(left, BTreeSet::new(), "{child}: stopped, it says\n{}", foster.output().shown()),
            _ => assert!(stopped.text().contains("/proc"), "{}", stopped.text()),
        }
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn hidepid_hides_no_process_from_root() {
    if !may_make_namespaces() || found("su").is_none() {
        return;
    }
    let (foster, port) = (Foster::new(), free_port());
    let puppet = foster.folder().join("bin/puppet").display().to_string();
    let command = WRAPPERS[0].1.replace("PUPPET", &puppet).replace("PORT", &port.to_string());
    let config = format!(
        "[program.api]\ncommand = {command}\nready = {{ tcp = '127.0.0.1:{port}' }}\nmin_uptime = '1ms'\n"
    );
    let mut foster = foster.config(&config).hidepid().start();
    foster.wait_for_state("api", "running");
    foster.verb(&["stop", "api"]).expect(0);
    assert_nothing_left(&foster, port);
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn an_orphan_causes_no_scan_of_proc() {
    if !may_make_namespaces() {
        return;
    }
    let looks = |orphans: u32| {
        let injector = Injector::counting();
        let config = format!(
            "[program.app]\ncommand = \"puppet 'child:setsid child:pause exit:0' orphans:{orphans} touch:up pause\"\n"
        );
        let mut foster = Foster::new().config(&config).injected(&injector).start();
        foster.wait_for_file("up");
        foster.wait_for("every orphan to be reaped", || foster.processes().len() == 3);
        assert_eq!(foster.terminate(), End::Code(0));
        injector.finish().get(&(Caller::Foster, libc::SYS_getdents64)).copied().unwrap_or(0)
    };
    let (few, many) = (looks(10), looks(1000));
    assert!(many <= few + 10, "{few} calls of getdents64 with 10 orphans, {many} with 1000");
}

#[test]
fn daemons_of_failed_starts_use_up_no_descriptors() {
    let config = "[program.leaves]\ncommand = \"puppet 'child:setsid pause' exit:1\"\nbackoff = { initial = '10ms', max = '10ms' }\nstart_limit = 'unlimited'\non_failure = 'ignore'\n[program.other]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).limited("nofile", 64).start();
    foster.wait_for("as many starts as would use its descriptors up", || {
        foster.row("leaves").and_then(|row| row["restarts"].as_u64()).is_some_and(|restarts| restarts > 30)
    });
    foster.verb(&["restart", "other"]).expect(0);
    foster.verb(&["stop", "leaves"]).expect(0);
    assert_eq!(pids(&foster).len(), 1, "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0));
}

/// Starts a program with a descendant that survives a stop, such as a job of cron or a process of a program with
/// `kill_mode = "process"`.
fn with_a_job(traps: &str, keys: &str, foster: &str) -> Running {
    let config = format!(
        "[program.cron]\ncommand = \"puppet 'child:setsid {traps} touch:job pause' wait-file:job touch:up pause\"\n{keys}\n[foster]\n{foster}\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_file("up");
    foster
}

#[test]
fn a_job_in_another_session_has_time_to_save_its_work_at_the_shutdown() {
    if !may_make_namespaces() {
        return;
    }
    for keys in ["", "kill_mode = 'session'", "kill_mode = 'process'"] {
        let traps = "trap:TERM:sleep:0.8 trap:TERM:append:saved:x trap:TERM:exit:0";
        let mut foster = with_a_job(traps, keys, "shutdown_timeout = '30s'");
        let before = Instant::now();
        assert_eq!(foster.terminate(), End::Code(0));
        assert_eq!(foster.content("saved"), "x\n", "{keys}\n{}", foster.output().shown());
        assert!(before.elapsed() < Duration::from_secs(4), "{keys}: {:?}", before.elapsed());
    }
}

#[test]
fn processes_that_are_killed_at_the_shutdown_are_reported() {
    if !may_make_namespaces() {
        return;
    }
    let mut foster = with_a_job("ignore:TERM", "kill_mode = 'process'", "shutdown_timeout = '700ms'");
    let before = Instant::now();
    foster.signal(Signal::SIGTERM);
    let (end, at) = foster.wait_end();
    assert_eq!(end, End::Code(0));
    assert!(at - before >= Duration::from_millis(500), "{:?}", at - before);
    assert!(at - before < Duration::from_secs(3), "{:?}", at - before);
    foster.wait_for_line("(killed|SIGKILL|killing).*puppet|puppet.*(killed|SIGKILL)");
}

#[test]
fn a_program_that_goes_into_the_background_is_not_ready() {
    if !may_make_namespaces() {
        return;
    }
    let port = free_port();
    // The daemon listens only after its parent has exited, so that the program never answers itself.
    let config = format!(
        "[program.web]\ncommand = \"puppet 'child:setsid touch:daemon wait-adopted http:{port}:200 pause' wait-file:daemon exit:0\"\nready = {{ tcp = '127.0.0.1:{port}' }}\nbackoff = {{ initial = '10ms', max = '10ms' }}\non_failure = 'ignore'\n[foster]\nwhen_all_ended = 'stay'\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_state("web", "fatal");
    let log = foster.output().stderr();
    assert!(log.contains("web: went into the background"), "{log}");
    assert!(!log.contains("web: ready"), "{log}");
    assert_eq!(pids(&foster), BTreeSet::new(), "{log}");
    assert!(fs::exists(foster.path("daemon")).expect("a folder"), "{log}");
}

#[test]
fn a_process_that_was_adopted_gets_term_once_however_many_others_end() {
    // The counting one ends after the last of the others; each of them is reaped at its own time.
    let other = |name: &str, wait: &str, last: &str| {
        format!("'child:setsid trap:TERM:sleep:{wait} {last}trap:TERM:exit:0 touch:{name} pause'")
    };
    let (quick, slow, last) =
        (other("quick", "0", ""), other("slow", "0.2", ""), other("last", "0.4", "trap:TERM:touch:gone "));
    let config = format!(
        "[program.app]\ncommand = \"puppet 'child:setsid trap:TERM:append:terms:x touch:counts wait-file:gone exit:0' {quick} {slow} {last} touch:up pause\"\nkill_mode = 'process'\n[foster]\nshutdown_timeout = '10s'\n"
    );
    for foster in [Foster::new().not_pid_1(), Foster::new()] {
        let mut foster = foster.config(&config).start();
        for file in ["counts", "quick", "slow", "last", "up"] {
            foster.wait_for_file(file);
        }
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
        assert_eq!(foster.content("terms"), "x\n", "{}", foster.output().shown());
    }
}

#[test]
fn a_proc_of_another_namespace_is_reported_and_its_numbers_are_not_believed() {
    if !may_make_namespaces() {
        return;
    }
    // In the machine's /proc pid 2 has many children, whose numbers belong to other programs here.
    let config = "[program.app]\ncommand = \"puppet 'child:ignore:TERM touch:one pause' touch:up pause\"\nstop_timeout = '200ms'\n[program.other]\ncommand = 'puppet trap:TERM:append:terms:x touch:other pause'\n[program.more]\ncommand = \"puppet 'child:setsid touch:two pause' touch:more pause\"\n[foster]\nshutdown_timeout = '2s'\n";
    let mut foster = Foster::new().config(config).host_proc().start();
    for file in ["one", "up", "other", "two", "more"] {
        foster.wait_for_file(file);
    }
    foster.wait_for_line("/proc belongs to another PID namespace: .*; mount that of this one");
    let row = foster.row("app").expect("a row");
    assert!(row["memory_bytes"].is_null(), "{row}");
    let before = pids(&foster).len();
    foster.verb(&["stop", "app"]).expect(0);
    assert_eq!(pids(&foster).len(), before - 2, "{}", foster.output().shown());
    foster.verb(&["restart", "more"]).expect(0);
    assert_eq!(pids(&foster).len(), before - 2, "{}", foster.output().shown());
    assert_eq!(foster.content("terms"), "", "a stop reached another program\n{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    let said = foster.output().stderr();
    assert!(!said.contains("killed at the end: ") || said.contains("killed at the end: a process"), "{said}");
}

#[test]
fn daemons_of_failed_starts_of_many_programs_use_up_no_descriptors() {
    let program = |index: u32| {
        format!(
            "[program.leaves{index}]\ncommand = \"puppet 'child:setsid pause' exit:1\"\nkill_mode = 'process'\nbackoff = {{ initial = '10ms', max = '10ms' }}\nstart_limit = 'unlimited'\non_failure = 'ignore'\n"
        )
    };
    let config = (0..6).map(program).collect::<String>()
        + "[program.other]\ncommand = 'puppet pause'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(&config).limited("nofile", 128).start();
    foster.wait_for("as many starts as would use its descriptors up", || {
        let restarts = |row: &serde_json::Value| row["restarts"].as_u64().unwrap_or(0);
        foster.rows().iter().filter(|row| restarts(row) > 20).count() == 6
    });
    foster.verb(&["restart", "other"]).expect(0);
    assert!(!foster.output().has_line("Too many open files"), "{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn what_other_commands_of_a_program_leave_behind_is_stopped_with_it() {
    if !may_make_namespaces() {
        return;
    }
    let left = |name: &str| format!("\"puppet 'child:setsid touch:{name} pause' wait-file:{name}\"");
    let config = format!(
        "[program.app]\ncommand = 'puppet pause'\npre_start = {}\npre_stop = {}\nready = {{ exec = {}, interval = '20ms' }}\n",
        left("before"),
        left("after"),
        left("probe")
    );
    for surroundings in SURROUNDINGS {
        let mut foster = surroundings().config(&config).start();
        foster.wait_for_state("app", "running");
        foster.wait_for_file("before");
        foster.wait_for_file("probe");
        foster.verb(&["stop", "app"]).expect(0);
        foster.wait_for_file("after");
        assert_eq!(pids(&foster), BTreeSet::new(), "{}", foster.output().shown());
        assert_eq!(foster.terminate(), End::Code(0));
    }
}

#[test]
fn daemons_without_an_environment_of_programs_that_end_together_are_stopped() {
    if !may_make_namespaces() || found("env").is_none() {
        return;
    }
    for surroundings in SURROUNDINGS {
        let foster = surroundings();
        let puppet = foster.folder().join("bin/puppet").display().to_string();
        let program = |name: &str| {
            format!(
                "[program.{name}]\ncommand = ['sh', '-c', 'env -i setsid {puppet} touch:{name} pause & exec {puppet} wait-file:{name} touch:up-{name} pause']\nrestart = 'never'\non_failure = 'ignore'\n"
            )
        };
        let config = format!("{}{}[foster]\nwhen_all_ended = 'stay'\n", program("one"), program("two"));
        let mut foster = foster.config(&config).start();
        for name in ["up-one", "up-two"] {
            foster.wait_for_file(name);
        }
        let mains = [foster.pid_of("one"), foster.pid_of("two")];
        foster.signal(Signal::SIGSTOP);
        for main in mains {
            kill(Pid::from_raw(main), Signal::SIGKILL).expect("a kill");
        }
        foster.signal(Signal::SIGCONT);
        for name in ["one", "two"] {
            foster.wait_for_state(name, "fatal");
        }
        assert_eq!(pids(&foster), BTreeSet::new(), "{}", foster.output().shown());
        assert_eq!(foster.terminate(), End::Code(0), "{}", foster.output().shown());
    }
}

#[test]
fn the_end_of_a_run_that_leaves_processes_is_logged_once() {
    let config = "[program.app]\ncommand = \"puppet 'child:touch:child pause' wait-file:child exit:3\"\nstart_limit = 1\n";
    let mut foster = Foster::new().config(config).start();
    assert_eq!(foster.wait_exit(), End::Code(3), "{}", foster.output().shown());
    let log = foster.output().stderr();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("app: ")).collect();
    let ends: Vec<&&str> = lines.iter().filter(|line| line.contains("exited with status 3")).collect();
    assert_eq!(ends.len(), 1, "{log}");
    let left = lines.iter().position(|line| line.contains("app: its main process ended (pid "));
    let end = lines.iter().position(|line| line.contains("app: exited with status 3 after "));
    assert!(left.is_some() && left < end, "{log}");
}
