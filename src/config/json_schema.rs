//! The JSON Schema of a configuration, for editors (draft 7, as Taplo reads it), generated from `keys.rs`.
//!
//! It accepts everything that `foster check` accepts. It cannot express which programs exist, that `ready` has exactly
//! one probe, or what an included file adds. A test compares it with `docs/foster.schema.json`;
//! `UPDATE_EXPECT=1 cargo test` updates that file.

use std::fmt::Write as _;

use foster_core::ids::Signal;

use super::key_spec::{Default, Key, Names, Section, ValueKind};
use super::keys::{FILE, JOB, PROGRAM, SECTIONS, TASK, WEB};
use super::launch::{capability_names, limit_names};

/// The schema, with each key on one line.
pub fn json_schema() -> String {
    let mut text = format!(
        "{{\n\"$schema\": \"http://json-schema.org/draft-07/schema#\",\n\"title\": \"foster.toml\",\n\
         \"description\": \"The configuration of foster {}: programs of a container.\",\n{},\n\"definitions\": {{\n",
        env!("CARGO_PKG_VERSION"),
        section(&FILE)
    );
    for (name, definition) in definitions() {
        let _ = writeln!(text, "{}: {definition},", quoted(name));
    }
    let tables: Vec<String> = SECTIONS
        .iter()
        .filter(|other| other.heading != FILE.heading)
        .map(|other| format!("{}: {{{}}}", quoted(name(other)), section(other)))
        .collect();
    let _ = write!(text, "{}\n}}\n}}\n", tables.join(",\n"));
    text
}

