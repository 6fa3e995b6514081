//! `KEY="value",OTHER=value`: the variables of `environment`.
//!
//! As supervisord reads it with Python's `shlex`: values of other characters than letters, digits and `_ / . + - : ( )`
//! are in quotes, which do not nest and have no escapes.

use super::super::front_end::keep_last;

/// The pairs.
///
/// # Errors
/// What is in the place of a pair.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let tokens = tokens(text);
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = tokens.as_slice();
    while let Some((key, after)) = rest.split_first() {
        let [equals, value, after @ ..] = after else { return Err(key.clone()) };
        if equals != "=" {
            return Err(format!("{key}{equals}"));
        }
        rest = match after.split_first() {
            Some((comma, after)) if comma == "," => after,
            Some((other, _)) => return Err(format!("{key}={value}{other}")),
            None => after,
        };
        pairs.push((key.clone(), value.trim_matches(['"', '\'']).to_owned()));
    }
    keep_last(&mut pairs, |(name, _)| name);
    Ok(pairs)
}

fn tokens(text: &str) -> Vec<String> {
    // `$`, `{` and `}` belong to the references that `expand.rs` has made.
    let is_word = |char: char| char.is_ascii_alphanumeric() || "_/.+-():${}".contains(char);
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        if first.is_whitespace() {
            continue;
        }
        let mut token = String::from(first);
        if matches!(first, '"' | '\'') {
            token.extend(chars.by_ref().take_while(|char| *char != first));
            token.push(first);
        } else if is_word(first) {
            while let Some(next) = chars.next_if(|char| is_word(*char) || matches!(char, '"' | '\'')) {
                token.push(next);
            }
        }
        tokens.push(token);
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case was read by supervisord 4.3's `dict_of_key_value_pairs`.
    #[test]
    fn pairs_are_read_as_supervisord_reads_them() {
        for (text, expected) in [
            ("", vec![]),
            ("A=1", vec![("A", "1")]),
            ("A=\"x, y\",B='z=1'", vec![("A", "x, y"), ("B", "z=1")]),
            ("A=/a/b.c:d-e+f , B=2,", vec![("A", "/a/b.c:d-e+f"), ("B", "2")]),
            ("A=\"1\",\n  B=\"2\"", vec![("A", "1"), ("B", "2")]),
            ("A=\"say 'hi'\"", vec![("A", "say 'hi")]),
            ("A=\"\"", vec![("A", "")]),
            ("A=1,A=2", vec![("A", "2")]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
            assert_eq!(pairs(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_pair_is_named() {
        for (text, fault) in [("A", "A"), ("A=", "A"), ("A=b@c", "A=b@"), ("A B=1", "AB"), (",A=1", ",A")] {
            assert_eq!(pairs(text), Err(fault.to_owned()), "{text}");
        }
    }
}
