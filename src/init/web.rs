//! The web helper: a process of foster's own that speaks HTTP, so that PID 1 does not.
//!
//! It is not a program: the core does not know it, and nothing waits for it. It is started when the container boots, without
//! privileges, and again when it ends. It has the listening sockets, a connection with limited rights
//! (`control/rights.rs`), and a pipe whose end it follows. Next: `web/mod.rs`, the helper.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use foster_core::event::StartFailure;
use foster_core::ids::{Exit, Signal};
use foster_core::time::Instant;
use nix::fcntl::OFlag;
use nix::unistd::{Uid, pipe2};

use super::Init;
use super::children::Role;
use super::plan_scope::UpdateScope;
use super::{listening, owner};
use crate::control::protocol::{Kind, Reply, State, StatusRow};
use crate::control::rights::Rights;
use crate::control::server::{ConnectionId, Server};
use crate::control::web_process::{self, ServerSettings, Settings};
use crate::duration::rounded;
use crate::errno;
use crate::plan::{
    Account, Inherit, Launch, Limit, ListenAddress, Password, Reach, Unprivileged, User, Web, WebServer,
};
use crate::spawn::{Request, Spawner, Stdin};
use crate::sys::stream;

/// The state of the helper.
#[derive(Debug)]
pub(super) struct WebHelper {
    state: HelperState,
    /// How many have ended in a row.
    failures: u32,
    restarts: u32,
    /// The helper reads its end: foster has ended, or does not want it any longer.
    lifeline: Option<OwnedFd>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HelperState {
    /// There is none, and there will be none.
    Absent,
    /// It is started at this time.
    Due(Instant),
    /// It runs since this time.
    Up(Instant),
}

/// The delay before a start after the first failure in a row; each further one doubles it.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A helper that was up for this long has not failed.
const GOOD_RUN: Duration = Duration::from_secs(10);
/// The overflow uid of the kernel.
const OVERFLOW_UID: u32 = 65_534;
/// The limits of its descriptors and of its memory: those of its clients are far below (`web/limits.rs`).
const DESCRIPTORS: u64 = 256;
const MEMORY: u64 = 32 << 20;

impl WebHelper {
    /// The state before the first turn of the loop.
    pub(super) fn new(web: &Web) -> WebHelper {
        let state =
            if web.servers.is_empty() { HelperState::Absent } else { HelperState::Due(Instant::START) };
        WebHelper { state, failures: 0, restarts: 0, lifeline: None }
    }

    /// When it is to be started.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if let HelperState::Due(at) = self.state { Some(at) } else { None }
    }

    /// Sets the time of the next start after a failure; returns the delay.
    fn put_off(&mut self, now: Instant) -> Duration {
        if let HelperState::Up(since) = self.state
            && now.since(since) >= GOOD_RUN
        {
            self.failures = 0;
        }
        let delay = FIRST_DELAY.saturating_mul(1 << self.failures.min(16)).min(LONGEST_DELAY);
        self.failures += 1;
        self.lifeline = None;
        self.state = HelperState::Due(now.plus(delay));
        delay
    }
}

impl Init {
    /// Starts the helper if it is due.
    pub(super) fn tick_web(&mut self) {
        if self.operators.web.deadline().is_some_and(|at| at <= self.core.now)
            && let Err(failure) = self.start_web()
        {
            self.web_failed(&failure);
        }
    }

    fn web_failed(&mut self, failure: &StartFailure) {
        let delay = self.operators.web.put_off(self.core.now);
        let delay = rounded(delay);
        log::warn!("{}: cannot start: {}; next attempt in {delay}", web_process::NAME, failure.message);
    }

