//! The options of `pm2 logs`, and how a line looks.
//!
//! Pure. `pm2.rs` sends the request and prints the lines.

use serde_json::json;

use super::Failed;
use super::apps::App;
use crate::control::protocol::{LogLine, Stream};

/// How many of the last lines are shown.
const LINES: u32 = 15;

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// With the id and the name of the app in front.
    Prefixed,
    /// With the time in front of that.
    Timestamped,
    /// As the app wrote it.
    Raw,
    /// As an object.
    Json,
}

/// The request for lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LogOptions {
    pub(super) names: Vec<String>,
    pub(super) lines: u32,
    pub(super) follow: bool,
    only: Option<Stream>,
    form: Form,
}

/// Reads the words after `logs`.
pub(super) fn options(words: &[String]) -> Result<LogOptions, Failed> {
    let (mut lines, mut names, mut follow, mut only, mut form) =
        (None, Vec::new(), true, None, Form::Prefixed);
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let (option, value) = match word.split_once('=') {
            Some((option, value)) if word.starts_with("--") => (option, Some(value)),
            _ => (word.as_str(), None),
        };
        match option {
            "--lines" | "--line" => {
                let number = value.or_else(|| words.next().map(String::as_str));
                let number = number.and_then(|number| number.parse().ok());
                lines = Some(number.ok_or_else(|| Failed("--lines needs a number".to_owned()))?);
            }
            "--nostream" => follow = false,
            "--out" => only = Some(Stream::Stdout),
            "--err" => only = Some(Stream::Stderr),
            "--raw" => form = Form::Raw,
            "--json" => form = Form::Json,
            // The times are foster's in any case.
            "--timestamp" | "--format" => form = Form::Timestamped,
            "--highlight" => {
                words.next_if(|next| value.is_none() && !next.starts_with('-'));
            }
            option if option.starts_with('-') => {}
            name => names.push(name.to_owned()),
        }
    }
    // PM2's objects are those of new lines.
    let lines = lines.unwrap_or(if form == Form::Json && follow { 0 } else { LINES });
    Ok(LogOptions { names, lines, follow, only, form })
}

impl LogOptions {
    /// The text of a line, or of a piece of it, with its end; `None`: it is not asked for.
    pub(super) fn shown(&self, line: &LogLine, app: Option<&App>, is_continued: bool) -> Option<String> {
        if self.only.is_some_and(|only| only != line.stream) {
            return None;
        }
        let is_json = self.form == Form::Json;
        let text = if is_continued && !is_json { line.text.clone() } else { self.formatted(line, app) };
        Some(if line.more && !is_json { text } else { text + "\n" })
    }

    fn formatted(&self, line: &LogLine, app: Option<&App>) -> String {
        let prefix = app.map_or_else(String::new, |app| format!("{}|{} | ", app.id, app.name));
        match self.form {
            Form::Raw => line.text.clone(),
            Form::Prefixed => format!("{prefix}{}", line.text),
            Form::Timestamped => format!("{prefix}{}: {}", line.ts, line.text),
            Form::Json => json!({
                "message": line.text,
                "timestamp": line.ts,
                "type": if line.stream == Stream::Stderr { "err" } else { "out" },
                "process_id": app.map(|app| app.id),
                "app_name": app.map(|app| app.name.as_str()),
            })
            .to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> LogOptions {
        options(&words.split_whitespace().map(str::to_owned).collect::<Vec<_>>()).expect(words)
    }

    fn shown(
        options: &LogOptions,
        stream: Stream,
        text: &str,
        more: bool,
        is_continued: bool,
    ) -> Option<String> {
        let (ts, name, text) = ("2026-01-01T00:00:00Z".to_owned(), "web".to_owned(), text.to_owned());
        options.shown(&LogLine { ts, name, stream, text, more, unfinished: false }, None, is_continued)
    }

    #[test]
    fn the_options_are_pm2s() {
        let plain = of("web");
        assert_eq!((plain.lines, plain.follow, plain.names), (15, true, vec!["web".to_owned()]));
        let own = of("--lines 3 --nostream --raw --highlight word 0");
        assert_eq!((own.lines, own.follow, own.names), (3, false, vec!["0".to_owned()]));
        assert_eq!((of("--json").lines, of("--json --lines=2").lines), (0, 2));
        assert!(options(&["--lines".to_owned(), "many".to_owned()]).is_err());
    }

    #[test]
    fn a_line_in_pieces_is_one_line() {
        let (plain, raw) = (of("--err"), of("--raw"));
        assert_eq!(shown(&plain, Stream::Stdout, "x", false, false), None);
        assert_eq!(shown(&plain, Stream::Stderr, "x", false, false).as_deref(), Some("x\n"));
        assert_eq!(shown(&raw, Stream::Stdout, "x", true, false).as_deref(), Some("x"));
        assert_eq!(shown(&raw, Stream::Stdout, "y", false, true).as_deref(), Some("y\n"));
        let json = shown(&of("--json"), Stream::Stderr, "x", true, false).expect("a line");
        assert!(json.contains(r#""type":"err""#) && json.ends_with('\n'), "{json}");
    }
}
