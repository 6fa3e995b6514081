//! The environment of foster, as a configuration refers to it.
//!
//! It is an argument of everything that reads a configuration, so tests give their own. Next: `reader.rs`, which looks
//! variables up.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// The variable with the number of CPUs that programs may use (`sys/cpus.rs`); it overrides one of foster's.
pub(super) const CPUS: &str = "FOSTER_CPUS";

/// Variables, as from `std::env::vars_os`: values need not be UTF-8. And the number of CPUs.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<OsString, OsString>,
    count_cpus: Option<fn() -> usize>,
    evaluator: Option<Evaluator>,
    /// Whether a variable that is missing here may be set where the configuration is used.
    is_elsewhere: bool,
    /// Counted at the first reference: several files of the kernel's are read for it.
    cpus: OnceCell<OsString>,
}

/// Runs a file of JavaScript and returns what it exports, as JSON.
pub type Evaluate = fn(&Path) -> Result<String, ScriptError>;

/// Where the export of a file of JavaScript comes from.
#[derive(Debug, Clone)]
enum Evaluator {
    /// The file is run, and the caller waits.
    Runs(Evaluate),
    /// Another process has run it.
    Given(Result<String, ScriptError>),
}

/// Why a file of JavaScript gave no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// What happened.
    pub message: String,
    /// The remedy.
    pub note: String,
    /// The line of the file, from 1, if it is known.
    pub line: Option<usize>,
}

impl Environment {
    /// These variables, and the number of CPUs, which is counted if something refers to it.
    pub fn new(variables: impl Iterator<Item = (OsString, OsString)>, count_cpus: fn() -> usize) -> Self {
        Environment { count_cpus: Some(count_cpus), ..variables.collect() }
    }

    /// The value of a variable.
    pub fn get(&self, name: &OsStr) -> Option<&OsStr> {
        match self.count_cpus {
            Some(count) if name == CPUS => Some(self.cpus.get_or_init(|| count().to_string().into())),
            Some(_) | None => self.variables.get(name).map(OsString::as_os_str),
        }
    }

    /// With what runs a configuration that is a program.
    #[must_use]
    pub fn evaluating(self, evaluate: Evaluate) -> Environment {
        Environment { evaluator: Some(Evaluator::Runs(evaluate)), ..self }
    }

    /// With what a configuration that is a program has exported, if it was run.
    #[must_use]
    pub fn evaluated(self, given: Option<Result<String, ScriptError>>) -> Environment {
        Environment { evaluator: given.map(Evaluator::Given), ..self }
    }

    /// The export of a configuration that is a program; `None`: nothing here may run it.
    pub(super) fn evaluate(&self, path: &Path) -> Option<Result<String, ScriptError>> {
        match self.evaluator.as_ref()? {
            Evaluator::Runs(evaluate) => Some(evaluate(path)),
            Evaluator::Given(result) => Some(result.clone()),
        }
    }

    /// Whether a configuration is read for another place.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.is_elsewhere
    }

    /// The environment of another place, where more variables may be set.
    #[must_use]
    pub fn of_elsewhere(self) -> Environment {
        Environment { is_elsewhere: true, ..self }
    }

    /// Whether a variable is set, or may be set where the configuration is used.
    pub fn may_have(&self, name: &OsStr) -> bool {
        self.is_elsewhere || self.get(name).is_some()
    }

    /// The names of all variables.
    pub fn names(&self) -> impl Iterator<Item = &OsString> {
        self.variables.keys()
    }
}

/// Only these variables.
impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<I: IntoIterator<Item = (OsString, OsString)>>(variables: I) -> Self {
        Environment { variables: variables.into_iter().collect(), ..Environment::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_cpus_overrides_a_variable_and_is_counted_once() {
        let variables = || [(CPUS.into(), "wrong".into()), ("A".into(), "b".into())].into_iter();
        let environment = Environment::new(variables(), || 3);
        assert_eq!(environment.get(OsStr::new(CPUS)), Some(OsStr::new("3")));
        assert_eq!(environment.cpus.get(), Some(&OsString::from("3")));
        assert_eq!(environment.get(OsStr::new("A")), Some(OsStr::new("b")));
        assert_eq!(environment.get(OsStr::new("B")), None);
        let plain: Environment = variables().collect();
        assert_eq!(plain.get(OsStr::new(CPUS)), Some(OsStr::new("wrong")));
    }

    #[test]
    fn cpus_that_no_configuration_refers_to_are_not_counted() {
        let environment = Environment::new([("A".into(), "b".into())].into_iter(), || unreachable!());
        assert_eq!(environment.get(OsStr::new("A")), Some(OsStr::new("b")));
    }
}
