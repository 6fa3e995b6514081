//! The bare init: runs one command, reaps zombies, passes signals on, and exits with the command's status.
//!
//! [`Bare`] describes its behaviour as plain data; `personality/` reads it from a command line. There is no configuration,
//! no socket and no signal handler: every signal is blocked and taken in one place ([`sigwait::take`]), so no call is
//! interrupted, and nothing is allocated once the command runs.
//!
//! The command and its group are signalled by number, and only until the command is reaped, so no other process can be
//! hit. Next: `start.rs`, then `terminal.rs`.

mod messages;
mod start;
mod terminal;

use std::ffi::OsString;
use std::os::fd::{AsRawFd, OwnedFd};

use foster_core::ids::{Exit, Signal};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd;

use self::messages::{Failure, Messages};
use self::start::Inherited;
use self::terminal::{JobControl, Placement};
use crate::exit::ExitStatus;
use crate::sys::fork::ChildProcess;
use crate::sys::process::{self, Change, Reaped};
use crate::sys::sigwait::{self, Arrived, Origin, SignalSet};
use crate::sys::{descriptors, signal};

/// How a bare init behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bare {
    /// The style of its messages.
    pub persona: Persona,
    /// The command and its arguments. Never empty.
    pub command: Vec<OsString>,
    /// Whether it adopts orphans if it is not PID 1.
    pub adoption: Adoption,
    /// The process group, session and terminal of the command.
    pub place: Place,
    /// Which processes get signals.
    pub recipient: Recipient,
    /// Signals that are passed on as another, or (`None`) dropped; the last rule for a signal counts.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    /// Signals that keep their default effect on the init.
    pub not_forwarded: SignalSet,
    /// The effect of a stop signal from the terminal on the init itself.
    pub suspension: Suspension,
    /// Exit codes that become 0.
    pub remapped_exits: Vec<u8>,
    /// The signal that the init receives when its parent dies.
    pub parent_death: Option<Signal>,
    /// The signal dispositions and mask with which the command starts.
    pub signals: Inheritance,
    /// The treatment of the command's group when the command has exited.
    pub at_end: AtEnd,
    /// What the init releases once the command runs.
    pub release: Release,
    /// Which messages are written.
    pub verbosity: Verbosity,
    /// Whether a message is written for every orphan that is reaped.
    pub report_orphans: bool,
}

/// The style of messages, and the exit status if the command cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persona {
    /// foster's own.
    Foster,
    /// Those that scripts look for in tini's.
    Tini,
    /// Those that scripts look for in dumb-init's.
    DumbInit,
}

/// Whether an init that is not PID 1 adopts orphans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// It becomes a subreaper.
    Subreaper,
    /// It becomes one unless it is PID 1.
    UnlessFirst,
    /// It changes nothing, and warns if it is neither PID 1 nor a subreaper.
    Warn,
    /// It changes nothing.
    None,
}

/// The process group, session and terminal of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As without an init: in the foreground of the terminal, if there is one.
    Natural,
    /// In a new group, in the foreground of the terminal that is standard input.
    Group,
    /// In a new session, with the terminal that is standard input.
    Session,
    /// In the init's own group.
    Beside,
}

/// Which processes get signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// The command's process.
    Main,
    /// The process group that it leads.
    Group,
}

/// The effect of TSTP, TTIN and TTOU on the init itself, after they are passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspension {
    /// None, except that they stop it where it shares the terminal with the command ([`Place::Natural`]).
    Natural,
    /// They stop it.
    Stop,
    /// Nothing.
    None,
}

/// The signal dispositions and mask with which the command starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inheritance {
    /// Those that the init was started with.
    Keep,
    /// The default of every signal, none blocked.
    Default,
}

/// The treatment of the command's group when the command has exited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// Nothing.
    Leave,
    /// It gets TERM, or what TERM is rewritten to.
    Terminate,
}

/// What the init releases once the command runs; each level includes those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Nothing.
    Nothing,
    /// The working directory: it changes to `/`, so that no mount stays busy.
    Directory,
    /// Also every descriptor except 0, 1 and 2, so that it holds no pipe or socket open.
    Descriptors,
}

/// Which messages are written, each including those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only fatal errors.
    Silent,
    /// Warnings.
    Warnings,
    /// The start and the exit of the command.
    Steps,
    /// Every signal and every process reaped.
    Signals,
}

/// The signals that a terminal sends to a process group (termios(3), tty_ioctl(4)).
const FROM_TERMINALS: [Signal; 8] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::CONT,
    Signal::TSTP,
    Signal::TTIN,
    Signal::TTOU,
    Signal::WINCH,
];

/// The signals with which a terminal stops a job.
const SUSPENDING: [Signal; 3] = [Signal::TSTP, Signal::TTIN, Signal::TTOU];

/// Runs the command until it exits and returns the exit status.
pub fn run(bare: &Bare) -> ExitStatus {
    let messages = Messages { persona: bare.persona, verbosity: bare.verbosity };
    match start(bare, messages) {
        Ok(init) => init.wait(),
        Err(failure) => messages.fail(&failure),
    }
}

