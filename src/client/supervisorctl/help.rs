//! The verbs of supervisorctl, and what each takes, in its own words.
//!
//! `help` prints it, and it follows a wrong command line.

/// A verb and its help.
struct Topic {
    verb: &'static str,
    text: &'static str,
    /// Whether it takes no argument.
    is_bare: bool,
}

const fn topic(verb: &'static str, text: &'static str) -> Topic {
    Topic { verb, text, is_bare: false }
}

const fn bare(verb: &'static str, text: &'static str) -> Topic {
    Topic { verb, text, is_bare: true }
}

/// Every verb, in the order of the alphabet.
const TOPICS: &[Topic] = &[
    topic("add", "add <name> [...]\tActivates any updates in config for process/group"),
    bare("avail", "avail\t\t\tDisplay all configured processes"),
    topic(
        "clear",
        "clear <name>\t\tClear a process' log files.\n\
         clear <name> <name>\tClear multiple process' log files\n\
         clear all\t\tClear all process' log files",
    ),
    topic("exit", "exit\tExit the supervisor shell."),
    topic("fg", "fg <process>\tConnect to a process in foreground mode\n\t\tCtrl-C to exit"),
    topic("help", "help\t\tPrint a list of available actions\nhelp <action>\tPrint help for <action>"),
    topic(
        "maintail",
        "maintail -f \tContinuous tail of supervisor main log file (Ctrl-C to exit)\n\
         maintail -100\tlast 100 *bytes* of supervisord main log file\n\
         maintail\tlast 1600 *bytes* of supervisor main log file\n",
    ),
    topic(
        "open",
        "open <url>\tConnect to a remote supervisord process.\n\
         \t\t(for UNIX domain socket, use unix:///socket/path)",
    ),
    topic(
        "pid",
        "pid\t\t\tGet the PID of supervisord.\n\
         pid <name>\t\tGet the PID of a single child process by name.\n\
         pid all\t\t\tGet the PID of every child process, one per line.",
    ),
    topic("quit", "quit\tExit the supervisor shell."),
    bare("reload", "reload \t\tRestart the remote supervisord."),
    topic("remove", "remove <name> [...]\tRemoves process/group from active config"),
    bare("reread", "reread \t\t\tReload the daemon's configuration files without add/remove"),
    topic(
        "restart",
        "restart <name>\t\tRestart a process\n\
         restart <gname>:*\tRestart all processes in a group\n\
         restart <name> <name>\tRestart multiple processes or groups\n\
         restart all\t\tRestart all processes\n\
         Note: restart does not reread config files. For that, see reread and update.",
    ),
    bare("shutdown", "shutdown \tShut the remote supervisord down."),
    topic(
        "signal",
        "signal <signal name> <name>\t\tSignal a process\n\
         signal <signal name> <gname>:*\t\tSignal all processes in a group\n\
         signal <signal name> <name> <name>\tSignal multiple processes or groups\n\
         signal <signal name> all\t\tSignal all processes",
    ),
    topic(
        "start",
        "start <name>\t\tStart a process\n\
         start <gname>:*\t\tStart all processes in a group\n\
         start <name> <name>\tStart multiple processes or groups\n\
         start all\t\tStart all processes",
    ),
    topic(
        "status",
        "status <name>\t\tGet status for a single process\n\
         status <gname>:*\tGet status for all processes in a group\n\
         status <name> <name>\tGet status for multiple named processes\n\
         status\t\t\tGet all process status info",
    ),
    topic(
        "stop",
        "stop <name>\t\tStop a process\n\
         stop <gname>:*\t\tStop all processes in a group\n\
         stop <name> <name>\tStop multiple processes or groups\n\
         stop all\t\tStop all processes",
    ),
    topic(
        "tail",
        "tail [-f] <name> [stdout|stderr] (default stdout)\n\
         Ex:\n\
         tail -f <name>\t\tContinuous tail of named process stdout\n\
         \t\t\tCtrl-C to exit.\n\
         tail -100 <name>\tlast 100 *bytes* of process stdout\n\
         tail <name> stderr\tlast 1600 *bytes* of process stderr",
    ),
    topic(
        "update",
        "update\t\t\tReload config and add/remove as necessary, and will restart affected programs\n\
         update all\t\tReload config and add/remove as necessary, and will restart affected programs\n\
         update <gname> [...]\tUpdate specific groups",
    ),
    bare("version", "version\t\t\tShow the version of the remote supervisord process"),
];

/// The list of verbs.
pub(super) const OVERVIEW: &str = "
default commands (type help <topic>):
=====================================
add    exit      open  reload  restart   start   tail   
avail  fg        pid   remove  shutdown  status  update 
clear  maintail  quit  reread  signal    stop    version
";

/// The help of a verb.
pub(super) fn of(verb: &str) -> Option<&'static str> {
    TOPICS.iter().find(|topic| topic.verb == verb).map(|topic| topic.text)
}

/// Every verb.
pub(super) fn verbs() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|topic| topic.verb)
}

/// Whether a verb takes no argument.
pub(super) fn is_bare(verb: &str) -> bool {
    TOPICS.iter().any(|topic| topic.verb == verb && topic.is_bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_names_every_verb_but_help() {
        let mut listed: Vec<&str> = OVERVIEW.lines().skip(3).flat_map(str::split_whitespace).collect();
        listed.sort_unstable();
        let verbs = TOPICS.iter().map(|topic| topic.verb).filter(|verb| *verb != "help");
        assert_eq!(listed, verbs.collect::<Vec<_>>());
    }
}
