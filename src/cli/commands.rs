//! The verbs: one row each, and all there is to know about one in its row.
//!
//! The table drives the parser, the help, and whatever else lists verbs. To add one: write its row, and in
//! `reading.rs` the function that makes a [`Command`] of what was given. Pure, like all of `cli/`.

use super::flags::{CONFIG, EVENT, FOLLOW, Flag, JSON, LINES, NO_WAIT, SOCKET, STATE, TIMEOUT};
use super::given::Given;
use super::{Command, Order, Problem, reading};
use crate::exit::ExitStatus;

/// One verb.
#[derive(Debug)]
pub struct Verb {
    /// What it is called.
    pub name: &'static str,
    /// Under which task the help lists it.
    pub group: Group,
    /// What it does, in half a line.
    pub summary: &'static str,
    /// What is given beside flags, as usage shows it; empty: nothing.
    pub arguments: &'static str,
    /// What else there is to know: lines of at most 80 columns.
    pub about: &'static str,
    /// The flags it takes, beside `--help`.
    pub flags: &'static [&'static Flag],
    /// Command lines after `foster`, each with what it is for.
    pub examples: &'static [(&'static str, &'static str)],
    /// With what it may end, and when. It ends with nothing else: see [`Verb::status`].
    pub statuses: &'static [(ExitStatus, &'static str)],
    /// Makes a command of what was given.
    pub(super) read: fn(&mut Given) -> Result<Command, Problem>,
}

/// What one wants to do: the help lists verbs by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Run and check.
    Run,
    /// Look.
    Look,
    /// Operate.
    Operate,
    /// For the orchestrator.
    Orchestrator,
    /// About foster.
    About,
}

impl Group {
    /// Every group, in the order in which the help lists them.
    pub const ALL: [Group; 5] = [Group::Run, Group::Look, Group::Operate, Group::Orchestrator, Group::About];

    /// Its heading.
    pub const fn title(self) -> &'static str {
        match self {
            Group::Run => "Run and check",
            Group::Look => "Look",
            Group::Operate => "Operate",
            Group::Orchestrator => "For the orchestrator",
            Group::About => "About foster",
        }
    }
}

impl Verb {
    /// The verb called so.
    pub fn called(name: &str) -> Option<&'static Verb> {
        COMMANDS.iter().find(|verb| verb.name == name)
    }

    /// Whether what is given last is a command line of its own.
    pub(super) fn ends_with_a_command(&self) -> bool {
        self.arguments.ends_with(COMMAND)
    }

    /// What it ends with in this case: a verb that promises less than others says it fails.
    pub fn status(&self, wanted: ExitStatus) -> ExitStatus {
        let promised = self.statuses.iter().any(|&(status, _)| status == wanted);
        if promised { wanted } else { ExitStatus::FAILED }
    }
}

/// How usage shows a command line of its own.
const COMMAND: &str = "-- COMMAND [ARG...]";

const DONE: ExitStatus = ExitStatus::DONE;
const FAILED: ExitStatus = ExitStatus::FAILED;
const USAGE: ExitStatus = ExitStatus::USAGE;

const WRONG_USAGE: (ExitStatus, &str) = (USAGE, "the command line is wrong");
const NOBODY_ANSWERS: (ExitStatus, &str) = (ExitStatus::NO_SUPERVISOR, "no supervisor answers");
const ORDER_STATUSES: &[(ExitStatus, &str)] = &[
    (DONE, "done, for each of them; what was so already counts as done"),
    (FAILED, "it failed for one of them, or there is no such name"),
    WRONG_USAGE,
    NOBODY_ANSWERS,
];
const ORDER_FLAGS: &[&Flag] = &[&NO_WAIT, &SOCKET, &CONFIG];

