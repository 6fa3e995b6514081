//! Writes to any descriptor without blocking.
//!
//! foster shares the open file descriptions of its stdout and stderr with the container runtime, a shell or a program
//! with `stdout = "inherit"`, and `O_NONBLOCK` would apply to all of them: so it is never set there. foster uses the first
//! of these ways that works:
//!
//! - a file or a block device: write(2), which waits only for a disk; a socket: `MSG_DONTWAIT` (send(2));
//! - a pipe, FIFO or terminal: a separate open file description with `O_NONBLOCK`, opened through /proc;
//! - foster's controlling terminal: the same through /dev/tty, which needs no permission on the terminal (tty(4));
//! - a pipe: `RWF_NOWAIT`, since Linux 6.4 (pwritev2(2));
//! - a FIFO or a foreign terminal of another user, a pipe on an older kernel: poll(2), then write(2) under a timer of a
//!   millisecond, which interrupts a sleeping write with EINTR (signal(7)). poll(2) and `PIPE_BUF` alone guarantee
//!   nothing with a second writer, or on a terminal whose user types `^S` in between.
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

/// The number of bytes that fit into a pipe when poll(2) reports room (pipe(7)).
const PIPE_BUF: usize = 4096;

/// The file system of unnamed pipes: PIPEFS_MAGIC in linux/magic.h.
const PIPE_FS: FsType = FsType(0x5049_5045);

/// The longest sleep of a write that can only be interrupted by a timer.
const LONGEST_WRITE: Duration = Duration::from_millis(1);

/// A descriptor with the method to write to it without blocking.
#[derive(Debug)]
pub struct Target {
    descriptor: Descriptor,
    kind: Kind,
    method: Cell<WriteMethod>,
}

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A regular file, a block device, or a device such as `/dev/null`: without a reader.
    Unread,
    /// An unnamed pipe: without its reader it can never be written again.
    Pipe,
    /// A FIFO: another reader may open it.
    Fifo,
    /// A socket.
    Socket,
    /// A terminal.
    Terminal,
}

/// The method that keeps a write from blocking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteMethod {
    /// write(2): on a file, or on foster's own open file description with `O_NONBLOCK`.
    Plain,
    /// `MSG_DONTWAIT`, in each call.
    Socket,
    /// `RWF_NOWAIT`, in each call.
    NoWait,
    /// poll(2), then a write that a timer interrupts.
    Interrupted,
}

/// Whether writes wait for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A pipe, a socket, a terminal: epoll(7) reports room.
    Present,
    /// A file, or a device such as `/dev/null`: epoll(7) refuses it.
    None,
}

impl Target {
    /// The target of an inherited descriptor.
    pub fn shared(descriptor: Descriptor) -> Target {
        let Ok(stat) = fstat(&descriptor) else {
            return Target { descriptor, kind: Kind::Pipe, method: Cell::new(WriteMethod::Interrupted) };
        };
        let kind = kind(&descriptor, &stat);
        let method = match kind {
            Kind::Unread => WriteMethod::Plain,
            Kind::Socket => WriteMethod::Socket,
            Kind::Pipe | Kind::Fifo | Kind::Terminal => match reopened(&descriptor, &stat, kind) {
                Some(own) => {
                    return Target {
                        descriptor: Descriptor::Own(own),
                        kind,
                        method: Cell::new(WriteMethod::Plain),
                    };
                }
                None => WriteMethod::NoWait,
            },
        };
        Target { descriptor, kind, method: Cell::new(method) }
    }

    /// The target of a descriptor that foster has opened with `O_NONBLOCK`.
    pub fn owned(fd: OwnedFd) -> Target {
        let kind = fstat(&fd).map_or(Kind::Unread, |stat| kind(&fd, &stat));
        Target { descriptor: Descriptor::Own(fd), kind, method: Cell::new(WriteMethod::Plain) }
    }

    /// Whether it has a reader.
    pub fn reader(&self) -> Reader {
        if self.kind == Kind::Unread { Reader::None } else { Reader::Present }
    }

    /// Whether it is a terminal (isatty(3)).
    pub fn is_terminal(&self) -> bool {
        self.kind == Kind::Terminal
    }

