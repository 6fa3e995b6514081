//! The integration tests: the real binary, run as in a container.
//!
//! Each file has the tests of one subject, named as sentences; `support/` describes, starts and observes containers. Tests
//! may block, use threads and panic, unlike foster.
#![allow(clippy::disallowed_methods, reason = "tests read the clock and use threads; foster does not")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by a panic")]
#![allow(clippy::print_stderr, reason = "a skipped test prints a line")]

mod support;

mod attack;
mod bare;
mod blocked_output;
mod colours;
mod completions;
mod configuration;
mod control;
mod cookbook;
mod crash_loops;
mod daemons;
mod detach;
mod docs;
mod doctor;
mod dumb_init;
mod early_signals;
mod events;
mod exec;
mod faults;
mod first_configuration;
mod groups;
mod health;
mod held;
mod instances;
mod jobs;
mod logs;
mod memory_max;
mod migrate;
mod mistakes;
mod nginx;
mod notify;
mod order;
mod output;
mod pid1;
mod pm2;
mod pre_start;
mod quickstart;
mod readiness;
mod reexec;
mod refused_calls;
mod refused_signals;
mod reporters;
mod restarts;
mod rolling;
mod schema;
mod signals;
mod sockets;
mod spawning;
mod stability;
mod steadiness;
mod stopping;
mod storm;
mod supervisord;
mod takeover;
mod tasks;
mod terminal;
mod termination_log;
mod tidy;
mod tini;
mod top;
mod tree;
mod unprivileged;
mod update;
mod web;
mod web_attack;
mod xmlrpc;
