//! The keys of a program (spec, sections 3.1 to 3.7), in the order of the documentation.
//!
//! Only rows; `key_spec.rs` defines their fields. The tables within a program are in `nested.rs`.

use super::super::key_spec::{Default, Key, Names, Section, ValueKind};
use super::nested::{BACKOFF, HEALTH, INSTANCES, READY, SINK};
use super::{BOOLEAN, COMMAND, DURATION, NONE, PATH, PATHS, UNLIMITED, key};

const INTEGER: &[ValueKind] = &[ValueKind::Integer];
const PROGRAMS: &[ValueKind] = &[ValueKind::Program, ValueKind::List(&[ValueKind::Program])];
const SINKS: &[ValueKind] =
    &[ValueKind::Words(&["log", "inherit", "memory", "null"]), ValueKind::Table(&SINK)];
const SOCKET: ValueKind = ValueKind::Pattern("URL", "^(tcp|unix)://.");
const FOSTERS: Default = Default::Words("foster's");
const INHERITED: Default = Default::Words("inherited");

/// The table of a program.
pub const PROGRAM: Section = Section {
    heading: "`[program.NAME]` and `[defaults]`",
    sentence: "A program is a long-running process that foster starts, restarts and stops.",
    shared: None,
    keys: &KEYS,
};

