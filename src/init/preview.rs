//! `foster update --dry-run`: what an update would do, without doing it.
//!
//! The configuration is read and compared as for an update; sockets are not opened. Next: `update.rs`.

use foster_core::event::SpecChange;
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::spec::{Autostart, KillMode, ProgramSpec};

use super::Init;
use super::plan_diff::ChangedKeys;
use super::plan_merge::PlanMerge;
use super::plan_scope::UpdateScope;
use crate::config::Report;
use crate::control::protocol::{Change, ChangeKind, Definition, LogFile, Refusal, Reply, Update};
use crate::control::server::ConnectionId;
use crate::plan::{Plan, Sink};

impl Init {
    /// Sends a row for each instance of the programs that are named, as the configuration has it.
    pub(super) fn preview(
        &mut self,
        client: ConnectionId,
        asked: &Update,
        fault: Option<Report>,
    ) -> Result<(), Refusal> {
        let scope = UpdateScope::new(asked)?;
        let read = self.read_update(&scope, None, fault);
        let (plan, merged) = read.map_err(|failure| self.refused(client, failure))?;
        let in_scope = plan.programs.iter().filter(|(_, program)| scope.has(&program.name));
        let rows = in_scope.flat_map(|(id, _)| changes(&plan, &merged, id)).map(Reply::Change).collect();
        self.operators.requests.send_all(client, rows);
        Ok(())
    }
}

fn changes(plan: &Plan, merged: &PlanMerge, id: ProgramId) -> Vec<Change> {
    let none = ChangedKeys::default();
    let (kind, keys) = match merged.kept.get(id) {
        Some(keys) if keys.is_empty() => (ChangeKind::Unchanged, keys),
        Some(keys) => (ChangeKind::Changed, keys),
        None if merged.new.contains(&id) => (ChangeKind::Added, &none),
        None if merged.removed.contains(&id) => (ChangeKind::Removed, &none),
        // It is leaving already.
        None => return Vec::new(),
    };
    let Some((program, spec)) = plan.program(id).zip(plan.spec(id)) else { return Vec::new() };
    let row = |index: Option<u16>| Change {
        name: program.name.clone(),
        instance: index,
        change: kind,
        keys: keys.names().map(str::to_owned).collect(),
        restarts: keys.change() == Some(SpecChange::Process),
        autostart: spec.autostart == Autostart::Yes,
        priority: spec.priority,
        definition: definition(plan, spec, InstanceId { program: id, index: index.unwrap_or(0) })
            .map(Box::new),
        namespec: index.and_then(|index| {
            let instance = plan.instance(InstanceId { program: id, index })?;
            instance.program.namespec.as_deref().map(Into::into)
        }),
    };
    match spec.instances {
        0 => vec![row(None)],
        count => (0..count).map(|index| row(Some(index))).collect(),
    }
}

/// The definition of an instance.
fn definition(plan: &Plan, spec: &ProgramSpec, id: InstanceId) -> Option<Definition> {
    let program = &plan.instance(id)?.program;
    let file = |sink: &Sink| match sink {
        Sink::File(file) => {
            Some(LogFile { path: file.path.display().to_string(), max_size: file.max_size, keep: file.keep })
        }
        Sink::Log | Sink::Inherit | Sink::Memory | Sink::Null => None,
    };
    let milliseconds = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Some(Definition {
        command: shell_words::join(&program.launch.command),
        directory: program.launch.directory.as_ref().map(|path| path.display().to_string()),
        success_exit_codes: spec.restart.success_exit_codes.clone(),
        min_uptime_ms: milliseconds(spec.restart.min_uptime),
        start_limit: spec.restart.start_limit,
        stop_signal: spec.stop.signals.first().map_or(15, |signal| signal.number()),
        stop_timeout_ms: milliseconds(spec.stop.timeout),
        kills_group: spec.stop.kill_mode != KillMode::Process,
        stdout: file(&program.stdout),
        stderr: file(&program.stderr),
    })
}