    fn start_web(&mut self) -> Result<(), StartFailure> {
        let plan = Rc::clone(&self.plan);
        let mut servers = Vec::new();
        let mut sockets = Vec::new();
        for server in &plan.web.servers {
            let socket = listening::open(&mut self.processes.sockets, &server.socket)?;
            sockets.push((socket, web_process::FIRST_SOCKET + i32::try_from(sockets.len()).unwrap_or(0)));
            servers.push(settings(server));
        }
        let epoll = self.waiter.epoll();
        let server =
            self.operators.server.get_or_insert_with(|| Server::without_socket(epoll, owner::CONTROL));
        let supervisor = server.helper_path().map_err(|errno| unusable("its connection", errno))?;
        let supervisor = supervisor.to_string_lossy().into_owned();
        let identifier = plan.web.identifier.clone().unwrap_or_else(|| "supervisor".to_owned());
        let settings = Settings { supervisor, identifier, servers };
        let mut launch = launch(serde_json::to_string(&settings).unwrap_or_default());
        // Its process reads it before `exec`, with foster's privileges: PID 1 waits for no file system.
        let password = plan.web.password_file().map(|path| (web_process::PASSWORD.to_owned(), path.clone()));
        launch.secrets.extend(password);
        let run_as = Spawner::resolve(&launch)?;
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|errno| unusable("its pipe", errno))?;
        let stderr = stream::stderr();
        let request = Request {
            command: &launch.command,
            stdin: Stdin::Given(reader.as_fd()),
            stderr: stderr.as_ref().map(AsFd::as_fd),
            descriptors: &sockets,
            ..Request::default()
        };
        let starting = self.processes.spawner.spawn(&launch, &run_as, &request)?;
        let pid = starting.process.pid().as_raw();
        if let Some(server) = &mut self.operators.server {
            server.set_helper(Some((pid, Rights::of_helper(&plan.web))));
        }
        let web = &mut self.operators.web;
        (web.state, web.lifeline) = (HelperState::Up(self.core.now), Some(writer));
        self.processes.children.insert(Role::Web, starting).map_err(|errno| unusable("its process", errno))
    }

    /// Handles how a start of the helper went.
    pub(super) fn web_started(&mut self, how: Result<(), StartFailure>) {
        match how {
            Ok(()) => log::debug!("{}: started", web_process::NAME),
            Err(failure) => self.web_failed(&failure),
        }
    }

    /// Handles the exit of the helper.
    pub(super) fn web_ended(&mut self, exit: Exit) {
        if let Some(server) = &mut self.operators.server {
            server.set_helper(None);
        }
        let web = &mut self.operators.web;
        match web.state {
            HelperState::Up(_) => {
                web.restarts += 1;
                let delay = rounded(web.put_off(self.core.now));
                if exit == Exit::Code(web_process::UNUSABLE_PASSWORD) {
                    let reason = "the file of `password_file` is empty or not UTF-8";
                    log::warn!("{}: cannot start: {reason}; next attempt in {delay}", web_process::NAME);
                } else {
                    log::warn!("{}: {exit}; started again in {delay}", web_process::NAME);
                }
            }
            // It was replaced, or foster shuts down.
            HelperState::Due(_) | HelperState::Absent => {}
        }
    }

    /// Ends the helper for the rest of a shutdown. It finishes its answers, and gets KILL with all others if it does not end.
    pub(super) fn retire_web(&mut self) {
        (self.operators.web.lifeline, self.operators.web.state) = (None, HelperState::Absent);
        if let Some(server) = &mut self.operators.server {
            server.retire_helper();
        }
    }

    /// Replaces the helper after an update that changes its servers, or may have changed the content of its password file.
    pub(super) fn update_web(&mut self, before: &Web, scope: &UpdateScope) {
        let has_file = self.plan.web.password_file().is_some() && scope.is_whole();
        if *before != self.plan.web || has_file {
            let is_absent = self.plan.web.servers.is_empty();
            let next = if is_absent { HelperState::Absent } else { HelperState::Due(self.core.now) };
            self.operators.web.failures = 0;
            self.end_web(next);
        }
    }

    fn end_web(&mut self, next: HelperState) {
        let web = &mut self.operators.web;
        (web.lifeline, web.state) = (None, next);
        if let Some(server) = &mut self.operators.server {
            server.set_helper(None);
        }
        // Without CAP_KILL the end of the pipe is enough.
        let _ = self.processes.children.signal(Role::Web, Signal::KILL);
        self.processes.children.detach(Role::Web);
    }

    /// Whether this client is the web helper.
    pub(super) fn is_web(&self, client: ConnectionId) -> bool {
        self.operators.server.as_ref().is_some_and(|server| server.is_helper(client))
    }

    /// Whether these names are the web helper's alone.
    pub(super) fn asks_for_helper(&self, names: &[String]) -> bool {
        let is_named = names.iter().all(|name| name == web_process::NAME) && !names.is_empty();
        is_named
            && self.web_row().is_some()
            && self.plan.programs.values().all(|program| program.name != web_process::NAME)
    }

    /// The row of the helper, for a client that asks for it by name.
    pub(super) fn web_row(&self) -> Option<Reply> {
        let (state, since) = match self.operators.web.state {
            HelperState::Absent => return None,
            HelperState::Due(_) => (State::Backoff, None),
            HelperState::Up(since) => (State::Running, Some(since)),
        };
        let uptime = since.map(|since| self.core.now.since(since));
        let pid = self.processes.children.pid(Role::Web);
        let mut reader = crate::sys::usage::UsageReader::default();
        let usage = pid.and_then(|pid| reader.of_tree(pid));
        Some(Reply::Row(StatusRow {
            name: web_process::NAME.to_owned(),
            kind: Kind::Program,
            instance: Some(0),
            instances: 1,
            label: web_process::NAME.to_owned(),
            state,
            pid: pid.map(nix::unistd::Pid::as_raw),
            uptime_ms: uptime.and_then(|uptime| u64::try_from(uptime.as_millis()).ok()),
            restarts: self.operators.web.restarts,
            ready: since.is_some(),
            health: None,
            exit: None,
            last_start: None,
            duration_ms: None,
            next_due: None,
            memory_bytes: usage.map(|usage| usage.memory_bytes),
            cpu_ms: usage.map(|usage| usage.cpu_ms),
            wanted: true,
            note: None,
            status: None,
            dropped_lines: 0,
            namespec: None,
        }))
    }
}

