//! What a child does between fork and exec: one system call each, or a few.
//!
//! Raw system calls wherever glibc's wrapper does more: those for user and group signal foster's other threads,
//! `sigaction` hides two signals. The order is decided by `spawn/child.rs` and `bare/start.rs`.
#![allow(unsafe_code, reason = "system calls that nix has no wrapper for, or one that does too much")]

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_long, c_ulong};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use foster_core::ids::Signal;
use nix::errno::Errno;

use crate::sys::descriptors;
use crate::sys::fork::InChild;
use crate::sys::signal;
use crate::sys::sigwait::{self, SignalSet};

#[cfg(not(any(target_arch = "arm", target_arch = "x86")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
// The plain numbers are of calls with 16-bit ids there.
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};

/// A list of strings as execve(2) wants it.
#[derive(Debug)]
pub struct StringList<'a> {
    strings: Vec<Cow<'a, CStr>>,
    pointers: Vec<*const c_char>,
}

/// No kernel has a capability with this number or a higher one (capget(2): two words of bits).
const CAPABILITY_BITS: u8 = 64;

impl<'a> StringList<'a> {
    /// Takes the strings.
    pub fn new(strings: Vec<Cow<'a, CStr>>) -> StringList<'a> {
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        StringList { strings, pointers }
    }

    /// How many bytes they are, with their terminators: what counts against E2BIG.
    pub fn size(&self) -> usize {
        self.strings.iter().map(|text| text.to_bytes_with_nul().len()).sum()
    }
}

impl InChild {
    /// Starts a session, without a terminal: setsid(2).
    ///
    /// # Errors
    /// None for a new process.
    pub fn new_session(&self) -> nix::Result<()> {
        // SAFETY: setsid takes no arguments.
        returned(unsafe { libc::syscall(libc::SYS_setsid) })
    }

