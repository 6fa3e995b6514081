//! What a key is: its name, the values it takes, its default.
//!
//! The types that the tables in `keys.rs` are written with. Nothing is read here.

use super::span::BUILT_IN;
use super::table::{Table, parse_trusted};

/// The keys of one table.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// How it is written.
    pub heading: &'static str,
    /// What it is for.
    pub sentence: &'static str,
    /// Its keys, in the order in which they are explained.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The values it takes: one of these.
    pub kinds: &'static [ValueKind],
    /// What applies where it is not given.
    pub default: Default,
    /// Whether this version supports it.
    pub support: Support,
    /// What it does.
    pub sentence: &'static str,
}

/// One kind of value. Wherever it is not [`ValueKind::Text`] or a table, a string that expands to it will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// The path of a file, or a pattern of paths.
    Path,
    /// A regular expression.
    Regex,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with or without a fraction.
    Number,
    /// A duration.
    Duration,
    /// A number of bytes.
    Size,
    /// A signal.
    Signal,
    /// The name of a program.
    Program,
    /// A capability.
    Capability,
    /// A text of this form, which a regular expression describes.
    Pattern(&'static str, &'static str),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list of these.
    List(&'static [ValueKind]),
    /// A table of this, whose names are the user's; `[defaults]` is merged with it name by name.
    Map(&'static str, Names, &'static [ValueKind]),
    /// A table with keys that foster defines.
    Table(&'static Section),
}

/// The names in a table whose names are the user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// Programs.
    Programs,
    /// Signals.
    Signals,
    /// Variables of an environment.
    Variables,
    /// Resource limits.
    Limits,
    /// Header fields of HTTP.
    Headers,
}

/// What applies where a key is not given.
#[derive(Debug, PartialEq, Eq)]
pub enum Default {
    /// It must be given.
    Required,
    /// This value, as TOML.
    Value(&'static str),
    /// What the words say.
    Words(&'static str),
}

/// Whether this version supports a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Now,
    /// A later one will. Until then the key is refused, so that nothing relies on it.
    Later,
}

impl Section {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The default of a key that is a text, without its quotes; else nothing.
    pub fn default_text(&self, name: &str) -> &'static str {
        match self.key(name).map(|key| &key.default) {
            Some(Default::Value(value)) => value.trim_matches('"'),
            Some(Default::Required | Default::Words(_)) | None => "",
        }
    }

    /// Whether the two tables of this key, in `[defaults]` and in a program, are merged.
    pub fn merges(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| matches!(key.kinds, [ValueKind::Map(..)]))
    }

    /// The values that apply where nothing is given.
    pub(super) fn defaults(&self) -> Table {
        let mut text = String::new();
        for key in self.keys {
            if let Default::Value(value) = key.default {
                text.push_str(&format!("{} = {value}\n", key.name));
            }
        }
        parse_trusted(&text, BUILT_IN)
    }
}
