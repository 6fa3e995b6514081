//! The rows of `status` as lines of its table.
//!
//! The columns and their widths are in `cli/format.rs`.

use std::time::Duration;

use crate::cli::format::{self, Colour, Line, Style};
use crate::control::protocol::{Kind, State, StatusRow};

/// The rows as a table; `before`: those of the table before this one.
pub(super) fn text(rows: &[StatusRow], before: &[StatusRow], colour: Colour, width: Option<usize>) -> String {
    format::table(&rows.iter().map(|row| line(row, before)).collect::<Vec<_>>(), colour, width)
}

/// Whether it runs or has exited with success.
pub(super) fn is_well(state: State) -> bool {
    match state {
        State::Starting
        | State::Running
        | State::Unhealthy
        | State::Exited
        | State::Succeeded
        | State::Idle
        | State::Paused => true,
        State::Waiting | State::Stopping | State::Stopped | State::Backoff | State::Fatal | State::Failed => {
            false
        }
    }
}

/// The name of a state and its severity.
pub(super) fn state(state: State) -> (&'static str, Style) {
    match state {
        State::Running => ("running", Style::Good),
        State::Waiting => ("waiting", Style::Busy),
        State::Starting => ("starting", Style::Busy),
        State::Stopping => ("stopping", Style::Busy),
        State::Backoff => ("backoff", Style::Busy),
        State::Unhealthy => ("unhealthy", Style::Bad),
        State::Fatal => ("fatal", Style::Bad),
        State::Failed => ("failed", Style::Bad),
        State::Stopped => ("stopped", Style::Quiet),
        State::Exited => ("exited", Style::Quiet),
        State::Succeeded => ("succeeded", Style::Quiet),
        State::Idle => ("idle", Style::Quiet),
        State::Paused => ("paused", Style::Quiet),
    }
}

fn line(row: &StatusRow, before: &[StatusRow]) -> Line {
    let (state, style) = state(row.state);
    Line {
        name: row.label.clone(),
        state,
        style,
        ready: (row.kind != Kind::Job).then_some(row.ready),
        pid: row.pid,
        uptime: row.uptime_ms.map(Duration::from_millis),
        restarts: row.restarts,
        cpu: cpu(row, before),
        memory: row.memory_bytes,
        note: row.note.clone(),
    }
}

/// The part of a CPU that its processes use, in tenths of a percent: since the row of the same process in the table before,
/// otherwise since its start, as ps(1) shows it.
fn cpu(row: &StatusRow, before: &[StatusRow]) -> Option<u64> {
    let (used, uptime) = (row.cpu_ms?, row.uptime_ms?);
    let same = |other: &&StatusRow| (&other.label, other.pid) == (&row.label, row.pid);
    let first = before.iter().find(same);
    let (used_before, uptime_before) =
        first.and_then(|first| Some((first.cpu_ms?, first.uptime_ms?))).unwrap_or_default();
    // A process that has ended takes its time with it, unless its parent waits for it.
    let used = used.saturating_sub(used_before).saturating_mul(1000);
    used.checked_div(uptime.saturating_sub(uptime_before))
}
