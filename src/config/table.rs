//! A TOML document as a tree in which every key and value has a [`Span`].
//!
//! The `toml` crate parses and recovers from syntax errors; this owned tree keeps the order of the file and is what the
//! rest of `config/` reads. A table can have values of several files, as a program merged over `[defaults]` does.
//! `reader.rs` converts it to Rust types.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::diagnostics::{DUPLICATE, Diagnostics};
use super::span::{Position, Span};

/// A key with its span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    /// Its name, without quotes.
    pub(super) name: String,
    /// Its position.
    pub(super) span: Span,
}

/// A value with its span.
#[derive(Debug, Clone)]
pub(super) struct Value {
    /// Its type and content.
    pub(super) kind: Kind,
    /// Its position.
    pub(super) span: Span,
}

/// The type and content of a value.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// A string, not expanded yet.
    String(String),
    /// An integer.
    Integer(i64),
    /// A floating-point number.
    Float(f64),
    /// A boolean.
    Boolean(bool),
    /// A date, a time or both: no key takes one.
    Datetime,
    /// A list.
    Array(Vec<Value>),
    /// Keys and values.
    Table(Table),
}

impl Value {
    /// The text of a string.
    pub(super) fn string(&self) -> Option<&str> {
        if let Kind::String(text) = &self.kind { Some(text) } else { None }
    }

    /// The keys of a table.
    pub(super) fn table(&self) -> Option<&Table> {
        if let Kind::Table(table) = &self.kind { Some(table) } else { None }
    }

    fn weight(&self) -> usize {
        match &self.kind {
            Kind::String(text) => text.len(),
            Kind::Array(values) => values.iter().map(|value| ENTRY + value.weight()).sum(),
            Kind::Table(table) => table.weight(),
            Kind::Integer(_) | Kind::Float(_) | Kind::Boolean(_) | Kind::Datetime => 0,
        }
    }
}

/// The memory of an entry beside its text, estimated.
const ENTRY: usize = 64;

/// Keys and values, in the order of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    entries: Vec<(Key, Value)>,
}

/// A value with its key, as an error message needs them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'t> {
    /// The key.
    pub(super) key: &'t Key,
    /// The value, or one of its elements.
    pub(super) value: &'t Value,
}

impl<'t> Item<'t> {
    /// Another value of the same key.
    pub(super) fn with(self, value: &'t Value) -> Item<'t> {
        Item { value, ..self }
    }

    /// The key's name.
    pub(super) fn name(self) -> &'t str {
        &self.key.name
    }
}

impl Table {
    /// The items, in order.
    pub(super) fn items(&self) -> impl Iterator<Item = Item<'_>> {
        self.entries.iter().map(|(key, value)| Item { key, value })
    }

    /// Its memory in bytes, estimated, to bound the size of a plan.
    pub(super) fn weight(&self) -> usize {
        self.entries.iter().map(|(key, value)| ENTRY + key.name.len() + value.weight()).sum()
    }

    /// The item of this name.
    pub(super) fn get(&self, name: &str) -> Option<Item<'_>> {
        self.items().find(|item| item.key.name == name)
    }

    /// Appends an entry; the caller has checked that the name is new.
    pub(super) fn push(&mut self, key: Key, value: Value) {
        self.entries.push((key, value));
    }

    /// The entries.
    pub(super) fn into_entries(self) -> Vec<(Key, Value)> {
        self.entries
    }

    /// The entries whose names `keep` selects.
    pub(super) fn filtered(&self, keep: impl Fn(&str) -> bool) -> Table {
        let kept = self.entries.iter().filter(|(key, _)| keep(&key.name));
        Table { entries: kept.cloned().collect() }
    }

    /// This table merged over `base`: the keys of this table win. For a key that `merges` selects, two tables are
    /// merged key by key.
    pub(super) fn over(&self, base: &Table, merges: &dyn Fn(&str) -> bool) -> Table {
        let mut own: BTreeMap<&str, &Value> = BTreeMap::new();
        own.extend(self.entries.iter().map(|(key, value)| (key.name.as_str(), value)));
        let mut result = Table::default();
        for (key, below) in &base.entries {
            match own.get(key.name.as_str()) {
                None => result.push(key.clone(), below.clone()),
                Some(above) if merges(&key.name) => {
                    result.push(key.clone(), merged(above, below));
                }
                Some(_) => {}
            }
        }
        for (key, value) in &self.entries {
            let done = merges(&key.name) && base.get(&key.name).is_some();
            if !done {
                result.push(key.clone(), value.clone());
            }
        }
        result
    }
}

