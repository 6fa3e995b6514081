//! Where the process begins: `main` as the C library calls it.
//!
//! It does what Rust's library would have done before a `main` of Rust's and foster relies on: the arguments, three
//! standard streams that are open, a panic that ends nothing half-way, output that is written at the end. It leaves
//! out what would get in the way: SIGPIPE keeps its disposition, since a command is to inherit it (`lib.rs` ignores it
//! for foster itself), and no signal has a handler. Part of the binary alone.
#![allow(unsafe_code, reason = "arguments come as pointers, and `main` has a name without a namespace")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::panic;

/// What a program of Rust's ends with after a panic.
const PANICKED: u8 = 101;

// SAFETY: the C library's startup code calls this one function `main`, and the binary has no other.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, values: *const *const c_char) -> c_int {
    open_standard_streams();
    let run = || foster::main(arguments(count, values)).0;
    let status = panic::catch_unwind(run).unwrap_or(PANICKED);
    // Nobody is left to be told that it failed.
    let _ = std::io::stdout().flush();
    c_int::from(status)
}

fn arguments(count: c_int, values: *const *const c_char) -> Vec<OsString> {
    let argument = |index: usize| {
        // SAFETY: `values` has `count` pointers and a null one behind them (execve(2)), and `index` is below that.
        let value = unsafe { *values.wrapping_add(index) };
        // SAFETY: each of them is a string that ends with NUL and stays where it is.
        let text = unsafe { CStr::from_ptr(value) };
        OsStr::from_bytes(text.to_bytes()).to_owned()
    };
    (0..usize::try_from(count).unwrap_or(0)).map(argument).collect()
}

/// Whoever starts foster with one of the three closed would have a file of foster's own written to in its place.
fn open_standard_streams() {
    let mut streams = [0, 1, 2].map(|fd| libc::pollfd { fd, events: 0, revents: 0 });
    // SAFETY: the three are valid for reads and writes, and nothing is waited for.
    if unsafe { libc::poll(streams.as_mut_ptr(), 3, 0) } <= 0 {
        return;
    }
    for _ in streams.iter().filter(|stream| stream.revents & libc::POLLNVAL != 0) {
        // The lowest number that is free is the one that is missing (open(2)).
        // SAFETY: the path ends with NUL, and no mode is needed to open what is there.
        let opened = unsafe { libc::open(c"/dev/null".as_ptr(), libc::O_RDWR) };
        if opened < 0 {
            // A /dev without it: the root folder takes the place, which nothing can be written to or read from.
            // SAFETY: the path ends with NUL, and no mode is needed to open what is there.
            unsafe { libc::open(c"/".as_ptr(), libc::O_PATH) };
        }
    }
}
