//! The table of every key of a configuration: the values it takes, its default, its description.
//!
//! It is the source for unknown keys and their suggestions, the defaults, `docs/config.md` and `docs/foster.toml.5`
//! (`reference.rs`), and the schema for editors (`json_schema.rs`). A key that is not here is unknown; the file of its
//! section reads one that is here. Next: `keys/program.rs`.

mod job;
mod nested;
mod program;
mod task;

pub use job::JOB;
pub use nested::{BACKOFF, HEALTH, INSTANCES, READY, SINK};
pub use program::PROGRAM;
pub use task::TASK;

use super::key_spec::{Default, Key, Names, Section, ValueKind};

const BOOLEAN: &[ValueKind] = &[ValueKind::Boolean];
const DURATION: &[ValueKind] = &[ValueKind::Duration];
const PATH: &[ValueKind] = &[ValueKind::Path];
const PATHS: &[ValueKind] = &[ValueKind::Path, ValueKind::List(&[ValueKind::Path])];

const COMMAND: &[ValueKind] = &[ValueKind::List(&[ValueKind::Text]), ValueKind::Text];
const UNLIMITED: ValueKind = ValueKind::Words(&["unlimited"]);
const NONE: Default = Default::Words("none");

const fn key(
    name: &'static str,
    kinds: &'static [ValueKind],
    default: Default,
    sentence: &'static str,
) -> Key {
    Key { name, kinds, default, sentence }
}

/// The tables of a file.
pub const FILE: Section = Section {
    heading: "The file",
    sentence: "The tables and keys at the top of a file.",
    shared: None,
    keys: &[
        key(
            "include",
            PATHS,
            Default::Value("[]"),
            "More files, relative to this one; `*`, `?` and `[a-z]` are globs. A file can add keys but not redefine one.",
        ),
        key("foster", &[ValueKind::Table(&FOSTER)], Default::Words("`{}`"), "Settings of foster itself."),
        key(
            "signals",
            &[ValueKind::Map(
                "table of signals",
                Names::Signals,
                &[ValueKind::Pattern("rule", "^(shutdown|ignore|forward:[^:]+(:[^:]+)?)$")],
            )],
            Default::Words("`{}`"),
            "The action for a signal that foster receives: `WINCH = \"forward:nginx\"`, `USR1 = \"forward:backend:HUP\"`, \
             `PWR = \"shutdown\"`, `HUP = \"ignore\"`. TERM always shuts foster down.",
        ),
        key(
            "defaults",
            &[ValueKind::Table(&PROGRAM)],
            Default::Words("`{}`"),
            "Defaults for every key of a program. `environment`, `secrets` and `limits` are merged name by name; any other \
             key of a program replaces the one here.",
        ),
        key(
            "program",
            &[ValueKind::Map("table of programs", Names::Programs, &[ValueKind::Table(&PROGRAM)])],
            Default::Words("`{}`"),
            "The programs by name. At least one program or task is enabled.",
        ),
        key(
            "task",
            &[ValueKind::Map("table of tasks", Names::Programs, &[ValueKind::Table(&TASK)])],
            Default::Words("`{}`"),
            "The tasks by name: commands that run once, to completion, when the container starts.",
        ),
        key(
            "job",
            &[ValueKind::Map("table of jobs", Names::Programs, &[ValueKind::Table(&JOB)])],
            Default::Words("`{}`"),
            "The jobs by name: commands that run on a schedule.",
        ),
        key(
            "web",
            &[ValueKind::Table(&WEB)],
            NONE,
            "The web page with the state of all programs, metrics, and health over HTTP; without it there is no web server.",
        ),
    ],
};

