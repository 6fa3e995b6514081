//! Keys of supervisord, Compose, PM2, systemd, s6 and others, each with foster's key for the same purpose.
//!
//! This table is searched before similar spellings: `autorestart` is `restart`, not `autostart`. Rows, and the sentence
//! made of a row.

use super::key_spec::Section;
use super::keys;

/// One key of another tool.
struct Foreign {
    key: &'static str,
    tool: &'static str,
    /// foster's key; empty if there is none.
    own: &'static str,
    /// The rest of the sentence.
    more: &'static str,
}

const fn row(key: &'static str, tool: &'static str, own: &'static str, more: &'static str) -> Foreign {
    Foreign { key, tool, own, more }
}

const SUPERVISORD: &str = "supervisord's";
const COMPOSE: &str = "Compose's";
const PM2: &str = "PM2's";
const SYSTEMD: &str = "systemd's";
const S6: &str = "s6's";
/// A key of several tools.
const ANY: &str = "";

const FILE: &[Foreign] = &[
    row("supervisord", SUPERVISORD, "foster", ""),
    row("unix_http_server", SUPERVISORD, "foster", "with the key `socket`"),
    row("inet_http_server", SUPERVISORD, "web", "with `listen`, `username`, `password_file` and `control`"),
    row("supervisorctl", SUPERVISORD, "", "needs no configuration: `foster status` finds the socket"),
    row("rpcinterface", SUPERVISORD, "", "is not needed"),
    row("group", SUPERVISORD, "", "has no equivalent here: `foster restart 'web*'` takes a pattern of names"),
    row(
        "eventlistener",
        SUPERVISORD,
        "",
        "has no equivalent here: `foster events -f` shows every change of state",
    ),
    row("services", COMPOSE, "program", "as `[program.web]`"),
    row("apps", PM2, "program", "as `[program.web]`"),
    row("processes", ANY, "program", "as `[program.web]`"),
    row("Service", SYSTEMD, "program", "as `[program.web]`"),
    row("Unit", SYSTEMD, "program", "as `[program.web]`, with `after` and `requires`"),
    row("Install", SYSTEMD, "", "has no equivalent here: a program starts unless it has `autostart = false`"),
    row("Timer", SYSTEMD, "job", "as `[job.backup]` with `schedule`"),
    row("Socket", SYSTEMD, "sockets", "a key of a program"),
];

