//! Standard error for the text of a fault. Only the binary has this module.
#![allow(unsafe_code, reason = "write(2) without the standard library's lock")]

use std::io::Write;

/// Standard error without an allocation and without a lock: a fault may be in either.
pub struct Unbuffered;

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
