//! The services of a compose file, of the files that it includes, and of those that its services extend.
//!
//! Each file is read once, so that files that name each other end. Relative paths are those of the file's own folder. What
//! comes from an extended service of another file has the place of `extends`.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use foster_core::sorted::SortedMap;

use super::super::files::{Files, at};
use super::super::front_end::ignored;
use super::super::merged::Document;
use super::super::phrase::quoted;
use super::super::span::{Position, Span};
use super::Context;
use crate::yaml::{Node, Value};

/// A service as it is written.
#[derive(Clone)]
pub(super) struct Written {
    /// The number of its file, and the folder of that.
    pub(super) number: usize,
    pub(super) folder: PathBuf,
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) node: Node,
}

/// The files that services extend, each read once.
#[derive(Default)]
pub(super) struct Extended {
    files: SortedMap<PathBuf, Option<Rc<Node>>>,
    /// The bytes of all services that were extended.
    size: usize,
}

/// The most programs of a configuration.
const MOST_SERVICES: usize = 10_000;
/// More levels of `extends` are a circle.
const DEEPEST: usize = 16;
/// The bytes of the services that are extended, each counted as often as it is.
const LARGEST: usize = 8 << 20;

/// Files on the way to their services.
pub(super) struct Reading<'r, 'd> {
    pub(super) files: &'r mut Files<'d>,
    pub(super) document: &'r mut Document,
    pub(super) seen: Vec<PathBuf>,
    pub(super) services: Vec<Written>,
}

impl Reading<'_, '_> {
    /// Adds the services of a file, which an `include` at `from` names.
    pub(super) fn file(&mut self, path: &Path, from: Option<Span>) {
        let identity = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if let (true, Some(span)) = (self.seen.contains(&identity), from) {
            let message =
                format!("{} is included twice, or includes itself", quoted(&path.display().to_string()));
            return self.files.diagnostics.error(span, message, "expected each file once");
        }
        self.seen.push(identity);
        let Some(number) = self.files.read(path) else { return };
        let Some(root) = self.files.yaml(number) else { return };
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let services = root.get("services").map_or(&[][..], Node::entries);
        if services.is_empty() && root.get("include").is_none() {
            let note = "expected `services:` with services below it";
            return self.files.diagnostics.error(
                Position::File(number),
                "this is not a compose file with services",
                note,
            );
        }
        for (key, node) in root.entries() {
            let span = at(number, &key.place);
            if key.text != "services" {
                self.document.outside.push(span);
            }
            match key.text.as_str() {
                "services" | "version" | "name" => {}
                "volumes" | "networks" | "configs" | "secrets" => {
                    let why = "it belongs to the container that runs foster";
                    if !node.entries().is_empty() {
                        ignored(self.files.diagnostics, span, &key.text, why);
                    }
                }
                "include" => self.include(node, number, &folder),
                extension if extension.starts_with("x-") => {}
                _ => ignored(self.files.diagnostics, span, &key.text, "Compose has no such key"),
            }
        }
        if self.services.len() + services.len() > MOST_SERVICES {
            let message = format!("there are more than {MOST_SERVICES} services");
            return self.files.diagnostics.error(Position::File(number), message, "expected fewer");
        }
        let before = self.services.len();
        for (key, node) in services {
            let span = at(number, &key.place);
            if self.services.iter().take(before).any(|known| known.name == key.text) {
                let message = format!("service {} is in another file, too", quoted(&key.text));
                self.files.diagnostics.error(
                    span,
                    message,
                    "Compose refuses this as well; use one name for each",
                );
                continue;
            }
            let (name, node, folder) = (key.text.clone(), node.clone(), folder.clone());
            self.services.push(Written { number, folder, name, span, node });
        }
    }

    fn include(&mut self, node: &Node, number: usize, folder: &Path) {
        let Value::List(items) = &node.value else {
            let span = at(number, &node.place);
            return self.files.diagnostics.error(
                span,
                "`include` cannot be this",
                "expected a list of files",
            );
        };
        for item in items {
            let path = item.get("path").unwrap_or(item);
            let span = at(number, &path.place);
            let Some(written) = path.text() else {
                // A list of them: each changes the one before.
                let note = "expected one path; merge the files with `docker compose config`";
                self.files.diagnostics.error(span, "`include` cannot be this", note);
                continue;
            };
            if written.contains("://") || written.starts_with("git@") {
                let why = "foster fetches nothing: copy the file beside this one";
                ignored(self.files.diagnostics, span, written, why);
                continue;
            }
            for key in ["env_file", "project_directory"] {
                if let Some(other) = item.get(key) {
                    let why = "variables and paths are those of the files themselves";
                    ignored(self.files.diagnostics, at(number, &other.place), key, why);
                }
            }
            self.file(&folder.join(written), Some(span));
        }
    }
}

