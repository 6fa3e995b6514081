//! The keys of a program (spec, sections 3.1 to 3.7), in the order in which they are explained.
//!
//! Only rows; `key_spec.rs` defines what a row means. The tables inside a program are in `nested.rs`.

use super::super::key_spec::{Default, Key, Names, Section, ValueKind};
use super::nested::{BACKOFF, HEALTH, READY, SINK};
use super::{BOOLEAN, COMMAND, DURATION, NONE, PATH, PATHS, UNLIMITED, key, later};

const INTEGER: &[ValueKind] = &[ValueKind::Integer];
const PROGRAMS: &[ValueKind] = &[ValueKind::Program, ValueKind::List(&[ValueKind::Program])];
const SINKS: &[ValueKind] = &[ValueKind::Words(&["log", "inherit", "null"]), ValueKind::Table(&SINK)];
const FOSTERS: Default = Default::Words("foster's");
const INHERITED: Default = Default::Words("inherited");

/// The table of a program.
pub const PROGRAM: Section = Section {
    heading: "`[program.NAME]` and `[defaults]`",
    sentence: "A program runs until it is stopped.",
    keys: &KEYS,
};

const KEYS: [Key; 42] = [
    // What is run, and as whom.
    key(
        "command",
        COMMAND,
        Default::Required,
        "The command and its arguments: an array is taken as it is, a string is split by a shell's quoting rules \
         after expansion. No shell is run.",
    ),
    key("directory", PATH, FOSTERS, "The working directory."),
    key(
        "environment",
        &[ValueKind::Map(
            "table of strings",
            Names::Variables,
            &[ValueKind::Text, ValueKind::Integer, ValueKind::Boolean],
        )],
        Default::Value("{}"),
        "Variables added to those that are inherited; they win over `env_file`.",
    ),
    key(
        "env_file",
        PATHS,
        NONE,
        "Files of variables by dotenv rules, read at each start; later files win, and a leading `-` makes one \
         optional.",
    ),
    key(
        "secrets",
        &[ValueKind::Map("table of paths", Names::Variables, &[ValueKind::Path])],
        Default::Value("{}"),
        "Variables whose value is a file's content, read at each start; never shown.",
    ),
    key(
        "inherit_environment",
        BOOLEAN,
        Default::Value("true"),
        "Whether the program inherits foster's environment; else only `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, \
         `TZ` and `LANG`.",
    ),
    key(
        "user",
        &[
            ValueKind::Pattern(
                "`name`, `uid`, `name:group` or `uid:gid`",
                "^-?[^:\\s+-][^:\\s]*(:[^:\\s+-][^:\\s]*)?$",
            ),
            ValueKind::Integer,
        ],
        FOSTERS,
        "The user that the program runs as: sets uid, gid, supplementary groups, `HOME`, `USER`, `LOGNAME` and \
         `SHELL`. Where foster may not change users, the start fails; with a leading `-` the program then runs as \
         foster's own user, with those of its `capabilities` that foster has.",
    ),
    key(
        "umask",
        &[ValueKind::Pattern("octal string", "^0*[0-7]{1,3}$")],
        FOSTERS,
        "The file mode creation mask.",
    ),
    key(
        "stdin",
        &[ValueKind::Words(&["null", "open", "inherit"])],
        Default::Value("\"null\""),
        "Standard input: `null` is `/dev/null`, `open` a pipe that foster keeps open and never writes to, `inherit` \
         foster's own, for one program only.",
    ),
    key(
        "pre_start",
        COMMAND,
        NONE,
        "A command that is run before each start, as the program's user, in its directory and environment. It \
         counts into `timeout` of `ready`; if it fails, the start fails.",
    ),
    key(
        "capabilities",
        &[ValueKind::List(&[ValueKind::Capability])],
        Default::Words("kept as they are"),
        "The capabilities that the program keeps (ambient and bounding set): `[\"net_bind_service\"]`, `[]` for \
         none.",
    ),
    key(
        "no_new_privileges",
        BOOLEAN,
        Default::Value("false"),
        "Whether the program can never gain privileges, by a setuid binary for instance.",
    ),
    key(
        "limits",
        &[ValueKind::Map(
            "table of limits",
            Names::Limits,
            &[ValueKind::Size, UNLIMITED, ValueKind::List(&[ValueKind::Size, UNLIMITED])],
        )],
        Default::Value("{}"),
        "Resource limits by the names of setrlimit(2): a number, a size, `\"unlimited\"`, or a list of the soft and \
         the hard limit: `{ nofile = 65536, nproc = [100, 200] }`.",
    ),
    key("nice", INTEGER, INHERITED, "The scheduling priority, -20 to 19."),
    key(
        "oom_score_adj",
        INTEGER,
        INHERITED,
        "How readily the kernel kills the program when memory runs out, -1000 to 1000.",
    ),
    later("memory_max", "The memory of its process tree above which the program is restarted."),
    // Order.
    key(
        "enabled",
        BOOLEAN,
        Default::Value("true"),
        "False: the program does not exist; others may still name it in `after`.",
    ),
    key(
        "autostart",
        BOOLEAN,
        Default::Value("true"),
        "False: the program stays stopped until `foster start`.",
    ),
    key("priority", INTEGER, Default::Value("999"), "The tier: lower tiers start first and stop last."),
    key("after", PROGRAMS, Default::Value("[]"), "The program starts only when each of these is ready."),
    key(
        "requires",
        PROGRAMS,
        Default::Value("[]"),
        "As `after`; the program also stops when one of them stays down, and starts again when it is back.",
    ),
    // Restarts.
    key(
        "restart",
        &[ValueKind::Words(&["always", "on-failure", "never"])],
        Default::Value("\"always\""),
        "After which exits the program is restarted.",
    ),
    key(
        "success_exit_codes",
        &[ValueKind::List(&[ValueKind::Integer])],
        Default::Value("[0]"),
        "The exit codes that are not a failure.",
    ),
    key(
        "min_uptime",
        DURATION,
        Default::Value("\"1s\""),
        "A start succeeds when the program has run for this long (and is ready, if `ready` is set).",
    ),
    key("backoff", &[ValueKind::Table(&BACKOFF)], Default::Value("{}"), "The wait before a restart."),
    key(
        "start_limit",
        &[ValueKind::Integer, UNLIMITED],
        Default::Value("10"),
        "How many failures in a row make the program fatal: failed starts, and runs shorter than `reset` of `backoff` that are followed by a restart.",
    ),
    key(
        "on_exit",
        &[ValueKind::Words(&["ignore", "shutdown"])],
        Default::Value("\"ignore\""),
        "What happens to the container when the program exits with success and is not restarted.",
    ),
    key(
        "on_failure",
        &[ValueKind::Words(&["shutdown", "ignore"])],
        Default::Value("\"shutdown\""),
        "What happens to the container when the program is fatal, or fails and is not restarted.",
    ),
    // Stopping and reloading.
    key(
        "stop_signal",
        &[ValueKind::Signal, ValueKind::List(&[ValueKind::Signal])],
        Default::Value("\"TERM\""),
        "The signal that stops the program; a list is sent one after the other, `stop_timeout` apart.",
    ),
    key(
        "stop_timeout",
        DURATION,
        Default::Value("\"5s\""),
        "How long the program may take to stop; then all its processes get KILL.",
    ),
    key(
        "stop_group",
        BOOLEAN,
        Default::Value("false"),
        "Whether `stop_signal` goes to the program's process group instead of its main process alone.",
    ),
    key(
        "kill_mode",
        &[ValueKind::Words(&["tree", "session", "process"])],
        Default::Value("\"tree\""),
        "Which processes belong to the program and are killed after `stop_timeout`: all of them, also those that left \
         its session (`tree`), its session alone, or its main process alone (sshd, whose logins live on).",
    ),
    key("pre_stop", COMMAND, NONE, "A command that is run before the stop signal, within `stop_timeout`."),
    key("reload_signal", &[ValueKind::Signal], NONE, "The signal that `foster reload` sends."),
    // Ready and healthy.
    key(
        "ready",
        &[ValueKind::Table(&READY)],
        Default::Words("up for `min_uptime`"),
        "How foster finds out that the program is ready.",
    ),
    key(
        "health",
        &[ValueKind::Table(&HEALTH)],
        NONE,
        "How foster finds out that the program is still healthy.",
    ),
    later("watchdog", "The time within which the program has to report, or is restarted."),
    // Output.
    key(
        "stdout",
        SINKS,
        Default::Value("\"log\""),
        "Standard output: `log` goes line by line to foster's own, `inherit` is foster's descriptor itself, `null` \
         is discarded, a table is a file.",
    ),
    key("stderr", SINKS, Default::Value("\"log\""), "The same for standard error."),
    key(
        "log_prefix",
        BOOLEAN,
        Default::Value("true"),
        "Whether the program's name is written before its lines, in text format.",
    ),
    // Scale.
    later("instances", "How many processes the program consists of."),
    later("sockets", "Listening sockets that foster opens for the program."),
];
