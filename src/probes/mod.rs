//! Probes: foster asks a program from outside whether it is ready, and never waits for the answer.
//!
//! An attempt over TCP goes on when the loop reports its connection ready. An attempt that needs a process (a command,
//! a path) is a child whose exit status is the answer; the pipe for its note is read here. The core decides when to
//! ask, how often, and how long an answer may take; it ends an attempt with [`Probes::cancel`]. Next: `connection.rs`
//! and `http.rs`; `local.rs` and `note.rs`.

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

/// How a probe of the plan is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeTarget<'plan> {
    /// Over the network, within the loop.
    Remote(RemoteTarget<'plan>),
    /// A path, in a child.
    Local(LocalTarget<'plan>),
    /// A command, in a process like the program's.
    Command(&'plan [String]),
    /// Not at all: a line of output answers.
    Output,
}

/// What is asked over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteTarget<'plan> {
    /// A request is answered with an accepted status.
    Http(&'plan HttpProbe),
    /// A connection is accepted.
    Tcp(SocketAddr),
}

impl<'plan> ProbeTarget<'plan> {
    /// How this probe is asked.
    pub fn of(probe: &'plan Probe) -> ProbeTarget<'plan> {
        match probe {
            Probe::Http(http) => ProbeTarget::Remote(RemoteTarget::Http(http)),
            Probe::Tcp(address) => ProbeTarget::Remote(RemoteTarget::Tcp(*address)),
            Probe::Unix(path) => ProbeTarget::Local(LocalTarget::Unix(path)),
            Probe::File(path) => ProbeTarget::Local(LocalTarget::File(path)),
            Probe::Exec(command) => ProbeTarget::Command(command),
            Probe::Log(_) => ProbeTarget::Output,
        }
    }
}

/// A probe of a run: each has at most one attempt at a time.
pub type ProbeId = (Run, Which);

/// Every attempt in flight, at most one for each probe.
#[derive(Debug)]
pub struct Probes {
    epoll: Rc<Epoll>,
    owner: Owner,
    last_key: u32,
    attempts: Vec<Attempt>,
    results: Vec<(ProbeId, ProbeResult)>,
}

/// An attempt that is not answered yet.
#[derive(Debug)]
struct Attempt {
    /// Never used for the attempt before: a late report must not move on its successor.
    key: u32,
    id: ProbeId,
    medium: Medium,
}

/// Through what an attempt is answered.
#[derive(Debug)]
enum Medium {
    /// A connection, and what the loop watches it for.
    Connection(Connection, Interest),
    /// A process: this is its note.
    Process(ProbeProcess, NoteReader),
    /// Through nothing yet: the process of an attempt that was cancelled has not ended.
    Waiting,
}

/// Which process answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeProcess {
    /// The command of the plan; its note is a part of the reason.
    Command,
    /// A child of foster's; its note is the reason.
    Check,
}

impl Probes {
    /// No attempts. Reports for `owner` belong to [`Probes::on_ready`].
    pub fn new(epoll: Rc<Epoll>, owner: Owner) -> Probes {
        Probes { epoll, owner, last_key: 0, attempts: Vec::new(), results: Vec::new() }
    }

    /// Asks once, in place of an attempt of this probe that is in flight. Look at [`Probes::take_results`]
    /// afterwards: the answer may be there.
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

    /// A pipe for the note of a process that is about to answer for this probe, in place of an attempt in flight.
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

    /// The answer of the process that was asked for this probe, now that it has ended.
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

    /// Forgets the attempt of this probe: there will be no answer.
    pub fn cancel(&mut self, id: ProbeId) {
        self.results.retain(|(of, _)| *of != id);
        if let Some(index) = self.attempts.iter().position(|attempt| attempt.id == id) {
            self.remove(index);
        }
    }

    /// Goes on with the attempt that a report is about. Look at [`Probes::take_results`] afterwards.
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
                    // A pipe whose writers are gone is ready for ever; the process answers when it is reaped.
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

    /// The answers since the last call, in the order in which they came.
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

    /// A child that is just being made may hold a copy of the descriptor until its exec, so that closing foster's
    /// would not be enough to end the reports (epoll(7)).
    fn remove(&mut self, index: usize) -> Attempt {
        let attempt = self.attempts.swap_remove(index);
        // It fails only where the descriptor is not watched, which is what is wanted.
        let _ = match &attempt.medium {
            Medium::Connection(connection, _) => self.epoll.remove(connection.stream()),
            Medium::Process(_, reader) => self.epoll.remove(reader.as_fd()),
            Medium::Waiting => Ok(()),
        };
        attempt
    }
}

/// Has a connection watched for what it waits for now; the verdict, where that cannot be done.
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
    ProbeResult::Failed(format!("watching the connection: {}", errno::text(error)))
}

#[cfg(test)]
mod tests;
