//! One connection over TCP, from connect to verdict, moved on by each readiness report.
//!
//! It never waits, and a step does a bounded amount of work: one write or one read. A server may refuse, hang, drip,
//! flood or leave; each ends in a verdict, or in silence until the caller drops the connection. What an HTTP response
//! means is in `http.rs`.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use foster_core::probe::ProbeResult;

use super::http::{self, ResponseHead};
use crate::errno::{self, words};
use crate::plan::HttpProbe;
use crate::sys::connect;
use crate::sys::epoll::Interest;

/// How much is read at once.
const READ_SIZE: usize = 4096;

/// A connection under way.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    purpose: Purpose,
}

/// Why a connection is made.
#[derive(Debug)]
enum Purpose {
    /// Only to be made: that is the answer.
    Connection,
    /// To send a request and read its response.
    Exchange {
        /// What of the request has not been sent yet.
        unsent: Vec<u8>,
        /// Reads the response.
        response: ResponseHead,
    },
}

impl Connection {
    /// Starts to connect, to learn whether that works.
    ///
    /// # Errors
    /// The verdict, where it is known at once.
    pub(super) fn connect(address: SocketAddr) -> Result<Connection, ProbeResult> {
        Connection::open(address, Purpose::Connection)
    }

    /// Starts to connect, to send a request.
    ///
    /// # Errors
    /// The verdict, where it is known at once.
    pub(super) fn request(probe: &HttpProbe) -> Result<Connection, ProbeResult> {
        let unsent = http::request(probe).into_bytes();
        Connection::open(probe.address, Purpose::Exchange { unsent, response: ResponseHead::new(probe) })
    }

    /// Its stream, for the loop to watch.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// What its stream has to be ready for before the next step.
    pub(super) fn interest(&self) -> Interest {
        match &self.purpose {
            Purpose::Exchange { unsent, response: _ } if unsent.is_empty() => Interest::Read,
            Purpose::Exchange { .. } | Purpose::Connection => Interest::Write,
        }
    }

    /// Goes one step further, now that the stream is ready. The verdict is the last step.
    pub(super) fn advance(&mut self) -> Option<ProbeResult> {
        match &mut self.purpose {
            Purpose::Exchange { unsent, response } if unsent.is_empty() => {
                read_response(&self.stream, response)
            }
            Purpose::Exchange { unsent, response } => match connect::finish(&self.stream) {
                Ok(()) => send_request(&self.stream, unsent, response),
                Err(error) => Some(unreachable(self.address, error)),
            },
            Purpose::Connection => match connect::finish(&self.stream) {
                Ok(()) => Some(ProbeResult::Passed),
                Err(error) => Some(unreachable(self.address, error)),
            },
        }
    }

    fn open(address: SocketAddr, purpose: Purpose) -> Result<Connection, ProbeResult> {
        let stream = connect::begin(address).map_err(|error| unreachable(address, error))?;
        Ok(Connection { stream, address, purpose })
    }
}

fn send_request(
    mut stream: &TcpStream,
    unsent: &mut Vec<u8>,
    response: &ResponseHead,
) -> Option<ProbeResult> {
    // The standard library sends with MSG_NOSIGNAL: a server that is gone is an error, not a SIGPIPE.
    match stream.write(unsent) {
        Ok(count) => {
            unsent.drain(..count.min(unsent.len()));
            None
        }
        Err(error) if again(error.kind()) => None,
        Err(error) => Some(response.failed(format_args!("sending the request: {}", words(&error)))),
    }
}

fn read_response(mut stream: &TcpStream, response: &mut ResponseHead) -> Option<ProbeResult> {
    let mut buffer = [0; READ_SIZE];
    match stream.read(&mut buffer) {
        Ok(0) => Some(response.end()),
        Ok(count) => response.take(buffer.get(..count).unwrap_or(&buffer)),
        Err(error) if again(error.kind()) => None,
        Err(error) => Some(response.failed(format_args!("reading the response: {}", words(&error)))),
    }
}

/// Whether the next report of the loop has to be waited for.
fn again(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn unreachable(address: SocketAddr, error: nix::Error) -> ProbeResult {
    ProbeResult::Failed(format!("connecting to {address}: {}", errno::text(error)))
}
