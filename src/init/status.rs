//! The state of every instance in the types of the protocol: rows of `status`, verdicts of `health`.
//!
//! The answers come from the core's snapshot and from /proc; no probe is started, and nothing changes.

use std::time::{Duration, SystemTime};

use foster_core::action::StateName;
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::program::{Desired, DownReason, Reload};
use foster_core::spec::Autostart;
use foster_core::supervisor::{InstanceView, Watched};
use foster_core::time::Instant;
use nix::unistd::Pid;

use super::Init;
use super::report::Line;
use crate::control::protocol::{Health, HealthCheck, Kind, Outcome, Reply, StatusRow, Verdict};
use crate::duration::rounded;
use crate::sys::timer;
use crate::sys::usage::{Usage, UsageReader};

impl Init {
    /// The row of an instance, or of a program without instances; `None`: it was removed.
    pub(super) fn row_of(&self, id: InstanceId, reader: &mut UsageReader) -> Option<Reply> {
        let Some(view) = self.view(id) else {
            return self.is_without_instances(id.program).then(|| Reply::Row(self.empty_row(id)));
        };
        let row = self.row(&view);
        let roots = view.live.filter(|_| row.pid.is_some()).map(|live| self.processes.roots(live.run));
        let mut trees = roots.into_iter().flatten().filter_map(|root| reader.of_tree(root)).peekable();
        let usage = trees.peek().is_some().then(|| trees.sum::<Usage>());
        let (memory_bytes, cpu_ms) = (usage.map(|usage| usage.memory_bytes), usage.map(|usage| usage.cpu_ms));
        Some(Reply::Row(StatusRow { memory_bytes, cpu_ms, ..row }))
    }

    /// Whether a program of the plan has no instances.
    pub(super) fn is_without_instances(&self, id: ProgramId) -> bool {
        let is_there = self.plan.programs.contains(id) && !self.plan.core.is_leaving(id);
        is_there && self.core.supervisor.snapshot().of(id).next().is_none()
    }

    /// The row of a program without instances.
    fn empty_row(&self, id: InstanceId) -> StatusRow {
        let name = self.plan.label(id).to_owned();
        StatusRow {
            label: name.clone(),
            name,
            kind: Kind::Program,
            instance: None,
            instances: 0,
            state: StateName::Stopped.into(),
            pid: None,
            uptime_ms: None,
            restarts: 0,
            ready: false,
            health: None,
            exit: None,
            last_start: None,
            duration_ms: None,
            next_due: None,
            memory_bytes: None,
            cpu_ms: None,
            wanted: false,
            note: Some("0 instances".into()),
            status: None,
            dropped_lines: 0,
            namespec: None,
        }
    }

    /// The row of an instance, without what its processes use.
    fn row(&self, view: &InstanceView) -> StatusRow {
        let pid =
            view.live.and_then(|live| self.processes.children.pid(super::children::Role::Main(live.run)));
        StatusRow {
            name: self.plan.program(view.id.program).map_or(String::new(), |program| program.name.clone()),
            kind: view.kind.into(),
            instance: Some(view.id.index),
            instances: self.plan.count(view.id.program),
            label: self.plan.label(view.id).to_owned(),
            state: view.state.into(),
            pid: pid.map(Pid::as_raw),
            uptime_ms: pid.and(view.live).map(|live| milliseconds(self.core.now.since(live.since))),
            restarts: view.restarts,
            ready: view.ready,
            health: health(view),
            exit: view.last.map(|past| past.exit.into()),
            last_start: view.last.map(|past| self.time_of(past.since)),
            duration_ms: view.last.map(|past| milliseconds(past.took)),
            next_due: self.next_due(view),
            memory_bytes: None,
            cpu_ms: None,
            wanted: is_wanted(view),
            note: self.note(view),
            status: self.reported(view).map(str::to_owned),
            dropped_lines: view.live.map_or(0, |live| self.output.dropped_lines(live.run)),
            namespec: self
                .plan
                .instance(view.id)
                .and_then(|instance| instance.program.namespec.as_deref().map(Into::into)),
        }
    }

    /// When a job is due next (RFC 3339, UTC).
    pub(super) fn next_due(&self, view: &InstanceView) -> Option<String> {
        Some(timestamp(self.core.supervisor.snapshot().unix_ms(view.next_due?)))
    }

    /// What the wall clock showed at an instant of the past (RFC 3339, UTC).
    fn time_of(&self, instant: Instant) -> String {
        let ago = i64::try_from(self.core.now.since(instant).as_millis()).unwrap_or(i64::MAX);
        timestamp(timer::unix_ms().saturating_sub(ago))
    }

    /// The last run of a job, which is over; `note`: what is known of its failure, which may have been no start at all.
    fn with_last_run(&self, view: &InstanceView, note: Option<String>) -> Option<String> {
        let Some(past) = view.last.filter(|past| past.run.number == view.last_run) else {
            return note.map(|note| format!("last run {note}"));
        };
        let note = note.unwrap_or_else(|| format!("{} after {}", past.exit, rounded(past.took)));
        let ago = self.core.now.since(past.since.plus(past.took));
        Some(format!("last run {} ago {note}", rounded(ago)))
    }

