//! The keys of one service.
//!
//! Each has an arm, or a row with the reason why it has no equal.

use super::super::front_end::{DEFAULT, ignored, list, set, text};
use super::super::phrase::quoted;
use super::super::span::Span;
use super::super::table::{Kind, Table};
use super::{Context, expanded, health};
use crate::yaml::{Node, Value};

pub(super) const CONTAINER: &str = "it belongs to the container that runs foster";
const IMAGE: &str = "the image of the one container has to have what it needs";

/// Keys without an equal, and why.
const NO_EQUAL: [(&[&str], &str); 5] = [
    (&["image", "build", "platform", "pull_policy", "runtime"], IMAGE),
    (
        &[
            "ports",
            "expose",
            "volumes",
            "volumes_from",
            "networks",
            "network_mode",
            "links",
            "external_links",
            "dns",
            "dns_opt",
            "dns_search",
            "extra_hosts",
            "hostname",
            "domainname",
            "container_name",
            "mac_address",
            "ipc",
            "pid",
            "uts",
            "userns_mode",
            "privileged",
            "read_only",
            "tmpfs",
            "shm_size",
            "sysctls",
            "devices",
            "device_cgroup_rules",
            "cgroup",
            "cgroup_parent",
            "isolation",
            "group_add",
            "gpus",
            "storage_opt",
            "secrets",
            "configs",
            "oom_kill_disable",
            "mem_swappiness",
            "memswap_limit",
            "mem_reservation",
            "pids_limit",
            "cpus",
            "cpu_shares",
            "cpu_quota",
            "cpu_period",
            "cpuset",
            "cpu_count",
            "cpu_percent",
            "blkio_config",
            "credential_spec",
            "use_api_socket",
        ],
        CONTAINER,
    ),
    (&["logging"], "all programs write to the container's log; `stdout = { file = \"…\" }` is a file"),
    (&["labels", "annotations", "label_file"], "labels are the container's"),
    (&["develop", "attach", "provider", "models", "post_start", "pre_stop"], "foster has no such thing"),
];

/// What `depends_on` of a service asks of others.
pub(super) fn note_conditions(context: &mut Context<'_, '_>, node: &Node) {
    for (key, condition) in node.get("depends_on").map_or(&[][..], Node::entries) {
        let condition = condition.get("condition").and_then(Node::text).unwrap_or("").to_owned();
        if let Some(other) = context.find_mut(&key.text) {
            other.is_probed |= condition == "service_healthy";
            other.is_task |= condition == "service_completed_successfully";
        }
    }
}

/// The table of one service.
pub(super) fn read(context: &mut Context<'_, '_>, name: &str, name_span: Span, node: &Node) -> Table {
    let mut reading = Reading { context, table: Table::default(), is_task: false, has_restart: false };
    let service = reading.context.find(name);
    reading.is_task = service.is_some_and(|service| service.is_task);
    let is_probed = service.is_some_and(|service| service.is_probed);
    reading.command(node, name, name_span);
    reading.capabilities(node);
    for (key, value) in node.entries() {
        reading.key(&key.text, super::at(reading.context.number, &key.place), value);
    }
    if reading.is_task {
        set(&mut reading.table, "on_failure", text("shutdown"), DEFAULT);
    } else if !reading.has_restart {
        set(&mut reading.table, "restart", text("never"), DEFAULT);
    }
    if let Some(check) = node.get("healthcheck").filter(|_| !reading.is_task) {
        let mut table = std::mem::take(&mut reading.table);
        health::read(reading.context, check, is_probed, &mut table);
        reading.table = table;
    }
    reading.table
}

/// One service, and the keys of foster's so far.
pub(super) struct Reading<'r, 'c, 'd> {
    pub(super) context: &'r mut Context<'c, 'd>,
    pub(super) table: Table,
    is_task: bool,
    has_restart: bool,
}

