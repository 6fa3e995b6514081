//! The control socket under attack: the cost of hostile clients is bounded, and they delay no other client.
//!
//! The tests measure no time: they check the answers to other clients, and foster's memory and descriptors.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{End, Foster, Running, binary, descriptors, may_make_namespaces, resident_kib};

fn running_foster() -> Running {
    let config = "[program.app]\ncommand = 'puppet append:starts:x lines:20000 touch:up pause'\nmin_uptime = '1ms'\nstdout = { file = '/dev/null' }\n";
    let foster = Foster::new().config(config).start();
    foster.wait_for_file("up");
    foster.wait_for_state("app", "running");
    foster
}

fn connect(foster: &Running) -> UnixStream {
    let client = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    client.set_nonblocking(true).expect("a connection that does not block");
    client
}

/// Connects a client that sends these bytes, as far as they are accepted.
fn sending(foster: &Running, bytes: &[u8]) -> UnixStream {
    let mut client = connect(foster);
    // foster may refuse the client while it writes: then the write fails with EPIPE.
    drop(client.write_all(bytes));
    client
}

/// Connects a hostile client of one of ten kinds.
fn hostile(foster: &Running, which: usize) -> UnixStream {
    let deep = [b"{\"verb\":".as_slice(), &b"[".repeat(60_000), b"\n"].concat();
    let bytes: Vec<u8> = match which % 10 {
        0 => Vec::new(),
        1 => b"{\"verb\":\"sta".to_vec(),
        2 => b"\xff\xfe\x00garbage\n".repeat(100),
        3 => b"x".repeat(64 * 1024 + 1),
        4 => b"x".repeat(64 * 1024 - 1),
        5 => deep,
        6 => b"{\"verb\":\"logs\",\"follow\":true}\n".to_vec(),
        7 => b"{\"verb\":\"events\",\"follow\":true}\n".to_vec(),
        8 => b"{\"verb\":\"status\"}\n".repeat(2_000),
        _ => b"{\"verb\":\"logs\"}\n".repeat(100),
    };
    sending(foster, &bytes)
}

fn restarts(foster: &Running) -> usize {
    foster.content("starts").lines().count()
}

#[track_caller]
fn assert_works(foster: &Running) {
    foster.verb(&["status"]).expect(0);
    let before = restarts(foster);
    kill(Pid::from_raw(foster.pid_of("app")), Signal::SIGKILL).expect("a signal");
    foster.wait_for("the restart", || restarts(foster) == before + 1);
    foster.wait_for_state("app", "running");
}

#[test]
fn among_two_hundred_hostile_clients_others_are_answered_and_a_crash_is_restarted() {
    let mut foster = running_foster();
    let clients: Vec<UnixStream> = (0..200).map(|which| hostile(&foster, which)).collect();
    assert_works(&foster);
    assert_eq!(foster.terminate(), End::Code(0));
    drop(clients);
}

#[test]
fn more_clients_than_the_limit_lock_out_no_client() {
    let foster = running_foster();
    for kind in [0, 1, 4, 6, 7] {
        let clients: Vec<UnixStream> = (0..600).map(|_| hostile(&foster, kind)).collect();
        assert_works(&foster);
        let open = descriptors(foster.pid()).len();
        assert!(open < 300, "{open} descriptors with clients of the kind {kind}");
        drop(clients);
    }
}

#[test]
fn the_cost_of_hostile_clients_is_bounded_and_freed() {
    let foster = running_foster();
    assert_works(&foster);
    let (before, open) = (resident_kib(foster.pid()), descriptors(foster.pid()));
    for _ in 0..3 {
        let clients: Vec<UnixStream> = (0..300).map(|which| hostile(&foster, which)).collect();
        foster.verb(&["status"]).expect(0);
        let during = resident_kib(foster.pid());
        // Half a request of 64 KiB from each client would be 16 MiB.
        assert!(during < before + 20 * 1024, "{before} KiB before, {during} KiB under attack");
        drop(clients);
    }
    foster.wait_for("the descriptors to be as they were", || descriptors(foster.pid()).len() <= open.len());
    let after = resident_kib(foster.pid());
    assert!(after < before + 20 * 1024, "{before} KiB before, {after} KiB after");
}

#[test]
fn a_request_of_thousands_of_patterns_costs_no_more_memory_than_its_own_size() {
    let programs: String =
        (0..300).map(|n| format!("[program.p{n}]\ncommand = 'puppet pause'\nautostart = false\n")).collect();
    let foster = Foster::new().config(&format!("[program.up]\ncommand = 'puppet pause'\n{programs}")).start();
    foster.wait_for_state("up", "running");
    foster.verb(&["stop", "p*"]).expect(0);
    let before = resident_kib(foster.pid());
    let patterns = vec!["\"p*\""; 12_000].join(",");
    let mut client = UnixStream::connect(foster.path("foster.sock")).expect("a connection");
    writeln!(client, "{{\"verb\":\"stop\",\"names\":[{patterns}]}}").expect("a request");
    client.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit");
    let mut replies = BufReader::new(client).lines().map(|line| line.expect("a reply"));
    assert!(replies.by_ref().take(300).any(|reply| reply.contains("\"p299\"")), "p299 is not answered");
    let after = resident_kib(foster.pid());
    assert!(after < before + 3 * 1024, "{before} KiB before, {after} KiB after");
}

