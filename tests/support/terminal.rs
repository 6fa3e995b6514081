//! A command on a pseudo-terminal, driven by keys.

use std::fs::File;
use std::io::{PipeReader, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};

use super::output::Output;
use super::running::DEADLINE;

/// Both ends of a new pseudo-terminal (pty(7)), as `docker run --tty` opens it.
pub(crate) struct PtyPair {
    /// The user's end: the test writes keys to it and reads the screen from it.
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

/// A command on a terminal. It is killed when this is dropped.
pub(crate) struct Terminal {
    keyboard: File,
    screen: Output,
    child: Child,
}

impl Terminal {
    /// Starts the command as the leader of the terminal's session.
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
        let deadline = Instant::now() + DEADLINE;
        while !self.screen.has_line(what) {
            assert!(Instant::now() < deadline, "no {what} in time\n{}", self.screen.shown());
            self.screen.wait_for_more(Duration::from_millis(10));
        }
    }

    /// Waits until what was printed so far is as wanted.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition(&self.screen.stdout()) {
            assert!(Instant::now() < deadline, "{what} expected\n{}", self.screen.shown());
            self.screen.wait_for_more(Duration::from_millis(10));
        }
    }

    /// Waits until the command has exited; returns everything that was on the screen.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> String {
        let deadline = Instant::now() + DEADLINE;
        while self.child.try_wait().expect("our child").is_none() || !self.screen.is_over() {
            assert!(Instant::now() < deadline, "the command does not exit\n{}", self.screen.shown());
            self.screen.wait_for_more(Duration::from_millis(10));
        }
        self.screen.stdout()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // The hang-up of the terminal ends its other processes.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
