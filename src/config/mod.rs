//! The configuration: files and environment in, a [`Plan`] out, or a [`Report`] of everything wrong.
//!
//! It decides and starts nothing, and reads only the files that it is given; the environment is an argument. A value
//! passes through:
//!
//! `document.rs` (files, `include`) → `table.rs` (TOML with spans), `supervisord.rs` or `pm2.rs` → `reader.rs` (expansion, types) →
//! `programs.rs`, `program.rs`, `settings.rs` (keys) → `check.rs` (all programs together) → the plan.
//!
//! To add a key: a row in `keys/`, its reading in the file of its section, a fixture.

mod address;
mod check;
mod command;
mod compose;
mod defaults;
mod diagnostics;
mod document;
mod environment;
mod expand;
mod file_glob;
mod files;
mod foreign;
mod format;
mod front_end;
mod instances;
mod job;
mod json_schema;
pub mod key_spec;
pub mod keys;
mod launch;
mod lint;
mod merged;
mod migrate;
mod order;
mod phrase;
mod pm2;
mod probe;
mod procfile;
mod program;
mod programs;
mod reader;
mod ready;
#[cfg(test)]
mod reference;
mod report;
mod s6;
mod settings;
mod shared_sockets;
mod shell;
mod sink;
mod size;
mod sockets;
mod source;
mod span;
mod stop_time;
mod supervisord;
mod systemd;
mod table;
#[cfg(test)]
mod tests;
mod unknown_keys;
mod web;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use foster_core::ids::ProgramId;
use foster_core::plan::CorePlan;
use foster_core::program_map::ProgramMap;
use foster_core::sorted::SortedMap;

use crate::plan::{Plan, Settings};

use check::resolve;
use diagnostics::Diagnostics;
pub use environment::{Environment, Evaluate, ScriptError};
use files::Files;
pub use front_end::Format;
pub use json_schema::json_schema;
use merged::Document;
pub use order::start_order;
pub use pm2::is_javascript;
use programs::{Programs, read_programs};
use reader::{Reader, Scope};
pub use report::Report;
use settings::{settings, signals};
use shared_sockets::check_sockets;
use span::{BUILT_IN, MAIN, Position};
pub use supervisord::expanded;

/// The variable that names the configuration if no option does.
pub const VARIABLE: &str = "FOSTER_CONFIG";
/// The paths that are tried in this order if neither an option nor the variable names a configuration.
pub const PLACES: [&str; 3] = ["/etc/foster/foster.toml", "/etc/foster.toml", "./foster.toml"];

/// Finds the configuration: the option `-c`, `$FOSTER_CONFIG`, or one of [`PLACES`].
///
/// A file that is named is not opened here; [`load`] reports its errors.
///
/// # Errors
/// No file is named, and none of the usual paths exists.
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
    // A path whose existence cannot be checked is used too: skipping it would hide the error.
    let found = || candidates.iter().copied().find(|path| path.try_exists().unwrap_or(true));
    if let Some(path) = named.or_else(found) {
        return Ok(path.to_path_buf());
    }
    let mut diagnostics = Diagnostics::new();
    let tried: Vec<String> = candidates.iter().map(|path| format!("`{}`", path.display())).collect();
    let note = format!("looked for {}; name a file with `-c FILE` or `${VARIABLE}`", tried.join(", "));
    diagnostics.error(Position::Nowhere, "no configuration found", note);
    diagnostics.conclude(None)
}

/// A problem outside the configuration files, and the key that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The program; `None` for the whole file.
    pub program: Option<ProgramId>,
    /// The key of the program.
    pub key: &'static str,
    /// Whether the program can run in spite of it.
    pub severity: Severity,
    /// The problem.
    pub message: String,
    /// The remedy.
    pub note: String,
}

/// Whether a program can run in spite of a remark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It cannot run.
    Error,
    /// It may run.
    Warning,
}

/// Reads a configuration and the files that it includes.
///
/// # Errors
/// Every problem of every file.
pub fn load(path: &Path, environment: &Environment) -> Result<Plan, Report> {
    load_and_examine(path, environment, |_| Vec::new())
}

