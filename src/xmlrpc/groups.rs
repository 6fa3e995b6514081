//! The configuration beside what runs, by groups: read again, added, removed.
//!
//! supervisord keeps the configuration that it has read last. foster does not: each of these methods reads the file, and
//! changes nothing but the group that it names.

use foster_core::sorted::{SortedMap, sort_by_key};

use super::processes::{Process, State, all, group};
use super::script::{Script, Stop};
use super::value::Value;
use super::{ALREADY_ADDED, BAD_NAME, CANT_REREAD, Context, Params, STILL_RUNNING, fault};
use crate::control::protocol::{Change, ChangeKind, Definition, LogFile, Reply, Request, Update, UpdateMode};

/// A group, as the configuration has it beside foster.
#[derive(Debug, Default)]
pub(crate) struct Group {
    is_active: bool,
    is_configured: bool,
    has_changes: bool,
    /// Whether a process of it ends with an update.
    pub(crate) stops: bool,
    /// foster's programs in it.
    pub(crate) programs: Vec<String>,
}

/// What an update does to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    None,
    Removed,
    Changed,
    Added,
}

impl Group {
    /// Whether the configuration or the supervisor has it.
    pub(crate) fn exists(&self) -> bool {
        self.is_active || self.is_configured
    }

    pub(crate) fn difference(&self) -> Difference {
        match (self.is_active, self.is_configured) {
            (true, true) if self.has_changes => Difference::Changed,
            (true, true) | (false, false) => Difference::None,
            (true, false) => Difference::Removed,
            (false, true) => Difference::Added,
        }
    }
}

fn name_of(change: &Change) -> (&str, &str) {
    let namespec = change.namespec.as_deref().unwrap_or(&change.name);
    namespec.split_once(':').unwrap_or((namespec, namespec))
}

/// What an update would do to each instance.
fn preview(script: &mut Script) -> Result<Vec<Change>, Stop> {
    let update = Update { mode: UpdateMode::DryRun, ..Update::everything() };
    match script.ask(Request::Update(update))? {
        Ok(replies) => {
            let changes = replies
                .iter()
                .filter_map(|reply| if let Reply::Change(change) = reply { Some(change) } else { None });
            let mut changes: Vec<Change> = changes.cloned().collect();
            // As for processes: what has no name of supervisord's is foster's own.
            if changes.iter().any(|change| change.namespec.is_some()) {
                changes.retain(|change| change.namespec.is_some() || change.instance.is_none());
            }
            Ok(changes)
        }
        Err((refusal, problems)) => {
            let lines = problems.iter().filter_map(|reply| {
                if let Reply::Problem(problem) = reply { Some(problem.text.as_str()) } else { None }
            });
            let lines: Vec<&str> = lines.collect();
            let text = if lines.is_empty() { refusal.to_string() } else { lines.join("\n") };
            Err(fault(CANT_REREAD, &text))
        }
    }
}

/// The groups of the configuration and those of the supervisor.
pub(crate) fn all_groups(script: &mut Script) -> Result<SortedMap<String, Group>, Stop> {
    let (changes, processes) = (preview(script)?, all(script)?);
    Ok(groups(&changes, &processes))
}

fn groups(changes: &[Change], processes: &[Process]) -> SortedMap<String, Group> {
    let mut groups: SortedMap<String, Group> = SortedMap::new();
    let mut add = |name: &str, program: &str, change: Option<&Change>| {
        let mut group = groups.remove(&name.to_owned()).unwrap_or_default();
        let kind = change.map(|change| change.change);
        group.is_active |= change.is_none();
        group.is_configured |= kind.is_some_and(|kind| kind != ChangeKind::Removed);
        group.has_changes |= kind.is_some_and(|kind| kind != ChangeKind::Unchanged);
        group.stops |= change.is_some_and(|change| change.restarts) || kind == Some(ChangeKind::Removed);
        if !group.programs.iter().any(|known| known == program) {
            group.programs.push(program.to_owned());
        }
        groups.insert(name.to_owned(), group);
    };
    processes.iter().for_each(|process| add(&process.group, &process.row.name, None));
    changes.iter().for_each(|change| add(name_of(change).0, &change.name, Some(change)));
    groups
}

pub(super) fn reload_config(_: Context<'_>, script: &mut Script, _: &Params<'_>) -> Result<Value, Stop> {
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, group) in all_groups(script)?.iter() {
        match group.difference() {
            Difference::Changed => changed.push(Value::text(name)),
            Difference::Removed => removed.push(Value::text(name)),
            Difference::Added => added.push(Value::text(name)),
            Difference::None => {}
        }
    }
    let lists = [added, changed, removed].map(Value::Array).to_vec();
    Ok(Value::Array(vec![Value::Array(lists)]))
}

pub(super) fn add(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let name = params.text(0)?;
    let mut groups = all_groups(script)?;
    let group = groups.remove(&name.to_owned()).filter(|group| group.is_configured);
    let group = group.ok_or_else(|| fault(BAD_NAME, name))?;
    if group.is_active {
        return Err(fault(ALREADY_ADDED, name));
    }
    script.need(Request::Update(Update { names: group.programs, mode: UpdateMode::Apply, wait: false }))?;
    Ok(Value::Bool(true))
}

pub(super) fn remove(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let name = params.text(0)?;
    let members = group(all(script)?, name)?;
    let is_down = |process: &Process| matches!(process.state, State::Stopped | State::Exited | State::Fatal);
    if !members.iter().all(is_down) {
        return Err(fault(STILL_RUNNING, name));
    }
    let mut names: Vec<String> = members.into_iter().map(|process| process.row.name).collect();
    names.dedup();
    script.need(Request::Update(Update { names, mode: UpdateMode::Remove, wait: true }))?;
    Ok(Value::Bool(true))
}

