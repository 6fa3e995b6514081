//! Byte streams that foster reads from and writes to, without ever waiting for the other side.
//!
//! A program's pipe is foster's own at the reading end, so `O_NONBLOCK` is set there. foster's stdout and
//! stderr are not its own: the flag belongs to the open file description, which the container runtime,
//! a shell or an inherited program shares. [`Target`] finds a way to write that leaves it alone.
#![allow(unsafe_code)] // ioctl(2) FIONREAD has no safe form.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

/// What a pipe takes in one piece as soon as poll(2) says that it takes anything (pipe(7)).
const PIPE_BUF: usize = 4096;

/// A pipe to capture a program's output: the reading end does not block, the writing end does, as a
/// program expects of its stdout. Both are closed on exec (pipe2(2)).
///
/// # Errors
/// EMFILE, ENFILE.
pub fn capture() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // The two ends are two open file descriptions: this does not touch the program's.
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Reads what is there, at most `buffer.len()` bytes (read(2)); 0 at the end.
///
/// # Errors
/// EAGAIN when nothing is there and the descriptor does not block.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> nix::Result<usize> {
    nix::unistd::read(fd, buffer)
}

/// How many bytes lie in a pipe, unread (FIONREAD, ioctl_pipe(2)); 0 where that cannot be said.
pub fn unread(fd: impl AsFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD needs a valid pointer to an int, which lives longer than the call; the
    // descriptor is borrowed, and so open.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if result == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// A copy of foster's own stdout; `None` where it was closed.
pub fn stdout() -> Option<OwnedFd> {
    io::stdout().as_fd().try_clone_to_owned().ok()
}

/// A copy of foster's own stderr; `None` where it was closed.
pub fn stderr() -> Option<OwnedFd> {
    io::stderr().as_fd().try_clone_to_owned().ok()
}

/// Which file a descriptor is open on: device and inode. Two with the same are written as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: libc::dev_t,
    inode: libc::ino_t,
}

/// Which file this is (fstat(2)).
///
/// # Errors
/// EBADF cannot happen; EIO, ENOMEM, EOVERFLOW can in theory.
pub fn identity(fd: impl AsFd) -> nix::Result<Identity> {
    fstat(fd).map(identity_of)
}

/// Writes a short text to stderr if it can be written now: poll(2). For those who have no loop to wait in; at most
/// `PIPE_BUF` bytes of it.
pub fn tell_stderr(text: &[u8]) {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // Where the reader is gone there is also an error, and a write would bring SIGPIPE upon us.
    if poll(&mut fds, PollTimeout::ZERO).is_ok() && fds.map(|fd| fd.revents()) == [Some(PollFlags::POLLOUT)] {
        // Nothing is left to be said to if that fails.
        let _ = nix::unistd::write(&stderr, text.get(..PIPE_BUF).unwrap_or(text));
    }
}

/// Where bytes are written, with the way to do that without waiting.
#[derive(Debug)]
pub struct Target {
    fd: OwnedFd,
    way: Way,
}

/// How a write is kept from waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The descriptor does not block, and is foster's alone.
    NonBlocking,
    /// A disk: write(2) waits for nobody's reading.
    Disk,
    /// `MSG_DONTWAIT`, call by call.
    Socket,
    /// Asked with poll(2) first, then no more than what then fits.
    Polled,
}

/// Whether somebody reads what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A pipe, a socket, a terminal: somebody reads, at their own pace; epoll(7) tells of room.
    Somebody,
    /// A file, or a device such as `/dev/null`: nobody is waited for, and epoll(7) refuses it.
    Nobody,
}

impl Target {
    /// A way to write to this inherited descriptor.
    pub fn shared(fd: OwnedFd) -> Target {
        let way = match fstat(&fd) {
            Ok(stat) if is(&stat, SFlag::S_IFREG) || is(&stat, SFlag::S_IFBLK) => Way::Disk,
            Ok(stat) if is(&stat, SFlag::S_IFSOCK) => Way::Socket,
            Ok(stat) => match reopened(&fd, &stat) {
                Some(own) => return Target { fd: own, way: Way::NonBlocking },
                None => Way::Polled,
            },
            Err(_) => Way::Polled,
        };
        Target { fd, way }
    }

    /// One that foster opened itself, with `O_NONBLOCK`.
    pub fn owned(fd: OwnedFd) -> Target {
        Target { fd, way: Way::NonBlocking }
    }

