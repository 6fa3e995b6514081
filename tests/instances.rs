//! Several instances of a program: each with its own definition, and `foster scale`.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::support::{Foster, Running, check, descriptors, found, may_make_namespaces, resident_kib};

/// Started, with everything that is autostarted up.
fn start(config: &str) -> Running {
    let foster = Foster::new().config(config).start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    foster
}

fn labels(foster: &Running) -> Vec<String> {
    foster.rows().iter().map(|row| row["label"].as_str().expect("a label").to_owned()).collect()
}

fn pids(foster: &Running) -> Vec<i64> {
    foster.rows().iter().map(|row| row["pid"].as_i64().expect("a pid")).collect()
}

fn row(foster: &Running, label: &str) -> Value {
    foster.rows().into_iter().find(|row| row["label"] == label).expect(label)
}

const QUICK: &str = "min_uptime = '1ms'\n";

#[test]
fn each_instance_has_its_own_environment_directory_files_probes_and_label() {
    let foster = Foster::new()
        .file("env-0", "FROM_FILE=zero\n")
        .file("env-1", "FROM_FILE=one\n")
        .file("secret-0", "s0\n")
        .file("secret-1", "s1\n");
    let folder = foster.folder().display().to_string();
    for index in ["0", "1"] {
        fs::create_dir(foster.folder().join(format!("work-{index}"))).expect("a folder");
    }
    let config = format!(
        "[program.web]
        instances = 2
        command = ['puppet', 'print:args ${{FOSTER_INSTANCE}}', 'env', 'cwd', 'touch:{folder}/up-${{FOSTER_INSTANCE}}', 'pause']
        directory = '{folder}/work-${{FOSTER_INSTANCE}}'
        environment = {{ NAME = '${{FOSTER_PROGRAM}}-${{FOSTER_INSTANCE}}' }}
        env_file = '{folder}/env-${{FOSTER_INSTANCE}}'
        secrets = {{ SECRET = '{folder}/secret-${{FOSTER_INSTANCE}}' }}
        pre_start = ['puppet', 'touch:{folder}/pre-${{FOSTER_INSTANCE}}']
        pre_stop = ['puppet', 'touch:{folder}/post-${{FOSTER_INSTANCE}}']
        ready = {{ file = '{folder}/up-${{FOSTER_INSTANCE}}' }}
        stderr = {{ file = '{folder}/err-${{FOSTER_INSTANCE}}.log' }}"
    );
    let foster = foster.config(&config).start();
    foster.wait_for("everything to be up", || foster.verb(&["health"]).code == 0);
    for (index, word) in [(0, "zero"), (1, "one")] {
        foster.wait_for_line(&format!("web.{index} *\\| args {index}"));
        let out = foster.verb(&["logs", &format!("web.{index}")]).expect(0).stdout;
        for line in [
            format!("NAME=web-{index}"),
            format!("FOSTER_INSTANCE={index}"),
            format!("FROM_FILE={word}"),
            format!("SECRET=s{index}"),
            format!("{folder}/work-{index}"),
        ] {
            assert!(out.contains(&line), "no `{line}` in\n{out}");
        }
        assert!(foster.path(&format!("pre-{index}")).exists());
        assert!(foster.path(&format!("err-{index}.log")).exists());
    }
    assert_eq!(labels(&foster), ["web.0", "web.1"]);
    let instances: Vec<_> = foster.rows().iter().map(|row| row["instance"].clone()).collect();
    assert_eq!(instances, [0, 1]);
    let env = foster.verb(&["exec", "web.1", "--", "puppet", "env"]).expect(0).stdout;
    assert!(env.contains("NAME=web-1\n") && env.contains("FROM_FILE=one\n"), "{env}");
    foster.verb(&["stop", "web.1"]).expect(0);
    assert!(foster.path("post-1").exists() && !foster.path("post-0").exists());
    assert_eq!(row(&foster, "web.0")["state"], "running");
    foster.verb(&["status", "web.0"]).expect(0);
    foster.verb(&["status", "web"]).expect(3);
    foster.verb(&["start", "web.*"]).expect(0);
}

