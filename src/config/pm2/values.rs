//! The keys of an app by PM2's names for them, and their values as PM2 reads them.
//!
//! PM2 takes several spellings of most keys, and numbers as texts. A key that foster has no use for is in the table here, with
//! what to say of it.

use super::super::diagnostics::Diagnostics;
use super::super::phrase::quoted;
use super::super::span::Span;
use super::ignored;
use crate::yaml::{Node, Value};

/// What foster does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    /// It is read.
    Read,
    /// Nothing, because it is about PM2's own work.
    None,
    /// No value: a mistake, which is reported.
    Ignored(&'static str),
}

const APM: Use = Use::Ignored("foster sends nothing to PM2's monitoring");

/// Each key, its other names in lower case with `_`, and what is done with it.
const KEYS: [(&str, &[&str], Use); 65] = [
    ("script", &["exec", "cmd", "command"], Use::Read),
    ("name", &[], Use::Read),
    ("namespace", &[], Use::Read),
    ("args", &[], Use::Read),
    ("interpreter", &["exec_interpreter"], Use::Read),
    ("node_args", &["interpreter_args"], Use::Read),
    ("cwd", &[], Use::Read),
    ("env", &[], Use::Read),
    ("port", &[], Use::Read),
    ("filter_env", &[], Use::Read),
    ("instances", &[], Use::Read),
    ("exec_mode", &[], Use::Read),
    ("increment_var", &[], Use::Read),
    ("instance_var", &[], Use::Read),
    ("autostart", &[], Use::Read),
    ("autorestart", &[], Use::Read),
    ("stop_exit_codes", &[], Use::Read),
    ("max_restarts", &[], Use::Read),
    ("min_uptime", &[], Use::Read),
    ("restart_delay", &[], Use::Read),
    ("exp_backoff_restart_delay", &[], Use::Read),
    ("max_memory_restart", &[], Use::Read),
    ("cron_restart", &["cron"], Use::Read),
    ("kill_timeout", &[], Use::Read),
    ("treekill", &[], Use::Read),
    ("wait_ready", &[], Use::Read),
    ("listen_timeout", &[], Use::Read),
    ("out_file", &["out", "output", "out_log"], Use::Read),
    ("error_file", &["error", "err", "err_file", "err_log"], Use::Read),
    ("log_file", &["log"], Use::Read),
    ("disable_logs", &[], Use::Read),
    ("merge_logs", &["combine_logs"], Use::Read),
    ("log_date_format", &[], Use::Read),
    ("time", &[], Use::Read),
    ("uid", &["user"], Use::Read),
    ("gid", &[], Use::Read),
    ("watch", &[], Use::Read),
    ("append_env_to_name", &[], Use::Read),
    ("ignore_watch", &[], Use::None),
    ("watch_delay", &[], Use::None),
    ("watch_options", &[], Use::None),
    ("kill_retry_time", &[], Use::None),
    ("windows_hide", &[], Use::None),
    ("username", &[], Use::None),
    ("force", &[], Use::None),
    ("vizion", &[], Use::None),
    ("pmx", &[], Use::None),
    ("automation", &[], Use::None),
    ("disable_trace", &[], Use::None),
    ("source_map_support", &[], Use::None),
    ("disable_source_map_support", &[], Use::None),
    ("install_url", &[], Use::None),
    ("post_update", &[], Use::None),
    ("write", &[], Use::None),
    ("execute_command", &[], Use::None),
    ("trace", &[], APM),
    ("v8", &[], APM),
    ("event_loop_inspector", &[], APM),
    ("deep_monitoring", &[], APM),
    ("io", &[], APM),
    ("pid_file", &["pid"], Use::Ignored("no file is written; `pm2 pid NAME` prints the process ID")),
    ("log_type", &[], Use::Ignored("`pm2-runtime --json` makes every line JSON")),
    ("name_prefix", &[], Use::Ignored("write the whole name")),
    ("shutdown_with_message", &[], Use::Ignored("the app gets its stop signal, SIGINT")),
    (
        "env_file",
        &[],
        Use::Ignored("PM2 does not know it either; `node_args: \"--env-file=.env\"` reads one"),
    ),
];

