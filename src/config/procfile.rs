//! A Procfile: `name: command`, one a line, each for a shell, with `.env` and `PORT` as foreman gives them.
//!
//! foreman's base port is `PORT` of `.env`, else 5000; each further process has 100 more. It ends all processes when one ends.

use std::path::Path;

use super::files::Files;
use super::front_end::{DEFAULT, foster_name, list, set, text};
use super::merged::Document;
use super::shell::{shell_command, with_dollars};
use super::span::{Position, Span};
use super::table::{Key, Kind, Table, Value};

/// foreman's base port, and the step to the next process.
const PORT: u32 = 5000;
const STEP: u32 = 100;

/// The tables that say the same as a Procfile.
pub(super) fn document(path: &Path, files: &mut Files<'_>) -> Document {
    let mut document = Document::default();
    let Some(number) = files.read(path) else { return document };
    let written = files.text(number);
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let env_file = folder.join(".env");
    let env_number = files.read_if_present(&env_file);
    let variables = env_number.map(|number| files.text(number)).unwrap_or_default();
    let given = variables
        .lines()
        .filter_map(|line| line.trim().strip_prefix("PORT=")?.trim().parse().ok())
        .next_back();
    let base: u32 = given.unwrap_or(PORT);
    let (mut start, mut count) = (0, 0);
    for line in written.split_inclusive('\n') {
        let span = Span { file: number, start, end: start + line.trim_end().len() };
        start += line.len();
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let parts = line.split_once(':').map(|(name, command)| (name.trim(), command.trim()));
        let is_name =
            |name: &str| name.chars().all(|char| char.is_ascii_alphanumeric() || "_-".contains(char));
        let Some((name, command)) =
            parts.filter(|(name, command)| !name.is_empty() && is_name(name) && !command.is_empty())
        else {
            files.diagnostics.error(span, "not a line of a Procfile", "expected `name: command`");
            continue;
        };
        let mut table = Table::default();
        let words: Vec<String> = shell_command(command).iter().map(|word| with_dollars(word)).collect();
        set(&mut table, "command", list(&words, span), span);
        if !folder.as_os_str().is_empty() {
            set(&mut table, "directory", text(&folder.to_string_lossy()), DEFAULT);
        }
        if env_number.is_some() {
            set(&mut table, "env_file", text(&env_file.to_string_lossy()), DEFAULT);
        }
        let mut environment = Table::default();
        set(&mut environment, "PORT", text(&(base.saturating_add(STEP * count)).to_string()), DEFAULT);
        set(&mut table, "environment", Kind::Table(environment), DEFAULT);
        count += 1;
        let is_task = name == "release";
        let target = if is_task { &mut document.tasks } else { &mut document.programs };
        let own = foster_name(name, target);
        if is_task {
            files
                .diagnostics
                .warn(span, "`release` runs once, before the others, as Heroku's release phase does");
        }
        if own != name {
            files.diagnostics.warn(span, format!("its name there is `{name}`"));
        }
        target.push(Key { name: own, span }, Value { kind: Kind::Table(table), span });
    }
    if document.programs.items().next().is_some() {
        set(&mut document.defaults, "restart", text("never"), DEFAULT);
        set(&mut document.defaults, "on_exit", text("shutdown"), DEFAULT);
    } else if !files.diagnostics.has_errors() {
        files.diagnostics.error(
            Position::File(number),
            "no process in this Procfile",
            "expected `name: command`",
        );
    }
    document
}
