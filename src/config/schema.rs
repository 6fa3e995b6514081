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
    /// The name of a program, or a list of them.
    Names,
    /// Whole numbers.
    Integers,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Names and values of the user's own, in a word; `[defaults]` is merged with it name by name.
    Map(&'static str, Names, &'static [Takes]),
    /// A form of its own, in a word: one of these.
    Own(&'static str, &'static [Takes]),
    /// A table with keys of its own.
    Table(&'static Section),
}

/// One kind of value: what editors are told of a key (`json_schema.rs`). Wherever it is not [`Takes::Text`],
/// a string that expands to it will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
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
    /// A number of bytes.
    Size,
    /// A signal.
    Signal,
    /// The name of a program.
    Name,
    /// A capability.
    Capability,
    /// A text that matches this regular expression.
    Pattern(&'static str),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list of these.
    List(&'static [Takes]),
    /// A table with keys of its own.
    Table(&'static Section),
}

/// The names in a table whose names are the user's own.
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

    /// The default of a key that is a text, or nothing.
    pub fn preset_text(&self, name: &str) -> &'static str {
        match self.key(name).map(|key| &key.default) {
            Some(Preset::Value(value)) => value.trim_matches('"'),
            Some(Preset::Required | Preset::Words(_)) | None => "",
        }
    }

    /// Whether the two tables of this key, in `[defaults]` and in a program, are merged.
    pub fn merges(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| matches!(key.form, Form::Map(..)))
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
