//! A client of the helper: what it has sent, what it is sent, and which part of the conversation is next.
//!
//! One request at a time: what a client sends ahead stays in the kernel and in a bounded buffer. Nothing here waits; the loop
//! in `mod.rs` calls when a descriptor is ready.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::socket::{Shutdown, shutdown};

use super::answer::Follower;
use super::http::{Framing, Head, Parsed, Request, Response, parse};
use super::limits;
use super::link::Link;
use crate::control::protocol::Reply;
use crate::sys::epoll::Interest;
use crate::xmlrpc::script::Script;

/// A client.
#[derive(Debug)]
pub(super) struct Client {
    stream: OwnedFd,
    /// The number of the server that it has connected to.
    pub(super) server: usize,
    input: Vec<u8>,
    /// The head of the request whose body is awaited.
    head: Option<Box<Head>>,
    output: Vec<u8>,
    pub(super) phase: Phase,
    /// When it is closed, unless something arrives.
    pub(super) deadline: Option<Instant>,
    pub(super) watched: Interest,
}

/// The next part of the conversation.
#[derive(Debug)]
pub(super) enum Phase {
    /// A request.
    Reading,
    /// The answer to one.
    Working(Box<Work>),
    /// What a log brings.
    Following(Link, Follower, Framing),
    /// None: it is closed when everything is written.
    Closing,
    /// None: it was refused. Once it has the answer, as many bytes as this are read and dropped, because the kernel drops an
    /// unread answer when a socket is closed that has unread bytes (RFC 9112, section 9.6).
    Refused(Option<usize>),
}

/// A request that is being answered.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) request: Request,
    pub(super) script: Script,
    /// The question that is asked.
    pub(super) link: Option<Link>,
    /// The part of its answer that has arrived.
    pub(super) replies: Vec<Reply>,
    /// About how many bytes of memory that part has.
    pub(super) size: usize,
    /// When the client of an order gets what has come of it so far.
    pub(super) until: Option<Instant>,
    /// Whether the client has given the password, or there is none.
    pub(super) is_permitted: bool,
}

/// The most bytes of one read.
const CHUNK: usize = 16 * 1024;

impl Client {
    /// A client that has just connected. Its stream does not block.
    pub(super) fn new(stream: OwnedFd, server: usize, now: Instant) -> Client {
        Client {
            stream,
            server,
            input: Vec::new(),
            head: None,
            output: Vec::new(),
            phase: Phase::Reading,
            deadline: Some(now + limits::PATIENCE),
            watched: Interest::Read,
        }
    }

    /// The next interest for epoll.
    pub(super) fn interest(&self) -> Interest {
        match (&self.phase, self.output.is_empty()) {
            (_, false) => Interest::Write,
            // The end of its side is the end of the conversation.
            (Phase::Reading | Phase::Following(..) | Phase::Refused(_), true) => Interest::Read,
            (Phase::Working(_), true) => Interest::None,
            (Phase::Closing, true) => Interest::Write,
        }
    }

    /// About how many bytes of memory it costs.
    pub(super) fn held(&self) -> usize {
        let work = match &self.phase {
            Phase::Working(work) => work.size + work.script.size(),
            Phase::Reading | Phase::Following(..) | Phase::Closing | Phase::Refused(_) => 0,
        };
        work + self.input.capacity() + self.output.capacity()
    }

