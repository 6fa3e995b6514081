//! The configuration: files and environment in, a [`Plan`] out, or a [`Report`] of everything wrong.
//!
//! Nothing is decided and nothing is started here, and nothing outside is touched but the files that are
//! read: the environment is handed in. The way of a value:
//!
//! `document.rs` (files, `include`) → `table.rs` (TOML with places) → `reader.rs` (expansion, types) →
//! `program.rs`, `settings.rs` (keys) → `check.rs` (everything together) → the plan.
//!
//! To add a key: a row in `keys.rs`, its reading in the file of its section, a fixture.

mod check;
mod command;
mod document;
mod expand;
mod glob;
mod json_schema;
pub mod keys;
mod launch;
mod order;
mod program;
mod reader;
mod ready;
mod reference;
mod report;
pub mod schema;
mod settings;
mod sink;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use foster_core::ids::ProgramId;
use foster_core::plan::WhenAllEnded;

use crate::plan::Plan;
use crate::suggest::nearest;

use check::{Cast, join};
use document::Document;
pub use json_schema::json_schema;
use keys::PROGRAM;
pub use order::start_order;
use program::{LONGEST_NAME, draft, is_name, with_defaults};
use reader::{Reader, Scope, quoted};
pub use reference::{manual, reference};
pub use report::Report;
use report::{Findings, MAIN, Place, Position};
use settings::{settings, signals};
use table::{Item, Key, Table};

/// foster's environment, as `std::env::vars_os` gives it: values need not be UTF-8.
pub type Environment = BTreeMap<OsString, OsString>;

/// Names the configuration where no option does.
pub const VARIABLE: &str = "FOSTER_CONFIG";
/// Where a configuration is looked for, in this order, if neither an option nor a variable names one.
pub const PLACES: [&str; 3] = ["/etc/foster/foster.toml", "/etc/foster.toml", "./foster.toml"];

/// Finds the configuration: the option `-c`, `$FOSTER_CONFIG`, or one of [`PLACES`].
///
/// What is named is not looked at; [`load`] says what is wrong with it.
///
/// # Errors
/// None is named and none is there.
pub fn locate(option: Option<&Path>, environment: &Environment) -> Result<PathBuf, Report> {
    locate_among(option, environment, &PLACES.map(Path::new))
}

fn locate_among(
    option: Option<&Path>,
    environment: &Environment,
    places: &[&Path],
) -> Result<PathBuf, Report> {
    let variable = environment.get(OsStr::new(VARIABLE)).filter(|value| !value.is_empty());
    let named = option.or(variable.map(Path::new));
    // One that is there and cannot be looked at is taken too, so that it is not passed over in silence.
    let found = || places.iter().copied().find(|place| place.try_exists().unwrap_or(true));
    if let Some(path) = named.or_else(found) {
        return Ok(path.to_path_buf());
    }
    let mut findings = Findings::new();
    let tried: Vec<String> = places.iter().map(|place| format!("`{}`", place.display())).collect();
    let note = format!("looked for {}; `-c FILE` or `${VARIABLE}` names another", tried.join(", "));
    findings.error(Position::Nowhere, "there is no configuration", note);
    findings.conclude(None)
}

/// Reads a configuration and all that it includes.
///
/// # Errors
/// Every problem of every file.
pub fn load(path: &Path, environment: &Environment) -> Result<Plan, Report> {
    let mut findings = Findings::new();
    let document = document::read(path, environment, &mut findings);
    let (settings, shutdown_timeout, rules) = {
        let mut reader = Reader::new(&mut findings, environment, Scope::File);
        let (settings, shutdown_timeout) = settings(&mut reader, &document.foster);
        (settings, shutdown_timeout, signals(&mut reader, &document.signals))
    };
    let cast = cast(&document, environment, &mut findings);
    // A file that could not be understood hides names: what refers to them may well be right.
    let core = if findings.is_garbled() {
        None
    } else {
        join(&mut findings, &cast, shutdown_timeout, WhenAllEnded::Exit, rules)
    };
    let warnings = findings.warnings();
    let termination_log = settings.termination_log.clone();
    let programs = cast.drafts.into_iter().map(|draft| Rc::new(draft.program));
    let programs = (0..).map(ProgramId).zip(programs).collect();
    let plan =
        core.map(|core| Plan { source: path.to_path_buf(), settings, core: core.into(), programs, warnings });
    findings.conclude(plan).map_err(|report| report.with_termination_log(termination_log))
}

