//! The output of `foster check`: the start order, and the warnings.
//!
//! For people, not for machines. The core computes the order ([`foster_core::graph`]); this file adds names and
//! sentences.

use std::rc::Rc;
use std::time::Duration;

use foster_core::ids::ProgramId;
use foster_core::plan::StartOrder;
use foster_core::schedule::{Date, Due, Schedule, Timetable, WallClock, Zone, date};
use foster_core::spec::{Autostart, JobPlan, Kind, LateStart, ProgramSpec, Readiness};
use foster_core::time::Instant;

use crate::duration::exact;
use crate::plan::{Plan, Probe};

/// The start order as text: one block for each wave, the due times of the jobs after `unix_ms` (since 1970, UTC), and the
/// warnings.
pub fn start_order(plan: &Plan, unix_ms: i64) -> String {
    let waves = plan.core.graph().waves();
    let count = counted(plan);
    let count = match count.as_slice() {
        [first, second, third] => format!("{first}, {second} and {third}"),
        others => others.join(" and "),
    };
    let how = match plan.core.settings().start {
        StartOrder::Ready => "started in this order",
        StartOrder::Together => "started together, in this order",
    };
    let mut text = format!("{}: {count}, {how}\n", plan.source.display());
    let widest = plan.programs.values().map(|program| program.name.chars().count()).max().unwrap_or(0);
    let is_job = |id: &ProgramId| plan.kind(*id) == Kind::Job;
    // Jobs have no place in the order.
    let waves = waves.iter().filter(|wave| !wave.iter().all(is_job));
    for (number, wave) in (1..).zip(waves) {
        let priority = wave.first().and_then(|id| plan.spec(*id)).map_or(0, |spec| spec.priority);
        text.push_str(&format!("\nstep {number} (priority {priority})\n"));
        for id in wave.iter().filter(|id| !is_job(id)) {
            let name = name(plan, *id);
            text.push_str(&format!("   {name:widest$}  {}\n", sentence(plan, *id)));
        }
    }
    let jobs: Vec<ProgramId> = plan.programs.ids().filter(is_job).collect();
    if !jobs.is_empty() {
        text.push_str("\njobs\n");
    }
    for id in jobs {
        if let Some(job) = plan.spec(id).and_then(|spec| spec.job.as_ref()) {
            let schedule =
                plan.program(id).and_then(|program| program.schedule.as_deref()).unwrap_or_default();
            text.push_str(&format!("   {:widest$}  {schedule}; {}\n", name(plan, id), due(job, unix_ms)));
        }
    }
    if !plan.warnings.is_empty() {
        text.push('\n');
    }
    plan.warnings.iter().for_each(|warning| text.push_str(&format!("warning: {warning}\n")));
    text
}

/// The next due times of a job.
fn due(job: &JobPlan, unix_ms: i64) -> String {
    let clock = WallClock { at: Instant::START, unix_ms };
    let table = Timetable::new(Rc::clone(&job.timing), Instant::START, &clock);
    let next = table.upcoming().take(3).map(|Due { at_ms }| match job.timing.schedule {
        Schedule::Every(_) => exact(Duration::from_millis(at_ms.unsigned_abs())),
        Schedule::Cron(_) => local(at_ms.div_euclid(1000), &job.timing.zone),
    });
    let next = next.collect::<Vec<_>>().join(", ");
    let next = match job.timing.schedule {
        _ if next.is_empty() => "never due".to_owned(),
        Schedule::Every(_) => format!("due {next} after the start"),
        Schedule::Cron(_) => format!("due {next}"),
    };
    let at_start = if job.at_start == Autostart::Yes { "; runs at the start, too" } else { "" };
    format!("{next}{at_start}")
}

/// A time in a zone: `2026-11-30 02:30 +01:00`.
fn local(time: i64, zone: &Zone) -> String {
    let offset = i64::from(zone.offset_at(time));
    let local = time + offset;
    let Date { year, month, day } = date(local.div_euclid(86_400));
    let minutes = local.rem_euclid(86_400) / 60;
    let (hour, minute) = (minutes / 60, minutes % 60);
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs() / 60;
    let (hours, rest) = (offset / 60, offset % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} {sign}{hours:02}:{rest:02}")
}

