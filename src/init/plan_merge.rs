//! A new plan follows an old one while programs run.
//!
//! Programs are matched by name and keep their ids. A program that the new plan lacks stays in it as leaving until the
//! core has forgotten it. Keys of `[foster]` that are bound to the start of the container keep their value. Pure.

use std::collections::BTreeMap;
use std::rc::Rc;

use foster_core::ids::{InstanceId, ProgramId};
use foster_core::plan::CorePlan;
use foster_core::program_map::ProgramMap;

use super::plan_diff::{ChangedKeys, of_instances, of_settings};
use super::plan_scope::{UpdateScope, partial};
use crate::plan::{Plan, Program};

/// The differences between a plan and the one that it follows.
#[derive(Debug)]
pub(super) struct PlanMerge {
    /// The new programs, in the order of their ids.
    pub(super) new: Vec<ProgramId>,
    /// The programs of both plans, each with the keys that differ.
    pub(super) kept: ProgramMap<ChangedKeys>,
    /// The removed programs that were not leaving before.
    pub(super) removed: Vec<ProgramId>,
    /// The changed keys of `[foster]` that apply, and `[signals]`.
    pub(super) applied: Vec<&'static str>,
    /// The programs that keep another number of instances than the configuration says.
    pub(super) scaled: Vec<String>,
    /// The changed keys of `[foster]` that a running foster cannot apply.
    pub(super) fixed: Vec<&'static str>,
}

/// Renumbers the new plan to follow the old one. No program has ever had the id `next` or a higher one. A program
/// that was scaled keeps its number of instances, unless the setting has changed. Programs outside the scope stay as they are.
///
/// # Errors
/// The new definition of a program is not valid for all the instances that it keeps, or does not fit to those that stay.
pub(super) fn merge(
    old: &Plan,
    new: Plan,
    next: ProgramId,
    scope: &UpdateScope,
) -> Result<(Plan, PlanMerge), String> {
    let mut plan = renumbered(old, new, next);
    if !scope.is_whole() {
        plan = partial(old, plan, scope)?;
    }
    let mut made = PlanMerge {
        new: Vec::new(),
        kept: ProgramMap::new(),
        removed: Vec::new(),
        applied: Vec::new(),
        fixed: Vec::new(),
        scaled: Vec::new(),
    };
    let is_meant = |program: &Rc<Program>| scope.has(&program.name);
    let meant: Vec<ProgramId> =
        plan.programs.iter().filter(|(_, program)| is_meant(program)).map(|(id, _)| id).collect();
    for id in meant {
        // A program that was leaving and is in the plan again counts as new.
        if old.program(id).is_some() && !old.core.is_leaving(id) {
            keep_scale(old, &mut plan, id)?;
            let is_scaled = |program: &&Program| program.instances.number != plan.count(id);
            made.scaled.extend(plan.program(id).filter(is_scaled).map(|program| program.name.clone()));
            made.kept.insert(id, of_instances(old, &plan, id));
        } else {
            made.new.push(id);
        }
    }
    let (applied, fixed) = of_settings(&old.settings, &plan.settings);
    made.applied.extend(applied.names());
    made.fixed.extend(fixed.names());
    if old.core.settings().shutdown_timeout != plan.core.settings().shutdown_timeout {
        made.applied.push("shutdown_timeout");
    }
    if old.core.settings().signals != plan.core.settings().signals {
        made.applied.push("[signals]");
    }
    if old.web != plan.web {
        made.applied.push("[web]");
    }
    let mut leaving = Vec::new();
    for (id, program) in old.programs.iter().filter(|(id, _)| !plan.core.programs().contains(*id)) {
        leaving.extend(old.core.program(id).map(|spec| (id, Rc::clone(spec))));
        plan.programs.insert(id, Rc::clone(program));
        if !old.core.is_leaving(id) {
            made.removed.push(id);
        }
    }
    for (id, instance) in old.instances.iter() {
        if !plan.instances.contains_key(id) {
            plan.instances.insert(*id, Rc::clone(instance));
        }
    }
    plan.core = Rc::new(CorePlan::clone(&plan.core).with_leaving(leaving));
    plan.settings.socket.clone_from(&old.settings.socket);
    plan.settings.termination_log.clone_from(&old.settings.termination_log);
    Ok((plan, made))
}

/// `new` with the ids that its programs have in `old`.
fn renumbered(old: &Plan, new: Plan, next: ProgramId) -> Plan {
    // Inserted one by one, because `collect` would add code for sorting to the binary.
    let mut known: BTreeMap<&str, ProgramId> = BTreeMap::new();
    known.extend(old.programs.iter().map(|(id, program)| (program.name.as_str(), id)));
    let mut free = (next.0..).map(ProgramId);
    let mut ids = ProgramMap::new();
    let mut programs = ProgramMap::new();
    for (read, program) in new.programs {
        let id = known.get(program.name.as_str()).copied().or_else(|| free.next());
        let Some(id) = id else { continue }; // after four thousand million programs
        ids.insert(read, id);
        programs.insert(id, program);
    }
    let renamed = |read: ProgramId| ids.get(read).copied();
    let instances = new.instances.into_iter();
    let instances =
        instances.filter_map(|(id, def)| Some((InstanceId { program: renamed(id.program)?, ..id }, def)));
    let templates = new.templates.into_iter();
    let templates = templates.filter_map(|(id, template)| Some((renamed(id)?, template)));
    Plan {
        source: old.source.clone(),
        settings: new.settings,
        core: Rc::new(Rc::unwrap_or_clone(new.core).renumbered(&ids)),
        instances: instances.collect(),
        templates: templates.collect(),
        programs,
        warnings: new.warnings,
        web: new.web,
    }
}

