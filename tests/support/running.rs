//! A running container, for a test to observe, signal and measure.
//!
//! A thread waits for its first process without reaping it, so that its pid is not reused during the test and no signal
//! reaches another process. When it is dropped, the first process and its namespace are killed.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use super::builder::{RunPermit, binary};
use super::output::Output;
use super::processes::{Process, descendants, in_namespace_of};
use super::verb::{Finished, rows, run};

/// The deadline of a wait: long enough for a loaded machine, because no test passes by reaching it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The exit of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Killed(Signal),
}

/// A first process, and the thread that waits for its exit.
pub(crate) struct Launched {
    pid: Pid,
    end: Receiver<(End, Instant)>,
    finish: Sender<()>,
    keeper: Option<JoinHandle<()>>,
}

impl Launched {
    /// Starts the command as PID 1 of a new namespace.
    pub(crate) fn first_of_a_namespace(command: Command) -> Launched {
        // unshare(2) affects the next children of the calling thread, so a new thread calls it.
        Launched::by(command, || unshare(CloneFlags::CLONE_NEWPID).expect("a PID namespace"))
    }

    /// Starts the command in the tests' namespace.
    pub(crate) fn in_our_namespace(command: Command) -> Launched {
        Launched::by(command, || {})
    }

    fn by(mut command: Command, prepare: impl FnOnce() + Send + 'static) -> Launched {
        let (born, birth) = channel();
        let (ended, end) = channel();
        let (finish, finished) = channel();
        // The thread must outlive the process: the parent-death signal is sent when the creating thread exits (prctl(2)).
        let keeper = thread::spawn(move || {
            prepare();
            let mut child = command.spawn().expect("the container's first process");
            // The command holds copies of the pipes' write ends, which would keep the output open.
            drop(command);
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
            born.send(pid).expect("the test");
            // The test may have ended.
            _ = ended.send((wait_without_reaping(pid), Instant::now()));
            _ = finished.recv();
            reap(&mut child);
        });
        let pid = birth.recv().expect("the container's first process");
        Launched { pid, end, finish, keeper: Some(keeper) }
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        // The process is not reaped before the next line, so no other process has its pid.
        _ = kill(self.pid, Signal::SIGKILL);
        _ = self.finish.send(());
        if let Some(keeper) = self.keeper.take() {
            drop(keeper.join());
        }
    }
}

/// A running container.
pub(crate) struct Running {
    first: Launched,
    output: Output,
    folder: TempDir,
    end: Option<(End, Instant)>,
    keyboard: Option<File>,
    _permit: RunPermit,
}

impl Running {
    pub(crate) fn new(first: Launched, output: Output, folder: TempDir, permit: RunPermit) -> Running {
        Running { first, output, folder, end: None, keyboard: None, _permit: permit }
    }

    /// Sets the terminal.
    pub(crate) fn typing(mut self, master: OwnedFd) -> Running {
        self.keyboard = Some(File::from(master));
        self
    }

    /// Types keys; `\x03` is ^C, `\x1a` is ^Z.
    pub(crate) fn type_keys(&self, keys: &str) {
        let mut keyboard = self.keyboard.as_ref().expect("a terminal");
        keyboard.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// foster's pid in the tests' namespace.
    pub(crate) fn pid(&self) -> i32 {
        self.first.pid.as_raw()
    }

    /// A path in the container's working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The content of a file in the working directory; empty if there is none.
    pub(crate) fn content(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Waits for a condition; a failure at the deadline shows all output so far.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !condition() {
            assert!(Instant::now() < deadline, "no {what} in time\n{}", self.output.shown());
            self.output.wait_for_more(Duration::from_millis(10));
        }
    }

    /// Waits for a line of either stream that matches.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, pattern: &str) {
        self.wait_for(&format!("a line like `{pattern}`"), || self.output.has_line(pattern));
    }

