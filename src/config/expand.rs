//! `${NAME}`, `${NAME:-default}`, `${NAME+1}`, `${NAME:02}` and `$$` in a string (spec, section 3).
//!
//! `+1` adds to a number, `:02` gives it at least two digits, and both may follow a name: `web${FOSTER_INSTANCE+1:02}`.
//! Expansion is one pass: a value from the environment that contains `${…}` is not expanded again. Any other `$` is
//! literal (`$host`, `$PATH`).

use std::ffi::OsStr;

/// Why a reference cannot be expanded, with the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// No `}` follows.
    Unclosed(String),
    /// The text in the braces is neither a name nor a name with a default.
    Malformed(String),
    /// The variable is not set, or empty, and there is no default.
    Unset {
        /// The whole reference.
        written: String,
        /// The variable.
        name: String,
    },
    /// The variable's value is not the number that `+1` and `:02` are about.
    NotANumber {
        /// The whole reference.
        written: String,
        /// The variable.
        name: String,
    },
    /// The variable's value is not UTF-8.
    NotUnicode {
        /// The whole reference.
        written: String,
        /// The variable.
        name: String,
    },
}

/// How many references of one text are reported.
const MOST_FAULTS: usize = 16;

/// Expands every reference with `lookup`.
///
/// # Errors
/// Every reference that cannot be expanded.
pub(super) fn expand<'v>(
    text: &str,
    lookup: impl Fn(&str) -> Option<&'v OsStr>,
) -> Result<String, Vec<Fault>> {
    let mut result = String::with_capacity(text.len());
    let mut faults = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('$') {
        result.push_str(before);
        if let Some(after) = behind.strip_prefix('$') {
            result.push('$');
            rest = after;
            continue;
        }
        let Some(inside) = behind.strip_prefix('{') else {
            result.push('$');
            rest = behind;
            continue;
        };
        let Some((reference, after)) = inside.split_once('}') else {
            faults.push(Fault::Unclosed(format!("${{{inside}")));
            rest = "";
            break;
        };
        match replace(reference, &lookup) {
            Ok(value) => result.push_str(&value),
            Err(fault) if faults.len() < MOST_FAULTS => faults.push(fault),
            Err(_) => {}
        }
        rest = after;
    }
    result.push_str(rest);
    if faults.is_empty() { Ok(result) } else { Err(faults) }
}

fn replace<'v>(reference: &str, lookup: &impl Fn(&str) -> Option<&'v OsStr>) -> Result<String, Fault> {
    let written = format!("${{{reference}}}");
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if let (Some((name, number)), None) = (number(name), default) {
        let value =
            lookup(name).ok_or_else(|| Fault::Unset { written: written.clone(), name: name.to_owned() });
        let value = value?.to_str().and_then(|value| value.parse().ok());
        let value = value.and_then(|value: u64| value.checked_add(number.plus));
        return match value {
            Some(value) => Ok(format!("{value:0digits$}", digits = number.digits)),
            None => Err(Fault::NotANumber { written, name: name.to_owned() }),
        };
    }
    if !is_name(name) {
        return Err(Fault::Malformed(written));
    }
    let name_owned = || name.to_owned();
    match (lookup(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => match value.to_str() {
            Some(value) => Ok(value.to_owned()),
            None => Err(Fault::NotUnicode { written, name: name_owned() }),
        },
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Fault::Unset { written, name: name_owned() }),
    }
}

/// What is done with a number.
struct NumberFormat {
    /// What is added.
    plus: u64,
    /// How many digits it has at least.
    digits: usize,
}

/// The most digits of a number: more than any 64-bit number has.
const MOST_DIGITS: usize = 20;

/// The name in `NAME+1`, `NAME:02` or `NAME+1:02`, and the format.
fn number(reference: &str) -> Option<(&str, NumberFormat)> {
    let (sum, digits) = match reference.split_once(":0") {
        Some((sum, digits)) => {
            (sum, digits.parse().ok().filter(|digits| (1..=MOST_DIGITS).contains(digits))?)
        }
        None => (reference, 0),
    };
    let (name, plus) = match sum.split_once('+') {
        Some((name, plus)) if plus.starts_with(|first: char| first.is_ascii_digit()) => {
            (name, plus.parse().ok()?)
        }
        Some(_) => return None,
        None if digits == 0 => return None,
        None => (sum, 0),
    };
    is_name(name).then_some((name, NumberFormat { plus, digits }))
}

