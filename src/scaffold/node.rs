//! A Node application: the start command of its package.json.

use std::path::Path;

use regex_lite::Regex;
use serde_json::Value;

use super::entry::{Entry, array, string, table};
use super::image::Image;

/// The application of the image, if it has one.
pub(super) fn find(image: &Image, proxied: &[u16]) -> Option<Entry> {
    image.application_folders().iter().find_map(|folder| application(image, folder, proxied))
}

fn application(image: &Image, folder: &Path, proxied: &[u16]) -> Option<Entry> {
    let package: Value = serde_json::from_str(&image.text(&folder.join("package.json"))?).ok()?;
    let start = package.pointer("/scripts/start").and_then(Value::as_str);
    let main = package.get("main").and_then(Value::as_str);
    let file = start.and_then(started_file).or(main.map(str::to_owned)).or_else(|| {
        let usual = ["server.js", "index.js", "app.js", "server.mjs", "index.mjs"];
        usual.into_iter().find(|name| image.exists(&folder.join(name))).map(str::to_owned)
    });
    let source = file.as_ref().and_then(|file| image.text(&folder.join(file)));
    let (command, remark) = match (start, &file) {
        (Some(start), _) if started_file(start).is_none() => {
            let remark = format!("`{start}`; npm passes TERM on, and a command without npm stops faster");
            (vec!["npm".to_owned(), "start".to_owned()], remark)
        }
        // A library has a `main` and nothing to run.
        (_, Some(file)) if source.is_some() => (vec!["node".to_owned(), file.clone()], String::new()),
        (_, _) => return None,
    };
    let reason = format!("`{}`.", folder.join("package.json").display());
    let mut entry = Entry::new("node", reason);
    entry.set_because("command", array(&command), remark);
    entry.set("directory", string(&folder.to_string_lossy()));
    let mut variables = vec![("NODE_ENV".to_owned(), string("production"))];
    let source = source.unwrap_or_default();
    if let Some(port) = listened_port(&source).or(proxied.first().copied()) {
        if source.contains("process.env.PORT") {
            variables.push(("PORT".to_owned(), string(&port.to_string())));
        }
        entry.set("environment", table(&variables));
        entry.set("ready", table(&[("tcp".to_owned(), string(&format!("127.0.0.1:{port}")))]));
    } else {
        entry.set("environment", table(&variables));
        entry.comment("ready = { tcp = \"127.0.0.1:3000\" }  # the port it listens at");
    }
    entry.suggest_user(image.user().as_deref());
    Some(entry)
}

/// The file of `node server.js`; other commands need a shell or npm's PATH.
fn started_file(start: &str) -> Option<String> {
    let mut words = start.split_whitespace();
    let (node, file) = (words.next()?, words.next()?);
    (node == "node" && words.next().is_none() && !file.starts_with('-')).then(|| file.to_owned())
}

/// The port in `listen(3000` or `process.env.PORT || 3000`.
fn listened_port(source: &str) -> Option<u16> {
    let number = Regex::new(r"(?:\.listen\(\s*|process\.env\.PORT\s*(?:\|\||\?\?)\s*)(\d{2,5})").ok()?;
    number.captures(source)?.get(1)?.as_str().parse().ok()
}
