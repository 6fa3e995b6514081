//! Answers of the supervisor, printed: for people as they come, for machines as JSON.
//!
//! Each function takes an answer and gives what the verb ends with. An answer is an iterator here, so that
//! a test can make one up.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::{Failure, Surroundings};
use crate::cli::completions::Candidate;
use crate::cli::format::{self, Line, Mood};
use crate::cli::{Ask, Output, Question};
use crate::control::client::{self, ClientError, Patience};
use crate::control::protocol::{
    Event, LogLine, Names, Outcome, Problem, Reply, Request, State, StatusRow, Verdict, Width,
};
use crate::exit::ExitStatus;

/// An answer, as it comes.
type Replies<'a> = &'a mut dyn Iterator<Item = Result<Reply, ClientError>>;

/// Prints an answer to this question; gives what the verb is to end with.
pub(super) fn print(
    ask: &Ask,
    mut answer: impl Iterator<Item = Result<Reply, ClientError>>,
    around: &mut Surroundings<'_>,
) -> Result<ExitStatus, Failure> {
    let status = match &ask.question {
        Question::Status { names } => print_status(names, ask.output, &mut answer, around),
        Question::Order { .. } | Question::Signal { .. } => print_outcomes(&mut answer, around),
        Question::Update { .. } => print_update(ask.output, &mut answer, around),
        Question::Wait { .. } => match ask.output {
            Output::Text => print_outcomes(&mut answer, around),
            Output::Json => print_verdict("ready", &mut answer, around),
        },
        Question::Health { .. } => match ask.output {
            Output::Text => print_failures(&mut answer, around),
            Output::Json => print_verdict("healthy", &mut answer, around),
        },
        Question::Logs { names, .. } => print_logs(names, ask.output, &mut answer, around),
        Question::Events { .. } => print_events(ask.output, &mut answer, around),
        // Nothing is printed where a command takes over.
        Question::Exec { .. } => Ok(ExitStatus::DONE),
        // The supervisor may be gone before it is thanked for that.
        Question::Shutdown => or_ended(print_outcomes(&mut answer, around)),
    }?;
    around.out.flush().map_err(Failure::Print)?;
    Ok(status)
}

/// Where the end of the supervisor is an end of the answer like another, it is no failure.
fn or_ended(done: Result<ExitStatus, Failure>) -> Result<ExitStatus, Failure> {
    if let Err(Failure::Client(ClientError::Lost(_))) = done { Ok(ExitStatus::DONE) } else { done }
}

fn print_status(
    names: &[String],
    output: Output,
    answer: Replies<'_>,
    around: &mut Surroundings<'_>,
) -> Result<ExitStatus, Failure> {
    let mut rows = Vec::new();
    for reply in answer {
        if let Reply::Row(row) = reply? {
            rows.push(row);
        }
    }
    let page = match output {
        Output::Text => format::table(&rows.iter().map(shown).collect::<Vec<_>>(), around.colour),
        Output::Json => array(&rows),
    };
    around.out.write_all(page.as_bytes()).map_err(Failure::Print)?;
    // `all` is nobody by name.
    let named = names.iter().any(|name| name != "all");
    let missing = rows.iter().any(|row| (row.wanted || named) && !is_well(row.state));
    Ok(if missing { ExitStatus::NOT_RUNNING } else { ExitStatus::DONE })
}

/// How long somebody who pressed a key waits for the names: a supervisor that answers takes a millisecond.
const WHILE_TYPING: Duration = Duration::from_millis(500);

/// Every NAME that the supervisor at this socket knows, with how it stands.
pub(super) fn names(socket: &Path) -> Option<Vec<Candidate>> {
    let everybody = Request::Status(Names { names: Vec::new() });
    let mut names = Vec::new();
    for reply in client::ask(socket, &everybody, Patience::For(WHILE_TYPING)).ok()? {
        let Reply::Row(row) = reply.ok()? else { continue };
        if row.instances > 1 && row.instance == 0 {
            names.push(Candidate::new(&row.name, "all its instances"));
        }
        names.push(Candidate::new(row.label(), shown(&row).state));
    }
    names.push(Candidate::new("all", "everybody"));
    Some(names)
}

/// Whether it runs, or has done what it was to do.
fn is_well(state: State) -> bool {
    match state {
        State::Starting
        | State::Running
        | State::Unhealthy
        | State::Exited
        | State::Succeeded
        | State::Idle => true,
        State::Waiting | State::Stopping | State::Stopped | State::Backoff | State::Fatal | State::Failed => {
            false
        }
    }
}

