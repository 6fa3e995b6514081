//! An update of some programs only: their definitions are those of the configuration, all others stay as they are.
//!
//! The table `[foster]` stays, too. What the two plans say together is checked like a configuration: no program may
//! wait for one that is left out. Pure. Next: `plan_merge.rs`.

use foster_core::graph::PlanError;
use foster_core::ids::{InstanceId, ProgramId};
use foster_core::plan::{CorePlan, SignalAction};
use foster_core::program_map::ProgramMap;
use foster_core::sorted::{SortedMap, SortedSet};

use crate::control::names::{NameError, NameFilter, resolve};
use crate::control::protocol::{Update, UpdateMode};
use crate::plan::Plan;

/// The programs that an update is about.
#[derive(Debug, Default)]
pub(super) struct UpdateScope {
    filter: NameFilter,
    names: Vec<String>,
    mode: UpdateMode,
}

impl UpdateScope {
    /// Those that a client names; no name means all, and `[foster]`.
    ///
    /// # Errors
    /// There are too many globs.
    pub(super) fn new(asked: &Update) -> Result<UpdateScope, NameError> {
        Ok(UpdateScope {
            filter: NameFilter::new(&asked.names)?,
            names: asked.names.clone(),
            mode: asked.mode,
        })
    }

    /// Everything.
    pub(super) fn all() -> UpdateScope {
        UpdateScope { filter: NameFilter::all(), ..UpdateScope::default() }
    }

    /// Whether it is about everything.
    pub(super) fn is_whole(&self) -> bool {
        self.filter.is_open() && !self.removes()
    }

    /// Whether it is about this program.
    pub(super) fn has(&self, program: &str) -> bool {
        self.filter.matches(program, 0)
    }

    /// Whether the programs are removed, whatever the configuration says.
    pub(super) fn removes(&self) -> bool {
        self.mode == UpdateMode::Remove
    }

    /// Checks that each name is that of a program of these plans.
    ///
    /// # Errors
    /// The first that is not.
    pub(super) fn check_names(&self, old: &Plan, new: &Plan) -> Result<(), NameError> {
        let old = old.programs.iter().filter(|(id, _)| !old.core.is_leaving(*id));
        let names = old.chain(new.programs.iter()).map(|(_, program)| program.name.as_str());
        let known: SortedSet<&str> = names.collect();
        let known: Vec<(&str, u16)> = known.iter().map(|name| (*name, 1)).collect();
        resolve(&self.names, &known).map(drop)
    }
}

/// The old plan, with the programs of this scope as the new one has them. Both have the same ids.
///
/// # Errors
/// The two do not fit together.
pub(super) fn partial(old: &Plan, new: Plan, scope: &UpdateScope) -> Result<Plan, String> {
    let mut plan = Plan {
        source: old.source.clone(),
        settings: old.settings.clone(),
        core: old.core.clone(),
        programs: ProgramMap::new(),
        instances: SortedMap::new(),
        templates: ProgramMap::new(),
        web: old.web.clone(),
        warnings: new.warnings.clone(),
    };
    let mut specs = Vec::new();
    for (from, is_new) in [(old, false), (&new, true)] {
        for (id, program) in from.programs.iter().filter(|(id, _)| !from.core.is_leaving(*id)) {
            if scope.has(&program.name) != is_new || is_new && scope.removes() {
                continue;
            }
            plan.programs.insert(id, program.clone());
            specs.extend(from.spec(id).map(|spec| (id, spec.clone())));
            if let Some(template) = from.templates.get(id) {
                plan.templates.insert(id, template.clone());
            }
            for index in 0..from.count(id) {
                let id = InstanceId { program: id, index };
                if let Some(instance) = from.instances.get(&id) {
                    plan.instances.insert(id, instance.clone());
                }
            }
        }
    }
    let name = |id: ProgramId| {
        let program = new.program(id).or_else(|| old.program(id));
        program.map_or("?", |program| program.name.as_str())
    };
    let settings = old.core.settings().clone();
    for (signal, action) in &settings.signals {
        if let SignalAction::Forward { program, signal: _ } = action
            && !plan.programs.contains(*program)
        {
            return Err(format!(
                "`[signals]` forwards {signal} to `{}`, which would be removed",
                name(*program)
            ));
        }
    }
    plan.core = CorePlan::new(specs, settings).map_err(|errors| reason(&errors, name))?.into();
    Ok(plan)
}

