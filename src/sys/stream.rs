//! Byte streams: the pipes of programs, and foster's own standard streams.
//!
//! The read end of a program's pipe belongs to foster alone, so it can have `O_NONBLOCK`. `target.rs` writes to
//! descriptors that foster shares.
#![allow(unsafe_code, reason = "FIONREAD and a borrowed standard stream have no safe wrapper")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;

/// Creates a pipe to capture a program's output. The read end does not block; the write end does, as programs expect of
/// their stdout. Both have CLOEXEC (pipe2(2)).
///
/// # Errors
/// EMFILE, ENFILE.
pub fn capture() -> nix::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    // The two ends are separate open file descriptions: the program's end still blocks.
    fcntl(&read, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((read, write))
}

/// Reads the available bytes, at most `buffer.len()` (read(2)); 0 at the end.
///
/// # Errors
/// EAGAIN if nothing is available and the descriptor does not block.
pub fn read(fd: impl AsFd, buffer: &mut [u8]) -> nix::Result<usize> {
    match nix::unistd::read(&fd, buffer) {
        // Neither error consumes bytes or means the end of the pipe: reads once more.
        Err(Errno::ENOMEM | Errno::EIO) => nix::unistd::read(&fd, buffer),
        result => result,
    }
}

/// Writes as much as a pipe has room for, and returns how much that was. The write end does not block from now on.
///
/// # Errors
/// EPIPE if no process can read it. The caller has blocked SIGPIPE.
pub fn write_available(pipe: impl AsFd, text: &[u8]) -> nix::Result<usize> {
    fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let mut written = 0;
    while let Some(rest) = text.get(written..).filter(|rest| !rest.is_empty()) {
        match nix::unistd::write(&pipe, rest) {
            Ok(count) => written += count,
            Err(Errno::EAGAIN) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(written)
}

/// The number of unread bytes in a pipe (FIONREAD, ioctl_pipe(2)); 0 if it is unknown.
pub fn unread(fd: impl AsFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes an int, and the pointer is valid for the call; the borrowed descriptor is open.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if result == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// A descriptor to write to. A standard stream is not duplicated: that would need a free descriptor, and foster must be
/// able to report that none is left.
#[derive(Debug)]
pub enum Descriptor {
    /// Closed when it is dropped.
    Own(OwnedFd),
    /// One of foster's standard streams, which are never closed.
    Standard(BorrowedFd<'static>),
}

impl Descriptor {
    /// Duplicates the descriptor.
    ///
    /// # Errors
    /// EMFILE, except for a standard stream.
    pub fn copy(&self) -> std::io::Result<Descriptor> {
        Ok(match self {
            Descriptor::Own(fd) => Descriptor::Own(fd.try_clone()?),
            Descriptor::Standard(fd) => Descriptor::Standard(*fd),
        })
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Descriptor::Own(fd) => fd.as_fd(),
            Descriptor::Standard(fd) => *fd,
        }
    }
}

/// foster's own stdin.
pub fn stdin() -> BorrowedFd<'static> {
    // SAFETY: foster closes none of its standard streams.
    unsafe { BorrowedFd::borrow_raw(0) }
}

/// foster's own stdout; `None` if it was closed.
pub fn stdout() -> Option<Descriptor> {
    standard(1)
}

/// foster's own stderr; `None` if it was closed.
pub fn stderr() -> Option<Descriptor> {
    standard(2)
}

/// Makes an open file foster's stdout and stderr (dup2(2)), without `O_NONBLOCK`: a program may inherit them.
///
/// # Errors
/// EBUSY, EINTR.
pub fn become_standard(file: impl AsFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags.difference(OFlag::O_NONBLOCK)))?;
    nix::unistd::dup2_stdout(&file)?;
    nix::unistd::dup2_stderr(&file)
}

/// A stream that was closed is open on something that cannot be written (`entry.rs`).
fn standard(number: RawFd) -> Option<Descriptor> {
    // SAFETY: foster closes none of its standard streams.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let is_open = match fcntl(fd, FcntlArg::F_GETFL) {
        Ok(flags) => !OFlag::from_bits_truncate(flags).contains(OFlag::O_PATH),
        // Any other error says nothing about the stream, and a write reports what is wrong with it.
        Err(errno) => errno != Errno::EBADF,
    };
    is_open.then_some(Descriptor::Standard(fd))
}

/// The identity of an open file: device and inode. Two descriptors with the same identity share a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: libc::dev_t,
    inode: libc::ino_t,
}

/// Returns the identity of an open file (fstat(2)).
///
/// # Errors
/// EIO, ENOMEM, EOVERFLOW.
pub fn identity(fd: impl AsFd) -> nix::Result<Identity> {
    fstat(fd).map(|stat| Identity { device: stat.st_dev, inode: stat.st_ino })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_bytes_are_counted() {
        let (read, write) = capture().unwrap();
        assert_eq!(unread(&read), 0);
        nix::unistd::write(&write, b"12345").unwrap();
        assert_eq!(unread(&read), 5);
    }
}
