//! Completion: the candidates for the word at the cursor.
//!
//! A script passes the words of the line to `foster completions SHELL -- WORD...` and offers the result, so the scripts
//! contain no list of verbs and flags. Pure: the client asks the supervisor for the names of programs.

use std::path::PathBuf;

use foster_core::action::{EventName, StateName};
use foster_core::ids::Signal;

use super::command::Endpoint;
use super::commands::{self, flags_of};
use super::flags::{CONFIG, EVENT, Flag, SOCKET, STATE, full_name};
use super::shell::{Candidate, Shell};
use super::verb::Verb;

/// The candidates for a word.
#[derive(Debug, PartialEq, Eq)]
pub enum Candidates {
    /// One of these words; there may be none.
    Words(Vec<Candidate>),
    /// The path of a file, which the shell completes itself.
    Files,
    /// A NAME of the supervisor that these options find.
    Names(Endpoint),
}

impl Candidates {
    /// The line that means [`Candidates::Files`] to the scripts.
    pub const FILES: &str = ":files\n";
}

/// The candidates for the last of these words; the first is the one after `foster`. The shell keeps those that start
/// with the typed text.
pub fn fitting(words: &[String]) -> Candidates {
    let (current, before) = words.split_last().map_or(("", [].as_slice()), |(last, rest)| (last, rest));
    let mut line =
        Line { verb: None, endpoint: Endpoint::default(), flag: None, arguments: 0, rest: Rest::Ours };
    before.iter().for_each(|word| line.take(word));
    line.fitting(current)
}

/// A command line up to the cursor. Mistakes in it are ignored, because it is incomplete.
struct Line {
    verb: Option<&'static Verb>,
    endpoint: Endpoint,
    /// The flag whose value comes next.
    flag: Option<&'static Flag>,
    /// The number of arguments so far.
    arguments: usize,
    rest: Rest,
}

/// The meaning of the next words.
#[derive(PartialEq, Eq)]
enum Rest {
    /// Arguments of foster.
    Ours,
    /// A command after `--`.
    Foreign,
    /// None: there is no such verb.
    Unknown,
}

impl Line {
    fn take(&mut self, word: &str) {
        // bash splits `--flag=value` into three words.
        if word == "=" && self.flag.is_some() {
            return;
        }
        if let Some(flag) = self.flag.take() {
            return self.set(flag, word);
        }
        match (&self.rest, word) {
            (Rest::Foreign | Rest::Unknown, _) => {}
            (Rest::Ours, "--") => self.rest = Rest::Foreign,
            (Rest::Ours, long) if long.starts_with("--") => self.long(long.trim_start_matches('-')),
            (Rest::Ours, short) if short.starts_with('-') => self.short(short.trim_start_matches('-')),
            (Rest::Ours, _) if self.verb.is_some() => self.arguments += 1,
            (Rest::Ours, name) => {
                self.verb = Verb::by_name(name);
                self.rest = if self.verb.is_some() { Rest::Ours } else { Rest::Unknown };
            }
        }
    }

    fn long(&mut self, given: &str) {
        let (name, value) = given.split_once('=').map_or((given, None), |(name, value)| (name, Some(value)));
        let Some(flag) = flags_of(self.verb).find(|flag| flag.long == full_name(name)) else { return };
        match (flag.value, value) {
            (None, _) => {}
            (Some(_), None) => self.flag = Some(flag),
            (Some(_), Some(value)) => self.set(flag, value),
        }
    }

    /// `-fn20` is `-f -n 20`.
    fn short(&mut self, given: &str) {
        for (at, letter) in given.char_indices() {
            let flag = flags_of(self.verb).find(|flag| flag.short == Some(letter));
            let Some(flag) = flag.filter(|flag| flag.value.is_some()) else { continue };
            match given.get(at + letter.len_utf8()..).filter(|value| !value.is_empty()) {
                None => self.flag = Some(flag),
                Some(value) => self.set(flag, value),
            }
            return;
        }
    }

    fn set(&mut self, flag: &'static Flag, value: &str) {
        if *flag == SOCKET {
            self.endpoint.socket = Some(PathBuf::from(value));
        }
        if *flag == CONFIG {
            self.endpoint.config = Some(PathBuf::from(value));
        }
    }

    fn fitting(self, current: &str) -> Candidates {
        let nothing = Candidates::Words(Vec::new());
        let verbs = || commands::all().map(|verb| Candidate::new(verb.name, verb.summary)).collect();
        if let Some(flag) = self.flag {
            return match flag.value {
                Some("FILE" | "PATH") => Candidates::Files,
                Some(_) if *flag == EVENT => list(current, EventName::ALL.map(EventName::name)),
                Some(_) if *flag == STATE => list(current, StateName::ALL.map(StateName::name)),
                Some(_) | None => nothing,
            };
        }
        match (self.rest, self.verb) {
            (Rest::Unknown, _) => nothing,
            (Rest::Foreign, _) => Candidates::Files,
            (Rest::Ours, verb) if current.starts_with('-') => Candidates::Words(flags(verb)),
            (Rest::Ours, None) => Candidates::Words(verbs()),
            (Rest::Ours, Some(verb)) => match argument(verb, self.arguments) {
                Some("NAME") => Candidates::Names(self.endpoint),
                Some("FILE") => Candidates::Files,
                Some("VERB") => Candidates::Words(verbs()),
                Some("SHELL") => {
                    Candidates::Words(Shell::ALL.map(|(name, _)| Candidate::new(name, "")).to_vec())
                }
                Some("SIGNAL") => {
                    Candidates::Words(Signal::names().map(|name| Candidate::new(name, "")).collect())
                }
                Some(_) | None => nothing,
            },
        }
    }
}

/// Completes the last word of a list with commas.
fn list<const N: usize>(current: &str, words: [&str; N]) -> Candidates {
    let before = current.rfind(',').and_then(|comma| current.get(..=comma)).unwrap_or_default();
    Candidates::Words(words.map(|word| Candidate::new(format!("{before}{word}"), "")).to_vec())
}

fn flags(verb: Option<&'static Verb>) -> Vec<Candidate> {
    let mut flags: Vec<Candidate> = Vec::new();
    for flag in flags_of(verb) {
        let candidate = Candidate::new(format!("--{}", flag.long), flag.summary);
        if !flags.contains(&candidate) {
            flags.push(candidate);
        }
    }
    flags
}

/// The argument at this position, according to the verb's usage line.
fn argument(verb: &Verb, position: usize) -> Option<&'static str> {
    let mut words = verb.arguments.split(' ').map(|word| word.trim_matches(['[', ']']));
    let last = words.clone().next_back().and_then(|word| word.strip_suffix("..."));
    words.nth(position).map(|word| word.trim_end_matches('.')).or(last)
}

#[cfg(test)]
mod tests;
