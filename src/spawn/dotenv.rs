//! The format of an env file: one `NAME=value` per line, without expansion.
//!
//! Blank lines, lines starting with `#`, and `export ` before a name are ignored. A value without quotes ends at the end
//! of the line or at a `#` after a blank, and is trimmed. Text in '…' is literal; in "…" a backslash starts `\n`, `\r`,
//! `\t`, `\"`, `\\`, `\$`, or joins lines. Quoted values can have several lines. Any other line is an error, which does
//! not quote it, because it may contain a secret.

/// A variable, in bytes: values need not be UTF-8.
pub(super) type Variable = (Vec<u8>, Vec<u8>);

/// A line that is not an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadLine {
    /// Its number, counted from 1.
    pub(super) line: usize,
    /// The error.
    pub(super) why: &'static str,
}

/// The remaining text, and its line.
struct Cursor<'a> {
    rest: &'a [u8],
    line: usize,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The variables, in order and with duplicates.
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
    cursor.take_byte(b'=').ok_or("`=` is missing")?;
    let left = left.trim_ascii();
    let name = match left.strip_prefix(b"export") {
        Some(rest) if rest.first().is_some_and(u8::is_ascii_whitespace) => rest.trim_ascii_start(),
        Some(_) | None => left,
    };
    if !is_name(name) {
        return Err("the text before `=` is not a name");
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

/// Letters, digits and `_`; also `.` and `-`, which some tools use.
fn is_name(name: &[u8]) -> bool {
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let first = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    first && name.iter().all(inner)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

/// A `#` starts a comment only after a blank: passwords and URLs contain it.
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

const UNCLOSED: &str = "the quote is not closed";

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

    /// The rest of the line without its end.
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
mod tests;
