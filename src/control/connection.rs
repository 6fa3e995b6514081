//! One client of the control socket, as the server sees it.
//!
//! A client has one request at a time: the next line is read when the previous answer is written. Anything sent before
//! that stays in the kernel, so a client costs at most one line of input and a bounded part of an answer. Nothing here
//! blocks; [`Connection::interest`] returns the next interest for epoll.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use foster_core::time::Instant;

use super::line_buffer::{Filled, LineBuffer};
use super::protocol::{LONGEST_LINE, Reason, Refusal, Reply, Request};
use super::rights::Rights;
use crate::sys::epoll::{Interest, Ready};
use crate::sys::socket::Peer;

/// The most bytes of an answer that may be unsent. Long answers are paced by [`WriteState`] and stay far below it; a
/// client that reaches it is disconnected.
pub(super) const LONGEST_QUEUE: usize = 1024 * 1024;

/// A client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    peer: Peer,
    rights: Rights,
    received: LineBuffer,
    unwritten: VecDeque<u8>,
    phase: Phase,
    /// The time since which a request is incomplete.
    incomplete_since: Option<Instant>,
    /// The interest registered with epoll.
    pub(super) watched: Interest,
}

/// The next step of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request.
    Idle,
    /// The answer of foster.
    Answering,
    /// None: the connection is closed once everything is written.
    Closing,
}

/// Whether more of an answer may be sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteState {
    /// Yes.
    Go,
    /// Not yet: it is queued until the client reads. A long answer waits for [`super::server::ServerEvent::Drained`].
    Wait,
    /// The client has disconnected, or has no request.
    Gone,
}

/// How useful a connection is, the least useful first: that one is closed when there are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EvictionRank {
    /// It has sent no complete request.
    Silent,
    /// It does not read its answer.
    Unread,
    /// It waits for the answer to its request.
    Waiting,
}

/// The result of [`Connection::turn`].
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing to report.
    Nothing,
    /// A request.
    Requested(Request),
    /// All queued bytes of an unfinished answer are written.
    Drained,
    /// It disconnected before its answer was finished.
    Abandoned,
    /// It disconnected.
    Gone,
}

impl Connection {
    /// A client that has just connected. The stream must not block.
    pub(super) fn new(stream: UnixStream, peer: Peer, rights: Rights) -> Connection {
        let (received, unwritten) = (LineBuffer::default(), VecDeque::new());
        Connection {
            stream,
            peer,
            rights,
            received,
            unwritten,
            phase: Phase::Idle,
            incomplete_since: None,
            watched: Interest::Read,
        }
    }

    /// The process that connected.
    pub(super) fn peer(&self) -> Peer {
        self.peer
    }

    /// What it may ask for.
    pub(super) fn rights(&self) -> Rights {
        self.rights
    }

    /// The next interest for epoll.
    pub(super) fn interest(&self) -> Interest {
        if !self.unwritten.is_empty() {
            return Interest::Write;
        }
        match self.phase {
            // A socket is writable at once, so this calls back for a line that is already in the buffer.
            Phase::Idle if self.received.has_line() => Interest::Write,
            Phase::Closing => Interest::Write,
            Phase::Idle => Interest::Read,
            Phase::Answering => Interest::None,
        }
    }

    /// How useful it is.
    pub(super) fn eviction_rank(&self) -> EvictionRank {
        if !self.unwritten.is_empty() {
            return EvictionRank::Unread;
        }
        match self.phase {
            Phase::Answering => EvictionRank::Waiting,
            Phase::Idle if self.received.has_line() => EvictionRank::Waiting,
            Phase::Idle | Phase::Closing => EvictionRank::Silent,
        }
    }

    /// Whether its answer is not finished.
    pub(super) fn is_being_answered(&self) -> bool {
        self.phase == Phase::Answering
    }

    /// The time since which a request is incomplete.
    pub(super) fn incomplete_since(&self) -> Option<Instant> {
        self.incomplete_since
    }

