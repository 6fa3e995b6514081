//! Every key of a configuration: its form, its default, one sentence.
//!
//! The one table behind unknown keys and the nearest name, the defaults themselves (read by the same code as a
//! user's values), `docs/config.md` and `docs/foster.toml.5` (made by `reference.rs`), and the schema for editors
//! (made by `json_schema.rs`). A key that is not here does not exist; one that is here must be read in the file of its section.

use super::schema::{Form, Key, Names, Preset, Section, Support, Takes};

const fn key(name: &'static str, form: Form, default: Preset, sentence: &'static str) -> Key {
    Key { name, form, default, support: Support::Now, sentence }
}

const fn later(name: &'static str, sentence: &'static str) -> Key {
    Key { name, form: Form::Own("", &[]), default: Preset::Words(""), support: Support::Later, sentence }
}

const UNLIMITED: Takes = Takes::Words(&["unlimited"]);
const SINKS: &[Takes] = &[Takes::Words(&["log", "inherit", "null"]), Takes::Table(&SINK)];
const NONE: Preset = Preset::Words("none");
const FOSTERS: Preset = Preset::Words("foster's");
const INHERITED: Preset = Preset::Words("inherited");

/// The tables of a file.
pub const FILE: Section = Section {
    heading: "The file",
    sentence: "What may stand at the top of a file.",
    keys: &[
        key(
            "include",
            Form::Paths,
            Preset::Value("[]"),
            "More files, relative to this one; `*` and `?` are patterns. A file may add, never redefine.",
        ),
        key("foster", Form::Table(&FOSTER), Preset::Words("`{}`"), "foster itself."),
        key(
            "signals",
            Form::Map(
                "table of signals",
                Names::Signals,
                &[Takes::Pattern("^(shutdown|ignore|forward:[^:]+(:[^:]+)?)$")],
            ),
            Preset::Words("`{}`"),
            "What a signal to foster does: `WINCH = \"forward:nginx\"`, `USR1 = \"forward:backend:HUP\"`, \
             `PWR = \"shutdown\"`, `HUP = \"ignore\"`. TERM always stops foster.",
        ),
        key(
            "defaults",
            Form::Own("table", &[Takes::Table(&PROGRAM)]),
            Preset::Words("`{}`"),
            "Any key of a program: what each program starts from. `environment`, `secrets` and `limits` are \
             merged name by name, any other key of the program replaces the one here.",
        ),
        key(
            "program",
            Form::Map("table of programs", Names::Programs, &[Takes::Table(&PROGRAM)]),
            Preset::Required,
            "The programs, by their names.",
        ),
        later("task", "Runs once, to completion, while the container boots."),
        later("job", "Runs on a schedule."),
    ],
};

/// The table `[foster]`.
pub const FOSTER: Section = Section {
    heading: "`[foster]`",
    sentence: "foster itself.",
    keys: &[
        key(
            "socket",
            Form::Path,
            Preset::Value("\"/run/foster.sock\""),
            "The control socket; `\"\"` for none.",
        ),
        key(
            "log_format",
            Form::Choice(&["text", "json"]),
            Preset::Value("\"text\""),
            "How lines are written: as they are behind a name, or one JSON object each.",
        ),
        key(
            "log_level",
            Form::Choice(&["off", "error", "warn", "info", "debug", "trace"]),
            Preset::Value("\"info\""),
            "Which of foster's own lines are written; `FOSTER_LOG` overrides it.",
        ),
        key(
            "log_timestamps",
            Form::Boolean,
            Preset::Value("false"),
            "Whether text lines begin with the time; the container runtime stamps them already.",
        ),
        key(
            "shutdown_timeout",
            Form::Duration,
            Preset::Value("\"9s\""),
            "How long the whole shutdown may take: less than the runtime waits before it kills.",
        ),
        key(
            "termination_log",
            Form::Path,
            Preset::Value("\"/dev/termination-log\""),
            "Gets what ended the container, where the file exists.",
        ),
    ],
};

