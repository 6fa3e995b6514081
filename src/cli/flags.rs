//! The flags: one row each. Which verb takes which stands in the table of verbs.

/// One flag.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its long name, without dashes.
    pub long: &'static str,
    /// Its short name.
    pub short: Option<char>,
    /// What its value is, as usage shows it; `None`: it has none.
    pub value: Option<&'static str>,
    /// What it does, in half a line.
    pub summary: &'static str,
}

/// Where the socket is.
pub static SOCKET: Flag = Flag {
    long: "socket",
    short: None,
    value: Some("PATH"),
    summary: "The socket (else $FOSTER_SOCKET, else the configuration's)",
};

/// Which configuration.
pub static CONFIG: Flag = Flag {
    long: "config",
    short: Some('c'),
    value: Some("FILE"),
    summary: "The configuration (else $FOSTER_CONFIG, the usual places)",
};

/// Answers for machines.
pub static JSON: Flag = Flag { long: "json", short: None, value: None, summary: "Print JSON, for machines" };

/// Orders that are not waited for.
pub static NO_WAIT: Flag = Flag {
    long: "no-wait",
    short: None,
    value: None,
    summary: "Return when the order is given, not when it is done",
};

/// The end of patience.
pub static TIMEOUT: Flag = Flag {
    long: "timeout",
    short: None,
    value: Some("TIME"),
    summary: "Give up after this long, such as 30s or 1m (else never)",
};

/// How many lines.
pub static LINES: Flag = Flag {
    long: "lines",
    short: Some('n'),
    value: Some("N"),
    summary: "Only the last N; else all that are kept",
};

/// Lines to come.
pub static FOLLOW: Flag = Flag {
    long: "follow",
    short: Some('f'),
    value: None,
    summary: "Go on with what comes from now on, until interrupted",
};

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

/// Help with anything.
pub static HELP: Flag =
    Flag { long: "help", short: Some('h'), value: None, summary: "Print help, and do nothing else" };

/// Which foster this is.
pub static VERSION: Flag = Flag {
    long: "version",
    short: Some('V'),
    value: None,
    summary: "Print the version, and do nothing else",
};
