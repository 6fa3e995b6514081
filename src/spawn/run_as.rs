//! The user that a program runs as, resolved once for each start: its `user`, or foster's if that is allowed.
//!
//! Only [`resolve`] creates a [`RunAs`], so that a program cannot be started without the lookup. Next: `identity.rs` for the
//! lookup, `child.rs` for the change.

use nix::unistd::{Gid, Uid};

use crate::plan::{Launch, Unprivileged};
use crate::spawn::failure::Failure;
use crate::spawn::identity::{Change, Databases, Groups, Identity};
use crate::sys::process::{self, Credentials};
use crate::sys::user_namespace;

/// The user that a program runs as, and the capabilities that it keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunAs {
    /// `None`: foster's own user.
    identity: Option<Identity>,
    capabilities: Capabilities,
}

/// The capabilities that a program keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Capabilities {
    /// All that are configured.
    AsWritten,
    /// Those of the configured ones that foster has, for a program that may run without its user.
    OfFoster,
}

impl RunAs {
    /// foster's own user.
    pub(super) fn foster() -> RunAs {
        RunAs { identity: None, capabilities: Capabilities::AsWritten }
    }

    /// The owner of a program's pipes, so that it can open /dev/stderr after dropping privileges; `None`: foster's user,
    /// which the program also runs as.
    pub fn owner(&self) -> Option<(Uid, Gid)> {
        let identity = self.identity.as_ref()?;
        Some((Uid::from_raw(identity.user), Gid::from_raw(identity.group)))
    }

    /// The program's user and groups; `None`: foster's.
    pub fn credentials(&self) -> Option<Credentials> {
        let identity = self.identity.as_ref()?;
        let groups = identity.groups.iter().map(|group| Gid::from_raw(*group)).collect();
        Some(Credentials { user: Uid::from_raw(identity.user), group: Gid::from_raw(identity.group), groups })
    }

    /// Its entry in /etc/passwd; `None`: foster's own user.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// The user as in the configuration, for messages.
    pub(super) fn written(&self) -> &str {
        self.identity.as_ref().map_or("", |identity| identity.written.as_str())
    }

    /// The capabilities kept; `None`: unchanged.
    pub(super) fn capabilities(&self, launch: &Launch) -> Option<u64> {
        let kept = launch.capabilities?;
        match self.capabilities {
            Capabilities::AsWritten => Some(kept),
            Capabilities::OfFoster => Some(kept & process::permitted_capabilities()),
        }
    }

    /// The change from these credentials; `None`: foster's user is kept.
    pub(super) fn change(&self, own: &Credentials) -> Option<Change> {
        self.identity.as_ref().map(|identity| identity.change(own, groups()))
    }
}

/// Looks up the user. An optional one (`-name`) is ignored if foster cannot become it.
///
/// # Errors
/// There is no such user or group, or the files cannot be read.
pub(super) fn resolve(launch: &Launch, own: &Credentials) -> Result<RunAs, Failure> {
    let Some(user) = &launch.user else { return Ok(RunAs::foster()) };
    let files = Databases::read().map_err(Failure::User)?;
    let identity = Identity::find(user, &files, own).map_err(Failure::User)?;
    let capabilities = match user.unprivileged {
        Unprivileged::AsFoster if !may_become(&identity) => Capabilities::OfFoster,
        Unprivileged::AsFoster | Unprivileged::Refused => Capabilities::AsWritten,
    };
    let stays = capabilities == Capabilities::OfFoster && identity.user != own.user.as_raw();
    Ok(RunAs { identity: (!stays).then_some(identity), capabilities })
}

/// Whether foster has the privileges, and its user namespace maps the ids.
fn may_become(identity: &Identity) -> bool {
    process::may_change_users() && user_namespace::has(identity.user, &identity.groups)
}

/// Whether foster can set groups.
pub(super) fn groups() -> Groups {
    match process::may_set_groups() {
        true => Groups::Settable,
        false => Groups::Fixed,
    }
}