impl Reading<'_, '_, '_> {
    pub(super) fn span(&self, node: &Node) -> Span {
        self.context.span(node)
    }

    pub(super) fn set(&mut self, key: &str, kind: Kind, node: &Node) {
        let span = self.span(node);
        set(&mut self.table, key, kind, span);
    }

    /// The expanded text of a scalar; anything else is an error.
    pub(super) fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        let Some(written) = node.text() else {
            if !node.is_null() {
                self.context.refuse(node, key, "a text or a number");
            }
            return None;
        };
        let span = self.span(node);
        Some(expanded(self.context, written, span))
    }

    /// The values of a list, or one value.
    pub(super) fn texts(&mut self, key: &str, node: &Node) -> Vec<String> {
        match &node.value {
            Value::List(items) => items.iter().filter_map(|item| self.text(key, item)).collect(),
            Value::Plain(_) | Value::Quoted(_) | Value::Map(_) => self.text(key, node).into_iter().collect(),
        }
    }

    pub(super) fn number(&mut self, key: &str, node: &Node) -> Option<Kind> {
        let written = self.text(key, node)?;
        Some(written.parse().map_or_else(|_| text(&written), Kind::Integer))
    }

    /// Sets a key to the text of a value.
    fn copy(&mut self, key: &str, own: &str, node: &Node) {
        if let Some(written) = self.text(key, node) {
            self.set(own, text(&written), node);
        }
    }

    /// `entrypoint` and `command`: strings are split into words, and no shell runs.
    fn command(&mut self, node: &Node, name: &str, name_span: Span) {
        let (entrypoint, command) = (node.get("entrypoint"), node.get("command"));
        let (entrypoint, command) =
            (entrypoint.filter(|node| !node.is_null()), command.filter(|node| !node.is_null()));
        match (entrypoint, command) {
            (Some(one), None) | (None, Some(one)) if !matches!(one.value, Value::List(_)) => {
                let is_entrypoint = entrypoint.is_some();
                self.copy(if is_entrypoint { "entrypoint" } else { "command" }, "command", one);
            }
            (None, None) => {
                let why = match node.get("image").and_then(Node::text) {
                    Some(image) => format!("its command is that of the image `{image}`"),
                    None => "its command is that of its Dockerfile".to_owned(),
                };
                let message = format!("{why}: write it here, and remove `enabled`");
                self.context.files.diagnostics.warn(name_span, message);
                set(&mut self.table, "command", list(&[name], name_span), name_span);
                set(&mut self.table, "enabled", Kind::Boolean(false), name_span);
            }
            (entrypoint, command) => {
                let span = entrypoint.or(command).map_or(name_span, |node| self.span(node));
                let mut words = Vec::new();
                for (key, part) in [("entrypoint", entrypoint), ("command", command)] {
                    let Some(part) = part else { continue };
                    match &part.value {
                        Value::List(_) => words.extend(self.texts(key, part)),
                        Value::Plain(_) | Value::Quoted(_) | Value::Map(_) => {
                            let written = self.text(key, part).unwrap_or_default();
                            match shell_words::split(&written) {
                                Ok(split) => words.extend(split),
                                Err(_) => self.context.refuse(part, key, "words: a quote is never closed"),
                            }
                        }
                    }
                }
                set(&mut self.table, "command", list(&words, span), span);
            }
        }
    }

    fn key(&mut self, key: &str, key_span: Span, node: &Node) {
        match key {
            "command" | "entrypoint" | "healthcheck" | "extends" | "init" | "depends_on"
                if key != "depends_on" => {}
            extension if extension.starts_with("x-") => {}
            "depends_on" => self.depends_on(node),
            "environment" => self.environment(node),
            "env_file" => self.env_file(node),
            "working_dir" => self.copy(key, "directory", node),
            "user" => self.copy(key, "user", node),
            "stop_signal" => {
                let signal = self.text(key, node).unwrap_or_default();
                self.set("stop_signal", text(signal.strip_prefix("SIG").unwrap_or(&signal)), node);
            }
            "stop_grace_period" => self.copy(key, "stop_timeout", node),
            "oom_score_adj" => {
                if let Some(kind) = self.number(key, node) {
                    self.set(key, kind, node);
                }
            }
            "restart" => self.restart(node),
            "profiles" => self.profiles(node),
            "scale" => self.instances(node),
            "deploy" => self.deploy(node),
            "mem_limit" => self.memory(node),
            "ulimits" => self.ulimits(node),
            "cap_add" | "cap_drop" => {
                if self.table.get("capabilities").is_none() {
                    ignored(self.context.files.diagnostics, key_span, key, CONTAINER);
                }
            }
            "security_opt" => self.security_opt(key_span, node),
            "stdin_open" | "tty" => {
                if node.text() == Some("true") && self.table.get("stdin").is_none() {
                    self.set("stdin", text("open"), node);
                }
            }
            _ => {
                let known = NO_EQUAL.iter().find(|(keys, _)| keys.contains(&key));
                let why = known.map_or("Compose has no such key", |(_, why)| why);
                ignored(self.context.files.diagnostics, key_span, key, why);
            }
        }
    }

    /// A service that is to be healthy is waited for by its `ready`; one that is to have succeeded is a task.
    fn depends_on(&mut self, node: &Node) {
        let (mut after, mut requires) = (Vec::new(), Vec::new());
        let listed: Vec<(String, Option<&Node>)> = match &node.value {
            Value::Map(entries) => entries.iter().map(|(key, node)| (key.text.clone(), Some(node))).collect(),
            Value::List(_) | Value::Plain(_) | Value::Quoted(_) => {
                self.texts("depends_on", node).into_iter().map(|name| (name, None)).collect()
            }
        };
        for (name, options) in listed {
            let option = |name| options.and_then(|options| options.get(name)).and_then(Node::text);
            let Some(other) = self.context.find(&name) else {
                if option("required") != Some("false") {
                    let message = format!("there is no service {}", quoted(&name));
                    let span = self.context.files.diagnostics.narrow(self.context.span(node), &name);
                    self.context.files.diagnostics.error(span, message, "expected a service of this file");
                }
                continue;
            };
            let own = other.own_name.clone();
            if option("restart") == Some("true") { requires.push(own) } else { after.push(own) }
        }
        let span = self.span(node);
        if self.is_task && !(after.is_empty() && requires.is_empty()) {
            // Tasks are in a tier before that of programs otherwise.
            set(&mut self.table, "priority", Kind::Integer(999), span);
        }
        for (key, names) in [("after", after), ("requires", requires)] {
            if !names.is_empty() {
                set(&mut self.table, key, list(&names, span), span);
            }
        }
    }

    /// A map, or a list of `NAME=value`. A name alone is passed on, which foster does with every variable.
    fn environment(&mut self, node: &Node) {
        let mut pairs: Vec<(String, String, Span)> = Vec::new();
        for (key, value) in node.entries() {
            let written = self.text(&key.text, value);
            let is_empty = matches!(value.value, Value::Quoted(_));
            if let Some(written) = written.or(is_empty.then(String::new)) {
                pairs.push((key.text.clone(), written, self.span(value)));
            }
        }
        if let Value::List(items) = &node.value {
            for item in items {
                let Some(written) = self.text("environment", item) else { continue };
                if let Some((name, value)) = written.split_once('=') {
                    pairs.push((name.to_owned(), value.to_owned(), self.span(item)));
                }
            }
        }
        let mut table = Table::default();
        for (index, (name, value, span)) in pairs.iter().enumerate() {
            // The last of several counts.
            if pairs.iter().skip(index + 1).all(|(later, _, _)| later != name) {
                self.warn_about_hosts(value, *span);
                set(&mut table, name, text(value), *span);
            }
        }
        if !pairs.is_empty() {
            self.set("environment", Kind::Table(table), node);
        }
    }

    /// Names of services are not host names here.
    fn warn_about_hosts(&mut self, value: &str, span: Span) {
        // After `//` or `@`, up to a port or a path; or at the start, before one of them.
        let starts = value.match_indices("//").map(|(at, mark)| at + mark.len());
        let starts = starts.chain(value.match_indices('@').map(|(at, _)| at + 1));
        let host = std::iter::once(0).chain(starts).find_map(|start| {
            let rest = value.get(start..)?;
            let end = rest.find([':', '/']);
            let name = rest.get(..end.unwrap_or(rest.len()))?;
            (start > 0 || end.is_some()).then_some(name).filter(|name| self.context.find(name).is_some())
        });
        if let Some(host) = host {
            let message = format!(
                "`{host}` is a program of the same container: write 127.0.0.1, or give the container `--add-host {host}:127.0.0.1`"
            );
            self.context.files.diagnostics.warn(span, message);
        }
    }

    fn env_file(&mut self, node: &Node) {
        let one = [node.clone()];
        let items: &[Node] = if let Value::List(items) = &node.value { items } else { &one };
        let mut paths = Vec::new();
        for item in items {
            let Some(path) = self.text("env_file", item.get("path").unwrap_or(item)) else { continue };
            let optional = item.get("required").and_then(Node::text) == Some("false");
            let path = self.context.folder.join(path.strip_prefix("./").unwrap_or(&path));
            paths.push(format!("{}{}", if optional { "-" } else { "" }, path.display()));
        }
        match paths.as_slice() {
            [] => {}
            [path] => self.set("env_file", text(path), node),
            paths => {
                let kind = list(paths, self.span(node));
                self.set("env_file", kind, node);
            }
        }
    }

    fn restart(&mut self, node: &Node) {
        self.has_restart = true;
        let written = self.text("restart", node).unwrap_or_default();
        let (policy, most) = written.split_once(':').unwrap_or((&written, ""));
        let most = most.parse::<i64>().ok();
        if self.is_task {
            if let Some(most) = most.filter(|_| policy == "on-failure") {
                self.set("retries", Kind::Integer(most), node);
            }
            return;
        }
        match policy {
            "always" | "unless-stopped" => {}
            "no" | "" => self.set("restart", text("never"), node),
            "on-failure" => {
                self.set("restart", text("on-failure"), node);
                if let Some(most) = most {
                    self.set("start_limit", Kind::Integer(most.saturating_add(1)), node);
                }
            }
            _ => self.context.refuse(node, "restart", "`no`, `always`, `on-failure` or `unless-stopped`"),
        }
    }

    /// `COMPOSE_PROFILES` chooses there, a variable of each profile here.
    fn profiles(&mut self, node: &Node) {
        let names = self.texts("profiles", node);
        let Some(first) = names.first() else { return };
        let upper = |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
        let variable = format!("PROFILE_{}", first.chars().map(upper).collect::<String>());
        if names.len() > 1 {
            let span = self.span(node);
            self.context
                .files
                .diagnostics
                .warn(span, format!("only `{variable}` enables it, for the first of its profiles"));
        }
        self.set("enabled", text(&format!("${{{variable}:-false}}")), node);
    }
}
