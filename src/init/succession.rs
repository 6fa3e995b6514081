//! A plan that follows another while its programs run.
//!
//! Programs are the same ones by their names, and keep their ids. What is not in the new plan stays in it as leaving
//! until the core has forgotten it. Of `[foster]`, what is bound to the start of the container stays as it was. Pure.

use std::collections::BTreeMap;

use foster_core::ids::ProgramId;

use super::difference::{Keys, of_program, of_settings};
use crate::plan::{Plan, Program, Settings};

/// A plan that follows another, and what is different.
#[derive(Debug)]
pub(super) struct Succession {
    /// The plan from now on.
    pub(super) plan: Plan,
    /// The programs that were not there.
    pub(super) new: Vec<ProgramId>,
    /// The programs that were there, each with what is different about it.
    pub(super) kept: BTreeMap<ProgramId, Keys>,
    /// The programs that are to go, and were not on their way already.
    pub(super) removed: Vec<ProgramId>,
    /// The keys of `[foster]`, and `[signals]`, that hold from now on.
    pub(super) applied: Vec<&'static str>,
    /// The keys of `[foster]` that a running foster cannot take over.
    pub(super) fixed: Vec<&'static str>,
}

/// Has `new`, as it was read, follow `old`; `next` is an id that no program ever had, and so are all above it.
pub(super) fn succeed(old: &Plan, new: Plan, next: ProgramId) -> Succession {
    let known: BTreeMap<&str, ProgramId> =
        old.programs.iter().map(|(id, program)| (program.name.as_str(), *id)).collect();
    let mut free = (next.0..).map(ProgramId);
    let mut ids = BTreeMap::new();
    for (read, program) in &new.programs {
        let id = known.get(program.name.as_str()).copied().or_else(|| free.next());
        ids.extend(id.map(|id| (*read, id)));
    }
    let core = new.core.renumbered(&ids);
    let mut programs: BTreeMap<ProgramId, Program> =
        new.programs.into_iter().filter_map(|(read, program)| Some((*ids.get(&read)?, program))).collect();
    let stays = |id: &ProgramId| programs.contains_key(id) && !old.core.is_leaving(*id);
    let mut kept = BTreeMap::new();
    for id in programs.keys().filter(|id| stays(id)) {
        let before = old.program(*id).zip(old.spec(*id));
        let after = programs.get(id).zip(core.program(*id));
        kept.extend(before.zip(after).map(|(before, after)| (*id, of_program(before, after))));
    }
    // One that was leaving, and is not any more, begins like a new one.
    let begins = programs.keys().filter(|id| !kept.contains_key(id)).copied().collect();
    let gone: Vec<ProgramId> = old.programs.keys().filter(|id| !programs.contains_key(id)).copied().collect();
    let removed = gone.iter().filter(|id| !old.core.is_leaving(**id)).copied().collect();
    let (applied, fixed) = of_settings(&old.settings, &new.settings);
    let mut applied: Vec<&'static str> = applied.names().collect();
    if old.core.shutdown_timeout() != core.shutdown_timeout() {
        applied.push("shutdown_timeout");
    }
    if old.core.signals() != core.signals() {
        applied.push("[signals]");
    }
    let leaving = gone.iter().filter_map(|id| Some((*id, old.spec(*id)?.clone())));
    let core = core.with_leaving(leaving.collect::<Vec<_>>());
    programs.extend(gone.iter().filter_map(|id| Some((*id, old.program(*id)?.clone()))));
    let settings = Settings {
        socket: old.settings.socket.clone(),
        termination_log: old.settings.termination_log.clone(),
        ..new.settings
    };
    let plan = Plan { source: old.source.clone(), settings, core, programs, warnings: new.warnings };
    Succession { plan, new: begins, kept, removed, applied, fixed: fixed.names().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeSet;

    use crate::config::{Environment, load};

    fn plan(text: &str) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foster.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, &Environment::new()).unwrap_or_else(|report| panic!("{report}"))
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
    fn a_program_that_stays_keeps_its_id_and_whoever_names_it_finds_it() {
        let old = plan(&programs("a\nb after=['a']\nc"));
        let new = plan(&programs("new after=['c']\nc\nb after=['new']"));
        let next = ProgramId(7);
        let made = succeed(&old, new, next);
        assert_eq!(names(&made.plan, &made.new), ["new=7"]);
        assert_eq!(names(&made.plan, &made.removed), ["a=0"]);
        let changed: Vec<_> = made.kept.values().map(|keys| keys.names().collect::<Vec<_>>()).collect();
        assert_eq!(changed, [vec!["after"], vec![]]);
        assert_eq!(made.plan.spec(ProgramId(1)).unwrap().after, [next]);
        assert_eq!(made.plan.spec(next).unwrap().after, [ProgramId(2)]);
        assert!(made.plan.core.is_leaving(ProgramId(0)));
        let both: BTreeSet<_> = made.plan.programs.keys().collect();
        assert_eq!(both, made.plan.core.programs().keys().collect());
    }

    #[test]
    fn one_that_comes_back_while_it_leaves_has_its_id_and_begins_anew() {
        let old = plan(&programs("a\nb"));
        let without = succeed(&old, plan(&programs("a")), ProgramId(2)).plan;
        let again = succeed(&without, plan(&programs("a")), ProgramId(2));
        assert!(again.removed.is_empty() && again.plan.core.is_leaving(ProgramId(1)));
        let back = succeed(&without, plan(&programs("a\nb")), ProgramId(2));
        assert_eq!(names(&back.plan, &back.new), ["b=1"]);
        assert!(!back.plan.core.is_leaving(ProgramId(1)));
    }

    #[test]
    fn what_is_bound_to_the_start_stays_and_is_told() {
        let foster = |text: &str| plan(&format!("{}[foster]\n{text}\n", programs("a")));
        let old = foster("socket = '/a'");
        let made = succeed(
            &old,
            foster("socket = '/b'\nlog_format = 'json'\nshutdown_timeout = '5s'"),
            ProgramId(1),
        );
        assert_eq!(made.fixed, ["socket"]);
        assert_eq!(made.applied, ["log_format", "shutdown_timeout"]);
        assert_eq!(made.plan.settings.socket, old.settings.socket);
        assert_eq!(made.plan.core.shutdown_timeout().as_secs(), 5);
        let signals = plan(&format!("{}[signals]\nPWR = 'shutdown'\n", programs("a")));
        assert_eq!(succeed(&old, signals, ProgramId(1)).applied, ["[signals]"]);
    }
}
