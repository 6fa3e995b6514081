//! The command line of supervisorctl: options, then a verb, whose arguments are its own. Pure.
//!
//! Options that foster has no use for are accepted with their values, since scripts give them.

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
    /// The socket of foster's that `-s` names.
    pub(super) socket: Option<PathBuf>,
    /// Whether more verbs are read from standard input.
    pub(super) interactive: bool,
    /// The verb and its arguments.
    pub(super) words: Vec<String>,
}

const USAGE: &str = "\
supervisorctl -- control programs that foster runs from a supervisord configuration.

Usage: supervisorctl [options] [action [arguments]]

Options:
-c/--configuration FILE  accepted; foster's socket is found without it
-h/--help                print this usage message and exit
-i/--interactive         read more actions from standard input
-s/--serverurl URL       unix:///path of foster's own socket
-u/--username NAME       accepted; the socket's mode decides who may use it
-p/--password PASSWORD   accepted, as -u
-r/--history-file FILE   accepted

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
            lexopt::Arg::Short('c' | 'u' | 'p' | 'r')
            | lexopt::Arg::Long("configuration" | "username" | "password" | "history-file") => {
                parser.value().map_err(|error| error.to_string())?;
            }
            lexopt::Arg::Short('s') | lexopt::Arg::Long("serverurl") => {
                let url = parser.value().map_err(|error| error.to_string())?.to_string_lossy().into_owned();
                options.socket = Some(socket(&url)?);
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

fn text(word: OsString) -> Result<String, String> {
    word.into_string().map_err(|word| format!("{} is not UTF-8", word.display()))
}

/// The socket that a server URL names.
pub(super) fn socket(url: &str) -> Result<PathBuf, String> {
    match url.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        Some(_) => Err(format!("{url} names no socket: expected unix:///path")),
        None => Err(format!(
            "{url} cannot be reached: foster does not support XML-RPC yet; expected unix:///path of its own socket"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Invocation, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn options_come_first_and_what_follows_the_verb_is_its_own() {
        let run = |socket: Option<&str>, interactive, words: &[&str]| {
            let words = words.iter().map(|&word| word.to_owned()).collect();
            Ok(Invocation::Run(Options { socket: socket.map(PathBuf::from), interactive, words }))
        };
        assert_eq!(read(&[]), run(None, false, &[]));
        assert_eq!(read(&["-c", "/etc/s.conf", "status"]), run(None, false, &["status"]));
        assert_eq!(
            read(&["-i", "-uadmin", "-p", "x", "tail", "-f", "a"]),
            run(None, true, &["tail", "-f", "a"])
        );
        assert_eq!(
            read(&["--serverurl=unix:///run/f.sock", "pid"]),
            run(Some("/run/f.sock"), false, &["pid"])
        );
        assert!(matches!(read(&["-h"]), Ok(Invocation::Print(text)) if text.contains("Usage:")));
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong() {
        for (words, part) in [
            (vec!["-z"], "-z"),
            (vec!["-c"], "-c"),
            (vec!["-s", "http://localhost:9001", "status"], "not support XML-RPC"),
            (vec!["-s", "unix://x"], "names no socket"),
        ] {
            assert!(read(&words).unwrap_err().contains(part), "{words:?}");
        }
    }
}
