//! The command line of supervisorctl: options, then a verb, whose arguments are its own. Pure.
//!
//! `settings.rs` reads what a configuration adds to it.

use std::ffi::OsString;
use std::path::PathBuf;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Invocation {
    /// A text to print.
    Print(String),
    /// A verb, or lines of standard input.
    Run(Options),
}

/// Its options.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    /// The configuration whose `[supervisorctl]` is read.
    pub(super) config: Option<PathBuf>,
    /// The server.
    pub(super) url: Option<String>,
    /// The user of the server.
    pub(super) username: Option<String>,
    /// The password of that user.
    pub(super) password: Option<String>,
    /// Whether `shutdown` and `reload` ask first.
    pub(super) interactive: bool,
    /// Where the history of the prompt is kept.
    pub(super) history: Option<PathBuf>,
    /// The verb and its arguments.
    pub(super) words: Vec<String>,
}

const USAGE: &str = "\
supervisorctl -- control programs that foster or supervisord runs.

Usage: supervisorctl [options] [action [arguments]]

Options:
-c/--configuration FILE  read [supervisorctl] of this file (searches if not given)
-h/--help                print this usage message and exit
-i/--interactive         ask before shutdown and reload
-s/--serverurl URL       http://host:port or unix:///path; without it foster's own socket, then the configuration's serverurl
-u/--username NAME       user of the server
-p/--password PASSWORD   password of the server
-r/--history-file FILE   keep the history of the prompt in this file

Without an action, status is printed and actions are read from standard input.
";

/// Reads a command line, without the program's own name.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(arguments: &[OsString]) -> Result<Invocation, String> {
    let mut parser = lexopt::Parser::from_args(arguments.iter().cloned());
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => {
                return Ok(Invocation::Print(USAGE.to_owned()));
            }
            lexopt::Arg::Short('i') | lexopt::Arg::Long("interactive") => options.interactive = true,
            lexopt::Arg::Short('c') | lexopt::Arg::Long("configuration") => {
                options.config = Some(value(&mut parser)?.into());
            }
            lexopt::Arg::Short('s') | lexopt::Arg::Long("serverurl") => {
                options.url = Some(text(value(&mut parser)?)?)
            }
            lexopt::Arg::Short('u') | lexopt::Arg::Long("username") => {
                options.username = Some(text(value(&mut parser)?)?);
            }
            lexopt::Arg::Short('p') | lexopt::Arg::Long("password") => {
                options.password = Some(text(value(&mut parser)?)?);
            }
            lexopt::Arg::Short('r') | lexopt::Arg::Long("history-file" | "history_file") => {
                options.history = Some(value(&mut parser)?.into());
            }
            lexopt::Arg::Value(word) => {
                // What follows a verb belongs to it, also `-f`.
                options.words.push(text(word)?);
                for word in parser.raw_args().map_err(|error| error.to_string())? {
                    options.words.push(text(word)?);
                }
            }
            other @ (lexopt::Arg::Short(_) | lexopt::Arg::Long(_)) => {
                return Err(other.unexpected().to_string());
            }
        }
    }
    Ok(Invocation::Run(options))
}

fn value(parser: &mut lexopt::Parser) -> Result<OsString, String> {
    parser.value().map_err(|error| error.to_string())
}

fn text(word: OsString) -> Result<String, String> {
    word.into_string().map_err(|word| format!("{} is not UTF-8", word.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Invocation, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_come_first_and_what_follows_the_verb_is_its_own() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let run = |options: Options| Ok(Invocation::Run(options));
        assert_eq!(read(&[]), run(Options::default()));
        assert_eq!(
            read(&["-c", "/etc/s.conf", "-r", "h", "status"]),
            run(Options {
                config: Some("/etc/s.conf".into()),
                history: Some("h".into()),
                words: words(&["status"]),
                ..Options::default()
            })
        );
        assert_eq!(
            read(&["-i", "-uadmin", "-p", "x", "--serverurl=http://a:1", "tail", "-f", "a"]),
            run(Options {
                url: Some("http://a:1".into()),
                username: Some("admin".into()),
                password: Some("x".into()),
                interactive: true,
                words: words(&["tail", "-f", "a"]),
                ..Options::default()
            })
        );
        assert!(matches!(read(&["-h"]), Ok(Invocation::Print(text)) if text.contains("Usage:")));
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong() {
        for (words, part) in [(vec!["-z"], "-z"), (vec!["-c"], "-c"), (vec!["-s"], "-s")] {
            assert!(read(&words).unwrap_err().contains(part), "{words:?}");
        }
    }
}