    /// The note about an instance.
    pub(super) fn note(&self, view: &InstanceView) -> Option<String> {
        let note = self.operators.failures.of(view.id, view.state).map(without_search_path);
        let is_between = matches!(view.state, StateName::Idle | StateName::Paused);
        let note = if is_between { self.with_last_run(view, note) } else { note };
        // For a running instance the note has the end of the previous run, which only RESTARTS would show otherwise.
        let note = note.or_else(|| {
            let is_up = matches!(view.state, StateName::Starting | StateName::Running);
            let last = view.last.filter(|_| is_up && view.restarts > 0)?;
            let stop =
                self.operators.failures.stop(view.id).map(|why| format!("last run was stopped: {why}"));
            Some(without_search_path(&stop.unwrap_or_else(|| format!("last run {}", last.exit))))
        });
        // In the program's words, and so in quotes.
        let note = match (note, self.reported(view)) {
            (Some(note), Some(status)) => Some(format!("\"{status}\"; {note}")),
            (note, status) => status.map(|status| format!("\"{status}\"")).or(note),
        };
        let next_due = view.next_due.map(|due| format!("next run in {}", rounded(due.since(self.core.now))));
        let more = match (view.next_start, view.waits_for) {
            (None, None) if next_due.is_some() => next_due,
            (Some(at), _) => Some(format!("next start in {}", rounded(at.since(self.core.now)))),
            (None, Some(_)) => self.holder(view).map(|holder| format!("waits for {holder}")),
            (None, None) if view.state == StateName::Starting => {
                let answer = self.core.supervisor.snapshot().last_answer(view.id);
                let answer = answer.map(|answer| format!("not ready yet: {answer}"));
                match (self.roll_note(view), answer) {
                    (Some(roll), Some(answer)) => Some(format!("{roll}; {answer}")),
                    (roll, answer) => roll.or(answer),
                }
            }
            (None, None) if is_removed(view) && self.plan.core.is_leaving(view.id.program) => {
                Some("removed from the configuration".into())
            }
            (None, None) if is_removed(view) => Some(super::report::fewer(self.plan.count(view.id.program))),
            (None, None) => self.roll_note(view).or(reload_note(view)),
        };
        match (note, more) {
            (Some(note), Some(more)) => Some(format!("{note}; {more}")),
            (note, more) => note.or(more),
        }
    }

    /// What a run has reported about itself.
    fn reported(&self, view: &InstanceView) -> Option<&str> {
        view.live.and_then(|live| self.processes.inbound.status(live.run))
    }

    /// Whether an instance is ready and healthy; `None`: it does not count. A program without instances counts where it
    /// was named, and lacks nothing.
    pub(super) fn verdict_of(&self, id: InstanceId, counted: Counted) -> Option<Outcome> {
        let Some(view) = self.view(id) else {
            let is_named = counted == Counted::Every && self.is_without_instances(id.program);
            let name = self.plan.label(id).to_owned();
            return is_named.then(|| Outcome {
                name,
                verdict: Verdict::Ok,
                message: "0 instances".into(),
                exit_status: None,
            });
        };
        self.verdict(&view, counted)
    }

    fn verdict(&self, view: &InstanceView, counted: Counted) -> Option<Outcome> {
        let counts = match counted {
            Counted::Every => true,
            Counted::Autostarted => view.autostart == Autostart::Yes && !is_removed(view),
            // A program that an order or an update stopped does not count.
            Counted::Wanted => match view.desired {
                Desired::Down(DownReason::Requested(_) | DownReason::Removed) => false,
                Desired::Down(
                    DownReason::NotAutostarted
                    | DownReason::Spare
                    | DownReason::Leftovers
                    | DownReason::Shutdown,
                )
                | Desired::Cycle(_)
                | Desired::Trial
                | Desired::Rising
                | Desired::Up => view.autostart == Autostart::Yes,
            },
        };
        let well = view.is_well();
        counts.then(|| Outcome {
            name: self.plan.label(view.id).to_owned(),
            verdict: if well { Verdict::Ok } else { Verdict::Failed },
            message: self.standing(view),
            exit_status: None,
        })
    }

    /// Writes the status of all programs to foster's own log (SIGUSR2).
    pub(super) fn write_status(&mut self) {
        #[cfg(debug_assertions)]
        if super::teardown::is_faulty("status") {
            super::teardown::fault_on_demand();
        }
        let lines: Vec<Line> =
            self.core.supervisor.snapshot().instances().map(|view| self.status_line(&view)).collect();
        for line in lines {
            self.output.log(&line);
        }
    }

