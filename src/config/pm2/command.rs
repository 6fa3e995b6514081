//! The command of an app: its interpreter by the end of the script's name, or by what the script is.
//!
//! A script is looked for in the app's folder and then in PATH, as PM2 does. Where it is in neither, as in an image that is
//! still to be built, it is taken as it is written.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::super::Environment;
use crate::bounded_read::{self, Accept, Unread};

/// PM2's interpreters, and what else Node reads.
const INTERPRETERS: [(&str, &[&str]); 12] = [
    ("sh", &["bash", "sh"]),
    ("py", &["python", "python3"]),
    ("rb", &["ruby"]),
    ("php", &["php"]),
    ("pl", &["perl"]),
    ("js", &["node"]),
    ("cjs", &["node"]),
    ("mjs", &["node"]),
    ("coffee", &["coffee"]),
    ("ls", &["lsc"]),
    ("ts", &["bun", "node"]),
    ("tsx", &["bun"]),
];

/// A script that has more bytes is a binary.
const LONGEST_SCRIPT: usize = 1 << 20;

/// How a script is run.
pub(super) struct Command {
    /// `None`: it is run itself.
    pub(super) interpreter: Option<String>,
    /// The script, as the process finds it.
    pub(super) script: String,
    /// The file, if it is there.
    pub(super) file: Option<PathBuf>,
}

/// Whether programs of this name can be in several processes that share a port.
pub(super) fn is_node(interpreter: &str) -> bool {
    let name = base_name(interpreter);
    name.ends_with("node") || name.ends_with("bun")
}

pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Finds the interpreter of a script. `wanted`: what the app says.
pub(super) fn resolve(
    script: &str,
    folder: Option<&str>,
    wanted: Option<&str>,
    environment: &Environment,
) -> Command {
    let here = Path::new(folder.unwrap_or("")).join(script);
    let (script, file) = if here.is_file() {
        // A name without a slash would be looked for in PATH.
        let path = if script.contains('/') { script.to_owned() } else { format!("./{script}") };
        (path, Some(here))
    } else {
        let found = in_path(script, environment);
        (found.as_ref().and_then(|path| path.to_str()).unwrap_or(script).to_owned(), found)
    };
    let interpreter = match wanted {
        Some("none") => None,
        Some(interpreter) => Some(interpreter.to_owned()),
        None => interpreter_of(&script, file.as_deref(), environment),
    };
    Command { interpreter, script, file }
}

/// The first of these names that is in PATH, or the last one.
pub(super) fn first_in_path(names: &[&str], environment: &Environment) -> String {
    let found = names.iter().find(|name| in_path(name, environment).is_some());
    (*found.or(names.last()).unwrap_or(&"")).to_owned()
}

fn in_path(name: &str, environment: &Environment) -> Option<PathBuf> {
    if name.contains('/') || name.is_empty() {
        return None;
    }
    let path = environment.get(OsStr::new("PATH"))?;
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn interpreter_of(script: &str, file: Option<&Path>, environment: &Environment) -> Option<String> {
    let end = base_name(script).rsplit_once('.').map_or("", |(_, end)| end);
    if let Some((_, names)) = INTERPRETERS.iter().find(|(known, _)| *known == end) {
        return Some(first_in_path(names, environment));
    }
    // A text without a first line for the kernel is JavaScript for PM2.
    match bounded_read::read(file?, LONGEST_SCRIPT, Accept::Regular) {
        Ok(bytes) if !bytes.contains(&0) && !bytes.starts_with(b"#!") => Some("node".to_owned()),
        Ok(_) | Err(Unread::System(_) | Unread::Fifo | Unread::NotRegular | Unread::TooLarge(_)) => None,
    }
}
