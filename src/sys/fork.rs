//! A child that runs in parallel with foster until it executes a program: fork(2).
//!
//! The child has its own memory and descriptors, and foster never waits for it. A child that is stopped before `exec`, or
//! that searches for its program on a file system that hangs, blocks nothing else; it reports the outcome of the start
//! through a pipe (`spawn/report.rs`). foster has one thread, so no other thread holds a lock at the fork, and the child
//! may allocate and read files.
//!
//! No CLONE_PIDFD or CLONE_FILES: old kernels, seccomp profiles and qemu-user refuse them, and the pid of a child that is
//! not reaped is not reused. clone3(2) is tried only for a child that starts in a control group, and fork(2) follows where
//! it is refused. Next: `in_child.rs`, the system calls of a child.
#![allow(unsafe_code, reason = "fork(2) returns twice, and _exit(2) runs no destructor")]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::unistd::Pid;

use crate::sys::{process, stream};

/// The right to act as the child: between fork and exec, and in a process that executes a program without a fork.
#[derive(Debug)]
pub struct InChild(());

/// A child of foster that has not been reaped. Until then the kernel does not reuse its pid, so a signal sent through
/// this reaches no other process. Drop it when the child is reaped.
#[derive(Debug)]
pub struct ChildProcess {
    pid: Pid,
    /// It started in the control group that was asked for.
    is_in_group: bool,
    /// The write end of its standard input, which stays open while it runs.
    stdin: Option<OwnedFd>,
}

/// Exits the child after a panic: it must never return into foster's loop.
struct ExitOnUnwind;

/// The exit status of a child that could not execute its program, as in a shell.
const NOT_EXECUTED: i32 = 127;

impl InChild {
    /// For a process that executes a program without a fork.
    pub fn in_place() -> InChild {
        InChild(())
    }
}

impl ChildProcess {
    /// Its pid, for messages and for comparison with reaped pids.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Whether it started in the control group that was asked for.
    pub fn is_in_group(&self) -> bool {
        self.is_in_group
    }

    /// A child that an earlier foster of this process has made, with the write end of its stdin.
    pub fn adopted(pid: Pid, stdin: Option<OwnedFd>) -> ChildProcess {
        ChildProcess { pid, is_in_group: false, stdin }
    }

    /// The write end of its stdin.
    pub fn stdin(&self) -> Option<BorrowedFd<'_>> {
        self.stdin.as_ref().map(AsFd::as_fd)
    }

    /// Another child of foster that has not been reaped, in the place of this one, which has ended.
    pub fn succeeded_by(self, pid: Pid) -> ChildProcess {
        ChildProcess { pid, ..self }
    }

    /// Keeps the write end of its stdin open until the child is reaped.
    pub fn keep_stdin(&mut self, writer: OwnedFd) {
        self.stdin = Some(writer);
    }

    /// Writes to its stdin, as much as the pipe has room for; `None`: foster does not hold it.
    ///
    /// # Errors
    /// write(2): EPIPE if it has closed its stdin.
    pub fn write_stdin(&self, text: &[u8]) -> Option<nix::Result<usize>> {
        self.stdin.as_ref().map(|writer| stream::write_available(writer, text))
    }

    /// Sends it a signal: kill(2). For a zombie that has no effect and is not an error.
    ///
    /// # Errors
    /// EPERM if it runs as another user and CAP_KILL is missing.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        process::signal_number(self.pid, signal)
    }

    /// Sends a signal to the process group that it leads: kill(2).
    ///
    /// # Errors
    /// ESRCH if it does not lead a group yet, or the group is empty; EPERM as for [`ChildProcess::signal`].
    pub fn signal_group(&self, signal: Signal) -> nix::Result<()> {
        process::signal_group(self.pid, signal)
    }
}

/// Creates a child that runs `body`, which executes a program. If it returns, the child exits with that status. The caller
/// must have one thread. The child starts in `group`, the directory of a control group, or, where that is refused, in
/// foster's own.
///
/// # Errors
/// fork(2): EAGAIN (limits on processes), ENOMEM; ENOSYS or EPERM if a sandbox forbids it.
pub fn fork(group: Option<BorrowedFd<'_>>, body: impl FnOnce(&InChild) -> u8) -> nix::Result<ChildProcess> {
    let joined = group.and_then(|group| clone_into(group).ok());
    let is_in_group = joined.is_some();
    // SAFETY: foster has one thread, so no other thread holds a lock in the child; the child runs `body` and exits, and
    // never returns to the caller.
    match joined.unwrap_or_else(|| unsafe { libc::fork() }) {
        0 => run_child(body),
        pid => {
            let pid = Pid::from_raw(Errno::result(pid)?);
            Ok(ChildProcess { pid, is_in_group, stdin: None })
        }
    }
}

