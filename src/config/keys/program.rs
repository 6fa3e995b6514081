//! The keys of a program (spec, sections 3.1 to 3.6), in the order in which they are explained.
//!
//! Only rows; what a row means is defined in `schema.rs`. The tables inside a program are in `nested.rs`.

use super::super::schema::{Form, Names, Preset, Section, Takes};
use super::nested::{BACKOFF, READY, SINK, UNLIMITED};
use super::{key, later};

const SINKS: &[Takes] = &[Takes::Words(&["log", "inherit", "null"]), Takes::Table(&SINK)];
const NONE: Preset = Preset::Words("none");
const FOSTERS: Preset = Preset::Words("foster's");
const INHERITED: Preset = Preset::Words("inherited");

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
            "stdin",
            Form::Choice(&["null", "open", "inherit"]),
            Preset::Value("\"null\""),
            "Its standard input: `/dev/null`; a pipe that foster keeps open and never writes to; or foster's own, \
             for one program only.",
        ),
        key(
            "pre_start",
            Form::Command,
            NONE,
            "Run before each start, as the program's user, in its directory and environment. It counts into \
             `timeout` of `ready`; its failure is a failed start.",
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
