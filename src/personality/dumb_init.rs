//! dumb-init: <https://github.com/Yelp/dumb-init>, version 1.2.5.
//!
//! The command gets a new session, with the terminal if there is one, and its process group gets every signal; when it
//! exits, its group gets TERM. With `-c` the command stays in the init's group and gets the signals alone. TSTP, TTIN and TTOU stop
//! dumb-init itself; a new session would ignore them, so there they are passed on as STOP.

use std::ffi::{OsStr, OsString};

use foster_core::ids::Signal;

use super::getopt::{Grammar, Order, Problem, Wrong};
use super::{Invocation, Lookup, Stream};
use crate::bare::{
    Adoption, AtEnd, Bare, Inheritance, Persona, Place, Recipient, Release, Suspension, Verbosity,
};
use crate::exit::ExitStatus;
use crate::sys::sigwait::SignalSet;

const GRAMMAR: Grammar = Grammar {
    letters: "hvVcr:",
    long: &[("help", b'h'), ("single-child", b'c'), ("rewrite", b'r'), ("verbose", b'v'), ("version", b'V')],
    order: Order::Stop,
};

const VERSION: &str = concat!("dumb-init v1.2.5 (foster ", env!("CARGO_PKG_VERSION"), ")\n");

const USAGE: &str = "\
usage: dumb-init [OPTIONS] COMMAND [ARG...]

Runs a command under an init: zombies are reaped, signals are passed on.

  -c, --single-child  Pass signals on to the command alone, not to its group
  -r, --rewrite S:R   Pass signal S on as R, both numbers from 1 to 31; R may be
                      0, which drops it; may be repeated
  -v, --verbose       Report each step on stderr
  -h, --help          Print this, and do nothing else
  -V, --version       Print the version, and do nothing else

DUMB_INIT_SETSID=0 is -c, DUMB_INIT_DEBUG=1 is -v.
";

const REWRITE_EXPECTED: &str = "two numbers of signals such as `15:3`, the second 0 to drop the first";

/// The signals that can be rewritten are numbered from 1 to this.
const LAST: i32 = 31;

/// The signals that a new session would ignore.
const JOB_CONTROL: [Signal; 3] = [Signal::TSTP, Signal::TTOU, Signal::TTIN];

pub(super) fn read(arguments: &[OsString], environment: Lookup<'_>) -> Invocation {
    let (options, rest) = match GRAMMAR.read(arguments) {
        Ok(parsed) => (parsed.options, Ok(parsed.command)),
        Err(Wrong { before, problem }) => (before, Err(problem)),
    };
    let is = |name, value: &str| environment(name).is_some_and(|given| given == value);
    let mut single = is("DUMB_INIT_SETSID", "0");
    let mut verbose = is("DUMB_INIT_DEBUG", "1");
    let mut rewrites = Vec::new();
    for (letter, value) in options {
        match letter {
            b'h' => return Invocation::print(Stream::Err, ExitStatus::DONE, USAGE),
            b'V' => return Invocation::print(Stream::Err, ExitStatus::DONE, VERSION),
            b'c' => single = true,
            b'v' => verbose = true,
            b'r' => match rewrite(&value) {
                Some(rule) => rewrites.push(rule),
                None => {
                    return refused(&format!(
                        "invalid value `{}` for `-r`: expected {REWRITE_EXPECTED}",
                        value.display()
                    ));
                }
            },
            _ => {}
        }
    }
    let command = match rest {
        Ok(command) if command.is_empty() => {
            return refused("no command is given (see `dumb-init --help`)");
        }
        Ok(command) => command,
        Err(Problem::Unknown(option)) => return refused(&format!("unknown option `{option}`")),
        Err(Problem::MissingValue(option)) => {
            return refused(&format!("`{option}` needs a value: {REWRITE_EXPECTED}"));
        }
        Err(Problem::UnexpectedValue(option)) => return refused(&format!("`{option}` takes no value")),
    };
    if !single {
        // Before those of the command line: the last rule for a signal counts.
        rewrites.splice(0..0, JOB_CONTROL.map(|signal| (signal, Some(Signal::STOP))));
    }
    Invocation::Run(Box::new(Bare {
        persona: Persona::DumbInit,
        command,
        adoption: Adoption::None,
        place: if single { Place::Beside } else { Place::Session },
        recipient: if single { Recipient::Main } else { Recipient::Group },
        rewrites,
        not_forwarded: SignalSet::NONE,
        suspension: Suspension::Stop,
        remapped_exits: Vec::new(),
        parent_death: None,
        signals: Inheritance::Default,
        at_end: if single { AtEnd::Leave } else { AtEnd::Terminate },
        release: Release::Directory,
        verbosity: if verbose { Verbosity::Signals } else { Verbosity::Warnings },
        report_orphans: false,
    }))
}

