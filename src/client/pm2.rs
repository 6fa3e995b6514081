//! `pm2`: its verbs, its table and its JSON, over foster's own socket.
//!
//! Scripts compare what it prints, so the words are PM2's and not foster's. The supervisor knows nothing of it: this client
//! resolves what a person writes. `apps.rs` has names and states, `list.rs` the table.

mod apps;
mod list;
mod logs;

use std::ffi::OsString;
use std::path::PathBuf;

use foster_core::ids::Signal;
use serde_json::Value;

use super::endpoint::candidates;
use super::{ClientIo, Failure, ask, collect, print_page};
use crate::cli::Endpoint;
use crate::control::protocol::{
    Events, Logs, Names, Order, Outcome, Reply, Request, Scale, SignalOrder, Update, Verdict,
};
use crate::exit::ExitStatus;
use crate::sys::timer;

use apps::App;

const USAGE: &str = "\
pm2 -- control the apps that foster runs, with PM2's words.

Usage: pm2 VERB [NAME|ID|NAMESPACE|all...]

  list, ls, status              the apps as a table
  jlist, prettylist             as JSON
  describe, show NAME           one app
  logs [NAME] [--lines N] [--nostream] [--out|--err] [--raw|--json|--timestamp]
  start, stop, restart NAME     each process of an app
  reload NAME                   one process after the other
  scale NAME N|+N|-N            another number of processes
  delete NAME                   stop it
  startOrReload, reload FILE    read the configuration again and apply what changed
  sendSignal SIGNAL NAME, pid [NAME], id NAME, ping, kill
";

/// Verbs that do nothing here, with the reason.
const NOTHING: [(&str, &str); 12] = [
    ("save", "the configuration is what is kept"),
    ("dump", "the configuration is what is kept"),
    ("resurrect", "the container starts its apps by itself"),
    ("startup", "what runs the container starts it"),
    ("unstartup", "what runs the container starts it"),
    ("flush", "log files rotate by themselves, and the container's log belongs to what runs it"),
    ("reset", "counters belong to a run of the container"),
    ("update", "foster is updated with the image"),
    ("install", "foster has no modules"),
    ("uninstall", "foster has no modules"),
    ("link", "foster sends nothing to PM2's monitoring"),
    ("set", "foster has no modules"),
];

/// Runs `pm2` with these arguments, without its own name.
pub fn run(arguments: &[OsString], io: &mut ClientIo<'_>) -> ExitStatus {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let endpoint = Endpoint { socket: None, config: None };
    let sockets = candidates(&endpoint, io.socket.as_deref(), || None);
    // Options of PM2's own output come first, too.
    let Some(at) = words.iter().position(|word| !word.starts_with('-')) else {
        let asks_version = words.iter().any(|word| matches!(word.as_str(), "-v" | "-V" | "--version"));
        let version = format!("{}\n", env!("CARGO_PKG_VERSION"));
        return print_page(if asks_version { &version } else { USAGE }, io);
    };
    let mut rest = words;
    let verb = rest.remove(at);
    let done = Session { sockets, io }.verb(&verb, &rest);
    let _ = io.out.flush();
    match done {
        Ok(()) => ExitStatus::DONE,
        Err(Failed(message)) => {
            if !message.is_empty() {
                let _ = writeln!(io.err, "[PM2][ERROR] {message}");
            }
            ExitStatus::FAILED
        }
    }
}

/// Why a verb failed; empty where that is printed already.
#[derive(Debug)]
struct Failed(String);

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Failed {
        Failed(failure.render())
    }
}

struct Session<'s, 'io> {
    sockets: Vec<PathBuf>,
    io: &'s mut ClientIo<'io>,
}

impl Session<'_, '_> {
    fn say(&mut self, line: impl AsRef<str>) {
        // A reader that went away needs no message.
        let _ = writeln!(self.io.out, "{}", line.as_ref());
    }

    fn ask(&mut self, request: &Request) -> Result<Vec<Reply>, Failed> {
        let mut problems = Vec::new();
        let replies = collect(&self.sockets, request, |line| problems.push(line.to_owned()));
        for line in problems {
            self.say(line);
        }
        Ok(replies?)
    }

