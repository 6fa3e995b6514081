//! foster as PID 1 and under another init: the processes that it reaps and signals.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Running, matches};

/// Starts foster with one program and waits until it is ready.
fn idle() -> Running {
    let foster = Foster::new().config("[program.app]\ncommand = 'puppet print:up pause'\n").start();
    foster.wait_for_state("app", "running");
    foster
}

#[test]
fn an_exited_orphan_is_reaped_at_once() {
    let foster = Foster::new()
        .config("[program.app]\ncommand = \"puppet 'child:setsid child:exit:0 exit:0' orphans:500 touch:done pause\"\n")
        .start();
    foster.wait_for_file("done");
    foster.wait_for("nothing but foster and the program", || foster.processes().len() == 2);
}

#[test]
fn a_running_orphan_is_not_signalled() {
    let foster = Foster::new()
        .config("[program.app]\ncommand = \"puppet 'child:setsid child:pause exit:0' touch:done pause\"\n")
        .start();
    foster.wait_for_file("done");
    // The process between the program and its orphan has ended: both are children of foster.
    let is_adopted = || {
        let processes = foster.processes();
        let children = processes.iter().filter(|process| process.parent == foster.pid()).count();
        (processes.len(), children) == (3, 2)
    };
    foster.wait_for("foster, the program and its orphan", is_adopted);
    foster.verb(&["status"]).expect(0);
    assert!(is_adopted());
}

#[test]
fn a_program_starts_with_default_signals_a_new_session_and_only_three_descriptors() {
    let foster = Foster::new()
        .config(
            "[program.app]\ncommand = ['sh', '-c', 'cat /proc/self/status; puppet ids fds touch:done; exec puppet pause']\n",
        )
        .start();
    foster.wait_for_file("done");
    foster.wait_for_line(r"fd 2 ");
    let seen = foster.output().stdout();
    for empty in ["SigBlk", "SigIgn", "SigCgt"] {
        assert!(matches(&seen, &format!("{empty}:\\s+0000000000000000$")), "{empty}\n{seen}");
    }
    assert!(matches(&seen, r"fd 0 /dev/null$"), "{seen}");
    assert!(!matches(&seen, r"fd ([3-9]|\d\d) "), "{seen}");
    // The shell leads the session, and the puppet is in its group.
    let ids = seen.lines().find_map(|line| Some(line[line.find("pgid=")?..].to_owned())).expect("ids");
    let (group, session) = ids.split_once(' ').expect("two numbers");
    assert_eq!(group.strip_prefix("pgid="), session.strip_prefix("sid="), "{ids}");
    assert!(!session.ends_with("=1"), "{ids}");
}

#[test]
fn foster_gives_a_program_neither_its_notify_socket_nor_its_listening_sockets() {
    let foster = Foster::new()
        .config("[program.app]\ncommand = 'puppet env touch:done pause'\n")
        .env("NOTIFY_SOCKET", "/nowhere")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .env("KEPT", "yes")
        .start();
    foster.wait_for_file("done");
    foster.wait_for_line(r"KEPT=yes");
    let seen = foster.output().stdout();
    assert!(!seen.contains("NOTIFY_SOCKET") && !seen.contains("LISTEN_"), "{seen}");
}

