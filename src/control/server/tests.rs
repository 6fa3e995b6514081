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
const SPACE: Owner = Owner(7);

/// A server at a path of its own, with the loop that drives it.
struct Stage {
    _directory: tempfile::TempDir,
    path: PathBuf,
    epoll: Rc<Epoll>,
    server: Server,
    now: Instant,
}

fn stage() -> Stage {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("foster.sock");
    let epoll = Rc::new(Epoll::new().unwrap());
    let server = Server::bind(&path, Rc::clone(&epoll), SPACE).unwrap();
    Stage { _directory: directory, path, epoll, server, now: Instant::START }
}

impl Stage {
    fn connect(&self) -> UnixStream {
        let client = UnixStream::connect(&self.path).unwrap();
        // A test that waits for ever would not say where.
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    /// A client that has said this.
    fn client(&self, said: &[u8]) -> UnixStream {
        let mut client = self.connect();
        client.write_all(said).unwrap();
        client
    }

    /// One turn of the loop, without waiting; how many reports there were.
    fn turn(&mut self, events: &mut Vec<ServerEvent>) -> usize {
        let mut ready = Vec::new();
        self.epoll.wait(Some(Duration::ZERO), &mut ready).unwrap();
        for &report in &ready {
            assert_eq!(report.token.owner, SPACE);
            events.extend(self.server.on_ready(self.now, report));
        }
        ready.len()
    }

    /// Turns until nothing is left to do. A loop that spins is a failure.
    fn settle(&mut self) -> Vec<ServerEvent> {
        let mut events = Vec::new();
        for _ in 0..20_000 {
            if self.turn(&mut events) == 0 {
                return events;
            }
        }
        panic!("the loop does not come to rest: {} events", events.len());
    }

    /// Settles, where one client has asked one thing.
    fn asked(&mut self) -> (ConnectionId, Request) {
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

/// All that foster says until it closes the connection.
fn all(mut client: &UnixStream) -> Vec<u8> {
    let mut said = Vec::new();
    // Where foster has not read everything, the end is a reset (unix(7)), after what it sent.
    if let Err(error) = client.read_to_end(&mut said) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
    said
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
fn a_request_is_answered_and_the_next_one_on_the_same_connection_too() {
    let mut stage = stage();
    let mut client = BufReader::new(stage.client(STATUS));
    for _ in 0..3 {
        let (id, request) = stage.asked();
        assert_eq!(request, status());
        let outcome = Outcome { name: "a".into(), verdict: Verdict::Ok, message: "m".into() };
        assert_eq!(stage.server.reply(id, &Reply::Outcome(outcome.clone())), WriteState::Go);
        stage.answer(id);
        assert_eq!(next(&mut client), Reply::Outcome(outcome));
        assert_eq!(next(&mut client), Reply::End {});
        client.get_mut().write_all(STATUS).unwrap();
    }
}

#[test]
fn the_client_and_the_server_understand_each_other() {
    let mut stage = stage();
    let outcome = Outcome { name: "a".into(), verdict: Verdict::Ok, message: "m".into() };
    let path = stage.path.clone();
    let replies = std::thread::scope(|scope| {
        let client = scope.spawn(|| {
            let answer = client::ask(&path, &status(), client::Patience::Endless).unwrap();
            answer.collect::<Result<Vec<Reply>, _>>().unwrap()
        });
        let mut ready = Vec::new();
        while !client.is_finished() {
            stage.epoll.wait(Some(Duration::from_millis(10)), &mut ready).unwrap();
            for &report in &ready {
                for event in stage.server.on_ready(stage.now, report) {
                    let ServerEvent::Requested(id, request) = event else { continue };
                    assert_eq!(request, status());
                    stage.server.reply_all(id, &[Reply::Outcome(outcome.clone()), Reply::End {}]);
                }
            }
        }
        client.join().unwrap()
    });
    assert_eq!(replies, [Reply::Outcome(outcome)]);
}

#[test]
fn two_hundred_idle_clients_cost_no_turn_and_delay_no_other() {
    let mut stage = stage();
    let idle: Vec<UnixStream> = (0..200).map(|_| stage.connect()).collect();
    assert_eq!(stage.settle(), []);
    assert_eq!(stage.server.clients(), idle.len());
    assert_eq!(stage.turn(&mut Vec::new()), 0);
    let client = stage.client(STATUS);
    let (id, _) = stage.asked();
    stage.answer(id);
    assert_eq!(next(&mut BufReader::new(client)), Reply::End {});
    drop(idle);
    assert_eq!(stage.settle(), []);
    assert_eq!(stage.server.clients(), 0);
}

#[test]
fn a_request_that_comes_byte_by_byte_is_understood_when_it_is_whole() {
    let mut stage = stage();
    let mut client = stage.connect();
    for byte in STATUS.strip_suffix(b"\n").unwrap() {
        client.write_all(&[*byte]).unwrap();
        assert_eq!(stage.settle(), []);
    }
    client.write_all(b"\n").unwrap();
    assert_eq!(stage.asked().1, status());
}

#[test]
fn requests_sent_in_advance_are_taken_one_by_one() {
    let mut stage = stage();
    let mut client = BufReader::new(stage.client(&STATUS.repeat(1_000)));
    for _ in 0..1_000 {
        let (id, _) = stage.asked();
        stage.answer(id);
        assert_eq!(next(&mut client), Reply::End {});
    }
    assert_eq!(stage.settle(), []);
}

#[test]
fn a_client_that_says_no_more_is_still_answered() {
    let mut stage = stage();
    let client = stage.client(STATUS);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let (id, _) = stage.asked();
    stage.answer(id);
    assert_eq!(stage.settle(), []);
    assert_eq!(all(&client), Reply::End {}.encode());
    assert_eq!(stage.server.clients(), 0);
}

#[test]
fn garbage_is_answered_with_what_is_wrong_and_the_next_line_is_read() {
    let mut stage = stage();
    let garbage =
        [b"\x00\xff\xfe\n".as_slice(), b"\n", b"GET / HTTP/1.1\r\n", b"{\"verb\":\"statsu\"}\n", STATUS];
    let mut client = BufReader::new(stage.client(&garbage.concat()));
    let (id, request) = stage.asked();
    assert_eq!(request, status());
    for _ in 0..3 {
        assert_eq!(refusal(next(&mut client)).error, Reason::BadRequest);
    }
    assert_eq!(refusal(next(&mut client)).suggestion.as_deref(), Some("status"));
    stage.answer(id);
    assert_eq!(next(&mut client), Reply::End {});
}

#[test]
fn a_line_of_the_longest_kind_is_read_and_one_byte_more_closes_the_connection() {
    let mut stage = stage();
    let mut longest = vec![b' '; LONGEST_LINE - STATUS.len()];
    longest.extend(STATUS);
    let mut client = stage.connect();
    client.write_all(&longest).unwrap();
    let (id, _) = stage.asked();
    stage.answer(id);
    longest.insert(0, b' ');
    client.write_all(&longest).unwrap();
    assert_eq!(stage.settle(), []);
    assert_eq!(stage.server.clients(), 0);
    let said = all(&client);
    let mut lines = said.split_inclusive(|&byte| byte == b'\n');
    assert_eq!(Reply::parse(lines.next().unwrap()).unwrap(), Reply::End {});
    assert_eq!(refusal(Reply::parse(lines.next().unwrap()).unwrap()).error, Reason::TooLong);
}

#[test]
fn a_stream_of_garbage_without_an_end_is_cut_off_after_one_line() {
    let mut stage = stage();
    let mut client = stage.connect();
    client.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let error = loop {
        match client.write(&[0; 4096]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                stage.turn(&mut Vec::new());
            }
            Err(error) => break error,
        }
        assert!(sent < 10 * LONGEST_LINE);
    };
    assert!([io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset].contains(&error.kind()));
    assert_eq!(stage.server.clients(), 0);
}

#[test]
fn a_reader_that_does_not_read_is_cut_off_and_told_of() {
    let mut stage = stage();
    let client = stage.client(STATUS);
    let (id, _) = stage.asked();
    let mut said = 0;
    while stage.server.reply(id, &long_line()) != WriteState::Gone {
        said += 8_000;
        assert!(said < 2 * LONGEST_QUEUE);
    }
    assert_eq!(stage.settle(), [ServerEvent::Abandoned(id)]);
    assert_eq!(stage.server.clients(), 0);
    assert_eq!(stage.server.reply(id, &Reply::End {}), WriteState::Gone);
    assert!(all(&client).len() < LONGEST_QUEUE);
}

#[test]
fn a_long_answer_goes_on_when_the_reader_has_read() {
    let mut stage = stage();
    let mut client = BufReader::new(stage.client(STATUS));
    let (id, _) = stage.asked();
    for _ in 0..5 {
        let mut said = 1;
        while stage.server.reply(id, &long_line()) == WriteState::Go {
            said += 1;
        }
        assert_eq!(stage.settle(), []);
        let mut events = Vec::new();
        for _ in 0..said {
            stage.turn(&mut events);
            assert_eq!(next(&mut client), long_line());
        }
        events.extend(stage.settle());
        assert_eq!(events, [ServerEvent::Drained(id)]);
    }
    stage.answer(id);
    assert_eq!(next(&mut client), Reply::End {});
}

#[test]
fn a_client_that_goes_away_in_the_middle_of_an_answer_is_told_of_once() {
    let mut stage = stage();
    let client = stage.client(STATUS);
    let (id, _) = stage.asked();
    assert_eq!(stage.server.reply(id, &long_line()), WriteState::Go);
    drop(client);
    assert_eq!(stage.settle(), [ServerEvent::Abandoned(id)]);
    assert_eq!(stage.server.reply(id, &long_line()), WriteState::Gone);

    let client = stage.client(STATUS);
    let (id, _) = stage.asked();
    while stage.server.reply(id, &long_line()) == WriteState::Go {}
    drop(client);
    assert_eq!(stage.server.reply(id, &long_line()), WriteState::Gone);
    assert_eq!(stage.settle(), [ServerEvent::Abandoned(id)]);
    assert_eq!(stage.server.clients(), 0);
}

#[test]
fn a_client_that_goes_away_while_it_waits_is_told_of() {
    let mut stage = stage();
    let client = stage.client(STATUS);
    let (id, _) = stage.asked();
    assert_eq!(stage.settle(), []);
    drop(client);
    assert_eq!(stage.settle(), [ServerEvent::Abandoned(id)]);
}

#[test]
fn a_report_that_is_older_than_the_last_reply_is_not_taken_for_an_end() {
    let mut stage = stage();
    let _client = stage.client(STATUS);
    let (id, _) = stage.asked();
    let token = Token { owner: SPACE, key: id.0 };
    assert_eq!(stage.server.on_ready(stage.now, Ready { token, readable: false, writable: true }), []);
    let token = Token { owner: SPACE, key: id.0 + 1 };
    assert_eq!(stage.server.on_ready(stage.now, Ready { token, readable: true, writable: true }), []);
    assert_eq!(stage.server.clients(), 1);
    stage.answer(id);
}

#[test]
fn an_answer_that_nobody_asked_for_is_void() {
    let mut stage = stage();
    let mut client = stage.client(STATUS);
    let (id, _) = stage.asked();
    stage.answer(id);
    assert_eq!(stage.server.reply(id, &Reply::End {}), WriteState::Gone);
    client.shutdown(std::net::Shutdown::Write).unwrap();
    stage.settle();
    let mut said = Vec::new();
    client.read_to_end(&mut said).unwrap();
    assert_eq!(said, Reply::End {}.encode());
}

#[test]
fn a_socket_whose_file_was_removed_is_made_again() {
    let mut stage = stage();
    let before = stage.client(STATUS);
    let (id, _) = stage.asked();
    std::fs::remove_file(&stage.path).unwrap();
    stage.server.restore().unwrap();
    stage.answer(id);
    let late = stage.client(STATUS);
    let (id, _) = stage.asked();
    stage.answer(id);
    for client in [before, late] {
        assert_eq!(next(&mut BufReader::new(client)), Reply::End {});
    }
    stage.server.restore().unwrap();
    assert_eq!(std::fs::metadata(&stage.path).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn a_socket_that_another_has_taken_is_left_to_them() {
    let mut stage = stage();
    std::fs::remove_file(&stage.path).unwrap();
    let other = bind(&stage.path).unwrap();
    assert!(matches!(stage.server.restore(), Err(BindError::AnotherListens { .. })));
    drop(stage.server);
    assert!(stage.path.exists());
    drop(other);
}

#[test]
fn at_the_end_nobody_comes_in_and_who_is_being_answered_is_answered() {
    let mut stage = stage();
    let _silent = stage.connect();
    let client = stage.client(STATUS);
    let (id, _) = stage.asked();
    stage.server.retire();
    assert!(!stage.path.exists() && stage.server.is_busy());
    assert_eq!(stage.server.clients(), 1);
    stage.answer(id);
    assert!(!stage.server.is_busy());
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
fn the_socket_is_its_owners_alone_and_gone_with_the_server() {
    let stage = stage();
    assert_eq!(std::fs::metadata(&stage.path).unwrap().permissions().mode() & 0o7777, 0o700);
    drop(stage.server);
    assert!(!stage.path.exists());
}

fn bind(path: &Path) -> Result<Server, BindError> {
    Server::bind(path, Rc::new(Epoll::new().unwrap()), SPACE)
}

#[test]
fn a_socket_at_which_another_answers_is_not_taken() {
    let stage = stage();
    let error = bind(&stage.path).unwrap_err();
    assert!(matches!(error, BindError::AnotherListens { .. }));
    let (pid, path) = (std::process::id(), stage.path.display());
    let expected = format!(
        "already running here (PID {pid}), at `{path}`: `foster status` shows it, `foster help` has the verbs"
    );
    assert_eq!(error.to_string(), expected);
    stage.connect();
}

#[test]
fn a_socket_that_a_dead_one_left_is_taken_over() {
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
fn what_is_no_socket_is_left_alone() {
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
    let stage = stage();
    std::fs::remove_file(&stage.path).unwrap();
    let successor = bind(&stage.path).unwrap();
    drop(stage.server);
    assert!(stage.path.exists());
    drop(successor);
    assert!(!stage.path.exists());
}

#[test]
fn a_place_that_cannot_be_used_is_told_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let nowhere = directory.path().join("none/s");
    let told = bind(&nowhere).unwrap_err();
    assert!(matches!(told, BindError::Unavailable(..)));
    let expected = format!("cannot listen at `{}`: No such file or directory", nowhere.display());
    assert_eq!(told.to_string(), expected);
    let told = bind(Path::new("/proc/foster.sock")).unwrap_err();
    assert!(matches!(told, BindError::Unavailable(..)), "{told}");
    let told = bind(&directory.path().join("x".repeat(120))).unwrap_err();
    assert!(matches!(told, BindError::TooLong(_)));
    assert!(told.to_string().ends_with("at most 107 fit"), "{told}");
    assert!(matches!(bind(Path::new("")), Err(BindError::Unavailable(..))));
}
