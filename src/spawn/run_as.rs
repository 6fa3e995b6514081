//! The user that a program runs as, decided once for each start: its own, or foster's where it may do without.
//!
//! A [`RunAs`] comes from [`resolve`] alone, so that no program of another user can be started without that look.
//! Next: `identity.rs` for the lookup, `child.rs` for the change.

use nix::unistd::{Gid, Uid};

use crate::plan::{Launch, Unprivileged};
use crate::spawn::failure::Failure;
use crate::spawn::identity::{Change, Databases, Groups, Identity};
use crate::sys::process::{self, Credentials};
use crate::sys::user_namespace;

/// The user a program runs as, and what it keeps of foster's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// `None`: foster's own user.
    identity: Option<Identity>,
    capabilities: Capabilities,
}

/// Which of the capabilities in the plan a program keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capabilities {
    /// Those that are written.
    AsWritten,
    /// Those of them that foster has: it may do without its user, so it may do without these.
    OfFoster,
}

impl RunAs {
    /// The owner of a program's pipes, so that it can open /dev/stderr again after it has given up its rights; `None`:
    /// they are foster's, and so is the program, whether it has no user or foster may not become it.
    pub fn owner(&self) -> Option<(Uid, Gid)> {
        let identity = self.identity.as_ref()?;
        Some((Uid::from_raw(identity.user), Gid::from_raw(identity.group)))
    }

    /// The user and groups that the program has; `None`: foster's.
    pub fn credentials(&self) -> Option<Credentials> {
        let identity = self.identity.as_ref()?;
        let groups = identity.groups.iter().map(|group| Gid::from_raw(*group)).collect();
        Some(Credentials { user: Uid::from_raw(identity.user), group: Gid::from_raw(identity.group), groups })
    }

    /// Its entry in /etc/passwd; `None`: foster's own user.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// As it was written, for messages.
    pub(super) fn written(&self) -> &str {
        self.identity.as_ref().map_or("", |identity| identity.written.as_str())
    }

    /// The capabilities kept; `None`: left as they are.
    pub(super) fn capabilities(&self, launch: &Launch) -> Option<u64> {
        let kept = launch.capabilities?;
        match self.capabilities {
            Capabilities::AsWritten => Some(kept),
            Capabilities::OfFoster => Some(kept & process::permitted_capabilities()),
        }
    }

    /// What a process with these credentials changes to become it; `None`: foster's own user is kept.
    pub(super) fn change(&self, own: &Credentials) -> Option<Change> {
        self.identity.as_ref().map(|identity| identity.change(own, groups()))
    }
}

/// Looks up the user. One that may be done without (`-name`) is, where foster may not become it.
///
/// # Errors
/// There is no such user or group, or the files cannot be read.
pub(super) fn resolve(launch: &Launch, own: &Credentials) -> Result<RunAs, Failure> {
    let as_foster = RunAs { identity: None, capabilities: Capabilities::AsWritten };
    let Some(user) = &launch.user else { return Ok(as_foster) };
    let files = Databases::read().map_err(Failure::User)?;
    let identity = Identity::find(user, &files, own).map_err(Failure::User)?;
    let capabilities = match user.unprivileged {
        Unprivileged::AsFoster if !may_become(&identity) => Capabilities::OfFoster,
        Unprivileged::AsFoster | Unprivileged::Refused => Capabilities::AsWritten,
    };
    let stays = capabilities == Capabilities::OfFoster && identity.user != own.user.as_raw();
    Ok(RunAs { identity: (!stays).then_some(identity), capabilities })
}

/// Whether foster has the rights, and its user namespace the numbers.
fn may_become(identity: &Identity) -> bool {
    process::may_change_users() && user_namespace::has(identity.user, &identity.groups)
}

/// Whether groups can be set.
pub(super) fn groups() -> Groups {
    match process::may_set_groups() {
        true => Groups::Settable,
        false => Groups::Fixed,
    }
}
