//! Reports the keys of a table that foster does not know, each with the nearest one that it knows.
//!
//! `keys.rs` has the keys, `foreign.rs` those of other tools. Values are read in `reader.rs` and the files of their sections.

use super::foreign::foreign;
use super::key_spec::Section;
use super::keys::{FILE, SECTIONS};
use super::reader::Reader;
use super::table::{Item, Kind, Table};
use crate::suggest::{nearest, suggest};

/// The shortest key that is suggested for a longer word starting with it.
const SHORTEST_BEGINNING: usize = 4;

impl Reader<'_> {
    /// Reports every key that the section does not have. `owner` names the table in a sentence.
    pub(super) fn check_keys(&mut self, table: &Table, section: &Section, owner: &str) {
        for item in table.items() {
            let (name, span) = (item.name(), item.key.span);
            if section.key(name).is_some() {
                continue;
            }
            match section.remedy(name) {
                Some(remedy) => {
                    let message = format!("`{name}` {owner} is a key of programs only");
                    self.diagnostics.error(span, message, remedy);
                }
                None => {
                    let note = self.unknown_key(item, section);
                    self.diagnostics.error(span, format!("unknown key `{name}` {owner}"), note);
                }
            }
        }
    }

    /// The note about an unknown key: foster's key for that of another tool, the section that has the key, or the
    /// nearest key by spelling.
    fn unknown_key(&mut self, item: Item<'_>, section: &Section) -> String {
        let name = item.name();
        if let Some(note) = foreign(section, name) {
            return note;
        }
        if let (true, Kind::Table(inner)) = (section.heading == FILE.heading, &item.value.kind)
            && inner.get("command").is_some()
        {
            return format!("a program's table is `[program.{name}]`");
        }
        let known = || section.all_keys().map(|key| key.name);
        if let Some(near) = nearest(name, known()) {
            return format!("did you mean `{near}`?");
        }
        let elsewhere = SECTIONS.iter().find(|other| other.key(name).is_some());
        if let Some(other) = elsewhere {
            return format!("`{name}` is a key of {}", other.heading);
        }
        let is_begun = |key: &&str| key.len() >= SHORTEST_BEGINNING && name.starts_with(*key);
        match known().filter(is_begun).max_by_key(|key| key.len()) {
            Some(begun) => format!("did you mean `{begun}`?"),
            None => suggest(name, known()),
        }
    }
}
