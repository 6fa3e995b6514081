//! Service directories of s6-overlay as programs and tasks: those of v3, and of v2 (`legacy.rs`).
//!
//! A longrun is a program, a oneshot a task; a bundle stands for its contents. What the bundle `user` does not reach is not
//! started. A logger at the end of a pipeline is the file of its producer's output. `script.rs` reads `run` and `up`. The
//! contract: s6-rc-compile(8), s6-supervise(8), and s6-overlay's README.

mod finish;
mod legacy;
mod script;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::document::unreadable;
use super::files::Files;
use super::front_end::{DEFAULT, foster_name, ignored, list, set, text};
use super::merged::Document;
use super::phrase::quoted;
use super::shell::with_dollars;
use super::span::{Position, Span};
use super::stop_time::set_shutdown_timeout;
use super::table::{Key, Kind, Table, Value};
use script::Script;

/// Where an image has the service directories.
const PLACE: &str = "/etc/s6-overlay/s6-rc.d";
/// Where a tree may have them.
const BELOW: [&str; 3] = ["etc/s6-overlay/s6-rc.d", "s6-overlay/s6-rc.d", "s6-rc.d"];
/// Services of s6-overlay itself. Tasks are started before programs.
const BUILT_IN: [&str; 3] = ["base", "fix-attrs", "legacy-cont-init"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Longrun,
    Oneshot,
    Bundle,
}

struct Service {
    name: String,
    own_name: String,
    folder: PathBuf,
    /// Its path in the image.
    place: String,
    sort: Sort,
    span: Span,
    /// What it needs, or what is in it.
    names: Vec<String>,
}

/// The tables that say the same as a tree, or its `s6-rc.d`.
pub(super) fn document(path: &Path, files: &mut Files<'_>) -> Document {
    let mut document = Document::default();
    let below = BELOW.iter().map(|below| path.join(below)).find(|folder| folder.is_dir());
    let legacy = legacy::Folders::find(path);
    let mut services = Vec::new();
    let mut taken = Table::default();
    legacy.scripts(files, &mut document, &mut taken);
    if let Some(folder) = &legacy.services {
        list_services(folder, legacy::PLACE, files, &mut taken, &mut services);
        legacy::bundle(&mut services);
    }
    match below {
        Some(folder) => list_services(&folder, PLACE, files, &mut taken, &mut services),
        None if legacy.is_empty() => list_services(path, PLACE, files, &mut taken, &mut services),
        None => {}
    }
    let has_any = !services.is_empty() || document.units().next().is_some();
    if !has_any && !files.diagnostics.has_errors() {
        let note = "expected folders with a file `type` in it or in its `etc/s6-overlay/s6-rc.d`, or `etc/services.d`";
        files.diagnostics.error(Position::Nowhere, "this folder has no service directories", note);
    }
    let top: Vec<&Service> =
        services.iter().filter(|one| ["user", "user2"].contains(&one.name.as_str())).collect();
    let mut started = BTreeSet::new();
    top.iter().for_each(|bundle| reach(&services, &bundle.name, &mut started));
    for service in services.iter().filter(|service| service.sort != Sort::Bundle) {
        let Some((mut table, span)) = read(service, &services, files) else { continue };
        let is_legacy = service.place.starts_with(legacy::PLACE);
        let is_down = is_legacy && service.folder.join("down").exists();
        if is_down || (!top.is_empty() && !is_legacy && !started.contains(&service.name)) {
            set(&mut table, "autostart", Kind::Boolean(false), service.span);
        }
        // What is read of a service follows its script.
        let target = if service.sort == Sort::Oneshot { &mut document.tasks } else { &mut document.programs };
        let value = Value { kind: Kind::Table(table), span };
        target.push(Key { name: service.own_name.clone(), span }, value);
    }
    if document.units().next().is_some() {
        set(&mut document.defaults, "on_failure", text("ignore"), DEFAULT);
        set(&mut document.defaults, "start_limit", text("unlimited"), DEFAULT);
        let mut backoff = Table::default();
        set(&mut backoff, "initial", text("1s"), DEFAULT);
        set(&mut backoff, "factor", Kind::Integer(1), DEFAULT);
        set(&mut document.defaults, "backoff", Kind::Table(backoff), DEFAULT);
    }
    set_shutdown_timeout(&mut document);
    document
}

