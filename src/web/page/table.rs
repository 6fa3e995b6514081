//! The tables of programs, tasks and jobs, and the sentence about all of them.
//!
//! Pure: rows of the supervisor in, markup out. A narrow page shows each row as a card (`style.css`).

use super::super::html::{Html, printable, query};
use super::super::units::{duration, size};
use crate::control::protocol::{Health, Kind, State, StatusRow};
use crate::xmlrpc::processes::label;

/// How all of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Summary {
    wanted: usize,
    /// Those that have failed, or are unhealthy.
    bad: usize,
    /// Those that are on their way.
    soon: usize,
}

impl Summary {
    pub(super) fn of(rows: &[StatusRow]) -> Summary {
        let count = |colour| rows.iter().filter(|row| row.wanted && Colour::of(row) == colour).count();
        let wanted = rows.iter().filter(|row| row.wanted).count();
        Summary { wanted, bad: count(Colour::Bad), soon: count(Colour::Soon) }
    }

    pub(super) fn class(self) -> &'static str {
        match (self.bad, self.soon) {
            (0, 0) if self.wanted == 0 => "off",
            (0, 0) => "good",
            (0, _) => "soon",
            (_, _) => "bad",
        }
    }

    /// For the title of the page.
    pub(super) fn short(self) -> String {
        match (self.bad, self.soon) {
            (0, 0) => format!("{} up", self.wanted),
            (0, soon) => format!("{soon} of {} not up yet", self.wanted),
            (bad, _) => format!("{bad} of {} failed", self.wanted),
        }
    }

    pub(super) fn text(self) -> String {
        let wanted = self.wanted;
        match (self.bad, self.soon) {
            (0, 0) if wanted == 0 => "Nothing is to run".to_owned(),
            (0, 0) if wanted == 1 => "1 is up".to_owned(),
            (0, 0) => format!("All {wanted} are up"),
            (0, soon) => format!("{soon} of {wanted} not up yet"),
            (bad, 0) => format!("{bad} of {wanted} failed"),
            (bad, soon) => format!("{bad} of {wanted} failed, {soon} not up yet"),
        }
    }
}

/// What a state means for who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colour {
    Good,
    Soon,
    Bad,
    Off,
}

impl Colour {
    fn of(row: &StatusRow) -> Colour {
        match row.state {
            State::Running | State::Succeeded | State::Idle => Colour::Good,
            State::Waiting | State::Starting | State::Stopping => Colour::Soon,
            State::Unhealthy | State::Backoff | State::Fatal | State::Failed => Colour::Bad,
            State::Stopped | State::Exited | State::Paused => Colour::Off,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Colour::Good => "good",
            Colour::Soon => "soon",
            Colour::Bad => "bad",
            Colour::Off => "off",
        }
    }
}

pub(super) fn word(state: State) -> &'static str {
    match state {
        State::Waiting => "waiting",
        State::Starting => "starting",
        State::Running => "running",
        State::Unhealthy => "unhealthy",
        State::Stopping => "stopping",
        State::Stopped => "stopped",
        State::Backoff => "backoff",
        State::Exited => "exited",
        State::Fatal => "fatal",
        State::Succeeded => "succeeded",
        State::Failed => "failed",
        State::Idle => "idle",
        State::Paused => "paused",
    }
}

const KINDS: [(Kind, &str); 3] = [(Kind::Program, "Programs"), (Kind::Task, "Tasks"), (Kind::Job, "Jobs")];

const COLUMNS: [&str; 8] = ["Name", "State", "Uptime", "PID", "CPU", "Memory", "Restarts", "Note"];

/// Writes a table for each kind that there is. The roles are given, since a narrow page shows rows as blocks.
pub(super) fn write(html: &mut Html, rows: &[StatusRow], control: bool) {
    for (kind, heading) in KINDS {
        let rows: Vec<&StatusRow> = rows.iter().filter(|row| row.kind == kind).collect();
        if rows.is_empty() {
            continue;
        }
        html.raw("<table role=\"table\"><caption>").raw(heading).raw("</caption>");
        html.raw("<thead role=\"rowgroup\"><tr role=\"row\">");
        for name in COLUMNS {
            html.raw("<th role=\"columnheader\" scope=\"col\">").raw(name).raw("</th>");
        }
        html.raw(if control {
            "<th role=\"columnheader\" scope=\"col\"><span class=\"unseen\">Orders</span></th>"
        } else {
            ""
        });
        html.raw("</tr></thead><tbody role=\"rowgroup\">");
        rows.iter().for_each(|row| write_row(html, row, control));
        html.raw("</tbody></table>");
    }
}

