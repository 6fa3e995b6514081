use super::*;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use super::super::client;
use super::super::connection::LONGEST_QUEUE;
use super::super::protocol::{LONGEST_LINE, LogLine, Names, Outcome, Stream, Verdict};

mod crowd;

const STATUS: &[u8] = b"{\"verb\":\"status\"}\n";
const OWNER: Owner = Owner(7);

/// A server at a temporary path, with the loop that drives it.
struct Bench {
    _directory: tempfile::TempDir,
    path: PathBuf,
    epoll: Rc<Epoll>,
    server: Server,
    now: Instant,
}

fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("foster.sock");
    let epoll = Rc::new(Epoll::new().unwrap());
    let server = Server::bind(&path, Rc::clone(&epoll), OWNER).unwrap();
    Bench { _directory: directory, path, epoll, server, now: Instant::START }
}

impl Bench {
    fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).unwrap();
        // A test that waits forever would not show where.
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    /// Connects a client and sends these bytes.
    fn client(&self, sent: &[u8]) -> UnixStream {
        let mut client = self.connect();
        client.write_all(sent).unwrap();
        client
    }

    /// Runs one turn of the loop without waiting; returns the number of reports.
    fn turn(&mut self, events: &mut Vec<ServerEvent>) -> usize {
        let mut ready = Vec::new();
        self.epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        for &report in &ready {
            assert_eq!(report.token.owner, OWNER);
            events.extend(self.server.on_ready(self.now, report));
        }
        ready.len()
    }

    /// Runs turns until there are no reports. A busy loop is a failure.
    fn settle(&mut self) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for _ in 0..20_000 {
            if self.turn(&mut events) == 0 {
                return events;
            }
        }
        panic!("the loop does not become idle: {} events", events.len());
    }

    /// Settles; returns the only request.
    fn only_request(&mut self) -> (ConnectionId, Request) {
        let events = self.settle();
        match <[ServerEvent; 1]>::try_from(events) {
            Ok([ServerEvent::Requested(id, request)]) => (id, request),
            other => panic!("not one request: {other:?}"),
        }
    }

    fn answer(&mut self, client: ConnectionId) {
        assert_eq!(self.server.reply(client, &Reply::End {}), WriteState::Go);
    }
}

fn status() -> Request {
    Request::Status(Names { names: Vec::new() })
}

fn long_line() -> Reply {
    let (ts, name, text) = ("2026-11-25T12:26:49.307585Z".into(), "backend".into(), "x".repeat(8_000));
    Reply::Line(LogLine { ts, name, stream: Stream::Stdout, text, more: false, unfinished: false })
}

/// Reads until foster closes the connection.
fn read_all(mut client: &UnixStream) -> Vec<u8> {
    let mut sent = Vec::new();
    // If foster has not read everything, a reset follows the data (unix(7)).
    if let Err(error) = client.read_to_end(&mut sent) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    sent
}

fn next(client: &mut BufReader<UnixStream>) -> Reply {
    let mut line = Vec::new();
    client.read_until(b'\n', &mut line).unwrap();
    Reply::parse(&line).unwrap()
}

fn refusal(reply: Reply) -> Refusal {
    let Reply::Error(refusal) = reply else { panic!("not a refusal: {reply:?}") };
    refusal
}

#[test]
fn requests_on_the_same_connection_are_answered() {
    let mut bench = bench();
    let mut client = BufReader::new(bench.client(STATUS));
    for _ in 0..3 {
        let (id, request) = bench.only_request();
        assert_eq!(request, status());
        let outcome =
            Outcome { name: "a".into(), verdict: Verdict::Ok, message: "m".into(), exit_status: None };
        assert_eq!(bench.server.reply(id, &Reply::Outcome(outcome.clone())), WriteState::Go);
        bench.answer(id);
        assert_eq!(next(&mut client), Reply::Outcome(outcome));
        assert_eq!(next(&mut client), Reply::End {});
        client.get_mut().write_all(STATUS).unwrap();
    }
}

#[test]
fn the_client_gets_the_servers_answer() {
    let mut bench = bench();
    let outcome = Outcome { name: "a".into(), verdict: Verdict::Ok, message: "m".into(), exit_status: None };
    let path = bench.path.clone();
    let replies = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let answer = client::ask(&path, &status(), client::Patience::Endless).unwrap();
            answer.collect::<Result<Vec<Reply>, _>>().unwrap()
        });
        let mut ready = Vec::new();
        while !client.is_finished() {
            bench.epoll.wait(Some(Duration::from_millis(10)), &mut ready).unwrap();
            for &report in &ready {
                for event in bench.server.on_ready(bench.now, report) {
                    let ServerEvent::Requested(id, request) = event else { continue };
                    assert_eq!(request, status());
                    bench.server.reply_all(id, &[Reply::Outcome(outcome.clone()), Reply::End {}]);
                }
            }
        }
        client.join().unwrap()
    });
    assert_eq!(replies, [Reply::Outcome(outcome)]);
}