/// As [`load`]; for a valid configuration the remarks of `examine` are also reported, each at its key.
///
/// # Errors
/// Every problem of every file, or every error that `examine` returned.
pub fn load_and_examine(
    path: &Path,
    environment: &Environment,
    examine: impl FnOnce(&Plan) -> Vec<Remark>,
) -> Result<Plan, Report> {
    let mut diagnostics = Diagnostics::new();
    let document = document::read(path, environment, &mut diagnostics);
    let Validated { settings, web, core, programs } = validate(&document, environment, &mut diagnostics);
    let termination_log = settings.termination_log.clone();
    let mut plan = core.map(|core| Plan {
        source: path.to_path_buf(),
        settings,
        web: web.plan,
        core: core.into(),
        programs: ProgramMap::new(),
        instances: SortedMap::new(),
        templates: ProgramMap::new(),
        warnings: Vec::new(),
    });
    let mut spans = Vec::new();
    for (id, draft) in (0..).map(ProgramId).zip(programs.drafts) {
        spans.push((draft.key.span, draft.spans));
        if let Some(plan) = &mut plan {
            plan.add(id, draft.program, draft.others, draft.template);
        }
    }
    if let (Some(plan), false) = (&plan, diagnostics.has_errors()) {
        for remark in examine(plan) {
            let of_program = remark.program.and_then(|id| spans.get(id.0 as usize));
            // A default has no place in a file: the remark points at the program's name.
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

/// A document whose values were read and checked.
struct Validated {
    settings: Settings,
    web: web::Servers,
    core: Option<CorePlan>,
    programs: Programs,
}

fn validate(document: &Document, environment: &Environment, diagnostics: &mut Diagnostics) -> Validated {
    let mut reader = Reader::new(diagnostics, environment, Scope::File);
    let (settings, core_settings) = settings(&mut reader, &document.foster);
    let rules = signals(&mut reader, &document.signals);
    let web = web::read(&mut reader, document);
    let programs = read_programs(document, environment, diagnostics);
    // A file with a syntax error may define names that were not read, so references are not checked.
    let core = match diagnostics.has_syntax_errors() {
        true => None,
        false => {
            check_sockets(diagnostics, &programs.drafts, settings.socket.as_deref());
            web::check_sockets(diagnostics, &web, &programs.drafts, settings.socket.as_deref());
            resolve(diagnostics, &programs, core_settings, rules)
        }
    };
    Validated { settings, web, core, programs }
}

/// A configuration of another tool as TOML, with a comment for what has no equal.
///
/// # Errors
/// Every problem of its files, or that foster does not know the format.
pub fn migrate(path: &Path, from: Option<Format>, environment: &Environment) -> Result<String, Report> {
    let mut diagnostics = Diagnostics::new();
    let Some(format) = from.or_else(|| Format::detect(path)) else {
        if Files::new(&mut diagnostics).read(path).is_some() {
            format::report_unknown(&mut diagnostics);
        }
        return diagnostics.conclude(None);
    };
    // The configuration is used elsewhere, where other variables may be set.
    let environment = environment.clone().of_elsewhere();
    let document = match format {
        Format::Toml | Format::Supervisord | Format::Pm2 => {
            document::read_as(format, path, &environment, &mut diagnostics)
        }
        Format::Compose => compose::document(path, &mut Files::new(&mut diagnostics)),
        Format::Procfile => procfile::document(path, &mut Files::new(&mut diagnostics)),
        Format::S6 => s6::document(path, &mut Files::new(&mut diagnostics)),
        Format::Systemd => systemd::document(path, &mut Files::new(&mut diagnostics)),
    };
    let warnings = diagnostics.placed_warnings();
    // What could not be read has no programs.
    if document.units().next().is_some() || !diagnostics.has_errors() {
        validate(&document, &environment, &mut diagnostics);
    }
    diagnostics.conclude(Some(migrate::toml(&document, &path.display().to_string(), format, warnings)))
}

/// The path of the control socket; `None`: it is disabled. Programs are not checked, which makes a client fast.
/// A configuration with errors still leads to a running supervisor: if a file exists at the path that could be read,
/// that path is returned.
///
/// # Errors
/// Errors in the files' syntax or in `[foster]` that leave the path unknown.
pub fn socket(path: &Path, environment: &Environment) -> Result<Option<PathBuf>, Report> {
    // Such a file cannot name one, and it may have to be run.
    if Format::of(path) == Format::Pm2 {
        return Ok(None);
    }
    let mut diagnostics = Diagnostics::new();
    let document = document::read(path, environment, &mut diagnostics);
    let mut reader = Reader::new(&mut diagnostics, environment, Scope::File);
    let (settings, _) = settings(&mut reader, &document.foster);
    let socket = settings.socket;
    let existing = socket.clone().filter(|path| path.exists());
    diagnostics.conclude(Some(socket)).or_else(|report| existing.map(Some).ok_or(report))
}
