//! The shells that complete foster's command lines: their scripts, and the format of candidates.
//!
//! `completions.rs` finds the candidates. Pure.

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
    /// Every shell, by its name.
    pub const ALL: [(&str, Shell); 3] = [("bash", Shell::Bash), ("zsh", Shell::Zsh), ("fish", Shell::Fish)];

    /// Its completion script.
    pub const fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("completions/foster.bash"),
            Shell::Zsh => include_str!("completions/foster.zsh"),
            Shell::Fish => include_str!("completions/foster.fish"),
        }
    }

    /// Formats candidates for its script.
    pub fn render(self, candidates: &[Candidate]) -> String {
        let line = |Candidate { text, about }: &Candidate| match self {
            Shell::Bash => format!("{text}\n"),
            Shell::Zsh => format!("{}:{about}\n", text.replace(':', "\\:")),
            Shell::Fish => format!("{text}\t{about}\n"),
        };
        candidates.iter().map(line).collect()
    }
}

/// A word that completes a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The word.
    pub text: String,
    /// A description, for shells that show one.
    pub about: &'static str,
}

impl Candidate {
    /// A word and its description.
    pub fn new(text: impl Into<String>, about: &'static str) -> Candidate {
        Candidate { text: text.into(), about }
    }
}
