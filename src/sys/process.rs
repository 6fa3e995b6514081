//! foster as a process: reaping, credentials, and signals to groups and to all.
//!
//! It reaps its children and the orphans that it adopted; the map from numbers to runs is in `init/children.rs`. A child
//! is signalled through [`crate::sys::fork::ChildProcess`], any other process through [`crate::sys::pidfd`].
#![allow(unsafe_code, reason = "nix's waitpid(2) and kill(2) lose real-time signals")]

use std::ffi::{c_int, c_long, c_ulong};
use std::ptr;

use foster_core::ids::{Exit, KilledBy, Signal};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{self, Gid, Pid, Uid};

use crate::sys::user_namespace;

/// A process that has ended and was reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its number, which may be another's from now on.
    pub pid: Pid,
    /// How it ended.
    pub exit: Exit,
}

/// What became of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has ended and was reaped.
    Ended(Reaped),
    /// It was stopped by a signal, and can be continued.
    Stopped(Pid, Signal),
}

/// The user foster runs as: its effective ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub user: Uid,
    /// Group.
    pub group: Gid,
    /// Supplementary groups, in no order.
    pub groups: Vec<Gid>,
}

/// Reaps one child that has ended, adopted or not: waitpid(2). `None`: none has at the moment. Called
/// until then, since one SIGCHLD may stand for many.
pub fn reap() -> Option<Reaped> {
    loop {
        let (pid, status) = wait(-1, libc::WNOHANG | libc::__WALL).ok()?;
        if pid == 0 {
            return None;
        }
        // A stop is not an end; only a traced child reports one here, and foster traces none.
        if let Some(exit) = exit(status) {
            return Some(Reaped { pid: Pid::from_raw(pid), exit });
        }
    }
}

/// As [`reap`], and sees children that were stopped: WUNTRACED. Each stop is seen once.
pub fn reap_or_see_stop() -> Option<Change> {
    loop {
        let (pid, status) = wait(-1, libc::WNOHANG | libc::__WALL | libc::WUNTRACED).ok()?;
        let child = Pid::from_raw(pid);
        if pid == 0 {
            return None;
        }
        if let Some(exit) = exit(status) {
            return Some(Change::Ended(Reaped { pid: child, exit }));
        }
        let stop = libc::WIFSTOPPED(status).then(|| Signal::new(libc::WSTOPSIG(status))).flatten();
        if let Some(signal) = stop {
            return Some(Change::Stopped(child, signal));
        }
    }
}

/// Whether foster has a child, living or not reaped: waitid(2) with WNOWAIT.
pub fn has_children() -> bool {
    // SAFETY: a siginfo_t of zeros is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `info` is valid for a write.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
    Errno::result(result) != Err(Errno::ECHILD)
}

/// Whether this child has ended and waits to be reaped: waitid(2) with WNOWAIT.
pub fn has_ended(child: Pid) -> bool {
    child_state(child) == ChildState::Ended
}

