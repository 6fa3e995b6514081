//! foster's built-in defaults as tables, which the same code reads as a user's values.
//!
//! They are parsed once and shared by every program.

use std::sync::LazyLock;

use super::key_spec::Section;
use super::keys::SECTIONS;
use super::table::Table;

static BUILT_IN: LazyLock<Vec<(&str, Table)>> =
    LazyLock::new(|| SECTIONS.into_iter().map(|section| (section.heading, section.defaults())).collect());
static NONE: LazyLock<Table> = LazyLock::new(Table::default);

/// The built-in defaults of a section.
pub(super) fn built_in(section: &Section) -> &'static Table {
    BUILT_IN.iter().find(|(heading, _)| *heading == section.heading).map_or(&NONE, |(_, table)| table)
}

/// A table merged over the built-in defaults of its section.
pub(super) fn over_built_in(table: &Table, section: &Section) -> Table {
    table.over(built_in(section), &|_| false)
}
