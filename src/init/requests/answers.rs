//! Answers that may be long: sent in parts, each when the client has read the one before.
//!
//! Rows and verdicts are made when they are sent, so that a client that does not read costs a list of instances and
//! one part, however many programs there are.

use std::collections::VecDeque;

use foster_core::ids::InstanceId;

use super::super::Init;
use super::super::status::Counted;
use super::{Pending, Waiter};
use crate::control::protocol::Reply;
use crate::control::server::{ConnectionId, Extent, WriteState};
use crate::sys::procfs::Memory;

/// What is still to be sent.
#[derive(Debug)]
pub(super) enum Answer {
    /// The rows of these instances.
    Rows(VecDeque<InstanceId>),
    /// Whether these instances are ready and healthy.
    Verdicts(VecDeque<InstanceId>, Counted),
    /// Replies that are known already.
    Replies(VecDeque<Reply>),
}

impl Init {
    /// Sends as much as the budget allows, and keeps the rest.
    pub(super) fn send_answer(&mut self, client: ConnectionId, mut answer: Answer, budget: &mut usize) {
        let mut memory = Memory::new();
        let mut lines = Vec::new();
        let is_complete = loop {
            if lines.len() >= *budget {
                break false;
            }
            let reply = match &mut answer {
                Answer::Rows(open) => open.pop_front().map(|id| self.row_of(id, &mut memory)),
                Answer::Verdicts(open, counted) => {
                    open.pop_front().map(|id| Some(Reply::Outcome(self.verdict(&self.view(id)?, *counted)?)))
                }
                Answer::Replies(replies) => replies.pop_front().map(Some),
            };
            match reply {
                Some(reply) => lines.extend(reply.iter().flat_map(Reply::encode)),
                None => break true,
            }
        };
        *budget = budget.saturating_sub(lines.len());
        let extent = if is_complete { Extent::ToTheEnd } else { Extent::Part };
        if is_complete {
            lines.extend(Reply::End {}.encode());
        }
        let sent = self.server.as_mut().map(|server| server.send_lines(client, &lines, extent));
        let state = sent.unwrap_or(WriteState::Gone);
        if !is_complete && state != WriteState::Gone {
            self.requests.pending.insert(client, Waiter { pending: Pending::Answer(answer), state });
        }
    }
}
