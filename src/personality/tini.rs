//! tini, and Docker's `docker-init`, which is the same program: <https://github.com/krallin/tini>, version 0.19.
//!
//! The command inherits signal dispositions and mask; tini becomes a subreaper only with a flag, gives the command the
//! foreground of the terminal, and keeps its working directory. Options are permuted as
//! getopt(3) does, so that `tini sleep 1 -v` is verbose; with `POSIXLY_CORRECT` they end at the command.

use std::ffi::{OsStr, OsString};

use foster_core::ids::Signal;

use super::getopt::{Grammar, Order, Problem, Wrong};
use super::{Invocation, Lookup, Stream};
use crate::bare::{
    Adoption, AtEnd, Bare, Inheritance, Persona, Place, Recipient, Release, Suspension, Verbosity,
};
use crate::exit::ExitStatus;
use crate::sys::sigwait::SignalSet;

const LETTERS: &str = "p:hvwgle:s";

/// `docker info` looks for the first two words.
const VERSION: &str = concat!("tini version 0.19.0 (foster ", env!("CARGO_PKG_VERSION"), ")\n");

const LICENSE: &str =
    "foster is free software, under the MIT license or the Apache license 2.0, as you like.\n";

const USAGE: &str = "\
usage: tini [OPTIONS] COMMAND -- [ARG...]

Runs a command under an init: zombies are reaped, signals are passed on.

  -g         Pass signals on to the command's whole process group
  -s         Adopt orphans where this is not PID 1
  -w         Report each zombie that is reaped
  -e CODE    Turn this exit code into 0; may be repeated
  -p SIGNAL  Get this signal, such as SIGKILL, when the parent dies
  -v         Be more verbose; up to three times
  -l         Print the license, and do nothing else
  -h         Print this, and do nothing else
  --version  Print the version, and do nothing else; alone

TINI_SUBREAPER is -s, TINI_KILL_PROCESS_GROUP is -g, TINI_VERBOSITY=N is how
verbose it is (1).
";

/// The names that `-p` takes: these alone, with their SIG.
const NAMES_KNOWN: u8 = 31;
const NAMES_UNKNOWN: [&str; 3] = ["SIGSTKFLT", "SIGIO", "SIGPWR"];

pub(super) fn read(arguments: &[OsString], environment: Lookup<'_>) -> Invocation {
    if let [only] = arguments
        && only == "--version"
    {
        return Invocation::print(Stream::Out, ExitStatus::DONE, VERSION);
    }
    let order = if environment("POSIXLY_CORRECT").is_some() { Order::Stop } else { Order::Permute };
    let (options, rest) = match (Grammar { letters: LETTERS, long: &[], order }).read(arguments) {
        Ok(parsed) => (parsed.options, Ok(parsed.command)),
        Err(Wrong { before, problem }) => (before, Err(problem)),
    };
    let mut bare = described();
    let mut level = 1;
    for (letter, value) in options {
        match letter {
            b'h' => return Invocation::print(Stream::Out, ExitStatus::DONE, USAGE),
            b'l' => return Invocation::print(Stream::Out, ExitStatus::DONE, LICENSE),
            b's' => bare.adoption = Adoption::Subreaper,
            b'g' => bare.recipient = Recipient::Group,
            b'w' => bare.report_orphans = true,
            b'v' => level += 1,
            b'p' => match signal(&value) {
                Some(signal) => bare.parent_death = Some(signal),
                None => return refused("-p", &value, "the name of a signal, such as SIGKILL"),
            },
            b'e' => match value.to_str().and_then(|text| text.parse().ok()) {
                Some(code) => bare.remapped_exits.push(code),
                None => return refused("-e", &value, "an exit code from 0 to 255"),
            },
            _ => {}
        }
    }
    bare.command = match rest {
        Ok(command) if command.is_empty() => {
            return Invocation::print(Stream::Err, ExitStatus::FAILED, USAGE);
        }
        Ok(command) => command,
        Err(problem) => {
            return Invocation::print(
                Stream::Err,
                ExitStatus::FAILED,
                format!("tini: {}\n{USAGE}", wrong(&problem)),
            );
        }
    };
    if environment("TINI_SUBREAPER").is_some() {
        bare.adoption = Adoption::Subreaper;
    }
    if environment("TINI_KILL_PROCESS_GROUP").is_some() {
        bare.recipient = Recipient::Group;
    }
    if let Some(text) = environment("TINI_VERBOSITY") {
        level = leading_number(&text);
    }
    bare.verbosity = match level {
        0 => Verbosity::Silent,
        1 => Verbosity::Warnings,
        2 => Verbosity::Steps,
        // A negative level counts as the highest.
        _ => Verbosity::Signals,
    };
    Invocation::Run(Box::new(bare))
}

