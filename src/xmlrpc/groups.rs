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
struct Group {
    is_active: bool,
    is_configured: bool,
    has_changes: bool,
    /// foster's programs in it.
    programs: Vec<String>,
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
            Ok(changes.cloned().collect())
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

fn groups(changes: &[Change], processes: &[Process]) -> SortedMap<String, Group> {
    let mut groups: SortedMap<String, Group> = SortedMap::new();
    let mut add = |name: &str, program: &str, change: Option<ChangeKind>| {
        let mut group = groups.remove(&name.to_owned()).unwrap_or_default();
        group.is_active |= change.is_none();
        group.is_configured |= change.is_some_and(|change| change != ChangeKind::Removed);
        group.has_changes |= change.is_some_and(|change| change != ChangeKind::Unchanged);
        if !group.programs.iter().any(|known| known == program) {
            group.programs.push(program.to_owned());
        }
        groups.insert(name.to_owned(), group);
    };
    processes.iter().for_each(|process| add(&process.group, &process.row.name, None));
    changes.iter().for_each(|change| add(name_of(change).0, &change.name, Some(change.change)));
    groups
}

pub(super) fn reload_config(_: Context<'_>, script: &mut Script, _: &Params<'_>) -> Result<Value, Stop> {
    let (changes, processes) = (preview(script)?, all(script)?);
    let (mut added, mut changed, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for (name, group) in groups(&changes, &processes).iter() {
        match (group.is_active, group.is_configured) {
            (true, true) if group.has_changes => changed.push(Value::text(name)),
            (true, false) => removed.push(Value::text(name)),
            (false, true) => added.push(Value::text(name)),
            (true, true) | (false, false) => {}
        }
    }
    let lists = [added, changed, removed].map(Value::Array).to_vec();
    Ok(Value::Array(vec![Value::Array(lists)]))
}

pub(super) fn add(_: Context<'_>, script: &mut Script, params: &Params<'_>) -> Result<Value, Stop> {
    let name = params.text(0)?;
    let (changes, processes) = (preview(script)?, all(script)?);
    let mut groups = groups(&changes, &processes);
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
