//! Prints the answers of the supervisor: as text when they arrive, or as JSON.
//!
//! The verb's row in `cli/commands.rs` names the format. Each function takes an answer and returns the exit status. An
//! answer is an iterator, so that a test can build one.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{ClientIo, Failure, ask_within, table};
use crate::cli::format;
use crate::cli::verb::{Printer, Verb};
use crate::cli::{Candidate, ClientCommand, Output};
use crate::control::client::{ClientError, Patience};
use crate::control::protocol::{
    Change, ChangeKind, Event, LogLine, Names, Outcome, Problem, Reply, Request, StatusRow, Verdict, Width,
};
use crate::exit::ExitStatus;

/// An answer, as it arrives.
type Replies<'a> = &'a mut dyn Iterator<Item = Result<Reply, ClientError>>;

/// Prints the answer to this verb's request and returns the exit status.
pub(super) fn print(
    verb: &Verb,
    command: &ClientCommand,
    mut answer: impl Iterator<Item = Result<Reply, ClientError>>,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let names = command.request.names();
    let status = match (verb.answer, command.output) {
        (Printer::Table, output) => print_status(names, output, &mut answer, client),
        (Printer::Outcomes(_) | Printer::Run, Output::Text) => {
            print_outcomes(command, names, &mut answer, client)
        }
        (Printer::Failures(_), Output::Text) => print_failures(&mut answer, client),
        (Printer::Outcomes(field) | Printer::Failures(field), Output::Json) => {
            print_verdict(field, command, names, &mut answer, client)
        }
        (Printer::Run, Output::Json) => print_verdict("done", command, names, &mut answer, client),
        (Printer::Update, output) => print_update(output, &mut answer, client),
        (Printer::Output, _) => print_logs(command, names, &mut answer, client),
        (Printer::Events, output) => print_events(output, &mut answer, client),
        // `top` shows its answers itself.
        (Printer::Screen | Printer::Nothing, _) => Ok(ExitStatus::DONE),
    };
    let status = match (&command.request, status) {
        // The supervisor may exit before it has sent the end of its answer.
        (Request::Shutdown {}, Err(Failure::Client(ClientError::Lost(_)))) => ExitStatus::DONE,
        (_, status) => status?,
    };
    client.out.flush().map_err(Failure::Print)?;
    Ok(status)
}

fn print_status(
    names: &[String],
    output: Output,
    answer: Replies<'_>,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let mut rows = Vec::new();
    for reply in answer {
        if let Reply::Row(row) = reply? {
            rows.push(row);
        }
    }
    let page = match output {
        Output::Text => table::text(&rows, &client.before, client.colour, client.width),
        Output::Json => array(&rows),
    };
    client.out.write_all(page.as_bytes()).map_err(Failure::Print)?;
    // `all` does not name a particular program.
    let named = names.iter().any(|name| name != "all");
    let missing = rows.iter().any(|row| (row.wanted || named) && !table::is_well(row.state));
    client.before = rows;
    Ok(if missing { ExitStatus::NOT_RUNNING } else { ExitStatus::DONE })
}

/// The timeout of completion, so that the tab key does not hang. A supervisor answers in a millisecond.
const COMPLETION_TIMEOUT: Duration = Duration::from_millis(500);

/// Every NAME that the supervisor at one of these sockets knows, with its state.
pub(super) fn names(sockets: &[PathBuf]) -> Option<Vec<Candidate>> {
    let all = Request::Status(Names { names: Vec::new() });
    let mut names = Vec::new();
    for reply in ask_within(sockets, &all, Patience::For(COMPLETION_TIMEOUT)).ok()? {
        let Reply::Row(row) = reply.ok()? else { continue };
        if row.instances > 1 && row.instance == Some(0) {
            names.push(Candidate::new(&row.name, "all instances"));
        }
        names.push(Candidate::new(&row.label, table::state(row.state).0));
    }
    names.push(Candidate::new("all", "every program"));
    Some(names)
}

/// A line for each outcome, as soon as it is known; of a run that is followed, the output before it.
fn print_outcomes(
    command: &ClientCommand,
    names: &[String],
    answer: Replies<'_>,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let mut status = ExitStatus::DONE;
    let mut lines = LinePrinter::new(command, names);
    for reply in answer {
        let reply = reply?;
        lines.print(&reply, client)?;
        if let Reply::Outcome(outcome) = reply {
            if outcome.verdict == Verdict::Failed {
                status = failure(&outcome);
            }
            print_line(&render(&outcome), client)?;
        }
    }
    Ok(status)
}

/// The exit status for an outcome that failed: that of its run where the supervisor tells it.
fn failure(outcome: &Outcome) -> ExitStatus {
    outcome.exit_status.filter(|status| *status != 0).map_or(ExitStatus::FAILED, ExitStatus)
}

