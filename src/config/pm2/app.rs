//! An app: each of its keys with foster's own for the same purpose.
//!
//! A key that is not given has PM2's default, which `pm2.rs` has put into `[defaults]`.

use super::super::Environment;
use super::super::diagnostics::Diagnostics;
use super::super::phrase::quoted;
use super::super::span::Span;
use super::super::table::{Kind, Table, Value};
use super::command::{self, Command};
use super::output::{self, Place};
use super::values::{Values, whole};
use super::{Common, DEFAULT, MARGIN_MS, listen, literal, option, own_variables, set, text, texts};
use crate::yaml::{self, Node};

/// An app on its way to a program.
pub(super) struct App<'a, 'n> {
    values: Values<'a, 'n>,
    name: String,
    key: Span,
    /// Its keys in foster's words.
    table: Table,
    cron: Option<(String, Span)>,
    /// Its working directory.
    folder: Option<String>,
    environment: &'a Environment,
    /// Its variables, in foster's syntax.
    variables: Vec<(String, String, Span)>,
    is_cluster: bool,
    /// How many processes it has, and where that is written.
    count: (i64, Option<Span>),
    /// The `pm_id` of its first process.
    first_id: i64,
}

/// What an app is in foster's words.
pub(super) struct Program {
    /// Its name.
    pub(super) name: String,
    /// Where it is defined.
    pub(super) key: Span,
    /// Its keys.
    pub(super) table: Table,
    /// When it is restarted, as cron says it.
    pub(super) cron: Option<(String, Span)>,
}

/// The name of an app: that of its script, unless it has one.
pub(super) fn name(app: &Node) -> String {
    let text = |key: &str| app.get(key).and_then(Node::text);
    if let Some(name) = text("name") {
        return name.to_owned();
    }
    let script = ["script", "exec", "cmd", "command"].iter().find_map(|key| text(key)).unwrap_or_default();
    let base = command::base_name(script);
    base.rsplit_once('.').map_or(base, |(stem, _)| if stem.is_empty() { base } else { stem }).to_owned()
}

/// Reads an app; `None`: it has no script, which is reported.
pub(super) fn read(node: &Node, common: &mut Common<'_>, diagnostics: &mut Diagnostics) -> Option<Program> {
    let place = node.get("name").unwrap_or(node).place.clone();
    let key = Span { file: common.file, start: place.start, end: place.end };
    let mut app = App {
        values: Values::of(node, common.file, diagnostics),
        name: name(node),
        key,
        table: Table::default(),
        cron: None,
        folder: None,
        environment: common.environment,
        variables: Vec::new(),
        is_cluster: false,
        count: (1, None),
        first_id: common.next_id,
    };
    let Some((script, script_span)) = app.values.text("script") else {
        let message = format!("app {} has no `script`", quoted(&app.name));
        app.values.diagnostics.error(key, message, "expected `script: \"app.js\"`");
        return None;
    };
    if let (true, Some(env)) = (app.values.is_on("append_env_to_name"), &common.env) {
        app.name = format!("{}-{env}", app.name);
    }
    app.folder = app.values.text("cwd").map(|(folder, _)| folder);
    let command = app.command(&script, script_span);
    app.mode(&command);
    app.variables(&command, common.env.as_deref());
    if app.is_cluster {
        app.socket(&command);
    }
    app.environment();
    app.identity();
    app.restarts();
    app.stopping(common);
    app.readiness();
    app.schedule();
    app.refused();
    let has_one_file = app.values.boolean("merge_logs").map(|(value, _)| value);
    let is_alone = !app.is_cluster && app.count.1.is_none();
    let place = Place {
        folder: app.folder.as_deref(),
        id: number_from(app.first_id),
        has_one_file: has_one_file.unwrap_or(is_alone),
    };
    output::read(&mut app.values, &place, &mut app.table);
    if app.values.is_on("time") || app.values.get("log_date_format").is_some() {
        common.has_timestamps = true;
    }
    common.next_id += app.count.0;
    Some(Program { name: app.name, key, table: app.table, cron: app.cron })
}