const PROGRAM: &[Foreign] = &[
    // supervisord
    row(
        "autorestart",
        SUPERVISORD,
        "restart",
        "`true` is `\"always\"`, `unexpected` is `\"on-failure\"`, `false` is `\"never\"`",
    ),
    row("startsecs", SUPERVISORD, "min_uptime", "a duration such as `\"1s\"`"),
    row("startretries", SUPERVISORD, "start_limit", ""),
    row("stopwaitsecs", SUPERVISORD, "stop_timeout", "a duration such as `\"10s\"`"),
    row("stopsignal", SUPERVISORD, "stop_signal", ""),
    row("exitcodes", SUPERVISORD, "success_exit_codes", "a list such as `[0, 2]`"),
    row("stdout_logfile", SUPERVISORD, "stdout", "as `{ file = \"…\" }`; `\"log\"` is the container's log"),
    row("stderr_logfile", SUPERVISORD, "stderr", "as `{ file = \"…\" }`; `\"log\"` is the container's log"),
    row("stdout_logfile_maxbytes", SUPERVISORD, "stdout", "as `{ file = \"…\", max_size = \"50M\" }`"),
    row("stderr_logfile_maxbytes", SUPERVISORD, "stderr", "as `{ file = \"…\", max_size = \"50M\" }`"),
    row("stdout_logfile_backups", SUPERVISORD, "stdout", "as `{ file = \"…\", keep = 10 }`"),
    row("stderr_logfile_backups", SUPERVISORD, "stderr", "as `{ file = \"…\", keep = 10 }`"),
    row("redirect_stderr", SUPERVISORD, "", "is not needed: `stdout` and `stderr` are both logged"),
    row("numprocs", SUPERVISORD, "instances", ""),
    row("numprocs_start", SUPERVISORD, "", "has no equivalent here: instances count from 0"),
    row("process_name", SUPERVISORD, "", "has no equivalent here: a program has the name of its table"),
    row("stopasgroup", SUPERVISORD, "stop_group", ""),
    row(
        "killasgroup",
        SUPERVISORD,
        "",
        "is not needed: `kill_mode = \"tree\"`, the default, kills all its processes",
    ),
    row("serverurl", SUPERVISORD, "", "is not needed"),
    // Compose
    row("depends_on", COMPOSE, "after", "or `requires`, which also stops with it"),
    row("healthcheck", COMPOSE, "health", "and `ready` asks until the program is ready"),
    row("entrypoint", COMPOSE, "command", ""),
    row("working_dir", COMPOSE, "directory", ""),
    row("stop_grace_period", COMPOSE, "stop_timeout", ""),
    row("cap_add", COMPOSE, "capabilities", "the list of those that the program keeps"),
    row("cap_drop", COMPOSE, "capabilities", "the list of those that the program keeps"),
    row("ulimits", COMPOSE, "limits", ""),
    row("mem_limit", COMPOSE, "memory_max", ""),
    row("stdin_open", COMPOSE, "stdin", "`\"open\"` is a pipe that stays open"),
    row("tty", COMPOSE, "stdin", "`\"inherit\"` is the container's own terminal"),
    row("profiles", COMPOSE, "enabled", "as `\"${WORKER:-true}\"`"),
    row("scale", COMPOSE, "instances", ""),
    row("replicas", COMPOSE, "instances", ""),
    row("deploy", COMPOSE, "instances", "for its `replicas`"),
    row("init", COMPOSE, "", "is not needed: foster reaps orphans and forwards signals itself"),
    row("ports", COMPOSE, "", "has no equivalent here: the container runtime publishes ports"),
    row("image", COMPOSE, "", "has no equivalent here: all programs run in foster's own container"),
    // PM2
    row("script", PM2, "command", "as `[\"node\", \"app.js\"]`"),
    row("args", PM2, "command", "as `[\"node\", \"app.js\", \"--port\", \"80\"]`"),
    row("interpreter", PM2, "command", "as `[\"node\", \"app.js\"]`"),
    row("exec_mode", PM2, "instances", "with `sockets`, which all of them share"),
    row("min_uptime_ms", PM2, "min_uptime", ""),
    row("max_restarts", PM2, "start_limit", ""),
    row("max_memory_restart", PM2, "memory_max", ""),
    row("restart_delay", PM2, "backoff", "as `{ initial = \"1s\" }`"),
    row("exp_backoff_restart_delay", PM2, "backoff", "as `{ initial = \"100ms\" }`"),
    row("kill_timeout", PM2, "stop_timeout", ""),
    row("listen_timeout", PM2, "ready", "as `{ tcp = \"127.0.0.1:3000\", timeout = \"10s\" }`"),
    row("wait_ready", PM2, "ready", "as `{ tcp = \"127.0.0.1:3000\" }`"),
    row("out_file", PM2, "stdout", "as `{ file = \"…\" }`"),
    row("error_file", PM2, "stderr", "as `{ file = \"…\" }`"),
    row("log_file", PM2, "stdout", "as `{ file = \"…\" }`"),
    row("merge_logs", PM2, "", "is not needed: lines are never mixed"),
    row("watch", PM2, "", "has no equivalent here: run a watcher as the command"),
    row("cron_restart", PM2, "", "has no equivalent here: a `[job.NAME]` runs a command on a schedule"),
    row("env_production", PM2, "environment", "with values such as `\"${NODE_ENV:-production}\"`"),
    row("uid", PM2, "user", ""),
    row("gid", PM2, "user", "as `\"name:group\"`"),
    // systemd
    row("ExecStart", SYSTEMD, "command", ""),
    row("ExecStartPre", SYSTEMD, "pre_start", ""),
    row("ExecStop", SYSTEMD, "pre_stop", ""),
    row("ExecReload", SYSTEMD, "reload_signal", ""),
    row("Restart", SYSTEMD, "restart", ""),
    row("RestartSec", SYSTEMD, "backoff", "as `{ initial = \"1s\" }`"),
    row("StartLimitBurst", SYSTEMD, "start_limit", ""),
    row("SuccessExitStatus", SYSTEMD, "success_exit_codes", ""),
    row("TimeoutStartSec", SYSTEMD, "ready", "where the key is `timeout`"),
    row("TimeoutStopSec", SYSTEMD, "stop_timeout", ""),
    row("KillSignal", SYSTEMD, "stop_signal", ""),
    row("KillMode", SYSTEMD, "kill_mode", "`control-group` is `\"tree\"`, `process` is `\"process\"`"),
    row("WorkingDirectory", SYSTEMD, "directory", ""),
    row("Environment", SYSTEMD, "environment", ""),
    row("EnvironmentFile", SYSTEMD, "env_file", ""),
    row("LoadCredential", SYSTEMD, "secrets", ""),
    row("User", SYSTEMD, "user", ""),
    row("Group", SYSTEMD, "user", "as `\"name:group\"`"),
    row("UMask", SYSTEMD, "umask", ""),
    row("Nice", SYSTEMD, "nice", ""),
    row("OOMScoreAdjust", SYSTEMD, "oom_score_adj", ""),
    row("LimitNOFILE", SYSTEMD, "limits", "as `{ nofile = 65536 }`"),
    row("MemoryMax", SYSTEMD, "memory_max", ""),
    row("NoNewPrivileges", SYSTEMD, "no_new_privileges", ""),
    row("AmbientCapabilities", SYSTEMD, "capabilities", ""),
    row("CapabilityBoundingSet", SYSTEMD, "capabilities", ""),
    row("StandardInput", SYSTEMD, "stdin", ""),
    row("StandardOutput", SYSTEMD, "stdout", ""),
    row("StandardError", SYSTEMD, "stderr", ""),
    row("After", SYSTEMD, "after", ""),
    row("Requires", SYSTEMD, "requires", ""),
    row("Wants", SYSTEMD, "after", ""),
    row("BindsTo", SYSTEMD, "requires", ""),
    row("WatchdogSec", SYSTEMD, "watchdog", "a duration such as `\"30s\"`"),
    row(
        "Type",
        SYSTEMD,
        "",
        "has no equivalent here: a program runs in the foreground (`simple`); `oneshot` is `restart = \"never\"`",
    ),
    row("PIDFile", SYSTEMD, "", "is not needed: programs run in the foreground"),
    // s6
    row("run", S6, "command", ""),
    row(
        "finish",
        S6,
        "",
        "has no equivalent here: `on_exit` and `on_failure` decide whether an exit ends the container",
    ),
    row("notification-fd", S6, "ready", "as `{ fd = 3 }`"),
    row("timeout-kill", S6, "stop_timeout", "a duration such as `\"5s\"`"),
    row("timeout-up", S6, "ready", "where the key is `timeout`"),
    row("down-signal", S6, "stop_signal", ""),
    row("dependencies", S6, "after", ""),
    row("dependencies.d", S6, "after", ""),
    row("producer-for", S6, "", "is not needed: foster logs `stdout` and `stderr` itself"),
    // Several tools.
    row("cwd", ANY, "directory", ""),
    row("dir", ANY, "directory", ""),
    row("workdir", ANY, "directory", ""),
    row("chdir", ANY, "directory", ""),
    row("env", ANY, "environment", ""),
    row("envs", ANY, "environment", ""),
    row("variables", ANY, "environment", ""),
    row("envfile", ANY, "env_file", ""),
    row("cmd", ANY, "command", ""),
    row("exec", ANY, "command", ""),
    row("readiness", ANY, "ready", ""),
    row("readiness_probe", ANY, "ready", ""),
    row("readinessProbe", "Kubernetes'", "ready", ""),
    row("livenessProbe", "Kubernetes'", "health", ""),
    row("liveness", ANY, "health", ""),
    row("health_check", ANY, "health", "and `ready` asks until the program is ready"),
    row("retries", ANY, "start_limit", ""),
    row("depends", ANY, "after", ""),
    row("needs", ANY, "after", ""),
    row("timeout", ANY, "stop_timeout", "or `timeout` of `ready`"),
    row("group", ANY, "user", "as `\"name:group\"`"),
    row("log", ANY, "stdout", "as `{ file = \"…\" }`"),
    row("logfile", ANY, "stdout", "as `{ file = \"…\" }`"),
    row("memory_limit", ANY, "memory_max", ""),
    row("processes", ANY, "instances", ""),
    row("workers", ANY, "instances", ""),
    row("signal", ANY, "stop_signal", ""),
];

