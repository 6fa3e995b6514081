//! Formats lines: verbatim, after the program's name, or as a JSON object.
//!
//! A [`LinePrefix`] is created once for each stream of a run. The part that all lines of one read share, including the time,
//! is formatted once ([`LinePrefix::head`]) and copied before each line. No line is longer than [`MAX_LINE`], where
//! container runtimes split lines. Pure: the time is an argument. Next: `json.rs`.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::Level;

use crate::lines::End;
use crate::{Stream, json, visible};

/// The limit for a line with its prefix and newline, in bytes.
pub const MAX_LINE: usize = 16 * 1024;

/// The least space for the text of a line, however long its prefix.
const MIN_TEXT: usize = 1024;

/// The colour of a program's name on a terminal: the parameter of SGR (ECMA-48, 8.3.117).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour(pub u8);

impl Colour {
    /// No colour, but bold.
    pub const BOLD: Colour = Colour(1);

    /// The text in this colour.
    pub fn around(self, text: &str) -> String {
        format!("\x1b[{}m{text}\x1b[0m", self.0)
    }
}

/// Whether text lines start with a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// They do.
    On,
    /// They do not.
    Off,
}

/// The prefix of each line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinePrefix(Form);

/// How the text of a line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Display {
    /// Unchanged.
    Raw,
    /// With its control characters made visible: for a terminal.
    Visible,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// Bytes as they came: a long line stays one line.
    Verbatim,
    /// A line, after the time and the name; each piece of a long one becomes a line. Pieces are not marked, because
    /// the program could write the mark itself.
    Text { timestamps: Timestamps, label: Vec<u8>, display: Display },
    /// An object; every piece of a long line but the last has `"partial":true`.
    Json { fields: Vec<u8> },
}

impl LinePrefix {
    /// No prefix, and long lines are not split: for files.
    pub fn verbatim() -> LinePrefix {
        LinePrefix(Form::Verbatim)
    }

    /// A line without a name.
    pub fn bare(timestamps: Timestamps) -> LinePrefix {
        LinePrefix(Form::Text { timestamps, label: Vec::new(), display: Display::Raw })
    }

    /// A line after a name that is padded to `width`.
    pub fn text(timestamps: Timestamps, name: &str, width: usize, colour: Option<Colour>) -> LinePrefix {
        let label = match colour {
            None => format!("{name:width$} | "),
            Some(Colour(colour)) => format!("\x1b[{colour}m{name:width$} |\x1b[0m "),
        };
        LinePrefix(Form::Text { timestamps, label: label.into_bytes(), display: Display::Raw })
    }

    /// The same for a terminal, with control characters made visible.
    #[must_use]
    pub fn for_terminal(self) -> LinePrefix {
        LinePrefix(match self.0 {
            Form::Text { timestamps, label, display: _ } => {
                Form::Text { timestamps, label, display: Display::Visible }
            }
            form @ (Form::Verbatim | Form::Json { .. }) => form,
        })
    }

    /// A JSON object with the line's origin.
    pub fn json(program: &str, instance: u16, stream: Stream, pid: Option<u32>) -> LinePrefix {
        let mut fields = b"\"program\":".to_vec();
        json::string(program.as_bytes(), &mut fields);
        fields.extend_from_slice(format!(",\"instance\":{instance}").as_bytes());
        fields.extend_from_slice(format!(",\"stream\":\"{}\"", stream.name()).as_bytes());
        if let Some(pid) = pid {
            fields.extend_from_slice(format!(",\"pid\":{pid}").as_bytes());
        }
        fields.extend_from_slice(b",\"msg\":\"");
        LinePrefix(Form::Json { fields })
    }

    /// The beginning of every line at this time.
    pub fn head(&self, now: SystemTime, head: &mut Vec<u8>) {
        head.clear();
        match &self.0 {
            Form::Verbatim => {}
            Form::Text { timestamps, label, display: _ } => {
                if *timestamps == Timestamps::On {
                    timestamp(now, head);
                    head.push(b' ');
                }
                head.extend_from_slice(label);
            }
            Form::Json { fields } => {
                head.extend_from_slice(b"{\"ts\":\"");
                timestamp(now, head);
                head.extend_from_slice(b"\",");
                head.extend_from_slice(fields);
            }
        }
    }

    /// How many bytes of a line fit into one piece after this head.
    pub fn limit(&self, head: &[u8]) -> usize {
        let tail = match &self.0 {
            Form::Verbatim => 0,
            Form::Text { .. } => 1,
            Form::Json { .. } => PARTIAL.len(),
        };
        MAX_LINE.saturating_sub(head.len() + tail).max(MIN_TEXT)
    }

    /// Adds one piece, within the limit, to `out`.
    pub fn write(&self, head: &[u8], piece: &[u8], end: End, out: &mut Vec<u8>) {
        match &self.0 {
            Form::Verbatim => {
                out.extend_from_slice(piece);
                if end == End::Line {
                    out.push(b'\n');
                }
            }
            Form::Text { display, .. } => {
                out.reserve(head.len() + piece.len() + 1);
                out.extend_from_slice(head);
                match display {
                    Display::Raw => out.extend_from_slice(piece),
                    Display::Visible => visible::push(piece, end, out),
                }
                out.push(b'\n');
            }
            Form::Json { .. } => objects(head, piece, end, self.limit(head), out),
        }
    }
}

