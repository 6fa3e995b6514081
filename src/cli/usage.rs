//! A usage error: the problem, its verb, and where to read more.
//!
//! The client prints it and exits with its status. `problem.rs` has the problems. Pure.

use std::fmt;

use super::problem::Problem;
use super::verb::Verb;
use crate::exit::ExitStatus;

/// A usage error.
#[derive(Debug)]
pub struct UsageError {
    /// The verb, if it is known.
    pub verb: Option<&'static Verb>,
    /// The problem.
    pub problem: Problem,
}

impl UsageError {
    /// The exit status.
    pub fn status(&self) -> ExitStatus {
        match self.verb {
            Some(verb) => verb.status(ExitStatus::USAGE),
            None => ExitStatus::USAGE,
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The overview lists the verbs, so these problems refer to it even when the verb was `help`.
        let verb = match &self.problem {
            Problem::UnknownVerb { .. } | Problem::ForeignVerb { .. } | Problem::FlagOfTheBareInit(_) => None,
            Problem::UnknownFlag { .. }
            | Problem::MissingValue(_)
            | Problem::UnexpectedValue(_)
            | Problem::Contradiction(..)
            | Problem::BadValue { .. }
            | Problem::NoSuchSignal { .. }
            | Problem::SignalComesFirst { .. }
            | Problem::NoSuchShell(_)
            | Problem::NotANumberOfInstances(_)
            | Problem::NoSuchWord { .. }
            | Problem::MissingArgument(_)
            | Problem::UnexpectedArgument(_)
            | Problem::OnlyWith { .. }
            | Problem::TwoConfigurations
            | Problem::NotText(_) => self.verb,
        };
        match verb {
            Some(verb) => write!(f, "{}: {} (see `foster help {}`)", verb.name, self.problem, verb.name),
            None => write!(f, "{} (see `foster help`)", self.problem),
        }
    }
}

impl std::error::Error for UsageError {}
