//! One HTTP request and its answer, over a Unix or TCP socket, with time limits and a bounded memory (RFC 9112).
//!
//! For a client that has nothing else to do: it blocks. What a server sends is not trusted: heads and bodies are limited, and
//! every error says what the server did.

use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use super::chunks::Chunks;
use super::url::{Target, addresses};
use crate::bounded_read::{self, Accept};
use crate::errno;
use crate::sys::socket;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(60);
/// The longest head of an answer in bytes, and its most header fields.
const HEAD: usize = 64 * 1024;
const FIELDS: usize = 128;
/// The largest `/etc/hosts` in bytes.
const HOSTS: usize = 1 << 20;
/// The most bytes of one read.
const PART: usize = 16 * 1024;

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error {
    /// No process listens.
    Refused,
    /// There is no such socket.
    NoFile,
    /// Another reason.
    Other(String),
}

/// An answer, whose body was not read yet.
#[derive(Debug)]
pub(super) struct Answer {
    /// 200, 401 and the like.
    pub(super) status: u16,
    /// The text beside it.
    pub(super) reason: String,
    pub(super) body: Body,
}

/// A body, as it arrives.
#[derive(Debug)]
pub(super) struct Body {
    stream: OwnedFd,
    received: Vec<u8>,
    framing: Framing,
}

/// How the end of a body is known.
#[derive(Debug)]
enum Framing {
    /// After this many bytes.
    Length(u64),
    /// After the last chunk.
    Chunked(Chunks),
    /// With the connection.
    Close,
}

/// Sends a request, and reads the head of its answer. `patience` is the limit for each part of it; `None`: it may take as
/// long as it takes.
pub(super) fn send(target: &Target, request: &[u8], patience: Option<Duration>) -> Result<Answer, Error> {
    let stream = connect(target)?;
    let other = |what: &str, errno: Errno| Error::Other(format!("{what}: {}", errno::text(errno)));
    if let Some(time) = patience {
        let seconds =
            TimeVal::new(i64::try_from(time.as_secs()).unwrap_or(i64::MAX), time.subsec_micros().into());
        let limited = setsockopt(&stream, sockopt::ReceiveTimeout, &seconds)
            .and_then(|()| setsockopt(&stream, sockopt::SendTimeout, &seconds));
        limited.map_err(|errno| other("cannot set a time limit", errno))?;
    }
    let mut rest = request;
    while !rest.is_empty() {
        match nix::unistd::write(&stream, rest) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            // A server that refuses may have answered before it closed: that is read next.
            Err(Errno::EPIPE | Errno::ECONNRESET) => break,
            Err(errno) => return Err(other("cannot send the request", errno)),
        }
    }
    let mut body = Body { stream, received: Vec::new(), framing: Framing::Close };
    loop {
        if let Some(answer) = head(&mut body)? {
            let (status, reason) = answer;
            return Ok(Answer { status, reason, body });
        }
        if !body.fill()? {
            let why =
                if body.received.is_empty() { "without an answer" } else { "in the middle of its answer" };
            return Err(Error::Other(format!("the server has closed the connection {why}")));
        }
    }
}

fn connect(target: &Target) -> Result<OwnedFd, Error> {
    match target {
        Target::Unix(path) => socket::connect_within(path, CONNECT).map(OwnedFd::from).map_err(|errno| {
            if errno == Errno::ENOENT {
                Error::NoFile
            } else if errno == Errno::ECONNREFUSED {
                Error::Refused
            } else if errno == Errno::EAGAIN {
                Error::Other("the server accepts no connection in time".to_owned())
            } else {
                Error::Other(format!("cannot connect: {}", errno::text(errno)))
            }
        }),
        Target::Tcp(host, port) => {
            let hosts =
                bounded_read::read(Path::new("/etc/hosts"), HOSTS, Accept::Regular).unwrap_or_default();
            let found = addresses(host, *port, &String::from_utf8_lossy(&hosts));
            let mut failure = Error::Other(format!(
                "cannot find the address of `{host}`: only IP addresses, `localhost` and names in /etc/hosts are \
                 known, because a static binary has no resolver for DNS"
            ));
            for address in found {
                match TcpStream::connect_timeout(&address, CONNECT) {
                    Ok(stream) => return Ok(stream.into()),
                    Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                        failure = Error::Refused
                    }
                    Err(error) => {
                        failure =
                            Error::Other(format!("cannot connect to {address}: {}", errno::words(&error)));
                    }
                }
            }
            Err(failure)
        }
    }
}

