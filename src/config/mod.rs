//! The configuration: files and environment in, a [`Plan`] out, or a [`Report`] of everything wrong.
//!
//! Nothing is decided and nothing is started here, and nothing outside is touched but the files that are
//! read: the environment is handed in. The way of a value:
//!
//! `document.rs` (files, `include`) → `table.rs` (TOML with places) → `reader.rs` (expansion, types) →
//! `programs.rs`, `program.rs`, `settings.rs` (keys) → `check.rs` (everything together) → the plan.
//!
//! To add a key: a row in `keys/`, its reading in the file of its section, a fixture.

mod check;
mod command;
mod defaults;
mod diagnostics;
mod document;
mod expand;
mod file_glob;
mod foreign;
mod json_schema;
pub mod key_spec;
pub mod keys;
mod launch;
mod lint;
mod order;
mod phrase;
mod probe;
mod program;
mod programs;
mod reader;
mod ready;
#[cfg(test)]
mod reference;
mod report;
mod settings;
mod sink;
mod source;
mod span;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use foster_core::ids::ProgramId;

use crate::plan::Plan;

use check::resolve;
use diagnostics::Diagnostics;
pub use json_schema::json_schema;
pub use order::start_order;
use programs::read_programs;
use reader::{Reader, Scope};
pub use report::Report;
use settings::{settings, signals};
use span::{BUILT_IN, MAIN, Position};

/// foster's environment, as `std::env::vars_os` gives it: values need not be UTF-8.
pub type Environment = BTreeMap<OsString, OsString>;

/// Names the configuration where no option does.
pub const VARIABLE: &str = "FOSTER_CONFIG";
/// Where a configuration is looked for, in this order, if neither an option nor a variable names one.
pub const PLACES: [&str; 3] = ["/etc/foster/foster.toml", "/etc/foster.toml", "./foster.toml"];

/// Finds the configuration: the option `-c`, `$FOSTER_CONFIG`, or one of [`PLACES`].
///
/// A file that is named is not looked at; [`load`] reports what is wrong with it.
///
/// # Errors
/// None is named and none is there.
pub fn locate(option: Option<&Path>, environment: &Environment) -> Result<PathBuf, Report> {
    locate_among(option, environment, &PLACES.map(Path::new))
}

fn locate_among(
    option: Option<&Path>,
    environment: &Environment,
    candidates: &[&Path],
) -> Result<PathBuf, Report> {
    let variable = environment.get(OsStr::new(VARIABLE)).filter(|value| !value.is_empty());
    let named = option.or(variable.map(Path::new));
    // A file that is there and cannot be looked at is taken too, so that it is not passed over in silence.
    let found = || candidates.iter().copied().find(|path| path.try_exists().unwrap_or(true));
    if let Some(path) = named.or_else(found) {
        return Ok(path.to_path_buf());
    }
    let mut diagnostics = Diagnostics::new();
    let tried: Vec<String> = candidates.iter().map(|path| format!("`{}`", path.display())).collect();
    let note = format!("looked for {}; `-c FILE` or `${VARIABLE}` names another", tried.join(", "));
    diagnostics.error(Position::Nowhere, "there is no configuration", note);
    diagnostics.conclude(None)
}

/// What was found about a plan outside its files, and which key of them it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The program; `None`: the file as a whole.
    pub program: Option<ProgramId>,
    /// The key of the program.
    pub key: &'static str,
    /// Whether the program can work all the same.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub note: String,
}

/// Whether a program can work in spite of a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// Perhaps.
    Warning,
}

/// Reads a configuration and all that it includes.
///
/// # Errors
/// Every problem of every file.
pub fn load(path: &Path, environment: &Environment) -> Result<Plan, Report> {
    load_and_examine(path, environment, |_| Vec::new())
}

/// The same, and where the files are right, what `examine` finds about the plan is reported at its place in them.
///
/// # Errors
/// Every problem of every file, or every error that was found.
pub fn load_and_examine(
    path: &Path,
    environment: &Environment,
    examine: impl FnOnce(&Plan) -> Vec<Remark>,
) -> Result<Plan, Report> {
    let mut diagnostics = Diagnostics::new();
    let document = document::read(path, environment, &mut diagnostics);
    let mut reader = Reader::new(&mut diagnostics, environment, Scope::File);
    let (settings, core_settings) = settings(&mut reader, &document.foster);
    let rules = signals(&mut reader, &document.signals);
    let programs = read_programs(&document, environment, &mut diagnostics);
    // A file that could not be parsed whole hides names: what refers to them may well be right.
    let core = match diagnostics.has_syntax_errors() {
        true => None,
        false => resolve(&mut diagnostics, &programs, core_settings, rules),
    };
    let (drafts, spans): (Vec<_>, Vec<_>) = programs
        .drafts
        .into_iter()
        .map(|draft| (Rc::new(draft.program), (draft.key.span, draft.spans)))
        .unzip();
    let termination_log = settings.termination_log.clone();
    let mut plan = core.map(|core| Plan {
        source: path.to_path_buf(),
        settings,
        core: core.into(),
        programs: (0..).map(ProgramId).zip(drafts).collect(),
        warnings: Vec::new(),
    });
    if let (Some(plan), false) = (&plan, diagnostics.has_errors()) {
        for remark in examine(plan) {
            let of_program = remark.program.and_then(|id| spans.get(id.0 as usize));
            // A key that is not written stands for its program.
            let span = of_program.map(|(name, keys)| {
                keys.get(remark.key).filter(|span| span.file != BUILT_IN).unwrap_or(*name)
            });
            let position = span.map_or(Position::File(MAIN), Position::At);
            match remark.severity {
                Severity::Error => diagnostics.error(position, remark.message, remark.note),
                Severity::Warning => {
                    diagnostics.warn(position, format!("{}: {}", remark.message, remark.note))
                }
            }
        }
    }
    if let Some(plan) = &mut plan {
        plan.warnings = diagnostics.warnings();
    }
    diagnostics.conclude(plan).map_err(|report| report.with_termination_log(termination_log))
}

/// Where a configuration has the control socket; `None`: there is none. Programs are not looked at, so that a
/// client asks at once. A configuration that has become wrong since is no reason not to reach a supervisor that
/// runs: where there is a file at the path that it gives, as far as it can be read, that path is returned.
///
/// # Errors
/// What is wrong with the files as such, or with `[foster]`, and keeps the socket from being found.
pub fn socket(path: &Path, environment: &Environment) -> Result<Option<PathBuf>, Report> {
    let mut diagnostics = Diagnostics::new();
    let document = document::read(path, environment, &mut diagnostics);
    let mut reader = Reader::new(&mut diagnostics, environment, Scope::File);
    let (settings, _) = settings(&mut reader, &document.foster);
    let socket = settings.socket;
    let there = socket.clone().filter(|path| path.exists());
    diagnostics.conclude(Some(socket)).or_else(|report| there.map(Some).ok_or(report))
}