    fn apps(&mut self) -> Result<Vec<App>, Failed> {
        let rows = self.ask(&Request::Status(Names { names: Vec::new() }))?;
        let events = self.ask(&Request::Events(Events::default()))?;
        Ok(apps::apps(rows, &events))
    }

    fn verb(&mut self, verb: &str, rest: &[String]) -> Result<(), Failed> {
        match verb {
            "list" | "ls" | "l" | "ps" | "status" => self.list(),
            "jlist" | "prettylist" => {
                let apps = self.apps()?;
                let now = timer::unix_ms();
                let all = Value::Array(apps.iter().map(|app| app.json(now)).collect());
                let pretty = if verb == "jlist" { None } else { serde_json::to_string_pretty(&all).ok() };
                self.say(pretty.unwrap_or_else(|| all.to_string()));
                Ok(())
            }
            "describe" | "desc" | "show" | "info" => {
                let chosen = self.chosen(rest)?;
                for app in &chosen {
                    self.say(list::describe(app));
                }
                Ok(())
            }
            "logs" | "log" => self.logs(rest),
            "start" | "restart" | "reload" | "startOrReload" | "startOrRestart" | "startOrGracefulReload"
                if rest.iter().any(|word| is_file(word)) =>
            {
                self.update()
            }
            "start" => self.order(rest, Request::Start),
            "stop" => self.order(rest, Request::Stop),
            "restart" => self.order(rest, Request::Restart),
            "reload" | "gracefulReload" => self.order(rest, Request::Reload),
            "delete" | "del" => {
                self.say("[PM2] An app is removed from the configuration; here it is stopped");
                self.order(rest, Request::Stop)
            }
            "scale" => self.scale(rest),
            "sendSignal" => self.signal(rest),
            "pid" => {
                let chosen = if rest.is_empty() { self.apps()? } else { self.chosen(rest)? };
                chosen.iter().for_each(|app| self.say(app.pid().to_string()));
                Ok(())
            }
            "id" => {
                let ids: Vec<String> = self.chosen(rest)?.iter().map(|app| app.id.to_string()).collect();
                self.say(format!("[ {} ]", ids.join(", ")));
                Ok(())
            }
            "ping" => {
                self.apps()?;
                self.say("{ msg: 'pong' }");
                Ok(())
            }
            "kill" => {
                self.ask(&Request::Shutdown {})?;
                self.say("[PM2] All apps are stopped, and the container ends");
                Ok(())
            }
            "monit" | "dash" | "dashboard" | "imonit" => {
                self.say("`foster top` shows the apps and the output of the selected one");
                Ok(())
            }
            "env" => Err(Failed("`foster exec NAME -- env` prints the variables of an app".to_owned())),
            "reloadLogs" => {
                Err(Failed("SIGUSR1 to foster opens its log files again: `kill -USR1 1`".to_owned()))
            }
            "help" => {
                self.say(USAGE.trim_end());
                Ok(())
            }
            other => match NOTHING.iter().find(|(name, _)| *name == other) {
                Some((name, why)) => {
                    self.say(format!("[PM2] {name} does nothing: {why}"));
                    Ok(())
                }
                None => Err(Failed(format!("unknown verb {other}; for help, use pm2 help"))),
            },
        }
    }

    fn list(&mut self) -> Result<(), Failed> {
        let apps = self.apps()?;
        let text = list::table(&apps);
        self.say(text.trim_end());
        Ok(())
    }

    /// The processes that these words name.
    fn chosen(&mut self, words: &[String]) -> Result<Vec<App>, Failed> {
        let all = self.apps()?;
        let mut chosen: Vec<App> = Vec::new();
        let names: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
        if names.is_empty() {
            return Err(Failed("expected the name or the id of an app, or `all`".to_owned()));
        }
        for name in names {
            let found: Vec<&App> = all.iter().filter(|app| app.is_meant_by(name)).collect();
            if found.is_empty() && name != "all" {
                return Err(Failed(format!("Process or Namespace {name} not found")));
            }
            for app in found {
                if !chosen.iter().any(|known| known.id == app.id) {
                    chosen.push(app.clone());
                }
            }
        }
        Ok(chosen)
    }