/// Takes the head, once it is whole, from what was received; the framing of the body follows from it.
fn head(body: &mut Body) -> Result<Option<(u16, String)>, Error> {
    loop {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let broken = |why: &str| Error::Other(format!("the answer of the server is not HTTP: {why}"));
        let (length, status) = match (response.parse(&body.received), response.code) {
            (Ok(httparse::Status::Complete(length)), Some(status)) => (length, status),
            (Ok(httparse::Status::Partial), _) if body.received.len() <= HEAD => return Ok(None),
            (Ok(httparse::Status::Partial), _) => return Err(broken("its head is longer than 64 KiB")),
            (Ok(httparse::Status::Complete(_)), None) => return Err(broken("it has no status")),
            (Err(error), _) => return Err(broken(&error.to_string())),
        };
        if (100..200).contains(&status) {
            body.received.drain(..length);
            continue;
        }
        let reason = response.reason.unwrap_or_default().to_owned();
        let field = |name: &str| {
            let known = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            known.map(|field| String::from_utf8_lossy(field.value).trim().to_ascii_lowercase())
        };
        body.framing = match (field("transfer-encoding"), field("content-length")) {
            (Some(coding), _) if coding.ends_with("chunked") => Framing::Chunked(Chunks::default()),
            (_, Some(number)) => {
                let number = number.parse().map_err(|_| broken("its `Content-Length` is not a number"))?;
                Framing::Length(number)
            }
            (_, None) => Framing::Close,
        };
        body.received.drain(..length);
        return Ok(Some((status, reason)));
    }
}

impl Body {
    /// Receives once. `false`: the server has closed the connection.
    fn fill(&mut self) -> Result<bool, Error> {
        let mut part = [0; PART];
        loop {
            match nix::unistd::read(&self.stream, &mut part) {
                Ok(count) => {
                    self.received.extend_from_slice(part.get(..count).unwrap_or_default());
                    return Ok(count > 0);
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    return Err(Error::Other("the server does not answer in time".to_owned()));
                }
                Err(errno) => {
                    return Err(Error::Other(format!("cannot read the answer: {}", errno::text(errno))));
                }
            }
        }
    }

    /// Whether something was received that [`Body::next`] returns without waiting.
    pub(super) fn has_buffered(&self) -> bool {
        !self.received.is_empty()
    }

    /// The next bytes, which may be none; `None`: it is complete.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let is_over = match &self.framing {
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunks) => chunks.is_over(),
            Framing::Close => false,
        };
        if is_over {
            return Ok(None);
        }
        let is_closed = self.received.is_empty() && !self.fill()?;
        let bytes = std::mem::take(&mut self.received);
        match &mut self.framing {
            Framing::Close if is_closed => Ok(None),
            _ if is_closed => Err(Error::Other(
                "the server has closed the connection in the middle of its answer".to_owned(),
            )),
            Framing::Close => Ok(Some(bytes)),
            Framing::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                Ok(Some(bytes.get(..count).unwrap_or_default().to_vec()))
            }
            Framing::Chunked(chunks) => match chunks.take(&bytes) {
                Some(bytes) => Ok(Some(bytes)),
                None => Err(Error::Other("the answer of the server has a chunk without a size".to_owned())),
            },
        }
    }

    /// All of it, at most this many bytes.
    pub(super) fn whole(mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        while let Some(bytes) = self.next()? {
            all.extend_from_slice(&bytes);
            if all.len() > limit {
                let limit = limit >> 20;
                return Err(Error::Other(format!("the answer of the server is longer than {limit} MiB")));
            }
        }
        Ok(all)
    }
}

impl AsFd for Body {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The first byte that a server sends after this request.
pub(super) fn first_byte(target: &Target, request: &[u8], patience: Duration) -> Option<u8> {
    let stream = connect(target).ok()?;
    let limit = TimeVal::new(i64::try_from(patience.as_secs()).ok()?, 0);
    setsockopt(&stream, sockopt::ReceiveTimeout, &limit).ok()?;
    nix::unistd::write(&stream, request).ok()?;
    let mut first = [0];
    nix::unistd::read(&stream, &mut first).ok().filter(|count| *count > 0).map(|_| first[0])
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_server_that_hangs_is_given_up() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp("localhost".to_owned(), server.local_addr().unwrap().port());
        let hangs = |patience| send(&target, b"GET / HTTP/1.1\r\n\r\n", Some(patience)).unwrap_err();
        let expected = Error::Other("the server does not answer in time".to_owned());
        assert_eq!(hangs(Duration::from_millis(20)), expected);
        assert_eq!(first_byte(&target, b"x", Duration::from_secs(1)), None);
    }

    #[test]
    fn a_body_ends_with_its_length_its_last_chunk_or_the_connection() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp("127.0.0.1".to_owned(), server.local_addr().unwrap().port());
        for (answer, body) in [
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", Ok("ab")),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", Ok("ab")),
            ("HTTP/1.0 200 OK\r\n\r\nabc", Ok("abc")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", Err("in the middle of its answer")),
            ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc", Err("not a number")),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n", Err("in the middle")),
        ] {
            let read = std::thread::scope(|scope| {
                scope.spawn(|| {
                    let (mut stream, _) = server.accept().unwrap();
                    let _ = stream.read(&mut [0; 100]);
                    stream.write_all(answer.as_bytes()).unwrap();
                });
                let answer = send(&target, b"GET / HTTP/1.1\r\n\r\n", None);
                answer.and_then(|answer| answer.body.whole(1 << 20))
            });
            match (read, body) {
                (Ok(bytes), Ok(text)) => assert_eq!(bytes, text.as_bytes()),
                (Err(Error::Other(why)), Err(part)) => assert!(why.contains(part), "{why}"),
                (read, _) => panic!("{answer}: {read:?}"),
            }
        }
    }
}
