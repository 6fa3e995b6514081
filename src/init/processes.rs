//! The processes of the programs: made, signalled, reaped, swept.

use foster_core::ids::{Run, Signal};
use foster_core::spec::KillMode;
use nix::unistd::Pid;

use super::children::{Children, Role};
use super::rest::Rest;
use super::sessions::Sessions;
use crate::oom::OomCounter;
use crate::spawn::Spawner;

/// Everything about processes.
#[derive(Debug)]
pub(super) struct Processes {
    pub(super) spawner: Spawner,
    pub(super) children: Children,
    pub(super) sessions: Sessions,
    pub(super) rest: Rest,
    pub(super) oom: OomCounter,
}

/// What a signal to all processes of a run has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TreeState {
    /// Some are left.
    Lives,
    /// None is left.
    Empty,
}

impl Processes {
    /// The process of a run: its program, or until that has started its `pre_start`.
    pub(super) fn role(&self, run: Run) -> Role {
        match self.children.pid(Role::PreStart(run)) {
            Some(_) => Role::PreStart(run),
            None => Role::Main(run),
        }
    }

    /// Signals every process of a run.
    ///
    /// # Errors
    /// EPERM: its main process runs as another user, and CAP_KILL is missing.
    pub(super) fn signal_all(&mut self, run: Run, mode: KillMode, signal: Signal) -> nix::Result<TreeState> {
        let role = self.role(run);
        if mode == KillMode::Process {
            return self.children.signal(role, signal).map(|()| TreeState::Lives);
        }
        // The main process first, so that it is known what killed it; then its session.
        if let Some(session) = self.children.pid(role) {
            let result = self.children.signal(role, signal);
            self.sessions.signal(session, signal);
            return result.map(|()| TreeState::Lives);
        }
        if let Some(session) = self.sessions.session(run) {
            self.sessions.signal(session, signal);
            if self.sessions.is_empty_now(run) {
                self.children.forget_run(run);
                return Ok(TreeState::Empty);
            }
        }
        Ok(TreeState::Lives)
    }

    /// Kills everything foster has made, and what is left in these sessions.
    pub(super) fn kill_all(&mut self, sessions: &[Pid]) {
        self.children.kill_all();
        self.sessions.kill(sessions, self.rest.standing());
    }
}