/// tini without any option.
fn described() -> Bare {
    Bare {
        persona: Persona::Tini,
        command: Vec::new(),
        adoption: Adoption::Warn,
        place: Place::Group,
        recipient: Recipient::Main,
        // tini handles them itself, since it writes to a terminal from the background.
        rewrites: vec![(Signal::TTIN, None), (Signal::TTOU, None)],
        not_forwarded: SignalSet::of(&Signal::FAULTS),
        suspension: Suspension::None,
        remapped_exits: Vec::new(),
        parent_death: None,
        signals: Inheritance::Keep,
        at_end: AtEnd::Leave,
        release: Release::Nothing,
        verbosity: Verbosity::Warnings,
        report_orphans: false,
    }
}

fn signal(name: &OsStr) -> Option<Signal> {
    let name = name.to_str()?;
    let known = (1..=i32::from(NAMES_KNOWN)).filter_map(Signal::new);
    let is_named = |signal: &Signal| signal.to_string() == name && !NAMES_UNKNOWN.contains(&name);
    known.into_iter().find(is_named)
}

fn refused(option: &str, value: &OsStr, expected: &str) -> Invocation {
    let message = format!("tini: invalid value `{}` for `{option}`: expected {expected}\n", value.display());
    Invocation::print(Stream::Err, ExitStatus::FAILED, message)
}

fn wrong(problem: &Problem) -> String {
    match problem {
        Problem::Unknown(option) => format!("unknown option `{option}`"),
        Problem::MissingValue(option) => format!("`{option}` needs a value"),
        Problem::UnexpectedValue(option) => format!("`{option}` takes no value"),
    }
}

/// As atoi(3): text that does not start with a number is 0.
fn leading_number(text: &OsStr) -> i32 {
    let text = text.to_string_lossy();
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|byte: char| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let sign = if text.starts_with('-') { -1 } else { 1 };
    digits.get(..end).and_then(|digits| digits.parse::<i32>().ok()).map_or(0, |number| sign * number)
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
    fn prints(line: &str, stream: Stream, status: u8, part: &str) {
        testing::prints(read, line, stream, status, part);
    }

    #[test]
    fn without_options_it_behaves_as_tini() {
        assert_eq!(runs("sleep 1", &[]), Bare { command: vec!["sleep".into(), "1".into()], ..described() });
        assert_eq!(runs("-- -x", &[]).command, ["-x"]);
    }

    #[test]
    fn options_and_variables_have_the_same_effect() {
        let by_option = runs("-s -g -v -e 143 -e0 -p SIGTERM true", &[]);
        assert_eq!(by_option.adoption, Adoption::Subreaper);
        assert_eq!(by_option.recipient, Recipient::Group);
        assert_eq!(by_option.verbosity, Verbosity::Steps);
        assert_eq!(by_option.remapped_exits, [143, 0]);
        assert_eq!(by_option.parent_death, Some(Signal::TERM));
        let by_variable =
            runs("true", &[("TINI_SUBREAPER", ""), ("TINI_KILL_PROCESS_GROUP", ""), ("TINI_VERBOSITY", "2")]);
        assert_eq!(by_variable, Bare { remapped_exits: Vec::new(), parent_death: None, ..by_option });
    }

    #[test]
    fn the_variable_for_verbosity_is_read_as_c_reads_numbers_and_wins() {
        for (text, verbosity) in [
            ("0", Verbosity::Silent),
            ("", Verbosity::Silent),
            ("loud", Verbosity::Silent),
            (" 1x", Verbosity::Warnings),
            ("+2", Verbosity::Steps),
            ("3", Verbosity::Signals),
            ("99", Verbosity::Signals),
            ("-1", Verbosity::Signals),
        ] {
            assert_eq!(runs("-vvv true", &[("TINI_VERBOSITY", text)]).verbosity, verbosity, "{text}");
        }
    }

    #[test]
    fn options_after_the_command_belong_to_it_only_with_posixly_correct() {
        assert_eq!(runs("sh -g -e 3", &[]).command, ["sh"]);
        assert_eq!(runs("sh -g -e 3", &[("POSIXLY_CORRECT", "")]).command, ["sh", "-g", "-e", "3"]);
        assert_eq!(runs("sh -- -g", &[]).command, ["sh", "-g"]);
    }

    #[test]
    fn help_and_version_are_printed_and_an_invalid_option_is_named() {
        prints("--version", Stream::Out, 0, "tini version");
        prints("-h", Stream::Out, 0, "usage: tini");
        prints("-l", Stream::Out, 0, "license");
        prints("", Stream::Err, 1, "usage: tini");
        prints("-v", Stream::Err, 1, "usage: tini");
        prints("-x true", Stream::Err, 1, "unknown option `-x`");
        prints("--version true", Stream::Err, 1, "unknown option `--`");
        prints("-p", Stream::Err, 1, "`-p` needs a value");
        for wrong in ["TERM", "9", "SIGIO", "SIGTREM", "SIGRTMIN"] {
            prints(&format!("-p {wrong} true"), Stream::Err, 1, &format!("invalid value `{wrong}` for `-p`"));
        }
        for wrong in ["256", "-1", "x", "''"] {
            prints(&format!("-e {wrong} true"), Stream::Err, 1, "for `-e`: expected an exit code");
        }
    }
}
