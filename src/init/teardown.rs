//! The exit of foster: the summary, unwritten output, the exit status.
//!
//! The reason is written to stderr and to the termination log for an ordinary end, a failed startup, and a fault in foster
//! itself. `termination_log.rs` formats it.

use std::panic;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foster_core::action::EventName;
use foster_core::ending::{Ending, Reason};
use foster_core::ids::{InstanceId, Run, Signal};
use foster_core::time::Instant;
use log::Level;

use super::remedies::remedy;
use super::{Init, owner, report};
use crate::control::server::Server;
use crate::exit::ExitStatus;
use crate::output::log as own_log;
use crate::plan::Plan;
use crate::sys::{fatal, handover};
use crate::termination_log::{self, Summary};

/// The most bytes of a program's last output in the summary; the rest of the 4096 bytes that Kubernetes reads is for the
/// reason.
const LAST_OUTPUT: usize = 3 * 1024;

/// The message of a fault, which the summary repeats.
static FAULT: OnceLock<String> = OnceLock::new();

/// The exit status of a child that has not executed its program, as in a shell.
const NOT_EXECUTED: i32 = 127;

/// The time for unwritten output if the programs have used up `shutdown_timeout`.
const FLUSH_GRACE: Duration = Duration::from_millis(100);

impl Init {
    /// Logs the reason, writes the rest of the output until the deadline, and returns the exit status.
    pub(super) fn close(&mut self) -> ExitStatus {
        let (ending, deadline) = match self.core.closing.take() {
            Some(closing) => (closing.ending, closing.deadline),
            None => (Ending { reason: Reason::Fault, status: 1 }, self.core.now),
        };
        if let Some(server) = &mut self.operators.server {
            server.retire();
        }
        self.processes.trees.groups.close();
        self.output.finish();
        let summary = self.exit_summary(&ending);
        self.operators.is_over = true;
        write_termination_log(&self.plan.settings.termination_log, &summary);
        self.notify_service_manager(|service_manager| service_manager.exit_status(ending.status));
        self.write_the_rest(deadline.max(self.core.now.plus(FLUSH_GRACE)));
        ExitStatus(ending.status)
    }

    /// Logs the summary as the last line, and returns its text.
    fn exit_summary(&mut self, ending: &Ending) -> String {
        let mut why = self.why(&ending.reason);
        for killed in self.operators.failures.killed() {
            why = format!("{why}; {killed}");
        }
        let text = match &ending.reason {
            Reason::Exited { instance, .. }
            | Reason::Failed { instance, .. }
            | Reason::Unhealthy { instance, .. } => self.summary(*instance, &why),
            Reason::Fault => fault().map_or_else(|| why.clone(), |fault| format!("{why}: {fault}")),
            Reason::Signal(_) | Reason::Operator(_) | Reason::AllEnded => why.clone(),
        };
        let level = if ending.status == 0 { Level::Info } else { Level::Error };
        let text = format!("exit status {}: {}", ending.status, text.trim_end());
        let line = report::Line::new(level, EventName::Exit, text.clone())
            .with("exit_status", u64::from(ending.status))
            .with("reason", why);
        self.publish(&line, None);
        text + "\n"
    }

    /// Why foster ends, and what to do about it.
    pub(super) fn why(&self, reason: &Reason) -> String {
        let (by, remedy) = match reason {
            Reason::Operator(id) => (self.operators.requests.ordered_by(*id), None),
            Reason::Failed { instance, failure, failures: _ } => {
                let kind = self.plan.kind(instance.program);
                let limit = self.plan.spec(instance.program).and_then(|spec| spec.memory_max);
                let is_in_background = self.processes.trees.is_in_background(*instance);
                let stdin = self
                    .plan
                    .program(instance.program)
                    .map(|program| program.launch.stdin)
                    .unwrap_or_default();
                (None, remedy(kind, failure, is_in_background, limit, stdin))
            }
            Reason::Signal(_)
            | Reason::AllEnded
            | Reason::Exited { .. }
            | Reason::Unhealthy { .. }
            | Reason::Fault => (None, None),
        };
        let why = report::reason(&self.plan, reason, by);
        remedy.map_or(why.clone(), |remedy| format!("{why}; {remedy}"))
    }

    fn summary(&self, instance: InstanceId, cause: &str) -> String {
        let name = self.plan.label(instance);
        let last_run = self.view(instance).map(|view| Run { instance, number: view.last_run });
        let lines =
            last_run.map(|run| self.output.output_of(run, LAST_OUTPUT)).unwrap_or_default().into_iter();
        let output: Vec<String> =
            lines.map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect();
        Summary { name, cause, output: &output }.text()
    }

