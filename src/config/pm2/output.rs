//! Where the output of an app goes: the container's log, a file, or nowhere.

use super::super::span::Span;
use super::super::table::{Kind, Table};
use super::values::Values;
use super::{DEFAULT, literal, set, text};

/// What the name of a file depends on.
pub(super) struct Place<'a> {
    /// The app's working directory.
    pub(super) folder: Option<&'a str>,
    /// The `pm_id` of each process.
    pub(super) id: String,
    /// Whether its processes share a file.
    pub(super) has_one_file: bool,
}

/// Sets `stdout` and `stderr` of an app.
pub(super) fn read(values: &mut Values<'_, '_>, place: &Place<'_>, table: &mut Table) {
    if values.is_on("disable_logs") {
        for name in ["stdout", "stderr"] {
            set(table, name, text("null"), DEFAULT);
        }
        return;
    }
    let both = values.text("log_file").filter(|(path, _)| !matches!(path.as_str(), "true" | "false"));
    for (key, name) in [("out_file", "stdout"), ("error_file", "stderr")] {
        let Some((path, span)) = values.text(key).or_else(|| both.clone()) else { continue };
        if let Some(kind) = sink(values, &path, span, place) {
            set(table, name, kind, span);
        }
    }
}

fn sink(values: &mut Values<'_, '_>, path: &str, span: Span, place: &Place<'_>) -> Option<Kind> {
    match path {
        "NULL" | "/dev/null" => return Some(text("null")),
        path if path.starts_with("/dev/") || path.starts_with("/proc/") => return None,
        _ => {}
    }
    let warning = "the lines go to this file alone, and no longer to the container's log as well";
    values.diagnostics.warn(span, warning);
    let own = match path.strip_suffix(".log").filter(|_| !place.has_one_file) {
        Some(stem) => format!("{}-{}.log", literal(stem), place.id),
        None => literal(path),
    };
    let path = match (own.strip_prefix("~/"), place.folder) {
        (Some(rest), _) => format!("${{HOME}}/{rest}"),
        (None, Some(folder)) if !own.starts_with('/') => {
            format!("{}/{own}", literal(folder.trim_end_matches('/')))
        }
        (None, _) => own,
    };
    let mut table = Table::default();
    set(&mut table, "file", text(&path), span);
    set(&mut table, "max_size", text("unlimited"), DEFAULT);
    Some(Kind::Table(table))
}
