//! Merges a file and the files that it includes into one document.
//!
//! A file can add keys but not redefine one: a duplicate key is an error that names both positions. Only `include` is
//! interpreted here. Only regular files of a bounded size are read: a pipe would block PID 1.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Environment;
use super::diagnostics::Diagnostics;
use super::file_glob;
use super::front_end::Format;
use super::keys::FILE;
use super::merged::Document;
use super::phrase::quoted;
use super::pm2;
use super::reader::{Reader, Scope};
use super::span::{MAIN, Position, Span};
use super::supervisord;
use super::table::{self, Item, Key, Table, Value, parse};
use crate::bounded_read::{self, Accept};
use crate::{errno, glob};

/// The limit for one file, in bytes.
const LARGEST_FILE: usize = 4 << 20;
/// The limit for all files together, in bytes.
const LARGEST_DOCUMENT: u64 = 8 << 20;
/// The limit for nested includes, which bounds the recursion.
const DEEPEST_INCLUDE: usize = 32;

/// Reads a file and the files that it includes.
pub(super) fn read(path: &Path, environment: &Environment, diagnostics: &mut Diagnostics) -> Document {
    read_as(Format::of(path), path, environment, diagnostics)
}

/// As [`read`], whatever the name of the file.
pub(super) fn read_as(
    format: Format,
    path: &Path,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Document {
    let mut reading = Reading {
        environment,
        diagnostics,
        open: Vec::new(),
        seen: BTreeSet::new(),
        size: 0,
        document: Document::default(),
    };
    match format {
        Format::Supervisord => reading.supervisord(path),
        Format::Pm2 => reading.pm2(path),
        Format::Toml if pm2::is_script(environment) => reading.pm2(path),
        Format::Toml | Format::Compose | Format::Procfile | Format::S6 | Format::Systemd => {
            reading.file(path, None);
            reading.document
        }
    }
}

/// The identity of a file: device and inode.
type FileId = (u64, u64);

struct Reading<'a> {
    environment: &'a Environment,
    diagnostics: &'a mut Diagnostics,
    /// The files being read, each included by the previous one.
    open: Vec<(FileId, PathBuf)>,
    /// All files read so far.
    seen: BTreeSet<FileId>,
    /// The bytes read so far.
    size: u64,
    document: Document,
}

