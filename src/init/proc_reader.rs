//! What /proc shows of foster's processes. An error that hides some of them is logged once.
//!
//! Where /proc does not tell, children are found by other means, and descendants when their parents have ended. Next:
//! `tree.rs`.

use std::io;

use log::warn;
use nix::unistd::Pid;

use crate::errno;
use crate::sys::process;
use crate::sys::procfs::{self, OwnChildren, Process};

/// /proc, as far as it can be read.
#[derive(Debug)]
pub(super) struct ProcReader {
    own: OwnChildren,
    is_error_reported: bool,
}

impl ProcReader {
    /// Opens what is kept open.
    pub(super) fn open() -> ProcReader {
        ProcReader { own: OwnChildren::open(), is_error_reported: false }
    }

    /// The children of foster, zombies included.
    pub(super) fn own_children(&mut self) -> Vec<Pid> {
        match self.own.read() {
            Ok(children) => children,
            Err(error) => {
                self.report(&error);
                process::children_by_number()
            }
        }
    }

    /// A child of foster, as /proc shows it, or as system calls do.
    pub(super) fn see(&mut self, pid: Pid) -> Process {
        match procfs::process(pid) {
            Ok(Some(process)) => process,
            Ok(None) => Process::unseen(pid),
            Err(error) => {
                self.report(&error);
                Process::unseen(pid)
            }
        }
    }

    /// The descendants of a process. Where /proc does not tell, they come to foster one by one as their parents end.
    pub(super) fn below(&mut self, root: Pid) -> Vec<Process> {
        procfs::descendants(root).unwrap_or_else(|error| {
            self.report(&error);
            Vec::new()
        })
    }

    fn report(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_error_reported, true) {
            let error = errno::words(error);
            warn!("cannot read /proc: {error}; processes of a program are found only when their parents end");
        }
    }
}
