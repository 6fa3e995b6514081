//! Warnings about programs, or instances of one, that affect each other: shared files and inputs, dependencies that are never ready or ready
//! too early, a shutdown that takes too long.
//!
//! A correct configuration has no warnings, so that people read them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use foster_core::plan::CorePlan;
use foster_core::spec::{Autostart, Kind, ProgramSpec, Readiness, Restart};

use crate::duration::exact;
use crate::plan::{Probe, Sink, Stdin};

use super::diagnostics::Diagnostics;
use super::keys::FOSTER;
use super::program::Draft;
use super::reader::Reference;
use super::span::{BUILT_IN, MAIN, Position, Span};

/// Checks the files, inputs and outputs of all programs.
pub(super) fn check_together(diagnostics: &mut Diagnostics, drafts: &[Draft]) {
    warn_about_shared_files(diagnostics, drafts);
    check_inherited_stdin(diagnostics, drafts);
    drafts.iter().for_each(|draft| check_log_probe(diagnostics, draft));
    let several = drafts.iter().filter(|draft| draft.program.instances.may_be_several());
    several.for_each(|draft| warn_about_shared_by_instances(diagnostics, draft));
}

/// Checks one dependency of a program.
pub(super) fn warn_about_dependency(
    diagnostics: &mut Diagnostics,
    draft: &Draft,
    reference: &Reference,
    dependency: &Draft,
) {
    warn_not_autostarted(diagnostics, draft, reference, dependency);
    warn_ready_too_early(diagnostics, draft, reference, dependency);
}

/// A program that is not started blocks every program that depends on it.
fn warn_not_autostarted(
    diagnostics: &mut Diagnostics,
    draft: &Draft,
    reference: &Reference,
    dependency: &Draft,
) {
    let is_manual = |spec: &ProgramSpec| spec.autostart == Autostart::No;
    if is_manual(&dependency.spec) && !is_manual(&draft.spec) {
        let message = format!(
            "{} depends on `{}`, which is not autostarted: it waits for `foster start {}`",
            draft.described(),
            reference.name,
            reference.name
        );
        diagnostics.warn(reference.span, message);
    }
}

/// A program that ends by itself is ready after `min_uptime`, even if its work is not done.
fn warn_ready_too_early(
    diagnostics: &mut Diagnostics,
    draft: &Draft,
    reference: &Reference,
    dependency: &Draft,
) {
    let restart = match dependency.spec.restart.restart {
        Restart::Always => return,
        Restart::OnFailure => "on-failure",
        Restart::Never => "never",
    };
    let by_uptime = dependency.spec.readiness == Readiness::Uptime;
    if by_uptime && !is_written(dependency.spans.get("min_uptime")) {
        let (name, uptime) = (&reference.name, exact(dependency.spec.restart.min_uptime));
        let message = format!(
            "{} starts when `{name}` has run for {uptime}, not when it has finished: `{name}` has `restart = \"{restart}\"` \
             and no `ready`; a task, `[task.{name}]`, is ready when it has succeeded",
            draft.described(),
        );
        diagnostics.warn(reference.span, message);
    }
}

/// Whether a user set this key; a built-in default is not counted.
fn is_written(span: Option<Span>) -> bool {
    span.is_some_and(|span| span.file != BUILT_IN)
}

/// The waves stop one after the other, so their timeouts add up, and `shutdown_timeout` bounds the sum. The defaults
/// alone cause no warning. A task has ended by then, as a rule.
pub(super) fn warn_about_slow_stop(diagnostics: &mut Diagnostics, drafts: &[Draft], plan: &CorePlan) {
    let longest = |wave: &Vec<_>| {
        let specs = wave.iter().filter_map(|id| plan.program(*id));
        let programs = specs.filter(|spec| spec.kind() == Kind::Program);
        programs.map(|spec| stop_time(spec)).max().unwrap_or_default()
    };
    let sum = plan.graph().waves().iter().map(longest).fold(Duration::ZERO, Duration::saturating_add);
    let bound = plan.settings().shutdown_timeout;
    let written = drafts.iter().filter(|draft| is_written(draft.spans.get("stop_timeout")));
    let slowest =
        written.max_by_key(|draft| stop_time(&draft.spec)).and_then(|draft| draft.spans.get("stop_timeout"));
    let default = humantime::parse_duration(FOSTER.default_text("shutdown_timeout")).unwrap_or(bound);
    if sum <= bound || (slowest.is_none() && bound >= default) {
        return;
    }
    let message = format!(
        "stopping the programs one after the other may take {}, but `shutdown_timeout` is {}: programs that still run \
         after that are killed",
        exact(sum),
        exact(bound)
    );
    diagnostics.warn(slowest.map_or(Position::File(MAIN), Position::At), message);
}