/// The outcome for each program; or the errors of the configuration, in the format of the start.
fn print_update(
    output: Output,
    answer: Replies<'_>,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut problems: Vec<String> = Vec::new();
    let mut changes: Vec<Change> = Vec::new();
    let mut refused = None;
    for reply in answer {
        match (reply, output) {
            (Ok(Reply::Outcome(outcome)), Output::Text) => {
                print_line(&render(&outcome), client)?;
                outcomes.push(outcome);
            }
            (Ok(Reply::Problem(Problem { text })), Output::Text) => {
                // If stderr cannot be written to, there is no other place to report to.
                let _ = writeln!(client.err, "{}", format::harmless(&text));
            }
            (Ok(Reply::Outcome(outcome)), Output::Json) => outcomes.push(outcome),
            (Ok(Reply::Problem(Problem { text })), Output::Json) => problems.push(text),
            (Ok(Reply::Change(change)), _) => changes.push(change),
            (Ok(note @ Reply::Note(_)), output) => drop(print_aside(&note, output, client)?),
            (
                Ok(
                    Reply::Row(_)
                    | Reply::Line(_)
                    | Reply::Width(_)
                    | Reply::Event(_)
                    | Reply::Missed(_)
                    | Reply::Context(_)
                    | Reply::End {}
                    | Reply::Error(_),
                ),
                _,
            ) => {}
            (Err(error), _) => refused = Some(error),
        }
    }
    // A row that is not there is not printed: an update has none, a dry run one for each instance.
    let is_dry = !changes.is_empty();
    let updated = refused.is_none() && !is_dry;
    let good = refused.is_none() && outcomes.iter().all(|outcome| outcome.verdict == Verdict::Ok);
    if output == Output::Json {
        let (outcomes, problems) = (json(&outcomes), json(&problems));
        let changes = if is_dry { format!(",\"changes\":{}", json(&changes)) } else { String::new() };
        print_line(
            &format!("{{\"updated\":{updated},\"outcomes\":{outcomes},\"problems\":{problems}{changes}}}"),
            client,
        )?;
    } else if is_dry {
        print_changes(&changes, client)?;
    }
    match refused {
        Some(error) => Err(error.into()),
        None => Ok(if good { ExitStatus::DONE } else { ExitStatus::FAILED }),
    }
}

/// What an update would do: a line for each program that would change, and the number of the others.
fn print_changes(changes: &[Change], client: &mut ClientIo<'_>) -> Result<(), Failure> {
    let (same, different): (Vec<&Change>, Vec<&Change>) = changes
        .iter()
        .filter(|change| change.instance.unwrap_or(0) == 0)
        .partition(|change| change.change == ChangeKind::Unchanged);
    for change in different {
        let what = match change.change {
            ChangeKind::Added if change.autostart => "would be added and started",
            ChangeKind::Added => "would be added, and not started",
            ChangeKind::Removed => "would be stopped and removed",
            ChangeKind::Changed if change.restarts => "would be restarted: ",
            ChangeKind::Changed | ChangeKind::Unchanged => "would change without a restart: ",
        };
        print_line(&format::harmless(&format!("{}: {what}{}", change.name, change.keys.join(", "))), client)?;
    }
    match same.len() {
        0 => Ok(()),
        1 => print_line("foster: 1 program unchanged", client),
        count => print_line(&format!("foster: {count} programs unchanged"), client),
    }
}

/// Only the outcomes that failed.
fn print_failures(answer: Replies<'_>, client: &mut ClientIo<'_>) -> Result<ExitStatus, Failure> {
    let mut status = ExitStatus::DONE;
    for reply in answer {
        if let Reply::Outcome(outcome) = reply?
            && outcome.verdict == Verdict::Failed
        {
            status = ExitStatus::FAILED;
            print_line(&render(&outcome), client)?;
        }
    }
    Ok(status)
}

/// All outcomes as one object, in which `field` says whether all succeeded.
fn print_verdict(
    field: &str,
    command: &ClientCommand,
    names: &[String],
    answer: Replies<'_>,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut lines = LinePrinter::new(command, names);
    for reply in answer {
        let reply = reply?;
        lines.print(&reply, client)?;
        if let Reply::Outcome(outcome) = reply {
            outcomes.push(outcome);
        }
    }
    let failed = outcomes.iter().find(|outcome| outcome.verdict == Verdict::Failed);
    let (good, status) = (failed.is_none(), failed.map_or(ExitStatus::DONE, failure));
    print_line(&format!("{{\"{field}\":{good},\"outcomes\":{}}}", json(&outcomes)), client)?;
    Ok(status)
}

/// Lines of output, as programs wrote them. With a single name on the command line, lines have no prefix.
fn print_logs(
    command: &ClientCommand,
    names: &[String],
    answer: Replies<'_>,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let mut lines = LinePrinter::new(command, names);
    for reply in answer {
        lines.print(&reply?, client)?;
    }
    Ok(ExitStatus::DONE)
}

