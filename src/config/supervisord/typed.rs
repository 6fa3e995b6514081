//! Reads the values of supervisord's keys: expanded texts, booleans, numbers, sizes.
//!
//! Each reports its own error, in supervisord's words for the key.

use std::ffi::OsStr;

use super::super::Environment;
use super::super::diagnostics::Diagnostics;
use super::super::expand;
use super::super::phrase::quoted;
use super::Setting;
use super::expand::{Expansion, expand as formatted};

/// Reads the values of one section.
pub(super) struct Typed<'a> {
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) environment: &'a Environment,
    /// The variables of `[supervisord]`, which `%(ENV_NAME)s` knows, too.
    pub(super) variables: &'a [(String, String)],
    pub(super) names: Names<'a>,
}

/// The names that a value can refer to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Names<'a> {
    /// Those of every section.
    None,
    /// Those of a program, too.
    Program {
        /// `%(program_name)s`.
        program: &'a str,
        /// `%(group_name)s`.
        group: &'a str,
        /// `%(numprocs)d`.
        count: u64,
        /// The `%(process_num)d` of the first process.
        first: u64,
    },
}

impl Typed<'_> {
    /// The value in foster's syntax.
    pub(super) fn expanded(&mut self, setting: &Setting) -> Option<String> {
        match formatted(&setting.value, |name| self.lookup(setting, name)) {
            Ok(text) => Some(text),
            Err(fault) => {
                let span = self.diagnostics.narrow(setting.span, &fault.written);
                self.diagnostics.error(span, fault.message, fault.note);
                None
            }
        }
    }

    /// The value without references, for a key that foster reads itself.
    pub(super) fn plain(&mut self, setting: &Setting) -> Option<String> {
        self.expanded(setting).map(|text| self.resolved(&text))
    }

    /// A text in foster's syntax as its value. A variable that is missing here is empty.
    pub(super) fn resolved(&self, text: &str) -> String {
        let value = |name: &str| Some(self.environment.get(OsStr::new(name)).unwrap_or_default());
        expand::expand(text, value).unwrap_or_default()
    }

    fn lookup(&self, setting: &Setting, name: &str) -> Option<Expansion> {
        let text = |text: &str| Some(Expansion::Text(text.to_owned()));
        if let Some(variable) = name.strip_prefix("ENV_") {
            let own =
                self.variables.iter().find(|(known, _)| known == variable).map(|(_, value)| value.clone());
            let is_given = self.environment.may_have(OsStr::new(variable));
            return own.map(Expansion::Text).or(is_given.then(|| Expansion::Variable(variable.to_owned())));
        }
        match (name, self.names) {
            ("here", _) => text(&setting.here.to_string_lossy()),
            // As the container runtime gives it.
            ("host_node_name", _) => {
                let is_given = self.environment.may_have(OsStr::new("HOSTNAME"));
                is_given.then(|| Expansion::Variable("HOSTNAME".to_owned()))
            }
            ("program_name", Names::Program { program, .. }) => text(program),
            ("group_name", Names::Program { group, .. }) => text(group),
            ("numprocs", Names::Program { count, .. }) => Some(Expansion::Number(count)),
            ("process_num", Names::Program { first, .. }) => Some(Expansion::Process(first)),
            (_, _) => None,
        }
    }

    /// Reports a value that is not valid.
    pub(super) fn refuse(&mut self, setting: &Setting, value: &str, expected: &str) {
        let message = format!("`{}` cannot be {}", setting.key, quoted(value));
        self.diagnostics.error(setting.span, message, format!("expected {expected}"));
    }

    /// Reports what stands in the place of a variable.
    pub(super) fn refuse_pairs(&mut self, setting: &Setting, found: &str) {
        let span = self.diagnostics.narrow(setting.span, found);
        let message = format!("{} is not a variable", quoted(found));
        let note = "expected `NAME=\"value\"`, separated by commas; a value with other characters than letters, digits and \
                    `_/.+-():` is in quotes";
        self.diagnostics.error(span, message, note);
    }

    /// `true`, `yes`, `on` or `1`, or their opposites.
    pub(super) fn boolean(&mut self, setting: &Setting) -> Option<bool> {
        let text = self.plain(setting)?;
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => {
                self.refuse(setting, &text, "`true` or `false`");
                None
            }
        }
    }

    /// A whole number of at least this.
    pub(super) fn number(&mut self, setting: &Setting, least: i64) -> Option<i64> {
        let text = self.plain(setting)?;
        let number = text.parse().ok().filter(|number| (least..=i64::from(i32::MAX)).contains(number));
        if number.is_none() {
            self.refuse(setting, &text, &format!("a whole number, at least {least}"));
        }
        number
    }

    /// A number of bytes, or of `KB`, `MB` or `GB`.
    pub(super) fn size(&mut self, setting: &Setting) -> Option<u64> {
        let text = self.plain(setting)?;
        let lower = text.to_ascii_lowercase();
        let shifts = [("kb", 10), ("mb", 20), ("gb", 30)];
        let found = shifts.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(unit)?, *shift)));
        let (digits, shift) = found.unwrap_or((&lower, 0));
        let size = digits.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
        if size.is_none() {
            self.refuse(setting, &text, "a number of bytes, or one with `KB`, `MB` or `GB`");
        }
        size
    }

    /// One of these words.
    pub(super) fn word<T: Copy>(&mut self, setting: &Setting, words: &[(&str, T)]) -> Option<T> {
        let text = self.plain(setting)?;
        let lower = text.to_ascii_lowercase();
        let found = words.iter().find(|(word, _)| *word == lower).map(|(_, value)| *value);
        if found.is_none() {
            let names: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.refuse(setting, &text, &names.join(", "));
        }
        found
    }
}
