//! Functions of the GNU C library, and of the library that walks the stack, that the binary replaces, so that what foster never
//! does is not linked. docs/benchmarks.md has the sizes.
//!
//! A linker takes an object file out of a static library only for a name that nothing else defines. The C library's
//! allocator can print statistics (malloc_stats(3)), its fork(2) locks the standard streams, and its error texts are
//! translated: for these it links streams with conversions between character sets, the locales, and the loader of the
//! libraries that convert. foster prints, forks and explains errors without them. Where a version of the C library takes
//! such an object for another name, both definitions are linked, and this one counts (`.cargo/config.toml`). Only the
//! binary has this module; its tests have the functions under other names.
#![allow(unsafe_code, reason = "the names and the pointers of C functions")]
#![allow(non_upper_case_globals, non_snake_case, reason = "names in C")]

use std::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use std::io::Write;
use std::ptr;

use crate::unbuffered::Unbuffered;

unsafe extern "C" {
    /// fork(2) that neither locks streams nor calls handlers: foster has one thread, and neither of them.
    fn _Fork() -> libc::pid_t;
    /// The English text of an error: strerrordesc_np(3).
    fn strerrordesc_np(error: c_int) -> *const c_char;
}

/// A failed assertion of the C library: assert(3), without a translation.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn __assert_fail(
    assertion: *const c_char,
    file: *const c_char,
    line: c_uint,
    _: *const c_char,
) -> ! {
    // SAFETY: the C library passes constants that end with NUL.
    let assertion = unsafe { CStr::from_ptr(assertion) };
    // SAFETY: as above.
    let file = unsafe { CStr::from_ptr(file) };
    let _ = writeln!(Unbuffered, "foster: the C library asserts {assertion:?} at {file:?}:{line}");
    // SAFETY: abort(3) can be called anywhere.
    unsafe { libc::abort() }
}

/// fork(2).
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn fork() -> libc::pid_t {
    // SAFETY: the process has one thread, so the child may do whatever its parent could.
    unsafe { _Fork() }
}

/// The translation of a text of the C library, which is the text: foster never calls setlocale(3).
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn __dcgettext(_: *const c_char, text: *const c_char, _: c_int) -> *const c_char {
    text
}

/// As `__dcgettext`.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn dcgettext(_: *const c_char, text: *const c_char, _: c_int) -> *const c_char {
    text
}

/// The text of an error, as POSIX has it: strerror_r(3).
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn __xpg_strerror_r(error: c_int, buffer: *mut c_char, size: usize) -> c_int {
    // SAFETY: strerrordesc_np(3) takes any number.
    let text = unsafe { strerrordesc_np(error) };
    let Some(most) = size.checked_sub(1).filter(|_| !text.is_null()) else { return libc::EINVAL };
    // SAFETY: the text is a constant that ends with NUL.
    let text = unsafe { CStr::from_ptr(text) }.to_bytes();
    let length = text.len().min(most);
    // SAFETY: the caller passes a buffer of this size, and the text is elsewhere.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr().cast(), buffer, length) };
    // SAFETY: the length is below the size.
    unsafe { *buffer.wrapping_add(length) = 0 };
    if length < text.len() { libc::ERANGE } else { 0 }
}

/// The text of an error, as GNU has it: strerror_r(3).
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn strerror_r(error: c_int, _: *mut c_char, _: usize) -> *const c_char {
    // SAFETY: strerrordesc_np(3) takes any number.
    let text = unsafe { strerrordesc_np(error) };
    if text.is_null() { c"Unknown error".as_ptr() } else { text }
}

/// As `strerror_r`.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn __strerror_r(error: c_int, buffer: *mut c_char, size: usize) -> *const c_char {
    strerror_r(error, buffer, size)
}

/// strtol(3), which sysconf(3) reads a file of /proc with.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn strtol(text: *const c_char, end: *mut *const c_char, base: c_int) -> c_long {
    let (is_negative, number) = number(text, end, base);
    let number = c_long::try_from(number).unwrap_or(c_long::MAX);
    if is_negative { -number } else { number }
}

/// strtoul(3), which the allocator counts processors with.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn strtoul(text: *const c_char, end: *mut *const c_char, base: c_int) -> c_ulong {
    let (is_negative, number) = number(text, end, base);
    if is_negative { number.wrapping_neg() } else { number }
}

/// As `strtol`: its name for callers that are compiled as C23, where a base of 0 or 2 takes `0b` as well.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn __isoc23_strtol(text: *const c_char, end: *mut *const c_char, base: c_int) -> c_long {
    strtol(text, end, base)
}

/// As `__isoc23_strtol`.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn __isoc23_strtoul(text: *const c_char, end: *mut *const c_char, base: c_int) -> c_ulong {
    strtoul(text, end, base)
}

