//! The errors of a command line, each with its message.
//!
//! A new problem is a variant here. `usage.rs` adds the verb and the exit status. Pure.

use std::fmt;

use foster_core::ids::Signal;

use super::flags::Flag;
use crate::plan::InstanceCount;
use crate::suggest::nearest;

/// An error of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no such verb.
    UnknownVerb {
        /// As given.
        given: String,
        /// The nearest valid one.
        nearest: Option<&'static str>,
    },
    /// A verb of another tool that is not a single verb here.
    ForeignVerb {
        /// As given.
        given: String,
        /// The verbs to use instead.
        answer: &'static str,
    },
    /// The verb, or foster, has no such flag.
    UnknownFlag {
        /// As given, with its dashes.
        given: String,
        /// The nearest valid one.
        nearest: Option<&'static str>,
    },
    /// The flag belongs to the bare init, whose command follows `--`.
    FlagOfTheBareInit(String),
    /// The flag needs a value, and none was given.
    MissingValue(&'static Flag),
    /// The flag has no value, and one was given.
    UnexpectedValue(String),
    /// The value cannot be read.
    BadValue {
        /// The flag it was given for.
        flag: &'static Flag,
        /// As given.
        given: String,
        /// What is expected.
        expected: &'static str,
    },
    /// Two flags that exclude each other.
    Contradiction(&'static Flag, &'static Flag),
    /// There is no such signal.
    NoSuchSignal {
        /// As given.
        given: String,
        /// The nearest valid one.
        nearest: Option<&'static str>,
    },
    /// `signal NAME SIGNAL`: the arguments are in the wrong order.
    SignalComesFirst {
        /// The first argument.
        name: String,
        /// The second argument.
        signal: String,
    },
    /// There is no completion script for this shell.
    NoSuchShell(String),
    /// The argument is not a number of instances.
    NotANumberOfInstances(String),
    /// An argument is missing.
    MissingArgument(&'static str),
    /// An argument that the verb does not take.
    UnexpectedArgument(String),
    /// The flag needs another one.
    OnlyWith {
        /// The flag.
        flag: &'static Flag,
        /// The one that it needs.
        with: &'static Flag,
    },
    /// Two configurations were given.
    TwoConfigurations,
    /// There is no event, or no state, of this name.
    NoSuchWord {
        /// The flag with the list.
        flag: &'static Flag,
        /// As given.
        given: String,
        /// The nearest valid one.
        nearest: Option<&'static str>,
    },
    /// The argument is not UTF-8, as names are.
    NotText(String),
}

impl Problem {
    /// A signal that is not known, with the nearest name.
    pub(super) fn no_such_signal(given: &str) -> Problem {
        let nearest = nearest(given.trim_start_matches("SIG"), Signal::names());
        Problem::NoSuchSignal { given: given.to_owned(), nearest }
    }

    /// Converts an error of lexopt. Between two arguments only a value such as in `--json=x` is possible.
    pub(super) fn of_parser(error: &lexopt::Error) -> Problem {
        if let lexopt::Error::UnexpectedValue { option, value: _ } = error {
            return Problem::UnexpectedValue(option.clone());
        }
        Problem::UnexpectedArgument(error.to_string())
    }
}

/// A flag, as given.
pub(super) enum GivenFlag {
    Long(String),
    Short(char),
}

impl GivenFlag {
    /// Whether it names this flag.
    pub(super) fn is(&self, flag: &Flag) -> bool {
        match self {
            GivenFlag::Long(long) => flag.long == long,
            GivenFlag::Short(short) => flag.short == Some(*short),
        }
    }

    /// The error that no flag has this name.
    pub(super) fn unknown_among(&self, known: impl Iterator<Item = &'static str>) -> Problem {
        let nearest = match self {
            GivenFlag::Long(long) => nearest(long, known),
            GivenFlag::Short(_) => None,
        };
        Problem::UnknownFlag { given: self.to_string(), nearest }
    }
}

impl fmt::Display for GivenFlag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GivenFlag::Long(long) => write!(f, "--{long}"),
            GivenFlag::Short(short) => write!(f, "-{short}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::UnknownVerb { given, nearest } => {
                write!(f, "unknown verb `{given}`")?;
                suggest(f, "", *nearest)
            }
            Problem::ForeignVerb { given, answer } => write!(f, "unknown verb `{given}`: {answer}"),
            Problem::UnknownFlag { given, nearest } => {
                write!(f, "unknown flag `{given}`")?;
                suggest(f, "--", *nearest)
            }
            Problem::FlagOfTheBareInit(given) => {
                write!(f, "`{given}` is for `foster [FLAGS] -- COMMAND`: the `--` is missing")
            }
            Problem::MissingValue(flag) => {
                let value = flag.value.unwrap_or("VALUE");
                write!(f, "`--{}` needs a value: `--{} {value}`", flag.long, flag.long)
            }
            Problem::UnexpectedValue(flag) => write!(f, "`{flag}` takes no value"),
            Problem::Contradiction(one, other) => {
                write!(f, "`--{}` and `--{}` exclude each other", one.long, other.long)
            }
            Problem::BadValue { flag, given, expected } => {
                write!(f, "invalid value `{given}` for `--{}`: expected {expected}", flag.long)
            }
            Problem::NoSuchSignal { given, nearest } => {
                write!(f, "there is no signal `{given}`")?;
                suggest(f, "", *nearest)
            }
            Problem::SignalComesFirst { name, signal } => {
                write!(f, "SIGNAL comes first: `foster signal {signal} {name}`")
            }
            Problem::NoSuchShell(given) => {
                write!(f, "no completions for `{given}`: expected `bash`, `zsh` or `fish`")
            }
            Problem::NoSuchWord { flag, given, nearest } => {
                write!(f, "there is no {} `{given}`", flag.long)?;
                suggest(f, "", *nearest)
            }
            Problem::NotANumberOfInstances(given) => {
                let most = InstanceCount::MOST;
                write!(
                    f,
                    "`{given}` is not a number of instances: expected 0 to {most}, as in `foster scale NAME 3`"
                )
            }
            Problem::MissingArgument("N") => {
                f.write_str("needs a number of instances, as in `foster scale NAME 3`")
            }
            Problem::MissingArgument("SHELL") => f.write_str("needs a SHELL: `bash`, `zsh` or `fish`"),
            Problem::MissingArgument("NAME...") => f.write_str("needs a NAME; `all` means every program"),
            Problem::MissingArgument("NAME") => {
                f.write_str("needs a NAME: a program or one of its instances")
            }
            Problem::MissingArgument(what) => write!(f, "needs a {what}"),
            Problem::UnexpectedArgument(given) => write!(f, "unexpected argument `{given}`"),
            Problem::OnlyWith { flag, with } => write!(f, "`--{}` needs `--{}`", flag.long, with.long),
            Problem::TwoConfigurations => {
                f.write_str("the configuration is given twice: as FILE and with `-c`")
            }
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
