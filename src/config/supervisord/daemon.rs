//! `[supervisord]` and the sections about its servers: what holds for all programs.
//!
//! Each becomes a key of `[foster]` or `[defaults]`, or is a warning that it has no effect.

use super::super::Environment;
use super::super::diagnostics::Diagnostics;
use super::super::front_end::{DEFAULT, ignored, set, text};
use super::super::phrase::quoted;
use super::super::span::Span;
use super::super::table::{Kind, Table};
use super::pairs::pairs;
use super::typed::{Names, Typed};
use super::{Section, Setting, backoff, server};

/// What `[supervisord]` says for all programs.
#[derive(Debug, Default)]
pub(super) struct Daemon {
    /// Its `environment`.
    pub(super) environment: Vec<(String, String, Span)>,
    /// The same for `%(ENV_NAME)s`.
    pub(super) variables: Vec<(String, String)>,
    /// `SUPERVISOR_SERVER_URL`.
    pub(super) server_url: Option<String>,
    /// Its `identifier`.
    pub(super) identifier: Option<(String, Span)>,
    /// Its HTTP servers.
    pub(super) servers: Vec<(Table, Span)>,
    defaults: Table,
    foster: Table,
}

/// The time limit for a shutdown where no program asks for more: below the ten seconds of `docker stop`.
const SHUTDOWN_TIMEOUT: i64 = 9;
/// supervisord's `stopwaitsecs`.
const STOPWAITSECS: i64 = 10;
/// supervisord's `minfds`, which every system allows.
const MINFDS: i64 = 1024;

impl Daemon {
    /// `[defaults]`: supervisord's own, and what `[supervisord]` sets for all programs.
    pub(super) fn defaults(&self) -> Table {
        let mut table = self.defaults.clone();
        for (name, kind) in [
            ("restart", text("on-failure")),
            ("early_exit", text("failure")),
            ("start_limit", Kind::Integer(4)),
            ("backoff", backoff(1)),
            ("on_failure", text("ignore")),
            ("stop_timeout", text(&format!("{STOPWAITSECS}s"))),
            ("kill_mode", text("process")),
            ("stdin", text("open")),
        ] {
            set(&mut table, name, kind, DEFAULT);
        }
        table
    }

    /// `[foster]`.
    pub(super) fn foster(&self, programs: &Table) -> Table {
        let mut table = self.foster.clone();
        // supervisord's file has no place for it; its clients look there, too.
        set(&mut table, "socket", text("${FOSTER_SOCKET:-/run/foster.sock}"), DEFAULT);
        set(&mut table, "start", text("together"), DEFAULT);
        set(&mut table, "when_all_ended", text("stay"), DEFAULT);
        let timeout = shutdown_timeout(programs);
        set(&mut table, "shutdown_timeout", text(&format!("{timeout}s")), DEFAULT);
        table
    }
}

/// One priority is stopped after the other, so the longest times of all priorities add up. A file that never asks for more
/// than the default was written for an orchestrator that waits ten seconds.
fn shutdown_timeout(programs: &Table) -> i64 {
    let mut tiers = std::collections::BTreeMap::<i64, i64>::new();
    let mut is_longer = false;
    for item in programs.items() {
        let Kind::Table(program) = &item.value.kind else { continue };
        let number = |name: &str| match program.get(name).map(|item| &item.value.kind) {
            Some(Kind::Integer(number)) => Some(*number),
            Some(Kind::String(text)) => text.strip_suffix('s').and_then(|seconds| seconds.parse().ok()),
            _ => None,
        };
        let wait = number("stop_timeout").unwrap_or(STOPWAITSECS);
        is_longer |= wait > STOPWAITSECS;
        let longest = tiers.entry(number("priority").unwrap_or(999)).or_default();
        *longest = wait.max(*longest);
    }
    if is_longer { tiers.values().sum::<i64>().saturating_add(1) } else { SHUTDOWN_TIMEOUT }
}

