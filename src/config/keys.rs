//! Every key of a configuration: the values it takes, its default, one sentence.
//!
//! The one table behind unknown keys and the nearest name, the defaults themselves (read by the same code as a
//! user's values), `docs/config.md` and `docs/foster.toml.5` (made by `reference.rs`), and the schema for editors
//! (made by `json_schema.rs`). A key that is not here does not exist; one that is here must be read in the file of
//! its section. Next: `keys/program.rs`.

mod nested;
mod program;

pub use nested::{BACKOFF, HEALTH, READY, SINK};
pub use program::PROGRAM;

use super::key_spec::{Default, Key, Names, Section, Support, ValueKind};

const BOOLEAN: &[ValueKind] = &[ValueKind::Boolean];
const DURATION: &[ValueKind] = &[ValueKind::Duration];
const PATH: &[ValueKind] = &[ValueKind::Path];
const PATHS: &[ValueKind] = &[ValueKind::Path, ValueKind::List(&[ValueKind::Path])];

const COMMAND: &[ValueKind] = &[ValueKind::List(&[ValueKind::Text]), ValueKind::Text];
const UNLIMITED: ValueKind = ValueKind::Words(&["unlimited"]);
const NONE: Default = Default::Words("none");

const fn key(
    name: &'static str,
    kinds: &'static [ValueKind],
    default: Default,
    sentence: &'static str,
) -> Key {
    Key { name, kinds, default, support: Support::Now, sentence }
}

const fn later(name: &'static str, sentence: &'static str) -> Key {
    Key { name, kinds: &[], default: Default::Words(""), support: Support::Later, sentence }
}

/// The tables of a file.
pub const FILE: Section = Section {
    heading: "The file",
    sentence: "The tables and keys at the top of a file.",
    keys: &[
        key(
            "include",
            PATHS,
            Default::Value("[]"),
            "More files, relative to this one; `*`, `?` and `[a-z]` are patterns. A file may add, never redefine.",
        ),
        key("foster", &[ValueKind::Table(&FOSTER)], Default::Words("`{}`"), "foster itself."),
        key(
            "signals",
            &[ValueKind::Map(
                "table of signals",
                Names::Signals,
                &[ValueKind::Pattern("rule", "^(shutdown|ignore|forward:[^:]+(:[^:]+)?)$")],
            )],
            Default::Words("`{}`"),
            "What a signal to foster does: `WINCH = \"forward:nginx\"`, `USR1 = \"forward:backend:HUP\"`, \
             `PWR = \"shutdown\"`, `HUP = \"ignore\"`. TERM always stops foster.",
        ),
        key(
            "defaults",
            &[ValueKind::Table(&PROGRAM)],
            Default::Words("`{}`"),
            "Any key of a program: what each program starts from. `environment`, `secrets` and `limits` are \
             merged name by name, any other key of the program replaces the one here.",
        ),
        key(
            "program",
            &[ValueKind::Map("table of programs", Names::Programs, &[ValueKind::Table(&PROGRAM)])],
            Default::Required,
            "The programs, by their names.",
        ),
        later("task", "A command that runs once, to completion, while the container boots."),
        later("job", "A command that runs on a schedule."),
        later("web", "A page with the state of all programs, and metrics."),
    ],
};

/// The table `[foster]`.
pub const FOSTER: Section = Section {
    heading: "`[foster]`",
    sentence: "foster itself.",
    keys: &[
        key("socket", PATH, Default::Value("\"/run/foster.sock\""), "The control socket; `\"\"` for none."),
        key(
            "log_format",
            &[ValueKind::Words(&["text", "json"])],
            Default::Value("\"text\""),
            "How lines are written: as text after the program's name, or as one JSON object each.",
        ),
        key(
            "log_level",
            &[ValueKind::Words(&["off", "error", "warn", "info", "debug", "trace"])],
            Default::Value("\"info\""),
            "Which of foster's own lines are written; `FOSTER_LOG` overrides it.",
        ),
        key(
            "log_timestamps",
            BOOLEAN,
            Default::Value("false"),
            "Whether text lines start with the time; the container runtime stamps them already.",
        ),
        key(
            "shutdown_timeout",
            DURATION,
            Default::Value("\"9s\""),
            "How long the whole shutdown may take: less than the runtime waits before it kills.",
        ),
        key(
            "when_all_ended",
            &[ValueKind::Words(&["exit", "stay"])],
            Default::Value("\"exit\""),
            "What foster does when every program has ended by itself and none will be restarted: it exits, or stays \
             and waits for orders.",
        ),
        key(
            "termination_log",
            PATH,
            Default::Value("\"/dev/termination-log\""),
            "The file that gets the reason why the container ended; written only where it exists.",
        ),
        later("on_fault", "What foster does after a fault in itself."),
    ],
};

/// Every section, in the order in which they are explained.
pub const SECTIONS: [&Section; 7] = [&FILE, &FOSTER, &PROGRAM, &BACKOFF, &READY, &HEALTH, &SINK];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_toml() {
        for section in SECTIONS {
            let given = section.keys.iter().filter(|key| matches!(key.default, Default::Value(_)));
            let names: Vec<&str> = given.map(|key| key.name).collect();
            let defaults = section.defaults();
            assert_eq!(defaults.items().map(|item| item.name()).collect::<Vec<_>>(), names);
        }
    }

    #[test]
    fn no_key_is_there_twice() {
        for section in SECTIONS {
            for key in section.keys {
                assert_eq!(section.keys.iter().filter(|other| other.name == key.name).count(), 1);
            }
        }
    }
}