#[test]
fn two_hundred_idle_clients_cause_no_wakeup_and_delay_no_other() {
    let mut bench = bench();
    let idle: Vec<UnixStream> = (0..200).map(|_| bench.connect()).collect();
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.server.clients(), idle.len());
    assert_eq!(bench.turn(&mut Vec::new()), 0);
    let client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    bench.answer(id);
    assert_eq!(next(&mut BufReader::new(client)), Reply::End {});
    drop(idle);
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.server.clients(), 0);
}

#[test]
fn a_request_in_single_bytes_is_read_when_it_is_complete() {
    let mut bench = bench();
    let mut client = bench.connect();
    for byte in STATUS.strip_suffix(b"\n").unwrap() {
        client.write_all(&[*byte]).unwrap();
        assert_eq!(bench.settle(), []);
    }
    client.write_all(b"\n").unwrap();
    assert_eq!(bench.only_request().1, status());
}

#[test]
fn requests_sent_in_advance_are_handled_one_by_one() {
    let mut bench = bench();
    let mut client = BufReader::new(bench.client(&STATUS.repeat(1_000)));
    for _ in 0..1_000 {
        let (id, _) = bench.only_request();
        bench.answer(id);
        assert_eq!(next(&mut client), Reply::End {});
    }
    assert_eq!(bench.settle(), []);
}

#[test]
fn a_half_closed_client_is_answered() {
    let mut bench = bench();
    let client = bench.client(STATUS);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (id, _) = bench.only_request();
    bench.answer(id);
    assert_eq!(bench.settle(), []);
    assert_eq!(read_all(&client), Reply::End {}.encode());
    assert_eq!(bench.server.clients(), 0);
}

#[test]
fn garbage_is_refused_with_the_reason_and_the_next_line_is_read() {
    let mut bench = bench();
    let garbage =
        [b"\x00\xff\xfe\n".as_slice(), b"\n", b"GET / HTTP/1.1\r\n", b"{\"verb\":\"statsu\"}\n", STATUS];
    let mut client = BufReader::new(bench.client(&garbage.concat()));
    let (id, request) = bench.only_request();
    assert_eq!(request, status());
    for _ in 0..3 {
        assert_eq!(refusal(next(&mut client)).error, Reason::BadRequest);
    }
    assert_eq!(refusal(next(&mut client)).suggestion.as_deref(), Some("status"));
    bench.answer(id);
    assert_eq!(next(&mut client), Reply::End {});
}

#[test]
fn the_longest_line_is_read_and_one_byte_more_closes_the_connection() {
    let mut bench = bench();
    let mut longest = vec![b' '; LONGEST_LINE - STATUS.len()];
    longest.extend(STATUS);
    let mut client = bench.connect();
    client.write_all(&longest).unwrap();
    let (id, _) = bench.only_request();
    bench.answer(id);
    longest.insert(0, b' ');
    client.write_all(&longest).unwrap();
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.server.clients(), 0);
    let sent = read_all(&client);
    let mut lines = sent.split_inclusive(|&byte| byte == b'\n');
    assert_eq!(Reply::parse(lines.next().unwrap()).unwrap(), Reply::End {});
    assert_eq!(refusal(Reply::parse(lines.next().unwrap()).unwrap()).error, Reason::TooLong);
}

#[test]
fn endless_garbage_is_cut_off_after_one_line() {
    let mut bench = bench();
    let mut client = bench.connect();
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let error = loop {
        match client.write(&[0; 4096]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                bench.turn(&mut Vec::new());
            }
            Err(error) => break error,
        }
        assert!(sent < 10 * LONGEST_LINE);
    };
    assert!([io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset].contains(&error.kind()));
    assert_eq!(bench.server.clients(), 0);
}

#[test]
fn a_client_that_does_not_read_is_cut_off_and_reported() {
    let mut bench = bench();
    let client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    let mut sent = 0;
    while bench.server.reply(id, &long_line()) != WriteState::Gone {
        sent += 8_000;
        assert!(sent < 2 * LONGEST_QUEUE);
    }
    assert_eq!(bench.settle(), [ServerEvent::Abandoned(id)]);
    assert_eq!(bench.server.clients(), 0);
    assert_eq!(bench.server.reply(id, &Reply::End {}), WriteState::Gone);
    assert!(read_all(&client).len() < LONGEST_QUEUE);
}

