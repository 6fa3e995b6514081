//! Splits a stream of bytes into lines.
//!
//! Complete lines are emitted directly from the read buffer; only an unfinished last line is copied, and without one no
//! memory is held. A line longer than the limit is emitted in pieces: nothing is lost, and no UTF-8 sequence is
//! split. Pure. Next: `format.rs`.

use memchr::memchr;

/// Whether a piece completes its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It does.
    Line,
    /// It does not: the line is too long for one piece, and more of it follows.
    Piece,
}

/// The part of a stream that is not emitted yet: the unfinished last line, never longer than the limit.
#[derive(Debug, Default)]
pub struct Lines {
    unfinished: Vec<u8>,
}

impl Lines {
    /// Emits each complete line of the bytes read, without its newline, and each piece of a line longer than `limit`
    /// bytes.
    pub fn feed(&mut self, read: &[u8], limit: usize, emit: &mut impl FnMut(&[u8], End)) {
        let mut rest = self.complete(read, limit, emit);
        while let Some(at) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            let last = pieces(line, limit, emit);
            emit(last, End::Line);
            rest = after.get(1..).unwrap_or(&[]);
        }
        let unfinished = pieces(rest, limit, emit);
        self.unfinished.extend_from_slice(unfinished);
    }

    /// The unfinished last line so far.
    pub fn unfinished(&self) -> &[u8] {
        &self.unfinished
    }

    /// Emits an unfinished last line as a line, because its writer has closed the stream.
    pub fn finish(&mut self, emit: &mut impl FnMut(&[u8], End)) {
        if !self.unfinished.is_empty() {
            emit(&std::mem::take(&mut self.unfinished), End::Line);
        }
    }

    /// Completes the unfinished line; returns the bytes after it.
    fn complete<'a>(
        &mut self,
        mut read: &'a [u8],
        limit: usize,
        emit: &mut impl FnMut(&[u8], End),
    ) -> &'a [u8] {
        while !self.unfinished.is_empty() && !read.is_empty() {
            // One byte over the limit shows that the line is too long, and where it may be cut.
            let wanted = (limit + 1).saturating_sub(self.unfinished.len()).max(1);
            let (window, after) = read.split_at_checked(wanted).unwrap_or((read, &[]));
            match memchr(b'\n', window) {
                Some(at) => {
                    self.unfinished.extend_from_slice(window.get(..at).unwrap_or(&[]));
                    let whole = std::mem::take(&mut self.unfinished);
                    let last = pieces(&whole, limit, emit);
                    emit(last, End::Line);
                    read = read.get(at + 1..).unwrap_or(&[]);
                }
                None => {
                    self.unfinished.extend_from_slice(window);
                    let kept = pieces(&self.unfinished, limit, emit).len();
                    self.unfinished.drain(..self.unfinished.len() - kept);
                    read = after;
                }
            }
        }
        read
    }
}

/// Emits pieces until the rest is within the limit; returns the rest.
fn pieces<'a>(mut line: &'a [u8], limit: usize, emit: &mut impl FnMut(&[u8], End)) -> &'a [u8] {
    while line.len() > limit {
        let (piece, rest) = line.split_at_checked(boundary(line, limit)).unwrap_or((line, &[]));
        emit(piece, End::Piece);
        line = rest;
    }
    line
}

/// The place to cut `bytes`, `at` or up to three bytes before it, without splitting a UTF-8 sequence. Bytes that are
/// not UTF-8 are cut at `at`. Returns 0 only if `at` is less than four.
pub fn boundary(bytes: &[u8], at: usize) -> usize {
    let continues = |index: usize| bytes.get(index).is_some_and(|byte| byte & 0xC0 == 0x80);
    if !continues(at) {
        return at;
    }
    for back in 1..=3.min(at) {
        let start = at - back;
        if continues(start) {
            continue;
        }
        let length = match bytes.get(start) {
            Some(0xC2..=0xDF) => 2,
            Some(0xE0..=0xEF) => 3,
            Some(0xF0..=0xF4) => 4,
            Some(_) | None => 1,
        };
        return if length > back { start } else { at };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(chunks: &[&[u8]], limit: usize) -> Vec<(Vec<u8>, End)> {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let mut emit = |piece: &[u8], end| out.push((piece.to_vec(), end));
        for chunk in chunks {
            lines.feed(chunk, limit, &mut emit);
            assert!(lines.unfinished.len() <= limit);
        }
        lines.finish(&mut emit);
        out
    }

    #[test]
    fn empty_lines_and_carriage_returns_are_kept_and_a_last_line_needs_no_newline() {
        let lines = split(&[b"a\r\n\n", b"b", b"c\nd"], 100);
        let expected: [&[u8]; 4] = [b"a\r", b"", b"bc", b"d"];
        assert_eq!(lines, expected.map(|line| (line.to_vec(), End::Line)));
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_one_piece_and_one_byte_more_is_two() {
        assert_eq!(split(&[b"1234\n"], 4), [(b"1234".to_vec(), End::Line)]);
        assert_eq!(split(&[b"12", b"34", b"\n"], 4), [(b"1234".to_vec(), End::Line)]);
        assert_eq!(split(&[b"12345\n"], 4), [(b"1234".to_vec(), End::Piece), (b"5".to_vec(), End::Line)]);
        assert_eq!(
            split(&[b"123", b"45\n"], 4),
            [(b"1234".to_vec(), End::Piece), (b"5".to_vec(), End::Line)]
        );
    }

    #[test]
    fn no_memory_is_held_between_whole_lines() {
        let mut lines = Lines::default();
        lines.feed(b"unfinished", 100, &mut |_, _| {});
        lines.feed(b" no more\n", 100, &mut |_, _| {});
        assert_eq!(lines.unfinished.capacity(), 0);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_wherever_the_stream_is_cut(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'x'), any::<u8>()], 0..300),
            cuts in prop::collection::vec(1..40usize, 1..20),
            limit in 4..50usize,
        ) {
            let mut chunks = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (chunk, after) = rest.split_at(rest.len().min(*cut));
                chunks.push(chunk);
                rest = after;
            }
            let mut joined = Vec::new();
            for (piece, end) in split(&chunks, limit) {
                prop_assert!(piece.len() <= limit);
                prop_assert!(!piece.contains(&b'\n'));
                joined.extend(piece);
                if end == End::Line {
                    joined.push(b'\n');
                }
            }
            let mut expected = bytes;
            if expected.last().is_some_and(|last| *last != b'\n') {
                expected.push(b'\n');
            }
            prop_assert_eq!(joined, expected);
        }

        #[test]
        fn valid_utf8_stays_valid_in_every_piece(text in "[a-zé€😀]{0,200}", limit in 4..40usize) {
            for (piece, _) in split(&[text.as_bytes()], limit) {
                prop_assert!(std::str::from_utf8(&piece).is_ok());
            }
        }
    }
}
