//! Performs the core's actions, in order, without decisions.
//!
//! The result of an action is an event, or a line of the log if it has no consequence. `start.rs` creates processes.

use std::iter::Peekable;
use std::vec::Drain;

use foster_core::action::{Action, Cause, Change, EventName, Part, Purpose, Scope, StateName};
use foster_core::event::Event;
use foster_core::ids::{InstanceId, Run, Signal};
use foster_core::spec::{KillMode, Kind};
use foster_lines::format;
use log::{debug, warn};

use super::children::Role;
use super::history::{EventRecord, Subject};
use super::processes::Processes;
use super::{Init, report};
use crate::control::protocol;
use crate::control::server::Server;
use crate::errno;
use crate::notify::upward::ServiceManager;
use crate::sys::handover;
use crate::sys::socket_file::BindError;

impl Init {
    /// Performs the actions of a step, in their order.
    pub(super) fn perform_all(&mut self, actions: &mut Vec<Action>) {
        let stopped: Vec<Run> = actions.iter().filter_map(stopped_run).collect();
        self.processes.prepare_stops(&stopped);
        let mut actions = actions.drain(..).peekable();
        while let Some(action) = actions.next() {
            self.perform(action, &mut actions);
        }
    }

    /// One action, and of the `rest` the starts that follow a start.
    fn perform(&mut self, action: Action, rest: &mut Peekable<Drain<'_, Action>>) {
        match action {
            Action::Spawn(run, definition) => {
                let mut runs = vec![(run, definition)];
                while let Some(Action::Spawn(run, definition)) =
                    rest.next_if(|next| matches!(next, Action::Spawn(..)))
                {
                    runs.push((run, definition));
                }
                self.start(&runs);
            }
            Action::Keep(program, definition) => self.keep(program, definition),
            Action::Signal { run, signal, scope, purpose } => self.signal(run, signal, scope, purpose),
            Action::KillAll => self.processes.kill_all(),
            Action::RunPreStop(run) => self.pre_stop(run),
            Action::CancelPreStop(run) => self.processes.children.detach(Role::PreStop(run)),
            Action::Probe(run, which) => self.probe(run, which),
            Action::CancelProbe(run, which) => {
                self.probes.cancel((run, which));
                self.processes.children.detach(Role::Probe(run, which));
            }
            Action::Sweep(signal) => {
                self.retire_web();
                let Processes { sweep, trees, children, .. } = &mut self.processes;
                sweep.signal(signal, trees, children);
                self.check_sweep();
            }
            Action::ReportSkipped { program, times } => {
                let instance = InstanceId { program, index: 0 };
                let line = report::skipped(&self.plan, instance, times);
                let next_due = self.view(instance).and_then(|view| self.next_due(&view));
                let line = next_due.into_iter().fold(line, |line, due| line.with("next_due", due));
                self.publish(&line, self.subject(instance, None));
            }
            Action::ReopenLogs => {
                self.output.reopen();
                if let Some(Err(error)) = self.operators.server.as_mut().map(Server::restore) {
                    match error {
                        BindError::AnotherListens { path, pid: _ } => {
                            let path = path.display();
                            warn!("another process listens at `{path}`: verbs cannot reach this foster");
                        }
                        error @ (BindError::NotASocket(_)
                        | BindError::TooLong(_)
                        | BindError::Unavailable(..)) => warn!("{error}: verbs cannot reach this foster"),
                    }
                }
            }
            Action::WriteStatus => self.write_status(),
            Action::Update => self.core.update_requested = true,
            Action::ReportIgnored(signal) => self.report_ignored(signal),
            Action::Forget(instance) => self.forget(instance),
            Action::Report(change) => self.report(&change),
            Action::ReportShutdown(ending) => {
                handover::set_last(true);
                self.notify_service_manager(ServiceManager::stopping);
                let line = report::shutdown(&ending, &self.why(&ending.reason));
                self.publish(&line, None);
            }
            Action::ReportCutShort(ending) => {
                warn!("{} during the shutdown: killing what is left", self.why(&ending.reason));
            }
            Action::ReportReady => {
                self.notify_service_manager(ServiceManager::ready);
                debug!("everything that was autostarted is ready");
                self.waiter.trimmer.done_with_work(self.core.now);
            }
            Action::Exit(closing) => self.core.closing = Some(closing),
        }
    }

    /// Notifies the service manager that started foster, if there is one.
    pub(super) fn notify_service_manager(
        &mut self,
        what: impl FnOnce(&mut ServiceManager) -> Option<String>,
    ) {
        if let Some(loss_report) = what(&mut self.operators.service_manager) {
            debug!("{loss_report}");
        }
    }

