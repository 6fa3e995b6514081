//! What foster tells whoever started it, where `$NOTIFY_SOCKET` is set: podman, systemd-nspawn (sd_notify(3)).
//!
//! One datagram a message, sent without waiting. Nobody depends on them: when the receiver is gone, or
//! its queue is full, the message is lost, and that is said once. What programs tell *foster* in the
//! same protocol is none of this file's business.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::errno::words;

/// Longer messages are not read to their end by systemd (`NOTIFY_BUFFER_MAX`).
const MESSAGE_LIMIT: usize = 4096;

/// Who is to be told; perhaps nobody.
#[derive(Debug, Default)]
pub struct ServiceManager {
    receiver: Option<Receiver>,
}

#[derive(Debug)]
struct Receiver {
    socket: UnixDatagram,
    address: SocketAddr,
    loss_report: LossReport,
    /// The last `STATUS=`.
    status: String,
}

/// Whether it has been said that messages are lost.
#[derive(Debug, Clone, Copy)]
enum LossReport {
    Pending,
    Done,
}

/// Why nobody can be told. What there is to do about it is to warn.
#[derive(Debug)]
pub struct Unusable {
    value: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// It is neither of the two forms that there are.
    Form,
    /// It is longer than an address can be, or there are no descriptors left.
    System(io::Error),
}

impl ServiceManager {
    /// Whom the value of `NOTIFY_SOCKET` names: an absolute path, or `@` and an abstract name (unix(7)).
    /// Unset or empty, nobody; so is `ServiceManager::default()`.
    ///
    /// # Errors
    /// The value is neither, or too long, or no socket can be made.
    pub fn from_environment(value: Option<&OsStr>) -> Result<ServiceManager, Unusable> {
        let Some(value) = value.filter(|value| !value.is_empty()) else {
            return Ok(ServiceManager::default());
        };
        let unusable = |why| Unusable { value: value.to_string_lossy().into_owned(), why };
        let address = match value.as_bytes() {
            [b'/', _, ..] => SocketAddr::from_pathname(value),
            [b'@', name @ ..] if !name.is_empty() => SocketAddr::from_abstract_name(name),
            _ => return Err(unusable(Why::Form)),
        };
        let address = address.map_err(|error| unusable(Why::System(error)))?;
        let socket = unbound().map_err(|error| unusable(Why::System(error)))?;
        Ok(ServiceManager {
            receiver: Some(Receiver {
                socket,
                address,
                loss_report: LossReport::Pending,
                status: String::new(),
            }),
        })
    }

    /// Everything that was autostarted is ready. Like every message: the text is what went wrong, for a
    /// debug line, and comes only the first time that anything does.
    pub fn ready(&mut self) -> Option<String> {
        self.send("READY=1")
    }

    /// Whether there is a receiver.
    pub fn is_connected(&self) -> bool {
        self.receiver.is_some()
    }

    /// A sentence about the state of everything, sent where it has changed; without line ends, and cut to what a message
    /// can hold.
    pub fn status(&mut self, text: &str) -> Option<String> {
        let receiver = self.receiver.as_mut()?;
        if receiver.status == text {
            return None;
        }
        text.clone_into(&mut receiver.status);
        let mut message = format!("STATUS={}", text.replace(['\n', '\r', '\0'], " "));
        let cut = (0..=MESSAGE_LIMIT.min(message.len())).rev().find(|index| message.is_char_boundary(*index));
        message.truncate(cut.unwrap_or_default());
        self.send(&message)
    }

    /// The shutdown has begun.
    pub fn stopping(&mut self) -> Option<String> {
        self.send("STOPPING=1")
    }

    /// What foster is about to exit with.
    pub fn exit_status(&mut self, status: u8) -> Option<String> {
        self.send(&format!("EXIT_STATUS={status}"))
    }

    fn send(&mut self, message: &str) -> Option<String> {
        let receiver = self.receiver.as_mut()?;
        // The standard library sends with MSG_NOSIGNAL.
        let error = receiver.socket.send_to_addr(message.as_bytes(), &receiver.address).err()?;
        match std::mem::replace(&mut receiver.loss_report, LossReport::Done) {
            LossReport::Pending => Some(format!("cannot notify $NOTIFY_SOCKET: {}", words(&error))),
            LossReport::Done => None,
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unusable { value, why } = self;
        write!(f, "cannot notify `{value}` (NOTIFY_SOCKET): ")?;
        match why {
            Why::Form => write!(f, "it is neither an absolute path nor `@` and a name"),
            Why::System(error) => write!(f, "{}", words(error)),
        }
    }
}

impl std::error::Error for Unusable {}

fn unbound() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
