//! Suggestions: the valid name that is nearest to an invalid one.
//!
//! One measure for verbs, flags, keys and programs. Prefixes come first (`stat` is `status`, not `start`),
//! then spelling: the number of characters that are missing, added, replaced or swapped with their neighbour (optimal
//! string alignment), ignoring case. A name that is too far away is not suggested: a wrong suggestion is worse than
//! none. Verbs of other tools are in `cli/foreign.rs`. Pure.

/// The most names to list if none is near.
const LISTED: usize = 8;

/// The shortest prefix that suggests a name: a shorter one fits too many.
const SHORTEST_PREFIX: usize = 3;

/// The hint for an invalid name: the nearest valid one, else a list of them.
pub fn suggest<'n>(name: &str, valid: impl IntoIterator<Item = &'n str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    match nearest(name, valid.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => list(&valid),
    }
}

/// The nearest of the `known` names: the shortest that starts with `name`, else the nearest by spelling, if at most a
/// third of its characters (or one) differ. Of several equally near ones, the first.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = folded(name);
    let mut prefixed: Option<&str> = None;
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other = folded(candidate);
        let is_prefix = given.len() >= SHORTEST_PREFIX && other.starts_with(&given);
        if is_prefix && prefixed.is_none_or(|shortest| candidate.len() < shortest.len()) {
            prefixed = Some(candidate);
        }
        let limit = (given.len().max(other.len()) / 3).max(1);
        // The length rules out most names, so that a hostile name of 64 KiB costs no more than a short one.
        if prefixed.is_some() || given.len().abs_diff(other.len()) > limit {
            continue;
        }
        let distance = distance(&given, &other);
        let something_in_common = distance < given.len().max(other.len());
        if distance <= limit && something_in_common && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    prefixed.or(best.map(|(_, candidate)| candidate))
}

/// The names themselves, the first of them where there are many.
pub fn list(valid: &[&str]) -> String {
    let shown: Vec<String> = valid.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match valid.len() {
        0 => "there is none".to_owned(),
        1 => format!("there is {}", shown.join("")),
        count if count > LISTED => format!("there are {} and {} more", shown.join(", "), count - LISTED),
        _ => format!("there are {}", shown.join(", ")),
    }
}

fn folded(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// Three rows of the table are enough: the current one, the previous one, and for a swap the one before it.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut two_before: Vec<usize> = Vec::new();
    let mut before: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (row, &from) in a.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut previous_b = None;
        for (column, &to) in b.iter().enumerate() {
            let at = |line: &[usize], place: usize| line.get(place).copied().unwrap_or(usize::MAX - 1);
            let mut least = (at(&before, column) + usize::from(from != to))
                .min(at(&before, column + 1) + 1)
                .min(at(&current, column) + 1);
            if previous_a == Some(to) && previous_b == Some(from) && column > 0 {
                least = least.min(at(&two_before, column - 1) + 1);
            }
            current.push(least);
            previous_b = Some(to);
        }
        two_before = std::mem::replace(&mut before, current);
        previous_a = Some(from);
    }
    before.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    const VERBS: [&str; 6] = ["status", "start", "stop", "restart", "reload", "health"];

    fn of(name: &str) -> Option<&'static str> {
        nearest(name, VERBS.into_iter())
    }

    #[test]
    fn a_typing_error_is_recognised() {
        assert_eq!(of("stauts"), Some("status"));
        assert_eq!(of("statu"), Some("status"));
        assert_eq!(of("statuss"), Some("status"));
        assert_eq!(of("Restart"), Some("restart"));
        assert_eq!(of("restrat"), Some("restart"));
        assert_eq!(of("heatlh"), Some("health"));
    }

    #[test]
    fn a_prefix_wins_over_a_similar_spelling() {
        assert_eq!(of("stat"), Some("status"));
        assert_eq!(of("STAT"), Some("status"));
        assert_eq!(of("star"), Some("start"));
        assert_eq!(of("rel"), Some("reload"));
        let keys = ["end", "environment", "env_file"];
        assert_eq!(nearest("env", keys.into_iter()), Some("env_file"));
        assert_eq!(nearest("envi", keys.into_iter()), Some("environment"));
        // Two characters are a prefix of too many names.
        assert_eq!(of("st"), None);
    }

    #[test]
    fn without_a_near_name_the_valid_names_are_listed() {
        assert_eq!(suggest("cmomand", ["command", "user"]), "did you mean `command`?");
        assert_eq!(suggest("xyzzy", ["web", "db"]), "there are `web`, `db`");
        assert_eq!(suggest("xyzzy", ["web"]), "there is `web`");
        assert_eq!(suggest("xyzzy", []), "there is none");
        assert!(suggest("x", ["a", "b", "c", "d", "e", "f", "g", "h", "i"]).ends_with("`h` and 1 more"));
    }

    #[test]
    fn a_hostile_name_costs_nothing() {
        assert_eq!(suggest(&"é".repeat(1_000_000), ["web"]), "there is `web`");
        assert_eq!(suggest("", ["web"]), "there is `web`");
    }

    #[test]
    fn a_name_far_from_all_others_gets_no_suggestion() {
        for name in ["", "x", "deploy", "s", "🦊", "statusstatusstatus"] {
            assert_eq!(of(name), None, "{name}");
        }
        assert_eq!(nearest("a", ["b"].into_iter()), None);
        assert_eq!(nearest("a", std::iter::empty()), None);
    }

    #[test]
    fn the_first_of_two_equally_near_names_is_suggested() {
        assert_eq!(nearest("web3", ["web1", "web2"].into_iter()), Some("web1"));
        assert_eq!(nearest("web2", ["web1", "web2"].into_iter()), Some("web2"));
    }

    #[test]
    fn a_very_long_name_is_ruled_out_by_its_length() {
        assert_eq!(of(&"status".repeat(10_000)), None);
    }

    proptest! {
        #[test]
        fn the_distance_is_a_distance(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            let (a, b) = (folded(&a), folded(&b));
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
            prop_assert!(distance(&a, &b) >= a.len().abs_diff(b.len()));
            prop_assert!(distance(&a, &b) <= a.len().max(b.len()));
        }
    }
}
