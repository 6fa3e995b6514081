//! `start`, `stop`, `restart`, `signal` and `clear`: an order to each process that is named, and a line for each.
//!
//! The lines and the exit statuses are those of supervisorctl, whose verbs differ in small things: `Order` has them.

use super::server::Failure;
use super::{Session, faults, names, status};
use crate::xmlrpc::value::Value;

/// A verb that orders something.
pub(super) struct Order {
    verb: &'static str,
    all: &'static str,
    /// For a group; `None`: the method for one process takes no groups, and is not asked for any.
    group: Option<&'static str>,
    one: &'static str,
    done: &'static str,
    /// The fault of a process that already is as ordered: it is printed, and is not a failure.
    harmless: Option<i64>,
    /// The exit status for a group that does not exist.
    unknown_group: u8,
}

pub(super) const START: Order = Order {
    verb: "start",
    all: "startAllProcesses",
    group: Some("startProcessGroup"),
    one: "startProcess",
    done: "started",
    harmless: Some(faults::ALREADY_STARTED),
    unknown_group: status::INVALID,
};

pub(super) const STOP: Order = Order {
    verb: "stop",
    all: "stopAllProcesses",
    group: Some("stopProcessGroup"),
    one: "stopProcess",
    done: "stopped",
    harmless: Some(faults::NOT_RUNNING),
    unknown_group: status::FAILED,
};

pub(super) const SIGNAL: Order = Order {
    verb: "signal",
    all: "signalAllProcesses",
    group: Some("signalProcessGroup"),
    one: "signalProcess",
    done: "signalled",
    harmless: None,
    unknown_group: status::FAILED,
};

pub(super) const CLEAR: Order = Order {
    verb: "clear",
    all: "clearAllProcessLogs",
    group: None,
    one: "clearProcessLogs",
    done: "cleared",
    harmless: None,
    unknown_group: status::FAILED,
};

/// What became of an order to one process.
struct Outcome<'a> {
    group: &'a str,
    process: &'a str,
    code: i64,
    description: &'a str,
}

impl Order {
    /// The line for a process.
    fn line(&self, outcome: &Outcome<'_>) -> Result<String, Failure> {
        let name = names::join(outcome.group, outcome.process);
        let reason = match (outcome.code, self.verb) {
            (faults::SUCCESS, _) => return Ok(format!("{name}: {}", self.done)),
            (faults::BAD_NAME, _) => "no such process",
            (faults::BAD_SIGNAL, _) => "bad signal name",
            (faults::NO_FILE, _) => "no such file",
            (faults::NOT_EXECUTABLE, _) => "file is not executable",
            (faults::ABNORMAL_TERMINATION, _) => "abnormal termination",
            (faults::SPAWN_ERROR, _) => "spawn error",
            (faults::ALREADY_STARTED, _) => "already started",
            (faults::NOT_RUNNING, _) => "not running",
            (faults::FAILED, "clear") => "failed",
            (faults::FAILED, "stop" | "signal") => return Ok(outcome.description.to_owned()),
            (code, _) => {
                let why = outcome.description;
                return Err(Failure::Other(format!("Unknown result code {code} for {name}: {why}")));
            }
        };
        Ok(format!("{name}: ERROR ({reason})"))
    }
}

impl Session<'_, '_> {
    fn outcome(&mut self, order: &Order, outcome: &Outcome<'_>) -> Result<(), Failure> {
        let line = order.line(outcome)?;
        self.say(line);
        match outcome.code {
            code if code == faults::SUCCESS || Some(code) == order.harmless => {}
            faults::SPAWN_ERROR | faults::ABNORMAL_TERMINATION | faults::NOT_RUNNING => {
                self.code = status::NOT_RUNNING;
            }
            _ => self.code = status::FAILED,
        }
        Ok(())
    }

    fn outcomes(&mut self, order: &Order, results: &[Value]) -> Result<(), Failure> {
        for result in results {
            let outcome = Outcome {
                group: result.text_of("group"),
                process: result.text_of("name"),
                code: result.int_of("status"),
                description: result.text_of("description"),
            };
            self.outcome(order, &outcome)?;
        }
        Ok(())
    }

    /// Sends an order to each process that is named; `arguments` come after its name.
    pub(super) fn order(
        &mut self,
        order: &Order,
        names: &[&str],
        arguments: &[Value],
    ) -> Result<(), Failure> {
        let of = |name: &str| [&[Value::text(name)], arguments].concat();
        if names.contains(&"all") {
            let results = self.server.list(order.all, arguments)?;
            return self.outcomes(order, &results);
        }
        for &name in names {
            let (group, process) = names::split(name);
            if let (None, Some(method)) = (process, order.group) {
                match self.server.list(method, &of(group)) {
                    Ok(results) => self.outcomes(order, &results)?,
                    Err(Failure::Fault(faults::BAD_NAME, _)) => {
                        self.say(format!("{group}: ERROR (no such group)"));
                        self.code = order.unknown_group;
                    }
                    Err(failure) => return Err(failure),
                }
                continue;
            }
            let (code, description) = match self.server.call(order.one, &of(name)) {
                Ok(_) => (faults::SUCCESS, String::new()),
                Err(Failure::Fault(code, text)) => (code, text),
                Err(failure) => return Err(failure),
            };
            let outcome =
                Outcome { group, process: process.unwrap_or("None"), code, description: &description };
            self.outcome(order, &outcome)?;
        }
        Ok(())
    }

    /// `start`, `stop`, `clear`: `VERB NAME …`.
    pub(super) fn order_named(&mut self, order: &Order, names: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            return Ok(());
        }
        if names.is_empty() {
            self.misused(order.verb, &format!("{} requires a process name", order.verb));
            self.code = if order.verb == "start" { status::INVALID } else { status::FAILED };
            return Ok(());
        }
        self.order(order, names, &[])
    }

    pub(super) fn restart(&mut self, names: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            return Ok(());
        }
        if names.is_empty() {
            self.misused("restart", "restart requires a process name");
            return Ok(());
        }
        self.order_named(&STOP, names)?;
        self.order_named(&START, names)
    }

    pub(super) fn signal(&mut self, words: &[&str]) -> Result<(), Failure> {
        if !self.is_up()? {
            return Ok(());
        }
        match words {
            [signal, names @ ..] if !names.is_empty() => self.order(&SIGNAL, names, &[Value::text(*signal)]),
            _ => {
                self.misused("signal", "signal requires a signal name and a process name");
                Ok(())
            }
        }
    }
}
