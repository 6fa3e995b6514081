//! The arguments of a verb: its flags, and the words after it.
//!
//! `parse.rs` has checked the flags against the verb's row; `verb_args.rs` reads their values. Pure.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;

use super::flags::Flag;
use super::problem::Problem;
use crate::suggest::nearest;

/// The flags and arguments of a verb.
#[derive(Debug)]
pub struct ParsedArgs {
    flags: Vec<(&'static Flag, Option<OsString>)>,
    arguments: VecDeque<OsString>,
}

impl ParsedArgs {
    pub(super) fn new(
        flags: Vec<(&'static Flag, Option<OsString>)>,
        arguments: VecDeque<OsString>,
    ) -> ParsedArgs {
        ParsedArgs { flags, arguments }
    }

    pub(super) fn has(&self, flag: &Flag) -> bool {
        self.flags.iter().any(|(given, _)| *given == flag)
    }

    /// The value of a flag that is a path, of any bytes. If the flag is repeated, the last one counts.
    pub(super) fn path(&self, flag: &Flag) -> Option<PathBuf> {
        self.value(flag).map(PathBuf::from)
    }

    /// The value of a flag, read by `read`.
    pub(super) fn read<T>(
        &self,
        flag: &'static Flag,
        expected: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.value(flag) else { return Ok(None) };
        match value.to_str().and_then(read) {
            Some(value) => Ok(Some(value)),
            None => {
                let given = value.to_string_lossy().into_owned();
                Err(Problem::BadValue { flag, given, expected })
            }
        }
    }

    /// The value of a flag that is a list of words, separated by commas.
    pub(super) fn words<T: Copy>(
        &self,
        flag: &'static Flag,
        known: &[T],
        name: impl Fn(T) -> &'static str,
    ) -> Result<Vec<T>, Problem> {
        let Some(value) = self.value(flag) else { return Ok(Vec::new()) };
        let value = value.to_string_lossy();
        let word = |word: &str| {
            let found = known.iter().copied().find(|known| name(*known) == word);
            found.ok_or_else(|| Problem::NoSuchWord {
                flag,
                given: word.to_owned(),
                nearest: nearest(word, known.iter().map(|known| name(*known))),
            })
        };
        value.split(',').map(str::trim).map(word).collect()
    }

    /// The next argument.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn next(&mut self, what: &'static str) -> Result<String, Problem> {
        self.optional()?.ok_or(Problem::MissingArgument(what))
    }

    /// The next argument, if there is one.
    pub(super) fn optional(&mut self) -> Result<Option<String>, Problem> {
        self.arguments.pop_front().map(text).transpose()
    }

    /// The next argument as a path, if there is one.
    pub(super) fn optional_path(&mut self) -> Option<PathBuf> {
        self.arguments.pop_front().map(PathBuf::from)
    }

    /// All further arguments.
    pub(super) fn rest(&mut self) -> Result<Vec<String>, Problem> {
        self.arguments.drain(..).map(text).collect()
    }

    /// All further arguments, of any bytes: a command line.
    pub(super) fn command(&mut self) -> Result<Vec<OsString>, Problem> {
        if self.arguments.is_empty() {
            return Err(Problem::MissingArgument("COMMAND"));
        }
        Ok(self.arguments.drain(..).collect())
    }

    /// All further arguments, at least one.
    pub(super) fn names(&mut self) -> Result<Vec<String>, Problem> {
        let names = self.rest()?;
        if names.is_empty() { Err(Problem::MissingArgument("NAME...")) } else { Ok(names) }
    }

    /// Refuses arguments that the verb has not taken.
    pub(super) fn done(&mut self) -> Result<(), Problem> {
        match self.optional()? {
            None => Ok(()),
            Some(argument) => Err(Problem::UnexpectedArgument(argument)),
        }
    }

    fn value(&self, flag: &Flag) -> Option<&OsString> {
        self.flags.iter().rev().find(|(given, _)| *given == flag).and_then(|(_, value)| value.as_ref())
    }
}

fn text(argument: OsString) -> Result<String, Problem> {
    argument.into_string().map_err(|argument| Problem::NotText(argument.to_string_lossy().into_owned()))
}
