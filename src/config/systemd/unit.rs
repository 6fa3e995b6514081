//! The files of one unit: sections, keys, continued lines, drop-ins, specifiers (systemd.unit(5)).
//!
//! An empty value takes back those before it. Comments within a continued line are left out, as systemd does.

use std::path::Path;

use super::super::files::Files;
use super::super::span::Span;

/// A unit with its drop-ins.
pub(super) struct Unit {
    /// `web` of `web.service`.
    pub(super) name: String,
    /// Its main file.
    pub(super) number: usize,
    pub(super) settings: Vec<Setting>,
}

/// A key and its value; specifiers are expanded.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) key: String,
    pub(super) value: String,
    pub(super) key_span: Span,
    pub(super) span: Span,
}

impl Unit {
    /// The last value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().rev().find(|setting| setting.key == key)
    }

    /// The values of a key that may be given several times.
    pub(super) fn all(&self, key: &str) -> Vec<&Setting> {
        self.settings.iter().filter(|setting| setting.key == key).collect()
    }
}

/// Reads a unit and the drop-ins beside it.
pub(super) fn read(path: &Path, files: &mut Files<'_>) -> Option<Unit> {
    let number = files.read(path)?;
    let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut unit = Unit { name, number, settings: Vec::new() };
    add(&mut unit, number, files);
    let mut folder = path.as_os_str().to_owned();
    folder.push(".d");
    let folder = Path::new(&folder);
    let drop_ins = if folder.is_dir() { files.list(folder) } else { Vec::new() };
    for drop_in in drop_ins.iter().filter(|path| path.extension().is_some_and(|kind| kind == "conf")) {
        if let Some(number) = files.read(drop_in) {
            add(&mut unit, number, files);
        }
    }
    Some(unit)
}

/// Adds the settings of a file. An empty value takes back those before it.
fn add(unit: &mut Unit, file: usize, files: &mut Files<'_>) {
    let text = files.text(file);
    let mut section = String::new();
    let mut start = 0;
    let mut open: Option<Setting> = None;
    for line in text.split_inclusive('\n') {
        let from = start;
        start += line.len();
        let content = line.trim_end();
        let indent = content.len() - content.trim_start().len();
        let content = content.trim_start();
        let span = Span { file, start: from + indent, end: from + indent + content.len() };
        if content.starts_with(['#', ';']) || (content.is_empty() && open.is_none()) {
            continue;
        }
        let (content, continues) = match content.strip_suffix('\\') {
            Some(content) => (content.trim_end(), true),
            None => (content, false),
        };
        if let Some(mut setting) = open.take() {
            setting.value.push(' ');
            setting.value.push_str(content);
            setting.span.end = span.end;
            if continues {
                open = Some(setting)
            } else {
                finish(unit, setting)
            }
            continue;
        }
        if let Some(name) = content.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let Some((key, value)) = content.split_once('=').filter(|_| !section.is_empty()) else {
            files.diagnostics.syntax_error(
                span,
                "not a line of a unit",
                "expected `Key=value` below a `[Section]`",
            );
            return;
        };
        let key_span = Span { end: span.start + key.trim_end().len(), ..span };
        let at = span.start + key.len() + 1 + (value.len() - value.trim_start().len());
        let setting = Setting {
            section: section.clone(),
            key: key.trim().to_owned(),
            value: value.trim().to_owned(),
            key_span,
            span: Span { start: at.min(span.end), ..span },
        };
        if continues { open = Some(setting) } else { finish(unit, setting) }
    }
    if let Some(setting) = open {
        finish(unit, setting);
    }
}

fn finish(unit: &mut Unit, mut setting: Setting) {
    if setting.value.is_empty() {
        unit.settings.retain(|other| other.key != setting.key || other.section != setting.section);
        // An empty set of capabilities is a value.
        if !setting.key.contains("Capabilit") {
            return;
        }
    }
    setting.value = specified(&setting.value, &unit.name);
    unit.settings.push(setting);
}

/// A value with its specifiers expanded; unknown ones stay.
fn specified(value: &str, name: &str) -> String {
    let (prefix, instance) = name.split_once('@').unwrap_or((name, ""));
    let mut text = String::new();
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            text.push(char);
            continue;
        }
        match chars.next() {
            Some('%') | None => text.push('%'),
            Some('n') => text.push_str(&format!("{name}.service")),
            Some('N') => text.push_str(name),
            Some('p' | 'P') => text.push_str(prefix),
            Some('i' | 'I') => text.push_str(instance),
            Some('t') => text.push_str("/run"),
            Some('S') => text.push_str("/var/lib"),
            Some('C') => text.push_str("/var/cache"),
            Some('L') => text.push_str("/var/log"),
            Some('E') => text.push_str("/etc"),
            Some('T') => text.push_str("/tmp"),
            Some('V') => text.push_str("/var/tmp"),
            Some('h') => text.push_str("/root"),
            Some('u') => text.push_str("root"),
            Some('U') => text.push('0'),
            Some(other) => {
                text.push('%');
                text.push(other);
            }
        }
    }
    text
}
