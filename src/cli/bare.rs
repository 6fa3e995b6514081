//! The command line of the bare init: `foster [FLAGS] -- COMMAND [ARG...]`.
//!
//! Its flags are in a table, like those of verbs; the help prints it. [`is_bare_init`] distinguishes it from a verb and
//! is called first at every start, so it checks as little as possible. Pure, like all of `cli/`.

use std::ffi::{OsStr, OsString};

use foster_core::ids::Signal;

use super::flags::{Flag, HELP};
use super::problem::{GivenFlag, Problem};
use super::usage::UsageError;

/// The options of a bare init.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Signal the command's whole process group.
    pub group: bool,
    /// The signal to receive when the parent dies.
    pub parent_death: Option<Signal>,
    /// Signals to rewrite or drop, in the order of the command line.
    pub rewrites: Vec<(Signal, Option<Signal>)>,
    /// Exit codes that become 0.
    pub remapped_exits: Vec<u8>,
    /// Report each zombie that is reaped.
    pub report_orphans: bool,
    /// Be a subreaper, even as PID 1.
    pub subreaper: bool,
    /// Report each step.
    pub verbose: bool,
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
}

/// What a command line of the bare init requests.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Run a command.
    Run(Options),
    /// Print help.
    Help,
}

/// `--group`.
pub static GROUP: Flag = Flag {
    long: "group",
    short: Some('g'),
    value: None,
    summary: "Pass signals on to the command's whole process group",
};

/// `--parent-death`.
pub static PARENT_DEATH: Flag = Flag {
    long: "parent-death",
    short: Some('p'),
    value: Some("SIG"),
    summary: "Signal to receive when the parent process dies",
};

/// `--rewrite`.
pub static REWRITE: Flag = Flag {
    long: "rewrite",
    short: Some('r'),
    value: Some("A:B"),
    summary: "Pass signal A on as B; A:0 drops it; may be repeated",
};

/// `--remap-exit`.
pub static REMAP_EXIT: Flag = Flag {
    long: "remap-exit",
    short: Some('e'),
    value: Some("CODE"),
    summary: "Turn this exit code into 0; may be repeated",
};

/// `--report-zombies`.
pub static REPORT_ZOMBIES: Flag = Flag {
    long: "report-zombies",
    short: Some('w'),
    value: None,
    summary: "Report each zombie that is reaped",
};

/// `--subreaper`.
pub static SUBREAPER: Flag = Flag {
    long: "subreaper",
    short: Some('s'),
    value: None,
    summary: "Adopt orphans; the default unless foster is PID 1",
};

/// `--verbose`.
pub static VERBOSE: Flag =
    Flag { long: "verbose", short: Some('v'), value: None, summary: "Report each step on stderr" };

/// Every flag, in the order in which the help lists them.
pub static FLAGS: [&Flag; 7] =
    [&GROUP, &PARENT_DEATH, &REWRITE, &REMAP_EXIT, &REPORT_ZOMBIES, &SUBREAPER, &VERBOSE];

/// Separates the flags from the command.
const END_OF_FLAGS: &str = "--";

/// Whether this command line, without the program's name, is that of the bare init: it has only flags before `--`. In the
/// command line of a verb the verb precedes any `--`.
pub fn is_bare_init(arguments: &[OsString]) -> bool {
    let mut is_value = false;
    for argument in arguments {
        if argument == END_OF_FLAGS {
            return true;
        }
        let bytes = argument.as_encoded_bytes();
        if !is_value && !bytes.starts_with(b"-") {
            return false;
        }
        is_value = !is_value && wants_next(bytes);
    }
    false
}

/// Whether the next argument is the value of this flag: `-p`, `-gp` and `--rewrite`, but not `-p9` and `--rewrite=1:2`.
fn wants_next(argument: &[u8]) -> bool {
    let has_value = |flag: &&&Flag| flag.value.is_some();
    let mut flags = FLAGS.iter().filter(has_value);
    match argument.strip_prefix(b"--") {
        Some(long) => flags.any(|flag| flag.long.as_bytes() == long),
        None => {
            let first = argument.iter().position(|byte| {
                FLAGS.iter().filter(has_value).any(|flag| flag.short == Some(char::from(*byte)))
            });
            first.is_some_and(|at| at + 1 == argument.len())
        }
    }
}

