//! `foster update --dry-run`, and updates of some programs only.

use super::{pids, programs, rewrite, start, state};

#[test]
fn a_dry_run_prints_what_would_change_and_changes_nothing() {
    let foster = start(
        "a command = 'puppet pause'\n b command = 'puppet pause'\n c command = 'puppet pause'\n old command = 'puppet pause'",
    );
    let before = pids(&foster, &["a", "b", "c", "old"]);
    rewrite(
        &foster,
        &programs(
            "a command = 'puppet report-signals pause'; umask = '027'\n b command = 'puppet pause'; stop_timeout = '1s'\n c command = 'puppet pause'\n new command = 'puppet pause'\n lazy command = 'puppet pause'; autostart = false",
        ),
    );
    let expected = [
        "a: would be restarted: command, umask",
        "b: would change without a restart: stop_timeout",
        "foster: 1 program unchanged",
        "lazy: would be added, and not started",
        "new: would be added and started",
        "old: would be stopped and removed",
    ];
    for arguments in [vec!["update", "--dry-run"], vec!["update", "--dry-run", "all"]] {
        let printed = foster.verb(&arguments).expect(0).stdout;
        let mut lines: Vec<&str> = printed.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, expected);
    }
    assert_eq!(foster.verb(&["update", "--dry-run", "b"]).expect(0).stdout.lines().count(), 1);
    let json = foster.verb(&["update", "--dry-run", "--json", "a"]).expect(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["updated"], false);
    let change = &json["changes"][0];
    let expected = serde_json::json!({
        "name": "a", "instance": 0, "change": "changed", "keys": ["command", "umask"], "restarts": true,
        "autostart": true, "priority": 999,
        "definition": {
            "command": "puppet report-signals pause", "success_exit_codes": [0], "min_uptime_ms": 1, "start_limit": 10,
            "stop_signal": 15, "stop_timeout_ms": 5000, "kills_group": true,
        },
    });
    assert_eq!((change, json["changes"].as_array().map(Vec::len)), (&expected, Some(1)));
    assert_eq!(pids(&foster, &["a", "b", "c", "old"]), before);
    rewrite(&foster, "[program.a]\ncomand = 'x'\n");
    let failed = foster.verb(&["update", "--dry-run"]).expect(1);
    assert!(failed.stderr.contains("did you mean `command`?"), "{}", failed.stderr);
    assert_eq!(pids(&foster, &["a", "b", "c", "old"]), before);
}

#[test]
fn an_update_of_one_program_leaves_the_others_alone() {
    let foster =
        start("a command = 'puppet pause'\n b command = 'puppet pause'\n old command = 'puppet pause'");
    let before = pids(&foster, &["a", "b", "old"]);
    let changed = "a command = 'puppet report-signals pause'\n b command = 'puppet report-signals pause'\n new command = 'puppet pause'; after = ['a']\n late command = 'puppet pause'; after = ['new']";
    rewrite(&foster, &programs(changed));
    let printed = foster.verb(&["update", "a"]).expect(0).stdout;
    assert!(printed.starts_with("a: restarted (pid ") && printed.lines().count() == 1, "{printed}");
    assert_eq!(pids(&foster, &["b", "old"]), before[1..]);
    assert_ne!(foster.pid_of("a"), before[0]);
    assert!(state(&foster, "new").is_none());
    let refused = foster.verb(&["update", "late"]).expect(1);
    assert!(
        refused.stderr.contains("`late` comes after `new`, which would not be there: name both, or neither"),
        "{}",
        refused.stderr
    );
    let unknown = foster.verb(&["update", "lat"]).expect(1);
    assert!(unknown.stderr.contains("there is no program `lat`; did you mean `late`?"), "{}", unknown.stderr);
    foster.verb(&["update", "late", "new"]).expect(0);
    assert_eq!(state(&foster, "late").as_deref(), Some("running"));
    assert_eq!(foster.verb(&["update", "old"]).expect(0).stdout, "old: stopped and removed\n");
    assert_eq!(foster.pid_of("b"), before[1]);
    assert!(foster.verb(&["update"]).expect(0).stdout.contains("b: restarted (pid "));
}
