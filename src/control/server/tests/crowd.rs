//! More clients than there is room for, and those who keep a place without using it.
//!
//! Who has to go is decided by what a connection is good for (`connection.rs`, `Use`); time is the test's own.

use super::*;

#[test]
fn where_all_places_are_taken_by_silence_the_longest_silent_has_to_go() {
    let mut stage = stage();
    let silent: Vec<UnixStream> = (0..MOST_CLIENTS)
        .map(|_| {
            let client = stage.connect();
            stage.settle();
            client
        })
        .collect();
    assert_eq!(stage.server.clients(), MOST_CLIENTS);
    let _client = stage.client(STATUS);
    let _ = stage.asked();
    assert_eq!(stage.server.clients(), MOST_CLIENTS);
    assert_eq!(refusal(Reply::parse(&all(&silent[0])).unwrap()).error, Reason::TooManyClients);
}

#[test]
fn where_all_places_are_taken_by_questions_the_last_to_come_is_answered_and_the_first_is_told_so() {
    let mut stage = stage();
    let mut asking: Vec<(UnixStream, ConnectionId)> = Vec::new();
    for _ in 0..MOST_CLIENTS {
        let client = stage.client(STATUS);
        asking.push((client, stage.asked().0));
    }
    let late = stage.client(STATUS);
    let events = stage.settle();
    let [ServerEvent::Abandoned(gone), ServerEvent::Requested(id, _)] = events.as_slice() else {
        panic!("not one for another: {events:?}")
    };
    assert_eq!(*gone, asking[0].1);
    assert_eq!(refusal(Reply::parse(&all(&asking[0].0)).unwrap()).error, Reason::TooManyClients);
    stage.answer(*id);
    assert_eq!(next(&mut BufReader::new(late)), Reply::End {});
    assert_eq!(stage.server.clients(), MOST_CLIENTS);
}

#[test]
fn a_reader_that_does_not_read_has_to_go_before_one_that_waits() {
    let mut stage = stage();
    stage.server.most = 2;
    let _waiting = stage.client(STATUS);
    let (waiting, _) = stage.asked();
    let _unread = stage.client(STATUS);
    let (unread, _) = stage.asked();
    while stage.server.reply(unread, &long_line()) == WriteState::Go {}
    let _late = stage.client(b"{");
    assert_eq!(stage.settle(), [ServerEvent::Abandoned(unread)]);
    stage.answer(waiting);
}

#[test]
fn a_crowd_that_comes_and_goes_leaves_nothing_behind() {
    let mut stage = stage();
    for _ in 0..20 {
        let crowd: Vec<UnixStream> = (0..300).map(|_| stage.client(b"{\"verb\":\"sta")).collect();
        stage.settle();
        assert_eq!(stage.server.clients(), MOST_CLIENTS);
        drop(crowd);
        assert_eq!(stage.settle(), []);
        assert_eq!(stage.server.clients(), 0);
    }
}

#[test]
fn half_a_request_is_waited_for_so_long_and_no_wakeup_is_due_for_any_other_client() {
    let mut stage = stage();
    let _silent = stage.connect();
    let mut whole = BufReader::new(stage.client(STATUS));
    let (id, _) = stage.asked();
    stage.answer(id);
    assert_eq!(next(&mut whole), Reply::End {});
    assert_eq!(stage.server.deadline(), None);

    let mut half = stage.client(b"{\"verb\":");
    stage.settle();
    let due = stage.server.deadline().expect("a deadline");
    assert_eq!(due, stage.now.plus(REQUEST_TIMEOUT));
    // A byte more is no new beginning.
    stage.now = stage.now.plus(Duration::from_secs(9));
    half.write_all(b"\"sta").unwrap();
    stage.settle();
    stage.server.tick(stage.now);
    assert_eq!(stage.server.deadline(), Some(due));
    stage.now = due;
    stage.server.tick(stage.now);
    assert_eq!(stage.settle(), []);
    assert_eq!(refusal(Reply::parse(&all(&half)).unwrap()).error, Reason::TooSlow);
    assert_eq!((stage.server.clients(), stage.server.deadline()), (2, None));
}

#[test]
fn half_a_request_that_is_finished_in_time_owes_nothing() {
    let mut stage = stage();
    let mut client = stage.client(b"{\"verb\":");
    stage.settle();
    assert!(stage.server.deadline().is_some());
    client.write_all(b"\"status\"}\n").unwrap();
    let (id, _) = stage.asked();
    assert_eq!(stage.server.deadline(), None);
    stage.answer(id);
}

#[test]
fn without_a_descriptor_left_a_client_is_let_in_and_sent_away() {
    let mut stage = stage();
    let client = stage.client(STATUS);
    stage.server.refuse_one(stage.now);
    assert_eq!(refusal(Reply::parse(&all(&client)).unwrap()).error, Reason::TooManyClients);
    assert!(stage.server.reserve.is_some());
    assert_eq!(stage.settle(), []);
}

#[test]
fn where_nobody_can_be_let_in_the_door_is_shut_for_a_while_and_not_watched() {
    let mut stage = stage();
    // There is no client to send away: the result is that of an accept that fails.
    stage.server.refuse_one(stage.now);
    let _client = stage.client(STATUS);
    assert_eq!(stage.turn(&mut Vec::new()), 0);
    let due = stage.server.deadline().expect("a deadline");
    stage.now = due;
    stage.server.tick(stage.now);
    let (id, _) = stage.asked();
    stage.answer(id);
    assert_eq!(stage.server.deadline(), None);
}

#[test]
fn one_that_is_gone_is_not_answered_what_it_asked_in_advance() {
    let mut stage = stage();
    let client = stage.client(&STATUS.repeat(500));
    let (id, _) = stage.asked();
    drop(client);
    assert_eq!(stage.server.reply(id, &Reply::End {}), WriteState::Gone);
    assert_eq!(stage.settle(), []);
    assert_eq!(stage.server.clients(), 0);
}
