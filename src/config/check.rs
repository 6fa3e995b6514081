//! What can only be seen from all programs together: names, circles, tiers, shared files.
//!
//! The order itself is judged by the core ([`foster_core::graph`]); this says where in the files the
//! contradiction stands.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use foster_core::graph::PlanError;
use foster_core::ids::{ProgramId, Signal};
use foster_core::plan::{CorePlan, PlanSettings, SignalAction, WhenAllEnded};
use foster_core::spec::{Autostart, ProgramSpec};

use crate::plan::{Probe, Sink, Stdin};

use super::program::{Draft, Reference};
use super::report::{Findings, Place};
use super::settings::Rule;
use crate::suggest::suggest;

/// The programs of a configuration.
#[derive(Debug)]
pub(super) struct Cast {
    /// Those that are there, by [`ProgramId`].
    pub(super) drafts: Vec<Draft>,
    /// The names of those that are switched off: they may be named, and then mean nothing.
    pub(super) disabled: BTreeSet<String>,
}

/// Joins the programs into a plan of the core; `None` where they do not fit, which is reported.
pub(super) fn join(
    findings: &mut Findings,
    cast: &Cast,
    shutdown_timeout: Duration,
    when_all_ended: WhenAllEnded,
    rules: Vec<(Signal, Rule)>,
) -> Option<CorePlan> {
    let names = Names::new(cast);
    let specs = cast.drafts.iter().map(|draft| names.resolve(findings, draft));
    let specs: Vec<_> = (0..).map(ProgramId).zip(specs).collect();
    let signals = rules.into_iter().map(|(signal, rule)| (signal, names.action(findings, rule))).collect();
    warn_of_shared_files(findings, &cast.drafts);
    check_inherited_stdin(findings, &cast.drafts);
    cast.drafts.iter().for_each(|draft| check_is_heard(findings, draft));
    match CorePlan::new(specs, PlanSettings { shutdown_timeout, when_all_ended, signals }) {
        Ok(plan) => Some(plan),
        Err(errors) => {
            errors.iter().for_each(|error| report(findings, cast, error));
            None
        }
    }
}

struct Names<'c> {
    cast: &'c Cast,
    ids: BTreeMap<&'c str, ProgramId>,
}