/// The table of a program.
pub const PROGRAM: Section = Section {
    heading: "`[program.NAME]` and `[defaults]`",
    sentence: "A program runs until it is told to stop.",
    keys: &[
        key(
            "command",
            Form::Command,
            Preset::Required,
            "What is run: an array is exactly those arguments, a string is split by a shell's quoting rules \
             after expansion. No shell is run.",
        ),
        key("directory", Form::Path, FOSTERS, "The working directory."),
        key(
            "environment",
            Form::Map("table of strings", Names::Variables, &[Takes::Text, Takes::Integer, Takes::Boolean]),
            Preset::Value("{}"),
            "Added to what is inherited; wins over `env_file`.",
        ),
        key(
            "env_file",
            Form::Paths,
            NONE,
            "Files of variables by dotenv rules, read at each start, later ones win; a leading `-` makes one \
             optional.",
        ),
        key(
            "secrets",
            Form::Map("table of paths", Names::Variables, &[Takes::Text]),
            Preset::Value("{}"),
            "Variables whose value is a file's content, read at each start; never shown.",
        ),
        key(
            "inherit_environment",
            Form::Boolean,
            Preset::Value("true"),
            "Whether foster's own environment is passed on; else only `PATH`, `HOME`, `USER`, `LOGNAME`, \
             `SHELL`, `TZ` and `LANG`.",
        ),
        key(
            "user",
            Form::Own(
                "`name`, `uid`, `name:group` or `uid:gid`",
                &[Takes::Integer, Takes::Pattern("^-?[^:\\s+-][^:\\s]*(:[^:\\s+-][^:\\s]*)?$")],
            ),
            FOSTERS,
            "As whom it runs: sets uid, gid, supplementary groups, `HOME`, `USER`, `LOGNAME` and `SHELL`. Where \
             foster may not change users, that is a failed start; with a leading `-` it runs as foster does then, \
             with those of its `capabilities` that foster has.",
        ),
        key(
            "umask",
            Form::Own("octal string", &[Takes::Pattern("^0*[0-7]{1,3}$")]),
            FOSTERS,
            "The file mode creation mask.",
        ),
        key(
            "capabilities",
            Form::Own("list of capabilities", &[Takes::List(&[Takes::Capability])]),
            Preset::Words("kept as they are"),
            "The capabilities that it keeps (ambient and bounding set): `[\"net_bind_service\"]`, `[]` for none.",
        ),
        key(
            "no_new_privileges",
            Form::Boolean,
            Preset::Value("false"),
            "Whether it can never gain privileges, by a setuid binary for instance.",
        ),
        key(
            "limits",
            Form::Map(
                "table of limits",
                Names::Limits,
                &[Takes::Size, UNLIMITED, Takes::List(&[Takes::Size, UNLIMITED])],
            ),
            Preset::Value("{}"),
            "Resource limits by the names of setrlimit(2): a number, a size, `\"unlimited\"`, or a list of the \
             soft and the hard one: `{ nofile = 65536, nproc = [100, 200] }`.",
        ),
        key("nice", Form::Integer, INHERITED, "The scheduling priority, -20 to 19."),
        key(
            "oom_score_adj",
            Form::Integer,
            INHERITED,
            "How soon the kernel kills it for memory, -1000 to 1000.",
        ),
        later("memory_max", "Restarts it when its process tree is over this."),
        key(
            "enabled",
            Form::Boolean,
            Preset::Value("true"),
            "False: not there at all; others may still name it.",
        ),
        key("autostart", Form::Boolean, Preset::Value("true"), "False: there, and stopped until a `start`."),
        key("priority", Form::Integer, Preset::Value("999"), "Its tier: lower starts first and stops last."),
        key("after", Form::Names, Preset::Value("[]"), "Starts only when each of these is ready."),
        key(
            "requires",
            Form::Names,
            Preset::Value("[]"),
            "As `after`; stops when one of them stays down, starts again when it is back.",
        ),
        key(
            "restart",
            Form::Choice(&["always", "on-failure", "never"]),
            Preset::Value("\"always\""),
            "Which ends are followed by a restart.",
        ),
        key("success_exit_codes", Form::Integers, Preset::Value("[0]"), "Exit codes that are not a failure."),
        key(
            "min_uptime",
            Form::Duration,
            Preset::Value("\"1s\""),
            "Up this long (and ready, where `ready` is set): the start counts as good.",
        ),
        key("backoff", Form::Table(&BACKOFF), Preset::Value("{}"), "The wait before a restart."),
        key(
            "start_limit",
            Form::Own("integer or `\"unlimited\"`", &[Takes::Integer, UNLIMITED]),
            Preset::Value("10"),
            "Failed starts in a row that make it fatal.",
        ),
        key(
            "on_exit",
            Form::Choice(&["ignore", "shutdown"]),
            Preset::Value("\"ignore\""),
            "What it does to the container when it ended for good, with success.",
        ),
        key(
            "on_failure",
            Form::Choice(&["shutdown", "ignore"]),
            Preset::Value("\"shutdown\""),
            "What it does to the container when it is fatal, or failed for good.",
        ),
        key(
            "stop_signal",
            Form::Signals,
            Preset::Value("\"TERM\""),
            "What stops it; a list is a sequence, each given `stop_timeout`.",
        ),
        key(
            "stop_timeout",
            Form::Duration,
            Preset::Value("\"5s\""),
            "How long it may take to stop; then KILL, to its whole session.",
        ),
        key(
            "stop_group",
            Form::Boolean,
            Preset::Value("false"),
            "Whether its process group gets `stop_signal`, and not the main process alone.",
        ),
        key("pre_stop", Form::Command, NONE, "Run before the stop signal, inside `stop_timeout`."),
        key("reload_signal", Form::Signal, NONE, "What `foster reload` sends."),
        key(
            "ready",
            Form::Table(&READY),
            Preset::Words("up for `min_uptime`"),
            "How its readiness is asked for.",
        ),
        later("health", "How it is watched while it runs."),
        later("watchdog", "Restarts it when it does not report in time."),
        key(
            "stdout",
            Form::Own("`\"log\"`, `\"inherit\"`, `\"null\"` or a table", SINKS),
            Preset::Value("\"log\""),
            "Where its standard output goes: line by line to foster's own, foster's descriptor itself, nowhere, \
             or a file.",
        ),
        key(
            "stderr",
            Form::Own("`\"log\"`, `\"inherit\"`, `\"null\"` or a table", SINKS),
            Preset::Value("\"log\""),
            "The same for its standard error.",
        ),
        key(
            "log_prefix",
            Form::Boolean,
            Preset::Value("true"),
            "Whether its lines are preceded by its name, in text format.",
        ),
        later("instances", "How many processes it consists of."),
        later("sockets", "Listening sockets that foster opens for it."),
    ],
};

