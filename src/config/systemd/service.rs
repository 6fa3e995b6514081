//! The keys of a service, each with foster's own for the same purpose, or the reason why it has none.
//!
//! A oneshot service is a task, or a job if it has a timer; both have fewer keys than a program. Next: `policy.rs`.

use super::super::diagnostics::Diagnostics;
use super::super::front_end::{DEFAULT, ignored, keep_last, list, set, text};
use super::super::span::Span;
use super::super::table::{Kind, Table, Value};
use super::command::{CommandLine, joined, parse, signal};
use super::unit::{Setting, Unit};

/// A service as a table.
pub(super) struct Service {
    pub(super) table: Table,
    pub(super) is_task: bool,
}

/// Keys that have the same meaning here or none at all.
const SILENT: [&str; 14] = [
    "Description",
    "Documentation",
    "Type",
    "PIDFile",
    "RemainAfterExit",
    "GuessMainPID",
    "ExecStart",
    "Group",
    "Environment",
    "StartLimitBurst",
    "StartLimitIntervalSec",
    "StartLimitInterval",
    "DefaultDependencies",
    "NotifyAccess",
];

/// Reads a service. `names` are the units that are there, each with foster's name.
pub(super) fn read(
    unit: &Unit,
    names: &[(String, String)],
    is_job: bool,
    diagnostics: &mut Diagnostics,
) -> Service {
    let is_oneshot = unit.get("Type").is_some_and(|setting| setting.value == "oneshot");
    let mut reading = Reading {
        unit,
        names,
        diagnostics,
        table: Table::default(),
        variables: Vec::new(),
        is_program: !is_oneshot && !is_job,
    };
    reading.variables();
    reading.command();
    reading.kind();
    for setting in &unit.settings {
        if matches!(setting.section.as_str(), "Unit" | "Service") {
            reading.setting(setting);
        }
    }
    reading.dependencies(is_job);
    if reading.is_program {
        reading.restarts();
    }
    Service { table: reading.table, is_task: is_oneshot }
}

/// One service, and the keys of foster's so far.
pub(super) struct Reading<'r> {
    pub(super) unit: &'r Unit,
    pub(super) names: &'r [(String, String)],
    pub(super) diagnostics: &'r mut Diagnostics,
    pub(super) table: Table,
    variables: Vec<(String, String)>,
    pub(super) is_program: bool,
}