impl<'c> Names<'c> {
    fn new(cast: &'c Cast) -> Names<'c> {
        let ids = cast.drafts.iter().zip(0u32..).map(|(draft, id)| (draft.key.name.as_str(), ProgramId(id)));
        Names { cast, ids: ids.collect() }
    }

    /// The core's part of a program, with the programs it waits for.
    fn resolve(&self, findings: &mut Findings, draft: &Draft) -> ProgramSpec {
        let mut find = |references: &[Reference], relation: &str| {
            let ids = references.iter().filter_map(|reference| {
                let owner = format!("program `{}` {relation} `{}`", draft.key.name, reference.name);
                let id = self.find(findings, reference, &owner)?;
                self.warn_of_sleeper(findings, draft, reference, id);
                Some(id)
            });
            ids.collect::<Vec<ProgramId>>()
        };
        let after = find(&draft.after, "comes after");
        let requires = find(&draft.requires, "requires");
        ProgramSpec { after, requires, ..draft.spec.clone() }
    }

    fn find(&self, findings: &mut Findings, reference: &Reference, sentence: &str) -> Option<ProgramId> {
        if let Some(id) = self.ids.get(reference.name.as_str()) {
            return Some(*id);
        }
        if !self.cast.disabled.contains(&reference.name) {
            let names = self.ids.keys().copied().chain(self.cast.disabled.iter().map(String::as_str));
            let note = suggest(&reference.name, names);
            findings.error(reference.place, format!("{sentence}, which is not defined"), note);
        }
        None
    }

    /// A program that nobody starts holds up whoever waits for it.
    fn warn_of_sleeper(&self, findings: &mut Findings, draft: &Draft, reference: &Reference, id: ProgramId) {
        let sleeps = |spec: &ProgramSpec| spec.autostart == Autostart::No;
        let awaited = self.cast.drafts.get(id.0 as usize);
        if awaited.is_some_and(|awaited| sleeps(&awaited.spec)) && !sleeps(&draft.spec) {
            let message = format!(
                "program `{}` waits for `{}`, which is not autostarted",
                draft.key.name, reference.name
            );
            findings.warn(reference.place, message);
        }
    }

    fn action(&self, findings: &mut Findings, rule: Rule) -> SignalAction {
        match rule {
            Rule::Shutdown => SignalAction::Shutdown,
            Rule::Ignore => SignalAction::Ignore,
            Rule::Forward(reference, signal) => {
                let sentence = format!("a signal is forwarded to `{}`", reference.name);
                match self.find(findings, &reference, &sentence) {
                    Some(program) => SignalAction::Forward { program, signal },
                    // Switched off, or reported.
                    None => SignalAction::Ignore,
                }
            }
        }
    }
}

fn report(findings: &mut Findings, cast: &Cast, error: &PlanError) {
    let draft = |id: &ProgramId| cast.drafts.get(id.0 as usize);
    let name = |id: &ProgramId| draft(id).map_or("", |draft| draft.key.name.as_str());
    match error {
        PlanError::Unknown { program, dependency: _ } => {
            let place = draft(program).map(|draft| draft.key.place);
            let message = format!("program `{}` waits for one that is not there", name(program));
            place.into_iter().for_each(|place| findings.error(place, message.clone(), ""));
        }
        PlanError::Circle(circle) => {
            let (Some(first), Some(last)) = (circle.first(), circle.last()) else { return };
            let Some(place) = edge(cast, first, circle.get(1).unwrap_or(first)) else { return };
            if first == last {
                findings.error(place, format!("program `{}` waits for itself", name(first)), "");
                return;
            }
            let chain = circle.iter().chain([first]).map(|id| format!("`{}`", name(id)));
            let chain = chain.collect::<Vec<_>>().join(" -> ");
            findings.error(
                place,
                format!("programs {chain} wait for each other"),
                "one of them has to go first",
            );
        }
        PlanError::LaterTier { program, dependency } => {
            let Some(place) = edge(cast, program, dependency) else { return };
            let priority = |id: &ProgramId| draft(id).map_or(0, |draft| draft.spec.priority);
            let message = format!(
                "program `{}` (priority {}) waits for `{}` (priority {}), which starts later",
                name(program),
                priority(program),
                name(dependency),
                priority(dependency),
            );
            findings.error(place, message, "lower priorities start first");
        }
    }
}

/// Where one program says that it waits for another.
fn edge(cast: &Cast, program: &ProgramId, dependency: &ProgramId) -> Option<Place> {
    let draft = cast.drafts.get(program.0 as usize)?;
    let awaited = &cast.drafts.get(dependency.0 as usize)?.key.name;
    let named = draft.after.iter().chain(&draft.requires).find(|reference| reference.name == *awaited);
    named.map(|reference| reference.place)
}

/// Two programs that rotate one file lose each other's lines.
fn warn_of_shared_files(findings: &mut Findings, drafts: &[Draft]) {
    let mut writers: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for draft in drafts {
        for (sink, place) in [&draft.program.stdout, &draft.program.stderr].into_iter().zip(draft.sinks) {
            let Sink::File(file) = sink else { continue };
            let writer = *writers.entry(plain(&file.path)).or_insert(&draft.key.name);
            if let (true, Some(place)) = (writer != draft.key.name, place) {
                let message = format!(
                    "programs `{writer}` and `{}` write the same file `{}`",
                    draft.key.name,
                    file.path.display()
                );
                findings.warn(place, message);
            }
        }
    }
}

/// Two programs that read one input each get a part of it that cannot be foretold.
fn check_inherited_stdin(findings: &mut Findings, drafts: &[Draft]) {
    let mut readers = drafts.iter().filter(|draft| draft.program.launch.stdin == Stdin::Inherit);
    let Some(first) = readers.next() else { return };
    for other in readers {
        let Some(place) = other.stdin else { continue };
        let message = format!(
            "programs `{}` and `{}` both inherit foster's standard input",
            first.key.name, other.key.name
        );
        findings.error(place, message, "expected `\"null\"` or `\"open\"` for all programs but one");
    }
}

/// A line that does not pass through foster cannot make a program ready.
fn check_is_heard(findings: &mut Findings, draft: &Draft) {
    let program = &draft.program;
    let unheard = |sink: &Sink| matches!(sink, Sink::Inherit | Sink::Null);
    if let (Some(Probe::Log(_)), Some(place)) = (&program.ready, draft.ready)
        && unheard(&program.stdout)
        && unheard(&program.stderr)
    {
        let message = format!("program `{}` can never be ready: foster sees none of its lines", program.name);
        findings.error(place, message, "expected `stdout` or `stderr` as `log` or a file");
    }
}

/// The path without `.` and doubled slashes.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}