/// In `ready` and in `health`.
const PROBE: &[Foreign] = &[
    row("test", COMPOSE, "exec", "as `exec = [\"curl\", \"-f\", \"http://127.0.0.1\"]`"),
    row("httpGet", "Kubernetes'", "http", "a URL such as `\"http://127.0.0.1:8000/health\"`"),
    row("tcpSocket", "Kubernetes'", "tcp", "an address such as `\"127.0.0.1:6379\"`"),
    row("periodSeconds", "Kubernetes'", "interval", ""),
    row("path", ANY, "http", "a whole URL such as `\"http://127.0.0.1:8000/health\"`"),
    row("url", ANY, "http", ""),
    row("port", ANY, "tcp", "an address such as `\"127.0.0.1:6379\"`"),
    row("command", ANY, "exec", ""),
    row("cmd", ANY, "exec", ""),
    row("socket", ANY, "unix", ""),
    row("header", ANY, "headers", ""),
];

const READY: &[Foreign] = &[
    row("start_period", COMPOSE, "timeout", "the time within which the program must be ready"),
    row("retries", COMPOSE, "timeout", "the time within which the program must be ready"),
    row("regex", ANY, "log", ""),
];

const HEALTH: &[Foreign] = &[
    row("retries", COMPOSE, "failures", ""),
    row("failureThreshold", "Kubernetes'", "failures", ""),
    row("timeoutSeconds", "Kubernetes'", "timeout", ""),
    row("initialDelaySeconds", "Kubernetes'", "start_period", ""),
    row("log", ANY, "", "is for `ready` only"),
    row("notify", ANY, "", "is for `ready` only"),
    row("fd", ANY, "", "is for `ready` only"),
];

