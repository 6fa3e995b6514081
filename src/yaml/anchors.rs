//! Anchors, tags and aliases of YAML (YAML 1.2, 6.9 and 7.1). Copies of what an anchor names are counted: an alias in a text
//! of a few lines can stand for gigabytes. Nothing is resolved here but an alias. Next: `yaml.rs`, which calls it.

use std::ops::Range;

use super::{Fault, Inline, MOST_ANCHORS, MOST_COPIED, Node, Outcome, Reader, weight};

impl Reader<'_> {
    /// `&anchor` and `!tag` before a value.
    pub(super) fn with_properties(&mut self, least: usize, inline: Inline) -> Outcome<Node> {
        let mut anchor = None;
        while let Some('&' | '!') = self.peek() {
            anchor = self.property()?.or(anchor);
            self.skip_spaces();
        }
        // In a line with a key the anchor would be the key's.
        let is_followed = !self.rest().starts_with(['\n', '#']);
        let inline = if is_followed && inline != Inline::BelowKey { Inline::Yes } else { Inline::BelowKey };
        let node = self.block(least, inline)?;
        self.keep(anchor, &node)?;
        Ok(node)
    }

    /// Reads `&anchor`, or skips `!tag`.
    pub(super) fn property(&mut self) -> Outcome<Option<usize>> {
        let word = self.rest().get(..self.word_end()).unwrap_or("").to_owned();
        if self.anchors.len() >= MOST_ANCHORS {
            return Err(self.fault("too many anchors", "expected at most 1,000 in a file"));
        }
        self.at += word.len();
        Ok(word.strip_prefix('&').map(|name| {
            self.anchors.push((name.to_owned(), None));
            self.anchors.len() - 1
        }))
    }

    /// The length of a name of an anchor with its sign.
    pub(super) fn word_end(&self) -> usize {
        let end = self.rest().find(|char: char| char.is_whitespace() || matches!(char, ',' | ']' | '}'));
        end.unwrap_or(self.rest().len())
    }

    /// Completes an anchor.
    pub(super) fn keep(&mut self, anchor: Option<usize>, node: &Node) -> Outcome<()> {
        if let Some(anchor) = anchor {
            let copy = self.copy(node, node.place.clone())?;
            if let Some((_, value)) = self.anchors.get_mut(anchor) {
                *value = Some(copy);
            }
        }
        Ok(())
    }

    pub(super) fn copy(&mut self, node: &Node, place: Range<usize>) -> Outcome<Node> {
        self.copied = self.copied.saturating_add(weight(node));
        if self.copied > MOST_COPIED {
            let (message, note) =
                ("the aliases stand for more than 8 MiB of values", "expected fewer aliases of aliases");
            return Err(Fault { place, message, note });
        }
        Ok(node.clone())
    }

    /// `*anchor`.
    pub(super) fn alias(&mut self) -> Outcome<Node> {
        let start = self.at;
        self.at += self.word_end();
        let name = self.text.get(start + 1..self.at).unwrap_or("");
        let found = self.anchors.iter().rev().find(|(known, _)| known == name).map(|(_, node)| node.clone());
        match found {
            None => {
                Err(self.fault_from(start, "an alias without its anchor", "expected `&name` before `*name`"))
            }
            Some(None) => Err(self.fault_from(
                start,
                "an alias of the value that contains it",
                "such a value would have no end",
            )),
            Some(Some(node)) => {
                let node = self.copy(&node, start..self.at)?;
                Ok(Node { place: start..self.at, ..node })
            }
        }
    }
}
