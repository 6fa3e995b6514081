//! Server-sent events (WHATWG HTML, section 9.2): events of the supervisor, and lines of output, as they come.

use serde_json::json;

use super::super::answer::{Answer, Follower};
use super::super::http::{Request, Response};
use super::lines::{Lines, OWN_LOG, Shown};
use crate::control::protocol::{self, Events, Logs, Reply};

/// Every event from now on.
pub(in crate::web) fn events() -> Answer {
    let events = Events { lines: Some(0), follow: true, ..Events::default() };
    answer(protocol::Request::Events(events), Follower::Events)
}

/// The last lines of a program, of all programs, or of foster's own log, and the next ones.
pub(in crate::web) fn follow(request: &Request) -> Answer {
    let lines = Lines::of(request);
    if lines.name == OWN_LOG {
        let events = Events { lines: lines.count, follow: true, ..Events::default() };
        return answer(protocol::Request::Events(events), Follower::Lines);
    }
    let logs = Logs { names: lines.names(), lines: lines.count, since_ms: None, follow: true };
    answer(protocol::Request::Logs(logs), Follower::Lines)
}

fn answer(request: protocol::Request, follower: Follower) -> Answer {
    Answer::Follow { response: Response::new(200, "text/event-stream", ""), request, follower }
}

/// An event of the supervisor.
pub(in crate::web) fn event(reply: &Reply) -> Vec<u8> {
    if let Reply::Event(event) = reply {
        return format!("data: {}\n\n", event.object()).into_bytes();
    }
    if matches!(reply, Reply::Missed(_)) { b"data: {}\n\n".to_vec() } else { Vec::new() }
}

/// A line of output.
pub(in crate::web) fn line(reply: &Reply) -> Vec<u8> {
    let Some(Shown { at, of, is_error, more, text }) = Shown::of(reply) else { return Vec::new() };
    let data = json!({ "at": at, "of": of, "err": is_error, "more": more, "text": text });
    format!("data: {data}\n\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{LogLine, Stream};

    #[test]
    fn a_line_of_output_is_one_event_whatever_it_has() {
        let text = "a\u{1b}[1mb\u{2028}\n\ndata: x".to_owned();
        let reply = Reply::Line(LogLine {
            ts: "2026-11-29T12:00:00Z".into(),
            name: "web".into(),
            stream: Stream::Stderr,
            text,
            more: false,
            unfinished: false,
        });
        let bytes = line(&reply);
        let event = std::str::from_utf8(&bytes).unwrap();
        assert_eq!(event.matches('\n').count(), 2);
        let data: serde_json::Value =
            serde_json::from_str(event.strip_prefix("data: ").unwrap().trim()).unwrap();
        assert_eq!(data["text"], "ab\u{2028}data: x");
        assert_eq!(data["err"], true);
    }
}
