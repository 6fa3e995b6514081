//! The YAML that people write configurations in: every key and value with its place in the text.
//!
//! Block and flow collections, plain and quoted scalars, block scalars, comments, anchors, aliases, `<<`, tags (skipped);
//! JSON is a part of that. Not read: complex keys (`? `), pairs without braces within `[…]`, and more than one document.
//! A scalar stays a text: what `yes` or `0123` mean depends on the key. Depth, the number of values and what aliases copy
//! are bounded, so that no text takes much memory or time. Pure. `yaml/scalar.rs` reads scalars, `yaml/flow.rs` what is in
//! brackets, `yaml/anchors.rs` anchors and aliases.

mod anchors;
mod flow;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;

/// A value and the bytes of the text that it was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its content.
    pub value: Value,
    /// Its place.
    pub place: Range<usize>,
}

/// The content of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text without quotes, which a key may read as a number, a boolean or null.
    Plain(String),
    /// A text in quotes, or a block of lines.
    Quoted(String),
    /// A list.
    List(Vec<Node>),
    /// Keys and values, in order; each key once.
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its text.
    pub text: String,
    /// Its place.
    pub place: Range<usize>,
}

/// Why a text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Range<usize>,
    /// What is wrong.
    pub message: &'static str,
    /// What was expected.
    pub note: &'static str,
}

impl Node {
    /// The text of a scalar; none for null.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Plain(text) if is_null(text) => None,
            Value::Plain(text) | Value::Quoted(text) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether it is null: `~`, `null`, or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(text) if is_null(text))
    }

    /// The entries of a map; none for another value.
    pub fn entries(&self) -> &[(Key, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// Collections within each other: configurations have five or six.
const DEEPEST: usize = 64;
/// The most anchors of one text.
const MOST_ANCHORS: usize = 1000;
/// The most values of one text.
const MOST_NODES: usize = 100_000;
/// The most bytes, estimated, that anchors and aliases may copy: a few lines of aliases to aliases stand for billions of values.
const MOST_COPIED: usize = 8 << 20;

/// Reads a text.
///
/// # Errors
/// The first place that cannot be read.
pub fn parse(text: &str) -> Result<Node, Fault> {
    let (start, end) = document(text)?;
    let mut reader = Reader {
        text: text.get(..end).unwrap_or(text),
        at: start,
        line: start,
        depth: 0,
        nodes: 0,
        copied: 0,
        anchors: Vec::new(),
    };
    let node = reader.block(0, Inline::No)?;
    reader.skip_blank()?;
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader
            .fault("this does not belong to the value before it", "expected a key, or a deeper indentation")),
    }
}

/// Where the text's only document starts and ends.
fn document(text: &str) -> Result<(usize, usize), Fault> {
    let (mut start, mut at) = (text.len() - text.trim_start_matches('\u{feff}').len(), 0);
    let (mut is_open, mut end) = (false, None);
    for line in text.split_inclusive('\n') {
        let is_marker = |marker: &str| {
            line.strip_prefix(marker)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
        };
        let is_content = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let begins = is_marker("---");
        if end.is_some() && (begins || is_content) {
            let place = at..at + line.trim_end().len();
            return Err(Fault {
                place,
                message: "a second document",
                note: "expected one document in the file",
            });
        }
        if begins && !is_open {
            start = at + 3;
        } else if begins || is_marker("...") {
            end = Some(at);
            // A marker may be the last line of the file.
            is_open = true;
        } else if !is_open && line.starts_with('%') {
            start = at + line.len();
        }
        is_open |= begins || (is_content && !line.starts_with('%'));
        at += line.len();
    }
    Ok((start, end.unwrap_or(text.len())))
}

/// Whether a value follows `key: ` in its line, where no block collection may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inline {
    /// After a key.
    Yes,
    /// At the start of a line, or after `- `.
    No,
    /// Below a key: a list may have the key's own indentation.
    BelowKey,
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    /// Where the current line starts.
    line: usize,
    depth: usize,
    nodes: usize,
    copied: usize,
    /// The anchors, each with its value once that is complete.
    anchors: Vec<(String, Option<Node>)>,
}

