//! supervisord's dialect of INI: sections, keys, continued lines, comments, each with its place in the text.
//!
//! As Python's `RawConfigParser` reads it for supervisord: a line that is indented deeper than the key before it continues
//! its value, `;` or `#` after a blank starts a comment, a section or a key that comes again adds to or replaces the first.
//! Pure. `config/supervisord.rs` gives the keys their meaning.

use std::ops::Range;

/// A text and the bytes of the file that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The text, without comments.
    pub text: String,
    /// Its place.
    pub place: Range<usize>,
}

/// A section with its keys, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// `program:web`.
    pub name: Text,
    /// Keys in lower case, and their values.
    pub keys: Vec<(Text, Text)>,
}

/// A line that is none of section, key and continuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub place: Range<usize>,
    /// What is wrong with it.
    pub message: &'static str,
}

impl Section {
    /// The value of a key; the last one counts.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.keys.iter().rev().find(|(known, _)| known.text == key).map(|(_, value)| value.text.as_str())
    }
}

/// The sections of a text, and the lines that belong to none.
pub fn parse(text: &str) -> (Vec<Section>, Vec<Fault>) {
    let mut reading = Reading { sections: Vec::new(), faults: Vec::new(), indent: None, blank_lines: 0 };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        reading.line(line.trim_end_matches(['\n', '\r']), start);
        start += line.len();
    }
    (reading.sections, reading.faults)
}

struct Reading {
    sections: Vec<Section>,
    faults: Vec<Fault>,
    /// How far the key is indented that a line may continue; `None`: there is none.
    indent: Option<usize>,
    /// The empty lines since its value.
    blank_lines: usize,
}

impl Reading {
    fn line(&mut self, line: &str, start: usize) {
        let content = without_comment(line);
        let indent = content.len() - content.trim_start().len();
        let content = content.trim();
        if content.is_empty() {
            // An empty line may stand within a value, a comment is as if it were not there.
            self.blank_lines += usize::from(line.trim().is_empty());
            return;
        }
        let place = start + indent..start + indent + content.len();
        let blank_lines = std::mem::take(&mut self.blank_lines);
        let value = self.sections.last_mut().and_then(|section| section.keys.last_mut());
        if let (Some((_, value)), Some(_)) = (value, self.indent.filter(|key| indent > *key)) {
            let breaks = if value.text.is_empty() && value.place.is_empty() { 1 } else { blank_lines + 1 };
            value.text.push_str(&"\n".repeat(breaks));
            value.text.push_str(content);
            value.place.end = place.end;
            return;
        }
        if let Some(name) =
            content.strip_prefix('[').and_then(|rest| rest.rsplit_once(']')).map(|(name, _)| name)
        {
            let name =
                Text { text: name.trim().to_owned(), place: place.start + 1..place.start + 1 + name.len() };
            self.sections.push(Section { name, keys: Vec::new() });
            self.indent = None;
            return;
        }
        let Some(section) = self.sections.last_mut() else {
            let message = "expected a section such as `[supervisord]` before this";
            self.faults.push(Fault { place, message });
            return;
        };
        let Some(at) = content.find(['=', ':']).filter(|at| *at > 0) else {
            let message = "expected `key = value`, or a deeper indentation to continue the value above";
            self.faults.push(Fault { place, message });
            return;
        };
        let (key, value) = (content.get(..at).unwrap_or(""), content.get(at + 1..).unwrap_or(""));
        let key = key.trim_end();
        let skipped = value.len() - value.trim_start().len();
        let key_place = place.start..place.start + key.len();
        let value_place = place.start + at + 1 + skipped..place.end;
        let key = Text { text: key.to_ascii_lowercase(), place: key_place };
        let value = Text { text: value.trim_start().to_owned(), place: value_place };
        section.keys.push((key, value));
        self.indent = Some(indent);
    }
}

/// The line up to its comment: `;` or `#` at its start or after a blank, also within quotes.
fn without_comment(line: &str) -> &str {
    let starts = |(at, _): &(usize, &str)| {
        line.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with(char::is_whitespace))
    };
    let at = line.match_indices([';', '#']).find(starts).map_or(line.len(), |(at, _)| at);
    line.get(..at).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(text: &str) -> Vec<(String, String, String)> {
        let (sections, faults) = parse(text);
        assert_eq!(faults, []);
        let keys = sections.iter().flat_map(|section| {
            section
                .keys
                .iter()
                .map(|(key, value)| (section.name.text.clone(), key.text.clone(), value.text.clone()))
        });
        keys.collect()
    }

    /// Each case was read by Python's `RawConfigParser` with supervisord's settings.
    #[test]
    fn lines_are_read_as_pythons_parser_reads_them() {
        for (text, expected) in [
            ("[a]\nk=v", vec![("a", "k", "v")]),
            ("[a] ; note\nKey : v = w", vec![("a", "key", "v = w")]),
            ("[a]\nk=v ; note\nl=v;w\nm='a ; b'", vec![("a", "k", "v"), ("a", "l", "v;w"), ("a", "m", "'a")]),
            ("[a]\nk=v # note\n# whole\n  ; whole\nl=x#y", vec![("a", "k", "v"), ("a", "l", "x#y")]),
            ("[a]\nk=one,\n  two,\n\tthree\nl=1", vec![("a", "k", "one,\ntwo,\nthree"), ("a", "l", "1")]),
            ("[a]\nk=\n  one\n  two", vec![("a", "k", "\none\ntwo")]),
            (
                "[a]\nk=one\n\n  two\n; note\n  three\n\n[b]\nk=1",
                vec![("a", "k", "one\n\ntwo\nthree"), ("b", "k", "1")],
            ),
            ("[a]\n  k=1\n  l=2\n    3", vec![("a", "k", "1"), ("a", "l", "2\n3")]),
            ("[program:a]\r\nk=v\r\n", vec![("program:a", "k", "v")]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())).collect();
            assert_eq!(keys(text), expected, "{text:?}");
        }
    }

    #[test]
    fn a_line_that_is_nothing_is_a_fault_at_its_place() {
        let text = "k=v\n[a]\nword\n=v\nl=1";
        let (sections, faults) = parse(text);
        let found: Vec<&str> = faults.iter().map(|fault| &text[fault.place.clone()]).collect();
        assert_eq!(found, ["k=v", "word", "=v"]);
        assert_eq!(sections[0].get("l"), Some("1"));
    }

    proptest! {
        #[test]
        fn every_place_is_in_the_text(text in "[ \\[\\]a:=;#é\\t\\r\\n]{0,60}") {
            let (sections, faults) = parse(&text);
            for fault in faults {
                prop_assert!(text.get(fault.place).is_some());
            }
            for section in sections {
                prop_assert!(text.get(section.name.place).is_some());
                for (key, value) in section.keys {
                    prop_assert_eq!(text.get(key.place).map(str::to_ascii_lowercase), Some(key.text));
                    prop_assert!(text.get(value.place).is_some());
                }
            }
        }
    }
}
