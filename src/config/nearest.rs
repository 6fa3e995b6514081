//! The nearest valid name to one that is not valid.
//!
//! Pure text: what is valid, the caller knows.

/// Longer names are not compared: the work grows with the square.
const LONGEST: usize = 64;
/// So many names are listed where none is near.
const LISTED: usize = 8;

/// What to say about a name that is not among the valid ones: the nearest, else a list of them.
pub(super) fn suggest<'n>(name: &str, valid: impl IntoIterator<Item = &'n str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    match nearest(name, &valid) {
        Some(near) => format!("did you mean `{near}`?"),
        None => list(&valid),
    }
}

fn nearest<'n>(name: &str, valid: &[&'n str]) -> Option<&'n str> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST {
        return None;
    }
    valid
        .iter()
        .map(|candidate| (distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= allowance(length.max(candidate.chars().count())))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many slips of the finger a name of this length may have.
fn allowance(length: usize) -> usize {
    match length {
        0..=2 => 0,
        3..=5 => 1,
        6..=8 => 2,
        9.. => 3,
    }
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

/// Insertions, deletions, replacements and swaps of neighbours between two names, case aside.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().flat_map(char::to_lowercase).collect();
    let b: Vec<char> = b.chars().take(2 * LONGEST).flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let cell = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = cell(&last, j) + usize::from(from != to);
            let mut best = replaced.min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            if swapped {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    cell(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let valid = ["command", "directory", "user", "umask"];
        for (written, meant) in
            [("comand", "command"), ("cmomand", "command"), ("User", "user"), ("dir3ctory", "directory")]
        {
            assert_eq!(suggest(written, valid), format!("did you mean `{meant}`?"));
        }
    }

    #[test]
    fn where_nothing_is_near_the_names_are_listed() {
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
}
