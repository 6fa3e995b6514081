//! `run` and `up`: what a script does before it becomes its command, where that is a key of foster's.
//!
//! A script that does more stays as it is, and is run from its place in the image. Pure.

use super::super::shell::plain_words;

/// A script as keys.
#[derive(Default)]
pub(super) struct Script {
    pub(super) words: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) environment: Vec<(String, String)>,
    /// What to look at.
    pub(super) remark: Option<&'static str>,
}

/// Reads a script; `place` is its path in the image. An `up` is one command line of execline.
pub(super) fn read(text: &str, place: &str, is_up: bool) -> Script {
    let shebang = text.lines().next().filter(|line| line.starts_with("#!")).unwrap_or("");
    let is_execline = shebang.contains("execlineb") || (is_up && shebang.is_empty());
    let is_content = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with('#') && !line.starts_with("set -") && line != "exec 2>&1"
    };
    let lines: Vec<&str> = text.lines().filter(is_content).map(str::trim).collect();
    let words = match lines.as_slice() {
        lines if is_execline => shell_words::split(&lines.join(" ")).ok(),
        [line] => line.strip_prefix("exec ").and_then(words_of),
        _ => None,
    };
    if let Some(script) = words.and_then(reduced) {
        return script;
    }
    // `with-contenv` is not needed, and not there.
    let interpreter: Vec<String> = shebang
        .trim_start_matches("#!")
        .split_whitespace()
        .skip_while(|word| ["env", "with-contenv"].contains(&last(word)))
        .filter(|_| shebang.contains("with-contenv"))
        .map(str::to_owned)
        .collect();
    let remark = match (is_execline, text.contains("s6-")) {
        (true, _) => Some("the script needs execline: write its commands here, or for `sh`"),
        (false, true) => {
            Some("the script calls a program of s6: `user`, `directory` and `limits` say the same")
        }
        (false, false) => None,
    };
    let words = interpreter.into_iter().chain([place.to_owned()]).collect();
    Script { words, remark, ..Script::default() }
}

/// The words of a line of shell that only executes a command. Quotes hide the syntax, except `$`, a backquote and a backslash
/// in double quotes.
fn words_of(line: &str) -> Option<Vec<String>> {
    let (mut outside, mut quote) = (String::new(), None);
    for char in line.chars() {
        match quote {
            Some(open) if open == char => quote = None,
            Some('"') if matches!(char, '$' | '`' | '\\') => outside.push(char),
            None if matches!(char, '"' | '\'') => quote = Some(char),
            None => outside.push(char),
            Some(_) => {}
        }
    }
    plain_words(&outside).and_then(|_| shell_words::split(line).ok())
}

fn last(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The keys of a chain of commands; `None`: one of them has no equal.
fn reduced(mut words: Vec<String>) -> Option<Script> {
    let mut script = Script::default();
    loop {
        let argument = |index: usize| words.get(index).cloned();
        let taken = match last(words.first()?) {
            "with-contenv" | "exec" => 1,
            "fdmove" => 3 + usize::from(argument(1)?.starts_with('-')),
            "s6-setuidgid" => {
                script.user = argument(1);
                2
            }
            "cd" => {
                script.directory = argument(1);
                2
            }
            "export" => {
                script.environment.push((argument(1)?, argument(2)?));
                3
            }
            "foreground" | "background" | "if" | "ifelse" | "ifthenelse" | "importas" | "backtick"
            | "define" | "multisubstitute" | "redirfd" | "emptyenv" | "s6-softlimit" | "s6-notifyoncheck"
            | "s6-envdir" | "s6-applyuidgid" | "pipeline" | "loopwhilex" => {
                return None;
            }
            _ => break,
        };
        words.drain(..taken.min(words.len()));
    }
    // Braces are blocks of execline.
    script.words = words;
    (!script.words.iter().any(|word| word == "{" || word.contains("${"))).then_some(script)
}

/// Where a logger of the usual kind writes.
pub(super) fn log_folder(run: &str) -> Option<String> {
    let is_logger = run.contains("logutil-service") || run.contains("s6-log");
    let mut words = run
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .into_iter()
        .rev();
    let folder = words.find(|word| word.starts_with('/') && !word.contains("command/"));
    folder.filter(|_| is_logger).map(|folder| folder.trim_end_matches('/').to_owned())
}