fn merged(above: &Value, below: &Value) -> Value {
    match (&above.kind, &below.kind) {
        (Kind::Table(own), Kind::Table(base)) => {
            Value { kind: Kind::Table(own.over(base, &|_| false)), span: above.span }
        }
        (_, _) => above.clone(),
    }
}

/// How many syntax errors are reported for one file.
const MOST_SYNTAX_ERRORS: usize = 100;

/// Parses a file of the diagnostics. Syntax errors are reported there; the part that could be parsed is returned.
pub(super) fn parse(diagnostics: &mut Diagnostics, file: usize) -> Table {
    let text = diagnostics.text(file).to_owned();
    let (document, errors) = DeTable::parse_recoverable(&text);
    let count = errors.len();
    for error in errors.into_iter().take(MOST_SYNTAX_ERRORS) {
        // The parser has no span for a key with too many parts.
        let span = error.span().map(|span| at(file, span));
        let (message, note) = match span.and_then(|span| ini_header(&text, span.start)) {
            Some(note) => ("not a valid table header".to_owned(), note),
            None => reword(error.message()),
        };
        diagnostics.syntax_error(span.map_or(Position::File(file), Position::At), &message, &note);
    }
    if count > MOST_SYNTAX_ERRORS {
        let message = format!("{} more syntax errors are not listed", count - MOST_SYNTAX_ERRORS);
        diagnostics.syntax_error(Position::File(file), &message, "");
    }
    Tree { diagnostics, file }.table(document.get_ref())
}

/// The table of a text that is known to be valid: foster's own defaults.
pub(super) fn parse_trusted(text: &str, file: usize) -> Table {
    let mut diagnostics = Diagnostics::new();
    let (document, _) = DeTable::parse_recoverable(text);
    Tree { diagnostics: &mut diagnostics, file }.table(document.get_ref())
}

fn at(file: usize, span: Range<usize>) -> Span {
    Span { file, start: span.start, end: span.end.max(span.start) }
}

/// The parser's message, adjusted, and a note.
fn reword(message: &str) -> (String, String) {
    let message = message.strip_suffix(", expected nothing").unwrap_or(message);
    let (message, note) = match message {
        "duplicate key" => (DUPLICATE, ""),
        // The missing bracket belongs at the end of the list, not where the parser found the error.
        message if message.starts_with("missing comma between array elements") => {
            (message, "or a `]` is missing before this")
        }
        message => (message, ""),
    };
    (message.to_owned(), note.to_owned())
}

/// The TOML header for one of supervisord, such as `[program:web]`, at this byte.
fn ini_header(text: &str, byte: usize) -> Option<String> {
    let before = text.get(..byte)?;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(start..)?.lines().next()?.trim();
    let (kind, name) = line.strip_prefix('[')?.split_once(']')?.0.split_once(':')?;
    let is_plain = |part: &str| {
        !part.is_empty() && part.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'))
    };
    (is_plain(kind) && is_plain(name)).then(|| format!("in TOML it is `[{kind}.{name}]`"))
}

/// Converts the parser's tree of one file.
struct Tree<'f> {
    diagnostics: &'f mut Diagnostics,
    file: usize,
}