/// A key of an app, by PM2's first name for it.
pub(super) struct Setting<'n> {
    name: &'static str,
    /// As it is written.
    pub(super) key: &'n str,
    /// The place of the key.
    pub(super) key_span: Span,
    /// Its value.
    pub(super) node: &'n Node,
    /// The place of the value.
    pub(super) span: Span,
}

/// `killTimeout` as `kill_timeout`.
fn snake_case(key: &str) -> String {
    let mut text = String::new();
    for char in key.chars() {
        if char.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(char.to_ascii_lowercase());
    }
    text
}

/// The keys of an app, and the variables of each environment: `env_production` is `("production", …)`.
pub(super) struct Values<'a, 'n> {
    pub(super) diagnostics: &'a mut Diagnostics,
    settings: Vec<Setting<'n>>,
    environments: Vec<(&'n str, &'n Node)>,
}

impl<'a, 'n> Values<'a, 'n> {
    pub(super) fn of(app: &'n Node, file: usize, diagnostics: &'a mut Diagnostics) -> Values<'a, 'n> {
        let mut values = Values { diagnostics, settings: Vec::new(), environments: Vec::new() };
        for (key, node) in app.entries() {
            let key_span = Span { file, start: key.place.start, end: key.place.end };
            let plain = snake_case(&key.text);
            let known =
                KEYS.iter().find(|(name, others, _)| *name == plain || others.contains(&plain.as_str()));
            match known {
                Some((name, _, Use::Read)) if !node.is_null() => {
                    let span = Span { file, start: node.place.start, end: node.place.end };
                    values.settings.push(Setting { name, key: &key.text, key_span, node, span });
                }
                Some((_, _, Use::Ignored(why))) if !is_off(node) => {
                    ignored(values.diagnostics, key_span, &key.text, why);
                }
                Some(_) => {}
                None => match key.text.strip_prefix("env_") {
                    Some(name) => values.environments.push((name, node)),
                    None => {
                        let message = format!("unknown key {} of an app", quoted(&key.text));
                        values.diagnostics.warn(key_span, format!("{message}: it has no effect, as in PM2"));
                    }
                },
            }
        }
        values
    }

