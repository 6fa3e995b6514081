//! The process group, session and terminal of the command, so that ^C, ^Z and job control work as without an init.
//!
//! Without a terminal it gets a new process group. With one, [`Place::Natural`] depends on the parent of the init:
//!
//! - None in this session: the init leads the session (`docker run --tty`, `docker exec --tty`). The command gets a new session and the
//!   terminal with it. After ^Z nothing could continue it, and the kernel does not stop such an orphaned group
//!   (setpgid(2)), with or without an init.
//! - A shell that has jobs. The command stays in our group, which is the job: the terminal's signals reach both,
//!   ours are not passed on, and we stop when the job stops, so that the shell sees it.
//! - The same, but signals go to the command's group: then it is a new one in the foreground. We pass the terminal on,
//!   and stop and continue with it.

use std::os::fd::{AsFd, BorrowedFd};

use foster_core::ids::Signal;
use nix::unistd::Pid;

use super::{Place, Recipient};
use crate::sys::fork::InChild;
use crate::sys::process::{self, Change};
use crate::sys::signal;
use crate::sys::sigwait::{self, SignalSet};
use crate::sys::terminal::Terminal;

/// The group, session and terminal that the command will have.
#[derive(Debug)]
pub(super) struct Placement {
    group: Group,
    terminal: Option<Terminal>,
    part: Part,
}

/// The process group of the command.
#[derive(Debug, Clone, Copy)]
enum Group {
    /// In our group.
    Ours,
    /// In a new group.
    Own,
    /// In a new group, in the foreground of the terminal.
    Front,
    /// In a new session, with the terminal.
    Session,
}

/// Our part in job control.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// None: there is no job control, or the command does it alone.
    None,
    /// Stop when the job stops.
    Share,
    /// Lend the terminal to the command.
    Lend,
}

/// Job control while the command runs.
#[derive(Debug)]
pub(super) enum JobControl {
    /// Nothing.
    None,
    /// Command and init are one group, and the terminal's signals reach both.
    Shared,
    /// We lend the command the terminal whenever we have it.
    Lent(Terminal),
}

impl Placement {
    /// Decides on the placement, and releases the terminal if the command's session takes it over.
    pub(super) fn take(place: Place, recipient: Recipient) -> Placement {
        match place {
            Place::Natural => natural(recipient),
            Place::Beside => Placement { group: Group::Ours, terminal: None, part: Part::None },
            Place::Group => {
                let terminal = Terminal::of_stdin();
                let group = if terminal.is_some() { Group::Front } else { Group::Own };
                Placement { group, terminal, part: Part::None }
            }
            Place::Session => session(Terminal::of_stdin()),
        }
    }

    /// Applies it in the child.
    pub(super) fn enter(&self, child: &InChild) -> nix::Result<()> {
        match (self.group, &self.terminal) {
            (Group::Ours, _) => Ok(()),
            (Group::Own, _) | (Group::Front, None) => child.new_group(),
            (Group::Front, Some(terminal)) => {
                child.new_group()?;
                child.take_foreground(terminal.as_fd())
            }
            (Group::Session, None) => child.new_session(),
            (Group::Session, Some(terminal)) => {
                child.new_session()?;
                // This fails for the terminal of another session, which keeps it.
                let _ = child.acquire_terminal(terminal.as_fd());
                Ok(())
            }
        }
    }

    /// The job control that follows from it.
    pub(super) fn job(self) -> JobControl {
        match (self.part, self.terminal) {
            (Part::Share, _) => JobControl::Shared,
            (Part::Lend, Some(terminal)) => JobControl::Lent(terminal),
            (Part::None, _) | (Part::Lend, None) => JobControl::None,
        }
    }
}

fn natural(recipient: Recipient) -> Placement {
    let Some(terminal) = Terminal::controlling() else {
        return Placement { group: Group::Own, terminal: None, part: Part::None };
    };
    if process::leads_session() {
        return session(Some(terminal));
    }
    match recipient {
        Recipient::Main => Placement { group: Group::Ours, terminal: None, part: Part::Share },
        Recipient::Group => {
            // If we are in the background, the foreground belongs to another job.
            let group = if terminal.is_ours() { Group::Front } else { Group::Own };
            Placement { group, terminal: Some(terminal), part: Part::Lend }
        }
    }
}

fn session(terminal: Option<Terminal>) -> Placement {
    let gives_up = |terminal: &Terminal| terminal.release().is_ok() && process::leads_session();
    if terminal.as_ref().is_some_and(gives_up) {
        // The kernel sends HUP and CONT to the foreground, which is this group (tty_ioctl(4)): they are discarded
        // before the command starts.
        while sigwait::take_pending(SignalSet::of(&[Signal::HUP, Signal::CONT])).is_some() {}
    }
    Placement { group: Group::Session, terminal, part: Part::None }
}

impl JobControl {
    /// Whether the command is in our group.
    pub(super) fn shares_group(&self) -> bool {
        matches!(self, JobControl::Shared)
    }

    /// The terminal that is still needed.
    pub(super) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        match self {
            JobControl::None | JobControl::Shared => None,
            JobControl::Lent(terminal) => Some(terminal.as_fd()),
        }
    }

    /// The next child that has exited or, with a lent terminal, was stopped.
    pub(super) fn next_change(&self) -> Option<Change> {
        match self {
            JobControl::None | JobControl::Shared => process::reap().map(Change::Ended),
            JobControl::Lent(_) => process::reap_or_see_stop(),
        }
    }

    /// Stops the job after the command was stopped. If it was stopped only because we still have the terminal, it gets the
    /// terminal and continues.
    pub(super) fn stopped(&self, command: Pid, signal: Signal) {
        let JobControl::Lent(terminal) = self else { return };
        if terminal.is_ours() {
            self.resumed(command);
            return;
        }
        // The whole group: a script that started us must stop too, so that the shell sees its job stop.
        let _ = process::signal_own_group(signal);
        if signal != Signal::STOP {
            unblock_briefly(signal);
        }
    }

    /// Continues the job. `true`: the command's group got CONT.
    pub(super) fn resumed(&self, command: Pid) -> bool {
        let JobControl::Lent(terminal) = self else { return false };
        if terminal.is_ours() {
            // If the terminal has hung up, the command notices it itself.
            let _ = terminal.give_to(command);
        }
        let _ = process::signal_group(command, Signal::CONT);
        true
    }

    /// Takes the terminal back after the command has exited.
    pub(super) fn ended(&self, command: Pid) {
        let JobControl::Lent(terminal) = self else { return };
        if terminal.is_of(command) {
            let _ = terminal.take_back();
        }
    }
}

/// Stops this process with the signal that stopped the job, which the shell reports. Returns when it is continued.
pub(super) fn stop_by(signal: Signal) {
    process::signal_self(signal);
    unblock_briefly(signal);
}

/// Lets a signal have its default effect: stop this process, except in an orphaned group and as PID 1.
fn unblock_briefly(stop: Signal) {
    signal::stop_ignoring(stop);
    let blocked = sigwait::block(SignalSet::ALL.without(SignalSet::of(&[stop])));
    sigwait::block(blocked);
}
