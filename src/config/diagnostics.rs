//! The errors and warnings of a configuration: collected while it is read, and made into one report at the end.
//!
//! [`Diagnostics`] owns the text of every file, so that a problem can show its line. This file does not know the meaning
//! of a key. The number of problems, their size and the time to print them are bounded, because a running foster reads
//! configurations too. Next: `source.rs`, `report.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use super::report::{Report, ReportedError};
use super::source::{Source, printable};
use super::span::{MAIN, Position, Span};
use crate::plan::Warning;

/// The message for a duplicate key: unlike other syntax errors it causes no further ones.
pub(super) const DUPLICATE: &str = "this is set twice";

/// How many errors are listed; further ones are counted.
const MOST_ERRORS: usize = 500;
/// How many warnings are kept.
const MOST_WARNINGS: usize = 100;
/// For how many errors the nearest name is searched: a search compares many names.
const MOST_SEARCHES: usize = 100;

/// Whether a problem is about syntax or meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is not TOML. Other errors in that line follow from it.
    Syntax,
    /// It is TOML, but not a valid configuration.
    Meaning,
}

#[derive(Debug)]
struct Problem {
    position: Position,
    kind: Kind,
    message: String,
    note: String,
}

/// The problems found so far, and the files.
#[derive(Debug)]
pub(super) struct Diagnostics {
    sources: Vec<Source>,
    errors: Vec<Problem>,
    /// The contents of `errors`: a mistake in `[defaults]` is found once for each program.
    known: BTreeSet<(Position, String)>,
    /// How many errors are not listed.
    unlisted: usize,
    warnings: Vec<Problem>,
    searches: usize,
    narrowed: usize,
}

impl Diagnostics {
    /// No problems and no files.
    pub(super) fn new() -> Diagnostics {
        let built_in = Source::new(Path::new("built-in defaults"), String::new());
        Diagnostics {
            sources: vec![built_in],
            errors: Vec::new(),
            known: BTreeSet::new(),
            unlisted: 0,
            warnings: Vec::new(),
            searches: 0,
            narrowed: 0,
        }
    }

    /// Adds the text of a file and returns its number for spans.
    pub(super) fn add_source(&mut self, path: &Path, text: String) -> usize {
        self.sources.push(Source::new(path, text));
        self.sources.len() - 1
    }

    /// The text of a file.
    pub(super) fn text(&self, file: usize) -> &str {
        self.sources.get(file).map_or("", Source::text)
    }

    /// Adds an error; `note` is printed after the carets and says what was expected.
    pub(super) fn error(
        &mut self,
        position: impl Into<Position>,
        message: impl Into<String>,
        note: impl Into<String>,
    ) {
        self.add(position.into(), Kind::Meaning, message.into(), note.into());
    }

    /// Adds a syntax error.
    pub(super) fn syntax_error(&mut self, position: impl Into<Position>, message: &str, note: &str) {
        self.add(position.into(), Kind::Syntax, message.to_owned(), note.to_owned());
    }

    fn add(&mut self, position: Position, kind: Kind, message: String, note: String) {
        if self.known.contains(&(position, message.clone())) {
            return;
        }
        if self.errors.len() >= MOST_ERRORS && kind == Kind::Meaning {
            self.unlisted = self.unlisted.saturating_add(1);
            return;
        }
        self.known.insert((position, message.clone()));
        self.errors.push(Problem { position, kind, message, note });
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, position: impl Into<Position>, message: impl Into<String>) {
        if self.warnings.len() < MOST_WARNINGS {
            let (position, message) = (position.into(), message.into());
            self.warnings.push(Problem { position, kind: Kind::Meaning, message, note: String::new() });
        }
    }

    /// Whether another suggestion may be searched; counts the search.
    pub(super) fn may_search(&mut self) -> bool {
        self.searches += 1;
        self.searches <= MOST_SEARCHES
    }

    /// Whether a file has a syntax error: then a missing key or program cannot be reported.
    pub(super) fn has_syntax_errors(&self) -> bool {
        self.errors.iter().any(|problem| problem.kind == Kind::Syntax)
    }

    /// The first occurrence of `part` within a span, or the whole span. After as many searches as problems are listed it is
    /// always the whole span.
    pub(super) fn narrow(&mut self, span: Span, part: &str) -> Span {
        self.narrowed += 1;
        if self.narrowed > MOST_ERRORS + MOST_WARNINGS {
            return span;
        }
        let written = self.text(span.file).get(span.start..span.end).unwrap_or("");
        match written.find(part) {
            Some(offset) if !part.is_empty() => {
                let start = span.start + offset;
                Span { start, end: start + part.len(), ..span }
            }
            Some(_) | None => span,
        }
    }