#[test]
fn an_instance_that_is_killed_leaves_the_others() {
    let foster = start(&format!("[program.web]\ninstances = 3\ncommand = 'puppet pause'\n{QUICK}"));
    let before = pids(&foster);
    foster.verb(&["signal", "KILL", "web.1"]).expect(0);
    foster.wait_for_line("web.1: was killed by SIGKILL");
    foster.wait_for("a new web.1", || {
        let row = row(&foster, "web.1");
        row["state"] == "running" && row["pid"].as_i64() != Some(before[1])
    });
    let after = pids(&foster);
    assert_eq!((after[0], after[2]), (before[0], before[2]));
    let restarts: Vec<_> = foster.rows().iter().map(|row| row["restarts"].clone()).collect();
    assert_eq!(restarts, [0, 1, 0]);
}

#[test]
fn scale_starts_and_stops_the_highest_and_returns_when_that_is_done() {
    let foster = start(&format!("[program.web]\ncommand = 'puppet pause'\n{QUICK}"));
    let first = foster.pid_of("web");
    assert_eq!(labels(&foster), ["web"]);
    let printed = foster.verb(&["scale", "web", "3"]).expect(0).stdout;
    assert!(
        printed.contains("web.1: started (pid ") && printed.contains("web.2: started (pid "),
        "{printed}"
    );
    assert_eq!(printed.lines().count(), 2, "{printed}");
    assert_eq!(labels(&foster), ["web.0", "web.1", "web.2"]);
    assert!(foster.rows().iter().all(|row| row["state"] == "running" && row["instances"] == 3));
    foster.wait_for_line("web: scaled from 1 to 3 instances: `foster scale` .uid ");
    assert_eq!(foster.verb(&["scale", "web", "3"]).expect(0).stdout, "web: has 3 instances already\n");
    let printed = foster.verb(&["scale", "web", "1"]).expect(0).stdout;
    // In the order of their ends.
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["web.1: stopped and removed", "web.2: stopped and removed"]);
    foster.wait_for_line("web.2: stopping, because the program has 1 instance now");
    assert_eq!(labels(&foster), ["web"]);
    assert_eq!(foster.pid_of("web"), first);
    let json = foster.verb(&["scale", "--json", "web", "2"]).expect(0).stdout;
    let answer: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(answer["done"], true, "{json}");
    foster.verb(&["scale", "--no-wait", "web", "1"]).expect(0);
    foster.wait_for("one to be left", || labels(&foster) == ["web"]);
    let events = foster.verb(&["events", "--json", "--event", "changed", "web"]).expect(0).stdout;
    assert_eq!(events.matches("\"keys\":\"instances\"").count(), 4, "{events}");
}

#[test]
fn a_program_without_instances_has_a_row_and_can_be_scaled() {
    let foster = Foster::new()
        .config(&format!("[program.web]\ninstances = 0\ncommand = 'puppet pause'\n{QUICK}[program.app]\nafter = 'web'\ncommand = 'puppet pause'\n{QUICK}"))
        .start();
    foster.wait_for_state("app", "running");
    foster.verb(&["health"]).expect(0);
    foster.verb(&["health", "web"]).expect(0);
    foster.verb(&["wait", "web"]).expect(0);
    let row = row(&foster, "web");
    assert_eq!(
        (&row["instance"], &row["instances"], &row["state"]),
        (&Value::Null, &0.into(), &"stopped".into())
    );
    foster.verb(&["status"]).expect(0);
    let table = foster.verb(&["status", "web"]).expect(3).stdout;
    assert!(table.contains("0 instances"), "{table}");
    let started = foster.verb(&["start", "web"]).expect(0).stdout;
    assert_eq!(started, "web: 0 instances: `foster scale web 1` starts one\n");
    foster.verb(&["stop", "web"]).expect(0);
    foster.verb(&["exec", "web", "--", "puppet", "env"]).expect(0);
    foster.verb(&["scale", "web", "1"]).expect(0);
    assert_eq!(foster.row("web").expect("web")["state"], "running");
    assert_eq!(foster.verb(&["scale", "web", "0"]).expect(0).stdout, "web.0: stopped and removed\n");
    foster.verb(&["status", "app"]).expect(0);
}

