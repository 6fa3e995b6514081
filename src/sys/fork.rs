//! A child that runs beside foster until it executes a program: fork(2).
//!
//! The child has its own memory and descriptors, and foster never waits for it. A child that is stopped before its
//! `exec`, or that looks for its program on a file system that hangs, holds up itself and nothing else; how a start went
//! is read from a pipe (`spawn/report.rs`). Since foster has one thread, no lock is held by another at the fork, so the
//! child may allocate and read files as foster may.
//!
//! No CLONE_PIDFD, no CLONE_FILES, no clone3(2): old kernels, seccomp profiles and qemu-user refuse them, and a child
//! that is not reaped is named without a race by its number. Next: `in_child.rs`, what a child does.
#![allow(unsafe_code, reason = "fork(2) returns twice, and _exit(2) runs no destructor")]

use std::os::fd::OwnedFd;

use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::unistd::Pid;

use crate::sys::process;

/// The right to act as the child. It exists between fork and exec, and in a process that becomes a program itself.
#[derive(Debug)]
pub struct InChild(());

/// A child of foster that has not been reaped. Until then the kernel gives its number to no other process, so a signal
/// sent through this reaches the child and nothing else: drop it when the number was reaped.
#[derive(Debug)]
pub struct ChildProcess {
    pid: Pid,
    /// The other end of its standard input, which stays open for as long as it runs.
    stdin: Option<OwnedFd>,
}

/// Ends the child whatever happens: it must never return into foster's loop as a second foster.
struct ExitOnUnwind;

/// The exit status of a child that could not execute its program, as in a shell.
const NOT_EXECUTED: i32 = 127;

impl InChild {
    /// For a process that becomes another program itself, without a child. It returns only
    /// to say why it could not.
    pub fn in_place() -> InChild {
        InChild(())
    }
}

impl ChildProcess {
    /// Its number, for messages and to compare with what was reaped.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Keeps this open until the child is reaped.
    pub fn keep_stdin(&mut self, writer: OwnedFd) {
        self.stdin = Some(writer);
    }

    /// Sends it a signal: kill(2). One that has ended and is not reaped takes it without an error.
    ///
    /// # Errors
    /// EPERM where it runs as another user and CAP_KILL is missing.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        process::signal_number(self.pid, signal)
    }

    /// Sends a signal to the process group that it leads: kill(2).
    ///
    /// # Errors
    /// ESRCH where it leads none yet, or the group is empty; EPERM as for [`ChildProcess::signal`].
    pub fn signal_group(&self, signal: Signal) -> nix::Result<()> {
        process::signal_group(self.pid, signal)
    }
}

/// Makes a child that runs `body`, which executes a program. Should it return all the same, the child exits with that
/// status. The caller has one thread.
///
/// # Errors
/// fork(2): EAGAIN (limits on processes), ENOMEM, ENOSYS or EPERM where a sandbox forbids it.
pub fn fork(body: impl FnOnce(&InChild) -> u8) -> nix::Result<ChildProcess> {
    // SAFETY: foster has one thread, so the child finds every lock as this thread left it; what it does then is
    // `body` and an exit, never a return to the caller.
    match unsafe { libc::fork() } {
        0 => run_child(body),
        pid => Errno::result(pid).map(|pid| ChildProcess { pid: Pid::from_raw(pid), stdin: None }),
    }
}

fn run_child(body: impl FnOnce(&InChild) -> u8) -> ! {
    let _guard = ExitOnUnwind;
    let status = body(&InChild(()));
    // SAFETY: _exit takes a number and does not return; destructors and buffers are foster's, not the child's.
    unsafe { libc::_exit(i32::from(status)) }
}

impl Drop for ExitOnUnwind {
    fn drop(&mut self) {
        // SAFETY: as in `run_child`.
        unsafe { libc::_exit(NOT_EXECUTED) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal as Number;
    use nix::sys::wait::{WaitStatus, waitpid};

    #[test]
    fn a_child_that_executes_nothing_ends_with_what_its_body_returned() {
        let child = fork(|_| 42).unwrap();
        assert_eq!(waitpid(child.pid(), None), Ok(WaitStatus::Exited(child.pid(), 42)));
    }

    #[test]
    fn a_child_that_panics_ends_and_does_not_go_on_as_a_second_foster() {
        let child = fork(|_| std::panic::resume_unwind(Box::new(()))).unwrap();
        assert_eq!(waitpid(child.pid(), None), Ok(WaitStatus::Exited(child.pid(), NOT_EXECUTED)));
    }

    #[test]
    fn a_child_is_signalled_until_it_is_reaped() {
        let child = fork(|_| {
            // Until the signal comes: a child of a test, which nothing else waits for.
            loop {
                nix::unistd::pause();
            }
        })
        .unwrap();
        child.signal(Signal::TERM).unwrap();
        assert_eq!(waitpid(child.pid(), None), Ok(WaitStatus::Signaled(child.pid(), Number::SIGTERM, false)));
    }
}
