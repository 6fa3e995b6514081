//! The configuration for editors: a JSON Schema (draft 7, which Taplo and its kin read), made from `keys.rs`.
//!
//! It refuses nothing that `foster check` accepts. What it cannot say (which program exists, that `ready` asks
//! exactly one thing, what another file adds) it leaves to the check. `docs/foster.schema.json` is a copy; a
//! test compares the two, and `UPDATE_EXPECT=1 cargo test` writes it again.

use std::fmt::Write as _;

use foster_core::ids::Signal;

use super::key_spec::{Default, Key, Names, Section, Support, ValueKind};
use super::keys::{FILE, SECTIONS};
use super::launch::{capability_names, limit_names};

/// The whole schema, one key a line.
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

/// What many keys take.
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
/// As humantime reads them.
const DURATION: &str = "^\\s*([0-9][0-9\\s]*(\\.[0-9\\s]+)?(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s|\
                        minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|M|years?|yrs?|y)\\s*)+$";

/// The keys of a section, as the inside of an object.
fn section(section: &Section) -> String {
    let keys: Vec<String> =
        section.keys.iter().map(|key| format!("{}: {}", quoted(key.name), property(key))).collect();
    let mut text = format!(
        "\"type\":\"object\",\"additionalProperties\":false,\"properties\": {{\n{}\n}}",
        keys.join(",\n")
    );
    // Only what nothing else can add: not another file, and not `[defaults]`.
    let whole = ![FILE.heading, super::keys::PROGRAM.heading].contains(&section.heading);
    let required = section.keys.iter().filter(|key| whole && key.default == Default::Required);
    let required: Vec<String> = required.map(|key| quoted(key.name)).collect();
    if !required.is_empty() {
        let _ = write!(text, ",\"required\":[{}]", required.join(","));
    }
    text
}

fn property(key: &Key) -> String {
    let accepted = match key.support {
        // It is refused, and whoever asks the editor is told why.
        Support::Later => {
            return format!(
                "{{\"description\":{},\"not\":{{}}}}",
                quoted(&format!("{} Not supported yet.", key.sentence))
            );
        }
        Support::Now => one_of(key.kinds),
    };
    let default = match key.default {
        // Every value of the table is written the same in JSON; a test holds that.
        Default::Value(value) => format!("\"default\":{value},"),
        Default::Required | Default::Words(_) => String::new(),
    };
    // A reference hides what stands beside it in its object.
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

/// A word that is expected is an alternative of its own: editors offer it.
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
            called(*names),
            one_of(kinds)
        )],
    }
}

/// What the names of a table look like.
fn called(names: Names) -> String {
    match names {
        Names::Programs => format!("{{\"pattern\":{},\"not\":{{\"const\":\"all\"}}}}", quoted(NAME)),
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

/// `([Hh][Uu][Pp]|[Ii][Nn][Tt])`: expressions of JSON Schema know no flags.
fn any_case(words: &[&str]) -> String {
    let loose = |letter: char| match letter {
        'a'..='z' | 'A'..='Z' => format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase()),
        _ => letter.to_string(),
    };
    let words: Vec<String> = words.iter().map(|word| word.chars().map(loose).collect()).collect();
    format!("({})", words.join("|"))
}

/// A section's name among the definitions: the first word of its heading that is code.
fn name(section: &Section) -> &'static str {
    let code = section.heading.split('`').nth(1).unwrap_or(section.heading);
    code.trim_matches(['[', ']']).split('.').next().unwrap_or(code)
}

/// An object without its braces.
fn inside(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(object)
}

/// As a string of JSON: no text in the table is anything that JSON escapes but quotes and backslashes.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
