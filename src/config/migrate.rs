//! `foster migrate`: the tables of another tool's configuration as TOML, as a person would write it.
//!
//! What is printed is what `foster run` of that file reads, so both behave the same; what has no equal is a comment. Pure.

use std::fmt::Write as _;

use super::front_end::{DEFAULT, Format, set, text};
use super::merged::Document;
use super::span::{Position, Span};
use super::table::{Item, Key, Kind, Table, Value};

/// The texts about a format.
struct Words {
    page: &'static str,
    foster: &'static str,
    defaults: &'static str,
    /// The prefix of the tool's variables, which only a command that names one needs.
    variables: Option<&'static str>,
}

const SUPERVISORD: Words = Words {
    page: "docs/from-supervisord.md",
    foster: "All programs start at once, and foster stays when all have ended.",
    defaults: "supervisord's defaults, where foster's own are others.",
    variables: Some("SUPERVISOR_"),
};

const PM2: Words = Words {
    page: "docs/from-pm2.md",
    foster: "All programs start at once, and foster ends when all have ended.",
    defaults: "PM2's defaults, where foster's own are others.",
    variables: None,
};

const STOP: &str = "Programs that depend on each other stop one after the other.";

const COMPOSE: Words = Words {
    page: "docs/from-compose.md",
    foster: STOP,
    defaults: "Docker restarts without a limit, and one container's end does not end the others.",
    variables: None,
};

const PROCFILE: Words = Words {
    page: "docs/from-compose.md",
    foster: STOP,
    defaults: "foreman ends all processes when one ends. Without these lines each is restarted.",
    variables: None,
};

const S6: Words = Words {
    page: "docs/from-s6-overlay.md",
    foster: STOP,
    defaults: "s6 restarts without a limit, at most once a second, and a service's end does not end the container.",
    variables: None,
};

const SYSTEMD: Words = Words {
    page: "docs/from-systemd.md",
    foster: STOP,
    defaults: "systemd's defaults, where foster's own are others.",
    variables: None,
};

fn words(format: Format) -> Words {
    match format {
        Format::Toml | Format::Supervisord => SUPERVISORD,
        Format::Pm2 => PM2,
        Format::Compose => COMPOSE,
        Format::Procfile => PROCFILE,
        Format::S6 => S6,
        Format::Systemd => SYSTEMD,
    }
}

/// A part of the result: a table with its heading, and the comments before it.
struct Section<'d> {
    heading: String,
    table: &'d Table,
    /// Where it starts in the tool's files.
    start: Span,
    notes: Vec<String>,
}

/// The text of a document that was read from `source`, with the warnings as comments.
pub(super) fn toml(
    document: &Document,
    source: &str,
    format: Format,
    warnings: Vec<(Position, String)>,
) -> String {
    let words = words(format);
    let mut sections = Vec::new();
    for (heading, table, note) in
        [("foster", &document.foster, words.foster), ("defaults", &document.defaults, words.defaults)]
    {
        let is_shown = table.items().any(|item| !LEFT_OUT.contains(&item.name()));
        let notes = Vec::from_iter((!note.is_empty()).then(|| note.to_owned()));
        let section = Section { heading: heading.to_owned(), table, start: DEFAULT, notes };
        sections.extend(is_shown.then_some(section));
    }
    let web = web(document);
    if let Some((table, notes)) = &web {
        let notes = notes.iter().map(|note| (*note).to_owned()).collect();
        sections.push(Section { heading: "web".to_owned(), table, start: DEFAULT, notes });
    }
    for (kind, item) in document.units() {
        let Some(table) = item.value.table() else { continue };
        let namespec = table.get("namespec").and_then(|item| item.value.string());
        // PM2's has more in front of the name.
        let parts = if format == Format::Pm2 { 4 } else { 1 };
        let renamed =
            namespec.and_then(|text| text.splitn(parts, ':').last()).filter(|name| *name != item.name());
        let renamed = renamed.map(|name| format!("Its name there is `{name}`."));
        let is_set =
            |key: &&str| table.get(key).is_some_and(|item| matches!(item.value.kind, Kind::Boolean(true)));
        let captures = CAPTURES.iter().any(is_set).then(|| CAPTURED.to_owned());
        let notes = renamed.into_iter().chain(captures).collect();
        let heading = format!("{}.{}", kind.name(), item.name());
        sections.push(Section { heading, table, start: item.key.span, notes });
    }
    let mut text = format!(
        "# From {}, by `foster migrate`. `foster check` checks it; {} says what differs.\n",
        one_line(source),
        words.page
    );
    for (position, warning) in warnings {
        match section_at(&mut sections, &document.outside, position) {
            Some(section) => section.notes.push(warning),
            None => {
                let _ = writeln!(text, "# {}", one_line(&warning));
            }
        }
    }
    sections.iter().for_each(|section| write(&mut text, section, &words));
    text
}

