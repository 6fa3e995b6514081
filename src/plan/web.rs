//! The servers of the web helper: where each listens, what it serves, and who may use it.
//!
//! Plain data. The supervisor opens the sockets and starts the helper (`init/web.rs`); the helper speaks HTTP (`web/`).

use std::path::PathBuf;

use super::{ListenSocket, User};

/// The table `[web]`, or supervisord's `[unix_http_server]` and `[inet_http_server]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// The servers; none: there is no helper.
    pub servers: Vec<WebServer>,
    /// The user of the helper; `None`: `nobody` where foster is root, else foster's own.
    pub user: Option<User>,
    /// supervisord's `identifier`.
    pub identifier: Option<String>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebServer {
    /// Its listening socket.
    pub socket: ListenSocket,
    /// The user name that a client gives; `None`: none is asked for.
    pub username: Option<String>,
    /// The password for it.
    pub password: Option<Password>,
    /// Whether clients can change anything.
    pub control: bool,
    /// Whether it has `/metrics`.
    pub metrics: bool,
    /// Whether it is supervisord's: XML-RPC, and the habits of its page.
    pub rpc: bool,
}

/// A password.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// As supervisord has it: the text, or `{SHA}` and its SHA-1 in hexadecimal.
    Text(String),
    /// The content of a file, read at each start of the helper.
    File(PathBuf),
}

/// A password is in no message.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}
