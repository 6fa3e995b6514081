//! The specification of a key: its name, the values it takes, its default.
//!
//! The types for the tables in `keys.rs`. It reads no configuration.

use super::span::BUILT_IN;
use super::table::{Table, parse_trusted};

/// The keys of one table.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// The table's header.
    pub heading: &'static str,
    /// Its description.
    pub sentence: &'static str,
    /// The keys that it has in common with another table.
    pub shared: Option<Shared>,
    /// Its own keys, in the order of the documentation.
    pub keys: &'static [Key],
}

/// The keys that a table has in common with another one, which has their rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Shared {
    /// The other table.
    pub section: &'static Section,
    /// The common keys.
    pub names: &'static [&'static str],
    /// Remedies for keys that only the other table has.
    pub remedies: &'static [(&'static [&'static str], &'static str)],
}

/// One key.
#[derive(Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// The values it takes: one of these.
    pub kinds: &'static [ValueKind],
    /// Its value if it is not set.
    pub default: Default,
    /// Its description.
    pub sentence: &'static str,
}

/// One kind of value. Every kind but tables can also be a string that expands to it.
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
    /// A text of this form, and the regular expression for it.
    Pattern(&'static str, &'static str),
    /// One of these words.
    Words(&'static [&'static str]),
    /// A list of these.
    List(&'static [ValueKind]),
    /// A table with names that the user chooses; it is merged with that of `[defaults]` name by name.
    Map(&'static str, Names, &'static [ValueKind]),
    /// A table with keys that foster defines.
    Table(&'static Section),
}

/// The names in a table whose names the user chooses.
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

/// The value of a key that is not set.
#[derive(Debug, PartialEq, Eq)]
pub enum Default {
    /// It must be set.
    Required,
    /// This value, as TOML.
    Value(&'static str),
    /// A description of it.
    Words(&'static str),
}

impl Section {
    /// The key of this name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.all_keys().find(|key| key.name == name)
    }

    /// The common keys, then its own.
    pub fn all_keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        let shared = self.shared.iter().flat_map(|shared| {
            shared.names.iter().filter_map(|name| shared.section.keys.iter().find(|key| key.name == *name))
        });
        shared.collect::<Vec<_>>().into_iter().chain(self.keys)
    }

    /// The remedy for a key that this table does not have and the one that it shares keys with has.
    pub fn remedy(&self, name: &str) -> Option<&'static str> {
        let shared = self.shared.as_ref()?;
        shared.section.keys.iter().find(|key| key.name == name)?;
        let known = shared.remedies.iter().find(|(names, _)| names.contains(&name));
        Some(known.map_or("", |(_, remedy)| remedy))
    }

    /// The default of a key whose value is a text, without quotes; empty if there is none.
    pub fn default_text(&self, name: &str) -> &'static str {
        match self.key(name).map(|key| &key.default) {
            Some(Default::Value(value)) => value.trim_matches('"'),
            Some(Default::Required | Default::Words(_)) | None => "",
        }
    }

    /// Whether a program's table for this key is merged with that of `[defaults]`.
    pub fn merges(&self, name: &str) -> bool {
        self.key(name).is_some_and(|key| matches!(key.kinds, [ValueKind::Map(..)]))
    }

    /// The defaults as a table.
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
