//! foster as a process: reaping, credentials, and signals to groups and to all processes.
//!
//! It reaps its children and adopted orphans; `init/children.rs` maps pids to runs. A child is signalled through
//! [`crate::sys::fork::ChildProcess`], any other process through [`crate::sys::pidfd`].
#![allow(unsafe_code, reason = "nix's waitpid(2) and kill(2) lose real-time signals")]

use std::ffi::{c_int, c_long, c_ulong};
use std::ptr;

use foster_core::ids::{Exit, KilledBy, Signal};
use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{self, Gid, Pid, Uid};

use crate::sys::user_namespace;

/// Sets variables of foster's own environment: before anything else runs, since no other thread may read it.
pub fn set_variables(variables: &[(&str, String)]) {
    for (name, value) in variables {
        // SAFETY: foster has one thread, and nothing keeps a pointer into the environment.
        unsafe { std::env::set_var(name, value) };
    }
}

/// A process that has exited and was reaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaped {
    /// Its pid, which another process may get from now on.
    pub pid: Pid,
    /// Its exit status or signal.
    pub exit: Exit,
}

/// A change of a child's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It has exited and was reaped.
    Ended(Reaped),
    /// A signal has stopped it; SIGCONT continues it.
    Stopped(Pid, Signal),
}

/// foster's effective user and group ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User.
    pub user: Uid,
    /// Group.
    pub group: Gid,
    /// Supplementary groups, in any order.
    pub groups: Vec<Gid>,
}

/// Reaps one child that has exited, adopted or not: waitpid(2). `None`: there is none. Call it until then, because one
/// SIGCHLD may stand for several exits.
pub fn reap() -> Option<Reaped> {
    loop {
        let (pid, status) = wait(-1, libc::WNOHANG | libc::__WALL).ok()?;
        if pid == 0 {
            return None;
        }
        // Without WUNTRACED only a traced child reports a stop, and foster traces none.
        if let Some(exit) = exit(status) {
            return Some(Reaped { pid: Pid::from_raw(pid), exit });
        }
    }
}

/// Waits for a child that ends by itself at once, and reaps it: for the bring-up, while nothing else runs. `None`: it
/// cannot be waited for.
pub fn wait_for(child: Pid) -> Option<Exit> {
    wait(child.as_raw(), libc::__WALL).ok().and_then(|(_, status)| exit(status))
}

/// Like [`reap`], but also returns children that were stopped: WUNTRACED. Each stop is returned once.
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

/// Whether foster has a child, running or not reaped: waitid(2) with WNOWAIT.
pub fn has_children() -> bool {
    // SAFETY: a siginfo_t of zeros is valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: `info` is valid for a write.
    let result = unsafe { libc::waitid(libc::P_ALL, 0, &raw mut info, flags) };
    Errno::result(result) != Err(Errno::ECHILD)
}

/// Whether this is a child of foster, also after its end, until it is reaped: waitid(2) with WNOWAIT.
pub fn is_child(pid: Pid) -> bool {
    pid.as_raw() > 1 && child_state(pid) != ChildState::None
}

/// Whether this child has exited and is not reaped: waitid(2) with WNOWAIT.
pub fn has_ended(child: Pid) -> bool {
    child_state(child) == ChildState::Ended
}

/// Finds the children of foster without /proc: asks waitid(2) about each pid up to the kernel's default limit
/// (`pid_max`).
pub fn children_by_number() -> Vec<Pid> {
    const DEFAULT_PID_MAX: c_int = 32_768;
    (2..=DEFAULT_PID_MAX).map(Pid::from_raw).filter(|pid| child_state(*pid) != ChildState::None).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChildState {
    /// Not a child of foster.
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
/// None on a supported Linux.
pub fn become_subreaper() -> nix::Result<()> {
    prctl::set_child_subreaper(true)
}

/// Whether foster adopts orphans among its descendants: PR_GET_CHILD_SUBREAPER(2const). Children do not inherit this,
/// but it survives exec.
pub fn is_subreaper() -> bool {
    prctl::get_child_subreaper().unwrap_or(false)
}

/// Requests this signal at the parent's death: PR_SET_PDEATHSIG(2const). If the parent has died before this call, the
/// signal is sent at once.
///
/// # Errors
/// None for a valid signal.
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

/// Whether foster leads its session: only the leader can release the terminal for the whole session.
pub fn leads_session() -> bool {
    unistd::getsid(None) == Ok(unistd::getpid())
}

/// Sends a signal to foster's own process group: kill(2) with 0.
///
/// # Errors
/// None, because foster is a member.
pub fn signal_own_group(signal: Signal) -> nix::Result<()> {
    kill(0, signal.number())
}

/// Sends a signal to foster itself. A blocked signal stays pending.
pub fn signal_self(signal: Signal) {
    // It cannot fail: a process may signal itself.
    let _ = kill(unistd::getpid().as_raw(), signal.number());
}

/// Whether foster is the init of its PID namespace, so that every orphan there becomes its child.
pub fn is_init() -> bool {
    unistd::getpid() == Pid::from_raw(1)
}

/// Returns foster's effective user and group ids.
///
/// # Errors
/// getgroups(2): none for a correct call.
pub fn credentials() -> nix::Result<Credentials> {
    Ok(Credentials { user: unistd::geteuid(), group: unistd::getegid(), groups: groups()? })
}

/// foster's supplementary groups. nix's wrapper calls sysconf(3), which would read a file of /proc at every start of a
/// program.
fn groups() -> nix::Result<Vec<Gid>> {
    // SAFETY: with a size of 0 nothing is written.
    let count = Errno::result(unsafe { libc::getgroups(0, ptr::null_mut()) })?;
    let mut groups: Vec<libc::gid_t> = vec![0; usize::try_from(count).unwrap_or_default()];
    // SAFETY: the list is valid for writes of `count` groups; nothing changes their number in between.
    let count = Errno::result(unsafe { libc::getgroups(count, groups.as_mut_ptr()) })?;
    groups.truncate(usize::try_from(count).unwrap_or_default());
    Ok(groups.into_iter().map(Gid::from_raw).collect())
}

/// Whether foster may set groups: CAP_SETGID is effective, and its user namespace does not deny it.
pub fn may_set_groups() -> bool {
    !user_namespace::denies_groups()
        && caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SETGID).unwrap_or(false)
}

/// Whether foster may change users: CAP_SETUID and CAP_SETGID are effective.
pub fn may_change_users() -> bool {
    may_set_groups()
        && caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SETUID).unwrap_or(false)
}

