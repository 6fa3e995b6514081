//! Reads a command: a list of arguments, or a string that is split by a shell's quoting rules.
//!
//! foster never runs a shell. Shell syntax in a command is a warning.

mod habits;

use super::reader::Reader;
use super::table::{Item, Kind};

use habits::{background, first_script, habits, shell_variables};

const EXPECTED: &str = "a list such as `[\"nginx\", \"-g\", \"daemon off;\"]`, or a string";

/// The command and its arguments: at least one, and the first not empty.
pub(super) fn command(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<String>> {
    let words = if let Kind::Array(values) = &item.value.kind {
        let word = |value| reader.text_or(item.with(value), "each argument as a string");
        // Every argument is read, so that every mistake is reported.
        let words: Vec<Option<String>> = values.iter().map(word).collect();
        words.into_iter().collect::<Option<Vec<String>>>()?
    } else {
        split(reader, item)?
    };
    if words.first().is_none_or(String::is_empty) {
        reader.refuse(item, "empty", "a command");
        return None;
    }
    let is_list = matches!(item.value.kind, Kind::Array(_));
    // The shell syntax of a string is checked before it is split.
    for (part, message) in habits(&words).into_iter().filter(|(part, _)| is_list || part != "$(") {
        let span = reader.diagnostics.narrow(item.value.span, &part);
        reader.diagnostics.warn(span, message);
    }
    warn_about_variables(reader, item, &words);
    Some(words)
}

/// The command of a program: it must stay in the foreground.
pub(super) fn main_command(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<String>> {
    let words = command(reader, item)?;
    if let Some((part, message)) = background(&words) {
        let span = reader.diagnostics.narrow(item.value.span, &part);
        reader.diagnostics.warn(span, message);
    }
    Some(words)
}

/// Warns of a shell's variables, which foster does not expand.
fn warn_about_variables(reader: &mut Reader<'_>, item: Item<'_>, words: &[String]) {
    let values = match &item.value.kind {
        Kind::Array(values) => values.as_slice(),
        Kind::String(_)
        | Kind::Integer(_)
        | Kind::Float(_)
        | Kind::Boolean(_)
        | Kind::Datetime
        | Kind::Table(_) => std::slice::from_ref(item.value),
    };
    let is_list = values.len() == words.len();
    let script = first_script(words);
    let written = values.iter().enumerate().filter_map(|(index, value)| match &value.kind {
        Kind::String(_) if is_list && script.is_some_and(|first| index >= first) => None,
        Kind::String(_) if !is_list && script.is_some() => None,
        Kind::String(text) => Some((text.as_str(), value.span)),
        Kind::Integer(_)
        | Kind::Float(_)
        | Kind::Boolean(_)
        | Kind::Datetime
        | Kind::Array(_)
        | Kind::Table(_) => None,
    });
    for (text, span) in written.collect::<Vec<_>>() {
        for name in shell_variables(text) {
            let span = reader.diagnostics.narrow(span, &format!("${name}"));
            let message = format!(
                "`${name}` is not expanded, because no shell runs: write `${{{name}}}` for the variable's value"
            );
            reader.diagnostics.warn(span, message);
        }
    }
}

fn split(reader: &mut Reader<'_>, item: Item<'_>) -> Option<Vec<String>> {
    let text = reader.text_or(item, EXPECTED)?;
    let Ok(words) = shell_words::split(&text) else {
        reader.refuse(item, "split into words: a quote is never closed", EXPECTED);
        return None;
    };
    if let Some(operator) = shell_syntax(&text) {
        let span = reader.diagnostics.narrow(item.value.span, operator);
        let message = match operator {
            "#" => "`#` starts a comment: quote it if it belongs to the command".to_owned(),
            operator => format!(
                "`{operator}` is passed on as it is, no shell is run: \
                 use `[\"sh\", \"-c\", \"…\"]` if one is meant"
            ),
        };
        reader.diagnostics.warn(span, message);
    }
    Some(words)
}

/// The operators of a shell, longest first.
const OPERATORS: [&str; 10] = ["&&", "||", "$(", "|", ";", "&", ">", "<", "`", "#"];

/// The first unquoted operator of a shell (XCU 2.2 and 2.10).
fn shell_syntax(text: &str) -> Option<&'static str> {
    let mut quote = None;
    let mut chars = text.char_indices();
    let mut before = ' ';
    while let Some((at, char)) = chars.next() {
        let previous = std::mem::replace(&mut before, char);
        match (quote, char) {
            (Some('"') | None, '\\') => {
                chars.next();
            }
            (Some(open), char) if open == char => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(char),
            (None, _) => {
                let rest = text.get(at..).unwrap_or("");
                let found = OPERATORS.into_iter().find(|operator| rest.starts_with(operator));
                // A comment starts only where a word could (XCU 2.3, rule 9).
                match found {
                    Some("#") if !previous.is_ascii_whitespace() => {}
                    Some(operator) => return Some(operator),
                    None => {}
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_shell_syntax_is_found() {
        for (text, operator) in [
            ("a && b", "&&"),
            ("a|b", "|"),
            ("a; b", ";"),
            ("a > /dev/null", ">"),
            ("a 2>&1", ">"),
            ("a & ", "&"),
            ("echo $(date)", "$("),
            ("a 'x' # y", "#"),
            ("\"a\" || b", "||"),
        ] {
            assert_eq!(shell_syntax(text), Some(operator), "{text}");
        }
    }

    #[test]
    fn quoted_shell_syntax_and_plain_arguments_are_accepted() {
        for text in [
            "nginx -g 'daemon off;'",
            "sh -c \"a && b | c\"",
            "a \\; b",
            "a \"\\\" ; \"",
            "a b#c",
            "a --x=$HOME",
            "",
            "\\",
        ] {
            assert_eq!(shell_syntax(text), None, "{text}");
        }
    }
}
