//! One TCP connection of a probe, from connect to result. Each readiness report advances it by one step.
//!
//! It never blocks, and a step is one write or one read. A server may refuse, hang, send slowly, send without end or
//! disconnect: each gives a result, or the caller drops the connection at its timeout. `http.rs` parses the response.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use foster_core::probe::ProbeResult;

use super::http::{self, ResponseHead};
use crate::errno::{self, words};
use crate::plan::HttpProbe;
use crate::sys::connect;
use crate::sys::epoll::Interest;

/// How many bytes one read takes.
const READ_SIZE: usize = 4096;

/// A connection in progress.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    purpose: Purpose,
}

/// Why a connection is made.
#[derive(Debug)]
enum Purpose {
    /// To check that it is accepted.
    Connection,
    /// To send a request and read the response.
    Exchange {
        /// The unsent part of the request.
        unsent: Vec<u8>,
        /// Reads the response.
        response: ResponseHead,
    },
}

impl Connection {
    /// Starts to connect, for a TCP probe.
    ///
    /// # Errors
    /// The result, if it is known at once.
    pub(super) fn connect(address: SocketAddr) -> Result<Connection, ProbeResult> {
        Connection::open(address, Purpose::Connection)
    }

    /// Starts to connect, for an HTTP probe.
    ///
    /// # Errors
    /// The result, if it is known at once.
    pub(super) fn request(probe: &HttpProbe) -> Result<Connection, ProbeResult> {
        let unsent = http::request(probe).into_bytes();
        Connection::open(probe.address, Purpose::Exchange { unsent, response: ResponseHead::new(probe) })
    }

    /// The stream to watch.
    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// The readiness that the next step needs.
    pub(super) fn interest(&self) -> Interest {
        match &self.purpose {
            Purpose::Exchange { unsent, response: _ } if unsent.is_empty() => Interest::Read,
            Purpose::Exchange { .. } | Purpose::Connection => Interest::Write,
        }
    }

    /// Takes the next step when the stream is ready; the last step gives the result.
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
        let stream = connect::start(address).map_err(|error| unreachable(address, error))?;
        Ok(Connection { stream, address, purpose })
    }
}

fn send_request(
    mut stream: &TcpStream,
    unsent: &mut Vec<u8>,
    response: &ResponseHead,
) -> Option<ProbeResult> {
    // The standard library sends with MSG_NOSIGNAL: a closed connection is an error, not SIGPIPE.
    match stream.write(unsent) {
        Ok(count) => {
            unsent.drain(..count.min(unsent.len()));
            None
        }
        Err(error) if again(error.kind()) => None,
        Err(error) => Some(response.failed(format_args!("cannot send the request: {}", words(&error)))),
    }
}

fn read_response(mut stream: &TcpStream, response: &mut ResponseHead) -> Option<ProbeResult> {
    let mut buffer = [0; READ_SIZE];
    match stream.read(&mut buffer) {
        Ok(0) => Some(response.end()),
        Ok(count) => response.take(buffer.get(..count).unwrap_or(&buffer)),
        Err(error) if again(error.kind()) => None,
        Err(error) => Some(response.failed(format_args!("cannot read the response: {}", words(&error)))),
    }
}

/// Whether the step must be repeated after the next report.
fn again(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn unreachable(address: SocketAddr, error: nix::Error) -> ProbeResult {
    ProbeResult::Failed(format!("cannot connect to {address}: {}", errno::text(error)))
}
