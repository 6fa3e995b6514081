//! What programs report about themselves: by datagrams to `$NOTIFY_SOCKET`, or a newline on a descriptor (s6).
//!
//! Each run has its own socket, so that a flood on one delays no reports of another. Its name is not a secret: a
//! datagram counts for the program that its sender belongs to, which the caller finds out from the pid that the kernel attaches.
//! However many come, a turn of the loop reads some, and after that none for a moment, so that they delay nothing else.
//!
//! A pipe belongs to one run, and who holds its end may report. Next: `message.rs`, and `sys/datagram.rs` for what a
//! hostile datagram can do.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use foster_core::event::Notice;
use foster_core::ids::Run;
use foster_core::sorted::SortedMap;
use foster_core::time::Instant;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd;

use super::message::LONGEST;
use crate::sys::datagram::{Datagram, Receiver};
use crate::sys::descriptors::close_all_except;
use crate::sys::epoll::{Epoll, Interest, Owner, Token};
use crate::sys::fork::{ChildProcess, fork};
use crate::sys::procfs::Process;

/// How many datagrams of a socket are read in a [`WINDOW`], of those that cost 1: their sender is known in this turn of the
/// loop, and they say nothing new.
const BUDGET: u32 = 128;

/// What another one costs: its sender is looked up in /proc, or its text is taken.
pub const NEWS_COST: u32 = 8;

/// The time that a budget is for: 64,000 datagrams in a second at most, and 8,000 with news. It is short, because during a
/// flood the queue has room for a report only while it is read.
const WINDOW: Duration = Duration::from_millis(2);

/// How many bytes of a pipe are looked at in one turn.
const READ_SIZE: usize = 4096;

/// Everything by which programs report.
#[derive(Debug)]
pub struct Inbound {
    epoll: Rc<Epoll>,
    owner: Owner,
    /// The runs that were given a socket.
    reporters: SortedMap<Run, Reporter>,
    strangers: Vec<Stranger>,
    pipes: Vec<Pipe>,
    last_key: u32,
}

/// What reading a socket may still cost in the present window.
#[derive(Debug)]
struct Budget {
    /// When the window began.
    since: Instant,
    left: u32,
}

/// Whether a socket is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// It is.
    Reading,
    /// Too many came: not before then.
    Paused(Instant),
    /// A child takes the oldest datagram, with its descriptors: not before that has ended.
    Blocked,
}

/// A run that reports, and what is known of it.
#[derive(Debug)]
struct Reporter {
    key: u32,
    receiver: Receiver,
    /// The value of `NOTIFY_SOCKET`.
    address: String,
    flow: Flow,
    budget: Budget,
    status: String,
    complaints: Vec<Complaint>,
    /// The process that is to be the main one when the present one ends (`MAINPID=`).
    successor: Option<Process>,
}

/// What is wrong with the reports of a program. Each is logged once for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complaint {
    /// A message that cannot be read.
    Malformed,
    /// Descriptors to be kept (`FDSTORE=1`).
    Descriptors,
    /// A main process that is not one of the program's (`MAINPID=`).
    MainPid,
}

/// Why a process does not count as one of a program. Each is logged once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stranger {
    /// It is in a PID namespace that foster does not see.
    Outside,
    /// It has ended, and with it what it descends from is unknown.
    Ended,
    /// It does not descend from the main process of a program that reports.
    Unrelated,
}

/// The pipe of `ready = { fd = N }` or `{ ipc = true }`.
#[derive(Debug)]
struct Pipe {
    run: Run,
    key: u32,
    reader: OwnedFd,
    message: ReadyMessage,
    /// The last bytes that were read, where the message may have begun.
    tail: Vec<u8>,
}

/// What a program writes to its pipe when it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyMessage {
    /// A newline, after which nothing is read (s6).
    Newline,
    /// Node's `process.send('ready')`. Other messages come before and after it, and Node fails where nothing reads them.
    Node,
}

impl ReadyMessage {
    fn bytes(self) -> &'static [u8] {
        match self {
            ReadyMessage::Newline => b"\n",
            // Each message is a line of JSON, so that no other one ends like this.
            ReadyMessage::Node => b"\"ready\"\n",
        }
    }
}

