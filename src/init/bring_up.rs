//! The startup: creates everything that the loop needs.
//!
//! Only here an error may end foster. Signals are blocked before (`lib.rs`), so that none is lost. Next: `mod.rs`, the
//! loop.

use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use foster_core::program_map::ProgramMap;
use nix::unistd::{Pid, Uid};

use super::children::Children;
use super::core::Core;
use super::groups::Groups;
use super::history::History;
use super::last_failures::LastFailures;
use super::ledger::Ledger;
use super::operators::Operators;
use super::processes::Processes;
use super::requests::Requests;
use super::signals::Signals;
use super::sweep::Sweep;
use super::tree::Trees;
use super::update::Updates;
use super::wait::Waiter;
use super::web::WebHelper;
use super::{Init, InitEnv, ledger, listening, owner, pid1};
use crate::control::server::Server;
use crate::control::{DEFAULT_SOCKET, fallback_socket};
use crate::errno;
use crate::notify::inbound::Inbound;
use crate::notify::upward::ServiceManager;
use crate::oom::OomCounter;
use crate::output::{self, ColourMode, Output};
use crate::plan::{Limit, Plan, Program};
use crate::probes::Probes;
use crate::spawn::Spawner;
use crate::sys::cgroup::OwnPlace;
use crate::sys::epoll::{Epoll, Interest, Token};
use crate::sys::handover::{self, Inheritance};
use crate::sys::socket_file::{BindError, SocketFile};
use crate::sys::{fatal, process, procfs, timer};

/// Why foster cannot start.
#[derive(Debug)]
pub(super) enum StartupError {
    /// A necessary system call failed.
    System { what: &'static str, error: String },
    /// Another foster listens at the socket.
    Control(BindError),
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartupError::System { what, error } => write!(f, "cannot {what}: {error}"),
            StartupError::Control(BindError::AnotherListens { path, pid }) => {
                let pid = pid.map_or(String::new(), |pid| format!(" (PID {pid})"));
                write!(
                    f,
                    "already running here{pid}, at `{}`: `foster status` shows it, `foster help` has the verbs",
                    path.display()
                )
            }
            StartupError::Control(error) => error.fmt(f),
        }
    }
}

impl Init {
    pub(super) fn bring_up(plan: Plan, env: &InitEnv) -> Result<Init, (Rc<Plan>, StartupError)> {
        let limit = pid1::raise_limit();
        let plan = Rc::new(plan);
        let keep = Rc::clone(&plan);
        let mut init = Init::assemble(plan, limit, env).map_err(|error| (keep, error))?;
        init.hold_memory();
        init.note_sockets();
        Ok(init)
    }

