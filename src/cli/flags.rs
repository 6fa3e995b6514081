//! The flags: one row each, with its text in the help.
//!
//! The table of verbs in `commands.rs` lists the flags of each verb. Pure data.

/// One flag.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its long name, without dashes.
    pub long: &'static str,
    /// Its short name.
    pub short: Option<char>,
    /// Its value in usage lines; `None`: it has none.
    pub value: Option<&'static str>,
    /// What it does, in half a line.
    pub summary: &'static str,
}

/// Long names that other tools use.
const ALIASES: [(&str, &str); 1] = [("tail", "lines")];

/// The flag's own name for this long name.
pub(super) fn full_name(long: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == long).map_or(long, |(_, name)| *name)
}

/// `--socket`.
pub static SOCKET: Flag = Flag {
    long: "socket",
    short: None,
    value: Some("PATH"),
    summary: "The socket (default: $FOSTER_SOCKET or as configured)",
};

/// `--config`.
pub static CONFIG: Flag = Flag {
    long: "config",
    short: Some('c'),
    value: Some("FILE"),
    summary: "The configuration (default: $FOSTER_CONFIG, usual paths)",
};

/// `--detach`.
pub static DETACH: Flag = Flag {
    long: "detach",
    short: Some('d'),
    value: None,
    summary: "Run in the background; return when all is ready",
};

/// `--pid-file`.
pub static PID_FILE: Flag =
    Flag { long: "pid-file", short: None, value: Some("PATH"), summary: "With --detach: a file for the pid" };

/// `--log`.
pub static LOG: Flag = Flag {
    long: "log",
    short: None,
    value: Some("PATH"),
    summary: "With --detach: a file for the output (default: none)",
};

/// `--here`.
pub static HERE: Flag = Flag {
    long: "here",
    short: None,
    value: None,
    summary: "Also check commands, users, directories and ports",
};

/// `--from`.
pub static FROM: Flag = Flag {
    long: "from",
    short: None,
    value: Some("FORMAT"),
    summary: "supervisord, pm2, compose, procfile, s6 or systemd",
};

/// `--json`.
pub static JSON: Flag = Flag { long: "json", short: None, value: None, summary: "Print JSON" };

/// `--no-wait`.
pub static NO_WAIT: Flag =
    Flag { long: "no-wait", short: None, value: None, summary: "Return at once, before it is done" };

/// `--wait`.
pub static WAIT: Flag =
    Flag { long: "wait", short: None, value: None, summary: "Return when foster has ended" };

/// `--dry-run`.
pub static DRY_RUN: Flag =
    Flag { long: "dry-run", short: None, value: None, summary: "Only print what would change" };

/// `--timeout`.
pub static TIMEOUT: Flag = Flag {
    long: "timeout",
    short: None,
    value: Some("TIME"),
    summary: "Give up after this long, such as 1m (default: never)",
};

/// `--lines`.
pub static LINES: Flag = Flag {
    long: "lines",
    short: Some('n'),
    value: Some("N"),
    summary: "Only the last N (default: all in memory)",
};

/// `--follow`.
pub static FOLLOW: Flag =
    Flag { long: "follow", short: Some('f'), value: None, summary: "Follow new ones until interrupted" };

/// `--follow` of a run, which has an end.
pub static FOLLOW_RUN: Flag =
    Flag { long: "follow", short: Some('f'), value: None, summary: "Print the output of the run" };

/// `--since`.
pub static SINCE: Flag = Flag {
    long: "since",
    short: None,
    value: Some("TIME"),
    summary: "Only lines newer than this, such as 10m",
};

/// `--timestamps`.
pub static TIMESTAMPS: Flag =
    Flag { long: "timestamps", short: Some('t'), value: None, summary: "Show when each line was written" };

/// `--watch`.
pub static WATCH: Flag =
    Flag { long: "watch", short: Some('w'), value: None, summary: "Refresh every 2 s until interrupted" };

/// `--all`.
pub static ALL: Flag =
    Flag { long: "all", short: None, value: None, summary: "Also count programs that an operator stopped" };

/// `--event`.
pub static EVENT: Flag = Flag {
    long: "event",
    short: None,
    value: Some("NAMES"),
    summary: "Only these, such as exited,start_failed",
};

/// `--state`.
pub static STATE: Flag = Flag {
    long: "state",
    short: None,
    value: Some("NAMES"),
    summary: "Only changes to these states, such as fatal,backoff",
};

/// `--help`.
pub static HELP: Flag = Flag { long: "help", short: Some('h'), value: None, summary: "Print help" };

/// `--version`.
pub static VERSION: Flag =
    Flag { long: "version", short: Some('V'), value: None, summary: "Print the version" };
