//! foster's own bare init: `foster [FLAGS] -- COMMAND`.
//!
//! The command line is a table in `cli/bare.rs`. Unlike tini and dumb-init it adopts orphans even if it is
//! not PID 1, starts the command with default signals, and closes its inherited descriptors.

use std::ffi::OsString;

use super::{Invocation, Stream};
use crate::bare::{
    Adoption, AtEnd, Bare, Inheritance, Persona, Place, Recipient, Release, Suspension, Verbosity,
};
use crate::cli::bare::{self, parse};
use crate::cli::help;
use crate::exit::ExitStatus;
use crate::sys::sigwait::SignalSet;

pub(super) fn read(arguments: &[OsString]) -> Invocation {
    let options = match parse(arguments) {
        Ok(bare::Invocation::Run(options)) => options,
        Ok(bare::Invocation::Help) => {
            return Invocation::print(Stream::Out, ExitStatus::DONE, help::overview());
        }
        Err(error) => return Invocation::print(Stream::Err, error.status(), format!("foster: {error}\n")),
    };
    Invocation::Run(Box::new(Bare {
        persona: Persona::Foster,
        command: options.command,
        adoption: if options.subreaper { Adoption::Subreaper } else { Adoption::UnlessFirst },
        place: Place::Natural,
        recipient: if options.group { Recipient::Group } else { Recipient::Main },
        rewrites: options.rewrites,
        not_forwarded: SignalSet::NONE,
        suspension: Suspension::Natural,
        remapped_exits: options.remapped_exits,
        parent_death: options.parent_death,
        signals: Inheritance::Default,
        at_end: AtEnd::Leave,
        release: Release::Descriptors,
        verbosity: if options.verbose { Verbosity::Signals } else { Verbosity::Warnings },
        report_orphans: options.report_orphans,
    }))
}
