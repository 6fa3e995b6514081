//! Notifications of foster to its service manager, such as podman or systemd-nspawn, over `$NOTIFY_SOCKET` (sd_notify(3)).
//!
//! Each message is one datagram, sent without blocking. If the receiver is gone or its queue is full, the message is
//! lost, and the loss is reported once. Notifications of programs to foster are not handled here.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::cut;
use crate::errno::words;

/// systemd reads no more of a message (`NOTIFY_BUFFER_MAX`).
const MESSAGE_LIMIT: usize = 4096;

/// The service manager that is notified, if there is one.
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

/// Whether the loss of messages was reported.
#[derive(Debug, Clone, Copy)]
enum LossReport {
    Pending,
    Done,
}

/// Why the service manager cannot be notified; the caller logs a warning.
#[derive(Debug)]
pub struct Unusable {
    value: String,
    why: Why,
}

#[derive(Debug)]
enum Why {
    /// It is neither a path nor an abstract name.
    Form,
    /// It is longer than an address can be, or no descriptor is free.
    System(io::Error),
}

impl ServiceManager {
    /// The receiver that `NOTIFY_SOCKET` names: an absolute path, or `@` and an abstract name (unix(7)). Without a value,
    /// and by default, there is none.
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

    /// Reports that all autostarted programs are ready. Like every message it returns an error text for a debug line,
    /// but only for the first failure.
    pub fn ready(&mut self) -> Option<String> {
        self.send("READY=1")
    }

    /// Whether there is a receiver.
    pub fn is_connected(&self) -> bool {
        self.receiver.is_some()
    }

    /// Sends a summary of the state, if it has changed; without line ends, and cut to the size of a message.
    pub fn status(&mut self, text: &str) -> Option<String> {
        let receiver = self.receiver.as_mut()?;
        if receiver.status == text {
            return None;
        }
        text.clone_into(&mut receiver.status);
        let message = format!("STATUS={}", text.replace(['\n', '\r', '\0'], " "));
        self.send(cut::start(&message, MESSAGE_LIMIT))
    }

    /// Reports that the shutdown has started.
    pub fn stopping(&mut self) -> Option<String> {
        self.send("STOPPING=1")
    }

    /// Reports the status that foster will exit with.
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
