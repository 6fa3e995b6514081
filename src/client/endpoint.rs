//! Finds the supervisor: the sockets that a client tries, in order, until one answers.
//!
//! With `--socket` or `$FOSTER_SOCKET` only that one. Otherwise the configured path, the default path, and the abstract
//! sockets that foster uses where it cannot create a file. This file connects to nothing.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::cli::Endpoint;
use crate::control::{DEFAULT_SOCKET, fallback_socket};

/// The sockets to try, in this order.
pub(super) fn candidates(
    endpoint: &Endpoint,
    variable: Option<&OsStr>,
    configured: impl FnOnce() -> Option<PathBuf>,
) -> Vec<PathBuf> {
    if let Some(path) = &endpoint.socket {
        return vec![path.clone()];
    }
    if let Some(path) = variable.filter(|path| !path.is_empty()) {
        return vec![PathBuf::from(path)];
    }
    let own = Uid::effective();
    let mut sockets = vec![PathBuf::from(DEFAULT_SOCKET), fallback_socket(own)];
    // In a container foster is PID 1, and may run as another user than the client.
    if let Some(other) = uid_of_pid_1().filter(|uid| *uid != own) {
        sockets.push(fallback_socket(other));
    }
    if let Some(path) = configured().filter(|path| path != Path::new(DEFAULT_SOCKET)) {
        sockets.insert(0, path);
    }
    sockets
}

fn uid_of_pid_1() -> Option<Uid> {
    std::fs::metadata("/proc/1").ok().map(|metadata| Uid::from_raw(metadata.uid()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(socket: Option<&str>, variable: Option<&str>, configured: Option<&str>) -> Vec<String> {
        let endpoint = Endpoint { socket: socket.map(PathBuf::from), config: None };
        let sockets = candidates(&endpoint, variable.map(OsStr::new), || configured.map(PathBuf::from));
        sockets.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn a_socket_from_a_flag_or_the_environment_is_the_only_one_tried() {
        assert_eq!(tried(Some("/a"), Some("/b"), Some("/c")), ["/a"]);
        assert_eq!(tried(None, Some("/b"), Some("/c")), ["/b"]);
        assert!(tried(None, Some(""), Some("/c")).len() > 1);
    }

    #[test]
    fn without_one_the_configured_the_default_and_the_abstract_socket_are_tried() {
        let own = fallback_socket(Uid::effective()).display().to_string();
        let sockets = tried(None, None, Some("/c"));
        assert_eq!(sockets.get(..3).unwrap(), ["/c", DEFAULT_SOCKET, own.as_str()]);
        assert_eq!(tried(None, None, None).get(..2).unwrap(), [DEFAULT_SOCKET, own.as_str()]);
        assert_eq!(tried(None, None, Some(DEFAULT_SOCKET)), tried(None, None, None));
    }
}