fn shown(row: &StatusRow) -> Line {
    let (state, mood) = match row.state {
        State::Running => ("running", Mood::Good),
        State::Waiting => ("waiting", Mood::Busy),
        State::Starting => ("starting", Mood::Busy),
        State::Stopping => ("stopping", Mood::Busy),
        State::Backoff => ("backoff", Mood::Busy),
        State::Unhealthy => ("unhealthy", Mood::Bad),
        State::Fatal => ("fatal", Mood::Bad),
        State::Failed => ("failed", Mood::Bad),
        State::Stopped => ("stopped", Mood::Quiet),
        State::Exited => ("exited", Mood::Quiet),
        State::Succeeded => ("succeeded", Mood::Quiet),
        State::Idle => ("idle", Mood::Quiet),
    };
    Line {
        name: row.label(),
        state,
        mood,
        ready: row.ready,
        pid: row.pid,
        uptime: row.uptime_ms.map(Duration::from_millis),
        restarts: row.restarts,
        memory: row.memory_bytes,
        note: row.note.clone(),
    }
}

/// Each outcome when it is known, one a line.
fn print_outcomes(answer: Replies<'_>, around: &mut Surroundings<'_>) -> Result<ExitStatus, Failure> {
    let mut status = ExitStatus::DONE;
    for reply in answer {
        if let Reply::Outcome(outcome) = reply? {
            if outcome.verdict == Verdict::Failed {
                status = ExitStatus::FAILED;
            }
            print_line(&in_words(&outcome), around)?;
        }
    }
    Ok(status)
}

/// What became of each program; or where the configuration has a mistake, the report, as at the start.
fn print_update(
    output: Output,
    answer: Replies<'_>,
    around: &mut Surroundings<'_>,
) -> Result<ExitStatus, Failure> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    let mut refused = None;
    for reply in answer {
        match (reply, output) {
            (Ok(Reply::Outcome(outcome)), Output::Text) => {
                print_line(&in_words(&outcome), around)?;
                outcomes.push(outcome);
            }
            (Ok(Reply::Problem(Problem { text })), Output::Text) => {
                // Nobody is left to be told if stderr does not take it.
                let _ = writeln!(around.err, "{}", format::harmless(&text));
            }
            (Ok(Reply::Outcome(outcome)), Output::Json) => outcomes.push(outcome),
            (Ok(Reply::Problem(Problem { text })), Output::Json) => problems.push(text),
            (
                Ok(
                    Reply::Row(_)
                    | Reply::Line(_)
                    | Reply::Width(_)
                    | Reply::Event(_)
                    | Reply::Missed(_)
                    | Reply::Part(_)
                    | Reply::End {}
                    | Reply::Error(_),
                ),
                _,
            ) => {}
            (Err(error), _) => refused = Some(error),
        }
    }
    let updated = refused.is_none();
    let good = updated && outcomes.iter().all(|outcome| outcome.verdict == Verdict::Ok);
    if output == Output::Json {
        let (outcomes, problems) = (json(&outcomes), json(&problems));
        print_line(
            &format!("{{\"updated\":{updated},\"outcomes\":{outcomes},\"problems\":{problems}}}"),
            around,
        )?;
    }
    match refused {
        Some(error) => Err(error.into()),
        None => Ok(if good { ExitStatus::DONE } else { ExitStatus::FAILED }),
    }
}

/// Only what is not as asked.
fn print_failures(answer: Replies<'_>, around: &mut Surroundings<'_>) -> Result<ExitStatus, Failure> {
    let mut status = ExitStatus::DONE;
    for reply in answer {
        if let Reply::Outcome(outcome) = reply?
            && outcome.verdict == Verdict::Failed
        {
            status = ExitStatus::FAILED;
            print_line(&in_words(&outcome), around)?;
        }
    }
    Ok(status)
}

/// All outcomes as one object, with one word on all of them.
fn print_verdict(
    word: &str,
    answer: Replies<'_>,
    around: &mut Surroundings<'_>,
) -> Result<ExitStatus, Failure> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for reply in answer {
        if let Reply::Outcome(outcome) = reply? {
            outcomes.push(outcome);
        }
    }
    let good = outcomes.iter().all(|outcome| outcome.verdict == Verdict::Ok);
    print_line(&format!("{{\"{word}\":{good},\"outcomes\":{}}}", json(&outcomes)), around)?;
    Ok(if good { ExitStatus::DONE } else { ExitStatus::FAILED })
}