/// A valid name of a shell variable (XBD 3.216, "Name").
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use proptest::prelude::*;

    use super::*;

    fn known(name: &str) -> Option<&'static OsStr> {
        match name {
            "HOST" => Some(OsStr::new("db")),
            "EMPTY" => Some(OsStr::new("")),
            "TRICKY" => Some(OsStr::new("${HOST} $$ \"")),
            "PORT" => Some(OsStr::new("8000")),
            "BYTES" => Some(OsStr::from_bytes(b"\xff")),
            _ => None,
        }
    }

    #[test]
    fn a_reference_is_expanded_and_any_other_text_is_kept() {
        for (text, expected) in [
            ("", ""),
            ("http://${HOST}:80", "http://db:80"),
            ("${HOST}${HOST}", "dbdb"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${NONE:-}", ""),
            ("${NONE:-a b:-c}", "a b:-c"),
            ("${NONE:-${HOST}}", "${HOST}"),
            ("$$", "$"),
            ("$${HOST}", "${HOST}"),
            ("$$$$", "$$"),
            ("$host $PATH $1 $", "$host $PATH $1 $"),
            ("}{", "}{"),
        ] {
            assert_eq!(expand(text, known), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_number_is_added_to_and_padded() {
        for (text, expected) in [
            ("${PORT+1}", "8001"),
            ("${PORT+0}", "8000"),
            ("${PORT:02}", "8000"),
            ("w${PORT+1:06}", "w008001"),
        ] {
            assert_eq!(expand(text, known), Ok(expected.to_owned()), "{text}");
        }
        let fault = |name: &str, text: &str| Fault::NotANumber { written: text.into(), name: name.into() };
        for text in ["${HOST+1}", "${EMPTY:02}", "${BYTES+1}"] {
            let name = &text[2..text.find(['+', ':']).unwrap()];
            assert_eq!(expand(text, known), Err(vec![fault(name, text)]));
        }
        let most = "${PORT+18446744073709551615}";
        assert_eq!(expand(most, known), Err(vec![fault("PORT", most)]));
        for text in
            ["${PORT+}", "${PORT+-1}", "${PORT+ 1}", "${PORT:0}", "${PORT:021}", "${PORT+1:-3}", "${+1}"]
        {
            assert_eq!(expand(text, known), Err(vec![Fault::Malformed(text.to_owned())]), "{text}");
        }
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        assert_eq!(expand("${TRICKY}", known), Ok("${HOST} $$ \"".to_owned()));
    }

    #[test]
    fn every_reference_that_cannot_be_expanded_is_reported() {
        let unset = |name: &str| Fault::Unset { written: format!("${{{name}}}"), name: name.to_owned() };
        assert_eq!(expand("${A} ${HOST} ${B}", known), Err(vec![unset("A"), unset("B")]));
        assert_eq!(expand("x${HOST", known), Err(vec![Fault::Unclosed("${HOST".to_owned())]));
        for text in ["${}", "${A B}", "${A-b}", "${A:?b}", "${1}", "${:-x}", "${ä}"] {
            assert_eq!(expand(text, known), Err(vec![Fault::Malformed(text.to_owned())]), "{text}");
        }
        let bytes = Fault::NotUnicode { written: "${BYTES}".to_owned(), name: "BYTES".to_owned() };
        assert_eq!(
            expand("${BYTES:-x}", known),
            Err(vec![Fault::NotUnicode { written: "${BYTES:-x}".to_owned(), name: "BYTES".to_owned() }])
        );
        assert_eq!(expand("${BYTES}", known), Err(vec![bytes]));
    }

    proptest! {
        #[test]
        fn a_text_without_a_dollar_is_unchanged(text in "[^$]*") {
            prop_assert_eq!(expand(&text, known), Ok(text));
        }

        #[test]
        fn no_text_causes_a_panic(text in any::<String>()) {
            let _ = expand(&text, known);
        }

        #[test]
        fn doubled_dollars_escape_any_text(text in any::<String>()) {
            prop_assert_eq!(expand(&text.replace('$', "$$"), known), Ok(text));
        }
    }
}
