//! The supervisor's loop.
//!
//! One thread, one loop, one blocking call (`wait.rs`). A turn of the loop waits, converts reports of epoll to events,
//! passes the events to the core and performs its actions (`perform.rs`), answers clients (`requests/`), and writes
//! output. After the startup (`bring_up.rs`) no error ends foster: it becomes an event or a line of the log. Nothing here
//! decides. Next: the parts `core.rs`, `processes.rs` and `operators.rs`.

mod abandon;
mod bring_up;
mod children;
mod core;
mod groups;
mod history;
mod last_failures;
mod ledger;
mod listening;
mod memory;
mod memory_limit;
mod operators;
mod outcomes;
mod perform;
mod pid1;
mod plan_diff;
mod plan_merge;
mod plan_scope;
mod preview;
mod proc_reader;
mod processes;
mod reap;
mod remedies;
mod report;
mod reports;
mod requests;
mod rolling;
mod scale;
mod signals;
mod start;
mod status;
mod sweep;
mod takeover;
mod teardown;
mod tree;
mod trial;
mod update;
mod update_texts;
mod wait;
mod waits;
mod web;

use std::ffi::OsString;
use std::path::Path;
use std::rc::Rc;

use foster_core::event::{Event, Notice, ShutdownCause};
use foster_core::ids::Signal;
use foster_core::probe::ProbeResult;
use foster_core::schedule::Schedule;
use foster_core::spec::ProgramSpec;
use foster_core::time::Instant;

use self::core::Core;
use crate::config::Evaluate;
use crate::control::server::Server;
use crate::errno;
use crate::exit::ExitStatus;
use crate::output::Output;
use crate::output::log as own_log;
use crate::plan::{FileSink, Plan, Settings};
use crate::probes::Probes;
use crate::sys::epoll::{Owner, Ready, Token};
use crate::sys::handover::Inheritance;
use crate::sys::{fatal, handover, timer};
use operators::Operators;
use processes::Processes;
use signals::Signals;
use wait::Waiter;

pub use abandon::abandon;

/// The owners of epoll registrations.
mod owner {
    use crate::sys::epoll::Owner;

    pub(super) const SIGNALS: Owner = Owner(0);
    pub(super) const SWEEP: Owner = Owner(2);
    pub(super) const OUTPUT: Owner = Owner(3);
    pub(super) const PROBES: Owner = Owner(4);
    pub(super) const CONTROL: Owner = Owner(5);
    pub(super) const STARTS: Owner = Owner(6);
    pub(super) const GROUPS: Owner = Owner(7);
    pub(super) const NOTIFY: Owner = Owner(8);
    pub(super) const CLOCK: Owner = Owner(9);
}

/// The variables that the supervisor uses.
#[derive(Debug, Clone, Default)]
pub struct InitEnv {
    /// `FOSTER_LOG`: the filter of foster's own lines.
    pub log: Option<String>,
    /// `NOTIFY_SOCKET`: the service manager that is notified when everything is ready.
    pub notify_socket: Option<OsString>,
    /// `NO_COLOR`: no colours even on a terminal.
    pub no_color: bool,
    /// What runs a configuration of JavaScript. Only a child of the supervisor does.
    pub evaluate: Option<Evaluate>,
    /// foster's command line, with which a foster that takes the place of this one is executed.
    pub arguments: Vec<OsString>,
    /// What the foster has left whose place this one takes.
    pub inherited: Option<Inheritance>,
}

/// The state of the loop.
struct Init {
    plan: Rc<Plan>,
    core: Core,
    waiter: Waiter,
    signals: Signals,
    processes: Processes,
    output: Output,
    probes: Probes,
    operators: Operators,
}

/// Whether a request waits at the control socket before the first turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstRequest {
    /// One does. It is taken before anything is started.
    Waits,
    /// None does.
    None,
}

/// A foster that has everything it needs, and has started nothing yet.
pub struct BroughtUp<'a>(&'a mut Init);

impl BroughtUp<'_> {
    /// The path of its control socket, if there is one.
    pub fn socket(&self) -> Option<&Path> {
        self.0.operators.server.as_ref().and_then(Server::path)
    }

    /// Makes a file its stdout and stderr, rotated as the configuration says.
    ///
    /// # Errors
    /// The reason why it cannot be opened.
    pub fn log_to(&mut self, path: &Path) -> Result<(), String> {
        let Settings { log_max_size: max_size, log_keep: keep, .. } = self.0.plan.settings;
        // Absolute, as a program that names the same file has it.
        let absolute = std::path::absolute(path).unwrap_or(path.to_owned());
        let opened = self.0.output.log_to(FileSink { path: absolute, max_size, keep });
        opened.map_err(|error| format!("cannot open `{}`: {error}", path.display()))
    }
}

