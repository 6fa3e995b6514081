//! Probes with real sockets. The servers are in the test itself, which drives both sides; it waits in epoll only, for at
//! most [`TURN_TIMEOUT`].

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use foster_core::ids::{InstanceId, ProgramId};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, getsockopt, listen, socket, sockopt,
};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::*;
use crate::sys::pidfd;

/// Longer than any step: a test that waits this long has failed.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

const PROBES: Owner = Owner(7);

/// The owner of a test's servers.
const SERVERS: Owner = Owner(8);

struct Bench {
    epoll: Rc<Epoll>,
    probes: Probes,
}

impl Bench {
    fn new() -> Bench {
        let epoll = Rc::new(Epoll::new().unwrap());
        let probes = Probes::new(Rc::clone(&epoll), PROBES);
        Bench { epoll, probes }
    }

    /// One turn of the loop: everything that is ready now, or is within [`TURN_TIMEOUT`].
    fn turn(&mut self) -> Vec<Ready> {
        let mut ready = Vec::new();
        self.epoll.wait(Some(TURN_TIMEOUT), &mut ready).unwrap();
        assert!(!ready.is_empty(), "no report in time");
        for report in ready.iter().filter(|report| report.token.owner == PROBES) {
            self.probes.on_ready(*report);
        }
        ready
    }

    /// Handles the reports that are ready, without waiting.
    fn glance(&mut self) -> usize {
        let mut ready = Vec::new();
        self.epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        for report in &ready {
            self.probes.on_ready(*report);
        }
        ready.len()
    }

    /// Turns until there are results.
    fn results(&mut self) -> Vec<(ProbeId, ProbeResult)> {
        loop {
            let results = self.probes.take_results();
            if !results.is_empty() {
                return results;
            }
            self.turn();
        }
    }

    /// The only result, of the first run.
    fn verdict(&mut self) -> ProbeResult {
        let results = self.results();
        let [(of, verdict)] = results.as_slice() else { panic!("not one result: {results:?}") };
        assert_eq!(*of, run(1));
        assert_eq!(self.probes.attempts.len(), 0);
        verdict.clone()
    }

    /// Turns until the server's side of the connection is ready.
    fn until_ready(&mut self, server: &impl AsFd, interest: Interest) {
        let token = Token { owner: SERVERS, key: 0 };
        self.epoll.add(server, token, interest).unwrap();
        while !self.turn().iter().any(|report| report.token == token) {}
        self.epoll.remove(server).unwrap();
    }

    /// Starts an HTTP probe and returns the server's side, after reading the request.
    fn exchange(&mut self, listener: &TcpListener) -> TcpStream {
        self.probes.start(run(1), RemoteTarget::Http(&http(listener)));
        self.until_ready(listener, Interest::Read);
        let mut server = listener.accept().unwrap().0;
        server.set_nonblocking(true).unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            self.until_ready(&server, Interest::Read);
            let mut buffer = [0; 1024];
            let count = server.read(&mut buffer).unwrap();
            assert_ne!(count, 0);
            request.extend_from_slice(&buffer[..count]);
        }
        assert!(request.starts_with(b"GET /health HTTP/1.1\r\nHost: test\r\n"));
        server
    }
}

fn run(number: u32) -> ProbeId {
    (Run { instance: InstanceId { program: ProgramId(0), index: 0 }, number }, Which::Ready)
}

fn listener() -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

fn http(listener: &TcpListener) -> HttpProbe {
    HttpProbe {
        address: listener.local_addr().unwrap(),
        method: "GET".to_owned(),
        host: "test".to_owned(),
        target: "/health".to_owned(),
        headers: Vec::new(),
        status: Vec::new(),
    }
}

fn failed(text: &str) -> ProbeResult {
    ProbeResult::Failed(text.to_owned())
}

/// A bound port without a listener: connections are refused.
fn closed_port() -> (std::os::fd::OwnedFd, SocketAddr) {
    use std::os::fd::AsRawFd;
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    let any = SockaddrStorage::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    nix::sys::socket::bind(fd.as_raw_fd(), &any).unwrap();
    let stream = TcpStream::from(fd);
    let address = stream.local_addr().unwrap();
    (stream.into(), address)
}

