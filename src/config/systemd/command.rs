//! Command lines of systemd: prefixes, quoting, `$NAME` (systemd.service(5), "COMMAND LINES").
//!
//! systemd expands variables of the unit. foster expands those of its own environment only, so a value that the unit gives
//! is put in, and a variable that is known only when the program starts needs a shell.

use super::super::shell::with_dollars;

/// A command line.
pub(super) struct CommandLine {
    /// Its words, without prefixes.
    pub(super) words: Vec<String>,
    /// `-`: its failure does not count.
    pub(super) may_fail: bool,
    /// `+`, `!`: it runs as root.
    pub(super) is_privileged: bool,
}

/// Reads a command line; `None`: a quote is not closed, or there is no command.
pub(super) fn parse(line: &str, variables: &[(String, String)]) -> Option<CommandLine> {
    let (prefixes, rest) = line.split_at(line.find(|char| !"-@+!:|".contains(char))?);
    let mut words = shell_words::split(rest).ok()?;
    if prefixes.contains('@') && words.len() > 1 {
        words.remove(1);
    }
    let is_literal = prefixes.contains(':');
    let expanded: Vec<Option<String>> = words
        .iter()
        .map(|word| if is_literal { Some(word.clone()) } else { expanded(word, variables) })
        .collect();
    let words = match expanded.iter().cloned().collect::<Option<Vec<String>>>() {
        Some(words) => words,
        // The shell's rules for `$NAME` are systemd's.
        None => {
            let quoted = words.iter().map(|word| {
                if word.contains('$') { shell_word(word) } else { shell_words::quote(word).into_owned() }
            });
            let line: Vec<String> = quoted.collect();
            vec!["sh".to_owned(), "-c".to_owned(), format!("exec {}", line.join(" "))]
        }
    };
    let words: Vec<String> = words.iter().map(|word| with_dollars(word)).collect();
    (!words.is_empty()).then_some(CommandLine {
        words,
        may_fail: prefixes.contains('-'),
        is_privileged: prefixes.contains(['+', '!']),
    })
}

/// A word for a shell: `$NAME` alone is split into words, as systemd does, others are not.
fn shell_word(word: &str) -> String {
    let is_alone = word
        .strip_prefix('$')
        .is_some_and(|name| name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_'));
    if is_alone {
        word.to_owned()
    } else {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A word with the unit's variables; `None`: it names another one.
fn expanded(word: &str, variables: &[(String, String)]) -> Option<String> {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
            continue;
        }
        let (name, after) = match after.strip_prefix('{').and_then(|inside| inside.split_once('}')) {
            Some(found) => found,
            None => after.split_at(
                after.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(after.len()),
            ),
        };
        text.push_str(&variables.iter().rev().find(|(known, _)| known == name)?.1);
        rest = after;
    }
    Some(text + rest)
}

/// Several command lines as one command: a shell runs them one after the other.
pub(super) fn joined(lines: Vec<CommandLine>) -> Vec<String> {
    let count = lines.len();
    let mut parts = Vec::new();
    for line in lines {
        if count == 1 && !line.may_fail {
            return line.words;
        }
        let words = match line.words.as_slice() {
            [shell, flag, script] if shell == "sh" && flag == "-c" => {
                script.strip_prefix("exec ").unwrap_or(script).to_owned()
            }
            words => shell_words::join(words),
        };
        parts.push(if line.may_fail { format!("{{ {words} || true; }}") } else { words });
    }
    vec!["sh".to_owned(), "-c".to_owned(), parts.join(" && ")]
}

/// The signal of `kill -HUP $MAINPID` and its other forms.
pub(super) fn signal(line: &str) -> Option<String> {
    let words: Vec<&str> = line.trim_start_matches(['-', '+']).split_whitespace().collect();
    let (program, arguments) = words.split_first()?;
    let signal = match arguments {
        ["$MAINPID" | "${MAINPID}"] => "TERM",
        ["-s", signal, "$MAINPID" | "${MAINPID}"] => signal,
        [signal, "$MAINPID" | "${MAINPID}"] => signal.strip_prefix('-')?,
        _ => return None,
    };
    (program.rsplit('/').next() == Some("kill"))
        .then(|| signal.strip_prefix("SIG").unwrap_or(signal).to_owned())
}
