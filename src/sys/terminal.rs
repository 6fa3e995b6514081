//! The controlling terminal and its foreground process group (ioctl_tty(2), credentials(7)).
//!
//! Only for the terminal of foster's session: for any other terminal these calls return ENOTTY. A child's calls between
//! fork and exec are in [`crate::sys::in_child`].
#![allow(unsafe_code, reason = "nix has no TIOCNOTTY")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{self, Pid};

/// The width of this terminal in columns; 80 if it is unknown.
pub fn width(terminal: &impl AsFd) -> usize {
    size(terminal).0
}

/// The columns and rows of this terminal (TIOCGWINSZ, ioctl_tty(2)); 80 and 24 if they are unknown.
pub fn size(terminal: &impl AsFd) -> (usize, usize) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is borrowed for the call, and the kernel writes one `winsize` through the pointer.
    let result = unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    let known = |size: u16, other| if result == 0 && size > 0 { usize::from(size) } else { other };
    (known(size.ws_col, 80), known(size.ws_row, 24))
}

/// The terminal of foster's session.
#[derive(Debug)]
pub struct Terminal(OwnedFd);

/// An alias of the session's terminal: tty(4).
const OWN_TERMINAL: &str = "/dev/tty";

/// Opens the same terminal as a separate open file description that does not block, if it is the terminal of foster's
/// session: /dev/tty needs no permission on the terminal itself (tty(4)).
pub fn reopened(fd: impl AsFd) -> Option<OwnedFd> {
    unistd::tcgetpgrp(fd).ok()?;
    let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(OWN_TERMINAL, flags, Mode::empty()).ok()
}

impl Terminal {
    /// The session's terminal, if it is standard input.
    pub fn of_stdin() -> Option<Terminal> {
        Terminal::at(io::stdin().as_fd())
    }

    /// The session's terminal: one of the three standard streams, or opened by its alias.
    pub fn controlling() -> Option<Terminal> {
        Terminal::of_stdin()
            .or_else(|| Terminal::at(io::stderr().as_fd()))
            .or_else(|| Terminal::at(io::stdout().as_fd()))
            .or_else(|| {
                let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
                open(OWN_TERMINAL, flags, Mode::empty()).ok().map(Terminal)
            })
    }

    fn at(fd: BorrowedFd<'_>) -> Option<Terminal> {
        unistd::tcgetpgrp(fd).ok()?;
        fd.try_clone_to_owned().ok().map(Terminal)
    }

    /// Whether foster's own process group is in its foreground.
    pub fn is_ours(&self) -> bool {
        unistd::tcgetpgrp(&self.0) == Ok(unistd::getpgrp())
    }

    /// Whether this process group is in its foreground.
    pub fn is_of(&self, group: Pid) -> bool {
        unistd::tcgetpgrp(&self.0) == Ok(group)
    }

    /// Puts this process group of the session into its foreground. SIGTTOU must be blocked or ignored.
    ///
    /// # Errors
    /// EPERM, ESRCH if it is not a group of this session; EIO after a hang-up of the terminal.
    pub fn give_to(&self, group: Pid) -> nix::Result<()> {
        unistd::tcsetpgrp(&self.0, group)
    }

    /// Puts foster's own process group into its foreground.
    ///
    /// # Errors
    /// EIO after a hang-up of the terminal.
    pub fn take_back(&self) -> nix::Result<()> {
        self.give_to(unistd::getpgrp())
    }

    /// Releases the terminal: TIOCNOTTY. If the leader of a session calls it, the whole session loses the terminal, and
    /// the group in the foreground gets HUP and CONT.
    ///
    /// # Errors
    /// None for the session's own terminal.
    pub fn release(&self) -> nix::Result<()> {
        // SAFETY: this operation takes no argument.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCNOTTY) }).map(drop)
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
