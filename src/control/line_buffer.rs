//! Splits the bytes of a connection into lines.
//!
//! It allocates only for received bytes, at most one longest line. No byte is searched twice for a line end, so a client
//! that sends single bytes costs no more than another.

use std::io::{self, Read};

use super::protocol::LONGEST_LINE;

/// The bytes that were read and not yet taken.
#[derive(Debug, Default)]
pub struct LineBuffer {
    bytes: Vec<u8>,
    /// The length of the first line with its line end, once it is complete.
    line: Option<usize>,
}

/// The result of a read.
#[derive(Debug, PartialEq, Eq)]
pub enum Filled {
    /// Bytes, perhaps not a whole line yet.
    Some,
    /// Nothing yet.
    Nothing,
    /// The other end has shut down or disconnected.
    Ended,
    /// The longest line is full and has no line end.
    TooLong,
}

/// The most bytes of one read, so that no connection delays another.
const CHUNK: usize = 16 * 1024;

impl LineBuffer {
    /// Reads once.
    pub fn fill(&mut self, from: &mut impl Read) -> Filled {
        let mut buffer = [0; CHUNK];
        let free = LONGEST_LINE.saturating_sub(self.bytes.len()).min(CHUNK);
        let Some(free) = buffer.get_mut(..free) else { return Filled::TooLong };
        if free.is_empty() {
            return Filled::TooLong;
        }
        let count = match from.read(free) {
            Ok(0) => return Filled::Ended,
            Ok(count) => count,
            Err(error) => return failed(&error),
        };
        let received = free.get(..count).unwrap_or(free);
        if self.line.is_none() {
            self.line = memchr::memchr(b'\n', received).map(|place| self.bytes.len() + place + 1);
        }
        self.bytes.extend_from_slice(received);
        let too_long = self.line.is_none() && self.bytes.len() >= LONGEST_LINE;
        if too_long { Filled::TooLong } else { Filled::Some }
    }

    /// Whether there are any bytes.
    pub fn has_bytes(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Whether there is a whole line.
    pub fn has_line(&self) -> bool {
        self.line.is_some()
    }

    /// Takes the first whole line, its line end included.
    pub fn take_line(&mut self) -> Option<Vec<u8>> {
        let rest = self.bytes.split_off(self.line?.min(self.bytes.len()));
        self.line = memchr::memchr(b'\n', &rest).map(|place| place + 1);
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}

fn failed(error: &io::Error) -> Filled {
    let kind = error.kind();
    if kind == io::ErrorKind::WouldBlock || kind == io::ErrorKind::Interrupted {
        Filled::Nothing
    } else {
        Filled::Ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn lines(mut bytes: &[u8]) -> (Vec<Vec<u8>>, Filled) {
        let mut buffer = LineBuffer::default();
        let mut lines = Vec::new();
        loop {
            let filled = buffer.fill(&mut bytes);
            assert!(buffer.bytes.len() <= LONGEST_LINE);
            while let Some(line) = buffer.take_line() {
                lines.push(line);
            }
            if filled != Filled::Some {
                return (lines, filled);
            }
        }
    }

    #[test]
    fn the_longest_line_is_accepted_and_one_byte_more_is_too_long() {
        let mut longest = vec![b'x'; LONGEST_LINE - 1];
        longest.push(b'\n');
        assert_eq!(lines(&longest), (vec![longest.clone()], Filled::Ended));
        longest.insert(0, b'x');
        assert_eq!(lines(&longest), (vec![], Filled::TooLong));
    }

    #[test]
    fn the_longest_line_is_accepted_after_a_short_one() {
        let mut longest = vec![b'x'; LONGEST_LINE - 1];
        longest.push(b'\n');
        let both = [b"a\n".as_slice(), &longest].concat();
        assert_eq!(lines(&both), (vec![b"a\n".to_vec(), longest], Filled::Ended));
    }

    #[test]
    fn reading_stops_when_the_buffer_is_full() {
        let mut buffer = LineBuffer::default();
        let mut endless = io::repeat(b'\n');
        for _ in 0..4 {
            assert_eq!(buffer.fill(&mut endless), Filled::Some);
        }
        assert_eq!(buffer.fill(&mut endless), Filled::TooLong);
        assert_eq!(buffer.bytes.len(), LONGEST_LINE);
    }

    proptest! {
        #[test]
        fn lines_are_returned_unchanged(bytes in "[ab\n]{0,200}") {
            let (lines, filled) = lines(bytes.as_bytes());
            let whole = bytes.rfind('\n').map_or("", |end| &bytes[..=end]);
            prop_assert_eq!(lines.concat(), whole.as_bytes());
            prop_assert_eq!(lines.len(), whole.matches('\n').count());
            prop_assert_eq!(filled, Filled::Ended);
        }
    }
}
