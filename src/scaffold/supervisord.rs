//! Programs of a supervisord configuration.
//!
//! Keys with an equal are translated, defaults are left out, and each other key is a comment. `ini.rs` reads the file.

use std::path::Path;

use super::entry::{Entry, expanded_string, string, table};
use super::image::Image;
use crate::glob;
use crate::ini::{self, Section};

/// Where supervisord looks for it, and where Debian has it.
const PLACES: [&str; 6] = [
    "supervisord.conf",
    "etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
    "/etc/supervisor/conf.d/supervisord.conf",
    "/app/supervisord.conf",
];

/// The programs of the first configuration found, and of the files that it includes.
pub(super) fn read(image: &Image) -> Option<Vec<Entry>> {
    PLACES.iter().find_map(|place| {
        let path = image.directory().join(place);
        let sections = sections(image, &path)?;
        let here = path.parent().unwrap_or(Path::new("/")).to_path_buf();
        let entries: Vec<Entry> =
            sections.iter().filter_map(|section| entry(image, section, &path, &here)).collect();
        (!entries.is_empty()).then_some(entries)
    })
}

fn sections(image: &Image, path: &Path) -> Option<Vec<Section>> {
    let mut sections = ini::parse(&image.text(path)?).0;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let patterns: Vec<String> = sections
        .iter()
        .filter(|section| section.name.text == "include")
        .filter_map(|section| section.get("files"))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect();
    for pattern in patterns {
        let pattern = folder.join(pattern);
        let (Some(folder), Some(name)) =
            (pattern.parent(), pattern.file_name().and_then(|name| name.to_str()))
        else {
            continue;
        };
        let included = image.names(folder).into_iter().filter(|file| glob::matches(name, file));
        for file in included.collect::<Vec<_>>() {
            sections.extend(ini::parse(&image.text(&folder.join(file)).unwrap_or_default()).0);
        }
    }
    Some(sections)
}

fn entry(image: &Image, section: &Section, path: &Path, here: &Path) -> Option<Entry> {
    let name = section.name.text.strip_prefix("program:")?.trim();
    let values = Values { image, name, here };
    let mut entry = Entry::new(name, format!("From `{}`.", path.display()));
    entry.set("command", values.text(&section.get("command")?.replace('\n', " ")));
    for (key, value) in &section.keys {
        translate(&mut entry, &values, section, &key.text, &value.text);
    }
    Some(entry)
}

/// Expands supervisord's `%(…)s` in the values of one program.
struct Values<'i> {
    image: &'i Image,
    name: &'i str,
    here: &'i Path,
}

impl Values<'_> {
    /// A value as a TOML string with foster's expansions.
    fn text(&self, value: &str) -> String {
        expanded_string(&self.expand(value))
    }

    fn expand(&self, value: &str) -> String {
        let mut text = String::new();
        let mut rest = value;
        while let Some(at) = rest.find(['%', '$']) {
            let (before, from) = rest.split_at(at);
            text.push_str(before);
            rest = if let Some(after) = from.strip_prefix("%%") {
                text.push('%');
                after
            } else if let Some(after) = from.strip_prefix("${") {
                text.push_str("$${");
                after
            } else if let Some((name, after)) = placeholder(from) {
                text.push_str(&self.variable(name));
                after
            } else {
                let (first, after) = from.split_at(1);
                text.push_str(first);
                after
            };
        }
        text + rest
    }

    fn variable(&self, name: &str) -> String {
        match name.strip_prefix("ENV_") {
            // It may be given to the container only.
            Some(variable) if !self.image.has_variable(variable) => format!("${{{variable}:-}}"),
            Some(variable) => format!("${{{variable}}}"),
            None if name == "here" => self.here.to_string_lossy().into_owned(),
            None if name == "program_name" || name == "group_name" => self.name.to_owned(),
            None if name == "process_num" => "${FOSTER_INSTANCE}".to_owned(),
            None if name == "host_node_name" => "${HOSTNAME:-}".to_owned(),
            None => format!("%({name})s"),
        }
    }
}

/// The name in `%(name)s` or `%(name)02d`, and the text after it.
fn placeholder(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix("%(")?.split_once(')')?;
    let end = after.find(|char: char| char.is_ascii_alphabetic())?;
    Some((name, after.get(end + 1..)?))
}