impl<'n> App<'_, 'n> {
    fn set(&mut self, name: &str, kind: Kind, span: Span) {
        set(&mut self.table, name, kind, span);
    }

    /// The `pm_id` of a process.
    fn id(&self) -> String {
        number_from(self.first_id)
    }

    fn command(&mut self, script: &str, span: Span) -> Command {
        let wanted = self.values.text("interpreter").map(|(text, _)| text);
        // An interpreter of another version, `node@20`, is what the image has.
        let wanted = wanted.map(|text| text.split('@').next().unwrap_or_default().to_owned());
        let mut words: Vec<(String, Span)> = Vec::new();
        let command = if script.contains(' ') {
            // PM2 gives it to a shell, and `args` are lost.
            let shell = command::first_in_path(&["bash", "sh"], self.environment);
            words.extend([(shell.clone(), DEFAULT), ("-c".to_owned(), DEFAULT), (script.to_owned(), span)]);
            Command { interpreter: None, script: shell, file: None }
        } else {
            let folder = self.folder.as_deref();
            let command = command::resolve(script, folder, wanted.as_deref(), self.environment);
            if let Some(interpreter) = &command.interpreter {
                let place = self.values.get("interpreter").map_or(DEFAULT, |setting| setting.span);
                words.push((interpreter.clone(), place));
                words.extend(self.values.list("node_args"));
            }
            words.push((command.script.clone(), span));
            words.extend(self.values.list("args"));
            command
        };
        let word = |(word, span): (String, Span)| Value { kind: text(&literal(&word)), span };
        self.set("command", Kind::Array(words.into_iter().map(word).collect()), span);
        if let Some((folder, span)) = self.values.text("cwd") {
            self.set("directory", text(&literal(&folder)), span);
        }
        command
    }

    /// The mode and the number of processes.
    fn mode(&mut self, command: &Command) {
        let is_node = command.interpreter.as_deref().is_some_and(command::is_node);
        let written = self.values.text("instances");
        let count =
            written.as_ref().map(|(text, _)| if text == "max" { 0 } else { whole(text).unwrap_or(0) });
        let mode = self.values.text("exec_mode").map(|(mode, _)| mode);
        self.is_cluster = match mode.as_deref() {
            Some("cluster" | "cluster_mode") => true,
            Some("fork" | "fork_mode") => false,
            Some(_) => {
                self.values.refuse("exec_mode", "`cluster` or `fork`");
                false
            }
            None => is_node && count.is_some_and(|count| count >= -1),
        };
        let (Some((_, span)), Some(count)) = (written, count) else { return };
        let cpus = self.environment.get("FOSTER_CPUS".as_ref()).and_then(|text| text.to_str()?.parse().ok());
        let cpus: i64 = cpus.unwrap_or(1);
        let (number, kind) = match count {
            0 => (cpus, text("auto")),
            1.. => (count, Kind::Integer(count)),
            _ => ((cpus + count).max(1), Kind::Integer((cpus + count).max(1))),
        };
        self.count = (number, Some(span));
        self.set("instances", kind, span);
    }

    /// The variables of PM2, those of the app over them.
    fn variables(&mut self, command: &Command, env: Option<&str>) {
        let namespace = self.values.text("namespace").map_or_else(|| "default".to_owned(), |(text, _)| text);
        let mode = if self.is_cluster { "cluster_mode" } else { "fork_mode" };
        let (id, name) = (self.id(), literal(&self.name));
        let namespec = format!("{id}:{mode}:{}:{name}", literal(&namespace).replace(':', "-"));
        self.set("namespec", text(&namespec), DEFAULT);
        let own = self.values.text("instance_var").map(|(name, _)| name);
        let own = own.or_else(|| option(self.environment, "PM2_PROCESS_INSTANCE_VAR"));
        let instance = own.unwrap_or_else(|| "NODE_APP_INSTANCE".to_owned());
        let is_node = command.interpreter.as_deref().is_some_and(command::is_node);
        let script = command.file.as_deref().filter(|_| self.environment.is_elsewhere());
        let script = script.and_then(own_variables::text_of);
        for (variable, value) in [
            ("name", name),
            ("namespace", literal(&namespace)),
            ("exec_mode", mode.to_owned()),
            ("pm_id", id),
        ] {
            let is_read =
                || script.as_ref().is_some_and(|text| own_variables::is_read(text, variable, is_node));
            if !self.environment.is_elsewhere() || is_read() {
                self.add(variable, value, DEFAULT);
            }
        }
        self.add(&instance, number_from(0), DEFAULT);
        if command.interpreter.as_deref().is_some_and(|name| name.contains("python")) {
            self.add("PYTHONUNBUFFERED", "1".to_owned(), DEFAULT);
        }
        if let Some(setting) = self.values.get("env") {
            let (node, span) = (setting.node, setting.span);
            self.add_all(node, span, true);
        }
        if let Some((port, span)) = self.values.number("port", 1, "a port") {
            self.add("PORT", port.to_string(), span);
        }
        if let Some(wanted) = env {
            match self.values.environment(wanted) {
                Some(node) => self.add_all(node, self.key, false),
                None => {
                    let message = format!("app {} has no `env_{wanted}`", quoted(&self.name));
                    self.values.diagnostics.warn(self.key, message);
                }
            }
        }
        if let Some((variable, _)) = self.values.text("increment_var") {
            let first = self.variable(&variable).and_then(whole).unwrap_or(0);
            self.add(&variable, number_from(first.max(0)), DEFAULT);
        }
    }

    fn add(&mut self, name: &str, value: String, span: Span) {
        self.variables.retain(|(known, _, _)| known != name);
        self.variables.push((name.to_owned(), value, span));
    }

    /// Adds the variables of `env`, or of another environment over it.
    fn add_all(&mut self, node: &'n Node, span: Span, is_first: bool) {
        if !matches!(node.value, yaml::Value::Map(_)) {
            self.values.diagnostics.error(
                span,
                "the variables of an app are not an object",
                "expected `{ NAME: \"value\" }`",
            );
        }
        for (key, value) in node.entries() {
            let place = Span { start: value.place.start, end: value.place.end, ..span };
            let text = match &value.value {
                yaml::Value::List(_) | yaml::Value::Map(_) => Some(json(value)),
                // PM2 makes JSON of what is null in `env`.
                yaml::Value::Plain(_) if value.is_null() && is_first => Some("null".to_owned()),
                yaml::Value::Plain(_) | yaml::Value::Quoted(_) => value.text().map(str::to_owned),
            };
            if let Some(text) = text {
                self.add(&key.text, literal(&text), place);
            }
        }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _, _)| known == name).map(|(_, value, _)| value.as_str())
    }

    /// The socket that all processes of the app share.
    fn socket(&mut self, command: &Command) {
        let Some(interpreter) = command.interpreter.as_deref().filter(|name| command::is_node(name)) else {
            self.values.refuse("exec_mode", "`fork`: cluster mode is for Node");
            return;
        };
        if command::base_name(interpreter).ends_with("bun") {
            let message = "the processes of Bun share no port: foster's sockets are for Node";
            return self.values.diagnostics.warn(self.key, message);
        }
        let told = self.variable("PORT").and_then(|port| port.parse::<u16>().ok());
        let given = option(self.environment, "PORT");
        let found = || listen::port_in(command.file.as_deref()?, given.as_deref());
        let Some(port) = told.or_else(found) else {
            if let (2.., Some(span)) = self.count {
                let message = "the port is not known, so that only one process can listen at it: set `PORT` in `env`, or \
                               `exec_mode: \"fork\"` where none listens";
                self.values.diagnostics.warn(span, message);
            }
            return;
        };
        let span = self.count.1.unwrap_or(self.key);
        self.set("sockets", text(&format!("tcp://[::]:{port}")), span);
        let (option, is_elsewhere) = (listen::option(), self.environment.is_elsewhere());
        let option = if is_elsewhere { listen::installed() } else { option };
        let others =
            self.variable("NODE_OPTIONS").map_or_else(|| "${NODE_OPTIONS:-}".to_owned(), str::to_owned);
        self.add("NODE_OPTIONS", format!("{option} {others}"), DEFAULT);
    }

    fn environment(&mut self) {
        let span = self.values.get("env").map_or(DEFAULT, |setting| setting.span);
        let mut table = Table::default();
        for (name, value, span) in std::mem::take(&mut self.variables) {
            set(&mut table, &name, text(&value), span);
        }
        self.set("environment", Kind::Table(table), span);
        if let Some(setting) = self.values.get("filter_env") {
            let (node, span) = (setting.node, setting.span);
            if node.text() == Some("true") {
                self.set("inherit_environment", Kind::Boolean(false), span);
            } else if node.text() != Some("false") {
                let message = "`filter_env` has no effect: foster passes on all variables, or with `true` only `PATH`, `HOME` and the like";
                self.values.diagnostics.warn(span, message);
            }
        }
    }

    fn identity(&mut self) {
        let (user, group) = (self.values.text("uid"), self.values.text("gid"));
        match (user, group) {
            (Some((user, span)), Some((group, _))) => {
                self.set("user", text(&literal(&format!("{user}:{group}"))), span)
            }
            (Some((user, span)), None) => self.set("user", text(&literal(&user)), span),
            (None, Some(_)) => self.values.refuse("gid", "a `uid` beside it, as PM2 does"),
            (None, None) => {}
        }
    }

    fn restarts(&mut self) {
        if let Some((false, span)) = self.values.boolean("autostart") {
            self.set("autostart", Kind::Boolean(false), span);
        }
        let codes: Vec<(String, Span)> = self.values.list("stop_exit_codes");
        if let Some((false, span)) = self.values.boolean("autorestart") {
            self.set("restart", text("never"), span);
        } else if let Some((_, span)) = codes.first() {
            self.set("restart", text("on-failure"), *span);
            let code = |(code, span): &(String, Span)| {
                Some(Value { kind: Kind::Integer(whole(code)?), span: *span })
            };
            match codes.iter().map(code).collect::<Option<Vec<Value>>>() {
                Some(values) => self.set("success_exit_codes", Kind::Array(values), *span),
                None => self.values.refuse("stop_exit_codes", "exit codes"),
            }
        }
        let min_uptime = self.values.milliseconds("min_uptime");
        let (min_ms, min_span) = min_uptime.unwrap_or((1000, DEFAULT));
        if min_uptime.is_some() {
            self.set("min_uptime", text(&format!("{min_ms}ms")), min_span);
        }
        let limit = self.values.number("max_restarts", 0, "a number of restarts, at least 0");
        let delay = self.values.number("restart_delay", 0, "milliseconds");
        let growing =
            self.values.number("exp_backoff_restart_delay", 0, "milliseconds").filter(|(ms, _)| *ms > 0);
        let delay = delay.filter(|(ms, _)| *ms > 0);
        let backoff = if let Some((ms, span)) = growing {
            Some((
                texts(&[
                    ("initial", &format!("{ms}ms")),
                    ("factor", "1.5"),
                    ("max", &format!("{}ms", ms.max(15_000))),
                    ("reset", "30s"),
                ]),
                span,
            ))
        } else if let Some((ms, span)) = delay {
            let ms = format!("{ms}ms");
            Some((texts(&[("initial", &ms), ("max", &ms), ("reset", &format!("{min_ms}ms"))]), span))
        } else {
            min_uptime.map(|(ms, span)| {
                (texts(&[("initial", "0s"), ("max", "0s"), ("reset", &format!("{ms}ms"))]), span)
            })
        };
        if let Some((backoff, span)) = backoff {
            self.set("backoff", backoff, span);
        }
        // PM2 counts the restarts of the first `min_uptime` × `max_restarts`: one that waits so long never reaches the limit.
        if let Some((_, span)) = growing.or(delay.filter(|(ms, _)| *ms >= min_ms)) {
            self.set("start_limit", text("unlimited"), span);
        } else if let Some((number, span)) = limit {
            self.set("start_limit", Kind::Integer(number.max(1)), span);
        }
        if let Some((size, span)) = self.values.text("max_memory_restart") {
            self.set("memory_max", text(&literal(&size)), span);
        }
    }

    fn stopping(&mut self, common: &mut Common<'_>) {
        if let Some((ms, span)) = self.values.number("kill_timeout", 0, "milliseconds") {
            self.set("stop_timeout", text(&format!("{ms}ms")), span);
            common.shutdown_ms = common.shutdown_ms.max(ms.saturating_add(MARGIN_MS));
        }
        if let Some((false, span)) = self.values.boolean("treekill") {
            self.set("stop_group", Kind::Boolean(false), span);
            self.set("kill_mode", text("process"), span);
        }
    }

    fn readiness(&mut self) {
        let limit = self.values.number("listen_timeout", 1, "milliseconds").map_or(3000, |(ms, _)| ms);
        if let Some((true, span)) = self.values.boolean("wait_ready") {
            let mut table = Table::default();
            set(&mut table, "ipc", Kind::Boolean(true), span);
            set(&mut table, "timeout", text(&format!("{limit}ms")), DEFAULT);
            set(&mut table, "on_timeout", text("ready"), DEFAULT);
            self.set("ready", Kind::Table(table), span);
        }
    }

    fn schedule(&mut self) {
        let Some((cron, span)) = self.values.text("cron_restart").filter(|(cron, _)| cron != "0") else {
            return;
        };
        // croner's first of six fields are seconds.
        match cron.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["0", minute, hour, day, month, weekday] => {
                self.cron = Some((format!("{minute} {hour} {day} {month} {weekday}"), span));
            }
            [_, _, _, _, _, _] => {
                self.values.refuse("cron_restart", "five fields: foster restarts at a whole minute")
            }
            _ => self.cron = Some((cron, span)),
        }
    }

    fn refused(&mut self) {
        let Some(setting) = self.values.get("watch") else { return };
        if setting.node.text() != Some("false") {
            let (message, span) = (format!("`{}` is not supported", setting.key), setting.key_span);
            let note = "remove it: the files of an image do not change. `node --watch` restarts a program under development";
            self.values.diagnostics.error(span, message, note);
        }
    }
}

/// A number that is one more for each process.
fn number_from(first: i64) -> String {
    if first == 0 { "${FOSTER_INSTANCE}".to_owned() } else { format!("${{FOSTER_INSTANCE+{first}}}") }
}

/// A value as JSON, as PM2 passes an object in a variable. The reader bounds its depth.
fn json(node: &Node) -> String {
    let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
    match &node.value {
        yaml::Value::Plain(text) => text.clone(),
        yaml::Value::Quoted(text) => quoted(text),
        yaml::Value::List(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(",")),
        yaml::Value::Map(entries) => {
            let entry = |(key, node): &(yaml::Key, Node)| format!("{}:{}", quoted(&key.text), json(node));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
        }
    }
}