#[test]
fn a_long_answer_continues_when_the_client_has_read() {
    let mut bench = bench();
    let mut client = BufReader::new(bench.client(STATUS));
    let (id, _) = bench.only_request();
    for _ in 0..5 {
        let mut sent = 1;
        while bench.server.reply(id, &long_line()) == WriteState::Go {
            sent += 1;
        }
        assert_eq!(bench.settle(), []);
        let mut events = Vec::new();
        for _ in 0..sent {
            bench.turn(&mut events);
            assert_eq!(next(&mut client), long_line());
        }
        events.extend(bench.settle());
        assert_eq!(events, [ServerEvent::Drained(id)]);
    }
    bench.answer(id);
    assert_eq!(next(&mut client), Reply::End {});
}

#[test]
fn a_client_that_disconnects_during_an_answer_is_reported_once() {
    let mut bench = bench();
    let client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    assert_eq!(bench.server.reply(id, &long_line()), WriteState::Go);
    drop(client);
    assert_eq!(bench.settle(), [ServerEvent::Abandoned(id)]);
    assert_eq!(bench.server.reply(id, &long_line()), WriteState::Gone);

    let client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    while bench.server.reply(id, &long_line()) == WriteState::Go {}
    drop(client);
    assert_eq!(bench.server.reply(id, &long_line()), WriteState::Gone);
    assert_eq!(bench.settle(), [ServerEvent::Abandoned(id)]);
    assert_eq!(bench.server.clients(), 0);
}

#[test]
fn a_client_that_disconnects_while_it_waits_is_reported() {
    let mut bench = bench();
    let client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    assert_eq!(bench.settle(), []);
    drop(client);
    assert_eq!(bench.settle(), [ServerEvent::Abandoned(id)]);
}

#[test]
fn a_report_older_than_the_last_reply_is_not_taken_for_a_disconnection() {
    let mut bench = bench();
    let _client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    let token = Token { owner: OWNER, key: id.0 };
    assert_eq!(bench.server.on_ready(bench.now, Ready { token, readable: false, writable: true }), []);
    let token = Token { owner: OWNER, key: id.0 + 1 };
    assert_eq!(bench.server.on_ready(bench.now, Ready { token, readable: true, writable: true }), []);
    assert_eq!(bench.server.clients(), 1);
    bench.answer(id);
}

#[test]
fn an_answer_without_a_request_is_dropped() {
    let mut bench = bench();
    let mut client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    bench.answer(id);
    assert_eq!(bench.server.reply(id, &Reply::End {}), WriteState::Gone);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    bench.settle();
    let mut sent = Vec::new();
    client.read_to_end(&mut sent).unwrap();
    assert_eq!(sent, Reply::End {}.encode());
}

