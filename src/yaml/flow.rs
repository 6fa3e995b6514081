//! Collections in brackets and braces (YAML 1.2, 7.4), whose lines need no indentation. Next: `yaml.rs`, which calls it.

use super::{DEEPEST, Entries, Node, Outcome, Reader, Value};

impl Reader<'_> {
    /// `[…]`, `{…}`, or a scalar within.
    pub(super) fn flow(&mut self) -> Outcome<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(self.fault("values are nested too deeply", "expected at most 64 levels"));
        }
        let node = self.flow_within();
        self.depth -= 1;
        node
    }

    pub(super) fn flow_within(&mut self) -> Outcome<Node> {
        let mut anchor = None;
        while let Some('&' | '!') = self.peek() {
            anchor = self.property()?.or(anchor);
            self.skip_flow();
        }
        let start = self.at;
        let node = match self.peek() {
            Some('[') => {
                let mut items = Vec::new();
                self.at += 1;
                while self.goes_on(']', items.is_empty())? {
                    items.push(self.flow()?);
                }
                self.node(Value::List(items), start)?
            }
            Some('{') => {
                let mut entries = Entries::default();
                self.at += 1;
                while self.goes_on('}', entries.known.is_empty())? {
                    let key = self.flow_key()?;
                    self.skip_flow();
                    let node = if self.rest().starts_with(':') {
                        self.at += 1;
                        self.skip_flow();
                        self.flow()?
                    } else {
                        let end = self.at;
                        self.node(Value::Plain(String::new()), end)?
                    };
                    entries.add(key, node)?;
                }
                let map = entries.finish()?;
                self.node(map, start)?
            }
            Some('*') => self.alias()?,
            Some('"' | '\'') => self.quoted(0)?,
            Some(_) => self.flow_plain()?,
            None => return Err(self.fault("the text ends within `[` or `{`", "expected `]` or `}`")),
        };
        self.keep(anchor, &node)?;
        Ok(node)
    }

    /// Whether a flow collection has another value; its end is taken.
    pub(super) fn goes_on(&mut self, close: char, is_first: bool) -> Outcome<bool> {
        self.skip_flow();
        if !is_first && self.rest().starts_with(',') {
            self.at += 1;
            self.skip_flow();
        } else if !is_first && !self.rest().starts_with(close) && self.peek().is_some() {
            return Err(self.fault("a comma is missing before this", "expected `,` between the values"));
        }
        if self.rest().starts_with(close) {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Goes to the next content within brackets, where no indentation counts.
    pub(super) fn skip_flow(&mut self) {
        while self.ends_line() && !self.rest().is_empty() {
            self.next_line();
        }
    }
}
