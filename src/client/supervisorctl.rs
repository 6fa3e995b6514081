//! `supervisorctl`: its verbs, its lines and its exit statuses, over foster's own socket or XML-RPC.
//!
//! Scripts compare what it prints, so the words are supervisord's and not foster's. Each verb is written once, by the methods of
//! XML-RPC (`server.rs`), in the order in which supervisorctl calls them. `arguments.rs` reads the command line, `settings.rs`
//! the configuration; `prompt.rs` reads lines.

mod arguments;
mod chunks;
mod feed;
mod groups;
mod help;
mod http;
mod input;
mod names;
mod orders;
mod output;
mod processes;
mod prompt;
mod server;
mod settings;
mod url;

use std::ffi::OsString;

use super::endpoint::candidates;
use super::line_editor::Typed;
use super::{ClientIo, print_page};
use crate::cli::Endpoint;
use crate::exit::ExitStatus;
use crate::sys::socket;

use arguments::{Invocation, Options};
use input::Input;
use prompt::{Kind, Prompt};
use server::{Credentials, Failure, Server};
use settings::Settings;
use url::Target;

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
    /// The server does not know the methods of supervisord.
    pub(super) const UNIMPLEMENTED: u8 = 3;
    /// `status`: its state is not known; and the supervisor cannot be reached.
    pub(super) const UNKNOWN: u8 = 4;
    /// The server has another version of the methods.
    pub(super) const OTHER_VERSION: u8 = 5;
    /// The process, or the supervisor, is not running.
    pub(super) const NOT_RUNNING: u8 = 7;
}

/// The faults of supervisord.
mod faults {
    pub(super) const UNKNOWN_METHOD: i64 = 1;
    pub(super) const SHUTDOWN_STATE: i64 = 6;
    pub(super) const BAD_NAME: i64 = 10;
    pub(super) const BAD_SIGNAL: i64 = 11;
    pub(super) const NO_FILE: i64 = 20;
    pub(super) const NOT_EXECUTABLE: i64 = 21;
    pub(super) const FAILED: i64 = 30;
    pub(super) const ABNORMAL_TERMINATION: i64 = 40;
    pub(super) const SPAWN_ERROR: i64 = 50;
    pub(super) const ALREADY_STARTED: i64 = 60;
    pub(super) const NOT_RUNNING: i64 = 70;
    /// Not a fault: the result of a process that is as ordered.
    pub(super) const SUCCESS: i64 = 80;
    pub(super) const ALREADY_ADDED: i64 = 90;
    pub(super) const STILL_RUNNING: i64 = 91;
    pub(super) const CANT_REREAD: i64 = 92;
}

/// The version of supervisord's methods.
const VERSION: &str = "3.0";

/// Runs `supervisorctl` with these arguments, without its own name.
pub fn run(arguments: &[OsString], io: &mut ClientIo<'_>) -> ExitStatus {
    let opened = match arguments::parse(arguments) {
        Ok(Invocation::Print(text)) => return print_page(&text, io),
        Ok(Invocation::Run(options)) => settings::read(options.config.as_deref())
            .and_then(|settings| Ok((server(&options, &settings, io)?, options, settings))),
        Err(message) => Err(message),
    };
    let code = match opened {
        Ok((server, options, settings)) => {
            let asks_first = options.interactive || options.words.is_empty();
            let history = options.history.as_deref().or(settings.history.as_deref());
            let (prompt, input) = (Prompt::new(history), Input::default());
            let mut session = Session { server, asks_first, code: status::DONE, prompt, input, io };
            if options.words.is_empty() {
                session.interactive(&format!("{}> ", settings.prompt.as_deref().unwrap_or("supervisor")));
            } else {
                session.line(&options.words.join(" "));
            }
            session.code
        }
        Err(message) => {
            let _ = writeln!(io.err, "Error: {message}\nFor help, use supervisorctl -h");
            status::INVALID
        }
    };
    let _ = io.out.flush();
    ExitStatus(code)
}