impl Reading<'_> {
    /// Reads a supervisord configuration, and the files that it includes.
    fn supervisord(mut self, path: &Path) -> Document {
        let mut files: Vec<supervisord::File> = self.sections(path, None).into_iter().collect();
        let wanted =
            files.first().map(|main| supervisord::includes(self.diagnostics, self.environment, main));
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        self.matching(wanted.unwrap_or_default(), &folder, |reading, path, span| {
            files.extend(reading.sections(path, Some(span)));
        });
        if files.is_empty() || self.diagnostics.has_syntax_errors() {
            return self.document;
        }
        supervisord::document(&files, self.environment, self.diagnostics)
    }

    /// Reads an ecosystem file of PM2's.
    fn pm2(mut self, path: &Path) -> Document {
        let source = match pm2::is_script(self.environment) {
            true => None,
            false => match self.open(path, None) {
                Some((source, _)) => Some(source),
                None => return self.document,
            },
        };
        pm2::document(path, source, self.environment, self.diagnostics)
    }

    /// Reads one file of a supervisord configuration.
    fn sections(&mut self, path: &Path, from: Option<Span>) -> Option<supervisord::File> {
        let (number, _) = self.open(path, from)?;
        let sections = supervisord::sections(self.diagnostics, number);
        let folder = std::path::absolute(path).ok();
        let folder = folder.as_deref().and_then(Path::parent).unwrap_or(Path::new("/")).to_path_buf();
        Some(supervisord::File { number, folder, sections })
    }

    /// Reads one file, named by the `include` at `from`.
    fn file(&mut self, path: &Path, from: Option<Span>) {
        let format = Format::of(path);
        if let (true, Some(span)) = (format != Format::Toml, from) {
            let path = quoted(&path.display().to_string());
            let message = format!("cannot include {path}: it is {}'s format", format.owner());
            self.diagnostics.error(span, message, "run it by itself, with `foster run -c`");
            return;
        }
        let Some((source, file)) = self.open(path, from) else { return };
        let table = parse(self.diagnostics, source);
        self.open.extend(file.map(|file| (file, path.to_path_buf())));
        self.add(table, path);
        self.open.pop();
    }

    /// Adds the text of a file; `None`: it was read before, or cannot be read. Returns its number, too.
    fn open(&mut self, path: &Path, from: Option<Span>) -> Option<(usize, Option<FileId>)> {
        let file = fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
        let is_open = |open: &&(FileId, PathBuf)| Some(open.0) == file;
        if let (Some((id, _)), Some(span)) = (self.open.iter().find(is_open), from) {
            let message = format!("the files include each other in a cycle: {}", cycle(&self.open, *id));
            self.diagnostics.error(span, message, "this file includes itself");
            return None;
        }
        if let (true, Some(span)) = (self.open.len() >= DEEPEST_INCLUDE, from) {
            self.diagnostics.error(span, "includes are nested too deeply", "");
            return None;
        }
        if file.is_some_and(|file| !self.seen.insert(file)) {
            return None;
        }
        let bytes = match contents(path) {
            Ok(bytes) => bytes,
            Err(reason) => {
                unreadable(self.diagnostics, path, from, &reason);
                return None;
            }
        };
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > LARGEST_DOCUMENT {
            let message = format!("the files together are larger than {} MiB", LARGEST_DOCUMENT >> 20);
            self.diagnostics.error(from.map_or(Position::File(MAIN), Position::At), message, "");
            return None;
        }
        Some((add_text(self.diagnostics, path, bytes)?, file))
    }

    /// Merges a file, then the files that it includes.
    fn add(&mut self, table: Table, path: &Path) {
        Reader::new(self.diagnostics, self.environment, Scope::File).check_keys(
            &table,
            &FILE,
            "at the top level",
        );
        let mut includes = None;
        for (key, value) in table.into_entries() {
            if key.name == "include" {
                includes = Some((key, value));
                continue;
            }
            let target = match key.name.as_str() {
                "foster" => &mut self.document.foster,
                "signals" => &mut self.document.signals,
                "web" => {
                    let (table, start) = &mut self.document.web;
                    start.get_or_insert(key.span);
                    table
                }
                "defaults" => &mut self.document.defaults,
                "program" => &mut self.document.programs,
                "task" => &mut self.document.tasks,
                "job" => &mut self.document.jobs,
                _ => continue,
            };
            merge(self.diagnostics, target, &key, value);
        }
        if let Some((key, value)) = includes {
            self.include(Item { key: &key, value: &value }, path.parent().unwrap_or(Path::new("")));
        }
    }

    fn include(&mut self, item: Item<'_>, folder: &Path) {
        let mut reader = Reader::new(self.diagnostics, self.environment, Scope::File);
        let mut wanted = Vec::new();
        for item in reader.one_or_more(item) {
            let text = reader.text_or(item, "a path or a list of paths");
            wanted.extend(text.map(|text| (text, item.value.span)));
        }
        self.matching(wanted, folder, |reading, path, span| reading.file(path, Some(span)));
    }

    /// Gives every file that a path or a glob names to `read`.
    fn matching(
        &mut self,
        wanted: Vec<(String, Span)>,
        folder: &Path,
        mut read: impl FnMut(&mut Self, &Path, Span),
    ) {
        for (text, span) in wanted {
            // Removes the `.` of `./more.toml`, which makes reports longer.
            let path: PathBuf = folder.join(&text).components().collect();
            if !glob::is_pattern(&text) {
                read(self, &path, span);
                continue;
            }
            match file_glob::matching(&path) {
                Ok(files) if files.is_empty() => {
                    self.diagnostics.warn(span, format!("no file matches {}", quoted(&text)));
                }
                Ok(files) => files.iter().for_each(|file| read(self, file, span)),
                Err((folder, error)) => {
                    let folder = folder.display().to_string();
                    self.diagnostics.error(
                        span,
                        format!("cannot list {}: {}", quoted(&folder), errno::words(&error)),
                        "",
                    );
                }
            }
        }
    }
}

