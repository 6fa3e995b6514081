//! The one text for a system error: that of strerror(3), without the number.
//!
//! It ends a sentence that says what was attempted on which path; only the caller knows that.

use std::borrow::Cow;
use std::io;

use nix::errno::Errno;

/// The text of an error number: `No such file or directory`.
pub fn text(errno: Errno) -> String {
    strerror(errno as i32)
}

/// The text of a system error; any other error keeps the text that it has.
pub fn words(error: &io::Error) -> Cow<'static, str> {
    Cow::Owned(error.raw_os_error().map_or_else(|| error.to_string(), strerror))
}

/// The system's error in this one. An argument that the standard library refused is EINVAL, anything else EIO.
pub fn of(error: &io::Error) -> Errno {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number),
        None if error.kind() == io::ErrorKind::InvalidInput => Errno::EINVAL,
        None => Errno::EIO,
    }
}

fn strerror(number: i32) -> String {
    let words = io::Error::from_raw_os_error(number).to_string();
    // The standard library appends the number.
    let suffix = format!(" (os error {number})");
    words.strip_suffix(&suffix).map_or(words.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_words_of_the_c_library_without_its_number() {
        assert_eq!(text(Errno::EPERM), "Operation not permitted");
        assert_eq!(text(Errno::EAGAIN), "Resource temporarily unavailable");
        assert_eq!(text(Errno::ENOMEM), "Cannot allocate memory");
        assert_eq!(words(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), "Connection refused");
    }

    #[test]
    fn an_error_without_a_number_is_an_invalid_argument_or_a_failed_read() {
        assert_eq!(of(&io::ErrorKind::InvalidInput.into()), Errno::EINVAL);
        assert_eq!(of(&io::ErrorKind::UnexpectedEof.into()), Errno::EIO);
    }

    #[test]
    fn an_error_that_is_not_the_system_s_keeps_its_text() {
        assert_eq!(words(&io::Error::other("no such luck")), "no such luck");
        assert_eq!(of(&io::Error::other("no such luck")), Errno::EIO);
        assert_eq!(of(&io::Error::from_raw_os_error(libc::ENOENT)), Errno::ENOENT);
    }
}