/// Where a configuration has the control socket; `None`: there is none. Programs are not looked at, so that a
/// client asks at once. One that has mistakes by now is no reason not to reach a supervisor that was started without
/// them: where there is something at the place that it gives, as far as it can be read, that is it.
///
/// # Errors
/// What is wrong with the files as such, or with `[foster]`, and keeps the socket from being found.
pub fn socket(path: &Path, environment: &Environment) -> Result<Option<PathBuf>, Report> {
    let mut findings = Findings::new();
    let document = document::read(path, environment, &mut findings);
    let mut reader = Reader::new(&mut findings, environment, Scope::File);
    let (settings, _) = settings(&mut reader, &document.foster);
    let socket = settings.socket;
    let there = socket.clone().filter(|path| path.exists());
    findings.conclude(Some(socket)).or_else(|report| there.map(Some).ok_or(report))
}

/// Reads every program.
fn cast(document: &Document, environment: &Environment, findings: &mut Findings) -> Cast {
    let mut cast = Cast { drafts: Vec::new(), disabled: BTreeSet::new() };
    check_defaults(&document.defaults, environment, findings);
    for item in document.programs.items() {
        check_name(item, findings);
        let scope = Scope::Program(item.name());
        let mut reader = Reader::new(findings, environment, scope);
        let Some(own) = reader.table(item, "a table: `[program.NAME]`") else { continue };
        reader.check_keys(own, &PROGRAM, &format!("in program `{}`", item.name()));
        let table = with_defaults(own, &document.defaults);
        if reader.field(&table, "enabled", Reader::boolean) == Some(false) {
            let mut reader = Reader::new(findings, environment, Scope::Disabled(item.name()));
            draft(&mut reader, item.key, &table);
            cast.disabled.insert(item.name().to_owned());
        } else {
            cast.drafts.push(draft(&mut reader, item.key, &table));
        }
        // A misspelt `command` has been reported as what it is.
        let misspelt = own.items().any(|key| nearest(key.name(), ["command"].into_iter()).is_some());
        if table.get("command").is_none() && !misspelt && !findings.is_garbled() {
            let message = format!("program `{}` has no `command`", item.name());
            findings.error(item.key.place, message, "expected `command = [\"…\"]` below it");
        }
    }
    if cast.drafts.is_empty() && !findings.has_errors() {
        let note = match cast.disabled.is_empty() {
            true => "expected a `[program.NAME]` with a `command`",
            false => "every program has `enabled = false`",
        };
        findings.error(Position::File(MAIN), "there is nothing to run", note);
    }
    cast
}

/// Reads `[defaults]` as if it were a program, so that a mistake shows even where no program uses it.
fn check_defaults(defaults: &Table, environment: &Environment, findings: &mut Findings) {
    let key = Key { name: "defaults".to_owned(), place: Place { file: MAIN, start: 0, end: 0 } };
    let mut reader = Reader::new(findings, environment, Scope::Program(&key.name));
    reader.check_keys(defaults, &PROGRAM, "in `[defaults]`");
    draft(&mut reader, &key, defaults);
}

fn check_name(item: Item<'_>, findings: &mut Findings) {
    let name = item.name();
    if name.len() > LONGEST_NAME {
        let message =
            format!("{} cannot be the name of a program: it has {} bytes", quoted(name), name.len());
        findings.error(item.key.place, message, format!("expected at most {LONGEST_NAME}"));
    } else if !is_name(name) {
        let message = format!("{} cannot be the name of a program", quoted(name));
        let note = "expected letters, digits, `-` and `_`, a letter or digit first";
        findings.error(item.key.place, message, note);
    }
    if name == "all" {
        let note = "`all` means every program on the command line";
        findings.error(item.key.place, "`all` cannot be the name of a program", note);
    }
}
