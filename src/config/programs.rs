//! Every program of a configuration: their tables over `[defaults]`, each read by itself.
//!
//! What can only be seen from all of them together is in `check.rs`. The number of programs and the size of all
//! together are bounded here: `[defaults]` are copied into each, and a running foster reads this too.

use std::collections::BTreeSet;

use super::Environment;
use super::defaults::built_in;
use super::diagnostics::Diagnostics;
use super::document::Document;
use super::keys::PROGRAM;
use super::phrase::quoted;
use super::program::{Draft, LONGEST_NAME, draft, is_name, over_base};
use super::reader::{Reader, Scope};
use super::span::{MAIN, Position, Span};
use super::table::{Item, Key, Table};
use crate::suggest::nearest;

/// The programs of a configuration.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// Those that are enabled, by [`foster_core::ids::ProgramId`].
    pub(super) drafts: Vec<Draft>,
    /// The names of those that are not: other programs may name them, to no effect.
    pub(super) disabled: BTreeSet<String>,
}

/// More programs than one container runs, and few enough for every verb to answer at once.
const MOST_PROGRAMS: usize = 10_000;
/// What all programs with their defaults may take, in bytes.
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
    for item in document.programs.items() {
        check_name(item, diagnostics);
        let mut reader = Reader::new(diagnostics, environment, Scope::Program(item.name()));
        let Some(given) = reader.table(item, "a table: `[program.NAME]`") else { continue };
        reader.check_keys(given, &PROGRAM, &format!("in program `{}`", item.name()));
        let table = over_base(given, &base);
        if reader.field(&table, "enabled", Reader::boolean) == Some(false) {
            let mut reader = Reader::new(diagnostics, environment, Scope::Disabled(item.name()));
            draft(&mut reader, item.key, &table);
            programs.disabled.insert(item.name().to_owned());
        } else {
            programs.drafts.push(draft(&mut reader, item.key, &table));
        }
        check_command(item, given, &table, diagnostics);
    }
    if programs.drafts.is_empty() && !diagnostics.has_errors() {
        let note = match programs.disabled.is_empty() {
            true => "expected a `[program.NAME]` with a `command`",
            false => "every program has `enabled = false`",
        };
        diagnostics.error(Position::File(MAIN), "there is nothing to run", note);
    }
    programs
}

/// Whether the programs are few and small enough; else that is reported.
fn is_bounded(document: &Document, diagnostics: &mut Diagnostics) -> bool {
    let count = document.programs.items().count();
    if let Some(extra) = document.programs.items().nth(MOST_PROGRAMS) {
        let message = format!("there are {count} programs");
        diagnostics.error(extra.key.span, message, format!("expected at most {MOST_PROGRAMS}"));
        return false;
    }
    let copied = document.defaults.weight().saturating_mul(count);
    if document.programs.weight().saturating_add(copied) > LARGEST_PLAN {
        let megabytes = LARGEST_PLAN >> 20;
        let message = format!("{count} programs with their `[defaults]` take more than {megabytes} MiB");
        diagnostics.error(Position::File(MAIN), message, "expected fewer programs, or fewer variables");
        return false;
    }
    true
}

/// Reads `[defaults]` as if it were a program, so that a mistake shows even where no program uses it.
fn check_defaults(defaults: &Table, environment: &Environment, diagnostics: &mut Diagnostics) {
    let key = Key { name: "defaults".to_owned(), span: Span { file: MAIN, start: 0, end: 0 } };
    let mut reader = Reader::new(diagnostics, environment, Scope::Program(&key.name));
    reader.check_keys(defaults, &PROGRAM, "in `[defaults]`");
    draft(&mut reader, &key, defaults);
}

fn check_name(item: Item<'_>, diagnostics: &mut Diagnostics) {
    let name = item.name();
    let (reason, note) = if name.len() > LONGEST_NAME {
        (format!(": it has {} bytes", name.len()), format!("expected at most {LONGEST_NAME}"))
    } else if name == "all" {
        (String::new(), "`all` means every program on the command line".to_owned())
    } else if !is_name(name) {
        (String::new(), "expected letters, digits, `-` and `_`, a letter or digit first".to_owned())
    } else {
        return;
    };
    let message = format!("{} cannot be the name of a program{reason}", quoted(name));
    diagnostics.error(item.key.span, message, note);
}

/// A program needs a command, its own or that of `[defaults]`.
fn check_command(item: Item<'_>, given: &Table, table: &Table, diagnostics: &mut Diagnostics) {
    if table.get("command").is_some() || diagnostics.has_syntax_errors() {
        return;
    }
    // A misspelt `command` has been reported as what it is.
    if given.items().any(|key| nearest(key.name(), ["command"].into_iter()).is_some()) {
        return;
    }
    let message = format!("program `{}` has no `command`", item.name());
    diagnostics.error(item.key.span, message, "expected `command = [\"…\"]` below it");
}