    fn status_line(&self, view: &InstanceView) -> Line {
        let row = self.row(view);
        let name = self.plan.label(view.id);
        let pid = row.pid.map_or(String::new(), |pid| format!(", pid {pid}"));
        let uptime = row.uptime_ms.map(Duration::from_millis).map(rounded);
        let uptime = uptime.map_or(String::new(), |uptime| format!(", up {uptime}"));
        let note = row.note.map_or(String::new(), |note| format!(", {note}"));
        let (state, restarts) = (view.state.name(), row.restarts);
        let message = format!("{name}: {state}{pid}{uptime}, {restarts} restarts{note}");
        Line::named(log::Level::Info, "status", message)
            .with("program", name.to_owned())
            .with("state", state.to_owned())
    }

    /// Sends a summary to the service manager, if there is one and the summary has changed.
    pub(super) fn notify_status(&mut self) {
        if !self.operators.service_manager.is_connected() {
            return;
        }
        let text = self.summary_of_all();
        self.notify_service_manager(|service_manager| service_manager.status(&text));
    }

    fn summary_of_all(&self) -> String {
        if self.core.supervisor.is_shutting_down() {
            return "shutting down".into();
        }
        let wanted: Vec<InstanceView> =
            self.core.supervisor.snapshot().instances().filter(is_wanted).collect();
        let is_well = |view: &&InstanceView| view.is_well();
        let well = wanted.iter().filter(is_well).count();
        let others = wanted
            .iter()
            .filter(|view| !is_well(view))
            .map(|view| format!("{} is {}", self.plan.label(view.id), view.state.name()));
        // Only the first few, because a service manager shows one line.
        let others: Vec<String> = others.take(3).collect();
        let colon = if others.is_empty() { "" } else { ": " };
        format!("{well} of {} programs ready{colon}{}", wanted.len(), others.join(", "))
    }

    pub(super) fn view(&self, id: InstanceId) -> Option<InstanceView> {
        self.core.supervisor.snapshot().instance(id)
    }
}

/// What there is to know of a reload.
fn reload_note(view: &InstanceView) -> Option<String> {
    match view.reload {
        Reload::UnderWay { .. } => Some("reloading".into()),
        Reload::Late => Some("no READY=1 in time after RELOADING=1".into()),
        Reload::Unreported | Reload::Asked { .. } | Reload::Done => None,
    }
}

/// Whether an instance is healthy; `None`: it has no health probe, or is not ready.
fn health(view: &InstanceView) -> Option<Health> {
    match (view.state, view.health) {
        (StateName::Running, Watched::Yes) => Some(Health::Healthy),
        (StateName::Unhealthy, _) => Some(Health::Unhealthy),
        (StateName::Running, Watched::No)
        | (
            StateName::Stopped
            | StateName::Waiting
            | StateName::Starting
            | StateName::Stopping
            | StateName::Backoff
            | StateName::Exited
            | StateName::Fatal
            | StateName::Succeeded
            | StateName::Failed
            | StateName::Idle
            | StateName::Paused,
            _,
        ) => None,
    }
}

/// The instances that count for `health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// All named instances.
    Every,
    /// Those that start with the container, also when an order stopped them.
    Autostarted,
    /// Those that start with the container, unless an order stopped them.
    Wanted,
}

impl Counted {
    /// The instances that count for this request.
    pub(super) fn of(check: &HealthCheck) -> Counted {
        match (check.names.is_empty(), check.all) {
            (false, _) => Counted::Every,
            (true, true) => Counted::Autostarted,
            (true, false) => Counted::Wanted,
        }
    }
}

fn is_removed(view: &InstanceView) -> bool {
    matches!(view.desired, Desired::Down(DownReason::Removed))
}

/// Whether it should run, or should have run: otherwise `status` does not fail for it.
fn is_wanted(view: &InstanceView) -> bool {
    match view.desired {
        Desired::Rising | Desired::Trial | Desired::Up | Desired::Cycle(_) => true,
        Desired::Down(_) => false,
    }
}

/// The note without the directories of PATH, which may be very long; the log has them.
fn without_search_path(note: &str) -> String {
    let Some((before, after)) = note.split_once("PATH (") else { return note.to_owned() };
    let after = after.split_once(')').map_or("", |(_, after)| after);
    format!("{before}PATH{after}")
}

/// A time in milliseconds since 1970 (RFC 3339, UTC).
fn timestamp(unix_ms: i64) -> String {
    let since = Duration::from_millis(u64::try_from(unix_ms).unwrap_or(0));
    let mut text = Vec::new();
    foster_lines::format::timestamp(SystemTime::UNIX_EPOCH + since, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_never_repeats_the_directories_of_path() {
        assert_eq!(
            without_search_path("cannot start: `x` is not in PATH (/usr/bin:/bin); gave up"),
            "cannot start: `x` is not in PATH; gave up"
        );
        for note in ["exited with status 1", "PATH", "PATH (", ""] {
            assert!(!without_search_path(note).contains('('));
        }
    }
}