#[test]
fn scale_refuses_what_cannot_be_scaled_and_changes_nothing() {
    let foster = start(&format!(
        "[program.web]\ncommand = 'puppet pause'\nready = {{ log = '' }}\nenvironment = {{ PORT = '${{FOSTER_INSTANCE}}' }}\nhealth = {{ exec = ['true', '${{FOSTER_INSTANCE}}'] }}\n{QUICK}[program.input]\ncommand = 'puppet pause'\nstdin = 'inherit'\n{QUICK}[program.port]\nautostart = false\ncommand = 'puppet pause'\nready = {{ tcp = '127.0.0.1:6553${{FOSTER_INSTANCE}}' }}\n"
    ).replace("ready = { log = '' }\n", ""));
    for (arguments, code, message) in [
        (["web", "1001"], 2, "scale: `1001` is not a number of instances: expected 0 to 1000"),
        (["web", "-1"], 2, "unknown flag `-1`"),
        (["web", "many"], 2, "`many` is not a number of instances"),
        (["3", "web"], 2, "`web` is not a number of instances"),
        (["wbe", "2"], 1, "there is no program `wbe`; did you mean `web`?"),
        (["web.0", "2"], 1, "cannot scale `web.0`: expected the name of one program"),
        (["all", "2"], 1, "cannot scale `all`: expected the name of one program"),
        (["w*", "2"], 1, "cannot scale `w*`: expected the name of one program"),
        (["input", "2"], 1, "cannot scale `input` to 2 instances: it inherits foster's standard input"),
        (["port", "7"], 1, "cannot scale `port` to 7 instances: `tcp` cannot be `127.0.0.1:65536`"),
    ] {
        let refused = foster.verb(&["scale", arguments[0], arguments[1]]).expect(code);
        assert!(refused.stderr.contains(message), "{arguments:?}: {}", refused.stderr);
    }
    assert!(foster.verb(&["scale", "web"]).expect(2).stderr.contains("needs a number of instances"));
    assert_eq!(labels(&foster), ["web", "input", "port"]);
}

#[test]
fn new_instances_have_their_definitions_although_the_file_is_gone_and_an_update_keeps_their_number() {
    let config = |more: &str| {
        format!(
            "[program.web]\ncommand = ['puppet', 'print:I am ${{FOSTER_INSTANCE}} of ${{WHO:-us}}', 'pause']\n{QUICK}{more}"
        )
    };
    let foster = start(&config(""));
    let file = foster.path("foster.toml");
    let text = fs::read_to_string(&file).expect("foster.toml");
    fs::remove_file(&file).expect("foster.toml");
    foster.verb(&["scale", "web", "3"]).expect(0);
    foster.wait_for_line("web.2 *\\| I am 2 of us");
    // Nothing has changed: the number stays.
    fs::write(&file, &text).expect("foster.toml");
    let before = pids(&foster);
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("web: the number of instances that `foster scale` set is kept"), "{printed}");
    assert_eq!(pids(&foster), before);
    // Another command: all three have it.
    fs::write(&file, text.replace("I am", "I was")).expect("foster.toml");
    foster.verb(&["update"]).expect(0);
    foster.wait_for_line("web.2 *\\| I was 2 of us");
    assert_eq!(labels(&foster), ["web.0", "web.1", "web.2"]);
    // An edit of the file is not applied by `scale`.
    let before = pids(&foster);
    fs::write(&file, text.replace("I am", "nothing of")).expect("foster.toml");
    foster.verb(&["scale", "web", "4"]).expect(0);
    foster.wait_for_line("web.3 *\\| I was 3 of us");
    assert_eq!(pids(&foster)[..3], before[..]);
    // The file's number wins where it changes.
    fs::write(
        &file,
        text.replace("[program.web]\n", "[program.web]\ninstances = 2\n").replace("I am", "I was"),
    )
    .expect("foster.toml");
    let printed = foster.verb(&["update"]).expect(0).stdout;
    assert!(printed.contains("web.3: stopped and removed\n"), "{printed}");
    assert_eq!(labels(&foster), ["web.0", "web.1"]);
    assert_eq!(pids(&foster)[..], before[..2]);
}

