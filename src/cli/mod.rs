//! The command line: what was asked for, and how answers look.
//!
//! [`parse`] turns arguments into a [`Command`], by the table in [`commands`]; [`help`] prints the table;
//! [`mod@format`] makes answers readable. All pure: nothing here reads a file, an environment or a socket,
//! and nothing here prints. `verbs.rs` carries commands out.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use foster_core::action::{EventName, StateName};
use foster_core::ids::Signal;

use self::commands::{COMMANDS, Verb};
use self::completions::Shell;
use self::flags::Flag;
use self::given::Given;
pub use self::usage::{Problem, UsageError};
use crate::suggest::nearest;

pub mod bare;
pub mod commands;
pub mod completions;
pub mod flags;
pub mod format;
mod given;
pub mod help;
pub mod manual;
mod reading;
mod usage;

/// What is to be done.
#[derive(Debug)]
pub enum Command {
    /// Be the supervisor.
    Run {
        /// `-c`.
        config: Option<PathBuf>,
    },
    /// Check a configuration.
    Check {
        /// `-c`.
        config: Option<PathBuf>,
        /// For whom the answer is.
        output: Output,
    },
    /// Ask the supervisor.
    Ask(Ask),
    /// Show what foster sees of its surroundings.
    Doctor {
        /// Where the supervisor is.
        place: Place,
        /// For whom the answer is.
        output: Output,
    },
    /// Print the schema of the configuration.
    Schema,
    /// Print a shell's script, or what fits a command line.
    Completions {
        /// Which shell's.
        shell: Shell,
        /// The command line; empty: the script is wanted.
        words: Vec<String>,
    },
    /// Say which foster this is.
    Version {
        /// For whom the answer is.
        output: Output,
    },
    /// Print help.
    Help {
        /// With which verb; `None`: with all.
        verb: Option<&'static Verb>,
    },
}

/// A question or an order to the supervisor.
#[derive(Debug)]
pub struct Ask {
    /// The verb's row.
    pub verb: &'static Verb,
    /// What is asked.
    pub question: Question,
    /// Where the supervisor is.
    pub place: Place,
    /// For whom the answer is.
    pub output: Output,
}

/// Where the supervisor is, as far as the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `--socket`.
    pub socket: Option<PathBuf>,
    /// `-c`.
    pub config: Option<PathBuf>,
}

/// What the supervisor is asked. Names are as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// How they stand; nobody named is everybody.
    Status {
        /// Who.
        names: Vec<String>,
    },
    /// Do this.
    Order {
        /// What.
        order: Order,
        /// To whom; at least one.
        names: Vec<String>,
        /// How long the answer is waited for.
        patience: Patience,
    },
    /// Send a signal.
    Signal {
        /// Which.
        signal: Signal,
        /// To whom; at least one.
        names: Vec<String>,
    },
    /// Their output; nobody named is everybody.
    Logs {
        /// Whose.
        names: Vec<String>,
        /// How many of the last lines; `None`: all.
        lines: Option<u32>,
        /// Whether more is waited for.
        follow: Follow,
    },
    /// What happened.
    Events {
        /// About whom; nobody named is everybody.
        names: Vec<String>,
        /// Which; none named: all.
        events: Vec<EventName>,
        /// Only changes to these states; none named: all.
        states: Vec<StateName>,
        /// How many of the last ones; `None`: all.
        lines: Option<u32>,
        /// Whether more is waited for.
        follow: Follow,
    },
    /// Become this command, as a process of the program would.
    Exec {
        /// Which program.
        name: String,
        /// What, with its arguments; never empty.
        command: Vec<OsString>,
    },
    /// Say when they are ready.
    Wait {
        /// Who; at least one.
        names: Vec<String>,
        /// How long at most; `None`: for ever.
        timeout: Option<Duration>,
    },
    /// Whether they are ready and healthy; nobody named is everybody.
    Health {
        /// Who.
        names: Vec<String>,
    },
    /// Read the configuration again.
    Update {
        /// How long the answer is waited for.
        patience: Patience,
    },
    /// End the container.
    Shutdown,
}

/// An order to programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Be up.
    Start,
    /// Be down.
    Stop,
    /// Be down, then up.
    Restart,
    /// Read the configuration of your own again.
    Reload,
}

/// How long an order is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Until it is done.
    UntilDone,
    /// Not at all.
    None,
}

/// Whether lines that are still to be written are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    /// They are.
    Yes,
    /// They are not.
    No,
}