    /// Writes the rest of the container's output until the deadline, and that of followers for a short time.
    fn write_the_rest(&mut self, deadline: Instant) {
        let parting = self.waiter.now().plus(FLUSH_GRACE);
        loop {
            self.answer_requests();
            self.output.flush(self.core.now);
            let is_followed = self.operators.server.as_ref().is_some_and(Server::is_busy);
            let ends = [self.output.pending().then_some(deadline), is_followed.then_some(parting)];
            let Some(until) = ends.into_iter().flatten().max() else { return };
            if self.waiter.now() >= until {
                return;
            }
            let next = [self.operators.requests.deadline(self.core.now), self.output.deadline()];
            let next = next.into_iter().flatten().fold(until, Instant::min);
            if self.waiter.wait(Some(next)).is_err() {
                return;
            }
            self.core.now = self.waiter.now();
            let ready = self.waiter.take_ready();
            for report in &ready {
                // All reports are handled, because epoll repeats them.
                if report.token.owner != owner::SIGNALS {
                    self.dispatch(*report);
                }
            }
            self.waiter.give_back(ready);
            self.core.clear();
            // A second stop signal ends the wait. A child that exits late is not reported; the kernel reaps it.
            let stop = [Signal::TERM, Signal::INT, Signal::QUIT, Signal::RTMIN_PLUS_3];
            if self.signals.take().iter().any(|signal| stop.contains(signal)) {
                return;
            }
        }
    }
}

/// Reports a failed startup.
pub(super) fn report_startup_error(plan: &Plan, error: &str) -> ExitStatus {
    own_log::emergency(error);
    write_termination_log(&plan.settings.termination_log, &format!("{error}\n"));
    ExitStatus::FAILED
}

fn write_termination_log(path: &Path, text: &str) {
    if let Err(error) = termination_log::write(path, text) {
        log::warn!("cannot write the termination log `{}`: {}", path.display(), crate::errno::words(&error));
    }
}

/// The text of the fault that this foster takes the place of another one for.
pub(super) fn fault() -> Option<&'static str> {
    FAULT.get().map(String::as_str)
}

/// Sets the text of the fault that ends foster.
pub(super) fn set_fault(text: &str) {
    // There is one for each foster.
    let _ = FAULT.set(text.to_owned());
}

/// Installs a panic hook that reports a fault in foster at once on stderr and in the termination log. It does not return:
/// another foster takes this one's place and stops the programs in order, or they are killed.
pub(super) fn report_faults(termination_log: PathBuf) {
    panic::set_hook(Box::new(move |fault| {
        let text = fault.to_string().replace('\n', " ");
        if handover::is_child() {
            // The trial of an update has a pipe as its stderr.
            own_log::emergency(&text);
            fatal::exit(NOT_EXECUTED);
        }
        let what = match (handover::is_last(), FAULT.get()) {
            (false, _) => "a fault in foster itself",
            (true, None) => "a fault in foster itself, killing everything",
            (true, Some(_)) => "a second fault in foster itself, killing everything",
        };
        let before = FAULT.get().filter(|_| handover::is_last());
        let before = before.map(|before| format!("; the first one: {before}")).unwrap_or_default();
        let report = format!("{what}: {text}{before}");
        own_log::emergency(&report);
        // Nothing could report an error here.
        let _ = termination_log::write(&termination_log, &(report + "\n"));
        handover::replace(text.as_bytes());
        fatal::kill_everything();
        fatal::exit(i32::from(ExitStatus::FAILED.0));
    }));
}

/// For a test: whether this place has a fault, only in debug builds. That of an update is the first one's.
#[cfg(debug_assertions)]
pub(super) fn is_faulty(place: &str) -> bool {
    static IS_FIRST: AtomicBool = AtomicBool::new(true);
    let wanted = std::env::var("FOSTER_TEST_FAULT").unwrap_or_default();
    let is_of_updates = wanted == "update";
    let is_here = !wanted.is_empty() && is_of_updates == (place == "update");
    is_here && (!is_of_updates || IS_FIRST.swap(false, Ordering::Relaxed))
}

/// For a test: a fault, only in debug builds.
#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "this is a fault on purpose")]
pub(super) fn fault_on_demand() {
    match std::env::var("FOSTER_TEST_FAULT").unwrap_or_default().as_str() {
        "memory" => drop(Vec::<u8>::with_capacity(isize::MAX.unsigned_abs())),
        "stack" => drop(overflow(0)),
        "abort" => std::process::abort(),
        _ => panic!("asked for by FOSTER_TEST_FAULT"),
    }
}

/// Needs more stack than there is.
#[cfg(debug_assertions)]
fn overflow(depth: u64) -> u64 {
    if depth == u64::MAX { 0 } else { std::hint::black_box(overflow(depth + 1)) + 1 }
}
