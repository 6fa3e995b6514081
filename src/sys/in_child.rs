//! The steps of a child between fork and exec: one system call each, or a few.
//!
//! Raw system calls are used if glibc's wrapper does more: those for user and group synchronize all threads, and
//! `sigaction` hides two signals. `spawn/child.rs` and `bare/start.rs` decide the order.
#![allow(unsafe_code, reason = "system calls without a wrapper in nix, or with one that does too much")]

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
// On these architectures the plain numbers are of calls with 16-bit ids.
#[cfg(any(target_arch = "arm", target_arch = "x86"))]
use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};

/// A list of strings in the form of execve(2).
#[derive(Debug)]
pub struct StringList<'a> {
    strings: Vec<Cow<'a, CStr>>,
    pointers: Vec<*const c_char>,
}

/// No kernel has a capability with this number or a higher one (capget(2): two words of bits).
const CAPABILITY_BITS: u8 = 64;

impl<'a> StringList<'a> {
    /// Creates a list of these strings.
    pub fn new(strings: Vec<Cow<'a, CStr>>) -> StringList<'a> {
        let pointers = strings.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect();
        StringList { strings, pointers }
    }

    /// The size of the strings with their terminators, which counts against E2BIG.
    pub fn size(&self) -> usize {
        self.strings.iter().map(|text| text.to_bytes_with_nul().len()).sum()
    }
}

impl InChild {
    /// Creates a session without a terminal: setsid(2).
    ///
    /// # Errors
    /// None for a new process.
    pub fn new_session(&self) -> nix::Result<()> {
        // SAFETY: setsid takes no arguments.
        returned(unsafe { libc::syscall(libc::SYS_setsid) })
    }

    /// Creates a process group in the current session: setpgid(2).
    ///
    /// # Errors
    /// None for a new process that does not lead a session.
    pub fn new_group(&self) -> nix::Result<()> {
        // SAFETY: setpgid takes numbers only; 0 is the calling process.
        returned(unsafe { libc::syscall(libc::SYS_setpgid, 0, 0) })
    }

