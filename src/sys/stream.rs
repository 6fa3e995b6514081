//! Byte streams: a program's pipe, and foster's own standard streams.
//!
//! A program's pipe is foster's own at the reading end, so `O_NONBLOCK` is set there. How foster writes to what it
//! does not own is in `target.rs`.
#![allow(unsafe_code, reason = "ioctl(2) FIONREAD and a borrowed standard stream have no safe form")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::fstat;

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
    match nix::unistd::read(&fd, buffer) {
        // Neither is the end of a pipe, and the bytes are still there: they are read again, once.
        Err(Errno::ENOMEM | Errno::EIO) => nix::unistd::read(&fd, buffer),
        result => result,
    }
}

/// How many bytes lie in a pipe, unread (FIONREAD, ioctl_pipe(2)); 0 where that is not known.
pub fn unread(fd: impl AsFd) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD needs a valid pointer to an int, which lives longer than the call; the
    // descriptor is borrowed, and so open.
    let result = unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut count) };
    if result == 0 { usize::try_from(count).unwrap_or(0) } else { 0 }
}

/// A descriptor to write to. A standard stream is used under its own number: a copy would need a free descriptor, and
/// foster has to be able to say that there is none.
#[derive(Debug)]
pub enum Descriptor {
    /// Closed when it is dropped.
    Own(OwnedFd),
    /// One of foster's standard streams, which are never closed.
    Standard(BorrowedFd<'static>),
}

impl Descriptor {
    /// The same open file once more.
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

/// foster's own stdout; `None` where it was closed.
pub fn stdout() -> Option<Descriptor> {
    standard(1)
}

/// foster's own stderr; `None` where it was closed.
pub fn stderr() -> Option<Descriptor> {
    standard(2)
}

/// The place of a stream that was closed is taken by something that cannot be written to (`entry.rs`).
fn standard(number: RawFd) -> Option<Descriptor> {
    // SAFETY: foster closes none of its standard streams.
    let fd = unsafe { BorrowedFd::borrow_raw(number) };
    let flags = OFlag::from_bits_truncate(fcntl(fd, FcntlArg::F_GETFL).ok()?);
    (!flags.contains(OFlag::O_PATH)).then_some(Descriptor::Standard(fd))
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
    fstat(fd).map(|stat| Identity { device: stat.st_dev, inode: stat.st_ino })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_unread_is_counted() {
        let (read, write) = capture().unwrap();
        assert_eq!(unread(&read), 0);
        nix::unistd::write(&write, b"12345").unwrap();
        assert_eq!(unread(&read), 5);
    }
}
