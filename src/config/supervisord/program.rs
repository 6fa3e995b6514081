//! `[program:NAME]` and `[group:NAME]`: each key with foster's own for the same purpose.
//!
//! A key that is not given has supervisord's default, which `daemon.rs` has put into `[defaults]`.

use std::collections::BTreeSet;

use super::super::Environment;
use super::super::diagnostics::Diagnostics;
use super::super::front_end::{DEFAULT, ignored, keep_last, set, text};
use super::super::phrase::quoted;
use super::super::table::{Kind, Table, Value};
use super::daemon::Daemon;
use super::pairs::pairs;
use super::typed::{Names, Typed};
use super::{Section, Setting, listeners};

/// A group and the programs that it takes.
#[derive(Debug)]
pub(super) struct Group {
    name: String,
    /// Their names.
    pub(super) programs: Vec<String>,
    priority: Option<Setting>,
}

/// supervisord's priority of event listeners.
const LISTENERS: i64 = -1;

/// Whether this section is a program.
pub(super) fn is_one(section: &Section) -> bool {
    matches!(section.kind.as_str(), "program" | "fcgi-program")
}

/// Reads every group; a program that does not exist is an error.
pub(super) fn groups(
    sections: &[Section],
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Vec<Group> {
    let mut groups = Vec::new();
    let programs: BTreeSet<&str> =
        sections.iter().filter(|section| is_one(section)).map(|section| section.name.as_str()).collect();
    for section in sections.iter().filter(|section| section.kind == "group") {
        let mut typed = Typed { diagnostics, environment, variables: &[], names: Names::None };
        let Some(setting) = section.get("programs") else {
            typed.diagnostics.error(
                section.span,
                "a group without `programs`",
                "expected `programs = NAME, NAME`",
            );
            continue;
        };
        let listed = typed.expanded(setting).unwrap_or_default();
        let names: Vec<String> =
            listed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
        for name in &names {
            if !programs.contains(name.as_str()) {
                let span = typed.diagnostics.narrow(setting.span, name);
                let message = format!("there is no program {}", quoted(name));
                typed.diagnostics.error(span, message, format!("expected a section `[program:{name}]`"));
            }
        }
        for other in
            section.settings.iter().filter(|other| !["programs", "priority"].contains(&other.key.as_str()))
        {
            typed.diagnostics.warn(other.key_span, format!("`{}` is not a key of a group", other.key));
        }
        groups.push(Group {
            name: section.name.clone(),
            programs: names,
            priority: section.get("priority").cloned(),
        });
    }
    groups
}

/// The table of one program.
pub(super) fn read(
    section: &Section,
    group: Option<&Group>,
    daemon: &Daemon,
    environment: &Environment,
    diagnostics: &mut Diagnostics,
) -> Table {
    let group_name = group.map_or(section.name.as_str(), |group| &group.name);
    let names = |count, first| Names::Program { program: &section.name, group: group_name, count, first };
    let mut typed = Typed { diagnostics, environment, variables: &daemon.variables, names: names(1, 0) };
    let count = section.get("numprocs").and_then(|setting| typed.number(setting, 0)).unwrap_or(1);
    let first = section.get("numprocs_start").and_then(|setting| typed.number(setting, 0)).unwrap_or(0);
    typed.names = names(count.unsigned_abs(), first.unsigned_abs());
    let mut reading = Reading { typed, section, daemon, table: Table::default() };
    if section.name.is_empty() || section.name.contains([' ', '/', ':']) {
        let message = format!("a program cannot have the name {}", quoted(&section.name));
        reading.typed.diagnostics.error(section.span, message, "expected one without a space, `/` and `:`");
    }
    reading.environment(group_name, count);
    for setting in &section.settings {
        reading.setting(setting);
    }
    reading.output();
    if section.kind == "fcgi-program" {
        reading.socket();
    }
    reading.stopping();
    if let (Some(priority), None) = (group.and_then(|group| group.priority.as_ref()), section.get("priority"))
    {
        reading.setting(priority);
    }
    if listeners::is_one(section) && reading.table.get("priority").is_none() {
        set(&mut reading.table, "priority", Kind::Integer(LISTENERS), DEFAULT);
    }
    if let (Some(startsecs), None) = (section.get("startsecs"), reading.table.get("backoff")) {
        reading.backoff(startsecs);
    }
    reading.table
}

struct Reading<'a> {
    typed: Typed<'a>,
    section: &'a Section,
    daemon: &'a Daemon,
    table: Table,
}

