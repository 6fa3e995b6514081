//! The nearest name: what someone who wrote a name that does not exist most probably meant.
//!
//! One measure for verbs, flags, keys and programs: how many characters were left out, added, replaced or
//! swapped with their neighbour (optimal string alignment), whatever the case. A name that is too far away
//! is not offered: a wrong suggestion costs more than none.

/// The name of `known` that is nearest to `name`, if one is near enough: a third of its characters may
/// differ, and at least one. Of several that are equally near, the first.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let given = folded(name);
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        let other = folded(candidate);
        let limit = (given.len().max(other.len()) / 3).max(1);
        // Most names are ruled out by their length: a hostile name of 64 KiB costs no more than a short one.
        if given.len().abs_diff(other.len()) > limit {
            continue;
        }
        let distance = distance(&given, &other);
        let something_in_common = distance < given.len().max(other.len());
        if distance <= limit && something_in_common && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
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
