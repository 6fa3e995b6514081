//! Probes: foster asks a program from outside whether it is ready, and never waits for the answer.
//!
//! One attempt is one [`ProbeTarget`]. A connection goes on when the loop reports it ready; what can be
//! told at once is told at once. When to ask, how often, and how long an answer may take is decided by
//! the core, which ends an attempt with [`Probes::cancel`]. Commands are run by `init/`, and lines of
//! output are seen by `output/`: neither is a question. Next: `connection.rs`, then `http.rs`.

mod connection;
mod http;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;

use foster_core::event::ProbeResult;
use foster_core::ids::Run;
use nix::errno::Errno;

use self::connection::Connection;
use crate::plan::{HttpProbe, Probe};
use crate::sys::connect;
use crate::sys::epoll::{Epoll, Interest, Ready, Space, Token};
use crate::sys::errno::words;

/// What can be asked without a process of one's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeTarget<'plan> {
    /// Does a GET of this answer well?
    Http(&'plan HttpProbe),
    /// Is a connection accepted?
    Tcp(SocketAddr),
    /// Is a connection accepted?
    Unix(&'plan Path),
    /// Is it there?
    File(&'plan Path),
}

impl<'plan> ProbeTarget<'plan> {
    /// The question in this probe; `None` where it is a command to be run or a line to be seen.
    pub fn of(probe: &'plan Probe) -> Option<ProbeTarget<'plan>> {
        match probe {
            Probe::Http(http) => Some(ProbeTarget::Http(http)),
            Probe::Tcp(address) => Some(ProbeTarget::Tcp(*address)),
            Probe::Unix(path) => Some(ProbeTarget::Unix(path)),
            Probe::File(path) => Some(ProbeTarget::File(path)),
            Probe::Exec(_) | Probe::Log(_) => None,
        }
    }
}

/// Every attempt that is under way, at most one a run.
#[derive(Debug)]
pub struct Probes {
    epoll: Rc<Epoll>,
    space: Space,
    last_key: u32,
    attempts: Vec<Attempt>,
    results: Vec<(Run, ProbeResult)>,
}

/// A question that is not answered yet.
#[derive(Debug)]
struct Attempt {
    /// Never used for the attempt before: a late report must not move on its successor.
    key: u32,
    run: Run,
    /// What the loop watches it for.
    watched: Interest,
    connection: Connection,
}

impl Probes {
    /// Nothing is asked yet. Reports for `space` belong to [`Probes::on_ready`].
    pub fn new(epoll: Rc<Epoll>, space: Space) -> Probes {
        Probes { epoll, space, last_key: 0, attempts: Vec::new(), results: Vec::new() }
    }

    /// Asks once, in place of what this run is being asked already. Look at [`Probes::take_results`]
    /// afterwards: the answer may be there.
    pub fn start(&mut self, run: Run, question: ProbeTarget<'_>) {
        self.cancel(run);
        let begun = match question {
            ProbeTarget::Http(probe) => Connection::request(probe),
            ProbeTarget::Tcp(address) => Connection::connect(address),
            ProbeTarget::Unix(path) => Err(connected(path)),
            ProbeTarget::File(path) => Err(present(path)),
        };
        match begun.and_then(|connection| self.watch(run, connection)) {
            Ok(attempt) => self.attempts.push(attempt),
            Err(verdict) => self.results.push((run, verdict)),
        }
    }

    /// Forgets what this run is being asked: there will be no answer.
    pub fn cancel(&mut self, run: Run) {
        self.results.retain(|(of, _)| *of != run);
        if let Some(index) = self.attempts.iter().position(|attempt| attempt.run == run) {
            self.forget(index);
        }
    }

    /// Goes on with the attempt that a report is about. Look at [`Probes::take_results`] afterwards.
    pub fn on_ready(&mut self, ready: Ready) {
        let Some(index) = self.attempts.iter().position(|attempt| attempt.key == ready.token.key) else {
            return;
        };
        let Some(attempt) = self.attempts.get_mut(index) else { return };
        let run = attempt.run;
        if let Some(verdict) =
            attempt.connection.advance().or_else(|| attempt.rewatch(&self.epoll, self.space))
        {
            self.forget(index);
            self.results.push((run, verdict));
        }
    }

    /// The answers since the last call, in the order in which they came.
    pub fn take_results(&mut self) -> Vec<(Run, ProbeResult)> {
        std::mem::take(&mut self.results)
    }

    fn watch(&mut self, run: Run, connection: Connection) -> Result<Attempt, ProbeResult> {
        self.last_key = self.last_key.wrapping_add(1);
        let token = Token { space: self.space, key: self.last_key };
        let watched = connection.interest();
        self.epoll.add(connection.stream(), token, watched).map_err(unwatchable)?;
        Ok(Attempt { key: token.key, run, watched, connection })
    }

    /// A process that is just being made may hold a copy of the descriptor until its exec, so that
    /// closing ours would not be enough to end the reports (epoll(7)).
    fn forget(&mut self, index: usize) {
        let attempt = self.attempts.swap_remove(index);
        // It fails only where it is not watched, which is what is wanted.
        let _ = self.epoll.remove(attempt.connection.stream());
    }
}

impl Attempt {
    /// Has it watched for what it waits for now; the verdict, where that cannot be done.
    fn rewatch(&mut self, epoll: &Epoll, space: Space) -> Option<ProbeResult> {
        let interest = self.connection.interest();
        if interest == self.watched {
            return None;
        }
        self.watched = interest;
        let token = Token { space, key: self.key };
        epoll.modify(self.connection.stream(), token, interest).err().map(unwatchable)
    }
}

fn connected(path: &Path) -> ProbeResult {
    match connect::try_unix(path) {
        Ok(()) => ProbeResult::Passed,
        Err(Errno::ENOENT) => absent(path),
        Err(Errno::EAGAIN) => {
            failed(format_args!("connecting to {}: too many connections wait to be accepted", path.display()))
        }
        Err(error) => failed(format_args!("connecting to {}: {}", path.display(), error.desc())),
    }
}

fn present(path: &Path) -> ProbeResult {
    match std::fs::metadata(path) {
        Ok(_) => ProbeResult::Passed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => absent(path),
        Err(error) => failed(format_args!("looking for {}: {}", path.display(), words(&error))),
    }
}

fn absent(path: &Path) -> ProbeResult {
    failed(format_args!("{} is not there", path.display()))
}

fn unwatchable(error: nix::Error) -> ProbeResult {
    failed(format_args!("watching the connection: {}", error.desc()))
}

fn failed(text: std::fmt::Arguments<'_>) -> ProbeResult {
    ProbeResult::Failed(text.to_string())
}

#[cfg(test)]
mod tests;
