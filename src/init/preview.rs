//! `foster update --dry-run`: what an update would do, without doing it.
//!
//! The configuration is read and compared as for an update; sockets are not opened. Next: `update.rs`.

use foster_core::event::SpecChange;
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::spec::Autostart;

use super::Init;
use super::plan_diff::ChangedKeys;
use super::plan_merge::PlanMerge;
use super::plan_scope::UpdateScope;
use crate::config::Report;
use crate::control::protocol::{Change, ChangeKind, Refusal, Reply, Update};
use crate::control::server::ConnectionId;
use crate::plan::Plan;

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
