//! The control socket: how an operator talks to the running supervisor.
//!
//! | module | what it knows |
//! | --- | --- |
//! | [`protocol`] | the wire: requests and replies, JSON, one a line |
//! | [`exec_context`] | how a program's process is made, for a client that becomes one |
//! | [`names`] | which instances a NAME means |
//! | [`socket_file`] | where the socket is |
//! | [`server`] | foster's end: many connections, none of which can delay it |
//! | [`client`] | the other end, in a process of its own |
//!
//! Nothing here carries a request out: `init/` takes it from the [`server::Server`] and answers through it.

pub mod client;
mod connection;
pub mod exec_context;
mod line_buffer;
pub mod names;
pub mod protocol;
pub mod server;
pub mod socket_file;

/// Where the socket is unless the configuration says otherwise.
pub const USUAL_SOCKET: &str = "/run/foster.sock";
