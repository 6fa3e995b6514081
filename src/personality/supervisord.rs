//! foster called `supervisord`: its command line, as that of `foster run -c FILE`.
//!
//! Options that say the same as a key without an effect have none either; those that would change a program are refused,
//! with the key to write.

use std::ffi::OsString;
use std::path::Path;

use crate::exit::ExitStatus;

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// The arguments of foster.
    Run(Vec<OsString>),
    /// A text to print, and the exit status.
    Print {
        /// The text.
        text: String,
        /// The exit status.
        status: ExitStatus,
    },
}

/// Where supervisord looks for its configuration.
const PLACES: [&str; 5] = [
    "./supervisord.conf",
    "./etc/supervisord.conf",
    "/etc/supervisord.conf",
    "/etc/supervisor/supervisord.conf",
    "/etc/supervisor/conf.d/supervisord.conf",
];

const USAGE: &str = "\
supervisord -- run a set of applications, by foster.

Usage: supervisord [options]

Options:
-c/--configuration FILE   configuration file path (searches if not given)
-n/--nodaemon             run in the foreground (always so)
-h/--help                 print this usage message and exit
-v/--version              print foster's version and exit

-s -k -t -l -y -z -j -q -i -m -d are accepted and have no effect: foster logs to its standard streams.
-u and -e are keys of [supervisord]: user and loglevel. -a is a limit of the container: docker run --ulimit nofile=N.
";

/// Reads a command line, without the program's own name.
pub fn read(arguments: &[OsString], exists: impl Fn(&Path) -> bool) -> Invocation {
    let refused = |message: String| Invocation::Print {
        text: format!("Error: {message}\nFor help, use supervisord -h\n"),
        status: ExitStatus::USAGE,
    };
    let print = |text: String| Invocation::Print { text, status: ExitStatus::DONE };
    let mut parser = lexopt::Parser::from_args(arguments.iter().cloned());
    let mut file = None;
    loop {
        let option = match parser.next() {
            Ok(Some(option)) => option,
            Ok(None) => break,
            Err(error) => return refused(error.to_string()),
        };
        match option {
            lexopt::Arg::Short('h') | lexopt::Arg::Long("help") => return print(USAGE.to_owned()),
            lexopt::Arg::Short('v') | lexopt::Arg::Long("version") => {
                return print(format!("{}\n", env!("CARGO_PKG_VERSION")));
            }
            lexopt::Arg::Short('n' | 's' | 'k' | 't')
            | lexopt::Arg::Long("nodaemon" | "silent" | "nocleanup" | "strip_ansi") => {}
            lexopt::Arg::Short('c') | lexopt::Arg::Long("configuration") => match parser.value() {
                Ok(value) => file = Some(value),
                Err(error) => return refused(error.to_string()),
            },
            lexopt::Arg::Short('l' | 'y' | 'z' | 'j' | 'q' | 'i' | 'm' | 'd')
            | lexopt::Arg::Long(
                "logfile" | "logfile_maxbytes" | "logfile_backups" | "pidfile" | "childlogdir" | "identifier"
                | "umask" | "directory" | "profile_options",
            ) => {
                if let Err(error) = parser.value() {
                    return refused(error.to_string());
                }
            }
            lexopt::Arg::Short('u') | lexopt::Arg::Long("user") => match parser.value() {
                Ok(user) if user == "root" || user == "0" => {}
                _ => return refused("-u cannot be given: write `user` into [supervisord]".to_owned()),
            },
            lexopt::Arg::Short('a') | lexopt::Arg::Long("minfds") => {
                return refused(
                    "-a cannot be given: `docker run --ulimit nofile=N` sets the limit".to_owned(),
                );
            }
            lexopt::Arg::Short('e') | lexopt::Arg::Long("loglevel") => {
                return refused("-e cannot be given: write `loglevel` into [supervisord]".to_owned());
            }
            lexopt::Arg::Value(_) => return refused("positional arguments are not supported".to_owned()),
            other @ (lexopt::Arg::Short(_) | lexopt::Arg::Long(_)) => {
                return refused(other.unexpected().to_string());
            }
        }
    }
    let found = || PLACES.into_iter().find(|place| exists(Path::new(place))).map(OsString::from);
    let Some(file) = file.or_else(found) else {
        return refused(format!("no config file found at default paths ({}); use -c", PLACES.join(", ")));
    };
    Invocation::Run(vec!["run".into(), "-c".into(), file])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> Invocation {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        read(&words, |path| path == Path::new("/etc/supervisor/supervisord.conf"))
    }

    fn runs(file: &str) -> Invocation {
        Invocation::Run(["run", "-c", file].map(OsString::from).to_vec())
    }

    #[test]
    fn the_file_is_named_or_found_where_supervisord_looks() {
        assert_eq!(of(&["-n", "-c", "/app/s.conf"]), runs("/app/s.conf"));
        assert_eq!(of(&["-nc/app/s.conf", "-u", "root", "-l", "/dev/null"]), runs("/app/s.conf"));
        assert_eq!(of(&["--nodaemon", "--configuration=/app/s.conf"]), runs("/app/s.conf"));
        assert_eq!(of(&[]), runs("/etc/supervisor/supervisord.conf"));
        let Invocation::Print { text, status } = read(&[], |_| false) else { panic!("it was found") };
        assert!(text.contains("/etc/supervisord.conf") && status == ExitStatus::USAGE, "{text}");
    }

    #[test]
    fn what_would_be_lost_is_refused_with_the_key() {
        for (words, part) in [
            (vec!["-u", "www"], "`user`"),
            (vec!["-a", "4096"], "--ulimit"),
            (vec!["-e", "debug"], "`loglevel`"),
            (vec!["start"], "positional"),
            (vec!["-x"], "-x"),
            (vec!["-c"], "-c"),
        ] {
            let Invocation::Print { text, status } = of(&words) else { panic!("{words:?} is accepted") };
            assert!(text.contains(part) && status == ExitStatus::USAGE, "{text}");
        }
        assert!(matches!(of(&["-h"]), Invocation::Print { status: ExitStatus::DONE, .. }));
        assert!(matches!(of(&["-v"]), Invocation::Print { status: ExitStatus::DONE, .. }));
    }
}