fn write_row(html: &mut Html, row: &StatusRow, control: bool) {
    let name = label(row);
    html.raw("<tr role=\"row\" data-row=\"").text(name).raw("\">");
    html.raw("<th role=\"rowheader\" scope=\"row\" class=\"name\"><a href=\"log?name=")
        .text(query(&row.label));
    html.raw("\" title=\"Its output\">").text(name).raw("</a></th>");
    html.raw("<td role=\"cell\" class=\"state\"><span class=\"").raw(Colour::of(row).class()).raw("\">");
    html.raw(word(row.state)).raw("</span>");
    html.raw(match row.health {
        Some(Health::Healthy) => "<small>healthy</small>",
        Some(Health::Unhealthy) | None => "",
    });
    html.raw("</td>");
    let uptime = row.uptime_ms.map(duration);
    cell(html, "Uptime", uptime.as_deref(), row.uptime_ms.map(|ms| ("uptime", ms)));
    cell(html, "PID", row.pid.map(|pid| pid.to_string()).as_deref(), None);
    let cpu = row.cpu_ms.map(duration);
    cell(html, "CPU", cpu.as_deref(), row.cpu_ms.map(|ms| ("cpu", ms)));
    cell(html, "Memory", row.memory_bytes.map(size).as_deref(), None);
    let restarts = row.restarts.to_string();
    cell(html, "Restarts", Some(&restarts).filter(|_| row.restarts > 0).map(String::as_str), None);
    html.raw("<td role=\"cell\" class=\"note\">").text(printable(row.note.as_deref().unwrap_or_default()));
    html.raw("</td>");
    if control {
        html.raw("<td role=\"cell\" class=\"orders\"><form method=\"post\" action=\"order\">");
        html.raw("<input type=\"hidden\" name=\"name\" value=\"").text(&row.label).raw("\">");
        for (verb, words) in buttons(row) {
            html.raw("<button name=\"verb\" value=\"").raw(verb).raw("\" aria-label=\"").raw(words);
            html.raw(" ").text(name).raw("\">").raw(words).raw("</button>");
        }
        html.raw("</form></td>");
    }
    html.raw("</tr>");
}

/// A cell with a figure; the script continues one that has a value.
fn cell(html: &mut Html, name: &'static str, text: Option<&str>, value: Option<(&'static str, u64)>) {
    html.raw("<td role=\"cell\" class=\"figure\" data-name=\"").raw(name).raw("\"");
    if let Some((kind, value)) = value {
        html.raw(" data-").raw(kind).raw("=\"").text(value.to_string()).raw("\"");
    }
    html.raw(">").text(text.unwrap_or_default()).raw("</td>");
}

/// The orders that make sense in a state.
fn buttons(row: &StatusRow) -> &'static [(&'static str, &'static str)] {
    match (row.kind, row.state) {
        (_, State::Stopping) => &[],
        (Kind::Job, State::Idle) => &[("run", "Run"), ("stop", "Pause")],
        (Kind::Job, State::Paused | State::Stopped) => &[("run", "Run"), ("start", "Resume")],
        (Kind::Task | Kind::Job, State::Running | State::Waiting | State::Starting | State::Backoff) => {
            &[("stop", "Stop")]
        }
        (
            Kind::Program,
            State::Waiting | State::Starting | State::Running | State::Unhealthy | State::Backoff,
        ) => &[("restart", "Restart"), ("stop", "Stop")],
        (Kind::Program, _) => &[("start", "Start")],
        (Kind::Task, _) => &[("start", "Run")],
        (Kind::Job, _) => &[("run", "Run")],
    }
}
