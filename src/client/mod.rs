//! The client: sends a command's request to the supervisor, and prints the answer.
//!
//! It uses `cli` (the request, the format of answers) and `control` (the socket). It never runs inside the supervisor,
//! so it may block. Its exit statuses are those of the verb's row in `cli/commands.rs`. Next: `endpoint.rs` (finds the
//! supervisor), `print.rs` (answers), `exec.rs` (`foster exec`).

mod endpoint;
mod exec;
mod keys;
mod line_editor;
pub mod pm2;
mod print;
mod raw_mode;
pub mod supervisorctl;
mod table;
mod top;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;

use crate::cli::completions::{self, Candidates};
use crate::cli::format::Colour;
use crate::cli::verb::{Printer, Verb};
use crate::cli::{ClientCommand, Endpoint, Output, Shell, UsageError, help};
use crate::control::client::{self, Answer, ClientError, Patience};
use crate::control::protocol::{Reason, Reply, Request, StatusRow};
use crate::errno;
use crate::exit::ExitStatus;
use crate::sys::{pidfd, terminal};
use endpoint::candidates;

/// The timeout of requests that are answered at once. foster takes milliseconds: a process that takes longer is stopped,
/// or not foster.
const ANSWER_AT_ONCE: Duration = Duration::from_secs(5);

/// The interval of `status -w`.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The environment of a client, and its streams.
pub struct ClientIo<'a> {
    /// `$FOSTER_SOCKET`.
    pub socket: Option<OsString>,
    /// Whether colours may be printed.
    pub colour: Colour,
    /// The width of standard output if it is a terminal.
    pub width: Option<usize>,
    /// The interval of `status -w`.
    pub watch_interval: Duration,
    /// The rows of its last table: the next one shows the CPU time since then.
    pub before: Vec<StatusRow>,
    /// Standard output.
    pub out: &'a mut dyn Write,
    /// Standard error.
    pub err: &'a mut dyn Write,
}

impl<'a> ClientIo<'a> {
    /// The environment of this process, with these streams for standard output and standard error.
    pub fn of_process(out: &'a mut dyn Write, err: &'a mut dyn Write) -> ClientIo<'a> {
        let stdout = io::stdout();
        let width = stdout.is_terminal().then(|| terminal::width(&stdout));
        let socket = std::env::var_os("FOSTER_SOCKET");
        let (colour, watch_interval) = (colour(&stdout), WATCH_INTERVAL);
        ClientIo { socket, colour, width, watch_interval, before: Vec::new(), out, err }
    }
}

/// Colours are used on a terminal that supports them, unless `$NO_COLOR` is set (<https://no-color.org>).
fn colour(stdout: &impl IsTerminal) -> Colour {
    let is_set = |name| std::env::var_os(name).is_some_and(|value: OsString| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if stdout.is_terminal() && !is_set("NO_COLOR") && !dumb { Colour::Yes } else { Colour::No }
}

/// Sends the request, prints the answer, and returns the exit status.
///
/// `configured` is called only if neither `--socket` nor `$FOSTER_SOCKET` names the socket. It returns the path in the
/// configuration, if there is one.
pub fn run(
    verb: &Verb,
    command: &ClientCommand,
    client: &mut ClientIo<'_>,
    configured: impl FnOnce() -> Option<PathBuf>,
) -> ExitStatus {
    let sockets = candidates(&command.endpoint, client.socket.as_deref(), configured);
    let done = if verb.answer == Printer::Screen {
        top::run(command, &sockets, client)
    } else if command.watch {
        watch::run(verb, command, &sockets, client)
    } else if command.until_end {
        shut_down(verb, command, &sockets, client)
    } else {
        ask(&sockets, &command.request).and_then(|answer| {
            if let Request::Exec(exec) = &command.request {
                return exec::become_command(&exec.name, &command.exec, answer, client);
            }
            print::print(verb, command, answer, client)
        })
    };
    let has_variable = client.socket.as_ref().is_some_and(|path| !path.is_empty());
    let origin = if command.endpoint.socket.is_none() && has_variable {
        "; `$FOSTER_SOCKET` names this path"
    } else {
        ""
    };
    finish(verb, done, origin, client)
}

/// Orders the shutdown, and waits until the supervisor has ended.
fn shut_down(
    verb: &Verb,
    command: &ClientCommand,
    sockets: &[PathBuf],
    client: &mut ClientIo<'_>,
) -> Result<ExitStatus, Failure> {
    let answer = ask(sockets, &command.request)?;
    // Before its answer is read: it may end right after that, and its pid be reused.
    let pid = answer.server().map_or(0, |supervisor| supervisor.pid);
    let supervisor = pidfd::open(Pid::from_raw(pid));
    let status = print::print(verb, command, answer, client)?;
    if status != ExitStatus::DONE {
        return Ok(status);
    }
    match supervisor {
        Ok(supervisor) => loop {
            let mut watched = [PollFd::new(supervisor.as_fd(), PollFlags::POLLIN)];
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) => return Ok(status),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Failure::Wait(errno)),
            }
        },
        Err(Errno::ESRCH) => Ok(status),
        Err(errno) => Err(Failure::Wait(errno)),
    }
}