/// Adds the service directories of a folder, which an image has at `place`.
fn list_services(
    root: &Path,
    place: &str,
    files: &mut Files<'_>,
    taken: &mut Table,
    services: &mut Vec<Service>,
) {
    for folder in files.list(root) {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        match std::fs::metadata(&folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => continue,
            Err(error) => {
                unreadable(files.diagnostics, &folder, None, &crate::errno::words(&error));
                continue;
            }
        }
        // Without a type it is one of v2.
        let is_typed = folder.join("type").symlink_metadata().is_ok() || !folder.join("run").exists();
        let place = if is_typed { place } else { legacy::PLACE };
        let Some(number) = files.read(&folder.join(if is_typed { "type" } else { "run" })) else { continue };
        let written = if is_typed { files.text(number) } else { "longrun".to_owned() };
        let span = Span { file: number, start: 0, end: files.text(number).trim_end().len() };
        let sort = match written.trim() {
            "longrun" => Sort::Longrun,
            "oneshot" => Sort::Oneshot,
            "bundle" => Sort::Bundle,
            other => {
                let message = format!("{} is not a type of service", quoted(other));
                files.diagnostics.error(span, message, "expected `longrun`, `oneshot` or `bundle`");
                continue;
            }
        };
        let listed = folder.join(if sort == Sort::Bundle { "contents.d" } else { "dependencies.d" });
        let names = if listed.is_dir() { files.list(&listed) } else { Vec::new() };
        let names =
            names.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned());
        let names = names.collect();
        if let Some(number) = files.read_if_present(&folder.join("pipeline-name")) {
            // A bundle that s6-rc-compile makes of the logger and what it reads.
            let (pipeline, own_name) = (files.text(number).trim().to_owned(), String::new());
            let producers = files.read_if_present(&folder.join("consumer-for"));
            let producers = producers.map(|number| files.text(number)).unwrap_or_default();
            let names = producers.lines().map(str::trim).chain([name.as_str()]).map(str::to_owned).collect();
            let (folder, sort) = (folder.clone(), Sort::Bundle);
            services.push(Service {
                name: pipeline,
                own_name,
                folder,
                place: String::new(),
                sort,
                span,
                names,
            });
        }
        let own_name = foster_name(&name, taken);
        set(taken, &own_name, Kind::Boolean(true), DEFAULT);
        let place = format!("{place}/{name}");
        services.push(Service { name, own_name, folder, place, sort, span, names });
    }
}

/// Adds a service and all that it needs or contains; bundles in a circle end there.
fn reach(services: &[Service], name: &str, reached: &mut BTreeSet<String>) {
    if !reached.insert(name.to_owned()) {
        return;
    }
    let found = services.iter().find(|service| service.name == name);
    found.into_iter().flat_map(|service| &service.names).for_each(|name| reach(services, name, reached));
}

/// The services that a name stands for.
fn resolved<'s>(services: &'s [Service], name: &str, seen: &mut BTreeSet<String>) -> Vec<&'s Service> {
    if !seen.insert(name.to_owned()) {
        return Vec::new();
    }
    match services.iter().find(|service| service.name == name) {
        Some(bundle) if bundle.sort == Sort::Bundle => {
            bundle.names.iter().flat_map(|name| resolved(services, name, seen)).collect()
        }
        found => found.into_iter().collect(),
    }
}

/// The trimmed text of a small file of a service, and its place.
fn content(service: &Service, name: &str, files: &mut Files<'_>) -> Option<(String, Span)> {
    let number = files.read_if_present(&service.folder.join(name))?;
    let written = files.text(number);
    let span = Span { file: number, start: 0, end: written.trim_end().len() };
    Some((written.trim().to_owned(), span))
}

