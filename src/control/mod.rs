//! The control socket: how an operator talks to the running supervisor.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`protocol`] | the wire: requests and replies, JSON, one a line |
//! | [`recipe`] | how a program's process is made, for a client that becomes one |
//! | [`names`] | which instances a NAME means |
//! | [`server`] | foster's end: many connections, none of which can delay it |
//! | [`client`] | the other end, in a process of its own |
//!
//! Nothing here carries a request out: `init/` takes it from the [`server::Server`] and answers through it.

pub mod client;
mod connection;
mod inbox;
pub mod names;
mod place;
pub mod protocol;
pub mod recipe;
pub mod server;
