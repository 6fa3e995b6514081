//! A running container, for a test to observe, signal and measure.
//!
//! A thread waits for its first process without reaping it, so that its pid is not reused before the end of
//! the test and no signal reaches another process. Dropping it kills it, and with it its namespace.

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

/// The limit of a wait: long enough for a loaded machine, since no test passes by reaching it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Killed(Signal),
}

/// A first process, and the thread that waits for its end.
pub(crate) struct Launched {
    pid: Pid,
    end: Receiver<(End, Instant)>,
    finish: Sender<()>,
    keeper: Option<JoinHandle<()>>,
}

impl Launched {
    /// As PID 1 of a new namespace.
    pub(crate) fn first_of_a_namespace(command: Command) -> Launched {
        // Only the calling thread's next children are concerned (unshare(2)): a thread that does nothing else.
        Launched::by(command, || unshare(CloneFlags::CLONE_NEWPID).expect("a PID namespace"))
    }

    /// As one process among many.
    pub(crate) fn beside_us(command: Command) -> Launched {
        Launched::by(command, || {})
    }

    fn by(mut command: Command, prepare: impl FnOnce() + Send + 'static) -> Launched {
        let (born, birth) = channel();
        let (ended, end) = channel();
        let (finish, finished) = channel();
        // The thread outlives the process: the signal at a parent's death comes at a thread's (prctl(2)).
        let keeper = thread::spawn(move || {
            prepare();
            let mut child = command.spawn().expect("the container's first process");
            // The command holds our copies of the pipes' ends: they would keep the output open for ever.
            drop(command);
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
            born.send(pid).expect("the test");
            // The test may be over already.
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
        // It is not reaped before the next line, so the pid is its own.
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

    /// With this terminal.
    pub(crate) fn typing(mut self, master: OwnedFd) -> Running {
        self.keyboard = Some(File::from(master));
        self
    }

    /// Types this; `\x03` is ^C, `\x1a` is ^Z.
    pub(crate) fn type_keys(&self, keys: &str) {
        let mut keyboard = self.keyboard.as_ref().expect("a terminal");
        keyboard.write_all(keys.as_bytes()).expect("a terminal");
    }

    /// foster's pid, as the tests see it.
    pub(crate) fn pid(&self) -> i32 {
        self.first.pid.as_raw()
    }

    /// A path in the container's working directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The content of a file in the working directory; empty where there is none.
    pub(crate) fn content(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Waits for a condition; at the limit it fails with all output so far.
    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain for {what}\n{}", self.output.shown());
            self.output.wait_for_news(Duration::from_millis(10));
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

    /// Sends a signal by number: nix has no names of real-time signals.
    #[allow(unsafe_code, reason = "kill(2) by number has no safe wrapper")]
    pub(crate) fn signal_number(&self, number: i32) {
        // SAFETY: kill(2) has no precondition, and the first process is not reaped before the test is over.
        assert_eq!(unsafe { libc::kill(self.pid(), number) }, 0, "kill -{number}");
    }

    /// Runs a command line of the client with this container's socket.
    pub(crate) fn verb(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(binary());
        command.args(arguments).env("FOSTER_SOCKET", self.path("foster.sock"));
        command.current_dir(self.folder.path());
        run(command)
    }

    /// The rows of `status --json`, of all programs.
    pub(crate) fn rows(&self) -> Vec<Value> {
        rows(&self.verb(&["status", "--json"]).stdout)
    }

    /// The row of one program.
    pub(crate) fn row(&self, program: &str) -> Option<Value> {
        self.rows().into_iter().find(|row| row.get("name").and_then(Value::as_str) == Some(program))
    }

    /// The pid of a program's main process, as the tests see it; waits until it has one.
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

    /// All processes of foster: its namespace, or its descendants.
    pub(crate) fn processes(&self) -> Vec<Process> {
        match in_namespace_of(self.pid()) {
            Some(inside) => inside,
            None => descendants(self.pid()),
        }
    }

    /// The main process of a bare init, as the tests see it; waits until it is there.
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

    /// Waits for the end of the container and of its output.
    #[track_caller]
    pub(crate) fn wait_exit(&mut self) -> End {
        self.wait_end().0
    }

    /// The end and the instant at which it was seen.
    #[track_caller]
    pub(crate) fn wait_end(&mut self) -> (End, Instant) {
        if self.end.is_none() {
            self.end = match self.first.end.recv_timeout(PATIENCE) {
                Ok(end) => Some(end),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("waited in vain for the end of foster\n{}", self.output.shown())
                }
            };
            self.output.read_stdout_again();
            self.wait_for("the end of the output", || self.output.is_over());
        }
        self.end.expect("just waited for")
    }

    /// An ordered shutdown, and its end.
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
    /// Outside a namespace the descendants outlive their first process: they are killed one by one. The first process
    /// is stopped meanwhile, so that it reaps no child and no pid is reused.
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
        other => panic!("an exit was asked for: {other:?}"),
    }
}

fn reap(child: &mut Child) {
    child.wait().expect("the first process is ours");
}
