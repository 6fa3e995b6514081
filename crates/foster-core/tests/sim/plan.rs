//! Plans and behaviours as text, a line for each program: `NAME: key=value …`.
//!
//! `shutdown_timeout=9s` and `when_all_ended=stay` and `start=together` stand on a line alone, and so does a row of `[signals]`:
//! `USR1=nginx HUP`, `PWR=shutdown`. [`parse`] lists the keys.

use std::time::Duration;

use foster_core::event::{Notice, Persistence};
use foster_core::ids::{Exit, KilledBy, ProgramId, Signal};
use foster_core::plan::{CorePlan, PlanSettings, SignalAction, StartOrder, WhenAllEnded};
use foster_core::schedule::{Cron, Schedule, Timing, Zone};
use foster_core::spec::{
    Autostart, Backoff, EarlyExit, ExitAction, Growth, HealthAction, HealthPlan, JobOverlap, JobPlan,
    KillMode, LateStart, Overlap, PreStop, ProgramSpec, Readiness, Restart, RestartPolicy, StopPlan,
    StopScope,
};

/// How the process of a program behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// It ends by itself.
    pub end: Option<End>,
    /// It ends after the last of its stop signals; `None`: it ignores them.
    pub stops: Option<End>,
    pub stop_signals: Vec<Signal>,
    /// How long after its start its readiness probe passes.
    pub ready: Option<Duration>,
    /// How long after its start it says that it is ready.
    pub says_ready: Option<Duration>,
    /// Other processes of it outlive it, and end so long after TERM (`None` inside: they ignore it).
    pub leftovers: Option<Option<Duration>>,
    /// How long its `pre_stop` takes.
    pub pre_stop: Option<Duration>,
    pub cannot_start: bool,
    /// Whether a later start can succeed.
    pub persistence: Persistence,
    /// How long it takes to execute its program; `None`: forever.
    pub spawns: Option<Duration>,
    /// From when until when its health probe fails, counted from its start.
    pub unhealthy: Option<(Duration, Option<Duration>)>,
    /// How often it reports that it works.
    pub beats: Option<Duration>,
    /// How long after its start it stops to report that.
    pub silent: Option<Duration>,
    /// When its memory is over its limit, counted from its start.
    pub outgrows: Option<Duration>,
    /// The number of its first run that ends with success, whatever `end` says.
    pub succeeds: Option<u32>,
    /// Signals that cannot be sent to it.
    pub refuses: Vec<Signal>,
    /// Whether it stays after KILL.
    pub unkillable: bool,
    /// Its command.
    pub version: String,
    /// Whether another run may stand beside it.
    pub overlap: bool,
}

/// An end, some time after what causes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct End {
    pub after: Duration,
    pub exit: Exit,
}