/// `[web]` for a TCP server of a supervisord configuration, and what is to be known of it.
fn web(document: &Document) -> Option<(Table, Vec<&'static str>)> {
    let (server, listen) = document.servers.iter().find_map(|(server, _)| {
        let listen = server.get("listen")?.value.string()?.strip_prefix("tcp://")?;
        Some((server, listen))
    })?;
    let (mut table, mut notes) =
        (Table::default(), vec!["The page of `[inet_http_server]`, without its XML-RPC."]);
    set(&mut table, "listen", text(listen), DEFAULT);
    match server.get("username").filter(|_| server.get("password").is_some()) {
        Some(username) => {
            notes.push("Put the password, or its `{SHA}`, into this file.");
            set(&mut table, "username", username.value.kind.clone(), DEFAULT);
            set(&mut table, "password_file", text("/run/foster-web-password"), DEFAULT);
            set(&mut table, "control", Kind::Boolean(true), DEFAULT);
        }
        None => notes.push("With `username` and `password_file` it may have `control = true`, for buttons."),
    }
    Some((table, notes))
}

/// The program that a warning is about: the last one that starts before it.
fn section_at<'s, 'd>(
    sections: &'s mut [Section<'d>],
    outside: &[Span],
    position: Position,
) -> Option<&'s mut Section<'d>> {
    let Position::At(span) = position else { return None };
    let is_before = |start: &Span| *start != DEFAULT && (start.file, start.start) <= (span.file, span.start);
    let outside = outside.iter().copied().filter(is_before).max();
    let starts = sections.iter().map(|section| section.start);
    let start = starts.filter(is_before).max().filter(|start| outside.is_none_or(|other| other < *start))?;
    sections.iter_mut().find(|section| section.start == start)
}

/// Keys that only a front-end has, or that say where another tool's clients are.
const LEFT_OUT: [&str; 4] = ["namespec", "socket", "stdout_capture", "stderr_capture"];
const CAPTURES: [&str; 2] = ["stdout_capture", "stderr_capture"];
const CAPTURED: &str = "`capture_maxbytes` has no equal: communications stay in the output. `foster run` of the file itself has them.";
/// More variables get a separate table.
const MOST_INLINE: usize = 3;

fn write(text: &mut String, section: &Section<'_>, words: &Words) {
    text.push('\n');
    for note in &section.notes {
        let _ = writeln!(text, "# {}", one_line(note));
    }
    let table = section.table;
    let _ = writeln!(text, "[{}]", section.heading);
    let is_command = |item: &Item<'_>| item.name() == "command";
    let is_own = |name: &str| words.variables.is_some_and(|own| name.starts_with(own));
    let names_them = |item: Item<'_>| {
        item.value.string().is_some_and(|text| words.variables.is_some_and(|own| text.contains(own)))
    };
    let keeps_all = table.get("command").is_some_and(names_them);
    let command = table.items().filter(is_command);
    let others = table.items().filter(|item| !is_command(item) && !LEFT_OUT.contains(&item.name()));
    let mut variables = Table::default();
    for item in command.chain(others) {
        let value = if let (Kind::Table(inner), "environment") = (&item.value.kind, item.name()) {
            let own = inner.filtered(|name| keeps_all || !is_own(name));
            let count = own.items().count();
            if count > MOST_INLINE {
                variables = own;
                continue;
            }
            if count == 0 {
                continue;
            }
            inline(&own)
        } else {
            written(item.value)
        };
        let _ = writeln!(text, "{} = {value}", item.name());
    }
    if variables.items().next().is_some() {
        let _ = writeln!(text, "[{}.environment]", section.heading);
    }
    for item in variables.items() {
        let _ = writeln!(text, "{} = {}", bare(item.key), written(item.value));
    }
}

/// A key, in quotes if it needs them.
fn bare(key: &Key) -> String {
    let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
    let is_bare = !key.name.is_empty() && key.name.chars().all(fits);
    if is_bare { key.name.clone() } else { quoted(&key.name) }
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
    let pairs: Vec<String> =
        table.items().map(|item| format!("{} = {}", bare(item.key), written(item.value))).collect();
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