const SINK: &[Foreign] = &[
    row("maxbytes", SUPERVISORD, "max_size", ""),
    row("backups", SUPERVISORD, "keep", ""),
    row("max-size", "Docker's", "max_size", ""),
    row("max-file", "Docker's", "keep", ""),
    row("path", ANY, "file", ""),
    row("size", ANY, "max_size", ""),
    row("rotate", ANY, "keep", ""),
];

/// The rows for each section; two tables of rows may belong to one section.
const TABLES: [(&Section, &[Foreign]); 7] = [
    (&keys::FILE, FILE),
    (&keys::PROGRAM, PROGRAM),
    (&keys::READY, PROBE),
    (&keys::READY, READY),
    (&keys::HEALTH, PROBE),
    (&keys::HEALTH, HEALTH),
    (&keys::SINK, SINK),
];

/// The note about a key of another tool in this section.
pub(super) fn foreign(section: &Section, key: &str) -> Option<String> {
    let rows = || {
        let here = TABLES.iter().filter(|(known, _)| known.heading == section.heading);
        here.flat_map(|(_, rows)| rows.iter())
    };
    let is_same = |row: &&Foreign| row.key == key;
    let is_alike = |row: &&Foreign| row.key.eq_ignore_ascii_case(key);
    rows().find(is_same).or_else(|| rows().find(is_alike)).map(sentence)
}

fn sentence(row: &Foreign) -> String {
    let Foreign { key, tool, own, more } = row;
    let key = match *tool {
        ANY => format!("`{key}`"),
        tool => format!("{tool} `{key}`"),
    };
    if own.is_empty() {
        return format!("{key} {more}");
    }
    let joint = match *more {
        "" => "",
        more if more.starts_with('`') => ": ",
        _ => ", ",
    };
    format!("{key} is `{own}` here{joint}{more}")
}

/// The note about a value of another tool for `restart`.
pub(super) fn foreign_restart(value: &str) -> Option<String> {
    let (value, own, more) = match value {
        "unless-stopped" => {
            ("Compose's `unless-stopped`", "always", "a program stopped by `foster stop` stays stopped")
        }
        "no" => ("Compose's `no`", "never", ""),
        "any" => ("Compose's `any`", "always", ""),
        "unexpected" => ("supervisord's `unexpected`", "on-failure", "with `success_exit_codes`"),
        "true" => ("supervisord's `true`", "always", ""),
        "false" => ("supervisord's `false`", "never", ""),
        "on-abnormal" | "on-abort" | "on-watchdog" => {
            ("the closest to this systemd policy", "on-failure", "")
        }
        "Always" => ("Kubernetes' `Always`", "always", ""),
        "OnFailure" => ("Kubernetes' `OnFailure`", "on-failure", ""),
        "Never" => ("Kubernetes' `Never`", "never", ""),
        value if value.starts_with("on-failure:") => {
            ("Docker's number of retries", "on-failure", "and `start_limit` is the number")
        }
        _ => return None,
    };
    let more = if more.is_empty() { String::new() } else { format!(": {more}") };
    Some(format!("{value} is `\"{own}\"` here{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_names_an_existing_key_of_foster_and_no_row_is_one() {
        for (section, rows) in TABLES {
            for row in rows {
                let anywhere = section.key(row.own).or(keys::PROGRAM.key(row.own));
                assert!(row.own.is_empty() || anywhere.is_some(), "{}", row.own);
                assert!(section.key(row.key).is_none(), "{} is a key", row.key);
                assert_eq!(rows.iter().filter(|other| other.key == row.key).count(), 1, "{}", row.key);
            }
        }
    }

    #[test]
    fn the_tool_is_named_and_case_does_not_matter() {
        assert_eq!(
            foreign(&keys::PROGRAM, "startretries").as_deref(),
            Some("supervisord's `startretries` is `start_limit` here")
        );
        assert_eq!(
            foreign(&keys::PROGRAM, "execstart").as_deref(),
            Some("systemd's `ExecStart` is `command` here")
        );
        assert_eq!(foreign(&keys::PROGRAM, "comand"), None);
    }
}