    /// Sends an order to these, prints a line for each, and the table.
    fn order(&mut self, words: &[String], request: fn(Order) -> Request) -> Result<(), Failed> {
        let chosen = self.chosen(words)?;
        if chosen.is_empty() {
            return self.list();
        }
        let names = chosen.iter().map(|app| app.label().to_owned()).collect();
        let replies = self.ask(&request(Order { names, wait: true }))?;
        let mut failed = Vec::new();
        for reply in replies {
            let Reply::Outcome(Outcome { name, verdict, message, .. }) = reply else { continue };
            let app = chosen.iter().find(|app| app.label() == name);
            let shown = app.map_or(name, |app| format!("[{}]({})", app.name, app.id));
            if verdict == Verdict::Failed {
                failed.push(format!("{shown} {message}"));
            } else {
                self.say(format!("[PM2] {shown} \u{2713}"));
            }
        }
        if failed.is_empty() { self.list() } else { Err(Failed(failed.join("\n[PM2][ERROR] "))) }
    }

    fn scale(&mut self, words: &[String]) -> Result<(), Failed> {
        let [name, number] = words else {
            return Err(Failed("expected `pm2 scale NAME NUMBER`".to_owned()));
        };
        let chosen = self.chosen(std::slice::from_ref(name))?;
        let Some(first) = chosen.first() else { return Err(Failed(format!("{name} has no processes"))) };
        let present = i64::from(first.instances());
        let change = number.parse::<i64>().ok();
        let is_change = number.starts_with(['+', '-']);
        let wanted = change.and_then(|by| if is_change { present.checked_add(by) } else { Some(by) });
        let Some(instances) = wanted.and_then(|wanted| u16::try_from(wanted).ok()) else {
            return Err(Failed(format!("{number} is not a number of processes")));
        };
        let request = Scale { name: first.program().to_owned(), instances, wait: true };
        self.outcomes(&Request::Scale(request))?;
        self.list()
    }

    fn update(&mut self) -> Result<(), Failed> {
        self.outcomes(&Request::Update(Update::everything()))?;
        self.list()
    }

    /// Prints what a request has done to each program.
    fn outcomes(&mut self, request: &Request) -> Result<(), Failed> {
        let mut has_failed = false;
        for reply in self.ask(request)? {
            if let Reply::Outcome(outcome) = reply {
                has_failed |= outcome.verdict == Verdict::Failed;
                self.say(format!("[PM2] [{}] {}", outcome.name, outcome.message));
            }
        }
        if has_failed { Err(Failed(String::new())) } else { Ok(()) }
    }

    fn signal(&mut self, words: &[String]) -> Result<(), Failed> {
        let Some((signal, names)) = words.split_first() else {
            return Err(Failed("expected `pm2 sendSignal SIGNAL NAME`".to_owned()));
        };
        let Some(parsed) = Signal::parse(signal) else {
            return Err(Failed(format!("{signal} is not a signal")));
        };
        let names = self.chosen(names)?.iter().map(|app| app.label().to_owned()).collect();
        self.ask(&Request::Signal(SignalOrder { names, signal: parsed }))?;
        Ok(())
    }

    fn logs(&mut self, words: &[String]) -> Result<(), Failed> {
        let options = logs::options(words)?;
        let chosen = if options.names.is_empty() { self.apps()? } else { self.chosen(&options.names)? };
        let labels: Vec<String> = chosen.iter().map(|app| app.label().to_owned()).collect();
        let (lines, follow) = (Some(options.lines), options.follow);
        let request = Logs { names: labels, lines, since_ms: None, follow };
        let mut is_continued = false;
        for reply in ask(&self.sockets, &Request::Logs(request))? {
            let Ok(Reply::Line(line)) = reply else { continue };
            let app = chosen.iter().find(|app| app.label() == line.name);
            let Some(shown) = options.shown(&line, app, is_continued) else { continue };
            is_continued = line.more;
            let printed = write!(self.io.out, "{shown}").and_then(|()| self.io.out.flush());
            if printed.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Whether a word names a configuration, as for PM2.
fn is_file(word: &str) -> bool {
    [".json", ".yml", ".yaml", ".config.js", ".config.cjs", ".config.mjs"]
        .iter()
        .any(|end| word.contains(end))
}
