//! Every key of a configuration: its form, its default, one sentence.
//!
//! The one table behind unknown keys and the nearest name, the defaults themselves (read by the same code as a
//! user's values), `docs/config.md` and `docs/foster.toml.5` (made by `reference.rs`), and the schema for editors
//! (made by `json_schema.rs`). A key that is not here does not exist; one that is here must be read in the file of its section.

mod nested;
mod program;

pub use nested::{BACKOFF, READY, SINK};
pub use program::PROGRAM;

use super::schema::{Form, Key, Names, Preset, Section, Support, Takes};

const fn key(name: &'static str, form: Form, default: Preset, sentence: &'static str) -> Key {
    Key { name, form, default, support: Support::Now, sentence }
}

const fn later(name: &'static str, sentence: &'static str) -> Key {
    Key { name, form: Form::Own("", &[]), default: Preset::Words(""), support: Support::Later, sentence }
}

/// The tables of a file.
pub const FILE: Section = Section {
    heading: "The file",
    sentence: "What may stand at the top of a file.",
    keys: &[
        key(
            "include",
            Form::Paths,
            Preset::Value("[]"),
            "More files, relative to this one; `*` and `?` are patterns. A file may add, never redefine.",
        ),
        key("foster", Form::Table(&FOSTER), Preset::Words("`{}`"), "foster itself."),
        key(
            "signals",
            Form::Map(
                "table of signals",
                Names::Signals,
                &[Takes::Pattern("^(shutdown|ignore|forward:[^:]+(:[^:]+)?)$")],
            ),
            Preset::Words("`{}`"),
            "What a signal to foster does: `WINCH = \"forward:nginx\"`, `USR1 = \"forward:backend:HUP\"`, \
             `PWR = \"shutdown\"`, `HUP = \"ignore\"`. TERM always stops foster.",
        ),
        key(
            "defaults",
            Form::Own("table", &[Takes::Table(&PROGRAM)]),
            Preset::Words("`{}`"),
            "Any key of a program: what each program starts from. `environment`, `secrets` and `limits` are \
             merged name by name, any other key of the program replaces the one here.",
        ),
        key(
            "program",
            Form::Map("table of programs", Names::Programs, &[Takes::Table(&PROGRAM)]),
            Preset::Required,
            "The programs, by their names.",
        ),
        later("task", "Runs once, to completion, while the container boots."),
        later("job", "Runs on a schedule."),
    ],
};

/// The table `[foster]`.
pub const FOSTER: Section = Section {
    heading: "`[foster]`",
    sentence: "foster itself.",
    keys: &[
        key(
            "socket",
            Form::Path,
            Preset::Value("\"/run/foster.sock\""),
            "The control socket; `\"\"` for none.",
        ),
        key(
            "log_format",
            Form::Choice(&["text", "json"]),
            Preset::Value("\"text\""),
            "How lines are written: as they are behind a name, or one JSON object each.",
        ),
        key(
            "log_level",
            Form::Choice(&["off", "error", "warn", "info", "debug", "trace"]),
            Preset::Value("\"info\""),
            "Which of foster's own lines are written; `FOSTER_LOG` overrides it.",
        ),
        key(
            "log_timestamps",
            Form::Boolean,
            Preset::Value("false"),
            "Whether text lines begin with the time; the container runtime stamps them already.",
        ),
        key(
            "shutdown_timeout",
            Form::Duration,
            Preset::Value("\"9s\""),
            "How long the whole shutdown may take: less than the runtime waits before it kills.",
        ),
        key(
            "termination_log",
            Form::Path,
            Preset::Value("\"/dev/termination-log\""),
            "Gets what ended the container, where the file exists.",
        ),
    ],
};

/// Every section, in the order in which they are explained.
pub const SECTIONS: [&Section; 6] = [&FILE, &FOSTER, &PROGRAM, &BACKOFF, &READY, &SINK];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_of_toml() {
        for section in SECTIONS {
            let given = section.keys.iter().filter(|key| matches!(key.default, Preset::Value(_)));
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
