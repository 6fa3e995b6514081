//! Reads every program of a configuration, each merged over `[defaults]`.
//!
//! A program is read for its instance 0. Only if one of its values refers to `${FOSTER_INSTANCE}` is it read again for
//! each other instance, and what it says is kept for those that `foster scale` adds.
//!
//! Checks across programs are in `check.rs`. The number of instances and the total size of programs are bounded, because
//! `[defaults]` is copied into each and a running foster reads configurations too.

use std::collections::BTreeSet;
use std::rc::Rc;

use foster_core::spec::Kind;

use super::Environment;
use super::defaults::built_in;
use super::diagnostics::Diagnostics;
use super::key_spec::Section;
use super::keys::{JOB, PROGRAM, TASK};
use super::merged::{Author, Document};
use super::phrase::quoted;
use super::program::{Draft, LONGEST_NAME, draft, is_name, over_base};
use super::reader::{Reader, Scope};
use super::span::{BUILT_IN, MAIN, Position, Span};
use super::table::{Item, Key, Table};
use crate::plan::{InstanceCount, Program, Template};
use crate::suggest::nearest;

/// The programs of a configuration.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// The enabled programs; the index is the [`foster_core::ids::ProgramId`].
    pub(super) drafts: Vec<Draft>,
    /// The names of the disabled programs: references to them are valid and ignored.
    pub(super) disabled: BTreeSet<String>,
}

/// More programs than a container runs, and few enough for an immediate reply to every verb.
const MOST_PROGRAMS: usize = InstanceCount::MOST_OF_ALL;
/// The limit for all programs with their defaults, in bytes.
const LARGEST_PLAN: usize = 64 << 20;

