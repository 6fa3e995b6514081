//! The services of a compose file as programs of one container.
//!
//! Each service keeps its command, order, user, limits, restarts and health check. What belongs to a container (ports,
//! volumes, networks) is a warning at its line. `service.rs` has the keys, `interpolate.rs` expands `${NAME:-x}`,
//! `resources.rs` limits, `health.rs` health checks. The contract: the Compose specification, and Docker's defaults.

mod health;
mod interpolate;
mod resources;
mod service;

use std::path::Path;

use super::files::{Files, at};
use super::front_end::{DEFAULT, foster_name, ignored, set, text};
use super::merged::Document;
use super::phrase::quoted;
use super::span::{Position, Span};
use super::stop_time::set_shutdown_timeout;
use super::table::{Key, Kind, Table, Value};
use crate::yaml::Node;

/// What the services of a file share.
struct Context<'c, 'd> {
    files: &'c mut Files<'d>,
    number: usize,
    folder: &'c Path,
    /// The variables of `.env` beside the file.
    variables: Vec<(String, String)>,
    /// Each service's name, foster's name for it, and what others wait for.
    services: Vec<Service>,
}

struct Service {
    name: String,
    own_name: String,
    /// Another service waits until this one is healthy.
    is_probed: bool,
    /// Another service waits until this one has succeeded.
    is_task: bool,
}

impl Context<'_, '_> {
    fn span(&self, node: &Node) -> Span {
        at(self.number, &node.place)
    }

    fn find(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Reports a value that is not valid.
    fn refuse(&mut self, node: &Node, key: &str, expected: &str) {
        let message = format!("`{key}` cannot be this");
        self.files.diagnostics.error(at(self.number, &node.place), message, format!("expected {expected}"));
    }
}

/// A text of the file in foster's syntax.
fn expanded(context: &mut Context<'_, '_>, written: &str, span: Span) -> String {
    match interpolate::interpolated(written, &context.variables) {
        Ok(text) => text,
        Err(fault) => {
            let diagnostics = &mut *context.files.diagnostics;
            let span = diagnostics.narrow(span, &fault.part);
            diagnostics.error(span, format!("cannot expand {}", quoted(&fault.part)), fault.note);
            String::new()
        }
    }
}

/// The tables that say the same as a compose file.
pub(super) fn document(path: &Path, files: &mut Files<'_>) -> Document {
    let mut document = Document::default();
    let Some(number) = files.read(path) else { return document };
    let Some(root) = files.yaml(number) else { return document };
    let Some(services) = root.get("services").filter(|services| !services.entries().is_empty()) else {
        let note = "expected `services:` with services below it";
        files.diagnostics.error(Position::File(number), "this is not a compose file with services", note);
        return document;
    };
    for (key, node) in root.entries() {
        let span = at(number, &key.place);
        if key.text != "services" {
            document.outside.push(span);
        }
        match key.text.as_str() {
            "services" | "version" | "name" => {}
            "volumes" | "networks" | "configs" | "secrets" => {
                let count = node.entries().len();
                let why = "it belongs to the container that runs foster";
                if count > 0 {
                    ignored(files.diagnostics, span, &key.text, why);
                }
            }
            "include" => ignored(files.diagnostics, span, "include", "migrate each file by itself"),
            extension if extension.starts_with("x-") => {}
            _ => ignored(files.diagnostics, span, &key.text, "Compose has no such key"),
        }
    }
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let variables = interpolate::variables(files, &folder.join(".env"));
    let mut context = Context { files, number, folder: &folder, variables, services: Vec::new() };
    let mut names = Table::default();
    for (key, _) in services.entries() {
        let own_name = foster_name(&key.text, &names);
        set(&mut names, &own_name, Kind::Boolean(true), DEFAULT);
        let service = Service { name: key.text.clone(), own_name, is_probed: false, is_task: false };
        context.services.push(service);
    }
    for (_, node) in services.entries() {
        service::note_conditions(&mut context, node);
    }
    for (key, node) in services.entries() {
        let span = at(number, &key.place);
        if node.entries().is_empty() {
            context.refuse(node, &key.text, "keys of a service below it");
            continue;
        }
        let Some(node) = extended(&mut context, services, node, 0) else { continue };
        let Some(service) = context.find(&key.text) else { continue };
        let (name, is_task) = (service.own_name.clone(), service.is_task);
        let table = service::read(&mut context, &key.text, span, &node);
        if name != key.text {
            context.files.diagnostics.warn(span, format!("its name there is {}", quoted(&key.text)));
        }
        let target = if is_task { &mut document.tasks } else { &mut document.programs };
        target.push(Key { name, span }, Value { kind: Kind::Table(table), span });
    }
    if document.programs.items().next().is_some() {
        set(&mut document.defaults, "start_limit", text("unlimited"), DEFAULT);
        set(&mut document.defaults, "on_failure", text("ignore"), DEFAULT);
    }
    set_shutdown_timeout(&mut document);
    document
}

/// More levels of `extends` are a circle.
const DEEPEST: usize = 16;

/// A service with the keys of those that it extends.
fn extended(context: &mut Context<'_, '_>, services: &Node, node: &Node, depth: usize) -> Option<Node> {
    let Some(extends) = node.get("extends") else { return Some(node.clone()) };
    if extends.get("file").is_some() {
        let span = context.span(extends);
        ignored(
            context.files.diagnostics,
            span,
            "extends",
            "it names another file: copy the service into this one",
        );
        return Some(node.clone());
    }
    let base = extends.text().or_else(|| extends.get("service").and_then(Node::text)).unwrap_or("");
    let span = context.span(extends);
    let Some(found) = services.get(base) else {
        let message = format!("there is no service {}", quoted(base));
        context.files.diagnostics.error(span, message, "expected a service of this file");
        return None;
    };
    if depth >= DEEPEST {
        let note = "expected one that does not extend itself";
        context.files.diagnostics.error(span, "services extend each other in a circle", note);
        return None;
    }
    let base = extended(context, services, found, depth + 1)?;
    Some(merged(&base, node))
}

/// The keys of both: maps key by key, lists one after the other, other values of the second.
fn merged(base: &Node, own: &Node) -> Node {
    use crate::yaml::Value as Yaml;
    let value = match (&base.value, &own.value) {
        (Yaml::Map(below), Yaml::Map(above)) => {
            let mut entries = Vec::new();
            for (key, node) in below {
                let over = above.iter().find(|(known, _)| known.text == key.text);
                // These stand as a whole.
                let is_whole = matches!(key.text.as_str(), "command" | "entrypoint" | "healthcheck");
                entries.push(match over {
                    Some((known, over)) if is_whole => (known.clone(), over.clone()),
                    Some((known, over)) => (known.clone(), merged(node, over)),
                    None => (key.clone(), node.clone()),
                });
            }
            let is_new =
                |(key, _): &&(crate::yaml::Key, Node)| !below.iter().any(|(known, _)| known.text == key.text);
            entries.extend(above.iter().filter(is_new).cloned());
            Yaml::Map(entries)
        }
        (Yaml::List(below), Yaml::List(above)) => Yaml::List(below.iter().chain(above).cloned().collect()),
        (_, _) => own.value.clone(),
    };
    Node { value, place: own.place.clone() }
}