#[test]
fn a_probe_is_performed_over_the_network_in_a_child_by_a_command_or_by_output() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let path = PathBuf::from("/x");
    let command = vec!["true".to_owned()];
    let target = |probe: &Probe| format!("{:?}", ProbeTarget::of(probe));
    assert_eq!(target(&Probe::Tcp(address)), "Remote(Tcp(127.0.0.1:1))");
    assert_eq!(target(&Probe::Unix(path.clone())), "Local(Unix(\"/x\"))");
    assert_eq!(target(&Probe::File(path)), "Local(File(\"/x\"))");
    assert_eq!(target(&Probe::Exec(command)), "Command([\"true\"])");
}

#[test]
fn a_tcp_probe_passes_when_the_port_accepts() {
    let listener = listener();
    let mut bench = Bench::new();
    bench.probes.start(run(1), RemoteTarget::Tcp(listener.local_addr().unwrap()));
    assert_eq!(bench.verdict(), ProbeResult::Passed);
}

#[test]
fn a_tcp_or_http_probe_of_a_port_without_a_listener_is_refused() {
    let (_taken, address) = closed_port();
    let mut bench = Bench::new();
    let refused = failed(&format!("cannot connect to {address}: Connection refused"));
    bench.probes.start(run(1), RemoteTarget::Tcp(address));
    assert_eq!(bench.verdict(), refused);
    let probe = HttpProbe {
        address,
        method: "GET".to_owned(),
        host: String::new(),
        target: "/".to_owned(),
        headers: Vec::new(),
        status: Vec::new(),
    };
    bench.probes.start(run(1), RemoteTarget::Http(&probe));
    assert_eq!(bench.verdict(), refused);
}

#[test]
fn an_http_probe_passes_while_the_connection_stays_open() {
    let listener = listener();
    let mut bench = Bench::new();
    let mut server = bench.exchange(&listener);
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap();
    assert_eq!(bench.verdict(), ProbeResult::Passed);
    // The server sees that the probe has disconnected.
    bench.until_ready(&server, Interest::Read);
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn an_http_probe_reports_another_response() {
    let listener = listener();
    let mut bench = Bench::new();
    let mut server = bench.exchange(&listener);
    server.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").unwrap();
    assert_eq!(bench.verdict(), failed("GET /health answered 503"));
    let mut server = bench.exchange(&listener);
    server.write_all(b"-ERR unknown command 'GET'\r\n").unwrap();
    assert_eq!(bench.verdict(), failed("GET /health: the response is not HTTP"));
}

#[test]
fn a_server_that_closes_early_is_a_failure() {
    let listener = listener();
    let mut bench = Bench::new();
    drop(bench.exchange(&listener));
    assert_eq!(bench.verdict(), failed("GET /health: the connection was closed without a response"));
    bench.exchange(&listener).write_all(b"HTTP/1.1 200 OK\r\nServer:").unwrap();
    assert_eq!(
        bench.verdict(),
        failed("GET /health: the connection was closed in the middle of the response")
    );
}

#[test]
fn a_server_that_resets_is_a_failure() {
    let listener = listener();
    let mut bench = Bench::new();
    let server = bench.exchange(&listener);
    nix::sys::socket::setsockopt(&server, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })
        .unwrap();
    drop(server);
    assert_eq!(bench.verdict(), failed("GET /health: cannot read the response: Connection reset by peer"));
}

#[test]
fn a_server_that_resets_before_the_request_is_a_failure() {
    let listener = listener();
    let mut bench = Bench::new();
    bench.probes.start(run(1), RemoteTarget::Http(&http(&listener)));
    // No request was sent yet: the server accepts and resets the connection.
    let token = Token { owner: SERVERS, key: 0 };
    bench.epoll.add(&listener, token, Interest::Read).unwrap();
    let mut ready = Vec::new();
    while !ready.iter().any(|report: &Ready| report.token == token) {
        bench.epoll.wait(Some(TURN_TIMEOUT), &mut ready).unwrap();
    }
    bench.epoll.remove(&listener).unwrap();
    let server = listener.accept().unwrap().0;
    nix::sys::socket::setsockopt(&server, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })
        .unwrap();
    drop(server);
    let address = listener.local_addr().unwrap();
    assert_eq!(bench.verdict(), failed(&format!("cannot connect to {address}: Connection reset by peer")));
}

#[test]
fn a_response_in_single_bytes_is_assembled() {
    let listener = listener();
    let mut bench = Bench::new();
    let mut server = bench.exchange(&listener);
    server.set_nodelay(true).unwrap();
    for byte in b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r" {
        server.write_all(&[*byte]).unwrap();
        bench.turn();
        assert_eq!(bench.probes.take_results(), []);
    }
    server.write_all(b"\n").unwrap();
    assert_eq!(bench.verdict(), ProbeResult::Passed);
}