impl Reading<'_> {
    fn set(&mut self, name: &str, kind: Kind, setting: &Setting) {
        set(&mut self.table, name, kind, setting.span);
    }

    /// One key that stands for one of foster's.
    fn setting(&mut self, setting: &Setting) {
        let found = match setting.key.as_str() {
            "command" | "directory" | "umask" => {
                self.typed.expanded(setting).map(|value| (setting.key.as_str(), text(&value)))
            }
            "user" => self.typed.expanded(setting).map(|value| ("user", text(&value))),
            "priority" => {
                self.typed.number(setting, -1_000_000).map(|number| ("priority", Kind::Integer(number)))
            }
            "autostart" => self.typed.boolean(setting).map(|value| ("autostart", Kind::Boolean(value))),
            "autorestart" => {
                let mut words = vec![("unexpected", "on-failure")];
                words.extend(["true", "yes", "on", "1"].map(|word| (word, "always")));
                words.extend(["false", "no", "off", "0"].map(|word| (word, "never")));
                self.typed.word(setting, &words).map(|word| ("restart", text(word)))
            }
            "startsecs" => {
                self.typed.number(setting, 0).map(|seconds| ("min_uptime", text(&format!("{seconds}s"))))
            }
            "startretries" => {
                let tries = self.typed.number(setting, -1_000_000).map(|retries| retries.max(0) + 1);
                tries.map(|tries| ("start_limit", Kind::Integer(tries)))
            }
            "stopwaitsecs" => {
                self.typed.number(setting, 0).map(|seconds| ("stop_timeout", text(&format!("{seconds}s"))))
            }
            "stopsignal" => {
                self.typed.expanded(setting).map(|signal| ("stop_signal", text(&signal.to_ascii_uppercase())))
            }
            "exitcodes" => self.exit_codes(setting).map(|codes| ("success_exit_codes", codes)),
            "numprocs" => self.typed.number(setting, 0).map(|count| ("instances", Kind::Integer(count))),
            _ => return self.other(setting),
        };
        if let Some((name, kind)) = found {
            self.set(name, kind, setting);
        }
    }

    /// A key that several others of this program have a part in, or that foster has no equal for.
    fn other(&mut self, setting: &Setting) {
        let diagnostics = &mut *self.typed.diagnostics;
        match setting.key.as_str() {
            "socket" | "socket_backlog" | "socket_owner" | "socket_mode"
                if self.section.kind == "fcgi-program" => {}
            "environment"
            | "process_name"
            | "numprocs_start"
            | "stopasgroup"
            | "killasgroup"
            | "redirect_stderr"
            | "serverurl"
            | "stdout_logfile"
            | "stderr_logfile"
            | "stdout_logfile_maxbytes"
            | "stderr_logfile_maxbytes"
            | "stdout_logfile_backups"
            | "stderr_logfile_backups" => {}
            "stdout_events_enabled" | "stderr_events_enabled" => {}
            "events" | "buffer_size" | "result_handler" if listeners::is_one(self.section) => {}
            "stdout_capture_maxbytes" | "stderr_capture_maxbytes" => {
                // Whatever its size, text between the tokens is in no log.
                let is_wanted = self.typed.size(setting).is_some_and(|size| size > 0);
                let key = if setting.key.starts_with("stdout") { "stdout_capture" } else { "stderr_capture" };
                self.set(key, Kind::Boolean(is_wanted), setting);
            }
            "stdout_syslog" | "stderr_syslog" => {
                if !["0", "false", "no", "off"].contains(&setting.value.to_ascii_lowercase().as_str()) {
                    ignored(diagnostics, setting.key_span, &setting.key, "the lines go to foster's own log");
                }
            }
            key => {
                let message =
                    format!("unknown key {} in program {}", quoted(key), quoted(&self.section.name));
                diagnostics.warn(setting.key_span, format!("{message}: it has no effect, as in supervisord"));
            }
        }
    }

    fn exit_codes(&mut self, setting: &Setting) -> Option<Kind> {
        let listed = self.typed.expanded(setting)?;
        let codes = listed.split(',').map(str::trim).filter(|code| !code.is_empty());
        let mut values = Vec::new();
        for code in codes {
            let Some(number) = code.parse::<u8>().ok() else {
                self.typed.refuse(setting, code, "exit codes from 0 to 255, separated by commas");
                return None;
            };
            values.push(Value { kind: Kind::Integer(number.into()), span: setting.span });
        }
        Some(Kind::Array(values))
    }

    /// The variables that supervisord gives each process, and the program's own over them.
    fn environment(&mut self, group: &str, count: i64) {
        let process = match self.section.get("process_name") {
            Some(setting) => {
                let name = self.typed.expanded(setting).unwrap_or_default();
                if count > 1 && !name.contains("${FOSTER_INSTANCE") {
                    let expected = "`%(process_num)02d` in it, since `numprocs` is more than 1";
                    self.typed.refuse(setting, &setting.value, expected);
                }
                name
            }
            None => {
                if let (true, Some(setting)) = (count > 1, self.section.get("numprocs")) {
                    let message =
                        format!("{} has several processes with one name", quoted(&self.section.name));
                    let note = "expected `process_name = %(program_name)s_%(process_num)02d`";
                    self.typed.diagnostics.error(setting.span, message, note);
                }
                self.section.name.clone()
            }
        };
        let namespec = if process == group { process.clone() } else { format!("{group}:{process}") };
        set(&mut self.table, "namespec", text(&namespec), DEFAULT);
        let mut variables = vec![
            ("SUPERVISOR_ENABLED".to_owned(), "1".to_owned(), DEFAULT),
            ("SUPERVISOR_PROCESS_NAME".to_owned(), process, DEFAULT),
            ("SUPERVISOR_GROUP_NAME".to_owned(), group.to_owned(), DEFAULT),
        ];
        let own_url = self.section.get("serverurl").and_then(|setting| self.typed.expanded(setting));
        let url = own_url
            .filter(|url| !url.eq_ignore_ascii_case("auto"))
            .or_else(|| self.daemon.server_url.clone());
        variables.extend(url.map(|url| ("SUPERVISOR_SERVER_URL".to_owned(), url, DEFAULT)));
        let mut own = self.daemon.environment.clone();
        if let Some(setting) = self.section.get("environment")
            && let Some(text) = self.typed.expanded(setting)
        {
            match pairs(&text) {
                Ok(pairs) => own.extend(pairs.into_iter().map(|(name, value)| (name, value, setting.span))),
                Err(found) => self.typed.refuse_pairs(setting, &found),
            }
        }
        variables.extend(own);
        keep_last(&mut variables, |(name, _, _)| name);
        let mut table = Table::default();
        for (name, value, span) in variables {
            set(&mut table, &name, text(&value), span);
        }
        let span = self.section.get("environment").map_or(DEFAULT, |setting| setting.span);
        set(&mut self.table, "environment", Kind::Table(table), span);
    }

    fn output(&mut self) {
        let redirected = self.section.get("redirect_stderr").and_then(|setting| self.typed.boolean(setting));
        let stdout = self.stream("stdout");
        let stderr = if redirected == Some(true) { stdout.clone() } else { self.stream("stderr") };
        let [stdout, stderr] =
            [("stdout", stdout), ("stderr", stderr)].map(|(name, stream)| self.unless_watched(name, stream));
        let is_file =
            |stream: &Option<(Stream, super::Span)>| matches!(stream, Some((Stream::Is(Kind::Table(_)), _)));
        let stdout = match listeners::is_one(self.section) && !is_file(&stdout) {
            // The broker reads it there.
            true => Some((Stream::Is(text("memory")), self.section.span)),
            false => stdout,
        };
        let is_raw = [&stdout, &stderr].iter().any(|stream| matches!(stream, Some((Stream::Container, _))));
        for (name, stream) in [("stdout", stdout), ("stderr", stderr)] {
            if let Some((Stream::Is(kind), span)) = stream {
                set(&mut self.table, name, kind, span);
            }
        }
        if is_raw {
            set(&mut self.table, "log_prefix", Kind::Boolean(false), DEFAULT);
        }
    }

    /// Where a stream goes: one that event listeners get a part of is kept for them, also if it goes nowhere.
    fn unless_watched(
        &mut self,
        name: &str,
        stream: Option<(Stream, super::Span)>,
    ) -> Option<(Stream, super::Span)> {
        let is_null = matches!(&stream, Some((Stream::Is(Kind::String(word)), _)) if word == "null");
        if !is_null {
            return stream;
        }
        let events = self.section.get(&format!("{name}_events_enabled"));
        let captured = self.section.get(&format!("{name}_capture_maxbytes"));
        let is_watched = events.and_then(|setting| self.typed.boolean(setting)) == Some(true)
            || captured.and_then(|setting| self.typed.size(setting)).is_some_and(|size| size > 0);
        let memory = |(_, span)| (Stream::Is(text("memory")), span);
        if is_watched { stream.map(memory) } else { stream }
    }

    fn stream(&mut self, stream: &str) -> Option<(Stream, super::Span)> {
        let setting = self.section.get(&format!("{stream}_logfile"))?;
        let path = self.typed.expanded(setting)?;
        let container =
            ["/dev/stdout", "/dev/stderr", "/dev/fd/1", "/dev/fd/2", "/proc/self/fd/1", "/proc/self/fd/2"];
        match path.to_ascii_lowercase().as_str() {
            "auto" | "" => return None,
            "none" | "off" | "/dev/null" => return Some((Stream::Is(text("null")), setting.span)),
            "syslog" => {
                ignored(self.typed.diagnostics, setting.span, "syslog", "the lines go to foster's own log");
                return None;
            }
            lower if container.contains(&lower) || lower.starts_with("/proc/1/fd/") => {
                return Some((Stream::Container, setting.span));
            }
            _ => {}
        }
        let mut table = Table::default();
        set(&mut table, "file", text(&path), setting.span);
        if let Some(given) = self.section.get(&format!("{stream}_logfile_maxbytes"))
            && let Some(size) = self.typed.size(given)
        {
            let size = if size == 0 { text("unlimited") } else { text(&size.to_string()) };
            set(&mut table, "max_size", size, given.span);
        }
        let keep = self.section.get(&format!("{stream}_logfile_backups"));
        let count = keep.and_then(|given| Some((self.typed.number(given, 0)?, given.span)));
        let (count, span) = count.unwrap_or((10, DEFAULT));
        set(&mut table, "keep", Kind::Integer(count), span);
        Some((Stream::Is(Kind::Table(table)), setting.span))
    }

    /// The socket of a FastCGI program, which is its standard input.
    fn socket(&mut self) {
        let section = self.section;
        let Some(setting) = section.get("socket") else {
            let note = "expected `socket = unix:///path` or `socket = tcp://host:port`";
            self.typed.diagnostics.error(section.span, "a FastCGI program without a `socket`", note);
            return;
        };
        let Some(mut url) = self.typed.expanded(setting) else { return };
        let mut options = Vec::new();
        if let Some(backlog) = section.get("socket_backlog").and_then(|given| self.typed.number(given, 1)) {
            options.push(format!("backlog={backlog}"));
        }
        if url.starts_with("unix://") {
            let mode = section.get("socket_mode").and_then(|given| self.typed.expanded(given));
            options.push(format!("mode={}", mode.as_deref().unwrap_or("0700")));
            let owner = section.get("socket_owner").and_then(|given| self.typed.expanded(given));
            let owner = owner.unwrap_or_default();
            let (user, group) = owner.split_once(':').unwrap_or((&owner, ""));
            options.extend((!user.is_empty()).then(|| format!("user={user}")));
            options.extend((!group.is_empty()).then(|| format!("group={group}")));
        }
        if !options.is_empty() {
            url = format!("{url}?{}", options.join("&"));
        }
        self.set("sockets", text(&url), setting);
        self.set("stdin", text("socket"), setting);
    }

    fn stopping(&mut self) {
        let stop =
            self.section.get("stopasgroup").and_then(|setting| Some((self.typed.boolean(setting)?, setting)));
        let kill =
            self.section.get("killasgroup").and_then(|setting| Some((self.typed.boolean(setting)?, setting)));
        let stops_group = stop.is_some_and(|(value, _)| value);
        if let (true, Some((false, setting))) = (stops_group, kill) {
            let message = "`killasgroup` cannot be false where `stopasgroup` is true";
            self.typed.diagnostics.error(setting.span, message, "expected both to be true");
        }
        if let Some((_, setting)) = stop {
            self.set("stop_group", Kind::Boolean(stops_group), setting);
        }
        if let Some((_, setting)) = kill.or(stop).filter(|(value, _)| *value) {
            self.set("kill_mode", text("session"), setting);
        }
    }

    /// After `startsecs` of uptime no earlier failure counts.
    fn backoff(&mut self, startsecs: &Setting) {
        let Some(seconds) = self.typed.number(startsecs, 0) else { return };
        set(&mut self.table, "backoff", super::backoff(seconds), startsecs.span);
    }
}

#[derive(Debug, Clone)]
enum Stream {
    /// This sink.
    Is(Kind),
    /// The container's log, as it was written.
    Container,
}
