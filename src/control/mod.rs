//! The control socket: how an operator talks to the running supervisor.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`protocol`] | requests and replies: JSON, one per line |
//! | [`exec_context`] | the definition of a program's processes, for `foster exec` |
//! | [`web_process`] | what the web helper gets at its start |
//! | [`names`] | resolves a NAME to instances |
//! | [`rights`] | what a client may ask for |
//! | [`server`] | the supervisor's end: many connections, none of which delays it |
//! | [`client`] | the client's end, in another process |
//!
//! Nothing here executes a request: `init/` takes it from the [`server::Server`] and answers through it.

pub mod client;
mod connection;
pub mod exec_context;
pub mod line_buffer;
pub mod names;
pub mod protocol;
pub mod rights;
pub mod server;
pub mod web_process;

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::unistd::Uid;

/// The default path of the socket.
pub const DEFAULT_SOCKET: &str = "/run/foster.sock";

/// The abstract socket of a foster that cannot create a file. Its name has the user and the PID namespace, so that two
/// containers that share a network do not collide and clients can find it.
pub fn fallback_socket(user: Uid) -> PathBuf {
    // Without /proc there is no inode, for the client neither.
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |metadata| metadata.ino());
    PathBuf::from(format!("@foster-{user}-{namespace}"))
}