#[test]
fn two_hundred_instances_scaled_down_and_up_leave_memory_and_descriptors_as_they_were() {
    let config = format!(
        "[program.web]\ninstances = 200\ncommand = ['puppet', 'print:${{FOSTER_INSTANCE}}', 'pause']\n{QUICK}[foster]\nlog_level = 'error'\n"
    );
    let foster = Foster::new().config(&config).alone().start();
    let all_run = || foster.verb(&["health"]).code == 0 && foster.rows().len() == 200;
    foster.wait_for("200 to be up", all_run);
    let cycle = || {
        foster.verb(&["scale", "web", "2"]).expect(0);
        assert_eq!(foster.rows().len(), 2);
        foster.verb(&["scale", "web", "200"]).expect(0);
        foster.wait_for("200 to be up", all_run);
    };
    // The client's connection is closed when foster notices its end.
    let sockets = || descriptors(foster.pid()).iter().filter(|one| one.contains("socket:")).count();
    let footprint = || {
        foster.wait_for("the client's connection to be closed", || sockets() == 2);
        (resident_kib(foster.pid()), descriptors(foster.pid()).len())
    };
    cycle();
    let (kib, open) = footprint();
    cycle();
    cycle();
    let (kib_after, open_after) = footprint();
    assert_eq!(open, open_after);
    assert!(kib_after <= kib + 256, "{kib} KiB before, {kib_after} KiB after");
}

/// How long foster takes from its first start of a process until 200 are ready, by the times in its log.
fn time_to_start_200(config: &str) -> Duration {
    let foster = Foster::new().config(&format!("[foster]\nlog_format = 'json'\n{config}")).alone().start();
    let times = |event: &str| -> Vec<SystemTime> {
        let output = foster.output().stderr();
        let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let time = |line: Value| humantime::parse_rfc3339(line["ts"].as_str()?).ok();
        lines.filter(|line| line["event"] == event).filter_map(time).collect()
    };
    foster.wait_for("200 to be ready", || times("ready").len() == 200);
    let (first, last) = (times("starting").into_iter().min(), times("ready").into_iter().max());
    last.expect("an end").duration_since(first.expect("a start")).expect("a later time")
}

#[test]
fn two_hundred_instances_of_a_program_are_up_in_at_most_one_and_a_half_times_the_time_of_as_many_programs() {
    let instances = format!("[program.web]\ninstances = 200\ncommand = 'puppet pause'\n{QUICK}");
    let program = |number| format!("[program.web{number}]\ncommand = 'puppet pause'\n{QUICK}");
    let programs: String = (0..200).map(program).collect();
    // The quickest of both, in turns: the machine's load slows down single ones.
    let (one, many): (Vec<_>, Vec<_>) =
        (0..4).map(|_| (time_to_start_200(&instances), time_to_start_200(&programs))).unzip();
    let (one, many) = (one.into_iter().min().expect("some"), many.into_iter().min().expect("some"));
    println!("200 instances {one:?}, 200 programs {many:?}");
    assert!(one * 2 <= many * 3, "{one:?} {many:?}");
}

