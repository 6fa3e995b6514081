//! The reference of all keys, generated from the table in `keys.rs`: `docs/config.md` and `docs/foster.toml.5`.
//!
//! Tests compare the files with it; `UPDATE_EXPECT=1 cargo test` updates them.

use super::key_spec::{Default, Key, Shared, ValueKind};
use super::keys::SECTIONS;
use crate::roff::Page;

/// The whole reference, as Markdown.
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for section in SECTIONS {
        text.push_str(&format!("\n## {}\n\n{}\n\n", section.heading, section.sentence));
        text.push_str("| key | takes | default | meaning |\n| --- | --- | --- | --- |\n");
        section.keys.iter().for_each(|key| text.push_str(&row(key)));
        section.shared.iter().for_each(|shared| text.push_str(&format!("\n{}\n", common(shared))));
    }
    text
}

/// The same as a manual page.
pub fn manual() -> String {
    let mut page = Page::new("foster.toml", 5, "the configuration of foster");
    page.heading("Description");
    let (_, rules) = INTRODUCTION.split_once("-->\n").unwrap_or(("", INTRODUCTION));
    for paragraph in rules.split("\n\n").flat_map(|text| text.split("\n- ")) {
        page.paragraph(
            paragraph.trim_start_matches("- ").replace("**", "").replace("*after*", "after").trim(),
        );
    }
    for section in SECTIONS {
        page.heading(&section.heading.replace('`', ""));
        page.paragraph(section.sentence);
        for key in section.keys {
            let holds = match key.default {
                Default::Required => "It is required.".to_owned(),
                Default::Value(_) | Default::Words(_) => format!("Default: {}.", default(&key.default)),
            };
            let takes = takes(key.kinds);
            page.entry(key.name, &format!("{} Takes: {takes}. {holds}", key.sentence));
        }
        section.shared.iter().for_each(|shared| page.paragraph(&common(shared)));
    }
    page.heading("See also");
    page.paragraph("`foster`(1)");
    page.text()
}

const INTRODUCTION: &str = "\
# The keys of a configuration

<!-- Generated from src/config/keys.rs. Update it with: UPDATE_EXPECT=1 cargo test --lib config -->

foster reads the configuration that `-c FILE` or `$FOSTER_CONFIG` names, or the first that exists of
`/etc/foster/foster.toml`, `/etc/foster.toml` and `./foster.toml`. `foster check` reports all its errors at once, or
prints the start order.

- **Strings** are expanded: `${NAME}` is a variable of foster's environment, `${NAME:-default}` has a default for an
  unset or empty one (literal text up to the brace), `$$` is a literal `$`, and any other `$` is unchanged. `${NAME+8000}` adds to a
  number, `${NAME:02}` gives it at least two digits, and `${NAME+1:02}` does both.
  `${FOSTER_CPUS}` is the number of CPUs that affinity and quotas allow, at least 1; programs also have
  `${FOSTER_PROGRAM}` and `${FOSTER_INSTANCE}`. A value is neither expanded again nor read as TOML. A `command` that is
  a string is split *after* its expansion, so write a list if a value may contain spaces or quotes.
- A value of another type can also be a **string that expands to it**: `\"${PORT}\"`.
- **Durations** have units: `\"500ms\"`, `\"10s\"`, `\"1m 30s\"`. **Sizes** are in bytes, or have a suffix `K`, `M` or `G`
  (binary). **Signals** are names with or without `SIG`, or numbers.
- Relative **paths** are relative to foster's working directory; those in `include`, to the file with the key.
- **Names** are unique over programs and tasks. They consist of letters, digits, `-` and `_`, start with a letter or a
  digit and have at most 64 characters; `all` and `foster` are reserved.
";

/// The keys whose rows are in another section.
fn common(shared: &Shared) -> String {
    let names: Vec<String> = shared.names.iter().map(|name| format!("`{name}`")).collect();
    format!("It also has these keys of {}: {}.", shared.section.heading, names.join(", "))
}

fn row(key: &Key) -> String {
    let sentence = key.sentence.to_owned();
    let cells = [format!("`{}`", key.name), takes(key.kinds), default(&key.default), sentence];
    format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "))
}

fn takes(kinds: &[ValueKind]) -> String {
    kinds.iter().map(taken).collect::<Vec<_>>().join(", or ")
}

fn taken(kind: &ValueKind) -> String {
    match kind {
        ValueKind::Words(words) => {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
        ValueKind::List(kinds) => {
            let many = |kind: &ValueKind| match taken(kind) {
                word if word.ends_with('y') => format!("{}ies", word.trim_end_matches('y')),
                word => format!("{word}s"),
            };
            format!("list of {}", kinds.iter().map(many).collect::<Vec<_>>().join(" or "))
        }
        ValueKind::Table(section) => format!("table, see {}", section.heading),
        ValueKind::Map(words, ..) | ValueKind::Pattern(words, _) => (*words).to_owned(),
        ValueKind::Text => "string".to_owned(),
        ValueKind::Path => "path".to_owned(),
        ValueKind::Regex => "regular expression".to_owned(),
        ValueKind::Boolean => "boolean".to_owned(),
        ValueKind::Integer => "integer".to_owned(),
        ValueKind::Number => "number".to_owned(),
        ValueKind::Duration => "duration".to_owned(),
        ValueKind::Size => "size".to_owned(),
        ValueKind::Signal => "signal".to_owned(),
        ValueKind::Program => "program".to_owned(),
        ValueKind::Capability => "capability".to_owned(),
    }
}

fn default(default: &Default) -> String {
    match default {
        Default::Required => "required".to_owned(),
        Default::Value(value) => format!("`{value}`"),
        Default::Words(words) => (*words).to_owned(),
    }
}
