//! For the tests of the personalities: reads a command line as one of them, and checks the result.
//!
//! The command line is split as a shell does. Next: the tests in `tini.rs` and `dumb_init.rs`.

use std::ffi::OsString;

use super::{Invocation, Lookup, Stream};
use crate::bare::Bare;

/// Reads a command line: the function of a personality.
pub(super) type Reader = fn(&[OsString], Lookup<'_>) -> Invocation;

fn invocation(read: Reader, line: &str, environment: &[(&str, &str)]) -> Invocation {
    let arguments: Vec<OsString> =
        shell_words::split(line).unwrap().into_iter().map(OsString::from).collect();
    let value =
        |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
    read(&arguments, &value)
}

/// The init that this command line runs.
#[track_caller]
pub(super) fn runs(read: Reader, line: &str, environment: &[(&str, &str)]) -> Bare {
    match invocation(read, line, environment) {
        Invocation::Run(bare) => *bare,
        Invocation::Print(text) => panic!("{text:?}"),
    }
}

/// This command line prints a text with `part` in it and exits with `status`.
#[track_caller]
pub(super) fn prints(read: Reader, line: &str, stream: Stream, status: u8, part: &str) {
    match invocation(read, line, &[]) {
        Invocation::Print(text) => {
            assert_eq!((text.stream, text.status.0), (stream, status), "{line}");
            assert!(text.text.contains(part), "{line}: {}", text.text);
        }
        Invocation::Run(bare) => panic!("{bare:?}"),
    }
}
