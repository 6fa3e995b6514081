//! The handler of fatal signals: a fault of the processor, an abort, no memory left.
//!
//! After such a signal foster's state cannot be trusted, so the handler uses only values that were prepared when it was
//! installed, and async-signal-safe calls (signal-safety(7)): it writes the reason to stderr and to the termination log,
//! kills the processes of foster, and exits with 1. It never waits for stderr: without room there the text is lost.
#![allow(unsafe_code, reason = "a signal handler: sigaction(2), sigaltstack(2) and raw system calls")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};

use foster_core::ids::Signal;

/// The process that installed the handler. A child before `exec` inherits the handler, and only exits.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// Whether the handler is running: a fault in it ends foster at once.
static IS_ENDING: AtomicBool = AtomicBool::new(false);
/// The path of the termination log, which is never freed.
static TERMINATION_LOG: AtomicPtr<c_char> = AtomicPtr::new(ptr::null_mut());

/// The size of the handler's own stack, which it needs after an overflow of the normal one.
const STACK: usize = 64 * 1024;
/// The most rounds of killing children: killed processes may leave children, which foster adopts.
const ROUNDS: usize = 32;
/// The exit status for a fault in foster (spec, section 5).
const CANNOT_GO_ON: c_int = 1;

/// Installs the handler for SEGV, BUS, ILL, FPE, ABRT and SYS. `termination_log` gets the reason if the file exists.
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
        // SAFETY: the action is valid, and null requests no old one.
        unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
    }
}

fn use_own_stack() -> bool {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // Memory that the kernel provides page by page as it is used, so normally none.
    // SAFETY: new memory at an address that the kernel chooses.
    let memory = unsafe { libc::mmap(ptr::null_mut(), STACK, protection, flags, -1, 0) };
    let stack = libc::stack_t { ss_sp: memory, ss_flags: 0, ss_size: STACK };
    // SAFETY: the memory is never freed, and null requests no old stack.
    memory != libc::MAP_FAILED && unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) == 0 }
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
    kill_everything();
    exit(CANNOT_GO_ON);
}

/// Whether the signal comes from foster itself: from the kernel for a fault (a positive code, sigaction(2)), or from
/// abort(3). A signal from another process is ignored.
fn is_own(pid: c_int, info: *mut libc::siginfo_t) -> bool {
    // SAFETY: the kernel passes a valid siginfo_t to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: with a code that is not positive, the pid is set.
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
    // SAFETY: the path ends with NUL and is never freed.
    let fd = unsafe { libc::open(path, flags) };
    if fd >= 0 {
        // SAFETY: the bytes are valid for reads of their length.
        unsafe { libc::write(fd, bytes.as_ptr().cast::<c_void>(), bytes.len()) };
    }
}

/// As the init of a PID namespace, kills everything in it; otherwise foster's children and the orphans that it adopts.
pub fn kill_everything() {
    // SAFETY: getpid takes no arguments.
    let pid = unsafe { libc::getpid() };
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
            // SAFETY: kill takes numbers only; the child is not reaped, so no other process has its pid.
            unsafe { libc::kill(number, libc::SIGKILL) };
            // SAFETY: null requests no status. The process was killed, so the wait is short.
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
    // SAFETY: this function owns the descriptor; -1 is an error without effect.
    unsafe { libc::close(fd) };
    usize::try_from(length).unwrap_or(0)
}

/// Parses a pid; rejects the numbers with which kill(2) signals a group or every process.
fn number(digits: &[u8]) -> Option<c_int> {
    let add = |sum: c_int, digit: &u8| sum.checked_mul(10)?.checked_add(c_int::from(digit - b'0'));
    digits.iter().try_fold(0, add).filter(|number| *number > 1)
}

/// Ends foster at once: _exit(2).
pub fn exit(status: c_int) -> ! {
    // SAFETY: _exit takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// A text buffer without allocation.
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
    fn only_the_pid_of_a_process_is_accepted() {
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
