//! The verbs: one row each, with everything that foster knows about one.
//!
//! The table drives the parser, the help, the manual page and the completions, and selects how the client prints the
//! answer. To add a verb: a row in `commands/client.rs`, its variant in `control/protocol.rs`, its arm in
//! `init/requests/mod.rs`, and for arguments of a new form a function in `verb_args.rs`. Pure, like all of `cli/`.
//! `verb.rs` has the columns.

mod client;
mod local;

use super::flags::{self, Flag};
use super::verb::{SHELL, Verb};
use crate::exit::ExitStatus;

const DONE: ExitStatus = ExitStatus::DONE;
const FAILED: ExitStatus = ExitStatus::FAILED;
const USAGE: ExitStatus = ExitStatus::USAGE;
const WRONG_USAGE: (ExitStatus, &str) = (USAGE, "the command line is invalid");

/// Every verb.
pub fn all() -> impl Iterator<Item = &'static Verb> {
    client::VERBS.iter().chain(local::VERBS)
}

impl Verb {
    /// The verb with this name or alias. `sh` is `exec` with a shell as its command.
    pub fn by_name(name: &str) -> Option<&'static Verb> {
        let name = if name == SHELL { "exec" } else { name };
        all().find(|verb| verb.name == name || verb.aliases.contains(&name))
    }
}

/// The flags of this verb, or those of all verbs.
pub(super) fn flags_of(verb: Option<&'static Verb>) -> impl Iterator<Item = &'static Flag> {
    let meant = move |candidate: &&'static Verb| verb.is_none_or(|verb| verb.name == candidate.name);
    let own = all().filter(meant).flat_map(|verb| verb.flags.iter().copied());
    let version: Option<&'static Flag> = verb.is_none().then_some(&flags::VERSION);
    own.chain([&flags::HELP]).chain(version)
}