impl Tree<'_> {
    /// The parser limits the nesting to 80 levels, which bounds this recursion.
    fn table(&mut self, table: &DeTable<'_>) -> Table {
        let mut entries = Vec::new();
        for (key, value) in table {
            let key = Key { name: key.get_ref().to_string(), span: at(self.file, key.span()) };
            let value = self.value(value.get_ref(), at(self.file, value.span()));
            entries.push((key, value));
        }
        foster_core::sorted::sort_by_key(&mut entries, |(key, _): &(Key, Value)| key.span);
        Table { entries }
    }

    fn value(&mut self, value: &DeValue<'_>, span: Span) -> Value {
        let kind = match value {
            DeValue::String(text) => Kind::String(text.to_string()),
            DeValue::Boolean(boolean) => Kind::Boolean(*boolean),
            DeValue::Datetime(_) => Kind::Datetime,
            DeValue::Float(float) => Kind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Integer(integer) => {
                Kind::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or_else(|_| {
                    self.diagnostics.error(span, "this number does not fit in 64 bits", "");
                    0
                }))
            }
            DeValue::Array(values) => {
                let items = values.iter().map(|item| self.value(item.get_ref(), at(self.file, item.span())));
                Kind::Array(items.collect())
            }
            DeValue::Table(table) => Kind::Table(self.table(table)),
        };
        Value { kind, span }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn table(text: &str) -> Table {
        parse_trusted(text, 1)
    }

    fn names(table: &Table) -> Vec<&str> {
        table.items().map(Item::name).collect()
    }

    #[test]
    fn entries_have_the_order_of_the_file_and_their_spans() {
        let table = table("z = 1\na = [\"x\"]\nm.n = true\n");
        assert_eq!(names(&table), ["z", "a", "m"]);
        let item = table.get("a").expect("a");
        assert_eq!((item.key.span.start, item.value.span.start, item.value.span.end), (6, 10, 15));
    }

    #[test]
    fn the_upper_table_wins_and_only_selected_tables_are_merged() {
        let below = table("a = 1\nb = 1\nm = { x = 1, y = 1 }\nr = { x = 1, y = 1 }\n");
        let above = table("b = 2\nm = { y = 2, z = 2 }\nr = { y = 2 }\n");
        let result = above.over(&below, &|name| name == "m");
        let inner = |name: &str| {
            let Kind::Table(table) = &result.get(name).expect("an item").value.kind else {
                panic!("a table")
            };
            table.items().map(|item| format!("{}={:?}", item.name(), item.value.kind)).collect::<Vec<_>>()
        };
        assert_eq!(names(&result), ["a", "m", "b", "r"]);
        assert_eq!(inner("m"), ["x=Integer(1)", "y=Integer(2)", "z=Integer(2)"]);
        assert_eq!(inner("r"), ["y=Integer(2)"]);
    }

    #[test]
    fn a_file_that_is_not_toml_has_a_bounded_number_of_errors() {
        let mut diagnostics = Diagnostics::new();
        let file = diagnostics.add_source(Path::new("prose.toml"), "once upon\na time\n".repeat(50_000));
        parse(&mut diagnostics, file);
        let report = diagnostics.conclude::<()>(None).expect_err("a report");
        assert_eq!(report.count(), MOST_SYNTAX_ERRORS + 1);
    }

    #[test]
    fn a_deeply_nested_document_is_rejected() {
        for text in [
            format!("a = {}", "[".repeat(100_000)),
            format!("a = {}", "{a=".repeat(100_000)),
            format!("{}a = 1", "a.".repeat(100_000)),
            format!("[{}a]", "a.".repeat(100_000)),
        ] {
            let mut diagnostics = Diagnostics::new();
            let file = diagnostics.add_source(Path::new("deep.toml"), text);
            parse(&mut diagnostics, file);
            assert!(diagnostics.has_syntax_errors());
        }
    }
}