/// How long a program may take to stop: `stop_timeout` for each of its signals.
fn stop_time(spec: &ProgramSpec) -> Duration {
    spec.stop.timeout.saturating_mul(u32::try_from(spec.stop.signals.len()).unwrap_or(u32::MAX))
}

/// Two programs with the same file: their lines are mixed, which is rarely intended.
fn warn_about_shared_files(diagnostics: &mut Diagnostics, drafts: &[Draft]) {
    let mut writers: BTreeMap<PathBuf, &str> = BTreeMap::new();
    for draft in drafts {
        let spans = [draft.spans.get("stdout"), draft.spans.get("stderr")];
        for (sink, span) in [&draft.program.stdout, &draft.program.stderr].into_iter().zip(spans) {
            let Sink::File(file) = sink else { continue };
            let writer = *writers.entry(normalized(&file.path)).or_insert(&draft.key.name);
            if let (true, Some(span)) = (writer != draft.key.name, span) {
                let message = format!(
                    "programs `{writer}` and `{}` write the same file `{}`",
                    draft.key.name,
                    file.path.display()
                );
                diagnostics.warn(span, message);
            }
        }
    }
}

/// Several instances with the same log file or probe. Without a template all have the same definition.
fn warn_about_shared_by_instances(diagnostics: &mut Diagnostics, draft: &Draft) {
    const REMEDY: &str = "put `${FOSTER_INSTANCE}` into it";
    let (program, other) = (&draft.program, draft.others.first().unwrap_or(&draft.program));
    // With a template and one instance on this machine there is no other to compare.
    if draft.template.is_some() && draft.others.is_empty() {
        return;
    }
    let name = &program.name;
    let sinks = [("stdout", &program.stdout, &other.stdout), ("stderr", &program.stderr, &other.stderr)];
    for (key, sink, other) in sinks {
        let Sink::File(file) = sink else { continue };
        let is_stream = file.path.starts_with("/dev") || file.path.starts_with("/proc");
        if let (true, false, Some(span)) = (sink == other, is_stream, draft.spans.get(key)) {
            let path = file.path.display();
            let message = format!(
                "the instances of `{name}` write the same file `{path}`, where nothing tells their lines apart; {REMEDY}"
            );
            diagnostics.warn(span, message);
        }
    }
    for (key, probe, other) in
        [("ready", &program.ready, &other.ready), ("health", &program.health, &other.health)]
    {
        let Some(Probe::Http(_) | Probe::Tcp(_) | Probe::Unix(_) | Probe::File(_)) = probe else { continue };
        // Instances that share a socket are asked at one address by design.
        if !program.sockets.is_empty() {
            continue;
        }
        if let (true, Some(span)) = (probe == other, draft.spans.get(key)) {
            let message = format!(
                "`{key}` asks the same for each instance of `{name}`, so the answer of one counts for all; {REMEDY}"
            );
            diagnostics.warn(span, message);
        }
    }
}

/// The path without `.` components and repeated slashes.
fn normalized(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Two programs that read the same input each receive an unpredictable part of it.
fn check_inherited_stdin(diagnostics: &mut Diagnostics, drafts: &[Draft]) {
    let mut readers = drafts.iter().filter(|draft| draft.program.launch.stdin == Stdin::Inherit);
    for draft in readers.clone().filter(|draft| draft.program.instances.may_be_several()) {
        let Some(span) = draft.spans.get("stdin") else { continue };
        let message = format!("the instances of `{}` inherit foster's standard input", draft.key.name);
        diagnostics.error(span, message, "expected `\"null\"` or `\"open\"` for several instances");
    }
    let Some(first) = readers.next() else { return };
    for other in readers {
        let Some(span) = other.spans.get("stdin") else { continue };
        let message = format!(
            "programs `{}` and `{}` both inherit foster's standard input",
            first.key.name, other.key.name
        );
        diagnostics.error(span, message, "expected `\"null\"` or `\"open\"` for all programs but one");
    }
}

/// A `log` probe needs output that passes through foster.
fn check_log_probe(diagnostics: &mut Diagnostics, draft: &Draft) {
    let program = &draft.program;
    let is_unseen = |sink: &Sink| matches!(sink, Sink::Inherit | Sink::Null);
    if let (Some(Probe::Log(_)), Some(span)) = (&program.ready, draft.spans.get("ready"))
        && is_unseen(&program.stdout)
        && is_unseen(&program.stderr)
    {
        let message =
            format!("program `{}` can never be ready: its output does not pass through foster", program.name);
        diagnostics.error(span, message, "expected `stdout` or `stderr` as `log` or a file");
    }
}
