//! A terminal that sends each key at once and echoes none: termios(3).
//!
//! The former mode comes back when this is dropped. Keys such as ^C arrive as bytes and send no signal. Next: `keys.rs`.

use std::os::fd::OwnedFd;

use nix::sys::termios::{self, SetArg, Termios};

/// The raw mode of a terminal.
#[derive(Debug)]
pub(super) struct RawMode {
    terminal: OwnedFd,
    before: Termios,
}

impl RawMode {
    /// Sets it, and keeps the mode before.
    ///
    /// # Errors
    /// ENOTTY; EIO after a hang-up.
    pub(super) fn of(terminal: OwnedFd) -> nix::Result<RawMode> {
        let before = termios::tcgetattr(&terminal)?;
        let mode = RawMode { terminal, before };
        mode.set()?;
        Ok(mode)
    }

    /// Sets it again, after another program had the terminal.
    ///
    /// # Errors
    /// EIO after a hang-up.
    pub(super) fn set(&self) -> nix::Result<()> {
        let mut raw = self.before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&self.terminal, SetArg::TCSADRAIN, &raw)
    }

    /// Sets the mode before.
    ///
    /// # Errors
    /// EIO after a hang-up.
    pub(super) fn unset(&self) -> nix::Result<()> {
        termios::tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // Without a terminal there is no mode to restore.
        let _ = self.unset();
    }
}
