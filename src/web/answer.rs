//! What the handlers of the helper get and return.
//!
//! Plain data. `site.rs` calls the handlers, the loop in `mod.rs` performs their answers.

use super::http::Response;
use super::page::results::{Report, Results};
use crate::control::protocol::{self, Stream};
use crate::control::web_process::{ServerSettings, Settings};

/// What a request is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// A whole answer.
    Whole(Response),
    /// The beginning of one, which the replies to a request go on with.
    Follow {
        /// Its head.
        response: Response,
        /// The request.
        request: protocol::Request,
        /// How its replies are written.
        follower: Follower,
    },
    /// The result of an order, which the page at this place shows.
    Ordered(Report, Back),
}

/// How replies are written to a client that follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follower {
    /// The text of a stream.
    Output(Stream),
    /// foster's own log.
    MainLog,
    /// Server-sent events: the events of the supervisor.
    Events,
    /// Server-sent events: lines of output.
    Lines,
}

/// The page to which a browser is sent back after an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Back {
    /// The state of all programs.
    Overview,
    /// The output of this program.
    Log(String),
}

/// What a handler knows without asking.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) settings: &'a Settings,
    pub(super) server: &'a ServerSettings,
    pub(super) results: &'a Results,
    /// Whether the client has given the password, or there is none.
    pub(super) is_permitted: bool,
}