impl Reading<'_> {
    pub(super) fn set(&mut self, key: &str, kind: Kind, setting: &Setting) {
        set(&mut self.table, key, kind, setting.span);
    }

    pub(super) fn ignore(&mut self, setting: &Setting, why: &str) {
        ignored(self.diagnostics, setting.key_span, &setting.key, why);
    }

    fn variables(&mut self) {
        let mut table = Table::default();
        let given = self.unit.all("Environment");
        for setting in &given {
            for word in shell_words::split(&setting.value).unwrap_or_default() {
                let Some((name, value)) = word.split_once('=') else { continue };
                self.variables.push((name.to_owned(), value.to_owned()));
            }
        }
        keep_last(&mut self.variables, |(name, _)| name);
        for (name, value) in &self.variables {
            set(&mut table, name, text(&super::super::shell::with_dollars(value)), DEFAULT);
        }
        if let (Some(first), false) = (given.first(), self.variables.is_empty()) {
            self.set("environment", Kind::Table(table), first);
        }
    }

    fn parsed(&mut self, setting: &Setting) -> Option<CommandLine> {
        let parsed = parse(&setting.value, &self.variables);
        match &parsed {
            None => self.diagnostics.error(
                setting.span,
                "this is not a command line",
                "expected a path and arguments, with each quote closed",
            ),
            Some(line) if line.is_privileged => {
                self.ignore(setting, "`+` and `!` ran it as root: `user` is for all commands of a program")
            }
            Some(_) => {}
        }
        parsed
    }

    fn command(&mut self) {
        let given: Vec<Setting> = self.unit.all("ExecStart").into_iter().cloned().collect();
        let Some(first) = given.first() else {
            let span = Span { file: self.unit.number, start: 0, end: 0 };
            self.diagnostics.error(
                span,
                "this service has no `ExecStart`",
                "expected `ExecStart=/path/of/a/command`",
            );
            return;
        };
        let lines: Vec<CommandLine> = given.iter().filter_map(|setting| self.parsed(setting)).collect();
        if given.len() == 1 {
            if let Some(line) = lines.into_iter().next() {
                if line.may_fail {
                    self.ignore(
                        first,
                        "`-` has no equal: `success_exit_codes` names statuses that are not a failure",
                    );
                }
                let kind = list(&line.words, first.span);
                self.set("command", kind, first);
            }
            return;
        }
        let kind = list(&joined(lines), first.span);
        self.set("command", kind, first);
    }

    /// `Type`: what makes it ready.
    fn kind(&mut self) {
        let Some(kind) = self.unit.get("Type").cloned() else { return };
        let timeout = self
            .unit
            .get("TimeoutStartSec")
            .or(self.unit.get("TimeoutSec"))
            .and_then(|setting| duration(&setting.value));
        match kind.value.as_str() {
            "simple" | "exec" | "idle" | "oneshot" => {}
            "notify" | "notify-reload" => {
                let mut ready = Table::default();
                set(&mut ready, "notify", Kind::Boolean(true), kind.span);
                if let Some(timeout) = timeout {
                    set(&mut ready, "timeout", text(&timeout), kind.span);
                }
                self.set("ready", Kind::Table(ready), &kind);
                if kind.value == "notify-reload" {
                    self.set("reload_signal", text("HUP"), &kind);
                }
            }
            "forking" => self.ignore(&kind, "a program stays in the foreground: change its command"),
            _ => self.ignore(&kind, "foster does not look at a bus: `ready` can have a probe"),
        }
    }

    fn setting(&mut self, setting: &Setting) {
        let value = setting.value.as_str();
        if SILENT.contains(&setting.key.as_str()) {
            return;
        }
        if let Some(limit) = setting.key.strip_prefix("Limit") {
            return self.limit(limit, setting);
        }
        match setting.key.as_str() {
            "After" | "Before" | "Requires" | "Requisite" | "BindsTo" | "Wants" | "PartOf" | "WantedBy" => {}
            "User" => self.user(setting),
            "WorkingDirectory" => {
                let path = value.trim_start_matches('-');
                let path = if path == "~" { "/root" } else { path };
                self.set("directory", text(path), setting);
            }
            "EnvironmentFile" => self.add_to("env_file", setting),
            "UMask" => self.set("umask", text(value), setting),
            "Nice" => self.number("nice", setting),
            "OOMScoreAdjust" => self.number("oom_score_adj", setting),
            "NoNewPrivileges" => {
                if is_true(value) {
                    self.set("no_new_privileges", Kind::Boolean(true), setting);
                }
            }
            "AmbientCapabilities" | "CapabilityBoundingSet" => self.capabilities(setting),
            "KillSignal" => {
                self.set("stop_signal", text(value.strip_prefix("SIG").unwrap_or(value)), setting)
            }
            "KillMode" => match value {
                "process" => self.set("kill_mode", text("process"), setting),
                "none" => self.ignore(setting, "foster leaves no process behind"),
                _ => {}
            },
            "ReloadSignal" => {
                self.set("reload_signal", text(value.strip_prefix("SIG").unwrap_or(value)), setting)
            }
            "TimeoutStopSec" => self.duration("stop_timeout", setting),
            "TimeoutSec" => self.duration("stop_timeout", setting),
            "TimeoutStartSec" => {
                if !self.is_program {
                    self.duration("timeout", setting);
                } else if self.table.get("ready").is_none() {
                    self.ignore(setting, "it is `timeout` of `ready`, which this program does not have");
                }
            }
            "RuntimeMaxSec" if !self.is_program => self.duration("timeout", setting),
            "WatchdogSec" if self.is_program => self.duration("watchdog", setting),
            "MemoryMax" | "MemoryLimit" => {
                if value.ends_with('%') {
                    self.ignore(setting, "`memory_max` is a size");
                } else if value != "infinity" {
                    self.set("memory_max", text(value), setting);
                }
            }
            "SuccessExitStatus" => self.success(setting),
            "ExecStartPre" | "ExecCondition" => {
                if self.table.get("pre_start").is_none() {
                    let lines: Vec<Setting> = self.unit.all(&setting.key).into_iter().cloned().collect();
                    let lines: Vec<CommandLine> = lines.iter().filter_map(|line| self.parsed(line)).collect();
                    let kind = list(&joined(lines), setting.span);
                    self.set("pre_start", kind, setting);
                }
            }
            "ExecReload" if self.is_program => match signal(value) {
                Some(signal) if self.table.get("reload_signal").is_none() => {
                    self.set("reload_signal", text(&signal), setting)
                }
                Some(_) => {}
                None => self.ignore(
                    setting,
                    "`reload_signal` is a signal; without one `foster reload` restarts the program",
                ),
            },
            "ExecStop" if self.is_program => match signal(value) {
                Some(signal) => self.set("stop_signal", text(&signal), setting),
                None if value.contains("MAINPID") => {
                    self.ignore(setting, "`pre_stop` does not know the process ID: `stop_signal` stops it")
                }
                None => {
                    if let Some(line) = self.parsed(setting) {
                        let kind = list(&line.words, setting.span);
                        self.set("pre_stop", kind, setting);
                    }
                }
            },
            "StandardOutput" | "StandardError" => self.output(setting),
            "StandardInput" => match value {
                "null" => {}
                "socket" => self.set("stdin", text("socket"), setting),
                _ => self.ignore(setting, "`stdin` is `null`, `open`, `inherit` or `socket`"),
            },
            "Restart" | "RestartSec" if self.is_program => {}
            "Restart" | "RestartSec" => {
                if value != "no" {
                    self.ignore(setting, "a task has `retries`, a job its next run");
                }
            }
            "RuntimeDirectory"
            | "StateDirectory"
            | "CacheDirectory"
            | "LogsDirectory"
            | "ConfigurationDirectory" => {
                self.ignore(setting, "make the folder in the image, or with `pre_start`");
            }
            "LoadCredential" | "SetCredential" => {
                self.ignore(setting, "`secrets` gives a file's content to a variable")
            }
            "SyslogIdentifier" => self.ignore(setting, "lines have the program's name"),
            key if key.starts_with("Condition") || key.starts_with("Assert") => {
                self.ignore(setting, "`enabled = \"${NAME:-true}\"` depends on a variable");
            }
            _ => self.ignore(setting, "foster has no equal; what isolates a container is the container's"),
        }
    }

    fn user(&mut self, setting: &Setting) {
        let group = self.unit.get("Group").map(|group| group.value.as_str());
        let user = match group {
            Some(group) if group != setting.value => format!("{}:{group}", setting.value),
            _ => setting.value.clone(),
        };
        if user != "root" {
            self.set("user", text(&user), setting);
        }
    }

    /// Appends to a key that is a path, or a list of several.
    fn add_to(&mut self, key: &str, setting: &Setting) {
        if self.table.get(key).is_none() {
            let all: Vec<String> = self.unit.all(&setting.key).iter().map(|one| one.value.clone()).collect();
            let kind = if let [one] = all.as_slice() { text(one) } else { list(&all, setting.span) };
            self.set(key, kind, setting);
        }
    }

    fn number(&mut self, key: &str, setting: &Setting) {
        let kind = setting.value.parse().map_or_else(|_| text(&setting.value), Kind::Integer);
        self.set(key, kind, setting);
    }

    fn duration(&mut self, key: &str, setting: &Setting) {
        if self.table.get(key).is_some() {
            return;
        }
        match duration(&setting.value) {
            Some(time) if time != "0s" => self.set(key, text(&time), setting),
            _ => self.ignore(setting, "foster's own time limit stays"),
        }
    }

    fn limit(&mut self, name: &str, setting: &Setting) {
        let value = |part: &str| match part {
            "infinity" => text("unlimited"),
            part => part.parse().map_or_else(|_| text(part), Kind::Integer),
        };
        let kind = match setting.value.split_once(':') {
            Some((soft, hard)) => {
                Kind::Array([soft, hard].map(|part| Value { kind: value(part), span: setting.span }).to_vec())
            }
            None => value(&setting.value),
        };
        // One table has all limits.
        let mut limits = Table::default();
        for item in
            self.table.get("limits").and_then(|item| item.value.table()).into_iter().flat_map(Table::items)
        {
            limits.push(item.key.clone(), item.value.clone());
        }
        set(&mut limits, &name.to_ascii_lowercase(), kind, setting.span);
        self.table = self.table.filtered(|key| key != "limits");
        self.set("limits", Kind::Table(limits), setting);
    }

    fn capabilities(&mut self, setting: &Setting) {
        if setting.value.starts_with('~') {
            return self.ignore(setting, "`capabilities` lists those that the program keeps");
        }
        // Those that it has are fewer than those that it may get.
        if setting.key == "CapabilityBoundingSet" && self.unit.get("AmbientCapabilities").is_some() {
            return;
        }
        let names = setting
            .value
            .split_whitespace()
            .map(|name| name.to_ascii_lowercase().trim_start_matches("cap_").to_owned());
        let kind = list(&names.collect::<Vec<_>>(), setting.span);
        self.table = self.table.filtered(|key| key != "capabilities");
        self.set("capabilities", kind, setting);
    }

    fn success(&mut self, setting: &Setting) {
        let mut codes = vec![Value { kind: Kind::Integer(0), span: setting.span }];
        for word in setting.value.split_whitespace() {
            match word.parse::<u8>() {
                Ok(code) => codes.push(Value { kind: Kind::Integer(code.into()), span: setting.span }),
                Err(_) => self.ignore(setting, "`success_exit_codes` are numbers"),
            }
        }
        self.set("success_exit_codes", Kind::Array(codes), setting);
    }

    fn output(&mut self, setting: &Setting) {
        let key = if setting.key == "StandardOutput" { "stdout" } else { "stderr" };
        let (kind, path) = setting.value.split_once(':').unwrap_or((&setting.value, ""));
        match kind {
            "null" => self.set(key, text("null"), setting),
            "file" | "append" | "truncate" => {
                let mut table = Table::default();
                set(&mut table, "file", text(path), setting.span);
                self.set(key, Kind::Table(table), setting);
            }
            "inherit" | "journal" | "journal+console" | "syslog" | "kmsg" => {}
            _ => self.ignore(setting, "the lines go to the container's log"),
        }
    }
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "yes" | "true" | "on" | "1")
}

/// A time span in foster's form; `None`: there is no limit, or the value is not a time span.
pub(super) fn duration(written: &str) -> Option<String> {
    if !written.is_empty() && written.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(format!("{written}s"));
    }
    humantime::parse_duration(written).ok().map(|_| written.to_owned())
}
