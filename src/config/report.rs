//! What is wrong with a configuration: collected while reading, printed once at the end.
//!
//! [`Findings`] owns the text of every file, so that a [`Place`] is three numbers and a problem can show
//! its line. Nothing here knows what a configuration means. The form of the output is fixed by the
//! fixtures in `tests/fixtures/config`. Read `table.rs` next.

use std::fmt;
use std::path::{Path, PathBuf};

/// A stretch of a file: bytes from `start` up to `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Which of the files of [`Findings`].
    pub(super) file: usize,
    /// Its first byte.
    pub(super) start: usize,
    /// The byte behind its last.
    pub(super) end: usize,
}

impl Place {
    /// Whether the other one begins in this one, or right at its end.
    fn covers(self, other: Place) -> bool {
        self.file == other.file && (self.start..=self.end).contains(&other.start)
    }
}

/// The message of a syntax error about a key that is there already: nothing follows from it.
pub(super) const DUPLICATE: &str = "this is set twice";

/// The file that stands for foster's own defaults; nothing is ever wrong there.
pub(super) const BUILT_IN: usize = 0;
/// The file that was asked for, which includes the others.
pub(super) const MAIN: usize = 1;

/// Where a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Position {
    /// In no file: none was found.
    Nowhere,
    /// In a file as a whole: it cannot be read.
    File(usize),
    /// In a line.
    At(Place),
}

impl From<Place> for Position {
    fn from(place: Place) -> Position {
        Position::At(place)
    }
}

/// Whether a problem is one of the text or of what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It is not TOML. What else is wrong in that line is a consequence.
    Syntax,
    /// It is TOML, and not a configuration.
    Meaning,
}

#[derive(Debug)]
struct Problem {
    position: Position,
    kind: Kind,
    message: String,
    note: String,
}

#[derive(Debug)]
struct Source {
    path: PathBuf,
    text: String,
    /// Where each line begins.
    lines: Vec<usize>,
}

impl Source {
    fn new(path: &Path, text: String) -> Source {
        let behind_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let lines = std::iter::once(0).chain(behind_newlines).collect();
        Source { path: path.to_path_buf(), text, lines }
    }

    /// The number of the line that holds this byte, counted from 1, and where it begins.
    fn line_at(&self, byte: usize) -> (usize, usize) {
        let number = self.lines.partition_point(|start| *start <= byte);
        (number, self.lines.get(number.saturating_sub(1)).copied().unwrap_or(0))
    }
}

/// Everything found so far, and the files it was found in.
#[derive(Debug)]
pub(super) struct Findings {
    sources: Vec<Source>,
    errors: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings {
    /// Nothing yet.
    pub(super) fn new() -> Findings {
        let built_in = Source::new(Path::new("built-in defaults"), String::new());
        Findings { sources: vec![built_in], errors: Vec::new(), warnings: Vec::new() }
    }

    /// Takes a file in and says by which number places name it.
    pub(super) fn add_source(&mut self, path: &Path, text: String) -> usize {
        self.sources.push(Source::new(path, text));
        self.sources.len() - 1
    }

    /// The text of a file.
    pub(super) fn text(&self, file: usize) -> &str {
        self.sources.get(file).map_or("", |source| source.text.as_str())
    }

    /// Adds an error; `note` stands behind the caret and says what was expected.
    pub(super) fn error(
        &mut self,
        position: impl Into<Position>,
        message: impl Into<String>,
        note: impl Into<String>,
    ) {
        let (message, note) = (message.into(), note.into());
        self.errors.push(Problem { position: position.into(), kind: Kind::Meaning, message, note });
    }

    /// Adds an error of TOML itself.
    pub(super) fn syntax_error(&mut self, position: impl Into<Position>, message: &str, note: &str) {
        let (message, note) = (message.to_owned(), note.to_owned());
        self.errors.push(Problem { position: position.into(), kind: Kind::Syntax, message, note });
    }

    /// Adds what is allowed and probably not meant.
    pub(super) fn warn(&mut self, position: impl Into<Position>, message: impl Into<String>) {
        self.warnings.push(Problem {
            position: position.into(),
            kind: Kind::Meaning,
            message: message.into(),
            note: String::new(),
        });
    }

    /// Whether a file could not be read as it was meant: then nothing can be said about what is missing.
    pub(super) fn is_garbled(&self) -> bool {
        self.errors.iter().any(|problem| problem.kind == Kind::Syntax)
    }

    /// The first appearance of `part` inside a place, or the whole place.
    pub(super) fn narrow(&self, place: Place, part: &str) -> Place {
        let written = self.text(place.file).get(place.start..place.end).unwrap_or("");
        match written.find(part) {
            Some(offset) if !part.is_empty() => {
                let start = place.start + offset;
                Place { start, end: start + part.len(), ..place }
            }
            Some(_) | None => place,
        }
    }

    /// A place as people write it: `foster.toml:2:1`.
    pub(super) fn locate(&self, place: Place) -> String {
        let (line, column) = self.line_and_column(place);
        let path = self.sources.get(place.file).map(|source| source.path.display().to_string());
        format!("{}:{line}:{column}", path.unwrap_or_default())
    }

    /// The warnings, each one sentence with its place.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut problems: Vec<&Problem> = self.warnings.iter().collect();
        problems.sort_by_key(|problem| problem.position);
        let mut lines: Vec<String> = problems.into_iter().map(|problem| self.headline(problem, "")).collect();
        lines.dedup();
        lines
    }

