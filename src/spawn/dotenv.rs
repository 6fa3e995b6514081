//! The text of an env file: `NAME=value` a line, nothing expanded.
//!
//! Blank lines and those that begin with `#` are passed over, `export ` before a name too. A value without
//! quotes ends at the line's end or at a `#` after a blank; blanks around it are not part of it. In '…' every
//! byte is itself; in "…" a backslash makes `\n`, `\r`, `\t`, `\"`, `\\`, `\$`, and joins lines. Quoted values may
//! have several lines. A line that is none of that is an error which never quotes it: it may hold a secret.

/// A variable, in bytes: values need not be UTF-8.
pub(super) type Variable = (Vec<u8>, Vec<u8>);

/// A line that is no assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadLine {
    /// Which, counted from 1.
    pub(super) line: usize,
    /// What is wrong with it.
    pub(super) why: &'static str,
}

/// What is left of the text, and where that is.
struct Cursor<'a> {
    rest: &'a [u8],
    line: usize,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The variables, in order. One that is there twice is in the list twice.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Variable>, BadLine> {
    let rest = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut cursor = Cursor { rest, line: 1 };
    let mut variables = Vec::new();
    loop {
        cursor.take_while(|byte| byte.is_ascii_whitespace());
        match cursor.rest.first() {
            None => return Ok(variables),
            Some(b'#') => drop(cursor.take_line()),
            Some(_) => {
                let line = cursor.line;
                variables.push(assignment(&mut cursor).map_err(|why| BadLine { line, why })?);
            }
        }
    }
}

