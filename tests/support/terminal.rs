//! A command on a pseudo-terminal, and the keys that a user presses.

use std::fs::File;
use std::io::{PipeReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

use super::output::Output;
use super::running::PATIENCE;

/// Both ends of a new pseudo-terminal (pty(7)), as `docker run --tty` opens it.
pub(crate) struct PtyPair {
    /// The user's end: keys are written to it, the screen is read from it.
    pub(crate) master: OwnedFd,
    /// The container's end.
    pub(crate) slave: OwnedFd,
}

impl PtyPair {
    pub(crate) fn open() -> PtyPair {
        let size = Winsize { ws_row: 24, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let ends = openpty(Some(&size), None).expect("a terminal");
        PtyPair { master: ends.master, slave: ends.slave }
    }
}

/// A command on a terminal. It ends with the test.
pub(crate) struct Terminal {
    keyboard: File,
    screen: Output,
    child: Child,
}

impl Terminal {
    /// Starts it as the leader of the terminal's session.
    pub(crate) fn start(command: &Command) -> Terminal {
        let PtyPair { master, slave } = PtyPair::open();
        let copy = || slave.try_clone().expect("a descriptor");
        let mut owner = Command::new("setsid");
        owner.args(["--ctty", "--wait"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => owner.env(name, value),
                None => owner.env_remove(name),
            };
        }
        owner.current_dir(command.get_current_dir().expect("a folder")).env("TERM", "xterm");
        owner.stdin(Stdio::from(copy())).stdout(Stdio::from(copy())).stderr(Stdio::from(copy()));
        let child = owner.spawn().expect("setsid");
        let keyboard = File::from(master.try_clone().expect("a descriptor"));
        Terminal { keyboard, screen: Output::read(PipeReader::from(master), None), child }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("a terminal that takes keys");
    }

    /// Waits for a line of the screen that matches.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen.has_line(what) {
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.screen.shown());
            self.screen.wait_for_news(Duration::from_millis(10));
        }
    }

    /// All that was on the screen, once the command has ended.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("our child").is_none() || !self.screen.is_over() {
            assert!(Instant::now() < deadline, "waited in vain for its end\n{}", self.screen.shown());
            self.screen.wait_for_news(Duration::from_millis(10));
        }
        self.screen.stdout()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The hang-up of its terminal ends what runs there.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
