//! How everything stands, in the words of the wire: rows of `status`, verdicts of `health`.
//!
//! Answers come from the core's snapshot and a look at /proc; nothing is asked of any program, and nothing changes.

use std::time::Duration;

use foster_core::action::StateName;
use foster_core::ids::InstanceId;
use foster_core::program::{Desired, DownReason};
use foster_core::spec::Autostart;
use foster_core::supervisor::InstanceView;
use nix::unistd::Pid;

use super::report::Line;
use super::{Init, report};
use crate::control::protocol::{Kind, Outcome, Reply, StatusRow, Verdict};
use crate::sys::procfs::Memory;

impl Init {
    /// The rows of these instances.
    pub(super) fn rows(&self, instances: Vec<InstanceId>) -> Vec<Reply> {
        let mut memory = Memory::new();
        let row = |view: InstanceView| {
            let row = self.row(&view);
            let memory_bytes = row.pid.and_then(|pid| memory.of_tree(Pid::from_raw(pid)));
            Reply::Row(StatusRow { memory_bytes, ..row })
        };
        instances.into_iter().filter_map(|id| self.view(id)).map(row).collect()
    }

    /// The row of an instance, but for its memory.
    fn row(&self, view: &InstanceView) -> StatusRow {
        let pid = view.live.and_then(|(run, _)| self.children.pid(super::children::Role::Main(run)));
        StatusRow {
            name: self.plan.program(view.id.program).map_or(String::new(), |program| program.name.clone()),
            kind: Kind::Program,
            instance: view.id.index,
            instances: self.plan.spec(view.id.program).map_or(1, |spec| spec.instances),
            state: view.state.into(),
            pid: pid.map(Pid::as_raw),
            uptime_ms: pid.and(view.live).map(|(_, since)| milliseconds(self.now.since(since))),
            restarts: view.restarts,
            ready: view.state == StateName::Running,
            health: None,
            exit: view.last.map(Into::into),
            memory_bytes: None,
            wanted: is_wanted(view),
            note: self.note(view),
        }
    }

    /// What else there is to say about an instance.
    pub(super) fn note(&self, view: &InstanceView) -> Option<String> {
        let note = self.notes.of(view.id, view.state).map(str::to_owned);
        let more = match (view.next_start, view.waits_for) {
            (Some(at), _) => Some(format!("next start in {}", report::short(at.since(self.now)))),
            (None, Some(other)) => Some(format!("waits for {}", report::label(&self.plan, other))),
            (None, None) if view.desired == Desired::Down(DownReason::Removed) => {
                Some("removed from the configuration".into())
            }
            (None, None) => None,
        };
        match (note, more) {
            (Some(note), Some(more)) => Some(format!("{note}; {more}")),
            (note, more) => note.or(more),
        }
    }

    /// Whether an instance is ready and healthy, for those who asked for it by name or for all.
    pub(super) fn verdict(&self, view: &InstanceView, asked: Asked) -> Option<Outcome> {
        let counts = match asked {
            Asked::ByName => true,
            // What an order or an update stopped, and what nobody has started, does not count against the whole.
            Asked::AsPartOfAll => match view.desired {
                Desired::Down(DownReason::Ordered | DownReason::Removed) => false,
                Desired::Down(DownReason::NotAutostarted | DownReason::Shutdown)
                | Desired::Cycle(_)
                | Desired::Rising
                | Desired::Up => view.autostart == Autostart::Yes,
            },
        };
        let well = matches!(view.state, StateName::Running | StateName::Exited);
        let note = self.note(view).map_or(String::new(), |note| format!(" ({note})"));
        counts.then(|| Outcome {
            name: report::label(&self.plan, view.id),
            verdict: if well { Verdict::Ok } else { Verdict::Failed },
            message: format!("{}{note}", view.state.name()),
        })
    }

    /// The status of everything, to foster's own log (SIGUSR2).
    pub(super) fn write_status(&mut self) {
        #[cfg(debug_assertions)]
        super::teardown::fault_on_demand();
        let lines: Vec<Line> =
            self.supervisor.snapshot().instances().map(|view| self.status_line(&view)).collect();
        for line in lines {
            self.output.log(&line);
        }
    }

    fn status_line(&self, view: &InstanceView) -> Line {
        let row = self.row(view);
        let name = report::label(&self.plan, view.id);
        let pid = row.pid.map_or(String::new(), |pid| format!(", pid {pid}"));
        let uptime = row.uptime_ms.map(Duration::from_millis).map(report::short);
        let uptime = uptime.map_or(String::new(), |uptime| format!(", up {uptime}"));
        let note = row.note.map_or(String::new(), |note| format!(", {note}"));
        let (state, restarts) = (view.state.name(), row.restarts);
        let message = format!("{name}: {state}{pid}{uptime}, {restarts} restarts{note}");
        Line::named(log::Level::Info, "status", message).with("program", name).with("state", state.to_owned())
    }

    pub(super) fn view(&self, id: InstanceId) -> Option<InstanceView> {
        self.supervisor.snapshot().instance(id)
    }
}

/// Whether a question was about this very program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    ByName,
    AsPartOfAll,
}

/// Whether it should run, or have run: `status` fails for what is wanted and is not there.
fn is_wanted(view: &InstanceView) -> bool {
    match view.desired {
        Desired::Rising | Desired::Up | Desired::Cycle(_) => true,
        Desired::Down(_) => false,
    }
}

pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
