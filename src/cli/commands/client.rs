//! The verbs that ask the supervisor.
//!
//! Each has a request in `control/protocol.rs` and an arm in `init/requests/mod.rs`. Pure. Next: `verb.rs`, the columns.

use super::super::flags::{
    ALL, CONFIG, DRY_RUN, EVENT, FOLLOW, FOLLOW_RUN, Flag, JSON, LINES, NO_WAIT, SINCE, SOCKET, STATE,
    TIMEOUT, TIMESTAMPS, WAIT, WATCH,
};
use super::super::verb::{Group, Printer, Verb};
use super::super::verb_args;
use super::{DONE, FAILED, WRONG_USAGE};
use crate::control::protocol::Request;
use crate::exit::ExitStatus;

const NO_ANSWER: (ExitStatus, &str) = (ExitStatus::NO_SUPERVISOR, "no supervisor answers");
const LOOK_STATUSES: &[(ExitStatus, &str)] =
    &[(DONE, "done"), (FAILED, "there is no such name"), WRONG_USAGE, NO_ANSWER];
const ORDER_STATUSES: &[(ExitStatus, &str)] = &[
    (DONE, "done, or there was nothing to do"),
    (FAILED, "it failed for a program, or there is no such name"),
    WRONG_USAGE,
    NO_ANSWER,
];
const ORDER_FLAGS: &[&Flag] = &[&NO_WAIT, &JSON, &SOCKET, &CONFIG];

