//! foster's built-in defaults as tables, read by the same code as a user's values.
//!
//! Parsed once: every program, and every table inside one, starts from the same.

use std::sync::LazyLock;

use super::key_spec::Section;
use super::keys::SECTIONS;
use super::table::Table;

static BUILT_IN: LazyLock<Vec<(&str, Table)>> =
    LazyLock::new(|| SECTIONS.into_iter().map(|section| (section.heading, section.defaults())).collect());
static NONE: LazyLock<Table> = LazyLock::new(Table::default);

/// What applies in this section where nothing is given.
pub(super) fn built_in(section: &Section) -> &'static Table {
    BUILT_IN.iter().find(|(heading, _)| *heading == section.heading).map_or(&NONE, |(_, table)| table)
}

/// A table over the built-in defaults of its section.
pub(super) fn over_built_in(table: &Table, section: &Section) -> Table {
    table.over(built_in(section), &|_| false)
}
