//! The control socket: how an operator talks to the running supervisor.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`protocol`] | requests and replies: JSON, one per line |
//! | [`exec_context`] | the definition of a program's processes, for `foster exec` |
//! | [`names`] | resolves a NAME to instances |
//! | [`socket_file`] | the file of the socket |
//! | [`server`] | the supervisor's end: many connections, none of which delays it |
//! | [`client`] | the client's end, in another process |
//!
//! Nothing here executes a request: `init/` takes it from the [`server::Server`] and answers through it.

pub mod client;
mod connection;
pub mod exec_context;
mod line_buffer;
pub mod names;
pub mod protocol;
pub mod server;
pub mod socket_file;

/// The default path of the socket.
pub const DEFAULT_SOCKET: &str = "/run/foster.sock";
