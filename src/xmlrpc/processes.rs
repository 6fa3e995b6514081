//! The processes as supervisord names and describes them. Pure.
//!
//! The rows of the supervisor have the name `group:process`. foster's states are others; the last event of an instance tells
//! those apart that supervisord has two words for.

use foster_core::sorted::sort_by_key;

use super::script::{Script, Stop};
use super::value::Value;
use super::{BAD_NAME, fault};
use crate::control::protocol::{self, Events, Exit, Names, Reply, Request, StatusRow};
use foster_core::action::StateName;

/// A process.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Process {
    pub(crate) group: String,
    pub(crate) name: String,
    /// foster's row of it.
    pub(crate) row: StatusRow,
    /// Its state in supervisord's words.
    pub(crate) state: State,
}

/// A state in supervisord's words, with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Stopped = 0,
    Starting = 10,
    Running = 20,
    Backoff = 30,
    Stopping = 40,
    Exited = 100,
    Fatal = 200,
}

impl State {
    fn of(state: protocol::State) -> State {
        match state {
            protocol::State::Stopped | protocol::State::Paused | protocol::State::Idle => State::Stopped,
            protocol::State::Waiting | protocol::State::Starting => State::Starting,
            protocol::State::Running | protocol::State::Unhealthy => State::Running,
            protocol::State::Stopping => State::Stopping,
            protocol::State::Backoff => State::Backoff,
            protocol::State::Exited | protocol::State::Succeeded => State::Exited,
            protocol::State::Fatal | protocol::State::Failed => State::Fatal,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Stopped => "STOPPED",
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::Backoff => "BACKOFF",
            State::Stopping => "STOPPING",
            State::Exited => "EXITED",
            State::Fatal => "FATAL",
        }
    }

    /// Whether it can be stopped, and not started.
    pub(crate) fn is_up(self) -> bool {
        matches!(self, State::Running | State::Backoff | State::Starting)
    }

    /// Whether it can get a signal.
    pub(crate) fn is_signallable(self) -> bool {
        matches!(self, State::Running | State::Starting | State::Stopping)
    }
}

/// The rows that clients see.
pub(crate) fn shown_rows(script: &mut Script) -> Result<Vec<StatusRow>, Stop> {
    let replies = script.need(Request::Status(Names { names: Vec::new() }))?;
    let rows =
        replies.iter().filter_map(|reply| if let Reply::Row(row) = reply { Some(row.clone()) } else { None });
    let mut rows: Vec<StatusRow> = rows.collect();
    // Where programs have names of supervisord's, foster's own ones are not for its clients.
    if rows.iter().any(|row| row.namespec.is_some()) {
        rows.retain(|row| row.namespec.is_some());
    }
    Ok(rows)
}

/// What a row is called: as supervisord calls it, where it has such a name.
pub(crate) fn label(row: &StatusRow) -> &str {
    match row.namespec.as_deref().map(|namespec| (namespec, namespec.split_once(':'))) {
        Some((_, Some((group, name)))) if group == name => name,
        Some((namespec, _)) => namespec,
        None => &row.label,
    }
}

/// Every process, by group and name.
pub(crate) fn all(script: &mut Script) -> Result<Vec<Process>, Stop> {
    let mut processes: Vec<Process> = shown_rows(script)?.into_iter().map(process).collect();
    if processes.iter().any(|process| process.state == State::Fatal) {
        let events = Events { states: vec![StateName::Fatal], ..Events::default() };
        let events = script.need(Request::Events(events))?;
        for process in processes.iter_mut().filter(|process| process.state == State::Fatal) {
            // One that failed after it had been up, and is not to be restarted, is fatal for foster alone.
            if !has_given_up(events, &process.row) {
                process.state = State::Exited;
            }
        }
    }
    sort_by_key(&mut processes, |process| (process.group.clone(), process.name.clone()));
    Ok(processes)
}

pub(super) fn process(row: StatusRow) -> Process {
    let namespec = row.namespec.as_deref().unwrap_or(&row.label);
    let (group, name) = namespec.split_once(':').unwrap_or((namespec, namespec));
    Process { group: group.to_owned(), name: name.to_owned(), state: State::of(row.state), row }
}

/// Whether too many starts in a row had failed, according to the last event about it.
fn has_given_up(events: &[Reply], row: &StatusRow) -> bool {
    let instance = row.instance.map(u64::from);
    let events =
        events.iter().filter_map(|reply| if let Reply::Event(event) = reply { Some(event) } else { None });
    let is_own = |event: &protocol::Event| {
        let of = event.0.get("instance").and_then(serde_json::Value::as_u64);
        event.text("program") == row.name && of == instance
    };
    let own = events.rev().find(|event| is_own(event));
    own.is_none_or(|event| event.0.contains_key("failures"))
}

/// What a name means.
pub(crate) enum Chosen {
    /// `group:*` or `group:`.
    Group(Vec<Process>),
    /// A process.
    One(Box<Process>),
}

/// The processes of a group.
pub(crate) fn group(processes: Vec<Process>, name: &str) -> Result<Vec<Process>, Stop> {
    let members: Vec<Process> = processes.into_iter().filter(|process| process.group == name).collect();
    if members.is_empty() { Err(fault(BAD_NAME, name)) } else { Ok(members) }
}

/// Resolves `process`, `group:process`, `group:*` or `group:`.
pub(crate) fn choose(processes: Vec<Process>, name: &str) -> Result<Chosen, Stop> {
    let (of, process) = name.split_once(':').unwrap_or((name, name));
    if name.contains(':') && matches!(process, "" | "*") {
        return group(processes, of).map(Chosen::Group).map_err(|_| fault(BAD_NAME, name));
    }
    let found = processes.into_iter().find(|known| known.group == of && known.name == process);
    found.map(|process| Chosen::One(Box::new(process))).ok_or_else(|| fault(BAD_NAME, name))
}

