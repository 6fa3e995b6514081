//! Completion: what fits where the cursor stands, and the scripts that ask for it.
//!
//! A script hands the words of the line to `foster completions SHELL -- WORD...` and offers what it is
//! answered. So the scripts know nothing that the tables of verbs and flags do not say, and never grow old.
//! Pure: which programs there are, `verbs.rs` asks the supervisor.

use std::path::PathBuf;

use foster_core::ids::Signal;

use super::commands::{COMMANDS, Verb};
use super::flags::{CONFIG, Flag, SOCKET};
use super::{Place, known_to};

/// A shell that completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash, 4.0 or later.
    Bash,
    /// The Z shell.
    Zsh,
    /// The friendly interactive shell.
    Fish,
}

impl Shell {
    /// Every one, by its name.
    pub const ALL: [(&str, Shell); 3] = [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)];

    /// What makes it complete.
    pub const fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("completions/foster.bash"),
            Shell::Zsh => include_str!("completions/foster.zsh"),
            Shell::Fish => include_str!("completions/foster.fish"),
        }
    }

    /// Candidates as its script reads them.
    pub fn written(self, candidates: &[Candidate]) -> String {
        let line = |Candidate { text, about }: &Candidate| match self {
            Shell::Bash => format!("{text}\n"),
            Shell::Zsh => format!("{}:{about}\n", text.replace(':', "\\:")),
            Shell::Fish => format!("{text}\t{about}\n"),
        };
        candidates.iter().map(line).collect()
    }
}

/// One word that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub text: String,
    /// What it is, for shells that show that.
    pub about: &'static str,
}

impl Candidate {
    /// A word and what it is.
    pub fn new(text: impl Into<String>, about: &'static str) -> Candidate {
        Candidate { text: text.into(), about }
    }
}

/// What fits.
#[derive(Debug, PartialEq, Eq)]
pub enum Fitting {
    /// One of these words; there may be none.
    Words(Vec<Candidate>),
    /// The path of a file: the shell knows them best.
    Files,
    /// A NAME that the supervisor at this place knows.
    Names(Place),
}

impl Fitting {
    /// What the scripts take for [`Fitting::Files`].
    pub const FILES: &str = ":files\n";
}

/// What fits in place of the last of these words, the first being the one behind `foster`. The shell picks what
/// begins like it.
pub fn fitting(words: &[String]) -> Fitting {
    let (current, before) = words.split_last().map_or(("", [].as_slice()), |(last, rest)| (last, rest));
    let mut line = Line {
        verb: None,
        place: Place { socket: None, config: None },
        flag: None,
        arguments: 0,
        rest: Rest::Ours,
    };
    before.iter().for_each(|word| line.take(word));
    line.fitting(current)
}

/// A command line up to the cursor. What is wrong in it is passed over: its author is not done yet.
struct Line {
    verb: Option<&'static Verb>,
    place: Place,
    /// Waits for its value.
    flag: Option<&'static Flag>,
    /// How many there are already.
    arguments: usize,
    rest: Rest,
}

/// Whose words come next.
#[derive(PartialEq, Eq)]
enum Rest {
    /// foster's.
    Ours,
    /// A command's: they stand behind `--`.
    Foreign,
    /// Nobody knows: there is no such verb.
    Unknown,
}

impl Line {
    fn take(&mut self, word: &str) {
        // bash breaks `--flag=value` into three words.
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
                self.verb = Verb::called(name);
                self.rest = if self.verb.is_some() { Rest::Ours } else { Rest::Unknown };
            }
        }
    }

    fn long(&mut self, written: &str) {
        let (name, value) =
            written.split_once('=').map_or((written, None), |(name, value)| (name, Some(value)));
        let Some(flag) = known_to(self.verb).find(|flag| flag.long == name) else { return };
        match (flag.value, value) {
            (None, _) => {}
            (Some(_), None) => self.flag = Some(flag),
            (Some(_), Some(value)) => self.set(flag, value),
        }
    }

    /// `-fn20` is `-f -n 20`.
    fn short(&mut self, written: &str) {
        for (at, letter) in written.char_indices() {
            let flag = known_to(self.verb).find(|flag| flag.short == Some(letter));
            let Some(flag) = flag.filter(|flag| flag.value.is_some()) else { continue };
            match written.get(at + letter.len_utf8()..).filter(|value| !value.is_empty()) {
                None => self.flag = Some(flag),
                Some(value) => self.set(flag, value),
            }
            return;
        }
    }

    fn set(&mut self, flag: &'static Flag, value: &str) {
        if *flag == SOCKET {
            self.place.socket = Some(PathBuf::from(value));
        }
        if *flag == CONFIG {
            self.place.config = Some(PathBuf::from(value));
        }
    }

    fn fitting(self, current: &str) -> Fitting {
        let nothing = Fitting::Words(Vec::new());
        let verbs = || COMMANDS.iter().map(|verb| Candidate::new(verb.name, verb.summary)).collect();
        if let Some(flag) = self.flag {
            return if matches!(flag.value, Some("FILE" | "PATH")) { Fitting::Files } else { nothing };
        }
        match (self.rest, self.verb) {
            (Rest::Unknown, _) => nothing,
            (Rest::Foreign, _) => Fitting::Files,
            (Rest::Ours, verb) if current.starts_with('-') => Fitting::Words(flags(verb)),
            (Rest::Ours, None) => Fitting::Words(verbs()),
            (Rest::Ours, Some(verb)) => match argument(verb, self.arguments) {
                Some("NAME") => Fitting::Names(self.place),
                Some("FILE") => Fitting::Files,
                Some("VERB") => Fitting::Words(verbs()),
                Some("SHELL") => {
                    Fitting::Words(Shell::ALL.map(|(name, _)| Candidate::new(name, "")).to_vec())
                }
                Some("SIGNAL") => {
                    Fitting::Words(Signal::names().map(|name| Candidate::new(name, "")).collect())
                }
                Some(_) | None => nothing,
            },
        }
    }
}

fn flags(verb: Option<&'static Verb>) -> Vec<Candidate> {
    let mut flags: Vec<Candidate> = Vec::new();
    for flag in known_to(verb) {
        let candidate = Candidate::new(format!("--{}", flag.long), flag.summary);
        if !flags.contains(&candidate) {
            flags.push(candidate);
        }
    }
    flags
}

/// What the argument of this position is, by the verb's line of usage.
fn argument(verb: &Verb, position: usize) -> Option<&'static str> {
    let mut words = verb.arguments.split(' ').map(|word| word.trim_matches(['[', ']']));
    let last = words.clone().next_back().and_then(|word| word.strip_suffix("..."));
    words.nth(position).map(|word| word.trim_end_matches('.')).or(last)
}

#[cfg(test)]
mod tests;
