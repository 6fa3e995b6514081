//! The output of processes, and foster's own log: read, tailed, cleared; and the input of a process.
//!
//! foster keeps the last lines of each program and its own last events; files are not read, since the helper may not. What
//! supervisord says of a file holds of these lines.

use super::orders::{outcome, status};
use super::processes::{Process, State, all, one};
use super::script::{Script, Stop};
use super::value::Value;
use super::{
    BAD_ARGUMENTS, Context, FAILED, INCORRECT_PARAMETERS, NO_FILE, NOT_RUNNING, Params, bare_fault, fault,
};
use crate::control::protocol::{Event, Events, Input, Logs, Names, Outcome, Reply, Request, Stream, Verdict};

/// A stream by supervisord's name.
pub(crate) fn channel(name: &str) -> Option<Stream> {
    match name {
        "stdout" => Some(Stream::Stdout),
        "stderr" => Some(Stream::Stderr),
        _ => None,
    }
}

/// The text of a stream in these replies.
pub(crate) fn kept_text(replies: &[Reply], wanted: Stream) -> String {
    let mut text = String::new();
    for reply in replies {
        if let Reply::Line(line) = reply
            && line.stream == wanted
        {
            text.push_str(&line.text);
            if !line.more && !line.unfinished {
                text.push('\n');
            }
        }
    }
    text
}

/// A line of foster's own log, as supervisord writes it: `2026-11-29 11:05:00,123 INFO …`.
pub(crate) fn log_line(event: &Event) -> String {
    let ts = event.text("ts");
    let (day, time) = (ts.get(..10).unwrap_or(""), ts.get(11..19).unwrap_or(""));
    let millis = ts.get(20..23).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let level = match event.text("level") {
        "error" => "ERRO",
        "warn" => "WARN",
        "debug" => "DEBG",
        "trace" => "TRAC",
        _ => "INFO",
    };
    format!("{day} {time},{} {level} {}\n", millis.unwrap_or("000"), event.text("msg"))
}

/// foster's own log, as far as it is kept.
pub(crate) fn main_log(replies: &[Reply]) -> String {
    replies
        .iter()
        .map(|reply| if let Reply::Event(event) = reply { log_line(event) } else { String::new() })
        .collect()
}

fn main_text(script: &mut Script) -> Result<String, Stop> {
    Ok(main_log(script.need(Request::Events(Events::default()))?))
}

fn text_of(script: &mut Script, process: &Process, stream: Stream) -> Result<String, Stop> {
    let names = vec![process.row.label.clone()];
    let logs = Logs { names, lines: None, since_ms: None, follow: false };
    let replies = script.need(Request::Logs(logs))?;
    let text = kept_text(replies, stream);
    // The note says that foster keeps no output of it.
    if text.is_empty() && replies.iter().any(|reply| matches!(reply, Reply::Note(_))) {
        return Err(fault(NO_FILE, &process.namespec()));
    }
    Ok(text)
}

/// A part of a text, by bytes; a character that is cut is replaced.
fn part(text: &str, from: i64, length: Option<i64>) -> String {
    let bytes = text.as_bytes();
    let from = usize::try_from(from).unwrap_or(usize::MAX).min(bytes.len());
    let rest = bytes.get(from..).unwrap_or_default();
    let length = length.and_then(|length| usize::try_from(length).ok()).unwrap_or(rest.len()).min(rest.len());
    String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned()
}