/// The number at the start of a text, and where it ends. Too large a one is the largest; a base of 0 is 10.
fn number(text: *const c_char, end: *mut *const c_char, base: c_int) -> (bool, c_ulong) {
    let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base)).unwrap_or(10);
    // SAFETY: the caller passes a text that ends with NUL.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    let blanks = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let sign = bytes.get(blanks).filter(|byte| matches!(byte, b'+' | b'-'));
    let first = blanks + usize::from(sign.is_some());
    let digits = bytes.iter().skip(first).map_while(|byte| char::from(*byte).to_digit(base));
    let (mut count, mut number): (usize, c_ulong) = (0, 0);
    for digit in digits {
        number = number.saturating_mul(base.into()).saturating_add(digit.into());
        count += 1;
    }
    if !end.is_null() {
        let read = if count > 0 { first + count } else { 0 };
        // SAFETY: the caller passes a valid pointer, or null.
        unsafe { *end = text.wrapping_add(read) };
    }
    (sign == Some(&b'-'), number)
}

/// Classes of characters for isalpha(3) and its like, which the locale has: nothing that is linked asks for them. Without
/// the locale the C library's function would read from address 0.
// SAFETY: no other code defines this name, and nothing reads what it would set.
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn __ctype_init() {}

/// A standard stream of C, which the binary does not have.
#[repr(transparent)]
pub struct NoStream(*const c_void);

// SAFETY: it is null and never changes.
unsafe impl Sync for NoStream {}

/// Only malloc_stats(3), which foster never calls, has a use for it.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub static stderr: NoStream = NoStream(ptr::null());

/// As `stderr`.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub static stdout: NoStream = NoStream(ptr::null());

/// As `stderr`.
// SAFETY: no other code defines this name.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub static stdin: NoStream = NoStream(ptr::null());

/// Functions that only malloc_stats(3) and malloc_info(3) print with.
macro_rules! never_called {
    ($($name:ident)*) => {
        $(
            // SAFETY: no other code defines this name, and no code calls it.
            #[cfg_attr(not(test), unsafe(no_mangle))]
            extern "C" fn $name() -> c_int {
                0
            }
        )*
    };
}

never_called! { fprintf __fprintf_chk fputs _IO_fputs fwrite }

/// The walk over the stack for a backtrace, which ends at once: the release binary has neither the tables for it (`build.rs`)
/// nor names of functions. The library's reader of debugging information is not linked then.
// SAFETY: no other code defines this name.
#[cfg(panic = "abort")]
#[cfg_attr(not(test), unsafe(no_mangle))]
extern "C" fn _Unwind_Backtrace(_: *const c_void, _: *mut c_void) -> c_int {
    const END_OF_STACK: c_int = 5;
    END_OF_STACK
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number and how much of the text was read, by this file's function and by the C library's.
    fn both(text: &CStr, base: c_int) -> [(c_long, usize); 2] {
        let mut end = ptr::null();
        let ours = strtol(text.as_ptr(), &raw mut end, base);
        let read = end.addr() - text.as_ptr().addr();
        let mut end = ptr::null_mut();
        // SAFETY: the text ends with NUL, and the pointer is valid.
        let theirs = unsafe { libc::strtol(text.as_ptr(), &raw mut end, base) };
        [(ours, read), (theirs, end.addr() - text.as_ptr().addr())]
    }

    #[test]
    fn numbers_are_read_as_the_c_library_reads_them() {
        let texts =
            [c"", c" ", c"-", c"x1", c"0-7", c" 65536\n", c"-12,3", c"+8", c"99999999999999999999", c"7f"];
        for text in texts {
            for base in [10, 16, 8] {
                let [ours, theirs] = both(text, base);
                assert_eq!(ours, theirs, "{text:?} to base {base}");
            }
        }
    }

    #[test]
    fn an_error_has_the_text_of_the_c_library() {
        for error in 0..140 {
            let text = |of: unsafe extern "C" fn(c_int, *mut c_char, usize) -> c_int| {
                let mut buffer = [0u8; 64];
                // SAFETY: the buffer has this size.
                let status = unsafe { of(error, buffer.as_mut_ptr().cast(), buffer.len()) };
                (status, CStr::from_bytes_until_nul(&buffer).map(CStr::to_owned))
            };
            let (ours, theirs) = (text(replaced), text(libc::strerror_r));
            assert!(
                ours == theirs || ours.0 == libc::EINVAL && theirs.0 == libc::EINVAL,
                "{error}: {ours:?} {theirs:?}"
            );
        }
        let mut short = [1u8; 4];
        assert_eq!(__xpg_strerror_r(libc::ENOENT, short.as_mut_ptr().cast(), short.len()), libc::ERANGE);
        assert_eq!(&short, b"No \0");
    }

    unsafe extern "C" fn replaced(error: c_int, buffer: *mut c_char, size: usize) -> c_int {
        __xpg_strerror_r(error, buffer, size)
    }
}
