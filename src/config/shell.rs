//! Commands that a tool gives to a shell, as commands of foster's, which runs none: without a shell where none is needed.
//!
//! Pure.

/// A literal text in foster's syntax: `$` is doubled where it would start a reference.
pub(super) fn with_dollars(written: &str) -> String {
    let mut text = String::with_capacity(written.len());
    let mut chars = written.chars().peekable();
    while let Some(char) = chars.next() {
        // What follows the text may be a reference.
        let is_doubled = char == '$' && chars.peek().is_none_or(|next| matches!(next, '{' | '$'));
        text.push_str(if is_doubled { "$" } else { "" });
        text.push(char);
    }
    text
}

/// The words of a shell command that needs no shell: no expansion, no operator, no assignment.
pub(super) fn plain_words(command: &str) -> Option<Vec<String>> {
    if command.contains(['$', '|', '&', ';', '<', '>', '(', ')', '`', '*', '?', '~', '\\', '\n', '#', '[']) {
        return None;
    }
    let words = shell_words::split(command).ok()?;
    let first = words.first()?;
    // Words that only a shell knows.
    let is_builtin = [
        "cd", "exec", "export", "source", ".", "set", "ulimit", "umask", "if", "while", "for", "test", "{",
        "!",
    ]
    .contains(&first.as_str());
    (!first.contains('=') && !is_builtin).then_some(words)
}

/// A shell command as the words of a command: without a shell where none is needed. A shell that is replaced by its only
/// command gets its signals.
pub(super) fn shell_command(command: &str) -> Vec<String> {
    if let Some(words) = plain_words(command) {
        return words;
    }
    let is_simple = !command.contains(['|', '&', ';', '(', '`', '\n']);
    let starts_with_command = command.split_whitespace().next().is_some_and(|first| {
        first.chars().all(|char| char.is_ascii_alphanumeric() || "/._-".contains(char))
            && plain_words(first).is_some()
    });
    let exec = if is_simple && starts_with_command { "exec " } else { "" };
    vec!["sh".to_owned(), "-c".to_owned(), format!("{exec}{command}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_dollar_is_doubled_only_where_it_would_be_a_reference() {
        for (written, expected) in
            [("$HOME", "$HOME"), ("${HOME}", "$${HOME}"), ("a$$b", "a$$$b"), ("5$", "5$$")]
        {
            assert_eq!(with_dollars(written), expected, "{written}");
        }
    }

    #[test]
    fn a_command_has_a_shell_only_where_it_needs_one() {
        for (command, expected) in [
            ("gunicorn 'a b:c' -w 2", vec!["gunicorn", "a b:c", "-w", "2"]),
            ("puma -p $PORT", vec!["sh", "-c", "exec puma -p $PORT"]),
            ("A=1 puma", vec!["sh", "-c", "A=1 puma"]),
            ("cd x && y", vec!["sh", "-c", "cd x && y"]),
            ("cd x", vec!["sh", "-c", "cd x"]),
        ] {
            assert_eq!(shell_command(command), expected);
        }
    }
}