/// Every verb.
pub static COMMANDS: &[Verb] = &[
    Verb {
        name: "run",
        group: Group::Run,
        summary: "Run what the configuration says (also without a verb)",
        arguments: "",
        about: "Starts the programs in order, keeps them up, and ends when told to. This is what\n\
                a container's CMD says. Where a program or task ends the container, foster ends\n\
                with the exit status of that. The configuration is looked for in -c,\n\
                $FOSTER_CONFIG, /etc/foster/foster.toml, /etc/foster.toml, ./foster.toml.",
        flags: &[&CONFIG],
        examples: &[("", "run ./foster.toml, or wherever it is"), ("run -c app.toml", "run this one")],
        statuses: &[
            (DONE, "told to stop, or everything ended with success"),
            (FAILED, "another foster answers at the socket, or foster cannot go on"),
            (USAGE, "the command line or the configuration is wrong"),
        ],
        read: reading::run,
    },
    Verb {
        name: "check",
        group: Group::Run,
        summary: "Check the configuration, and print the order of starts",
        arguments: "",
        about: "Reports every error at once, each with its place. Starts nothing, and needs no\n\
                supervisor.",
        flags: &[&CONFIG, &JSON],
        examples: &[("check", "check what `foster run` would run"), ("check -c app.toml", "check this one")],
        statuses: &[(DONE, "it is in order"), (USAGE, "the command line or the configuration is wrong")],
        read: reading::check,
    },
    Verb {
        name: "status",
        group: Group::Look,
        summary: "Show how programs stand",
        arguments: "[NAME...]",
        about: "One row for each instance, of everybody or of those named.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[
            ("status", "everybody"),
            ("status 'web*'", "all whose name begins with web"),
            ("status --json", "an array of rows, for machines"),
        ],
        statuses: &[
            (DONE, "all that is wanted, or was named, runs or has ended with success"),
            (FAILED, "there is no such name"),
            WRONG_USAGE,
            (ExitStatus::NOT_RUNNING, "something that is wanted, or was named, does not run"),
            NOBODY_ANSWERS,
        ],
        read: reading::status,
    },
    Verb {
        name: "logs",
        group: Group::Look,
        summary: "Show the last lines of output",
        arguments: "[NAME...]",
        about: "As far as foster keeps them in memory. With --json each is an object on a line\n\
                of its own. With -f also those of programs that appear later; it ends with 0\n\
                when foster has ended in order, or nobody is called so any more. A reader who is\n\
                too slow is told that it has missed lines.",
        flags: &[&LINES, &FOLLOW, &JSON, &SOCKET, &CONFIG],
        examples: &[("logs -n 20 backend", "its last 20 lines"), ("logs -f", "everybody's, as they come")],
        statuses: &[(DONE, "done"), (FAILED, "there is no such name"), WRONG_USAGE, NOBODY_ANSWERS],
        read: reading::logs,
    },
    Verb {
        name: "events",
        group: Group::Look,
        summary: "Show what happened, and why",
        arguments: "[NAME...]",
        about: "Every change of a state, each update, and the shutdown: the last of them, as far\n\
                as foster keeps them in memory. With --json each is an object on a line of its\n\
                own, with the fields of foster's own log. Events: waiting, starting, ready,\n\
                not_ready, start_failed, exited, left_others, stopping, stopped, changed,\n\
                removed, updated, update_failed, shutdown, exit. With -f it ends with 0 when\n\
                foster has ended in order, or nobody is called so any more. A reader who is too\n\
                slow is told how many it has missed.",
        flags: &[&LINES, &FOLLOW, &EVENT, &STATE, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("events backend", "what happened to it"),
            ("events -f --json", "everything, as it happens, for machines"),
            ("events -f -n 0 --state fatal", "who gives up from now on"),
        ],
        statuses: &[(DONE, "done"), (FAILED, "there is no such name"), WRONG_USAGE, NOBODY_ANSWERS],
        read: reading::events,
    },
    Verb {
        name: "doctor",
        group: Group::Look,
        summary: "Show what foster sees of its surroundings, and what it means",
        arguments: "",
        about: "Namespaces, users, capabilities, cgroup, limits, streams, the socket. Looks at\n\
                PID 1 where that is foster, else at itself. Needs no supervisor and no\n\
                configuration.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[("doctor", "in a container: `docker exec app foster doctor`")],
        statuses: &[
            (DONE, "nothing keeps foster from working here"),
            (FAILED, "something does: it is marked `bad`"),
            WRONG_USAGE,
        ],
        read: reading::doctor,
    },
    Verb {
        name: "start",
        group: Group::Operate,
        summary: "Start programs, and wait until they are ready",
        arguments: "NAME...",
        about: "What is fatal begins with a fresh count of failures.",
        flags: ORDER_FLAGS,
        examples: &[("start worker", "and wait until it is ready"), ("start --no-wait all", "and go on")],
        statuses: ORDER_STATUSES,
        read: |given| reading::order(given, Order::Start),
    },
    Verb {
        name: "stop",
        group: Group::Operate,
        summary: "Stop programs, and wait until they are down",
        arguments: "NAME...",
        about: "They stay down until a start. The container lives on.",
        flags: ORDER_FLAGS,
        examples: &[("stop worker", "until a start"), ("stop backend.1", "only this instance")],
        statuses: ORDER_STATUSES,
        read: |given| reading::order(given, Order::Stop),
    },
    Verb {
        name: "restart",
        group: Group::Operate,
        summary: "Stop programs, and start them again",
        arguments: "NAME...",
        about: "What is down is started. For a restart without a gap see `foster help reload`.",
        flags: ORDER_FLAGS,
        examples: &[("restart backend", "and wait until it is ready again")],
        statuses: ORDER_STATUSES,
        read: |given| reading::order(given, Order::Restart),
    },
    Verb {
        name: "reload",
        group: Group::Operate,
        summary: "Have programs read their own configuration again",
        arguments: "NAME...",
        about: "Sends each its `reload_signal`: HUP to nginx and gunicorn, for instance.",
        flags: ORDER_FLAGS,
        examples: &[("reload nginx", "have it read nginx.conf again")],
        statuses: ORDER_STATUSES,
        read: |given| reading::order(given, Order::Reload),
    },
    Verb {
        name: "signal",
        group: Group::Operate,
        summary: "Send a signal to programs",
        arguments: "SIGNAL NAME...",
        about: "To the main process of each. The signal is a name, with or without SIG, or a\n\
                number.",
        flags: &[&SOCKET, &CONFIG],
        examples: &[("signal USR1 nginx", "reopen its log files"), ("signal 10 'web*'", "the same, to many")],
        statuses: &[
            (DONE, "each of them got it"),
            (FAILED, "one of them does not run, or there is no such name"),
            WRONG_USAGE,
            NOBODY_ANSWERS,
        ],
        read: reading::signal,
    },
    Verb {
        name: "update",
        group: Group::Operate,
        summary: "Read the configuration again, and apply what changed",
        arguments: "",
        about: "Starts what is new, stops what is gone, restarts what is something else now, and\n\
                touches nothing else. A configuration with a mistake changes nothing: the report\n\
                is shown. The file is the one foster was started with. SIGHUP does the same.\n\
                What an operator stopped stays stopped.",
        flags: &[&NO_WAIT, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("check", "see whether it is in order, first"),
            ("update", "apply it, and wait until that is done"),
        ],
        statuses: &[
            (DONE, "done"),
            (FAILED, "the configuration has a mistake, or something could not be started"),
            WRONG_USAGE,
            NOBODY_ANSWERS,
        ],
        read: reading::update,
    },
    Verb {
        name: "exec",
        group: Group::Operate,
        summary: "Run a command as a program would run it",
        arguments: "NAME -- COMMAND [ARG...]",
        about: "With the program's environment, secrets, user, groups, directory, umask, limits\n\
                and capabilities, and foster's environment where the program inherits it. The\n\
                terminal and the descriptors are those of this command line. The program need\n\
                not run. Works for root, and for foster's own user as far as that one may.",
        flags: &[&SOCKET, &CONFIG],
        examples: &[
            ("exec backend -- alembic upgrade head", "run a migration by hand"),
            ("exec backend -- sh", "look around"),
        ],
        statuses: &[
            (FAILED, "there is no such name, or the environment cannot be made"),
            WRONG_USAGE,
            NOBODY_ANSWERS,
            (ExitStatus::NOT_EXECUTABLE, "the command cannot be run"),
            (ExitStatus::NOT_FOUND, "there is no such command; any other is the command's own"),
        ],
        read: reading::exec,
    },
    Verb {
        name: "shutdown",
        group: Group::Operate,
        summary: "Stop everything in order, and end the container",
        arguments: "",
        about: "Returns when the shutdown has begun. The container ends with status 0.",
        flags: &[&SOCKET, &CONFIG],
        examples: &[("shutdown", "as `docker stop` does")],
        statuses: &[(DONE, "it has begun"), (FAILED, "it was refused"), WRONG_USAGE, NOBODY_ANSWERS],
        read: reading::shutdown,
    },
    Verb {
        name: "health",
        group: Group::Orchestrator,
        summary: "Tell whether all is ready and healthy",
        arguments: "[NAME...]",
        about: "For Docker's HEALTHCHECK and an exec probe of Kubernetes. Prints a line for each\n\
                that is not. Answers at once and probes nothing. What was stopped by an order\n\
                does not count, unless it is named.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[("health", "everything that starts with the container"), ("health backend", "this one")],
        statuses: &[
            (DONE, "all are ready and healthy"),
            (FAILED, "one is not, no supervisor answers, or anything else is wrong"),
        ],
        read: reading::health,
    },
    Verb {
        name: "wait",
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
            NOBODY_ANSWERS,
        ],
        read: reading::wait,
    },
    Verb {
        name: "schema",
        group: Group::About,
        summary: "Print the JSON Schema of foster.toml, for editors",
        arguments: "",
        about: "An editor that has it completes and checks a configuration while it is written.\n\
                Where the first line is `#:schema ./foster.schema.json`, Taplo takes it.",
        flags: &[],
        examples: &[("schema", "with `>foster.schema.json` behind it, to keep it")],
        statuses: &[(DONE, "done"), WRONG_USAGE],
        read: |_| Ok(Command::Schema),
    },
    Verb {
        name: "completions",
        group: Group::About,
        summary: "Print what makes a shell complete foster's command lines",
        arguments: "SHELL",
        about: "For bash, zsh and fish: verbs, flags, signals, and the names of programs where a\n\
                supervisor answers. With `-- WORD...` it prints what fits in place of the last\n\
                of these words: that is what the scripts ask.",
        flags: &[],
        examples: &[
            ("completions bash", "for /etc/bash_completion.d/foster"),
            ("completions zsh", "for `_foster` in a folder of $fpath"),
            ("completions fish", "for ~/.config/fish/completions/foster.fish"),
        ],
        statuses: &[(DONE, "done"), WRONG_USAGE],
        read: reading::completions,
    },
    Verb {
        name: "version",
        group: Group::About,
        summary: "Print the version",
        arguments: "",
        about: "",
        flags: &[&JSON],
        examples: &[],
        statuses: &[(DONE, "done"), WRONG_USAGE],
        read: reading::version,
    },
    Verb {
        name: "help",
        group: Group::About,
        summary: "Print this, or all about one verb",
        arguments: "[VERB]",
        about: "",
        flags: &[],
        examples: &[("help status", "the same as `foster status --help`")],
        statuses: &[(DONE, "done"), WRONG_USAGE],
        read: reading::help,
    },
];