/// Mounts a new cgroup over the machine's, then checks the configuration.
fn checked_with(mounts: &str) -> String {
    let script = format!(
        "set -e; root=/sys/fs/cgroup; mount -t tmpfs none $root; {mounts}\n\
         mount --bind $root/self /proc/$$/cgroup; exec foster check foster.toml"
    );
    let foster = Foster::new().file("foster.toml", "[program.web]\ncommand = 'x'\ninstances = 'auto'\n");
    let foster = foster.file("script", &script).all_names();
    foster.shell("exec unshare -m sh script").expect(0).stdout
}

#[test]
fn auto_counts_the_cpus_that_affinity_and_the_quota_of_either_cgroup_version_allow() {
    let auto = "[program.web]\ncommand = 'x'\ninstances = 'auto'\n";
    let cpus = std::thread::available_parallelism().expect("CPUs");
    let all = check(auto).expect(0).stdout;
    let expected =
        if cpus.get() == 1 { "web  ready".to_owned() } else { format!("web  {cpus} instances; ready") };
    assert!(all.contains(&expected), "{all}");
    let (true, Some(_), Some(_)) = (may_make_namespaces(), found("unshare"), found("taskset")) else {
        return;
    };
    let second = "echo '0::/app' >$root/self; mkdir $root/app; echo cpu >$root/cgroup.controllers; \
         echo cpu >$root/app/cgroup.controllers; echo '100000 100000' >$root/app/cpu.max";
    let first = "echo '4:cpu,cpuacct:/app' >$root/self; mkdir -p $root/cpu/app; echo 1 >$root/cpu/app/cgroup.procs; \
         echo 100000 >$root/cpu/app/cpu.cfs_quota_us; echo 100000 >$root/cpu/app/cpu.cfs_period_us";
    for quota in [first, second] {
        let printed = checked_with(quota);
        assert!(printed.contains("web  ready when"), "{quota}\n{printed}");
    }
    let foster = Foster::new().file("foster.toml", auto).all_names();
    let one = "first=$(taskset -cp $$ | sed 's/.*: //; s/[-,].*//'); exec taskset -c $first foster check foster.toml";
    let printed = foster.shell(one).expect(0).stdout;
    assert!(printed.contains("web  ready when"), "{printed}");
}

#[test]
fn an_instance_that_is_wanted_again_while_it_stops_starts_after_its_end() {
    let foster = start(&format!(
        "[program.web]\ninstances = 2\ncommand = 'puppet ignore:TERM pause'\nstop_timeout = '500ms'\n{QUICK}"
    ));
    let before = pids(&foster);
    foster.verb(&["scale", "--no-wait", "web", "1"]).expect(0);
    foster.wait_for("web.1 to be stopping", || {
        foster.rows().iter().any(|row| row["label"] == "web.1" && row["state"] == "stopping")
            || foster.output().has_line("web.1: did not stop")
    });
    foster.verb(&["scale", "web", "3"]).expect(0);
    let after = pids(&foster);
    assert_eq!(labels(&foster), ["web.0", "web.1", "web.2"]);
    assert!(after[0] == before[0] && after[1] != before[1], "{before:?} {after:?}");
    foster.verb(&["health"]).expect(0);
}

#[test]
fn check_here_looks_at_what_each_instance_needs() {
    let foster = Foster::new();
    fs::create_dir(foster.folder().join("work-0")).expect("a folder");
    let config =
        "[program.web]\ncommand = 'puppet pause'\ninstances = 3\ndirectory = 'work-${FOSTER_INSTANCE}'\n";
    let text = foster.config(config).finish(&["check", "--here"]).expect(2).text();
    assert!(text.contains("work-1") && text.contains("work-2") && !text.contains("`work-0`"), "{text}");
}

#[test]
fn check_shows_the_number_of_instances() {
    let printed = check("[program.web]\ncommand = 'puppet pause'\ninstances = 3\n").expect(0).stdout;
    assert!(printed.contains("web  3 instances; ready when up for 1s"), "{printed}");
}
