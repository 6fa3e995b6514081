//! Processes by descriptor: a pidfd always refers to the same process, while a pid may be reused.
//!
//! For members of sessions and descendants that are not foster's children. A child is signalled by its pid
//! ([`crate::sys::fork::ChildProcess`]). Next: [`crate::sys::procfs`], which finds the processes.
#![allow(unsafe_code, reason = "nix has neither pidfd_open(2) nor pidfd_send_signal(2)")]

use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use foster_core::ids::Signal;
use nix::errno::Errno;
use nix::unistd::Pid;

/// Opens a descriptor of the process that has this pid now: pidfd_open(2). It is readable when the process has exited.
///
/// # Errors
/// ESRCH if there is none, EINVAL for a thread that is not a process, EMFILE, ENFILE, ENOMEM; ENOSYS before
/// Linux 5.3.
pub fn open(pid: Pid) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_open takes numbers only.
    let result = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })?;
    let number = c_int::try_from(result).map_err(|_| Errno::EOVERFLOW)?;
    // SAFETY: the kernel created this descriptor for this call, with CLOEXEC, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends a signal to that process: pidfd_send_signal(2).
///
/// # Errors
/// ESRCH if it was reaped, EPERM if it belongs to another user.
pub fn send(pidfd: impl AsFd, signal: Signal) -> nix::Result<()> {
    let pidfd = pidfd.as_fd().as_raw_fd();
    let no_info = ptr::null::<libc::siginfo_t>();
    // SAFETY: with a null `info` the kernel fills it in as for kill(2); the other arguments are numbers.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal.number(), no_info, 0) };
    Errno::result(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    #[test]
    fn a_signal_reaches_the_process_and_none_after_it_was_reaped() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pidfd = open(Pid::from_raw(child.id().cast_signed())).unwrap();
        let real_time = Signal::parse("RTMIN+3").unwrap();
        send(&pidfd, real_time).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(real_time.number()));
        assert_eq!(send(&pidfd, Signal::KILL), Err(Errno::ESRCH));
    }

    #[test]
    fn only_an_existing_process_can_be_opened() {
        assert_eq!(open(Pid::from_raw(-1)).unwrap_err(), Errno::EINVAL);
        assert_eq!(open(Pid::from_raw(0)).unwrap_err(), Errno::EINVAL);
        assert_eq!(open(Pid::from_raw(i32::MAX)).unwrap_err(), Errno::ESRCH);
    }
}
