//! Checks across programs: references to other programs, dependency cycles, tiers.
//!
//! The core checks the order ([`foster_core::graph`]); this file finds the line to report. Warnings about suspicious but
//! valid configurations are in `lint.rs`.

use std::collections::BTreeMap;

use foster_core::graph::PlanError;
use foster_core::ids::{ProgramId, Signal};
use foster_core::plan::{CorePlan, PlanSettings, SignalAction};
use foster_core::spec::{Kind, ProgramSpec};

use super::diagnostics::Diagnostics;
use super::lint::{check_together, warn_about_dependency, warn_about_slow_stop};
use super::program::Draft;
use super::programs::Programs;
use super::reader::Reference;
use super::settings::SignalRule;
use super::span::Span;
use crate::suggest::suggest;

/// The most names that are compared to find a suggestion.
const MOST_COMPARED: usize = 1000;

/// Makes the core's plan of the programs; `None` if they contradict each other, which is reported.
pub(super) fn resolve(
    diagnostics: &mut Diagnostics,
    programs: &Programs,
    settings: PlanSettings,
    rules: Vec<(Signal, SignalRule)>,
) -> Option<CorePlan> {
    let names = Names::new(programs);
    let specs: Vec<ProgramSpec> =
        programs.drafts.iter().map(|draft| names.resolve(diagnostics, draft)).collect();
    let specs = (0..).map(ProgramId).zip(specs);
    let signals = rules.into_iter().map(|(signal, rule)| (signal, names.action(diagnostics, rule))).collect();
    check_together(diagnostics, &programs.drafts);
    match CorePlan::new(specs, PlanSettings { signals, ..settings }) {
        Ok(plan) => {
            warn_about_slow_stop(diagnostics, &programs.drafts, &plan);
            Some(plan)
        }
        Err(errors) => {
            errors.iter().for_each(|error| report(diagnostics, programs, error));
            None
        }
    }
}

struct Names<'c> {
    programs: &'c Programs,
    ids: BTreeMap<&'c str, ProgramId>,
}

impl<'c> Names<'c> {
    fn new(programs: &'c Programs) -> Names<'c> {
        let mut ids = BTreeMap::new();
        ids.extend(
            programs.drafts.iter().zip(0u32..).map(|(draft, id)| (draft.key.name.as_str(), ProgramId(id))),
        );
        Names { programs, ids }
    }

    /// The core's part of a program, with its dependencies.
    fn resolve(&self, diagnostics: &mut Diagnostics, draft: &Draft) -> ProgramSpec {
        let mut find = |references: &[Reference], relation: &str| {
            let ids = references.iter().filter_map(|reference| {
                let owner = format!("{} {relation} `{}`", draft.described(), reference.name);
                let id = self.find(diagnostics, reference, &owner)?;
                if let Some(dependency) = self.programs.drafts.get(id.0 as usize) {
                    warn_about_dependency(diagnostics, draft, reference, dependency);
                }
                Some(id)
            });
            ids.collect::<Vec<ProgramId>>()
        };
        let after = find(&draft.after, "comes after");
        let requires = find(&draft.requires, "requires");
        ProgramSpec { after, requires, ..draft.spec.clone() }
    }

    fn find(
        &self,
        diagnostics: &mut Diagnostics,
        reference: &Reference,
        sentence: &str,
    ) -> Option<ProgramId> {
        if let Some(id) = self.ids.get(reference.name.as_str()) {
            return Some(*id);
        }
        if !self.programs.disabled.contains(&reference.name) {
            let names = self.ids.keys().copied().chain(self.programs.disabled.iter().map(String::as_str));
            let note = match diagnostics.may_search() {
                true => suggest(&reference.name, names.take(MOST_COMPARED)),
                false => String::new(),
            };
            diagnostics.error(reference.span, format!("{sentence}, which is not defined"), note);
        }
        None
    }

    fn action(&self, diagnostics: &mut Diagnostics, rule: SignalRule) -> SignalAction {
        match rule {
            SignalRule::Shutdown => SignalAction::Shutdown,
            SignalRule::Ignore => SignalAction::Ignore,
            SignalRule::Forward(reference, signal) => {
                let sentence = format!("a signal is forwarded to `{}`", reference.name);
                match self.find(diagnostics, &reference, &sentence) {
                    Some(program) => SignalAction::Forward { program, signal },
                    // The program is disabled, or the error is reported.
                    None => SignalAction::Ignore,
                }
            }
        }
    }
}

fn report(diagnostics: &mut Diagnostics, programs: &Programs, error: &PlanError) {
    let draft = |id: &ProgramId| programs.drafts.get(id.0 as usize);
    let name = |id: &ProgramId| draft(id).map_or("", |draft| draft.key.name.as_str());
    let described = |id: &ProgramId| draft(id).map(Draft::described).unwrap_or_default();
    match error {
        PlanError::Unknown { program, dependency: _ } => {
            let span = draft(program).map(|draft| draft.key.span);
            let message = format!("{} depends on a program that is not defined", described(program));
            span.into_iter().for_each(|span| diagnostics.error(span, message.clone(), ""));
        }
        PlanError::Cycle(cycle) => {
            let (Some(first), Some(last)) = (cycle.first(), cycle.last()) else { return };
            let Some(span) = reference_span(programs, first, cycle.get(1).unwrap_or(first)) else {
                return;
            };
            if first == last {
                diagnostics.error(span, format!("{} waits for itself", described(first)), "");
                return;
            }
            let chain = cycle.iter().chain([first]).map(|id| format!("`{}`", name(id)));
            let chain = chain.collect::<Vec<_>>().join(" -> ");
            diagnostics.error(
                span,
                format!("programs {chain} wait for each other"),
                "one of them must start first",
            );
        }
        PlanError::LaterTier { program, dependency } => {
            let Some(span) = reference_span(programs, program, dependency) else { return };
            let priority = |id: &ProgramId| draft(id).map_or(0, |draft| draft.spec.priority);
            let message = format!(
                "{} (priority {}) waits for `{}` (priority {}), which starts later",
                described(program),
                priority(program),
                name(dependency),
                priority(dependency),
            );
            let note = match draft(program).map(|draft| draft.spec.kind()) {
                // It has priority 0 where nothing else is written.
                Some(Kind::Task) => format!(
                    "lower priorities start first: `priority = {}` in `[task.{}]`",
                    priority(dependency),
                    name(program)
                ),
                Some(Kind::Program | Kind::Job) | None => "lower priorities start first".to_owned(),
            };
            diagnostics.error(span, message, note);
        }
    }
}

/// The reference by which one program depends on another.
fn reference_span(programs: &Programs, program: &ProgramId, dependency: &ProgramId) -> Option<Span> {
    let draft = programs.drafts.get(program.0 as usize)?;
    let awaited = &programs.drafts.get(dependency.0 as usize)?.key.name;
    let named = draft.after.iter().chain(&draft.requires).find(|reference| reference.name == *awaited);
    named.map(|reference| reference.span)
}
