//! A program is all its processes: its session, and what left it for a session of its own.
//!
//! Wrappers put a server into another session: `su -c` and `dumb-init --` create one for their child, setsid(1) does, and
//! a daemon forks twice. The server is the same behind each: it answers at a port.

use std::collections::BTreeSet;

use nix::libc;

use crate::support::{Caller, End, Foster, Injector, Running, found, free_port, get, may_make_namespaces};

/// The server is in another session than the main process: su(1) creates one for its child.
const WRAPPED: &str = r#"["su", "nobody", "-s", "/bin/sh", "-c", "exec PUPPET http:PORT:200 pause"]"#;

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
fn a_proc_that_hides_the_processes_of_others_hides_none_from_root() {
    if !may_make_namespaces() || found("su").is_none() {
        return;
    }
    let (foster, port) = (Foster::new(), free_port());
    let puppet = foster.folder().join("bin/puppet").display().to_string();
    let command = WRAPPED.replace("PUPPET", &puppet).replace("PORT", &port.to_string());
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
