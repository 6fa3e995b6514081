//! One client of the control socket, as the server sees it.
//!
//! A client asks one thing at a time: its next line is looked at when the answer to the one before is
//! written out. So what it sends meanwhile waits in the kernel, and all it can cost is one line in and a
//! bounded answer out. Nothing here waits; [`Connection::interest`] says what to be told of next.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use foster_core::time::Instant;

use super::inbox::{Filled, Inbox};
use super::protocol::{LONGEST_LINE, Reason, Refusal, Reply, Request};
use crate::sys::epoll::{Interest, Ready};

/// How many bytes of an answer may wait for their reader. One that lets more gather is cut off.
pub(super) const LONGEST_QUEUE: usize = 1024 * 1024;

/// A client.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    inbox: Inbox,
    outbox: VecDeque<u8>,
    phase: Phase,
    /// Since when a request is begun and not whole.
    half_said: Option<Instant>,
    /// What epoll was last told.
    pub(super) watched: Interest,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client's: it may ask.
    Idle,
    /// foster's: it was asked.
    Answering,
    /// Nobody's: it is closed when everything is written.
    Closing,
}

/// Whether more of an answer may be said now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Yes.
    Go,
    /// It is kept, and written when the client reads. A long answer waits for [`super::server::Incident::Drained`].
    Wait,
    /// Nobody is there any more, or nobody asked.
    Gone,
}

/// What a connection is good for, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// It asks nothing, or has not said all of it.
    Silent,
    /// It does not read what it was told.
    Unread,
    /// It asks, or waits for its answer.
    Waiting,
}

/// What a turn brought.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing that anybody has to know of.
    Nothing,
    /// A request.
    Asked(Request),
    /// All that was said of an unfinished answer is written.
    Drained,
    /// It is gone while it was being answered.
    Abandoned,
    /// It is gone.
    Gone,
}

impl Connection {
    /// A client that has just come. The stream must not block.
    pub(super) fn new(stream: UnixStream) -> Connection {
        let (inbox, outbox) = (Inbox::default(), VecDeque::new());
        Connection { stream, inbox, outbox, phase: Phase::Idle, half_said: None, watched: Interest::Read }
    }

    /// What epoll has to tell of next.
    pub(super) fn interest(&self) -> Interest {
        if !self.outbox.is_empty() {
            return Interest::Write;
        }
        match self.phase {
            // There is room to write at once: a way to be called again for a line that is here already.
            Phase::Idle if self.inbox.has_line() => Interest::Write,
            Phase::Closing => Interest::Write,
            Phase::Idle => Interest::Read,
            Phase::Answering => Interest::None,
        }
    }

    /// What it is good for.
    pub(super) fn use_of_it(&self) -> Use {
        if !self.outbox.is_empty() {
            return Use::Unread;
        }
        match self.phase {
            Phase::Answering => Use::Waiting,
            Phase::Idle if self.inbox.has_line() => Use::Waiting,
            Phase::Idle | Phase::Closing => Use::Silent,
        }
    }

    /// Whether an answer to it is not finished.
    pub(super) fn is_being_answered(&self) -> bool {
        self.phase == Phase::Answering
    }

    /// Since when the rest of a request is awaited.
    pub(super) fn half_said_since(&self) -> Option<Instant> {
        self.half_said
    }

    /// Does what can be done now: at most one read, and one request taken.
    pub(super) fn turn(&mut self, now: Instant, ready: Ready) -> Step {
        if !self.outbox.is_empty() {
            match (self.flush(), self.phase) {
                (Err(_), Phase::Answering) => return Step::Abandoned,
                (Err(_), Phase::Idle | Phase::Closing) => return Step::Gone,
                (Ok(()), Phase::Answering) if self.outbox.is_empty() => return Step::Drained,
                (Ok(()), Phase::Closing) if self.outbox.is_empty() => return Step::Gone,
                (Ok(()), Phase::Idle) if self.outbox.is_empty() => {}
                (Ok(()), Phase::Idle | Phase::Answering | Phase::Closing) => return Step::Nothing,
            }
        }
        match self.phase {
            Phase::Closing => Step::Gone,
            // It is not listened to now: what can be read is its end. (A report of room to write that is
            // older than the last reply says nothing.)
            Phase::Answering if ready.readable => Step::Abandoned,
            Phase::Answering => Step::Nothing,
            Phase::Idle => {
                let step = self.listen(ready);
                let is_half = self.phase == Phase::Idle && self.inbox.is_begun() && !self.inbox.has_line();
                self.half_said = is_half.then(|| self.half_said.unwrap_or(now));
                step
            }
        }
    }

    /// Says whole lines of an answer; `finished`: to its end. Void where nothing was asked.
    pub(super) fn say(&mut self, lines: &[u8], finished: bool) -> Pace {
        if self.phase != Phase::Answering {
            return Pace::Gone;
        }
        if finished {
            self.phase = Phase::Idle;
        }
        self.outbox.extend(lines);
        // An error here is seen by epoll too, and told there.
        let written = self.flush();
        if written.is_err() || self.outbox.len() > LONGEST_QUEUE {
            self.cut_off();
            return Pace::Gone;
        }
        if self.outbox.is_empty() { Pace::Go } else { Pace::Wait }
    }

    /// Says why, and closes.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.outbox.extend(Reply::Error(refusal).encode());
        self.phase = Phase::Closing;
        self.half_said = None;
    }

    /// Says why, as far as it can be said at once, before it is closed.
    pub(super) fn dismiss(&mut self, refusal: Refusal) {
        self.refuse(refusal);
        let _ = self.flush();
    }

    fn listen(&mut self, ready: Ready) -> Step {
        if !self.inbox.has_line() && ready.readable {
            match self.inbox.fill(&mut self.stream) {
                Filled::Some | Filled::Nothing => {}
                Filled::Ended => return Step::Gone,
                Filled::TooLong => {
                    let message = format!("a request has at most {LONGEST_LINE} bytes");
                    self.refuse(Refusal::new(Reason::TooLong, message));
                    return Step::Nothing;
                }
            }
        }
        let Some(line) = self.inbox.take_line() else { return Step::Nothing };
        match Request::parse(&line) {
            Ok(request) => {
                self.phase = Phase::Answering;
                Step::Asked(request)
            }
            Err(refusal) => {
                self.outbox.extend(Reply::Error(refusal).encode());
                Step::Nothing
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.outbox.is_empty() {
            match self.stream.write(self.outbox.as_slices().0) {
                Ok(0) => return Ok(()),
                Ok(count) => drop(self.outbox.drain(..count.min(self.outbox.len()))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // The room is given back: most connections are written to once.
        self.outbox = VecDeque::new();
        Ok(())
    }

    /// Both directions are shut, so that epoll reports a hang-up, and the end is told where every end is. What it
    /// has asked in advance is forgotten.
    fn cut_off(&mut self) {
        (self.inbox, self.outbox) = (Inbox::default(), VecDeque::new());
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