fn start(bare: &Bare, messages: Messages) -> Result<Init<'_>, Failure> {
    // First: from here on no signal is lost or kills this process.
    let waited = SignalSet::ALL.without(bare.not_forwarded);
    let blocked = sigwait::block(waited);
    // If CHLD is ignored, the kernel reaps children itself and the exit status of the command is lost.
    let ignores_children = signal::stop_ignoring(Signal::CHLD);
    if let Some(signal) = bare.parent_death {
        process::follow_parent(signal).map_err(Failure::ParentDeath)?;
    }
    adopt(bare.adoption, messages);
    let placement = Placement::take(bare.place, bare.recipient);
    let directory = if bare.release >= Release::Directory { leave_directory() } else { None };
    let inherited = Inherited { blocked, ignores_children, directory };
    let main = start::start(&bare.command, bare.signals, &placement, &inherited, messages)?;
    drop(inherited);
    messages.started(&bare.command, main.pid());
    let job = placement.job();
    if bare.release >= Release::Descriptors {
        let kept = job.terminal().map(|terminal| terminal.as_raw_fd());
        descriptors::close_all_except(kept.as_slice());
    }
    Ok(Init { bare, messages, waited, main, job })
}

fn adopt(adoption: Adoption, messages: Messages) {
    let subreaper = match adoption {
        Adoption::Subreaper => true,
        Adoption::UnlessFirst => !process::is_init(),
        Adoption::Warn | Adoption::None => false,
    };
    if subreaper {
        if let Err(errno) = process::become_subreaper() {
            messages.warn_of_lost_orphans(errno);
        }
    } else if adoption == Adoption::Warn && !process::is_init() && !process::is_subreaper() {
        messages.warn_of_zombies();
    }
}

/// Changes to `/`, so that no mount stays busy, and returns the directory in which the command starts. It does so before
/// the command starts, which therefore never sees the init in its directory. `None`: one of the two cannot be entered,
/// and nothing changes.
fn leave_directory() -> Option<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(".", flags, Mode::empty()).ok()?;
    // A process may be in a directory that it has no right to enter.
    unistd::fchdir(&directory).ok()?;
    unistd::chdir("/").ok()?;
    Some(directory)
}

/// A bare init with its running command.
struct Init<'a> {
    bare: &'a Bare,
    messages: Messages,
    waited: SignalSet,
    main: ChildProcess,
    job: JobControl,
}

impl Init<'_> {
    fn wait(self) -> ExitStatus {
        loop {
            let arrived = sigwait::take(self.waited);
            match arrived.signal {
                Signal::CHLD => {
                    self.messages.received(Signal::CHLD);
                    if let Some(exit) = self.reap() {
                        return self.end(exit);
                    }
                }
                _ => self.pass_on(arrived),
            }
        }
    }

    /// Reaps all exited children, since one CHLD may stand for thousands (signal(7)); returns the exit of the command.
    fn reap(&self) -> Option<Exit> {
        let mut end = None;
        while let Some(change) = self.job.next_change() {
            match change {
                Change::Ended(Reaped { pid, exit }) if pid == self.main.pid() => end = Some(exit),
                Change::Ended(orphan) => self.messages.reaped(orphan, self.bare.report_orphans),
                Change::Stopped(pid, signal) if pid == self.main.pid() => self.job.stopped(pid, signal),
                Change::Stopped(..) => {}
            }
        }
        end
    }

    fn end(&self, exit: Exit) -> ExitStatus {
        self.messages.ended(exit);
        if self.bare.at_end == AtEnd::Terminate
            && let Some(signal) = self.rewritten(Signal::TERM)
        {
            // The leader has just been reaped, and the kernel reuses numbers last: either the group still has its
            // members, or it is empty.
            let _ = process::signal_group(self.main.pid(), signal);
        }
        self.job.ended(self.main.pid());
        let status = exit.status();
        if self.bare.remapped_exits.contains(&status) { ExitStatus::DONE } else { ExitStatus(status) }
    }

    fn pass_on(&self, arrived: Arrived) {
        let Arrived { signal, origin } = arrived;
        let has_it_already =
            origin == Origin::Kernel && self.job.shares_group() && FROM_TERMINALS.contains(&signal);
        match self.rewritten(signal) {
            _ if has_it_already => {}
            None => self.messages.dropped(signal),
            Some(sent) => self.send(signal, sent),
        }
        if SUSPENDING.contains(&signal) {
            match self.bare.suspension {
                Suspension::Stop => process::signal_self(Signal::STOP),
                Suspension::Natural if self.job.shares_group() => terminal::stop_by(signal),
                Suspension::Natural | Suspension::None => {}
            }
        }
    }

    fn send(&self, received: Signal, sent: Signal) {
        let result = match self.bare.recipient {
            // A job that was stopped as a whole is continued as a whole.
            _ if sent == Signal::CONT && self.job.resumed(self.main.pid()) => Ok(()),
            Recipient::Main => self.main.signal(sent),
            Recipient::Group => match self.main.signal_group(sent) {
                // The child has not created its group yet: it is a single process.
                Err(Errno::ESRCH) => self.main.signal(sent),
                result => result,
            },
        };
        match result {
            Ok(()) => self.messages.passed_on(received, sent),
            // It has exited, and its CHLD is pending.
            Err(Errno::ESRCH) => {}
            Err(errno) => self.messages.not_passed_on(sent, errno),
        }
    }

    fn rewritten(&self, signal: Signal) -> Option<Signal> {
        let rule = self.bare.rewrites.iter().rfind(|(received, _)| *received == signal);
        rule.map_or(Some(signal), |(_, sent)| *sent)
    }
}
