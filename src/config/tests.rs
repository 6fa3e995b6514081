//! The configuration as its user meets it: files in, a plan or a report out.
//!
//! Each `tests/fixtures/config/*.toml` (and `*/foster.toml`) has its whole output beside it. After a change
//! that is meant, `UPDATE_EXPECT=1 cargo test --lib config` writes them again: read the difference.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use expect_test::{expect, expect_file};
use foster_core::ids::Signal;
use foster_core::spec::{Asking, Fate, Readiness, Restart, SignalAction};
use proptest::prelude::*;

use super::*;
use crate::plan::{Account, Inherit, Presence, Probe, Sink};

const FIXTURES: &str = "tests/fixtures/config";

fn environment() -> Environment {
    let text = [
        ("PORT", "8000"),
        ("NUMBER", "5"),
        ("TRUE", "true"),
        ("DURATION", "2s"),
        ("EMPTY", ""),
        ("TRICKY", "\"\npriority = 1\n${PORT} $$"),
    ];
    let mut environment: Environment =
        text.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    environment.insert("BYTES".into(), OsStr::from_bytes(b"\xff\xfe").to_owned());
    environment
}

fn outcome(path: &Path) -> String {
    let text = match load(path, &environment()) {
        Ok(plan) => start_order(&plan),
        Err(report) => report.to_string(),
    };
    text.replace(&format!("{FIXTURES}/"), "")
}

/// Loads a text as the only file there is.
fn load_text(text: impl AsRef<[u8]>) -> Result<Plan, Report> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("foster.toml");
    fs::write(&path, text).expect("a file");
    load(&path, &environment())
}

fn plan_of(text: &str) -> Plan {
    load_text(text).unwrap_or_else(|report| panic!("{report}"))
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a listing");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_fixture_has_the_output_beside_it() {
    let mut expected = BTreeSet::new();
    for path in paths(Path::new(FIXTURES)) {
        let main = if path.is_dir() { path.join("foster.toml") } else { path.clone() };
        if main.extension() == Some(OsStr::new("toml")) {
            let beside = path.with_extension("expected");
            expect_file![Path::new(env!("CARGO_MANIFEST_DIR")).join(&beside)].assert_eq(&outcome(&main));
            expected.insert(beside);
        }
    }
    let all = paths(Path::new(FIXTURES)).into_iter();
    let there: BTreeSet<_> = all.filter(|path| path.extension() == Some(OsStr::new("expected"))).collect();
    assert_eq!(there, expected, "an expected output without its configuration");
    assert!(expected.len() > 30);
}

#[test]
fn twenty_mistakes_in_three_files_give_twenty_messages() {
    let report = load(Path::new("tests/fixtures/config/twenty/foster.toml"), &environment());
    assert_eq!(report.expect_err("a report").count(), 20);
}

#[test]
fn the_reference_of_the_keys_is_up_to_date() {
    expect_file!["../../docs/config.md"].assert_eq(&reference());
}