fn refused(message: &str) -> Invocation {
    Invocation::print(Stream::Err, ExitStatus::FAILED, format!("[dumb-init] {message}\n"))
}

/// `S:R`, as scanf(3) reads it with `%d:%d`: text after the second number is ignored.
fn rewrite(text: &OsStr) -> Option<(Signal, Option<Signal>)> {
    let (received, rest) = number(text.to_str()?)?;
    let (sent, _) = number(rest.strip_prefix(':')?)?;
    let is_known = (1..=LAST).contains(&received) && (0..=LAST).contains(&sent);
    is_known.then_some((Signal::new(received)?, Signal::new(sent)))
}

/// A number, blanks before it, and what follows.
fn number(text: &str) -> Option<(i32, &str)> {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.get(sign..)?;
    let end = sign + digits.find(|byte: char| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[track_caller]
    fn runs(line: &str, environment: &[(&str, &str)]) -> Bare {
        testing::runs(read, line, environment)
    }

    #[track_caller]
    fn prints(line: &str, status: u8, part: &str) {
        testing::prints(read, line, Stream::Err, status, part);
    }

    fn number(number: i32) -> Signal {
        Signal::new(number).unwrap()
    }

    #[test]
    fn by_default_the_command_gets_a_session_and_its_group_gets_the_signals() {
        let bare = runs("sleep -v 1", &[("DUMB_INIT_SETSID", ""), ("DUMB_INIT_DEBUG", "")]);
        assert_eq!(bare.command, ["sleep", "-v", "1"]);
        assert_eq!(
            (bare.place, bare.recipient, bare.at_end),
            (Place::Session, Recipient::Group, AtEnd::Terminate)
        );
        assert_eq!(bare.rewrites, JOB_CONTROL.map(|signal| (signal, Some(Signal::STOP))));
        assert_eq!(bare.verbosity, Verbosity::Warnings);
    }

    #[test]
    fn an_option_and_a_variable_make_it_a_single_child() {
        let bare = runs("--single-child --verbose true", &[]);
        assert_eq!((bare.place, bare.recipient, bare.at_end), (Place::Beside, Recipient::Main, AtEnd::Leave));
        assert_eq!((bare.rewrites.as_slice(), bare.verbosity), (&[][..], Verbosity::Signals));
        assert_eq!(runs("true", &[("DUMB_INIT_SETSID", "0"), ("DUMB_INIT_DEBUG", "1")]), bare);
        assert_eq!(runs("-cv true", &[("DUMB_INIT_SETSID", "1"), ("DUMB_INIT_DEBUG", "0")]), bare);
    }

    #[test]
    fn a_rewrite_is_two_numbers_and_overrides_the_defaults() {
        let rewrites = runs("-r 15:3 --rewrite=20:0 -r' 1:+2x' true", &[]).rewrites;
        let given = [(number(15), Some(number(3))), (number(20), None), (number(1), Some(number(2)))];
        assert_eq!(rewrites.get(3..), Some(&given[..]));
        for wrong in [
            "''",
            "herp",
            "herp:derp",
            "15",
            "15::12",
            "15:derp",
            "1:32",
            "0:1",
            "-1:1",
            "TERM:INT",
            "99999999999:1",
        ] {
            prints(&format!("-r {wrong} true"), 1, "invalid value `");
        }
        prints("-r 15:12 -r", 1, "`-r` needs a value");
    }

    #[test]
    fn help_and_version_are_printed_and_an_invalid_option_is_named() {
        prints("-V", 0, "dumb-init v");
        prints("--vers", 0, "dumb-init v");
        prints("-h", 0, "usage: dumb-init");
        prints("--help", 0, "usage: dumb-init");
        prints("", 1, "no command");
        prints("--yolo /bin/true", 1, "unknown option `--yolo`");
        prints("-c --help --yolo", 0, "usage: dumb-init");
    }
}