    /// Whether it has a reader to wait for.
    pub fn reader(&self) -> Reader {
        match self.way {
            Way::Disk => Reader::Nobody,
            Way::Socket => Reader::Somebody,
            Way::NonBlocking | Way::Polled => match fstat(&self.fd) {
                // `/dev/null` and `/dev/full` have no reader; a terminal is the one device that has.
                Ok(stat) if is(&stat, SFlag::S_IFCHR) && !self.is_terminal() => Reader::Nobody,
                Ok(stat) if is(&stat, SFlag::S_IFREG) => Reader::Nobody,
                Ok(_) | Err(_) => Reader::Somebody,
            },
        }
    }

    /// Whether it is a terminal (isatty(3)).
    pub fn is_terminal(&self) -> bool {
        io::IsTerminal::is_terminal(&self.fd)
    }

    /// Writes as much as there is room for.
    ///
    /// # Errors
    /// EAGAIN where there is no room; EPIPE, EIO, ENOSPC as in write(2).
    pub fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        let written = match self.way {
            Way::NonBlocking | Way::Disk => nix::unistd::write(&self.fd, bytes),
            Way::Socket => {
                let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
                send(self.fd.as_raw_fd(), bytes, flags)
            }
            Way::Polled => self.write_what_fits(bytes),
        };
        match written {
            Err(Errno::EINTR | Errno::ENOBUFS) => Err(Errno::EAGAIN),
            Ok(_) | Err(_) => written,
        }
    }

    /// A pipe that poll(2) calls writable takes `PIPE_BUF` bytes at once. Another writer may come
    /// between the two calls; there is nothing better without a `/proc` to reopen it from.
    fn write_what_fits(&self, bytes: &[u8]) -> nix::Result<usize> {
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        if poll(&mut fds, PollTimeout::ZERO)? == 0 {
            return Err(Errno::EAGAIN);
        }
        nix::unistd::write(&self.fd, bytes.get(..PIPE_BUF).unwrap_or(bytes))
    }
}

impl AsFd for Target {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The same pipe or device opened anew, with an open file description of foster's own to be non-blocking.
fn reopened(fd: &OwnedFd, stat: &FileStat) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let own = open(path.as_str(), flags, Mode::empty()).ok()?;
    (identity(&own).ok()? == identity_of(*stat)).then_some(own)
}

fn is(stat: &FileStat, kind: SFlag) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == kind.bits()
}

fn identity_of(stat: FileStat) -> Identity {
    Identity { device: stat.st_dev, inode: stat.st_ino }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_to_an_inherited_pipe_never_waits_and_leaves_its_flags_alone() {
        let (_read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let flags = fcntl(&write, FcntlArg::F_GETFL).unwrap();
        let polled = Target { fd: write.try_clone().unwrap(), way: Way::Polled };
        for target in [Target::shared(write.try_clone().unwrap()), polled] {
            while target.write(&[b'x'; 100_000]).is_ok() {}
            assert_eq!(target.write(b"x"), Err(Errno::EAGAIN));
        }
        assert_eq!(fcntl(&write, FcntlArg::F_GETFL).unwrap(), flags);
    }

    #[test]
    fn writing_to_an_inherited_socket_never_waits() {
        let (_one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        let target = Target::shared(two.into());
        while target.write(&[b'x'; 100_000]).is_ok() {}
        assert_eq!(target.write(b"x"), Err(Errno::EAGAIN));
        assert_eq!(target.reader(), Reader::Somebody);
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error_and_no_signal() {
        let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let target = Target::shared(write);
        drop(read);
        assert_eq!(target.write(b"x"), Err(Errno::EPIPE));
    }

    #[test]
    fn files_and_devices_without_a_reader_are_told_from_pipes() {
        let null = std::fs::File::create("/dev/null").unwrap();
        assert_eq!(Target::shared(null.into()).reader(), Reader::Nobody);
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Target::shared(file.into()).reader(), Reader::Nobody);
        let (_read, write) = capture().unwrap();
        assert_eq!(Target::shared(write).reader(), Reader::Somebody);
    }

    #[test]
    fn what_lies_unread_is_counted() {
        let (read, write) = capture().unwrap();
        assert_eq!(unread(&read), 0);
        nix::unistd::write(&write, b"12345").unwrap();
        assert_eq!(unread(&read), 5);
    }
}
