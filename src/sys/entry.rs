//! The entry point: `main` as the C library calls it.
//!
//! It does the parts of Rust's startup that foster relies on: it collects the arguments, opens closed standard streams,
//! reports a panic and flushes stdout at the end. It leaves out two: SIGPIPE keeps its disposition, because a command
//! inherits it (`lib.rs` ignores it for foster itself), and no signal gets a handler. Only the binary has this module.
#![allow(unsafe_code, reason = "arguments are pointers, and `main` is an unmangled name")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::panic;

use crate::unbuffered::Unbuffered;

/// The exit status of a Rust program after a panic.
const PANICKED: c_int = 101;

// SAFETY: the C library's startup code calls this one function `main`, and the binary has no other.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, values: *const *const c_char) -> c_int {
    open_standard_streams();
    // A supervisor replaces it. Nothing is unwound, in a debug build either.
    panic::set_hook(Box::new(|fault| {
        let _ = writeln!(Unbuffered, "foster: {fault}");
        // SAFETY: _exit takes a number and does not return.
        unsafe { libc::_exit(PANICKED) }
    }));
    let status = foster::main(arguments(count, values)).0;
    // Nothing could report an error here.
    let _ = std::io::stdout().flush();
    c_int::from(status)
}

fn arguments(count: c_int, values: *const *const c_char) -> Vec<OsString> {
    let argument = |index: usize| {
        // SAFETY: `values` has `count` pointers and a final null pointer (execve(2)), and `index` is below `count`.
        let value = unsafe { *values.wrapping_add(index) };
        // SAFETY: each points to a string that ends with NUL and is never freed.
        let text = unsafe { CStr::from_ptr(value) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    (0..usize::try_from(count).unwrap_or(0)).map(argument).collect()
}

/// Opens /dev/null for each closed standard stream: otherwise the next file that foster opens would get its number, and
/// foster would write messages to it.
fn open_standard_streams() {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the array is valid for reads and writes, and the timeout is zero.
    if unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) } <= 0 {
        return;
    }
    for _ in streams.iter().filter(|stream| stream.revents & libc::POLLNVAL != 0) {
        // open(2) returns the lowest free number: that of the closed stream.
        // SAFETY: the path ends with NUL; open takes no mode without O_CREAT.
        let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        if opened < 0 {
            // Without /dev/null the root folder gets the number, which can be neither read nor written.
            // SAFETY: the path ends with NUL; open takes no mode without O_CREAT.
            unsafe { libc::open(c"/".as_ptr(), libc::O_PATH) };
        }
    }
}
