//! One text for an error of the system: strerror(3)'s words, without the number.
//!
//! They stand at the end of a sentence that says what was attempted on what; only the caller knows that.

use std::borrow::Cow;
use std::io;

use nix::errno::Errno;

/// The words for this error: `No such file or directory`.
pub fn text(errno: Errno) -> String {
    strerror(errno as i32)
}

/// The words for this error; where it is not one of the system's, its own text.
pub fn words(error: &io::Error) -> Cow<'static, str> {
    Cow::Owned(error.raw_os_error().map_or_else(|| error.to_string(), strerror))
}

/// The system's error in this one; EIO where there is none, which a failed call on a descriptor does not give.
pub fn of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn strerror(number: i32) -> String {
    let words = io::Error::from_raw_os_error(number).to_string();
    // The standard library appends the number; people know the words.
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
    fn an_error_that_is_not_the_system_s_keeps_its_text() {
        assert_eq!(words(&io::Error::other("no such luck")), "no such luck");
        assert_eq!(of(&io::Error::other("no such luck")), Errno::EIO);
        assert_eq!(of(&io::Error::from_raw_os_error(libc::ENOENT)), Errno::ENOENT);
    }
}
