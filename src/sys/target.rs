//! Writing without waiting, whatever the descriptor is.
//!
//! foster's stdout and stderr are not its own: `O_NONBLOCK` belongs to the open file description, which the container
//! runtime, a shell or a program with `stdout = "inherit"` shares, so it is never set there. Ways to write without it,
//! the first that works:
//!
//! - a file or a block device: write(2), which waits for a disk and for no reader; a socket: `MSG_DONTWAIT` (send(2));
//! - a pipe, FIFO or terminal: opened again through /proc with `O_NONBLOCK`, an open file description of foster's own;
//! - foster's controlling terminal: the same through /dev/tty, which needs no permission on the terminal (tty(4));
//! - a pipe: `RWF_NOWAIT`, which pipes know since Linux 6.4 (pwritev2(2));
//! - a FIFO or a foreign terminal of another user, a pipe of an older kernel: poll(2), then write(2) under a timer of a
//!   millisecond, which ends a sleeping write with EINTR (signal(7)). poll(2) and `PIPE_BUF` alone are no promise where
//!   there is a second writer, nor on a terminal whose reader types `^S` in between.
#![allow(unsafe_code, reason = "nix has no pwritev2 with flags, and sigaction(2) is unsafe")]

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, sigaction,
};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use super::stream::{self, Descriptor};
use super::terminal;
use super::timer::SignalTimer;

/// What a pipe takes in one piece as soon as poll(2) says that it takes anything (pipe(7)).
const PIPE_BUF: usize = 4096;

/// The file system of pipes without a name: PIPEFS_MAGIC in linux/magic.h.
const PIPE_FS: FsType = FsType(0x5049_5045);

/// How long a write may sleep that nothing else keeps from sleeping.
const LONGEST_WRITE: Duration = Duration::from_millis(1);

/// A descriptor that bytes are written to, and the way to do that without waiting.
#[derive(Debug)]
pub struct Target {
    descriptor: Descriptor,
    kind: Kind,
    way: Cell<Way>,
}

/// What kind of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A regular file, a block device, or a device such as `/dev/null`: there is no reader.
    Unread,
    /// A pipe without a name: once its reader is gone, no other comes.
    Pipe,
    /// A FIFO: another reader may open it.
    Fifo,
    /// A socket.
    Socket,
    /// A terminal.
    Terminal,
}

/// How a write is kept from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// write(2): the open file description does not block and is foster's own, or is that of a disk.
    Plain,
    /// `MSG_DONTWAIT`, call by call.
    Socket,
    /// `RWF_NOWAIT`, call by call.
    NoWait,
    /// poll(2), then a write that a timer interrupts.
    Interrupted,
}

/// Whether there is a reader whose pace counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A pipe, a socket, a terminal: epoll(7) reports room.
    Present,
    /// A file, or a device such as `/dev/null`: epoll(7) refuses it.
    None,
}

impl Target {
    /// A way to write to this inherited descriptor.
    pub fn shared(descriptor: Descriptor) -> Target {
        let Ok(stat) = fstat(&descriptor) else {
            return Target { descriptor, kind: Kind::Pipe, way: Cell::new(Way::Interrupted) };
        };
        let kind = kind(&descriptor, &stat);
        let way = match kind {
            Kind::Unread => Way::Plain,
            Kind::Socket => Way::Socket,
            Kind::Pipe | Kind::Fifo | Kind::Terminal => match reopened(&descriptor, &stat, kind) {
                Some(own) => {
                    return Target { descriptor: Descriptor::Own(own), kind, way: Cell::new(Way::Plain) };
                }
                None => Way::NoWait,
            },
        };
        Target { descriptor, kind, way: Cell::new(way) }
    }

    /// One that foster opened itself, with `O_NONBLOCK`.
    pub fn owned(fd: OwnedFd) -> Target {
        let kind = fstat(&fd).map_or(Kind::Unread, |stat| kind(&fd, &stat));
        Target { descriptor: Descriptor::Own(fd), kind, way: Cell::new(Way::Plain) }
    }

    /// Whether it has a reader to wait for.
    pub fn reader(&self) -> Reader {
        if self.kind == Kind::Unread { Reader::None } else { Reader::Present }
    }

    /// Whether it is a terminal (isatty(3)).
    pub fn is_terminal(&self) -> bool {
        self.kind == Kind::Terminal
    }

