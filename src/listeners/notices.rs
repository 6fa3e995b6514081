//! foster's events in supervisord's words: the name and the payload of each.
//!
//! One event of foster's may be two of supervisord's: a program that gives up goes through BACKOFF to FATAL. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::control::protocol::{Event, State, StatusRow, Stream};

/// An event for listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) name: &'static str,
    pub(super) payload: String,
}

impl Notice {
    pub(super) fn new(name: &'static str, payload: String) -> Notice {
        Notice { name, payload }
    }
}

/// A process, as supervisord calls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) program: String,
    pub(super) instance: u16,
    pub(super) group: String,
    pub(super) name: String,
}

/// The last state of each process.
#[derive(Debug, Default)]
pub(super) struct Translator {
    known: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    state: &'static str,
    tries: u64,
    pid: u64,
}

impl Default for Known {
    fn default() -> Known {
        Known { state: "STOPPED", tries: 0, pid: 0 }
    }
}

const NAMES: [(&str, &str); 8] = [
    ("STARTING", "PROCESS_STATE_STARTING"),
    ("RUNNING", "PROCESS_STATE_RUNNING"),
    ("BACKOFF", "PROCESS_STATE_BACKOFF"),
    ("STOPPING", "PROCESS_STATE_STOPPING"),
    ("STOPPED", "PROCESS_STATE_STOPPED"),
    ("EXITED", "PROCESS_STATE_EXITED"),
    ("FATAL", "PROCESS_STATE_FATAL"),
    ("UNKNOWN", "PROCESS_STATE_UNKNOWN"),
];

impl Translator {
    /// Knows the state of a process from its row, as long as no event has told it.
    pub(super) fn know(&mut self, row: &StatusRow) {
        let state = match row.state {
            State::Waiting | State::Starting => "STARTING",
            State::Running | State::Unhealthy => "RUNNING",
            State::Stopping => "STOPPING",
            State::Backoff => "BACKOFF",
            State::Exited | State::Succeeded => "EXITED",
            State::Fatal | State::Failed => "FATAL",
            State::Stopped | State::Paused | State::Idle => "STOPPED",
        };
        let pid = row.pid.and_then(|pid| u64::try_from(pid).ok()).unwrap_or(0);
        self.known.entry(row.label.clone()).or_insert(Known { state, tries: 0, pid });
    }

    /// The instance that an event is about.
    pub(super) fn label(&self, event: &Event, processes: &BTreeMap<String, Process>) -> Option<String> {
        let instance = event.0.get("instance").and_then(Value::as_u64)?;
        let is_its = |(_, process): &(&String, &Process)| {
            process.program == event.text("program") && u64::from(process.instance) == instance
        };
        processes.iter().find(is_its).map(|(label, _)| label.clone())
    }

    /// The events of supervisord's that this one is.
    pub(super) fn notices(&mut self, event: &Event, label: &str, process: &Process) -> Vec<Notice> {
        let known = self.known.entry(label.to_owned()).or_default();
        let number = |field: &str| event.0.get(field).and_then(Value::as_u64);
        let (from, to) = (event.text("from"), event.text("to"));
        let was_up = matches!(from, "running" | "unhealthy");
        known.pid = number("pid").unwrap_or(known.pid);
        known.tries = match to {
            "running" | "stopped" => 0,
            _ => number("failures").unwrap_or(known.tries),
        };
        let mut states: Vec<&'static str> = match to {
            "starting" => vec!["STARTING"],
            "running" if !was_up => vec!["RUNNING"],
            "stopping" => vec!["STOPPING"],
            "stopped" => vec!["STOPPED"],
            "exited" => vec!["EXITED"],
            "backoff" if !was_up => vec!["BACKOFF"],
            "fatal" if !was_up => vec!["BACKOFF", "FATAL"],
            _ => Vec::new(),
        };
        if was_up && event.text("event") == "exited" && to != "exited" {
            states.insert(0, "EXITED");
        }
        // A restart: it waits for its start.
        if event.text("event") == "stopped" && to != "stopped" {
            states.insert(0, "STOPPED");
        }
        states.into_iter().map(|state| known.notice(state, event, process)).collect()
    }

    /// The text between two tokens in the output.
    pub(super) fn communication(&self, label: &str, process: &Process, stream: Stream, text: &str) -> Notice {
        let pid = self.known.get(label).map_or(0, |known| known.pid);
        let name = match stream {
            Stream::Stdout => "PROCESS_COMMUNICATION_STDOUT",
            Stream::Stderr => "PROCESS_COMMUNICATION_STDERR",
        };
        let Process { group, name: process, .. } = process;
        Notice::new(name, format!("processname:{process} groupname:{group} pid:{pid}\n{text}"))
    }

    /// A piece of output.
    pub(super) fn output(&self, label: &str, process: &Process, stream: Stream, text: &str) -> Notice {
        let pid = self.known.get(label).map_or(0, |known| known.pid);
        let (name, channel) = match stream {
            Stream::Stdout => ("PROCESS_LOG_STDOUT", "stdout"),
            Stream::Stderr => ("PROCESS_LOG_STDERR", "stderr"),
        };
        let Process { group, name: process, .. } = process;
        let head = format!("processname:{process} groupname:{group} pid:{pid} channel:{channel}");
        Notice::new(name, format!("{head}\n{text}"))
    }
}

