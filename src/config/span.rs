//! Where something stands in the files: three numbers, so that they are cheap to carry everywhere.
//!
//! Which file a number means, only `diagnostics.rs` knows.

/// A stretch of a file: bytes from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// Which of the files of the diagnostics.
    pub(super) file: usize,
    /// Its first byte.
    pub(super) start: usize,
    /// The byte behind its last.
    pub(super) end: usize,
}

impl Span {
    /// Whether the other one starts in this one, or right at its end.
    pub(super) fn covers(self, other: Span) -> bool {
        self.file == other.file && (self.start..=self.end).contains(&other.start)
    }
}

/// The file that stands for foster's built-in defaults; nothing is ever wrong there.
pub(super) const BUILT_IN: usize = 0;
/// The file that was asked for, which includes the others.
pub(super) const MAIN: usize = 1;

/// Where a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Position {
    /// In no file: none was found.
    Nowhere,
    /// In a file as a whole: it cannot be read.
    File(usize),
    /// In a line.
    At(Span),
}

impl From<Span> for Position {
    fn from(span: Span) -> Position {
        Position::At(span)
    }
}
