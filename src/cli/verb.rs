//! The type of a verb: the columns of the table in `commands.rs`.
//!
//! Pure data.

use super::args::ParsedArgs;
use super::command::Command;
use super::flags::Flag;
use super::problem::Problem;
use crate::exit::ExitStatus;

/// One verb.
#[derive(Debug)]
pub struct Verb {
    /// Its name.
    pub name: &'static str,
    /// Other tools' names for it.
    pub aliases: &'static [&'static str],
    /// Its heading in the help.
    pub group: Group,
    /// What it does, in half a line.
    pub summary: &'static str,
    /// Its arguments in usage lines, without flags; empty: none.
    pub arguments: &'static str,
    /// More about it, in lines of at most 80 columns; may be empty.
    pub about: &'static str,
    /// Its flags, without `--help`.
    pub flags: &'static [&'static Flag],
    /// Command lines after `foster`, each with its purpose.
    pub examples: &'static [(&'static str, &'static str)],
    /// All its exit statuses with their meaning: see [`Verb::status`].
    pub statuses: &'static [(ExitStatus, &'static str)],
    /// How the client prints the supervisor's answer.
    pub answer: Printer,
    /// Reads its arguments.
    pub(super) read: fn(&mut ParsedArgs) -> Result<Command, Problem>,
}

/// The printed form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Printer {
    /// A table of instances; the verb fails if one that should run does not.
    Table,
    /// A line for each instance; as JSON one object, in which this field tells whether all succeeded.
    Outcomes(&'static str),
    /// The same, with a line only for each failure.
    Failures(&'static str),
    /// The result of a run, whose exit status is that of the verb.
    Run,
    /// The changes of an update, or the errors of the configuration.
    Update,
    /// Lines of output.
    Output,
    /// Events.
    Events,
    /// A screen that repaints itself.
    Screen,
    /// None: the client becomes a command, or the verb needs no supervisor.
    Nothing,
}

/// The headings under which the help lists verbs, by task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Run and check.
    Run,
    /// Inspect.
    Inspect,
    /// Operate.
    Operate,
    /// For the orchestrator.
    Orchestrator,
    /// About foster.
    About,
}

impl Group {
    /// Every group, in the order of the help.
    pub const ALL: [Group; 5] =
        [Group::Run, Group::Inspect, Group::Operate, Group::Orchestrator, Group::About];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Run => "Run and check",
            Group::Inspect => "Inspect",
            Group::Operate => "Operate",
            Group::Orchestrator => "For the orchestrator",
            Group::About => "About foster",
        }
    }
}

impl Verb {
    /// Whether its last argument is a command line.
    pub(super) fn ends_with_a_command(&self) -> bool {
        self.arguments.ends_with(COMMAND)
    }

    /// The exit status for this result: a status that is not in its row becomes 1, unless it comes from a run.
    pub fn status(&self, wanted: ExitStatus) -> ExitStatus {
        let promised =
            self.answer == Printer::Run || self.statuses.iter().any(|&(status, _)| status == wanted);
        if promised { wanted } else { ExitStatus::FAILED }
    }
}

/// `foster sh NAME` is `foster exec NAME -- sh`.
pub(super) const SHELL: &str = "sh";

/// A command line as the last argument, in usage lines.
const COMMAND: &str = "-- COMMAND [ARG...]";
