//! Reads command lines like getopt(3): short options in clusters, their values attached or after them.
//!
//! Only what tini and dumb-init need: `-e1`, `-e 1`, `-vvw`, `--` as the end, a lone `-` as an
//! operand, and long options that may be shortened as long as they stay unambiguous. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// The options of a program: letters, whether they have a value, and long names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grammar {
    /// As getopt(3) writes them: `"p:v"`.
    pub(super) letters: &'static str,
    /// Names without dashes, each with the letter it stands for.
    pub(super) long: &'static [(&'static str, u8)],
    /// How options after an operand are treated.
    pub(super) order: Order,
}

/// How options after an operand are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// They belong to the command.
    Stop,
    /// They are read like the others, up to `--`.
    Permute,
}

/// Options with their values (empty where they have none), and what is left: the command.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) options: Vec<(u8, OsString)>,
    pub(super) command: Vec<OsString>,
}

/// An invalid option. The options before it count: one of them may end everything (`-h`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) before: Vec<(u8, OsString)>,
    pub(super) problem: Problem,
}

/// What is wrong with an option.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is unknown, or the start of several.
    Unknown(String),
    /// It has no value, and needs one.
    MissingValue(String),
    /// It has a value, and takes none.
    UnexpectedValue(String),
}

impl Grammar {
    /// Reads the arguments behind the program's name.
    pub(super) fn read(self, arguments: &[OsString]) -> Result<Parsed, Wrong> {
        let mut parsed = Parsed::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let bytes = argument.as_bytes();
            if bytes == b"--" {
                break;
            }
            let result = match bytes {
                [b'-', b'-', long @ ..] if !self.long.is_empty() => self.long(long, &mut rest, &mut parsed),
                [b'-', cluster @ ..] if !cluster.is_empty() => self.cluster(cluster, &mut rest, &mut parsed),
                _ => {
                    parsed.command.push(argument.clone());
                    match self.order {
                        Order::Stop => break,
                        Order::Permute => Ok(()),
                    }
                }
            };
            if let Err(problem) = result {
                return Err(Wrong { before: parsed.options, problem });
            }
        }
        parsed.command.extend(rest.cloned());
        Ok(parsed)
    }

    fn cluster<'a>(
        self,
        cluster: &[u8],
        rest: &mut impl Iterator<Item = &'a OsString>,
        parsed: &mut Parsed,
    ) -> Result<(), Problem> {
        let mut letters = cluster;
        while let Some((&letter, behind)) = letters.split_first() {
            letters = behind;
            let name = || format!("-{}", char::from(letter));
            match self.takes_value(letter) {
                None => return Err(Problem::Unknown(name())),
                Some(false) => parsed.options.push((letter, OsString::new())),
                Some(true) => {
                    let value = match behind {
                        [] => rest.next().cloned().ok_or_else(|| Problem::MissingValue(name()))?,
                        attached => OsStr::from_bytes(attached).to_owned(),
                    };
                    parsed.options.push((letter, value));
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn long<'a>(
        self,
        long: &[u8],
        rest: &mut impl Iterator<Item = &'a OsString>,
        parsed: &mut Parsed,
    ) -> Result<(), Problem> {
        let mut parts = long.splitn(2, |byte| *byte == b'=');
        let (name, value) = (parts.next().unwrap_or(long), parts.next());
        let shown = || format!("--{}", String::from_utf8_lossy(name));
        let exact = self.long.iter().find(|(known, _)| known.as_bytes() == name);
        let mut beginning = self.long.iter().filter(|(known, _)| known.as_bytes().starts_with(name));
        let only = || match (beginning.next(), beginning.next()) {
            (Some(found), None) => Some(found),
            (_, _) => None,
        };
        let &(_, letter) = exact.or_else(only).ok_or_else(|| Problem::Unknown(shown()))?;
        let value = match (self.takes_value(letter), value) {
            (Some(true), Some(value)) => OsStr::from_bytes(value).to_owned(),
            (Some(true), None) => rest.next().cloned().ok_or_else(|| Problem::MissingValue(shown()))?,
            (_, Some(_)) => return Err(Problem::UnexpectedValue(shown())),
            (_, None) => OsString::new(),
        };
        parsed.options.push((letter, value));
        Ok(())
    }

    /// `None`: the letter is unknown.
    fn takes_value(self, letter: u8) -> Option<bool> {
        let letters = self.letters.as_bytes();
        let at = letters.iter().position(|known| *known == letter && letter != b':')?;
        Some(letters.get(at + 1) == Some(&b':'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERMUTING: Grammar = Grammar { letters: "p:ve:", long: &[], order: Order::Permute };
    const STOPPING: Grammar = Grammar {
        letters: "hvVr:",
        long: &[("help", b'h'), ("verbose", b'v'), ("version", b'V'), ("rewrite", b'r')],
        order: Order::Stop,
    };

    fn strings(texts: &[&str]) -> Vec<OsString> {
        texts.iter().map(OsString::from).collect()
    }

    #[track_caller]
    fn reads(grammar: Grammar, arguments: &[&str], options: &[(char, &str)], command: &[&str]) {
        let parsed = grammar.read(&strings(arguments)).unwrap();
        let seen: Vec<(char, &str)> = parsed
            .options
            .iter()
            .map(|(letter, value)| (char::from(*letter), value.to_str().unwrap()))
            .collect();
        assert_eq!(seen, options);
        assert_eq!(parsed.command, strings(command));
    }

    #[track_caller]
    fn is_wrong(grammar: Grammar, arguments: &[&str], problem: Problem) {
        assert_eq!(grammar.read(&strings(arguments)).unwrap_err().problem, problem, "{arguments:?}");
    }

    #[test]
    fn options_stand_alone_in_clusters_and_with_values() {
        reads(
            PERMUTING,
            &["-vv", "-p", "x", "-ve1", "a"],
            &[('v', ""), ('v', ""), ('p', "x"), ('v', ""), ('e', "1")],
            &["a"],
        );
        reads(PERMUTING, &["-p", "--", "-e=1", "-"], &[('p', "--"), ('e', "=1")], &["-"]);
        reads(
            STOPPING,
            &["--rewrite", "1:2", "--rewrite=3:4", "--rew=", "--verb"],
            &[('r', "1:2"), ('r', "3:4"), ('r', ""), ('v', "")],
            &[],
        );
    }

    #[test]
    fn the_order_decides_about_options_after_an_operand() {
        reads(PERMUTING, &["a", "-v", "b", "--", "-v"], &[('v', "")], &["a", "b", "-v"]);
        reads(STOPPING, &["-v", "a", "-v", "--", "b"], &[('v', "")], &["a", "-v", "--", "b"]);
        reads(STOPPING, &["--", "--", "a"], &[], &["--", "a"]);
    }

    #[test]
    fn an_invalid_option_is_named() {
        is_wrong(PERMUTING, &["-x"], Problem::Unknown("-x".into()));
        is_wrong(PERMUTING, &["-v:"], Problem::Unknown("-:".into()));
        is_wrong(PERMUTING, &["--version", "a"], Problem::Unknown("--".into()));
        is_wrong(PERMUTING, &["a", "-p"], Problem::MissingValue("-p".into()));
        is_wrong(STOPPING, &["--yolo"], Problem::Unknown("--yolo".into()));
        is_wrong(STOPPING, &["--ver"], Problem::Unknown("--ver".into()));
        is_wrong(STOPPING, &["--rewrite"], Problem::MissingValue("--rewrite".into()));
        is_wrong(STOPPING, &["--help=1"], Problem::UnexpectedValue("--help".into()));
    }
}
