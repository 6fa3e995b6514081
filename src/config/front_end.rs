//! What every front-end for the format of another tool shares: which format a file has, and foster's tables made by hand.
//!
//! A front-end makes the tables that TOML gives, so that every check, limit and message is the same. Next: `supervisord.rs`,
//! `pm2.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use super::diagnostics::Diagnostics;
use super::phrase::quoted;
use super::program::LONGEST_NAME;
use super::span::{BUILT_IN, Span};
use super::table::{Key, Kind, Table, Value};

/// The format of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// foster's own.
    Toml,
    /// supervisord's.
    Supervisord,
    /// An ecosystem file of PM2's.
    Pm2,
    /// `services` of Compose; like those below only for `foster migrate`.
    Compose,
    /// A Procfile.
    Procfile,
    /// Service directories of s6-overlay.
    S6,
    /// Units of systemd.
    Systemd,
}

/// The ends of names that are not foster's own format.
const ENDS: [(&str, Format); 9] = [
    ("conf", Format::Supervisord),
    ("ini", Format::Supervisord),
    ("json", Format::Pm2),
    ("json5", Format::Pm2),
    ("yml", Format::Pm2),
    ("yaml", Format::Pm2),
    ("js", Format::Pm2),
    ("cjs", Format::Pm2),
    ("mjs", Format::Pm2),
];

impl Format {
    /// The format of a file that foster runs, by its name.
    pub(super) fn of(path: &Path) -> Format {
        let end = path.extension().unwrap_or_default();
        let known = ENDS.iter().find(|(known, _)| end.eq_ignore_ascii_case(known));
        known.map_or(Format::Toml, |(_, format)| *format)
    }

    /// Whose format it is.
    pub(super) fn owner(self) -> &'static str {
        match self {
            Format::Toml => "foster",
            Format::Supervisord => "supervisord",
            Format::Pm2 => "PM2",
            Format::Compose => "Compose",
            Format::Procfile => "foreman",
            Format::S6 => "s6-overlay",
            Format::Systemd => "systemd",
        }
    }
}

/// A value of the other tool's that no file has.
pub(super) const DEFAULT: Span = Span { file: BUILT_IN, start: 0, end: 0 };

/// Names that no program can have.
const TAKEN: [&str; 2] = ["all", "foster"];
/// How many bytes of a longer name are kept, so that a number fits behind it.
const KEPT: usize = LONGEST_NAME - 4;

/// A name that foster can have for a program of this name.
pub(super) fn foster_name(name: &str, taken: &Table) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let plain: String = name.chars().take(KEPT).map(|char| if fits(char) { char } else { '-' }).collect();
    let plain = plain.trim_start_matches(['-', '_']);
    let plain = if plain.is_empty() { "program" } else { plain };
    let is_free = |name: &String| taken.get(name).is_none() && !TAKEN.contains(&name.as_str());
    let mut names = std::iter::once(plain.to_owned()).chain((2..).map(|number| format!("{plain}-{number}")));
    names.find(is_free).unwrap_or_default()
}

/// Sets a key of foster's to a value that was written at this place.
pub(super) fn set(table: &mut Table, name: &str, kind: Kind, span: Span) {
    table.push(Key { name: name.to_owned(), span }, Value { kind, span });
}

/// Drops each item whose name comes again: the last one counts, at its place.
pub(super) fn keep_last<T>(items: &mut Vec<T>, name: impl Fn(&T) -> &str) {
    let mut seen = BTreeSet::new();
    items.reverse();
    items.retain(|item| seen.insert(name(item).to_owned()));
    items.reverse();
}

pub(super) fn text(text: &str) -> Kind {
    Kind::String(text.to_owned())
}

/// A table of these texts.
pub(super) fn texts(pairs: &[(&str, &str)]) -> Kind {
    let mut table = Table::default();
    for (name, value) in pairs {
        set(&mut table, name, text(value), DEFAULT);
    }
    Kind::Table(table)
}

/// A text in foster's syntax, in which `$` may begin a reference.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// A list of texts.
pub(super) fn list<T: AsRef<str>>(texts: &[T], span: Span) -> Kind {
    Kind::Array(texts.iter().map(|one| Value { kind: text(one.as_ref()), span }).collect())
}

/// Says that a section or a key has no effect.
pub(super) fn ignored(diagnostics: &mut Diagnostics, span: Span, what: &str, why: &str) {
    diagnostics.warn(span, format!("{} has no effect: {why}", quoted(what)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_foster_cannot_have_gets_one_that_it_can() {
        let mut taken = Table::default();
        for (name, expected) in [
            ("web", "web"),
            ("web", "web-2"),
            ("my app", "my-app"),
            ("@scope/api.v1", "scope-api-v1"),
            ("all", "all-2"),
            ("é", "program"),
            (&"a".repeat(100), &"a".repeat(60)),
        ] {
            let name = foster_name(name, &taken);
            assert_eq!(name, expected);
            set(&mut taken, &name, text(""), DEFAULT);
        }
    }

    #[test]
    fn the_end_of_the_name_decides_the_format() {
        for (name, format) in [
            ("foster.toml", Format::Toml),
            ("supervisord.CONF", Format::Supervisord),
            ("ecosystem.config.js", Format::Pm2),
            ("process.json", Format::Pm2),
            ("foster", Format::Toml),
        ] {
            assert_eq!(Format::of(Path::new(name)), format, "{name}");
        }
    }
}
