//! The keys of `[web]`.

use super::super::key_spec::{Default, Section, ValueKind};
use super::{BOOLEAN, NONE, PATH, key};

/// The table `[web]`.
pub const WEB: Section = Section {
    heading: "`[web]`",
    sentence: "The web page, and metrics: served by a helper process without privileges (docs/web.md). Without this table there \
               is none.",
    shared: None,
    keys: &[
        key(
            "listen",
            &[ValueKind::Text],
            Default::Required,
            "Where it listens: `127.0.0.1:9001`, or `unix:///run/web.sock?mode=0660&group=adm` with the options of `sockets`.",
        ),
        key(
            "username",
            &[ValueKind::Text],
            NONE,
            "The user name that a client gives (HTTP basic authentication).",
        ),
        key(
            "password_file",
            PATH,
            NONE,
            "The file with the password for it; one trailing newline is removed. It is read before the helper gives up its \
             privileges.",
        ),
        key(
            "control",
            BOOLEAN,
            Default::Value("false"),
            "Whether the page can start, stop and restart programs. On a TCP address it needs a password.",
        ),
        key(
            "metrics",
            BOOLEAN,
            Default::Value("true"),
            "Whether there is `/metrics`, for Prometheus (OpenMetrics).",
        ),
        key(
            "user",
            &[ValueKind::Text],
            NONE,
            "The user of the helper, as `user` of a program; by default `65534:65534` (`nobody`) where foster may change users.",
        ),
    ],
};
