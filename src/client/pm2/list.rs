//! The table of `pm2 list`, and the page of `pm2 describe`. Pure.

use std::fmt::Write as _;

use super::apps::App;

const HEADS: [&str; 10] =
    ["id", "name", "namespace", "mode", "pid", "uptime", "\u{21ba}", "status", "cpu", "mem"];

/// The apps in a table with lines.
pub(super) fn table(apps: &[App]) -> String {
    let rows: Vec<[String; 10]> = apps.iter().map(cells).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(HEADS.get(column).map_or(0, |head| head.chars().count()))
    };
    let widths: Vec<usize> = (0..HEADS.len()).map(width).collect();
    let rule = |left: char, middle: char, right: char| {
        let parts: Vec<String> = widths.iter().map(|width| "\u{2500}".repeat(width + 2)).collect();
        format!("{left}{}{right}\n", parts.join(&middle.to_string()))
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (cell, width) in cells.zip(&widths) {
            let _ = write!(text, "\u{2502} {cell:width$} ");
        }
        format!("{text}\u{2502}\n")
    };
    let mut text = rule('\u{250c}', '\u{252c}', '\u{2510}');
    text.push_str(&line(&mut HEADS.into_iter()));
    text.push_str(&rule('\u{251c}', '\u{253c}', '\u{2524}'));
    for row in &rows {
        text.push_str(&line(&mut row.iter().map(String::as_str)));
    }
    text.push_str(&rule('\u{2514}', '\u{2534}', '\u{2518}'));
    text
}

fn cells(app: &App) -> [String; 10] {
    let mode = app.mode.trim_end_matches("_mode").to_owned();
    [
        app.id.to_string(),
        app.name.clone(),
        app.namespace.clone(),
        mode,
        app.pid().to_string(),
        app.uptime().map_or_else(|| "0".to_owned(), uptime),
        app.restarts().to_string(),
        app.status().to_owned(),
        format!("{}%", app.cpu() / 10),
        memory(app.memory()),
    ]
}

/// One app, a key in each line.
pub(super) fn describe(app: &App) -> String {
    let names =
        ["id", "name", "namespace", "exec mode", "pid", "uptime", "restarts", "status", "cpu", "memory"];
    let mut text = format!("Describing process with id {} - name {}\n", app.id, app.name);
    for (name, cell) in names.into_iter().zip(cells(app)) {
        let _ = writeln!(text, " {name:10} {cell}");
    }
    if !app.note().is_empty() {
        let _ = writeln!(text, " {:10} {}", "note", app.note());
    }
    let _ = write!(text, " {:10} foster status {}, foster events {}", "more", app.label(), app.program());
    text
}

/// As PM2 prints it: the largest unit alone.
fn uptime(seconds: u64) -> String {
    for (unit, length) in [('D', 86_400), ('h', 3600), ('m', 60)] {
        if seconds >= length {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

fn memory(bytes: u64) -> String {
    for (unit, size) in [("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes >= size {
            return format!("{}.{}{unit}", bytes / size, bytes % size * 10 / size);
        }
    }
    format!("{bytes}b")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_as_pm2_prints_them() {
        assert_eq!([0, 59, 61, 7300, 200_000].map(uptime), ["0s", "59s", "1m", "2h", "2D"]);
        assert_eq!([0, 2048, 45 << 20, 3 << 29].map(memory), ["0b", "2.0kb", "45.0mb", "1.5gb"]);
    }
}
