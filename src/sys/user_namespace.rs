//! The users and groups of foster's user namespace (user_namespaces(7)).
//!
//! With rootless podman without subordinate ids, `unshare --map-root-user` or bubblewrap, foster is root with every
//! capability and still cannot change to another user. Without /proc no such limit is assumed.

use std::fs;

use foster_core::sorted::SortedSet;

const USERS: &str = "/proc/self/uid_map";
const GROUPS: &str = "/proc/self/gid_map";
const SETGROUPS: &str = "/proc/self/setgroups";

/// Whether this user and all of these groups are mapped.
pub fn has(user: u32, groups: &SortedSet<u32>) -> bool {
    let read = |path| fs::read_to_string(path).ok();
    let maps = |map: &Option<String>, number| map.as_ref().is_none_or(|map| is_mapped(map, number));
    let (users, all_groups) = (read(USERS), read(GROUPS));
    maps(&users, user) && groups.iter().all(|group| maps(&all_groups, *group))
}

/// Whether setgroups(2) is denied to every process of this namespace, whatever its capabilities.
pub fn denies_groups() -> bool {
    fs::read_to_string(SETGROUPS).is_ok_and(|text| text.trim() == "deny")
}

/// Each line has the first id inside, the first id outside, and the number of ids.
fn is_mapped(map: &str, number: u32) -> bool {
    map.lines().any(|line| {
        let mut fields = line.split_whitespace().map(|field| field.parse::<u64>().unwrap_or_default());
        let (first, _outside, count) = (fields.next(), fields.next(), fields.next());
        let (first, count) = (first.unwrap_or_default(), count.unwrap_or_default());
        (first..first.saturating_add(count)).contains(&u64::from(number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_mapped_from_the_first_to_the_last_of_a_range() {
        let whole = "         0          0 4294967295\n";
        assert!(is_mapped(whole, 0) && is_mapped(whole, 4_294_967_294) && !is_mapped(whole, u32::MAX));
        let one = "         0       1000          1\n";
        assert!(is_mapped(one, 0) && !is_mapped(one, 1) && !is_mapped(one, 1000));
        let two = "0 1000 1\n1 100000 65536\n";
        assert!(is_mapped(two, 65536) && !is_mapped(two, 65537));
        assert!(!is_mapped("", 0) && !is_mapped("x y z", 0));
    }
}