/// The server: that of `-s`; a foster at its own socket, unless the configuration names another host; that of the
/// configuration.
fn server(options: &Options, settings: &Settings, io: &ClientIo<'_>) -> Result<Server, String> {
    let credentials = Credentials {
        username: options.username.clone().or_else(|| settings.username.clone()),
        password: options.password.clone().or_else(|| settings.password.clone()),
    };
    if let Some(url) = &options.url {
        return Server::at(url, credentials);
    }
    let endpoint = Endpoint { socket: None, config: None };
    let sockets = candidates(&endpoint, io.socket.as_deref(), || None);
    let is_given = io.socket.as_ref().is_some_and(|path| !path.is_empty());
    let Some(url) = &settings.url else { return Ok(Server::Foster(sockets)) };
    let is_local = Target::parse(url)?.is_local();
    if is_given || is_local && sockets.iter().any(|path| socket::connect(path).is_ok()) {
        return Ok(Server::Foster(sockets));
    }
    Server::at(url, credentials)
}

struct Session<'s, 'io> {
    server: Server,
    /// Whether `shutdown` and `reload` ask first.
    asks_first: bool,
    /// The exit status: that of the last verb that failed.
    code: u8,
    prompt: Prompt,
    input: Input,
    io: &'s mut ClientIo<'io>,
}

impl Session<'_, '_> {
    /// Reads verbs from standard input, each on a line. The exit status is 0, as that of supervisorctl.
    fn interactive(&mut self, prompt: &str) {
        self.line("status");
        loop {
            let typed = self.read(prompt, Kind::Verb);
            let goes_on = if let Typed::Line(line) = typed { self.line(&line) } else { false };
            if !goes_on {
                break;
            }
        }
        // The line of the prompt ends, also where `quit` has ended it already.
        if self.prompt.is_typed() {
            self.say("");
        }
        self.code = status::DONE;
    }

    fn read(&mut self, prompt: &str, kind: Kind) -> Typed {
        let Session { server, prompt: lines, input, io, .. } = self;
        let mut known = None;
        // The processes are asked for once a line, and only where a name is completed.
        let mut complete = |text: &str| {
            prompt::candidates(text, || {
                let infos =
                    known.get_or_insert_with(|| server.list("getAllProcessInfo", &[]).unwrap_or_default());
                infos.clone()
            })
        };
        let none = &mut |_: &str| Vec::new();
        let complete: super::line_editor::Complete<'_> =
            if kind == Kind::Verb { &mut complete } else { none };
        lines.read(prompt, kind, complete, input, io.out)
    }

    fn say(&mut self, line: impl AsRef<str>) {
        // A reader that went away needs no message.
        let _ = writeln!(self.io.out, "{}", line.as_ref());
    }

    /// A command line that is wrong: why, and the help of the verb.
    fn misused(&mut self, verb: &str, why: &str) {
        self.say(format!("Error: {why}"));
        help::of(verb).into_iter().for_each(|text| self.say(text));
        self.code = status::FAILED;
    }

    /// Runs a line. `false`: it ends the session.
    fn line(&mut self, line: &str) -> bool {
        let line = line.trim();
        let (verb, rest) = match line.strip_prefix('?') {
            Some(rest) => ("help", rest),
            None => {
                let end =
                    line.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(line.len());
                line.split_at(end)
            }
        };
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (line, verb) {
            ("", _) => return true,
            (_, "quit" | "exit" | "EOF") => return false,
            _ => {}
        }
        let mut done = self.verb(verb, &words, line);
        if let Err(Failure::Status(401, _)) = done {
            self.say("Server requires authentication");
            self.code = status::FAILED;
            // Without a person supervisorctl asks the same once more.
            if !self.asks_first || self.log_in() {
                done = self.verb(verb, &words, line);
            }
        }
        if let Err(failure) = done {
            self.say(format!("error: {failure}"));
            self.code = status::FAILED;
        }
        true
    }

    fn verb(&mut self, verb: &str, words: &[&str], line: &str) -> Result<(), Failure> {
        if help::is_bare(verb) && !words.is_empty() {
            self.misused(verb, &format!("{verb} accepts no arguments"));
            return Ok(());
        }
        match verb {
            "status" => return self.status(words),
            "pid" => return self.pid(words),
            "start" => return self.order_named(&orders::START, words),
            "stop" => return self.order_named(&orders::STOP, words),
            "clear" => return self.order_named(&orders::CLEAR, words),
            "restart" => return self.restart(words),
            "signal" => return self.signal(words),
            "tail" => return self.tail(words),
            "maintail" => return self.maintail(words),
            "fg" => return self.foreground(words),
            "reread" => return self.reread(),
            "avail" => return self.avail(),
            "update" => return self.update(words),
            "add" => return self.add(words),
            "remove" => return self.remove(words),
            "open" => return self.open(words),
            "reload" => return self.reload(),
            "shutdown" => return self.shutdown(),
            "version" => {
                if self.is_up()?
                    && let crate::xmlrpc::value::Value::Text(version) =
                        self.server.call("getSupervisorVersion", &[])?
                {
                    self.say(version);
                }
            }
            "help" => match words.first() {
                None => self.say(help::OVERVIEW),
                Some(verb) => match help::of(verb) {
                    Some(text) => self.say(text),
                    None => self.say(format!("*** No help on {verb}")),
                },
            },
            _ => {
                self.say(format!("*** Unknown syntax: {line}"));
                self.code = status::FAILED;
            }
        }
        Ok(())
    }

