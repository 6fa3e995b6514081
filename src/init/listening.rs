//! When listening sockets are opened and closed.
//!
//! At bring-up all are opened. One that cannot be is logged, and each start of a program that needs it tries again: that
//! is a failed start like any other. An update opens what is new before it changes anything (`update.rs`), and fails if
//! it cannot. A socket is closed when neither the plan nor a live run has it, and no definition that may come back. Next:
//! `sockets.rs`.

use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use foster_core::event::{Persistence, StartFailure};
use foster_core::ids::Run;
use foster_core::sorted::SortedSet;

use super::plan_scope::UpdateScope;
use super::{Init, ledger};
use crate::config::{Remark, Severity};
use crate::plan::{ListenAddress, ListenOptions, ListenSocket, Plan, Program};
use crate::sockets::{self, FileOwner, ListenError, Sockets};
use crate::spawn;
use crate::sys::handover::{Entry, Inheritance};

/// What an update opens and changes before it is applied. Dropped, it closes what it opened.
#[derive(Debug, Default)]
pub(super) struct Staged {
    new: Sockets,
    /// The options before the change.
    changed: Vec<(ListenAddress, ListenOptions, FileOwner)>,
}

/// Opens the sockets of all programs, but for those that an earlier foster has left open. Whatever cannot be opened is
/// logged.
pub(super) fn open_all(plan: &Plan, left: &mut [Entry]) -> Sockets {
    let mut sockets = Sockets::default();
    for (_, program) in plan.definitions() {
        for socket in &program.sockets {
            let hash = ledger::hash(&socket.address.to_string());
            let entry = left.iter_mut().find(|entry| ledger::socket_of(entry) == Some(hash));
            if let Some(descriptor) = entry.and_then(|entry| Inheritance::take(entry, 0))
                && let Ok(owner) = owner(&socket.options)
            {
                sockets.adopt(&socket.address, &socket.options, owner, descriptor);
            }
            if let Err(failure) = open(&mut sockets, socket) {
                let name = &program.name;
                log::warn!(
                    "{name}: cannot open its socket: {}; each start of {name} tries again",
                    failure.message
                );
            }
        }
    }
    sockets
}

/// The variables of a program with sockets (sd_listen_fds(3)); `LISTEN_PID` only the process itself knows.
pub(super) fn variables(program: &Program) -> Vec<(String, String)> {
    if program.sockets.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = program.sockets.iter().map(|socket| socket.name.as_str()).collect();
    vec![("LISTEN_FDS".to_owned(), names.len().to_string()), ("LISTEN_FDNAMES".to_owned(), names.join(":"))]
}

/// The variable with the pid of the process that gets sockets.
pub(super) const PID_VARIABLE: &str = "LISTEN_PID";

impl Init {
    /// The sockets of a program for a run of it, in order.
    pub(super) fn sockets_for(
        &mut self,
        run: Run,
        program: &Program,
    ) -> Result<Vec<Rc<OwnedFd>>, StartFailure> {
        let opened: Result<Vec<_>, _> =
            program.sockets.iter().map(|socket| open(&mut self.processes.sockets, socket)).collect();
        let opened = opened?;
        self.note_sockets();
        for (socket, descriptor) in program.sockets.iter().zip(&opened) {
            // The flag is common to all processes that have the socket: it is left alone while another one runs.
            if !self.has_other_user(run, &socket.address) {
                sockets::set_blocking(descriptor.as_fd());
            }
        }
        Ok(opened)
    }

    /// Keeps the ledger up to date.
    pub(super) fn note_sockets(&mut self) {
        if let Some(sockets) = self.processes.sockets.take_change() {
            self.processes.children.ledger.note_sockets(sockets);
        }
    }

    /// Whether another run has this socket.
    fn has_other_user(&self, run: Run, address: &ListenAddress) -> bool {
        let children = &self.processes.children;
        let mut others = children.runs().filter(|other| *other != run);
        others.any(|other| children.definition(other).is_some_and(|program| has(program, address)))
    }

