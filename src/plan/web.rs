//! The servers of the web helper: where each listens, what it serves, and who may use it.
//!
//! Plain data. The supervisor opens the sockets and starts the helper (`init/web.rs`); the helper speaks HTTP (`web/`).

use std::path::PathBuf;

use super::{ListenAddress, ListenSocket};

/// `[web]`, or supervisord's `[unix_http_server]` and `[inet_http_server]`.
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
    /// Whether the page can control programs.
    pub control: bool,
    /// Whether it has metrics.
    pub metrics: bool,
    /// Whether it is a server of supervisord's, with XML-RPC.
    pub rpc: bool,
}

/// The password of a server.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The text, or `{SHA}` and its SHA-1 in hexadecimal: of a supervisord configuration.
    Text(String),
    /// The file with one of both, read at each start of the helper.
    File(PathBuf),
}

/// A password is in no message.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Web {
    /// The file with the password; `None`: no server has one.
    pub fn password_file(&self) -> Option<&PathBuf> {
        self.servers.iter().find_map(|server| match &server.password {
            Some(Password::File(path)) => Some(path),
            Some(Password::Text(_)) | None => None,
        })
    }
}

impl WebServer {
    /// Who can reach its address.
    pub fn reach(&self) -> Reach {
        match &self.socket.address {
            ListenAddress::Tcp(address) if address.ip().to_canonical().is_loopback() => Reach::Host,
            ListenAddress::Tcp(_) => Reach::Network,
            // Connecting needs the permission to write (unix(7)); an abstract socket has no mode.
            ListenAddress::Unix(path) => {
                let is_abstract = path.as_os_str().as_encoded_bytes().starts_with(b"@");
                let is_open = is_abstract || self.socket.options.mode & 0o002 != 0;
                if is_open { Reach::Host } else { Reach::Owner }
            }
        }
    }
}

/// Who can reach an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The user and the group of a Unix socket's file.
    Owner,
    /// Every process of the host or the container, and those with which it shares its network.
    Host,
    /// Others as well.
    Network,
}