fn size(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

/// A negative offset is that many bytes before the end.
fn read(text: &str, offset: i64, length: i64) -> Result<Value, Stop> {
    if length < 0 || offset < 0 && length != 0 {
        return Err(bare_fault(BAD_ARGUMENTS));
    }
    let from = if offset < 0 { size(text).saturating_add(offset).max(0) } else { offset };
    Ok(Value::Text(part(text, from, (length > 0).then_some(length))))
}

/// supervisord's rule for a client that reads what is new since `offset`.
fn tail(text: &str, offset: i64, length: i64) -> Value {
    let size = size(text);
    let (mut offset, mut length) = (offset, length);
    let overflow = size > offset.saturating_add(length);
    if overflow {
        offset = size - 1;
    }
    if offset.saturating_add(length) > size {
        if offset > size - 1 {
            length = 0;
        }
        offset = size.saturating_sub(length);
    }
    let text = part(text, offset.max(0), Some(length.max(0)));
    Value::Array(vec![Value::Text(text), Value::int(size), Value::Bool(overflow)])
}

fn read_stream(script: &mut Script, params: &Params<'_>, stream: Stream) -> Result<Value, Stop> {
    let (offset, length) = (params.int(1)?, params.int(2)?);
    let process = one(all(script)?, params.text(0)?)?;
    read(&text_of(script, &process, stream)?, offset, length)
}

fn tail_stream(script: &mut Script, params: &Params<'_>, stream: Stream) -> Result<Value, Stop> {
    let (offset, length) = (params.int(1)?, params.int(2)?);
    let process = one(all(script)?, params.text(0)?)?;
    match text_of(script, &process, stream) {
        Ok(text) => Ok(tail(&text, offset, length)),
        // Without a file there is nothing new.
        Err(Stop::Fault(..)) => Ok(tail("", 0, 0)),
        Err(ask @ Stop::Ask(_)) => Err(ask),
    }
}

pub(super) fn read_stdout(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    read_stream(script, params, Stream::Stdout)
}

pub(super) fn read_stderr(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    read_stream(script, params, Stream::Stderr)
}

pub(super) fn tail_stdout(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    tail_stream(script, params, Stream::Stdout)
}

pub(super) fn tail_stderr(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    tail_stream(script, params, Stream::Stderr)
}

pub(super) fn read_main(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let (offset, length) = (params.int(0)?, params.int(1)?);
    read(&main_text(script)?, offset, length)
}

pub(super) fn clear(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let (name, processes) = (params.text(0)?, all(script)?);
    let process = one(processes, name)?;
    let replies = script.need(Request::Clear(Names { names: vec![process.row.label.clone()] }))?;
    match failed(replies, &process) {
        Some(_) => Err(fault(FAILED, name)),
        None => Ok(Value::Bool(true)),
    }
}

pub(super) fn clear_all(_: Context<'_>, script: &mut Script, _: &Params<'_>) -> Result<Value, Stop> {
    let processes = all(script)?;
    let replies = script.need(Request::Clear(Names { names: Vec::new() }))?;
    let cleared = |process: &Process| {
        let failure = failed(replies, process).map(|_| fault(FAILED, &process.namespec()));
        status(process, failure)
    };
    Ok(Value::Array(processes.iter().map(cleared).collect()))
}

fn failed<'r>(replies: &'r [Reply], process: &Process) -> Option<&'r Outcome> {
    outcome(replies, process).filter(|outcome| outcome.verdict == Verdict::Failed)
}

/// foster's own log is in no file that could be cleared.
pub(super) fn clear_main(_: Context<'_>, _: &mut Script, _: &Params<'_>) -> Result<Value, Stop> {
    Err(bare_fault(NO_FILE))
}

pub(super) fn send_stdin(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let name = params.text(0)?;
    let text = params.text(1).map(str::to_owned).map_err(|refused| match params.int(1) {
        Ok(number) => fault(INCORRECT_PARAMETERS, &number.to_string()),
        Err(_) => refused,
    })?;
    let process = one(all(script)?, name)?;
    if process.row.pid.is_none() || process.state == State::Stopping {
        return Err(fault(NOT_RUNNING, name));
    }
    let input = Input { name: process.row.label, text };
    match script.ask(Request::Input(input))? {
        Ok(_) => Ok(Value::Bool(true)),
        Err(_) => Err(fault(NO_FILE, name)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    #[test]
    fn an_event_is_a_line_of_supervisords_log() {
        let event = json!({ "ts": "2026-11-29T11:05:00.123456Z", "level": "warn", "msg": "web: exited" });
        let Json::Object(fields) = event else { panic!("no object") };
        assert_eq!(log_line(&Event(fields)), "2026-11-29 11:05:00,123 WARN web: exited\n");
        assert_eq!(log_line(&Event(serde_json::Map::new())), " ,000 INFO \n");
    }

    #[test]
    fn a_part_is_read_by_supervisords_rules() {
        let text = |offset, length| read("0123456789", offset, length).unwrap();
        for (offset, length, expected) in [
            (0, 0, "0123456789"),
            (0, 3, "012"),
            (8, 5, "89"),
            (20, 5, ""),
            (-3, 0, "789"),
            (-30, 0, "0123456789"),
            (i64::from(i32::MAX), 1, ""),
        ] {
            assert_eq!(text(offset, length), Value::text(expected), "{offset} {length}");
        }
        for (offset, length) in [(-1, 1), (0, -1), (i64::MIN, -1)] {
            assert!(read("0123456789", offset, length).is_err(), "{offset} {length}");
        }
        assert_eq!(read("é", 1, 1).unwrap(), Value::text("\u{fffd}"));
    }

    #[test]
    fn a_tail_is_read_by_supervisords_rules() {
        for (offset, length, text, overflow) in [
            (0, 10, "0123456789", false),
            (0, 5, "56789", true),
            (4, 6, "456789", false),
            (10, 5, "", false),
            (0, 0, "", true),
        ] {
            let expected = Value::Array(vec![Value::text(text), Value::Int(10), Value::Bool(overflow)]);
            assert_eq!(tail("0123456789", offset, length), expected, "{offset} {length}");
        }
        assert_eq!(tail("", 0, 5), Value::Array(vec![Value::text(""), Value::Int(0), Value::Bool(false)]));
        let _ = (tail("x", i64::MAX, i64::MAX), tail("x", i64::MIN, i64::MIN));
    }
}
