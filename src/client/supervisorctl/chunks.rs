//! The chunked coding of a body, taken apart as it arrives (RFC 9112, section 7.1). Pure.
//!
//! `http.rs` has the other ways in which a body ends.

/// The longest line with a size or a trailer, in bytes.
const LINE: usize = 4096;

/// The state of a body in chunks.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    next: Next,
    line: Vec<u8>,
}

/// The next part.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The size of a chunk.
    #[default]
    Size,
    /// This many bytes of a chunk.
    Data(usize),
    /// The line end after a chunk.
    End,
    /// A line after the last chunk; an empty one is the end.
    Trailer,
    /// None.
    Over,
}

impl Chunks {
    /// Whether the last chunk has arrived.
    pub(super) fn is_over(&self) -> bool {
        self.next == Next::Over
    }

    /// The bytes of the body in these; `None`: they are not chunks.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        while !bytes.is_empty() && self.next != Next::Over {
            if let Next::Data(left) = self.next {
                let (part, rest) = bytes.split_at(left.min(bytes.len()));
                body.extend_from_slice(part);
                bytes = rest;
                self.next = if part.len() == left { Next::End } else { Next::Data(left - part.len()) };
                continue;
            }
            let end = memchr::memchr(b'\n', bytes);
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |at| at + 1));
            if self.line.len() + part.len() > LINE {
                return None;
            }
            self.line.extend_from_slice(part);
            bytes = rest;
            if end.is_some() {
                let line = std::mem::take(&mut self.line);
                self.next = self.after(line.trim_ascii())?;
            }
        }
        Some(body)
    }

    /// What follows this line.
    fn after(&self, line: &[u8]) -> Option<Next> {
        match self.next {
            Next::Size => {
                let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
                let is_number = digits.iter().all(u8::is_ascii_hexdigit);
                let size = usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16)
                    .ok()
                    .filter(|_| is_number)?;
                Some(if size == 0 { Next::Trailer } else { Next::Data(size) })
            }
            Next::End => line.is_empty().then_some(Next::Size),
            Next::Trailer if line.is_empty() => Some(Next::Over),
            Next::Trailer => Some(Next::Trailer),
            Next::Data(_) | Next::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_same_however_it_arrives() {
        let sent = b"4\r\nfost\r\n2;x=y\r\ner\r\n00\r\nTrailer: a\r\n\r\nmore";
        for size in 1..=sent.len() {
            let (mut chunks, mut body) = (Chunks::default(), Vec::new());
            for part in sent.chunks(size) {
                body.extend(chunks.take(part).unwrap());
            }
            assert_eq!((body.as_slice(), chunks.is_over()), (b"foster".as_slice(), true), "{size}");
        }
    }

    #[test]
    fn what_is_not_a_chunk_is_refused() {
        for sent in ["\r\n", "x\r\n", "+1\r\na\r\n", "ffffffffffffffffff\r\n", "1\r\nab\r\n"] {
            assert_eq!(Chunks::default().take(sent.as_bytes()), None, "{sent:?}");
        }
        assert_eq!(Chunks::default().take(&[b'0'; LINE + 1]), None);
        let mut chunks = Chunks::default();
        assert_eq!((chunks.take(b"5\r\nab"), chunks.is_over()), (Some(b"ab".to_vec()), false));
    }
}
