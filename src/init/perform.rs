//! Actions become system calls.
//!
//! One arm per kind of action; each says what came of it as an event, or as a line of the log where nothing follows
//! from it. Decisions are not made here: what the core asked for is done, in its order. Processes are made in
//! `start.rs`.

use foster_core::action::{Action, Cause, Change, EventName, Purpose, Scope};
use foster_core::event::Event;
use foster_core::ids::{Run, Signal};
use foster_core::spec::KillMode;
use log::{debug, warn};
use nix::unistd::Pid;

use super::children::Role;
use super::history::{EventRecord, Subject};
use super::{Init, report};
use crate::control::protocol;
use crate::control::server::Server;
use crate::control::socket_file::BindError;
use crate::notify::Upward;
use crate::output::format;
use crate::sys::errno;

impl Init {
    pub(super) fn perform(&mut self, action: Action) {
        match action {
            Action::Spawn(run) => self.start(run),
            Action::Signal { run, signal, scope, purpose } => self.signal(run, signal, scope, purpose),
            Action::KillAll => self.kill_all(),
            Action::RunPreStop(run) => self.pre_stop(run),
            Action::CancelPreStop(run) => self.children.detach(Role::PreStop(run)),
            Action::Probe(run, which) => self.probe(run, which),
            Action::CancelProbe(run, which) => {
                self.probes.cancel((run, which));
                self.children.detach(Role::Probe(run, which));
            }
            Action::Sweep(signal) => {
                self.rest.signal(signal, &self.children);
                self.see_whether_rest_is_gone();
            }
            Action::ReopenLogs => {
                self.output.reopen();
                if let Some(Err(error)) = self.server.as_mut().map(Server::restore) {
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
            Action::Update => self.update_requested = true,
            Action::ReportIgnored(signal) => self.report_ignored(signal),
            Action::Forget(instance) => self.forget(instance),
            Action::Report(change) => self.report(&change),
            Action::ReportShutdown(ending) => {
                self.tell_upward(Upward::stopping);
                let line = report::shutdown(&self.plan, &ending, self.ordered_by(&ending.reason));
                self.tell(&line, None);
            }
            Action::ReportReady => {
                self.tell_upward(Upward::ready);
                debug!("everything that was autostarted is ready");
                self.thrift.done_with_work(self.now);
            }
            Action::Exit(closing) => self.closing = Some(closing),
        }
    }

    /// Tells the process that started foster, where it wants to know.
    pub(super) fn tell_upward(&mut self, what: impl FnOnce(&mut Upward) -> Option<String>) {
        if let Some(trouble) = what(&mut self.upward) {
            debug!("{trouble}");
        }
    }

    fn signal(&mut self, run: Run, signal: Signal, scope: Scope, purpose: Purpose) {
        // Until its `pre_start` has ended, that is the process of a run.
        let role = match self.children.pid(Role::PreStart(run)) {
            Some(_) => Role::PreStart(run),
            None => Role::Main(run),
        };
        let result = self.send(run, role, signal, scope);
        if purpose == Purpose::Stop && result.is_ok() {
            self.children.mark_stopping(role, signal);
            if signal != Signal::KILL {
                // A stopped process (SIGSTOP, ^Z) has to continue to obey. It may have ended.
                let _ = self.send(run, role, Signal::CONT, scope);
            }
        }
        if let Err(errno) = result {
            let name = report::label(&self.plan, run.instance);
            let hint = if errno == nix::Error::EPERM { " (CAP_KILL is missing)" } else { "" };
            warn!("{name}: cannot send {signal}: {}{hint}", errno::text(errno));
            self.requests.note_unsent(run, signal, errno);
            self.events.push_back(Event::SignalRefused(run, signal));
        }
    }

    fn send(&mut self, run: Run, role: Role, signal: Signal, scope: Scope) -> nix::Result<()> {
        match (scope, self.kill_mode(run)) {
            (Scope::Main, _) | (Scope::All, KillMode::Process) => self.children.signal(role, signal),
            (Scope::Group, _) => self.children.signal_group(role, signal),
            (Scope::All, KillMode::Session | KillMode::Tree) => match self.children.pid(role) {
                // The main process first, so that it is known what killed it; then its session.
                Some(session) => {
                    let result = self.children.signal(role, signal);
                    self.sessions.signal(session, signal);
                    result
                }
                None => {
                    if let Some(session) = self.sessions.session(run) {
                        self.sessions.signal(session, signal);
                        if self.sessions.is_empty_now(run) {
                            self.children.forget_run(run);
                            self.events.push_back(Event::TreeEmptied(run));
                        }
                    }
                    Ok(())
                }
            },
        }
    }

    /// Everything foster has made gets KILL, and what it left in its session.
    fn kill_all(&mut self) {
        self.children.kill_all();
        let sessions: Vec<_> = self.children.runs().filter_map(|run| self.session_of(run)).collect();
        self.sessions.kill(&sessions, self.rest.standing());
    }

    fn session_of(&self, run: Run) -> Option<Pid> {
        if self.kill_mode(run) == KillMode::Process {
            return None;
        }
        self.children.pid(Role::Main(run)).or_else(|| self.sessions.session(run))
    }

    /// Which processes belong to a run.
    pub(super) fn kill_mode(&self, run: Run) -> KillMode {
        self.view(run.instance).map_or(KillMode::Tree, |view| view.kill_mode)
    }

    fn report_ignored(&mut self, signal: Signal) {
        if self.ignored.insert(signal) {
            let name = signal.to_string();
            let name = name.strip_prefix("SIG").unwrap_or(&name);
            warn!(
                "got SIG{name}, which means nothing here; `[signals] {name} = \"shutdown\"` stops the container, \
                 `{name} = \"forward:NAME\"` passes it on"
            );
        }
    }

    fn report(&mut self, change: &Change) {
        let pid = change.run.and_then(|run| self.children.last_pid(run));
        let by = if let Cause::Requested(id) = &change.cause { self.requests.ordered_by(*id) } else { None };
        let line = report::change(&self.plan, change, pid, by);
        let subject = self.plan.program(change.instance.program).map(|program| {
            let index = change.instance.index;
            Subject {
                program: program.name.as_str().into(),
                instances: index..index + 1,
                state: Some(change.to),
            }
        });
        self.tell(&line, subject);
        self.failures.note(change);
    }

    /// Logs something that happened, and passes it to those who follow events: one text, formatted once.
    pub(super) fn tell(&mut self, line: &report::Line, about: Option<Subject>) {
        let (at, members) = self.output.log(line);
        let Some(event) = EventName::parse(line.event) else { return };
        let mut timestamp = Vec::new();
        format::timestamp(at, &mut timestamp);
        let wire = protocol::Event::line(&String::from_utf8_lossy(&timestamp), &members);
        self.history.keep(EventRecord { about, event, line: wire.into() });
    }
}