    /// Waits until the program is in this state.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, program: &str, state: &str) {
        self.wait_for(&format!("{program} to be {state}"), || {
            self.row(program).is_some_and(|row| row.get("state").and_then(Value::as_str) == Some(state))
        });
    }

    #[track_caller]
    pub(crate) fn wait_for_file(&self, name: &str) {
        self.wait_for(&format!("the file {name}"), || self.path(name).exists());
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.first.pid, signal).expect("a signal to foster");
    }

    /// Sends a signal by number, for real-time signals, which nix does not have.
    #[allow(unsafe_code, reason = "kill(2) by number has no safe wrapper")]
    pub(crate) fn signal_number(&self, number: i32) {
        // SAFETY: kill(2) has no precondition, and the first process is not reaped before the end of the test.
        assert_eq!(unsafe { libc::kill(self.pid(), number) }, 0, "kill -{number}");
    }

    /// Runs a command line of the client with this container's socket.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(binary());
        command.args(arguments).env("FOSTER_SOCKET", self.path("foster.sock"));
        command.current_dir(self.folder.path());
        run(command)
    }

    /// The rows of `status --json`.
    pub(crate) fn rows(&self) -> Vec<Value> {
        rows(&self.verb(&["status", "--json"]).stdout)
    }

    /// The row of one program.
    pub(crate) fn row(&self, program: &str) -> Option<Value> {
        self.rows().into_iter().find(|row| row.get("name").and_then(Value::as_str) == Some(program))
    }

    /// Waits until a program has a main process; returns its pid in the tests' namespace.
    #[track_caller]
    pub(crate) fn pid_of(&self, program: &str) -> i32 {
        let mut found = None;
        self.wait_for(&format!("a process of {program}"), || {
            let pid = self.row(program).and_then(|row| row.get("pid").and_then(Value::as_i64));
            let process =
                self.processes().into_iter().find(|process| pid == Some(i64::from(process.inner_pid)));
            found = process.map(|process| process.pid);
            found.is_some()
        });
        found.expect("just found")
    }

    /// All processes of foster: those of its namespace, or its descendants.
    pub(crate) fn processes(&self) -> Vec<Process> {
        match in_namespace_of(self.pid()) {
            Some(inside) => inside,
            None => descendants(self.pid()),
        }
    }

    /// Waits for the command of a bare init; returns its pid in the tests' namespace.
    #[track_caller]
    pub(crate) fn command(&self) -> i32 {
        let mut found = None;
        self.wait_for("the command", || {
            let own = self.pid();
            found = self.processes().into_iter().find(|process| process.parent == own).map(|child| child.pid);
            found.is_some()
        });
        found.expect("just found")
    }

    /// Waits for the exit of the container and the end of its output.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> End {
        self.wait_end().0
    }

    /// The same, with the time of the exit.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> (End, Instant) {
        if self.end.is_none() {
            self.end = match self.first.end.recv_timeout(DEADLINE) {
                Ok(end) => Some(end),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("foster does not exit\n{}", self.output.shown())
                }
            };
            self.output.read_stdout_again();
            self.wait_for("the end of the output", || self.output.is_over());
        }
        self.end.expect("just waited for")
    }

    /// Sends TERM and waits for the exit.
    #[track_caller]
    pub(crate) fn terminate(&mut self) -> End {
        self.signal(Signal::SIGTERM);
        self.wait_exit()
    }

    /// Whether foster is running.
    pub(crate) fn is_alive(&self) -> bool {
        Path::new(&format!("/proc/{}/exe", self.pid())).read_link().is_ok()
    }
}

impl Drop for Running {
    /// Outside a namespace the descendants survive the first process, so they are killed one by one. The first process is
    /// stopped before, so that it reaps no child and no pid is reused.
    fn drop(&mut self) {
        if in_namespace_of(self.pid()).is_some() || !self.is_alive() {
            return;
        }
        _ = kill(self.first.pid, Signal::SIGSTOP);
        for process in descendants(self.pid()).into_iter().filter(|process| process.pid != self.pid()) {
            _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
        }
    }
}

fn wait_without_reaping(pid: Pid) -> End {
    match waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
        Ok(WaitStatus::Exited(_, code)) => End::Code(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => End::Killed(signal),
        other => panic!("not an exit: {other:?}"),
    }
}

fn reap(child: &mut Child) {
    child.wait().expect("the first process is ours");
}
