//! `supervisorctl`: its verbs, its lines and its exit statuses, over foster's own socket.
//!
//! Scripts compare what it prints, so the words are supervisord's and not foster's. The supervisor knows nothing of it:
//! its rows have the name `group:process`, and this client resolves what a person writes. `arguments.rs` reads the command
//! line, `processes.rs` has names and states.

mod arguments;
mod groups;
mod help;
mod input;
mod orders;
mod output;
mod processes;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use super::endpoint::candidates;
use super::{ClientIo, Failure, ask, collect, print_page};
use crate::cli::Endpoint;
use crate::control::client::ClientError;
use crate::control::protocol::{Events, Names, Order, Reply, Request};
use crate::exit::ExitStatus;

use arguments::{Invocation, Options};
use input::Input;
use processes::{Chosen, Process, State, processes};

/// The exit statuses of supervisorctl.
mod status {
    /// Done.
    pub(super) const DONE: u8 = 0;
    /// It was not done.
    pub(super) const FAILED: u8 = 1;
    /// An argument is not valid.
    pub(super) const INVALID: u8 = 2;
    /// `status`: one of the processes is not up.
    pub(super) const NOT_UP: u8 = 3;
    /// `status`: its state is not known; and the supervisor cannot be reached.
    pub(super) const UNKNOWN: u8 = 4;
    /// The process, or the supervisor, is not running.
    pub(super) const NOT_RUNNING: u8 = 7;
}

/// Runs `supervisorctl` with these arguments, without its own name.
pub fn run(arguments: &[OsString], io: &mut ClientIo<'_>) -> ExitStatus {
    let code = match arguments::parse(arguments) {
        Ok(Invocation::Print(text)) => return print_page(&text, io),
        Ok(Invocation::Run(Options { socket, interactive, words })) => {
            let endpoint = Endpoint { socket, config: None };
            let sockets = candidates(&endpoint, io.socket.as_deref(), || None);
            let mut session = Session { sockets, input: Input::default(), io };
            match words.is_empty() || interactive {
                true => session.interactive(&words),
                false => session.verb(&words),
            }
        }
        Err(message) => {
            let _ = writeln!(io.err, "Error: {message}\nFor help, use supervisorctl -h");
            status::INVALID
        }
    };
    let _ = io.out.flush();
    ExitStatus(code)
}

struct Session<'s, 'io> {
    sockets: Vec<PathBuf>,
    input: Input,
    io: &'s mut ClientIo<'io>,
}

impl Session<'_, '_> {
    /// Reads verbs from standard input, each on a line.
    fn interactive(&mut self, first: &[String]) -> u8 {
        let first = if first.is_empty() { vec!["status".to_owned()] } else { first.to_vec() };
        let mut code = self.verb(&first);
        let is_terminal = std::io::stdin().is_terminal();
        loop {
            if is_terminal {
                let _ = write!(self.io.out, "supervisor> ").and_then(|()| self.io.out.flush());
            }
            let Some(line) = self.input.next_line() else { return code };
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            match words.first().map(String::as_str) {
                None => {}
                Some("quit" | "exit") => return code,
                Some(_) => code = self.verb(&words),
            }
        }
    }

    fn say(&mut self, line: impl AsRef<str>) {
        // A reader that went away needs no message.
        let _ = writeln!(self.io.out, "{}", line.as_ref());
    }

    /// A command line that is wrong: why, and the help of the verb.
    fn misused(&mut self, verb: &str, why: &str) -> u8 {
        self.say(format!("Error: {why}"));
        help::of(verb).into_iter().for_each(|text| self.say(text));
        status::FAILED
    }

    fn verb(&mut self, words: &[String]) -> u8 {
        let (verb, rest) =
            words.split_first().map_or(("help", [].as_slice()), |(verb, rest)| (verb.as_str(), rest));
        if help::is_bare(verb) && !rest.is_empty() {
            return self.misused(verb, &format!("{verb} accepts no arguments"));
        }
        match verb {
            "status" => self.status(rest),
            "start" => self.each(rest, "start", Self::start),
            "stop" => self.each(rest, "stop", Self::stop),
            "restart" => {
                if rest.is_empty() {
                    return self.nothing_named("restart");
                }
                let stopped = self.each(rest, "stop", Self::stop);
                let started = self.each(rest, "start", Self::start);
                if started == status::DONE { stopped } else { started }
            }
            "signal" => self.signal(rest),
            "pid" => self.pid(rest),
            "tail" => self.tail(rest),
            "maintail" => self.maintail(rest),
            "fg" => self.foreground(rest),
            "clear" => self.clear(rest),
            "reread" => self.reread(),
            "avail" => self.avail(),
            "update" => self.update(rest),
            "add" => self.add(rest),
            "remove" => self.remove(rest),
            "open" => self.open(rest),
            "reload" => self.reload(),
            "shutdown" => match self.ask(&Request::Shutdown {}) {
                Ok(_) => {
                    self.say("Shut down");
                    status::DONE
                }
                Err(code) => code,
            },
            "version" => {
                self.say(env!("CARGO_PKG_VERSION"));
                status::DONE
            }
            "help" => {
                match rest.first() {
                    None => self.say(help::OVERVIEW),
                    Some(verb) => match help::of(verb) {
                        Some(text) => self.say(text),
                        None => self.say(format!("*** No help on {verb}")),
                    },
                }
                status::DONE
            }
            other => {
                self.say(format!("*** Unknown syntax: {other}"));
                status::FAILED
            }
        }
    }