    /// Whether no later write can succeed after this error.
    pub fn is_final(&self, error: Errno) -> bool {
        match (error, self.kind) {
            (Errno::EPIPE, Kind::Fifo) => false,
            (Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN | Errno::EBADF, _) => true,
            // The errors of a terminal after a hang-up.
            (Errno::EIO | Errno::ENXIO, Kind::Terminal) => true,
            (_, _) => false,
        }
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// EAGAIN without room; EPIPE, EIO, ENOSPC as in write(2).
    pub fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        let written = match self.method.get() {
            WriteMethod::Plain => nix::unistd::write(&self.descriptor, bytes),
            WriteMethod::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(self.descriptor.as_fd().as_raw_fd(), bytes, flags)
            }
            WriteMethod::NoWait => match write_no_wait(self.descriptor.as_fd(), bytes) {
                // The file, the kernel or a seccomp filter refuses the flag.
                Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {
                    self.method.set(WriteMethod::Interrupted);
                    write_briefly(self.descriptor.as_fd(), bytes)
                }
                written => written,
            },
            WriteMethod::Interrupted => write_briefly(self.descriptor.as_fd(), bytes),
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

/// Writes a short text to stderr, as much as fits without blocking. For a caller without an event loop.
pub fn write_stderr(text: &[u8]) {
    let Some(stderr) = stream::stderr() else { return };
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // Without a reader poll(2) reports an error as well, and a write would send SIGPIPE to a caller that does not ignore
    // it.
    if poll(&mut fds, PollTimeout::ZERO).is_ok() && fds.map(|fd| fd.revents()) == [Some(PollFlags::POLLOUT)] {
        // Nothing could report an error.
        let _ = Target::shared(stderr).write(text);
    }
}

/// pwritev2(2) at the current position (offset -1). A raw system call, because not every C library has the wrapper.
fn write_no_wait(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    let part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let (count, offset): (libc::c_long, libc::c_long) = (1, -1);
    // SAFETY: `part` describes `bytes`, which the kernel only reads; both outlive the call. The offset is passed in two
    // halves on every architecture.
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

/// Checks for room with poll(2), then writes under a timer that interrupts a sleep. Returns the number of bytes written
/// until then.
fn write_briefly(fd: BorrowedFd<'_>, bytes: &[u8]) -> nix::Result<usize> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLOUT)];
    if poll(&mut fds, PollTimeout::ZERO)? == 0 {
        return Err(Errno::EAGAIN);
    }
    let Ok(interruption) = WriteTimer::start() else { return Err(Errno::EAGAIN) };
    let written = nix::unistd::write(fd, bytes.get(..PIPE_BUF).unwrap_or(bytes));
    drop(interruption);
    written
}

/// Until it is dropped, this thread gets a signal every millisecond, with a handler that does nothing: a sleeping system
/// call returns EINTR. The timer repeats, because the first signal may arrive just before the call.
struct WriteTimer {
    timer: Option<SignalTimer>,
    mask: SigSet,
}

const INTERRUPT: Signal = Signal::SIGALRM;

extern "C" fn interrupt(_: libc::c_int) {}

impl WriteTimer {
    fn start() -> nix::Result<WriteTimer> {
        // Without SA_RESTART (signal(7)).
        let handler = SigAction::new(SigHandler::Handler(interrupt), SaFlags::empty(), SigSet::empty());
        // It stays: elsewhere the signal is blocked, and the default action would end the process if another thread, as in
        // the unit tests, has a timer as well.
        // SAFETY: the handler does nothing.
        unsafe { sigaction(INTERRUPT, &handler) }?;
        let mut mask = SigSet::empty();
        let unblocked = SigSet::from(INTERRUPT);
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&unblocked), Some(&mut mask))?;
        let mut interruption = WriteTimer { timer: None, mask };
        interruption.timer = Some(SignalTimer::every(LONGEST_WRITE, INTERRUPT)?);
        Ok(interruption)
    }
}

impl Drop for WriteTimer {
    /// Deletes the timer first, so that no signal is pending when it is blocked again.
    fn drop(&mut self) {
        self.timer = None;
        // It cannot fail with a mask that the same call has returned.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None);
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

/// Opens the same pipe or terminal again, as a separate open file description. A FIFO is opened for reading as well: then
/// it survives each of its readers, and keeps bytes while it has none (fifo(7)).
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
