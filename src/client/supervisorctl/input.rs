//! Standard input by lines, and what arrives beside it: logs that are followed, and Ctrl-C.
//!
//! The bytes are read here and not by the standard library, so that a line that was read ahead is never lost between the
//! prompt and `fg`.

use std::os::fd::AsFd;

use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::sys::signalfd::SignalFd;
use crate::sys::sigwait::{self, SignalSet};
use crate::sys::stream;

use super::feed::Feed;

/// The most bytes of one read.
const CHUNK: usize = 4096;

/// Standard input.
#[derive(Debug, Default)]
pub(super) struct Input {
    bytes: Vec<u8>,
    has_ended: bool,
}

/// What came first.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// A line of standard input, without its end.
    Line(String),
    /// The end of standard input.
    EndOfInput,
    /// Something of this feed, or its end.
    Feed(usize),
    /// Ctrl-C.
    Interrupt,
}

/// Ctrl-C is read, and does not end the process, as long as this exists.
pub(super) struct Interrupts {
    signals: Option<SignalFd>,
    before: SignalSet,
}

impl Interrupts {
    pub(super) fn new() -> Interrupts {
        let wanted = SignalSet::of(&[Signal::INT]);
        let before = sigwait::block(wanted);
        let signals = SignalFd::new(wanted).ok();
        if signals.is_none() {
            // Better ended by it than deaf.
            sigwait::block(before);
        }
        Interrupts { signals, before }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        sigwait::block(self.before);
    }
}

impl Input {
    /// The next line, once it is there; `None` at the end.
    pub(super) fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.take_line() {
                return Some(line);
            }
            if self.has_ended {
                return None;
            }
            self.read();
        }
    }

    /// Waits for one of these feeds, for Ctrl-C, and, where it is wanted, for a line.
    pub(super) fn wait(&mut self, feeds: &[Feed], interrupts: &Interrupts, wants_lines: bool) -> Arrived {
        loop {
            if let Some(at) = feeds.iter().position(Feed::has_buffered) {
                return Arrived::Feed(at);
            }
            if wants_lines && let Some(line) = self.take_line() {
                return Arrived::Line(line);
            }
            if wants_lines && self.has_ended {
                return Arrived::EndOfInput;
            }
            let stdin = stream::stdin();
            let mut watched: Vec<PollFd<'_>> =
                feeds.iter().map(|feed| PollFd::new(feed.as_fd(), PollFlags::POLLIN)).collect();
            watched.extend(wants_lines.then(|| PollFd::new(stdin, PollFlags::POLLIN)));
            let at = watched.len();
            watched.extend(
                interrupts.signals.as_ref().map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)),
            );
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => continue,
                Err(_) => return Arrived::Interrupt,
                Ok(_) => {}
            }
            let is_ready = |at: usize| watched.get(at).and_then(PollFd::any).unwrap_or(false);
            let ready = (0..feeds.len()).find(|at| is_ready(*at));
            let (interrupted, input) = (is_ready(at), wants_lines && is_ready(feeds.len()));
            if interrupted {
                interrupts.signals.as_ref().map(SignalFd::take);
                return Arrived::Interrupt;
            }
            if input {
                self.read();
            }
            if let Some(at) = ready {
                return Arrived::Feed(at);
            }
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; CHUNK];
        match stream::read(stream::stdin(), &mut buffer) {
            Ok(count) => {
                self.has_ended = count == 0;
                self.bytes.extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            Err(Errno::EINTR) => {}
            Err(_) => self.has_ended = true,
        }
    }

    /// A whole line, or the last one without an end.
    fn take_line(&mut self) -> Option<String> {
        let end = memchr::memchr(b'\n', &self.bytes);
        let length =
            end.or_else(|| (self.has_ended && !self.bytes.is_empty()).then_some(self.bytes.len()))?;
        let rest = self.bytes.split_off((length + 1).min(self.bytes.len()));
        let mut line = std::mem::replace(&mut self.bytes, rest);
        line.truncate(length);
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}
