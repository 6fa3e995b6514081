//! What clients of the helper may use. All of it together is far below the limit of its memory (`init/web.rs`).

use std::time::Duration;

/// The most connections at once. Of more, the one that has been idle for the longest is closed.
pub(super) const CLIENTS: usize = 64;
/// The longest request line with all header fields, in bytes.
pub(super) const HEAD: usize = 16 * 1024;
/// The most header fields.
pub(super) const FIELDS: usize = 64;
/// The longest body, in bytes.
pub(super) const BODY: usize = 256 * 1024;
/// The most bytes of requests of all clients together.
pub(super) const RECEIVED: usize = 2 << 20;
/// How long a request may take to arrive, an idle connection stays open, and a client may leave an answer unread.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// The most unread bytes of an answer that follows a log. Then the helper stops reading from the supervisor.
pub(super) const BACKLOG: usize = 64 * 1024;
