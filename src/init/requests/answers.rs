//! Long answers, sent in parts: each when the client has read the previous one.
//!
//! Rows and verdicts are created when they are sent, so that a client that does not read costs only a list of instances and
//! one part.

use std::collections::VecDeque;

use foster_core::ids::InstanceId;

use super::super::Init;
use super::super::status::Counted;
use super::{Pending, Waiter};
use crate::control::protocol::Reply;
use crate::control::server::{ConnectionId, Extent, WriteState};
use crate::sys::usage::UsageReader;

/// The unsent part of an answer.
#[derive(Debug)]
pub(super) enum Answer {
    /// The rows of these instances.
    Rows(VecDeque<InstanceId>),
    /// The verdicts of `health` for these instances.
    Verdicts(VecDeque<InstanceId>, Counted),
}

impl Init {
    /// Sends as much as the budget allows and keeps the rest.
    pub(super) fn send_answer(&mut self, client: ConnectionId, mut answer: Answer, budget: &mut usize) {
        let mut reader = UsageReader::new();
        if let Answer::Rows(rows) = &answer
            && self.processes.are_most(rows.len())
        {
            reader.scan(|pid| self.processes.children.contains(pid));
        }
        let mut lines = Vec::new();
        let is_complete = loop {
            if lines.len() >= *budget {
                break false;
            }
            let reply = match &mut answer {
                Answer::Rows(open) => open.pop_front().map(|id| self.row_of(id, &mut reader)),
                Answer::Verdicts(open, counted) => {
                    open.pop_front().map(|id| Some(Reply::Outcome(self.verdict_of(id, *counted)?)))
                }
            };
            match reply {
                Some(reply) => lines.extend(reply.iter().flat_map(Reply::encode)),
                None => break true,
            }
        };
        let state = self.send_part(client, lines, is_complete, budget);
        if !is_complete && state != WriteState::Gone {
            let pending = Pending::Answer(answer);
            let waiter = Waiter { pending, queue: VecDeque::new(), state, reminder: None };
            self.operators.requests.pending.insert(client, waiter);
        }
    }

    /// Sends as much of a queue as the budget allows, and ends the answer if nothing is pending.
    pub(super) fn send_queue(&mut self, client: ConnectionId, mut waiter: Waiter, budget: &mut usize) {
        let mut lines = Vec::new();
        let mut is_refused = false;
        while lines.len() < *budget
            && let Some(reply) = waiter.queue.pop_front()
        {
            is_refused |= reply.is_last();
            lines.extend(reply.encode());
        }
        let is_done = waiter.queue.is_empty() && matches!(waiter.pending, Pending::Nothing);
        if lines.is_empty() && !is_done {
            self.operators.requests.pending.insert(client, waiter);
            return;
        }
        if is_refused {
            if let Some(server) = self.operators.server.as_mut() {
                server.send_lines(client, &lines, Extent::ToTheEnd);
            }
            return;
        }
        let state = self.send_part(client, lines, is_done, budget);
        if !is_done && state != WriteState::Gone {
            self.operators.requests.pending.insert(client, Waiter { state, ..waiter });
        }
    }

    /// Sends lines of an answer, and its end if it is complete.
    fn send_part(
        &mut self,
        client: ConnectionId,
        mut lines: Vec<u8>,
        is_complete: bool,
        budget: &mut usize,
    ) -> WriteState {
        *budget = budget.saturating_sub(lines.len());
        let extent = if is_complete { Extent::ToTheEnd } else { Extent::Part };
        if is_complete {
            lines.extend(Reply::End {}.encode());
        }
        self.operators
            .server
            .as_mut()
            .map_or(WriteState::Gone, |server| server.send_lines(client, &lines, extent))
    }
}
