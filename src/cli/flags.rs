//! The flags: one row each, with the sentence that the help has for it.
//!
//! Which verb takes which flag: the table of verbs in `commands.rs`. Pure data.

/// One flag.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its long name, without dashes.
    pub long: &'static str,
    /// Its short name.
    pub short: Option<char>,
    /// Its value, as usage shows it; `None`: it has none.
    pub value: Option<&'static str>,
    /// What it does, in half a line.
    pub summary: &'static str,
}

/// Other long names of flags, as other tools have them.
const ALIASES: [(&str, &str); 1] = [("tail", "lines")];

/// The name of the flag that this long name stands for.
pub(super) fn full_name(long: &str) -> &str {
    ALIASES.iter().find(|(alias, _)| *alias == long).map_or(long, |(_, name)| *name)
}

/// Where the socket is.
pub static SOCKET: Flag = Flag {
    long: "socket",
    short: None,
    value: Some("PATH"),
    summary: "The socket (default: $FOSTER_SOCKET or as configured)",
};

/// Which configuration.
pub static CONFIG: Flag = Flag {
    long: "config",
    short: Some('c'),
    value: Some("FILE"),
    summary: "The configuration (default: $FOSTER_CONFIG or usual paths)",
};

/// Checks more than the file.
pub static HERE: Flag = Flag {
    long: "here",
    short: None,
    value: None,
    summary: "Also check commands, users, directories and ports",
};

/// The form of the answer.
pub static JSON: Flag = Flag { long: "json", short: None, value: None, summary: "Print JSON" };

/// Whether an order is waited for.
pub static NO_WAIT: Flag =
    Flag { long: "no-wait", short: None, value: None, summary: "Return at once, before it is done" };

/// How long to wait.
pub static TIMEOUT: Flag = Flag {
    long: "timeout",
    short: None,
    value: Some("TIME"),
    summary: "Give up after this long, such as 1m (default: never)",
};

/// How many lines.
pub static LINES: Flag = Flag {
    long: "lines",
    short: Some('n'),
    value: Some("N"),
    summary: "Only the last N (default: all in memory)",
};

/// Whether new lines follow.
pub static FOLLOW: Flag =
    Flag { long: "follow", short: Some('f'), value: None, summary: "Follow new ones until interrupted" };

/// How old lines may be.
pub static SINCE: Flag = Flag {
    long: "since",
    short: None,
    value: Some("TIME"),
    summary: "Only lines newer than this, such as 10m",
};

/// Show the time of each line.
pub static TIMESTAMPS: Flag =
    Flag { long: "timestamps", short: Some('t'), value: None, summary: "Show when each line was written" };

/// Refresh.
pub static WATCH: Flag =
    Flag { long: "watch", short: Some('w'), value: None, summary: "Refresh every 2 s until interrupted" };

/// Also count programs that an operator stopped.
pub static ALL: Flag =
    Flag { long: "all", short: None, value: None, summary: "Also count programs that an operator stopped" };

/// Which events.
pub static EVENT: Flag = Flag {
    long: "event",
    short: None,
    value: Some("NAMES"),
    summary: "Only these, such as exited,start_failed",
};

/// Which changes of state.
pub static STATE: Flag = Flag {
    long: "state",
    short: None,
    value: Some("NAMES"),
    summary: "Only changes to these states, such as fatal,backoff",
};

/// Help.
pub static HELP: Flag = Flag { long: "help", short: Some('h'), value: None, summary: "Print help" };

/// The version.
pub static VERSION: Flag =
    Flag { long: "version", short: Some('V'), value: None, summary: "Print the version" };