/// Reads a plan. Keys are those of foster.toml where it has one (`initial`, `growth`, `reset` are those of `backoff`).
/// The others describe the simulated process:
///
/// | key | meaning |
/// | --- | --- |
/// | `spawns=5ms`, `spawns=never` | it executes its program after 5 ms, or never |
/// | `cannot_start`, `cannot_start=permanent` | its start fails, and may or cannot succeed later |
/// | `ready=200ms`, `ready=never` | its readiness probe passes from then on |
/// | `notify=200ms`, `notify=never` | it says then that it is ready |
/// | `unhealthy=20s..50s` | its health probe fails between these ages |
/// | `beats=1s`, `silent=9s` | it reports every second that it works, from an age of 9 s on no longer |
/// | `outgrows=7s` | its memory has a limit, and is over it from then on |
/// | `task`, `task=5s`, `retries=2` | it is a task; with a `timeout`; with retries |
/// | `every=10s`, `cron=0_*_*_*_*`, `job_overlap=wait`, `at_start` | it is a job |
/// | `succeeds=3` | from its third run on it ends with success |
/// | `life=2s/3` | it ends after 2 s with exit code 3 |
/// | `stops=50ms/0`, `stops=never` | it ends after its last stop signal, or ignores all |
/// | `leftovers=50ms`, `leftovers=never` | other processes of it outlive it, and end 50 ms after TERM |
/// | `refuses=TERM,KILL` | these signals cannot be sent to it (EPERM) |
/// | `unkillable` | it does not end at KILL (state D) |
/// | `pre_stop=100ms`, `pre_stop=never` | its `pre_stop` command takes that long |
/// | `overlap` | two runs of it may stand beside each other |
/// | `v=2` | it has another command |
pub fn parse(text: &str) -> (CorePlan, Vec<String>, Vec<Behaviour>) {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let names: Vec<String> =
        lines.iter().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_string()).collect();
    let id = |name: &str| {
        let at = names.iter().position(|known| known == name).unwrap_or_else(|| panic!("no program {name}"));
        ProgramId(u32::try_from(at).expect("few programs"))
    };
    let mut specs = Vec::new();
    let mut behaviours = Vec::new();
    let mut timeout = Duration::from_secs(9);
    let mut signals = Vec::new();
    let mut when_all_ended = WhenAllEnded::Exit;
    let mut start = StartOrder::Ready;
    for line in lines {
        match line.split_once(':') {
            Some((_, keys)) => {
                let (spec, behaviour) = program(keys, &id);
                specs.push(spec);
                behaviours.push(behaviour);
            }
            None => match line.split_once('=') {
                Some(("shutdown_timeout", value)) => timeout = duration(value),
                Some(("when_all_ended", "fail")) => when_all_ended = WhenAllEnded::Fail,
                Some(("when_all_ended", "stay")) => when_all_ended = WhenAllEnded::Stay,
                Some(("start", "together")) => start = StartOrder::Together,
                Some((signal, target)) => {
                    let signal = Signal::parse(signal).expect("a signal");
                    let action = match target.split_once(' ') {
                        Some((program, other)) => SignalAction::Forward {
                            program: id(program),
                            signal: Signal::parse(other).expect("a signal"),
                        },
                        None => SignalAction::Shutdown,
                    };
                    signals.push((signal, action));
                }
                None => panic!("neither a program nor a setting: {line}"),
            },
        }
    }
    let settings = PlanSettings { shutdown_timeout: timeout, when_all_ended, start, signals };
    let programs: Vec<_> = (0..).map(ProgramId).zip(specs).collect();
    (CorePlan::new(programs, settings).expect("a plan"), names, behaviours)
}