#[test]
fn a_socket_whose_file_was_removed_is_created_again() {
    let mut bench = bench();
    let before = bench.client(STATUS);
    let (id, _) = bench.only_request();
    std::fs::remove_file(&bench.path).unwrap();
    bench.server.restore().unwrap();
    bench.answer(id);
    let late = bench.client(STATUS);
    let (id, _) = bench.only_request();
    bench.answer(id);
    for client in [before, late] {
        assert_eq!(next(&mut BufReader::new(client)), Reply::End {});
    }
    bench.server.restore().unwrap();
    assert_eq!(std::fs::metadata(&bench.path).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn a_socket_that_another_process_has_replaced_is_left_alone() {
    let mut bench = bench();
    std::fs::remove_file(&bench.path).unwrap();
    let other = bind(&bench.path).unwrap();
    assert!(matches!(bench.server.restore(), Err(BindError::AnotherListens { .. })));
    drop(bench.server);
    assert!(bench.path.exists());
    drop(other);
}

#[test]
fn after_retire_no_client_is_accepted_and_pending_answers_are_sent() {
    let mut bench = bench();
    let _silent = bench.connect();
    let client = bench.client(STATUS);
    let (id, _) = bench.only_request();
    bench.server.retire();
    assert!(!bench.path.exists() && bench.server.is_busy());
    assert_eq!(bench.server.clients(), 1);
    bench.answer(id);
    assert!(!bench.server.is_busy());
    assert_eq!(next(&mut BufReader::new(client)), Reply::End {});
}

#[test]
fn only_root_and_fosters_own_user_are_permitted() {
    let (own, other, root) = (Uid::from_raw(1000), Uid::from_raw(1001), Uid::from_raw(0));
    assert!(may_connect(own, own));
    assert!(may_connect(root, own));
    assert!(!may_connect(other, own));
    assert!(!may_connect(own, root));
}

#[test]
fn the_socket_is_private_and_removed_with_the_server() {
    let bench = bench();
    assert_eq!(std::fs::metadata(&bench.path).unwrap().permissions().mode() & 0o7777, 0o700);
    drop(bench.server);
    assert!(!bench.path.exists());
}

fn bind(path: &Path) -> Result<Server, BindError> {
    Server::bind(path, Rc::new(Epoll::new().unwrap()), OWNER)
}

#[test]
fn a_live_socket_is_not_replaced() {
    let bench = bench();
    let error = bind(&bench.path).unwrap_err();
    assert!(matches!(error, BindError::AnotherListens { .. }));
    let (pid, path) = (std::process::id(), bench.path.display());
    let expected = format!("cannot listen at `{path}`: another process listens there (PID {pid})");
    assert_eq!(error.to_string(), expected);
    bench.connect();
}

#[test]
fn a_stale_socket_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = bind(&path).unwrap();
    UnixStream::connect(&path).unwrap();
    drop(server);
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("f");
    std::fs::write(&file, "precious").unwrap();
    let link = directory.path().join("l");
    std::os::unix::fs::symlink(directory.path().join("nowhere"), &link).unwrap();
    for path in [file.as_path(), link.as_path(), directory.path()] {
        assert!(matches!(bind(path), Err(BindError::NotASocket(_))), "{}", path.display());
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert!(link.symlink_metadata().is_ok());
}

#[test]
fn the_socket_of_another_server_is_not_removed_at_the_end() {
    let bench = bench();
    std::fs::remove_file(&bench.path).unwrap();
    let successor = bind(&bench.path).unwrap();
    drop(bench.server);
    assert!(bench.path.exists());
    drop(successor);
    assert!(!bench.path.exists());
}

#[test]
fn a_path_that_cannot_be_used_is_reported_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("none/s");
    let error = bind(&nowhere).unwrap_err();
    assert!(matches!(error, BindError::Unavailable(..)));
    let expected = format!("cannot listen at `{}`: No such file or directory", nowhere.display());
    assert_eq!(error.to_string(), expected);
    let error = bind(Path::new("/proc/foster.sock")).unwrap_err();
    assert!(matches!(error, BindError::Unavailable(..)), "{error}");
    let error = bind(&directory.path().join("x".repeat(120))).unwrap_err();
    assert!(matches!(error, BindError::TooLong(_)));
    assert!(error.to_string().ends_with("at most 107 fit"), "{error}");
    assert!(matches!(bind(Path::new("")), Err(BindError::Unavailable(..))));
}

/// Connects to the helper's listener of a server, and sends these bytes.
fn as_helper(bench: &mut Bench, sent: &[u8]) -> UnixStream {
    let path = bench.server.helper_path().unwrap();
    let mut client = socket::connect(&path).unwrap();
    client.write_all(sent).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    client
}

/// Whether a request has arrived.
fn requested(bench: &mut Bench) -> bool {
    bench.settle().iter().any(|event| matches!(event, ServerEvent::Requested(..)))
}

#[test]
fn a_helper_without_control_is_refused_every_order() {
    let mut bench = bench();
    bench.server.helper_path().unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    let orders: [&[u8]; 3] = [
        b"{\"verb\":\"stop\",\"names\":[\"web\"]}\n",
        b"{\"verb\":\"shutdown\"}\n",
        b"{\"verb\":\"exec\",\"name\":\"web\"}\n",
    ];
    for (rights, permitted) in [(Rights::Reader, 0), (Rights::Page, 1), (Rights::Rpc, 2)] {
        bench.server.set_helper(Some((own, rights)));
        for (at, order) in orders.into_iter().enumerate() {
            let client = as_helper(&mut bench, order);
            let is_taken = requested(&mut bench);
            assert_eq!(is_taken, at < permitted, "{rights:?} {at}");
            if !is_taken {
                let mut line = String::new();
                BufReader::new(client).read_line(&mut line).unwrap();
                assert!(line.contains("\"error\":\"not-permitted\""), "{rights:?} {at}: {line}");
            }
        }
        let _client = as_helper(&mut bench, STATUS);
        assert!(requested(&mut bench), "{rights:?}");
    }
}

#[test]
fn the_connections_of_a_helper_end_with_it() {
    let mut bench = bench();
    bench.server.helper_path().unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    bench.server.set_helper(Some((own, Rights::Rpc)));
    let mut client = as_helper(&mut bench, b"");
    let operator = bench.connect();
    bench.settle();
    assert_eq!(bench.server.clients(), 2);
    bench.server.set_helper(Some((own, Rights::Reader)));
    assert_eq!((bench.server.clients(), client.read(&mut [0]).unwrap()), (1, 0));
    // Another process is not answered.
    bench.server.set_helper(Some((own + 1, Rights::Rpc)));
    let mut client = as_helper(&mut bench, b"");
    bench.settle();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    drop(operator);
}
