//! A client of the helper: what it has sent, what it is sent, and which part of the conversation is next.
//!
//! One request at a time: what a client sends ahead stays in the kernel and in a bounded buffer. Nothing here waits; the loop
//! in `mod.rs` calls when a descriptor is ready.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;

use super::http::{Parsed, Request, Response, chunk, parse};
use super::limits;
use super::link::Link;
use super::site::Follower;
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
    output: Vec<u8>,
    pub(super) phase: Phase,
    /// When it is closed, unless something arrives.
    pub(super) deadline: Option<Instant>,
    pub(super) watched: Interest,
    has_continued: bool,
}

/// The next part of the conversation.
#[derive(Debug)]
pub(super) enum Phase {
    /// A request.
    Reading,
    /// The answer to one.
    Working(Box<Work>),
    /// What a log brings.
    Following(Link, Follower),
    /// None: it is closed when everything is written.
    Closing,
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) request: Request,
    pub(super) script: Script,
    /// The question that is asked.
    pub(super) link: Option<Link>,
    /// The part of its answer that has arrived.
    pub(super) replies: Vec<Reply>,
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
            output: Vec::new(),
            phase: Phase::Reading,
            deadline: Some(now + limits::PATIENCE),
            watched: Interest::Read,
            has_continued: false,
        }
    }

    /// The next interest for epoll.
    pub(super) fn interest(&self) -> Interest {
        match (&self.phase, self.output.is_empty()) {
            (_, false) => Interest::Write,
            // The end of its side is the end of the conversation.
            (Phase::Reading | Phase::Following(..), true) => Interest::Read,
            (Phase::Working(_), true) => Interest::None,
            (Phase::Closing, true) => Interest::Write,
        }
    }

    /// How many bytes it has sent that are not handled.
    pub(super) fn received(&self) -> usize {
        self.input.len()
    }

    /// Whether it is between two requests, or has not sent a whole one.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Reading) && self.output.is_empty()
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
                // A client that follows has nothing more to say.
                if matches!(self.phase, Phase::Reading) {
                    self.input.extend_from_slice(buffer.get(..count).unwrap_or_default());
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
                Err(Errno::EAGAIN) => return true,
                Err(Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
        self.output = Vec::new();
        if matches!(self.phase, Phase::Working(_) | Phase::Following(..)) {
            self.deadline = None;
        }
        true
    }

    /// The next request, if it is whole. One that is none is answered.
    pub(super) fn take_request(&mut self) -> Option<Request> {
        if !matches!(self.phase, Phase::Reading) || self.input.is_empty() {
            return None;
        }
        match parse(&self.input) {
            Parsed::Whole(request, length) => {
                self.input.drain(..length.min(self.input.len()));
                self.input.shrink_to_fit();
                self.has_continued = false;
                Some(*request)
            }
            Parsed::Partial { expects_continue } => {
                if expects_continue && !std::mem::replace(&mut self.has_continued, true) {
                    self.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                }
                None
            }
            Parsed::Refused(status) => {
                self.refuse(status);
                None
            }
        }
    }

    /// Sends an answer.
    pub(super) fn answer(&mut self, response: &Response, keep_alive: bool) {
        self.output.extend(response.bytes(keep_alive));
        self.phase = if keep_alive { Phase::Reading } else { Phase::Closing };
    }

    /// Sends an error, then closes.
    pub(super) fn refuse(&mut self, status: u16) {
        self.input = Vec::new();
        self.answer(&Response::of_status(status), false);
    }

    /// Sends a part of an answer that has no length.
    pub(super) fn send_chunk(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.output.extend(chunk(bytes));
        }
    }

    /// Starts an answer that has no length.
    pub(super) fn follow(&mut self, response: &Response, link: Link, follower: Follower) {
        self.output.extend(response.head_of_chunks());
        self.phase = Phase::Following(link, follower);
    }

    /// Ends such an answer.
    pub(super) fn end_chunks(&mut self) {
        self.output.extend(chunk(b""));
        self.phase = Phase::Closing;
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