/// Runs a plan until the container ends; returns the exit status. `brought_up` is called when foster has what it needs, or
/// with the reason why it cannot start; an error that it returns is one, too.
pub fn run(
    mut plan: Plan,
    env: &InitEnv,
    brought_up: impl FnOnce(Result<BroughtUp<'_>, &str>) -> Result<FirstRequest, String>,
) -> ExitStatus {
    own_log::install(&plan.settings, env.log.as_deref());
    handover::note_owner();
    if let Some(inherited) = &env.inherited {
        handover::set_last(true);
        teardown::set_fault(&inherited.reason);
    }
    teardown::report_faults(plan.settings.termination_log.clone());
    takeover::fit(&mut plan, env);
    match Init::bring_up(plan, env) {
        Ok(mut init) => match brought_up(Ok(BroughtUp(&mut init))) {
            Ok(FirstRequest::None) => {
                if let Some(inherited) = &env.inherited {
                    init.take_over(inherited);
                }
                init.run()
            }
            Ok(FirstRequest::Waits) => {
                init.take_first_request();
                init.run()
            }
            Err(error) => teardown::report_startup_error(&init.plan, &error),
        },
        Err((plan, error)) => {
            let error = error.to_string();
            if env.inherited.is_some() {
                fatal::kill_everything();
            }
            // It can only repeat the reason.
            let _ = brought_up(Err(&error));
            teardown::report_startup_error(&plan, &error)
        }
    }
}

impl Init {
    /// Runs the loop to the end. After a fault in foster another one takes its place, in the same process.
    fn run(&mut self) -> ExitStatus {
        self.turn_until_closing();
        self.close()
    }

    /// Takes a request that is at the socket: its connection in one turn, its text in the next. Neither waits.
    fn take_first_request(&mut self) {
        for _ in 0..2 {
            self.wait_until(Some(self.core.now));
        }
    }

    /// Watches the wall clock, if a job needs it.
    fn watch_clock(&mut self) {
        let by_clock = |spec: &ProgramSpec| {
            spec.job.as_ref().is_some_and(|job| matches!(job.timing.schedule, Schedule::Cron(_)))
        };
        if self.plan.core.programs().values().any(|spec| by_clock(spec))
            && let Err(errno) = self.waiter.watch_clock(Token { owner: owner::CLOCK, key: 0 })
        {
            log::error!("cannot watch the clock: {}", errno::text(errno));
        }
    }

    fn turn_until_closing(&mut self) {
        self.watch_clock();
        loop {
            self.handle_events();
            self.answer_requests();
            self.output.flush(self.core.now);
            if self.core.closing.is_some() {
                return;
            }
            self.wait();
        }
    }

    /// Lets the core handle all events in one step and performs its actions, until no event is left.
    fn handle_events(&mut self) {
        while self.core.has_work() {
            let mut actions = self.core.decide();
            self.perform_all(&mut actions);
            self.core.give_back(actions);
            // After all actions, because an update changes the plan that they refer to.
            if std::mem::take(&mut self.core.update_requested) {
                self.begin_update(None);
            }
            self.notify_status();
        }
    }

    /// Waits, and converts reports to events.
    fn wait(&mut self) {
        let server = self.operators.server.as_ref().and_then(Server::deadline);
        let deadlines = [
            self.core.supervisor.deadline(),
            self.operators.requests.deadline(self.core.now),
            server,
            self.processes.inbound.deadline(),
            self.output.deadline(),
            self.operators.web.deadline(),
        ];
        self.wait_until(deadlines.into_iter().flatten().min());
    }

    fn wait_until(&mut self, deadline: Option<Instant>) {
        self.waiter.trimmer.about_to_wait(self.core.now);
        if let Err(errno) = self.waiter.wait(deadline) {
            // This cannot happen; without an exit the loop would spin.
            log::error!("cannot wait: {}", errno::text(errno));
            self.core.push(Event::ShutdownOrdered(ShutdownCause::Fault));
        }
        self.core.now = self.waiter.now();
        let ready = self.waiter.take_ready();
        for report in &ready {
            self.dispatch(*report);
        }
        self.waiter.give_back(ready);
        if let Some(server) = &mut self.operators.server {
            server.tick(self.core.now);
        }
        self.processes.inbound.tick(self.core.now);
        self.tick_web();
        self.take_answers();
        self.take_matches();
        if self.core.supervisor.deadline().is_some_and(|deadline| deadline <= self.core.now) {
            self.core.push(Event::Ticked);
        }
    }

    fn dispatch(&mut self, ready: Ready) {
        match ready.token.owner {
            owner::SIGNALS => self.take_signals(),
            owner::SWEEP => self.check_sweep(),
            owner::OUTPUT => self.output.on_ready(ready),
            owner::PROBES => self.probes.on_ready(ready),
            owner::CONTROL => self.serve(ready),
            owner::GROUPS => self.report_emptied(),
            owner::STARTS => self.take_start(ready.token.key),
            owner::CLOCK => {
                self.waiter.clock_was_set();
                self.core.push(Event::ClockSet(timer::unix_ms()));
            }
            owner::NOTIFY => self.take_reports(ready.token.key),
            Owner(_) => {}
        }
    }

    fn take_answers(&mut self) {
        let answers = self.probes.take_results().into_iter();
        for ((run, which), result) in answers {
            // The program has exited, so another process has answered: a leftover or a foreign one. The exit follows.
            if result == ProbeResult::Passed && self.processes.has_ended(run) {
                continue;
            }
            self.core.push(Event::Probed(run, which, result));
        }
    }

    fn take_matches(&mut self) {
        for run in self.output.take_matches() {
            self.notified(run, Notice::Ready);
        }
    }

    fn take_signals(&mut self) {
        for signal in self.signals.take() {
            match signal {
                Signal::CHLD => self.reap(),
                signal => self.core.push(Event::Signalled(signal)),
            }
        }
    }
}
