//! What was given on a command line: flags that the verb knows, and arguments.
//!
//! Flags are checked against the verb's row of the table; what they mean is the row's own business.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;

use super::Problem;
use super::commands::Verb;
use super::flags::Flag;
use crate::suggest::nearest;

/// A verb with its flags and arguments.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) verb: &'static Verb,
    flags: Vec<(&'static Flag, Option<OsString>)>,
    arguments: VecDeque<OsString>,
}

impl Given {
    pub(super) fn new(
        verb: &'static Verb,
        flags: Vec<(&'static Flag, Option<OsString>)>,
        arguments: VecDeque<OsString>,
    ) -> Given {
        Given { verb, flags, arguments }
    }

    pub(super) fn has(&self, flag: &Flag) -> bool {
        self.flags.iter().any(|(given, _)| *given == flag)
    }

    /// The value of a flag that is a path: any bytes will do. Of several, the last one counts.
    pub(super) fn path(&self, flag: &Flag) -> Option<PathBuf> {
        self.value(flag).map(PathBuf::from)
    }

    /// The value of a flag that is something else, read so.
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

    /// The value of a flag that is a list of words, between commas.
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

    /// The next argument, which must be there.
    pub(super) fn next(&mut self, what: &'static str) -> Result<String, Problem> {
        self.optional()?.ok_or(Problem::MissingArgument(what))
    }

    /// The next argument.
    pub(super) fn optional(&mut self) -> Result<Option<String>, Problem> {
        self.arguments.pop_front().map(text).transpose()
    }

    /// All further arguments.
    pub(super) fn rest(&mut self) -> Result<Vec<String>, Problem> {
        self.arguments.drain(..).map(text).collect()
    }

    /// A command with its arguments: all further ones, of any bytes.
    pub(super) fn command(&mut self) -> Result<Vec<OsString>, Problem> {
        if self.arguments.is_empty() {
            return Err(Problem::MissingArgument("COMMAND"));
        }
        Ok(self.arguments.drain(..).collect())
    }

    /// All further arguments, at least one.
    pub(super) fn names(&mut self) -> Result<Vec<String>, Problem> {
        let names = self.rest()?;
        if names.is_empty() { Err(Problem::MissingArgument("NAME")) } else { Ok(names) }
    }

    /// To be asked when the verb has taken what it wants: what is left is too much.
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
