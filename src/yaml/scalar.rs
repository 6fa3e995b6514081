//! Scalars: plain, quoted, blocks of lines, and keys.
//!
//! Lines are folded as YAML 1.2 says (chapters 7.3 and 8.1): a line end is a space, an empty line a line end.

use super::{Fault, Key, Node, Outcome, Reader, Value};

impl Reader<'_> {
    /// Whether a key is next: a scalar in this line, then `:` and a blank.
    pub(super) fn is_at_key(&self) -> bool {
        let rest = self.rest();
        let end = match rest.chars().next() {
            None | Some('#' | '[' | '{' | '*' | '&' | '!' | '|' | '>') => None,
            Some(quote @ ('"' | '\'')) => quoted_end(rest, quote),
            Some(_) => Some(plain_end(rest, false)),
        };
        let after = end.and_then(|end| rest.get(end..)).unwrap_or("").trim_start_matches([' ', '\t']);
        after.strip_prefix(':').is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    }

    /// Reads a key up to its `:`.
    pub(super) fn key(&mut self) -> Outcome<Key> {
        if self.rest().starts_with(['"', '\'']) {
            let node = self.quoted(0)?;
            return Ok(Key { text: node.text().unwrap_or("").to_owned(), place: node.place });
        }
        let start = self.at;
        let text = self.rest().get(..plain_end(self.rest(), false)).unwrap_or("").trim_end();
        let (text, length) = (text.to_owned(), text.len());
        self.at += length;
        Ok(Key { text, place: start..self.at })
    }

    /// Reads a key within `{…}`.
    pub(super) fn flow_key(&mut self) -> Outcome<Key> {
        let node = if self.rest().starts_with(['"', '\'']) { self.quoted(0)? } else { self.flow_plain()? };
        match node.value {
            Value::Plain(text) | Value::Quoted(text) => Ok(Key { text, place: node.place }),
            Value::List(_) | Value::Map(_) => Ok(Key { text: String::new(), place: node.place }),
        }
    }

    /// A plain scalar of one or more lines, indented by at least `least`.
    pub(super) fn plain(&mut self, least: usize) -> Outcome<Node> {
        let start = self.at;
        if self.rest().starts_with(['@', '`', '%', ',', ']', '}']) {
            return Err(self.fault("a value cannot start with this character", "expected it in quotes"));
        }
        let mut text = String::new();
        let mut end;
        loop {
            let part = self.rest().get(..plain_end(self.rest(), false)).unwrap_or("").trim_end();
            text.push_str(part);
            let length = part.len();
            self.at += length;
            end = (self.at, self.line);
            // Only a line without a comment continues.
            if !self.rest().trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
                break;
            }
            let mut breaks = 0;
            while self.rest().trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
                self.next_line();
                breaks += 1;
            }
            self.skip_spaces();
            if self.peek().is_none_or(|first| first == '#') || self.column() < least.max(1) {
                (self.at, self.line) = end;
                break;
            }
            if self.is_at_key() {
                return Err(self.fault(
                    "a key within a value",
                    "expected a line that is indented as the key before it, or quotes around the value",
                ));
            }
            text.push_str(if breaks == 1 { " " } else { "" });
            text.push_str(&"\n".repeat(breaks - 1));
        }
        (self.at, self.line) = end;
        self.node(Value::Plain(text), start)
    }

    /// A plain scalar within `[…]` or `{…}`.
    pub(super) fn flow_plain(&mut self) -> Outcome<Node> {
        let start = self.at;
        let mut text = String::new();
        loop {
            let part = self.rest().get(..plain_end(self.rest(), true)).unwrap_or("").trim_end();
            let length = part.len();
            if !text.is_empty() && length > 0 {
                text.push(' ');
            }
            text.push_str(part);
            self.at += length;
            let before = self.at;
            self.skip_flow();
            if before == self.at || self.peek().is_none_or(|next| ",]}:".contains(next)) || length == 0 {
                break;
            }
        }
        if text.is_empty() && !self.rest().starts_with([',', ':', '}', ']']) {
            return Err(self.fault("a value cannot start with this character", "expected it in quotes"));
        }
        self.node(Value::Plain(text), start)
    }

    /// A scalar in quotes, of one or more lines.
    pub(super) fn quoted(&mut self, least: usize) -> Outcome<Node> {
        let start = self.at;
        let quote = self.peek().unwrap_or('"');
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(next) = self.peek() else {
                return Err(Fault {
                    place: start..start + 1,
                    message: "a quote that is never closed",
                    note: "expected the same quote after the value",
                });
            };
            self.at += next.len_utf8();
            match next {
                '\'' if quote == '\'' && self.rest().starts_with('\'') => {
                    self.at += 1;
                    text.push('\'');
                }
                _ if next == quote => break,
                '\\' if quote == '"' => self.escape(&mut text)?,
                '\n' => {
                    self.line = self.at;
                    text.truncate(text.trim_end_matches([' ', '\t', '\r']).len());
                    self.fold(&mut text);
                    if self.column() < least && self.peek().is_some() {
                        return Err(self.fault(
                            "a quote that is not closed before this",
                            "expected a deeper indentation",
                        ));
                    }
                }
                other => text.push(other),
            }
        }
        self.node(Value::Quoted(text), start)
    }

    /// Goes over line ends: one is a space, each further one a line end.
    fn fold(&mut self, text: &mut String) {
        let mut breaks = 0;
        self.skip_spaces();
        while self.rest().starts_with('\n') {
            self.next_line();
            self.skip_spaces();
            breaks += 1;
        }
        text.push_str(if breaks == 0 { " " } else { "" });
        text.push_str(&"\n".repeat(breaks));
    }

    /// What follows `\` in double quotes (YAML 1.2, chapter 5.7).
    fn escape(&mut self, text: &mut String) -> Outcome<()> {
        let start = self.at - 1;
        // At the end of the text the quote is not closed, which the caller finds.
        let Some(sign) = self.peek() else { return Ok(()) };
        self.at += sign.len_utf8();
        let digits = match sign {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        const SIGNS: [(char, char); 18] = [
            ('n', '\n'),
            ('t', '\t'),
            ('\t', '\t'),
            ('"', '"'),
            ('\\', '\\'),
            ('/', '/'),
            ('r', '\r'),
            ('0', '\0'),
            (' ', ' '),
            ('a', '\u{7}'),
            ('b', '\u{8}'),
            ('e', '\u{1b}'),
            ('f', '\u{c}'),
            ('v', '\u{b}'),
            ('N', '\u{85}'),
            ('_', '\u{a0}'),
            ('L', '\u{2028}'),
            ('P', '\u{2029}'),
        ];
        if sign == '\n' {
            self.line = self.at;
            self.skip_spaces();
            return Ok(());
        }
        let found = match digits {
            0 => SIGNS.iter().find(|(known, _)| *known == sign).map(|(_, char)| *char),
            _ => {
                let hex = self.rest().get(..digits).unwrap_or("");
                let (code, length) = (u32::from_str_radix(hex, 16).ok(), hex.len());
                self.at += length;
                code.and_then(|code| self.character(code))
            }
        };
        match found {
            Some(char) => text.push(char),
            None => {
                return Err(Fault {
                    place: start..self.at,
                    message: "an unknown escape",
                    note: "expected `\\\\` for a backslash, or single quotes",
                });
            }
        }
        Ok(())
    }

    /// A code point; JSON writes those above U+FFFF as two.
    fn character(&mut self, code: u32) -> Option<char> {
        if !(0xd800..0xdc00).contains(&code) {
            return char::from_u32(code);
        }
        let low = self.rest().strip_prefix("\\u")?.get(..4)?;
        let low = u32::from_str_radix(low, 16).ok().filter(|low| (0xdc00..0xe000).contains(low))?;
        self.at += 6;
        char::from_u32(0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00))
    }

    /// `|` or `>` and the lines below.
    pub(super) fn block_scalar(&mut self, least: usize, start: usize) -> Outcome<Node> {
        let header_end = self.rest().find(char::is_whitespace).unwrap_or(self.rest().len());
        let header = self.rest().get(..header_end).unwrap_or("").to_owned();
        self.at += header.len();
        let digit = header.chars().find_map(|char| char.to_digit(10)).filter(|digit| *digit > 0);
        let is_header = header.len() <= 3
            && header.chars().skip(1).all(|char| char == '-' || char == '+' || char.is_ascii_digit());
        if !is_header || !self.ends_line() {
            return Err(self.fault_from(
                start,
                "not the start of a block of lines",
                "expected `|`, `|-`, `>` or `>-`, and the lines below",
            ));
        }
        self.next_line();
        let digit = digit.and_then(|digit| usize::try_from(digit).ok());
        let indent = digit.map(|digit| least.saturating_sub(1) + digit);
        let lines = self.block_lines(least, indent);
        let text = joined(&lines, header.starts_with('>'));
        let text = match (header.contains('-'), header.contains('+')) {
            (true, _) => text.trim_end_matches('\n').to_owned(),
            (_, true) => text,
            (false, false) => {
                let kept = text.trim_end_matches('\n');
                if kept.is_empty() { String::new() } else { format!("{kept}\n") }
            }
        };
        let node = self.node(Value::Quoted(text), start);
        // The last line end belongs to the block, and the next content starts a line.
        self.line = self.at;
        node
    }

    /// The lines that are indented as the first one, without the indentation.
    fn block_lines(&mut self, least: usize, mut indent: Option<usize>) -> Vec<String> {
        let mut lines = Vec::new();
        while !self.rest().is_empty() {
            let line = self.rest().lines().next().unwrap_or("");
            let blank = line.trim_matches([' ', '\r']).is_empty();
            let own = line.len() - line.trim_start_matches(' ').len();
            if !blank {
                let needed = *indent.get_or_insert(own.max(least));
                if own < needed {
                    break;
                }
            }
            lines.push(
                line.get(indent.unwrap_or(own).min(line.len())..)
                    .unwrap_or("")
                    .trim_end_matches('\r')
                    .to_owned(),
            );
            self.next_line();
        }
        lines
    }
}

