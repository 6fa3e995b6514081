//! The keys of the tables inside a program: `backoff`, `ready`, `health`, `stdout` and `stderr`, `instances`.
//!
//! Only rows; `key_spec.rs` defines what a row means. The keys of a program are in `program.rs`.

use super::super::key_spec::{Default, Key, Names, Section, ValueKind};
use super::{BOOLEAN, COMMAND, DURATION, NONE, PATH, UNLIMITED, key};

/// The table `backoff`.
pub const BACKOFF: Section = Section {
    heading: "`backoff`",
    sentence: "The delay before the next restart after failures in a row.",
    shared: None,
    keys: &[
        key(
            "initial",
            DURATION,
            Default::Value("\"0s\""),
            "The delay before the first restart of a program that had run for `reset`. If it is 0, that restart is \
             immediate, and the next delays are 100 ms × factor^n.",
        ),
        key("factor", &[ValueKind::Number], Default::Value("2"), "Each further delay is multiplied by this."),
        key("max", DURATION, Default::Value("\"30s\""), "The longest delay."),
        key(
            "growth",
            &[ValueKind::Words(&["exponential", "linear"])],
            Default::Value("\"exponential\""),
            "How the delays grow: multiplied by `factor`, or `initial` × the failures in a row, so that the first restart of a program that had run for `reset` is immediate.",
        ),
        key(
            "reset",
            DURATION,
            Default::Value("\"10s\""),
            "After running for this long the program's count of failures in a row is reset to 0.",
        ),
    ],
};

const HTTP: Key = key(
    "http",
    &[ValueKind::Text],
    NONE,
    "Passes when a request to this URL is answered with a status from 200 to 399: \
     `\"http://127.0.0.1:8000/health\"`.",
);
const TCP: Key = key(
    "tcp",
    &[ValueKind::Text],
    NONE,
    "Passes when a connection to this address is accepted: `\"127.0.0.1:6379\"`.",
);
const UNIX: Key = key("unix", PATH, NONE, "Passes when a connection to this socket is accepted.");
const EXEC: Key = key(
    "exec",
    COMMAND,
    NONE,
    "Passes when this command exits with 0; it runs as the program's user and with its environment.",
);
const EXISTS: Key = key("file", PATH, NONE, "Passes when this file exists.");
const STATUS: Key = key(
    "status",
    &[ValueKind::Integer, ValueKind::List(&[ValueKind::Integer])],
    Default::Words("200 to 399"),
    "Only with `http`: the accepted statuses.",
);
const HEADERS: Key = key(
    "headers",
    &[ValueKind::Map("table of strings", Names::Headers, &[ValueKind::Text])],
    Default::Value("{}"),
    "Only with `http`: header fields of the request, as `{ Host = \"example.org\" }`.",
);
const METHOD: Key = key(
    "method",
    &[ValueKind::Words(&["GET", "HEAD", "OPTIONS", "POST"])],
    Default::Value("\"GET\""),
    "Only with `http`: the method of the request.",
);

/// The table `ready`.
pub const READY: Section = Section {
    heading: "`ready`",
    sentence: "Exactly one of `http`, `tcp`, `unix`, `exec`, `file`, `log`, `notify`, `fd` and `ipc`: the program is ready when it passes. \
               Addresses are numbers or `localhost` (127.0.0.1): no names are looked up.",
    shared: None,
    keys: &[
        HTTP,
        TCP,
        UNIX,
        EXEC,
        EXISTS,
        key("log", &[ValueKind::Regex], NONE, "Passes when a line of the program's output matches."),
        key(
            "notify",
            BOOLEAN,
            NONE,
            "`true`: passes when the program, or a process that it has started, sends `READY=1` to `$NOTIFY_SOCKET` \
             (sd_notify). Its `STATUS=` is shown by `foster status`.",
        ),
        key(
            "fd",
            &[ValueKind::Integer],
            NONE,
            "Passes when the program writes a newline to this descriptor, which foster opens for it (the convention of \
             s6); 3 to 1023.",
        ),
        key(
            "ipc",
            BOOLEAN,
            NONE,
            "`true`: passes when a program of Node calls `process.send('ready')`. foster opens the channel of Node's child \
             processes for it (`NODE_CHANNEL_FD`), in which other messages mean nothing.",
        ),
        STATUS,
        HEADERS,
        METHOD,
        key(
            "interval",
            DURATION,
            Default::Value("\"100ms\""),
            "The time between two attempts; at least 10 ms.",
        ),
        key(
            "timeout",
            DURATION,
            Default::Value("\"60s\""),
            "The time limit; a program that is not ready within it has failed to start.",
        ),
        key(
            "on_timeout",
            &[ValueKind::Words(&["fail", "ready"])],
            Default::Value("\"fail\""),
            "What a program is that is not ready within `timeout`: `fail`, it has failed to start and is stopped, or `ready`, it \
             is taken to be.",
        ),
    ],
};

/// The table `health`.
pub const HEALTH: Section = Section {
    heading: "`health`",
    sentence: "Exactly one of `http`, `tcp`, `unix`, `exec` and `file`, as in `ready`: a program that is ready is \
               healthy as long as it passes.",
    shared: None,
    keys: &[
        HTTP,
        TCP,
        UNIX,
        EXEC,
        EXISTS,
        STATUS,
        HEADERS,
        METHOD,
        key(
            "interval",
            DURATION,
            Default::Value("\"10s\""),
            "The time between the starts of two attempts; at least 10 ms. Programs with the same interval are asked \
             at the same moments.",
        ),
        key(
            "timeout",
            DURATION,
            Default::Value("\"3s\""),
            "An attempt without an answer by then has failed. The next attempt never starts before the one before it \
             has ended.",
        ),
        key(
            "failures",
            &[ValueKind::Integer],
            Default::Value("3"),
            "How many failed attempts in a row make the program unhealthy.",
        ),
        key(
            "start_period",
            DURATION,
            Default::Value("\"0s\""),
            "Attempts start only after the program has been ready for this long.",
        ),
        key(
            "action",
            &[ValueKind::Words(&["restart", "shutdown", "none"])],
            Default::Value("\"restart\""),
            "What happens when the program is unhealthy: `restart` stops it and applies the `restart` policy, \
             `shutdown` ends the container with status 1, `none` leaves it `unhealthy` until an attempt passes.",
        ),
    ],
};

/// The table of `stdout` and `stderr`.
pub const SINK: Section = Section {
    heading: "`stdout` and `stderr` as a table",
    sentence: "A log file, rotated by size.",
    shared: None,
    keys: &[
        key("file", PATH, Default::Required, "The path of the file; its folder must exist."),
        key(
            "max_size",
            &[ValueKind::Size, UNLIMITED],
            Default::Value("\"50M\""),
            "The file is rotated before it exceeds this size; at least 4 KiB.",
        ),
        key(
            "keep",
            &[ValueKind::Integer],
            Default::Value("10"),
            "The number of rotated files to keep, at most 100; `.1` is the newest.",
        ),
    ],
};

/// The table `instances`.
pub const INSTANCES: Section = Section {
    heading: "`instances` as a table",
    sentence: "One instance for each CPU that foster may use, within bounds.",
    shared: None,
    keys: &[
        key(
            "auto",
            BOOLEAN,
            Default::Value("true"),
            "Always `true`: the CPUs are counted by the affinity mask and the quota of the cgroup.",
        ),
        key("min", &[ValueKind::Integer], Default::Value("1"), "The least instances."),
        key("max", &[ValueKind::Integer], Default::Value("1000"), "The most instances."),
    ],
};