fn program(keys: &str, id: &dyn Fn(&str) -> ProgramId) -> (ProgramSpec, Behaviour) {
    let mut spec = ProgramSpec {
        instances: 1,
        autostart: Autostart::Yes,
        priority: 999,
        after: Vec::new(),
        requires: Vec::new(),
        restart: RestartPolicy {
            restart: Restart::Always,
            success_exit_codes: vec![0],
            early_exit: EarlyExit::ByStatus,
            min_uptime: Duration::from_secs(1),
            backoff: Backoff {
                initial: Duration::ZERO,
                factor: 2.0,
                max: Duration::from_secs(30),
                growth: Growth::Exponential,
                reset: Duration::from_secs(10),
            },
            start_limit: Some(10),
        },
        on_exit: ExitAction::Ignore,
        on_failure: ExitAction::Shutdown,
        readiness: Readiness::Uptime,
        health: None,
        watchdog: None,
        memory_max: None,
        stop: StopPlan {
            signals: vec![Signal::TERM],
            timeout: Duration::from_secs(5),
            scope: StopScope::Main,
            pre_stop: PreStop::None,
            kill_mode: KillMode::Tree,
        },
        job: None,
        reload_signal: None,
        overlap: Overlap::Never,
    };
    let killed = Exit::Killed { signal: Signal::TERM, by: KilledBy::Unknown };
    let mut behaviour = Behaviour {
        end: None,
        stops: Some(End { after: Duration::from_millis(10), exit: killed }),
        stop_signals: Vec::new(),
        ready: None,
        says_ready: None,
        leftovers: None,
        pre_stop: None,
        cannot_start: false,
        persistence: Persistence::Transient,
        spawns: Some(Duration::ZERO),
        unhealthy: None,
        beats: None,
        silent: None,
        outgrows: None,
        succeeds: None,
        refuses: Vec::new(),
        unkillable: false,
        version: String::new(),
        overlap: false,
    };
    let mut ready_timeout = Duration::from_secs(60);
    for word in keys.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let ids = || value.split(',').map(id).collect::<Vec<_>>();
        match key {
            "instances" => spec.instances = value.parse().expect("a number"),
            "autostart" => spec.autostart = if value == "false" { Autostart::No } else { Autostart::Yes },
            "priority" => spec.priority = value.parse().expect("a number"),
            "after" => spec.after = ids(),
            "requires" => spec.requires = ids(),
            "restart" => {
                spec.restart.restart = match value {
                    "always" => Restart::Always,
                    "on-failure" => Restart::OnFailure,
                    "never" => Restart::Never,
                    other => panic!("{other}"),
                }
            }
            "min_uptime" => spec.restart.min_uptime = duration(value),
            "start_limit" => spec.restart.start_limit = value.parse().ok(),
            "on_exit" => spec.on_exit = exit_action(value),
            "on_failure" => spec.on_failure = exit_action(value),
            "stop_signal" => {
                spec.stop.signals = signals(value);
            }
            "stop_timeout" => spec.stop.timeout = duration(value),
            "overlap" => {
                spec.overlap = Overlap::Allowed;
                behaviour.overlap = true;
            }
            "reload_signal" => spec.reload_signal = Signal::parse(value),
            "ready_timeout" => ready_timeout = duration(value),
            "ready" => {
                spec.readiness = Readiness::Probe {
                    interval: Duration::from_millis(100),
                    timeout: ready_timeout,
                    late: LateStart::Fails,
                };
                behaviour.ready = (value != "never").then(|| duration(value));
            }
            "notify" => {
                let late = if value == "late" { LateStart::IsReady } else { LateStart::Fails };
                spec.readiness = Readiness::Notify { timeout: ready_timeout, late };
                behaviour.says_ready = (!["never", "late"].contains(&value)).then(|| duration(value));
            }
            "task" => {
                let timeout = (!value.is_empty()).then(|| duration(value));
                spec.readiness = Readiness::Completion { timeout };
                (spec.restart.restart, spec.restart.start_limit) = (Restart::OnFailure, Some(1));
            }
            "every" | "cron" => {
                let schedule = match key {
                    "every" => Schedule::Every(duration(value)),
                    _ => Schedule::Cron(Cron::parse(&value.replace('_', " ")).expect("a schedule")),
                };
                let timing = Timing { schedule, zone: Zone::UTC, jitter: Duration::ZERO, seed: 0 };
                spec.job = Some(JobPlan {
                    timing: timing.into(),
                    overlap: JobOverlap::Skip,
                    at_start: Autostart::No,
                });
                spec.readiness = Readiness::Completion { timeout: None };
                spec.restart.restart = Restart::Never;
                (spec.autostart, spec.priority) = (Autostart::No, i32::MAX);
                spec.on_failure = ExitAction::Ignore;
            }
            "job_overlap" => {
                let overlap = match value {
                    "skip" => JobOverlap::Skip,
                    "wait" => JobOverlap::Wait,
                    "kill" => JobOverlap::Kill,
                    other => panic!("{other}"),
                };
                spec.job = spec.job.map(|job| JobPlan { overlap, ..job });
            }
            "at_start" => spec.job = spec.job.map(|job| JobPlan { at_start: Autostart::Yes, ..job }),
            "retries" => {
                let retries: u32 = value.parse().expect("a number");
                spec.restart.start_limit = Some(retries + 1);
            }
            "succeeds" => behaviour.succeeds = Some(value.parse().expect("a number")),
            "life" => behaviour.end = Some(end(value)),
            "stops" => behaviour.stops = (value != "never").then(|| end(value)),
            "leftovers" => behaviour.leftovers = Some((value != "never").then(|| duration(value))),
            "pre_stop" => {
                spec.stop.pre_stop = PreStop::Command;
                behaviour.pre_stop = (value != "never").then(|| duration(value));
            }
            "cannot_start" => {
                behaviour.cannot_start = true;
                if value == "permanent" {
                    behaviour.persistence = Persistence::Permanent;
                }
            }
            "spawns" => behaviour.spawns = (value != "never").then(|| duration(value)),
            "health" => {
                let action = match value {
                    "restart" => HealthAction::Restart,
                    "shutdown" => HealthAction::Shutdown,
                    "report" => HealthAction::Report,
                    other => panic!("{other}"),
                };
                spec.health = Some(HealthPlan {
                    interval: Duration::from_secs(10),
                    timeout: Duration::from_secs(3),
                    failures: 3,
                    start_period: Duration::ZERO,
                    action,
                });
            }
            "unhealthy" => {
                let (from, until) = value.split_once("..").expect("a range");
                behaviour.unhealthy = Some((duration(from), (!until.is_empty()).then(|| duration(until))));
            }
            "outgrows" => {
                spec.memory_max = Some(100);
                behaviour.outgrows = Some(duration(value));
            }
            "start_period" => {
                spec.health = spec.health.map(|plan| HealthPlan { start_period: duration(value), ..plan });
            }
            "beats" => behaviour.beats = Some(duration(value)),
            "silent" => behaviour.silent = Some(duration(value)),
            "watchdog" => spec.watchdog = Some(duration(value)),
            "initial" => spec.restart.backoff.initial = duration(value),
            "early_exit" => spec.restart.early_exit = EarlyExit::Failure,
            "growth" => spec.restart.backoff.growth = growth(value),
            "reset" => spec.restart.backoff.reset = duration(value),
            "refuses" => behaviour.refuses = signals(value),
            "unkillable" => behaviour.unkillable = true,
            "v" => behaviour.version = value.into(),
            other => panic!("unknown key {other}"),
        }
    }
    spec.readiness = match spec.readiness {
        Readiness::Uptime => Readiness::Uptime,
        Readiness::Probe { interval, timeout: _, late } => {
            Readiness::Probe { interval, timeout: ready_timeout, late }
        }
        Readiness::Notify { timeout: _, late } => Readiness::Notify { timeout: ready_timeout, late },
        task @ Readiness::Completion { .. } => task,
    };
    behaviour.stop_signals = spec.stop.signals.iter().rev().take(1).copied().collect();
    (spec, behaviour)
}

