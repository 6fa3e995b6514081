//! The keys of a job (spec, section 3.8): many of a program, and those that say when it runs.
//!
//! Only rows; `key_spec.rs` defines their fields.

use super::super::key_spec::{Default, Key, Section, Shared, ValueKind};
use super::program::PROGRAM;
use super::{BOOLEAN, DURATION, NONE, key};

/// The table of a job.
pub const JOB: Section = Section {
    heading: "`[job.NAME]`",
    sentence: "A job is a command that runs on a schedule, to completion: a backup, a clean-up. `[defaults]` applies to \
               it, too, except `on_failure`.",
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
            "success_exit_codes",
            "stop_signal",
            "stop_timeout",
            "stop_group",
            "kill_mode",
            "stdout",
            "stderr",
            "log_prefix",
        ],
        remedies: &[
            (&["restart", "start_limit", "backoff"], "the next run of a job is the next time that it is due"),
            (&["autostart"], "`run_at_start` runs a job when foster starts"),
            (&["priority", "after", "requires"], "a job runs when it is due; nothing waits for it"),
        ],
    }),
    keys: &KEYS,
};

const KEYS: [Key; 7] = [
    key(
        "schedule",
        &[ValueKind::Pattern("schedule", "^.+$")],
        Default::Required,
        "When it runs: `every 6h`, counted from foster's start; `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`; or \
         five fields of cron, as `*/5 8-18 * * mon-fri`.",
    ),
    key(
        "timezone",
        &[ValueKind::Text],
        Default::Words("`$TZ`, else UTC"),
        "The time zone of the schedule, as `Europe/Berlin`. A local time that does not exist is due at the next minute that \
         does, one that exists twice is due once; a schedule of every hour follows real time.",
    ),
    key(
        "overlap",
        &[ValueKind::Words(&["skip", "wait", "kill"])],
        Default::Value("\"skip\""),
        "What happens when it is due during a run: the due time is left out, one run follows the present one, or the present \
         one is stopped first.",
    ),
    key("timeout", DURATION, NONE, "The time limit of a run; then it is stopped, which is a failure."),
    key("jitter", DURATION, Default::Value("\"0s\""), "Each run is delayed by up to this much."),
    key("run_at_start", BOOLEAN, Default::Value("false"), "Whether it also runs when foster starts."),
    key(
        "on_failure",
        &[ValueKind::Words(&["ignore", "shutdown"])],
        Default::Value("\"ignore\""),
        "Whether the container ends when a run has failed, with its exit code.",
    ),
];
