//! The system's words for an error, without its number: `Connection refused`.
//!
//! People read them at the end of a sentence that says what was attempted; errno(3) has the list. What
//! was attempted is not known here: whoever calls says it.

use std::borrow::Cow;
use std::io;

use nix::errno::Errno;

/// The words for this error; where it is none of the system's, its own text.
pub fn words(error: &io::Error) -> Cow<'static, str> {
    match error.raw_os_error() {
        Some(number) => Cow::Borrowed(Errno::from_raw(number).desc()),
        None => Cow::Owned(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_is_said_without_its_number() {
        assert_eq!(words(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), "Connection refused");
        assert_eq!(words(&io::Error::from_raw_os_error(-7)), "Unknown errno");
    }

    #[test]
    fn an_error_of_our_own_keeps_its_text() {
        assert_eq!(words(&io::Error::other("no such luck")), "no such luck");
    }
}
