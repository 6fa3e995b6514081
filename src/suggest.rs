//! Suggestions: the valid name that a user most probably meant by one that is not valid.
//!
//! One measure for verbs, flags, keys and programs. A name that was cut short comes first (`stat` is `status`, not
//! `start`), then spelling: how many characters were left out, added, replaced or swapped with their neighbour
//! (optimal string alignment), whatever the case. A name that is too far away is not offered: a wrong suggestion
//! costs more than none. Which words of other tools mean what, the caller's own tables say. Pure text.

/// So many names are listed where none is near.
const LISTED: usize = 8;

/// How many characters a name needs before what it begins is a suggestion: fewer begin too many.
const SHORTEST_PREFIX: usize = 3;

/// What to say about a name that is not among the valid ones: the nearest, else a list of them.
pub fn suggest<'n>(name: &str, valid: impl IntoIterator<Item = &'n str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    match nearest(name, valid.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => list(&valid),
    }
}

/// The name of `known` that was probably meant: the shortest that begins with `name`, else the nearest by
/// spelling, if a third of its characters (and at least one) at most differ. Of several equals, the first.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = folded(name);
    let mut begun: Option<&str> = None;
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other = folded(candidate);
        let is_begun = given.len() >= SHORTEST_PREFIX && other.starts_with(&given);
        if is_begun && begun.is_none_or(|shortest| candidate.len() < shortest.len()) {
            begun = Some(candidate);
        }
        let limit = (given.len().max(other.len()) / 3).max(1);
        // Most names are ruled out by their length: a hostile name of 64 KiB costs no more than a short one.
        if begun.is_some() || given.len().abs_diff(other.len()) > limit {
            continue;
        }
        let distance = distance(&given, &other);
        let something_in_common = distance < given.len().max(other.len());
        if distance <= limit && something_in_common && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    begun.or(best.map(|(_, candidate)| candidate))
}

fn list(valid: &[&str]) -> String {
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

/// Three rows of the usual table are enough: this one, the one before, and for a swap the one before that.
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
    fn a_slip_of_the_fingers_is_recognised() {
        assert_eq!(of("stauts"), Some("status"));
        assert_eq!(of("statu"), Some("status"));
        assert_eq!(of("statuss"), Some("status"));
        assert_eq!(of("Restart"), Some("restart"));
        assert_eq!(of("restrat"), Some("restart"));
        assert_eq!(of("heatlh"), Some("health"));
    }

    #[test]
    fn a_name_cut_short_means_what_it_begins_before_what_it_resembles() {
        assert_eq!(of("stat"), Some("status"));
        assert_eq!(of("STAT"), Some("status"));
        assert_eq!(of("star"), Some("start"));
        assert_eq!(of("rel"), Some("reload"));
        let keys = ["end", "environment", "env_file"];
        assert_eq!(nearest("env", keys.into_iter()), Some("env_file"));
        assert_eq!(nearest("envi", keys.into_iter()), Some("environment"));
        // Two characters begin too many names.
        assert_eq!(of("st"), None);
    }

    #[test]
    fn where_nothing_is_near_the_names_are_listed() {
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
    fn what_is_far_from_everything_gets_no_suggestion() {
        for name in ["", "x", "deploy", "s", "🦊", "statusstatusstatus"] {
            assert_eq!(of(name), None, "{name}");
        }
        assert_eq!(nearest("a", ["b"].into_iter()), None);
        assert_eq!(nearest("a", std::iter::empty()), None);
    }

    #[test]
    fn of_two_that_are_equally_near_the_first_is_said() {
        assert_eq!(nearest("web3", ["web1", "web2"].into_iter()), Some("web1"));
        assert_eq!(nearest("web2", ["web1", "web2"].into_iter()), Some("web2"));
    }

    #[test]
    fn an_endless_name_is_ruled_out_by_its_length() {
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