    /// Opens what the programs of a scope of a new plan add, and changes what it changes. Returns a remark for each socket that cannot be.
    pub(super) fn stage_sockets(
        &mut self,
        plan: &Plan,
        scope: &UpdateScope,
        staged: &mut Staged,
    ) -> Vec<Remark> {
        let mut remarks = Vec::new();
        let sockets = self.plan.definitions().flat_map(|(_, program)| &program.sockets);
        let servers = self.plan.web.servers.iter().map(|server| &server.socket);
        let known: SortedSet<&ListenAddress> = sockets.chain(servers).map(|socket| &socket.address).collect();
        let programs = plan.definitions().filter(|(_, program)| scope.has(&program.name));
        let of_programs = programs.flat_map(|(id, program)| {
            let owner = format!("a socket of `{}`", program.name);
            program.sockets.iter().map(move |socket| (Some(id), owner.clone(), socket))
        });
        let servers = plan.web.servers.iter().filter(|_| scope.is_whole());
        let of_web = servers.map(|server| (None, "the socket of `[web]`".to_owned(), &server.socket));
        for (program, what, socket) in of_programs.chain(of_web) {
            let ListenSocket { address, options, .. } = socket;
            let sockets = &mut self.processes.sockets;
            let result = match sockets.options(address) {
                Some(before) if before == options => Ok(()),
                Some(before) => {
                    staged.changed.push((address.clone(), before.clone(), sockets.owner(address)));
                    owner(options).and_then(|owner| sockets.change(address, options, owner).map_err(failure))
                }
                // It could not be opened before: no reason to refuse this update. The next start tries again.
                None if known.contains(&address) => Ok(()),
                None => open(&mut staged.new, socket).map(drop),
            };
            if let Err(failure) = result {
                let message = format!("cannot open {what}: {}", failure.message);
                let note = neighbour(sockets, address).unwrap_or_default();
                remarks.push(Remark { program, key: "sockets", severity: Severity::Error, message, note });
            }
        }
        remarks
    }

    /// The update takes place: the new sockets are those of the programs.
    pub(super) fn commit_sockets(&mut self, staged: Staged) {
        self.processes.sockets.add(staged.new);
        self.note_sockets();
    }

    /// The update does not take place.
    pub(super) fn revert_sockets(&mut self, staged: Staged) {
        for (address, options, owner) in staged.changed.into_iter().rev() {
            // As it was: that was permitted before.
            let _ = self.processes.sockets.change(&address, &options, owner);
        }
    }

    /// Nothing of a run is left. Sockets that only its definition had are closed.
    pub(super) fn forget_run(&mut self, run: Run) {
        let definition = self.processes.children.definition(run).map(Rc::clone);
        self.processes.forget_run(run);
        let Some(before) = definition.filter(|program| !program.sockets.is_empty()) else { return };
        let now = self.plan.programs.get(run.instance.program);
        if now.is_none_or(|now| now.sockets != before.sockets)
            || self.plan.core.is_leaving(run.instance.program)
        {
            self.close_unused_sockets();
        }
    }

    /// Closes the sockets that neither the plan nor a live run has.
    pub(super) fn close_unused_sockets(&mut self) {
        if self.processes.sockets.addresses().next().is_none() {
            return;
        }
        let children = &self.processes.children;
        let planned = self.plan.definitions().map(|(_, program)| program);
        let live = children.runs().filter_map(|run| children.definition(run));
        // The former definition of a program may come back.
        let former = self.processes.formers.iter().flat_map(|(id, plan)| {
            plan.definitions().filter(move |(of, _)| *of == id).map(|(_, program)| program)
        });
        let needed: SortedSet<&ListenAddress> = planned
            .chain(live)
            .chain(former)
            .flat_map(|program| program.sockets.iter().map(|socket| &socket.address))
            .chain(self.plan.web.servers.iter().map(|server| &server.socket.address))
            .collect();
        self.processes.sockets.retain(|address| needed.contains(&address));
        self.note_sockets();
    }
}

/// The socket, opened where it is not open.
pub(super) fn open(sockets: &mut Sockets, socket: &ListenSocket) -> Result<Rc<OwnedFd>, StartFailure> {
    let ListenSocket { address, options, .. } = socket;
    if let Some(socket) = sockets.get(address) {
        return Ok(Rc::clone(socket));
    }
    sockets.open(address, options, owner(options)?).map_err(failure)
}

/// The user and group of a Unix socket's file.
fn owner(options: &ListenOptions) -> Result<FileOwner, StartFailure> {
    let (user, group) = spawn::owner_of_file(options.user.as_ref(), options.group.as_ref())?;
    Ok(FileOwner { user, group })
}

fn has(program: &Program, address: &ListenAddress) -> bool {
    program.sockets.iter().any(|socket| socket.address == *address)
}

fn failure(error: ListenError) -> StartFailure {
    let remedy = match error.remedy() {
        "" => String::new(),
        remedy => format!(": {remedy}"),
    };
    let persistence = error.errno().map_or(Persistence::Permanent, spawn::persistence_of);
    StartFailure { stage: "sockets", persistence, message: format!("{error}{remedy}") }
}

/// The socket of foster's that is in the way of one at the same port.
fn neighbour(sockets: &Sockets, address: &ListenAddress) -> Option<String> {
    let ListenAddress::Tcp(wanted) = address else { return None };
    let other = sockets.addresses().find(|other| match other {
        ListenAddress::Tcp(other) => other.port() == wanted.port(),
        ListenAddress::Unix(_) => false,
    })?;
    Some(format!("foster has `{other}` open at this port: remove it by one update, and add this by the next"))
}
