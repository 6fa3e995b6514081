//! Positions in the files of a configuration: a file's number and two byte offsets, cheap to copy.
//!
//! `diagnostics.rs` maps the numbers to files.

/// The bytes of a file from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// The file's number in the diagnostics.
    pub(super) file: usize,
    /// Its first byte.
    pub(super) start: usize,
    /// The byte after its last.
    pub(super) end: usize,
}

impl Span {
    /// Whether the other span starts within this one, or right at its end.
    pub(super) fn covers(self, other: Span) -> bool {
        self.file == other.file && (self.start..=self.end).contains(&other.start)
    }
}

/// The number of the built-in defaults, which have no errors.
pub(super) const BUILT_IN: usize = 0;
/// The number of the main file, which includes the others.
pub(super) const MAIN: usize = 1;

/// The position of a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Position {
    /// No file: none was found.
    Nowhere,
    /// A whole file.
    File(usize),
    /// A span of a file.
    At(Span),
}

impl From<Span> for Position {
    fn from(span: Span) -> Position {
        Position::At(span)
    }
}
