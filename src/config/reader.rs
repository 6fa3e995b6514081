//! Converts TOML values to Rust values: the types that many keys share.
//!
//! Every method takes an [`Item`] and returns its value, or reports an error and returns `None`; the caller continues
//! with any value, because a plan with an error is never used. Strings are expanded only here, so that every type can
//! come from the environment.

use std::cell::Cell;
use std::ffi::OsStr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use foster_core::ids::Signal;

use super::Environment;
use super::diagnostics::Diagnostics;
use super::expand::{Fault, expand};
use super::phrase::{described, one_of, quoted};
use super::size::parse_size;
use super::span::Span;
use super::table::{Item, Kind, Table};
use crate::suggest::suggest;

/// Reads the values of one program, or those outside programs.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// Collects the problems.
    pub(super) diagnostics: &'a mut Diagnostics,
    environment: &'a Environment,
    scope: Scope<'a>,
    /// The value of `${FOSTER_INSTANCE}`; `None` in values that are the same for all instances.
    instance: Option<String>,
    refers_to_instance: Cell<bool>,
}

/// The values that are read: determines `${FOSTER_PROGRAM}`, and whether a variable may be missing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Values outside programs.
    File,
    /// Values of this program.
    Program(&'a str),
    /// Values of this disabled program, whose variables may be unset.
    Disabled(&'a str),
}

/// A reference to a program by its name.
#[derive(Debug, Clone)]
pub(super) struct Reference {
    /// The name.
    pub(super) name: String,
    /// Its position.
    pub(super) span: Span,
}

impl<'a> Reader<'a> {
    /// A reader for this scope.
    pub(super) fn new(
        diagnostics: &'a mut Diagnostics,
        environment: &'a Environment,
        scope: Scope<'a>,
    ) -> Reader<'a> {
        Reader {
            diagnostics,
            environment,
            scope,
            instance: Some("0".to_owned()),
            refers_to_instance: Cell::new(false),
        }
    }

    /// The same for another instance than 0.
    pub(super) fn of_instance(self, index: u16) -> Reader<'a> {
        Reader { instance: Some(index.to_string()), ..self }
    }

    /// Whether a value has referred to `${FOSTER_INSTANCE}`.
    pub(super) fn refers_to_instance(&self) -> bool {
        self.refers_to_instance.get()
    }

    /// Reads values that are the same for all instances.
    pub(super) fn for_all_instances<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> T {
        let instance = self.instance.take();
        let value = read(self);
        self.instance = instance;
        value
    }

    /// A variable of foster's environment.
    pub(super) fn variable(&self, name: &str) -> Option<&OsStr> {
        self.environment.get(OsStr::new(name))
    }

    /// What is read.
    pub(super) fn scope(&self) -> Scope<'a> {
        self.scope
    }

    /// Reads one key, if it is set.
    pub(super) fn field<'t, T>(
        &mut self,
        table: &'t Table,
        name: &str,
        read: impl FnOnce(&mut Self, Item<'t>) -> Option<T>,
    ) -> Option<T> {
        table.get(name).and_then(|item| read(self, item))
    }

    /// Reports a value that is not valid, and what was expected.
    pub(super) fn refuse(&mut self, item: Item<'_>, shown: &str, expected: &str) {
        let message = format!("`{}` cannot be {shown}", item.name());
        self.diagnostics.error(item.value.span, message, format!("expected {expected}"));
    }

    /// As [`Reader::refuse`], for an expanded text.
    pub(super) fn refuse_text(&mut self, item: Item<'_>, text: &str, expected: &str) {
        self.refuse(item, &quoted(text), expected);
    }

    /// An expanded text without NUL bytes, which system calls do not accept.
    pub(super) fn text(&mut self, item: Item<'_>) -> Option<String> {
        self.text_or(item, "a string")
    }

    /// A text where other types are also valid: `expected` names them all.
    pub(super) fn text_or(&mut self, item: Item<'_>, expected: &str) -> Option<String> {
        let Kind::String(written) = &item.value.kind else {
            self.refuse(item, &described(item.value), expected);
            return None;
        };
        self.expanded(item, written)
    }

    fn expanded(&mut self, item: Item<'_>, written: &str) -> Option<String> {
        let lookup = |name: &str| match (name, self.scope) {
            (INSTANCE, Scope::Program(_) | Scope::Disabled(_)) => {
                self.refers_to_instance.set(true);
                self.instance.as_ref().map(OsStr::new)
            }
            (PROGRAM, Scope::Program(program) | Scope::Disabled(program)) => Some(OsStr::new(program)),
            (_, _) => self.variable(name),
        };
        match expand(written, lookup) {
            Ok(text) if text.contains('\0') => {
                self.refuse(item, "a text with a NUL character", "a text without one");
                None
            }
            Ok(text) => Some(text),
            Err(faults) => {
                for fault in &faults {
                    self.cannot_expand(item, fault);
                }
                None
            }
        }
    }

    fn cannot_expand(&mut self, item: Item<'_>, fault: &Fault) {
        let span = item.value.span;
        let (written, message, note) = match fault {
            Fault::Unclosed(written) => {
                (written, "`${` is not closed".to_owned(), "expected a `}`; `$$` is a literal `$`".to_owned())
            }
            Fault::Malformed(written) => (
                written,
                format!("cannot expand `{written}`"),
                "expected `${NAME}`, `${NAME:-default}` or `${NAME+1:02}`; `$$` is a literal `$`".to_owned(),
            ),
            Fault::Unset { written, name } if name == INSTANCE && matches!(self.scope, Scope::Program(_)) => {
                (
                    written,
                    format!("`{}` cannot refer to `{written}`", item.name()),
                    "it is the same for all instances of the program".to_owned(),
                )
            }
            // It may be set where the configuration is used.
            Fault::Unset { name, .. } if self.environment.may_have(OsStr::new(name)) => return,
            Fault::Unset { written, name } => {
                let note = match self.scope {
                    Scope::Disabled(_) => return,
                    Scope::File if name == INSTANCE || name == PROGRAM => {
                        "it is only set in programs".to_owned()
                    }
                    Scope::File | Scope::Program(_) => format!(
                        "set it, as with `docker run -e {name}=…`, or give a default: `${{{name}:-…}}`"
                    ),
                };
                (written, format!("the environment variable `{name}` is not set"), note)
            }
            Fault::NotANumber { written, name } => (
                written,
                format!("the environment variable `{name}` is not a number that can be formatted so"),
                "`+1` adds to a number, `:02` gives it two digits".to_owned(),
            ),
            Fault::NotUnicode { written, name } => {
                (written, format!("the environment variable `{name}` is not UTF-8"), String::new())
            }
        };
        let span = self.diagnostics.narrow(span, written);
        self.diagnostics.error(span, message, note);
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, item: Item<'_>) -> Option<bool> {
        if let Kind::Boolean(boolean) = item.value.kind {
            return Some(boolean);
        }
        let text = self.text_or(item, "`true` or `false`")?;
        let boolean = text.parse().ok();
        if boolean.is_none() {
            self.refuse_text(item, &text, "`true` or `false`");
        }
        boolean
    }

    /// An integer in this range.
    pub(super) fn integer<T>(&mut self, item: Item<'_>, range: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd + std::fmt::Display,
    {
        let expected = format!("an integer from {} to {}", range.start(), range.end());
        self.integer_or(item, range, &expected)
    }

    /// As [`Reader::integer`] where other types are also valid: `expected` names them all.
    pub(super) fn integer_or<T>(
        &mut self,
        item: Item<'_>,
        range: RangeInclusive<T>,
        expected: &str,
    ) -> Option<T>
    where
        T: TryFrom<i64> + PartialOrd,
    {
        let (number, text) = if let Kind::Integer(number) = item.value.kind {
            (Some(number), number.to_string())
        } else {
            let text = self.text_or(item, expected)?;
            (text.parse().ok(), text)
        };
        let fitting =
            number.and_then(|number| T::try_from(number).ok()).filter(|number| range.contains(number));
        if fitting.is_none() {
            self.refuse_text(item, &text, expected);
        }
        fitting
    }

    /// A number of at least `least`.
    pub(super) fn number(&mut self, item: Item<'_>, least: f64) -> Option<f64> {
        let expected = format!("a number, at least {least}");
        let text = match item.value.kind {
            Kind::Integer(number) => number.to_string(),
            Kind::Float(number) => number.to_string(),
            Kind::String(_) | Kind::Boolean(_) | Kind::Datetime | Kind::Array(_) | Kind::Table(_) => {
                self.text_or(item, &expected)?
            }
        };
        let number = text.parse::<f64>().ok();
        let fitting = number.filter(|number| number.is_finite() && *number >= least);
        if fitting.is_none() {
            self.refuse_text(item, &text, &expected);
        }
        fitting
    }

    /// A duration in the format of humantime.
    pub(super) fn duration(&mut self, item: Item<'_>) -> Option<Duration> {
        if let Kind::Integer(number @ 0..) = item.value.kind {
            self.refuse(item, "a number without a unit", &format!("a duration such as `\"{number}s\"`"));
            return None;
        }
        let expected = "a duration such as `\"500ms\"`, `\"10s\"` or `\"1m 30s\"`";
        let text = self.text_or(item, expected)?;
        match humantime::parse_duration(&text) {
            Ok(duration) if duration <= LONGEST_DURATION => return Some(duration),
            Ok(_) => self.refuse_text(item, &text, "at most 100 years"),
            Err(_) => self.refuse_text(item, &text, expected),
        }
        None
    }

    /// A duration above zero: an interval or a timeout.
    pub(super) fn duration_above_zero(&mut self, item: Item<'_>) -> Option<Duration> {
        let duration = self.duration(item)?;
        if duration.is_zero() {
            self.refuse(item, "zero", "a duration above zero");
            return None;
        }
        Some(duration)
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&mut self, item: Item<'_>, words: &[(&str, T)]) -> Option<T> {
        let expected = one_of(words.iter().map(|(word, _)| *word));
        let text = self.text_or(item, &expected)?;
        let chosen = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if chosen.is_none() {
            self.refuse_text(item, &text, &expected);
        }
        chosen
    }

    /// A number of bytes, with or without a binary suffix. `expected` names the other valid types.
    pub(super) fn size(&mut self, item: Item<'_>, expected: &str) -> Option<u64> {
        if let Kind::Integer(number) = item.value.kind {
            let size = u64::try_from(number).ok();
            if size.is_none() {
                self.refuse_text(item, &number.to_string(), expected);
            }
            return size;
        }
        let text = self.text_or(item, expected)?;
        let size = parse_size(&text);
        if size.is_none() {
            self.refuse_text(item, &text, expected);
        }
        size
    }

    /// A signal, by name or number.
    pub(super) fn signal(&mut self, item: Item<'_>) -> Option<Signal> {
        let expected = "a signal such as `\"TERM\"`, `\"RTMIN+3\"` or `15`";
        let text = if let Kind::Integer(number) = item.value.kind {
            number.to_string()
        } else {
            self.text_or(item, expected)?
        };
        let signal = Signal::parse(&text);
        if signal.is_none() {
            self.unknown_signal(item.value.span, &text);
        }
        signal
    }

    /// Reports an unknown signal.
    pub(super) fn unknown_signal(&mut self, span: Span, text: &str) {
        let bare = text.strip_prefix("SIG").unwrap_or(text);
        let span = self.diagnostics.narrow(span, text);
        self.diagnostics.error(
            span,
            format!("unknown signal {}", quoted(text)),
            suggest(bare, Signal::names()),
        );
    }

    /// A path; a relative one is relative to foster's working directory.
    pub(super) fn path(&mut self, item: Item<'_>) -> Option<PathBuf> {
        let text = self.text_or(item, "a path")?;
        if text.is_empty() {
            self.refuse(item, "empty", "a path");
            return None;
        }
        Some(PathBuf::from(text))
    }

    /// The path of a Unix socket, of a length that the kernel accepts.
    pub(super) fn socket_path(&mut self, item: Item<'_>) -> Option<PathBuf> {
        let path = self.path(item)?;
        if path.as_os_str().len() > LONGEST_SOCKET_PATH {
            let expected = format!("at most {LONGEST_SOCKET_PATH} bytes for the path of a socket");
            self.refuse_text(item, &path.display().to_string(), &expected);
            return None;
        }
        Some(path)
    }

    /// The elements of a list.
    pub(super) fn list<'t>(&mut self, item: Item<'t>, expected: &str) -> Option<Vec<Item<'t>>> {
        let Kind::Array(values) = &item.value.kind else {
            self.refuse(item, &described(item.value), expected);
            return None;
        };
        Some(values.iter().map(|value| item.with(value)).collect())
    }

    /// The elements of a list, or a single value as a list of one.
    pub(super) fn one_or_more<'t>(&mut self, item: Item<'t>) -> Vec<Item<'t>> {
        if let Kind::Array(values) = &item.value.kind {
            return values.iter().map(|value| item.with(value)).collect();
        }
        vec![item]
    }

    /// A table.
    pub(super) fn table<'t>(&mut self, item: Item<'t>, expected: &str) -> Option<&'t Table> {
        let Kind::Table(table) = &item.value.kind else {
            self.refuse(item, &described(item.value), expected);
            return None;
        };
        Some(table)
    }
}

/// A Unix socket's path is at most this long (unix(7): 108 bytes with the NUL).
pub(super) const LONGEST_SOCKET_PATH: usize = 107;

/// The number of the instance.
const INSTANCE: &str = "FOSTER_INSTANCE";
/// The program's name.
const PROGRAM: &str = "FOSTER_PROGRAM";

/// The longest duration: a longer one is a mistake, and arithmetic with it could overflow.
const LONGEST_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
