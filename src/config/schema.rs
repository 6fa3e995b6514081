//! What a key is: its name, what it takes, what holds without it.
//!
//! The words for `keys.rs`, which holds the keys themselves. Nothing is read here.

use super::report::BUILT_IN;
use super::table::{Table, parse_trusted};

/// The keys that may stand together.
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
    /// What it takes.
    pub form: Form,
    /// What holds where it is not given.
    pub default: Preset,
    /// Whether this version knows what to do with it.
    pub support: Support,
    /// What it does.
    pub sentence: &'static str,
}

/// What a key takes.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// Any text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number with or without a fraction.
    Number,
    /// A duration.
    Duration,
    /// A signal.
    Signal,
    /// A signal or a list of them.
    Signals,
    /// A list of arguments, or a text to be split.
    Command,
    /// The path of a file.
    Path,
    /// Paths or patterns.
    Paths,
    /// Names of programs.
    Names,
    /// Whole numbers.
    Integers,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Names and values of the user's own; `[defaults]` is merged with it name by name.
    Map(&'static str),
    /// A form of its own, in a word.
    Own(&'static str),
    /// A table with keys of its own.
    Table(&'static Section),
}

/// What holds where a key is not given.
#[derive(Debug, PartialEq, Eq)]
pub enum Preset {
    /// It must be given.
    Required,
    /// This value, as TOML.
    Value(&'static str),
    /// What the words say.
    Words(&'static str),
}

/// Whether this version knows what to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// It does.
    Now,
    /// A later one will; until then the key is refused, so that nobody relies on it.
    Later,
}

impl Section {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Whether the two tables of this key, in `[defaults]` and in a program, are merged.
    pub fn merges(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| matches!(key.form, Form::Map(_)))
    }

    /// The values that hold where nothing is given.
    pub(super) fn defaults(&self) -> Table {
        let mut text = String::new();
        for key in self.keys {
            if let Preset::Value(value) = key.default {
                text.push_str(&format!("{} = {value}\n", key.name));
            }
        }
        parse_trusted(&text, BUILT_IN)
    }
}
