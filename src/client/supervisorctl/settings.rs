//! `[supervisorctl]` of a configuration: which server, who asks, and the prompt.
//!
//! As supervisorctl reads it: of the file that `-c` names, or of the first one found; `[include]` is not followed. A file that
//! was only found, or has no such section, is no error: foster's own socket needs none.

use std::path::{Path, PathBuf};

use crate::bounded_read::{self, Accept};
use crate::config;
use crate::ini;

/// The largest configuration in bytes.
const LIMIT: usize = 1 << 20;

/// Where supervisorctl looks for a configuration.
const PLACES: [&str; 4] = [
    "./supervisord.conf",
    "./etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
];

/// What the section has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) url: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    pub(super) prompt: Option<String>,
    pub(super) history: Option<PathBuf>,
}

/// Reads the section of this file, or of the first configuration that is found.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn read(given: Option<&Path>) -> Result<Settings, String> {
    let found = || PLACES.into_iter().map(Path::new).find(|place| place.exists());
    let Some(path) = given.or_else(found) else { return Ok(Settings::default()) };
    let bytes = match bounded_read::read(path, LIMIT, Accept::AllButFifos) {
        Ok(bytes) => bytes,
        Err(_) if given.is_none() => return Ok(Settings::default()),
        Err(_) if !path.exists() => return Err(format!("could not find config file {}", path.display())),
        Err(error) => return Err(format!("could not read config file {}: {error}", path.display())),
    };
    let text = String::from_utf8_lossy(&bytes);
    let variable = |name: &str| std::env::var(name).ok();
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    section(&text, &path, &variable)
}

fn section(text: &str, path: &Path, variable: &dyn Fn(&str) -> Option<String>) -> Result<Settings, String> {
    let here = path.parent().unwrap_or(Path::new("/"));
    let (sections, _) = ini::parse(text);
    let value = |key: &str| {
        let own = sections.iter().rev().filter(|section| section.name.text == "supervisorctl");
        let Some(written) = own.into_iter().find_map(|section| section.get(key)) else { return Ok(None) };
        let lookup = |name: &str| match name.strip_prefix("ENV_") {
            Some(name) => variable(name),
            None => (name == "here").then(|| here.display().to_string()),
        };
        config::expanded(written, lookup)
            .map(|value| Some(value).filter(|value| !value.is_empty()))
            .map_err(|why| format!("{}: cannot read `{key}` of [supervisorctl]: {why}", path.display()))
    };
    let absolute = |path: &str| std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let url = value("serverurl")?.map(|url| match url.strip_prefix("unix://") {
        Some(path) => format!("unix://{}", absolute(path).display()),
        None => url,
    });
    let history = value("history_file")?.map(|path| absolute(home(&path, variable).as_str()));
    let (username, password, prompt) = (value("username")?, value("password")?, value("prompt")?);
    Ok(Settings { url, username, password, prompt, history })
}

/// `~/` is the home directory.
fn home(path: &str, variable: &dyn Fn(&str) -> Option<String>) -> String {
    match (path.strip_prefix("~/"), variable("HOME")) {
        (Some(rest), Some(home)) => format!("{home}/{rest}"),
        (Some(_) | None, _) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Settings, String> {
        let variable = |name: &str| (name == "X").then(|| "x$".to_owned());
        section(text, Path::new("/etc/s.conf"), &variable)
    }

    #[test]
    fn the_section_has_the_server_and_its_password() {
        let text = "[supervisord]\nserverurl=no\n[supervisorctl]\nserverurl=unix://%(here)s/s.sock ; a comment\n\
                    username=%(ENV_X)s\npassword=50%%\nhistory_file=/h\nprompt=mine\n";
        let some = |text: &str| Some(text.to_owned());
        let expected = Settings {
            url: some("unix:///etc/s.sock"),
            username: some("x$"),
            password: some("50%"),
            prompt: some("mine"),
            history: Some("/h".into()),
        };
        assert_eq!(of(text), Ok(expected));
        assert_eq!(of("[supervisord]\n"), Ok(Settings::default()));
    }

    #[test]
    fn a_value_that_cannot_be_expanded_is_named() {
        let error = of("[supervisorctl]\nserverurl=http://%(ENV_GONE)s:1\n").unwrap_err();
        assert!(error.contains("`serverurl`") && error.contains("`GONE` is not set"), "{error}");
        assert!(read(Some(Path::new("/nowhere/s.conf"))).unwrap_err().contains("could not find config file"));
    }
}