/// A service with the keys of those that it extends.
pub(super) fn extended(
    context: &mut Context<'_, '_>,
    services: &[Written],
    written: &Written,
) -> Option<Node> {
    let siblings = |name: &str| {
        let found = services.iter().find(|other| other.name == name && other.number == written.number);
        found.map(|found| found.node.clone())
    };
    resolve(context, &written.folder, &siblings, &written.node, 0)
}

fn resolve(
    context: &mut Context<'_, '_>,
    folder: &Path,
    siblings: &dyn Fn(&str) -> Option<Node>,
    node: &Node,
    depth: usize,
) -> Option<Node> {
    let Some(extends) = node.get("extends") else { return Some(node.clone()) };
    let span = context.span(extends);
    let name = extends.text().or_else(|| extends.get("service").and_then(Node::text)).unwrap_or("");
    if depth >= DEEPEST {
        let note = "expected one that does not extend itself";
        context.files.diagnostics.error(span, "services extend each other in a circle", note);
        return None;
    }
    let other = extends.get("file").map(|file| file.text().unwrap_or(""));
    let base = match other {
        None => {
            let found = siblings(name).or_else(|| unknown(context, span, name))?;
            charge(context, span, &found)?;
            resolve(context, folder, siblings, &found, depth + 1)?
        }
        Some(file) => {
            let path = folder.join(file);
            let root = read(context, &path)?;
            let siblings = |name: &str| root.get("services").and_then(|services| services.get(name)).cloned();
            let found = siblings(name).or_else(|| unknown(context, span, name))?;
            charge(context, span, &found)?;
            let found = placed(&found, &extends.place);
            let below = path.parent().unwrap_or(Path::new(""));
            let siblings = |name: &str| siblings(name).map(|node| placed(&node, &extends.place));
            let base = resolve(context, below, &siblings, &found, depth + 1)?;
            with_folder(base, Path::new(file).parent().unwrap_or(Path::new("")))
        }
    };
    Some(super::merged(&base, node))
}

fn unknown(context: &mut Context<'_, '_>, span: Span, name: &str) -> Option<Node> {
    let message = format!("there is no service {}", quoted(name));
    context.files.diagnostics.error(
        span,
        message,
        "expected a service of this file, or of the `file` beside it",
    );
    None
}

/// Counts what a service copies.
fn charge(context: &mut Context<'_, '_>, span: Span, node: &Node) -> Option<()> {
    let before = context.extended.size;
    context.extended.size = before.saturating_add(node.place.len());
    if context.extended.size <= LARGEST {
        return Some(());
    }
    if before <= LARGEST {
        let message = format!("the services that are extended have more than {} MiB", LARGEST >> 20);
        context.files.diagnostics.error(span, message, "expected smaller ones");
    }
    None
}

fn read(context: &mut Context<'_, '_>, path: &Path) -> Option<Rc<Node>> {
    if let Some(known) = context.extended.files.get(path) {
        return known.clone();
    }
    let number = context.files.read(path);
    let root = number.and_then(|number| context.files.yaml(number)).map(Rc::new);
    context.extended.files.insert(path.to_path_buf(), root.clone());
    root
}

/// A value of another file, at the place that names it.
fn placed(node: &Node, place: &std::ops::Range<usize>) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(|item| placed(item, place)).collect()),
        Value::Map(entries) => {
            let entry = |(key, node): &(crate::yaml::Key, Node)| {
                let mut key = key.clone();
                key.place = place.clone();
                (key, placed(node, place))
            };
            Value::Map(entries.iter().map(entry).collect())
        }
        Value::Plain(_) | Value::Quoted(_) => node.value.clone(),
    };
    Node { value, place: place.clone() }
}

/// A service with its `env_file` below this folder.
fn with_folder(mut service: Node, folder: &Path) -> Node {
    fn rebase(node: &mut Node, folder: &Path) {
        match &mut node.value {
            Value::Plain(text) | Value::Quoted(text) => {
                let path = folder.join(text.strip_prefix("./").unwrap_or(text));
                *text = path.to_string_lossy().into_owned();
            }
            Value::List(items) => items.iter_mut().for_each(|item| rebase(item, folder)),
            Value::Map(entries) => {
                entries
                    .iter_mut()
                    .filter(|(key, _)| key.text == "path")
                    .for_each(|(_, node)| rebase(node, folder));
            }
        }
    }
    if let Value::Map(entries) = &mut service.value {
        entries
            .iter_mut()
            .filter(|(key, _)| key.text == "env_file")
            .for_each(|(_, node)| rebase(node, folder));
    }
    service
}