fn settings(server: &WebServer) -> ServerSettings {
    ServerSettings {
        unix: matches!(server.socket.address, ListenAddress::Unix(_)),
        username: server.username.clone(),
        password: match &server.password {
            Some(Password::Text(password)) => Some(password.clone()),
            Some(Password::File(_)) | None => None,
        },
        control: server.control,
        metrics: server.metrics,
        rpc: server.rpc,
        local: server.reach() != Reach::Network,
    }
}

/// How the helper is started. The kernel takes every capability away with the change of its user, and
/// `no_new_privileges` keeps it so.
fn launch(settings: String) -> Launch {
    let unprivileged = || User {
        user: Account::Id(OVERFLOW_UID),
        group: Some(Account::Id(OVERFLOW_UID)),
        unprivileged: Unprivileged::AsFoster,
    };
    let user = Uid::effective().is_root().then(unprivileged);
    let limit = |resource, most| Limit { resource, soft: most, hard: most };
    Launch {
        command: vec![web_process::EXECUTABLE.to_owned(), web_process::ARGUMENT.to_owned()],
        directory: Some("/".into()),
        environment: vec![(web_process::VARIABLE.to_owned(), settings)],
        inherit_environment: Inherit::Basics,
        user,
        no_new_privileges: true,
        limits: vec![
            limit(rlimit::Resource::NOFILE, DESCRIPTORS),
            limit(rlimit::Resource::DATA, MEMORY),
            limit(rlimit::Resource::CORE, 0),
        ],
        ..Launch::default()
    }
}

fn unusable(what: &str, errno: nix::errno::Errno) -> StartFailure {
    let message = format!("opening {what}: {}", errno::text(errno));
    StartFailure { stage: "process", persistence: foster_core::event::Persistence::Transient, message }
}
