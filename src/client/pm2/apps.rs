//! The processes as PM2 names and describes them. Pure.
//!
//! The front-end for its files gives each a name of four parts (`config/pm2/app.rs`); with another configuration they are
//! numbered in order.

use serde_json::{Value, json};

use crate::control::protocol::{Exit, Kind, Reply, State, StatusRow};

/// A process.
#[derive(Debug, Clone)]
pub(super) struct App {
    /// Its `pm_id`.
    pub(super) id: u64,
    /// Its name.
    pub(super) name: String,
    /// Its namespace.
    pub(super) namespace: String,
    /// `fork_mode` or `cluster_mode`.
    pub(super) mode: String,
    row: StatusRow,
    /// foster gave up, if it is fatal.
    gave_up: bool,
}

/// The processes of these rows, by `pm_id`. Jobs are none. The last event of an instance tells why it is fatal.
pub(super) fn apps(rows: Vec<Reply>, events: &[Reply]) -> Vec<App> {
    let mut apps: Vec<App> = Vec::new();
    for reply in rows {
        if let Reply::Row(row) = reply
            && row.kind != Kind::Job
        {
            let mut app = app(row, apps.len());
            app.gave_up = gave_up(&app.row, events);
            let at = apps.partition_point(|other| other.id <= app.id);
            apps.insert(at, app);
        }
    }
    apps
}

/// Whether it ended because too many starts had failed; also if that is no longer known.
fn gave_up(row: &StatusRow, events: &[Reply]) -> bool {
    let end = events.iter().rev().find_map(|reply| {
        let Reply::Event(event) = reply else { return None };
        let is_its = |name: &str, value: Value| event.0.get(name) == Some(&value);
        let is_end = is_its("to", "fatal".into()) && is_its("program", row.name.clone().into());
        let instance = row.instance.is_none_or(|index| is_its("instance", index.into()));
        (is_end && instance).then(|| event.0.contains_key("failures"))
    });
    end.unwrap_or(true)
}

fn app(row: StatusRow, index: usize) -> App {
    let mut parts = row.namespec.as_deref().unwrap_or_default().splitn(4, ':');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (id, mode, namespace, name) = (next(), next(), next(), next());
    match id.parse() {
        Ok(id) if !name.is_empty() => App { id, name, namespace, mode, row, gave_up: true },
        _ => App {
            id: index as u64,
            name: row.name.clone(),
            namespace: "default".to_owned(),
            mode: "fork_mode".to_owned(),
            row,
            gave_up: true,
        },
    }
}

impl App {
    /// foster's name for it.
    pub(super) fn label(&self) -> &str {
        &self.row.label
    }

    /// foster's name for the app.
    pub(super) fn program(&self) -> &str {
        &self.row.name
    }

    /// How many processes the app has.
    pub(super) fn instances(&self) -> u16 {
        self.row.instances
    }

    /// Its process ID; 0 where it has none.
    pub(super) fn pid(&self) -> i32 {
        self.row.pid.unwrap_or(0)
    }

    /// Whether a word means it: its id, its name, its namespace, foster's name for it, or `all`.
    pub(super) fn is_meant_by(&self, word: &str) -> bool {
        word == "all"
            || word.parse() == Ok(self.id)
            || [&self.name, &self.namespace, &self.row.name, &self.row.label].iter().any(|name| *name == word)
    }

    /// Its state in PM2's words.
    pub(super) fn status(&self) -> &'static str {
        match self.row.state {
            State::Running | State::Unhealthy => "online",
            State::Starting | State::Waiting => "launching",
            State::Backoff => "waiting restart",
            State::Stopping => "stopping",
            State::Fatal if self.gave_up => "errored",
            // One that failed and is not to be restarted has no other word in PM2.
            State::Fatal
            | State::Failed
            | State::Stopped
            | State::Exited
            | State::Succeeded
            | State::Idle
            | State::Paused => "stopped",
        }
    }

    /// How long it has been up, in seconds.
    pub(super) fn uptime(&self) -> Option<u64> {
        self.row.uptime_ms.map(|ms| ms / 1000)
    }

    pub(super) fn restarts(&self) -> u32 {
        self.row.restarts
    }

    pub(super) fn memory(&self) -> u64 {
        self.row.memory_bytes.unwrap_or(0)
    }

    /// The part of a CPU that it has used since its start, in tenths of a percent.
    pub(super) fn cpu(&self) -> u64 {
        let used = self.row.cpu_ms.unwrap_or(0).saturating_mul(1000);
        used.checked_div(self.row.uptime_ms.unwrap_or(0)).unwrap_or(0)
    }

    /// A remark of foster's.
    pub(super) fn note(&self) -> &str {
        self.row.note.as_deref().unwrap_or_default()
    }

    /// As `pm2 jlist` prints it; `now`: milliseconds since 1970.
    pub(super) fn json(&self, now: i64) -> Value {
        let since = self.row.uptime_ms.and_then(|ms| i64::try_from(ms).ok()).map(|ms| now.saturating_sub(ms));
        let exit_code = match &self.row.exit {
            Some(Exit::Code { code }) => Some(*code),
            Some(Exit::Signal { .. }) | None => None,
        };
        json!({
            "pid": self.pid(),
            "name": self.name,
            "pm_id": self.id,
            "monit": { "memory": self.memory(), "cpu": self.cpu() / 10 },
            "pm2_env": {
                "name": self.name,
                "namespace": self.namespace,
                "pm_id": self.id,
                "status": self.status(),
                "exec_mode": self.mode,
                "instances": self.instances(),
                "restart_time": self.restarts(),
                "unstable_restarts": 0,
                "pm_uptime": since,
                "exit_code": exit_code,
            },
        })
    }
}
