//! Users from given contents of the files, and the changes to become them.

use super::*;
use crate::plan::Unprivileged;
use nix::errno::Errno;
use nix::unistd::{Gid, Uid};

fn files() -> Databases {
    Databases {
        passwd: b"root:x:0:0::/root:/bin/bash\napp:x:1000:1001::/home/app:\nbare:x:7:7::\n".to_vec(),
        group: b"root:x:0:\nwww:x:33:app\napp:x:1001:\nlog:x:4:web,app\nodd:x:9:apple\n".to_vec(),
    }
}

fn own(user: u32, group: u32, groups: &[u32]) -> Credentials {
    let groups = groups.iter().copied().map(Gid::from_raw).collect();
    Credentials { user: Uid::from_raw(user), group: Gid::from_raw(group), groups }
}

fn name(text: &str) -> Account {
    Account::Name(text.to_owned())
}

fn find(user: Account, group: Option<Account>) -> Result<Identity, Problem> {
    Identity::find(&User { user, group, unprivileged: Unprivileged::Refused }, &files(), &own(0, 0, &[]))
}

#[test]
fn a_name_has_all_its_groups_and_its_own_variables() {
    let app = find(name("app"), None).unwrap();
    assert_eq!((app.user, app.group, app.groups.clone()), (1000, 1001, [4, 33, 1001].into()));
    assert_eq!(app.variables().map(|(_, value)| value), ["/home/app", "app", "app", "/bin/sh"]);
}

#[test]
fn a_number_in_passwd_is_that_user() {
    let by_number = Identity { written: "app".to_owned(), ..find(Account::Id(1000), None).unwrap() };
    assert_eq!(by_number, find(name("app"), None).unwrap());
}

#[test]
fn an_explicit_group_is_the_only_one() {
    let app = find(name("app"), Some(name("www"))).unwrap();
    assert_eq!((app.group, app.groups), (33, [33].into()));
    let app = find(Account::Id(5), Some(Account::Id(6))).unwrap();
    assert_eq!((app.user, app.group, app.groups), (5, 6, [6].into()));
}

#[test]
fn a_number_without_an_entry_has_group_0_and_the_root_directory() {
    let unknown = find(Account::Id(12345), None).unwrap();
    assert_eq!((unknown.user, unknown.group, &unknown.groups), (12345, 0, &[0].into()));
    assert_eq!(unknown.variables().map(|(_, value)| value), ["/", "12345", "12345", "/bin/sh"]);
}

#[test]
fn foster_s_own_number_without_an_entry_needs_no_change() {
    let own = own(12345, 77, &[5]);
    let user = User { user: Account::Id(12345), group: None, unprivileged: Unprivileged::Refused };
    let identity = Identity::find(&user, &Databases::default(), &own).unwrap();
    assert_eq!(identity.group, 77);
    assert_eq!(identity.change(&own, Groups::Fixed), Change::default());
}

#[test]
fn an_unknown_or_impossible_user_or_group_is_named() {
    let message = |user, group| find(user, group).unwrap_err().to_string();
    assert_eq!(
        message(name("web"), None),
        "user `web` is not in /etc/passwd: add it to the image, or use its number"
    );
    assert_eq!(
        message(name("app"), Some(name("web"))),
        "group `web` is not in /etc/group: add it to the image, or use its number"
    );
    assert_eq!(
        message(name(""), None),
        "user `` is not in /etc/passwd: add it to the image, or use its number"
    );
    let none = "4294967295 is not a valid user or group";
    assert_eq!(message(Account::Id(u32::MAX), None), none);
    assert_eq!(message(name("app"), Some(Account::Id(u32::MAX))), none);
    let unread = Problem::Unread(PASSWD, Unread::System(Errno::EACCES));
    assert_eq!(unread.to_string(), "reading /etc/passwd: Permission denied");
}

#[test]
fn root_changes_user_group_and_groups() {
    let change = find(name("app"), None).unwrap().change(&own(0, 0, &[0]), Groups::Settable);
    let whole = Change { groups: Some(vec![4, 33, 1001]), group: Some(1001), user: Some(1000) };
    assert_eq!(change, whole);
}

#[test]
fn ids_that_are_already_set_are_not_changed() {
    let app = find(name("app"), None).unwrap();
    assert_eq!(app.change(&own(1000, 1001, &[33, 4]), Groups::Fixed), Change::default());
    assert_eq!(app.change(&own(1000, 1001, &[33, 1001, 4]), Groups::Settable), Change::default());
    assert_eq!(app.change(&own(1000, 1001, &[]), Groups::Fixed), Change::default());
    let groups = Change { groups: Some(vec![4, 33, 1001]), ..Change::default() };
    assert_eq!(app.change(&own(1000, 1001, &[]), Groups::Settable), groups);
    // Another group is always set, so that the kernel's refusal is reported.
    assert_eq!(app.change(&own(1000, 0, &[]), Groups::Fixed).group, Some(1001));
}
