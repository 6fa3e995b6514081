//! The nearest valid name to one that is not valid.
//!
//! Pure text: what is valid, the caller knows.

use crate::nearest::nearest;

/// So many names are listed where none is near.
const LISTED: usize = 8;

/// What to say about a name that is not among the valid ones: the nearest, else a list of them.
pub(super) fn suggest<'n>(name: &str, valid: impl IntoIterator<Item = &'n str>) -> String {
    let valid: Vec<&str> = valid.into_iter().collect();
    match nearest(name, valid.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => list(&valid),
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