    /// Whether no later write can succeed after this error: the reader is gone for good.
    pub fn is_final(&self, error: Errno) -> bool {
        match (error, self.kind) {
            (Errno::EPIPE, Kind::Fifo) => false,
            (Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN | Errno::EBADF, _) => true,
            // What a terminal says once it is hung up.
            (Errno::EIO | Errno::ENXIO, Kind::Terminal) => true,
            (_, _) => false,
        }
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// EAGAIN where there is no room; EPIPE, EIO, ENOSPC as in write(2).
    pub fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        let written = match self.way.get() {
            Way::Plain => nix::unistd::write(&self.descriptor, bytes),
            Way::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(self.descriptor.as_fd().as_raw_fd(), bytes, flags)
            }
            Way::NoWait => match write_no_wait(self.descriptor.as_fd(), bytes) {
                // Refused by the file, the kernel, or a seccomp filter.
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {
                    self.way.set(Way::Interrupted);
                    write_briefly(self.descriptor.as_fd(), bytes)
                }
                written => written,
            },
            Way::Interrupted => write_briefly(self.descriptor.as_fd(), bytes),
        };
        match written {
            Err(Errno::EINTR | Errno::ENOBUFS) => Err(Errno::EAGAIN),
            Ok(_) | Err(_) => written,
        }
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Writes a short text to stderr, as much as can be written without waiting. For a caller without a loop to wait in.
pub fn tell_stderr(text: &[u8]) {
    let Some(stderr) = stream::stderr() else { return };
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // Where the reader is gone there is also an error, and a write would bring SIGPIPE upon a caller that does not
    // ignore it.
    if poll(&mut fds, PollTimeout::ZERO).is_ok() && fds.map(|fd| fd.revents()) == [Some(PollFlags::POLLOUT)] {
        // A failure has nowhere to be reported.
        let _ = Target::shared(stderr).write(text);
    }
}

/// pwritev2(2) at the file's own place (offset -1). By number: not every C library has the wrapper.
fn write_no_wait(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let (count, offset): (libc::c_long, libc::c_long) = (1, -1);
    // SAFETY: `part` describes `bytes`, which the kernel only reads; both live longer than the call. The offset is
    // given in two halves on every architecture.
    let written = unsafe {
        libc::syscall(
            libc::SYS_pwritev2,
            fd.as_raw_fd(),
            &raw const part,
            count,
            offset,
            offset,
            libc::c_long::from(libc::RWF_NOWAIT),
        )
    };
    Errno::result(written).map(|written| usize::try_from(written).unwrap_or(0))
}

/// Asks poll(2), then writes; should there be no room after all, a timer ends the sleep. What a terminal or a pipe
/// has taken by then is the result.
fn write_briefly(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    if poll(&mut fds, PollTimeout::ZERO)? == 0 {
        return Err(Errno::EAGAIN);
    }
    let Ok(interruption) = Interruption::begin() else { return Err(Errno::EAGAIN) };
    let written = nix::unistd::write(fd, bytes.get(..PIPE_BUF).unwrap_or(bytes));
    drop(interruption);
    written
}

/// As long as it lives, this thread gets a signal each millisecond whose handler does nothing: a system call that
/// sleeps returns EINTR. It repeats, so that a signal just before the call does not leave the call asleep.
struct Interruption {
    timer: Option<SignalTimer>,
    mask: SigSet,
    action: SigAction,
}

const INTERRUPT: Signal = Signal::SIGALRM;

extern "C" fn interrupt(_: libc::c_int) {}

impl Interruption {
    fn begin() -> nix::Result<Interruption> {
        // Without SA_RESTART (signal(7)).
        let handler = SigAction::new(SigHandler::Handler(interrupt), SaFlags::empty(), SigSet::empty());
        // SAFETY: the handler does nothing, which is safe whenever it comes.
        let action = unsafe { sigaction(INTERRUPT, &handler) }?;
        let mut mask = SigSet::empty();
        let unblocked = SigSet::from(INTERRUPT);
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&unblocked), Some(&mut mask))?;
        let mut interruption = Interruption { timer: None, mask, action };
        interruption.timer = Some(SignalTimer::every(LONGEST_WRITE, INTERRUPT)?);
        Ok(interruption)
    }
}

impl Drop for Interruption {
    /// The timer first: then nothing is left that could be pending once the signal is blocked again.
    fn drop(&mut self) {
        self.timer = None;
        // Neither can fail for values that the same calls have given.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
        // SAFETY: it is what was in force before.
        let _ = unsafe { sigaction(INTERRUPT, &self.action) };
    }
}

fn kind(fd: impl AsFd, stat: &FileStat) -> Kind {
    match stat.st_mode & SFlag::S_IFMT.bits() {
        mode if mode == SFlag::S_IFSOCK.bits() => Kind::Socket,
        mode if mode == SFlag::S_IFIFO.bits() => {
            let is_unnamed = fstatfs(&fd).is_ok_and(|found| found.filesystem_type() == PIPE_FS);
            if is_unnamed { Kind::Pipe } else { Kind::Fifo }
        }
        mode if mode == SFlag::S_IFCHR.bits() && io::IsTerminal::is_terminal(&fd.as_fd()) => Kind::Terminal,
        _ => Kind::Unread,
    }
}

/// The same pipe or terminal with an open file description of foster's own. A FIFO is opened for reading as well: then
/// it outlives each of its readers, and what is written while there is none waits in it (fifo(7)).
fn reopened(fd: impl AsFd, stat: &FileStat, kind: Kind) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let open = |access: OFlag| open(path.as_str(), access | flags, Mode::empty()).ok();
    let is_same =
        |own: &OwnedFd| fstat(own).is_ok_and(|own| (own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino));
    let own = match kind {
        Kind::Fifo => open(OFlag::O_RDWR).or_else(|| open(OFlag::O_WRONLY)),
        Kind::Unread | Kind::Pipe | Kind::Socket | Kind::Terminal => open(OFlag::O_WRONLY),
    };
    own.filter(is_same).or_else(|| if kind == Kind::Terminal { terminal::reopened(fd) } else { None })
}

#[cfg(test)]
mod tests;