impl Inbound {
    /// Nothing is opened yet. Reports of epoll are for `owner`.
    pub fn new(epoll: Rc<Epoll>, owner: Owner) -> Inbound {
        let (reporters, strangers, pipes) = (SortedMap::new(), Vec::new(), Vec::new());
        Inbound { epoll, owner, reporters, strangers, pipes, last_key: 0 }
    }

    /// Opens the socket of a run that starts, whose processes are believed from now on. Returns the value of `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// The socket cannot be opened or watched: EMFILE, ENFILE, ENOMEM.
    pub fn register(&mut self, run: Run) -> nix::Result<&str> {
        let (receiver, name) = Receiver::open()?;
        self.add_reporter(run, receiver, format!("@{}", String::from_utf8_lossy(&name)))?;
        Ok(self.reporters.get(&run).map_or("", |reporter| &reporter.address))
    }

    fn add_reporter(&mut self, run: Run, receiver: Receiver, address: String) -> nix::Result<()> {
        let key = self.next_key();
        self.epoll.add(&receiver, Token { owner: self.owner, key }, Interest::Read)?;
        let (status, complaints, successor) = (String::new(), Vec::new(), None);
        let (flow, budget) = (Flow::Reading, Budget { since: Instant::START, left: BUDGET });
        let reporter = Reporter { key, receiver, address, flow, budget, status, complaints, successor };
        self.reporters.insert(run, reporter);
        Ok(())
    }

    /// Whether the reports of this run are taken.
    pub fn is_registered(&self, run: Run) -> bool {
        self.reporters.contains_key(&run)
    }

    /// Takes what an earlier foster has opened for a run: its socket, and its pipe with the message that it is to have.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOMEM, ENOSPC.
    pub fn adopt(
        &mut self,
        run: Run,
        socket: Option<OwnedFd>,
        pipe: Option<(OwnedFd, ReadyMessage)>,
    ) -> nix::Result<()> {
        if let Some(socket) = socket {
            // The program knows the address.
            self.add_reporter(run, Receiver::adopted(socket), String::new())?;
        }
        pipe.map_or(Ok(()), |(reader, message)| self.add_pipe(run, reader, message))
    }

    /// The socket and the pipe of a run.
    pub fn descriptors(&self, run: Run) -> (Option<BorrowedFd<'_>>, Option<BorrowedFd<'_>>) {
        let socket = self.reporters.get(&run).map(|reporter| reporter.receiver.as_fd());
        let pipe = self.pipes.iter().find(|pipe| pipe.run == run).map(|pipe| pipe.reader.as_fd());
        (socket, pipe)
    }