/// The types that many keys share.
fn definitions() -> [(&'static str, String); 9] {
    let signals: Vec<&str> = Signal::names().chain(["CLD", "POLL", "IOT"]).collect();
    let signal = format!(
        "^({}?({}|{}|{})|[0-9]+)$",
        any_case(&["SIG"]),
        any_case(&signals),
        "[Rr][Tt][Mm][Ii][Nn](\\+[0-9]+)?",
        "[Rr][Tt][Mm][Aa][Xx](-[0-9]+)?"
    );
    let capabilities = capability_names();
    let capabilities: Vec<&str> = capabilities.iter().map(String::as_str).collect();
    let capability = format!("^{}?{}$", any_case(&["CAP_"]), any_case(&capabilities));
    let or_text =
        |plain: &str, pattern: &str| any_of(&[plain.to_owned(), matching(pattern), EXPANDED.to_owned()]);
    [
        ("expanded", matching("\\$\\{")),
        ("boolean", or_text("{\"type\":\"boolean\"}", "^(true|false)$")),
        ("integer", or_text("{\"type\":\"integer\"}", "^[+-]?[0-9]+$")),
        ("number", or_text("{\"type\":\"number\"}", NUMBER)),
        ("size", or_text("{\"type\":\"integer\",\"minimum\":0}", "^[0-9]+[KMGkmg]?$")),
        ("duration", any_of(&[matching(DURATION), EXPANDED.to_owned()])),
        ("signal", or_text("{\"type\":\"integer\",\"minimum\":1,\"maximum\":64}", &signal)),
        ("name", any_of(&[matching(NAME), EXPANDED.to_owned()])),
        ("capability", any_of(&[matching(&capability), EXPANDED.to_owned()])),
    ]
}

const EXPANDED: &str = "{\"$ref\":\"#/definitions/expanded\"}";
const NAME: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";
const HEADER: &str = "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$";
const NUMBER: &str = "^[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?$";
/// The durations that humantime accepts.
const DURATION: &str = "^\\s*([0-9][0-9\\s]*(\\.[0-9\\s]+)?(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|\
                        minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|M|years?|yrs?|y)\\s*)+$";

/// The keys of a section, as the inside of an object.
fn section(section: &Section) -> String {
    let keys: Vec<String> =
        section.all_keys().map(|key| format!("{}: {}", quoted(key.name), property(key))).collect();
    let mut text = format!(
        "\"type\":\"object\",\"additionalProperties\":false,\"properties\": {{\n{}\n}}",
        keys.join(",\n")
    );
    // A key that neither an included file nor `[defaults]` can add.
    let parts = [FILE.heading, WEB.heading, PROGRAM.heading, TASK.heading, JOB.heading];
    let whole = !parts.contains(&section.heading);
    let required = section.keys.iter().filter(|key| whole && key.default == Default::Required);
    let required: Vec<String> = required.map(|key| quoted(key.name)).collect();
    if !required.is_empty() {
        let _ = write!(text, ",\"required\":[{}]", required.join(","));
    }
    text
}

fn property(key: &Key) -> String {
    let accepted = one_of(key.kinds);
    let default = match key.default {
        // Every default is the same text in JSON; a test checks that.
        Default::Value(value) => format!("\"default\":{value},"),
        Default::Required | Default::Words(_) => String::new(),
    };
    // `$ref` hides the other members of its object.
    let accepted = match accepted.starts_with("{\"$ref\"") {
        true => format!("\"allOf\":[{accepted}]"),
        false => inside(&accepted).to_owned(),
    };
    format!("{{\"description\":{},{default}{accepted}}}", quoted(key.sentence))
}

fn one_of(kinds: &[ValueKind]) -> String {
    let kinds: Vec<String> = kinds.iter().flat_map(taken).collect();
    any_of(&kinds)
}

/// Words are a separate alternative, because editors suggest them.
fn taken(kind: &ValueKind) -> Vec<String> {
    let defined = |name: &str| vec![format!("{{\"$ref\":\"#/definitions/{name}\"}}")];
    match kind {
        ValueKind::Text | ValueKind::Path | ValueKind::Regex => vec!["{\"type\":\"string\"}".to_owned()],
        ValueKind::Boolean => defined("boolean"),
        ValueKind::Integer => defined("integer"),
        ValueKind::Number => defined("number"),
        ValueKind::Duration => defined("duration"),
        ValueKind::Size => defined("size"),
        ValueKind::Signal => defined("signal"),
        ValueKind::Program => defined("name"),
        ValueKind::Capability => defined("capability"),
        ValueKind::Pattern(_, pattern) => vec![matching(pattern), EXPANDED.to_owned()],
        ValueKind::Words(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            vec![format!("{{\"enum\":[{}]}}", words.join(",")), EXPANDED.to_owned()]
        }
        ValueKind::List(kinds) => vec![format!("{{\"type\":\"array\",\"items\":{}}}", one_of(kinds))],
        ValueKind::Table(section) => defined(name(section)),
        ValueKind::Map(_, names, kinds) => vec![format!(
            "{{\"type\":\"object\",\"propertyNames\":{},\"additionalProperties\":{}}}",
            name_pattern(*names),
            one_of(kinds)
        )],
    }
}

/// The pattern for the names in a table.
fn name_pattern(names: Names) -> String {
    match names {
        Names::Programs => {
            format!("{{\"pattern\":{},\"not\":{{\"enum\":[\"all\",\"foster\"]}}}}", quoted(NAME))
        }
        Names::Signals => "{\"$ref\":\"#/definitions/signal\"}".to_owned(),
        Names::Variables => "{\"pattern\":\"^[^=]+$\"}".to_owned(),
        Names::Headers => format!("{{\"pattern\":{}}}", quoted(HEADER)),
        Names::Limits => {
            let words: Vec<String> = limit_names().map(quoted).collect();
            format!("{{\"enum\":[{}]}}", words.join(","))
        }
    }
}

fn any_of(schemas: &[String]) -> String {
    match schemas {
        [only] => only.clone(),
        several => format!("{{\"anyOf\":[{}]}}", several.join(",")),
    }
}

fn matching(pattern: &str) -> String {
    format!("{{\"type\":\"string\",\"pattern\":{}}}", quoted(pattern))
}

/// `([Hh][Uu][Pp]|[Ii][Nn][Tt])`: regular expressions in JSON Schema have no flags.
fn any_case(words: &[&str]) -> String {
    let loose = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' => format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase()),
        _ => letter.to_string(),
    };
    let words: Vec<String> = words.iter().map(|word| word.chars().map(loose).collect()).collect();
    format!("({})", words.join("|"))
}

/// A section's name in the definitions: the first code in its heading.
fn name(section: &Section) -> &'static str {
    let code = section.heading.split('`').nth(1).unwrap_or(section.heading);
    code.trim_matches(['[', ']']).split('.').next().unwrap_or(code)
}

/// An object without its braces.
fn inside(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(object)
}

/// A JSON string: the only characters of the table that JSON escapes are quotes and backslashes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
