//! The verbs that need no supervisor, and `run`, which becomes one.
//!
//! Each has a variant in `command.rs` and an arm in `lib.rs`. Pure. Next: `verb.rs`, the columns.

use super::super::command::Command;
use super::super::flags::{CONFIG, DETACH, FROM, HERE, JSON, LOG, PID_FILE, SOCKET};
use super::super::verb::{Group, Printer, Verb};
use super::super::verb_args;
use super::{DONE, FAILED, USAGE, WRONG_USAGE};
use crate::exit::ExitStatus;

const LOCAL_STATUSES: &[(ExitStatus, &str)] = &[(DONE, "done"), WRONG_USAGE];

/// The verbs, each group in the order of the help.
pub(super) static VERBS: &[Verb] = &[
    Verb {
        name: "run",
        aliases: &[],
        group: Group::Run,
        summary: "Run the programs of a configuration (also without a verb)",
        arguments: "[FILE]",
        about: "Starts the programs in order, restarts them when they fail, and stops them in\n\
                reverse order: the command for a container's CMD. When a program ends the\n\
                container, foster exits with its status. The configuration is the first of FILE,\n\
                -c, $FOSTER_CONFIG, /etc/foster/foster.toml, /etc/foster.toml, ./foster.toml.\n\n\
                With --detach foster runs in a new session, also after a logout. The\n\
                command returns when all that starts with foster is ready, or, with the reason\n\
                and status 1, when a start fails. The log is rotated: log_max_size and log_keep\n\
                of the configuration.",
        flags: &[&DETACH, &PID_FILE, &LOG, &CONFIG],
        examples: &[
            ("run", "use the first configuration found"),
            ("run app.toml", "use this one"),
            ("run -d --log foster.log", "on a machine without a container"),
        ],
        statuses: &[
            (DONE, "it was stopped by request, every program succeeded, or (-d) all is ready"),
            (FAILED, "another foster is running here, or foster cannot continue"),
            (USAGE, "the command line or the configuration is invalid"),
        ],
        answer: Printer::Nothing,
        read: verb_args::run,
    },
    Verb {
        name: "check",
        aliases: &["config", "validate", "test"],
        group: Group::Run,
        summary: "Check the configuration and print the start order",
        arguments: "[FILE]",
        about: "Reports all errors at once, each with file, line and column. Starts nothing and\n\
                needs no supervisor. With `--here` it also checks, as each program's user, its\n\
                command, directory, files and ports: `RUN foster check --here` in a Dockerfile.",
        flags: &[&HERE, &CONFIG, &JSON],
        examples: &[("check app.toml", "check this file"), ("check --here", "also what it refers to")],
        statuses: &[
            (DONE, "the configuration is valid"),
            (USAGE, "the command line or the configuration is invalid"),
        ],
        answer: Printer::Nothing,
        read: verb_args::check,
    },
    Verb {
        name: "init",
        aliases: &[],
        group: Group::Run,
        summary: "Write a first configuration for what the image contains",
        arguments: "[FILE]",
        about: "Converts supervisord.conf, a PM2 ecosystem file or a Procfile; without one, it\n\
                looks for a Python or Node application, php-fpm, redis and nginx, in the working\n\
                directory and in folders such as /app. It executes nothing. FILE is foster.toml\n\
                by default; an existing file is not overwritten.",
        flags: &[],
        examples: &[
            ("init", "write ./foster.toml"),
            ("init /etc/foster.toml", "in a Dockerfile, then `foster check --here`"),
            ("init -", "print it"),
        ],
        statuses: &[
            (DONE, "the file was written"),
            (FAILED, "nothing was found, or the file exists or cannot be written"),
            WRONG_USAGE,
        ],
        answer: Printer::Nothing,
        read: verb_args::init,
    },
    Verb {
        name: "migrate",
        aliases: &[],
        group: Group::Run,
        summary: "Print another tool's configuration as TOML",
        arguments: "FILE",
        about: "Prints a foster.toml that does the same; what has no equal is a comment with its\n\
                line. FILE is supervisord's (.conf, .ini), PM2's ecosystem file (node runs\n\
                JavaScript), a compose file, a Procfile, a systemd unit or a folder of them,\n\
                or a tree with s6-overlay's s6-rc.d.",
        flags: &[&FROM],
        examples: &[
            ("migrate supervisord.conf", "redirect it, then `foster check`"),
            ("migrate --from systemd web.unit", "if the name does not tell the format"),
        ],
        statuses: &[(DONE, "it was printed"), (USAGE, "the command line or the file is invalid")],
        answer: Printer::Nothing,
        read: verb_args::migrate,
    },
    Verb {
        name: "doctor",
        aliases: &[],
        group: Group::Inspect,
        summary: "Show what foster finds in its environment",
        arguments: "",
        about: "Checks namespaces, users, capabilities, cgroup, limits, streams and the socket,\n\
                and explains each finding. Examines PID 1 if that is foster, otherwise itself.\n\
                Needs no supervisor and no configuration.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[("doctor", "from outside: `docker exec app foster doctor`")],
        statuses: &[
            (DONE, "foster can work here"),
            (FAILED, "foster cannot work here: see the lines marked `bad`"),
            WRONG_USAGE,
        ],
        answer: Printer::Nothing,
        read: verb_args::doctor,
    },
    Verb {
        name: "schema",
        aliases: &[],
        group: Group::About,
        summary: "Print the JSON Schema of foster.toml, for editors",
        arguments: "",
        about: "An editor with the schema completes and checks a configuration as you type.\n\
                Taplo uses it if the first line is `#:schema ./foster.schema.json`.",
        flags: &[],
        examples: &[("schema", "add `>foster.schema.json` to save it")],
        statuses: LOCAL_STATUSES,
        answer: Printer::Nothing,
        read: |_| Ok(Command::Schema),
    },
    Verb {
        name: "completions",
        aliases: &["completion"],
        group: Group::About,
        summary: "Print a script that completes foster's command lines",
        arguments: "SHELL",
        about: "For bash, zsh and fish. Completes verbs, flags, signals, states, events, and the\n\
                names of programs if a supervisor answers. With `-- WORD...` it prints the\n\
                completions of the last of these words, which is how the scripts call it.",
        flags: &[],
        examples: &[
            ("completions bash", "save as /etc/bash_completion.d/foster"),
            ("completions zsh", "save as `_foster` in a directory of $fpath"),
            ("completions fish", "save as ~/.config/fish/completions/foster.fish"),
        ],
        statuses: LOCAL_STATUSES,
        answer: Printer::Nothing,
        read: verb_args::completions,
    },
    Verb {
        name: "version",
        aliases: &[],
        group: Group::About,
        summary: "Print the version",
        arguments: "",
        about: "",
        flags: &[&JSON],
        examples: &[],
        statuses: LOCAL_STATUSES,
        answer: Printer::Nothing,
        read: verb_args::version,
    },
    Verb {
        name: "help",
        aliases: &[],
        group: Group::About,
        summary: "Print the overview, or the help of one verb",
        arguments: "[VERB]",
        about: "",
        flags: &[],
        examples: &[("help status", "the same as `foster status --help`")],
        statuses: LOCAL_STATUSES,
        answer: Printer::Nothing,
        read: verb_args::help,
    },
];
