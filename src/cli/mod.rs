//! The command line: its parser, its help, and the format of answers.
//!
//! [`parse()`] turns arguments into an [`Invocation`], by the table in [`commands`]; [`help`] formats the table;
//! [`mod@format`] formats answers for people. All pure: nothing here reads a file, the environment or a socket, and
//! nothing here prints. `client/` executes commands.

mod args;
pub mod bare;
mod command;
pub mod commands;
pub mod completions;
pub mod flags;
mod foreign;
pub mod format;
pub mod help;
#[cfg(test)]
mod manual;
mod parse;
mod problem;
mod shell;
mod usage;
pub mod verb;
mod verb_args;

pub use self::command::{ClientCommand, Command, Detach, Endpoint, Output, Scope};
pub use self::parse::{Invocation, parse};
pub use self::problem::Problem;
pub use self::shell::{Candidate, Shell};
pub use self::usage::UsageError;

#[cfg(test)]
mod tests;
