//! The client: carries a command line out by asking the supervisor, and prints what it answers.
//!
//! It stands above `cli` (what was asked, how answers look) and `control` (the socket), which do not know
//! each other: every conversion between the two is written out here. It runs in a process of its own, not
//! in the supervisor's, and may wait. What it ends with is the table's word in `cli/commands.rs`.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::commands::Verb;
use crate::cli::completions::{self, Fitting, Shell};
use crate::cli::format::Colour;
use crate::cli::{self, Ask, Follow, Output, Place, Question, UsageError, help};
use crate::control::client::{self, ClientError, Patience};
use crate::control::protocol::{
    Events, Exec, Logs, Names, Order, PartName, Reason, Request, SignalOrder, Update, Wait,
};
use crate::exit::ExitStatus;

mod answer;
mod launching;

/// How long the supervisor may take for what it knows without doing anything. It takes milliseconds: one
/// that does not answer by then is stopped, or not foster.
const ANSWER_AT_ONCE: Duration = Duration::from_secs(5);

/// What a verb finds around itself.
pub struct Surroundings<'a> {
    /// `$FOSTER_SOCKET`.
    pub socket: Option<OsString>,
    /// Whether what is printed may have colours.
    pub colour: Colour,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
}

/// Whether colours may be printed here: on a terminal that has them, where `$NO_COLOR` is not set
/// (<https://no-color.org>).
pub fn colour(stdout: &impl IsTerminal) -> Colour {
    let is_set = |name| std::env::var_os(name).is_some_and(|value: OsString| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if stdout.is_terminal() && !is_set("NO_COLOR") && !dumb { Colour::Yes } else { Colour::No }
}

/// Asks the supervisor, prints its answer, and says what the process is to end with.
///
/// `socket_from_configuration` is called where neither `--socket` nor `$FOSTER_SOCKET` says where the socket
/// is: it gives the configuration's, `None` where that wants none, or why there is no telling.
pub fn run_client(
    ask: &Ask,
    around: &mut Surroundings<'_>,
    socket_from_configuration: impl FnOnce() -> Result<Option<PathBuf>, String>,
) -> ExitStatus {
    let done = socket(&ask.place, around, socket_from_configuration).and_then(|path| {
        let answer = client::ask(&path, &request(&ask.question), patience(&ask.question))?;
        match &ask.question {
            Question::Exec { name, command } => launching::become_command(name, command, answer, around),
            Question::Status { .. }
            | Question::Order { .. }
            | Question::Signal { .. }
            | Question::Logs { .. }
            | Question::Events { .. }
            | Question::Wait { .. }
            | Question::Health { .. }
            | Question::Update { .. }
            | Question::Shutdown => answer::print(ask, answer, around),
        }
    });
    let status = match done {
        Ok(status) => status,
        Err(failure) => {
            let status = failure.status();
            // Whoever closed the pipe (`foster logs -f | head`) knows why.
            if !failure.is_broken_pipe() {
                let _ = writeln!(around.err, "foster: {}", failure.in_words());
            }
            status
        }
    };
    ask.verb.status(status)
}

/// Prints help: with one verb, or with all.
pub fn print_help(verb: Option<&Verb>, around: &mut Surroundings<'_>) -> ExitStatus {
    print_page(&verb.map_or_else(help::overview, help::of), around)
}

/// Prints what makes a shell complete, or what fits the last of these words. Where nobody knows which names there
/// are, none of them fits: a word of complaint would stand in the middle of a command line.
pub fn print_completions(
    shell: Shell,
    words: &[String],
    around: &mut Surroundings<'_>,
    socket_from_configuration: impl FnOnce(&Place) -> Result<Option<PathBuf>, String>,
) -> ExitStatus {
    if words.is_empty() {
        return print_page(shell.script(), around);
    }
    let page = match completions::fitting(words) {
        Fitting::Files => Fitting::FILES.to_owned(),
        Fitting::Words(words) => shell.written(&words),
        Fitting::Names(place) => {
            let path = socket(&place, around, || socket_from_configuration(&place));
            let names = path.ok().and_then(|path| answer::names(&path)).unwrap_or_default();
            shell.written(&names)
        }
    };
    print_page(&page, around)
}

/// Prints which foster this is.
pub fn print_version(output: Output, around: &mut Surroundings<'_>) -> ExitStatus {
    let page = match output {
        Output::Text => help::version(),
        Output::Json => format!("{}\n", serde_json::json!({ "version": env!("CARGO_PKG_VERSION") })),
    };
    print_page(&page, around)
}

/// Prints what is the same everywhere.
pub fn print_page(page: &str, around: &mut Surroundings<'_>) -> ExitStatus {
    let written = around.out.write_all(page.as_bytes()).and_then(|()| around.out.flush());
    if written.is_ok() { ExitStatus::DONE } else { ExitStatus::FAILED }
}

/// Says what is wrong with the command line.
pub fn print_usage_error(error: &UsageError, around: &mut Surroundings<'_>) -> ExitStatus {
    let _ = writeln!(around.err, "foster: {error}");
    error.status()
}

/// Why a verb did not get its answer, or could not print it.
enum Failure {
    /// The configuration does not say where the socket is; in words.
    Unknown(String),
    /// The supervisor did not answer, or refused.
    Client(ClientError),
    /// A part of how to make a process is of another version.
    OtherVersion(PartName),
    /// Standard output does not take it.
    Print(io::Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Failure {
        Failure::Client(error)
    }
}

impl Failure {
    fn status(&self) -> ExitStatus {
        match self {
            Failure::Unknown(_) => ExitStatus::NO_SUPERVISOR,
            Failure::Print(_) | Failure::OtherVersion(_) => ExitStatus::FAILED,
            Failure::Client(error) => match error {
                ClientError::TooLong => ExitStatus::FAILED,
                ClientError::Refused(refusal) if refusal.error == Reason::NotPermitted => {
                    ExitStatus::NO_SUPERVISOR
                }
                ClientError::Refused(_) => ExitStatus::FAILED,
                ClientError::NoSocket(_)
                | ClientError::NobodyListens(_)
                | ClientError::Denied(_)
                | ClientError::Unreachable(..)
                | ClientError::Silent(_)
                | ClientError::Lost(_)
                | ClientError::Garbled(_) => ExitStatus::NO_SUPERVISOR,
            },
        }
    }

    fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Print(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn in_words(&self) -> String {
        match self {
            Failure::Unknown(words) => words.clone(),
            Failure::Client(error) => error.to_string(),
            Failure::OtherVersion(part) => {
                format!("cannot understand `{part:?}`: the supervisor is of another version than this client")
            }
            Failure::Print(error) => format!("cannot write to standard output: {error}"),
        }
    }
}

fn socket(
    place: &Place,
    around: &Surroundings<'_>,
    from_configuration: impl FnOnce() -> Result<Option<PathBuf>, String>,
) -> Result<PathBuf, Failure> {
    if let Some(path) = &place.socket {
        return Ok(path.clone());
    }
    if let Some(path) = around.socket.as_ref().filter(|path| !path.is_empty()) {
        return Ok(PathBuf::from(path));
    }
    let none =
        || Failure::Unknown("the configuration has no socket: no verb can reach its supervisor".into());
    let unknown =
        |why| format!("cannot tell where the supervisor's socket is; `--socket PATH` names it: {why}");
    from_configuration().map_err(|why| Failure::Unknown(unknown(why)))?.ok_or_else(none)
}

fn request(question: &Question) -> Request {
    match question.clone() {
        Question::Status { names } => Request::Status(Names { names }),
        Question::Health { names } => Request::Health(Names { names }),
        Question::Signal { signal, names } => Request::Signal(SignalOrder { names, signal }),
        Question::Logs { names, lines, follow } => {
            Request::Logs(Logs { names, lines, follow: follow == Follow::Yes })
        }
        Question::Events { names, events, states, lines, follow } => {
            Request::Events(Events { names, events, states, lines, follow: follow == Follow::Yes })
        }
        Question::Exec { name, command: _ } => Request::Exec(Exec { name }),
        Question::Wait { names, timeout } => {
            let timeout_ms = timeout.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
            Request::Wait(Wait { names, timeout_ms })
        }
        Question::Update { patience } => {
            Request::Update(Update { wait: patience == cli::Patience::UntilDone })
        }
        Question::Shutdown => Request::Shutdown {},
        Question::Order { order, names, patience } => {
            let to = Order { names, wait: patience == cli::Patience::UntilDone };
            match order {
                cli::Order::Start => Request::Start(to),
                cli::Order::Stop => Request::Stop(to),
                cli::Order::Restart => Request::Restart(to),
                cli::Order::Reload => Request::Reload(to),
            }
        }
    }
}

fn patience(question: &Question) -> Patience {
    match question {
        Question::Order { patience: cli::Patience::UntilDone, .. }
        | Question::Update { patience: cli::Patience::UntilDone }
        | Question::Logs { follow: Follow::Yes, .. }
        | Question::Events { follow: Follow::Yes, .. }
        | Question::Wait { .. } => Patience::Endless,
        Question::Status { .. }
        | Question::Health { .. }
        | Question::Signal { .. }
        | Question::Order { patience: cli::Patience::None, .. }
        | Question::Update { patience: cli::Patience::None }
        | Question::Logs { follow: Follow::No, .. }
        | Question::Events { follow: Follow::No, .. }
        | Question::Exec { .. }
        | Question::Shutdown => Patience::For(ANSWER_AT_ONCE),
    }
}

#[cfg(test)]
mod tests;
