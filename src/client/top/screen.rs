//! The terminal of `foster top`: entered, painted and left (console_codes(4), xterm's alternate screen).
//!
//! It is left when this is dropped. Lines are not wrapped by the terminal, so a wide character cuts a line and does not
//! move the next one. Next: `view.rs`, the lines.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use nix::sys::signal::{Signal, raise};

use super::model::Model;
use super::view;
use crate::cli::format::Colour;
use crate::client::Failure;
use crate::client::raw_mode::RawMode;
use crate::sys::terminal;

/// The alternate screen, no automatic margins (DECAWM), no cursor, nothing on it.
const ENTER: &str = "\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[2J";
/// The opposite.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
/// Clears the rest of a line.
const CLEAR: &str = "\x1b[K";

/// The terminal while the view is on it.
pub(super) struct Screen {
    mode: RawMode,
    colour: Colour,
}

impl Screen {
    /// Enters the terminal.
    pub(super) fn open(colour: Colour) -> Result<Screen, Failure> {
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        let name = std::env::var_os("TERM").unwrap_or_default();
        if !is_terminal || name.is_empty() || name == "dumb" {
            return Err(Failure::NotATerminal);
        }
        let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Print)?;
        let mode = RawMode::of(stdin).map_err(Failure::Wait)?;
        write(ENTER).map_err(Failure::Print)?;
        Ok(Screen { mode, colour })
    }

    /// Makes it the view's again, after another program had it.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        self.mode.set()?;
        write(ENTER)
    }

    /// Stops this process, as ^Z does where the terminal is not raw; returns when it was continued.
    pub(super) fn suspend(&mut self) -> io::Result<()> {
        write(LEAVE)?;
        self.mode.unset()?;
        raise(Signal::SIGTSTP)?;
        self.enter()
    }

    /// Paints a frame over the one before.
    pub(super) fn paint(&mut self, model: &mut Model) -> io::Result<()> {
        let (columns, rows) = terminal::size(&io::stdout());
        let lines = view::frame(model, columns, rows, self.colour);
        let lines: Vec<String> = lines.iter().map(|line| format!("{line}{CLEAR}")).collect();
        write(&format!("{HOME}{}", lines.join("\r\n")))
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Without a terminal there is nothing to restore.
        let _ = write(LEAVE);
    }
}
