//! A client of HTTP/1.1 as the tests need it: one request for a connection, an answer as it comes, or one that follows.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Where a server listens.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Tcp(u16),
    Unix(PathBuf),
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// The value of a header field; empty if there is none.
    pub(crate) fn field(&self, name: &str) -> &str {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// How long an answer may take; no test passes by reaching it.
const PATIENCE: Duration = Duration::from_secs(60);

impl Address {
    fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Address::Tcp(port) => {
                let stream = TcpStream::connect(("127.0.0.1", *port))?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
            Address::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Box::new(stream)
            }
        })
    }

    /// Sends a request with these header fields and this form, and reads the answer; an error where there is none.
    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        fields: &[&str],
        form: &str,
    ) -> std::io::Result<Answer> {
        let mut stream = self.connect()?;
        write!(stream, "{}", request(method, path, fields, form))?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Ok(Answer { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// The answer to a request that is certain to be answered.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").expect("an answer")
    }

    /// The answer to a form.
    #[track_caller]
    pub(crate) fn post(&self, form: &str) -> Answer {
        self.send("POST", "/order", &[], form).expect("an answer")
    }

    /// Starts to follow what a path brings.
    pub(crate) fn follow(&self, path: &str) -> Followed {
        self.open(&request("GET", path, &["Connection: keep-alive"], ""))
    }

    /// Connects, and sends these bytes.
    pub(crate) fn open(&self, bytes: &str) -> Followed {
        let mut followed = Followed { stream: self.connect().expect("a connection"), text: String::new() };
        followed.send(bytes);
        followed
    }
}

fn request(method: &str, path: &str, fields: &[&str], form: &str) -> String {
    let has = |name: &str| fields.iter().any(|field| field.starts_with(name));
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    if !has("Host:") {
        text.push_str("Host: localhost\r\n");
    }
    if !has("Connection:") {
        text.push_str("Connection: close\r\n");
    }
    fields.iter().for_each(|field| text.push_str(&format!("{field}\r\n")));
    if !form.is_empty() {
        text.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        text.push_str(&format!("Content-Length: {}\r\n", form.len()));
    }
    format!("{text}\r\n{form}")
}

/// An answer without an end.
pub(crate) struct Followed {
    stream: Box<dyn Stream>,
    text: String,
}

impl Followed {
    /// Sends these bytes.
    #[track_caller]
    pub(crate) fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).expect("a connection");
    }

    /// Reads until the text so far has this, and drops it.
    #[track_caller]
    pub(crate) fn take_until(&mut self, wanted: &str) {
        self.until(wanted);
        self.text.clear();
    }

    /// Reads until the text so far has this; returns all of it.
    #[track_caller]
    pub(crate) fn until(&mut self, wanted: &str) -> &str {
        let mut bytes = [0; 4096];
        while !self.text.contains(wanted) {
            let count = self.stream.read(&mut bytes).expect("more of the answer");
            assert!(count > 0, "no {wanted:?} in {:?}", self.text);
            self.text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        &self.text
    }

    /// Reads to its end.
    pub(crate) fn end(mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.stream.read_to_end(&mut bytes);
        self.text + &String::from_utf8_lossy(&bytes)
    }
}