    /// Puts its own group, which it leads, into the terminal's foreground: TIOCSPGRP of ioctl_tty(2). It gets no SIGTTOU,
    /// because every signal is blocked here.
    ///
    /// # Errors
    /// ENOTTY if this is not the terminal of its session.
    pub fn take_foreground(&self, terminal: BorrowedFd<'_>) -> nix::Result<()> {
        // SAFETY: getpid takes no arguments.
        let group = unsafe { libc::syscall(libc::SYS_getpid) };
        #[expect(clippy::cast_possible_truncation, reason = "a pid is an int")]
        let group = group as libc::pid_t;
        // SAFETY: the call reads one pid_t: `group`.
        Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSPGRP, &raw const group) })
            .map(drop)
    }

    /// Makes this the terminal of the session that it leads, with its group in the foreground: TIOCSCTTY of
    /// ioctl_tty(2).
    ///
    /// # Errors
    /// EPERM if it belongs to another session, ENOTTY if it is not a terminal.
    pub fn acquire_terminal(&self, terminal: BorrowedFd<'_>) -> nix::Result<()> {
        // SAFETY: this operation takes a number; 0 does not steal the terminal from another session.
        Errno::result(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }).map(drop)
    }

    /// Moves each of these descriptors to its wanted number, in any order and with overlapping numbers, and closes every
    /// other descriptor except `kept`, which are moved above them if they have one of the wanted numbers: dup2(2),
    /// close_range(2). They survive exec; `kept` do not.
    ///
    /// # Errors
    /// EMFILE if one must be moved first; EBADF for a number that the limits do not permit.
    pub fn place_descriptors(
        &self,
        wanted: &[(BorrowedFd<'_>, RawFd)],
        kept: &mut [&mut OwnedFd],
    ) -> nix::Result<()> {
        let above =
            wanted.iter().map(|(_, target)| target.saturating_add(1)).max().unwrap_or_default().max(3);
        for kept in kept.iter_mut().filter(|kept| kept.as_raw_fd() < above) {
            let moved = duplicate(kept.as_raw_fd(), above)?;
            // SAFETY: the kernel created this descriptor for this call, and nothing else owns it.
            **kept = unsafe { OwnedFd::from_raw_fd(moved) };
        }
        // Two rounds, because a source may have the number of another one's target.
        let mut moved = Vec::with_capacity(wanted.len());
        for (source, target) in wanted {
            let source = source.as_raw_fd();
            moved.push((if source < above { duplicate(source, above)? } else { source }, *target));
        }
        for (source, target) in moved {
            // SAFETY: dup2 takes two numbers; the child shares its descriptors with no other process.
            Errno::result(unsafe { libc::dup2(source, target) })?;
        }
        let targets = wanted.iter().map(|(_, target)| *target);
        let kept = kept.iter().map(|kept| kept.as_raw_fd());
        descriptors::close_all_except(&targets.chain(kept).collect::<Vec<RawFd>>());
        Ok(())
    }

    /// Writes `text` to a file of proc(5) with one write.
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
    /// EACCES for a value lower than permitted.
    pub fn set_nice(&self, nice: i8) -> nix::Result<()> {
        // SAFETY: setpriority takes numbers only; 0 is the calling process.
        returned(unsafe {
            libc::syscall(libc::SYS_setpriority, c_long::from(libc::PRIO_PROCESS), 0, c_long::from(nice))
        })
    }

    /// umask(2).
    pub fn set_umask(&self, mask: u32) {
        // SAFETY: umask takes a number and cannot fail; the child does not share it (no CLONE_FS).
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
    /// EPERM without CAP_SETGID, EINVAL for a group that the user namespace does not map.
    pub fn set_group(&self, group: libc::gid_t) -> nix::Result<()> {
        // SAFETY: setresgid takes numbers only.
        returned(unsafe { libc::syscall(SETRESGID, group, group, group) })
    }

    /// Sets real, effective and saved user: setresuid(2).
    ///
    /// # Errors
    /// EPERM without CAP_SETUID, EINVAL for a user that the user namespace does not map, EAGAIN.
    pub fn set_user(&self, user: libc::uid_t) -> nix::Result<()> {
        // SAFETY: setresuid takes numbers only.
        returned(unsafe { libc::syscall(SETRESUID, user, user, user) })
    }

    /// Keeps the permitted capabilities across a change of the user: PR_SET_KEEPCAPS(2const).
    ///
    /// # Errors
    /// EPERM if the flag is locked.
    pub fn keep_capabilities(&self) -> nix::Result<()> {
        prctl(libc::PR_SET_KEEPCAPS, 1, 0).map(drop)
    }

    /// Drops every capability that is not in `kept` from the bounding set: PR_CAPBSET_DROP(2const).
    ///
    /// # Errors
    /// EPERM without CAP_SETPCAP, if there is one to drop.
    pub fn bound_capabilities(&self, kept: u64) -> nix::Result<()> {
        for capability in (0..CAPABILITY_BITS).filter(|number| kept >> number & 1 == 0) {
            match prctl(libc::PR_CAPBSET_READ, c_ulong::from(capability), 0) {
                Ok(0) => {}
                Ok(_) => drop(prctl(libc::PR_CAPBSET_DROP, c_ulong::from(capability), 0)?),
                // The kernel has no capability with this number or a higher one.
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Sets the permitted, effective and inheritable capabilities to exactly `kept`: capset(2).
    ///
    /// # Errors
    /// EPERM for a capability that is not permitted.
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
        // SAFETY: with this version capset reads a header and two sets, which both pointers have.
        returned(unsafe { libc::syscall(libc::SYS_capset, ptr::from_ref(&header), sets.as_ptr()) })
    }

    /// Makes these capabilities, which are permitted and inheritable, survive the exec of a file without file
    /// capabilities: PR_CAP_AMBIENT(2const).
    ///
    /// # Errors
    /// EPERM if that is forbidden, EINVAL for an unknown capability.
    pub fn raise_ambient(&self, kept: u64) -> nix::Result<()> {
        for capability in (0..CAPABILITY_BITS).filter(|number| kept >> number & 1 == 1) {
            prctl(libc::PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, c_ulong::from(capability))?;
        }
        Ok(())
    }

    /// Prevents every later exec from granting privileges: PR_SET_NO_NEW_PRIVS(2const).
    ///
    /// # Errors
    /// None on a supported Linux.
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
    /// EACCES if it must not be entered.
    pub fn enter_directory(&self, directory: BorrowedFd<'_>) -> nix::Result<()> {
        // SAFETY: fchdir takes a number.
        returned(unsafe { libc::syscall(libc::SYS_fchdir, directory.as_raw_fd()) })
    }

    /// Sets every signal to its default disposition, because exec keeps signals ignored.
    pub fn reset_signal_dispositions(&self) {
        signal::reset_dispositions();
    }

    /// Sets one signal to its default disposition.
    pub fn reset_disposition(&self, signal: Signal) {
        signal::stop_ignoring(signal);
    }

    /// Ignores this signal, also after exec.
    pub fn ignore_signal(&self, signal: Signal) {
        signal::ignore(signal);
    }

    /// Unblocks every signal: sigprocmask(2). All must have their default disposition.
    pub fn unblock_signals(&self) {
        self.set_blocked(SignalSet::NONE);
    }

    /// Blocks exactly these signals: sigprocmask(2).
    pub fn set_blocked(&self, signals: SignalSet) {
        sigwait::block(signals);
    }

    /// Executes the program at `path`: execve(2). Returns only after a failure.
    pub fn execute(&self, path: &CStr, arguments: &StringList<'_>, environment: &StringList<'_>) -> Errno {
        let (arguments, environment) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
        // SAFETY: `path` ends with NUL; both lists end with a null pointer, and `StringList` owns the strings, which end
        // with NUL.
        unsafe { libc::execve(path.as_ptr(), arguments, environment) };
        Errno::last()
    }

    /// The same with foster's own environment, which foster never changes.
    pub fn execute_inheriting(&self, path: &CStr, arguments: &StringList<'_>) -> Errno {
        // SAFETY: nothing writes to it: foster has one thread and sets no variable.
        let environment = unsafe { environ };
        // SAFETY: as in `execute`; the environment has the same form (environ(7)).
        unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment) };
        Errno::last()
    }
}

unsafe extern "C" {
    /// The environment (environ(7)).
    static environ: *const *const c_char;
}

/// prctl(2) takes longs; `libc` defines it as an int.
const PR_CAP_AMBIENT_RAISE: c_ulong = libc::PR_CAP_AMBIENT_RAISE as c_ulong;

fn prctl(operation: c_int, second: c_ulong, third: c_ulong) -> nix::Result<c_long> {
    let unused: c_ulong = 0;
    // SAFETY: the operations used here take numbers only; unused arguments are 0 (prctl(2)).
    Errno::result(unsafe {
        libc::syscall(libc::SYS_prctl, c_long::from(operation), second, third, unused, unused)
    })
}

/// Duplicates to a number of at least `lowest`, with CLOEXEC.
fn duplicate(number: RawFd, lowest: RawFd) -> nix::Result<RawFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes numbers and touches no memory.
    Errno::result(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, lowest) })
}

fn returned(result: c_long) -> nix::Result<()> {
    Errno::result(result).map(drop)
}
