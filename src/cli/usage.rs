//! A command line that makes no sense: what is wrong, what was probably meant, where to read on.
//!
//! Pure: it is printed, and turned into an exit status, by `verbs.rs`. A new problem is a variant with its sentence here.

use std::fmt;

use super::commands::{COMMANDS, Verb};
use super::flags::Flag;
use crate::exit::ExitStatus;
use crate::suggest::nearest;

/// A command line that makes no sense.
#[derive(Debug)]
pub struct UsageError {
    /// With which verb, where that is known.
    pub verb: Option<&'static Verb>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no such verb.
    UnknownVerb {
        /// What was written.
        given: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// The verb, or foster, has no such flag.
    UnknownFlag {
        /// What was written, with its dashes.
        given: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// The flag is the bare init's, which wants a `--` before its command.
    FlagOfTheBareInit(String),
    /// The flag has a value, and none was given.
    MissingValue(&'static Flag),
    /// The flag has no value, and one was given.
    UnexpectedValue(String),
    /// The value makes no sense.
    BadValue {
        /// Whose.
        flag: &'static Flag,
        /// What was written.
        given: String,
        /// What is expected.
        expected: &'static str,
    },
    /// There is no such signal.
    NoSuchSignal {
        /// What was written.
        given: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// No script is there for this shell.
    NoSuchShell(String),
    /// Something has to be given that was not.
    MissingArgument(&'static str),
    /// Something was given that nobody wants.
    UnexpectedArgument(String),
    /// There is no event, or no state, called so.
    NoSuchWord {
        /// In which flag's list.
        flag: &'static Flag,
        /// What was written.
        given: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// What was written is not UTF-8, as names are.
    NotText(String),
}

impl Problem {
    pub(super) fn unknown_verb(given: String) -> Problem {
        let nearest = nearest(&given, COMMANDS.iter().map(|verb| verb.name));
        Problem::UnknownVerb { given, nearest }
    }
}

impl UsageError {
    /// What the process ends with.
    pub fn status(&self) -> ExitStatus {
        match self.verb {
            Some(verb) => verb.status(ExitStatus::USAGE),
            None => ExitStatus::USAGE,
        }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which verbs there are, the overview tells, whoever was asked.
        let verb = match &self.problem {
            Problem::UnknownVerb { .. } | Problem::FlagOfTheBareInit(_) => None,
            Problem::UnknownFlag { .. }
            | Problem::MissingValue(_)
            | Problem::UnexpectedValue(_)
            | Problem::BadValue { .. }
            | Problem::NoSuchSignal { .. }
            | Problem::NoSuchShell(_)
            | Problem::NoSuchWord { .. }
            | Problem::MissingArgument(_)
            | Problem::UnexpectedArgument(_)
            | Problem::NotText(_) => self.verb,
        };
        match verb {
            Some(verb) => write!(f, "{}: {} (see `foster help {}`)", verb.name, self.problem, verb.name),
            None => write!(f, "{} (see `foster help`)", self.problem),
        }
    }
}

impl std::error::Error for UsageError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::UnknownVerb { given, nearest } => {
                write!(f, "unknown verb `{given}`")?;
                suggest(f, "", *nearest)
            }
            Problem::UnknownFlag { given, nearest } => {
                write!(f, "unknown flag `{given}`")?;
                suggest(f, "--", *nearest)
            }
            Problem::FlagOfTheBareInit(given) => {
                write!(f, "`{given}` is for `foster [FLAGS] -- COMMAND`: the `--` is missing")
            }
            Problem::MissingValue(flag) => {
                write!(
                    f,
                    "`--{}` needs a value: `--{} {}`",
                    flag.long,
                    flag.long,
                    flag.value.unwrap_or("VALUE")
                )
            }
            Problem::UnexpectedValue(flag) => write!(f, "`{flag}` takes no value"),
            Problem::BadValue { flag, given, expected } => {
                write!(f, "`--{}` is `{given}`, and has to be {expected}", flag.long)
            }
            Problem::NoSuchSignal { given, nearest } => {
                write!(f, "there is no signal `{given}`")?;
                suggest(f, "", *nearest)
            }
            Problem::NoSuchShell(given) => {
                write!(f, "cannot make `{given}` complete: expected `bash`, `zsh` or `fish`")
            }
            Problem::MissingArgument("SHELL") => f.write_str("needs a SHELL: `bash`, `zsh` or `fish`"),
            Problem::NoSuchWord { flag, given, nearest } => {
                write!(f, "there is no {} called `{given}`", flag.long)?;
                suggest(f, "", *nearest)
            }
            Problem::MissingArgument("NAME") => f.write_str("needs a NAME; `all` is all of them"),
            Problem::MissingArgument(what) => write!(f, "needs a {what}"),
            Problem::UnexpectedArgument(given) => write!(f, "there is no use for `{given}`"),
            Problem::NotText(given) => write!(f, "`{given}` is not UTF-8"),
        }
    }
}

fn suggest(f: &mut fmt::Formatter<'_>, dashes: &str, nearest: Option<&str>) -> fmt::Result {
    match nearest {
        Some(nearest) => write!(f, "; did you mean `{dashes}{nearest}`?"),
        None => Ok(()),
    }
}
