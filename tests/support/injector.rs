//! Injects a fault into one system call of foster, or a signal just before it.
//!
//! It uses seccomp(2)'s user notification (seccomp_unotify(2)): `examples/container/` installs a filter that asks for a
//! decision before each watched call, and passes its listener to the test. A thread of the test lets the call continue or
//! fail. The thread ends with the last process that has the filter.
#![allow(clippy::wildcard_enum_match_arm, reason = "control messages of other kinds are of no interest")]
#![allow(unsafe_code, reason = "the ioctls of seccomp_unotify(2) have no safe wrapper")]

use std::collections::BTreeMap;
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use tempfile::TempDir;

use super::builder::Foster;

/// The process that makes the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caller {
    /// The supervisor itself.
    Foster,
    /// A child of foster before its exec.
    Child,
}

/// The system call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) caller: Caller,
    /// The number of the call.
    pub(crate) call: i64,
    /// The occurrence of the call, counted from 1.
    pub(crate) occurrence: u64,
    pub(crate) errno: Errno,
}

/// The action of an injector.
#[derive(Debug, Clone, Copy)]
enum Plan {
    /// Only counts the calls.
    Count,
    /// One call fails.
    Fail(Fault),
    /// The supervisor waits for events only when the test lets it ([`Injector::let_wait`]).
    Hold,
    /// The supervisor gets this signal before its call of this number, of any kind.
    Signal { number: i32, before: u64 },
}

/// The number of calls of each caller and kind.
pub(crate) type Calls = BTreeMap<(Caller, i64), u64>;

/// How many waits of the supervisor have begun, and how many the test lets go on.
#[derive(Default)]
struct Waits {
    begun: u32,
    allowed: u32,
}

/// The calls that wait for events.
#[cfg(target_arch = "x86_64")]
const WAITS: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_epoll_pwait];
#[cfg(not(target_arch = "x86_64"))]
const WAITS: &[i64] = &[libc::SYS_epoll_pwait];

/// The thread that decides on calls, and its counts.
pub(crate) struct Injector {
    waits: Arc<(Mutex<Waits>, Condvar)>,
    folder: TempDir,
    plan: Plan,
    calls: Arc<Mutex<Calls>>,
    thread: JoinHandle<()>,
}

impl Injector {
    /// Counts every call and lets it continue.
    pub(crate) fn counting() -> Injector {
        Injector::start(Plan::Count)
    }

    /// Lets one call fail.
    pub(crate) fn failing(fault: Fault) -> Injector {
        Injector::start(Plan::Fail(fault))
    }

    /// Sends the supervisor a signal just before its call of this number, counted from 1 over all calls.
    pub(crate) fn signalling(number: i32, before: u64) -> Injector {
        Injector::start(Plan::Signal { number, before })
    }

    /// Holds the supervisor before each wait for events, so that a test decides what comes together.
    pub(crate) fn holding() -> Injector {
        Injector::start(Plan::Hold)
    }

    /// Whether the supervisor is held before a wait.
    pub(crate) fn is_held(&self) -> bool {
        let waits = lock(&self.waits.0);
        waits.begun > waits.allowed
    }

    /// Lets the supervisor wait, this once.
    pub(crate) fn let_wait(&self) {
        lock(&self.waits.0).allowed += 1;
        self.waits.1.notify_all();
    }

    /// Holds it no longer.
    pub(crate) fn let_go(&self) {
        lock(&self.waits.0).allowed = u32::MAX;
        self.waits.1.notify_all();
    }

    fn start(plan: Plan) -> Injector {
        let folder = TempDir::with_prefix("injector-").expect("a temporary folder");
        let socket = UnixListener::bind(folder.path().join("socket")).expect("a socket");
        let calls = Arc::new(Mutex::new(Calls::new()));
        let counts = Arc::clone(&calls);
        let waits = Arc::new((Mutex::new(Waits::default()), Condvar::new()));
        let held = Arc::clone(&waits);
        let thread = thread::spawn(move || answer_all(&receive_listener(&socket), plan, &counts, &held));
        Injector { waits, folder, plan, calls, thread }
    }

    /// The counts so far.
    pub(crate) fn so_far(&self) -> Calls {
        lock(&self.calls).clone()
    }

    /// The counts when the last process with the filter has exited.
    pub(crate) fn finish(self) -> Calls {
        self.thread.join().expect("the thread that answers");
        lock(&self.calls).clone()
    }
}

