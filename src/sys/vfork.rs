//! A child that borrows foster's memory until it executes a program: clone(2) with CLONE_VM and CLONE_VFORK.
//!
//! A fork copies the page tables, so its cost grows with foster's memory; this does not. foster is suspended
//! until the child has executed or exited, so the child may say why it failed by writing to memory, where a
//! fork would need a pipe: no descriptors to run out of, nothing to read, nothing that can be half written.
//!
//! The rules, since the child writes to foster's memory: every signal is blocked around it, so that no handler
//! of foster's runs in it; it allocates nothing, takes no lock, panics never, and touches no thread-local but
//! `errno`. What it may do is what [`InChild`] offers (`in_child.rs`), and nothing else has an `InChild`.
//!
//! A program on a file system that hangs holds foster up until the file system answers: the price of knowing
//! at once whether a start failed. Next: `spawn/child.rs`, the order of steps.
#![allow(unsafe_code, reason = "clone(2) runs a function on a stack that it is given")]

use std::ffi::{c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;
use nix::unistd::Pid;

use crate::sys::child_stack::ChildStack;
use crate::sys::fork::InChild;
use crate::sys::{pidfd, process};

/// A process that executes its program: the kernel has gone past the point from which exec can come back.
#[derive(Debug)]
pub struct Child {
    /// Its number; not to be signalled with, since it is used again after it was reaped.
    pub pid: Pid,
    /// What it is signalled with (pidfd_open(2)).
    pub pidfd: OwnedFd,
}

/// Why there is no such process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure<F> {
    /// No child could be made.
    Clone(Errno),
    /// It was made, said this and is gone.
    Child(F),
}

/// Whether the child begins with foster's own table of descriptors, or with a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Descriptors {
    /// foster's own: the child changes none before it has left it ([`InChild::leave_descriptors`]).
    Shared {
        /// What has a number below this, the child keeps.
        above: RawFd,
    },
    /// A copy.
    Copied,
}

/// What parent and child share.
struct Call<'a, F> {
    body: &'a dyn Fn(&InChild) -> F,
    failure: Option<F>,
}

/// Runs `body` in a child. It returns only when it has failed to execute; the child then ends and is reaped
/// before this returns. `body` keeps to the rules at the top of this file.
///
/// # Errors
/// clone(2): EAGAIN (limits on processes), ENOMEM, ENOSYS or EPERM where a sandbox forbids it; or what `body`
/// returned.
pub fn vfork<F: Copy>(
    stack: &mut ChildStack,
    descriptors: Descriptors,
    body: &dyn Fn(&InChild) -> F,
) -> Result<Child, Failure<F>> {
    let mut call = Call { body, failure: None };
    let mut pidfd: c_int = -1;
    let dumpable = process::dumpable();
    let mask = process::block_signals();
    let pid = clone(stack, descriptors, &mut call, &mut pidfd);
    process::restore_signals(mask);
    // The memory is shared when the child changes its user, and the kernel then makes it undumpable for
    // foster too (PR_SET_DUMPABLE(2const)): /proc/self would no longer be foster's own.
    process::restore_dumpable(dumpable);

    let pid = pid.map_err(Failure::Clone)?;
    let pidfd = match pidfd {
        // A sandbox that knows no CLONE_PIDFD. Nobody else reaps, so the number is still the child's.
        -1 => pidfd::open(pid),
        // SAFETY: the kernel made this descriptor for this call, and nothing else owns it.
        number => Ok(unsafe { OwnedFd::from_raw_fd(number) }),
    };
    if let Some(failure) = call.failure {
        process::reap_this(pid);
        return Err(Failure::Child(failure));
    }
    pidfd.map(|pidfd| Child { pid, pidfd }).map_err(|errno| {
        process::kill_unreaped(pid);
        process::reap_this(pid);
        Failure::Clone(errno)
    })
}

fn clone<F: Copy>(
    stack: &mut ChildStack,
    descriptors: Descriptors,
    call: &mut Call<'_, F>,
    pidfd: &mut c_int,
) -> nix::Result<Pid> {
    let table = match descriptors {
        Descriptors::Shared { .. } => libc::CLONE_FILES,
        Descriptors::Copied => 0,
    };
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD | table;
    let argument = ptr::from_mut(call).cast::<c_void>();
    let no_tls = ptr::null_mut::<c_void>();
    let no_tid = ptr::null_mut::<c_int>();
    // SAFETY: `stack.top()` is the aligned end of mapped memory that only this child uses, since `stack` is
    // borrowed until it is done with it; `argument` is the `Call<F>` that `enter::<F>` expects and, since
    // CLONE_VFORK suspends this thread, outlives the child's use of it; `pidfd` is where CLONE_PIDFD writes
    // (its place is the third of the optional arguments' first); every signal is blocked.
    let result = unsafe {
        libc::clone(enter::<F>, stack.top(), flags, argument, ptr::from_mut(pidfd), no_tls, no_tid)
    };
    Errno::result(result).map(Pid::from_raw)
}

/// The child's first function. When it returns, the child exits with what it returns, without `atexit`.
extern "C" fn enter<F: Copy>(argument: *mut c_void) -> c_int {
    let call = argument.cast::<Call<'_, F>>();
    // SAFETY: `clone` passes a valid `Call<F>`, and its owner is suspended while this runs: no other access.
    let call = unsafe { &mut *call };
    call.failure = Some((call.body)(&InChild::in_place()));
    127
}