#[test]
fn under_another_init_it_adopts_orphans_and_reaps_them() {
    let mut foster = Foster::new()
        .config("[program.app]\ncommand = \"puppet 'child:setsid child:pause exit:0' orphans:300 touch:done pause\"\n")
        .not_pid_1()
        .start();
    foster.wait_for_file("done");
    foster.wait_for("foster, the program and the adopted process", || {
        let processes = foster.processes();
        processes.len() == 3 && processes.iter().all(|process| process.state != 'Z')
    });
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn under_another_init_it_signals_only_its_own_processes() {
    let mut stranger =
        std::process::Command::new(crate::support::puppet()).arg("pause").spawn().expect("a stranger");
    let mut foster = Foster::new()
        .config("[program.app]\ncommand = \"puppet 'child:setsid pause' touch:done pause\"\n")
        .not_pid_1()
        .start();
    foster.wait_for_file("done");
    let own = foster.pid();
    let escaped: Vec<i32> =
        foster.processes().iter().map(|process| process.pid).filter(|pid| *pid != own).collect();
    assert_eq!(foster.terminate(), End::Code(0));
    for pid in escaped {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        assert!(kill(Pid::from_raw(pid), None).is_err(), "{pid} was foster's and still runs: {status}");
    }
    assert!(stranger.try_wait().expect("our child").is_none(), "the stranger has ended");
    stranger.kill().expect("our child");
    stranger.wait().expect("our child");
}

#[test]
fn a_plain_foster_finds_its_configuration_in_the_working_directory_and_in_the_environment() {
    let config = "[program.app]\ncommand = 'puppet print:found exit:0'\nrestart = 'never'\n";
    let mut here = Foster::new().config(config).arguments(&[]).start();
    assert_eq!(here.wait_exit(), End::Code(0));
    assert!(here.output().stdout().contains("found"), "{}", here.output().shown());
    drop(here);

    let there = Foster::new().file("elsewhere/one.toml", &format!("{config}[foster]\nsocket = ''\n"));
    let path = there.folder().join("elsewhere/one.toml").display().to_string();
    let mut there = there.env("FOSTER_CONFIG", &path).arguments(&[]).start();
    assert_eq!(there.wait_exit(), End::Code(0));
    assert!(there.output().stdout().contains("found"), "{}", there.output().shown());
}

#[test]
fn a_second_foster_at_the_same_socket_refuses_to_run() {
    let first = idle();
    let socket = first.path("foster.sock").display().to_string();
    let mut second = Foster::new()
        .config(&format!("[program.app]\ncommand = 'puppet pause'\n[foster]\nsocket = '{socket}'\n"))
        .start();
    assert_eq!(second.wait_exit(), End::Code(1));
    assert!(second.output().stderr().contains(&socket), "{}", second.output().shown());
    first.verb(&["status"]).expect(0);
}

#[test]
fn a_stale_socket_is_replaced() {
    let mut first = idle();
    first.signal(Signal::SIGKILL);
    assert_eq!(first.wait_exit(), End::Killed(Signal::SIGKILL));
    let socket = first.path("foster.sock");
    assert!(socket.exists(), "a killed foster leaves its socket behind");
    let config =
        format!("[program.app]\ncommand = 'puppet pause'\n[foster]\nsocket = '{}'\n", socket.display());
    let second = Foster::new().config(&config).start();
    second.wait_for("an answer", || first.verb(&["status"]).code == 0);
}

/// FOSTER_TEST_FAULT, which only debug builds have, causes a fault at a request for the status.
#[test]
#[cfg(debug_assertions)]
fn a_fault_in_foster_stops_the_programs_in_order_and_is_explained() {
    let config = "[program.app]\ncommand = \"puppet trap:TERM:exit:0 print:up pause\"\nready = { log = 'up' }\n[foster]\ntermination_log = 'termination-log'\n";
    let mut foster =
        Foster::new().config(config).file("termination-log", "").env("FOSTER_TEST_FAULT", "1").start();
    foster.wait_for_state("app", "running");
    foster.signal(Signal::SIGUSR2);
    assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
    let stderr = foster.output().stderr();
    assert!(stderr.contains("a fault in foster itself"), "{stderr}");
    assert!(stderr.contains("app: stopping"), "{stderr}");
    let reason = foster.content("termination-log");
    assert!(reason.contains("foster itself cannot go on: "), "{reason}");
    assert!(reason.contains("asked for by FOSTER_TEST_FAULT"), "{reason}");
}

/// The same with an abort, which is also the effect of a failed allocation, and with a stack that is too small. Where
/// foster is not the first process, the kernel ends no other with it.
#[test]
#[cfg(debug_assertions)]
fn an_abort_is_explained_and_leaves_no_process_behind() {
    for (fault, signal) in [("memory", "SIGABRT"), ("abort", "SIGABRT"), ("stack", "SIGSEGV")] {
        for is_first in [true, false] {
            let config = "[program.app]\ncommand = \"puppet 'child:setsid touch:daemon pause' pause\"\n[foster]\ntermination_log = 'termination-log'\n";
            let foster =
                Foster::new().config(config).file("termination-log", "").env("FOSTER_TEST_FAULT", fault);
            let mut foster = if is_first { foster } else { foster.not_pid_1() }.start();
            foster.wait_for_file("daemon");
            foster.wait_for_state("app", "running");
            let pids: Vec<i32> = foster.processes().iter().map(|process| process.pid).collect();
            assert!(pids.len() >= 2, "{pids:?}");
            foster.signal(Signal::SIGUSR2);
            assert_eq!(foster.wait_exit(), End::Code(1), "{}", foster.output().shown());
            let reason = foster.content("termination-log");
            assert!(reason.contains(&format!("foster itself cannot go on: it got {signal}")), "{reason}");
            assert!(foster.output().stderr().contains(&reason), "{}", foster.output().shown());
            let runs = |pid: &i32| {
                std::fs::read_to_string(format!("/proc/{pid}/status"))
                    .is_ok_and(|status| status.contains("puppet\n") && !status.contains("State:\tZ"))
            };
            foster.wait_for("the end of all processes", || !pids.iter().any(runs));
        }
    }
}

#[test]
fn a_fault_signal_from_another_process_is_ignored() {
    let foster = Foster::new().config("[program.app]\ncommand = 'puppet pause'\n").start();
    foster.wait_for_state("app", "running");
    for signal in [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGABRT] {
        foster.signal(signal);
    }
    foster.verb(&["status"]).expect(0);
}

/// podman and systemd-nspawn show the status and wait for READY=1.
#[test]
fn the_service_manager_above_gets_ready_status_stopping_and_the_exit_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("a timeout");
    let next = || {
        let mut message = [0; 4096];
        let length = socket.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    let config = "[program.app]\ncommand = 'puppet wait-file:go print:up pause'\nready = { log = 'up' }\n";
    let path = path.to_str().expect("text");
    let mut foster = Foster::new().config(config).env("NOTIFY_SOCKET", path).start();
    while next() != "STATUS=0 of 1 programs ready: app is starting" {}
    std::fs::write(foster.path("go"), "").expect("a file");
    assert_eq!([next(), next()], ["READY=1", "STATUS=1 of 1 programs ready"]);
    foster.verb(&["stop", "app"]).expect(0);
    assert_eq!(next(), "STATUS=0 of 0 programs ready");
    assert_eq!(foster.terminate(), End::Code(0));
    assert_eq!([next(), next(), next()], ["STOPPING=1", "STATUS=shutting down", "EXIT_STATUS=0"]);
}
