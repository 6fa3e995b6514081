//! The keys of a task (spec, section 3.8): many of a program, and few that only a task has.
//!
//! Only rows; `key_spec.rs` defines their fields. A task is read like a program, with the policy that its own keys give.

use super::super::key_spec::{Default, Key, Section, Shared, ValueKind};
use super::program::PROGRAM;
use super::{DURATION, NONE, key};

/// The table of a task.
pub const TASK: Section = Section {
    heading: "`[task.NAME]`",
    sentence: "A task is a command that runs once, to completion, while the container boots: a migration, the \
               preparation of a volume. It is ready when it has succeeded. `[defaults]` applies to it, too.",
    shared: Some(Shared {
        section: &PROGRAM,
        names: &[
            "command",
            "directory",
            "environment",
            "env_file",
            "secrets",
            "inherit_environment",
            "user",
            "umask",
            "stdin",
            "pre_start",
            "capabilities",
            "no_new_privileges",
            "limits",
            "nice",
            "oom_score_adj",
            "memory_max",
            "enabled",
            "autostart",
            "after",
            "requires",
            "success_exit_codes",
            "backoff",
            "stop_signal",
            "stop_timeout",
            "stop_group",
            "kill_mode",
            "stdout",
            "stderr",
            "log_prefix",
        ],
        remedies: &[
            (
                &["restart", "start_limit"],
                "a task runs once; `retries` is how often it is started again after a failure",
            ),
            (&["ready", "min_uptime"], "a task is ready when it has succeeded; `timeout` limits its run"),
            (
                &["health", "watchdog", "on_exit", "pre_stop", "reload_signal", "instances", "sockets"],
                "a task runs once, to completion; a server is a program",
            ),
        ],
    }),
    keys: &KEYS,
};

const KEYS: [Key; 4] = [
    key(
        "priority",
        &[ValueKind::Integer],
        Default::Value("0"),
        "The tier: tasks and programs with lower numbers start first, and higher tiers wait for the success of the task.",
    ),
    key(
        "timeout",
        DURATION,
        NONE,
        "The time limit of a run, with that of its `pre_start`; then the task is stopped, which is a failure.",
    ),
    key(
        "retries",
        &[ValueKind::Integer],
        Default::Value("0"),
        "How often the task is started again after failures in a row, each time after the delay of `backoff`.",
    ),
    key(
        "on_failure",
        &[ValueKind::Words(&["shutdown", "ignore"])],
        Default::Value("\"shutdown\""),
        "Whether the container ends when the task has failed, with the exit code of the task.",
    ),
];