    /// A span's start as `foster.toml:2:1`.
    pub(super) fn locate(&self, span: Span) -> String {
        let Some(source) = self.sources.get(span.file) else { return String::new() };
        let (line, column) = source.line_and_column(span);
        format!("{}:{line}:{column}", source.name())
    }

    /// The warnings, in the order of the files.
    pub(super) fn warnings(&self) -> Vec<Warning> {
        let problems = sorted(self.warnings.iter(), |_| "");
        let mut warnings: Vec<Warning> = problems.into_iter().map(|problem| self.warning(problem)).collect();
        warnings.dedup();
        warnings
    }

    /// The warnings with their places: each with its file and line as a person would say it.
    pub(super) fn placed_warnings(&self) -> Vec<(Position, String)> {
        let mut placed: Vec<(Position, String)> = Vec::new();
        for problem in sorted(self.warnings.iter(), |_| "") {
            let text = match problem.position {
                Position::At(span) => {
                    let line = self.sources.get(span.file).map_or(0, |source| source.line_and_column(span).0);
                    let name = self.sources.get(span.file).map_or(String::new(), Source::name);
                    let name = Path::new(&name).file_name().map(|name| name.to_string_lossy().into_owned());
                    match span.file {
                        MAIN => format!("line {line}: {}", problem.message),
                        _ => format!("{}, line {line}: {}", name.unwrap_or_default(), problem.message),
                    }
                }
                Position::Nowhere | Position::File(_) => problem.message.clone(),
            };
            placed.push((problem.position, text));
        }
        placed.dedup();
        placed
    }

    /// How many errors there are.
    pub(super) fn count(&self) -> usize {
        self.errors.len().saturating_add(self.unlisted)
    }

    /// Whether there are errors.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The value, or a report if there are errors. `None` requires that an error was added.
    pub(super) fn conclude<T>(&self, value: Option<T>) -> Result<T, Report> {
        match value {
            Some(value) if !self.has_errors() => Ok(value),
            Some(_) | None => Err(self.report()),
        }
    }

    fn report(&self) -> Report {
        let (syntax, shadows) = self.syntax_errors();
        let is_shadowed = |problem: &&Problem| match problem.position {
            Position::Nowhere | Position::File(_) => false,
            Position::At(span) => shadows.iter().any(|shadow| shadow.covers(span)),
        };
        let meaning = self.errors.iter().filter(|problem| problem.kind == Kind::Meaning);
        let problems = meaning.filter(|problem| !is_shadowed(problem)).chain(syntax);
        let problems = sorted(problems, |problem| &problem.message);
        let errors = problems.into_iter().map(|problem| self.reported(problem)).collect();
        Report::new(errors, self.unlisted)
    }

    /// The independent syntax errors, and the spans in which other errors follow from one of them.
    fn syntax_errors(&self) -> (Vec<&Problem>, Vec<Span>) {
        let all = sorted(self.errors.iter().filter(|problem| problem.kind == Kind::Syntax), |_| "");
        let mut shadows: Vec<Span> = Vec::new();
        let mut independent = Vec::new();
        for (index, problem) in all.iter().enumerate() {
            if let Position::At(span) = problem.position {
                // The errors are sorted, so only the last span can cover this one.
                if shadows.last().is_some_and(|shadow| shadow.covers(span)) {
                    continue;
                }
                shadows.push(self.shadow(span, problem, all.get(index + 1..).unwrap_or(&[])));
            }
            independent.push(*problem);
        }
        (independent, shadows)
    }

    /// The span in which errors follow from this syntax error: its line; its section, if it is in the header; the
    /// rest of the file, if a list is not closed.
    fn shadow(&self, span: Span, problem: &Problem, later: &[&Problem]) -> Span {
        let text = self.text(span.file);
        let start = self.sources.get(span.file).map_or(0, |source| source.line_at(span.start).1);
        let rest = text.get(start..).unwrap_or("");
        let line_end = start + rest.find('\n').unwrap_or(rest.len());
        let in_list =
            |problem: &Problem| problem.message.contains("array") || problem.message.contains("inline table");
        let goes_on = later.iter().any(|other| {
            matches!(other.position, Position::At(at) if at.file == span.file && at.start > line_end)
                && in_list(other)
        });
        let is_header = rest.trim_start().starts_with('[') && problem.message != DUPLICATE;
        let end = match (in_list(problem) && goes_on, is_header) {
            (true, _) => text.len(),
            (false, true) => {
                text.get(line_end..).and_then(|rest| rest.find("\n[")).map_or(text.len(), |at| line_end + at)
            }
            (false, false) => line_end,
        };
        Span { start, end, ..span }
    }

    fn headline(&self, problem: &Problem, kind: &str) -> String {
        let message = printable(&problem.message);
        match problem.position {
            Position::Nowhere => format!("foster: {kind}{message}"),
            Position::File(file) => {
                let name = self.sources.get(file).map(Source::name);
                format!("{}: {kind}{message}", name.unwrap_or_default())
            }
            Position::At(span) => format!("{}: {kind}{message}", self.locate(span)),
        }
    }