fn assignment(cursor: &mut Cursor<'_>) -> Result<Variable, &'static str> {
    let left = cursor.take_while(|byte| byte != b'=' && byte != b'\n');
    cursor.take_byte(b'=').ok_or("there is no `=`")?;
    let left = left.trim_ascii();
    let name = match left.strip_prefix(b"export") {
        Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => rest.trim_ascii_start(),
        Some(_) | None => left,
    };
    if !is_name(name) {
        return Err("what is before `=` is no name");
    }
    let blanks = cursor.take_while(is_blank);
    let value = match cursor.rest.first() {
        Some(b'\'') => single_quoted(cursor)?,
        Some(b'"') => double_quoted(cursor)?,
        Some(_) | None => unquoted(cursor.take_line(), !blanks.is_empty()),
    };
    match value.contains(&0) {
        true => Err("the value contains a NUL byte"),
        false => Ok((name.to_vec(), value)),
    }
}

/// Letters, digits and `_`; `.` and `-` besides, since some write them.
fn is_name(name: &[u8]) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let first = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    first && name.iter().all(inner)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// A `#` begins a comment only after a blank: passwords begin with it, and URLs have one inside.
fn unquoted(text: &[u8], after_blank: bool) -> Vec<u8> {
    let mut blank = after_blank;
    let end = text.iter().position(|byte| {
        let comment = *byte == b'#' && blank;
        blank = is_blank(*byte);
        comment
    });
    text.split_at(end.unwrap_or(text.len())).0.trim_ascii_end().to_vec()
}

fn single_quoted(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, &'static str> {
    cursor.take_byte(b'\'');
    let value = cursor.take_while(|byte| byte != b'\'');
    end_of_quoted(cursor, b'\'').map(|()| value.to_vec())
}

fn double_quoted(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, &'static str> {
    cursor.take_byte(b'"');
    let mut value = Vec::new();
    loop {
        value.extend_from_slice(cursor.take_while(|byte| byte != b'"' && byte != b'\\'));
        if cursor.take_byte(b'\\').is_none() {
            return end_of_quoted(cursor, b'"').map(|()| value);
        }
        match cursor.take_any() {
            Some(b'n') => value.push(b'\n'),
            Some(b'r') => value.push(b'\r'),
            Some(b't') => value.push(b'\t'),
            Some(byte @ (b'"' | b'\\' | b'$')) => value.push(byte),
            Some(b'\n') => {}
            Some(byte) => value.extend_from_slice(&[b'\\', byte]),
            None => return Err(UNCLOSED),
        }
    }
}

const UNCLOSED: &str = "the quote that begins there is not closed";

fn end_of_quoted(cursor: &mut Cursor<'_>, quote: u8) -> Result<(), &'static str> {
    cursor.take_byte(quote).ok_or(UNCLOSED)?;
    match cursor.take_line().trim_ascii().first() {
        None | Some(b'#') => Ok(()),
        Some(_) => Err("something follows the closing quote"),
    }
}

impl<'a> Cursor<'a> {
    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !wanted(*byte)).unwrap_or(self.rest.len());
        self.take(end)
    }

    /// The rest of the line; its end is left.
    fn take_line(&mut self) -> &'a [u8] {
        self.take_while(|byte| byte != b'\n')
    }

    fn take_byte(&mut self, wanted: u8) -> Option<u8> {
        self.rest.first().is_some_and(|byte| *byte == wanted).then(|| self.take_any())?
    }

    fn take_any(&mut self) -> Option<u8> {
        self.take(1.min(self.rest.len())).first().copied()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.line += taken.iter().filter(|byte| **byte == b'\n').count();
        self.rest = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values(text: &str) -> Vec<(String, String)> {
        let text_of = |bytes| String::from_utf8(bytes).unwrap();
        parse(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|(name, value)| (text_of(name), text_of(value)))
            .collect()
    }

    fn value(text: &str) -> String {
        let mut all = values(text);
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0).1
    }

    #[test]
    fn a_plain_value_ends_with_its_line() {
        assert_eq!(value("A=1"), "1");
        assert_eq!(value("A=one two \r\n"), "one two");
        assert_eq!(value("  A = b = c\n"), "b = c");
        assert_eq!(value("A="), "");
        assert_eq!(value("A=\r\n"), "");
        assert_eq!(value("A={\"a\": 'b'}"), "{\"a\": 'b'}");
        assert_eq!(value(r"A=C:\new"), r"C:\new");
        assert_eq!(value("A=$HOME ${B}"), "$HOME ${B}");
    }

    #[test]
    fn a_comment_begins_after_a_blank_only() {
        assert_eq!(value("A=b # c"), "b");
        assert_eq!(value("A= # c"), "");
        assert_eq!(value("A=#b"), "#b");
        assert_eq!(value("A=http://x/#b\t#c"), "http://x/#b");
        assert_eq!(value("A=\"b\" # c"), "b");
        assert_eq!(value("A='b'#c"), "b");
    }

    #[test]
    fn quotes_keep_what_is_in_them() {
        assert_eq!(value(r#"A=" b # c ""#), " b # c ");
        assert_eq!(value(r#"A="\n\r\t\"\\\$\x""#), "\n\r\t\"\\$\\x");
        assert_eq!(value(r#"A='\n"$B'"#), r#"\n"$B"#);
        assert_eq!(value("A=\"b\nc\""), "b\nc");
        assert_eq!(value("A=\"b\\\nc\""), "bc");
        assert_eq!(value("A='b\r\nc'\r\n"), "b\r\nc");
        assert_eq!(value("A=\"\""), "");
    }

    #[test]
    fn blank_lines_comments_export_and_a_byte_order_mark_are_passed_over() {
        let text = "\u{feff}# first\r\n\r\n \t\n export A=1\n#B=2\nexport\tC=3\nexport=4\nexporter=5";
        let names: Vec<String> = values(text).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["A", "C", "export", "exporter"]);
    }

    #[test]
    fn a_value_need_not_be_utf_8() {
        assert_eq!(parse(b"A=\xff\xfe").unwrap(), [(b"A".to_vec(), b"\xff\xfe".to_vec())]);
    }

    #[test]
    fn a_bad_line_is_named_by_its_number() {
        let no_name = "what is before `=` is no name";
        for (text, line, why) in [
            ("A=1\n\nB", 3, "there is no `=`"),
            ("A='1\n2'\nB\nC=1", 3, "there is no `=`"),
            ("export A", 1, "there is no `=`"),
            ("=1", 1, no_name),
            ("1A=1", 1, no_name),
            ("A B=1", 1, no_name),
            ("\u{e9}=1", 1, no_name),
            ("export export A=1", 1, no_name),
            ("A=1\nB='2\n3\n", 2, UNCLOSED),
            ("A=\"2\\\"\n", 1, UNCLOSED),
            ("A=\"2\\", 1, UNCLOSED),
            ("A='1' 2", 1, "something follows the closing quote"),
            ("A='1\n2'3", 1, "something follows the closing quote"),
            ("A=1\0", 1, "the value contains a NUL byte"),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(BadLine { line, why }), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_variables_or_a_line_that_is_there(text: Vec<u8>) {
            match parse(&text) {
                Ok(variables) => prop_assert!(variables.iter().all(|(name, _)| is_name(name))),
                Err(bad) => {
                    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
                    prop_assert!((1..=lines).contains(&bad.line));
                }
            }
        }

        #[test]
        fn what_was_quoted_comes_back(value in "[^\0]*") {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("A=\"{escaped}\" # end\nB=1");
            let parsed = parse(text.as_bytes()).unwrap();
            prop_assert_eq!(&parsed[0].1, value.as_bytes());
            prop_assert_eq!(&parsed[1].1, b"1");
        }
    }
}
