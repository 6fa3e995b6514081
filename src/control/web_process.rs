//! What the supervisor gives to the web helper at its start, in the environment of the process.
//!
//! The helper has its listening sockets as descriptors from 3 on, in the order of the servers, and as standard input a pipe
//! that ends with the supervisor. Its environment is its own: no other process of its user can read it (`web/mod.rs`).

use serde::{Deserialize, Serialize};

/// The argument with which the helper is started.
pub const ARGUMENT: &str = "web-helper";
/// The file that is executed: the supervisor's own, also where its path is gone.
pub const EXECUTABLE: &str = "/proc/self/exe";
/// The name of the helper: of its process, and in `foster status foster-web`.
pub const NAME: &str = "foster-web";
/// The variable with its [`Settings`], as JSON.
pub const VARIABLE: &str = "FOSTER_WEB";
/// The variable with the password of a server whose password is in a file. The name is that of the key, which a message about
/// the file has.
pub const PASSWORD: &str = "password_file";
/// The exit code of a helper whose password is empty or no text.
pub const UNUSABLE_PASSWORD: u8 = 3;
/// The descriptor of its first listening socket.
pub const FIRST_SOCKET: i32 = 3;

/// The settings of the helper.
#[derive(Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Where it connects to the supervisor.
    pub supervisor: String,
    /// supervisord's `identifier`.
    pub identifier: String,
    /// Its servers.
    pub servers: Vec<ServerSettings>,
}

/// The settings of one server of the helper.
#[derive(Default, Serialize, Deserialize)]
pub struct ServerSettings {
    /// Whether its socket is a Unix socket; otherwise it is TCP.
    pub unix: bool,
    /// The user name that a client gives.
    pub username: Option<String>,
    /// The password for it; `None`: it is in the variable [`PASSWORD`].
    pub password: Option<String>,
    /// Whether its page controls programs.
    pub control: bool,
    /// Whether it has metrics.
    pub metrics: bool,
    /// Whether it has supervisord's XML-RPC.
    pub rpc: bool,
    /// Whether clients of other hosts cannot reach it.
    pub local: bool,
}

/// A password is in no message.
impl std::fmt::Debug for ServerSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerSettings")
    }
}
