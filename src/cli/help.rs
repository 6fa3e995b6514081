//! Help: the table of verbs, for people.
//!
//! At most 80 columns, plain text. The texts about a verb are in the table.

use super::bare;
use super::commands;
use super::flags::{CONFIG, Flag, HELP, JSON, SOCKET, VERSION};
use super::verb::{Group, Verb};
use crate::exit::ExitStatus;

/// The version, with a line end.
pub fn version() -> String {
    format!("foster {}\n", env!("CARGO_PKG_VERSION"))
}

/// All verbs, grouped by task.
pub fn overview() -> String {
    let mut page = String::from(
        "foster: the first process of a container: init and process manager\n\n\
         usage: foster [VERB] [FLAGS] [NAME...]\n       \
                foster [FLAGS] -- COMMAND [ARG...]\n",
    );
    let width = commands::all().map(|verb| verb.name.len()).max().unwrap_or(0);
    for group in Group::ALL {
        page += &format!("\n{}\n", group.title());
        for verb in commands::all().filter(|verb| verb.group == group) {
            page += &format!("  {:width$}  {}\n", verb.name, verb.summary);
        }
    }
    page += "\nA NAME is a program (backend), one of its instances (backend.0), a glob\n\
             ('web*'), or all.\n";
    page += "\nFlags that most verbs take\n";
    page += &flags(&[&SOCKET, &CONFIG, &JSON, &HELP, &VERSION]);
    page += "\nThe bare init, `foster [FLAGS] -- COMMAND`, runs one command, reaps zombies,\n\
             forwards signals, and exits with its status. A SIG is a name or a number.\n";
    page += &flags(&bare::FLAGS);
    page += "\nExit status\n";
    for (status, meaning) in EXIT_STATUSES {
        page += &format!("  {:<3}  {meaning}\n", status.0);
    }
    page += "\n`foster help VERB` explains a verb.\n";
    page
}

/// The exit statuses of verbs; the page of a verb lists those that it has.
const EXIT_STATUSES: [(ExitStatus, &str); 5] = [
    (ExitStatus::DONE, "done"),
    (ExitStatus::FAILED, "it failed for a program, or there is no such name"),
    (ExitStatus::USAGE, "the command line or the configuration is invalid"),
    (ExitStatus::NOT_RUNNING, "(status) a program that should be running is not"),
    (ExitStatus::NO_SUPERVISOR, "no supervisor answers at the socket"),
];

/// The page of one verb.
pub fn of(verb: &Verb) -> String {
    let mut page = format!("foster {}: {}\n\n{}", verb.name, verb.summary, usage(verb));
    if !verb.about.is_empty() {
        page += &format!("\n{}\n", verb.about);
    }
    if !verb.aliases.is_empty() {
        page += &format!("\nAlso: {}\n", verb.aliases.join(", "));
    }
    page += "\nFlags\n";
    let own = verb.flags.iter().copied();
    page += &flags(&own.chain([&HELP]).collect::<Vec<_>>());
    if !verb.examples.is_empty() {
        page += "\nExamples\n";
        let lines: Vec<String> = verb.examples.iter().map(|(line, _)| format!("foster {line}")).collect();
        let width = lines.iter().map(String::len).max().unwrap_or(0);
        for (line, (_, purpose)) in lines.iter().zip(verb.examples) {
            page += &format!("  {:width$}  {purpose}\n", line.trim_end());
        }
    }
    page += "\nExit status\n";
    let width = verb.statuses.iter().map(|(status, _)| status.0.to_string().len()).max().unwrap_or(0);
    for (status, meaning) in verb.statuses {
        page += &format!("  {:<width$}  {meaning}\n", status.0);
    }
    page
}

/// The usage line, with a line end.
pub fn usage(verb: &Verb) -> String {
    let words = ["usage: foster", verb.name, "[FLAGS]", verb.arguments];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    format!("{}\n", words.join(" "))
}

fn flags(flags: &[&Flag]) -> String {
    let names: Vec<String> = flags.iter().map(|flag| render(flag)).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    let line = |(name, flag): (&String, &&Flag)| format!("  {name:width$}  {}\n", flag.summary);
    names.iter().zip(flags).map(line).collect()
}

/// `-c, --config FILE`, with the long names aligned.
pub(super) fn render(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = flag.value.map_or(String::new(), |value| format!(" {value}"));
    format!("{short}--{}{value}", flag.long)
}

#[cfg(test)]
mod tests;
