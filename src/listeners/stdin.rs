//! The standard input of the broker: the events that clients of XML-RPC send, each as JSON on a line.
//!
//! The web helper writes them there by way of PID 1, which only passes text on (`src/xmlrpc/orders.rs`).

use serde_json::Value;

use super::notices::Notice;
use crate::sys::stream;

/// What has been read.
#[derive(Debug, Default)]
pub(super) struct RemoteEvents {
    unread: Vec<u8>,
    has_ended: bool,
}

/// The longest line; the writer refuses longer ones (`src/xmlrpc/orders.rs`).
const LONGEST: usize = 64 * 1024;

impl RemoteEvents {
    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads once; returns the events that are whole.
    pub(super) fn read(&mut self) -> Vec<Notice> {
        let mut buffer = [0; 4096];
        match stream::read(stream::stdin(), &mut buffer) {
            Ok(0) | Err(_) => self.has_ended = true,
            Ok(count) => self.unread.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
        self.take()
    }

    fn take(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', &self.unread) {
            let line: Vec<u8> = self.unread.drain(..=end).collect();
            notices.extend(notice(&line));
        }
        if self.unread.len() > LONGEST {
            self.unread = Vec::new();
        }
        notices
    }
}

fn notice(line: &[u8]) -> Option<Notice> {
    let value: Value = serde_json::from_slice(line).ok()?;
    let (kind, data) = (value.get("type")?.as_str()?, value.get("data")?.as_str()?);
    Some(Notice::new("REMOTE_COMMUNICATION", format!("type:{kind}\n{data}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_and_garbage_is_none() {
        let mut events = RemoteEvents::default();
        let mut take = |text: &[u8]| {
            events.unread.extend_from_slice(text);
            events.take().into_iter().map(|notice| notice.payload).collect::<Vec<_>>()
        };
        assert!(take(b"{\"type\":\"a\",\"da").is_empty());
        assert_eq!(take(b"ta\":\"b\\nc\"}\ngarbage\n{}\n"), ["type:a\nb\nc"]);
        assert!(take(&b"x".repeat(LONGEST + 1)).is_empty());
        assert_eq!(take(b"{\"type\":\"\",\"data\":\"\"}\n"), ["type:\n"]);
    }
}
