//! The supervisor at work: bring-up, the loop, teardown.
//!
//! One thread, one loop, one blocking call (`wait.rs`). A turn of the loop: wait; turn what is ready into events;
//! hand each event to the core and perform the actions it answers with (`perform.rs`); answer the
//! clients whose orders are done (`requests/`); write what can be written. After bring-up no error ends
//! the process: it becomes an event or a line of the log. Nothing here decides.

mod children;
mod difference;
mod history;
mod last_failures;
mod memory;
mod perform;
mod pid1;
mod reap;
mod report;
mod requests;
mod rest;
mod sessions;
mod signals;
mod start;
mod status;
mod succession;
mod teardown;
mod update;
mod update_texts;
mod wait;

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::rc::Rc;

use foster_core::Supervisor;
use foster_core::action::Action;
use foster_core::ending::Closing;
use foster_core::event::{Event, ShutdownCause};
use foster_core::ids::Signal;
use foster_core::time::Instant;
use nix::unistd::Uid;

use crate::control::USUAL_SOCKET;
use crate::control::server::Server;
use crate::control::socket_file::{BindError, fallback};
use crate::exit::ExitStatus;
use crate::notify::Upward;
use crate::oom::OomCounter;
use crate::output::{self, ColourMode, Output, log as own_log};
use crate::plan::{Limit, Plan};
use crate::probes::Probes;
use crate::spawn::Spawner;
use crate::sys::epoll::{Epoll, Interest, Owner, Ready, Token};
use crate::sys::errno;
use children::Children;
use history::History;
use last_failures::LastFailures;
use memory::Thrift;
use requests::Requests;
use rest::Rest;
use sessions::Sessions;
use signals::Signals;
use update::Updates;
use wait::Waiter;

/// Which leaf a readiness report is for.
mod owner {
    use crate::sys::epoll::Owner;

    pub(super) const SIGNALS: Owner = Owner(0);
    pub(super) const SESSIONS: Owner = Owner(1);
    pub(super) const REST: Owner = Owner(2);
    pub(super) const OUTPUT: Owner = Owner(3);
    pub(super) const PROBES: Owner = Owner(4);
    pub(super) const CONTROL: Owner = Owner(5);
    pub(super) const STARTS: Owner = Owner(6);
}

/// What the supervisor takes from its own environment, besides the plan.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `FOSTER_LOG`: which of foster's own lines are written.
    pub log: Option<String>,
    /// `NOTIFY_SOCKET`: whom to tell when everything is ready.
    pub notify_socket: Option<OsString>,
    /// `NO_COLOR`: no colours even on a terminal.
    pub no_color: bool,
}

/// Everything the loop works on.
struct Init {
    plan: Rc<Plan>,
    supervisor: Supervisor,
    waiter: Waiter,
    now: Instant,
    events: VecDeque<Event>,
    actions: Vec<Action>,
    signals: Signals,
    spawner: Spawner,
    children: Children,
    sessions: Sessions,
    rest: Rest,
    output: Output,
    probes: Probes,
    server: Option<Server>,
    requests: Requests,
    history: History,
    failures: LastFailures,
    updates: Updates,
    upward: Upward,
    oom: OomCounter,
    closing: Option<Closing>,
    /// SIGHUP came: the configuration is read after the actions at hand.
    update_requested: bool,
    /// Signals that mean nothing here, and were reported.
    ignored: BTreeSet<Signal>,
    thrift: Thrift,
    /// Whether all that there is to say has been said.
    is_over: bool,
}

/// What keeps foster from coming up.
#[derive(Debug)]
enum StartupError {
    System { what: &'static str, error: String },
    Control(BindError),
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartupError::System { what, error } => write!(f, "cannot {what}: {error}"),
            StartupError::Control(error) => error.fmt(f),
        }
    }
}

