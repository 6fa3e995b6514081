//! More clients than the limit, and clients that hold a connection without using it.
//!
//! The least useful connection is closed (`connection.rs`, `EvictionRank`). The test sets the time.

use super::*;

#[test]
fn at_the_limit_the_oldest_silent_client_is_closed() {
    let mut bench = bench();
    let silent: Vec<UnixStream> = (0..MAX_CLIENTS)
        .map(|_| {
            let client = bench.connect();
            bench.settle();
            client
        })
        .collect();
    assert_eq!(bench.server.clients(), MAX_CLIENTS);
    let _client = bench.client(STATUS);
    let _ = bench.only_request();
    assert_eq!(bench.server.clients(), MAX_CLIENTS);
    assert_eq!(refusal(Reply::parse(&read_all(&silent[0])).unwrap()).error, Reason::TooManyClients);
}

#[test]
fn at_the_limit_of_waiting_clients_the_oldest_is_closed_with_a_reason() {
    let mut bench = bench();
    let mut asking: Vec<(UnixStream, ConnectionId)> = Vec::new();
    for _ in 0..MAX_CLIENTS {
        let client = bench.client(STATUS);
        asking.push((client, bench.only_request().0));
    }
    let late = bench.client(STATUS);
    let events = bench.settle();
    let [ServerEvent::Abandoned(gone), ServerEvent::Requested(id, _)] = events.as_slice() else {
        panic!("not one for another: {events:?}")
    };
    assert_eq!(*gone, asking[0].1);
    assert_eq!(refusal(Reply::parse(&read_all(&asking[0].0)).unwrap()).error, Reason::TooManyClients);
    bench.answer(*id);
    assert_eq!(next(&mut BufReader::new(late)), Reply::End {});
    assert_eq!(bench.server.clients(), MAX_CLIENTS);
}

#[test]
fn a_client_that_does_not_read_is_closed_before_one_that_waits() {
    let mut bench = bench();
    bench.server.most = 2;
    let _waiting = bench.client(STATUS);
    let (waiting, _) = bench.only_request();
    let _unread = bench.client(STATUS);
    let (unread, _) = bench.only_request();
    while bench.server.reply(unread, &long_line()) == WriteState::Go {}
    let _late = bench.client(b"{");
    assert_eq!(bench.settle(), [ServerEvent::Abandoned(unread)]);
    bench.answer(waiting);
}

#[test]
fn many_clients_that_disconnect_leave_nothing_behind() {
    let mut bench = bench();
    for _ in 0..20 {
        let crowd: Vec<UnixStream> = (0..300).map(|_| bench.client(b"{\"verb\":\"sta")).collect();
        bench.settle();
        assert_eq!(bench.server.clients(), MAX_CLIENTS);
        drop(crowd);
        assert_eq!(bench.settle(), []);
        assert_eq!(bench.server.clients(), 0);
    }
}

#[test]
fn an_incomplete_request_has_a_timeout_and_no_other_client_causes_a_wakeup() {
    let mut bench = bench();
    let _silent = bench.connect();
    let mut whole = BufReader::new(bench.client(STATUS));
    let (id, _) = bench.only_request();
    bench.answer(id);
    assert_eq!(next(&mut whole), Reply::End {});
    assert_eq!(bench.server.deadline(), None);

    let mut half = bench.client(b"{\"verb\":");
    bench.settle();
    let due = bench.server.deadline().expect("a deadline");
    assert_eq!(due, bench.now.plus(REQUEST_TIMEOUT));
    // Another byte does not restart the timeout.
    bench.now = bench.now.plus(Duration::from_secs(9));
    half.write_all(b"\"sta").unwrap();
    bench.settle();
    bench.server.tick(bench.now);
    assert_eq!(bench.server.deadline(), Some(due));
    bench.now = due;
    bench.server.tick(bench.now);
    assert_eq!(bench.settle(), []);
    assert_eq!(refusal(Reply::parse(&read_all(&half)).unwrap()).error, Reason::TooSlow);
    assert_eq!((bench.server.clients(), bench.server.deadline()), (2, None));
}

#[test]
fn a_request_that_is_completed_in_time_has_no_deadline() {
    let mut bench = bench();
    let mut client = bench.client(b"{\"verb\":");
    bench.settle();
    assert!(bench.server.deadline().is_some());
    client.write_all(b"\"status\"}\n").unwrap();
    let (id, _) = bench.only_request();
    assert_eq!(bench.server.deadline(), None);
    bench.answer(id);
}

#[test]
fn without_a_free_descriptor_a_client_is_accepted_and_refused() {
    let mut bench = bench();
    let client = bench.client(STATUS);
    bench.server.refuse_one(bench.now);
    assert_eq!(refusal(Reply::parse(&read_all(&client)).unwrap()).error, Reason::TooManyClients);
    assert!(bench.server.reserve.is_some());
    assert_eq!(bench.settle(), []);
}

#[test]
fn after_a_failed_accept_the_listener_is_paused_and_not_watched() {
    let mut bench = bench();
    // There is no client to refuse, so accept(2) fails.
    bench.server.refuse_one(bench.now);
    let _client = bench.client(STATUS);
    assert_eq!(bench.turn(&mut Vec::new()), 0);
    let due = bench.server.deadline().expect("a deadline");
    bench.now = due;
    bench.server.tick(bench.now);
    let (id, _) = bench.only_request();
    bench.answer(id);
    assert_eq!(bench.server.deadline(), None);
}

#[test]
fn requests_sent_in_advance_by_a_disconnected_client_are_dropped() {
    let mut bench = bench();
    let client = bench.client(&STATUS.repeat(500));
    let (id, _) = bench.only_request();
    drop(client);
    assert_eq!(bench.server.reply(id, &Reply::End {}), WriteState::Gone);
    assert_eq!(bench.settle(), []);
    assert_eq!(bench.server.clients(), 0);
}
