//! HTML that is written piece by piece.
//!
//! What is not a literal of this program is escaped: [`Html::raw`] takes nothing else. What a program has written is made
//! [`printable`] first.

/// A document that is being written.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Html {
        self.0.push_str(markup);
        self
    }

    /// Adds text: of an element, or of an attribute in double quotes.
    pub(super) fn text(&mut self, text: impl AsRef<str>) -> &mut Html {
        for char in text.as_ref().chars() {
            match char {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                char => self.0.push(char),
            }
        }
        self
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// A line of output without the control sequences of terminals (ECMA-48), and without other control characters.
pub(super) fn printable(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\u{1b}' => match chars.peek() {
                // A sequence ends with its first character from `@` to `~`.
                Some('[') => {
                    chars.next();
                    let _ = chars.find(|char| matches!(char, '@'..='~'));
                }
                // A title or a link ends with BEL or ESC `\`.
                Some(']') => {
                    let _ = chars.find(|char| matches!(char, '\u{7}' | '\\'));
                }
                Some(_) => drop(chars.next()),
                None => {}
            },
            '\t' => text.push(char),
            // Those that change the direction of what follows could show another text than the program wrote.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => text.push(char::REPLACEMENT_CHARACTER),
            char if char.is_control() => {}
            char => text.push(char),
        }
    }
    text
}

/// A part of a query (RFC 3986).
pub(super) fn query(text: &str) -> String {
    let mut query = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                query.push(char::from(byte));
            }
            byte => query.push_str(&format!("%{byte:02X}")),
        }
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_element_or_attribute() {
        let mut html = Html::default();
        html.raw("<a title=\"").text("\"><script>'&").raw("\">5</a>");
        let text = String::from_utf8(html.into_bytes()).unwrap();
        assert_eq!(text, "<a title=\"&quot;&gt;&lt;script&gt;&#39;&amp;\">5</a>");
    }

    #[test]
    fn colours_titles_and_control_characters_are_left_out() {
        for (line, text) in [
            ("\u{1b}[1;32mok\u{1b}[0m done", "ok done"),
            ("\u{1b}]0;title\u{7}a\tb", "a\tb"),
            ("\u{1b}]8;;http://x\u{1b}\\link", "link"),
            ("a\rb\u{0}c\u{8}\u{1b}", "abc"),
            ("\u{1b}[", ""),
            ("\u{202e}evil", "\u{fffd}evil"),
            ("é 🦊", "é 🦊"),
        ] {
            assert_eq!(printable(line), text, "{line:?}");
        }
    }

    #[test]
    fn a_name_in_a_query_is_one_part_of_it() {
        assert_eq!(query("web.1"), "web.1");
        assert_eq!(query("a&b=c é"), "a%26b%3Dc%20%C3%A9");
    }
}