fn reason<'a>(errors: &[PlanError], name: impl Fn(ProgramId) -> &'a str) -> String {
    let one = |error: &PlanError| match error {
        PlanError::Unknown { program, dependency } => format!(
            "`{}` comes after `{}`, which would not be there: name both, or neither",
            name(*program),
            name(*dependency)
        ),
        PlanError::Cycle(cycle) => {
            let names: Vec<&str> = cycle.iter().map(|id| name(*id)).collect();
            format!("`{}` would wait for each other: update them together", names.join("`, `"))
        }
        PlanError::LaterTier { program, dependency } => format!(
            "`{}` comes after `{}`, whose priority would be higher: update both together",
            name(*program),
            name(*dependency)
        ),
    };
    errors.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::plan_merge::merge;
    use super::*;

    use crate::config::{Environment, load};

    fn plan(text: &str) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foster.toml");
        std::fs::write(&path, text).unwrap();
        load(&path, &Environment::default()).unwrap_or_else(|report| panic!("{report}"))
    }

    fn programs(text: &str) -> Plan {
        let table = |line: &str| {
            let (name, keys) = line.split_once(' ').unwrap_or((line, ""));
            format!("[program.{name}]\ncommand = 'x'\n{}\n", keys.replace(';', "\n"))
        };
        plan(&text.lines().map(table).collect::<String>())
    }

    fn scope(names: &[&str], mode: UpdateMode) -> UpdateScope {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        UpdateScope::new(&Update { names, mode, wait: true }).unwrap()
    }

    /// What becomes of the old plan: new, changed and removed programs, or why it is refused.
    fn outcome(old: &Plan, new: Plan, scope: &UpdateScope) -> String {
        let (plan, made) = match merge(old, new, ProgramId(9), scope) {
            Ok(merged) => merged,
            Err(why) => return why,
        };
        let named =
            |ids: &[ProgramId]| ids.iter().map(|id| plan.program(*id).unwrap().name.clone()).collect();
        let kept = made.kept.iter().filter(|(_, keys)| !keys.is_empty());
        let changed: Vec<String> = kept.map(|(id, _)| plan.program(id).unwrap().name.clone()).collect();
        let (added, removed): (Vec<String>, Vec<String>) = (named(&made.new), named(&made.removed));
        format!("+[{}] ~[{}] -[{}]", added.join(" "), changed.join(" "), removed.join(" "))
    }

    #[test]
    fn only_the_programs_that_are_named_change() {
        let old = programs("a\nb\nold");
        let new = || programs("a umask='022'\nb umask='022'\nnew");
        for (names, expected) in [
            (vec!["a"], "+[] ~[a] -[]"),
            (vec!["new", "old"], "+[new] ~[] -[old]"),
            (vec!["[ab]"], "+[] ~[a b] -[]"),
            (vec!["all"], "+[new] ~[a b] -[old]"),
            (vec![], "+[new] ~[a b] -[old]"),
        ] {
            assert_eq!(outcome(&old, new(), &scope(&names, UpdateMode::Apply)), expected, "{names:?}");
        }
        let (now, _) = merge(&old, new(), ProgramId(9), &scope(&["new"], UpdateMode::Apply)).unwrap();
        assert!(now.instance(InstanceId { program: ProgramId(9), index: 0 }).is_some());
        assert_eq!(now.program(ProgramId(0)), old.program(ProgramId(0)));
    }

    #[test]
    fn a_program_is_removed_until_an_update_adds_it_again() {
        let old = programs("a\nb");
        let removes = scope(&["b"], UpdateMode::Remove);
        let (without, made) = merge(&old, old.clone(), ProgramId(2), &removes).unwrap();
        assert_eq!(made.removed, [ProgramId(1)]);
        assert!(without.core.is_leaving(ProgramId(1)));
        assert_eq!(outcome(&without, programs("a\nb"), &UpdateScope::all()), "+[b] ~[] -[]");
    }

    #[test]
    fn what_would_not_fit_together_is_refused_with_the_names() {
        let old = plan(
            "[program.db]\ncommand='x'\n[program.web]\ncommand='x'\nafter=['db']\n[signals]\nUSR1='forward:web'",
        );
        let removed = |name| outcome(&old, old.clone(), &scope(&[name], UpdateMode::Remove));
        assert_eq!(removed("db"), "`web` comes after `db`, which would not be there: name both, or neither");
        assert_eq!(removed("web"), "`[signals]` forwards SIGUSR1 to `web`, which would be removed");
        let apply =
            |old: &Plan, new: &str, name| outcome(old, programs(new), &scope(&[name], UpdateMode::Apply));
        let plain = programs("a\nb");
        assert!(apply(&plain, "a after=['c']\nb\nc", "a").contains("`a` comes after `c`"));
        let behind = programs("a after=['b']\nb");
        assert!(apply(&behind, "a\nb after=['a']", "b").contains("would wait for each other"));
        assert!(
            apply(&behind, "a priority=2000;after=['b']\nb priority=1500", "b")
                .contains("whose priority would be higher")
        );
    }

    #[test]
    fn a_name_of_neither_plan_is_refused() {
        let (old, new) = (programs("web\nold"), programs("web\nworker"));
        let check = |name| scope(&[name], UpdateMode::Apply).check_names(&old, &new);
        assert_eq!((check("old"), check("worker"), check("w*")), (Ok(()), Ok(()), Ok(())));
        let message = crate::control::protocol::Refusal::from(check("workr").unwrap_err()).to_string();
        assert_eq!(message, "there is no program `workr`; did you mean `worker`?");
    }
}
