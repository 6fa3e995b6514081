//! What programs report about themselves: by datagrams to `$NOTIFY_SOCKET`, or a newline on a descriptor (s6).
//!
//! One socket serves all programs. Its name is not a secret: a datagram counts for the program that its sender belongs to,
//! which the caller finds out from the pid that the kernel attaches. However many come, a turn of the loop reads a few,
//! and after that none for a moment, so that they delay nothing else. The socket is opened for the first program that
//! needs it.
//!
//! A pipe belongs to one run, and who holds its end may report. Next: `message.rs`, and `sys/datagram.rs` for what a
//! hostile datagram can do.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
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

/// How many datagrams are read in one turn of the loop.
pub const TURN_LIMIT: u32 = 32;

/// How long none is read after a turn that has read so many: 3,200 in a second at most, whatever is sent.
const PAUSE: Duration = Duration::from_millis(10);

/// How many bytes of a pipe are looked at in one turn.
const READ_SIZE: usize = 4096;

/// The key of the socket in reports of epoll. Pipes have those above.
const SOCKET: u32 = 0;

/// Everything by which programs report.
#[derive(Debug)]
pub struct Inbound {
    epoll: Rc<Epoll>,
    owner: Owner,
    socket: Option<Socket>,
    /// The runs that were given the socket.
    reporters: SortedMap<Run, Reporter>,
    strangers: Vec<Stranger>,
    pipes: Vec<Pipe>,
    last_key: u32,
}

#[derive(Debug)]
struct Socket {
    receiver: Receiver,
    /// The value of `NOTIFY_SOCKET`.
    address: String,
    flow: Flow,
}

/// Whether the socket is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    /// It is.
    Reading,
    /// Too many came: not before then.
    Paused(Instant),
    /// A child takes the oldest datagram, with its descriptors: not before that has ended.
    Blocked,
}

/// What is known of a run that reports.
#[derive(Debug, Default)]
struct Reporter {
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

/// The pipe of `ready = { fd = N }`.
#[derive(Debug)]
struct Pipe {
    run: Run,
    key: u32,
    reader: OwnedFd,
}

impl Inbound {
    /// Nothing is opened yet. Reports of epoll are for `owner`.
    pub fn new(epoll: Rc<Epoll>, owner: Owner) -> Inbound {
        let (reporters, strangers, pipes) = (SortedMap::new(), Vec::new(), Vec::new());
        Inbound { epoll, owner, socket: None, reporters, strangers, pipes, last_key: SOCKET }
    }

    /// The address for a run that starts, whose processes are believed from now on: the value of `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// The socket cannot be opened or watched: EMFILE, ENFILE, ENOMEM.
    pub fn register(&mut self, run: Run) -> nix::Result<&str> {
        self.reporters.insert(run, Reporter::default());
        let socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                let (receiver, name) = Receiver::open()?;
                let token = Token { owner: self.owner, key: SOCKET };
                self.epoll.add(&receiver, token, Interest::Read)?;
                let address = format!("@{}", String::from_utf8_lossy(&name));
                Socket { receiver, address, flow: Flow::Reading }
            }
        };
        Ok(&self.socket.insert(socket).address)
    }

    /// Whether the reports of this run are taken.
    pub fn is_registered(&self, run: Run) -> bool {
        self.reporters.contains_key(&run)
    }

    /// A pipe for this run; returns the end for the program.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOMEM.
    pub fn open_pipe(&mut self, run: Run) -> nix::Result<OwnedFd> {
        let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC)?;
        // Only foster's end: a program expects to block.
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        self.last_key = self.last_key.checked_add(1).unwrap_or(SOCKET + 1);
        let key = self.last_key;
        self.epoll.add(&reader, Token { owner: self.owner, key }, Interest::Read)?;
        self.pipes.push(Pipe { run, key, reader });
        Ok(writer)
    }

    /// A run is over: nothing more is taken from it.
    pub fn forget(&mut self, run: Run) {
        self.reporters.remove(&run);
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

    /// When the socket is read again, where it is not read for a moment.
    pub fn deadline(&self) -> Option<Instant> {
        match self.socket.as_ref()?.flow {
            Flow::Paused(until) => Some(until),
            Flow::Reading | Flow::Blocked => None,
        }
    }

    /// Reads the socket again, when its time has come.
    pub fn tick(&mut self, now: Instant) {
        if self.deadline().is_some_and(|until| until <= now) {
            self.set_flow(Flow::Reading);
        }
    }

    /// Reads none for a moment.
    pub fn pause(&mut self, now: Instant) {
        self.set_flow(Flow::Paused(now.plus(PAUSE)));
    }

    /// The oldest datagram; its text is in the buffer. `None`: there is none, or it is not to be read now.
    pub fn peek(&self, buffer: &mut [u8; LONGEST + 2]) -> Option<Datagram> {
        let socket = self.socket.as_ref().filter(|socket| socket.flow == Flow::Reading)?;
        socket.receiver.peek(buffer).ok()
    }

    /// Takes the datagram that was looked at, which has no descriptors.
    pub fn take(&self) {
        if let Some(socket) = &self.socket {
            // There is one, and nothing else takes it.
            let _ = socket.receiver.take();
        }
    }

    /// Has a child take the datagram that was looked at, with its descriptors, which its end closes; until then none is
    /// read. [`Inbound::unblock`] when it has ended.
    ///
    /// # Errors
    /// fork(2): EAGAIN, ENOMEM.
    pub fn take_in_child(&mut self) -> nix::Result<Option<ChildProcess>> {
        let Some(socket) = &self.socket else { return Ok(None) };
        let child = fork(None, |_| {
            // What hangs must not hold foster's pipes, sockets and files open.
            close_all_except(&[socket.receiver.as_fd().as_raw_fd()]);
            u8::from(socket.receiver.take_with_descriptors().is_err())
        })?;
        self.set_flow(Flow::Blocked);
        Ok(Some(child))
    }

    /// The child that took a datagram has ended.
    pub fn unblock(&mut self) {
        self.set_flow(Flow::Reading);
    }

    /// Reads the pipe that a report of epoll is for. `None`: it says nothing new, or the report is for the socket.
    pub fn read_pipe(&mut self, key: u32) -> Option<(Run, Notice)> {
        let index = self.pipes.iter().position(|pipe| pipe.key == key)?;
        let pipe = self.pipes.get(index)?;
        let (run, mut buffer) = (pipe.run, [0; READ_SIZE]);
        let notice = match unistd::read(&pipe.reader, &mut buffer) {
            Ok(0) => Notice::NotReady("it closed its descriptor without a newline".into()),
            Ok(count) if buffer.get(..count).is_some_and(|read| read.contains(&b'\n')) => Notice::Ready,
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => return None,
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

    fn set_flow(&mut self, flow: Flow) {
        let Some(socket) = &mut self.socket else { return };
        socket.flow = flow;
        let interest = if flow == Flow::Reading { Interest::Read } else { Interest::None };
        // It fails only if the descriptor is not watched.
        let _ = self.epoll.modify(&socket.receiver, Token { owner: self.owner, key: SOCKET }, interest);
    }
}
