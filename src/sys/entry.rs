//! Where the process begins: `main` as the C library calls it.
//!
//! It does what Rust's library would have done before a `main` of Rust's and foster relies on: the arguments, three
//! standard streams that are open, a panic that ends nothing half-way, output that is written at the end. It leaves
//! out what would get in the way: SIGPIPE keeps its disposition, since a command is to inherit it (`lib.rs` ignores it
//! for foster itself), and no signal has a handler. Part of the binary alone.
#![allow(unsafe_code, reason = "arguments come as pointers, and `main` has a name without a namespace")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_uint};
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
    // An error here has no reader left.
    let _ = std::io::stdout().flush();
    c_int::from(status)
}

/// What the C library calls when it finds itself broken: assert(3). Its own is left out of the binary, since it looks
/// for a translation of the sentence and for the encoding of the terminal, 33 KB of text.
// SAFETY: the C library has this function in a file of its own, which is linked where nothing else has the name.
#[unsafe(no_mangle)]
extern "C" fn __assert_fail(
    assertion: *const c_char,
    file: *const c_char,
    line: c_uint,
    _: *const c_char,
) -> ! {
    // SAFETY: the C library gives its own constants, which end with NUL.
    let assertion = unsafe { CStr::from_ptr(assertion) };
    // SAFETY: as above.
    let file = unsafe { CStr::from_ptr(file) };
    let _ = writeln!(Unbuffered, "foster: the C library asserts {assertion:?} at {file:?}:{line}");
    // SAFETY: abort(3) can be called anywhere.
    unsafe { libc::abort() }
}

/// Standard error without memory and without a lock, either of which may be what is broken.
struct Unbuffered;

impl Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // SAFETY: the bytes are valid for a read of their length.
        let written = unsafe { libc::write(libc::STDERR_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        usize::try_from(written).map_err(|_| std::io::ErrorKind::Other.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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

/// With one of the three closed, the next file that foster opens would take its place, and would be written to.
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
