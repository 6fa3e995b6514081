//! The servers of the web helper: where each listens, what it serves, and who may use it.
//!
//! Plain data. The supervisor opens the sockets and starts the helper (`init/web.rs`); the helper speaks HTTP (`web/`).

use super::ListenSocket;

/// supervisord's `[unix_http_server]` and `[inet_http_server]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// The servers; none: there is no helper.
    pub servers: Vec<WebServer>,
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
}

/// A password as supervisord has it: the text, or `{SHA}` and its SHA-1 in hexadecimal.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

/// A password is in no message.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}