/// Reads `[supervisord]` and every section that is neither a program nor a group.
pub(super) fn read(
    section: &Section,
    sections: &[Section],
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Daemon {
    let mut daemon = Daemon::default();
    let mut typed = Typed { diagnostics, environment, variables: &[], names: Names::None };
    for setting in &section.settings {
        daemon.setting(&mut typed, setting);
    }
    for other in sections {
        daemon.section(&mut typed, other);
    }
    if let Some((name, span)) = &daemon.identifier {
        for (server, _) in &mut daemon.servers {
            set(server, "identifier", text(name), *span);
        }
    }
    daemon
}

impl Daemon {
    fn setting(&mut self, typed: &mut Typed<'_>, setting: &Setting) {
        match setting.key.as_str() {
            "loglevel" => {
                const LEVELS: [(&str, &str); 12] = [
                    ("critical", "error"),
                    ("crit", "error"),
                    ("error", "error"),
                    ("erro", "error"),
                    ("warn", "warn"),
                    ("warning", "warn"),
                    ("info", "info"),
                    ("debug", "debug"),
                    ("debg", "debug"),
                    ("trace", "trace"),
                    ("trac", "trace"),
                    ("blather", "trace"),
                ];
                if let Some(level) = typed.word(setting, &LEVELS) {
                    set(&mut self.foster, "log_level", text(level), setting.span);
                }
            }
            "user" => {
                // foster keeps its user; what it starts has this one.
                if let Some(user) = typed.expanded(setting).filter(|user| user != "root" && user != "0") {
                    set(&mut self.defaults, "user", text(&user), setting.span);
                }
            }
            "environment" => {
                let Some(value) = typed.expanded(setting) else { return };
                match pairs(&value) {
                    Ok(pairs) => {
                        let plain = |(name, value): &(String, String)| (name.clone(), typed.resolved(value));
                        self.variables = pairs.iter().map(plain).collect();
                        let placed = pairs.into_iter().map(|(name, value)| (name, value, setting.span));
                        self.environment = placed.collect();
                    }
                    Err(found) => typed.refuse_pairs(setting, &found),
                }
            }
            "minfds" => {
                // supervisord raises a limit that is lower. `limits` would lower one that is higher, too, and keep a
                // program from raising its own.
                if typed.number(setting, 1).is_some_and(|number| number > MINFDS) {
                    let why =
                        "programs have the limits of the container: `docker run --ulimit nofile=N` sets them";
                    ignored(typed.diagnostics, setting.key_span, "minfds", why);
                }
            }
            "logfile" => {
                let path = typed.expanded(setting).unwrap_or_default();
                let streams =
                    ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/dev/null", "/proc/self/fd/1"];
                if !streams.contains(&path.as_str()) {
                    ignored(
                        typed.diagnostics,
                        setting.key_span,
                        "logfile",
                        "foster's own lines go to its stderr",
                    );
                }
            }
            "pidfile" => {
                if typed.expanded(setting).is_some_and(|path| path != "/dev/null") {
                    let why = "no file is written; `supervisorctl pid` prints the process ID";
                    ignored(typed.diagnostics, setting.key_span, "pidfile", why);
                }
            }
            "nodaemon" => {
                if typed.boolean(setting) == Some(false) {
                    let why =
                        "foster stays in the foreground; `foster run --detach` goes into the background";
                    ignored(typed.diagnostics, setting.key_span, "nodaemon", why);
                }
            }
            // Settings of supervisord's own log, and of what it does only in the background.
            "logfile_maxbytes" | "logfile_backups" | "silent" | "umask" | "directory" | "childlogdir"
            | "nocleanup" | "minprocs" | "strip_ansi" | "profile_options" => {}
            "identifier" => self.identifier = typed.expanded(setting).map(|name| (name, setting.span)),
            key => {
                let message = format!("unknown key {} in `[supervisord]`", quoted(key));
                typed
                    .diagnostics
                    .warn(setting.key_span, format!("{message}: it has no effect, as in supervisord"));
            }
        }
    }

    fn section(&mut self, typed: &mut Typed<'_>, section: &Section) {
        let heading = if section.name.is_empty() {
            format!("[{}]", section.kind)
        } else {
            format!("[{}:{}]", section.kind, section.name)
        };
        match section.kind.as_str() {
            "supervisord" | "program" | "fcgi-program" | "eventlistener" | "group" | "include"
            | "supervisorctl" => {}
            "rpcinterface" if section.name == "supervisor" => {}
            "unix_http_server" | "inet_http_server" => {
                let Some((url, server)) = server::read(typed, section) else { return };
                if section.kind == "unix_http_server" || self.server_url.is_none() {
                    self.server_url = Some(url);
                }
                self.servers.push((server, section.span));
            }
            "rpcinterface" | "ctlplugin" => {
                ignored(
                    typed.diagnostics,
                    section.span,
                    &heading,
                    "foster runs no plug-ins of supervisord's",
                );
            }
            _ => {
                let why = "supervisord has no such section";
                ignored(typed.diagnostics, section.span, &heading, why);
            }
        }
    }
}