/// Prints lines of output, which arrive in pieces.
struct LinePrinter<'a> {
    command: &'a ClientCommand,
    names: &'a [String],
    start: String,
    width: usize,
}

impl LinePrinter<'_> {
    fn new<'a>(command: &'a ClientCommand, names: &'a [String]) -> LinePrinter<'a> {
        LinePrinter { command, names, start: String::new(), width: 0 }
    }

    /// Prints what the reply completes.
    fn print(&mut self, reply: &Reply, client: &mut ClientIo<'_>) -> Result<(), Failure> {
        self.width = print_aside(reply, self.command.output, client)?.unwrap_or(self.width);
        let Reply::Line(piece) = reply else { return Ok(()) };
        self.start += &piece.text;
        if piece.more {
            return Ok(());
        }
        let line = LogLine { text: std::mem::take(&mut self.start), ..piece.clone() };
        print_line(&self.text(&line), client)
    }

    fn text(&mut self, line: &LogLine) -> String {
        if self.command.output == Output::Json {
            return json(line);
        }
        let time = match self.command.timestamps {
            true => format!("{}  ", format::time(&line.ts)),
            false => String::new(),
        };
        let mark = if line.unfinished { " [line not ended]" } else { "" };
        let text = format!("{}{mark}", line.text);
        if self.names == [line.name.as_str()] {
            return format!("{time}{text}");
        }
        self.width = self.width.max(line.name.chars().count());
        format!("{time}{:width$} | {text}", line.name, width = self.width)
    }
}

fn print_events(
    output: Output,
    answer: Replies<'_>,
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let mut width = 0;
    for reply in answer {
        let reply = reply?;
        width = print_aside(&reply, output, client)?.unwrap_or(width);
        let Reply::Event(event) = reply else { continue };
        let text = match output {
            Output::Json => event.object(),
            Output::Text => {
                let (name, message) = split_name(&event);
                let name = (name, width);
                format::event(
                    event.text("ts"),
                    name,
                    event.text("event"),
                    event.text("level"),
                    message,
                    client.colour,
                )
            }
        };
        print_line(&text, client)?;
    }
    Ok(ExitStatus::DONE)
}

/// Splits an event's sentence into the name at its start, which has a column, and the rest.
fn split_name(event: &Event) -> (&str, &str) {
    let (program, sentence) = (event.text("program"), event.text("msg"));
    let instance = |label: &str| label.strip_prefix(program).is_some_and(|rest| rest.starts_with('.'));
    match sentence.split_once(": ") {
        Some((label, rest)) if label == program || instance(label) => (label, rest),
        Some(_) | None => (program, sentence),
    }
}

/// Handles replies between lines: prints gaps and notes, returns the width of names.
fn print_aside(reply: &Reply, output: Output, client: &mut ClientIo<'_>) -> Result<Option<usize>, Failure> {
    let missed = match reply {
        Reply::Missed(missed) => missed,
        Reply::Width(Width { width }) => return Ok(Some(*width)),
        Reply::Note(note) => {
            // On stderr, so that it is not taken for one of the lines.
            client.out.flush().map_err(Failure::Print)?;
            let _ = writeln!(client.err, "foster: {}", format::harmless(&note.text));
            return Ok(None);
        }
        Reply::Row(_)
        | Reply::Outcome(_)
        | Reply::Line(_)
        | Reply::Event(_)
        | Reply::Context(_)
        | Reply::Problem(_)
        | Reply::Change(_)
        | Reply::End {}
        | Reply::Error(_) => return Ok(None),
    };
    match output {
        Output::Json => {
            let gap = serde_json::json!({ "event": "missed", "name": missed.name, "count": missed.count });
            print_line(&gap.to_string(), client)?;
        }
        Output::Text => {
            let what = match (&missed.name, missed.count) {
                (Some(name), None) => format!("lines of {name}"),
                (Some(name), Some(count)) => format!("{count} lines of {name}"),
                (None, None) => "events".to_owned(),
                (None, Some(count)) => format!("{count} events"),
            };
            // On stderr, so that it is not taken for one of the lines; the flush keeps the order.
            client.out.flush().map_err(Failure::Print)?;
            let _ = writeln!(client.err, "foster: {what} are missing here: the client read too slowly");
        }
    }
    Ok(None)
}

fn render(outcome: &Outcome) -> String {
    format::harmless(&format!("{}: {}", outcome.name, outcome.message))
}

/// Each line is flushed: the rest of an order may take long.
fn print_line(line: &str, client: &mut ClientIo<'_>) -> Result<(), Failure> {
    let written = writeln!(client.out, "{line}").and_then(|()| client.out.flush());
    written.map_err(Failure::Print)
}

/// One element per line, for diff and grep.
fn array(rows: &[StatusRow]) -> String {
    let rows: Vec<String> = rows.iter().map(|row| format!("  {}", json(row))).collect();
    if rows.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", rows.join(",\n")) }
}

/// The types of the protocol can always be serialized: all keys of their maps are text.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