/// Runs a plan until the container ends, and says with what status.
pub fn run(plan: Plan, surroundings: &Surroundings) -> ExitStatus {
    own_log::install(&plan.settings, surroundings.log.as_deref());
    teardown::report_faults(plan.settings.termination_log.clone());
    match Init::bring_up(plan, surroundings) {
        Ok(mut init) => init.run(),
        Err((plan, error)) => teardown::report_startup_error(&plan, &error.to_string()),
    }
}

impl Init {
    fn bring_up(mut plan: Plan, surroundings: &Surroundings) -> Result<Init, (Rc<Plan>, StartupError)> {
        let limit = pid1::raise_limit();
        pid1::pass_on(limit, &mut plan);
        let plan = Rc::new(plan);
        let keep = Rc::clone(&plan);
        Init::assemble(plan, limit, surroundings).map_err(|error| (keep, error))
    }

    fn assemble(
        plan: Rc<Plan>,
        limit: Option<Limit>,
        surroundings: &Surroundings,
    ) -> Result<Init, StartupError> {
        let system = |what: &'static str, error: String| StartupError::System { what, error };
        let epoll = Rc::new(Epoll::new().map_err(|errno| system("make an epoll", errno.desc().into()))?);
        let signals = Signals::catch().map_err(|errno| system("catch signals", errno::text(errno)))?;
        let token = Token { owner: owner::SIGNALS, key: 0 };
        epoll
            .add(signals.fd(), token, Interest::Read)
            .map_err(|errno| system("watch signals", errno.desc().into()))?;
        let spawner = Spawner::new().map_err(|failure| system("prepare to spawn", failure.message))?;
        let standing = pid1::take_place();
        let server = bind(&plan, &epoll)?;
        let colour = if surroundings.no_color { ColourMode::Never } else { ColourMode::Terminal };
        let process = output::OutputEnv::of_process(colour);
        let output = Output::new(Rc::clone(&epoll), owner::OUTPUT, &plan.settings, &plan.programs, process);
        for warning in &plan.warnings {
            log::warn!("{warning}");
        }
        let upward =
            Upward::from_environment(surroundings.notify_socket.as_deref()).unwrap_or_else(|unusable| {
                log::warn!("{unusable}");
                Upward::default()
            });
        Ok(Init {
            supervisor: Supervisor::new(plan.core.clone()),
            now: Instant::START,
            events: VecDeque::from([Event::Booted]),
            actions: Vec::new(),
            signals,
            spawner,
            children: Children::new(Rc::clone(&epoll), owner::STARTS),
            sessions: Sessions::new(Rc::clone(&epoll), owner::SESSIONS),
            rest: Rest::new(Rc::clone(&epoll), owner::REST, standing),
            output,
            probes: Probes::new(Rc::clone(&epoll), owner::PROBES),
            server,
            requests: Requests::default(),
            history: History::default(),
            failures: LastFailures::default(),
            updates: Updates::new(&plan, surroundings.log.clone(), limit),
            upward,
            oom: OomCounter::open(),
            closing: None,
            update_requested: false,
            ignored: BTreeSet::new(),
            thrift: Thrift::default(),
            is_over: false,
            waiter: Waiter::new(epoll),
            plan,
        })
    }

    /// The loop, to the end. A fault in foster ends the programs in order, and then foster, with a word.
    fn run(&mut self) -> ExitStatus {
        if panic::catch_unwind(AssertUnwindSafe(|| self.turn_until_closing())).is_err() {
            self.events.clear();
            self.events.push_back(Event::ShutdownOrdered(ShutdownCause::Fault));
            // A second fault on the way down: nothing can be relied on any more but KILL.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| self.turn_until_closing()));
            self.children.kill_all();
        }
        self.close()
    }

    fn turn_until_closing(&mut self) {
        loop {
            self.handle_events();
            self.answer_requests();
            self.output.flush();
            if self.closing.is_some() {
                return;
            }
            self.wait();
        }
    }

