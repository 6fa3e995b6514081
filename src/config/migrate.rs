//! `foster migrate`: the tables of another tool's configuration as TOML, as a person would write it.
//!
//! What is printed is what `foster run` of that file reads, so both behave the same; what has no equal is a comment. Pure.

use std::fmt::Write as _;

use super::document::Document;
use super::front_end::Format;
use super::table::{Item, Kind, Table, Value};
use crate::plan::Warning;

/// The texts about a format.
struct Words {
    page: &'static str,
    foster: &'static str,
    defaults: &'static str,
    /// What the names of its own variables begin with, which only a command that names one has a use for.
    variables: &'static [&'static str],
}

const SUPERVISORD: Words = Words {
    page: "docs/from-supervisord.md",
    foster: "All programs start at once, and foster stays when all have ended.",
    defaults: "supervisord's defaults, where foster's own are others.",
    variables: &["SUPERVISOR_"],
};

const PM2: Words = Words {
    page: "docs/from-pm2.md",
    foster: "All programs start at once, and foster ends when all have ended.",
    defaults: "PM2's defaults, where foster's own are others.",
    variables: &["name", "namespace", "exec_mode", "pm_id"],
};

/// The text of a document that was read from `source`, a file of this format.
pub(super) fn toml(document: &Document, format: Format, source: &str, warnings: &[Warning]) -> String {
    let words = if format == Format::Pm2 { PM2 } else { SUPERVISORD };
    let mut text = format!(
        "# From {}, by `foster migrate`. `foster check` checks it; {} says what differs.\n",
        one_line(source),
        words.page
    );
    for warning in warnings {
        let line = warning.line.map_or(String::new(), |line| format!("line {line}: "));
        let _ = writeln!(text, "# {line}{}", one_line(&warning.message));
    }
    section(&mut text, "foster", &document.foster, words.foster, &words);
    section(&mut text, "defaults", &document.defaults, words.defaults, &words);
    for (kind, item) in document.units() {
        let Kind::Table(table) = &item.value.kind else { continue };
        let namespec = table.get("namespec").and_then(|item| string(item.value));
        // PM2's has more in front of the name.
        let parts = if format == Format::Pm2 { 4 } else { 1 };
        let name = namespec.and_then(|text| text.splitn(parts, ':').last());
        let note = name.filter(|name| *name != item.name());
        let note = note.map_or(String::new(), |name| format!("Its name there is `{name}`."));
        section(&mut text, &format!("{}.{}", kind.name(), item.name()), table, &note, &words);
    }
    text
}

/// Keys that only a front-end has, or that say where another tool's clients are.
const LEFT_OUT: [&str; 2] = ["namespec", "socket"];

fn section(text: &mut String, heading: &str, table: &Table, note: &str, words: &Words) {
    text.push('\n');
    if !note.is_empty() {
        let _ = writeln!(text, "# {}", one_line(note));
    }
    let _ = writeln!(text, "[{heading}]");
    let is_command = |item: &Item<'_>| item.name() == "command";
    let is_own = |name: &str| {
        words.variables.iter().any(|own| *own == name || (own.ends_with('_') && name.starts_with(own)))
    };
    let names_them = |item: Item<'_>| string(item.value).is_some_and(|text| text.contains("SUPERVISOR_"));
    let keeps_all = table.get("command").is_some_and(names_them);
    let command = table.items().filter(is_command);
    let others = table.items().filter(|item| !is_command(item) && !LEFT_OUT.contains(&item.name()));
    for item in command.chain(others) {
        let value = if let (Kind::Table(inner), "environment") = (&item.value.kind, item.name()) {
            let own = inner.filtered(|name| keeps_all || !is_own(name));
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
