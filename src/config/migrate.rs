//! `foster migrate`: the tables of another tool's configuration as TOML, as a person would write it.
//!
//! What is printed is what `foster run` of that file reads, so both behave the same; what has no equal is a comment. Pure.

use std::fmt::Write as _;

use super::document::Document;
use super::table::{Item, Kind, Table, Value};
use crate::plan::Warning;

/// The text of a document that was read from `source`.
pub(super) fn toml(document: &Document, source: &str, warnings: &[Warning]) -> String {
    let mut text = format!(
        "# From {}, by `foster migrate`. `foster check` checks it; docs/from-supervisord.md says what differs.\n",
        one_line(source)
    );
    for warning in warnings {
        let line = warning.line.map_or(String::new(), |line| format!("line {line}: "));
        let _ = writeln!(text, "# {line}{}", one_line(&warning.message));
    }
    section(
        &mut text,
        "foster",
        &document.foster,
        "All programs start at once, and foster stays when all have ended.",
    );
    section(
        &mut text,
        "defaults",
        &document.defaults,
        "supervisord's defaults, where foster's own are others.",
    );
    for item in document.programs.items() {
        let Kind::Table(table) = &item.value.kind else { continue };
        let namespec = table.get("namespec").and_then(|item| string(item.value));
        let note = namespec.filter(|name| *name != item.name());
        let note = note.map_or(String::new(), |name| format!("Its name there is `{name}`."));
        section(&mut text, &format!("program.{}", item.name()), table, &note);
    }
    text
}

/// Keys that only a front-end has, or that say where another tool's clients are.
const LEFT_OUT: [&str; 2] = ["namespec", "socket"];

fn section(text: &mut String, heading: &str, table: &Table, note: &str) {
    text.push('\n');
    if !note.is_empty() {
        let _ = writeln!(text, "# {}", one_line(note));
    }
    let _ = writeln!(text, "[{heading}]");
    let is_command = |item: &Item<'_>| item.name() == "command";
    // Only a program that names these variables has a use for them.
    let names_them = |item: Item<'_>| string(item.value).is_some_and(|text| text.contains("SUPERVISOR_"));
    let keeps_all = table.get("command").is_some_and(names_them);
    let command = table.items().filter(is_command);
    let others = table.items().filter(|item| !is_command(item) && !LEFT_OUT.contains(&item.name()));
    for item in command.chain(others) {
        let value = if let (Kind::Table(inner), "environment") = (&item.value.kind, item.name()) {
            let own = inner.filtered(|name| keeps_all || !name.starts_with("SUPERVISOR_"));
            if own.items().next().is_none() {
                continue;
            }
            inline(&own)
        } else {
            written(item.value)
        };
        let _ = writeln!(text, "{} = {value}", item.name());
    }
}

fn string(value: &Value) -> Option<&str> {
    if let Kind::String(text) = &value.kind { Some(text) } else { None }
}

fn written(value: &Value) -> String {
    match &value.kind {
        Kind::String(text) => quoted(text),
        Kind::Integer(number) => number.to_string(),
        Kind::Float(number) => number.to_string(),
        Kind::Boolean(boolean) => boolean.to_string(),
        // No key takes one.
        Kind::Datetime => "\"\"".to_owned(),
        Kind::Array(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        Kind::Table(table) => inline(table),
    }
}

fn inline(table: &Table) -> String {
    let is_bare = |key: &str| {
        !key.is_empty() && key.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'))
    };
    let key = |name: &str| if is_bare(name) { name.to_owned() } else { quoted(name) };
    let pairs: Vec<String> =
        table.items().map(|item| format!("{} = {}", key(item.name()), written(item.value))).collect();
    format!("{{ {} }}", pairs.join(", "))
}

/// A TOML string: JSON's escapes are TOML's, but TOML does not allow DEL.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default().replace('\u{7f}', "\\u007f")
}

/// A comment ends with its line, so a text with line ends would become keys.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}
