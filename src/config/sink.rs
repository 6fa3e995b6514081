//! Reads the destination of a program's stream: `stdout` and `stderr` (spec, section 3.6).
//!
//! It is a word, or a table for a file. Errors of the file itself are found when it is opened; `lint.rs` warns of two
//! programs with the same file.

use crate::plan::{FileSink, Sink};

use super::defaults::over_built_in;
use super::keys::SINK;
use super::reader::Reader;
use super::table::{Item, Kind, Table};

/// A rotation renames every kept file: more of them would make it slow.
pub(super) const MOST_KEPT: u32 = 100;
/// A smaller file would be rotated after almost every line.
const LEAST_SIZE: u64 = 4096;

/// Reads `stdout` or `stderr`.
pub(super) fn sink(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Sink> {
    const EXPECTED: &str =
        "`log`, `inherit`, `memory`, `null`, or a table such as `{ file = \"/data/app.log\" }`";
    if let Kind::Table(given) = &item.value.kind {
        return file_sink(reader, item, given).map(Sink::File);
    }
    let text = reader.text_or(item, EXPECTED)?;
    let sink = match text.as_str() {
        "log" => Some(Sink::Log),
        "inherit" => Some(Sink::Inherit),
        "memory" => Some(Sink::Memory),
        "null" => Some(Sink::Null),
        _ => None,
    };
    if sink.is_none() {
        reader.refuse_text(item, &text, EXPECTED);
    }
    sink
}

fn file_sink(reader: &mut Reader<'_>, item: Item<'_>, given: &Table) -> Option<FileSink> {
    reader.check_keys(given, &SINK, &format!("in `{}`", item.name()));
    let table = over_built_in(given, &SINK);
    let path = reader.field(&table, "file", Reader::path);
    if table.get("file").is_none() {
        let message = format!("`{}` has no `file`", item.name());
        reader.diagnostics.error(item.value.span, message, "expected `file = \"…\"` in it");
    }
    let max_size = reader.field(&table, "max_size", size_or_unlimited);
    let keep = reader.field(&table, "keep", |reader, item| reader.integer(item, 0..=MOST_KEPT));
    Some(FileSink { path: path?, max_size: max_size?, keep: keep? })
}

/// Reads the size of a log file; `None` within: unlimited.
pub(super) fn size_or_unlimited(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Option<u64>> {
    const EXPECTED: &str = "a size such as `\"512K\"`, `\"50M\"` or `\"1G\"`, or `\"unlimited\"`";
    if let Kind::String(_) = item.value.kind
        && reader.text(item)? == "unlimited"
    {
        return Some(None);
    }
    let size = reader.size(item, EXPECTED)?;
    if size < LEAST_SIZE {
        let message = format!("`{}` cannot be {size} bytes", item.name());
        let note = "expected at least `\"4K\"`: each rotation renames every kept file";
        reader.diagnostics.error(item.value.span, message, note);
        return None;
    }
    Some(Some(size))
}