    /// Whether there is any error.
    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// The value, if nothing was wrong; where there is none, the reason has been added before.
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
            Position::At(place) => shadows.iter().any(|shadow| shadow.covers(place)),
        };
        let meaning = self.errors.iter().filter(|problem| problem.kind == Kind::Meaning);
        let mut problems: Vec<&Problem> = meaning.filter(|problem| !is_shadowed(problem)).collect();
        problems.extend(syntax);
        problems.sort_by(|a, b| (a.position, &a.message).cmp(&(b.position, &b.message)));
        // A mistake in `[defaults]` is met once for each program.
        problems.dedup_by(|a, b| a.position == b.position && a.message == b.message);
        let errors = problems.into_iter().map(|problem| self.render(problem)).collect();
        Report { errors, termination_log: PathBuf::from(DEFAULT_TERMINATION_LOG) }
    }

    /// The syntax errors that stand for themselves, and the stretches in which whatever else is wrong
    /// follows from one of them.
    fn syntax_errors(&self) -> (Vec<&Problem>, Vec<Place>) {
        let mut all: Vec<&Problem> =
            self.errors.iter().filter(|problem| problem.kind == Kind::Syntax).collect();
        all.sort_by_key(|problem| problem.position);
        let mut shadows: Vec<Place> = Vec::new();
        let mut own = Vec::new();
        for (index, problem) in all.iter().enumerate() {
            if let Position::At(place) = problem.position {
                // They are sorted: only the last shadow can reach this one.
                if shadows.last().is_some_and(|shadow| shadow.covers(place)) {
                    continue;
                }
                shadows.push(self.shadow(place, problem, all.get(index + 1..).unwrap_or(&[])));
            }
            own.push(*problem);
        }
        (own, shadows)
    }

    /// How far a syntax error reaches: over its line; over the section whose header it spoils; over all
    /// that follows where a list is not closed.
    fn shadow(&self, place: Place, problem: &Problem, later: &[&Problem]) -> Place {
        let text = self.text(place.file);
        let start = self.sources.get(place.file).map_or(0, |source| source.line_at(place.start).1);
        let rest = text.get(start..).unwrap_or("");
        let line_end = start + rest.find('\n').unwrap_or(rest.len());
        let in_list =
            |problem: &Problem| problem.message.contains("array") || problem.message.contains("inline table");
        let goes_on = later.iter().any(|other| {
            matches!(other.position, Position::At(at) if at.file == place.file && at.start > line_end)
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
        Place { start, end, ..place }
    }

    fn line_and_column(&self, place: Place) -> (usize, usize) {
        let Some(source) = self.sources.get(place.file) else { return (1, 1) };
        let (line, start) = source.line_at(place.start);
        let before = source.text.get(start..place.start).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    fn headline(&self, problem: &Problem, kind: &str) -> String {
        let message = printable(&problem.message);
        match problem.position {
            Position::Nowhere if kind.is_empty() => message,
            Position::Nowhere => format!("foster: {kind}{message}"),
            Position::File(file) => {
                let path = self.sources.get(file).map(|source| source.path.display().to_string());
                format!("{}: {kind}{message}", path.unwrap_or_default())
            }
            Position::At(place) => format!("{}: {kind}{message}", self.locate(place)),
        }
    }

    fn render(&self, problem: &Problem) -> String {
        let headline = self.headline(problem, "error: ");
        let note = printable(&problem.note);
        match problem.position {
            Position::At(place) => format!("{headline}\n{}", self.excerpt(place, &note)),
            Position::Nowhere | Position::File(_) if note.is_empty() => format!("{headline}\n"),
            Position::Nowhere | Position::File(_) => format!("{headline}\n     = {note}\n"),
        }
    }

    /// The line itself, a caret run under the place, and the note behind it.
    fn excerpt(&self, place: Place, note: &str) -> String {
        let (number, column) = self.line_and_column(place);
        let start = self.sources.get(place.file).map_or(0, |source| source.line_at(place.start).1);
        let line = self.text(place.file).get(start..).unwrap_or("").lines().next().unwrap_or("");
        let covered = self.text(place.file).get(place.start..place.end).unwrap_or("");
        let carets = covered.lines().next().unwrap_or("").chars().count().max(1);
        let (line, column, carets) = clip(line, column - 1, carets);
        let gap = if note.is_empty() { "" } else { " " };
        format!(
            "{number:>4} | {line}\n     | {blank:column$}{mark:^<carets$}{gap}{note}\n",
            line = printable(&line),
            blank = "",
            mark = "",
        )
    }
}

/// The widest line that is shown whole, and how much of a wider one is shown, in characters.
const WIDTH: usize = 160;
/// How much of a wider line is shown before the place.
const LEAD: usize = 60;

/// Cuts a line that no terminal could show down to the part that matters.
fn clip(line: &str, column: usize, carets: usize) -> (String, usize, usize) {
    let length = line.chars().count();
    if length <= WIDTH {
        return (line.to_owned(), column, carets);
    }
    let skipped = column.saturating_sub(LEAD);
    let mut text: String = line.chars().skip(skipped).take(WIDTH).collect();
    if skipped + WIDTH < length {
        text.push('…');
    }
    let carets = carets.min(WIDTH - (column - skipped).min(WIDTH - 1));
    if skipped == 0 {
        return (text, column, carets);
    }
    (format!("…{text}"), column - skipped + 1, carets)
}

/// A file's text may hold anything; a terminal must not obey it.
fn printable(text: &str) -> String {
    let shown = |char: char| match char {
        '\t' | '\n' => ' ',
        char if char.is_control() => char::REPLACEMENT_CHARACTER,
        char => char,
    };
    text.chars().map(shown).collect()
}

/// Where Kubernetes looks, where no configuration was found that could say otherwise.
const DEFAULT_TERMINATION_LOG: &str = "/dev/termination-log";

/// Why a configuration cannot be used: every problem of every file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    errors: Vec<String>,
    termination_log: PathBuf,
}

impl Report {
    /// Where the orchestrator reads why nothing was started: as the file says, as far as it could be read.
    pub fn termination_log(&self) -> &Path {
        &self.termination_log
    }

    pub(super) fn with_termination_log(self, termination_log: PathBuf) -> Report {
        Report { termination_log, ..self }
    }

    /// The errors, each with its place, in the order of the files; a line end behind each.
    pub fn errors(&self) -> impl Iterator<Item = &str> {
        self.errors.iter().map(String::as_str)
    }

    /// All of it in half a sentence.
    pub fn summary(&self) -> String {
        let plural = if self.count() == 1 { "" } else { "s" };
        format!("cannot load the configuration: {} error{plural}", self.count())
    }

    /// How many errors there are; at least one.
    pub fn count(&self) -> usize {
        self.errors.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            f.write_str(error)?;
        }
        writeln!(f, "foster: {}", self.summary())
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(start: usize, end: usize) -> Place {
        Place { file: 1, start, end }
    }

    fn findings(text: &str) -> Findings {
        let mut findings = Findings::new();
        findings.add_source(Path::new("a.toml"), text.to_owned());
        findings
    }

    #[test]
    fn a_problem_shows_its_line_with_carets_and_the_note() {
        let mut findings = findings("x = 1\ncomand = 2\n");
        findings.error(place(6, 12), "unknown key `comand`", "did you mean `command`?");
        assert_eq!(
            findings.report().to_string(),
            "a.toml:2:1: error: unknown key `comand`\n   2 | comand = 2\n     | ^^^^^^ did you mean `command`?\n\
             foster: cannot load the configuration: 1 error\n"
        );
    }

    #[test]
    fn problems_are_sorted_by_place_and_told_once() {
        let mut findings = findings("one\ntwo\n");
        findings.error(place(4, 7), "second", "");
        findings.error(place(0, 3), "first", "");
        findings.error(place(4, 7), "second", "");
        let report = findings.report();
        assert_eq!(report.count(), 2);
        assert!(report.to_string().find("first") < report.to_string().find("second"));
    }

    #[test]
    fn what_follows_from_a_syntax_error_in_the_same_line_is_not_told() {
        let mut findings = findings("a = \nb = 1\n");
        findings.syntax_error(place(4, 4), "a value is missing", "");
        findings.error(place(0, 1), "a consequence", "");
        findings.error(place(5, 6), "a mistake of its own", "");
        let text = findings.report().to_string();
        assert!(!text.contains("consequence") && text.contains("of its own"), "{text}");
    }

    #[test]
    fn a_terminal_is_sent_no_control_characters() {
        let mut findings = findings("a = \"\u{1b}[31m\"\t# x\n");
        findings.error(place(4, 10), "bad \u{7} value", "");
        let text = findings.report().to_string();
        assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
    }

    #[test]
    fn a_line_too_long_to_read_is_cut_around_the_place() {
        let mut findings = findings(&format!("{}HERE{}", "a".repeat(5000), "b".repeat(5000)));
        findings.error(place(5000, 5004), "there", "");
        let text = findings.report().to_string();
        assert!(text.contains("HERE") && text.len() < 600, "{text}");
        let (line, carets) = (text.lines().nth(1).expect("line"), text.lines().nth(2).expect("carets"));
        let column = |text: &str, part: &str| text.split(part).next().map(|before| before.chars().count());
        assert_eq!(column(line, "HERE"), column(carets, "^^^^"));
    }
}