    /// Whether it is between two requests, or has not sent a whole one.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Reading) && self.output.is_empty()
    }

    /// Whether it has asked, and has not its whole answer.
    pub(super) fn is_owed(&self) -> bool {
        matches!(self.phase, Phase::Working(_)) || !self.output.is_empty()
    }

    /// Whether it was refused, and has its answer.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.phase, Phase::Refused(Some(_)))
    }

    /// When something is due: that it is closed, or that it gets what has come of its order so far.
    pub(super) fn due(&self) -> Option<Instant> {
        let until = if let Phase::Working(work) = &self.phase { work.until } else { None };
        self.deadline.into_iter().chain(until).min()
    }

    /// Whether it follows something.
    pub(super) fn is_following(&self) -> bool {
        matches!(self.phase, Phase::Following(..))
    }

    /// Whether it reads too slowly for more.
    pub(super) fn is_behind(&self) -> bool {
        self.output.len() > limits::BACKLOG
    }

    /// Whether everything is written, and nothing follows.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.phase, Phase::Closing) && self.output.is_empty()
    }

    /// Reads once. `false`: it has ended.
    pub(super) fn fill(&mut self) -> bool {
        let mut buffer = [0; CHUNK];
        match nix::unistd::read(&self.stream, &mut buffer) {
            Ok(0) => false,
            Ok(count) => {
                match &mut self.phase {
                    Phase::Reading => {
                        self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    }
                    Phase::Refused(Some(left)) => {
                        *left = left.saturating_sub(count);
                        return *left > 0;
                    }
                    // A client that follows has nothing more to say.
                    Phase::Working(_) | Phase::Following(..) | Phase::Closing | Phase::Refused(None) => {}
                }
                true
            }
            Err(Errno::EAGAIN | Errno::EINTR) => true,
            Err(_) => false,
        }
    }

    /// Writes what can be written. `false`: it has ended.
    pub(super) fn flush(&mut self, now: Instant) -> bool {
        while !self.output.is_empty() {
            match nix::unistd::write(&self.stream, &self.output) {
                Ok(count) => {
                    drop(self.output.drain(..count.min(self.output.len())));
                    self.deadline = Some(now + limits::PATIENCE);
                }
                Err(Errno::EAGAIN) => {
                    self.deadline.get_or_insert(now + limits::PATIENCE);
                    return true;
                }
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
        self.output = Vec::new();
        if let Phase::Refused(left @ None) = &mut self.phase {
            *left = Some(limits::DROPPED);
            let _ = shutdown(self.stream.as_raw_fd(), Shutdown::Write);
            self.deadline = Some(now + limits::LINGER);
        }
        if matches!(self.phase, Phase::Working(_) | Phase::Following(..)) {
            self.deadline = None;
        }
        true
    }

    /// The next request, if it is whole. One that is none, or is not permitted, is answered.
    pub(super) fn take_request(&mut self, is_permitted: impl FnOnce(&Request) -> bool) -> Option<Request> {
        if !matches!(self.phase, Phase::Reading) {
            return None;
        }
        if self.head.is_none() {
            if self.input.is_empty() {
                return None;
            }
            match parse(&self.input) {
                Parsed::Whole(head) if !is_permitted(&head.request) => self.refuse(401),
                Parsed::Whole(head) => {
                    self.input.drain(..head.length.min(self.input.len()));
                    if head.expects_continue && self.input.len() < head.body {
                        self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                    }
                    self.head = Some(head);
                }
                Parsed::Partial => {}
                Parsed::Refused(status) => self.refuse(status),
            }
        }
        let head = self.head.take_if(|head| head.body <= self.input.len())?;
        let rest = self.input.split_off(head.body);
        let body = std::mem::replace(&mut self.input, rest);
        Some(head.request.with_body(body))
    }

    /// Sends the answer to a request.
    pub(super) fn answer(&mut self, response: &Response) {
        let Phase::Working(work) = &self.phase else { return };
        let Request { method, keep_alive, .. } = &work.request;
        self.output.extend(response.bytes_for(method, *keep_alive));
        self.phase = if *keep_alive { Phase::Reading } else { Phase::Closing };
    }

    /// Sends an error, then closes.
    pub(super) fn refuse(&mut self, status: u16) {
        (self.input, self.head) = (Vec::new(), None);
        self.output.extend(Response::of_status(status).bytes(false));
        self.phase = Phase::Refused(None);
    }

    /// Sends a part of an answer that has no length.
    pub(super) fn send_part(&mut self, bytes: &[u8]) {
        if let Phase::Following(_, _, framing) = &self.phase
            && !bytes.is_empty()
        {
            self.output.extend(framing.part(bytes));
        }
    }

    /// Starts an answer that has no length.
    pub(super) fn follow(&mut self, response: &Response, link: Link, follower: Follower) {
        let Phase::Working(work) = &self.phase else { return };
        let framing = work.request.framing;
        self.output.extend(response.head_of_parts(framing));
        self.phase = Phase::Following(link, follower, framing);
    }

    /// Ends such an answer.
    pub(super) fn end_parts(&mut self) {
        if let Phase::Following(_, _, framing) = &self.phase {
            self.output.extend(framing.part(b""));
            self.phase = Phase::Closing;
        }
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
