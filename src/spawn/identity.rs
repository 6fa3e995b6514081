//! The user of a program, and the ids that a process must change.
//!
//! It is looked up at each start, so that a user created by another program is found. The rules are those of `docker run
//! --user`: a number without an entry in /etc/passwd has group 0, no other groups, and the home `/`; an explicit group is
//! the only one. If foster already has that user, unnecessary changes are skipped, so that an unprivileged foster can
//! name its own user. Next: `passwd.rs` for the files, `child.rs` for the change.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use foster_core::sorted::SortedSet;
use nix::errno::Errno;
use nix::unistd::{Gid, Uid};

use crate::bounded_read::{self, Accept, Unread};
use crate::plan::{Account, Unprivileged, User};
use crate::spawn::passwd;
use crate::sys::process::Credentials;

/// A user with its ids and variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// The user as in the configuration, for messages.
    pub(super) written: String,
    /// User number.
    pub(super) user: u32,
    /// Group number.
    pub(super) group: u32,
    /// All groups including `group`, as login sets them.
    pub(super) groups: SortedSet<u32>,
    /// `USER` and `LOGNAME`: the name, or the number if it has none.
    pub(super) name: OsString,
    /// `HOME`.
    pub(super) home: OsString,
    /// `SHELL`.
    pub(super) shell: OsString,
}

/// The ids that must change; `None` for one that is already set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Supplementary groups to set.
    pub(super) groups: Option<Vec<u32>>,
    /// Group to become.
    pub(super) group: Option<u32>,
    /// User to become.
    pub(super) user: Option<u32>,
}

impl Change {
    /// The change from `own` to this user.
    pub(super) fn to(
        user: u32,
        group: u32,
        groups: &SortedSet<u32>,
        own: &Credentials,
        right: Groups,
    ) -> Change {
        let listed: SortedSet<u32> = own.groups.iter().map(|group| group.as_raw()).collect();
        let belongs_to = || listed.iter().copied().chain([group]).collect::<SortedSet<u32>>();
        let other_user = (own.user.as_raw() != user).then_some(user);
        let other_group = (own.group.as_raw() != group).then_some(group);
        let already = match right {
            Groups::Settable => listed == *groups,
            // foster already is that user, but the runtime has given it other groups, which it may not change: the program
            // keeps them.
            Groups::Fixed => belongs_to() == *groups || other_user.is_none() && other_group.is_none(),
        };
        let groups = (!already).then(|| groups.iter().copied().collect());
        Change { groups, group: other_group, user: other_user }
    }
}

/// Why the user could not be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// No such name in /etc/passwd.
    UnknownUser(String),
    /// No such name in /etc/group.
    UnknownGroup(String),
    /// The number that means "unchanged" to the kernel.
    InvalidId(u32),
    /// This file exists and could not be read.
    Unread(&'static str, Unread),
}

impl Problem {
    /// The system error, if it is one.
    pub(super) fn errno(&self) -> Option<Errno> {
        match self {
            Problem::Unread(_, unread) => unread.errno(),
            Problem::UnknownUser(_) | Problem::UnknownGroup(_) | Problem::InvalidId(_) => None,
        }
    }
}

/// Whether foster can set groups (CAP_SETGID).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Groups {
    /// It can.
    Settable,
    /// It cannot.
    Fixed,
}

/// The contents of the two files; a missing file is empty.
#[derive(Debug, Default)]
pub(super) struct Databases {
    /// /etc/passwd.
    pub(super) passwd: Vec<u8>,
    /// /etc/group.
    pub(super) group: Vec<u8>,
}

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// The size limit, enough for 100,000 users.
const LARGEST_DATABASE: usize = 16 << 20;

impl Databases {
    /// Reads both files.
    pub(super) fn read() -> Result<Databases, Problem> {
        let read = |path: &'static str| {
            bounded_read::read_if_present(Path::new(path), LARGEST_DATABASE, Accept::AllButFifos)
                .map_err(|why| Problem::Unread(path, why))
        };
        Ok(Databases { passwd: read(PASSWD)?, group: read(GROUP)? })
    }
}