/// What a program reports: `ready`, `not-ready`, `reloading`, `stopping`, `alive`, `failing`, `watchdog=5s`,
/// `extend=5s`.
pub fn notice(text: &str) -> Notice {
    match text.split_once('=').unwrap_or((text, "")) {
        ("ready", _) => Notice::Ready,
        ("not-ready", _) => Notice::NotReady("it cannot".into()),
        ("reloading", _) => Notice::Reloading,
        ("stopping", _) => Notice::Stopping,
        ("alive", _) => Notice::Alive,
        ("failing", _) => Notice::Failing,
        ("watchdog", time) => Notice::Watchdog(duration(time)),
        ("extend", time) => Notice::Extend(duration(time)),
        (other, _) => panic!("unknown notice {other}"),
    }
}

fn growth(value: &str) -> Growth {
    if value == "linear" { Growth::Linear } else { Growth::Exponential }
}

fn signals(value: &str) -> Vec<Signal> {
    value.split(',').map(|name| Signal::parse(name).expect("a signal")).collect()
}

fn exit_action(value: &str) -> ExitAction {
    if value == "shutdown" { ExitAction::Shutdown } else { ExitAction::Ignore }
}

/// `2s/3`: after 2 s, exit code 3; `2s` alone: 0.
fn end(value: &str) -> End {
    let (after, code) = value.split_once('/').unwrap_or((value, "0"));
    End { after: duration(after), exit: Exit::Code(code.parse().expect("a code")) }
}

pub fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).expect("a unit"));
    let number: u64 = number.parse().expect("a number");
    match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        other => panic!("unknown unit {other}"),
    }
}