/// Reads every program.
pub(super) fn read_programs(
    document: &Document,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Programs {
    let mut programs = Programs::default();
    check_defaults(&document.defaults, environment, diagnostics);
    if !is_bounded(document, diagnostics) {
        return programs;
    }
    let base = over_base(&document.defaults, built_in(&PROGRAM));
    let task_base = base_of(&TASK, &document.defaults);
    let job_base = base_of(&JOB, &document.defaults.filtered(|name| name != "on_failure"));
    let mut shared = None;
    let (mut instances, mut weight) = (0, 0);
    for (kind, item) in document.units() {
        check_name(kind, item, diagnostics);
        check_unique(document, kind, item, diagnostics);
        let mut reader = Reader::new(diagnostics, environment, Scope::Program(item.name()));
        let expected = format!("a table: `[{}.NAME]`", kind.name());
        let Some(given) = reader.table(item, &expected) else { continue };
        let owner = format!("in {} `{}`", kind.name(), item.name());
        let table = match kind {
            Kind::Program => {
                if document.author == Author::Person {
                    reader.check_keys(given, &PROGRAM, &owner);
                }
                over_base(given, &base)
            }
            Kind::Task => {
                reader.check_keys(given, &TASK, &owner);
                over_base(&keys_of(&TASK, given), &task_base)
            }
            Kind::Job => {
                reader.check_keys(given, &JOB, &owner);
                over_base(&keys_of(&JOB, given), &job_base)
            }
        };
        if reader.field(&table, "enabled", Reader::boolean) == Some(false) {
            let mut reader = Reader::new(diagnostics, environment, Scope::Disabled(item.name()));
            draft(&mut reader, kind, item.key, &table);
            programs.disabled.insert(item.name().to_owned());
        } else {
            let mut draft = draft(&mut reader, kind, item.key, &table);
            // A task always has one instance.
            let differs = kind == Kind::Program && reader.refers_to_instance();
            let count = draft.program.instances.number;
            instances += usize::from(count);
            weight += if differs { table.weight().saturating_mul(usize::from(count)) } else { 0 };
            if !is_affordable(instances, weight, draft.spans.get("instances"), diagnostics) {
                return programs;
            }
            if differs {
                let environment = shared.get_or_insert_with(|| Rc::new(environment.clone()));
                let written = over_base(given, &document.defaults);
                draft.template = Some(template(item.key.clone(), written, Rc::clone(environment)));
                draft.others = others(diagnostics, environment, (item.key, &table), count);
            }
            programs.drafts.push(draft);
        }
        check_command(kind, item, (given, &table), diagnostics);
    }
    // Other tools run without a program, until a file of one is there for an update.
    let may_be_none = document.author == Author::FrontEnd;
    if programs.drafts.is_empty() && !may_be_none && !diagnostics.has_errors() {
        let note = match programs.disabled.is_empty() {
            true => "expected `[program.NAME]` with a `command`",
            false => "every program and task has `enabled = false`",
        };
        diagnostics.error(Position::File(MAIN), "no program is enabled", note);
    }
    programs
}

/// What a task or a job starts from: its built-in defaults, then those of `[defaults]` that it can have.
fn base_of(section: &Section, defaults: &Table) -> Table {
    over_base(&keys_of(section, defaults), &over_base(built_in(section), built_in(&PROGRAM)))
}

/// The keys of a table that this section has. Others are not read: they are reported as errors, or meant for programs.
fn keys_of(section: &Section, table: &Table) -> Table {
    table.filtered(|name| section.key(name).is_some())
}

/// Whether the programs are within the limits; reports an error if not.
fn is_bounded(document: &Document, diagnostics: &mut Diagnostics) -> bool {
    let count = document.units().count();
    if let Some((_, extra)) = document.units().nth(MOST_PROGRAMS) {
        let message = format!("there are {count} programs");
        diagnostics.error(extra.key.span, message, format!("expected at most {MOST_PROGRAMS}"));
        return false;
    }
    let copied = document.defaults.weight().saturating_mul(count);
    let written = document
        .programs
        .weight()
        .saturating_add(document.tasks.weight())
        .saturating_add(document.jobs.weight());
    if written.saturating_add(copied) > LARGEST_PLAN {
        let megabytes = LARGEST_PLAN >> 20;
        let message = format!("{count} programs with their `[defaults]` take more than {megabytes} MiB");
        diagnostics.error(Position::File(MAIN), message, "expected fewer programs, or fewer variables");
        return false;
    }
    true
}

/// Whether the instances are within the limits; reports an error if not.
fn is_affordable(instances: usize, weight: usize, span: Option<Span>, diagnostics: &mut Diagnostics) -> bool {
    let (message, note) = if instances > InstanceCount::MOST_OF_ALL {
        let most = InstanceCount::MOST_OF_ALL;
        (format!("the programs have {instances} instances together"), format!("expected at most {most}"))
    } else if weight > LARGEST_PLAN {
        let message = format!("the instances that differ take more than {} MiB together", LARGEST_PLAN >> 20);
        (message, "expected fewer instances".to_owned())
    } else {
        return true;
    };
    let position = span.filter(|span| span.file != BUILT_IN).map_or(Position::File(MAIN), Position::At);
    diagnostics.error(position, message, note);
    false
}

/// The definitions of the instances after the first, from a table merged over all defaults. An error of one ends the list.
fn others(
    diagnostics: &mut Diagnostics,
    environment: &Environment,
    (key, table): (&Key, &Table),
    count: u16,
) -> Vec<Program> {
    let mut all = Vec::new();
    for index in 1..count {
        let before = diagnostics.count();
        all.push(definition(diagnostics, environment, (key, table), index));
        if diagnostics.count() > before {
            break;
        }
    }
    all
}

fn definition(
    diagnostics: &mut Diagnostics,
    environment: &Environment,
    (key, table): (&Key, &Table),
    index: u16,
) -> Program {
    let mut reader = Reader::new(diagnostics, environment, Scope::Program(&key.name)).of_instance(index);
    draft(&mut reader, Kind::Program, key, table).program
}

/// What makes further instances of a program, from its table merged over `[defaults]`.
fn template(key: Key, written: Table, environment: Rc<Environment>) -> Template {
    Template::new(move |index| {
        let mut diagnostics = Diagnostics::new();
        let table = over_base(&written, built_in(&PROGRAM));
        let program = definition(&mut diagnostics, &environment, (&key, &table), index);
        diagnostics.conclude(Some(program)).map_err(|report| report.first())
    })
}

/// Reads `[defaults]` as if it were a program, so that a mistake is reported even if every program overrides it.
fn check_defaults(defaults: &Table, environment: &Environment, diagnostics: &mut Diagnostics) {
    let key = Key { name: "defaults".to_owned(), span: Span { file: MAIN, start: 0, end: 0 } };
    let mut reader = Reader::new(diagnostics, environment, Scope::Program(&key.name));
    reader.check_keys(defaults, &PROGRAM, "in `[defaults]`");
    draft(&mut reader, Kind::Program, &key, defaults);
}

/// Reports a name that a program has, too.
fn check_unique(document: &Document, kind: Kind, item: Item<'_>, diagnostics: &mut Diagnostics) {
    if kind == Kind::Program {
        return;
    }
    let task = document.tasks.get(item.name()).filter(|_| kind == Kind::Job);
    if let Some(other) = document.programs.get(item.name()).or(task) {
        let (name, first) = (item.name(), diagnostics.locate(other.key.span));
        let other = if document.programs.get(name).is_some() { Kind::Program } else { Kind::Task };
        let message = format!("`{name}` is the name of a {} and of a {}", kind.name(), other.name());
        diagnostics.error(
            item.key.span,
            message,
            format!("the {} is at {first}; rename one of them", other.name()),
        );
    }
}

fn check_name(kind: Kind, item: Item<'_>, diagnostics: &mut Diagnostics) {
    let name = item.name();
    let (reason, note) = if name.len() > LONGEST_NAME {
        (format!(": it has {} bytes", name.len()), format!("expected at most {LONGEST_NAME}"))
    } else if name == "all" {
        (String::new(), "`all` stands for every program on the command line".to_owned())
    } else if name == "foster" {
        (
            String::new(),
            "foster's own lines have this name, and those of a program must not look like them".to_owned(),
        )
    } else if !is_name(name) {
        (String::new(), "expected letters, digits, `-` and `_`, a letter or digit first".to_owned())
    } else {
        return;
    };
    let message = format!("{} is not a valid name of a {}{reason}", quoted(name), kind.name());
    diagnostics.error(item.key.span, message, note);
}

/// Reports a program without a command, in its table or in `[defaults]`.
fn check_command(
    kind: Kind,
    item: Item<'_>,
    (given, table): (&Table, &Table),
    diagnostics: &mut Diagnostics,
) {
    if table.get("command").is_some() || diagnostics.has_syntax_errors() {
        return;
    }
    // A misspelt `command` is already reported as an unknown key.
    if given.items().any(|key| nearest(key.name(), ["command"].into_iter()).is_some()) {
        return;
    }
    let message = format!("{} `{}` has no `command`", kind.name(), item.name());
    diagnostics.error(item.key.span, message, "expected `command = [\"…\"]` below it");
}