/// The children of foster, found by asking about each number up to the kernel's default limit (`pid_max`): for where
/// /proc cannot tell.
pub fn children_by_number() -> Vec<Pid> {
    const DEFAULT_PID_MAX: c_int = 32_768;
    (2..=DEFAULT_PID_MAX).map(Pid::from_raw).filter(|pid| child_state(*pid) != ChildState::None).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChildState {
    /// It is not a child of foster.
    None,
    Alive,
    Ended,
}

fn child_state(pid: Pid) -> ChildState {
    let Ok(number) = libc::id_t::try_from(pid.as_raw()) else { return ChildState::None };
    // SAFETY: a siginfo_t of zeros is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `info` is valid for a write.
    if unsafe { libc::waitid(libc::P_PID, number, &raw mut info, flags) } != 0 {
        return ChildState::None;
    }
    if info.si_signo == 0 { ChildState::Alive } else { ChildState::Ended }
}

/// Makes foster adopt the orphans among its descendants: PR_SET_CHILD_SUBREAPER(2const).
///
/// # Errors
/// None on any Linux there is.
pub fn become_subreaper() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// Whether foster adopts orphans among its descendants: PR_GET_CHILD_SUBREAPER(2const). Children do not inherit this,
/// but it survives exec.
pub fn is_subreaper() -> bool {
    prctl::get_child_subreaper().unwrap_or(false)
}

/// Has foster get this signal when its parent dies: PR_SET_PDEATHSIG(2const). A parent that has died before this
/// call is noticed, and the signal sent at once.
///
/// # Errors
/// None for a signal there is.
pub fn follow_parent(signal: Signal) -> nix::Result<()> {
    let parent = unistd::getppid();
    let number = c_ulong::from(signal.number().unsigned_abs());
    // SAFETY: this operation takes a number.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, number) })?;
    match unistd::getppid() == parent {
        true => Ok(()),
        false => kill(unistd::getpid().as_raw(), signal.number()),
    }
}

/// Whether foster leads the session it is in: the one process of it that may give up the terminal for all.
pub fn leads_session() -> bool {
    unistd::getsid(None) == Ok(unistd::getpid())
}

/// Sends a signal to the process group that foster itself is in: kill(2) with 0.
///
/// # Errors
/// None: foster is in it.
pub fn signal_own_group(signal: Signal) -> nix::Result<()> {
    kill(0, signal.number())
}

/// Sends a signal to foster itself. Where it is blocked it stays pending.
pub fn signal_self(signal: Signal) {
    // It cannot fail: a process may signal itself.
    let _ = kill(unistd::getpid().as_raw(), signal.number());
}

/// Whether foster is the init of its PID namespace, so that every orphan there becomes its child.
pub fn is_init() -> bool {
    unistd::getpid() == Pid::from_raw(1)
}

/// The user foster runs as.
///
/// # Errors
/// getgroups(2): none that a correct call can give.
pub fn credentials() -> nix::Result<Credentials> {
    Ok(Credentials { user: unistd::geteuid(), group: unistd::getegid(), groups: groups()? })
}

/// foster's supplementary groups. Not by nix: sysconf(3) would read a file of /proc for it, at every start of a program.
fn groups() -> nix::Result<Vec<Gid>> {
    // SAFETY: with a size of 0 nothing is written.
    let count = Errno::result(unsafe { libc::getgroups(0, ptr::null_mut()) })?;
    let mut groups: Vec<libc::gid_t> = vec![0; usize::try_from(count).unwrap_or_default()];
    // SAFETY: the list is valid for writes of `count` groups; nothing changes them in between.
    let count = Errno::result(unsafe { libc::getgroups(count, groups.as_mut_ptr()) })?;
    groups.truncate(usize::try_from(count).unwrap_or_default());
    Ok(groups.into_iter().map(Gid::from_raw).collect())
}

/// Whether foster may set groups: CAP_SETGID is in effect, and its user namespace does not deny it.
pub fn may_set_groups() -> bool {
    !user_namespace::denies_groups()
        && caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SETGID).unwrap_or(false)
}

/// Whether foster may change users: CAP_SETUID and CAP_SETGID are in effect.
pub fn may_change_users() -> bool {
    may_set_groups()
        && caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SETUID).unwrap_or(false)
}

/// Whether foster may signal processes of other users: CAP_KILL is in effect.
pub fn may_signal_others() -> bool {
    caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_KILL).unwrap_or(false)
}

/// The capabilities that foster could give to a child, as bits by number.
pub fn permitted_capabilities() -> u64 {
    let permitted = caps::read(None, caps::CapSet::Permitted).unwrap_or_default();
    permitted.iter().fold(0, |mask, capability| mask | capability.bitmask())
}

/// Sends a signal to a process group: kill(2). Only while its leader is not reaped: until then the kernel gives
/// its number to no other process.
///
/// # Errors
/// ESRCH where it is empty, EPERM, EINVAL for 1 and below, which are not groups of programs.
pub fn signal_group(leader: Pid, signal: Signal) -> nix::Result<()> {
    match leader.as_raw() {
        group @ 2.. => kill(-group, signal.number()),
        _ => Err(Errno::EINVAL),
    }
}

/// Sends a signal to everything in foster's PID namespace but foster: kill(2) with -1.
///
/// # Errors
/// EPERM where foster is not its init: the rest is not its own then. ESRCH where there is nothing.
pub fn kill_all(signal: Signal) -> nix::Result<()> {
    match is_init() {
        true => kill(-1, signal.number()),
        false => Err(Errno::EPERM),
    }
}

/// Whether anything is left in foster's PID namespace but foster: kill(2) with -1 and no signal. `None`: foster is not its
/// init, and cannot know.
pub fn is_anything_left() -> Option<bool> {
    is_init().then(|| kill(-1, 0) != Err(Errno::ESRCH))
}

/// Sends a signal to a process by its number: kill(2). The number is that of a child that is not reaped, of an orphan that
/// foster adopted and has not reaped, or was looked at a moment ago. One that could mean a group is refused.
///
/// # Errors
/// ESRCH, EPERM: it runs as another user, and CAP_KILL is missing.
pub fn signal_number(pid: Pid, signal: Signal) -> nix::Result<()> {
    match pid.as_raw() {
        pid @ 1.. => kill(pid, signal.number()),
        _ => Err(Errno::EINVAL),
    }
}