const WHOLE: &[u8] = b"\"}\n";
const PARTIAL: &[u8] = b"\",\"partial\":true}\n";

/// Escaping makes text longer: a piece that fits may need several objects.
fn objects(head: &[u8], mut piece: &[u8], end: End, limit: usize, out: &mut Vec<u8>) {
    loop {
        out.extend_from_slice(head);
        let taken = json::escape(piece, limit, out);
        piece = piece.get(taken..).unwrap_or(&[]);
        if piece.is_empty() {
            out.extend_from_slice(if end == End::Line { WHOLE } else { PARTIAL });
            return;
        }
        out.extend_from_slice(PARTIAL);
    }
}

/// Adds the time as RFC 3339 in UTC, with microseconds. A time outside the format's range is replaced by the nearest one.
pub fn timestamp(now: SystemTime, out: &mut Vec<u8>) {
    // 9999-12-31T23:59:59Z: humantime rejects later times, and those before 1970.
    const LAST: Duration = Duration::from_secs(253_402_300_799);
    let now = now.clamp(UNIX_EPOCH, UNIX_EPOCH + LAST);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{}", humantime::format_rfc3339_micros(now));
}

/// The colour of a level.
pub fn level_colour(level: Level) -> Colour {
    match level {
        Level::Error => Colour(31),
        Level::Warn => Colour(33),
        Level::Info | Level::Debug | Level::Trace => Colour::BOLD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Lines;
    use proptest::prelude::*;

    fn at(seconds: u64, micros: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros)
    }

    fn written(prefix: &LinePrefix, bytes: &[u8]) -> Vec<u8> {
        let (mut head, mut out) = (Vec::new(), Vec::new());
        prefix.head(at(0, 0), &mut head);
        let mut lines = Lines::default();
        let mut emit = |piece: &[u8], end| prefix.write(&head, piece, end, &mut out);
        lines.feed(bytes, prefix.limit(&head), &mut emit);
        lines.finish(&mut emit);
        out
    }

    #[test]
    fn times_are_rfc_3339_in_utc_for_any_clock() {
        let text = |at| {
            let mut out = Vec::new();
            timestamp(at, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(at(951_782_399, 1)), "2000-02-28T23:59:59.000001Z");
        assert_eq!(text(at(951_782_400, 0)), "2000-02-29T00:00:00.000000Z");
        assert_eq!(text(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(at(1 << 40, 0)), "9999-12-31T23:59:59.000000Z");
    }

    #[test]
    fn text_lines_follow_a_padded_name() {
        let prefix = LinePrefix::text(Timestamps::Off, "web", 7, None);
        assert_eq!(written(&prefix, b"a\n\nb"), b"web     | a\nweb     | \nweb     | b\n");
        let stamped = LinePrefix::text(Timestamps::On, "web", 3, Some(Colour(36)));
        assert_eq!(written(&stamped, b"a\n"), b"1970-01-01T00:00:00.000000Z \x1b[36mweb |\x1b[0m a\n");
    }

    #[test]
    fn a_json_line_has_its_keys_in_order() {
        let prefix = LinePrefix::json("web", 1, Stream::Stderr, Some(42));
        let expected = r#"{"ts":"1970-01-01T00:00:00.000000Z","program":"web","instance":1,"stream":"stderr","pid":42,"msg":"a\tb"}"#;
        assert_eq!(String::from_utf8(written(&prefix, b"a\tb\n")).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_long_line_is_split_into_pieces_of_16_kib_and_nothing_is_lost() {
        let line = vec![b'x'; 100_000];
        let out = written(&LinePrefix::text(Timestamps::On, "web", 7, None), &line);
        assert!(out.split_inclusive(|byte| *byte == b'\n').all(|piece| piece.len() <= MAX_LINE));
        assert_eq!(out.iter().filter(|byte| **byte == b'x').count(), 100_000);
        let mut whole = line;
        whole.push(b'\n');
        assert_eq!(written(&LinePrefix::verbatim(), &whole), whole, "a file gets the line as it was");
    }

    proptest! {
        #[test]
        fn any_bytes_become_valid_json_with_the_same_text(
            unit in prop::collection::vec(any::<u8>(), 1..40), times in 1..2000usize,
        ) {
            let bytes: Vec<u8> = unit.iter().copied().cycle().take(unit.len() * times).collect();
            let out = written(&LinePrefix::json("w\"eb", 0, Stream::Stdout, None), &bytes);
            let mut text = String::new();
            for line in out.split_inclusive(|byte| *byte == b'\n') {
                prop_assert!(line.len() <= MAX_LINE);
                let object: serde_json::Value = serde_json::from_slice(line).unwrap();
                text.push_str(object["msg"].as_str().unwrap());
                if object.get("partial").is_none() {
                    text.push('\n');
                }
            }
            let mut expected = String::from_utf8_lossy(&bytes).into_owned();
            if !expected.ends_with('\n') {
                expected.push('\n');
            }
            prop_assert_eq!(text, expected);
        }
    }
}
