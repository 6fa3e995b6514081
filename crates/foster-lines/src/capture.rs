//! supervisord's process communication: text that a program writes between two tokens is for event listeners, and in no log.
//!
//! Only the streams whose program asks for it come through here. A token may be torn over reads: its beginning is held
//! back until the rest has come or cannot come. Pure.

use memchr::memchr;

/// The token before a communication.
pub const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
/// The token after it.
pub const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// Where in the output of a program some bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Between no tokens.
    Outside,
    /// A token, or text between two.
    Within,
}

/// A part of the output.
#[derive(Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// Its bytes.
    pub bytes: &'a [u8],
    /// Where they are.
    pub place: Place,
    /// Whether what comes next is somewhere else.
    pub is_last: bool,
}

/// The place in the output of one stream.
#[derive(Debug, Default)]
pub struct Capture {
    is_within: bool,
    /// The beginning of a token at the end of the last read.
    held: Vec<u8>,
}

impl Capture {
    /// Emits the parts of the bytes read.
    pub fn feed(&mut self, read: &[u8], emit: &mut impl FnMut(Part<'_>)) {
        let joined = if self.held.is_empty() { None } else { Some([&self.held, read].concat()) };
        self.held.clear();
        let mut rest = joined.as_deref().unwrap_or(read);
        loop {
            let token = if self.is_within { END } else { BEGIN };
            let at = find(rest, token);
            let (bytes, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
            let Some(behind) = after.strip_prefix(token) else {
                emit(Part { bytes, place: self.place(), is_last: false });
                self.held.extend_from_slice(after);
                return;
            };
            if self.is_within {
                let bytes = rest.get(..at + token.len()).unwrap_or(rest);
                emit(Part { bytes, place: Place::Within, is_last: true });
            } else {
                emit(Part { bytes, place: Place::Outside, is_last: true });
                emit(Part { bytes: token, place: Place::Within, is_last: false });
            }
            self.is_within = !self.is_within;
            rest = behind;
        }
    }

    /// Emits the rest, because its writer has closed the stream.
    pub fn finish(&mut self, emit: &mut impl FnMut(Part<'_>)) {
        let bytes = std::mem::take(&mut self.held);
        emit(Part { bytes: &bytes, place: self.place(), is_last: true });
        self.is_within = false;
    }

    fn place(&self) -> Place {
        if self.is_within { Place::Within } else { Place::Outside }
    }
}

/// The place of the first token, or of the beginning of one that the bytes end with; their length if there is none.
fn find(bytes: &[u8], token: &[u8]) -> usize {
    let mut from = 0;
    while let Some(next) = bytes.get(from..).and_then(|rest| memchr(b'<', rest)) {
        let at = from + next;
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.starts_with(token) || token.starts_with(rest) {
            return at;
        }
        from = at + 1;
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The text outside, and each communication.
    fn split(reads: &[&[u8]]) -> (String, Vec<String>) {
        let (mut capture, mut outside, mut within) = (Capture::default(), Vec::new(), vec![Vec::new()]);
        let mut emit = |part: Part<'_>| match part.place {
            Place::Outside => outside.extend_from_slice(part.bytes),
            Place::Within => {
                within.last_mut().unwrap().extend_from_slice(part.bytes);
                if part.is_last {
                    within.push(Vec::new());
                }
            }
        };
        for read in reads {
            capture.feed(read, &mut emit);
            assert!(capture.held.len() < BEGIN.len());
        }
        capture.finish(&mut emit);
        let within = within.into_iter().map(|text| String::from_utf8(text).unwrap());
        (String::from_utf8(outside).unwrap(), within.filter(|text| !text.is_empty()).collect())
    }

    #[test]
    fn text_between_the_tokens_is_apart_wherever_the_reads_are_cut() {
        let text = b"a<!--XSUPERVISOR:BEGIN-->one\n<two<!--XSUPERVISOR:END-->b<<!--XSUPERVISOR:BEGIN--><!--XSUPERVISOR:END-->\n<!--";
        let expected = (
            "ab<\n<!--".to_owned(),
            vec![
                "<!--XSUPERVISOR:BEGIN-->one\n<two<!--XSUPERVISOR:END-->".to_owned(),
                "<!--XSUPERVISOR:BEGIN--><!--XSUPERVISOR:END-->".to_owned(),
            ],
        );
        for size in 1..=text.len() {
            assert_eq!(split(&text.chunks(size).collect::<Vec<_>>()), expected, "{size}");
        }
    }

    #[test]
    fn an_end_without_a_beginning_is_text_and_a_beginning_without_an_end_ends_with_the_stream() {
        assert_eq!(split(&[b"<!--XSUPERVISOR:END-->"]), ("<!--XSUPERVISOR:END-->".to_owned(), Vec::new()));
        let (outside, within) = split(&[b"a<!--XSUPERVISOR:BEGIN-->b<!--"]);
        assert_eq!((outside.as_str(), within), ("a", vec!["<!--XSUPERVISOR:BEGIN-->b<!--".to_owned()]));
    }

    proptest! {
        #[test]
        fn no_byte_is_lost_or_moved(
            parts in prop::collection::vec(
                prop_oneof![Just(BEGIN.to_vec()), Just(END.to_vec()), Just(b"<!--X".to_vec()), prop::collection::vec(any::<u8>(), 0..9)],
                0..20,
            ),
            size in 1..40usize,
        ) {
            let bytes = parts.concat();
            let (mut capture, mut all) = (Capture::default(), Vec::new());
            for read in bytes.chunks(size) {
                capture.feed(read, &mut |part| all.extend_from_slice(part.bytes));
            }
            capture.finish(&mut |part| all.extend_from_slice(part.bytes));
            prop_assert_eq!(all, bytes);
        }
    }
}
