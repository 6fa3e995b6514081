//! A connection to the supervisor: one request, and the lines of its answer. Nothing here waits.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::control::line_buffer::{Filled, LineBuffer};
use crate::control::protocol::{Reply, Request};
use crate::sys::socket;

/// A connection to the supervisor.
#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    received: LineBuffer,
}

/// The supervisor cannot be asked, or its answer cannot be read: it is ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lost;

impl Link {
    /// Connects, and sends a request, which is far smaller than the buffer of a socket.
    pub(super) fn open(supervisor: &Path, request: &Request) -> Result<Link, Lost> {
        let line = request.encode().ok_or(Lost)?;
        let mut stream = socket::connect(supervisor).map_err(|_| Lost)?;
        match stream.write(&line) {
            Ok(written) if written == line.len() => Ok(Link { stream, received: LineBuffer::default() }),
            Ok(_) | Err(_) => Err(Lost),
        }
    }

    /// Reads once; returns the replies that are whole, and about how many bytes of memory they have.
    pub(super) fn read(&mut self) -> Result<(Vec<Reply>, usize), Lost> {
        let filled = self.received.fill(&mut self.stream);
        let (mut replies, mut size) = (Vec::new(), 0);
        while let Some(line) = self.received.take_line() {
            // A vector has twice the room while it grows.
            size += line.len() + 2 * size_of::<Reply>();
            replies.push(Reply::parse(&line).map_err(|_| Lost)?);
        }
        let is_complete = replies.last().is_some_and(Reply::is_last);
        match filled {
            Filled::Some | Filled::Nothing => Ok((replies, size)),
            Filled::Ended | Filled::TooLong if is_complete => Ok((replies, size)),
            Filled::Ended | Filled::TooLong => Err(Lost),
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