impl Foster {
    /// Passes its system calls through this injector.
    pub(crate) fn injected(self, injector: &Injector) -> Foster {
        let socket = injector.folder.path().join("socket").display().to_string();
        let foster = self.container_options(&["--watched-by", &socket]);
        match injector.plan {
            Plan::Fail(fault) => foster.container_options(&["--watch", &fault.call.to_string()]),
            Plan::Hold => WAITS
                .iter()
                .fold(foster, |foster, call| foster.container_options(&["--watch", &call.to_string()])),
            Plan::Count | Plan::Signal { .. } => foster,
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn receive_listener(socket: &UnixListener) -> OwnedFd {
    let (stream, _) = socket.accept().expect("the container");
    let mut byte = [0];
    let mut pieces = [IoSliceMut::new(&mut byte)];
    let mut space = cmsg_space!(i32);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message =
        recvmsg::<()>(stream.as_raw_fd(), &mut pieces, Some(&mut space), flags).expect("its listener");
    let rights = message.cmsgs().expect("a control message").find_map(|message| match message {
        ControlMessageOwned::ScmRights(numbers) => numbers.first().copied(),
        // Other kinds have no descriptor.
        _ => None,
    });
    // SAFETY: the kernel created this descriptor for this message, and nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(rights.expect("a descriptor")) }
}

fn answer_all(listener: &OwnedFd, plan: Plan, calls: &Mutex<Calls>, waits: &(Mutex<Waits>, Condvar)) {
    loop {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::NONE).expect("poll");
        let ready = fds[0].revents().unwrap_or(PollFlags::empty());
        if !ready.contains(PollFlags::POLLIN) {
            // A hang-up: no process has the filter any longer.
            return;
        }
        let Some(notification) = next(listener) else { continue };
        if let Plan::Hold = plan {
            let mut held = lock(&waits.0);
            held.begun = held.begun.saturating_add(1);
            while held.begun > held.allowed {
                held = waits.1.wait(held).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let error =
            caller_of(&notification).and_then(|caller| inject(&notification, caller, plan, &mut lock(calls)));
        answer(listener, notification.id, error);
    }
}

/// Counts the call and carries out the plan; returns the error of the call.
fn inject(
    notification: &libc::seccomp_notif,
    caller: Caller,
    plan: Plan,
    calls: &mut Calls,
) -> Option<Errno> {
    let call = i64::from(notification.data.nr);
    let count = calls.entry((caller, call)).or_default();
    *count += 1;
    match plan {
        Plan::Count | Plan::Hold => None,
        Plan::Fail(fault) => {
            ((fault.caller, fault.call, fault.occurrence) == (caller, call, *count)).then_some(fault.errno)
        }
        Plan::Signal { number, before } => {
            let made: u64 = calls.iter().filter(|((by, _), _)| *by == Caller::Foster).map(|(_, n)| n).sum();
            if caller == Caller::Foster && made == before {
                let pid = i32::try_from(notification.pid).expect("a pid");
                // SAFETY: kill(2) has no precondition, and the process cannot exit before its call is answered.
                unsafe { libc::kill(pid, number) };
            }
            None
        }
    }
}

/// Receives the next notification; `None`: its process has exited (ENOENT).
fn next(listener: &OwnedFd) -> Option<libc::seccomp_notif> {
    // SAFETY: a seccomp_notif of zeros is valid, and the kernel requires it.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one seccomp_notif.
    let result =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) };
    match Errno::result(result) {
        Ok(_) => Some(notification),
        Err(Errno::ENOENT | Errno::EINTR) => None,
        Err(error) => panic!("cannot receive a notification: {error}"),
    }
}

fn answer(listener: &OwnedFd, id: u64, error: Option<Errno>) {
    let (error, flags) = match error {
        Some(errno) => (-(errno as i32), 0),
        None => (0, u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).expect("a small number")),
    };
    let mut reply = libc::seccomp_notif_resp { id, val: 0, error, flags };
    // SAFETY: the kernel reads one seccomp_notif_resp. The process may have exited (ENOENT).
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut reply) };
}

/// The caller; `None`: a program, or the process that sets up the container.
fn caller_of(notification: &libc::seccomp_notif) -> Option<Caller> {
    let pid = notification.pid;
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    if !exe.ends_with("foster") {
        return None;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // foster's pid in its namespace is 1.
    let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split('\t').next_back()?;
    Some(if inner == "1" { Caller::Foster } else { Caller::Child })
}
