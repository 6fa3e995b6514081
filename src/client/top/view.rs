//! The frame of `foster top`: the summary, the table of `status`, the output of the selected instance, the keys.
//!
//! Text in, lines out: exactly as many as the terminal has. Next: `screen.rs`, which paints them.

use super::model::{Mode, Model};
use crate::cli::format::{self, Colour};
use crate::client::table;
use crate::control::protocol::StatusRow;

const REVERSE: &str = "\x1b[7m";
const RESET: &str = "\x1b[0m";
const KEYS: &str = "↑↓ select  s start  x stop  r restart  l reload  / filter  PgUp PgDn  q quit";
/// Lines beside the two parts: summary, heading, separator, keys.
const FIXED: usize = 4;
/// The fewest lines of output where there is room for it.
const LEAST_OUTPUT: usize = 3;

/// The lines of a terminal of this size.
pub(super) fn frame(model: &mut Model, columns: usize, height: usize, colour: Colour) -> Vec<String> {
    let shown = model.shown();
    let room = height.saturating_sub(FIXED);
    // The table gets what it needs, but half of the room where the output needs it.
    let rows = shown.len().min(room.saturating_sub(LEAST_OUTPUT).min((room / 2).max(5))).max(1);
    let mut lines = vec![cut(&summary(model, shown.len()), columns)];
    lines.extend(rows_of(model, &shown, (columns, rows), colour));
    let page = height.saturating_sub(lines.len() + 2);
    let name = model.selected().and_then(|at| shown.get(at)).map_or("", |row| row.label.as_str()).to_owned();
    let output: Vec<String> = model.output.show(page).map(|line| cut(line, columns)).collect();
    let below = match model.output.below {
        0 => String::new(),
        below => format!(", {below} lines below"),
    };
    let title = if name.is_empty() { String::new() } else { format!(" {name}{below} ") };
    lines.push(cut(&format!("──{title}{}", "─".repeat(columns)), columns));
    let missing = page.saturating_sub(output.len());
    lines.extend(output);
    lines.extend(std::iter::repeat_n(String::new(), missing));
    lines.push(cut(&last_line(model), columns));
    // Of a terminal that is too small the end, which has the keys and the message, is left out.
    lines.truncate(height);
    lines
}

fn summary(model: &Model, shown: usize) -> String {
    let all = model.all();
    let mut states: Vec<(&str, usize)> = Vec::new();
    for row in all {
        let (state, _) = table::state(row.state);
        match states.iter_mut().find(|(known, _)| *known == state) {
            Some((_, count)) => *count += 1,
            None => states.push((state, 1)),
        }
    }
    let states: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let memory: u64 = all.iter().filter_map(|row| row.memory_bytes).sum();
    let filter = match (model.filter.as_str(), &model.mode) {
        ("", Mode::Browse | Mode::Confirm(..)) => String::new(),
        (filter, _) => format!("  filter `{filter}`: {shown} of {}", all.len()),
    };
    let states = if states.is_empty() { "nothing".to_owned() } else { states.join(", ") };
    format!("foster  {states}  memory {}{filter}", format::size(memory))
}

/// The heading, and the rows around the selected one.
fn rows_of(
    model: &Model,
    shown: &[StatusRow],
    (columns, rows): (usize, usize),
    colour: Colour,
) -> Vec<String> {
    let table = |colour| table::text(shown, model.before(), colour, Some(columns));
    let (coloured, plain) = (table(colour), table(Colour::No));
    if shown.is_empty() {
        return vec![String::new(), coloured.trim_end().to_owned()];
    }
    let selected = model.selected().unwrap_or(0);
    let first = (selected + 1).saturating_sub(rows);
    let heading = coloured.lines().next().unwrap_or_default().to_owned();
    let rows = coloured.lines().zip(plain.lines()).skip(1).enumerate().skip(first).take(rows);
    let rows = rows.map(|(at, (coloured, plain))| match at == selected {
        true => format!("{REVERSE}{plain:columns$}{RESET}"),
        false => coloured.to_owned(),
    });
    [heading].into_iter().chain(rows).collect()
}

fn last_line(model: &Model) -> String {
    match (&model.mode, &model.message) {
        (Mode::Confirm(kind, label), _) => format!("{} {label}? y or n", kind.verb()),
        (Mode::Filter, _) => format!("/{}▏  Enter keeps it, Esc clears it", model.filter),
        (Mode::Browse, Some(message)) => message.clone(),
        (Mode::Browse, None) => KEYS.to_owned(),
    }
}

fn cut(text: &str, columns: usize) -> String {
    text.chars().take(columns).collect()
}
