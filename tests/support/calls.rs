//! The system calls of foster, each with the errors it may return.
//!
//! A call that is in neither table fails the sweep in `tests/faults.rs` and has to be added here.

use nix::errno::Errno;
use nix::libc;

use Errno::*;

/// A call, by name and number, and the errors to inject.
pub(crate) type Row = (&'static str, i64, &'static [Errno]);

/// The calls that can fail. The first error is the most likely.
pub(crate) const FAILING: &[Row] = &[
    // Files.
    ("openat", libc::SYS_openat, &[EMFILE, ENFILE, EACCES, EIO, ENOMEM]),
    ("openat2", libc::SYS_openat2, &[EMFILE, ENOSYS, EACCES]),
    ("read", libc::SYS_read, &[EIO, ENOMEM]),
    ("readv", libc::SYS_readv, &[EIO, ENOMEM]),
    ("pread64", libc::SYS_pread64, &[EIO, ENOMEM]),
    ("pwrite64", libc::SYS_pwrite64, &[EIO, ENOSPC, ENOMEM]),
    ("memfd_create", libc::SYS_memfd_create, &[EMFILE, ENOSYS]),
    ("write", libc::SYS_write, &[EIO, ENOSPC, EAGAIN]),
    ("writev", libc::SYS_writev, &[EIO, ENOSPC, EAGAIN]),
    ("pwritev2", libc::SYS_pwritev2, &[EIO, EOPNOTSUPP, ENOSYS]),
    ("lseek", libc::SYS_lseek, &[ESPIPE]),
    ("fstat", libc::SYS_fstat, &[EIO, ENOMEM]),
    ("newfstatat", libc::SYS_newfstatat, &[EACCES, EIO, ENOMEM]),
    ("statx", libc::SYS_statx, &[EACCES, EIO, ENOMEM, ENOSYS]),
    ("flock", libc::SYS_flock, &[ENOLCK, EAGAIN]),
    ("statfs", libc::SYS_statfs, &[EIO, EACCES]),
    ("fstatfs", libc::SYS_fstatfs, &[EIO]),
    ("faccessat", libc::SYS_faccessat, &[EACCES, EIO]),
    ("faccessat2", libc::SYS_faccessat2, &[EACCES, EIO, ENOSYS]),
    ("readlinkat", libc::SYS_readlinkat, &[EACCES, EIO, ENOENT]),
    ("getdents64", libc::SYS_getdents64, &[EIO, ENOMEM]),
    ("getcwd", libc::SYS_getcwd, &[ENOENT, EACCES]),
    ("chdir", libc::SYS_chdir, &[EACCES, EIO]),
    ("fchdir", libc::SYS_fchdir, &[EACCES, EIO]),
    ("mkdirat", libc::SYS_mkdirat, &[EACCES, ENOSPC]),
    ("unlinkat", libc::SYS_unlinkat, &[EACCES, EROFS, EIO]),
    ("renameat", libc::SYS_renameat, &[EACCES, ENOSPC, EIO]),
    ("renameat2", libc::SYS_renameat2, &[EACCES, ENOSPC, EIO]),
    ("ftruncate", libc::SYS_ftruncate, &[EIO, EPERM]),
    ("fchmod", libc::SYS_fchmod, &[EPERM, EIO]),
    ("fchmodat", libc::SYS_fchmodat, &[EPERM, EIO]),
    ("fchown", libc::SYS_fchown, &[EPERM, EIO]),
    ("fchownat", libc::SYS_fchownat, &[EPERM, EIO]),
    ("ioctl", libc::SYS_ioctl, &[EIO, ENOMEM]),
    ("fcntl", libc::SYS_fcntl, &[EMFILE, EINVAL]),
    ("dup", libc::SYS_dup, &[EMFILE]),
    ("dup3", libc::SYS_dup3, &[EBUSY, EMFILE]),
    ("pipe2", libc::SYS_pipe2, &[EMFILE, ENFILE]),
    ("close_range", libc::SYS_close_range, &[ENOSYS, EPERM]),
    // Events and time.
    ("epoll_create1", libc::SYS_epoll_create1, &[EMFILE, ENOMEM]),
    ("epoll_ctl", libc::SYS_epoll_ctl, &[ENOMEM, ENOSPC]),
    ("epoll_pwait", libc::SYS_epoll_pwait, &[EINTR]),
    ("epoll_pwait2", libc::SYS_epoll_pwait2, &[EINTR, ENOSYS]),
    ("ppoll", libc::SYS_ppoll, &[EINTR, ENOMEM]),
    ("signalfd4", libc::SYS_signalfd4, &[EMFILE, ENOMEM]),
    ("eventfd2", libc::SYS_eventfd2, &[EMFILE, ENOMEM]),
    // Sockets.
    ("socket", libc::SYS_socket, &[EMFILE, EACCES, ENOMEM]),
    ("socketpair", libc::SYS_socketpair, &[EMFILE, ENOMEM]),
    ("bind", libc::SYS_bind, &[EACCES, ENOMEM]),
    ("listen", libc::SYS_listen, &[EADDRINUSE]),
    ("accept4", libc::SYS_accept4, &[EMFILE, ENFILE, ECONNABORTED, ENOMEM, EPERM]),
    ("connect", libc::SYS_connect, &[EACCES, ECONNREFUSED, EAGAIN]),
    ("sendto", libc::SYS_sendto, &[ENOBUFS, EPIPE, ENOMEM]),
    ("sendmsg", libc::SYS_sendmsg, &[ENOBUFS, ENOMEM]),
    ("recvfrom", libc::SYS_recvfrom, &[ECONNRESET, ENOMEM]),
    ("recvmsg", libc::SYS_recvmsg, &[ECONNRESET, ENOMEM]),
    ("getsockopt", libc::SYS_getsockopt, &[ENOBUFS]),
    ("setsockopt", libc::SYS_setsockopt, &[ENOMEM]),
    ("getsockname", libc::SYS_getsockname, &[ENOBUFS]),
    ("shutdown", libc::SYS_shutdown, &[ENOTCONN]),
    // Processes.
    ("clone", libc::SYS_clone, &[EAGAIN, ENOMEM, EINVAL]),
    ("clone3", libc::SYS_clone3, &[EAGAIN, ENOMEM, ENOSYS]),
    ("execve", libc::SYS_execve, &[ENOMEM, EAGAIN, EIO, ETXTBSY]),
    ("unshare", libc::SYS_unshare, &[ENOMEM, EPERM]),
    ("wait4", libc::SYS_wait4, &[EINTR]),
    ("waitid", libc::SYS_waitid, &[EINTR]),
    ("kill", libc::SYS_kill, &[EPERM]),
    ("pidfd_open", libc::SYS_pidfd_open, &[EMFILE, ENFILE, ENOMEM, ENOSYS]),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, &[EPERM, ENOSYS]),
    ("prctl", libc::SYS_prctl, &[EINVAL, EPERM]),
    ("prlimit64", libc::SYS_prlimit64, &[EPERM]),
    ("setpriority", libc::SYS_setpriority, &[EACCES]),
    ("setsid", libc::SYS_setsid, &[EPERM]),
    ("setpgid", libc::SYS_setpgid, &[EPERM]),
    ("getsid", libc::SYS_getsid, &[EPERM]),
    ("setgroups", libc::SYS_setgroups, &[EPERM]),
    ("setresgid", libc::SYS_setresgid, &[EPERM]),
    ("setresuid", libc::SYS_setresuid, &[EAGAIN, EPERM]),
    ("capget", libc::SYS_capget, &[EPERM]),
    ("capset", libc::SYS_capset, &[EPERM]),
    ("sched_getaffinity", libc::SYS_sched_getaffinity, &[EPERM]),
    ("getrandom", libc::SYS_getrandom, &[ENOSYS, EAGAIN]),
    // Memory. Calls that foster cannot continue without are in EXCEPTED.
    ("madvise", libc::SYS_madvise, &[EAGAIN, EINVAL]),
    ("sigaltstack", libc::SYS_sigaltstack, &[ENOMEM]),
    // Only on x86-64.
    #[cfg(target_arch = "x86_64")]
    ("open", libc::SYS_open, &[EMFILE, EACCES, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("stat", libc::SYS_stat, &[EACCES, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("lstat", libc::SYS_lstat, &[EACCES, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("access", libc::SYS_access, &[EACCES, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("poll", libc::SYS_poll, &[EINTR, ENOMEM]),
    #[cfg(target_arch = "x86_64")]
    ("epoll_wait", libc::SYS_epoll_wait, &[EINTR]),
    #[cfg(target_arch = "x86_64")]
    ("dup2", libc::SYS_dup2, &[EBUSY, EMFILE]),
    #[cfg(target_arch = "x86_64")]
    ("rmdir", libc::SYS_rmdir, &[EBUSY, EACCES]),
    #[cfg(target_arch = "x86_64")]
    ("rename", libc::SYS_rename, &[EACCES, ENOSPC, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("unlink", libc::SYS_unlink, &[EACCES, EROFS, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("mkdir", libc::SYS_mkdir, &[EACCES, ENOSPC]),
    #[cfg(target_arch = "x86_64")]
    ("chmod", libc::SYS_chmod, &[EPERM, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("chown", libc::SYS_chown, &[EPERM, EIO]),
    #[cfg(target_arch = "x86_64")]
    ("readlink", libc::SYS_readlink, &[EACCES, EIO, ENOENT]),
    #[cfg(target_arch = "x86_64")]
    ("getpgrp", libc::SYS_getpgrp, &[]),
    #[cfg(target_arch = "x86_64")]
    ("vfork", libc::SYS_vfork, &[EAGAIN, ENOMEM]),
    #[cfg(target_arch = "x86_64")]
    ("fork", libc::SYS_fork, &[EAGAIN, ENOMEM]),
];

/// Calls without injected errors: they cannot fail (manual page), have an effect despite an error (close(2)), or allocate
/// memory, whose failure is an abort with a message.
pub(crate) const EXCEPTED: &[i64] = &[
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_restart_syscall,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getresuid,
    libc::SYS_getresgid,
    libc::SYS_getgroups,
    libc::SYS_umask,
    libc::SYS_uname,
    libc::SYS_clock_gettime,
    libc::SYS_sched_yield,
    libc::SYS_futex,
    libc::SYS_set_tid_address,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
];