    /// Has the core decide about what has happened, all of it in one step, and does what it says; until nothing more
    /// follows at once.
    fn handle_events(&mut self) {
        while !self.events.is_empty() || self.update_requested {
            let events = std::mem::take(&mut self.events);
            let mut actions = std::mem::take(&mut self.actions);
            self.supervisor.step(self.now, events, &mut actions);
            for action in actions.drain(..) {
                self.perform(action);
            }
            self.actions = actions;
            // Only now: an update in the middle would change what the actions after it are about.
            if std::mem::take(&mut self.update_requested) {
                self.update_by_signal();
            }
        }
    }

    /// Waits, and turns what has happened into events.
    fn wait(&mut self) {
        let server = self.server.as_ref().and_then(Server::deadline);
        let deadlines = [self.supervisor.deadline(), self.requests.deadline(self.now), server];
        let deadline = deadlines.into_iter().flatten().min();
        self.thrift.about_to_wait(self.now);
        if let Err(errno) = self.waiter.wait(deadline) {
            // It cannot be, and must not become a loop without a wait either.
            log::error!("cannot wait: {}", errno.desc());
            self.events.push_back(Event::ShutdownOrdered(ShutdownCause::Fault));
        }
        self.now = self.waiter.now();
        let ready = self.waiter.take_ready();
        for report in &ready {
            self.dispatch(*report);
        }
        self.waiter.give_back(ready);
        if let Some(server) = &mut self.server {
            server.tick(self.now);
        }
        self.take_answers();
        self.take_matches();
        if self.supervisor.deadline().is_some_and(|deadline| deadline <= self.now) {
            self.events.push_back(Event::Ticked);
        }
    }

    fn dispatch(&mut self, ready: Ready) {
        match ready.token.owner {
            owner::SIGNALS => self.take_signals(),
            owner::SESSIONS => {
                if let Some(run) = self.sessions.ended(ready.token.key) {
                    self.events.push_back(Event::TreeEmptied(run));
                }
            }
            owner::REST => self.see_whether_rest_is_gone(),
            owner::OUTPUT => self.output.on_ready(ready),
            owner::PROBES => self.probes.on_ready(ready),
            owner::CONTROL => self.serve(ready),
            owner::STARTS => self.take_start(ready.token.key),
            Owner(_) => {}
        }
    }

    fn take_answers(&mut self) {
        let answers = self.probes.take_results().into_iter();
        self.events.extend(answers.map(|((run, which), result)| Event::Probed(run, which, result)));
    }

    fn take_matches(&mut self) {
        for run in self.output.take_matches() {
            self.events.push_back(Event::SaidReady(run));
        }
    }

    fn take_signals(&mut self) {
        for signal in self.signals.take() {
            match signal {
                Signal::CHLD => self.reap(),
                signal => self.events.push_back(Event::Signalled(signal)),
            }
        }
    }
}

/// Listens at the configured socket, or where that cannot be made at the abstract one that clients try next.
fn bind(plan: &Plan, epoll: &Rc<Epoll>) -> Result<Option<Server>, StartupError> {
    let Some(path) = &plan.settings.socket else { return Ok(None) };
    let listen = |path: &Path| match Server::bind(path, Rc::clone(epoll), owner::CONTROL) {
        Ok(server) => Ok(Ok(server)),
        Err(error @ BindError::AnotherListens { .. }) => Err(StartupError::Control(error)),
        Err(error @ (BindError::NotASocket(_) | BindError::TooLong(_) | BindError::Unavailable(..))) => {
            Ok(Err(error))
        }
    };
    let refused = match listen(path)? {
        Ok(server) => return Ok(Some(server)),
        Err(refused) => refused,
    };
    let fallback = fallback(Uid::effective());
    let instead = fallback.display();
    match listen(&fallback)? {
        Ok(server) if path == Path::new(USUAL_SOCKET) => {
            log::info!("{refused}; verbs find foster at the abstract socket `{instead}`");
            Ok(Some(server))
        }
        Ok(server) => {
            log::warn!("{refused}; verbs find foster at the abstract socket `{instead}` instead");
            Ok(Some(server))
        }
        Err(error) => {
            log::warn!(
                "{refused}, {error}; no verb works, and `foster health` fails: set `socket` to a path that can be written"
            );
            Ok(None)
        }
    }
}