/// The table of one service; `None`: it is a logger.
fn read(service: &Service, services: &[Service], files: &mut Files<'_>) -> Option<(Table, Span)> {
    let is_program = service.sort == Sort::Longrun;
    let mut table = Table::default();
    let producers = content(service, "consumer-for", files);
    let name = if is_program { "run" } else { "up" };
    let Some((written, span)) = content(service, name, files) else {
        let message = format!("service `{}` has no `{name}`", service.name);
        files.diagnostics.error(service.span, message, format!("expected a file `{name}` beside `type`"));
        return None;
    };
    if producers.is_some() && script::log_folder(&written).is_some() {
        return None;
    }
    if service.own_name != service.name {
        files.diagnostics.warn(span, format!("its name there is `{}`", service.name));
    }
    let own = span;
    let script = script::read(&written, &format!("{}/{name}", service.place), !is_program);
    command(&mut table, script, span, files);
    for (file, key) in
        [("timeout-kill", "stop_timeout"), ("timeout-up", "timeout"), ("down-signal", "stop_signal")]
    {
        let Some((value, span)) = content(service, file, files) else { continue };
        let is_time = file != "down-signal";
        if is_time && value == "0" || (file == "timeout-up" && is_program) {
            continue;
        }
        let value = if is_time {
            milliseconds(&value)
        } else {
            value.strip_prefix("SIG").unwrap_or(&value).to_owned()
        };
        set(&mut table, key, text(&value), span);
    }
    if let Some((number, span)) = content(service, "notification-fd", files) {
        let mut ready = Table::default();
        set(&mut ready, "fd", number.parse().map_or_else(|_| text(&number), Kind::Integer), span);
        if let Some((limit, span)) = content(service, "timeout-up", files).filter(|(limit, _)| limit != "0") {
            set(&mut ready, "timeout", text(&milliseconds(&limit)), span);
        }
        set(&mut table, "ready", Kind::Table(ready), span);
    }
    if let Some((written, span)) = content(service, "finish", files) {
        finish::read(&written, span, &mut table, files.diagnostics);
    }
    if let Some((written, span)) = content(service, "log/run", files) {
        match script::log_folder(&written) {
            Some(folder) => log_to(&mut table, &folder, span),
            None => ignored(files.diagnostics, span, "log", "foster connects no output to another program"),
        }
    }
    if let Some((_, span)) = content(service, "down", files).filter(|_| !is_program) {
        ignored(files.diagnostics, span, "down", "a task has nothing to undo");
    }
    if let Some((consumer, span)) = content(service, "producer-for", files) {
        let logger = services.iter().find(|other| other.name == consumer);
        let run = logger.and_then(|logger| content(logger, "run", files));
        match run.and_then(|(run, _)| script::log_folder(&run)) {
            Some(folder) => log_to(&mut table, &folder, span),
            None => {
                ignored(files.diagnostics, span, &consumer, "foster connects no output to another program")
            }
        }
    }
    dependencies(&mut table, service, services, files);
    Some((table, own))
}

/// Output goes to the file that a logger writes.
fn log_to(table: &mut Table, folder: &str, span: Span) {
    let mut sink = Table::default();
    set(&mut sink, "file", text(&format!("{folder}/current")), span);
    set(table, "stdout", Kind::Table(sink), span);
}

/// A time of s6's in foster's form.
fn milliseconds(written: &str) -> String {
    match written.strip_suffix("000").filter(|seconds| !seconds.is_empty()) {
        Some(seconds) => format!("{seconds}s"),
        None => format!("{written}ms"),
    }
}

fn command(table: &mut Table, script: Script, span: Span, files: &mut Files<'_>) {
    let words: Vec<String> = script.words.iter().map(|word| with_dollars(word)).collect();
    set(table, "command", list(&words, span), span);
    for (key, value) in [("user", script.user), ("directory", script.directory)] {
        if let Some(value) = value {
            set(table, key, text(&value), span);
        }
    }
    if !script.environment.is_empty() {
        let mut environment = Table::default();
        for (name, value) in &script.environment {
            set(&mut environment, name, text(&with_dollars(value)), span);
        }
        set(table, "environment", Kind::Table(environment), span);
    }
    if let Some(remark) = script.remark {
        files.diagnostics.warn(span, remark);
    }
}

fn dependencies(table: &mut Table, service: &Service, services: &[Service], files: &mut Files<'_>) {
    let mut after: Vec<&str> = Vec::new();
    for name in service.names.iter().filter(|name| !BUILT_IN.contains(&name.as_str())) {
        if name == legacy::SERVICES && !services.iter().any(|service| service.name == *name) {
            continue;
        }
        let found = resolved(services, name, &mut BTreeSet::new());
        if found.is_empty() {
            let message = format!("there is no service {}", quoted(name));
            files.diagnostics.error(
                service.span,
                message,
                format!("it is in `dependencies.d` of `{}`", service.name),
            );
        }
        after.extend(found.iter().map(|service| service.own_name.as_str()));
    }
    let is_late = !after.is_empty() || service.names.iter().any(|name| name.starts_with("legacy-"));
    if is_late && service.sort == Sort::Oneshot {
        set(table, "priority", Kind::Integer(999), service.span);
    }
    if !after.is_empty() {
        set(table, "after", list(&after, service.span), service.span);
    }
}
