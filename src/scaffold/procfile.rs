//! A Procfile: `name: command`, one a line, each for a shell.

use std::path::Path;

use super::entry::{Entry, array, string};
use super::image::Image;

/// The programs of the Procfile in the working directory.
pub(super) fn read(image: &Image) -> Option<Vec<Entry>> {
    let text = image.text(Path::new("Procfile"))?;
    let entries: Vec<Entry> = text.lines().filter_map(|line| entry(image, line)).collect();
    (!entries.is_empty()).then_some(entries)
}

fn entry(image: &Image, line: &str) -> Option<Entry> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, command) = line.split_once(':')?;
    let (name, command) = (name.trim(), command.trim());
    let is_name =
        !name.is_empty() && name.chars().all(|char| char.is_ascii_alphanumeric() || "_-".contains(char));
    if !is_name || command.is_empty() {
        return None;
    }
    let mut entry = Entry::new(name, "From the `Procfile`.");
    match plain(command) {
        Some(words) => entry.set("command", array(&words)),
        None => {
            let words = ["sh".to_owned(), "-c".to_owned(), with_exec(command)];
            entry.set_because("command", array(&words), "its command needs a shell");
        }
    }
    if image.directory() != Path::new("/") {
        entry.set("directory", string(&image.directory().to_string_lossy()));
    }
    if name == "release" {
        entry.comment("A `release` command runs once: `restart = \"never\"`, and `after = [\"release\"]` for the others.");
        entry.set("restart", string("never"));
    }
    Some(entry)
}

/// The words of a command that needs no shell.
fn plain(command: &str) -> Option<Vec<String>> {
    if command.contains(['$', '|', '&', ';', '<', '>', '(', ')', '`', '*', '?', '~', '\\']) {
        return None;
    }
    let words = shell_words::split(command).ok()?;
    words.first().is_some_and(|first| !first.contains('=')).then_some(words)
}

/// A shell that is replaced by its only command gets its signals.
fn with_exec(command: &str) -> String {
    let is_simple = !command.contains(['|', '&', ';', '(', '`', '\n']);
    let starts_with_command = command.split_whitespace().next().is_some_and(|first| !first.contains('='));
    if is_simple && starts_with_command && !command.starts_with("exec ") {
        return format!("exec {command}");
    }
    command.to_owned()
}
