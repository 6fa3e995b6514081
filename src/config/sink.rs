//! Where a stream of a program goes: `stdout` and `stderr` (spec, section 3.6).

use crate::plan::{FileSink, Sink};

use super::keys::SINK;
use super::reader::{Reader, shown};
use super::table::{Item, Kind};

/// More rotated files than this would make a rotation slow: each is renamed.
const MOST_KEPT: u32 = 1000;

const WORDS: [(&str, SinkWord); 3] =
    [("log", SinkWord::Log), ("inherit", SinkWord::Inherit), ("null", SinkWord::Null)];

/// The forms that are a word.
#[derive(Debug, Clone, Copy)]
enum SinkWord {
    Log,
    Inherit,
    Null,
}

/// Reads `stdout` or `stderr`.
pub(super) fn sink(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Sink> {
    const EXPECTED: &str = "`log`, `inherit`, `null`, or a table such as `{ file = \"/data/app.log\" }`";
    match &item.value.kind {
        Kind::Table(_) => file_sink(reader, item).map(Sink::File),
        Kind::String(_) => Some(match reader.choice(item, &WORDS)? {
            SinkWord::Log => Sink::Log,
            SinkWord::Inherit => Sink::Inherit,
            SinkWord::Null => Sink::Null,
        }),
        Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) | Kind::Datetime | Kind::Array(_) => {
            reader.refuse(item, &shown(item.value), EXPECTED);
            None
        }
    }
}

fn file_sink(reader: &mut Reader<'_>, item: Item<'_>) -> Option<FileSink> {
    let given = reader.table(item, "a table")?;
    reader.check_keys(given, &SINK, &format!("in `{}`", item.name()));
    let table = given.over(&SINK.defaults(), |_| false);
    let path = reader.field(&table, "file", Reader::path);
    if table.get("file").is_none() {
        let message = format!("`{}` does not say which file", item.name());
        reader.findings.error(item.value.place, message, "expected `file = \"…\"` in it");
    }
    let max_size = reader.field(&table, "max_size", size_or_unlimited);
    let keep = reader.field(&table, "keep", |reader, item| reader.integer(item, 0..=MOST_KEPT));
    Some(FileSink { path: path?, max_size: max_size?, keep: keep? })
}

fn size_or_unlimited(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Option<u64>> {
    if let Kind::String(_) = item.value.kind
        && reader.text(item)? == "unlimited"
    {
        return Some(None);
    }
    let size = reader.size(item)?;
    if size == 0 {
        reader.refuse(item, "zero", "a size, or `\"unlimited\"`");
        return None;
    }
    Some(Some(size))
}