    fn signal(&mut self, run: Run, signal: Signal, scope: Scope, purpose: Purpose) {
        let result = self.send(run, signal, scope);
        if purpose == Purpose::Stop && result.is_ok() {
            let role = self.processes.role(run);
            self.processes.children.mark_stopping(role, signal);
            // `signal_all` sends CONT itself.
            if signal != Signal::KILL && scope != Scope::All {
                // A stopped process (SIGSTOP, ^Z) must continue to handle the signal. It may have exited.
                let _ = self.send(run, Signal::CONT, scope);
            }
        }
        if let Err(errno) = result {
            let name = self.plan.label(run.instance);
            let hint = if errno == nix::Error::EPERM { " (CAP_KILL is missing)" } else { "" };
            let text = format!("cannot send {signal}: {}{hint}", errno::text(errno));
            warn!("{name}: {text}");
            if self.view(run.instance).and_then(|view| view.live).is_some_and(|live| live.run == run) {
                self.operators.failures.refused(run, text);
            }
            self.operators.requests.note_unsent(run, signal, errno);
            self.core.push(Event::SignalRefused(run, signal));
        }
    }

    fn send(&mut self, run: Run, signal: Signal, scope: Scope) -> nix::Result<()> {
        let role = self.processes.role(run);
        match scope {
            Scope::Main => self.processes.children.signal(role, signal),
            Scope::Group => self.processes.children.signal_group(role, signal),
            Scope::All => {
                let result = self.processes.signal_all(run, self.kill_mode(run), signal);
                self.report_emptied();
                result
            }
        }
    }

    /// The processes that belong to a run.
    pub(super) fn kill_mode(&self, run: Run) -> KillMode {
        self.core.supervisor.snapshot().run(run).map_or(KillMode::Tree, |view| view.kill_mode)
    }

    fn report_ignored(&mut self, signal: Signal) {
        // timeout(1) sends CONT after every TERM, and CONT needs no report.
        if signal != Signal::CONT && self.signals.is_news(signal) {
            let name = signal.to_string();
            let name = name.strip_prefix("SIG").unwrap_or(&name);
            warn!(
                "got SIG{name}, which means nothing here; `[signals] {name} = \"shutdown\"` stops the container, \
                 `{name} = \"forward:NAME\"` passes it on"
            );
        }
    }

    fn report(&mut self, change: &Change) {
        match change.run {
            Some(run) if matches!(change.to, StateName::Running | StateName::Stopping) => self.note_run(run),
            Some(_) | None => self.note_rest(change.instance),
        }
        let pid = change.run.and_then(|run| self.processes.children.last_pid(run));
        let detail = if let Cause::Requested(id) = &change.cause {
            self.operators.requests.ordered_by(*id).map(str::to_owned)
        } else if let Cause::NotReplaced(why) = &change.cause {
            Some(self.note_not_replaced(change.instance, *why))
        } else if matches!(change.cause, Cause::Stopped { .. }) && self.core.supervisor.is_cut_short() {
            Some("because the shutdown was cut short".to_owned())
        } else {
            None
        };
        let line = report::change(&self.plan, change, pid, detail.as_deref());
        let line = self.with_times(line, change);
        let state = (change.part == Part::Serving).then_some(change.to);
        self.publish(&line, self.subject(change.instance, state));
        self.operators.failures.note(change);
        // An earlier one does not explain the end of the container.
        if self.core.supervisor.is_shutting_down()
            && let Some(killed) = report::killed(&self.plan, change, detail.as_deref())
        {
            self.operators.failures.note_killed(killed);
        }
    }

    /// Adds to the end of a task or of a run of a job how long it was, and when the job is due next.
    fn with_times(&self, line: report::Line, change: &Change) -> report::Line {
        let view = self.view(change.instance).filter(|view| view.kind != Kind::Program);
        let Some(past) = view.and_then(|view| view.last.filter(|past| Some(past.run) == change.run)) else {
            return line;
        };
        let line = line.with("duration_ms", past.took);
        let next_due = view.and_then(|view| self.next_due(&view));
        next_due.into_iter().fold(line, |line, due| line.with("next_due", due))
    }

    fn subject(&self, id: InstanceId, state: Option<StateName>) -> Option<Subject> {
        let program = self.plan.program(id.program)?;
        Some(Subject { program: program.name.as_str().into(), instances: id.index..id.index + 1, state })
    }

    /// Logs an event and passes it to the clients that follow events: one text, formatted once.
    pub(super) fn publish(&mut self, line: &report::Line, about: Option<Subject>) {
        let (at, members) = self.output.log(line);
        let Some(event) = EventName::parse(line.event) else { return };
        let mut timestamp = Vec::new();
        format::timestamp(at, &mut timestamp);
        let wire = protocol::Event::line(&String::from_utf8_lossy(&timestamp), &members);
        self.operators.history.keep(EventRecord { about, event, line: wire.into() });
    }
}

/// The run that this action sends a stop signal.
fn stopped_run(action: &Action) -> Option<Run> {
    if let Action::Signal { run, purpose: Purpose::Stop, .. } = action { Some(*run) } else { None }
}