/// The first version of `struct clone_args` that has the group: flags, pidfd, child_tid, parent_tid, exit_signal, stack,
/// stack_size, tls, set_tid, set_tid_size, cgroup.
fn clone_arguments(sharing: u64, group: BorrowedFd<'_>) -> [u64; 11] {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let signal = u64::from(libc::SIGCHLD.unsigned_abs());
    let group = u64::from(group.as_raw_fd().unsigned_abs());
    [sharing | CLONE_INTO_CGROUP, 0, 0, 0, signal, 0, 0, 0, 0, 0, group]
}

/// fork(2) into a control group: clone3(2) with CLONE_INTO_CGROUP. To join later by a write would wait for the kernel's
/// lock over all forks, some milliseconds, and what the child had made by then would stay outside.
fn clone_into(group: BorrowedFd<'_>) -> nix::Result<c_int> {
    let arguments = clone_arguments(0, group);
    // SAFETY: the kernel reads `arguments`, whose size is given; without CLONE_VM the child has a copy of all memory and
    // continues here as after fork(2), on which the caller of `fork` relies.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, arguments.as_ptr(), size_of_val(&arguments)) };
    #[expect(clippy::cast_possible_truncation, reason = "a pid is an int")]
    Errno::result(pid).map(|pid| pid as c_int)
}

/// Makes a child in `group` that exits with 0 at once, and waits for its end: clone3(2) as vfork(2), without a copy of
/// foster's memory. The child is one more system call, in registers: it touches no memory. The caller reaps it.
///
/// # Errors
/// Where a child cannot be made in it: clone3(2), ENOSYS.
pub fn try_group(group: BorrowedFd<'_>) -> nix::Result<Pid> {
    let sharing = libc::CLONE_VM | libc::CLONE_VFORK;
    let arguments = clone_arguments(u64::from(sharing.unsigned_abs()), group);
    let (_address, _size) = (arguments.as_ptr(), size_of_val(&arguments));
    let result: i64;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel reads `arguments`, whose size is given. The child shares this stack and writes nothing to it:
    // the result is 0 only there, and exit(2) follows.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov eax, {exit}",
            "xor edi, edi",
            "syscall",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") _address,
            in("rsi") _size,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x8, {exit}",
            "svc 0",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("x0") _address => result,
            in("x1") _size,
            inlateout("x8") libc::SYS_clone3 => _,
        );
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        result = match fork(Some(group), |_| 0)? {
            child if child.is_in_group() => i64::from(child.pid().as_raw()),
            child => {
                process::wait_for(child.pid());
                -i64::from(libc::ENOSYS)
            }
        };
    }
    match i32::try_from(result) {
        Ok(pid) if pid > 0 => Ok(Pid::from_raw(pid)),
        Ok(error) => Err(Errno::from_raw(error.saturating_neg())),
        Err(_) => Err(Errno::EINVAL),
    }
}

fn run_child(body: impl FnOnce(&InChild) -> u8) -> ! {
    let _guard = ExitOnUnwind;
    let status = body(&InChild(()));
    // SAFETY: _exit takes a number and does not return; destructors and buffers belong to foster, not to the child.
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
    fn a_child_that_executes_nothing_exits_with_the_status_of_its_body() {
        let child = fork(None, |_| 42).unwrap();
        assert_eq!(waitpid(child.pid(), None), Ok(WaitStatus::Exited(child.pid(), 42)));
    }

    #[test]
    fn a_child_that_panics_exits_and_does_not_continue_as_a_second_foster() {
        let child = fork(None, |_| std::panic::resume_unwind(Box::new(()))).unwrap();
        assert_eq!(waitpid(child.pid(), None), Ok(WaitStatus::Exited(child.pid(), NOT_EXECUTED)));
    }

    #[test]
    fn a_child_is_signalled_until_it_is_reaped() {
        let child = fork(None, |_| {
            // Waits for the signal.
            loop {
                nix::unistd::pause();
            }
        })
        .unwrap();
        child.signal(Signal::TERM).unwrap();
        assert_eq!(waitpid(child.pid(), None), Ok(WaitStatus::Signaled(child.pid(), Number::SIGTERM, false)));
    }
}
