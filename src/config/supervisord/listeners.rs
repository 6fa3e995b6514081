//! `[eventlistener:NAME]`: a program whose standard streams foster's own broker reads and writes.
//!
//! The broker is one more program, with the pools and their events in its arguments (`foster listeners`); a configuration
//! without listeners has none.

use super::super::Environment;
use super::super::diagnostics::Diagnostics;
use super::super::front_end::{DEFAULT, set, text};
use super::super::phrase::quoted;
use super::super::table::{Key, Kind, Table, Value};
use super::Section;
use super::daemon::Daemon;
use super::typed::{Names, Typed};
use crate::suggest::nearest;

/// Whether this section is a pool of event listeners.
pub(super) fn is_one(section: &Section) -> bool {
    section.kind == "eventlistener"
}

/// Every type of event, and the types above them.
const EVENTS: &[&str] = &[
    "EVENT",
    "PROCESS_STATE",
    "PROCESS_STATE_STARTING",
    "PROCESS_STATE_RUNNING",
    "PROCESS_STATE_BACKOFF",
    "PROCESS_STATE_STOPPING",
    "PROCESS_STATE_EXITED",
    "PROCESS_STATE_STOPPED",
    "PROCESS_STATE_FATAL",
    "PROCESS_STATE_UNKNOWN",
    "PROCESS_LOG",
    "PROCESS_LOG_STDOUT",
    "PROCESS_LOG_STDERR",
    "PROCESS_COMMUNICATION",
    "PROCESS_COMMUNICATION_STDOUT",
    "PROCESS_COMMUNICATION_STDERR",
    "REMOTE_COMMUNICATION",
    "SUPERVISOR_STATE_CHANGE",
    "SUPERVISOR_STATE_CHANGE_RUNNING",
    "SUPERVISOR_STATE_CHANGE_STOPPING",
    "TICK",
    "TICK_5",
    "TICK_60",
    "TICK_3600",
    "PROCESS_GROUP",
    "PROCESS_GROUP_ADDED",
    "PROCESS_GROUP_REMOVED",
];

/// supervisord's `buffer_size`.
const BUFFER_SIZE: i64 = 10;
/// The broker starts before every listener, and stops after it.
const PRIORITY: i64 = -1_000_001;
/// supervisord's own result handler.
const RESULT_HANDLER: &str = "supervisor.dispatchers:default_handler";

/// The arguments of the broker.
#[derive(Default)]
pub(super) struct Broker {
    pools: Vec<String>,
    streams: Vec<String>,
}

impl Broker {
    /// Takes what a section says of events; `name` is what foster calls its program.
    pub(super) fn take(
        &mut self,
        section: &Section,
        name: &str,
        daemon: &Daemon,
        environment: &Environment,
        diagnostics: &mut Diagnostics,
    ) {
        let variables = &daemon.variables;
        let mut typed = Typed { diagnostics, environment, variables, names: Names::None };
        for stream in ["stdout", "stderr"] {
            let setting = section.get(&format!("{stream}_events_enabled"));
            if setting.and_then(|setting| typed.boolean(setting)) == Some(true) {
                self.streams.push(format!("{name}:{stream}"));
            }
            let setting = section.get(&format!("{stream}_capture_maxbytes"));
            if let Some(most) = setting.and_then(|setting| typed.size(setting)).filter(|most| *most > 0) {
                self.streams.push(format!("{name}:{stream}:{most}"));
            }
        }
        if !is_one(section) {
            return;
        }
        if let Some(setting) = section.get("redirect_stderr")
            && typed.boolean(setting) == Some(true)
        {
            let note = "expected no such line: an event listener answers on its standard output";
            typed.diagnostics.error(setting.span, "an event listener cannot have `redirect_stderr`", note);
        }
        if let Some(setting) = section.get("result_handler")
            && typed.expanded(setting).is_some_and(|handler| handler != RESULT_HANDLER)
        {
            typed.refuse(setting, &setting.value, &format!("{RESULT_HANDLER}: foster runs no Python"));
        }
        let buffer = section.get("buffer_size").and_then(|setting| typed.number(setting, 1));
        let Some(setting) = section.get("events") else {
            let note = "expected `events = PROCESS_STATE, TICK_60`, for example";
            typed.diagnostics.error(section.span, "an event listener without `events`", note);
            return;
        };
        let listed = typed.expanded(setting).unwrap_or_default();
        let events: Vec<&str> = listed.split(',').map(str::trim).filter(|event| !event.is_empty()).collect();
        for event in &events {
            let span = typed.diagnostics.narrow(setting.span, event);
            if !EVENTS.contains(event) {
                let near =
                    typed.diagnostics.may_search().then(|| nearest(event, EVENTS.iter().copied())).flatten();
                let note = near
                    .map_or("expected a type such as `PROCESS_STATE` or `TICK_60`".to_owned(), |near| {
                        format!("did you mean `{near}`?")
                    });
                typed.diagnostics.error(span, format!("there is no event {}", quoted(event)), note);
            }
        }
        self.pools.push(format!("{name}={}={}", buffer.unwrap_or(BUFFER_SIZE), events.join(",")));
    }

    /// Adds the broker, if there is a listener.
    pub(super) fn add(self, name: String, daemon: &Daemon, programs: &mut Table) {
        if self.pools.is_empty() {
            return;
        }
        let words = ["/proc/self/exe".to_owned(), "listeners".to_owned()];
        let identifier = daemon.identifier.iter().map(|(identifier, _)| format!("identifier={identifier}"));
        let words = words.into_iter().chain(identifier).chain(self.pools).chain(self.streams);
        let words = words.map(|word| Value { kind: text(&word), span: DEFAULT });
        let mut table = Table::default();
        for (key, kind) in [
            ("command", Kind::Array(words.collect())),
            ("priority", Kind::Integer(PRIORITY)),
            ("restart", text("always")),
            ("start_limit", text("unlimited")),
        ] {
            set(&mut table, key, kind, DEFAULT);
        }
        programs.push(Key { name, span: DEFAULT }, Value { kind: Kind::Table(table), span: DEFAULT });
    }
}