/// The table `backoff`.
pub const BACKOFF: Section = Section {
    heading: "`backoff`",
    sentence: "The wait before restart n in a row.",
    keys: &[
        key(
            "initial",
            Form::Duration,
            Preset::Value("\"0s\""),
            "Before the first restart of a program that had been up well. When it is 0 the next ones wait 100 ms \
             × factor^n.",
        ),
        key(
            "factor",
            Form::Number,
            Preset::Value("2"),
            "Each further wait is this many times the one before.",
        ),
        key("max", Form::Duration, Preset::Value("\"30s\""), "No wait is longer."),
    ],
};

/// The table `ready`.
pub const READY: Section = Section {
    heading: "`ready`",
    sentence: "Exactly one of `http`, `tcp`, `unix`, `exec`, `file` and `log`. Addresses are numbers or \
               `localhost` (127.0.0.1): nothing is looked up.",
    keys: &[
        key(
            "http",
            Form::Text,
            NONE,
            "A GET of this is answered with 200 to 399: `\"http://127.0.0.1:8000/health\"`.",
        ),
        key("tcp", Form::Text, NONE, "A connection is accepted: `\"127.0.0.1:6379\"`."),
        key("unix", Form::Path, NONE, "A connection is accepted at this socket."),
        key("exec", Form::Command, NONE, "This command exits with 0."),
        key("file", Form::Path, NONE, "This file exists."),
        key("log", Form::Own("regular expression", &[Takes::Text]), NONE, "A line of its output matches."),
        later("notify", "The program says so by sd_notify."),
        later("fd", "The program writes a newline to this descriptor."),
        key(
            "status",
            Form::Own("integer, or list of integers", &[Takes::Integer, Takes::List(&[Takes::Integer])]),
            Preset::Words("200 to 399"),
            "Only with `http`: the statuses that are accepted.",
        ),
        key("interval", Form::Duration, Preset::Value("\"100ms\""), "Between two attempts."),
        key("timeout", Form::Duration, Preset::Value("\"60s\""), "Not ready by then is a failed start."),
    ],
};

/// The table of `stdout` and `stderr`.
pub const SINK: Section = Section {
    heading: "`stdout` and `stderr` as a table",
    sentence: "A file of the program's own, rotated by size.",
    keys: &[
        key("file", Form::Path, Preset::Required, "Where it is; its folder must exist."),
        key(
            "max_size",
            Form::Own("size or `\"unlimited\"`", &[Takes::Size, UNLIMITED]),
            Preset::Value("\"50M\""),
            "Rotated before it would grow beyond this.",
        ),
        key(
            "keep",
            Form::Integer,
            Preset::Value("10"),
            "How many rotated files are kept, `.1` being the newest.",
        ),
    ],
};

/// Every section, in the order in which they are explained.
pub const SECTIONS: [&Section; 6] = [&FILE, &FOSTER, &PROGRAM, &BACKOFF, &READY, &SINK];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_toml() {
        for section in SECTIONS {
            let given = section.keys.iter().filter(|key| matches!(key.default, Preset::Value(_)));
            let names: Vec<&str> = given.map(|key| key.name).collect();
            let defaults = section.defaults();
            assert_eq!(defaults.items().map(|item| item.name()).collect::<Vec<_>>(), names);
        }
    }

    #[test]
    fn no_key_is_there_twice() {
        for section in SECTIONS {
            for key in section.keys {
                assert_eq!(section.keys.iter().filter(|other| other.name == key.name).count(), 1);
            }
        }
    }
}