#[test]
fn a_request_too_long_for_the_kernel_s_buffers_is_sent_in_parts() {
    let listener = listener();
    let mut bench = Bench::new();
    let target = format!("/{}", "x".repeat(8 << 20));
    let probe = HttpProbe { target, ..http(&listener) };
    bench.probes.start(run(1), RemoteTarget::Http(&probe));
    bench.until_ready(&listener, Interest::Read);
    let mut server = listener.accept().unwrap().0;
    server.set_nonblocking(true).unwrap();
    // It fills the buffers, then waits without spinning.
    while bench.glance() > 0 {}
    let mut buffer = vec![0; 1 << 20];
    let mut count = 0;
    while !buffer[..count].ends_with(b"\r\n\r\n") {
        bench.until_ready(&server, Interest::Read);
        count = server.read(&mut buffer).unwrap();
        assert_ne!(count, 0);
    }
    server.write_all(b"HTTP/1.1 414 URI Too Long\r\n\r\n").unwrap();
    let ProbeResult::Failed(text) = bench.verdict() else { panic!("414 is not a success") };
    assert!(text.ends_with(" answered 414"));
}

#[test]
fn endless_headers_end_the_attempt() {
    let listener = listener();
    let mut bench = Bench::new();
    let mut server = bench.exchange(&listener);
    server.write_all(b"HTTP/1.1 200 OK\r\nX: ").unwrap();
    let written = loop {
        let results = bench.probes.take_results();
        if !results.is_empty() {
            break results;
        }
        match server.write(&[b'x'; 1024]) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        bench.turn();
    };
    let expected = failed("GET /health: the response's headers are longer than 16 KiB");
    assert_eq!(written, [(run(1), expected)]);
}

#[test]
fn a_silent_server_causes_no_wakeups_and_its_attempt_can_be_cancelled() {
    let listener = listener();
    let mut bench = Bench::new();
    let mut server = bench.exchange(&listener);
    assert_eq!(bench.glance(), 0);
    bench.probes.cancel(run(1));
    assert_eq!(bench.probes.attempts.len(), 0);
    bench.until_ready(&server, Interest::Read);
    assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(bench.probes.take_results(), []);
}

#[test]
fn a_late_report_does_not_affect_the_next_attempt() {
    let listener = listener();
    let mut bench = Bench::new();
    bench.probes.start(run(1), RemoteTarget::Tcp(listener.local_addr().unwrap()));
    let late = Token { owner: PROBES, key: bench.probes.attempts[0].key };
    bench.probes.start(run(1), RemoteTarget::Http(&http(&listener)));
    assert_eq!(bench.probes.attempts.len(), 1);
    bench.probes.on_ready(Ready { token: late, readable: true, writable: true });
    assert_eq!(bench.probes.attempts.len(), 1);
    assert_eq!(bench.probes.take_results(), []);
}

#[test]
fn a_spurious_report_changes_nothing() {
    let listener = listener();
    let mut bench = Bench::new();
    let mut server = bench.exchange(&listener);
    let token = Token { owner: PROBES, key: bench.probes.attempts[0].key };
    for _ in 0..3 {
        bench.probes.on_ready(Ready { token, readable: true, writable: true });
        assert_eq!(bench.probes.take_results(), []);
    }
    server.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    assert_eq!(bench.verdict(), ProbeResult::Passed);
}

#[test]
fn a_result_that_was_not_taken_is_dropped_with_its_attempt() {
    let (_taken, closed) = closed_port();
    let mut bench = Bench::new();
    bench.probes.start(run(1), RemoteTarget::Tcp(closed));
    while bench.probes.results.is_empty() {
        bench.turn();
    }
    bench.probes.cancel(run(1));
    assert_eq!(bench.probes.take_results(), []);
}

#[test]
fn the_attempts_of_several_runs_are_independent() {
    let listener = listener();
    let mut bench = Bench::new();
    let mut silent = bench.exchange(&listener);
    let (_taken, closed) = closed_port();
    bench.probes.start(run(2), RemoteTarget::Tcp(closed));
    bench.probes.start(run(3), RemoteTarget::Tcp(listener.local_addr().unwrap()));
    let mut results = Vec::new();
    while results.len() < 2 {
        results.extend(bench.results());
    }
    results.sort_by_key(|(run, _)| *run);
    let refused = failed(&format!("cannot connect to {closed}: Connection refused"));
    assert_eq!(results, [(run(2), refused), (run(3), ProbeResult::Passed)]);
    silent.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    assert_eq!(bench.verdict(), ProbeResult::Passed);
}

