//! supervisord's `%(name)s`: Python's `%` formatting of a value, as its configuration uses it.
//!
//! The result is in foster's own syntax: `$` is doubled, and the number of a process, which differs for each, becomes
//! `${FOSTER_INSTANCE+1:02}`. Pure.

use super::super::front_end::literal;

/// The value of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expansion {
    /// A text, for `%(name)s`.
    Text(String),
    /// A variable of foster's environment.
    Variable(String),
    /// A number, for `%(name)d` as well.
    Number(u64),
    /// The number of the process: that of the instance, and this.
    Process(u64),
}

/// Why a value cannot be formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The part of the value.
    pub(super) written: String,
    /// What is wrong with it.
    pub(super) message: String,
    /// The remedy.
    pub(super) note: String,
}

/// Expands every `%(name)s` with `lookup`.
///
/// # Errors
/// The first part that cannot be expanded.
pub(super) fn expand(value: &str, lookup: impl Fn(&str) -> Option<Expansion>) -> Result<String, Fault> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(&literal(before));
        if let Some(after) = after.strip_prefix('%') {
            text.push('%');
            rest = after;
            continue;
        }
        let Some((name, format, after)) = placeholder(after) else {
            let end = after.chars().take_while(|char| !char.is_whitespace()).take(20);
            return Err(Fault {
                written: format!("%{}", end.collect::<String>()),
                message: "a `%` that starts no `%(name)s`".to_owned(),
                note: "write `%%` for a percent sign".to_owned(),
            });
        };
        let written = format!("%({name}){format}");
        let Some(found) = lookup(name) else {
            let (message, note) = match name.strip_prefix("ENV_") {
                Some(variable) => (
                    format!("the environment variable `{variable}` is not set"),
                    format!("set it, as with `docker run -e {variable}=…`"),
                ),
                None => (
                    format!("unknown name in `{written}`"),
                    "there are `here`, `host_node_name`, `program_name`, `group_name`, `process_num`, `numprocs` \
                     and `ENV_NAME` for a variable"
                        .to_owned(),
                ),
            };
            return Err(Fault { written, message, note });
        };
        let Some(formatted) = formatted(&found, format) else {
            let message = format!("cannot format `{written}`");
            let note = "expected `s` for a text, or `d`, `02d` and the like for a number".to_owned();
            return Err(Fault { written, message, note });
        };
        text.push_str(&formatted);
        rest = after;
    }
    text.push_str(&literal(rest));
    Ok(text)
}

/// The name, the format and the rest of `(name)02d …`.
fn placeholder(text: &str) -> Option<(&str, &str, &str)> {
    let (name, after) = text.strip_prefix('(')?.split_once(')')?;
    let end = after.find(|char: char| char.is_ascii_alphabetic())?;
    let (format, rest) = after.split_at_checked(end + 1)?;
    Some((name, format, rest))
}

fn formatted(value: &Expansion, format: &str) -> Option<String> {
    let (width, is_number) = match (format.strip_suffix('s'), format.strip_suffix(['d', 'i'])) {
        (Some(width), _) => (width, false),
        (None, Some(width)) => (width, true),
        (None, None) => return None,
    };
    let digits = match (width.strip_prefix('0'), is_number) {
        (Some(digits), true) => {
            Some(digits.parse::<usize>().ok().filter(|digits| (1..=20).contains(digits))?)
        }
        (None, _) if width.is_empty() => None,
        (_, _) => return None,
    };
    match (value, digits) {
        (Expansion::Text(text), None) if !is_number => Some(literal(text)),
        (Expansion::Variable(name), None) if !is_number => Some(format!("${{{name}}}")),
        (Expansion::Text(_) | Expansion::Variable(_), _) => None,
        (Expansion::Number(number), digits) => {
            Some(format!("{number:0digits$}", digits = digits.unwrap_or(0)))
        }
        (Expansion::Process(0), None) => Some("${FOSTER_INSTANCE}".to_owned()),
        (Expansion::Process(0), Some(digits)) => Some(format!("${{FOSTER_INSTANCE:0{digits}}}")),
        (Expansion::Process(start), None) => Some(format!("${{FOSTER_INSTANCE+{start}}}")),
        (Expansion::Process(start), Some(digits)) => Some(format!("${{FOSTER_INSTANCE+{start}:0{digits}}}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known(name: &str) -> Option<Expansion> {
        match name {
            "here" => Some(Expansion::Text("/etc".to_owned())),
            "ENV_PRICE" => Some(Expansion::Text("5$ 100%".to_owned())),
            "ENV_HOME" => Some(Expansion::Variable("HOME".to_owned())),
            "numprocs" => Some(Expansion::Number(4)),
            "process_num" => Some(Expansion::Process(0)),
            "from_8" => Some(Expansion::Process(8)),
            _ => None,
        }
    }

    #[test]
    fn names_are_replaced_as_pythons_formatting_does_and_dollars_stay() {
        for (value, expected) in [
            ("", ""),
            ("%(here)s/x", "/etc/x"),
            ("100%% $HOME ${X}", "100% $$HOME $${X}"),
            ("%(ENV_PRICE)s %(ENV_HOME)s", "5$$ 100% ${HOME}"),
            ("%(numprocs)s %(numprocs)d %(numprocs)03d", "4 4 004"),
            ("80%(process_num)02d", "80${FOSTER_INSTANCE:02}"),
            (
                "%(process_num)s%(from_8)d%(from_8)03d",
                "${FOSTER_INSTANCE}${FOSTER_INSTANCE+8}${FOSTER_INSTANCE+8:03}",
            ),
        ] {
            assert_eq!(expand(value, known), Ok(expected.to_owned()), "{value}");
        }
    }

    #[test]
    fn what_cannot_be_formatted_is_named() {
        for (value, written, message) in [
            ("50%", "%", "starts no"),
            ("date +%Y-%m", "%Y-%m", "starts no"),
            ("%(here", "%(here", "starts no"),
            ("%(there)s", "%(there)s", "unknown name"),
            ("%(ENV_X)s", "%(ENV_X)s", "`X` is not set"),
            ("%(here)d", "%(here)d", "cannot format"),
            ("%(numprocs)x", "%(numprocs)x", "cannot format"),
            ("%(numprocs)099d", "%(numprocs)099d", "cannot format"),
        ] {
            let fault = expand(value, known).unwrap_err();
            assert!(fault.written == written && fault.message.contains(message), "{fault:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_causes_a_panic(text in "[%()a-z0-9$é]{0,40}") {
            let _ = expand(&text, known);
        }
    }
}
