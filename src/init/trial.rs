//! The trial of an update: a child reads the configuration first, so that a fault of foster there ends only the child.
//!
//! The supervisor reads it only after that, so that an update holds the loop as long as one reading. Where no child can be
//! made it reads at once. A configuration of JavaScript is run by Node for the child, which passes the export on: PM2's
//! ecosystem files. Updates take place one after the other, each with its own trial. Next: `update.rs`.

use std::collections::VecDeque;
use std::env;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use foster_core::ids::Exit;
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd;

use super::Init;
use super::children::Role;
use crate::config::{self, Environment, Evaluate, Report, ScriptError};
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
    /// Runs a configuration of JavaScript.
    evaluate: Option<Evaluate>,
    /// The file in memory to which the child writes what such a configuration exports.
    export: Option<File>,
    evaluated: Option<Result<String, ScriptError>>,
}

/// The most bytes of the text of a fault: a pipe holds them, so the child does not wait.
const LONGEST: u64 = 4096;
/// The most bytes of an export with its first line: Node's output is bounded below that.
const LARGEST_EXPORT: u64 = 5 << 20;
/// The first line of an export.
const EXPORTED: &str = "json";
/// The exit status of a child that has read the configuration.
const READ: u8 = 0;

impl Trial {
    pub(super) fn new(evaluate: Option<Evaluate>) -> Trial {
        Trial { evaluate, ..Trial::default() }
    }

    /// What the configuration exports, if it is JavaScript and the child has run it. It is read once.
    pub(super) fn take_evaluated(&mut self) -> Option<Result<String, ScriptError>> {
        self.evaluated.take()
    }
}

impl Init {
    /// Begins an update for a client, or for a signal.
    pub(super) fn begin_update(&mut self, client: Option<(ConnectionId, Update)>) {
        self.operators.updates.trial.queue.push_back(client);
        if self.operators.updates.trial.queue.len() == 1 {
            self.begin_trial();
        }
    }

    fn begin_trial(&mut self) {
        let evaluate = self.operators.updates.trial.evaluate;
        let evaluate = evaluate.filter(|_| config::is_javascript(self.operators.updates.source()));
        let export =
            evaluate.and_then(|_| memfd_create(c"export", MFdFlags::MFD_CLOEXEC).ok()).map(File::from);
        match start(self.operators.updates.source(), evaluate.zip(export.as_ref())) {
            Ok((child, fault)) => {
                self.operators.updates.trial.fault = Some(fault);
                self.operators.updates.trial.export = export;
                self.processes.children.insert_process(Role::Trial, child);
            }
            Err(_) => self.end_trial(None),
        }
    }

    /// The child has ended, or there was none: the update takes place, unless reading the configuration was a fault.
    pub(super) fn end_trial(&mut self, exit: Option<Exit>) {
        let fault = self.operators.updates.trial.fault.take();
        self.operators.updates.trial.evaluated =
            self.operators.updates.trial.export.take().and_then(read_export);
        let Some(client) = self.operators.updates.trial.queue.pop_front() else { return };
        let fault = exit.filter(|exit| *exit != Exit::Code(READ)).map(|exit| {
            let text = fault.map(text).filter(|text| !text.is_empty());
            Report::of_fault(self.operators.updates.source(), &text.unwrap_or_else(|| exit.to_string()))
        });
        match client {
            Some((client, asked)) => self.update_for(client, asked, fault),
            None => self.update_by_signal(fault),
        }
        // Where nothing has read it: memory.
        self.operators.updates.trial.evaluated = None;
        if !self.operators.updates.trial.queue.is_empty() {
            self.begin_trial();
        }
    }
}

fn start(source: &Path, export: Option<(Evaluate, &File)>) -> nix::Result<(ChildProcess, OwnedFd)> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
    #[cfg(debug_assertions)]
    let is_faulty = super::teardown::is_faulty("update");
    let child = fork(None, |child| {
        // What hangs must not hold foster's pipes, sockets and files open. A fault is reported on stderr.
        let mut kept = export.and_then(|(_, file)| file.try_clone().ok()).map(OwnedFd::from);
        let mut all_kept: Vec<&mut OwnedFd> = kept.iter_mut().collect();
        if child.place_descriptors(&[(writer.as_fd(), 2)], &mut all_kept).is_err() {
            return READ;
        }
        #[cfg(debug_assertions)]
        if is_faulty {
            super::teardown::fault_on_demand();
        }
        // A mistake in it is found again.
        let evaluated = export.map(|(evaluate, _)| evaluate(source));
        let environment = Environment::new(env::vars_os(), cpus::allowed).evaluated(evaluated.clone());
        let _ = config::load(source, &environment);
        if let Some((evaluated, file)) = evaluated.zip(kept) {
            // Without it the update says that the file could not be run.
            let _ = write_export(File::from(file), evaluated);
        }
        READ
    })?;
    Ok((child, reader))
}

/// Writes what the file exports, or why it exports nothing: the line, and two lines of text.
fn write_export(mut file: File, evaluated: Result<String, ScriptError>) -> io::Result<()> {
    match evaluated {
        Ok(json) => write!(file, "{EXPORTED}\n{json}"),
        Err(ScriptError { message, note, line }) => write!(file, "{}\n{message}\n{note}", line.unwrap_or(0)),
    }
}

/// What the child has written; `None`: nothing.
fn read_export(mut file: File) -> Option<Result<String, ScriptError>> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.take(LARGEST_EXPORT).read_to_end(&mut bytes)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (first, rest) = text.split_once('\n')?;
    if first == EXPORTED {
        return Some(Ok(rest.to_owned()));
    }
    let (message, note) = rest.split_once('\n')?;
    let line = first.parse().ok().filter(|line| *line > 0);
    Some(Err(ScriptError { message: message.to_owned(), note: note.to_owned(), line }))
}

fn text(fault: OwnedFd) -> String {
    let mut text = Vec::new();
    // The child has ended, so this does not wait.
    let _ = File::from(fault).take(LONGEST).read_to_end(&mut text);
    String::from_utf8_lossy(&text).trim().to_owned()
}