#[test]
fn many_short_connections_leak_no_descriptor() {
    let foster = running_foster();
    let open = descriptors(foster.pid()).len();
    for round in 0..2_000 {
        // Every fourth client sends something before it disconnects.
        drop(if round % 4 == 0 { hostile(&foster, round / 4) } else { connect(&foster) });
    }
    assert_works(&foster);
    foster.wait_for("the descriptors to be as they were", || descriptors(foster.pid()).len() <= open);
}

#[test]
fn with_few_descriptors_clients_leave_enough_to_start_programs() {
    let config = "[program.app]\ncommand = 'puppet append:starts:x touch:up pause'\nmin_uptime = '1ms'\n";
    let mut foster = Foster::new().config(config).not_pid_1().limited("nofile", 64).start();
    foster.wait_for_file("up");
    foster.wait_for_state("app", "running");
    let clients: Vec<UnixStream> = (0..200).map(|which| hostile(&foster, which)).collect();
    assert_works(&foster);
    let open = descriptors(foster.pid()).len();
    assert!(open <= 40, "{open} of 64");
    drop(clients);
    // Outside a namespace nothing else ends the processes that foster started.
    assert_eq!(foster.terminate(), End::Code(0));
}

#[test]
fn without_a_free_descriptor_a_client_is_refused_and_foster_does_not_spin() {
    let foster = running_foster();
    let pid = foster.pid().to_string();
    let open = descriptors(foster.pid()).len();
    // Allows no descriptor beyond the open ones.
    let limit = |soft: usize| {
        let output = Command::new("prlimit").args(["--pid", &pid, &format!("--nofile={soft}:")]).output();
        assert!(output.expect("prlimit").status.success());
    };
    let highest =
        descriptors(foster.pid()).iter().filter_map(|line| line.split(' ').next()?.parse().ok()).max();
    let highest: usize = highest.expect("a descriptor");
    limit(highest + 1);
    // The clients use up the free numbers below the limit.
    let mut clients: Vec<UnixStream> = Vec::new();
    let mut refused = None;
    for _ in 0..highest + 8 - open {
        let mut client = connect(&foster);
        client.set_nonblocking(false).expect("a connection");
        client.set_read_timeout(Some(Duration::from_millis(200))).expect("a timeout");
        let mut reply = String::new();
        match client.read_to_string(&mut reply) {
            Ok(_) => refused = Some(reply),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        clients.push(client);
    }
    // foster closes silent clients for new ones, each with a reason.
    assert!(refused.is_none_or(|reply| reply.is_empty() || reply.contains("too-many-clients")));
    let before = cpu_ticks(foster.pid());
    let mut late = connect(&foster);
    late.set_nonblocking(false).expect("a connection");
    late.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    drop(late.read(&mut [0; 1]));
    let after = cpu_ticks(foster.pid());
    assert!(after - before < 20, "{} ticks of CPU time while nothing happens", after - before);
    limit(1024);
    drop((clients, late));
    assert_works(&foster);
}

/// The CPU time of foster in hundredths of a second (proc_pid_stat(5)).
fn cpu_ticks(pid: i32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_ascii_whitespace().collect();
    let field = |place: usize| fields[place].parse::<u64>().expect("a number");
    field(11) + field(12)
}

#[test]
fn another_user_is_refused_even_if_the_mode_of_the_file_allows_it() {
    if !may_make_namespaces() {
        return;
    }
    let foster = running_foster();
    let socket = foster.path("foster.sock");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&socket, open).expect("its mode");
    // Other users may have no access to the build's folder.
    let client = foster.path("client");
    std::fs::copy(binary(), &client).expect("a copy");
    let mut command = Command::new(&client);
    std::os::unix::process::CommandExt::uid(&mut command, 12345);
    let output = command.args(["status", "--socket"]).arg(&socket).output().expect("a client");
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(4), "{message}");
    assert!(message.contains("not permitted: only root and uid 0 may use this socket"), "{message}");
}

#[test]
fn usr1_creates_a_removed_socket_again() {
    let foster = running_foster();
    std::fs::remove_file(foster.path("foster.sock")).expect("a socket");
    foster.verb(&["status"]).expect(4);
    foster.signal(Signal::SIGUSR1);
    foster.wait_for_file("foster.sock");
    assert_works(&foster);
}

#[test]
fn a_replaced_socket_is_left_alone_and_not_removed_at_the_end() {
    let mut foster = running_foster();
    let path = foster.path("foster.sock");
    std::fs::remove_file(&path).expect("a socket");
    let other = std::os::unix::net::UnixListener::bind(&path).expect("another socket");
    foster.signal(Signal::SIGUSR1);
    foster.wait_for_line("another process listens at .*: verbs cannot reach this foster");
    assert_eq!(foster.terminate(), End::Code(0));
    assert!(path.exists());
    drop(other);
}
