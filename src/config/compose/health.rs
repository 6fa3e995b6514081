//! `healthcheck`: the same as a probe of foster's, which needs no `curl` in the image.
//!
//! Docker restarts nothing that is unhealthy, and neither does the probe. Where another service waits for this one to be
//! healthy, the probe is its `ready` as well.

use super::super::front_end::{DEFAULT, list, set, text};
use super::super::shell::plain_words;
use super::super::table::{Kind, Table};
use super::Context;
use crate::yaml::{Node, Value};

/// Docker's interval, timeout and number of failures.
const INTERVAL: &str = "30s";
const TIMEOUT: &str = "30s";
const RETRIES: i64 = 3;

/// The tables `ready` (where another service waits for it) and `health`.
pub(super) fn read(context: &mut Context<'_, '_>, node: &Node, is_waited_for: bool, table: &mut Table) {
    let is_off = node.get("disable").and_then(Node::text).is_some_and(|text| text == "true");
    let Some(test) = node.get("test").filter(|_| !is_off) else { return };
    let Some(probe) = probe(context, test) else { return };
    let is_exec = probe.0 == "exec";
    let span = context.span(test);
    let given = |name: &str, default: &str| {
        let written = node.get(name).and_then(Node::text).unwrap_or(default).to_owned();
        (written, node.get(name).map_or(DEFAULT, |node| context.span(node)))
    };
    let (interval, timeout) = (given("interval", INTERVAL), given("timeout", TIMEOUT));
    let (retries, start_period) = (given("retries", "3"), given("start_period", "0s"));
    let retries_number = retries.0.parse::<i64>().unwrap_or(RETRIES);
    if is_waited_for {
        let mut ready = Table::default();
        set(&mut ready, &probe.0, probe.1.clone(), span);
        if is_exec {
            set(&mut ready, "interval", text("1s"), DEFAULT);
        }
        // Docker calls it unhealthy then, and does not start the others.
        let seconds = |time: &str| humantime::parse_duration(time).map_or(0, |time| time.as_secs());
        let attempts = u64::try_from(retries_number).unwrap_or(1);
        let most = seconds(&start_period.0).saturating_add(seconds(&interval.0).saturating_mul(attempts));
        if most > 60 {
            set(&mut ready, "timeout", text(&format!("{most}s")), start_period.1);
        }
        set(table, "ready", Kind::Table(ready), span);
    }
    let mut health = Table::default();
    set(&mut health, &probe.0, probe.1, span);
    for (name, (written, span), default) in [("interval", interval, "10s"), ("timeout", timeout, "3s")] {
        if written != default {
            set(&mut health, name, text(&written), span);
        }
    }
    if retries_number != RETRIES {
        set(&mut health, "failures", Kind::Integer(retries_number), retries.1);
    }
    if !is_waited_for && start_period.0 != "0s" {
        set(&mut health, "start_period", text(&start_period.0), start_period.1);
    }
    set(&mut health, "action", text("none"), DEFAULT);
    set(table, "health", Kind::Table(health), span);
}

/// The kind of a probe and its value.
fn probe(context: &mut Context<'_, '_>, test: &Node) -> Option<(String, Kind)> {
    let span = context.span(test);
    let words = match &test.value {
        Value::List(items) => {
            let mut words: Vec<String> =
                items.iter().filter_map(|item| item.text().map(str::to_owned)).collect();
            if words.is_empty() {
                context.refuse(test, "test", "`[\"CMD\", \"…\"]` or a shell command");
                return None;
            }
            match words.remove(0).as_str() {
                "NONE" => return None,
                "CMD" => words,
                "CMD-SHELL" => shell(&words.join(" ")),
                _ => {
                    context.refuse(test, "test", "`CMD`, `CMD-SHELL` or `NONE` as the first word");
                    return None;
                }
            }
        }
        Value::Plain(command) | Value::Quoted(command) => shell(command),
        Value::Map(_) => {
            context.refuse(test, "test", "a list or a shell command");
            return None;
        }
    };
    let kind = simple(&words).map(|(kind, target)| (kind.to_owned(), text(&target)));
    let words: Vec<String> = words.iter().map(|word| super::expanded(context, word, span)).collect();
    Some(kind.unwrap_or_else(|| ("exec".to_owned(), list(&words, span))))
}

fn shell(command: &str) -> Vec<String> {
    let command = command.trim();
    let bare = command.strip_suffix("|| exit 1").unwrap_or(command).trim();
    plain_words(bare).unwrap_or_else(|| ["sh", "-c", command].map(str::to_owned).to_vec())
}

/// What `curl`, `wget` and `nc` look at, where foster looks at it itself.
fn simple(words: &[String]) -> Option<(&'static str, String)> {
    let (program, arguments) = words.split_first()?;
    let (flags, targets): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|word| word.starts_with('-'));
    let known: &[&str] = match program.rsplit('/').next()? {
        "curl" => &[
            "-f",
            "--fail",
            "-s",
            "--silent",
            "-S",
            "--show-error",
            "-fsS",
            "-sf",
            "-fs",
            "-sS",
            "-fss",
            "-sSf",
        ],
        "wget" => &["-q", "--quiet", "--spider", "-nv", "--no-verbose", "-qO-", "--tries=1"],
        "nc" => &["-z"],
        _ => return None,
    };
    if !flags.iter().all(|flag| known.contains(&flag.as_str())) {
        return None;
    }
    let is_local = |host: &str| matches!(host, "localhost" | "127.0.0.1");
    if program.ends_with("nc") {
        let [host, port] = targets.as_slice() else { return None };
        return (is_local(host) && port.parse::<u16>().is_ok()).then(|| ("tcp", format!("127.0.0.1:{port}")));
    }
    let [url] = targets.as_slice() else { return None };
    let address = url.strip_prefix("http://").unwrap_or(url);
    let (host, path) = address.split_once('/').map_or((address, ""), |(host, path)| (host, path));
    let (host, port) = host.split_once(':').unwrap_or((host, "80"));
    let is_plain = is_local(host) && port.parse::<u16>().is_ok() && !path.contains('$');
    is_plain.then(|| ("http", format!("http://127.0.0.1:{port}/{path}")))
}