const KEYS: [Key; 43] = [
    // The command, its user and its environment.
    key(
        "command",
        COMMAND,
        Default::Required,
        "The command and its arguments: a list is used unchanged, a string is expanded and then split by a \
         shell's quoting rules. No shell runs.",
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
        "Variables to add to the inherited ones; they override those of `env_file`.",
    ),
    key(
        "env_file",
        PATHS,
        NONE,
        "Files of variables in dotenv format, read at each start; later files override earlier ones, and a leading \
         `-` makes one optional.",
    ),
    key(
        "secrets",
        &[ValueKind::Map("table of paths", Names::Variables, &[ValueKind::Path])],
        Default::Value("{}"),
        "Variables whose values are the contents of files, read at each start; they are never shown.",
    ),
    key(
        "inherit_environment",
        BOOLEAN,
        Default::Value("true"),
        "Whether the program inherits foster's environment; if not, only `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, \
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
         `SHELL`. If foster has no permission to change users, the start fails; with a leading `-` the program then \
         runs as foster's own user, with those of its `capabilities` that foster has.",
    ),
    key(
        "umask",
        &[ValueKind::Pattern("octal string", "^0*[0-7]{1,3}$")],
        FOSTERS,
        "The file mode creation mask.",
    ),
    key(
        "stdin",
        &[ValueKind::Words(&["null", "open", "inherit", "socket"])],
        Default::Value("\"null\""),
        "Standard input: `null` is `/dev/null`, `open` is a pipe that foster keeps open and never writes to, \
         `inherit` is foster's own standard input, for one program only, `socket` is the first of the program's `sockets`, \
         as FastCGI programs expect it.",
    ),
    key(
        "pre_start",
        COMMAND,
        NONE,
        "A command that runs before each start, with the program's user, directory and environment. Its time \
         counts towards `timeout` of `ready`; if it fails, the start fails.",
    ),
    key(
        "capabilities",
        &[ValueKind::List(&[ValueKind::Capability])],
        Default::Words("unchanged"),
        "The capabilities that the program keeps (ambient and bounding set), as `[\"net_bind_service\"]`; `[]` \
         keeps none.",
    ),
    key(
        "no_new_privileges",
        BOOLEAN,
        Default::Value("false"),
        "Whether the program and its children are prevented from gaining privileges, as through a setuid binary.",
    ),
    key(
        "limits",
        &[ValueKind::Map(
            "table of limits",
            Names::Limits,
            &[ValueKind::Size, UNLIMITED, ValueKind::List(&[ValueKind::Size, UNLIMITED])],
        )],
        Default::Value("{}"),
        "Resource limits, named as in setrlimit(2): a number, a size, `\"unlimited\"`, or a list of the soft and \
         the hard limit, as in `{ nofile = 65536, nproc = [100, 200] }`.",
    ),
    key("nice", INTEGER, INHERITED, "The scheduling priority, -20 to 19."),
    key(
        "oom_score_adj",
        INTEGER,
        INHERITED,
        "The preference of the kernel's out-of-memory killer for the program, -1000 to 1000 (the first to be killed).",
    ),
    key(
        "memory_max",
        &[ValueKind::Size, UNLIMITED],
        Default::Value("\"unlimited\""),
        "The memory of all processes of the program above which it is restarted: the sum of their resident sets, as \
         `foster status` shows it, looked at every 2 s. Memory that several of them share counts for each. With a \
         writable cgroup v2 and `kill_mode = \"tree\"` the kernel kills the program at a quarter more.",
    ),
    // Order.
    key(
        "enabled",
        BOOLEAN,
        Default::Value("true"),
        "Whether the program exists; others can name a disabled program in `after`, which has no effect.",
    ),
    key(
        "autostart",
        BOOLEAN,
        Default::Value("true"),
        "Whether the program starts with foster; if not, it stays stopped until `foster start`.",
    ),
    key(
        "priority",
        INTEGER,
        Default::Value("999"),
        "The tier: programs with lower numbers start first and stop last.",
    ),
    key("after", PROGRAMS, Default::Value("[]"), "The program starts when all of these are ready."),
    key(
        "requires",
        PROGRAMS,
        Default::Value("[]"),
        "As `after`; the program also stops when one of them is down and not restarted, and starts again when it is ready.",
    ),
    // Restarts.
    key(
        "restart",
        &[ValueKind::Words(&["always", "on-failure", "never"])],
        Default::Value("\"always\""),
        "When the program is restarted after it exits.",
    ),
    key(
        "success_exit_codes",
        &[ValueKind::List(&[ValueKind::Integer])],
        Default::Value("[0]"),
        "The exit codes that count as success.",
    ),
    key(
        "min_uptime",
        DURATION,
        Default::Value("\"1s\""),
        "A start succeeds when the program has run for this long (and is ready, if `ready` is set).",
    ),
    key(
        "early_exit",
        &[ValueKind::Words(&["status", "failure"])],
        Default::Value("\"status\""),
        "What an exit before `min_uptime` is: a success or a failure by its `status`, or always a `failure`, which is followed by \
         another start whatever `restart` says.",
    ),
    key("backoff", &[ValueKind::Table(&BACKOFF)], Default::Value("{}"), "The delay before a restart."),
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
        "Whether the container ends when the program exits with success and is not restarted.",
    ),
    key(
        "on_failure",
        &[ValueKind::Words(&["shutdown", "ignore"])],
        Default::Value("\"shutdown\""),
        "Whether the container ends when the program is fatal, or fails and is not restarted.",
    ),
    // Stopping and reloading.
    key(
        "stop_signal",
        &[ValueKind::Signal, ValueKind::List(&[ValueKind::Signal])],
        Default::Value("\"TERM\""),
        "The signal that stops the program; the signals of a list are sent one after the other, `stop_timeout` apart.",
    ),
    key(
        "stop_timeout",
        DURATION,
        Default::Value("\"5s\""),
        "The time limit for the program to stop; then its processes are killed.",
    ),
    key(
        "stop_group",
        BOOLEAN,
        Default::Value("false"),
        "Whether `stop_signal` is sent to the program's process group instead of only its main process.",
    ),
    key(
        "kill_mode",
        &[ValueKind::Words(&["tree", "session", "process"])],
        Default::Value("\"tree\""),
        "The processes that belong to the program and are killed after `stop_timeout`: all its descendants, even those that left its session \
         (`tree`), those of its session, or only its main process (for sshd, whose logins continue).",
    ),
    key("pre_stop", COMMAND, NONE, "A command that runs before the stop signal, within `stop_timeout`."),
    key("reload_signal", &[ValueKind::Signal], NONE, "The signal that `foster reload` sends."),
    // Ready and healthy.
    key(
        "ready",
        &[ValueKind::Table(&READY)],
        Default::Words("up for `min_uptime`"),
        "The probe that determines when the program is ready.",
    ),
    key(
        "health",
        &[ValueKind::Table(&HEALTH)],
        NONE,
        "The probe that determines whether a ready program is still healthy.",
    ),
    key(
        "watchdog",
        DURATION,
        NONE,
        "The time within which a ready program must send `WATCHDOG=1` to `$NOTIFY_SOCKET`, again and again; otherwise it \
         is restarted, as if it had exited. The program finds the time in `WATCHDOG_USEC`. At least 10 ms.",
    ),
    // Output.
    key(
        "stdout",
        SINKS,
        Default::Value("\"log\""),
        "Standard output: `log` writes each line to foster's standard output, `inherit` passes foster's descriptor to \
         the program, `memory` keeps the last lines for `foster logs` alone, `null` discards it, a table names a file.",
    ),
    key("stderr", SINKS, Default::Value("\"log\""), "The same, for standard error."),
    key(
        "log_prefix",
        BOOLEAN,
        Default::Value("true"),
        "Whether each line of the program starts with its name, in text format.",
    ),
    // Scale.
    key(
        "instances",
        &[ValueKind::Integer, ValueKind::Words(&["auto"]), ValueKind::Table(&INSTANCES)],
        Default::Value("1"),
        "The number of processes of the program, from 0 to 1000: `backend.0`, `backend.1` and so on, each with its number \
         in `${FOSTER_INSTANCE}`. `auto` is one for each CPU that foster may use. `foster scale` changes it.",
    ),
    key(
        "sockets",
        &[SOCKET, ValueKind::List(&[SOCKET])],
        Default::Value("[]"),
        "Listening sockets that foster opens and keeps open over restarts, reloads and updates; the program gets them as descriptors 3, 4, … \
         with `LISTEN_FDS`, as from systemd: `\"tcp://0.0.0.0:3000\"`, `\"tcp://[::]:3000?backlog=4096\"`, \
         `\"unix:///run/app.sock?mode=0660&user=app\"`, `\"unix://@name\"`. Options: `backlog`, `reuseport`, `v6only`, \
         `mode`, `user`, `group`, `name`.",
    ),
];
