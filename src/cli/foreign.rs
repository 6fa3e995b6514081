//! Verbs of other tools that are not a single verb here, each with the verb to use instead.
//!
//! A verb that has an exact equivalent and changes nothing is an alias in `commands.rs`. A foreign name never stops or
//! kills anything: the message only names the verb. Pure.

/// The words of supervisorctl, pm2, docker, systemctl, kubectl and shells, each with its answer.
const WORDS: &[(&[&str], &str)] = &[
    (&["reread"], "`foster update --dry-run` prints what would change, `foster update` applies it"),
    (&["add", "remove", "delete", "del", "apply"], "edit the configuration, then `foster update` applies it"),
    (
        &["kill"],
        "`foster stop NAME` stops a program, `foster signal KILL NAME` sends SIGKILL, `foster shutdown` ends all",
    ),
    (
        &["quit", "exit", "down", "halt", "poweroff", "reboot", "terminate"],
        "`foster shutdown` stops everything and ends the container",
    ),
    (&["up", "startall"], "`foster start all` starts every program, `foster run` is the supervisor"),
    (
        &["fg", "attach", "ssh", "shell", "bash", "enter"],
        "`foster exec NAME -- sh` runs a shell in the environment of that program",
    ),
    (
        &["maintail", "journal", "journalctl", "history"],
        "`foster events` shows what happened, `foster logs` the output",
    ),
    (
        &["enable", "disable"],
        "`autostart` in the configuration decides what starts; `foster update` applies it",
    ),
    (
        &["pause", "suspend", "resume", "unpause"],
        "`foster stop NAME` pauses a job and stops a program, `foster start NAME` resumes and starts it",
    ),
    (
        &["clear", "flush", "reset", "reset-failed"],
        "`foster start NAME` starts a fatal program and resets its failure count",
    ),
    (&["reopen", "rotate", "reloadlogs"], "SIGUSR1 to foster reopens its log files: `kill -USR1 1`"),
    (&["ping", "healthcheck"], "`foster health` reports whether everything is ready and healthy"),
];

/// The answer to a verb of another tool.
pub(super) fn answer(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase();
    WORDS.iter().find(|(words, _)| words.contains(&word.as_str())).map(|(_, answer)| *answer)
}

#[cfg(test)]
mod tests {
    use super::super::verb::Verb;
    use super::*;

    #[test]
    fn no_foreign_word_is_a_verb_or_repeated() {
        let words: Vec<&str> = WORDS.iter().flat_map(|(words, _)| words.iter().copied()).collect();
        for (index, word) in words.iter().enumerate() {
            assert!(Verb::by_name(word).is_none(), "{word}");
            assert!(!words.iter().skip(index + 1).any(|other| other == word), "{word}");
        }
    }

    #[test]
    fn every_answer_names_a_verb_or_a_command_that_exists() {
        for (words, answer) in WORDS {
            for command in answer.split('`').skip(1).step_by(2) {
                let Some(verb) = command.strip_prefix("foster ") else { continue };
                let verb = verb.split(' ').next().unwrap_or_default();
                assert!(Verb::by_name(verb).is_some(), "{words:?}: {verb}");
            }
        }
    }
}