/// Whether foster may signal processes of other users: CAP_KILL is effective.
pub fn may_signal_others() -> bool {
    caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_KILL).unwrap_or(false)
}

/// The capabilities that foster can give to a child, as a bit set.
pub fn permitted_capabilities() -> u64 {
    let permitted = caps::read(None, caps::CapSet::Permitted).unwrap_or_default();
    permitted.iter().fold(0, |mask, capability| mask | capability.bitmask())
}

/// Sends a signal to a process group: kill(2). Only while its leader is not reaped: until then the kernel does not reuse
/// the leader's pid.
///
/// # Errors
/// ESRCH if it is empty, EPERM; EINVAL for 1 and below, which are not groups of programs.
pub fn signal_group(leader: Pid, signal: Signal) -> nix::Result<()> {
    match leader.as_raw() {
        group @ 2.. => kill(-group, signal.number()),
        _ => Err(Errno::EINVAL),
    }
}

/// Sends a signal to every other process of foster's PID namespace: kill(2) with -1.
///
/// # Errors
/// EPERM if foster is not the namespace's init: the other processes are not foster's then. ESRCH if there is none.
pub fn kill_all(signal: Signal) -> nix::Result<()> {
    match is_init() {
        true => kill(-1, signal.number()),
        false => Err(Errno::EPERM),
    }
}

/// Whether foster's PID namespace has another process: kill(2) with -1 and no signal. `None`: foster is not its init and
/// cannot know.
pub fn is_anything_left() -> Option<bool> {
    is_init().then(|| kill(-1, 0) != Err(Errno::ESRCH))
}

/// Sends a signal to a process by its pid: kill(2). The caller has not reaped the process, or has just checked that the
/// pid is still that process's. A number that kill(2) takes for a group is refused.
///
/// # Errors
/// ESRCH; EPERM if it runs as another user and CAP_KILL is missing.
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

/// Blocks exactly `new` and stores the previous mask in `old`: rt_sigprocmask(2).
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

    /// Returns a child that has exited and is not reaped: WNOWAIT.
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
    fn a_code_a_signal_and_a_real_time_signal_are_distinguished() {
        if alone("sys::process::tests::a_code_a_signal_and_a_real_time_signal_are_distinguished").is_some() {
            return;
        }
        assert_eq!(reap(), None, "no child exists yet");
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
        // The orphan exits after its parent, so that it is adopted first.
        let orphan = "(while [ -d /proc/$$ ]; do :; done; exit 7) & exit 0";
        let parent = ended(orphan);
        assert_eq!(reap(), Some(Reaped { pid: parent, exit: Exit::Code(0) }));
        let (pid, status) = wait(-1, libc::__WALL).unwrap();
        assert_ne!(pid, parent.as_raw());
        assert_eq!(exit(status), Some(Exit::Code(7)));
        assert_eq!(reap(), None);
    }

    #[test]
    fn only_an_init_signals_all_processes() {
        assert!(!is_init());
        assert_eq!(kill_all(Signal::TERM), Err(Errno::EPERM));
    }

    #[test]
    fn an_init_signals_all_processes_but_itself() {
        use std::os::unix::process::ExitStatusExt;
        let name = "sys::process::tests::an_init_signals_all_processes_but_itself";
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
    fn a_group_that_could_mean_fosters_own_or_all_processes_is_not_signalled() {
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
