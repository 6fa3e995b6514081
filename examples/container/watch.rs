//! System calls that a test watches: it is asked before each of them (seccomp_unotify(2)).
//!
//! The filter is installed by the thread that becomes the command. A watched call waits for an answer, so the listener
//! is sent by another thread, which the filter does not concern. Read next: `tests/support/injector.rs`, which answers.
#![allow(unsafe_code, reason = "seccomp(2) has no safe wrapper here")]

use std::io::IoSlice;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

/// What is watched, and by whom.
#[derive(Default)]
pub(crate) struct Watch {
    /// The socket that gets the listener; without it nothing is watched.
    pub(crate) by: Option<PathBuf>,
    /// Numbers of system calls; every call where there is none.
    pub(crate) calls: Vec<u32>,
}

impl Watch {
    /// Installs the filter for the calling thread, and for what the thread becomes.
    pub(crate) fn install(&self) -> Result<(), String> {
        let Some(path) = &self.by else { return Ok(()) };
        // Without CAP_SYS_ADMIN the kernel asks for it (seccomp(2)).
        if !nix::unistd::geteuid().is_root() {
            prctl::set_no_new_privs().map_err(|error| format!("cannot set no_new_privs: {error}"))?;
        }
        let socket = UnixStream::connect(path)
            .map_err(|error| format!("cannot connect to {}: {error}", path.display()))?;
        load_and_hand_over(&self.program(), &socket)
    }

    fn program(&self) -> Vec<libc::sock_filter> {
        // The number is the first field of seccomp_data.
        let mut program = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0)];
        program.extend(self.calls.iter().flat_map(|&number| ask_before(number)));
        let others = match self.calls.is_empty() {
            true => libc::SECCOMP_RET_USER_NOTIF,
            false => libc::SECCOMP_RET_ALLOW,
        };
        program.push(statement(libc::BPF_RET | libc::BPF_K, others));
        program
    }
}

/// The listener is made by a thread whose very next call may wait for an answer.
fn load_and_hand_over(program: &[libc::sock_filter], socket: &UnixStream) -> Result<(), String> {
    let listener = AtomicI32::new(-1);
    thread::scope(|scope| {
        scope.spawn(|| {
            // No lock and no condition: to signal one is a system call, too.
            while listener.load(Ordering::Acquire) == -1 {
                thread::yield_now();
            }
            let number = [listener.load(Ordering::Acquire)];
            let rights = [ControlMessage::ScmRights(&number)];
            let piece = [IoSlice::new(b"!")];
            // Without a receiver the command waits forever, and the test detects that.
            _ = sendmsg::<()>(socket.as_raw_fd(), &piece, &rights, MsgFlags::empty(), None);
        });
        let loaded = load(program);
        listener.store(*loaded.as_ref().unwrap_or(&i32::MAX), Ordering::Release);
        loaded.map(drop)
    })
}

/// The listener's number.
fn load(program: &[libc::sock_filter]) -> Result<i32, String> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let program = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| "too many system calls")?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, whose length is right, and nothing else is pointed to.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            flags,
            std::ptr::from_ref(&program).cast::<libc::c_void>(),
        )
    };
    match Errno::result(result) {
        Ok(listener) => i32::try_from(listener).map_err(|_| "no descriptor".to_owned()),
        Err(error) => Err(format!("cannot install a filter: {error}")),
    }
}

/// Asks before this call; any other continues with the next statement.
fn ask_before(number: u32) -> [libc::sock_filter; 2] {
    let mut compare = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number);
    compare.jf = 1;
    [compare, statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_USER_NOTIF)]
}

fn statement(code: u32, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: 0, jf: 0, k }
}
