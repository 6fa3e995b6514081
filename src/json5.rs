//! JSON as people write it: comments, trailing commas, keys without quotes, single quotes. Every value has its place.
//!
//! PM2 evaluates its JSON files as JavaScript, so they have all of that. Depth and the number of values are bounded. What it reads is a tree as of YAML. Pure.
//! `config/pm2.rs` gives the keys their meaning.

use crate::yaml::{Fault, Key, Node, Value};

/// Lists and objects within each other: configurations have five or six.
const DEEPEST: usize = 64;
/// The most values of one text.
const MOST_NODES: usize = 100_000;

/// Reads a text.
///
/// # Errors
/// The first place that cannot be read.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let mut reader = Reader { text, at: 0, depth: 0, nodes: 0 };
    reader.at = text.len() - text.trim_start_matches('\u{feff}').len();
    let node = reader.value()?;
    reader.skip_blank()?;
    if reader.peek().is_some() {
        return Err(
            reader.fault("this does not belong to the value before it", "expected the end of the file")
        );
    }
    Ok(node)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    nodes: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_next = self.peek() == Some(wanted);
        if is_next {
            self.at += wanted.len_utf8();
        }
        is_next
    }

    /// A fault at the next character.
    fn fault(&self, message: &'static str, note: &'static str) -> Fault {
        let length = self.peek().map_or(0, char::len_utf8);
        Fault { place: self.at..self.at + length, message, note }
    }

    fn skip_blank(&mut self) -> Result<(), Fault> {
        loop {
            let rest = self.rest();
            let length = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                match rest.find("*/") {
                    Some(end) => end + 2,
                    None => return Err(self.fault("this comment is not closed", "expected `*/`")),
                }
            } else {
                match self.peek() {
                    Some(char) if char.is_whitespace() || char == '\u{feff}' => char.len_utf8(),
                    _ => return Ok(()),
                }
            };
            self.at += length;
        }
    }

    fn value(&mut self) -> Result<Node, Fault> {
        self.skip_blank()?;
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.fault("more than 100000 values", "expected a smaller configuration"));
        }
        let start = self.at;
        let value = match self.peek() {
            Some('{') => self.nested(Self::map)?,
            Some('[') => self.nested(Self::list)?,
            Some('"' | '\'') => Value::Quoted(self.quoted()?),
            _ => self.plain()?,
        };
        Ok(Node { value, place: start..self.at })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Fault>) -> Result<Value, Fault> {
        if self.depth >= DEEPEST {
            return Err(self.fault("values are nested too deeply", "expected at most 64 levels"));
        }
        self.depth += 1;
        self.take();
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        loop {
            self.skip_blank()?;
            if self.takes(']') {
                return Ok(Value::List(items));
            }
            items.push(self.value()?);
            self.skip_blank()?;
            if !self.takes(',') && self.peek() != Some(']') {
                return Err(self.fault("the list does not go on like this", "expected `,` or `]`"));
            }
        }
    }

    fn map(&mut self) -> Result<Value, Fault> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        loop {
            self.skip_blank()?;
            if self.takes('}') {
                return Ok(Value::Map(entries));
            }
            let key = self.key()?;
            self.skip_blank()?;
            if !self.takes(':') {
                return Err(self.fault("no value follows the key", "expected `:`"));
            }
            let node = self.value()?;
            // The last one counts, as in JavaScript.
            entries.retain(|(known, _)| known.text != key.text);
            entries.push((key, node));
            self.skip_blank()?;
            if !self.takes(',') && self.peek() != Some('}') {
                return Err(self.fault("the object does not go on like this", "expected `,` or `}`"));
            }
        }
    }

    fn key(&mut self) -> Result<Key, Fault> {
        let start = self.at;
        let text = match self.peek() {
            Some('"' | '\'') => self.quoted()?,
            _ => self.word().to_owned(),
        };
        if self.at == start {
            return Err(self.fault("not a key", "expected a name, or one in quotes"));
        }
        Ok(Key { text, place: start..self.at })
    }

    /// Letters, digits, and what else numbers and names may have.
    fn word(&mut self) -> &str {
        let is_part = |char: char| char.is_alphanumeric() || matches!(char, '_' | '$' | '+' | '-' | '.');
        let length = self.rest().find(|char| !is_part(char)).unwrap_or(self.rest().len());
        let start = self.at;
        self.at += length;
        self.text.get(start..self.at).unwrap_or("")
    }

    fn plain(&mut self) -> Result<Value, Fault> {
        let start = self.at;
        let word = self.word().to_owned();
        match word.as_str() {
            "true" | "false" | "null" => return Ok(Value::Plain(word)),
            "undefined" => return Ok(Value::Plain("null".to_owned())),
            _ => {}
        }
        let number = match word.strip_prefix("0x").or(word.strip_prefix("0X")) {
            Some(digits) => i64::from_str_radix(digits, 16).ok().map(|number| number.to_string()),
            // As JavaScript prints it: `2e3` is 2000.
            None if word.starts_with(|char: char| char.is_ascii_digit() || "+-.".contains(char)) => {
                word.parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number.to_string())
            }
            None => None,
        };
        number.map(Value::Plain).ok_or(Fault {
            place: start..self.at.max(start + self.peek().map_or(0, char::len_utf8)),
            message: "not a value of JSON",
            note: "expected a text in quotes, a number, `true`, `false`, `null`, a list or an object",
        })
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        let start = self.at;
        let quote = self.take();
        let mut text = String::new();
        loop {
            let at = self.at;
            match self.take() {
                char if char == quote => return Ok(text),
                Some('\\') => match self.escaped() {
                    Some(part) => text.extend(part),
                    None => {
                        return Err(Fault {
                            place: at..self.at,
                            message: "not an escape of JSON",
                            note: "write `\\\\` for a backslash",
                        });
                    }
                },
                Some('\n') | None => {
                    return Err(Fault {
                        place: start..start + 1,
                        message: "this text is not closed",
                        note: "expected the same quote in this line",
                    });
                }
                Some(char) => text.push(char),
            }
        }
    }

    /// What follows a backslash; `Some(None)`: nothing, as after a continued line.
    fn escaped(&mut self) -> Option<Option<char>> {
        Some(Some(match self.take()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '0' => '\0',
            '\n' => return Some(None),
            '\r' => {
                self.takes('\n');
                return Some(None);
            }
            'x' => char::from_u32(self.hexadecimal(2)?)?,
            'u' => {
                let first = self.hexadecimal(4)?;
                // A pair of surrogates is one character.
                let is_pair = (0xd800..0xdc00).contains(&first) && self.rest().starts_with("\\u");
                if is_pair {
                    self.at += 2;
                    let second = self.hexadecimal(4)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)?
                } else {
                    char::from_u32(first)?
                }
            }
            char => char,
        }))
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits)?;
        let number = u32::from_str_radix(text, 16).ok();
        self.at += digits;
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Plain(text) => text.clone(),
            Value::Quoted(text) => format!("{text:?}"),
            Value::List(items) => {
                format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => {
                let entries: Vec<String> =
                    entries.iter().map(|(key, node)| format!("{}:{}", key.text, shown(node))).collect();
                format!("{{{}}}", entries.join(" "))
            }
        }
    }

    #[test]
    fn json_as_people_write_it_is_read() {
        let text = "\u{feff}// apps\n{ apps: [ /* one */ { name: 'it\\'s', \"args\": [\"-a\", 1, .5,], n: -2, x: 0x10, e: 2e3, },],\n\
                    t: true, u: undefined, z: \"\\u0041\\x42\\ud83d\\ude00\\\n|\", t: false }";
        let node = parse(text).expect("a value");
        assert_eq!(
            shown(&node),
            "{apps:[{name:\"it's\" args:[\"-a\" 1 0.5] n:-2 x:16 e:2000}] u:null z:\"AB😀|\" t:false}"
        );
    }

    #[test]
    fn a_mistake_has_its_place() {
        for (text, at, message) in [
            ("{ a: 1 b: 2 }", "b: 2 }", "the object does not go on like this"),
            ("[1 2]", "2]", "the list does not go on like this"),
            ("{ a }", "}", "no value follows the key"),
            ("{ a: process.env.X }", "process.env.X }", "not a value of JSON"),
            ("{ a: `x` }", "`x` }", "not a value of JSON"),
            ("{ a: 'x\n' }", "'x\n' }", "this text is not closed"),
            ("'\\u00'", "\\u00'", "not an escape of JSON"),
            ("/* x", "/* x", "this comment is not closed"),
            ("{} {}", "{}", "this does not belong to the value before it"),
            ("", "", "not a value of JSON"),
        ] {
            let fault = parse(text).expect_err(text);
            assert_eq!((text.get(fault.place.start..), fault.message), (Some(at), message), "{text}");
        }
    }

    #[test]
    fn depth_and_the_number_of_values_are_bounded() {
        assert_eq!(
            parse(&"[".repeat(100_000)).expect_err("too deep").message,
            "values are nested too deeply"
        );
        let many = format!("[{}]", "0,".repeat(MOST_NODES));
        assert_eq!(parse(&many).expect_err("too many").message, "more than 100000 values");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in "[\\[\\]{}:,'\"\\\\/*a0-9u\n é-]{0,60}") {
            if let Err(fault) = parse(&text) {
                prop_assert!(text.get(fault.place).is_some());
            }
        }

        #[test]
        fn what_serde_json_writes_is_read(text in ".{0,40}", number in any::<i32>()) {
            let written = serde_json::json!({ text.clone(): [text.clone(), number] }).to_string();
            let node = parse(&written).expect("a value");
            let [(key, list)] = node.entries() else { panic!("{written}") };
            let Value::List(items) = &list.value else { panic!("{written}") };
            prop_assert_eq!(&key.text, &text);
            prop_assert_eq!(items[0].text(), Some(text.as_str()));
            prop_assert_eq!(items[1].text().map(str::to_owned), Some(number.to_string()));
        }
    }
}
