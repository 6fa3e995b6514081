//! What clients of the helper may use. All of it together is far below the limit of its memory (`init/web.rs`).

use std::time::Duration;

/// The most connections at once. Of more, the one that has been idle for the longest is closed.
pub(super) const CLIENTS: usize = 64;
/// The most of them that follow a log or events, so that others can ask.
pub(super) const FOLLOWERS: usize = 32;
/// How long the client of an order waits for its result.
pub(super) const ORDER: Duration = Duration::from_secs(10);
/// The longest request line with all header fields, in bytes.
pub(super) const HEAD: usize = 16 * 1024;
/// The most header fields.
pub(super) const FIELDS: usize = 64;
/// The longest body, in bytes.
pub(super) const BODY: usize = 256 * 1024;
/// About the most bytes of requests and answers of all clients together. The client that has most of them is refused.
pub(super) const HELD: usize = 12 << 20;
/// How long a request may take to arrive, an idle connection stays open, and a client may leave an answer unread.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long answers take at most after the end of the supervisor.
pub(super) const PARTING: Duration = Duration::from_millis(100);
/// How long a refused client may take to read why.
pub(super) const LINGER: Duration = Duration::from_secs(2);
/// The most bytes that it may send meanwhile.
pub(super) const DROPPED: usize = 1 << 20;
/// The most unread bytes of an answer that follows a log. Then the helper stops reading from the supervisor.
pub(super) const BACKLOG: usize = 64 * 1024;
