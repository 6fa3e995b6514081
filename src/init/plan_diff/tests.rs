//! One change at a time to a program that sets every key, and the keys that the comparison finds.

use std::collections::BTreeSet;
use std::fs;

use super::*;

use crate::config::keys::PROGRAM;
use crate::config::{Environment, load};
use crate::plan::Plan;

fn plan(keys: &str) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foster.toml");
    let others = "[program.b]\ncommand = 'x'\n[program.c]\ncommand = 'x'\n";
    fs::write(&path, format!("[program.a]\n{keys}\n{others}")).unwrap();
    load(&path, &Environment::default()).unwrap_or_else(|report| panic!("{report}"))
}

fn between(old: &str, new: &str) -> ChangedKeys {
    let (old, new) = (plan(old), plan(new));
    let (id, program) = old.programs.iter().next().unwrap();
    let other = new.program(id).zip(new.spec(id)).unwrap();
    of_program((program, old.spec(id).unwrap()), other)
}

/// Every key of a program with a value that is not its default, and the extent of that change.
const CHANGES: [(&str, &str, SpecChange); 51] = {
    use SpecChange::{Policy, Process};
    [
        ("command", "'other'", Process),
        ("directory", "'/tmp'", Process),
        ("environment", "{ A = '1' }", Process),
        ("env_file", "'.env'", Process),
        ("secrets", "{ S = '/s' }", Process),
        ("inherit_environment", "false", Process),
        ("user", "'app'", Process),
        ("stdin", "'open'", Process),
        ("umask", "'022'", Process),
        ("capabilities", "[]", Process),
        ("no_new_privileges", "true", Process),
        ("limits", "{ core = 0 }", Process),
        ("nice", "1", Process),
        ("oom_score_adj", "1", Process),
        ("memory_max", "'1M'", Process),
        ("autostart", "false", Policy),
        ("priority", "1000", Policy),
        ("after", "['b']", Policy),
        ("requires", "['b']", Policy),
        ("restart", "'never'", Policy),
        ("success_exit_codes", "[0, 1]", Policy),
        ("early_exit", "'failure'", Policy),
        ("min_uptime", "'2s'", Policy),
        ("backoff", "{ max = '1s' }", Policy),
        ("backoff", "{ initial = '1s' }", Policy),
        ("backoff", "{ factor = 3 }", Policy),
        ("backoff", "{ growth = 'linear' }", Policy),
        ("backoff", "{ reset = '1m' }", Policy),
        ("start_limit", "1", Policy),
        ("on_exit", "'shutdown'", Policy),
        ("on_failure", "'ignore'", Policy),
        ("stop_signal", "'INT'", Policy),
        ("stop_timeout", "'1s'", Policy),
        ("stop_group", "true", Policy),
        ("sockets", "'unix:///s'", Process),
        ("sockets", "'tcp://[::1]:1?backlog=9'", Process),
        ("pre_start", "'x'", Policy),
        ("kill_mode", "'session'", Policy),
        ("pre_stop", "'x'", Policy),
        ("reload_signal", "'HUP'", Policy),
        ("ready", "{ file = '/x' }", Process),
        ("ready", "{ http = 'http://localhost', headers = { A = 'b' } }", Process),
        ("ready", "{ fd = 4 }", Process),
        ("watchdog", "'30s'", Process),
        ("health", "{ file = '/x' }", Process),
        ("health", "{ file = '/x', action = 'none' }", Process),
        ("stdout", "'null'", Process),
        ("stderr", "'inherit'", Process),
        ("stdout", "{ file = '/x' }", Process),
        ("log_prefix", "false", Policy),
        ("instances", "2", Policy),
    ]
};

#[test]
fn every_key_of_a_program_is_compared_separately() {
    for (key, value, difference) in CHANGES {
        let command = if key == "command" { "" } else { "command = 'x'\n" };
        let keys = between("command = 'x'", &format!("{command}{key} = {value}"));
        assert_eq!(keys.names().collect::<Vec<_>>(), [key], "{key} = {value}");
        assert_eq!(keys.change(), Some(difference), "{key} = {value}");
    }
    // `enabled` is not compared: a disabled program does not exist.
    let now = PROGRAM.keys.iter().map(|key| key.name);
    let known: BTreeSet<&str> = CHANGES.iter().map(|(key, _, _)| *key).chain(["enabled"]).collect();
    assert_eq!(now.collect::<BTreeSet<_>>(), known, "a key that this test does not change");
}

#[test]
fn the_keys_of_a_task_have_their_own_names_and_a_change_of_kind_replaces_it() {
    let plan = |table: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foster.toml");
        fs::write(&path, table).unwrap();
        load(&path, &Environment::default()).unwrap_or_else(|report| panic!("{report}"))
    };
    let between = |old: &str, new: &str| {
        let (old, new) = (plan(old), plan(new));
        of_instances(&old, &new, old.programs.ids().next().unwrap())
    };
    let task = "[task.a]\ncommand = 'x'\n";
    for (key, value) in [("timeout", "'1s'"), ("retries", "3"), ("on_failure", "'ignore'"), ("priority", "5")]
    {
        let keys = between(task, &format!("{task}{key} = {value}"));
        assert_eq!(keys.names().collect::<Vec<_>>(), [key]);
        assert_eq!(keys.change(), Some(SpecChange::Policy), "{key}");
    }
    let program = "[program.a]\ncommand = 'x'\n";
    let job = "[job.a]\ncommand = 'x'\nschedule = 'every 1h'\n";
    for (old, new, name) in [(task, program, "program"), (program, task, "task"), (task, job, "job")] {
        let keys = between(old, new);
        assert_eq!(keys.names().collect::<Vec<_>>(), [name]);
        assert_eq!(keys.change(), Some(SpecChange::Process));
    }
    let other =
        [("overlap", "'wait'"), ("timeout", "'1s'"), ("jitter", "'1s'"), ("on_failure", "'shutdown'")];
    for (key, value) in other.into_iter().chain([("run_at_start", "true"), ("timezone", "'UTC0'")]) {
        let keys = between(job, &format!("{job}{key} = {value}"));
        assert!(keys.names().all(|name| [key, "schedule"].contains(&name)), "{key}: {keys:?}");
        assert!(keys.change().is_none_or(|change| change == SpecChange::Policy), "{key}");
    }
    let keys = between(job, &job.replace("1h", "2h"));
    assert_eq!(keys.names().collect::<Vec<_>>(), ["schedule"]);
}

#[test]
fn the_order_of_keys_and_explicit_defaults_make_no_difference() {
    let one = "command = 'x'\nenvironment = { A = '1', B = '2' }\nafter = ['b', 'c']\nstop_timeout = '5s'";
    let two = "after = ['c', 'b']\nenvironment = { B = '2', A = '1' }\ncommand = ['x']";
    assert!(between(one, two).is_empty());
}

#[test]
fn several_changes_are_listed_in_order_and_the_greater_extent_counts() {
    let keys = between(
        "command = 'x'",
        "stop_timeout = '1s'\ncommand = 'y'\nready = { file = '/x', timeout = '1s' }",
    );
    assert_eq!(keys.names().collect::<Vec<_>>(), ["command", "stop_timeout", "ready"]);
    assert_eq!(keys.change(), Some(SpecChange::Process));
}

#[test]
fn the_timing_of_a_probe_is_compared() {
    let probe = |more: &str| format!("command = 'x'\nready = {{ tcp = '127.0.0.1:1'{more} }}");
    let keys = between(&probe(""), &probe(", interval = '1s'"));
    assert_eq!(keys.names().collect::<Vec<_>>(), ["ready"]);
}
