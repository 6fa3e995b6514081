//! Which instances a NAME means: `backend`, `backend.1`, `all`, or a glob such as `'web*'`.
//!
//! Matching is the supervisor's business, for it alone knows who there is. Pure: names in, positions out.
//! A glob knows `*`, `?` and `[a-z]`, `[!a-z]`; it is held against `backend` and against `backend.1`.

use std::fmt;

use super::protocol::{Reason, Refusal};
use crate::suggest::nearest;

/// A name that is nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSuchName {
    /// The name, as it was written.
    pub name: String,
    /// What was probably meant.
    pub nearest: Option<String>,
}

/// The instances that are meant, as (position in `known`, instance), each once, in the order of `known`.
/// `known` has every program's name and how many instances it has.
///
/// # Errors
/// The first name that means nobody: an order to a name that was mistyped shall do nothing at all.
pub fn resolve(patterns: &[String], known: &[(&str, u16)]) -> Result<Vec<(usize, u16)>, NoSuchName> {
    let mut meant = Vec::new();
    for pattern in patterns {
        let before = meant.len();
        for (position, &(name, instances)) in known.iter().enumerate() {
            let matching = (0..instances).filter(|&instance| matches(pattern, name, instance));
            meant.extend(matching.map(|instance| (position, instance)));
        }
        if meant.len() == before {
            return Err(NoSuchName { name: pattern.clone(), nearest: suggestion(pattern, known) });
        }
    }
    meant.sort_unstable();
    meant.dedup();
    Ok(meant)
}

/// Whether a pattern means this instance of this program.
pub fn matches(pattern: &str, name: &str, instance: u16) -> bool {
    if pattern == "all" || glob(pattern, name) {
        return true;
    }
    glob(pattern, &format!("{name}.{instance}"))
}

/// For `backnd.1` the instance too, where the program that was probably meant has it.
fn suggestion(pattern: &str, known: &[(&str, u16)]) -> Option<String> {
    let (program, instance) = match pattern.split_once('.') {
        Some((program, instance)) => (program, instance.parse::<u16>().ok()),
        None => (pattern, None),
    };
    let name = nearest(program, known.iter().map(|&(name, _)| name))?;
    let instances = known.iter().find(|(known, _)| *known == name).map_or(0, |&(_, instances)| instances);
    match instance {
        Some(instance) if instance < instances => Some(format!("{name}.{instance}")),
        Some(_) if name == program => Some(format!("{name}.{}", instances.saturating_sub(1))),
        Some(_) | None => Some(name.to_owned()),
    }
}

/// Whether `text` is what `pattern` describes (glob(7), without slashes and dots of their own).
///
/// Only the last star is ever tried again: more would find nothing new, and the time stays bounded by the
/// square of the text's length, whatever the pattern.
fn glob(pattern: &str, text: &str) -> bool {
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
        // The star takes one character more, and all after it is tried again.
        let Some((after, from)) = last_star else { return false };
        let mut characters = from.chars();
        if characters.next().is_none() {
            return false;
        }
        last_star = Some((after, characters.as_str()));
        (pattern, text) = (after, characters.as_str());
    }
}

/// Takes one character off both, if the first element of the pattern stands for it. A bracket that is
/// never closed stands for itself.
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

/// Splits what follows `[` at its `]`; one that stands first is a member.
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

impl fmt::Display for NoSuchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: String = self.name.chars().take(100).collect();
        write!(f, "there is no program called `{shown}`")
    }
}

impl From<NoSuchName> for Refusal {
    fn from(name: NoSuchName) -> Refusal {
        Refusal::new(Reason::NoSuchName, name.to_string()).with_suggestion(name.nearest.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const KNOWN: [(&str, u16); 4] = [("backend", 2), ("web-1", 1), ("web-2", 1), ("nginx", 1)];

    fn meant(patterns: &[&str]) -> Result<Vec<(usize, u16)>, NoSuchName> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        resolve(&patterns, &KNOWN)
    }

    fn suggested(pattern: &str) -> Option<String> {
        meant(&[pattern]).unwrap_err().nearest
    }

    #[test]
    fn a_program_means_all_its_instances_and_an_instance_only_itself() {
        assert_eq!(meant(&["backend"]).unwrap(), [(0, 0), (0, 1)]);
        assert_eq!(meant(&["backend.1"]).unwrap(), [(0, 1)]);
        assert_eq!(meant(&["nginx.0"]).unwrap(), [(3, 0)]);
    }

    #[test]
    fn globs_and_all_mean_many_each_once_in_the_order_of_the_plan() {
        assert_eq!(meant(&["web*"]).unwrap(), [(1, 0), (2, 0)]);
        assert_eq!(meant(&["all"]).unwrap(), [(0, 0), (0, 1), (1, 0), (2, 0), (3, 0)]);
        assert_eq!(meant(&["*"]).unwrap(), meant(&["all"]).unwrap());
        assert_eq!(
            meant(&["nginx", "web-?", "web-1", "backend.1"]).unwrap(),
            [(0, 1), (1, 0), (2, 0), (3, 0)]
        );
        assert_eq!(meant(&["*.1"]).unwrap(), [(0, 1)]);
        assert_eq!(meant(&["web-[2-9]"]).unwrap(), [(2, 0)]);
        assert_eq!(meant(&["web-[!2-9]"]).unwrap(), [(1, 0)]);
        assert_eq!(meant(&[]).unwrap(), []);
    }

    #[test]
    fn one_name_that_is_nobodys_spoils_the_order() {
        assert_eq!(meant(&["nginx", "bakend"]).unwrap_err().name, "bakend");
        assert_eq!(suggested("bakend"), Some("backend".into()));
        assert_eq!(suggested("bakend.1"), Some("backend.1".into()));
        assert_eq!(suggested("backend.7"), Some("backend.1".into()));
        assert_eq!(suggested("bakend.7"), Some("backend".into()));
        for nobody in
            ["", "mysql", ".", "backend.", "backend.00", "backend.-1", "[", "[!", "[]", "web-[", "🦊"]
        {
            assert!(meant(&[nobody]).is_err(), "{nobody}");
        }
        assert!(resolve(&["all".into()], &[]).is_err());
    }

    #[test]
    fn a_refusal_says_the_name_and_the_nearest() {
        let refusal = Refusal::from(meant(&["ngnix"]).unwrap_err());
        assert_eq!(refusal.to_string(), "there is no program called `ngnix`; did you mean `nginx`?");
    }

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
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in
            [("*a", "ab"), ("?", ""), ("a", "ab"), ("ab", "a"), ("[!a]", "a"), ("[b-a]", "a")]
        {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn a_pattern_full_of_stars_is_decided_at_once() {
        assert!(!glob(&"*a".repeat(30_000), &"a".repeat(60)));
        assert!(!glob(&format!("{}b", "*a".repeat(30)), &"a".repeat(60)));
    }

    proptest! {
        #[test]
        fn any_pattern_is_decided(pattern in "[a-c*?!\\[\\]-]{0,12}", text in "[a-c-]{0,12}") {
            let _ = glob(&pattern, &text);
            prop_assert!(glob(&text, &text));
            let open = format!("*{text}*");
            prop_assert!(glob(&open, &text));
        }
    }
}
