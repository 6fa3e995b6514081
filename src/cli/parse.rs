//! Reads a command line: the verb, its flags, its arguments.
//!
//! Flags may precede the verb. The verb's row in `commands.rs` has its flags and the function of `verb_args.rs` that
//! reads the rest. Pure.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};

use super::args::ParsedArgs;
use super::bare;
use super::command::{Command, Output};
use super::commands;
use super::flags::{self, Flag};
use super::foreign;
use super::problem::{GivenFlag, Problem};
use super::usage::UsageError;
use super::verb::{SHELL, Verb};
use crate::suggest::nearest;

/// A command line that was read.
#[derive(Debug)]
pub struct Invocation {
    /// Its verb's row.
    pub verb: &'static Verb,
    /// What it requests.
    pub command: Command,
}

/// Reads a command line, without the program's own name.
///
/// # Errors
/// The first error in it.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, UsageError> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut verb: Option<&'static Verb> = None;
    let mut flags = Vec::new();
    let mut rest = VecDeque::new();
    let mut is_shell = false;
    let blame = |verb| move |problem| UsageError { verb, problem };
    while let Some(argument) = parser.next().map_err(|error| blame(verb)(Problem::of_parser(&error)))? {
        let given = match argument {
            lexopt::Arg::Value(value) if verb.is_none() => {
                is_shell = value == SHELL;
                verb = Some(find_verb(value, &mut rest).map_err(blame(None))?);
                continue;
            }
            lexopt::Arg::Value(value) => {
                rest.push_back(value);
                // The flags of a command belong to it.
                if rest.len() > 1 && verb.is_some_and(Verb::ends_with_a_command) {
                    rest.extend(parser.raw_args().map_err(|error| blame(verb)(Problem::of_parser(&error)))?);
                }
                continue;
            }
            lexopt::Arg::Long(long) => GivenFlag::Long(flags::full_name(long).to_owned()),
            lexopt::Arg::Short(short) => GivenFlag::Short(short),
        };
        let flag = find_flag(&given, verb).map_err(blame(verb))?;
        let value = match flag.value {
            None => None,
            Some(_) => {
                let value = parser.value().ok().filter(|value| !value.is_empty());
                Some(value.ok_or_else(|| blame(verb)(Problem::MissingValue(flag)))?)
            }
        };
        flags.push((flag, value));
    }
    let has = |flag: &Flag| flags.iter().any(|(given, _)| *given == flag);
    let run = || find_verb("run".into(), &mut VecDeque::new()).map_err(blame(None));
    if has(&flags::HELP) {
        let name = verb.map(|verb| verb.name.to_owned());
        return Ok(Invocation { verb: verb.map_or_else(run, Ok)?, command: Command::Help { verb: name } });
    }
    if has(&flags::VERSION) {
        let command = Command::Version { output: Output::Text };
        return Ok(Invocation { verb: verb.map_or_else(run, Ok)?, command });
    }
    let verb = verb.map_or_else(run, Ok)?;
    // A flag before the verb was accepted if any verb has it.
    if let Some((flag, _)) = flags.iter().find(|(flag, _)| !verb.flags.contains(flag)) {
        return Err(blame(Some(verb))(unknown_flag(&GivenFlag::Long(flag.long.to_owned()), Some(verb))));
    }
    if is_shell && !rest.is_empty() {
        rest.insert(1, SHELL.into());
    }
    let mut args = ParsedArgs::new(flags, rest);
    let command = (verb.read)(&mut args).map_err(blame(Some(verb)))?;
    args.done().map_err(blame(Some(verb)))?;
    if let Command::Help { verb: Some(name) } = &command {
        find_verb(name.into(), &mut VecDeque::new()).map_err(blame(Some(verb)))?;
    }
    Ok(Invocation { verb, command })
}

/// The verb of this name. The name of a configuration, as in `foster app.toml`, is the argument of `run`.
fn find_verb(name: OsString, rest: &mut VecDeque<OsString>) -> Result<&'static Verb, Problem> {
    if is_configuration(&name)
        && let Some(run) = Verb::by_name("run")
    {
        rest.push_back(name);
        return Ok(run);
    }
    let name = name.into_string().map_err(|name| Problem::NotText(name.to_string_lossy().into_owned()))?;
    match (Verb::by_name(&name), foreign::answer(&name)) {
        (Some(verb), _) => Ok(verb),
        (None, Some(answer)) => Err(Problem::ForeignVerb { given: name, answer }),
        (None, None) => {
            let nearest = nearest(&name, commands::all().map(|verb| verb.name));
            Err(Problem::UnknownVerb { given: name, nearest })
        }
    }
}

/// Whether a word at the position of a verb is the name of a configuration.
fn is_configuration(word: &OsStr) -> bool {
    let word = word.to_string_lossy();
    [".toml", ".conf", ".ini"].iter().any(|end| word.len() > end.len() && word.ends_with(end))
}

/// Finds a flag among those of the verb; without a verb, among those of all verbs.
fn find_flag(given: &GivenFlag, verb: Option<&'static Verb>) -> Result<&'static Flag, Problem> {
    commands::flags_of(verb).find(|flag| given.is(flag)).ok_or_else(|| unknown_flag(given, verb))
}

fn unknown_flag(given: &GivenFlag, verb: Option<&'static Verb>) -> Problem {
    if verb.is_none() && bare::FLAGS.iter().any(|flag| given.is(flag)) {
        return Problem::FlagOfTheBareInit(given.to_string());
    }
    given.unknown_among(commands::flags_of(verb).map(|flag| flag.long))
}