    /// A pipe for this run; returns the end for the program.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn open_pipe(&mut self, run: Run, message: ReadyMessage) -> nix::Result<OwnedFd> {
        let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
        // Only foster's end: a program expects to block.
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.add_pipe(run, reader, message)?;
        Ok(writer)
    }

    fn add_pipe(&mut self, run: Run, reader: OwnedFd, message: ReadyMessage) -> nix::Result<()> {
        let key = self.next_key();
        self.epoll.add(&reader, Token { owner: self.owner, key }, Interest::Read)?;
        self.pipes.push(Pipe { run, key, reader, message, tail: Vec::new() });
        Ok(())
    }

    /// A run is over: nothing more is taken from it.
    pub fn forget(&mut self, run: Run) {
        if let Some(reporter) = self.reporters.remove(&run) {
            // Closing it would not suffice, as for a pipe.
            let _ = self.epoll.remove(&reporter.receiver);
        }
        while let Some(index) = self.pipes.iter().position(|pipe| pipe.run == run) {
            self.close_pipe(index);
        }
    }

    /// The last status that a run has reported, where it is not empty.
    pub fn status(&self, run: Run) -> Option<&str> {
        self.reporters.get(&run).map(|reporter| reporter.status.as_str()).filter(|status| !status.is_empty())
    }

    /// Takes a status.
    pub fn set_status(&mut self, run: Run, status: String) {
        if let Some(reporter) = self.reporters.get_mut(&run) {
            reporter.status = status;
        }
    }

    /// Sets the process that a run names as its main one; none is the present one.
    pub fn set_successor(&mut self, run: Run, process: Option<Process>) {
        if let Some(reporter) = self.reporters.get_mut(&run) {
            reporter.successor = process;
        }
    }

    /// The process that a run has named as its main one, beside the present one.
    pub fn successor(&self, run: Run) -> Option<Process> {
        self.reporters.get(&run)?.successor
    }

    /// Whether this is the first complaint of its kind about a run.
    pub fn is_first(&mut self, run: Run, complaint: Complaint) -> bool {
        let Some(reporter) = self.reporters.get_mut(&run) else { return false };
        let is_first = !reporter.complaints.contains(&complaint);
        if is_first {
            reporter.complaints.push(complaint);
        }
        is_first
    }

    /// Whether this is the first stranger of its kind.
    pub fn is_first_stranger(&mut self, stranger: Stranger) -> bool {
        let is_first = !self.strangers.contains(&stranger);
        if is_first {
            self.strangers.push(stranger);
        }
        is_first
    }

    /// The run whose socket a report of epoll is for.
    pub fn run_of(&self, key: u32) -> Option<Run> {
        self.reporters.iter().find(|(_, reporter)| reporter.key == key).map(|(run, _)| *run)
    }

    /// When a socket is read again that is not read for a moment.
    pub fn deadline(&self) -> Option<Instant> {
        self.paused().map(|(_, until)| until).min()
    }

    /// Reads those sockets again whose time has come.
    pub fn tick(&mut self, now: Instant) {
        let due: Vec<Run> = self.paused().filter(|(_, until)| *until <= now).map(|(run, _)| run).collect();
        for run in due {
            self.set_flow(run, Flow::Reading);
        }
    }

    /// What reading this socket may cost now.
    pub fn budget(&mut self, run: Run, now: Instant) -> u32 {
        let Some(reporter) = self.reporters.get_mut(&run) else { return 0 };
        if now.since(reporter.budget.since) >= WINDOW {
            reporter.budget = Budget { since: now, left: BUDGET };
        }
        reporter.budget.left
    }

    /// So much of the budget is left, also for the next turns of the loop.
    pub fn set_budget(&mut self, run: Run, left: u32) {
        if let Some(reporter) = self.reporters.get_mut(&run) {
            reporter.budget.left = left;
        }
    }

    /// Reads none from this socket for a moment, which is longer where more sockets are flooded.
    pub fn pause(&mut self, run: Run, now: Instant) {
        let flooded = u32::try_from(self.paused().count()).unwrap_or(u32::MAX);
        self.set_flow(run, Flow::Paused(now.plus(WINDOW.saturating_mul(flooded.saturating_add(1)))));
    }

    fn paused(&self) -> impl Iterator<Item = (Run, Instant)> {
        self.reporters.iter().filter_map(|(run, reporter)| match reporter.flow {
            Flow::Paused(until) => Some((*run, until)),
            Flow::Reading | Flow::Blocked => None,
        })
    }

    /// The oldest datagram of a socket; its text is in the buffer. `None`: there is none, or it is not to be read now.
    pub fn peek(&self, run: Run, buffer: &mut [u8; LONGEST + 2]) -> Option<Datagram> {
        let reporter = self.reporters.get(&run).filter(|reporter| reporter.flow == Flow::Reading)?;
        reporter.receiver.peek(buffer).ok()
    }

    /// Takes the datagram that was looked at, which has no descriptors.
    pub fn take(&self, run: Run) {
        if let Some(reporter) = self.reporters.get(&run) {
            // There is one, and nothing else takes it.
            let _ = reporter.receiver.take();
        }
    }

    /// Has a child take the datagram that was looked at, with its descriptors, which its end closes; until then none is
    /// read from this socket. [`Inbound::unblock`] when it has ended.
    ///
    /// # Errors
    /// fork(2): EAGAIN, ENOMEM.
    pub fn take_in_child(&mut self, run: Run) -> nix::Result<Option<ChildProcess>> {
        let Some(reporter) = self.reporters.get(&run) else { return Ok(None) };
        let child = fork(None, |_| {
            // What hangs must not hold foster's pipes, sockets and files open.
            close_all_except(&[reporter.receiver.as_fd().as_raw_fd()]);
            u8::from(reporter.receiver.take_with_descriptors().is_err())
        })?;
        self.set_flow(run, Flow::Blocked);
        Ok(Some(child))
    }

    /// The child that took a datagram has ended.
    pub fn unblock(&mut self, run: Run) {
        self.set_flow(run, Flow::Reading);
    }

    /// Reads the pipe that a report of epoll is for. `None`: it says nothing new, or the report is for the socket.
    pub fn read_pipe(&mut self, key: u32) -> Option<(Run, Notice)> {
        let index = self.pipes.iter().position(|pipe| pipe.key == key)?;
        let pipe = self.pipes.get_mut(index)?;
        let (run, mut buffer, wanted) = (pipe.run, [0; READ_SIZE], pipe.message.bytes());
        let notice = match unistd::read(&pipe.reader, &mut buffer) {
            Ok(0) => match pipe.message {
                ReadyMessage::Newline => {
                    Notice::NotReady("it closed its descriptor without a newline".into())
                }
                // It may do so: its time limit stays.
                ReadyMessage::Node => {
                    self.close_pipe(index);
                    return None;
                }
            },
            Ok(count) => {
                pipe.tail.extend(buffer.get(..count).unwrap_or_default());
                let is_ready = pipe.tail.windows(wanted.len()).any(|part| part == wanted);
                let kept = pipe.tail.len().min(wanted.len() - 1);
                pipe.tail.drain(..pipe.tail.len() - kept);
                match (is_ready, pipe.message) {
                    (true, ReadyMessage::Newline) => Notice::Ready,
                    (true, ReadyMessage::Node) => return Some((run, Notice::Ready)),
                    (false, _) => return None,
                }
            }
            Err(Errno::EAGAIN | Errno::EINTR) => return None,
            Err(_) => Notice::NotReady("its descriptor cannot be read".into()),
        };
        self.close_pipe(index);
        Some((run, notice))
    }

    /// Closing it would not suffice: a child that is on its way to its program holds a copy (epoll(7)).
    fn close_pipe(&mut self, index: usize) {
        let pipe = self.pipes.swap_remove(index);
        // It fails only if the descriptor is not watched.
        let _ = self.epoll.remove(&pipe.reader);
    }

    fn set_flow(&mut self, run: Run, flow: Flow) {
        let Some(reporter) = self.reporters.get_mut(&run) else { return };
        reporter.flow = flow;
        let interest = if flow == Flow::Reading { Interest::Read } else { Interest::None };
        let token = Token { owner: self.owner, key: reporter.key };
        // It fails only if the descriptor is not watched.
        let _ = self.epoll.modify(&reporter.receiver, token, interest);
    }

    /// A key that nothing watched has, unless four billion runs were one after the other.
    fn next_key(&mut self) -> u32 {
        self.last_key = self.last_key.wrapping_add(1);
        self.last_key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use foster_core::ids::{InstanceId, ProgramId};

    #[test]
    fn a_budget_is_that_of_a_time_and_not_of_a_turn_of_the_loop() {
        let mut inbound = Inbound::new(Rc::new(Epoll::new().unwrap()), Owner(0));
        let run = Run { instance: InstanceId { program: ProgramId(0), index: 0 }, number: 1 };
        let at = |milliseconds| Instant::after_start(Duration::from_millis(milliseconds));
        assert_eq!(inbound.budget(run, at(10)), 0);
        inbound.register(run).unwrap();
        assert_eq!(inbound.budget(run, at(10)), BUDGET);
        inbound.set_budget(run, 5);
        assert_eq!(inbound.budget(run, at(11)), 5);
        inbound.set_budget(run, 0);
        inbound.pause(run, at(11));
        let until = inbound.deadline().unwrap();
        inbound.tick(until);
        assert_eq!((inbound.deadline(), inbound.budget(run, until)), (None, BUDGET));
    }

    #[test]
    fn the_more_sockets_are_flooded_the_longer_none_of_each_is_read() {
        let mut inbound = Inbound::new(Rc::new(Epoll::new().unwrap()), Owner(0));
        let run = |number| Run { instance: InstanceId { program: ProgramId(0), index: 0 }, number };
        let now = Instant::after_start(Duration::from_secs(1));
        for number in 1..=3 {
            inbound.register(run(number)).unwrap();
            inbound.pause(run(number), now);
        }
        let until: Vec<Instant> = inbound.paused().map(|(_, until)| until).collect();
        assert_eq!(until, [1, 2, 3].map(|times| now.plus(WINDOW * times)));
        inbound.forget(run(1));
        assert_eq!(inbound.deadline(), Some(now.plus(WINDOW * 2)));
    }
}
