//! A pseudo-terminal: what a person sits at, and what `docker run --tty` gives to a container (pty(7)).

use std::os::fd::OwnedFd;

use nix::pty::{Winsize, openpty};

/// Both ends.
pub(crate) struct Terminal {
    /// The person's: keys are written to it, the screen is read from it.
    pub(crate) master: OwnedFd,
    /// The container's.
    pub(crate) slave: OwnedFd,
}

impl Terminal {
    pub(crate) fn open() -> Terminal {
        let size = Winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).expect("a terminal");
        Terminal { master: ends.master, slave: ends.slave }
    }
}
