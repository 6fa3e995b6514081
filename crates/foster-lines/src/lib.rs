//! The lines of foster's output: bytes in, formatted lines and a tail out.
//!
//! A read is split by `lines.rs`; each line is formatted by `format.rs` (`json.rs`, `visible.rs`) and copied into a
//! `ring.rs`. `capture.rs` keeps what is for event listeners out of the log. Everything here is pure, and runs for every byte that a program writes: it is a crate because a crate is what
//! can be compiled for speed, while foster is compiled for size. `src/output/` reads and writes.

#![forbid(unsafe_code)]

pub mod capture;
pub mod format;
pub mod json;
pub mod lines;
pub mod ring;
pub mod visible;

use std::time::SystemTime;

use self::format::LinePrefix;
use self::lines::{End, Lines};
use self::ring::{Origin, Ring};

/// Which stream of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Stream {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// Looks at a line.
pub type Look<'a> = &'a mut dyn FnMut(&[u8]);

/// The lines of one read.
pub struct Batch<'a> {
    /// How they are written.
    pub prefix: &'a LinePrefix,
    /// The beginning of each, from [`LinePrefix::head`].
    pub head: &'a [u8],
    /// Gets the formatted lines.
    pub out: &'a mut Vec<u8>,
    /// Gets a copy, with its origin.
    pub tail: Option<Tail<'a>>,
    /// Looks at each line, if there is one to look for.
    pub look: Option<Look<'a>>,
}

/// Where lines are kept, and as what.
#[derive(Debug)]
pub struct Tail<'a> {
    /// The last lines of the program.
    pub ring: &'a mut Ring,
    /// The number of the next line.
    pub next: &'a mut u64,
    /// When the lines were read.
    pub at: SystemTime,
    /// What wrote them.
    pub origin: Origin,
}

impl Batch<'_> {
    /// Adds each line that these bytes complete; `lines` keeps the rest.
    pub fn feed(&mut self, lines: &mut Lines, read: &[u8]) {
        let limit = self.prefix.limit(self.head);
        lines.feed(read, limit, &mut |piece, end| self.add(piece, end));
    }

    /// Adds an unfinished line, because its writer has closed the stream.
    pub fn finish(&mut self, lines: &mut Lines) {
        lines.finish(&mut |piece, end| self.add(piece, end));
    }

    fn add(&mut self, piece: &[u8], end: End) {
        self.prefix.write(self.head, piece, end, self.out);
        if let Some(Tail { ring, next, at, origin }) = &mut self.tail {
            ring.push(**next, *at, *origin, piece, end);
            **next += 1;
        }
        if let Some(look) = &mut self.look {
            look(piece);
        }
    }
}