/// For whom an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Reads a command line, without the program's own name.
///
/// # Errors
/// The first thing that makes no sense.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut verb: Option<&'static Verb> = None;
    let mut flags = Vec::new();
    let mut rest = VecDeque::new();
    let blame = |verb| move |problem| UsageError { verb, problem };
    while let Some(argument) = parser.next().map_err(|error| blame(verb)(unexpected(&error)))? {
        let name = match argument {
            lexopt::Arg::Value(value) if verb.is_none() => {
                verb = Some(called(value).map_err(blame(None))?);
                continue;
            }
            lexopt::Arg::Value(value) => {
                rest.push_back(value);
                // A command's flags are its own.
                if rest.len() > 1 && verb.is_some_and(Verb::ends_with_a_command) {
                    rest.extend(parser.raw_args().map_err(|error| blame(verb)(unexpected(&error)))?);
                }
                continue;
            }
            lexopt::Arg::Long(long) => Name::Long(long.to_owned()),
            lexopt::Arg::Short(short) => Name::Short(short),
        };
        let flag = known(&name, verb).map_err(blame(verb))?;
        let value = match flag.value {
            None => None,
            Some(_) => {
                let value = parser.value().map_err(|_| blame(verb)(Problem::MissingValue(flag)))?;
                Some(value)
            }
        };
        flags.push((flag, value));
    }
    let has = |flag: &Flag| flags.iter().any(|(given, _)| *given == flag);
    if has(&flags::HELP) {
        return Ok(Command::Help { verb });
    }
    if has(&flags::VERSION) {
        return Ok(Command::Version { output: Output::Text });
    }
    let Some(verb) = verb.or_else(|| Verb::called("run")) else {
        return Err(blame(None)(Problem::MissingArgument("VERB")));
    };
    // A flag that stands before the verb was looked up without knowing it.
    let foreign = flags.iter().find(|(flag, _)| !verb.flags.contains(flag));
    if let Some((flag, _)) = foreign {
        return Err(blame(Some(verb))(unknown(&Name::Long(flag.long.to_owned()), Some(verb))));
    }
    let mut given = Given::new(verb, flags, rest);
    let command = (verb.read)(&mut given).map_err(blame(Some(verb)))?;
    given.done().map_err(blame(Some(verb)))?;
    Ok(command)
}

/// A flag, as it was written.
enum Name {
    Long(String),
    Short(char),
}

impl Name {
    fn is_of(&self, flag: &Flag) -> bool {
        match self {
            Name::Long(long) => flag.long == long,
            Name::Short(short) => flag.short == Some(*short),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Long(long) => write!(f, "--{long}"),
            Name::Short(short) => write!(f, "-{short}"),
        }
    }
}

fn called(name: OsString) -> Result<&'static Verb, Problem> {
    let name = name.into_string().map_err(|name| Problem::NotText(name.to_string_lossy().into_owned()))?;
    Verb::called(&name).ok_or_else(|| Problem::unknown_verb(name))
}

/// The flag called so: one of the verb's; before a verb, one of anybody's.
fn known(name: &Name, verb: Option<&'static Verb>) -> Result<&'static Flag, Problem> {
    known_to(verb).find(|flag| name.is_of(flag)).ok_or_else(|| unknown(name, verb))
}

fn known_to(verb: Option<&'static Verb>) -> impl Iterator<Item = &'static Flag> {
    let meant = move |candidate: &&'static Verb| verb.is_none_or(|verb| verb.name == candidate.name);
    let own = COMMANDS.iter().filter(meant).flat_map(|verb| verb.flags.iter().copied());
    let version: Option<&'static Flag> = verb.is_none().then_some(&flags::VERSION);
    own.chain([&flags::HELP]).chain(version)
}

fn unknown(name: &Name, verb: Option<&'static Verb>) -> Problem {
    if verb.is_none() && bare::FLAGS.iter().any(|flag| name.is_of(flag)) {
        return Problem::FlagOfTheBareInit(name.to_string());
    }
    unknown_among(name, known_to(verb).map(|flag| flag.long))
}

fn unknown_among(name: &Name, known: impl Iterator<Item = &'static str>) -> Problem {
    let nearest = match name {
        Name::Long(long) => nearest(long, known),
        Name::Short(_) => None,
    };
    Problem::UnknownFlag { given: name.to_string(), nearest }
}

fn no_such_signal(given: &str) -> Problem {
    let nearest = nearest(given.trim_start_matches("SIG"), Signal::names());
    Problem::NoSuchSignal { given: given.to_owned(), nearest }
}

/// What lexopt finds out by itself: `--json=x` is the only thing it can complain of between two arguments.
fn unexpected(error: &lexopt::Error) -> Problem {
    if let lexopt::Error::UnexpectedValue { option, value: _ } = error {
        return Problem::UnexpectedValue(option.clone());
    }
    Problem::UnexpectedArgument(error.to_string())
}

#[cfg(test)]
mod tests;
