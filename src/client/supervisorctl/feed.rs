//! What arrives while a log is followed: replies of foster, or the body of an answer.

use std::os::fd::{AsFd, BorrowedFd};

use super::http::Body;
use crate::control::client::Answer;
use crate::control::protocol::{Reply, Stream};
use crate::xmlrpc;

/// A log that is followed.
#[derive(Debug)]
pub(super) struct Feed(Source);

#[derive(Debug)]
enum Source {
    /// The output of a process.
    Output(Answer, Stream),
    /// foster's own log.
    Events(Answer),
    /// That of a server.
    Body(Body),
}

impl Feed {
    pub(super) fn output(answer: Answer, stream: Stream) -> Feed {
        Feed(Source::Output(answer, stream))
    }

    pub(super) fn events(answer: Answer) -> Feed {
        Feed(Source::Events(answer))
    }

    pub(super) fn body(body: Body) -> Feed {
        Feed(Source::Body(body))
    }

    /// Whether [`Feed::next`] returns without waiting.
    pub(super) fn has_buffered(&self) -> bool {
        match &self.0 {
            Source::Output(answer, _) | Source::Events(answer) => answer.has_buffered(),
            Source::Body(body) => body.has_buffered(),
        }
    }

    /// The next bytes; `None`: it has ended.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        match &mut self.0 {
            Source::Output(answer, stream) => {
                let reply = answer.next()?.ok()?;
                Some(xmlrpc::kept_text(std::slice::from_ref(&reply), *stream).into_bytes())
            }
            Source::Events(answer) => {
                let reply = answer.next()?.ok()?;
                let line =
                    if let Reply::Event(event) = reply { xmlrpc::log_line(&event) } else { String::new() };
                Some(line.into_bytes())
            }
            Source::Body(body) => body.next().ok()?,
        }
    }
}

impl AsFd for Feed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Source::Output(answer, _) | Source::Events(answer) => answer.as_fd(),
            Source::Body(body) => body.as_fd(),
        }
    }
}
