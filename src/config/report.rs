//! The report of an invalid configuration: the text of every error of every file.
//!
//! It is printed and written to the termination log. `diagnostics.rs` makes it.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The default of Kubernetes, used if no configuration could be read that names another file.
const DEFAULT_TERMINATION_LOG: &str = "/dev/termination-log";

/// One error: its text for people, and its parts for machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedError {
    /// The file; `None`: no file.
    pub file: Option<String>,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// The column in the line, from 1.
    pub column: Option<usize>,
    /// The message.
    pub message: String,
    /// What was expected, or a suggestion.
    pub hint: Option<String>,
    #[serde(skip)]
    pub(super) text: String,
}

/// The errors of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    errors: Vec<ReportedError>,
    unlisted: usize,
    termination_log: PathBuf,
}

impl Report {
    /// Makes a report of the listed errors and the number of further ones.
    pub(super) fn new(errors: Vec<ReportedError>, unlisted: usize) -> Report {
        Report { errors, unlisted, termination_log: PathBuf::from(DEFAULT_TERMINATION_LOG) }
    }

    /// foster itself failed while it read this file.
    pub fn of_fault(file: &Path, fault: &str) -> Report {
        Report::of_file(file, format!("a fault in foster itself while it read this file: {fault}"))
    }

    /// An error of a whole file.
    pub fn of_file(file: &Path, message: String) -> Report {
        let file = file.display().to_string();
        let text = format!("{file}: error: {message}\n");
        let error = ReportedError { file: Some(file), line: None, column: None, message, hint: None, text };
        Report::new(vec![error], 0)
    }

    /// The termination log for the report: that of the configuration, if it could be read.
    pub fn termination_log(&self) -> &Path {
        &self.termination_log
    }

    pub(super) fn with_termination_log(self, termination_log: PathBuf) -> Report {
        Report { termination_log, ..self }
    }

    /// The listed errors in the order of the files, each with its position and a line end.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(|error| error.text.as_str())
    }

    /// The listed errors as data.
    pub fn in_parts(&self) -> &[ReportedError] {
        &self.errors
    }

    /// The first error without its position.
    pub(super) fn first(&self) -> String {
        let first = self.errors.first().map(|error| (error.message.as_str(), error.hint.as_deref()));
        match first {
            Some((message, Some(hint))) => format!("{message}: {hint}"),
            Some((message, None)) => message.to_owned(),
            None => String::new(),
        }
    }

    /// The report in one line.
    pub fn summary(&self) -> String {
        let plural = if self.count() == 1 { "" } else { "s" };
        format!("cannot load the configuration: {} error{plural}", self.count())
    }

    /// How many errors there are; at least one.
    pub fn count(&self) -> usize {
        self.errors.len().saturating_add(self.unlisted)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            f.write_str(&error.text)?;
        }
        if self.unlisted > 0 {
            writeln!(f, "foster: {} more errors are not listed", self.unlisted)?;
        }
        writeln!(f, "foster: {}", self.summary())
    }
}

impl std::error::Error for Report {}