    /// The variables of `env_NAME`.
    pub(super) fn environment(&self, name: &str) -> Option<&'n Node> {
        self.environments.iter().find(|(known, _)| *known == name).map(|(_, node)| *node)
    }

    /// A key by PM2's first name for it, with its place in the list.
    pub(super) fn get(&self, name: &str) -> Option<&Setting<'n>> {
        // Of several spellings the first name counts, as in PM2.
        let all = || self.settings.iter().filter(|setting| setting.name == name);
        all().find(|setting| setting.key == name).or_else(|| all().next())
    }

    /// Reports a value that is not valid.
    pub(super) fn refuse(&mut self, name: &str, expected: &str) {
        let Some(Setting { key, node, span, .. }) = self.get(name) else { return };
        let shown = match &node.value {
            Value::Plain(text) | Value::Quoted(text) => quoted(text),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "an object".to_owned(),
        };
        let (message, span) = (format!("`{key}` cannot be {shown}"), *span);
        self.diagnostics.error(span, message, format!("expected {expected}"));
    }

    /// A text, or a number as one.
    pub(super) fn text(&mut self, name: &str) -> Option<(String, Span)> {
        let setting = self.get(name)?;
        let (text, span) = (setting.node.text().map(str::to_owned), setting.span);
        if text.is_none() {
            self.refuse(name, "a text");
        }
        Some((text?, span))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Option<(bool, Span)> {
        let setting = self.get(name)?;
        let (value, span) = (setting.node.text().and_then(|text| text.parse().ok()), setting.span);
        if value.is_none() {
            self.refuse(name, "`true` or `false`");
        }
        Some((value?, span))
    }

    /// Whether a key is `true`.
    pub(super) fn is_on(&mut self, name: &str) -> bool {
        self.boolean(name).is_some_and(|(value, _)| value)
    }

    /// A whole number of at least this; a fraction is cut off.
    pub(super) fn number(&mut self, name: &str, least: i64, expected: &str) -> Option<(i64, Span)> {
        let setting = self.get(name)?;
        let (number, span) = (setting.node.text().and_then(whole), setting.span);
        let number = number.filter(|number| *number >= least);
        if number.is_none() {
            self.refuse(name, expected);
        }
        Some((number?, span))
    }

    /// Milliseconds, or a number with `h`, `m` or `s`.
    pub(super) fn milliseconds(&mut self, name: &str) -> Option<(i64, Span)> {
        let setting = self.get(name)?;
        let (text, span) = (setting.node.text().unwrap_or_default(), setting.span);
        let units = [("h", 3_600_000), ("m", 60_000), ("s", 1000)];
        let unit = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
        let (digits, factor) = unit.unwrap_or((text, 1));
        let number =
            whole(digits).filter(|number| *number >= 0).and_then(|number| number.checked_mul(factor));
        if number.is_none() {
            self.refuse(name, "milliseconds, or a text such as `10s`");
        }
        Some((number?, span))
    }

    /// A list, or a text that is split at spaces outside quotes.
    pub(super) fn list(&mut self, name: &str) -> Vec<(String, Span)> {
        let Some(setting) = self.get(name) else { return Vec::new() };
        let (node, span) = (setting.node, setting.span);
        match &node.value {
            Value::Quoted(text) | Value::Plain(text) => {
                split(text).into_iter().map(|word| (word, span)).collect()
            }
            Value::List(items) => {
                let words = items.iter().map(|item| {
                    let place = Span { start: item.place.start, end: item.place.end, ..span };
                    Some((item.text()?.to_owned(), place))
                });
                let words: Option<Vec<_>> = words.collect();
                if words.is_none() {
                    self.refuse(name, "a list of texts");
                }
                words.unwrap_or_default()
            }
            Value::Map(_) => {
                self.refuse(name, "a list, or a text");
                Vec::new()
            }
        }
    }
}

/// A number without its fraction.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the cast saturates, and the range is checked where it matters"
)]
pub(super) fn whole(text: &str) -> Option<i64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite()).map(|number| number.trunc() as i64)
}

fn is_off(node: &Node) -> bool {
    node.is_null() || node.text() == Some("false")
}

/// As PM2 splits `args`: at spaces; quotes around a whole word are taken off, and a backslash means nothing.
fn split(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for char in text.chars().chain([' ']) {
        match quote {
            None if char.is_whitespace() => {
                let bare = ['"', '\'']
                    .iter()
                    .find_map(|quote| word.strip_prefix(*quote)?.strip_suffix(*quote).map(str::to_owned));
                let bare = bare.unwrap_or(std::mem::take(&mut word));
                words.extend((!bare.trim().is_empty()).then_some(bare));
                word.clear();
                continue;
            }
            None if matches!(char, '"' | '\'') => quote = Some(char),
            Some(open) if open == char => quote = None,
            None | Some(_) => {}
        }
        word.push(char);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_arguments_is_split_as_pm2_splits_it() {
        for (text, words) in [
            ("", vec![]),
            ("a  b", vec!["a", "b"]),
            ("\"a b\" 'c d'", vec!["a b", "c d"]),
            ("--x=\"a b\" -y", vec!["--x=\"a b\"", "-y"]),
            ("\"\" a\\ b", vec!["a\\", "b"]),
        ] {
            assert_eq!(split(text), words, "{text}");
        }
    }

    #[test]
    fn no_key_has_two_meanings() {
        let names: Vec<&str> = KEYS
            .iter()
            .flat_map(|(name, others, _)| [*name].into_iter().chain(others.iter().copied()))
            .collect();
        for (index, name) in names.iter().enumerate() {
            assert!(!names.iter().skip(index + 1).any(|other| other == name), "{name}");
        }
    }
}
