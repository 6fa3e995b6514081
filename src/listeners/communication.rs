//! supervisord's process communication, out of the lines in which PID 1 passes it on (`crates/foster-lines/src/capture.rs`).
//!
//! Its text is bounded: of a longer one the end is kept, as supervisord does. Pure.

use foster_lines::capture;

use crate::cut;

/// The longest text in bytes: with the lines before it an event fits into a pipe, which a listener that is ready has emptied
/// (pipe(7)).
const LONGEST: usize = 60 * 1024;

/// What a stream of one process has of a communication.
#[derive(Debug, Default)]
pub(super) struct Communication {
    /// The text so far; `None`: between two communications.
    text: Option<String>,
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Ordinary output.
    Output,
    /// A part of a communication.
    Part,
    /// The last one, with the whole text.
    Whole(String),
}

impl Communication {
    /// Takes a line with its end, of a communication of at most this many bytes.
    pub(super) fn take(&mut self, line: &str, most: usize) -> Line {
        let (begin, end, most) = (token(capture::BEGIN), token(capture::END), most.min(LONGEST));
        let (text, line) = match (self.text.take(), line.strip_prefix(begin)) {
            (_, Some(rest)) => (String::new(), rest),
            (Some(text), None) => (text, line),
            (None, None) => return Line::Output,
        };
        let mut text = text + line;
        // A token ends its line.
        if let Some(whole) = text.strip_suffix('\n').unwrap_or(&text).strip_suffix(end) {
            return Line::Whole(cut::end(whole, most).to_owned());
        }
        let kept = cut::end(&text, most + end.len() + 1).len();
        text.drain(..text.len() - kept);
        self.text = Some(text);
        Line::Part
    }
}

fn token(bytes: &'static [u8]) -> &'static str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_communication_is_put_together_and_bounded() {
        let mut taken = Communication::default();
        let mut take = |line: &str| taken.take(line, 9);
        assert_eq!(take("plain\n"), Line::Output);
        assert_eq!(take("<!--XSUPERVISOR:BEGIN-->a<!--XSUPERVISOR:END-->\n"), Line::Whole("a".into()));
        assert_eq!(take("<!--XSUPERVISOR:BEGIN-->one\n"), Line::Part);
        assert_eq!(take("\n"), Line::Part);
        assert_eq!(take("two<!--XSUPERVISOR:END-->\n"), Line::Whole("one\n\ntwo".into()));
        assert_eq!(take("<!--XSUPERVISOR:BEGIN-->"), Line::Part);
        for _ in 0..1_000 {
            assert_eq!(take("éééé"), Line::Part);
        }
        // A long line comes in pieces, also within a token.
        assert_eq!(take("12<!--XSUPERVI"), Line::Part);
        assert_eq!(take("SOR:END-->\n"), Line::Whole("ééé12".into()));
        assert!(taken.text.is_none());
        assert_eq!(Communication::default().take("<!--XSUPERVISOR:END-->\n", 9), Line::Output);
    }

    #[test]
    fn a_text_that_no_pipe_can_take_is_cut_whatever_the_limit() {
        let mut taken = Communication::default();
        assert_eq!(taken.take("<!--XSUPERVISOR:BEGIN-->", usize::MAX), Line::Part);
        for _ in 0..100 {
            assert_eq!(taken.take(&"x".repeat(1_000), usize::MAX), Line::Part);
        }
        assert_eq!(taken.take("<!--XSUPERVISOR:END-->\n", usize::MAX), Line::Whole("x".repeat(LONGEST)));
    }

    #[test]
    fn one_without_an_end_goes_with_the_next_beginning() {
        let mut taken = Communication::default();
        assert_eq!(taken.take("<!--XSUPERVISOR:BEGIN-->lost\n", 9), Line::Part);
        let whole = "<!--XSUPERVISOR:BEGIN-->b<!--XSUPERVISOR:END-->\n";
        assert_eq!(taken.take(whole, 9), Line::Whole("b".into()));
    }
}