/// Lines of output, as programs wrote them. Where only one name was asked for, it is not repeated.
fn print_logs(
    names: &[String],
    output: Output,
    answer: Replies<'_>,
    around: &mut Surroundings<'_>,
) -> Result<ExitStatus, Failure> {
    let mut begun = String::new();
    let mut width = 0;
    for reply in answer {
        let reply = reply?;
        width = print_aside(&reply, output, around)?.unwrap_or(width);
        let Reply::Line(piece) = reply else { continue };
        begun += &piece.text;
        if piece.more {
            continue;
        }
        let line = LogLine { text: std::mem::take(&mut begun), ..piece };
        let text = match output {
            Output::Json => json(&line),
            Output::Text if names == [line.name.as_str()] => line.text,
            Output::Text => {
                width = width.max(line.name.chars().count());
                format!("{:width$} | {}", line.name, line.text)
            }
        };
        print_line(&text, around)?;
    }
    Ok(ExitStatus::DONE)
}

fn print_events(
    output: Output,
    answer: Replies<'_>,
    around: &mut Surroundings<'_>,
) -> Result<ExitStatus, Failure> {
    let mut width = 0;
    for reply in answer {
        let reply = reply?;
        width = print_aside(&reply, output, around)?.unwrap_or(width);
        let Reply::Event(event) = reply else { continue };
        let text = match output {
            Output::Json => event.object(),
            Output::Text => {
                let (name, message) = in_columns(&event);
                let name = (name, width);
                format::event(
                    event.text("ts"),
                    name,
                    event.text("event"),
                    event.text("level"),
                    message,
                    around.colour,
                )
            }
        };
        print_line(&text, around)?;
    }
    Ok(ExitStatus::DONE)
}

/// The name that an event's sentence begins with, for a column of its own, and the rest of it.
fn in_columns(event: &Event) -> (&str, &str) {
    let (program, sentence) = (event.text("program"), event.text("msg"));
    let instance = |label: &str| label.strip_prefix(program).is_some_and(|rest| rest.starts_with('.'));
    match sentence.split_once(": ") {
        Some((label, rest)) if label == program || instance(label) => (label, rest),
        Some(_) | None => (program, sentence),
    }
}

/// What comes between lines: a gap is told; the width of names is for who prints them.
fn print_aside(
    reply: &Reply,
    output: Output,
    around: &mut Surroundings<'_>,
) -> Result<Option<usize>, Failure> {
    let missed = match reply {
        Reply::Missed(missed) => missed,
        Reply::Width(Width { width }) => return Ok(Some(*width)),
        Reply::Row(_)
        | Reply::Outcome(_)
        | Reply::Line(_)
        | Reply::Event(_)
        | Reply::Part(_)
        | Reply::Problem(_)
        | Reply::End {}
        | Reply::Error(_) => return Ok(None),
    };
    match output {
        Output::Json => {
            let gap = serde_json::json!({ "event": "missed", "name": missed.name, "count": missed.count });
            print_line(&gap.to_string(), around)?;
        }
        Output::Text => {
            let what = match (&missed.name, missed.count) {
                (Some(name), None) => format!("lines of {name}"),
                (Some(name), Some(count)) => format!("{count} lines of {name}"),
                (None, None) => "events".to_owned(),
                (None, Some(count)) => format!("{count} events"),
            };
            // In its place among the others, and never taken for one of them.
            around.out.flush().map_err(Failure::Print)?;
            let _ = writeln!(around.err, "foster: {what} are missing here: they were read too slowly");
        }
    }
    Ok(None)
}

fn in_words(outcome: &Outcome) -> String {
    format::harmless(&format!("{}: {}", outcome.name, outcome.message))
}

/// A line at a time reaches its reader when it is there: an order may take long.
fn print_line(line: &str, around: &mut Surroundings<'_>) -> Result<(), Failure> {
    let written = writeln!(around.out, "{line}").and_then(|()| around.out.flush());
    written.map_err(Failure::Print)
}

/// One element a line: good for people, diff and grep too.
fn array(rows: &[StatusRow]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("  {}", json(row))).collect();
    if rows.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", rows.join(",\n")) }
}

/// The wire's types always can be written: they have no maps with keys that are not text.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