    fn warning(&self, problem: &Problem) -> Warning {
        let ReportedError { file, line, column, message, hint, text: _ } = self.reported(problem);
        Warning { file, line, column, message, hint }
    }

    fn reported(&self, problem: &Problem) -> ReportedError {
        let (file, span) = match problem.position {
            Position::Nowhere => (None, None),
            Position::File(file) => (self.sources.get(file), None),
            Position::At(span) => (self.sources.get(span.file), Some(span)),
        };
        let (line, column) = file.zip(span).map(|(source, span)| source.line_and_column(span)).unzip();
        ReportedError {
            file: file.map(|source| source.name().to_owned()),
            line,
            column,
            message: printable(&problem.message),
            hint: Some(printable(&problem.note)).filter(|note| !note.is_empty()),
            text: self.render(problem),
        }
    }

    fn render(&self, problem: &Problem) -> String {
        let headline = self.headline(problem, "error: ");
        let note = printable(&problem.note);
        match problem.position {
            Position::At(span) => {
                let excerpt = self.sources.get(span.file).map(|source| source.excerpt(span, &note));
                format!("{headline}\n{}", excerpt.unwrap_or_default())
            }
            Position::Nowhere | Position::File(_) if note.is_empty() => format!("{headline}\n"),
            Position::Nowhere | Position::File(_) => format!("{headline}\n     = {note}\n"),
        }
    }
}

/// Sorts by place, and of several at one place by this text; else the first found comes first. By insertion: the
/// library's sorting is 10 KB of code for a few problems.
fn sorted<'a>(problems: impl Iterator<Item = &'a Problem>, text: fn(&Problem) -> &str) -> Vec<&'a Problem> {
    let mut sorted: Vec<&Problem> = Vec::new();
    for problem in problems {
        let key = (problem.position, text(problem));
        let at = sorted.partition_point(|other| (other.position, text(other)) <= key);
        sorted.insert(at, problem);
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: usize, end: usize) -> Span {
        Span { file: 1, start, end }
    }

    fn diagnostics(text: &str) -> Diagnostics {
        let mut diagnostics = Diagnostics::new();
        diagnostics.add_source(Path::new("a.toml"), text.to_owned());
        diagnostics
    }

    #[test]
    fn a_problem_is_printed_with_its_line_carets_and_note() {
        let mut diagnostics = diagnostics("x = 1\ncomand = 2\n");
        diagnostics.error(span(6, 12), "unknown key `comand`", "did you mean `command`?");
        assert_eq!(
            diagnostics.report().to_string(),
            "a.toml:2:1: error: unknown key `comand`\n   2 | comand = 2\n     | ^^^^^^ did you mean `command`?\n\
             foster: cannot load the configuration: 1 error\n"
        );
    }

    #[test]
    fn problems_are_sorted_by_position_and_reported_once() {
        let mut diagnostics = diagnostics("one\ntwo\n");
        diagnostics.error(span(4, 7), "second", "");
        diagnostics.error(span(0, 3), "first", "");
        diagnostics.error(span(4, 7), "second", "");
        let report = diagnostics.report();
        assert_eq!(report.count(), 2);
        assert!(report.to_string().find("first") < report.to_string().find("second"));
    }

    #[test]
    fn an_error_that_follows_from_a_syntax_error_in_its_line_is_not_reported() {
        let mut diagnostics = diagnostics("a = \nb = 1\n");
        diagnostics.syntax_error(span(4, 4), "a value is missing", "");
        diagnostics.error(span(0, 1), "a consequence", "");
        diagnostics.error(span(5, 6), "an independent mistake", "");
        let text = diagnostics.report().to_string();
        assert!(!text.contains("consequence") && text.contains("independent"), "{text}");
    }

    #[test]
    fn a_report_has_no_control_characters() {
        let mut diagnostics = diagnostics("a = \"\u{1b}[31m\"\t# x\n");
        diagnostics.error(span(4, 10), "bad \u{7} value", "");
        let text = diagnostics.report().to_string();
        assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
    }

    #[test]
    fn of_ten_thousand_errors_all_are_counted_and_some_listed() {
        let mut diagnostics = diagnostics(&"x\n".repeat(10_000));
        for line in 0..10_000 {
            diagnostics.error(span(2 * line, 2 * line + 1), "wrong", "");
        }
        let report = diagnostics.report();
        assert_eq!((report.count(), report.errors().count()), (10_000, MOST_ERRORS));
        let text = report.to_string();
        assert!(text.ends_with(
            "foster: 9500 more errors are not listed\nfoster: cannot load the configuration: 10000 errors\n"
        ));
    }
}
