//! The verbs: one row each, with everything there is to know about one.
//!
//! The table drives the parser, the help, the manual page and completions, and says how the client shows the
//! answer. To add a verb: a row here, its variant in `control/protocol.rs`, its arm in `init/requests/mod.rs`; and
//! where its arguments are of a new form, a function in `verb_args.rs`. Pure, like all of `cli/`. What a row has:
//! `verb.rs`.

use super::command::Command;
use super::flags::{
    self, ALL, CONFIG, EVENT, FOLLOW, Flag, HERE, JSON, LINES, NO_WAIT, SINCE, SOCKET, STATE, TIMEOUT,
    TIMESTAMPS, WATCH,
};
use super::verb::{Group, Printer, Verb};
use super::verb_args;
use crate::control::protocol::Request;
use crate::exit::ExitStatus;

impl Verb {
    /// The verb of this name, or of this alias.
    pub fn by_name(name: &str) -> Option<&'static Verb> {
        COMMANDS.iter().find(|verb| verb.name == name || verb.aliases.contains(&name))
    }
}

/// The flags of this verb; without one, those of all verbs.
pub(super) fn flags_of(verb: Option<&'static Verb>) -> impl Iterator<Item = &'static Flag> {
    let meant = move |candidate: &&'static Verb| verb.is_none_or(|verb| verb.name == candidate.name);
    let own = COMMANDS.iter().filter(meant).flat_map(|verb| verb.flags.iter().copied());
    let version: Option<&'static Flag> = verb.is_none().then_some(&flags::VERSION);
    own.chain([&flags::HELP]).chain(version)
}

const DONE: ExitStatus = ExitStatus::DONE;
const FAILED: ExitStatus = ExitStatus::FAILED;
const USAGE: ExitStatus = ExitStatus::USAGE;

const WRONG_USAGE: (ExitStatus, &str) = (USAGE, "the command line is wrong");
const NO_ANSWER: (ExitStatus, &str) = (ExitStatus::NO_SUPERVISOR, "no supervisor answers");
const LOOK_STATUSES: &[(ExitStatus, &str)] =
    &[(DONE, "done"), (FAILED, "there is no such name"), WRONG_USAGE, NO_ANSWER];
const ORDER_STATUSES: &[(ExitStatus, &str)] = &[
    (DONE, "done for each of them; an order that is already fulfilled succeeds"),
    (FAILED, "it failed for one of them, or there is no such name"),
    WRONG_USAGE,
    NO_ANSWER,
];
const LOCAL_STATUSES: &[(ExitStatus, &str)] = &[(DONE, "done"), WRONG_USAGE];
const ORDER_FLAGS: &[&Flag] = &[&NO_WAIT, &JSON, &SOCKET, &CONFIG];

/// Every verb.
pub static COMMANDS: &[Verb] = &[
    Verb {
        name: "run",
        aliases: &[],
        group: Group::Run,
        summary: "Run the programs of a configuration (also without a verb)",
        arguments: "[FILE]",
        about: "Starts the programs in order, restarts them when they fail, and stops them in\n\
                reverse order. This is what a container's CMD says. When a program or task ends\n\
                the container, foster exits with its status. The configuration is FILE, -c,\n\
                $FOSTER_CONFIG, /etc/foster/foster.toml, /etc/foster.toml or ./foster.toml:\n\
                the first of these.",
        flags: &[&CONFIG],
        examples: &[("run", "with ./foster.toml, or where else it is"), ("run app.toml", "with this file")],
        statuses: &[
            (DONE, "ordered to stop, or everything ended with success"),
            (FAILED, "another foster answers at the socket, or foster cannot go on"),
            (USAGE, "the command line or the configuration is wrong"),
        ],
        answer: Printer::Nothing,
        read: verb_args::run,
    },
    Verb {
        name: "check",
        aliases: &["config", "validate", "test"],
        group: Group::Run,
        summary: "Check the configuration, and print the order of starts",
        arguments: "[FILE]",
        about: "Reports every error at once, each with its place. Starts nothing, and needs no\n\
                supervisor. With `--here` it also looks, as each program's user, for its\n\
                command, directory, files and ports: `RUN foster check --here` in a Dockerfile.",
        flags: &[&HERE, &CONFIG, &JSON],
        examples: &[("check app.toml", "this file"), ("check --here", "also what it needs")],
        statuses: &[(DONE, "it is valid"), (USAGE, "the command line or the configuration is wrong")],
        answer: Printer::Nothing,
        read: verb_args::check,
    },
    Verb {
        name: "status",
        aliases: &["ps", "list", "ls", "top", "describe", "info", "monit"],
        group: Group::Look,
        summary: "Show the state of programs",
        arguments: "[NAME...]",
        about: "One row for each instance of all programs, or of those named. On a terminal the\n\
                table fits its width: long notes are cut, `--json` has them whole.",
        flags: &[&WATCH, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("status", "of all programs"),
            ("status 'web*'", "of those whose name begins with web"),
            ("status -w", "again every 2 seconds"),
            ("status --json", "an array of rows"),
        ],
        statuses: &[
            (DONE, "every program that is wanted, or was named, runs or has ended with success"),
            (FAILED, "there is no such name"),
            WRONG_USAGE,
            (ExitStatus::NOT_RUNNING, "a program that is wanted, or was named, does not run"),
            NO_ANSWER,
        ],
        answer: Printer::Table,
        read: verb_args::status,
    },
    Verb {
        name: "logs",
        aliases: &["log", "tail"],
        group: Group::Look,
        summary: "Show the last lines of output",
        arguments: "[NAME...]",
        about: "Of all programs, or of those named, as far as foster keeps them in memory. With\n\
                --json each line is an object. With -f it goes on, also with programs that\n\
                appear later, and ends with 0 when foster has ended in order, or no program has\n\
                that name any longer. A note says where lines are missing.",
        flags: &[&LINES, &FOLLOW, &SINCE, &TIMESTAMPS, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("logs -n 20 backend", "its last 20 lines"),
            ("logs -f", "of all programs, as it comes"),
            ("logs -t --since 10m", "of the last ten minutes, with times"),
        ],
        statuses: LOOK_STATUSES,
        answer: Printer::Output,
        read: verb_args::logs,
    },
    Verb {
        name: "events",
        aliases: &[],
        group: Group::Look,
        summary: "Show what happened, and why",
        arguments: "[NAME...]",
        about: "Every change of a state, each update, and the shutdown, as far as foster keeps\n\
                them in memory. With --json each is an object on a line, with the fields of\n\
                foster's own log. Events: waiting, starting, ready, not_ready, start_failed,\n\
                unhealthy, recovered, exited, processes_left, stopping, not_killed, stopped,\n\
                changed, removed, updated, update_failed, shutdown, exit. With -f it goes on,\n\
                and ends with 0 when foster has ended in order, or no program has that name any\n\
                longer. A note says where events are missing.",
        flags: &[&LINES, &FOLLOW, &EVENT, &STATE, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("events backend", "what happened to it"),
            ("events -f --json", "everything, as it happens, as JSON"),
            ("events -f -n 0 --state fatal", "which programs give up from now on"),
        ],
        statuses: LOOK_STATUSES,
        answer: Printer::Events,
        read: verb_args::events,
    },
    Verb {
        name: "doctor",
        aliases: &[],
        group: Group::Look,
        summary: "Show what foster sees of its environment, and what it means",
        arguments: "",
        about: "Namespaces, users, capabilities, cgroup, limits, streams, the socket. Looks at\n\
                PID 1 where that is foster, else at itself. Needs no supervisor and no\n\
                configuration.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[("doctor", "in a container: `docker exec app foster doctor`")],
        statuses: &[
            (DONE, "foster can work here"),
            (FAILED, "foster cannot work here: see what is marked `bad`"),
            WRONG_USAGE,
        ],
        answer: Printer::Nothing,
        read: verb_args::doctor,
    },
    Verb {
        name: "start",
        aliases: &[],
        group: Group::Operate,
        summary: "Start programs, and wait until they are ready",
        arguments: "NAME...",
        about: "A fatal program starts with a fresh count of failures.",
        flags: ORDER_FLAGS,
        examples: &[("start worker", "and wait until it is ready"), ("start --no-wait all", "and go on")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: |args| verb_args::order(args, Request::Start),
    },
    Verb {
        name: "stop",
        aliases: &[],
        group: Group::Operate,
        summary: "Stop programs, and wait until they are down",
        arguments: "NAME...",
        about: "They stay down until a start. The container goes on.",
        flags: ORDER_FLAGS,
        examples: &[("stop worker", "until a start"), ("stop backend.1", "only this instance")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: |args| verb_args::order(args, Request::Stop),
    },
    Verb {
        name: "restart",
        aliases: &[],
        group: Group::Operate,
        summary: "Stop programs, and start them again",
        arguments: "NAME...",
        about: "A program that is down is started.",
        flags: ORDER_FLAGS,
        examples: &[("restart backend", "and wait until it is ready again")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: |args| verb_args::order(args, Request::Restart),
    },
    Verb {
        name: "reload",
        aliases: &[],
        group: Group::Operate,
        summary: "Have programs read their own configuration again",
        arguments: "NAME...",
        about: "Sends each its `reload_signal`: HUP to nginx and gunicorn, for instance.",
        flags: ORDER_FLAGS,
        examples: &[("reload nginx", "have it read nginx.conf again")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: |args| verb_args::order(args, Request::Reload),
    },
    Verb {
        name: "signal",
        aliases: &[],
        group: Group::Operate,
        summary: "Send a signal to programs",
        arguments: "SIGNAL NAME...",
        about: "To the main process of each. The signal is a name, with or without SIG, or a\n\
                number.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[
            ("signal USR1 nginx", "reopen its log files"),
            ("signal 10 'web*'", "the same, to several"),
        ],
        statuses: &[
            (DONE, "it was sent to each of them"),
            (FAILED, "one of them does not run, or it could not be sent, or there is no such name"),
            WRONG_USAGE,
            NO_ANSWER,
        ],
        answer: Printer::Outcomes("done"),
        read: verb_args::signal,
    },
    Verb {
        name: "update",
        aliases: &[],
        group: Group::Operate,
        summary: "Read the configuration again, and apply what changed",
        arguments: "",
        about: "Starts new programs, stops those that were removed, restarts those whose process\n\
                definition changed, and touches nothing else. A configuration with an error\n\
                changes nothing: the report is shown. The file is the one foster was started\n\
                with. SIGHUP does the same. A program that an operator stopped stays stopped.",
        flags: &[&NO_WAIT, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("check", "whether it is valid, first"),
            ("update", "apply it, and wait until that is done"),
        ],
        statuses: &[
            (DONE, "done"),
            (FAILED, "the configuration has an error, or a program could not be started"),
            WRONG_USAGE,
            NO_ANSWER,
        ],
        answer: Printer::Update,
        read: verb_args::update,
    },
    Verb {
        name: "exec",
        aliases: &[],
        group: Group::Operate,
        summary: "Run a command as a program would run it",
        arguments: "NAME -- COMMAND [ARG...]",
        about: "With the program's environment, secrets, user, groups, directory, umask, limits\n\
                and capabilities, and foster's environment where the program inherits it. The\n\
                terminal and the descriptors are those of this command line. The program need\n\
                not run. `foster sh NAME` is short for `foster exec NAME -- sh`. Works for root,\n\
                and for foster's own user as far as its rights go.",
        flags: &[&SOCKET, &CONFIG],
        examples: &[
            ("exec backend -- alembic upgrade head", "run a migration by hand"),
            ("exec backend -- sh", "look around"),
        ],
        statuses: &[
            (FAILED, "there is no such name, or the environment cannot be made"),
            WRONG_USAGE,
            NO_ANSWER,
            (ExitStatus::NOT_EXECUTABLE, "the command cannot be run"),
            (ExitStatus::NOT_FOUND, "there is no such command; any other status is the command's own"),
        ],
        answer: Printer::Nothing,
        read: verb_args::exec,
    },
    Verb {
        name: "shutdown",
        aliases: &[],
        group: Group::Operate,
        summary: "Stop everything in order, and end the container",
        arguments: "",
        about: "Returns when the shutdown has begun. The container ends with status 0: a restart\n\
                policy such as `unless-stopped` starts it again.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[("shutdown", "as `docker stop` does")],
        statuses: &[(DONE, "it has begun"), (FAILED, "it was refused"), WRONG_USAGE, NO_ANSWER],
        answer: Printer::Outcomes("done"),
        read: |args| Ok(verb_args::client(args, Request::Shutdown {})),
    },
    Verb {
        name: "health",
        aliases: &[],
        group: Group::Orchestrator,
        summary: "Tell whether everything is ready and healthy",
        arguments: "[NAME...]",
        about: "For Docker's HEALTHCHECK and an exec probe of Kubernetes. Prints a line for each\n\
                program that is not. Answers at once, from state. A program that an order\n\
                stopped does not count, unless it is named or --all is given.",
        flags: &[&ALL, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("health", "of all programs that start with the container"),
            ("health --all", "for readiness: a stopped program counts too"),
            ("health backend", "of this one"),
        ],
        statuses: &[
            (DONE, "all are ready and healthy"),
            (FAILED, "one is not, no supervisor answers, or anything else is wrong"),
        ],
        answer: Printer::Failures("healthy"),
        read: verb_args::health,
    },
    Verb {
        name: "wait",
        aliases: &[],
        group: Group::Orchestrator,
        summary: "Wait until programs are ready",
        arguments: "NAME...",
        about: "Returns at once where they are ready already.",
        flags: &[&TIMEOUT, &JSON, &SOCKET, &CONFIG],
        examples: &[("wait --timeout 30s backend", "for half a minute at most")],
        statuses: &[
            (DONE, "all are ready"),
            (FAILED, "one is not ready in time or never will be, or there is no such name"),
            WRONG_USAGE,
            NO_ANSWER,
        ],
        answer: Printer::Outcomes("ready"),
        read: verb_args::wait,
    },
    Verb {
        name: "schema",
        aliases: &[],
        group: Group::About,
        summary: "Print the JSON Schema of foster.toml, for editors",
        arguments: "",
        about: "An editor that has it completes and checks a configuration while it is written.\n\
                Where the first line is `#:schema ./foster.schema.json`, Taplo takes it.",
        flags: &[],
        examples: &[("schema", "with `>foster.schema.json` behind it, to keep it")],
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
        about: "For bash, zsh and fish: verbs, flags, signals, states, events, and the names of\n\
                programs where a supervisor answers. With `-- WORD...` it prints what completes\n\
                the last of these words: the scripts use that.",
        flags: &[],
        examples: &[
            ("completions bash", "for /etc/bash_completion.d/foster"),
            ("completions zsh", "for `_foster` in a folder of $fpath"),
            ("completions fish", "for ~/.config/fish/completions/foster.fish"),
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
        summary: "Print this, or all about one verb",
        arguments: "[VERB]",
        about: "",
        flags: &[],
        examples: &[("help status", "the same as `foster status --help`")],
        statuses: LOCAL_STATUSES,
        answer: Printer::Nothing,
        read: verb_args::help,
    },
];