/// Prints an answer whose request was sent by another process, and returns the exit status; `None`: the supervisor has
/// ended before the end of its answer.
pub fn print_answer(
    verb: &Verb,
    command: &ClientCommand,
    answer: Answer,
    client: &mut ClientIo<'_>,
) -> Option<ExitStatus> {
    match print::print(verb, command, answer, client) {
        Err(Failure::Client(ClientError::Lost(_))) => None,
        done => Some(finish(verb, done, "", client)),
    }
}

/// `origin` is the origin of the socket's path, for a failure that is about the path.
fn finish(
    verb: &Verb,
    done: Result<ExitStatus, Failure>,
    origin: &str,
    client: &mut ClientIo<'_>,
) -> ExitStatus {
    let status = match done {
        Ok(status) => status,
        Err(failure) => {
            let status = failure.status();
            // The reader closed the pipe (`foster logs -f | head`) and needs no message.
            if !failure.is_broken_pipe() {
                let is_path =
                    matches!(failure, Failure::Client(ClientError::NoSocket(_) | ClientError::NotASocket(_)));
                let origin = if is_path { origin } else { "" };
                let _ = writeln!(client.err, "foster: {}{origin}", failure.render());
            }
            status
        }
    };
    verb.status(status)
}

/// Sends a request to the first of these sockets on which a supervisor listens.
fn ask(sockets: &[PathBuf], request: &Request) -> Result<Answer, Failure> {
    let patience =
        if request.is_answered_at_once() { Patience::For(ANSWER_AT_ONCE) } else { Patience::Endless };
    ask_within(sockets, request, patience)
}

/// Sends a request to the supervisor that `$FOSTER_SOCKET` or the default names: for foster's own helper processes.
///
/// # Errors
/// Why there is no answer.
pub fn ask_supervisor(request: &Request) -> Result<Answer, String> {
    let endpoint = Endpoint { socket: None, config: None };
    let variable = std::env::var_os("FOSTER_SOCKET");
    ask(&candidates(&endpoint, variable.as_deref(), || None), request).map_err(|failure| failure.render())
}

fn ask_within(sockets: &[PathBuf], request: &Request, patience: Patience) -> Result<Answer, Failure> {
    let mut first = None;
    for socket in sockets {
        match client::ask(socket, request, patience) {
            Err(
                error @ (ClientError::NoSocket(_) | ClientError::NotListening(_) | ClientError::Denied(_)),
            ) => {
                // A refused connection explains more than a missing socket.
                let is_denied = matches!(error, ClientError::Denied(_));
                if first.is_none() || is_denied {
                    first = Some(error);
                }
            }
            answer => return answer.map_err(Failure::Client),
        }
    }
    Err(first.map_or(Failure::NoEndpoint, Failure::Client))
}

/// The replies to a request. `problem` gets each line of a report on the configuration, which comes before the refusal.
fn collect(
    sockets: &[PathBuf],
    request: &Request,
    mut problem: impl FnMut(&str),
) -> Result<Vec<Reply>, Failure> {
    let mut replies = Vec::new();
    for reply in ask(sockets, request)? {
        let reply = reply?;
        if let Reply::Problem(found) = &reply {
            problem(&found.text);
        }
        replies.push(reply);
    }
    Ok(replies)
}

