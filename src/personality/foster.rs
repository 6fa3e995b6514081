//! foster itself: `foster [FLAGS] -- COMMAND`. What is best for a command that has nothing else above it.
//!
//! The command line is a table in `cli/bare.rs`. Unlike its elders this init adopts orphans wherever it is, begins
//! the command with clean signals, and lets go of what it was given.

use std::ffi::OsString;

use super::{Reading, Stream};
use crate::bare::{
    Adoption, AtEnd, Bare, Inheritance, Persona, Place, Recipient, Release, Suspension, Verbosity,
};
use crate::cli::bare::{Asked, parse};
use crate::cli::help;
use crate::exit::ExitStatus;
use crate::sys::sigwait::SignalSet;

pub(super) fn read(arguments: &[OsString]) -> Reading {
    let options = match parse(arguments) {
        Ok(Asked::Run(options)) => options,
        Ok(Asked::Help) => return Reading::say(Stream::Out, ExitStatus::DONE, help::overview()),
        Err(error) => return Reading::say(Stream::Err, error.status(), format!("foster: {error}\n")),
    };
    Reading::Run(Box::new(Bare {
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
