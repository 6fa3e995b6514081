//! The trial of an update: a child reads the configuration first, so that a fault of foster there ends only the child.
//!
//! The supervisor reads it only after that, so that an update holds the loop as long as one reading. Where no child can be
//! made it reads at once. Updates take place one after the other, each with its own trial. Next: `update.rs`.

use std::collections::VecDeque;
use std::env;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use foster_core::ids::Exit;
use nix::fcntl::OFlag;
use nix::unistd;

use super::Init;
use super::children::Role;
use crate::config::{self, Environment, Report};
use crate::control::protocol::Update;
use crate::control::server::ConnectionId;
use crate::spawn::ChildProcess;
use crate::sys::cpus;
use crate::sys::fork::fork;

/// The updates that wait, and the trial of the first.
#[derive(Debug, Default)]
pub(super) struct Trial {
    /// Whose they are; `None`: they were requested by a signal. The first one is that of the trial.
    queue: VecDeque<Option<(ConnectionId, Update)>>,
    /// What the child writes to its stderr.
    fault: Option<OwnedFd>,
}

/// The most bytes of the text of a fault: a pipe holds them, so the child does not wait.
const LONGEST: u64 = 4096;
/// The exit status of a child that has read the configuration.
const READ: u8 = 0;

impl Init {
    /// Begins an update for a client, or for a signal.
    pub(super) fn begin_update(&mut self, client: Option<(ConnectionId, Update)>) {
        self.operators.updates.trial.queue.push_back(client);
        if self.operators.updates.trial.queue.len() == 1 {
            self.begin_trial();
        }
    }

    fn begin_trial(&mut self) {
        match start(self.operators.updates.source()) {
            Ok((child, fault)) => {
                self.operators.updates.trial.fault = Some(fault);
                self.processes.children.insert_process(Role::Trial, child);
            }
            Err(_) => self.end_trial(None),
        }
    }

    /// The child has ended, or there was none: the update takes place, unless reading the configuration was a fault.
    pub(super) fn end_trial(&mut self, exit: Option<Exit>) {
        let fault = self.operators.updates.trial.fault.take();
        let Some(client) = self.operators.updates.trial.queue.pop_front() else { return };
        let fault = exit.filter(|exit| *exit != Exit::Code(READ)).map(|exit| {
            let text = fault.map(text).filter(|text| !text.is_empty());
            Report::of_fault(self.operators.updates.source(), &text.unwrap_or_else(|| exit.to_string()))
        });
        match client {
            Some((client, asked)) => self.update_for(client, asked, fault),
            None => self.update_by_signal(fault),
        }
        if !self.operators.updates.trial.queue.is_empty() {
            self.begin_trial();
        }
    }
}

fn start(source: &Path) -> nix::Result<(ChildProcess, OwnedFd)> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    #[cfg(debug_assertions)]
    let is_faulty = super::teardown::is_faulty("update");
    let child = fork(None, |child| {
        // What hangs must not hold foster's pipes, sockets and files open. A fault is reported on stderr.
        if child.place_descriptors(&[(writer.as_fd(), 2)], &mut []).is_err() {
            return READ;
        }
        #[cfg(debug_assertions)]
        if is_faulty {
            super::teardown::fault_on_demand();
        }
        // A mistake in it is found again.
        let _ = config::load(source, &Environment::new(env::vars_os(), cpus::allowed));
        READ
    })?;
    Ok((child, reader))
}

fn text(fault: OwnedFd) -> String {
    let mut text = Vec::new();
    // The child has ended, so this does not wait.
    let _ = File::from(fault).take(LONGEST).read_to_end(&mut text);
    String::from_utf8_lossy(&text).trim().to_owned()
}