    /// Whether a server answers that has supervisord's methods; otherwise the reason is printed.
    fn is_up(&mut self) -> Result<bool, Failure> {
        use crate::xmlrpc::value::Value;
        let (line, code) = match self.server.call("getVersion", &[]) {
            Ok(Value::Text(version)) if version == VERSION => return Ok(true),
            Ok(version) => {
                let version = if let Value::Text(version) = version { version } else { String::new() };
                let line = format!(
                    "Sorry, this version of supervisorctl expects to talk to a server with API version {VERSION}, but \
                     the remote version is {version}."
                );
                (line, status::OTHER_VERSION)
            }
            Err(Failure::Fault(faults::UNKNOWN_METHOD, _)) => {
                let line = "Sorry, supervisord responded but did not recognize the supervisor namespace commands that \
                            supervisorctl uses to control it.  Please check that the [rpcinterface:supervisor] section \
                            is enabled in the configuration file (see sample.conf).";
                (line.to_owned(), status::UNIMPLEMENTED)
            }
            Err(Failure::Absent(line, code)) => (line, code),
            Err(failure) => return Err(failure),
        };
        self.say(line);
        self.code = code;
        Ok(false)
    }

    /// Another server, from now on.
    fn open(&mut self, words: &[&str]) -> Result<(), Failure> {
        let url = words.join(" ");
        if !["unix:", "http:"].iter().any(|scheme| url.starts_with(scheme)) {
            self.say("ERROR: url must be http:// or unix://");
            self.code = status::FAILED;
            return Ok(());
        }
        let credentials = self.server.credentials().map(|own| own.clone()).unwrap_or_default();
        self.server = Server::at(&url, credentials).map_err(Failure::Other)?;
        let before = self.code;
        let shown = self.status(&[]);
        self.code = before;
        shown
    }

    /// Asks a question; `false`: the answer is not yes.
    fn is_sure(&mut self, question: &str) -> Result<bool, Failure> {
        if !self.asks_first {
            return Ok(true);
        }
        let _ = write!(self.io.out, "{question} y/N? ").and_then(|()| self.io.out.flush());
        let answer =
            self.input.next_line().ok_or_else(|| Failure::Other("the input has ended".to_owned()))?;
        Ok(answer.to_lowercase().starts_with('y'))
    }

    fn reload(&mut self) -> Result<(), Failure> {
        if !self.is_sure("Really restart the remote supervisord process")? {
            return Ok(());
        }
        match self.server.call("restart", &[]) {
            Ok(_) => self.say("Restarted supervisord"),
            Err(Failure::Fault(faults::SHUTDOWN_STATE, _)) => {
                self.say("ERROR: already shutting down");
                self.code = status::FAILED;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    fn shutdown(&mut self) -> Result<(), Failure> {
        if !self.is_sure("Really shut the remote supervisord process down")? {
            return Ok(());
        }
        match self.server.call("shutdown", &[]) {
            Ok(_) => self.say("Shut down"),
            Err(Failure::Fault(faults::SHUTDOWN_STATE, _)) => self.say("ERROR: already shutting down"),
            Err(Failure::Absent(message, _)) => {
                self.say(format!("ERROR: {message} (already shut down?)"));
                self.code = status::FAILED;
            }
            Err(failure) => return Err(failure),
        }
        Ok(())
    }

    /// Asks for a user and a password. `false`: there is none.
    fn log_in(&mut self) -> bool {
        let mut ask = |question, kind| match self.read(question, kind) {
            Typed::Line(line) => Some(line),
            Typed::End | Typed::Interrupt => None,
        };
        let username = ask("Username:", Kind::Answer);
        let password = if username.is_some() { ask("Password:", Kind::Password) } else { None };
        self.say("");
        match (self.server.credentials(), &password) {
            (Some(credentials), Some(_)) => {
                *credentials = Credentials { username, password };
                true
            }
            _ => false,
        }
    }
}