impl Identity {
    /// Looks up `user`. A number without an entry that is foster's own user has foster's group.
    pub(super) fn find(user: &User, files: &Databases, own: &Credentials) -> Result<Identity, Problem> {
        let mut users = passwd::users(&files.passwd);
        let (id, entry) = match &user.user {
            Account::Id(u32::MAX) => return Err(Problem::InvalidId(u32::MAX)),
            Account::Id(id) => (*id, users.find(|entry| entry.id == *id)),
            Account::Name(name) => {
                let entry = users.find(|entry| entry.name == name.as_bytes());
                let entry = entry.ok_or_else(|| Problem::UnknownUser(name.clone()))?;
                (entry.id, Some(entry))
            }
        };
        let first = match (&user.group, entry) {
            (Some(group), _) => group_number(group, &files.group)?,
            (None, Some(entry)) => entry.group,
            (None, None) if id == own.user.as_raw() => own.group.as_raw(),
            (None, None) => 0,
        };
        let mut groups = SortedSet::from([first]);
        if let (None, Some(entry)) = (&user.group, entry) {
            let others = passwd::groups(&files.group).filter(|group| group.has_member(entry.name));
            groups.extend(others.map(|group| group.id));
        }
        let text = |field: &[u8], default: &str| match field {
            [] => OsString::from(default),
            bytes => OsString::from_vec(bytes.to_vec()),
        };
        let number = id.to_string();
        Ok(Identity {
            written: written(user),
            user: id,
            group: first,
            groups,
            name: entry.map_or_else(|| OsString::from(&number), |entry| text(entry.name, &number)),
            home: text(entry.map(|entry| entry.home).unwrap_or_default(), "/"),
            shell: text(entry.map(|entry| entry.shell).unwrap_or_default(), "/bin/sh"),
        })
    }

    /// The change to this user.
    pub(super) fn change(&self, own: &Credentials, right: Groups) -> Change {
        Change::to(self.user, self.group, &self.groups, own, right)
    }

    /// The variables of this user.
    pub(super) fn variables(&self) -> [(&'static str, &OsStr); 4] {
        [("HOME", &self.home), ("USER", &self.name), ("LOGNAME", &self.name), ("SHELL", &self.shell)]
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::UnknownUser(name) => {
                write!(f, "user `{name}` is not in {PASSWD}: add it to the image, or use its number")
            }
            Problem::UnknownGroup(name) => {
                write!(f, "group `{name}` is not in {GROUP}: add it to the image, or use its number")
            }
            Problem::InvalidId(number) => write!(f, "{number} is not a valid user or group"),
            Problem::Unread(path, why) => write!(f, "reading {path}: {why}"),
        }
    }
}

/// The owner of a file that belongs to a user, a group, or both.
pub(super) fn owner(
    user: Option<&Account>,
    group: Option<&Account>,
    own: &Credentials,
) -> Result<(Option<Uid>, Option<Gid>), Problem> {
    if user.is_none() && group.is_none() {
        return Ok((None, None));
    }
    let files = Databases::read()?;
    let Some(user) = user else {
        let group = group.map(|group| group_number(group, &files.group)).transpose()?;
        return Ok((None, group.map(Gid::from_raw)));
    };
    let user = User { user: user.clone(), group: group.cloned(), unprivileged: Unprivileged::Refused };
    let identity = Identity::find(&user, &files, own)?;
    Ok((Some(Uid::from_raw(identity.user)), Some(Gid::from_raw(identity.group))))
}

fn group_number(group: &Account, text: &[u8]) -> Result<u32, Problem> {
    match group {
        Account::Id(u32::MAX) => Err(Problem::InvalidId(u32::MAX)),
        Account::Id(id) => Ok(*id),
        Account::Name(name) => passwd::groups(text)
            .find(|group| group.name == name.as_bytes())
            .map(|group| group.id)
            .ok_or_else(|| Problem::UnknownGroup(name.clone())),
    }
}

fn written(user: &User) -> String {
    let account = |account: &Account| match account {
        Account::Name(name) => name.clone(),
        Account::Id(id) => id.to_string(),
    };
    let name = account(&user.user);
    user.group.as_ref().map_or(name.clone(), |group| format!("{name}:{}", account(group)))
}

#[cfg(test)]
mod tests;