    /// Starts a process group in the session it is in: setpgid(2).
    ///
    /// # Errors
    /// None for a new process that leads no session.
    pub fn new_group(&self) -> nix::Result<()> {
        // SAFETY: setpgid takes numbers only; 0 is the calling process.
        returned(unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) })
    }

    /// Makes its group, which it leads, the terminal's foreground: TIOCSPGRP of ioctl_tty(2). No SIGTTOU comes of
    /// that, since every signal is blocked here.
    ///
    /// # Errors
    /// ENOTTY where this is not the terminal of its session.
    pub fn take_foreground(&self, terminal: BorrowedFd<'_>) -> nix::Result<()> {
        // SAFETY: getpid takes no arguments. It is asked of the kernel: a child of clone has no cache.
        let group = unsafe { libc::syscall(libc::SYS_getpid) };
        #[expect(clippy::cast_possible_truncation, reason = "a pid is an int")]
        let group = group as libc::pid_t;
        // SAFETY: the call reads one pid_t, which `group` is.
        Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSPGRP, &raw const group) })
            .map(drop)
    }

    /// Makes this the terminal of the session it leads, with its group in the foreground: TIOCSCTTY of
    /// ioctl_tty(2).
    ///
    /// # Errors
    /// EPERM where it is another session's, ENOTTY where it is not a terminal.
    pub fn acquire_terminal(&self, terminal: BorrowedFd<'_>) -> nix::Result<()> {
        // SAFETY: this operation takes a number: 0, no stealing from another session.
        Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
    }

    /// Puts each of these where it is wanted, in any order and with numbers that overlap, and closes every other
    /// descriptor but `kept`, which gets a number above them if it has one of theirs: dup2(2), close_range(2). They
    /// stay open over exec, `kept` does not.
    ///
    /// # Errors
    /// EMFILE where one must be moved out of the way; EBADF for a number that the limits do not permit.
    pub fn place_descriptors(
        &self,
        wanted: &[(BorrowedFd<'_>, RawFd)],
        kept: &mut OwnedFd,
    ) -> nix::Result<()> {
        let above =
            wanted.iter().map(|(_, target)| target.saturating_add(1)).max().unwrap_or_default().max(3);
        if kept.as_raw_fd() < above {
            let moved = duplicate(kept.as_raw_fd(), above)?;
            // SAFETY: the kernel made this descriptor for this call, and nothing else owns it.
            *kept = unsafe { OwnedFd::from_raw_fd(moved) };
        }
        // Two rounds: a source may have the number of a target, and must not be overwritten before its turn.
        let mut moved = Vec::with_capacity(wanted.len());
        for (source, target) in wanted {
            let source = source.as_raw_fd();
            moved.push((if source < above { duplicate(source, above)? } else { source }, *target));
        }
        for (source, target) in moved {
            // SAFETY: dup2 takes two numbers; the table of descriptors is the child's alone.
            Errno::result(unsafe { libc::dup2(source, target) })?;
        }
        let targets = wanted.iter().map(|(_, target)| *target);
        descriptors::close_all_but(&targets.chain([kept.as_raw_fd()]).collect::<Vec<RawFd>>());
        Ok(())
    }

    /// Writes `text` to a file of proc(5), at once.
    ///
    /// # Errors
    /// open(2), write(2): ENOENT without /proc, EACCES and EPERM for values that are not permitted.
    pub fn write_file(&self, path: &CStr, text: &CStr) -> nix::Result<()> {
        // SAFETY: `path` ends with NUL; open takes no mode without O_CREAT.
        let file = Errno::result(unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) })?;
        let bytes = text.to_bytes();
        // SAFETY: `bytes` is valid for reads of its length.
        let written = Errno::result(unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) });
        // SAFETY: `file` was opened here and is not used again.
        unsafe { libc::close(file) };
        written.map(drop)
    }

    /// setrlimit(2).
    ///
    /// # Errors
    /// EPERM above the hard limit, EINVAL for a soft limit above the hard one.
    pub fn set_limit(&self, resource: rlimit::Resource, soft: u64, hard: u64) -> nix::Result<()> {
        rlimit::setrlimit(resource, soft, hard)
            .map_err(|error| error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw))
    }

    /// Sets the nice value: setpriority(2).
    ///
    /// # Errors
    /// EACCES for a lower value than is permitted.
    pub fn set_nice(&self, nice: i8) -> nix::Result<()> {
        // SAFETY: setpriority takes numbers only; 0 is the calling process.
        returned(unsafe {
            libc::syscall(libc::SYS_setpriority, c_long::from(libc::PRIO_PROCESS), 0, c_long::from(nice))
        })
    }

    /// umask(2).
    pub fn set_umask(&self, mask: u32) {
        // SAFETY: umask takes a number and cannot fail; the child has its own (no CLONE_FS).
        unsafe { libc::umask(mask) };
    }

    /// Sets the supplementary groups: setgroups(2).
    ///
    /// # Errors
    /// EPERM without CAP_SETGID, EINVAL for more than 65536.
    pub fn set_groups(&self, groups: &[libc::gid_t]) -> nix::Result<()> {
        // SAFETY: `groups` is valid for reads of its length.
        returned(unsafe { libc::syscall(SETGROUPS, groups.len(), groups.as_ptr()) })
    }

    /// Sets real, effective and saved group: setresgid(2).
    ///
    /// # Errors
    /// EPERM without CAP_SETGID, EINVAL for one that the user namespace does not map.
    pub fn set_group(&self, group: libc::gid_t) -> nix::Result<()> {
        // SAFETY: setresgid takes numbers only.
        returned(unsafe { libc::syscall(SETRESGID, group, group, group) })
    }

    /// Sets real, effective and saved user: setresuid(2).
    ///
    /// # Errors
    /// EPERM without CAP_SETUID, EINVAL for one that the user namespace does not map, EAGAIN.
    pub fn set_user(&self, user: libc::uid_t) -> nix::Result<()> {
        // SAFETY: setresuid takes numbers only.
        returned(unsafe { libc::syscall(SETRESUID, user, user, user) })
    }

    /// Keeps the permitted capabilities over a change of the user: PR_SET_KEEPCAPS(2const).
    ///
    /// # Errors
    /// EPERM where that is locked.
    pub fn keep_capabilities(&self) -> nix::Result<()> {
        prctl(libc::PR_SET_KEEPCAPS, 1, 0).map(drop)
    }

    /// Takes every capability that is not in `kept` out of the bounding set: PR_CAPBSET_DROP(2const).
    ///
    /// # Errors
    /// EPERM without CAP_SETPCAP, if there is one to take out.
    pub fn bound_capabilities(&self, kept: u64) -> nix::Result<()> {
        for capability in (0..CAPABILITY_BITS).filter(|number| kept >> number & 1 == 0) {
            match prctl(libc::PR_CAPBSET_READ, c_ulong::from(capability), 0) {
                Ok(0) => {}
                Ok(_) => drop(prctl(libc::PR_CAPBSET_DROP, c_ulong::from(capability), 0)?),
                // The kernel has no capability of this number, nor any after it.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Sets the permitted, effective and inheritable capabilities to exactly `kept`: capset(2).
    ///
    /// # Errors
    /// EPERM for one that is not permitted now.
    pub fn set_capabilities(&self, kept: u64) -> nix::Result<()> {
        #[repr(C)]
        struct Header {
            version: u32,
            pid: c_int,
        }
        #[repr(C)]
        #[derive(Clone, Copy)]
        struct Sets {
            effective: u32,
            permitted: u32,
            inheritable: u32,
        }
        /// `_LINUX_CAPABILITY_VERSION_3`: two words of 32 bits, the lower first.
        const VERSION: u32 = 0x2008_0522;
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of it")]
        let words = [kept as u32, (kept >> 32) as u32];
        let header = Header { version: VERSION, pid: 0 };
        let sets = words.map(|word| Sets { effective: word, permitted: word, inheritable: word });
        // SAFETY: both point to what capset reads with this version: a header and two sets.
        returned(unsafe { libc::syscall(libc::SYS_capset, ptr::from_ref(&header), sets.as_ptr()) })
    }

    /// Makes these survive the exec of an ordinary file: PR_CAP_AMBIENT(2const). They are permitted and
    /// inheritable already.
    ///
    /// # Errors
    /// EPERM where that is forbidden, EINVAL for what the kernel does not know.
    pub fn raise_ambient(&self, kept: u64) -> nix::Result<()> {
        for capability in (0..CAPABILITY_BITS).filter(|number| kept >> number & 1 == 1) {
            prctl(libc::PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c_ulong::from(capability))?;
        }
        Ok(())
    }

    /// No exec grants anything from now on: PR_SET_NO_NEW_PRIVS(2const).
    ///
    /// # Errors
    /// None on any Linux there is.
    pub fn forbid_new_privileges(&self) -> nix::Result<()> {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
    }

    /// chdir(2).
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EACCES and others of path_resolution(7).
    pub fn change_directory(&self, path: &CStr) -> nix::Result<()> {
        // SAFETY: `path` ends with NUL.
        returned(unsafe { libc::syscall(libc::SYS_chdir, path.as_ptr()) })
    }

    /// Enters a directory that was opened before: fchdir(2).
    ///
    /// # Errors
    /// EACCES where it must not be entered.
    pub fn enter_directory(&self, directory: BorrowedFd<'_>) -> nix::Result<()> {
        // SAFETY: fchdir takes a number.
        returned(unsafe { libc::syscall(libc::SYS_fchdir, directory.as_raw_fd()) })
    }

    /// Gives every signal its default disposition: exec alone would keep those that are ignored.
    pub fn reset_signal_dispositions(&self) {
        signal::reset_dispositions();
    }

    /// Gives one signal its default disposition.
    pub fn reset_disposition(&self, signal: Signal) {
        signal::stop_ignoring(signal);
    }

    /// Ignores this signal; that survives exec.
    pub fn ignore_signal(&self, signal: Signal) {
        signal::ignore(signal);
    }

    /// Lets every signal in: sigprocmask(2). Only when each has its default disposition.
    pub fn unblock_signals(&self) {
        self.set_blocked(SignalSet::NONE);
    }

    /// Blocks exactly these signals: sigprocmask(2).
    pub fn set_blocked(&self, signals: SignalSet) {
        sigwait::block(signals);
    }

    /// Becomes the program at `path`: execve(2). Returns only if that failed.
    pub fn execute(&self, path: &CStr, arguments: &StringList<'_>, environment: &StringList<'_>) -> Errno {
        let (arguments, environment) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
        // SAFETY: `path` ends with NUL; both lists end with a null pointer and point to strings that end with
        // NUL, which `StringList` owns.
        unsafe { libc::execve(path.as_ptr(), arguments, environment) };
        Errno::last()
    }

    /// The same with foster's own environment, as it was given. Nothing in foster ever changes that.
    pub fn execute_inheriting(&self, path: &CStr, arguments: &StringList<'_>) -> Errno {
        // SAFETY: it is read only, and nothing writes to it: foster has one thread and sets no variable.
        let environment = unsafe { environ };
        // SAFETY: as in `execute`; the kernel laid the environment out in the same form.
        unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment) };
        Errno::last()
    }
}

unsafe extern "C" {
    /// The variables, as environ(7) has them.
    static environ: *const *const c_char;
}

/// `libc` has it as an int; the call wants a long.
const PR_CAP_AMBIENT_RAISE: c_ulong = libc::PR_CAP_AMBIENT_RAISE as c_ulong;

fn prctl(operation: c_int, second: c_ulong, third: c_ulong) -> nix::Result<c_long> {
    let unused: c_ulong = 0;
    // SAFETY: the operations used here take numbers only; those not used are 0, as prctl(2) wants it.
    Errno::result(unsafe {
        libc::syscall(libc::SYS_prctl, c_long::from(operation), second, third, unused, unused)
    })
}

/// A copy with a number of at least `lowest`, closed by exec.
fn duplicate(number: RawFd, lowest: RawFd) -> nix::Result<RawFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes numbers and touches no memory.
    Errno::result(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, lowest) })
}

fn returned(result: c_long) -> nix::Result<()> {
    Errno::result(result).map(drop)
}