/// Reads a command line of which [`is_bare_init`] is true.
///
/// # Errors
/// The first argument that is not valid.
pub fn parse(arguments: &[OsString]) -> Result<Invocation, UsageError> {
    read(arguments).map_err(|problem| UsageError { verb: None, problem })
}

fn read(arguments: &[OsString]) -> Result<Invocation, Problem> {
    let mut parser = lexopt::Parser::from_args(arguments.iter().cloned());
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(|error| Problem::of_parser(&error))? {
        let name = match argument {
            // Only flags precede the `--`, so the first value starts the command.
            lexopt::Arg::Value(name) => {
                let rest = parser.raw_args().map_err(|error| Problem::of_parser(&error))?;
                options.command = [name].into_iter().chain(rest).collect();
                return Ok(Invocation::Run(options));
            }
            lexopt::Arg::Long(long) => GivenFlag::Long(long.to_owned()),
            lexopt::Arg::Short(short) => GivenFlag::Short(short),
        };
        let Some(flag) = FLAGS.iter().copied().chain([&HELP]).find(|flag| name.is(flag)) else {
            return Err(name.unknown_among(FLAGS.iter().map(|flag| flag.long)));
        };
        if *flag == HELP {
            return Ok(Invocation::Help);
        }
        let value = match flag.value {
            None => OsString::new(),
            Some(_) => parser
                .value()
                .ok()
                .filter(|value| value != END_OF_FLAGS)
                .ok_or(Problem::MissingValue(flag))?,
        };
        options.set(flag, &value)?;
    }
    Err(Problem::MissingArgument("COMMAND"))
}

impl Options {
    fn set(&mut self, flag: &'static Flag, value: &OsStr) -> Result<(), Problem> {
        let text = || value.to_str().ok_or_else(|| Problem::NotText(value.to_string_lossy().into_owned()));
        match flag.short {
            Some('g') => self.group = true,
            Some('w') => self.report_orphans = true,
            Some('s') => self.subreaper = true,
            Some('v') => self.verbose = true,
            Some('p') => self.parent_death = Some(signal(text()?)?),
            Some('r') => self.rewrites.push(rewrite(text()?)?),
            Some('e') => self.remapped_exits.push(exit_code(text()?)?),
            Some(_) | None => {}
        }
        Ok(())
    }
}

fn signal(text: &str) -> Result<Signal, Problem> {
    Signal::parse(text).ok_or_else(|| Problem::no_such_signal(text))
}

/// Signals that cannot be caught, and CHLD, which every init handles itself.
const NEVER_FORWARDED: [Signal; 3] = [Signal::KILL, Signal::STOP, Signal::CHLD];

fn rewrite(text: &str) -> Result<(Signal, Option<Signal>), Problem> {
    let wrong = |expected| Problem::BadValue { flag: &REWRITE, given: text.to_owned(), expected };
    let (received, sent) = text
        .split_once(':')
        .ok_or_else(|| wrong("two signals such as `TERM:QUIT`, or `HUP:0` to drop one"))?;
    let received = signal(received)?;
    if NEVER_FORWARDED.contains(&received) {
        return Err(wrong(
            "a signal other than KILL, STOP and CHLD before the `:`: these are never passed on",
        ));
    }
    let sent = if sent == "0" { None } else { Some(signal(sent)?) };
    Ok((received, sent))
}

fn exit_code(text: &str) -> Result<u8, Problem> {
    let expected = "an exit code from 0 to 255";
    text.parse().map_err(|_| Problem::BadValue { flag: &REMAP_EXIT, given: text.to_owned(), expected })
}

#[cfg(test)]
mod tests {
    use super::*;

    use expect_test::{Expect, expect};

    fn split(line: &str) -> Vec<OsString> {
        shell_words::split(line).unwrap().into_iter().map(OsString::from).collect()
    }

    fn run(line: &str) -> Options {
        match parse(&split(line)).unwrap() {
            Invocation::Run(options) => options,
            Invocation::Help => panic!("help"),
        }
    }