/// Adds the entries of a table to those of the other files.
fn merge(diagnostics: &mut Diagnostics, target: &mut Table, key: &Key, value: Value) {
    let table::Kind::Table(table) = value.kind else {
        let message = format!("`{}` must be a table", key.name);
        diagnostics.error(value.span, message, format!("expected `[{}]` with keys below it", key.name));
        return;
    };
    // A set, because a linear search for each key would be quadratic.
    let mut known: BTreeSet<String> = BTreeSet::new();
    known.extend(target.items().map(|item| item.name().to_owned()));
    for (inner, value) in table.into_entries() {
        if !known.contains(&inner.name) {
            target.push(inner, value);
            continue;
        }
        let first = target.get(&inner.name).map(|item| diagnostics.locate(item.key.span));
        let what = match key.name.as_str() {
            kind @ ("program" | "task" | "job") => format!("{kind} `{}` is defined twice", inner.name),
            table => format!("`{}` in `[{table}]` is set twice", inner.name),
        };
        diagnostics.error(inner.span, what, format!("first set at {}", first.unwrap_or_default()));
    }
}

/// Reports a file that cannot be read, at what names it.
pub(super) fn unreadable(diagnostics: &mut Diagnostics, path: &Path, from: Option<Span>, reason: &str) {
    match from {
        Some(span) => {
            let message = format!("cannot read {}: {reason}", quoted(&path.display().to_string()));
            diagnostics.error(span, message, "");
        }
        None => {
            let file = diagnostics.add_source(path, String::new());
            diagnostics.error(Position::File(file), format!("cannot read the file: {reason}"), "");
        }
    }
}

/// Adds the text of a file to the diagnostics, if it is a text.
pub(super) fn add_text(diagnostics: &mut Diagnostics, path: &Path, bytes: Vec<u8>) -> Option<usize> {
    let (text, fault) = match String::from_utf8(bytes) {
        Ok(text) => {
            let control = text.char_indices().find(|(_, char)| is_binary(*char));
            (text, control.map(|(at, _)| (at, 1, "not a text file: it contains control characters")))
        }
        Err(error) => {
            // Both texts are equal up to the first invalid byte, so the span is valid in both.
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some((at, char::REPLACEMENT_CHARACTER.len_utf8(), "not UTF-8")))
        }
    };
    let file = diagnostics.add_source(path, text);
    let Some((start, length, message)) = fault else { return Some(file) };
    diagnostics.syntax_error(Span { file, start, end: start + length }, message, "");
    None
}

/// The bytes of a regular file. Reading never waits: a running foster reads its configuration again for an update.
pub(super) fn contents(path: &Path) -> Result<Vec<u8>, String> {
    bounded_read::read(path, LARGEST_FILE, Accept::Regular).map_err(|unread| unread.to_string())
}

/// A control character that TOML does not allow anywhere; it is reported once, because the file is probably binary.
fn is_binary(char: char) -> bool {
    char.is_ascii_control() && !matches!(char, '\t' | '\n' | '\r')
}

fn cycle(open: &[(FileId, PathBuf)], again: FileId) -> String {
    let start = open.iter().position(|(file, _)| *file == again).unwrap_or(0);
    let files = open.get(start..).unwrap_or_default();
    let names = files.iter().chain(files.first()).map(|(_, path)| path.file_name().unwrap_or_default());
    names.map(|name| format!("`{}`", name.to_string_lossy())).collect::<Vec<_>>().join(" -> ")
}