/// The lines as one text: each ends with a line end, or is folded into the next.
fn joined(lines: &[String], is_folded: bool) -> String {
    let mut text = String::new();
    let is_plain = |line: &str| !line.is_empty() && !line.starts_with([' ', '\t']);
    let mut before: Option<&str> = None;
    let mut empty = 0;
    for line in lines.iter().map(String::as_str) {
        if line.is_empty() {
            empty += 1;
            continue;
        }
        // Lines that are indented deeper keep their line ends.
        let breaks = match before {
            None => empty,
            Some(before) if is_folded && is_plain(before) && is_plain(line) => empty,
            Some(_) => empty + 1,
        };
        text.push_str(if breaks == 0 && before.is_some() { " " } else { "" });
        text.push_str(&"\n".repeat(breaks));
        text.push_str(line);
        (before, empty) = (Some(line), 0);
    }
    text.push_str(&"\n".repeat(empty + usize::from(before.is_some())));
    text
}

/// Where a plain scalar ends: at `: `, ` #`, the end of the line, and within brackets at `,`, `[`, `]`, `{` and `}`.
fn plain_end(text: &str, in_flow: bool) -> usize {
    let mut before = 'x';
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        let ends = match char {
            '\n' => true,
            ':' => {
                next.is_none_or(char::is_whitespace)
                    || in_flow && next.is_some_and(|next| ",[]{}".contains(next))
            }
            '#' => before.is_whitespace(),
            ',' | '[' | ']' | '{' | '}' => in_flow,
            _ => false,
        };
        if ends {
            return at;
        }
        before = char;
    }
    text.len()
}

/// The byte after the closing quote, if it is in this line.
fn quoted_end(text: &str, quote: char) -> Option<usize> {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            '\n' => return None,
            '\\' if quote == '"' => {
                chars.next();
            }
            '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => {
                chars.next();
            }
            _ if char == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}