    /// The replies; otherwise the reason is printed, and the exit status returned.
    fn ask(&mut self, request: &Request) -> Result<Vec<Reply>, u8> {
        let sockets = self.sockets.clone();
        collect(&sockets, request, |line| self.say(line)).map_err(|failure| {
            self.say(failure.render());
            if matches!(failure, Failure::Client(ClientError::Refused(_))) {
                status::FAILED
            } else if matches!(failure, Failure::Client(ClientError::NoSocket(_))) {
                status::NOT_RUNNING
            } else {
                status::UNKNOWN
            }
        })
    }

    /// Every process, in supervisorctl's order.
    fn processes(&mut self) -> Result<Vec<Process>, u8> {
        let rows = self.ask(&Request::Status(Names { names: Vec::new() }))?;
        Ok(processes(rows))
    }

    /// The time of the last end of each instance, as far as foster remembers.
    fn ends(&mut self) -> Vec<processes::End> {
        let answer = ask(&self.sockets, &Request::Events(Events::default()));
        processes::ends(answer.into_iter().flatten().filter_map(Result::ok))
    }

    fn status(&mut self, names: &[String]) -> u8 {
        let all = match self.processes() {
            Ok(all) => all,
            // That it cannot be asked means that its state is unknown.
            Err(_) => return status::UNKNOWN,
        };
        let ends = self.ends();
        let mut code = status::DONE;
        let mut shown: Vec<&Process> = Vec::new();
        let mut errors = Vec::new();
        let names = if names.is_empty() { vec!["all".to_owned()] } else { names.to_vec() };
        for name in &names {
            match processes::choose(&all, name) {
                Chosen::All(chosen) | Chosen::Group(chosen) => shown.extend(chosen),
                Chosen::One(process) => shown.push(process),
                Chosen::NoGroup(group) => errors.push(format!("{group}: ERROR (no such group)")),
                Chosen::NoProcess => errors.push(format!("{name}: ERROR (no such process)")),
            }
        }
        if !errors.is_empty() {
            code = status::UNKNOWN;
        }
        let width = shown.iter().map(|process| process.name.chars().count()).max().unwrap_or(0).max(30) + 3;
        let lines = shown.iter().map(|process| {
            let (state, description) = (process.state_after(&ends).word(), process.description(&ends));
            format!("{:width$}{state:10}{description}", process.name).trim_end().to_owned()
        });
        for line in errors.into_iter().chain(lines.collect::<Vec<_>>()) {
            self.say(line);
        }
        if code == status::DONE && shown.iter().any(|process| process.state.is_down()) {
            code = status::NOT_UP;
        }
        code
    }

    fn pid(&mut self, names: &[String]) -> u8 {
        if names.is_empty() {
            let answer = ask(&self.sockets, &Request::Status(Names { names: Vec::new() }));
            let server = answer.map(|answer| answer.server().map_or(0, |server| server.pid));
            let (line, code) = match server {
                Ok(pid) => (pid.to_string(), status::DONE),
                Err(failure) => (failure.render(), status::NOT_RUNNING),
            };
            self.say(line);
            return code;
        }
        let all = match self.processes() {
            Ok(all) => all,
            Err(code) => return code,
        };
        let mut code = status::DONE;
        for name in names {
            let chosen = match processes::choose(&all, name) {
                Chosen::All(chosen) | Chosen::Group(chosen) => chosen,
                Chosen::One(process) => vec![process],
                Chosen::NoGroup(_) | Chosen::NoProcess => {
                    self.say(format!("No such process {name}"));
                    code = status::FAILED;
                    continue;
                }
            };
            for process in chosen {
                self.say(process.pid.unwrap_or(0).to_string());
                if process.pid.is_none() {
                    code = status::NOT_RUNNING;
                }
            }
        }
        code
    }

    /// Another socket of foster's, from now on.
    fn open(&mut self, words: &[String]) -> u8 {
        let url = words.first().map_or("", String::as_str);
        if !["unix://", "http://"].iter().any(|scheme| url.starts_with(scheme)) {
            self.say("ERROR: url must be http:// or unix://");
            return status::FAILED;
        }
        match arguments::socket(url) {
            Ok(socket) => {
                self.sockets = vec![socket];
                self.status(&[]);
                status::DONE
            }
            Err(message) => {
                self.say(format!("ERROR: {message}"));
                status::FAILED
            }
        }
    }

    /// The configuration is read again, and everything is started again.
    fn reload(&mut self) -> u8 {
        match self.update(&[]) {
            status::DONE => {}
            code => return code,
        }
        let all = match self.processes() {
            Ok(all) => all,
            Err(code) => return code,
        };
        let up: Vec<String> = all
            .iter()
            .filter(|process| process.state != State::Stopped)
            .map(|process| process.label.clone())
            .collect();
        if !up.is_empty()
            && let Err(code) = self.ask(&Request::Restart(Order { names: up, wait: false }))
        {
            return code;
        }
        self.say("Restarted supervisord");
        status::DONE
    }
}
