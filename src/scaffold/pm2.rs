//! A PM2 ecosystem file in JSON.
//!
//! One in JavaScript is a program: it is not executed here, and a comment says how to make JSON of it. Keys without an
//! equal become comments.

use std::path::Path;

use serde_json::Value;

use super::entry::{Entry, array, string, table};
use super::image::Image;

const JSON: [&str; 3] = ["ecosystem.config.json", "ecosystem.json", "processes.json"];
const JAVASCRIPT: [&str; 3] = ["ecosystem.config.js", "ecosystem.config.cjs", "ecosystem.config.mjs"];

/// The programs of the ecosystem file in the working directory.
pub(super) fn read(image: &Image) -> Option<Vec<Entry>> {
    if let Some((file, text)) = JSON.iter().find_map(|file| Some((*file, image.text(Path::new(file))?))) {
        let value: Value = serde_json::from_str(&text).ok()?;
        let apps = value.get("apps").unwrap_or(&value);
        let apps = apps.as_array().cloned().unwrap_or_else(|| vec![apps.clone()]);
        let entries: Vec<Entry> = apps.iter().filter_map(|app| entry(image, app, file)).collect();
        return (!entries.is_empty()).then_some(entries);
    }
    let file = JAVASCRIPT.iter().find(|file| image.exists(Path::new(file)))?;
    let mut entry =
        Entry::new("app", format!("`{file}` is JavaScript, which `foster init` does not execute."));
    entry.comment(format!(
        "Write it as JSON and run `foster init` again: node -p 'JSON.stringify(require(\"./{file}\"))' \
         >ecosystem.config.json"
    ));
    entry.set_because("command", array(&["node", "app.js"]), "its `script` and `args`");
    Some(vec![entry])
}

fn entry(image: &Image, app: &Value, file: &str) -> Option<Entry> {
    let text = |key: &str| app.get(key).and_then(Value::as_str);
    let script = text("script")?;
    let name = text("name").unwrap_or_else(|| script.rsplit('/').next().unwrap_or(script));
    let mut entry = Entry::new(name, format!("From `{file}`."));
    entry.set("command", array(&command(app, script)));
    let directory =
        text("cwd").map_or_else(|| image.directory().to_path_buf(), |cwd| image.directory().join(cwd));
    if directory != Path::new("/") {
        entry.set("directory", string(&directory.to_string_lossy()));
    }
    if let Some(variables) = app.get("env").and_then(Value::as_object) {
        let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let pairs: Vec<_> = variables.iter().map(|(name, of)| (name.clone(), string(&value(of)))).collect();
        if !pairs.is_empty() {
            entry.set("environment", table(&pairs));
        }
    }
    if app.get("autorestart") == Some(&Value::Bool(false)) {
        entry.set("restart", string("never"));
    }
    if let Some(limit) = app.get("max_restarts").and_then(Value::as_u64).filter(|limit| *limit > 0) {
        entry.set("start_limit", limit.to_string());
    }
    if let Some(wait) = app.get("kill_timeout").and_then(Value::as_u64) {
        entry.set("stop_timeout", string(&format!("{wait}ms")));
    }
    if let Some(limit) = text("max_memory_restart") {
        entry.set("memory_max", string(&limit.to_ascii_uppercase()));
    }
    instances(&mut entry, app);
    let known = [
        "name",
        "script",
        "args",
        "cwd",
        "env",
        "autorestart",
        "max_restarts",
        "kill_timeout",
        "interpreter",
        "interpreter_args",
        "node_args",
        "time",
        "merge_logs",
        "instances",
        "exec_mode",
        "max_memory_restart",
    ];
    for (key, value) in app.as_object().into_iter().flatten() {
        if !known.contains(&key.as_str()) {
            entry.comment(format!("PM2's `{key}` = {value} is not carried over."));
        }
    }
    Some(entry)
}

/// PM2 counts from the number of CPUs where the number is 0, negative or `max`.
fn instances(entry: &mut Entry, app: &Value) {
    match app.get("instances") {
        None => return,
        Some(Value::Number(number)) if number.as_i64() == Some(1) => return,
        Some(Value::Number(number)) if number.as_u64().is_some_and(|number| number > 0) => {
            entry.set("instances", number.to_string());
        }
        Some(_) => entry.set("instances", string("auto")),
    }
    entry.comment(
        "PM2's cluster mode shares the port. Here foster opens it: `sockets = [\"tcp://0.0.0.0:3000\"]`, and the \
         server listens at `{ fd: 3 }` (docs/sockets.md).",
    );
}

fn command(app: &Value, script: &str) -> Vec<String> {
    let list = |key: &str| match app.get(key) {
        Some(Value::String(text)) => shell_words::split(text).unwrap_or_else(|_| vec![text.clone()]),
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    };
    let interpreter = app.get("interpreter").and_then(Value::as_str);
    let by_extension = match script.rsplit_once('.').map(|(_, kind)| kind) {
        Some("js" | "cjs" | "mjs") => Some("node"),
        Some("py") => Some("python3"),
        Some("sh") => Some("sh"),
        Some(_) | None => None,
    };
    let mut words: Vec<String> = Vec::new();
    match interpreter {
        Some("none") => {}
        Some(interpreter) => words.push(interpreter.to_owned()),
        None => words.extend(by_extension.map(str::to_owned)),
    }
    words.extend(list("interpreter_args"));
    words.extend(list("node_args"));
    words.push(script.to_owned());
    words.extend(list("args"));
    words
}