/// The verbs, each group in the order of the help.
pub(super) static VERBS: &[Verb] = &[
    Verb {
        name: "status",
        aliases: &["ps", "list", "ls", "describe", "info"],
        group: Group::Inspect,
        summary: "Show the state of programs",
        arguments: "[NAME...]",
        about: "Prints a row for each instance of all programs, or of those named. On a terminal\n\
                the table fits the width: long notes are cut there, but not with --json.",
        flags: &[&WATCH, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("status", "all programs"),
            ("status 'web*'", "programs whose name starts with web"),
            ("status -w", "refresh every 2 seconds"),
            ("status --json", "an array of objects"),
        ],
        statuses: &[
            (DONE, "every program that should run does, or has exited with success"),
            (FAILED, "there is no such name"),
            WRONG_USAGE,
            (ExitStatus::NOT_RUNNING, "a program that should run, or is named, is not running"),
            NO_ANSWER,
        ],
        answer: Printer::Table,
        read: verb_args::status,
    },
    Verb {
        name: "top",
        aliases: &["monit"],
        group: Group::Inspect,
        summary: "Show programs and output on a screen that repaints itself",
        arguments: "[NAME...]",
        about: "Shows the state of all programs, or of those named, once a second, and the\n\
                output of the selected one. It needs a terminal.\n\
                \n\
                Keys:\n\
                  Up, Down, g, G      select the row above, below, the first, the last\n\
                  s, x, r, l          start, stop, restart, reload; the last three ask\n\
                  PageUp, PageDown    scroll the output\n\
                  Home, End           its first lines; its last ones, and follow\n\
                  /                   show the names that contain a text; Esc ends it\n\
                  q, ^C               quit; ^Z suspends",
        flags: &[&SOCKET, &CONFIG],
        examples: &[("top", "all programs"), ("top 'web*'", "programs whose name starts with web")],
        statuses: &[
            (DONE, "the user has quit"),
            (FAILED, "there is no such name, or no terminal"),
            WRONG_USAGE,
            NO_ANSWER,
        ],
        answer: Printer::Screen,
        read: verb_args::status,
    },
    Verb {
        name: "logs",
        aliases: &["log", "tail"],
        group: Group::Inspect,
        summary: "Show the last lines of output",
        arguments: "[NAME...]",
        about: "Prints the lines that foster keeps in memory, of all programs or of those named.\n\
                With --json each line is an object. With -f it follows new lines, also those of\n\
                programs that are added later, and exits with 0 when foster has shut down, or\n\
                when no program has that name. A message marks where lines are missing.",
        flags: &[&LINES, &FOLLOW, &SINCE, &TIMESTAMPS, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("logs -n 20 backend", "the last 20 lines of backend"),
            ("logs -f", "follow all programs"),
            ("logs -t --since 10m", "the last ten minutes, with times"),
        ],
        statuses: LOOK_STATUSES,
        answer: Printer::Output,
        read: verb_args::logs,
    },
    Verb {
        name: "events",
        aliases: &[],
        group: Group::Inspect,
        summary: "Show state changes and their causes",
        arguments: "[NAME...]",
        about: "Prints the events that foster keeps in memory: state changes, updates and the\n\
                shutdown. With --json each is an object on a line, with the fields of foster's\n\
                own log. With -f it follows new ones, and exits with 0 when foster has shut\n\
                down, or when no program has that name. A message marks where events are\n\
                missing.\n\
                \n\
                Events: waiting, starting, ready, not_ready, start_failed, unhealthy,\n\
                over_memory, recovered, exited, processes_left, stopping, not_killed, stopped,\n\
                replaced, not_replaced, not_reloaded, changed, removed, job_started,\n\
                job_finished, job_skipped, job_paused, job_resumed, updated, update_failed,\n\
                shutdown, exit.\n\
                States: stopped, waiting, starting, running, unhealthy, stopping, backoff,\n\
                exited, fatal, succeeded, failed, idle, paused.",
        flags: &[&LINES, &FOLLOW, &EVENT, &STATE, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("events backend", "the history of backend"),
            ("events -f --json", "follow everything, as JSON"),
            ("events -f -n 0 --state fatal", "only new fatal programs"),
        ],
        statuses: LOOK_STATUSES,
        answer: Printer::Events,
        read: verb_args::events,
    },
    Verb {
        name: "start",
        aliases: &[],
        group: Group::Operate,
        summary: "Start programs and wait until they are ready",
        arguments: "NAME...",
        about: "Resets the failure count of a fatal program. Runs a task again. Resumes a\n\
                paused job: it runs when it is due.",
        flags: ORDER_FLAGS,
        examples: &[("start worker", "return when ready"), ("start --no-wait all", "return at once")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: |args| verb_args::order(args, Request::Start),
    },
    Verb {
        name: "stop",
        aliases: &[],
        group: Group::Operate,
        summary: "Stop programs and wait until they have stopped",
        arguments: "NAME...",
        about: "They stay stopped until `foster start`. The container keeps running. A job is\n\
                paused: its run ends, and it does not run when it is due.",
        flags: ORDER_FLAGS,
        examples: &[("stop worker", "all instances of worker"), ("stop backend.1", "only this instance")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: |args| verb_args::order(args, Request::Stop),
    },
    Verb {
        name: "restart",
        aliases: &[],
        group: Group::Operate,
        summary: "Stop programs and start them again",
        arguments: "NAME...",
        about: "Starts a program that is not running.",
        flags: ORDER_FLAGS,
        examples: &[("restart backend", "return when it is ready again")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: |args| verb_args::order(args, Request::Restart),
    },
    Verb {
        name: "reload",
        aliases: &[],
        group: Group::Operate,
        summary: "Make programs read their own configuration again",
        arguments: "NAME...",
        about: "Sends each program its `reload_signal`, such as HUP to nginx or gunicorn, and\n\
                waits for READY=1 where it reports RELOADING=1 (sd_notify). A program without\n\
                a signal is restarted, one instance after the other: where it can run beside\n\
                the old one, the new process is ready before the old one is stopped. If a new\n\
                one is not ready, the others go on, and the reason is printed.",
        flags: ORDER_FLAGS,
        examples: &[
            ("reload nginx", "make it read nginx.conf again"),
            ("reload web", "restart its instances in turn"),
        ],
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
        about: "Sends it to the main process of each. SIGNAL is a name, with or without SIG, or\n\
                a number.",
        flags: &[&JSON, &SOCKET, &CONFIG],
        examples: &[("signal USR1 nginx", "reopen its logs"), ("signal 10 'web*'", "to several programs")],
        statuses: &[
            (DONE, "it was sent to each of them"),
            (FAILED, "a program is not running, it could not be sent, or there is no such name"),
            WRONG_USAGE,
            NO_ANSWER,
        ],
        answer: Printer::Outcomes("done"),
        read: verb_args::signal,
    },
    Verb {
        name: "scale",
        aliases: &["rescale"],
        group: Group::Operate,
        summary: "Change the number of instances of a program",
        arguments: "NAME N",
        about: "Starts more, or stops those with the highest numbers, and waits until they are\n\
                ready, or gone. The configuration is not read. `foster update` keeps the number\n\
                as long as `instances` in the configuration does not change.",
        flags: ORDER_FLAGS,
        examples: &[("scale worker 4", "worker.0 to worker.3"), ("scale worker 0", "none; it stays known")],
        statuses: ORDER_STATUSES,
        answer: Printer::Outcomes("done"),
        read: verb_args::scale,
    },
    Verb {
        name: "run-job",
        aliases: &[],
        group: Group::Operate,
        summary: "Run a job now and wait for its end",
        arguments: "NAME",
        about: "Also a job that is paused. During a run it waits for the end of that one. The\n\
                schedule does not change. With `--follow` it prints the output of the run.",
        flags: &[&FOLLOW_RUN, &NO_WAIT, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("run-job -f backup", "print the output, exit with its status"),
            ("run-job --no-wait backup", "return at once"),
        ],
        statuses: &[
            (DONE, "the run was successful"),
            (FAILED, "it could not be started, foster stopped it, or there is no such job"),
            WRONG_USAGE,
            (ExitStatus::NO_SUPERVISOR, "no supervisor answers; any other status comes from the job"),
        ],
        answer: Printer::Run,
        read: verb_args::run_job,
    },
    Verb {
        name: "update",
        aliases: &[],
        group: Group::Operate,
        summary: "Read the configuration again and apply the changes",
        arguments: "[NAME...]",
        about: "Starts new programs, stops removed ones, restarts those whose process definition\n\
                changed, and touches nothing else. If the configuration has an error, nothing\n\
                changes and the errors are printed. The file is the one foster was started\n\
                with. SIGHUP does the same. A program that an operator stopped stays stopped.\n\
                If the new definition of a running program does not come up, the former one\n\
                comes back. With a NAME only that program changes.",
        flags: &[&DRY_RUN, &NO_WAIT, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("update --dry-run", "what would change?"),
            ("update", "return when it is applied"),
            ("update web", "only this program"),
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
        summary: "Run a command in the environment of a program",
        arguments: "NAME -- COMMAND [ARG...]",
        about: "The command gets the program's environment, secrets, user, groups, directory,\n\
                umask, limits and capabilities, and foster's environment where the program\n\
                inherits it. Terminal and descriptors are those of this command line. The\n\
                program does not have to be running. `foster sh NAME` is short for\n\
                `foster exec NAME -- sh`. Only root and foster's own user may use it, the\n\
                latter within its own rights.",
        flags: &[&SOCKET, &CONFIG],
        examples: &[
            ("exec backend -- alembic upgrade head", "run a migration by hand"),
            ("exec backend -- sh", "open a shell"),
        ],
        statuses: &[
            (FAILED, "there is no such name, or the environment cannot be set up"),
            WRONG_USAGE,
            NO_ANSWER,
            (ExitStatus::NOT_EXECUTABLE, "the command cannot be run"),
            (ExitStatus::NOT_FOUND, "there is no such command; any other status comes from the command"),
        ],
        answer: Printer::Nothing,
        read: verb_args::exec,
    },
    Verb {
        name: "shutdown",
        aliases: &[],
        group: Group::Operate,
        summary: "Stop everything in order and end the container",
        arguments: "",
        about: "Returns when the shutdown has started. The container exits with status 0; a\n\
                restart policy such as `unless-stopped` starts it again. During a shutdown\n\
                it changes nothing; a second SIGTERM to foster kills what is left.",
        flags: &[&WAIT, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("shutdown", "the same as `docker stop`"),
            ("shutdown --wait", "on a host, before another `foster run --detach`"),
        ],
        statuses: &[
            (DONE, "the shutdown has started, with --wait ended"),
            (FAILED, "it was refused"),
            WRONG_USAGE,
            NO_ANSWER,
        ],
        answer: Printer::Outcomes("done"),
        read: |args| Ok(verb_args::client(args, Request::Shutdown {})),
    },
    Verb {
        name: "health",
        aliases: &[],
        group: Group::Orchestrator,
        summary: "Report whether everything is ready and healthy",
        arguments: "[NAME...]",
        about: "For Docker's HEALTHCHECK and Kubernetes' exec probes. Prints a line for each\n\
                program that is not, and answers at once. A program that an operator stopped\n\
                does not count, unless it is named or --all is given.",
        flags: &[&ALL, &JSON, &SOCKET, &CONFIG],
        examples: &[
            ("health", "all programs that should be running"),
            ("health --all", "also stopped ones: for a readiness probe"),
            ("health backend", "only this one"),
        ],
        statuses: &[
            (DONE, "all are ready and healthy"),
            (FAILED, "one is not, no supervisor answers, or any other error"),
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
        about: "Returns at once if they are ready already.",
        flags: &[&TIMEOUT, &JSON, &SOCKET, &CONFIG],
        examples: &[("wait --timeout 30s backend", "give up after 30 seconds")],
        statuses: &[
            (DONE, "all are ready"),
            (FAILED, "one is not ready in time or cannot become ready, or there is no such name"),
            WRONG_USAGE,
            NO_ANSWER,
        ],
        answer: Printer::Outcomes("ready"),
        read: verb_args::wait,
    },
];