    fn assemble(plan: Rc<Plan>, limit: Option<Limit>, env: &InitEnv) -> Result<Init, StartupError> {
        let system = |what: &'static str, error: String| StartupError::System { what, error };
        let epoll =
            Rc::new(Epoll::new().map_err(|errno| system("create an epoll instance", errno::text(errno)))?);
        let signals = Signals::catch().map_err(|errno| system("catch signals", errno::text(errno)))?;
        // After `catch`, which sets every disposition to its default.
        fatal::install(&plan.settings.termination_log);
        let token = Token { owner: owner::SIGNALS, key: 0 };
        epoll
            .add(signals.fd(), token, Interest::Read)
            .map_err(|errno| system("watch signals", errno::text(errno)))?;
        let spawner = Spawner::new(limit).map_err(|failure| system("prepare to spawn", failure.message))?;
        let role = pid1::take_role();
        let server = bind(&plan, &epoll, env.inherited.as_ref())?;
        let colour = if env.no_color { ColourMode::Never } else { ColourMode::Terminal };
        let process = output::OutputEnv::of_process(colour);
        let output = Output::new(Rc::clone(&epoll), owner::OUTPUT, &plan, process);
        for warning in &plan.warnings {
            log::warn!("{warning}");
        }
        warn_unless_stoppable(&plan);
        if procfs::is_foreign() {
            log::warn!(
                "/proc belongs to another PID namespace: processes of a program are found only when their parents end, \
                 and their memory is not shown; mount that of this one (`mount -t proc proc /proc`)"
            );
        }
        let service_manager =
            ServiceManager::from_environment(env.notify_socket.as_deref()).unwrap_or_else(|unusable| {
                log::warn!("{unusable}");
                ServiceManager::default()
            });
        let root = Path::new("/");
        let place = OwnPlace::read(root);
        let now = handover::monotonic();
        let (start, last_fault) =
            env.inherited.as_ref().map_or((now, Duration::ZERO), |left| (left.start, now));
        let mut inherited = env.inherited.as_ref().map(|left| left.entries.clone()).unwrap_or_default();
        let mut groups = Groups::open(root, &place, role, Rc::clone(&epoll), owner::GROUPS);
        groups.try_out();
        let sockets = listening::open_all(&plan, &mut inherited);
        // Those that no program has now.
        let unused = inherited.iter_mut().filter(|entry| ledger::socket_of(entry).is_some());
        unused.for_each(|entry| drop(Inheritance::take(entry, 0)));
        let processes = Processes {
            spawner,
            children: Children::new(
                Rc::clone(&epoll),
                owner::STARTS,
                Ledger::open(&env.arguments, start, last_fault),
            ),
            trees: Trees::new(groups),
            sweep: Sweep::new(Rc::clone(&epoll), owner::SWEEP, role),
            formers: ProgramMap::new(),
            oom: OomCounter::open(&place),
            sockets,
            inbound: Inbound::new(Rc::clone(&epoll), owner::NOTIFY),
        };
        let operators = Operators {
            server,
            requests: Requests::default(),
            history: History::default(),
            failures: LastFailures::default(),
            updates: Updates::new(&plan, env),
            service_manager,
            web: WebHelper::new(&plan.web),
            is_over: false,
        };
        Ok(Init {
            core: Core::new(&plan, timer::unix_ms()),
            signals,
            processes,
            output,
            probes: Probes::new(Rc::clone(&epoll), owner::PROBES),
            operators,
            waiter: Waiter::new(epoll, now.saturating_sub(start)),
            plan,
        })
    }
}

/// Without CAP_KILL foster can start a program of another user but cannot stop it (kill(2)).
fn warn_unless_stoppable(plan: &Plan) {
    if process::may_signal_others() {
        return;
    }
    let own = Uid::effective();
    let owner = |program: &Program| Spawner::resolve(&program.launch).ok()?.owner();
    let others = plan.programs.values().filter(|program| owner(program).is_some_and(|(user, _)| user != own));
    let names: Vec<&str> = others.map(|program| program.name.as_str()).collect();
    if let Some((first, more)) = names.split_first() {
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        log::warn!(
            "`{first}`{more} runs as another user and CAP_KILL is missing: foster cannot stop it; add the capability \
             (`docker run --cap-add KILL`), or run it as foster's own user"
        );
    }
}

/// Listens, in place of a socket that this process itself has left, if it has.
fn take_over_own(
    path: &Path,
    own: Option<i32>,
    listen: impl Fn() -> Result<Server, BindError>,
) -> Result<Server, BindError> {
    match listen() {
        Err(BindError::AnotherListens { pid, .. }) if pid.is_some() && pid == own => {
            // Removes the file.
            drop(SocketFile::there(path));
            listen()
        }
        listening => listening,
    }
}

/// Listens at the configured socket; if that cannot be created, at the abstract socket that clients try next.
fn bind(
    plan: &Plan,
    epoll: &Rc<Epoll>,
    inherited: Option<&Inheritance>,
) -> Result<Option<Server>, StartupError> {
    let Some(path) = &plan.settings.socket else { return Ok(None) };
    // That of the earlier foster of this process stays open as long as one of its children has not executed a program.
    let own = inherited.map(|_| Pid::this().as_raw());
    let listen =
        |path: &Path| match take_over_own(path, own, || Server::bind(path, Rc::clone(epoll), owner::CONTROL))
        {
            Ok(server) => Ok(Ok(server)),
            Err(error @ BindError::AnotherListens { pid, .. }) if pid.is_some() && pid == own => {
                Ok(Err(error))
            }
            Err(error @ BindError::AnotherListens { .. }) => Err(StartupError::Control(error)),
            Err(error @ (BindError::NotASocket(_) | BindError::TooLong(_) | BindError::Unavailable(..))) => {
                Ok(Err(error))
            }
        };
    let refused = match listen(path)? {
        Ok(server) => return Ok(Some(server)),
        Err(refused) => refused,
    };
    let fallback = fallback_socket(Uid::effective());
    let instead = fallback.display();
    match listen(&fallback)? {
        Ok(server) if path == Path::new(DEFAULT_SOCKET) => {
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