pub(super) fn all_config_info(_: Context<'_>, script: &mut Script, _: &Params<'_>) -> Result<Value, Stop> {
    let (mut changes, processes) = (preview(script)?, all(script)?);
    changes.retain(|change| change.change != ChangeKind::Removed && change.instance.is_some());
    sort_by_key(&mut changes, |change| name_of(change).1.to_owned());
    let in_use = |change: &Change| processes.iter().any(|process| process.group == name_of(change).0);
    let infos = changes
        .iter()
        .filter_map(|change| Some(config_info(change, change.definition.as_deref()?, in_use(change))));
    Ok(Value::Array(infos.collect()))
}

fn config_info(change: &Change, definition: &Definition, in_use: bool) -> Value {
    let (group, name) = name_of(change);
    let seconds = |ms: u64| Value::int(i64::try_from(ms / 1000).unwrap_or(i64::MAX));
    let text = |text: &Option<String>| Value::text(text.as_deref().unwrap_or("none"));
    let codes = definition.success_exit_codes.iter().map(|code| Value::Int((*code).into())).collect();
    // foster counts the first start as well.
    let retries = definition.start_limit.map_or(i64::from(i32::MAX), |limit| i64::from(limit) - 1);
    let mut members = vec![
        ("autostart", Value::Bool(change.autostart)),
        ("command", Value::text(&*definition.command)),
        ("directory", text(&definition.directory)),
        ("exitcodes", Value::Array(codes)),
        ("group", Value::text(group)),
        ("group_prio", Value::Int(change.priority.into())),
        ("inuse", Value::Bool(in_use)),
        ("killasgroup", Value::Bool(definition.kills_group)),
        ("name", Value::text(name)),
        ("process_prio", Value::Int(change.priority.into())),
        ("redirect_stderr", Value::Bool(false)),
        ("serverurl", Value::text("none")),
        ("startretries", Value::int(retries)),
        ("startsecs", seconds(definition.min_uptime_ms)),
        ("stopsignal", Value::Int(definition.stop_signal.into())),
        ("stopwaitsecs", seconds(definition.stop_timeout_ms)),
        ("uid", Value::text("none")),
    ];
    members.extend(log_info(&definition.stdout, STDOUT));
    members.extend(log_info(&definition.stderr, STDERR));
    Value::of(members)
}

const STDOUT: [&str; 6] = [
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_syslog",
];
const STDERR: [&str; 6] = [
    "stderr_logfile",
    "stderr_logfile_maxbytes",
    "stderr_logfile_backups",
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_syslog",
];

fn log_info(
    file: &Option<LogFile>,
    names: [&'static str; 6],
) -> impl Iterator<Item = (&'static str, Value)> + use<> {
    let number = |number: u64| Value::int(i64::try_from(number).unwrap_or(i64::MAX));
    let values = match file {
        Some(file) => {
            [Value::text(&*file.path), number(file.max_size.unwrap_or(0)), number(file.keep.into())]
        }
        // supervisord's defaults.
        None => [Value::text("auto"), number(50 << 20), number(10)],
    };
    names.into_iter().zip(values.into_iter().chain([Value::Int(0), Value::Bool(false), Value::Bool(false)]))
}

#[cfg(test)]
mod tests {
    use super::super::processes::process;
    use super::*;

    use serde_json::json;

    /// A process that foster has: `program group:process`.
    fn row(text: &str) -> Process {
        let (program, namespec) = text.split_once(' ').unwrap();
        let row = json!({
            "reply": "row", "name": program, "kind": "program", "instance": 0, "instances": 1,
            "label": program, "state": "running", "restarts": 0, "ready": true, "wanted": true,
            "namespec": namespec,
        });
        let Reply::Row(row) = Reply::parse(row.to_string().as_bytes()).unwrap() else { panic!() };
        process(row)
    }

    /// `program group:process change restarts`.
    fn change(text: &str) -> Change {
        let words: Vec<&str> = text.split(' ').collect();
        let change = json!({
            "reply": "change", "name": words[0], "instance": 0, "namespec": words[1], "change": words[2],
            "restarts": words.len() > 3, "keys": [], "autostart": true, "priority": 999,
        });
        let Reply::Change(change) = Reply::parse(change.to_string().as_bytes()).unwrap() else { panic!() };
        change
    }

    fn differences(rows: &[&str], changes: &[&str]) -> String {
        let changes: Vec<Change> = changes.iter().map(|text| change(text)).collect();
        let groups = groups(&changes, &rows.iter().map(|text| row(text)).collect::<Vec<_>>());
        let shown = groups.iter().map(|(name, group)| {
            let programs = group.programs.join("+");
            let stops = if group.stops { ", stops" } else { "" };
            format!("{name}: {:?} ({programs}){stops}\n", group.difference())
        });
        shown.collect()
    }

    #[test]
    fn a_group_differs_where_one_of_its_programs_does() {
        let rows = ["a g:a", "b g:b", "old old", "same same"];
        let changes = [
            "a g:a unchanged",
            "b g:b changed restarts",
            "old old removed",
            "same same unchanged",
            "n n added",
        ];
        assert_eq!(
            differences(&rows, &changes),
            "g: Changed (a+b), stops\nn: Added (n)\nold: Removed (old), stops\nsame: None (same)\n"
        );
    }

    #[test]
    fn a_program_that_moves_into_a_group_is_removed_and_added() {
        assert_eq!(differences(&["web web"], &["web g:web changed"]), "g: Added (web)\nweb: Removed (web)\n");
    }
}
