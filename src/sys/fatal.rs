//! The end that no code of foster decides: a fault of the processor, an abort, no memory left.
//!
//! After such a signal nothing of foster can be trusted, so the handler uses what was prepared when it was installed, and
//! async-signal-safe calls alone (signal-safety(7)): it writes why to stderr and to the termination log, kills what foster
//! has started, and exits with 1. It never waits: stderr gets the text only if it takes it now.
#![allow(unsafe_code, reason = "a signal handler: sigaction(2), sigaltstack(2) and raw system calls")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

use foster_core::ids::Signal;

/// Who installed the handler. A child that is on its way to its program has it, too, and only ends itself.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Whether the handler runs: a fault in it ends foster at once.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// The path of the termination log, for as long as the process lives.
static TERMINATION_LOG: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// What the handler needs of stack, also where the signal is an overflow of the other one.
const STACK: usize = 64 * 1024;
/// How often what foster has adopted is looked at: what is killed may leave children of its own.
const ROUNDS: usize = 32;
/// What a process ends with that cannot go on (spec, section 5).
const CANNOT_GO_ON: c_int = 1;

/// Has foster say why when one of these ends it: SEGV, BUS, ILL, FPE, ABRT and SYS. `termination_log` gets the text where
/// it is there.
pub fn install(termination_log: &Path) {
    // SAFETY: getpid takes no arguments.
    OWNER.store(unsafe { libc::getpid() }, Ordering::Relaxed);
    if let Ok(path) = CString::new(termination_log.as_os_str().as_bytes()) {
        TERMINATION_LOG.store(path.into_raw(), Ordering::Relaxed);
    }
    if !use_own_stack() {
        return;
    }
    // SAFETY: a sigaction of zeros is valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_fatal as Handler as usize;
    action.sa_flags = libc::SA_ONSTACK | libc::SA_SIGINFO | libc::SA_NODEFER;
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT, libc::SIGSYS] {
        // SAFETY: the action is valid, and the old one is not asked for.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

fn use_own_stack() -> bool {
    let memory = Box::leak(vec![0_u8; STACK].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: memory.as_mut_ptr().cast::<c_void>(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the memory is foster's for as long as it lives, and the old stack is not asked for.
    unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) == 0 }
}

type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

extern "C" fn on_fatal(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: getpid takes no arguments.
    let pid = unsafe { libc::getpid() };
    if !is_own(pid, info) {
        return;
    }
    if pid != OWNER.load(Ordering::Relaxed) || IS_ENDING.swap(true, Ordering::Relaxed) {
        exit(127);
    }
    let mut text = Text::new();
    text.push(b"foster: error: foster itself cannot go on: it got SIG");
    let name = Signal::new(signal).and_then(Signal::name).unwrap_or("?");
    text.push(name.as_bytes());
    text.push(match signal {
        libc::SIGABRT => b" (no memory was left, or a fault in foster); every program is killed\n",
        _ => b" (a fault in foster, or no memory); every program is killed\n",
    });
    write_now(2, text.bytes());
    write_termination_log(text.bytes());
    kill_everything(pid);
    exit(CANNOT_GO_ON);
}

/// Whether foster brought the signal upon itself: the kernel reports a fault (a positive code, sigaction(2)), and abort(3)
/// sends it from the process to itself. Any other process that sends one ends nothing.
fn is_own(pid: c_int, info: *mut libc::siginfo_t) -> bool {
    // SAFETY: the kernel passes a valid siginfo_t to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: for a code that is not positive the kernel or the sender has set the pid.
    info.si_code > 0 || unsafe { info.si_pid() } == pid
}

fn write_now(fd: c_int, bytes: &[u8]) {
    let mut poll = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
    // SAFETY: one pollfd, and no wait.
    if unsafe { libc::poll(&raw mut poll, 1, 0) } == 1 && poll.revents & libc::POLLOUT != 0 {
        // SAFETY: the bytes are valid for reads of their length.
        unsafe { libc::write(fd, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
    }
}

fn write_termination_log(bytes: &[u8]) {
    let path = TERMINATION_LOG.load(Ordering::Relaxed);
    if path.is_null() {
        return;
    }
    let flags = libc::O_WRONLY | libc::O_TRUNC | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the path ends with NUL and is never given back.
    let fd = unsafe { libc::open(path, flags) };
    if fd >= 0 {
        // SAFETY: the bytes are valid for reads of their length.
        unsafe { libc::write(fd, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
    }
}

/// As the init of a PID namespace everything in it; else foster's children, and what comes to it when they are gone.
fn kill_everything(pid: c_int) {
    if pid == 1 {
        // SAFETY: kill takes numbers only.
        unsafe { libc::kill(-1, libc::SIGKILL) };
        return;
    }
    for _ in 0..ROUNDS {
        let mut list = [0_u8; 16 * 1024];
        let length = read_children(&mut list);
        let mut any = false;
        let numbers = list.get(..length).unwrap_or_default().split(|byte| !byte.is_ascii_digit());
        for number in numbers.filter_map(number) {
            any = true;
            // SAFETY: kill takes numbers only; the child was not reaped, so the number is its own.
            unsafe { libc::kill(number, libc::SIGKILL) };
            // SAFETY: no status is asked for. It waits for a process that got KILL.
            unsafe { libc::waitpid(number, ptr::null_mut(), libc::__WALL) };
        }
        if !any {
            return;
        }
    }
}

fn read_children(list: &mut [u8]) -> usize {
    // SAFETY: the path ends with NUL.
    let fd = unsafe { libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    // SAFETY: the list is valid for writes of its length.
    let length = unsafe { libc::read(fd, list.as_mut_ptr().cast::<c_void>(), list.len()) };
    // SAFETY: the descriptor is this function's own; -1 is refused.
    unsafe { libc::close(fd) };
    usize::try_from(length).unwrap_or(0)
}

/// A process number; nothing that kill(2) takes for a group or for all.
fn number(digits: &[u8]) -> Option<c_int> {
    let add = |sum: c_int, digit: &u8| sum.checked_mul(10)?.checked_add(c_int::from(digit - b'0'));
    digits.iter().try_fold(0, add).filter(|number| *number > 1)
}

fn exit(status: c_int) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// A text without an allocation.
struct Text {
    bytes: [u8; 256],
    length: usize,
}

impl Text {
    fn new() -> Text {
        Text { bytes: [0; 256], length: 0 }
    }

    fn push(&mut self, more: &[u8]) {
        for byte in more {
            if let Some(free) = self.bytes.get_mut(self.length) {
                *free = *byte;
                self.length += 1;
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_number_of_a_process_is_one() {
        assert_eq!(number(b"4711"), Some(4711));
        for text in [&b""[..], b"0", b"1", b"99999999999"] {
            assert_eq!(number(text), None);
        }
    }

    #[test]
    fn a_text_that_is_too_long_is_cut() {
        let mut text = Text::new();
        text.push(&[b'x'; 1000]);
        assert_eq!(text.bytes().len(), 256);
    }
}
