//! A program is all its processes: its session, and what left it for a session of its own.
//!
//! Wrappers put a server into another session: `su -c` and `dumb-init --` create one for their child, setsid(1) does, and
//! a daemon forks twice. The server is the same behind each: it answers at a port.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::libc;

use crate::support::{Caller, End, Foster, Injector, Running, found, free_port, get, may_make_namespaces};

/// Behind each of these a server is in a session of its own, below the main process.
const WRAPPERS: [(&str, &str); 4] = [
    ("su", r#"["su", "nobody", "-s", "/bin/sh", "-c", "exec PUPPET http:PORT:200 pause"]"#),
    ("dumb-init", r#"["dumb-init", "--", "PUPPET", "http:PORT:200", "pause"]"#),
    ("setsid", r#"["setsid", "--wait", "PUPPET", "http:PORT:200", "pause"]"#),
    ("sh", r#"["sh", "-c", "setsid PUPPET http:PORT:200 pause & wait"]"#),
];

/// A container with a wrapped server, ready, and its port.
fn wrapped(command: &str, keys: &str) -> (Running, u16) {
    let (foster, port) = (Foster::new(), free_port());
    let puppet = foster.folder().join("bin/puppet").display().to_string();
    let command = command.replace("PUPPET", &puppet).replace("PORT", &port.to_string());
    let config = format!(
        "[program.api]\ncommand = {command}\nready = {{ tcp = '127.0.0.1:{port}' }}\nstop_timeout = '2s'\nmin_uptime = '1ms'\n{keys}\n"
    );
    let foster = foster.config(&config).start();
    foster.wait_for_state("api", "running");
    (foster, port)
}

/// Every process but foster itself.
fn pids(foster: &Running) -> BTreeSet<i32> {
    foster.processes().iter().map(|process| process.pid).filter(|pid| *pid != foster.pid()).collect()
}

#[track_caller]
fn assert_nothing_left(foster: &Running, port: u16) {
    assert_eq!(pids(foster), BTreeSet::new(), "{}", foster.output().shown());
    assert_eq!(get(port, "/"), None, "the port is still served");
}

#[test]
fn kill_mode_process_leaves_what_the_main_process_left() {
    if !may_make_namespaces() {
        return;
    }
    let (mut foster, port) = wrapped(WRAPPERS[3].1, "kill_mode = 'process'");
    foster.verb(&["stop", "api"]).expect(0);
    foster.wait_for_state("api", "stopped");
    assert!(get(port, "/").is_some(), "the server is gone\n{}", foster.output().shown());
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn kill_mode_session_leaves_what_left_the_session_alone() {
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
fn a_proc_that_hides_the_processes_of_others_hides_none_from_root() {
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
fn an_orphan_costs_no_look_at_all_of_proc() {
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

/// What goes on after its program: a job of cron's, a daemon of a program with `kill_mode = "process"`.
fn with_a_job(traps: &str, keys: &str, foster: &str) -> Running {
    let config = format!(
        "[program.cron]\ncommand = \"puppet 'child:setsid {traps} touch:job pause' wait-file:job touch:up pause\"\n{keys}\n[foster]\n{foster}\n"
    );
    let foster = Foster::new().config(&config).start();
    foster.wait_for_file("up");
    foster
}

#[test]
fn a_job_in_a_session_of_its_own_has_time_to_save_its_work_at_the_end() {
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
