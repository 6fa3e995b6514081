//! Probes: foster checks from outside whether a program is ready, without blocking.
//!
//! An attempt over TCP advances when the loop reports its connection ready. An attempt with a command or a path is a
//! child whose exit status is the result; the pipe for its note is read here. The core decides when to probe, how often,
//! and how long an attempt may take; it ends one with [`Probes::cancel`]. Next: `connection.rs` and `http.rs`;
//! `local.rs` and `note.rs`.

mod connection;
mod http;
mod local;
mod note;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::Rc;

use foster_core::ids::{Exit, InstanceId, Run};
use foster_core::probe::{ProbeResult, Which};

use self::connection::Connection;
pub use self::local::LocalTarget;
pub use self::note::NoteWriter;
use self::note::{More, NoteReader};
use crate::errno;
use crate::plan::{HttpProbe, Probe};
use crate::sys::epoll::{Epoll, Interest, Owner, Ready, Token};

/// How a probe of the plan is performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeTarget<'plan> {
    /// Over the network, in the loop.
    Remote(RemoteTarget<'plan>),
    /// On a path, in a child.
    Local(LocalTarget<'plan>),
    /// By a command, in a process like the program's.
    Command(&'plan [String]),
    /// Not at all: the program reports it.
    Reported,
}

/// The target of a probe over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteTarget<'plan> {
    /// A request returns an accepted status.
    Http(&'plan HttpProbe),
    /// The address accepts a connection.
    Tcp(SocketAddr),
}

impl<'plan> ProbeTarget<'plan> {
    /// How this probe is performed.
    pub fn of(probe: &'plan Probe) -> ProbeTarget<'plan> {
        match probe {
            Probe::Http(http) => ProbeTarget::Remote(RemoteTarget::Http(http)),
            Probe::Tcp(address) => ProbeTarget::Remote(RemoteTarget::Tcp(*address)),
            Probe::Unix(path) => ProbeTarget::Local(LocalTarget::Unix(path)),
            Probe::File(path) => ProbeTarget::Local(LocalTarget::File(path)),
            Probe::Exec(command) => ProbeTarget::Command(command),
            Probe::Log(_) | Probe::Notify | Probe::Fd(_) | Probe::Ipc => ProbeTarget::Reported,
        }
    }
}

/// A probe of a run. It has at most one attempt at a time.
pub type ProbeId = (Run, Which);

/// The attempts in flight, at most one for each probe.
#[derive(Debug)]
pub struct Probes {
    epoll: Rc<Epoll>,
    owner: Owner,
    last_key: u32,
    attempts: Vec<Attempt>,
    results: Vec<(ProbeId, ProbeResult)>,
}

/// An attempt without a result.
#[derive(Debug)]
struct Attempt {
    /// Unique for each attempt: a late report must not affect the next one.
    key: u32,
    id: ProbeId,
    medium: Medium,
}

/// The source of an attempt's result.
#[derive(Debug)]
enum Medium {
    /// A connection, and the readiness that the loop watches for.
    Connection(Connection, Interest),
    /// A process, and its note.
    Process(ProbeProcess, NoteReader),
    /// Through nothing yet: the process of an attempt that was cancelled has not ended.
    Waiting,
}

/// The process whose exit status is the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeProcess {
    /// The command of the plan; its note is part of the reason.
    Command,
    /// A check in a child of foster; its note is the reason.
    Check,
}

impl Probes {
    /// No attempts. The caller passes reports for `owner` to [`Probes::on_ready`].
    pub fn new(epoll: Rc<Epoll>, owner: Owner) -> Probes {
        Probes { epoll, owner, last_key: 0, attempts: Vec::new(), results: Vec::new() }
    }

    /// Starts an attempt and cancels one of this probe in flight. [`Probes::take_results`] may have the result at once.
    pub fn start(&mut self, id: ProbeId, target: RemoteTarget<'_>) {
        self.cancel(id);
        let connected = match target {
            RemoteTarget::Http(probe) => Connection::request(probe),
            RemoteTarget::Tcp(address) => Connection::connect(address),
        };
        let watched = connected.and_then(|connection| {
            let interest = connection.interest();
            self.watch(id, Medium::Connection(connection, interest)).map_err(unwatchable)
        });
        if let Err(verdict) = watched {
            self.results.push((id, verdict));
        }
    }

    /// Starts an attempt by a process and returns the pipe for its note; cancels an attempt of this probe in flight.
    /// [`Probes::ended`] ends it.
    ///
    /// # Errors
    /// pipe(2): EMFILE, ENFILE; epoll_ctl(2): ENOSPC, ENOMEM.
    pub fn open_note(&mut self, id: ProbeId, process: ProbeProcess) -> nix::Result<NoteWriter> {
        self.cancel(id);
        let (reader, writer) = note::pipe()?;
        self.watch(id, Medium::Process(process, reader))?;
        Ok(writer)
    }

    /// An attempt that can only start when the process of the one before has ended; until then its time runs.
    pub fn wait(&mut self, id: ProbeId) {
        self.cancel(id);
        self.last_key = self.last_key.wrapping_add(1);
        self.attempts.push(Attempt { key: self.last_key, id, medium: Medium::Waiting });
    }

    /// The attempt of this instance that waits, and now can start.
    pub fn take_waiting(&mut self, instance: InstanceId, which: Which) -> Option<ProbeId> {
        let is_it = |attempt: &Attempt| {
            let (run, of) = attempt.id;
            run.instance == instance && of == which && matches!(attempt.medium, Medium::Waiting)
        };
        let index = self.attempts.iter().position(is_it)?;
        Some(self.remove(index).id)
    }

    /// The result of this probe's process, which has exited.
    pub fn ended(&mut self, id: ProbeId, exit: Exit) -> ProbeResult {
        let is_process =
            |attempt: &Attempt| attempt.id == id && matches!(attempt.medium, Medium::Process(..));
        let index = self.attempts.iter().position(is_process);
        let (process, note) = match index.map(|index| self.remove(index).medium) {
            Some(Medium::Process(process, reader)) => (process, reader.finish()),
            Some(Medium::Connection(..) | Medium::Waiting) | None => (ProbeProcess::Command, None),
        };
        match (exit, process, note) {
            (Exit::Code(0), _, _) => ProbeResult::Passed,
            (Exit::Code(_), ProbeProcess::Check, Some(note)) => ProbeResult::Failed(note),
            (_, ProbeProcess::Check, _) => ProbeResult::Failed(format!("the check {exit}")),
            (_, ProbeProcess::Command, None) => ProbeResult::Failed(format!("the command {exit}")),
            (_, ProbeProcess::Command, Some(note)) => {
                ProbeResult::Failed(format!("the command {exit}: {note}"))
            }
        }
    }

    /// Drops the attempt of this probe; it gives no result.
    pub fn cancel(&mut self, id: ProbeId) {
        self.results.retain(|(of, _)| *of != id);
        if let Some(index) = self.attempts.iter().position(|attempt| attempt.id == id) {
            self.remove(index);
        }
    }

    /// Advances the attempt that the report is for. [`Probes::take_results`] may have its result.
    pub fn on_ready(&mut self, ready: Ready) {
        let Some(index) = self.attempts.iter().position(|attempt| attempt.key == ready.token.key) else {
            return;
        };
        let token = Token { owner: self.owner, key: ready.token.key };
        let Some(attempt) = self.attempts.get_mut(index) else { return };
        let id = attempt.id;
        let verdict = match &mut attempt.medium {
            Medium::Connection(connection, watched) => {
                connection.advance().or_else(|| rewatch(&self.epoll, token, connection, watched))
            }
            Medium::Process(_, reader) => {
                if reader.read() == More::Never {
                    // A pipe without writers is always ready; the result comes when the process is reaped.
                    let _ = self.epoll.remove(reader.as_fd());
                }
                None
            }
            Medium::Waiting => None,
        };
        if let Some(verdict) = verdict {
            self.remove(index);
            self.results.push((id, verdict));
        }
    }

    /// The results since the last call, in order.
    pub fn take_results(&mut self) -> Vec<(ProbeId, ProbeResult)> {
        std::mem::take(&mut self.results)
    }

    fn watch(&mut self, id: ProbeId, medium: Medium) -> nix::Result<()> {
        self.last_key = self.last_key.wrapping_add(1);
        let token = Token { owner: self.owner, key: self.last_key };
        match &medium {
            Medium::Connection(connection, interest) => {
                self.epoll.add(connection.stream(), token, *interest)?
            }
            Medium::Process(_, reader) => self.epoll.add(reader.as_fd(), token, Interest::Read)?,
            Medium::Waiting => {}
        }
        self.attempts.push(Attempt { key: token.key, id, medium });
        Ok(())
    }

    /// A child may hold a copy of the descriptor until its exec, and closing foster's would not end the reports
    /// (epoll(7)).
    fn remove(&mut self, index: usize) -> Attempt {
        let attempt = self.attempts.swap_remove(index);
        // It fails only if the descriptor is not watched.
        let _ = match &attempt.medium {
            Medium::Connection(connection, _) => self.epoll.remove(connection.stream()),
            Medium::Process(_, reader) => self.epoll.remove(reader.as_fd()),
            Medium::Waiting => Ok(()),
        };
        attempt
    }
}

/// Watches a connection for its next step; a failure is the result.
fn rewatch(
    epoll: &Epoll,
    token: Token,
    connection: &Connection,
    watched: &mut Interest,
) -> Option<ProbeResult> {
    let interest = connection.interest();
    if interest == *watched {
        return None;
    }
    *watched = interest;
    epoll.modify(connection.stream(), token, interest).err().map(unwatchable)
}

fn unwatchable(error: nix::Error) -> ProbeResult {
    ProbeResult::Failed(format!("cannot watch the connection: {}", errno::text(error)))
}

#[cfg(test)]
mod tests;
