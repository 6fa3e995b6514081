//! A handler of a request that asks the supervisor on its way, without waiting.
//!
//! A handler is an ordinary function that is run from its beginning each time an answer has arrived: [`Script::ask`] returns
//! the answers that are there, and stops it with the first request that has none yet. So it reads from top to bottom, and the
//! helper needs neither a thread nor a state for each step. A handler must ask the same again each time; what costs much is
//! put aside with [`Script::keep`].

use crate::control::protocol::{Reason, Refusal, Reply, Request};

use super::value::Value;
use super::xml::Call;

/// About the most bytes of the results of one request that has several.
const RESULTS: usize = 4 << 20;

/// Why a handler did not return its result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stop {
    /// It needs the answer to this request.
    Ask(Request),
    /// It failed: a fault of XML-RPC.
    Fault(i64, String),
}

/// An answer of the supervisor; a refusal has the replies before it.
pub(crate) type Answer = Result<Vec<Reply>, (Refusal, Vec<Reply>)>;

/// The answers that a handler has got so far.
#[derive(Debug, Default)]
pub(crate) struct Script {
    answers: Vec<Answer>,
    /// About how many bytes of memory they have.
    received: usize,
    next: usize,
    /// Results of finished parts of the handler, and about their size in bytes.
    kept: (Vec<Value>, usize),
    /// The call that is answered, so that it is not read again each time.
    pub(super) call: Option<Call>,
}

impl Script {
    /// The answer to a request.
    pub(crate) fn ask(&mut self, request: Request) -> Result<&Answer, Stop> {
        let Some(answer) = self.answers.get(self.next) else { return Err(Stop::Ask(request)) };
        self.next += 1;
        Ok(answer)
    }

    /// The answer to a request; a refusal is a fault.
    pub(crate) fn need(&mut self, request: Request) -> Result<&[Reply], Stop> {
        match self.ask(request)? {
            Ok(replies) => Ok(replies),
            Err((refusal, _)) if refusal.error == Reason::ShuttingDown => {
                Err(Stop::Fault(6, "SHUTDOWN_STATE".to_owned()))
            }
            Err((refusal, _)) => Err(Stop::Fault(30, format!("FAILED: {refusal}"))),
        }
    }

    /// Starts the handler again.
    pub(crate) fn rewind(&mut self) {
        self.next = 0;
    }

    /// Adds the answer that it waited for.
    pub(crate) fn answer(&mut self, answer: Answer, size: usize) {
        self.answers.push(answer);
        self.received += size;
    }

    /// Puts the result of a finished part aside; the answers for it are dropped.
    pub(crate) fn keep(&mut self, value: Value) {
        (self.answers, self.next, self.received) = (Vec::new(), 0, 0);
        self.kept.1 += value.size();
        self.kept.0.push(value);
    }

    /// How many results are kept.
    pub(crate) fn kept(&self) -> usize {
        self.kept.0.len()
    }

    /// About how many bytes of memory it has.
    pub(crate) fn size(&self) -> usize {
        self.received + self.kept.1
    }

    /// Whether the kept results are more than one answer may have.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.1 > RESULTS
    }

    /// The kept results.
    pub(crate) fn take_kept(&mut self) -> Vec<Value> {
        std::mem::take(&mut self.kept).0
    }
}
