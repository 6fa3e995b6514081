//! The text of a first configuration: programs as TOML, with comments.
//!
//! Defaults are left out. A line that is a suggestion only is a comment. Pure.

use std::fmt::Write;

/// One program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name in the source.
    pub(super) name: String,
    /// Why it is there, for people.
    pub(super) reason: String,
    /// Its lines, in order.
    lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    /// A key, its value as TOML, and a remark; an empty one is left out.
    Key(&'static str, String, String),
    /// A comment.
    Comment(String),
}

impl Entry {
    /// A program without keys.
    pub(super) fn new(name: &str, reason: impl Into<String>) -> Entry {
        Entry { name: name.to_owned(), reason: reason.into(), lines: Vec::new() }
    }

    /// Adds a key with its value as TOML.
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<String>) {
        self.lines.push(Line::Key(key, value.into(), String::new()));
    }

    /// Adds a key with a remark.
    pub(super) fn set_because(
        &mut self,
        key: &'static str,
        value: impl Into<String>,
        remark: impl Into<String>,
    ) {
        self.lines.push(Line::Key(key, value.into(), remark.into()));
    }

    /// Adds a comment.
    pub(super) fn comment(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Comment(text.into()));
    }

    /// A hint to run it as this user, or as one that the image should have.
    pub(super) fn suggest_user(&mut self, found: Option<&str>) {
        match found {
            Some(user) => self.comment(format!("user = {}  # give up root's rights", string(user))),
            None => {
                self.comment("user = \"app\"  # give up root's rights: a user that the image should have")
            }
        }
    }
}

/// The file. Names that foster does not allow, or that occur twice, are changed, and a comment says so.
pub(super) fn render(entries: &[Entry]) -> String {
    let mut text = String::from(
        "# Written by `foster init`. Check it with `foster check --here`; all keys: docs/config.md, `foster schema`.\n",
    );
    let mut taken: Vec<String> = Vec::new();
    for entry in entries {
        let name = free_name(&entry.name, &taken);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "\n# {}", one_line(&entry.reason));
        if name != entry.name {
            let _ = writeln!(text, "# Its name there is {}.", string(&entry.name));
        }
        let _ = writeln!(text, "[program.{name}]");
        for line in &entry.lines {
            let _ = match line {
                Line::Key(key, value, remark) if remark.is_empty() => writeln!(text, "{key} = {value}"),
                Line::Key(key, value, remark) => writeln!(text, "{key} = {value}  # {}", one_line(remark)),
                Line::Comment(comment) => writeln!(text, "# {}", one_line(comment)),
            };
        }
        taken.push(name);
    }
    text
}

/// The most bytes of a name (`config/programs.rs` checks it).
const LONGEST_NAME: usize = 64;

fn free_name(wanted: &str, taken: &[String]) -> String {
    let allowed = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    let mut name: String = wanted.chars().map(|char| if allowed(char) { char } else { '-' }).collect();
    name.truncate(LONGEST_NAME - 4);
    if !name.starts_with(|first: char| first.is_ascii_alphanumeric()) || name == "all" {
        name = format!("p-{}", name.trim_start_matches(['-', '_']));
    }
    let mut free = name.clone();
    for number in 2.. {
        if !taken.contains(&free) {
            break;
        }
        free = format!("{name}-{number}");
    }
    free
}

/// A comment ends with its line, so a text with line ends would become keys.
fn one_line(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// A TOML string. `$` before `{` is doubled: the text is not expanded.
pub(super) fn string(text: &str) -> String {
    expanded_string(&text.replace("${", "$${"))
}

/// A TOML string in which `${NAME}` is expanded by foster.
pub(super) fn expanded_string(text: &str) -> String {
    // JSON's escapes are TOML's, but TOML does not allow DEL.
    let json = serde_json::to_string(text).unwrap_or_default();
    json.replace('\u{7f}', "\\u007f")
}

/// A TOML array of strings.
pub(super) fn array<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(|item| string(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML inline table; the values are TOML already.
pub(super) fn table(pairs: &[(String, String)]) -> String {
    let is_bare = |key: &str| {
        !key.is_empty() && key.chars().all(|char| char.is_ascii_alphanumeric() || "_-".contains(char))
    };
    let key = |key: &str| if is_bare(key) { key.to_owned() } else { expanded_string(key) };
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{} = {value}", key(name))).collect();
    format!("{{ {} }}", pairs.join(", "))
}