#[test]
fn what_is_not_given_is_as_the_contract_says() {
    let plan = plan_of("[program.web]\ncommand = ['web']\n");
    expect![[r#"
        Settings {
            socket: Some(
                "/run/foster.sock",
            ),
            log_format: Text,
            log_level: Info,
            log_timestamps: false,
            termination_log: "/dev/termination-log",
        }
    "#]]
    .assert_debug_eq(&plan.settings);
    expect![[r#"
        [
            Program {
                name: "web",
                launch: Launch {
                    command: [
                        "web",
                    ],
                    directory: None,
                    environment: [],
                    env_files: [],
                    secrets: [],
                    inherit_environment: All,
                    user: None,
                    umask: None,
                    capabilities: None,
                    no_new_privileges: false,
                    limits: [],
                    nice: None,
                    oom_score_adj: None,
                },
                stdout: Log,
                stderr: Log,
                log_prefix: true,
                ready: None,
                pre_stop: None,
            },
        ]
    "#]].assert_debug_eq(&plan.programs);
    expect![[r#"
        [
            ProgramSpec {
                instances: 1,
                autostart: Yes,
                priority: 999,
                after: [],
                requires: [],
                restart: RestartPolicy {
                    restart: Always,
                    success_exit_codes: [
                        0,
                    ],
                    min_uptime: 1s,
                    backoff: Backoff {
                        initial: 0ns,
                        factor: 2.0,
                        max: 30s,
                    },
                    start_limit: Some(
                        10,
                    ),
                },
                on_exit: Ignore,
                on_failure: Shutdown,
                readiness: Uptime,
                stop: StopPlan {
                    signals: [
                        Signal(
                            15,
                        ),
                    ],
                    timeout: 5s,
                    scope: Main,
                    pre_stop: None,
                },
                reload_signal: None,
            },
        ]
    "#]].assert_debug_eq(&plan.core.programs());
    assert_eq!(plan.core.shutdown_timeout(), std::time::Duration::from_secs(9));
}

#[test]
fn every_key_of_a_program_reaches_the_plan() {
    let plan = plan_of(
        r#"
        foster = { socket = "", log_format = "json", log_level = "off", log_timestamps = true, shutdown_timeout = "1m", termination_log = "/t" }
        signals = { WINCH = "forward:web", USR1 = "forward:web:HUP", PWR = "shutdown", HUP = "ignore" }

        [program.db]
        command = "postgres -c 'x y'"

        [program.web]
        command = ["web", "${PORT}"]
        directory = "/app"
        environment = { A = "1", N = 5, T = true }
        env_file = [".env", "-/more.env"]
        secrets = { KEY = "/run/secrets/key" }
        inherit_environment = false
        user = "app:33"
        umask = "027"
        capabilities = ["net_bind_service", "CAP_CHOWN"]
        no_new_privileges = true
        limits = { nofile = 65536, core = 0, memlock = "unlimited", nproc = [100, 200], stack = "8M" }
        nice = -5
        oom_score_adj = 500
        autostart = false
        priority = 1000
        after = ["db", "db"]
        requires = ["db"]
        restart = "on-failure"
        success_exit_codes = [0, 143]
        min_uptime = "3s"
        backoff = { initial = "1s", factor = 1.5, max = "10s" }
        start_limit = "unlimited"
        on_exit = "shutdown"
        on_failure = "ignore"
        stop_signal = ["QUIT", "TERM"]
        stop_timeout = "2s"
        stop_group = true
        pre_stop = "drain now"
        reload_signal = "HUP"
        ready = { http = "http://localhost/x", status = [200], interval = "1s", timeout = "2s" }
        stdout = { file = "log", max_size = "unlimited", keep = 0 }
        stderr = { file = "/log" }
        log_prefix = false
        "#,
    );
    expect![[r#"
        (
            Settings {
                socket: None,
                log_format: Json,
                log_level: Off,
                log_timestamps: true,
                termination_log: "/t",
            },
            [
                (
                    Signal(
                        28,
                    ),
                    Forward {
                        program: ProgramId(
                            1,
                        ),
                        signal: Signal(
                            28,
                        ),
                    },
                ),
                (
                    Signal(
                        10,
                    ),
                    Forward {
                        program: ProgramId(
                            1,
                        ),
                        signal: Signal(
                            1,
                        ),
                    },
                ),
                (
                    Signal(
                        30,
                    ),
                    Shutdown,
                ),
                (
                    Signal(
                        1,
                    ),
                    Ignore,
                ),
            ],
        )
    "#]].assert_debug_eq(&(&plan.settings, plan.core.signals()));
    expect![[r#"
        Program {
            name: "web",
            launch: Launch {
                command: [
                    "web",
                    "8000",
                ],
                directory: Some(
                    "/app",
                ),
                environment: [
                    (
                        "A",
                        "1",
                    ),
                    (
                        "N",
                        "5",
                    ),
                    (
                        "T",
                        "true",
                    ),
                ],
                env_files: [
                    EnvFile {
                        path: ".env",
                        presence: Required,
                    },
                    EnvFile {
                        path: "/more.env",
                        presence: Optional,
                    },
                ],
                secrets: [
                    (
                        "KEY",
                        "/run/secrets/key",
                    ),
                ],
                inherit_environment: Basics,
                user: Some(
                    User {
                        user: Name(
                            "app",
                        ),
                        group: Some(
                            Id(
                                33,
                            ),
                        ),
                    },
                ),
                umask: Some(
                    23,
                ),
                capabilities: Some(
                    1025,
                ),
                no_new_privileges: true,
                limits: [
                    Limit {
                        resource: Resource::NOFILE,
                        soft: 65536,
                        hard: 65536,
                    },
                    Limit {
                        resource: Resource::CORE,
                        soft: 0,
                        hard: 0,
                    },
                    Limit {
                        resource: Resource::MEMLOCK,
                        soft: 18446744073709551615,
                        hard: 18446744073709551615,
                    },
                    Limit {
                        resource: Resource::NPROC,
                        soft: 100,
                        hard: 200,
                    },
                    Limit {
                        resource: Resource::STACK,
                        soft: 8388608,
                        hard: 8388608,
                    },
                ],
                nice: Some(
                    -5,
                ),
                oom_score_adj: Some(
                    500,
                ),
            },
            stdout: File(
                FileSink {
                    path: "log",
                    max_size: None,
                    keep: 0,
                },
            ),
            stderr: File(
                FileSink {
                    path: "/log",
                    max_size: Some(
                        52428800,
                    ),
                    keep: 10,
                },
            ),
            log_prefix: false,
            ready: Some(
                Http(
                    HttpProbe {
                        address: 127.0.0.1:80,
                        host: "localhost",
                        target: "/x",
                        status: [
                            200,
                        ],
                    },
                ),
            ),
            pre_stop: Some(
                [
                    "drain",
                    "now",
                ],
            ),
        }
    "#]].assert_debug_eq(&plan.programs[1]);
    expect![[r#"
        ProgramSpec {
            instances: 1,
            autostart: No,
            priority: 1000,
            after: [
                ProgramId(
                    0,
                ),
            ],
            requires: [
                ProgramId(
                    0,
                ),
            ],
            restart: RestartPolicy {
                restart: OnFailure,
                success_exit_codes: [
                    0,
                    143,
                ],
                min_uptime: 3s,
                backoff: Backoff {
                    initial: 1s,
                    factor: 1.5,
                    max: 10s,
                },
                start_limit: None,
            },
            on_exit: Shutdown,
            on_failure: Ignore,
            readiness: Probe {
                asking: Asked,
                interval: 1s,
                timeout: 2s,
            },
            stop: StopPlan {
                signals: [
                    Signal(
                        3,
                    ),
                    Signal(
                        15,
                    ),
                ],
                timeout: 2s,
                scope: Group,
                pre_stop: Command,
            },
            reload_signal: Some(
                Signal(
                    1,
                ),
            ),
        }
    "#]].assert_debug_eq(&plan.core.programs()[1]);
    assert_eq!(plan.programs[0].launch.command, ["postgres", "-c", "x y"]);
}
