//! What a client of the supervisor may ask for.
//!
//! An operator may ask for everything. The web helper, which speaks with the network, has its own connections, on which the
//! supervisor answers only what its servers need: what a stranger makes of the helper is bounded by that. A verb that is not
//! here is an operator's: the definition of a program has its environment.

use super::protocol::{Refusal, Request};
use crate::plan::Web;

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
    /// Those that read.
    Reader,
    /// Also those that the buttons of the web page need.
    Page,
    /// Also those of supervisord's XML-RPC.
    Rpc,
}

const READING: [&str; 4] = ["status", "logs", "events", "health"];
const BUTTONS: [&str; 5] = ["start", "stop", "restart", "clear", "run-job"];
const RPC: [&str; 4] = ["signal", "update", "input", "shutdown"];

impl Rights {
    /// The rights of a helper with these servers: its clients cannot be told apart here.
    pub fn of_helper(web: &Web) -> Rights {
        match &web.servers {
            servers if servers.iter().any(|server| server.rpc) => Rights::Rpc,
            servers if servers.iter().any(|server| server.control) => Rights::Page,
            _ => Rights::Reader,
        }
    }

    /// Whether a request with this verb is answered.
    pub fn permit(self, verb: &str) -> bool {
        let (reads, clicks) = (READING.contains(&verb), BUTTONS.contains(&verb));
        match self {
            Rights::Operator => true,
            Rights::Reader => reads,
            Rights::Page => reads || clicks,
            Rights::Rpc => reads || clicks || RPC.contains(&verb),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_reads_and_orders_what_its_servers_may_and_never_sees_a_definition() {
        for (rights, permitted) in [
            (Rights::Operator, [true, true, true, true]),
            (Rights::Rpc, [true, true, true, false]),
            (Rights::Page, [true, true, false, false]),
            (Rights::Reader, [true, false, false, false]),
        ] {
            let verbs = ["status", "stop", "shutdown", "exec"];
            assert_eq!(verbs.map(|verb| rights.permit(verb)), permitted, "{rights:?}");
        }
        assert!(READING.iter().chain(&BUTTONS).chain(&RPC).all(|verb| Request::VERBS.contains(verb)));
        assert!(!Rights::Rpc.permit("anything else"));
    }
}