/// A process that is named alone.
pub(crate) fn one(processes: Vec<Process>, name: &str) -> Result<Process, Stop> {
    match choose(processes, name)? {
        Chosen::One(process) => Ok(*process),
        Chosen::Group(_) => Err(fault(BAD_NAME, name)),
    }
}

impl Process {
    /// `group:process`, or `process` where both are the same.
    pub(crate) fn namespec(&self) -> String {
        if self.group == self.name { self.name.clone() } else { format!("{}:{}", self.group, self.name) }
    }

    /// When it was started last, and when it ended last, in seconds of Unix time; 0: never.
    fn times(&self, now: i64) -> (i64, i64) {
        let StatusRow { uptime_ms, last_start, duration_ms, .. } = &self.row;
        let seconds = |ms: u64| i64::try_from(ms / 1000).unwrap_or(i64::MAX);
        let last = last_start.as_deref().and_then(unix_seconds).unwrap_or(0);
        let start = uptime_ms.map_or(last, |uptime| now.saturating_sub(seconds(uptime)));
        let stop = if last == 0 { 0 } else { last.saturating_add(seconds(duration_ms.unwrap_or(0))) };
        (start, stop)
    }

    /// The text beside the state.
    pub(crate) fn description(&self, now: i64) -> String {
        match self.state {
            State::Running => {
                let uptime = self.row.uptime_ms.unwrap_or(0) / 1000;
                format!("pid {}, uptime {}", self.row.pid.unwrap_or(0), duration(uptime))
            }
            State::Backoff | State::Fatal => {
                let unknown = || format!("unknown error (try \"tail {}\")", self.name);
                self.row.note.clone().unwrap_or_else(unknown)
            }
            State::Stopped | State::Exited => match self.times(now) {
                (0, _) => "Not started".to_owned(),
                (_, stop) => date(stop),
            },
            State::Starting | State::Stopping => String::new(),
        }
    }

    /// What `getProcessInfo` returns; the paths are those of its log files.
    pub(crate) fn info(&self, now: i64) -> Value {
        let (start, stop) = self.times(now);
        // An end before `startsecs` has no status there.
        let is_end = self.row.pid.is_none() && matches!(self.state, State::Stopped | State::Exited);
        let exit = match &self.row.exit {
            Some(Exit::Code { code }) if is_end => i64::from(*code),
            Some(Exit::Signal { .. }) if is_end => -1,
            Some(_) | None => 0,
        };
        let has_failed = matches!(self.state, State::Backoff | State::Fatal);
        let failure = if has_failed { self.description(now) } else { String::new() };
        Value::of(vec![
            ("name", Value::text(&*self.name)),
            ("group", Value::text(&*self.group)),
            ("start", Value::int(start)),
            ("stop", Value::int(stop)),
            ("now", Value::int(now)),
            ("state", Value::int(self.state as i64)),
            ("statename", Value::text(self.state.word())),
            ("spawnerr", Value::Text(failure)),
            ("exitstatus", Value::int(exit)),
            ("logfile", Value::text("")),
            ("stdout_logfile", Value::text("")),
            ("stderr_logfile", Value::text("")),
            ("pid", Value::int(self.row.pid.unwrap_or(0).into())),
            ("description", Value::Text(self.description(now))),
        ])
    }
}

/// As Python prints a `timedelta`.
fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let time = format!("{}:{:02}:{:02}", rest / 3600, rest % 3600 / 60, rest % 60);
    match days {
        0 => time,
        1 => format!("1 day, {time}"),
        days => format!("{days} days, {time}"),
    }
}

/// Seconds of Unix time out of `2026-11-29T23:59:00.1Z`.
fn unix_seconds(ts: &str) -> Option<i64> {
    let number = |from: usize, to: usize| ts.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    // The days of the civil calendar, with years that begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// `Nov 29 11:05 PM`, in UTC.
fn date(unix: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let (days, rest) = (unix.div_euclid(86_400) + 719_468, unix.rem_euclid(86_400));
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (year * 365 + year / 4 - year / 100);
    let month = (of_year * 5 + 2) / 153;
    let day = of_year - (month * 153 + 2) / 5 + 1;
    let (hour, minute) = (rest / 3600, rest % 3600 / 60);
    let name = usize::try_from(month).ok().and_then(|month| MONTHS.get(month)).copied().unwrap_or_default();
    let half = if hour < 12 { "AM" } else { "PM" };
    format!("{name} {day:02} {:02}:{minute:02} {half}", (hour + 11) % 12 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_printed() {
        for (ts, unix, printed) in [
            ("1970-01-01T00:00:00Z", 0, "Jan 01 12:00 AM"),
            ("2000-02-29T12:05:59.5Z", 951_825_959, "Feb 29 12:05 PM"),
            ("2026-11-29T23:59:00.1Z", 1_795_996_740, "Nov 29 11:59 PM"),
            ("2038-03-01T01:00:00Z", 2_151_018_000, "Mar 01 01:00 AM"),
        ] {
            assert_eq!(unix_seconds(ts), Some(unix), "{ts}");
            assert_eq!(date(unix), printed);
        }
        assert_eq!(unix_seconds("short"), None);
    }

    #[test]
    fn an_uptime_is_printed_as_python_prints_it() {
        let of =
            [(0, "0:00:00"), (3_725, "1:02:05"), (90_000, "1 day, 1:00:00"), (200_000, "2 days, 7:33:20")];
        for (seconds, text) in of {
            assert_eq!(duration(seconds), text);
        }
    }
}
