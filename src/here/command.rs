//! Checks the commands of a program: they are in PATH, its user can execute them, and they stay in the foreground.
//!
//! The search is that of a start (`spawn/path_lookup.rs`), with file modes instead of execve(2): nothing is executed.

use std::env;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::ProgramRemarks;
use super::access::{Permission, UserAccess};
use crate::plan::Program;
use crate::spawn::path_lookup::Search;

/// Checks one command, given by its key and words.
pub(super) fn examine(
    found: &mut ProgramRemarks<'_>,
    (key, words): (&'static str, &[String]),
    program: &Program,
    directory: &Path,
    user: &UserAccess,
) {
    let Some(name) = words.first() else { return };
    let path = path_variable(program);
    let search = Search::of(OsStr::new(name), path.as_deref());
    let Ok(candidates) = search.candidates(OsStr::new(name)) else { return };
    let files = candidates.iter().map(|file| directory.join(path_of(file)));
    let mut denied = None;
    for file in files {
        match user.find(&file) {
            Ok(metadata) if metadata.is_file() && user.may(&metadata, Permission::Execute) => {
                check_interpreter(found, key, &file, user);
                return check_foreground(found, key, words);
            }
            Ok(metadata) if metadata.is_dir() => denied = denied.or(Some((file, "is a directory"))),
            Ok(_) => denied = denied.or(Some((file, "is not executable"))),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                denied = denied.or(Some((file, "is in a folder that the program's user cannot enter")));
            }
            Err(_) => {}
        }
    }
    match (denied, search.path()) {
        (Some((file, reason)), _) => {
            let note =
                format!("`chmod a+x {0}`, or name its interpreter: `[\"python3\", \"{0}\"]`", file.display());
            let note = if reason == "is not executable" { note } else { closed_folder(&file, user) };
            found.error(key, format!("`{}` {reason}", file.display()), note);
        }
        (None, Some(path)) => {
            let message = format!("`{name}` is not in PATH");
            found.error(key, message, format!("looked in {}", path.display()));
        }
        (None, None) => found.error(key, format!("`{name}` does not exist"), ""),
    }
}

/// The program's PATH; env files and secrets are only read at a start.
fn path_variable(program: &Program) -> Option<OsString> {
    let own = program.launch.environment.iter().rev().find(|(name, _)| name == "PATH");
    own.map(|(_, value)| OsString::from(value)).or_else(|| env::var_os("PATH"))
}

fn path_of(file: &CStr) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(file.to_bytes()))
}

/// Names the folder that keeps the user from a file. It may be nowhere in the path: an interpreter is often a link to one
/// below `/root`.
fn closed_folder(file: &Path, user: &UserAccess) -> String {
    let folder = user.closed_folder(file).ok().flatten();
    folder.map_or(String::new(), |folder| {
        format!("cannot enter `{}`: install it elsewhere, or `chmod a+x` that folder", folder.display())
    })
}

/// Checks the interpreter of a script (execve(2)).
fn check_interpreter(found: &mut ProgramRemarks<'_>, key: &'static str, file: &Path, user: &UserAccess) {
    let mut head = Vec::new();
    let Ok(script) = File::open(file) else { return };
    if script.take(256).read_to_end(&mut head).is_err() {
        return;
    }
    let Some(line) = head.strip_prefix(b"#!").and_then(|rest| rest.split(|byte| *byte == b'\n').next())
    else {
        return;
    };
    let text = String::from_utf8_lossy(line).into_owned();
    let Some(interpreter) = text.split([' ', '\t']).find(|word| !word.is_empty()) else { return };
    let (interpreter, ends_with_cr) = match interpreter.strip_suffix('\r') {
        Some(before) => (before, true),
        None => (interpreter, text.ends_with('\r')),
    };
    let (reason, note) = match user.find(Path::new(interpreter)) {
        Ok(_) | Err(_) if ends_with_cr => ("does not exist", "its lines end with CR LF: convert it to LF"),
        Ok(_) => return,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let note = closed_folder(Path::new(interpreter), user);
            let message = format!(
                "the interpreter `{interpreter}` of `{}` is in a folder that the program's user cannot enter",
                file.display()
            );
            return found.error(key, message, note);
        }
        Err(_) => ("does not exist", "install it, or change the first line of the script"),
    };
    found.error(key, format!("the interpreter `{interpreter}` of `{}` {reason}", file.display()), note);
}

/// Checks nginx.conf if the command does not set `daemon`.
fn check_foreground(found: &mut ProgramRemarks<'_>, key: &'static str, words: &[String]) {
    let mut arguments = words.iter();
    let is_nginx =
        arguments.next().is_some_and(|first| Path::new(first).file_name() == Some(OsStr::new("nginx")));
    if !is_nginx || key != "command" || words.iter().any(|word| word.contains("daemon off")) {
        return;
    }
    let given = words.iter().position(|word| word == "-c").and_then(|at| words.get(at + 1));
    let file = given.map_or("/etc/nginx/nginx.conf", String::as_str);
    let Ok(text) = std::fs::read_to_string(file) else { return };
    let says_off = |line: &str| {
        let mut words = line.split(|char: char| char.is_whitespace() || char == ';');
        words.next() == Some("daemon") && words.any(|word| word == "off")
    };
    if !text.lines().map(str::trim).any(says_off) {
        let message = format!("`nginx` goes into the background: `{file}` has no `daemon off;`");
        found.error(key, message, "add `-g \"daemon off;\"`");
    }
}