type Outcome<T> = Result<T, Fault>;

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether this and then a blank or the end of the line is next.
    fn is_next(&self, sign: &str) -> bool {
        self.rest()
            .strip_prefix(sign)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
    }

    fn column(&self) -> usize {
        self.at - self.line
    }

    /// A fault at the next word.
    fn fault(&self, message: &'static str, note: &'static str) -> Fault {
        let word = self.rest().split(char::is_whitespace).next().unwrap_or("");
        Fault { place: self.at..self.at + word.len(), message, note }
    }

    fn fault_from(&self, start: usize, message: &'static str, note: &'static str) -> Fault {
        Fault { place: start..self.at.max(start), message, note }
    }

    /// Goes to the next line.
    fn next_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
        self.line = self.at;
    }

    fn skip_spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
    }

    /// Skips spaces and a comment, and says whether the line ends there.
    fn ends_line(&mut self) -> bool {
        self.skip_spaces();
        let is_separate = self
            .text
            .get(..self.at)
            .is_none_or(|before| before.is_empty() || before.ends_with(char::is_whitespace));
        (is_separate && self.rest().starts_with('#'))
            || self.rest().is_empty()
            || self.rest().starts_with('\n')
    }

    /// Goes to the next content.
    fn skip_blank(&mut self) -> Outcome<()> {
        while self.ends_line() && !self.rest().is_empty() {
            self.next_line();
        }
        let indent = self.text.get(self.line..self.at).unwrap_or("");
        if indent.contains('\t') && indent.trim().is_empty() && !self.rest().is_empty() {
            return Err(self.fault("a tab in the indentation", "expected spaces"));
        }
        Ok(())
    }

    fn node(&mut self, value: Value, start: usize) -> Outcome<Node> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(self.fault_from(start, "too many values", "expected at most 100,000 in a file"));
        }
        let end = self.text.get(start..self.at).map_or(self.at, |text| start + text.trim_end().len());
        Ok(Node { value, place: start..end })
    }

    /// Reads a value in block style, indented by at least `least`.
    fn block(&mut self, least: usize, inline: Inline) -> Outcome<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fault("values are nested too deeply", "expected at most 64 levels"));
        }
        let node = self.block_within(least, inline);
        self.depth -= 1;
        node
    }

    fn block_within(&mut self, least: usize, mut inline: Inline) -> Outcome<Node> {
        if inline == Inline::Yes && self.ends_line() {
            inline = Inline::BelowKey;
        }
        if inline != Inline::Yes {
            self.skip_blank()?;
        }
        let start = self.at;
        // A list below a key may have the key's own indentation.
        let is_outdented_list = inline == Inline::BelowKey && self.column() + 1 == least && self.is_next("-");
        if self.peek().is_none() || (self.column() < least && !is_outdented_list) {
            let end = self.at;
            let node = self.node(Value::Plain(String::new()), end)?;
            return Ok(node);
        }
        match self.peek() {
            Some('&' | '!') => return self.with_properties(least, inline),
            Some('?') if self.is_next("?") => {
                return Err(self.fault("a complex key", "expected `key: value`"));
            }
            Some('-') if self.is_next("-") && inline != Inline::Yes => return self.list(),
            Some('-') if self.is_next("-") => {
                return Err(self.fault(
                    "a list that starts in the line of its key",
                    "expected it in the next line, or in `[…]`",
                ));
            }
            Some('|' | '>') => return self.block_scalar(least, start),
            Some(_) | None => {}
        }
        if inline != Inline::Yes && self.is_at_key() {
            return self.map();
        }
        let node = match self.peek() {
            Some('[' | '{') => self.flow()?,
            Some('*') => self.alias()?,
            Some('"' | '\'') => self.quoted(least)?,
            Some(_) | None => self.plain(least)?,
        };
        if !self.ends_line() {
            let note = if self.rest().starts_with(':') {
                "a value that contains `: ` is in quotes, and each key begins a line"
            } else {
                "expected the end of the line"
            };
            return Err(self.fault("this does not belong to the value before it", note));
        }
        Ok(node)
    }

    /// `- value` lines.
    fn list(&mut self) -> Outcome<Node> {
        let (start, column) = (self.at, self.column());
        let mut items = Vec::new();
        loop {
            self.at += 1;
            items.push(self.block(column + 1, Inline::No)?);
            self.skip_blank()?;
            if self.column() != column || !self.is_next("-") {
                break;
            }
        }
        self.check_depth(column)?;
        self.node(Value::List(items), start)
    }

    /// `key: value` lines.
    fn map(&mut self) -> Outcome<Node> {
        let (start, column) = (self.at, self.column());
        let mut entries = Entries::default();
        while self.column() == column && self.is_at_key() {
            let key = self.key()?;
            self.skip_spaces();
            self.at += 1;
            let node = self.block(column + 1, Inline::Yes)?;
            entries.add(key, node)?;
            self.skip_blank()?;
        }
        self.check_depth(column)?;
        if self.peek().is_some() && self.column() == column && !self.is_next("-") {
            return Err(self.fault("this is not a key", "expected `key: value`"));
        }
        let map = entries.finish()?;
        self.node(map, start)
    }

    /// After a collection comes its parent's next entry, or the end.
    fn check_depth(&self, column: usize) -> Outcome<()> {
        if self.peek().is_some() && self.column() > column {
            return Err(self.fault(
                "this line is indented deeper than those before it",
                "expected the same indentation",
            ));
        }
        Ok(())
    }
}

/// The entries of a map that is being read.
#[derive(Default)]
struct Entries {
    entries: Vec<(Key, Node)>,
    known: BTreeSet<String>,
    merged: Vec<Node>,
}

impl Entries {
    fn add(&mut self, key: Key, node: Node) -> Outcome<()> {
        if key.text == "<<" {
            match node.value {
                Value::List(nodes) => self.merged.extend(nodes),
                Value::Map(_) | Value::Plain(_) | Value::Quoted(_) => self.merged.push(node),
            }
            self.known.insert(key.text);
            return Ok(());
        }
        if !self.known.insert(key.text.clone()) {
            return Err(Fault {
                place: key.place,
                message: "this key is there already",
                note: "expected each key once",
            });
        }
        self.entries.push((key, node));
        Ok(())
    }

    /// Adds what `<<` names: the map's own keys win, then the first of several maps.
    fn finish(mut self) -> Outcome<Value> {
        for node in std::mem::take(&mut self.merged) {
            let Value::Map(entries) = node.value else {
                let (message, note) = ("`<<` merges maps", "expected an alias of a map, or a list of them");
                return Err(Fault { place: node.place, message, note });
            };
            for (key, value) in entries {
                if self.known.insert(key.text.clone()) {
                    self.entries.push((key, value));
                }
            }
        }
        Ok(Value::Map(self.entries))
    }
}

/// The memory of a value, estimated.
fn weight(node: &Node) -> usize {
    const NODE: usize = 64;
    NODE + match &node.value {
        Value::Plain(text) | Value::Quoted(text) => text.len(),
        Value::List(items) => items.iter().map(weight).sum(),
        Value::Map(entries) => entries.iter().map(|(key, node)| NODE + key.text.len() + weight(node)).sum(),
    }
}