/// Prints help: about one verb, or the overview.
pub fn print_help(verb: Option<&Verb>, client: &mut ClientIo<'_>) -> ExitStatus {
    print_page(&verb.map_or_else(help::overview, help::of), client)
}

/// Prints a shell's script, or the completions of the last of these words. Without a supervisor no name is printed, and
/// no message: it would appear in the middle of a command line.
pub fn print_completions(
    shell: Shell,
    words: &[String],
    client: &mut ClientIo<'_>,
    configured: impl FnOnce(&Endpoint) -> Option<PathBuf>,
) -> ExitStatus {
    if words.is_empty() {
        return print_page(shell.script(), client);
    }
    let page = match completions::fitting(words) {
        Candidates::Files => Candidates::FILES.to_owned(),
        Candidates::Words(words) => shell.render(&words),
        Candidates::Names(endpoint) => {
            let sockets = candidates(&endpoint, client.socket.as_deref(), || configured(&endpoint));
            shell.render(&print::names(&sockets).unwrap_or_default())
        }
    };
    print_page(&page, client)
}

/// Prints the version.
pub fn print_version(output: Output, client: &mut ClientIo<'_>) -> ExitStatus {
    let page = match output {
        Output::Text => help::version(),
        Output::Json => format!("{}\n", serde_json::json!({ "version": env!("CARGO_PKG_VERSION") })),
    };
    print_page(&page, client)
}

/// Prints a page.
pub fn print_page(page: &str, client: &mut ClientIo<'_>) -> ExitStatus {
    let printed = client.out.write_all(page.as_bytes()).and_then(|()| client.out.flush());
    if printed.is_ok() { ExitStatus::DONE } else { ExitStatus::FAILED }
}

/// Prints a usage error.
pub fn print_usage_error(error: &UsageError, client: &mut ClientIo<'_>) -> ExitStatus {
    let _ = writeln!(client.err, "foster: {error}");
    error.status()
}

/// Why a verb failed.
enum Failure {
    /// There is no socket to try.
    NoEndpoint,
    /// The supervisor did not answer, or refused.
    Client(ClientError),
    /// The supervisor is of another version.
    OtherVersion(&'static str),
    /// The client does not trust this supervisor.
    Untrusted(String),
    /// Standard input or standard output is not a terminal that can be repainted.
    NotATerminal,
    /// A descriptor cannot be created or waited for.
    Wait(Errno),
    /// Standard output cannot be written to.
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
            Failure::NoEndpoint => ExitStatus::NO_SUPERVISOR,
            Failure::Print(_)
            | Failure::NotATerminal
            | Failure::Wait(_)
            | Failure::OtherVersion(_)
            | Failure::Untrusted(_) => ExitStatus::FAILED,
            Failure::Client(error) => match error {
                ClientError::TooLong => ExitStatus::FAILED,
                ClientError::Refused(refusal) if refusal.error == Reason::NotPermitted => {
                    ExitStatus::NO_SUPERVISOR
                }
                ClientError::Refused(_) => ExitStatus::FAILED,
                ClientError::NoSocket(_)
                | ClientError::NotListening(_)
                | ClientError::NotASocket(_)
                | ClientError::Denied(_)
                | ClientError::Unreachable(..)
                | ClientError::Untrusted(..)
                | ClientError::Silent(_)
                | ClientError::Lost(_)
                | ClientError::Garbled(_) => ExitStatus::NO_SUPERVISOR,
            },
        }
    }

    fn is_broken_pipe(&self) -> bool {
        matches!(self, Failure::Print(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn render(&self) -> String {
        match self {
            Failure::NoEndpoint => "no supervisor answers: no socket is configured".to_owned(),
            Failure::Client(error) => error.to_string(),
            Failure::Untrusted(why) => why.clone(),
            Failure::OtherVersion(what) => {
                format!(
                    "cannot read the answer to `{what}`: the supervisor has another version than this client"
                )
            }
            Failure::NotATerminal => {
                "cannot paint a screen: standard input and standard output are not both a terminal that can \
                                     be repainted (`TERM`); `foster status -w` repeats the table anywhere"
                    .to_owned()
            }
            Failure::Wait(errno) => format!("cannot wait for keys and answers: {}", errno::text(*errno)),
            Failure::Print(error) => format!("cannot write to standard output: {}", errno::words(error)),
        }
    }
}

#[cfg(test)]
mod tests;
