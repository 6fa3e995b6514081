//! The text of one file, and the excerpt for a span: its line, carets below it, a note.
//!
//! The fixtures in `tests/fixtures/config` fix the format. Files may contain anything, so control characters are
//! never printed to a terminal.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::span::Span;

/// One file.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
    /// Where each line starts.
    lines: Vec<usize>,
}

impl Source {
    /// Makes a source of a path and its text.
    pub(super) fn new(path: &Path, text: String) -> Source {
        let behind_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let lines = std::iter::once(0).chain(behind_newlines).collect();
        Source { path: path.to_path_buf(), text, lines }
    }

    /// Its whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Its path, for people.
    pub(super) fn name(&self) -> String {
        printable(&self.path.display().to_string())
    }

    /// The number of the line with this byte, counted from 1, and the line's first byte.
    pub(super) fn line_at(&self, byte: usize) -> (usize, usize) {
        let number = self.lines.partition_point(|start| *start <= byte);
        (number, self.lines.get(number.saturating_sub(1)).copied().unwrap_or(0))
    }

    /// Line and column of a span's start, both counted from 1.
    pub(super) fn line_and_column(&self, span: Span) -> (usize, usize) {
        let (line, start) = self.line_at(span.start);
        let before = self.text.get(start..span.start).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// The line, carets below the span, and the note after them.
    pub(super) fn excerpt(&self, span: Span, note: &str) -> String {
        let (number, column) = self.line_and_column(span);
        let (_, start) = self.line_at(span.start);
        let line = self.text.get(start..).unwrap_or("").lines().next().unwrap_or("");
        let covered = self.text.get(span.start..span.end).unwrap_or("");
        let carets = covered.lines().next().unwrap_or("").chars().count().max(1);
        let (line, column, carets) = clip(line, column - 1, carets);
        let gap = if note.is_empty() { "" } else { " " };
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{number:>4} | {line}\n     | {blank:column$}{mark:^<carets$}{gap}{note}",
            line = printable(&line),
            blank = "",
            mark = "",
        );
        text
    }
}

/// The most characters of a line that are shown.
const WIDTH: usize = 160;
/// How many characters of a longer line are shown before the span.
const LEAD: usize = 60;

/// Cuts a long line to the part around the span.
fn clip(line: &str, column: usize, carets: usize) -> (String, usize, usize) {
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.to_owned(), column, carets);
    }
    let skipped = column.saturating_sub(LEAD);
    let mut text: String = line.chars().skip(skipped).take(WIDTH).collect();
    if skipped + WIDTH < length {
        text.push('…');
    }
    let carets = carets.min(WIDTH - (column - skipped).min(WIDTH - 1));
    if skipped == 0 {
        return (text, column, carets);
    }
    (format!("…{text}"), column - skipped + 1, carets)
}

/// The text without control characters, which a terminal would act on.
pub(super) fn printable(text: &str) -> String {
    let shown = |char: char| match char {
        '\t' | '\n' => ' ',
        char if char.is_control() => char::REPLACEMENT_CHARACTER,
        char => char,
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_around_the_span() {
        let source =
            Source::new(Path::new("a.toml"), format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000)));
        let text = source.excerpt(Span { file: 1, start: 5000, end: 5004 }, "there");
        assert!(text.contains("HERE") && text.len() < 600, "{text}");
        let (line, carets) = (text.lines().next().expect("line"), text.lines().nth(1).expect("carets"));
        let column = |text: &str, part: &str| text.split(part).next().map(|before| before.chars().count());
        assert_eq!(column(line, "HERE"), column(carets, "^^^^"));
    }
}