/// The table `[foster]`.
pub const FOSTER: Section = Section {
    heading: "`[foster]`",
    sentence: "Settings of foster itself.",
    shared: None,
    keys: &[
        key("socket", PATH, Default::Value("\"/run/foster.sock\""), "The control socket; `\"\"` for none."),
        key(
            "log_format",
            &[ValueKind::Words(&["text", "json"])],
            Default::Value("\"text\""),
            "The format of the log: text lines that start with the program's name, or one JSON object per line.",
        ),
        key(
            "log_level",
            &[ValueKind::Words(&["off", "error", "warn", "info", "debug", "trace"])],
            Default::Value("\"info\""),
            "The lowest level of foster's own lines that are logged; `FOSTER_LOG` overrides it.",
        ),
        key(
            "log_timestamps",
            BOOLEAN,
            Default::Value("false"),
            "Whether text lines start with a timestamp; container runtimes usually add one.",
        ),
        key(
            "log_max_size",
            &[ValueKind::Size, UNLIMITED],
            Default::Value("\"50M\""),
            "The file of `run --detach --log` is rotated before it exceeds this size; at least 4 KiB.",
        ),
        key(
            "log_keep",
            &[ValueKind::Integer],
            Default::Value("10"),
            "The number of rotated files of that log to keep, at most 100; `.1` is the newest.",
        ),
        key(
            "start",
            &[ValueKind::Words(&["ready", "together"])],
            Default::Value("\"ready\""),
            "When the programs of a priority start: when all of lower priorities are `ready`, or all `together`, those of lower \
             priorities first.",
        ),
        key(
            "shutdown_timeout",
            DURATION,
            Default::Value("\"9s\""),
            "The time limit for the whole shutdown; it must be shorter than the container runtime's grace period.",
        ),
        key(
            "when_all_ended",
            &[ValueKind::Words(&["exit", "fail", "stay"])],
            Default::Value("\"exit\""),
            "What foster does when every program has exited and none will be restarted: `exit` with status 0, `fail` with the \
             status of a program that failed, if one did, or `stay` and wait for commands.",
        ),
        key(
            "termination_log",
            PATH,
            Default::Value("\"/dev/termination-log\""),
            "The file for the reason why the container ended; it is written only if it exists.",
        ),
        key(
            "on_fault",
            &[ValueKind::Words(&["shutdown", "reexec"])],
            Default::Value("\"shutdown\""),
            "What foster does after an internal error: `shutdown` stops the programs in order, `reexec` starts foster again in \
             the same process and keeps them running, unless the last error was less than a minute ago.",
        ),
    ],
};

/// The table `[web]`.
pub const WEB: Section = Section {
    heading: "`[web]`",
    sentence: "The web server, a process without privileges that foster starts beside the programs; see docs/web.md.",
    shared: None,
    keys: &[
        key(
            "listen",
            &[ValueKind::Text],
            Default::Required,
            "Where it listens: `\"127.0.0.1:9001\"`, `\"[::1]:9001\"` or `\"unix:///run/foster-web.sock\"`. Options follow a `?` as \
             for `sockets`; the mode of a Unix socket is 0700 unless it is set: `\"unix:///run/foster-web.sock?mode=0660&group=www-data\"`.",
        ),
        key(
            "username",
            &[ValueKind::Text],
            NONE,
            "The user name that clients give with the password (HTTP basic authentication); only with `password_file`. \
             Without it every client that reaches the address is answered.",
        ),
        key(
            "password_file",
            PATH,
            NONE,
            "The file with the password, or with `{SHA}` and the SHA-1 of it in hexadecimal; one newline at the end is cut. It \
             is read at each start of the web server and after each `foster update`. Without it the web server does not start.",
        ),
        key(
            "control",
            BOOLEAN,
            Default::Value("false"),
            "Whether the page can start, stop and restart programs, run jobs and clear logs. Without it the supervisor refuses \
             that to the web server. Where others than local users reach the address, it needs a password.",
        ),
        key("metrics", BOOLEAN, Default::Value("true"), "Whether `/metrics` has metrics for Prometheus."),
    ],
};

/// Every section, in the order of the documentation.
pub const SECTIONS: [&Section; 11] =
    [&FILE, &FOSTER, &WEB, &PROGRAM, &BACKOFF, &READY, &HEALTH, &SINK, &INSTANCES, &TASK, &JOB];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_toml_value() {
        for section in SECTIONS {
            let given = section.keys.iter().filter(|key| matches!(key.default, Default::Value(_)));
            let names: Vec<&str> = given.map(|key| key.name).collect();
            let defaults = section.defaults();
            assert_eq!(defaults.items().map(|item| item.name()).collect::<Vec<_>>(), names);
        }
    }

    #[test]
    fn no_key_is_defined_twice() {
        for section in SECTIONS {
            for key in section.keys {
                assert_eq!(section.keys.iter().filter(|other| other.name == key.name).count(), 1);
            }
        }
    }
}
