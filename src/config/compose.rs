//! The services of a compose file as programs of one container.
//!
//! Each service keeps its command, order, user, limits, restarts and health check. What belongs to a container (ports,
//! volumes, networks) is a warning at its line. `project.rs` finds the services of several files, `service.rs` has the keys, `interpolate.rs` expands `${NAME:-x}`,
//! `resources.rs` limits, `health.rs` health checks. The contract: the Compose specification, and Docker's defaults.

mod health;
mod interpolate;
mod project;
mod resources;
mod service;

use std::path::{Path, PathBuf};

use super::files::{Files, at};
use super::front_end::{DEFAULT, foster_name, set, text};
use super::merged::Document;
use super::phrase::quoted;
use super::span::Span;
use super::stop_time::set_shutdown_timeout;
use super::table::{Key, Kind, Table, Value};
use crate::yaml::Node;
use project::Written;

/// What the services of a file share.
struct Context<'c, 'd> {
    files: &'c mut Files<'d>,
    /// The file of the service that is read, and its folder.
    number: usize,
    folder: PathBuf,
    /// The variables of `.env` beside the file.
    variables: Vec<(String, String)>,
    /// Each service's name, foster's name for it, and what others wait for; by name.
    services: Vec<Service>,
    extended: project::Extended,
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
        self.services.get(self.position(name)?)
    }

    fn find_mut(&mut self, name: &str) -> Option<&mut Service> {
        let position = self.position(name)?;
        self.services.get_mut(position)
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.services.binary_search_by(|service| service.name.as_str().cmp(name)).ok()
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
    let (seen, services) = (Vec::new(), Vec::new());
    let mut reading = project::Reading { files, document: &mut document, seen, services };
    reading.file(path, None);
    let services = reading.services;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    let variables = interpolate::variables(files, &folder.join(".env"));
    let extended = project::Extended::default();
    let mut context = Context { files, number: 0, folder, variables, services: Vec::new(), extended };
    let mut names = Table::default();
    for written in &services {
        let own_name = foster_name(&written.name, &names);
        set(&mut names, &own_name, Kind::Boolean(true), DEFAULT);
        let name = written.name.clone();
        context.services.push(Service { name, own_name, is_probed: false, is_task: false });
    }
    foster_core::sorted::sort_by_key(&mut context.services, |service| service.name.clone());
    // With what they extend.
    let mut complete = Vec::new();
    for written in &services {
        (context.number, context.folder) = (written.number, written.folder.clone());
        if written.node.entries().is_empty() {
            context.refuse(&written.node, &written.name, "keys of a service below it");
            continue;
        }
        let Some(node) = project::extended(&mut context, &services, written) else { continue };
        service::note_conditions(&mut context, &node);
        complete.push((written, node));
    }
    for (Written { number, folder, name, span, .. }, node) in complete {
        (context.number, context.folder) = (*number, folder.clone());
        let Some(service) = context.find(name) else { continue };
        let (own_name, is_task) = (service.own_name.clone(), service.is_task);
        let table = service::read(&mut context, name, *span, &node);
        if own_name != *name {
            context.files.diagnostics.warn(*span, format!("its name there is {}", quoted(name)));
        }
        let target = if is_task { &mut document.tasks } else { &mut document.programs };
        target.push(Key { name: own_name, span: *span }, Value { kind: Kind::Table(table), span: *span });
    }
    if document.programs.items().next().is_some() {
        set(&mut document.defaults, "start_limit", text("unlimited"), DEFAULT);
        set(&mut document.defaults, "on_failure", text("ignore"), DEFAULT);
    }
    set_shutdown_timeout(&mut document);
    document
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
