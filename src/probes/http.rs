//! An HTTP/1.1 request and the head of its response as bytes, without sockets (RFC 9112).
//!
//! [`ResponseHead`] takes the response in pieces of any size and gives the result when the head of the final response is
//! complete; a body is never read. Its memory is bounded.

use std::fmt::Write as _;

use foster_core::probe::ProbeResult;

use crate::plan::HttpProbe;

/// The limit for the heads of a response in bytes, interim responses (1xx) included.
pub(super) const HEAD_LIMIT: usize = 16 * 1024;

const USER_AGENT: &str = concat!("foster/", env!("CARGO_PKG_VERSION"));

/// The limit for the header fields of one head.
const HEADER_LIMIT: usize = 128;

/// The request for this probe.
pub(super) fn request(probe: &HttpProbe) -> String {
    let mut fields = vec![("Host", probe.host.as_str()), ("User-Agent", USER_AGENT), ("Accept", "*/*")];
    fields.retain(|(name, _)| !probe.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
    // `Host` should be first (RFC 9110, section 7.2).
    let (host, others): (Vec<_>, Vec<_>) = probe
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .partition(|(name, _)| name.eq_ignore_ascii_case("Host"));
    let mut text = format!("{} {} HTTP/1.1\r\n", probe.method, probe.target);
    for (name, value) in host.into_iter().chain(fields).chain(others) {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if probe.method == "POST" {
        text.push_str("Content-Length: 0\r\n");
    }
    text.push_str("Connection: close\r\n\r\n");
    text
}

/// The head of a response, as far as it was received.
#[derive(Debug)]
pub(super) struct ResponseHead {
    /// The request in messages: `GET /health`.
    request: String,
    accepted: Vec<u16>,
    /// The incomplete head.
    head: Vec<u8>,
    /// How many bytes may still be received.
    room: usize,
}

/// The state of a head.
enum Head {
    /// It is incomplete.
    Incomplete,
    /// An interim response (1xx, but not 101) of this length; the final response follows.
    Interim(usize),
    /// The final status.
    Final(u16),
    /// It is not a valid response, for this reason.
    Broken(&'static str),
}

impl ResponseHead {
    /// Nothing was received yet.
    pub(super) fn new(probe: &HttpProbe) -> ResponseHead {
        ResponseHead {
            request: format!("{} {}", probe.method, probe.target),
            accepted: probe.status.clone(),
            head: Vec::new(),
            room: HEAD_LIMIT,
        }
    }

    /// Adds received bytes. A result is final; nothing may be added after it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<ProbeResult> {
        let bytes = bytes.get(..self.room).unwrap_or(bytes);
        self.room = self.room.saturating_sub(bytes.len());
        self.head.extend_from_slice(bytes);
        loop {
            match read_head(&self.head) {
                Head::Interim(length) => drop(self.head.drain(..length)),
                Head::Incomplete if self.room == 0 => {
                    return Some(self.failed("the response's headers are longer than 16 KiB"));
                }
                Head::Incomplete => return None,
                Head::Final(status) => return Some(self.judge(status)),
                Head::Broken(why) => return Some(self.failed(why)),
            }
        }
    }

    /// The result when the server has closed the connection.
    pub(super) fn end(&self) -> ProbeResult {
        if self.room == HEAD_LIMIT {
            self.failed("the connection was closed without a response")
        } else {
            self.failed("the connection was closed in the middle of the response")
        }
    }

    /// A failure for this reason.
    pub(super) fn failed(&self, why: impl std::fmt::Display) -> ProbeResult {
        ProbeResult::Failed(format!("{}: {why}", self.request))
    }

    fn judge(&self, status: u16) -> ProbeResult {
        let passed = match self.accepted.as_slice() {
            [] => (200..=399).contains(&status),
            accepted => accepted.contains(&status),
        };
        if passed {
            return ProbeResult::Passed;
        }
        ProbeResult::Failed(format!("{} answered {status}", self.request))
    }
}

fn read_head(bytes: &[u8]) -> Head {
    let mut headers = [httparse::EMPTY_HEADER; HEADER_LIMIT];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(bytes);
    match (parsed, response.code) {
        // After 101 another protocol follows, so this status is final.
        (Ok(httparse::Status::Complete(length)), Some(100 | 102..=199)) => Head::Interim(length),
        (Ok(httparse::Status::Complete(_)), Some(status)) => Head::Final(status),
        (Ok(httparse::Status::Partial), _) => Head::Incomplete,
        (Err(httparse::Error::TooManyHeaders), _) => Head::Broken("the response has more than 128 headers"),
        (Ok(httparse::Status::Complete(_)), None) | (Err(_), _) => Head::Broken("the response is not HTTP"),
    }
}

#[cfg(test)]
mod tests;