/// A program that was scaled stays so, unless the setting has changed.
fn keep_scale(old: &Plan, plan: &mut Plan, id: ProgramId) -> Result<(), String> {
    let Some((before, after)) = old.program(id).zip(plan.program(id)) else { return Ok(()) };
    let (count, name) = (old.count(id), after.name.clone());
    if count == before.instances.number || before.instances.setting != after.instances.setting {
        return Ok(());
    }
    plan.scale(id, count).map_err(|why| {
        format!(
            "`{name}` is scaled to {count} instances, and its new definition is not valid for each: {why}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    use crate::config::{Environment, load};

    fn merge(old: &Plan, new: Plan, next: ProgramId) -> Result<(Plan, PlanMerge), String> {
        super::merge(old, new, next, &UpdateScope::all())
    }

    fn plan(text: &str) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foster.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, &Environment::default()).unwrap_or_else(|report| panic!("{report}"))
    }

    fn programs(text: &str) -> String {
        let table = |line: &str| {
            let (name, keys) = line.split_once(' ').unwrap_or((line, ""));
            format!("[program.{name}]\ncommand = 'x'\n{}\n", keys.replace(';', "\n"))
        };
        text.lines().map(table).collect()
    }

    fn names(plan: &Plan, ids: &[ProgramId]) -> Vec<String> {
        ids.iter().map(|id| format!("{}={}", plan.program(*id).unwrap().name, id.0)).collect()
    }

    #[test]
    fn a_program_that_stays_keeps_its_id_and_references_follow_it() {
        let old = plan(&programs("a\nb after=['a']\nc"));
        let new = plan(&programs("new after=['c']\nc\nb after=['new']"));
        let next = ProgramId(7);
        let (now, made) = merge(&old, new, next).unwrap();
        assert_eq!(names(&now, &made.new), ["new=7"]);
        assert_eq!(names(&now, &made.removed), ["a=0"]);
        let changed: Vec<_> = made.kept.values().map(|keys| keys.names().collect::<Vec<_>>()).collect();
        assert_eq!(changed, [vec!["after"], vec![]]);
        assert_eq!(now.spec(ProgramId(1)).unwrap().after, [next]);
        assert_eq!(now.spec(next).unwrap().after, [ProgramId(2)]);
        assert!(now.core.is_leaving(ProgramId(0)));
        let both: BTreeSet<_> = now.programs.ids().collect();
        assert_eq!(both, now.core.programs().ids().collect());
    }

    #[test]
    fn a_program_that_is_added_again_while_leaving_keeps_its_id_and_is_new() {
        let old = plan(&programs("a\nb"));
        let without = merge(&old, plan(&programs("a")), ProgramId(2)).unwrap().0;
        let (plan_again, again) = merge(&without, plan(&programs("a")), ProgramId(2)).unwrap();
        assert!(again.removed.is_empty() && plan_again.core.is_leaving(ProgramId(1)));
        let (plan_back, back) = merge(&without, plan(&programs("a\nb")), ProgramId(2)).unwrap();
        assert_eq!(names(&plan_back, &back.new), ["b=1"]);
        assert!(!plan_back.core.is_leaving(ProgramId(1)));
    }

    #[test]
    fn a_scaled_program_keeps_its_number_until_the_setting_changes() {
        let read =
            |keys: &str| plan(&format!("[program.a]\ncommand = ['x', '${{FOSTER_INSTANCE}}']\n{keys}\n"));
        let mut old = read("");
        old.scale(ProgramId(0), 3).unwrap();
        let (same, made) = merge(&old, read("directory = '/d'"), ProgramId(1)).unwrap();
        assert_eq!((same.count(ProgramId(0)), made.scaled), (3, vec!["a".to_owned()]));
        let last = InstanceId { program: ProgramId(0), index: 2 };
        let instance = same.instance(last).unwrap();
        assert_eq!((instance.label.as_str(), instance.program.launch.command[1].as_str()), ("a.2", "2"));
        assert!(instance.program.launch.directory.is_some());
        let (changed, made) = merge(&old, read("instances = 2"), ProgramId(1)).unwrap();
        assert_eq!((changed.count(ProgramId(0)), made.scaled.len()), (2, 0));
        // The removed one has its name until it is gone.
        assert_eq!(changed.label(last), "a.2");
        let port = read("ready = { tcp = '127.0.0.1:6553${FOSTER_INSTANCE}' }");
        old.scale(ProgramId(0), 7).unwrap();
        assert!(merge(&old, port, ProgramId(1)).unwrap_err().contains("not valid for each"));
    }

    #[test]
    fn settings_of_the_startup_stay_and_are_listed() {
        let foster = |text: &str| plan(&format!("{}[foster]\n{text}\n", programs("a")));
        let old = foster("socket = '/a'");
        let (now, made) =
            merge(&old, foster("socket = '/b'\nlog_format = 'json'\nshutdown_timeout = '5s'"), ProgramId(1))
                .unwrap();
        assert_eq!(made.fixed, ["socket"]);
        assert_eq!(made.applied, ["log_format", "shutdown_timeout"]);
        assert_eq!(now.settings.socket, old.settings.socket);
        assert_eq!(now.core.settings().shutdown_timeout.as_secs(), 5);
        let signals = plan(&format!("{}[signals]\nPWR = 'shutdown'\n", programs("a")));
        assert_eq!(merge(&old, signals, ProgramId(1)).unwrap().1.applied, ["[signals]"]);
    }
}
