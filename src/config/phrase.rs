//! Parts of messages: a quoted text, a value's type, a list of words.
//!
//! Pure. Every key uses them, so that messages are consistent.

use super::table::{Kind, Value};

/// "`a`, `b` or `c`".
pub(super) fn one_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
    }
}

/// A user's text in backticks, cut to a readable length.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        _ if text.is_empty() => "an empty string".to_owned(),
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}…`", text.get(..end).unwrap_or("")),
    }
}

/// The type of a value for a message.
pub(super) fn described(value: &Value) -> String {
    match &value.kind {
        Kind::String(_) => "a string".to_owned(),
        Kind::Integer(number) => format!("the number `{number}`"),
        Kind::Float(number) => format!("the number `{number}`"),
        Kind::Boolean(boolean) => format!("`{boolean}`"),
        Kind::Datetime => "a date".to_owned(),
        Kind::Array(_) => "a list".to_owned(),
        Kind::Table(_) => "a table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_with_commas_and_or() {
        assert_eq!(one_of(["a"].into_iter()), "`a`");
        assert_eq!(one_of(["a", "b", "c"].into_iter()), "`a`, `b` or `c`");
    }
}