fn wait(pid: c_int, options: c_int) -> nix::Result<(c_int, c_int)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is valid for a write.
        match Errno::result(unsafe { libc::waitpid(pid, &raw mut status, options) }) {
            Ok(pid) => return Ok((pid, status)),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn exit(status: c_int) -> Option<Exit> {
    if libc::WIFEXITED(status) {
        return u8::try_from(libc::WEXITSTATUS(status)).ok().map(Exit::Code);
    }
    if !libc::WIFSIGNALED(status) {
        return None;
    }
    Signal::new(libc::WTERMSIG(status)).map(|signal| Exit::Killed { signal, by: KilledBy::Unknown })
}

fn kill(target: c_int, signal: c_int) -> nix::Result<()> {
    // SAFETY: kill takes numbers only.
    Errno::result(unsafe { libc::kill(target, signal) }).map(drop)
}

/// Blocks exactly `new`, and tells what was blocked before: rt_sigprocmask(2).
pub(super) fn set_mask(new: u64, old: &mut u64) {
    let how = c_long::from(libc::SIG_SETMASK);
    // SAFETY: both masks have the 8 bytes given as their size; it cannot fail with them.
    unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, ptr::from_ref(&new), ptr::from_mut(old), 8_usize) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::isolated::{alone, alone_as_init, is_root};
    use std::process::Command;

    /// A child that has ended when this returns, and is not reaped: WNOWAIT.
    #[expect(clippy::zombie_processes, reason = "the test reaps it")]
    fn ended(script: &str) -> Pid {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        // SAFETY: a siginfo_t of zeros is valid.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let flags = libc::WEXITED | libc::WNOWAIT;
        // SAFETY: `info` is valid for a write.
        let result = unsafe { libc::waitid(libc::P_PID, child.id(), &raw mut info, flags) };
        assert_eq!(result, 0);
        Pid::from_raw(child.id().cast_signed())
    }

    #[test]
    fn a_code_a_signal_and_a_real_time_signal_are_told_apart() {
        if alone("sys::process::tests::a_code_a_signal_and_a_real_time_signal_are_told_apart").is_some() {
            return;
        }
        assert_eq!(reap(), None, "nothing was born yet");
        let real_time = Signal::new(40).unwrap();
        let killed = |signal| Exit::Killed { signal, by: KilledBy::Unknown };
        for (script, exit) in [
            ("exit 0", Exit::Code(0)),
            ("exit 255", Exit::Code(255)),
            ("kill -9 $$", killed(Signal::KILL)),
            ("kill -40 $$", killed(real_time)),
        ] {
            let pid = ended(script);
            assert_eq!(reap(), Some(Reaped { pid, exit }), "{script}");
            assert_eq!(reap(), None, "{script}");
        }
    }

    #[test]
    fn an_adopted_orphan_is_reaped_like_a_child() {
        if alone("sys::process::tests::an_adopted_orphan_is_reaped_like_a_child").is_some() {
            return;
        }
        become_subreaper().unwrap();
        // The orphan ends only when its parent has, so that it is adopted first.
        let orphan = "(while [ -d /proc/$$ ]; do :; done; exit 7) & exit 0";
        let parent = ended(orphan);
        assert_eq!(reap(), Some(Reaped { pid: parent, exit: Exit::Code(0) }));
        let (pid, status) = wait(-1, libc::__WALL).unwrap();
        assert_ne!(pid, parent.as_raw());
        assert_eq!(exit(status), Some(Exit::Code(7)));
        assert_eq!(reap(), None);
    }

    #[test]
    fn only_an_init_signals_everybody() {
        assert!(!is_init());
        assert_eq!(kill_all(Signal::TERM), Err(Errno::EPERM));
    }

    #[test]
    fn an_init_signals_everybody_but_itself() {
        use std::os::unix::process::ExitStatusExt;
        let name = "sys::process::tests::an_init_signals_everybody_but_itself";
        if !is_root() || alone_as_init(name).is_some() {
            return;
        }
        assert!(is_init());
        assert_eq!(kill_all(Signal::TERM), Err(Errno::ESRCH));
        let mut sleeps = [(); 2].map(|()| Command::new("sleep").arg("1000").spawn().unwrap());
        kill_all(Signal::TERM).unwrap();
        assert!(sleeps.iter_mut().all(|sleep| sleep.wait().unwrap().signal() == Some(15)));
    }

    #[test]
    fn no_group_is_signalled_that_could_be_foster_s_own_or_everybody() {
        for number in [i32::MIN, -1, 0, 1] {
            assert_eq!(signal_group(Pid::from_raw(number), Signal::TERM), Err(Errno::EINVAL), "{number}");
        }
    }

    #[test]
    fn a_signal_reaches_the_whole_group() {
        use std::os::unix::process::{CommandExt, ExitStatusExt};
        let mut leader = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let group = leader.id().cast_signed();
        let mut other = Command::new("sleep").arg("1000").process_group(group).spawn().unwrap();
        signal_group(Pid::from_raw(group), Signal::TERM).unwrap();
        assert_eq!(leader.wait().unwrap().signal(), Some(15));
        assert_eq!(other.wait().unwrap().signal(), Some(15));
    }
}