    /// Makes progress: at most one read and one request.
    pub(super) fn turn(&mut self, now: Instant, ready: Ready) -> Step {
        if !self.unwritten.is_empty() {
            match (self.flush(), self.phase) {
                (Err(_), Phase::Answering) => return Step::Abandoned,
                (Err(_), Phase::Idle | Phase::Closing) => return Step::Gone,
                (Ok(()), Phase::Answering) if self.unwritten.is_empty() => return Step::Drained,
                (Ok(()), Phase::Closing) if self.unwritten.is_empty() => return Step::Gone,
                (Ok(()), Phase::Idle) if self.unwritten.is_empty() => {}
                (Ok(()), Phase::Idle | Phase::Answering | Phase::Closing) => return Step::Nothing,
            }
        }
        match self.phase {
            Phase::Closing => Step::Gone,
            // No read is requested in this phase, so readable means that it disconnected. (A report of writable may be
            // older than the last reply.)
            Phase::Answering if ready.readable => Step::Abandoned,
            Phase::Answering => Step::Nothing,
            Phase::Idle => {
                let step = self.read_request(ready);
                let is_half =
                    self.phase == Phase::Idle && self.received.has_bytes() && !self.received.has_line();
                self.incomplete_since = is_half.then(|| self.incomplete_since.unwrap_or(now));
                step
            }
        }
    }

    /// Sends whole lines of an answer; `finished`: these are its last ones. Does nothing without a request.
    pub(super) fn send(&mut self, lines: &[u8], finished: bool) -> WriteState {
        if self.phase != Phase::Answering {
            return WriteState::Gone;
        }
        if finished {
            self.phase = Phase::Idle;
        }
        self.unwritten.extend(lines);
        // On an error the connection is shut down, which epoll reports.
        let written = self.flush();
        if written.is_err() || self.unwritten.len() > LONGEST_QUEUE {
            self.cut_off();
            return WriteState::Gone;
        }
        if self.unwritten.is_empty() { WriteState::Go } else { WriteState::Wait }
    }

    /// Sends the reason, then closes.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.unwritten.extend(Reply::Error(refusal).encode());
        self.phase = Phase::Closing;
        self.incomplete_since = None;
    }

    /// Sends as much of the reason as can be written at once; the caller closes.
    pub(super) fn dismiss(&mut self, refusal: Refusal) {
        self.refuse(refusal);
        let _ = self.flush();
    }

    fn read_request(&mut self, ready: Ready) -> Step {
        if !self.received.has_line() && ready.readable {
            match self.received.fill(&mut self.stream) {
                Filled::Some | Filled::Nothing => {}
                Filled::Ended => return Step::Gone,
                Filled::TooLong => {
                    let message = format!("the request is longer than {LONGEST_LINE} bytes");
                    self.refuse(Refusal::new(Reason::TooLong, message));
                    return Step::Nothing;
                }
            }
        }
        let Some(line) = self.received.take_line() else { return Step::Nothing };
        match Request::parse_if(&line, |verb| self.rights.permit(verb)) {
            Ok(request) => {
                self.phase = Phase::Answering;
                Step::Requested(request)
            }
            Err(refusal) => {
                self.unwritten.extend(Reply::Error(refusal).encode());
                Step::Nothing
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            match self.stream.write(self.unwritten.as_slices().0) {
                Ok(0) => return Ok(()),
                Ok(count) => drop(self.unwritten.drain(..count.min(self.unwritten.len()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Frees the memory: most connections are written to once.
        self.unwritten = VecDeque::new();
        Ok(())
    }

    /// Shuts down both directions, so that epoll reports a hang-up like any other disconnection. Requests sent in advance
    /// are dropped.
    fn cut_off(&mut self) {
        (self.received, self.unwritten) = (LineBuffer::default(), VecDeque::new());
        if self.phase == Phase::Idle {
            self.phase = Phase::Closing;
        }
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
