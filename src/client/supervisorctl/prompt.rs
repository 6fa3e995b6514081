//! Lines of a session: typed at a prompt with history and completion, or read from a pipe.
//!
//! The candidates of a word are those of supervisorctl: verbs, then groups or processes, as the verb takes them.

use std::io::{IsTerminal, Write};
use std::path::Path;

use super::help;
use super::input::Input;
use super::names;
use crate::client::line_editor::{Complete, Echo, Editor, Typed};
use crate::xmlrpc::value::Value;

/// Where lines come from.
#[derive(Debug)]
pub(super) enum Prompt {
    /// A terminal.
    Typed(Editor),
    /// Anything else.
    Plain,
}

impl Prompt {
    /// A prompt where standard input and output are a terminal that can be written on.
    pub(super) fn new(history: Option<&Path>) -> Prompt {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !is_dumb {
            Prompt::Typed(Editor::new(history))
        } else {
            Prompt::Plain
        }
    }

    /// The next line. From a pipe a question is printed, but not the prompt.
    pub(super) fn read(
        &mut self,
        prompt: &str,
        kind: Kind,
        complete: Complete<'_>,
        input: &mut Input,
        out: &mut dyn Write,
    ) -> Typed {
        match self {
            Prompt::Typed(editor) => {
                let echo = if kind == Kind::Password { Echo::Hidden } else { Echo::Text };
                editor.read(prompt, echo, complete, out)
            }
            Prompt::Plain => {
                if kind != Kind::Verb || std::io::stdin().is_terminal() {
                    let _ = write!(out, "{prompt}").and_then(|()| out.flush());
                }
                input.next_line().map_or(Typed::End, Typed::Line)
            }
        }
    }

    /// Whether a person types.
    pub(super) fn is_typed(&self) -> bool {
        matches!(self, Prompt::Typed(_))
    }
}

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Verb,
    Answer,
    Password,
}

/// The candidates for the last word of a text, each with a blank behind it. `infos` returns the processes.
pub(super) fn candidates(text: &str, infos: impl FnOnce() -> Vec<Value>) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_new = text.is_empty() || text.ends_with(char::is_whitespace);
    let word = if is_new { "" } else { words.last().copied().unwrap_or_default() };
    let all: Vec<String> = match words.as_slice() {
        [] => help::verbs().map(str::to_owned).collect(),
        [_] if !is_new => help::verbs().map(str::to_owned).collect(),
        ["help", ..] => help::verbs().map(str::to_owned).collect(),
        ["add" | "remove" | "update", ..] => {
            infos().iter().map(|info| info.text_of("group").to_owned()).collect()
        }
        ["clear" | "fg" | "pid" | "restart" | "signal" | "start" | "status" | "stop" | "tail", ..] => {
            let mut all = Vec::new();
            for info in &infos() {
                let (group, name) = (info.text_of("group"), info.text_of("name"));
                if word.contains(':') || group != name {
                    all.push(format!("{group}:{name}"));
                    all.push(format!("{group}:*"));
                } else {
                    all.push(names::join(group, name));
                }
            }
            all
        }
        _ => Vec::new(),
    };
    all.into_iter().filter(|name| name.starts_with(word)).map(|name| name + " ").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let info = |group: &str, name: &str| {
            Value::of(vec![("group", Value::text(group)), ("name", Value::text(name))])
        };
        let mut found = candidates(text, || vec![info("web", "web"), info("g", "a"), info("g", "b-c")]);
        found.sort_unstable();
        found.dedup();
        found.concat()
    }

    #[test]
    fn a_word_is_completed_as_by_supervisorctl() {
        for (text, expected) in [
            ("sta", "start status "),
            ("help sto", "stop "),
            ("start ", "g:* g:a g:b-c web "),
            ("start web g:b", "g:b-c "),
            ("stop web:", "web:* web:web "),
            ("update w", "web "),
            ("add ", "g web "),
            ("reread ", ""),
            ("nothing x", ""),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
        assert!(of("").starts_with("add avail clear exit fg help maintail "));
    }
}
