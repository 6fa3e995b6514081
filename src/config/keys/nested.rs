//! The keys of the tables inside a program: `backoff`, `ready`, `stdout` and `stderr`.
//!
//! Only rows; what a row means is defined in `schema.rs`. The keys of a program are in `program.rs`.

use super::super::schema::{Form, Names, Preset, Section, Takes};
use super::{key, later};

pub(super) const UNLIMITED: Takes = Takes::Words(&["unlimited"]);
const NONE: Preset = Preset::Words("none");

/// The table `backoff`.
pub const BACKOFF: Section = Section {
    heading: "`backoff`",
    sentence: "The wait before restart n in a row.",
    keys: &[
        key(
            "initial",
            Form::Duration,
            Preset::Value("\"0s\""),
            "Before the first restart of a program that had been up well. When it is 0 the next ones wait 100 ms \
             × factor^n.",
        ),
        key(
            "factor",
            Form::Number,
            Preset::Value("2"),
            "Each further wait is this many times the one before.",
        ),
        key("max", Form::Duration, Preset::Value("\"30s\""), "No wait is longer."),
    ],
};

/// The table `ready`.
pub const READY: Section = Section {
    heading: "`ready`",
    sentence: "Exactly one of `http`, `tcp`, `unix`, `exec`, `file` and `log`. Addresses are numbers or \
               `localhost` (127.0.0.1): nothing is looked up.",
    keys: &[
        key(
            "http",
            Form::Text,
            NONE,
            "A request to this URL is answered with a status from 200 to 399: \
             `\"http://127.0.0.1:8000/health\"`.",
        ),
        key("tcp", Form::Text, NONE, "A connection is accepted: `\"127.0.0.1:6379\"`."),
        key("unix", Form::Path, NONE, "A connection is accepted at this socket."),
        key("exec", Form::Command, NONE, "This command exits with 0."),
        key("file", Form::Path, NONE, "This file exists."),
        key("log", Form::Own("regular expression", &[Takes::Text]), NONE, "A line of its output matches."),
        later("notify", "The program says so by sd_notify."),
        later("fd", "The program writes a newline to this descriptor."),
        key(
            "status",
            Form::Own("integer, or list of integers", &[Takes::Integer, Takes::List(&[Takes::Integer])]),
            Preset::Words("200 to 399"),
            "Only with `http`: the statuses that are accepted.",
        ),
        key(
            "headers",
            Form::Map("table of strings", Names::Headers, &[Takes::Text]),
            Preset::Value("{}"),
            "Only with `http`: header fields of the request, as `{ Host = \"example.org\" }`.",
        ),
        key(
            "method",
            Form::Choice(&["GET", "HEAD", "OPTIONS", "POST"]),
            Preset::Value("\"GET\""),
            "Only with `http`: the method of the request.",
        ),
        key(
            "interval",
            Form::Duration,
            Preset::Value("\"100ms\""),
            "The time between two attempts; at least 10 ms.",
        ),
        key(
            "timeout",
            Form::Duration,
            Preset::Value("\"60s\""),
            "A program that is not ready by then has failed to start.",
        ),
    ],
};

/// The table of `stdout` and `stderr`.
pub const SINK: Section = Section {
    heading: "`stdout` and `stderr` as a table",
    sentence: "A file of the program's own, rotated by size.",
    keys: &[
        key("file", Form::Path, Preset::Required, "Where it is; its folder must exist."),
        key(
            "max_size",
            Form::Own("size or `\"unlimited\"`", &[Takes::Size, UNLIMITED]),
            Preset::Value("\"50M\""),
            "Rotated before it would grow beyond this.",
        ),
        key(
            "keep",
            Form::Integer,
            Preset::Value("10"),
            "How many rotated files are kept, `.1` being the newest.",
        ),
    ],
};