fn translate(entry: &mut Entry, values: &Values<'_>, section: &Section, key: &str, value: &str) {
    let is_true = ["true", "yes", "on", "1"].contains(&value.to_ascii_lowercase().as_str());
    match key {
        "command" => {}
        "directory" => entry.set("directory", values.text(value)),
        "user" => entry.set("user", values.text(value)),
        "umask" => entry.set("umask", values.text(value)),
        "environment" => {
            let pairs = variables(value).into_iter().map(|(name, value)| (name, values.text(&value)));
            entry.set("environment", table(&pairs.collect::<Vec<_>>()));
        }
        "priority" if is_number(value) => entry.set("priority", value),
        "autostart" if !is_true => entry.set("autostart", "false"),
        "autorestart" if value.eq_ignore_ascii_case("unexpected") => {
            entry.set("restart", string("on-failure"))
        }
        "autorestart" if !is_true => entry.set("restart", string("never")),
        "startsecs" if is_number(value) => entry.set("min_uptime", string(&format!("{value}s"))),
        "startretries" if is_number(value) => {
            entry.set("start_limit", value.parse().map_or(1, |n: u32| n.saturating_add(1)).to_string())
        }
        "exitcodes" => {
            let codes: Vec<&str> = value.split(',').map(str::trim).filter(|code| is_number(code)).collect();
            entry.set("success_exit_codes", format!("[{}]", codes.join(", ")));
        }
        "stopsignal" => entry.set("stop_signal", string(value)),
        "stopwaitsecs" if is_number(value) => entry.set("stop_timeout", string(&format!("{value}s"))),
        "stopasgroup" if is_true => entry.set("stop_group", "true"),
        "stdout_logfile" => log_file(entry, values, section, "stdout", value),
        "stderr_logfile" => log_file(entry, values, section, "stderr", value),
        // The default, or not needed.
        "autostart" | "autorestart" | "stopasgroup" | "killasgroup" | "redirect_stderr" | "process_name" => {}
        "stdout_logfile_maxbytes" | "stderr_logfile_maxbytes" => {}
        "stdout_logfile_backups" | "stderr_logfile_backups" => {}
        "numprocs" if value == "1" => {}
        "numprocs" if is_number(value) => entry.set("instances", value),
        _ => entry.comment(format!("supervisord's `{key} = {value}` is not carried over.")),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn log_file(entry: &mut Entry, values: &Values<'_>, section: &Section, stream: &'static str, value: &str) {
    let container =
        ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/proc/self/fd/1", "/proc/1/fd/1"];
    if value.eq_ignore_ascii_case("none") {
        return entry.set(stream, string("null"));
    }
    if value.eq_ignore_ascii_case("auto") || value == "syslog" || container.contains(&value) {
        return; // the container's log
    }
    let option = |name: &str| section.get(&format!("{stream}_logfile_{name}"));
    let mut pairs = vec![("file".to_owned(), values.text(value))];
    if let Some(size) = option("maxbytes").filter(|size| *size != "0") {
        let size = size.trim_end_matches(['B', 'b']).to_ascii_uppercase();
        pairs.push(("max_size".to_owned(), string(&size)));
    }
    if let Some(keep) = option("backups").filter(|keep| is_number(keep)) {
        pairs.push(("keep".to_owned(), keep.to_owned()));
    }
    entry.set_because(stream, table(&pairs), "leave it out: the container's log has it then");
}

/// `A="x, y",B=z`.
fn variables(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let quote = after.chars().next().filter(|first| ['"', '\''].contains(first));
        let (value, left) = match quote {
            Some(quote) => {
                let inner = after.get(1..).unwrap_or("");
                inner.split_once(quote).unwrap_or((inner, ""))
            }
            None => after.split_once([',', '\n']).map_or((after, ""), |(value, left)| (value.trim(), left)),
        };
        let name = name.trim_matches(|char: char| char == ',' || char.is_whitespace());
        if !name.is_empty() && pairs.iter().all(|(known, _)| known != name) {
            pairs.push((name.to_owned(), value.to_owned()));
        }
        rest = left.trim_start_matches(|char: char| char == ',' || char.is_whitespace());
    }
    pairs
}
