//! What a client of the supervisor may ask for.
//!
//! An operator may ask for everything. The web helper, which speaks with the network, has its own connections, on which the
//! supervisor answers only what its servers need: what a stranger makes of the helper is bounded by that. A verb that is not
//! here is an operator's: the definition of a program has its environment.

use super::protocol::{Refusal, Request};

impl Request {
    /// Reads a line of an operator.
    ///
    /// # Errors
    /// As [`Request::parse_if`].
    pub fn parse(line: &[u8]) -> Result<Request, Refusal> {
        Request::parse_if(line, |verb| Rights::Operator.permit(verb))
    }
}

/// The requests that are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// All.
    Operator,
    /// Those that read, and orders to programs.
    Helper,
}

const READING: [&str; 4] = ["status", "logs", "events", "health"];
const ORDERS: [&str; 8] = ["start", "stop", "restart", "signal", "update", "clear", "input", "shutdown"];

impl Rights {
    /// Whether a request with this verb is answered.
    pub fn permit(self, verb: &str) -> bool {
        match self {
            Rights::Operator => true,
            Rights::Helper => READING.contains(&verb) || ORDERS.contains(&verb),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_reads_and_orders_and_never_sees_a_definition() {
        for (rights, permitted) in
            [(Rights::Operator, [true, true, true]), (Rights::Helper, [true, true, false])]
        {
            assert_eq!(["status", "stop", "exec"].map(|verb| rights.permit(verb)), permitted, "{rights:?}");
        }
        assert!(READING.iter().chain(&ORDERS).all(|verb| Request::VERBS.contains(verb)));
        assert!(!Rights::Helper.permit("anything else"));
    }
}