impl Known {
    fn notice(&mut self, state: &'static str, event: &Event, process: &Process) -> Notice {
        let Process { group, name, .. } = process;
        let (from, tries, pid) = (self.state, self.tries, self.pid);
        self.state = state;
        let more = match state {
            "STARTING" | "BACKOFF" => format!(" tries:{tries}"),
            "RUNNING" | "STOPPING" | "STOPPED" => format!(" pid:{pid}"),
            "EXITED" => {
                let code = event.0.get("exit_code").and_then(Value::as_u64);
                let expected = event.text("to") == "exited" || code == Some(0);
                format!(" expected:{} pid:{pid}", u8::from(expected))
            }
            _ => String::new(),
        };
        let event = NAMES.iter().find(|(word, _)| *word == state).map_or("EVENT", |(_, name)| *name);
        Notice::new(event, format!("processname:{name} groupname:{group} from_state:{from}{more}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    fn told(events: &[Value]) -> Vec<String> {
        let process = Process { program: "w".into(), instance: 1, group: "g".into(), name: "w_01".into() };
        let processes = BTreeMap::from([("w.1".to_owned(), process.clone())]);
        let mut translator = Translator::default();
        let mut all = Vec::new();
        for event in events {
            let Value::Object(mut fields) = event.clone() else { panic!("no object") };
            fields.insert("program".into(), "w".into());
            fields.insert("instance".into(), 1.into());
            let event = Event(fields);
            let label = translator.label(&event, &processes).unwrap();
            for Notice { name, payload } in translator.notices(&event, &label, &process) {
                let rest = payload.strip_prefix("processname:w_01 groupname:g ").unwrap();
                all.push(format!("{} {rest}", name.strip_prefix("PROCESS_STATE_").unwrap()));
            }
        }
        all
    }

    #[test]
    fn the_states_of_foster_are_those_of_supervisord() {
        let events = [
            json!({ "event": "starting", "from": "stopped", "to": "starting", "pid": 7 }),
            json!({ "event": "ready", "from": "starting", "to": "running", "pid": 7 }),
            json!({ "event": "unhealthy", "from": "running", "to": "unhealthy", "pid": 7 }),
            json!({ "event": "recovered", "from": "unhealthy", "to": "running", "pid": 7 }),
            json!({ "event": "exited", "from": "running", "to": "backoff", "pid": 7, "exit_code": 3 }),
            json!({ "event": "starting", "from": "backoff", "to": "starting", "pid": 8 }),
            json!({ "event": "exited", "from": "starting", "to": "backoff", "failures": 1, "exit_code": 1 }),
            json!({ "event": "starting", "from": "backoff", "to": "starting", "pid": 9 }),
            json!({ "event": "exited", "from": "starting", "to": "fatal", "failures": 2, "exit_code": 1 }),
        ];
        let expected = [
            "STARTING from_state:STOPPED tries:0",
            "RUNNING from_state:STARTING pid:7",
            "EXITED from_state:RUNNING expected:0 pid:7",
            "STARTING from_state:EXITED tries:0",
            "BACKOFF from_state:STARTING tries:1",
            "STARTING from_state:BACKOFF tries:1",
            "BACKOFF from_state:STARTING tries:2",
            "FATAL from_state:BACKOFF",
        ];
        assert_eq!(told(&events), expected);
    }

    #[test]
    fn a_stop_and_an_end_with_success_have_the_pid() {
        let events = [
            json!({ "event": "ready", "from": "starting", "to": "running", "pid": 7 }),
            json!({ "event": "stopping", "from": "running", "to": "stopping", "pid": 7 }),
            json!({ "event": "stopped", "from": "stopping", "to": "stopped", "pid": 7, "signal": "TERM" }),
            json!({ "event": "exited", "from": "running", "to": "exited", "pid": 8, "exit_code": 2 }),
            json!({ "event": "stopping", "from": "running", "to": "stopping", "pid": 9 }),
            json!({ "event": "stopped", "from": "stopping", "to": "waiting", "pid": 9, "signal": "TERM" }),
            json!({ "event": "starting", "from": "waiting", "to": "starting", "pid": 10 }),
        ];
        let expected = [
            "RUNNING from_state:STOPPED pid:7",
            "STOPPING from_state:RUNNING pid:7",
            "STOPPED from_state:STOPPING pid:7",
            "EXITED from_state:STOPPED expected:1 pid:8",
            "STOPPING from_state:EXITED pid:9",
            "STOPPED from_state:STOPPING pid:9",
            "STARTING from_state:STOPPED tries:0",
        ];
        assert_eq!(told(&events), expected);
    }
}