/// "1 task", "2 programs".
fn counted(plan: &Plan) -> Vec<String> {
    let of = |kind: Kind| plan.core.programs().values().filter(|spec| spec.kind() == kind).count();
    let counted = |kind: Kind| match of(kind) {
        0 => None,
        1 => Some(format!("1 {}", kind.name())),
        count => Some(format!("{count} {}s", kind.name())),
    };
    [Kind::Task, Kind::Program, Kind::Job].into_iter().filter_map(counted).collect()
}

fn name(plan: &Plan, id: ProgramId) -> &str {
    plan.program(id).map_or("", |program| program.name.as_str())
}

/// "not autostarted; after `db`; ready when …".
fn sentence(plan: &Plan, id: ProgramId) -> String {
    let Some(spec) = plan.spec(id) else { return String::new() };
    let list = |ids: &[ProgramId]| ids.iter().map(|id| name(plan, *id)).collect::<Vec<_>>().join(", ");
    let mut parts = Vec::new();
    if spec.kind() == Kind::Task {
        parts.push("task".to_owned());
    }
    if spec.instances != 1 {
        parts.push(format!("{} instances", spec.instances));
    }
    if spec.autostart == Autostart::No {
        parts.push("not autostarted".to_owned());
    }
    if !spec.after.is_empty() {
        parts.push(format!("after {}", list(&spec.after)));
    }
    if !spec.requires.is_empty() {
        parts.push(format!("requires {}", list(&spec.requires)));
    }
    let sockets = plan.program(id).map(|program| program.sockets.as_slice()).unwrap_or_default();
    if !sockets.is_empty() {
        let addresses: Vec<String> = sockets.iter().map(|socket| socket.address.to_string()).collect();
        parts.push(format!("listens at {}", addresses.join(", ")));
    }
    parts.push(readiness(plan.program(id).and_then(|program| program.ready.as_ref()), spec));
    parts.join("; ")
}

fn readiness(probe: Option<&Probe>, spec: &ProgramSpec) -> String {
    if let Readiness::Completion { timeout } = spec.readiness {
        let within = timeout.map_or(String::new(), |timeout| format!(" within {}", exact(timeout)));
        let retries = match spec.restart.start_limit.map(|limit| limit.saturating_sub(1)) {
            None | Some(0) => String::new(),
            Some(1) => "; 1 retry".to_owned(),
            Some(retries) => format!("; {retries} retries"),
        };
        return format!("ready when it has succeeded{within}{retries}");
    }
    let how = match probe {
        None => return format!("ready when up for {}", exact(spec.restart.min_uptime)),
        Some(Probe::Http(http)) => format!("http://{}{} answers", http.host, http.target),
        Some(Probe::Tcp(address)) => format!("{address} accepts a connection"),
        Some(Probe::Unix(path)) => format!("{} accepts a connection", path.display()),
        Some(Probe::Exec(command)) => format!("`{}` succeeds", shell_words::join(command)),
        Some(Probe::File(path)) => format!("{} exists", path.display()),
        Some(Probe::Notify) => "it reports READY=1".into(),
        Some(Probe::Fd(number)) => format!("it writes a newline to descriptor {number}"),
        Some(Probe::Ipc) => "it calls process.send('ready')".into(),
        Some(Probe::Log(pattern)) => format!("a line matches `{}`", pattern.as_str()),
    };
    match spec.readiness {
        Readiness::Probe { timeout, late, .. } | Readiness::Notify { timeout, late } => {
            let within = if late == LateStart::IsReady { "or after" } else { "within" };
            format!("ready when {how}, {within} {}", exact(timeout))
        }
        Readiness::Uptime | Readiness::Completion { .. } => format!("ready when {how}"),
    }
}
