//! Globs (glob(7)): `*`, `?`, `[a-z]` and `[!a-z]`, for the names of programs and of files.
//!
//! Pure, and fast for any pattern, because a client chooses it. Slashes and dots have no special meaning;
//! `config/file_glob.rs` handles them in paths.

/// Whether the text is a pattern and not a name.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// Whether `text` matches `pattern`.
///
/// Only the last star is tried again, which is enough for a match, and bounds the time by the square of the text's length
/// for any pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut last_star: Option<(&str, &str)> = None;
    loop {
        if let Some(after) = pattern.strip_prefix('*') {
            last_star = Some((after, text));
            pattern = after;
            continue;
        }
        if let Some((after, rest)) = one(pattern, text) {
            (pattern, text) = (after, rest);
            continue;
        }
        if pattern.is_empty() && text.is_empty() {
            return true;
        }
        // The star takes one more character, and the rest of the pattern is tried again.
        let Some((after, from)) = last_star else { return false };
        let mut characters = from.chars();
        if characters.next().is_none() {
            return false;
        }
        last_star = Some((after, characters.as_str()));
        (pattern, text) = (after, characters.as_str());
    }
}

/// Removes one character from both, if the first element of the pattern matches it. A bracket that is never closed matches
/// itself.
fn one<'a>(pattern: &'a str, text: &'a str) -> Option<(&'a str, &'a str)> {
    let mut rest = text.chars();
    let character = rest.next()?;
    let mut after = pattern.chars();
    let matched = match after.next()? {
        '?' => true,
        '[' => match set(after.as_str()) {
            Some((members, rest)) => {
                after = rest.chars();
                contains(members, character)
            }
            None => character == '[',
        },
        literal => literal == character,
    };
    matched.then_some((after.as_str(), rest.as_str()))
}

/// Splits the text after `[` at its `]`; a `]` directly after the `[` is a member.
fn set(text: &str) -> Option<(&str, &str)> {
    let negation = if text.starts_with('!') { 1 } else { 0 };
    let (place, _) = text.char_indices().skip(negation + 1).find(|&(_, character)| character == ']')?;
    let (members, rest) = text.split_at_checked(place)?;
    Some((members, rest.strip_prefix(']')?))
}

fn contains(members: &str, character: char) -> bool {
    let (members, negated) = match members.strip_prefix('!') {
        Some(members) => (members, true),
        None => (members, false),
    };
    let mut rest = members.chars();
    let mut found = false;
    while let Some(first) = rest.next() {
        let mut ahead = rest.clone();
        let last = match (ahead.next(), ahead.next()) {
            (Some('-'), Some(last)) => {
                rest = ahead;
                last
            }
            (Some(_) | None, _) => first,
        };
        found |= (first..=last).contains(&character);
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn a_glob_describes_names_as_a_shell_does() {
        for (pattern, text) in [
            ("*a*b", "xaxbxab"),
            ("a**b", "ab"),
            ("?", "é"),
            ("[]]", "]"),
            ("[!]]", "x"),
            ("[a-]", "-"),
            ("[", "["),
            ("a[b", "a[b"),
            ("", ""),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("*a", "ab"), ("?", ""), ("a", "ab"), ("ab", "a"), ("[!a]", "a"), ("[b-a]", "a")]
        {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_full_of_stars_is_decided_at_once() {
        assert!(!matches(&"*a".repeat(30_000), &"a".repeat(60)));
        assert!(!matches(&format!("{}b", "*a".repeat(30)), &"a".repeat(60)));
    }

    proptest! {
        #[test]
        fn any_pattern_is_decided(pattern in "[a-c*?!\\[\\]-]{0,12}", text in "[a-c-]{0,12}") {
            let _ = matches(&pattern, &text);
            prop_assert!(matches(&text, &text));
            let open = format!("*{text}*");
            prop_assert!(matches(&open, &text));
        }
    }
}