    fn refused(line: &str, expected: Expect) {
        assert!(is_bare_init(&split(line)), "{line}");
        expected.assert_eq(&parse(&split(line)).unwrap_err().to_string());
    }

    #[test]
    fn only_flags_before_two_dashes_are_the_bare_init() {
        for line in [
            "-- true",
            "--",
            "-g -- x",
            "-p TERM -- x",
            "-gp TERM -- x",
            "--rewrite 1:2 -e 3 -- x",
            "-x -- y",
        ] {
            assert!(is_bare_init(&split(line)), "{line}");
        }
        for line in
            ["", "run", "exec web -- ls", "-g sleep 1", "-p -g sleep -- 1", "-h", "-c a.toml run -- x"]
        {
            assert!(!is_bare_init(&split(line)), "{line}");
        }
    }

    #[test]
    fn every_flag_is_read_and_the_command_is_unchanged() {
        let signal = |name| Signal::parse(name).unwrap();
        let expected = Options {
            group: true,
            parent_death: Some(signal("RTMIN+2")),
            rewrites: vec![(signal("TERM"), Some(signal("QUIT"))), (signal("HUP"), None)],
            remapped_exits: vec![143, 0],
            report_orphans: true,
            subreaper: true,
            verbose: true,
            command: split("sh -c 'exit 3' -- -v"),
        };
        let command = "-- sh -c 'exit 3' -- -v";
        assert_eq!(run(&format!("-gwsv -p RTMIN+2 -r TERM:QUIT -r 1:0 -e 143 -e0 {command}")), expected);
        let long = "--group --report-zombies --subreaper --verbose --parent-death=SIGRTMIN+2 \
                    --rewrite 15:3 --rewrite=SIGHUP:0 --remap-exit 143 --remap-exit=0";
        assert_eq!(run(&format!("{long} {command}")), expected);
        assert_eq!(run("-- -g").command, ["-g"]);
        assert_eq!(run("-- -- x").command, ["--", "x"]);
        assert_eq!(parse(&split("-g --help -- x")).unwrap(), Invocation::Help);
    }

    #[test]
    fn an_invalid_command_line_is_refused_with_the_remedy() {
        refused("--", expect!["needs a COMMAND (see `foster help`)"]);
        refused("-g --", expect!["needs a COMMAND (see `foster help`)"]);
        refused(
            "-p -- x",
            expect!["`--parent-death` needs a value: `--parent-death SIG` (see `foster help`)"],
        );
        refused(
            "-p TREM -- x",
            expect!["there is no signal `TREM`; did you mean `TERM`? (see `foster help`)"],
        );
        refused("-p 65 -- x", expect!["there is no signal `65` (see `foster help`)"]);
        refused(
            "-r 1 -- x",
            expect![
                "invalid value `1` for `--rewrite`: expected two signals such as `TERM:QUIT`, or `HUP:0` to drop one (see `foster help`)"
            ],
        );
        refused("-r 0:1 -- x", expect!["there is no signal `0` (see `foster help`)"]);
        refused("-r TERM: -- x", expect!["there is no signal `` (see `foster help`)"]);
        refused(
            "-r KILL:TERM -- x",
            expect![
                "invalid value `KILL:TERM` for `--rewrite`: expected a signal other than KILL, STOP and CHLD before the `:`: these are never passed on (see `foster help`)"
            ],
        );
        refused(
            "-e 256 -- x",
            expect![
                "invalid value `256` for `--remap-exit`: expected an exit code from 0 to 255 (see `foster help`)"
            ],
        );
        refused(
            "-e '' -- x",
            expect![
                "invalid value `` for `--remap-exit`: expected an exit code from 0 to 255 (see `foster help`)"
            ],
        );
        refused("-x -- y", expect!["unknown flag `-x` (see `foster help`)"]);
        refused(
            "--rewrit=1:2 -- y",
            expect!["unknown flag `--rewrit`; did you mean `--rewrite`? (see `foster help`)"],
        );
        refused("--group=1 -- y", expect!["`--group` takes no value (see `foster help`)"]);
    }
}
