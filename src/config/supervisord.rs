//! A supervisord configuration, as the tables that TOML gives: every check, limit and message is then the same.
//!
//! Its defaults and meanings are supervisord's own; each value keeps its place in its file. What foster does not do is
//! an error or a warning at its line, never silence. `ini.rs` of the crate reads the text, `expand.rs` formats values,
//! `typed.rs` reads them; `program.rs` and `daemon.rs` have the keys.

mod daemon;
mod expand;
mod listeners;
mod pairs;
mod program;
mod server;
#[cfg(test)]
mod tests;
mod typed;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::Environment;
use super::diagnostics::Diagnostics;
use super::front_end::{foster_name, keep_last, texts};
use super::merged::{Author, Document};
use super::span::{MAIN, Position, Span};
use super::table::{Key, Kind, Value};
use crate::ini;
use crate::plan::{BROKER, InstanceCount};

/// One file: its number, its folder, its sections.
pub(super) struct File {
    pub(super) number: usize,
    pub(super) folder: PathBuf,
    pub(super) sections: Vec<ini::Section>,
}

/// A key and its value.
#[derive(Debug, Clone)]
struct Setting {
    key: String,
    key_span: Span,
    value: String,
    span: Span,
    /// `%(here)s`: the folder of its file.
    here: Rc<Path>,
}

/// A section: its keys of all files, each once.
#[derive(Debug, Clone)]
struct Section {
    /// `program` of `program:web`.
    kind: String,
    /// `web` of `program:web`.
    name: String,
    span: Span,
    settings: Vec<Setting>,
}

impl Section {
    fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.key == key)
    }
}

/// A value of a section that only clients read, with every `%(name)s` expanded.
///
/// # Errors
/// What cannot be expanded.
pub fn expanded(value: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let expanded = expand::expand(value, |name| lookup(name).map(expand::Expansion::Text));
    // A dollar has no meaning there.
    expanded.map(|text| text.replace("$$", "$")).map_err(|fault| format!("{}; {}", fault.message, fault.note))
}

/// Reads the sections of a file. Lines that are none are reported.
pub(super) fn sections(diagnostics: &mut Diagnostics, number: usize) -> Vec<ini::Section> {
    let (sections, faults) = ini::parse(diagnostics.text(number));
    for fault in faults {
        let span = Span { file: number, start: fault.place.start, end: fault.place.end };
        diagnostics.syntax_error(span, "not a line of a supervisord configuration", fault.message);
    }
    sections
}

/// The globs of `[include]` in the main file, with their place.
pub(super) fn includes(
    diagnostics: &mut Diagnostics,
    environment: &Environment,
    main: &File,
) -> Vec<(String, Span)> {
    let sections = merged(std::slice::from_ref(main));
    let Some(include) = sections.iter().find(|section| section.kind == "include") else { return Vec::new() };
    let Some(files) = include.get("files") else {
        diagnostics.error(include.span, "`[include]` has no `files`", "expected `files = conf.d/*.conf`");
        return Vec::new();
    };
    let mut reading = typed::Typed { diagnostics, environment, variables: &[], names: typed::Names::None };
    let text = reading.expanded(files).map(|text| reading.resolved(&text)).unwrap_or_default();
    text.split_whitespace().map(|glob| (glob.to_owned(), files.span)).collect()
}

/// The tables that say the same.
pub(super) fn document(files: &[File], environment: &Environment, diagnostics: &mut Diagnostics) -> Document {
    let sections = merged(files);
    let Some(daemon) = sections.iter().find(|section| section.kind == "supervisord") else {
        let note = "expected a section `[supervisord]`, as supervisord itself does";
        diagnostics.error(Position::File(MAIN), "this is not a supervisord configuration", note);
        return Document::default();
    };
    let settings = daemon::read(daemon, &sections, environment, diagnostics);
    let groups = program::groups(&sections, environment, diagnostics);
    let mut document =
        Document { defaults: settings.defaults(), author: Author::FrontEnd, ..Document::default() };
    let mut broker = listeners::Broker::default();
    let is_program = |section: &&Section| program::is_one(section) || listeners::is_one(section);
    // More than foster takes are refused, whatever they are.
    for section in sections.iter().filter(is_program).take(InstanceCount::MOST_OF_ALL + 1) {
        let group = groups.iter().find(|group| group.programs.contains(&section.name));
        let table = program::read(section, group, &settings, environment, diagnostics);
        let (name, span) = (foster_name(&section.name, &document.programs), section.span);
        broker.take(section, &name, &settings, environment, diagnostics);
        document.programs.push(Key { name, span }, Value { kind: Kind::Table(table), span });
    }
    broker.add(foster_name(BROKER, &document.programs), &settings, &mut document.programs);
    document.foster = settings.foster(&document.programs);
    document.outside =
        sections.iter().filter(|section| !program::is_one(section)).map(|section| section.span).collect();
    document.servers = settings.servers;
    document
}

/// The sections of all files; where a section or a key comes again, the last value of a key counts.
fn merged(files: &[File]) -> Vec<Section> {
    let mut merged: Vec<Section> = Vec::new();
    let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for file in files {
        let here: Rc<Path> = file.folder.as_path().into();
        let span =
            |place: &std::ops::Range<usize>| Span { file: file.number, start: place.start, end: place.end };
        for section in &file.sections {
            let (kind, name) = section.name.text.split_once(':').unwrap_or((&section.name.text, ""));
            let (kind, name) = (kind.trim(), name.trim());
            let at = *known.entry((kind, name)).or_insert(merged.len());
            if at == merged.len() {
                let span = span(&section.name.place);
                merged.push(Section {
                    kind: kind.to_owned(),
                    name: name.to_owned(),
                    span,
                    settings: Vec::new(),
                });
            }
            let Some(target) = merged.get_mut(at) else { continue };
            for (key, value) in &section.keys {
                target.settings.push(Setting {
                    key: key.text.clone(),
                    key_span: span(&key.place),
                    value: value.text.clone(),
                    span: span(&value.place),
                    here: Rc::clone(&here),
                });
            }
        }
    }
    merged.iter_mut().for_each(|section| keep_last(&mut section.settings, |setting| &setting.key));
    merged
}

/// The delays between restarts: one second more for each failure in a row, none after a run of `startsecs`.
fn backoff(startsecs: i64) -> Kind {
    let reset = format!("{startsecs}s");
    texts(&[("initial", "1s"), ("growth", "linear"), ("max", "1day"), ("reset", &reset)])
}