/// The result of a check in a child.
fn checked(target: LocalTarget<'_>) -> ProbeResult {
    let mut bench = Bench::new();
    let note = bench.probes.open_note(run(1), ProbeProcess::Check).unwrap();
    let child = target.spawn(note).unwrap();
    let WaitStatus::Exited(_, code) = waitpid(child.pid(), None).unwrap() else { panic!("it was killed") };
    let verdict = bench.probes.ended(run(1), Exit::Code(u8::try_from(code).unwrap()));
    assert_eq!(bench.probes.attempts.len(), 0);
    verdict
}

#[test]
fn a_unix_probe_passes_when_the_socket_accepts_and_says_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let shown = path.display();
    let verdict = |path: &Path| checked(LocalTarget::Unix(path));
    assert_eq!(verdict(&path), failed(&format!("{shown} does not exist")));
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(verdict(&path), ProbeResult::Passed);
    drop(listener);
    assert_eq!(verdict(&path), failed(&format!("cannot connect to {shown}: Connection refused")));
    let datagrams = directory.path().join("log.sock");
    let _bound = UnixDatagram::bind(&datagrams).unwrap();
    let shown = datagrams.display();
    assert_eq!(
        verdict(&datagrams),
        failed(&format!("cannot connect to {shown}: Protocol wrong type for socket"))
    );
}

#[test]
fn foster_itself_never_accesses_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    assert_eq!(checked(LocalTarget::Unix(&path)), ProbeResult::Passed);
    let (peer, _) = listener.accept().unwrap();
    let asked_by = getsockopt(&peer, sockopt::PeerCredentials).unwrap().pid();
    assert_ne!(asked_by, std::process::id().cast_signed());
}

#[test]
fn a_unix_listener_whose_queue_is_full_is_not_ready() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    listen(&listener, Backlog::new(0).unwrap()).unwrap();
    let full = failed(&format!("cannot connect to {}: its connection queue is full", path.display()));
    let verdict = || checked(LocalTarget::Unix(&path));
    assert_eq!((verdict(), verdict()), (ProbeResult::Passed, full));
}

#[test]
fn a_file_probe_passes_when_the_file_exists_and_says_why_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.pid");
    let verdict = |path: &Path| checked(LocalTarget::File(path));
    assert_eq!(verdict(&path), failed(&format!("{} does not exist", path.display())));
    std::fs::write(&path, "1\n").unwrap();
    assert_eq!(verdict(&path), ProbeResult::Passed);
    let below = path.join("x");
    assert_eq!(verdict(&below), failed(&format!("cannot check {}: Not a directory", below.display())));
    std::os::unix::fs::symlink("nowhere", directory.path().join("dangling")).unwrap();
    let dangling = directory.path().join("dangling");
    assert_eq!(verdict(&dangling), failed(&format!("{} does not exist", dangling.display())));
}

#[test]
fn a_note_is_drained_while_its_process_writes_and_causes_no_wakeups_afterwards() {
    let mut bench = Bench::new();
    let note = bench.probes.open_note(run(1), ProbeProcess::Command).unwrap();
    // More than a pipe holds: without a reader the command would never exit.
    let script = "head -c 300000 /dev/zero >&2; echo first >&2; echo last line >&2";
    let mut child = Command::new("sh").args(["-c", script]).stderr(note.into_file()).spawn().unwrap();
    let exit = pidfd::open(Pid::from_raw(i32::try_from(child.id()).unwrap())).unwrap();
    bench.epoll.add(&exit, Token { owner: SERVERS, key: 0 }, Interest::Read).unwrap();
    // The pipe may end before the process does, and then only its exit is reported.
    while !bench.turn().iter().any(|report| report.token.owner == SERVERS) {}
    child.wait().unwrap();
    bench.epoll.remove(&exit).unwrap();
    while bench.glance() > 0 {}
    let failure = |bench: &mut Bench| bench.probes.ended(run(1), Exit::Code(2));
    assert_eq!(failure(&mut bench), failed("the command exited with status 2: last line"));
    assert_eq!(failure(&mut bench), failed("the command exited with status 2"));
}

#[test]
fn the_note_of_an_attempt_that_was_cancelled_is_closed() {
    let mut bench = Bench::new();
    let mut note = bench.probes.open_note(run(1), ProbeProcess::Command).unwrap().into_file();
    bench.probes.cancel(run(1));
    assert_eq!(note.write(b"late").unwrap_err().kind(), ErrorKind::BrokenPipe);
}
